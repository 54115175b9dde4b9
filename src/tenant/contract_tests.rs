//! The instants of contracts, held against the calendar and a slow count of days.

use super::*;
use crate::tenant::calendar::Month;

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn spec(zone: &str, start: &str, end: Option<&str>) -> ContractSpec {
    let mut spec: ContractSpec = serde_json::from_value(serde_json::json!({ "start": start })).unwrap();
    spec.time_zone = Zone::parse(zone).unwrap();
    spec.end = end.map(day);
    spec
}

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(u64::try_from(instant.as_millisecond()).unwrap())
}

/// The instants at which the phases begin, written by hand from the calendar, and what was a millisecond before.
#[test]
fn phases_begin_at_midnight_of_the_contracts_zone() {
    let rows = [
        // Japan has no summer time: 15:00 UTC of the day before.
        (
            "Asia/Tokyo",
            "2026-04-01",
            "2027-03-31",
            [
                "2026-03-31T15:00:00Z",
                "2027-03-31T15:00:00Z", // 04-01
                "2027-04-30T15:00:00Z", // 05-01: April has 30 days
                "2027-05-15T15:00:00Z", // 05-16
                "2027-05-30T15:00:00Z", // 05-31
            ],
        ),
        (
            "UTC",
            "2026-04-01",
            "2027-03-31",
            [
                "2026-04-01T00:00:00Z",
                "2027-04-01T00:00:00Z",
                "2027-05-01T00:00:00Z",
                "2027-05-16T00:00:00Z",
                "2027-05-31T00:00:00Z",
            ],
        ),
        // Ends on a leap day, and grace begins on the first of March.
        (
            "Asia/Tokyo",
            "2027-03-01",
            "2028-02-29",
            [
                "2027-02-28T15:00:00Z",
                "2028-02-29T15:00:00Z",
                "2028-03-30T15:00:00Z",
                "2028-04-14T15:00:00Z",
                "2028-04-29T15:00:00Z",
            ],
        ),
        // Ends on the last of a February without one.
        (
            "UTC",
            "2026-03-01",
            "2027-02-28",
            [
                "2026-03-01T00:00:00Z",
                "2027-03-01T00:00:00Z",
                "2027-03-31T00:00:00Z",
                "2027-04-15T00:00:00Z",
                "2027-04-30T00:00:00Z",
            ],
        ),
        // At the end of a month that is followed by a shorter one, over a leap day.
        (
            "Asia/Tokyo",
            "2027-02-01",
            "2028-01-31",
            [
                "2027-01-31T15:00:00Z",
                "2028-01-31T15:00:00Z",
                "2028-03-01T15:00:00Z", // 02-01 and 30 days: 03-02
                "2028-03-16T15:00:00Z",
                "2028-03-31T15:00:00Z",
            ],
        ),
        // Summer time begins on 2026-03-29 and ends on 2026-10-25 in Berlin: days of 23 and 25 hours are days.
        (
            "Europe/Berlin",
            "2026-03-30",
            "2026-10-24",
            [
                "2026-03-29T22:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-11-23T23:00:00Z",
                "2026-12-08T23:00:00Z",
                "2026-12-23T23:00:00Z",
            ],
        ),
        // In Sao Paulo of 2018 the day began at one o'clock.
        (
            "America/Sao_Paulo",
            "2018-01-01",
            "2018-11-03",
            [
                "2018-01-01T02:00:00Z",
                "2018-11-04T03:00:00Z",
                "2018-12-04T02:00:00Z",
                "2018-12-19T02:00:00Z",
                "2019-01-03T02:00:00Z",
            ],
        ),
    ];
    for (zone, start, end, instants) in rows {
        let contract = Contract::compile(&spec(zone, start, Some(end)));
        for ((instant, before), after) in instants.into_iter().zip(Phase::ALL).zip(Phase::ALL.into_iter().skip(1)) {
            let instant = at(instant);
            let just_before = Timestamp::from_millis(instant.as_millis() - 1);
            assert_eq!(contract.phase(just_before), before, "{zone} {end}: just before {instant}");
            assert_eq!(contract.phase(instant), after, "{zone} {end}: at {instant}");
            assert_eq!(contract.next(just_before), Some((instant, after)), "{zone} {end}");
        }
        assert_eq!(contract.next(at(instants[4])), None);
    }
}

