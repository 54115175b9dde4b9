//! How much in which time: a rate, several of them for one thing, and the names of what outbound mail is limited by.
//!
//! **Invariants**: pure; neither count nor time of a [`Rate`] is zero; what is printed reads back. More windows than
//! [`MOST_WINDOWS`] for one thing are refused when they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{ByteSize, Span};

/// The shortest and the longest time of a rate.
const TIMES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
/// The most of a rate: a pebibyte.
const MOST: u64 = 1 << 50;
/// Short, middle, long and one more.
pub const MOST_WINDOWS: usize = 4;

/// So many in such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u64,
    per: Duration,
}

impl Rate {
    /// `None` for a count or a time of zero.
    #[must_use]
    pub fn new(count: u64, per: Duration) -> Option<Self> {
        (count > 0 && !per.is_zero()).then_some(Self { count, per })
    }

    #[must_use]
    pub fn count(self) -> u64 {
        self.count
    }

    #[must_use]
    pub fn per(self) -> Duration {
        self.per
    }

    /// Reads `500/10m`, `1GiB/1h`.
    ///
    /// # Errors
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate; write so many in such a time, as 2000/1m, or off");
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let count = ByteSize::parse(count.trim()).map_err(|_| wrong())?.0;
        let per = match per.trim() {
            "s" => "1s",
            "m" => "1m",
            "h" => "1h",
            "d" => "1d",
            per => per,
        };
        let per = Span::parse(per).map_err(|_| wrong())?.0;
        if count == 0 || count > MOST {
            return Err(format!("{text:?}: {count} is not within 1 to {MOST}; write off for no limit"));
        }
        if !(TIMES.0..=TIMES.1).contains(&per) {
            return Err(format!("{text:?}: the time is not within {} to {}", Span(TIMES.0), Span(TIMES.1)));
        }
        Ok(Self { count, per })
    }
}

/// As it is written: `2000/1m`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            count if count >= 1 << 20 => write!(f, "{}/{}", ByteSize(count), Span(self.per)),
            count => write!(f, "{count}/{}", Span(self.per)),
        }
    }
}

/// All that hold for one thing at once, shortest time first; none: no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Windows(Vec<Rate>);

impl Windows {
    /// Reads `500/10m 5000/1d`, or `off`.
    ///
    /// # Errors
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "off" {
            return Ok(Self::default());
        }
        let mut rates = text.split_whitespace().map(Rate::parse).collect::<Result<Vec<_>, _>>()?;
        if rates.is_empty() {
            return Err(format!("{text:?} is no rate; write so many in such a time, as 2000/1m, or off"));
        }
        if rates.len() > MOST_WINDOWS {
            return Err(format!("{text:?}: {} rates are more than {MOST_WINDOWS}", rates.len()));
        }
        rates.sort_by_key(|rate| rate.per);
        if rates.windows(2).any(|pair| matches!(pair, [one, next] if one.per == next.per)) {
            return Err(format!("{text:?}: two rates for one time"));
        }
        Ok(Self(rates))
    }

    #[must_use]
    pub fn rates(&self) -> &[Rate] {
        &self.0
    }

    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Rate> for Windows {
    fn from(rate: Rate) -> Self {
        Self(vec![rate])
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("off");
        }
        for (at, rate) in self.0.iter().enumerate() {
            write!(f, "{}{rate}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Windows {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Windows> for String {
    fn from(windows: Windows) -> Self {
        windows.to_string()
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// A message to three counts three.
    Recipients,
    Messages,
    /// Octets of messages, however many recipients each has.
    Bytes,
}

/// Of whom it is counted, among outbound mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// One address of a tenant's (IPv6: one /64).
    Client,
    /// One envelope sender, its plus-address folded.
    Sender,
    /// One of a tenant's domains.
    Domain,
    Tenant,
}

/// One limit of outbound mail, as it is written: `sender`, `sender_messages`, `sender_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limited {
    pub dimension: Dimension,
    pub measure: Measure,
}

impl Limited {
    /// In the order of [`Self::NAMES`].
    pub const ALL: [Self; 12] = {
        const fn of(dimension: Dimension, measure: Measure) -> Limited {
            Limited { dimension, measure }
        }
        use Dimension::{Client, Domain, Sender, Tenant};
        use Measure::{Bytes, Messages, Recipients};
        [
            of(Client, Recipients),
            of(Client, Messages),
            of(Client, Bytes),
            of(Sender, Recipients),
            of(Sender, Messages),
            of(Sender, Bytes),
            of(Domain, Recipients),
            of(Domain, Messages),
            of(Domain, Bytes),
            of(Tenant, Recipients),
            of(Tenant, Messages),
            of(Tenant, Bytes),
        ]
    };

    pub const NAMES: [&'static str; 12] = [
        "client",
        "client_messages",
        "client_bytes",
        "sender",
        "sender_messages",
        "sender_bytes",
        "domain",
        "domain_messages",
        "domain_bytes",
        "tenant",
        "tenant_messages",
        "tenant_bytes",
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        let place = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        Self::NAMES.get(place).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|name| *name == text)?;
        Self::ALL.get(place).copied()
    }
}

