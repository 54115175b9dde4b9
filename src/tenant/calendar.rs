//! Days of the calendar and the zones they begin in.
//!
//! **Failure**: days outside 1970 to 2149 are refused when read; arithmetic stops at the bounds.
//! **Invariants**: pure: the tables of zones are compiled in, those of the machine are never asked.

use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Where nothing else is written.
pub const USUAL_ZONE: &str = "Asia/Tokyo";

/// A day of the calendar, as days since 1970-01-01. Prints and is written as `2026-04-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(u16);

impl Day {
    pub const FIRST: Self = Self(0);
    pub const LAST: Self = Self(u16::MAX);

    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no day; write 2026-04-01");
        let date: civil::Date = text.parse().map_err(|_| wrong())?;
        // The parser takes times and other forms as well.
        (date.to_string() == text).then(|| Self::of(date)).flatten().ok_or_else(wrong)
    }

    #[must_use]
    pub fn from_number(days: u16) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    #[must_use]
    pub fn plus(self, days: u16) -> Self {
        Self(self.0.saturating_add(days))
    }

    #[must_use]
    pub fn minus(self, days: u16) -> Self {
        Self(self.0.saturating_sub(days))
    }

    fn of(date: civil::Date) -> Option<Self> {
        let days = date.since((jiff::Unit::Day, epoch())).ok()?.get_days();
        u16::try_from(days).ok().map(Self)
    }

    fn date(self) -> civil::Date {
        epoch().checked_add(jiff::Span::new().days(i64::from(self.0))).unwrap_or(civil::Date::MAX)
    }
}

fn epoch() -> civil::Date {
    civil::date(1970, 1, 1)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// A month of the calendar: `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    pub first: Day,
    pub last: Day,
}

impl Month {
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let first = Day::parse(&format!("{text}-01")).map_err(|_| format!("{text:?} is no month; write 2026-11"))?;
        Ok(Self::of(first))
    }

    /// The one that a day is in.
    #[must_use]
    pub fn of(day: Day) -> Self {
        let date = day.date();
        let (first, last) = (date.first_of_month(), date.last_of_month());
        Self { first: Day::of(first).unwrap_or(Day::FIRST), last: Day::of(last).unwrap_or(Day::LAST) }
    }

    /// How many days it has.
    #[must_use]
    pub fn days(self) -> u16 {
        self.last.number() - self.first.number() + 1
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.first.date();
        write!(f, "{:04}-{:02}", date.year(), date.month())
    }
}

/// A time zone by its name in the IANA tables. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time zone; write its IANA name, as Asia/Tokyo or UTC");
        let zone = jiff::tz::db().get(text).map_err(|_| wrong())?;
        // Names are found whatever their case, and printed as the tables have them.
        zone.iana_name().is_some().then_some(Self(zone)).ok_or_else(wrong)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The first instant of a day; of a day that the zone left out, the first one behind it.
    #[must_use]
    pub fn midnight(&self, day: Day) -> Timestamp {
        let zoned = day.date().to_zoned(self.0.clone());
        let millis = zoned.map_or(i64::MAX, |zoned| zoned.timestamp().as_millisecond());
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// The day that it is there at an instant.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let Ok(at) = jiff::Timestamp::from_millisecond(millis) else { return Day::LAST };
        let date = at.to_zoned(self.0.clone()).date();
        Day::of(date).unwrap_or(if date < epoch() { Day::FIRST } else { Day::LAST })
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(jiff::tz::db().get(USUAL_ZONE).unwrap_or(TimeZone::UTC))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}