/// Against a slow count of days by another library, for every end within eight years.
#[test]
fn phases_agree_with_a_count_of_days() {
    let zone = time::UtcOffset::from_hms(9, 0, 0).unwrap();
    let mut end = time::Date::from_calendar_date(2024, time::Month::January, 1).unwrap();
    for _ in 0..8 * 366 {
        let contract = Contract::compile(&spec("Asia/Tokyo", "2023-01-01", Some(&end.to_string())));
        for (days, phase) in
            [(1, Phase::Grace), (31, Phase::FrozenDeferred), (46, Phase::FrozenRefused), (61, Phase::Ended)]
        {
            let first = (end + time::Duration::days(days)).midnight().assume_offset(zone).unix_timestamp() * 1000;
            let first = Timestamp::from_millis(u64::try_from(first).unwrap());
            assert_eq!(contract.phase(first), phase, "{end}");
            assert!(contract.phase(Timestamp::from_millis(first.as_millis() - 1)) < phase, "{end}");
        }
        end = end.next_day().unwrap();
    }
}

#[test]
fn a_trial_has_thirty_days_and_others_may_have_no_end() {
    let mut trial = spec("UTC", "2026-11-01", None);
    assert_eq!(Contract::compile(&trial).phase(at("2099-01-01T00:00:00Z")), Phase::Active);
    assert_eq!(Contract::compile(&trial).next(at("2099-01-01T00:00:00Z")), None);
    trial.trial = true;
    assert_eq!(trial.last_day(), Some(day("2026-11-30")));
    assert_eq!(Contract::compile(&trial).phase(at("2026-11-30T23:59:59.999Z")), Phase::Active);
    assert_eq!(Contract::compile(&trial).phase(at("2026-12-01T00:00:00Z")), Phase::Grace);
    trial.end = Some(day("2026-12-15"));
    assert_eq!(Contract::compile(&trial).phase(at("2026-12-15T23:59:59.999Z")), Phase::Active);
}

#[test]
fn a_contract_may_have_terms_of_its_own() {
    let mut own = spec("UTC", "2026-01-01", Some("2026-01-31"));
    (own.grace_days, own.frozen_days, own.deferred_days) = (0, 10, 10);
    let contract = Contract::compile(&own);
    assert_eq!(contract.phase(at("2026-02-01T00:00:00Z")), Phase::FrozenDeferred);
    assert_eq!(contract.phase(at("2026-02-10T23:59:59Z")), Phase::FrozenDeferred);
    assert_eq!(contract.phase(at("2026-02-11T00:00:00Z")), Phase::Ended, "no day is left to refuse on");
}

#[test]
fn what_contradicts_itself_is_told() {
    let own = TenantId::parse("acme").unwrap();
    let good = spec("UTC", "2026-04-01", Some("2026-04-01"));
    assert_eq!(good.check(&own), Ok(()));
    let wrong = |change: fn(&mut ContractSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        spec.check(&own).unwrap_err().0
    };
    assert_eq!(wrong(|spec| spec.end = Some(day("2026-03-31"))), "end");
    assert_eq!(wrong(|spec| spec.deferred_days = 31), "deferred_days");
    assert_eq!(wrong(|spec| spec.group = TenantId::parse("acme").ok()), "group");
    assert_eq!(wrong(|spec| (spec.group, spec.accounts) = (TenantId::parse("b").ok(), Some(1))), "accounts");
}

#[test]
fn days_months_and_zones_are_read_strictly() {
    for wrong in ["2026-02-29", "2026-4-1", "20260401", "2026-04-01T00:00", "1969-12-31", "2200-01-01", "", "soon"] {
        assert!(Day::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(day("2028-02-29").plus(1), day("2028-03-01"));
    assert_eq!(day("1970-01-01").minus(1), Day::FIRST);
    assert_eq!(Month::parse("2028-02").unwrap().days(), 29);
    assert_eq!(Month::of(day("2026-11-21")).to_string(), "2026-11");
    assert!(Month::parse("2026-13").is_err() && Month::parse("2026-1").is_err());
    assert!(Zone::parse("Asia/Edo").is_err() && Zone::parse("").is_err());
    assert_eq!(Zone::parse("asia/tokyo").unwrap().name(), "Asia/Tokyo");
    assert_eq!(Zone::default().name(), "Asia/Tokyo");
    assert_eq!(Zone::parse("UTC").unwrap().name(), "UTC");
}

/// A zone's day is that between its midnights, whatever the zone did.
#[test]
fn days_and_midnights_agree() {
    for zone in ["Asia/Tokyo", "UTC", "America/Havana", "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo"] {
        let zone = Zone::parse(zone).unwrap();
        for number in 10_000..22_000 {
            let (today, tomorrow) = (Day::from_number(number), Day::from_number(number + 1));
            let (from, until) = (zone.midnight(today), zone.midnight(tomorrow));
            if from == until {
                // Left out.
                continue;
            }
            assert_eq!(zone.day(from), today, "{zone:?}");
            assert_eq!(zone.day(Timestamp::from_millis(until.as_millis() - 1)), today, "{zone:?}");
        }
    }
}
