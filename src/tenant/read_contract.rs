//! Reads `[tenant.contract]`.
//!
//! **Failure**: every value that can't be used is a problem with file and line; the rest is read on.

use toml::de::DeValue;

use super::calendar::{Day, Zone};
use super::contract::{ContractSpec, DEFERRED_DAYS, FROZEN_DAYS, GRACE_DAYS, Over};
use crate::model::TenantId;
use crate::model::written::{Problems, Section, Source};

const KEYS: &[&str] =
    &["accounts", "start", "end", "trial", "group", "over", "time_zone", "grace_days", "frozen_days", "deferred_days"];
const MOST_ACCOUNTS: i64 = 10_000_000;
const MOST_DAYS: i64 = 3_650;

/// The `contract` table of a tenant, if there is one.
pub(super) fn contract<'a, 'i>(
    source: &'a Source<'i>,
    outer: &Section<'a, 'i>,
    own: Option<&TenantId>,
    problems: &mut Problems,
) -> Option<ContractSpec> {
    let section = Section::open(source, outer.table("contract", problems)?, "[tenant.contract]", KEYS, problems);
    let accounts = section.integer("accounts", 0..=MOST_ACCOUNTS, problems);
    if section.item("start").is_none() {
        section.missing("start", problems);
    }
    let (start, end) = (day(&section, "start", problems), day(&section, "end", problems));
    let trial = section.boolean("trial", problems).unwrap_or_default();
    let group = section.text("group", problems, TenantId::parse);
    let over = [("warn", Over::Warn), ("refuse-new", Over::RefuseNew)];
    let over = section.word("over", &over, problems).unwrap_or_default();
    let time_zone = section.text("time_zone", problems, Zone::parse).unwrap_or_default();
    let mut days = |key, usual: u16| {
        let written = section.integer(key, 0..=MOST_DAYS, problems);
        written.and_then(|days| u16::try_from(days).ok()).unwrap_or(usual)
    };
    let (grace_days, frozen_days) = (days("grace_days", GRACE_DAYS), days("frozen_days", FROZEN_DAYS));
    let deferred_days = days("deferred_days", DEFERRED_DAYS.min(frozen_days));
    let accounts = accounts.and_then(|accounts| u32::try_from(accounts).ok());
    let spec = ContractSpec {
        accounts,
        start: start?,
        end,
        trial,
        group,
        over,
        time_zone,
        grace_days,
        frozen_days,
        deferred_days,
    };
    if let Err((key, what)) = own.map_or(Ok(()), |own| spec.check(own)) {
        let at = section.item(key).map_or(section.span(), |(_, at)| at);
        section.wrong(&at, key, what, problems);
    }
    Some(spec)
}

/// Written as a date or as a text.
fn day(section: &Section<'_, '_>, key: &'static str, problems: &mut Problems) -> Option<Day> {
    let (value, at) = section.item(key)?;
    let read = match value {
        DeValue::Datetime(date) => Day::parse(&date.to_string()),
        DeValue::String(text) => Day::parse(text),
        _ => Err("a day belongs here, as 2026-04-01".to_owned()),
    };
    read.map_err(|what| section.wrong(&at, key, what, problems)).ok()
}
