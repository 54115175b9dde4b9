//! The table of one tenant, held against a plain count.

use std::collections::BTreeMap;

use super::*;
use crate::accounts::account_of;
use crate::model::Address;
use proptest::prelude::*;

const DAY: u64 = 86_400_000;
/// 2026-01-01 in UTC.
const START: u64 = 1_767_225_600_000;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn state(hashing: &Hashing, loaded: &Loaded, zone: &str) -> State {
    let id = TenantId::parse("acme").unwrap();
    State::new(id, Zone::parse(zone).unwrap(), loaded, hashing, Timestamp(START))
}

fn on(days: u64) -> Timestamp {
    Timestamp(START + days * DAY + 1_000)
}

fn sees(state: &mut State, hashing: &Hashing, text: &str, at: Timestamp) -> Vec<DayRow> {
    let mut closed = Vec::new();
    state.turn(at, &mut closed);
    state.observe(hashing.keys(&address(text)).unwrap());
    closed
}

#[test]
fn an_account_counts_for_thirty_days() {
    let hashing = Hashing::default();
    let mut state = state(&hashing, &Loaded::default(), "UTC");
    sees(&mut state, &hashing, "a@x.example", on(0));
    sees(&mut state, &hashing, "A+1@x.example", on(0));
    assert_eq!(state.number(), 1);
    let closed = sees(&mut state, &hashing, "b@x.example", on(29));
    assert_eq!((closed.len(), state.number()), (29, 2));
    assert!(closed.iter().all(|row| (row.accounts, row.observed, row.registered) == (1, 1, 0)));
    let closed = sees(&mut state, &hashing, "b@x.example", on(30));
    assert_eq!((closed[0].accounts, state.number()), (2, 1));
    // No new one though, for more than a year.
    assert!(state.knows(hashing.keys(&address("a@x.example")).unwrap()));
    sees(&mut state, &hashing, "c@x.example", on(u64::from(REMEMBERED_DAYS) + 1));
    assert!(!state.knows(hashing.keys(&address("a@x.example")).unwrap()));
    assert!(state.knows(hashing.keys(&address("b@x.example")).unwrap()));
}

#[test]
fn days_end_at_the_zones_midnight() {
    let hashing = Hashing::default();
    let mut tokyo = state(&hashing, &Loaded::default(), "Asia/Tokyo");
    // 15:00 UTC is midnight in Tokyo: START there is 09:00 of the first of January.
    let before = Timestamp(START + 15 * 3_600_000 - 1);
    assert!(sees(&mut tokyo, &hashing, "a@x.example", before).is_empty());
    let closed = sees(&mut tokyo, &hashing, "b@x.example", Timestamp(before.0 + 1));
    assert_eq!((closed.len(), closed[0].day.to_string(), closed[0].accounts), (1, "2026-01-01".into(), 1));
}

#[test]
fn a_day_is_closed_once_whatever_the_clock_does() {
    let hashing = Hashing::default();
    let mut state = state(&hashing, &Loaded::default(), "UTC");
    assert_eq!(sees(&mut state, &hashing, "a@x.example", on(3)).len(), 3);
    assert!(sees(&mut state, &hashing, "b@x.example", on(1)).is_empty());
    assert_eq!(state.number(), 2, "seen in what is to come counts as well");
    let closed = sees(&mut state, &hashing, "c@x.example", on(4));
    let days: Vec<String> = closed.iter().map(|row| row.day.to_string()).collect();
    assert_eq!(days, ["2026-01-02", "2026-01-03", "2026-01-04"], "the store keeps the first rows of them");
}

#[test]
fn a_clock_years_ahead_closes_a_bounded_number_of_days() {
    let hashing = Hashing::default();
    let mut state = state(&hashing, &Loaded::default(), "UTC");
    assert_eq!(sees(&mut state, &hashing, "a@x.example", on(4_000)).len(), usize::from(MOST_CLOSED));
}

#[test]
fn registering_folds_what_was_seen_and_forgets_nothing_seen_since() {
    let hashing = Hashing::default();
    let mut state = state(&hashing, &Loaded::default(), "UTC");
    for text in ["info@x.example", "taro@x.example", "jiro@x.example"] {
        sees(&mut state, &hashing, text, on(0));
    }
    assert_eq!(state.number(), 3);
    let loaded = Loaded {
        accounts: vec![("taro@x.example".into(), true, None), ("never@x.example".into(), true, None)],
        aliases: vec![("info@x.example".into(), "taro@x.example".into())],
        ..Loaded::default()
    };
    state.reload(&loaded, &hashing);
    assert_eq!(state.number(), 3, "taro with info, never, and jiro");
    let keys = hashing.keys(&address("Info+x@x.example")).unwrap();
    assert_eq!(state.observe(keys), Sight::Again);
    let mut closed = Vec::new();
    state.turn(on(1), &mut closed);
    assert_eq!((closed[0].accounts, closed[0].registered, closed[0].observed), (3, 2, 2));
    let sight = Sight::First { day: Day::from_number(20_455), account: Some("taro@x.example".into()) };
    assert_eq!(state.observe(keys), sight, "written down as its account");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Against a plain count: sights of few addresses over many days, in any form, with some of them registered.
    #[test]
    fn numbers_are_those_of_a_plain_count(
        sights in proptest::collection::vec((0u64..90, 0u8..12, 0u8..4), 1..200),
        registered in proptest::collection::vec(0u8..12, 0..6),
    ) {
        let mut sights = sights;
        sights.sort();
        let hashing = Hashing::default();
        let name = |number: u8| format!("user{number}@x.example");
        // User 11 is an alias of user 10.
        let accounts = registered.iter().filter(|number| **number != 11).map(|number| name(*number));
        let accounts: std::collections::BTreeSet<String> = accounts.chain([name(10)]).collect();
        let loaded = Loaded {
            accounts: accounts.iter().map(|text| (text.as_str().into(), true, None)).collect(),
            aliases: vec![(name(11).into(), name(10).into())],
            ..Loaded::default()
        };
        let mut state = state(&hashing, &loaded, "UTC");
        let mut model: BTreeMap<String, u64> = BTreeMap::new();
        let mut closed = Vec::new();
        for (day, number, form) in &sights {
            let text = match form {
                0 => name(*number),
                1 => name(*number).to_uppercase(),
                2 => name(*number).replace('@', "+tag@"),
                _ => name(*number).replace("user", "User").replace('@', "+a+b@"),
            };
            closed.extend(sees(&mut state, &hashing, &text, on(*day)));
            let mut account = account_of(&address(&text)).unwrap();
            if account == name(11) {
                account = name(10);
            }
            let number_at = |model: &BTreeMap<String, u64>, day: u64| {
                let others = model.iter().filter(|(text, last)| !accounts.contains(*text) && **last + 30 > day);
                u32::try_from(accounts.len() + others.count()).unwrap()
            };
            for row in closed.drain(..) {
                let day = u64::from(row.day.number()) - START / DAY;
                prop_assert_eq!(row.accounts, number_at(&model, day));
            }
            model.insert(account, *day);
            prop_assert_eq!(state.number(), number_at(&model, *day));
        }
    }
}