impl TryFrom<String> for Limited {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no limit of outbound mail"))
    }
}

impl From<Limited> for String {
    fn from(limited: Limited) -> Self {
        limited.as_str().into()
    }
}

/// Limits of outbound mail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutboundRates(BTreeMap<Limited, Windows>);

impl OutboundRates {
    /// What stood there before is replaced.
    pub fn set(&mut self, limited: Limited, windows: Windows) {
        if windows.is_off() {
            self.0.remove(&limited);
        } else {
            self.0.insert(limited, windows);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Limited, Rate)> {
        self.0.iter().flat_map(|(limited, windows)| windows.rates().iter().map(|rate| (*limited, *rate)))
    }
}

/// The same, by whom they are for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RatesByDimension([Box<[(Measure, Rate)]>; 4]);

impl RatesByDimension {
    #[must_use]
    pub fn new(rates: &OutboundRates) -> Self {
        let of = |dimension| rates.iter().filter(move |(limited, _)| limited.dimension == dimension);
        let compile = |dimension| of(dimension).map(|(limited, rate)| (limited.measure, rate)).collect();
        Self([Dimension::Client, Dimension::Sender, Dimension::Domain, Dimension::Tenant].map(compile))
    }

    #[must_use]
    pub fn of(&self, dimension: Dimension) -> &[(Measure, Rate)] {
        let [client, sender, domain, tenant] = &self.0;
        match dimension {
            Dimension::Client => client,
            Dimension::Sender => sender,
            Dimension::Domain => domain,
            Dimension::Tenant => tenant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back() {
        for text in ["off", "500/10m", "500/10m 5000/1d", "2MiB/1m 1GiB/1h"] {
            assert_eq!(Windows::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Windows::parse("5000/1d 500/10m").unwrap().to_string(), "500/10m 5000/1d");
        for text in ["", "500", "0/1m", "5/0s", "5/8d", "5/1m 6/1m", "1/1s 1/2s 1/3s 1/4s 1/5s", "2PiB/1h"] {
            assert!(Windows::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_limits_belong_together() {
        for (limited, name) in Limited::ALL.into_iter().zip(Limited::NAMES) {
            assert_eq!((limited.as_str(), Limited::parse(name)), (name, Some(limited)));
        }
        let mut rates = OutboundRates::default();
        let limited = Limited { dimension: Dimension::Sender, measure: Measure::Bytes };
        rates.set(limited, Windows::parse("5MiB/1h").unwrap());
        let json = serde_json::to_string(&rates).unwrap();
        assert_eq!(json, r#"{"sender_bytes":"5MiB/1h"}"#);
        assert_eq!(serde_json::from_str::<OutboundRates>(&json).unwrap(), rates);
    }
}
