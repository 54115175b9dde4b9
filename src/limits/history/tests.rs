//! History under a clock that is turned by hand.

use super::*;
use crate::model::Address;

const START: Timestamp = Timestamp(1_795_176_451_250);
const HOUR: Duration = Duration::from_secs(3600);

fn key(name: &str) -> u64 {
    let sender = Scope::sender(&Address::parse(&format!("{name}@acme.example")).unwrap());
    History::key(&TenantId::parse("acme").unwrap(), &sender)
}

fn add(history: &History, name: &str, kind: Kind, count: f32, wall: Timestamp) {
    history.change(key(name), history.now(wall), |record| record.add(kind, count));
}

fn count(history: &History, name: &str, kind: Kind, wall: Timestamp) -> f32 {
    history.look(key(name), history.now(wall)).map_or(0.0, |record| record.count(kind))
}

#[test]
fn counts_fade_over_a_day_and_a_steady_rate_comes_to_what_a_day_brings() {
    let (history, mut now) = (History::new(100), START);
    add(&history, "once", Kind::Spam, 100.0, now);
    for _ in 0..24 * 10 {
        add(&history, "steady", Kind::Messages, 20.0, now);
        now = now.plus(HOUR);
    }
    let steady = count(&history, "steady", Kind::Messages, now);
    assert!((460.0..490.0).contains(&steady), "{steady} of 480 a day");
    assert!(count(&history, "once", Kind::Spam, now) < 0.1);
    assert_eq!(count(&history, "never", Kind::Spam, now), 0.0);
}

#[test]
fn a_jump_of_the_clock_neither_erases_nor_invents() {
    let history = History::new(100);
    add(&history, "a", Kind::Spam, 100.0, START);
    let month = START.plus(30 * 24 * HOUR);
    let after = count(&history, "a", Kind::Spam, month);
    assert!(after > 95.0, "a month forward took {} of 100", 100.0 - after);
    add(&history, "new", Kind::Recipients, 60.0, month);
    let back = count(&history, "a", Kind::Spam, START);
    assert_eq!(back, after, "and back");
    let record = history.look(key("new"), history.now(START)).unwrap();
    assert_eq!(record.age(history.now(START)), 0);
    let later = count(&history, "a", Kind::Spam, START.plus(HOUR));
    assert!(later < back && later > 90.0, "time goes on from there: {later}");
}

#[test]
fn what_was_saved_is_found_again_as_it_would_be_by_then() {
    let (dir, history) = (tempfile::tempdir().unwrap(), History::new(10_000));
    assert!(history.load(dir.path(), START).is_ok(), "no file yet");
    for n in 0..500 {
        add(&history, &format!("u{n}"), Kind::Spam, 10.0, START);
    }
    history.change(key("u1"), history.now(START), |record| {
        record.harm();
        record.blame(7);
        record.set_sample(crate::model::MessageId::new(5, 6));
    });
    history.save(dir.path()).unwrap();
    let after = |gap: Duration| {
        let again = History::new(10_000);
        again.load(dir.path(), START.plus(gap)).unwrap();
        assert_eq!(again.len(), 500);
        again.look(key("u1"), again.now(START.plus(gap))).unwrap()
    };
    let (soon, long) = (after(Duration::ZERO), after(100 * 24 * HOUR));
    assert_eq!(Some(soon), history.look(key("u1"), history.now(START)));
    assert!(long.count(Kind::Spam) > 3.0, "a clock that is wrong at start erases no more than a day does");
    let (again, before) = (History::new(10_000), Timestamp(1_000_000_000_000));
    again.load(dir.path(), before).unwrap();
    assert_eq!(again.look(key("u1"), again.now(before)), Some(soon), "and one that is slow, nothing");
    std::fs::write(dir.path().join(FILE), b"nonsense").unwrap();
    assert!(matches!(History::new(10).load(dir.path(), START), Err(StateError::Damaged { .. })));
}

#[test]
fn a_flood_of_new_senders_does_not_push_out_one_that_does_harm() {
    let history = History::new(640);
    add(&history, "bad", Kind::Spam, 50.0, START);
    add(&history, "bad", Kind::Messages, 50.0, START);
    for n in 0..20_000 {
        add(&history, &format!("u{n}"), Kind::Messages, 1.0, START);
    }
    assert!(history.len() <= 640 && history.take_evicted() > 19_000);
    assert_eq!(count(&history, "bad", Kind::Spam, START), 50.0);
}

#[test]
fn a_tenant_is_forgotten_with_all_its_senders_and_no_other() {
    // So many that no two have to share a place.
    let history = History::new(10_000);
    let (acme, beta) = (TenantId::parse("acme").unwrap(), TenantId::parse("beta").unwrap());
    let now = history.now(START);
    for name in ["a", "b", "c"] {
        add(&history, name, Kind::Messages, 1.0, START);
    }
    for tenant in [&acme, &beta] {
        history.change(History::key(tenant, &Scope::Tenant), now, |record| record.add(Kind::Messages, 1.0));
    }
    assert_eq!((history.forget(&acme), history.len(), history.forget(&acme)), (4, 1, 0));
    assert!(history.look(History::key(&beta, &Scope::Tenant), now).is_some());
}
