//! The usage of a month, for a bill: made of closed days alone, so that it says the same whenever it is asked.
//!
//! **Invariants**: pure. Days and months are those of each tenant's zone. A month that has days to come, or that lacks some, says so.

use serde::Serialize;

use super::port::DayRow;
use crate::model::TenantId;
use crate::tenant::{Day, Month};

/// One tenant's month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub tenant: TenantId,
    #[serde(serialize_with = "as_text")]
    pub month: Month,
    /// At the end of the last closed day.
    pub accounts: u32,
    /// The highest number of any day, and the first day that had it.
    pub peak: u32,
    pub peak_day: Day,
    /// At the end of the last closed day.
    pub registered: u32,
    pub observed: u32,
    pub contracted: Option<u32>,
    /// The first and the last closed day.
    pub first_day: Day,
    pub last_day: Day,
    /// Closed days. Fewer than the month has: it isn't over, or the tenant was not there on all.
    pub days: u16,
    /// Whether the month's last day is closed: nothing of it changes any more.
    pub closed: bool,
}

fn as_text<S: serde::Serializer>(month: &Month, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(month)
}

/// The columns of CSV.
pub const COLUMNS: [&str; 12] = [
    "tenant",
    "month",
    "accounts",
    "peak",
    "peak_day",
    "registered",
    "observed",
    "contracted",
    "first_day",
    "last_day",
    "days",
    "closed",
];

impl Usage {
    /// In the order of [`COLUMNS`].
    #[must_use]
    pub fn fields(&self) -> [String; 12] {
        [
            self.tenant.to_string(),
            self.month.to_string(),
            self.accounts.to_string(),
            self.peak.to_string(),
            self.peak_day.to_string(),
            self.registered.to_string(),
            self.observed.to_string(),
            self.contracted.map(|number| number.to_string()).unwrap_or_default(),
            self.first_day.to_string(),
            self.last_day.to_string(),
            self.days.to_string(),
            self.closed.to_string(),
        ]
    }
}

/// From closed days, which stand by tenant and day; those of other months are left out.
#[must_use]
pub fn of_month(month: Month, days: &[DayRow]) -> Vec<Usage> {
    let mut all: Vec<Usage> = Vec::new();
    for row in days.iter().filter(|row| (month.first..=month.last).contains(&row.day)) {
        match all.last_mut().filter(|usage| usage.tenant == row.tenant) {
            Some(usage) => {
                if row.accounts > usage.peak {
                    (usage.peak, usage.peak_day) = (row.accounts, row.day);
                }
                (usage.accounts, usage.registered, usage.observed) = (row.accounts, row.registered, row.observed);
                (usage.contracted, usage.last_day) = (row.contracted, row.day);
                usage.days += 1;
                usage.closed = row.day == month.last;
            }
            None => all.push(Usage {
                tenant: row.tenant.clone(),
                month,
                accounts: row.accounts,
                peak: row.accounts,
                peak_day: row.day,
                registered: row.registered,
                observed: row.observed,
                contracted: row.contracted,
                first_day: row.day,
                last_day: row.day,
                days: 1,
                closed: row.day == month.last,
            }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tenant: &str, day: &str, accounts: u32) -> DayRow {
        let (tenant, day) = (TenantId::parse(tenant).unwrap(), Day::parse(day).unwrap());
        DayRow { tenant, day, accounts, registered: 1, observed: accounts, contracted: Some(10) }
    }

    #[test]
    fn a_month_is_its_last_day_and_its_highest() {
        let rows = [
            row("a", "2026-10-31", 99),
            row("a", "2026-11-01", 5),
            row("a", "2026-11-02", 8),
            row("a", "2026-11-03", 8),
            row("a", "2026-11-30", 6),
            row("a", "2026-12-01", 99),
            row("b", "2026-11-29", 1),
        ];
        let usage = of_month(Month::parse("2026-11").unwrap(), &rows);
        assert_eq!(usage.len(), 2);
        assert_eq!((usage[0].accounts, usage[0].peak, usage[0].peak_day.to_string()), (6, 8, "2026-11-02".into()));
        assert_eq!((usage[0].days, usage[0].closed), (4, true));
        assert_eq!((usage[1].days, usage[1].closed), (1, false));
        let fields = usage[0].fields().join(",");
        assert_eq!(fields, "a,2026-11,6,8,2026-11-02,1,6,10,2026-11-01,2026-11-30,4,true");
        let json = serde_json::to_value(&usage[0]).unwrap();
        let keys: Vec<&str> = COLUMNS.into_iter().filter(|column| json.get(column).is_some()).collect();
        assert_eq!(keys, COLUMNS, "CSV and JSON have the same");
    }
}
