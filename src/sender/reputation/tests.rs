//! The scenes of the issue, each with a clock turned by hand.

use std::time::Duration;

use super::*;
use crate::clock::Clock;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Scene {
    reputation: Reputation,
    clock: Clock,
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_795_176_451_250));
        Self { reputation: Reputation::in_memory(Config::default(), Metrics::new()), clock }
    }

    fn saw(&self, ip: &str, seen: Observation) {
        self.reputation.saw(ip.parse().unwrap(), None, seen, self.clock.now());
    }

    fn saw_from(&self, ip: &str, domain: &Domain, seen: Observation) {
        self.reputation.saw(ip.parse().unwrap(), Some(domain), seen, self.clock.now());
    }

    fn judged(&self, ip: &str, level: u8) -> Judged {
        self.reputation.standing(ip.parse().unwrap(), None, Level::new(level).unwrap(), self.clock.now())
    }

    fn at(&self, ip: &str, level: u8) -> Standing {
        self.judged(ip, level).standing
    }

    fn levels(&self, ip: &str) -> [Standing; 5] {
        [0, 1, 2, 3, 4].map(|level| self.at(ip, level))
    }
}

use Observation::{Ham, Malformed, Spam, UnknownRecipient};
use Standing::{Delayed, Good, Refused, Unknown};

const MIXED: &str = "192.0.2.7";

#[test]
fn a_mixed_sender_is_delayed_at_the_default_level_and_refused_at_the_strictest() {
    let scene = Scene::new();
    let mut delayed_after = None;
    for message in 1..=12 {
        scene.saw(MIXED, if message % 2 == 0 { Spam } else { Ham });
        if scene.at(MIXED, 2) == Delayed && delayed_after.is_none() {
            delayed_after = Some(message);
        }
        scene.clock.advance(MINUTE);
    }
    assert_eq!(delayed_after, Some(6), "at its third spam");
    assert_eq!(scene.levels(MIXED), [Good, Good, Delayed, Delayed, Refused]);
    let judged = scene.judged(MIXED, 0);
    assert_eq!((judged.standing, judged.usual, judged.why), (Good, Delayed, Why::Nothing), "level 0 computes");
}

#[test]
fn a_mixed_sender_recovers_by_time_and_a_relapse_lasts_longer() {
    let scene = Scene::new();
    (0..3).for_each(|_| [Ham, Spam].into_iter().for_each(|seen| scene.saw(MIXED, seen)));
    let judged = scene.judged(MIXED, 2);
    let stay = judged.until.unwrap().since(scene.clock.now());
    assert!((2 * HOUR..3 * HOUR).contains(&stay), "{stay:?}");
    scene.clock.advance(stay - MINUTE);
    assert_eq!(scene.at(MIXED, 2), Delayed);
    // Its retries and the mail of other levels prolong nothing.
    scene.saw(MIXED, Ham);
    scene.clock.advance(2 * MINUTE);
    assert_eq!(scene.levels(MIXED), [Good, Good, Good, Delayed, Delayed]);
    scene.saw(MIXED, Spam);
    let relapse = scene.judged(MIXED, 2).until.unwrap().since(scene.clock.now());
    assert!(relapse > stay, "{relapse:?} after {stay:?}");
    scene.clock.advance(7 * 24 * HOUR);
    assert_eq!(scene.levels(MIXED), [Unknown; 5], "after a week nothing is left");
}

#[test]
fn the_strictest_level_lists_after_a_single_spam_and_others_do_not() {
    let scene = Scene::new();
    (0..1000).for_each(|_| scene.saw(MIXED, Ham));
    scene.saw(MIXED, Spam);
    assert_eq!(scene.levels(MIXED), [Good, Good, Good, Good, Delayed]);
    scene.clock.advance(23 * HOUR);
    assert_eq!(scene.at(MIXED, 4), Delayed);
    scene.clock.advance(26 * HOUR);
    assert_eq!(scene.at(MIXED, 4), Good);
}

#[test]
fn a_spam_after_a_day_of_quiet_does_not_turn_550_into_450() {
    let scene = Scene::new();
    (0..5).for_each(|_| scene.saw(MIXED, Spam));
    let mut quiet = 0;
    while scene.at(MIXED, 4) == Refused {
        scene.clock.advance(HOUR);
        quiet += 1;
    }
    assert!((20..30).contains(&quiet), "450 again after {quiet} hours");
    assert_eq!(scene.at(MIXED, 4), Delayed);
    for quiet in 0..48 {
        let scene = Scene::new();
        (0..5).for_each(|_| scene.saw(MIXED, Spam));
        scene.clock.advance(quiet * HOUR);
        let before = scene.at(MIXED, 4);
        scene.saw(MIXED, Spam);
        assert!(before != Refused || scene.at(MIXED, 4) == Refused, "after {quiet} hours");
    }
}

#[test]
fn a_clean_sender_is_never_delayed_and_is_known_after_its_first_message() {
    let scene = Scene::new();
    assert_eq!(scene.levels("192.0.2.9"), [Unknown; 5]);
    for _ in 0..500 {
        scene.saw("192.0.2.9", Ham);
        assert_eq!(scene.levels("192.0.2.9"), [Good; 5]);
        scene.clock.advance(HOUR);
    }
    (0..50).for_each(|_| scene.saw("192.0.2.9", UnknownRecipient));
    assert_eq!(scene.levels("192.0.2.9"), [Good; 5], "some mistyped recipients among much good mail");
}

#[test]
fn a_large_mixed_provider_keeps_its_address_at_the_default_level() {
    let scene = Scene::new();
    for message in 0..5000 {
        scene.saw(MIXED, if message % 50 == 0 { Spam } else { Ham });
    }
    assert_eq!(scene.levels(MIXED), [Good, Good, Good, Good, Delayed], "2 % spam: not even 550 at level 4");
}

#[test]
fn one_spammer_does_not_sink_its_neighbours_and_a_snowshoe_network_is_caught() {
    let scene = Scene::new();
    scene.saw("192.0.2.9", Ham);
    (0..10_000).for_each(|_| scene.saw("192.0.2.66", Spam));
    assert_eq!(scene.levels("192.0.2.10"), [Unknown; 5], "a neighbour nobody knows");
    assert_eq!(scene.levels("192.0.2.9"), [Good; 5]);
    // Snowshoe: many addresses of a /24, each below every allowance but the strictest.
    for host in 0..30 {
        (0..2).for_each(|_| scene.saw(&format!("198.51.100.{host}"), Spam));
    }
    let fresh = scene.judged("198.51.100.200", 2);
    assert_eq!((fresh.standing, fresh.why), (Delayed, Why::Network));
    assert_eq!(scene.levels("198.51.100.200"), [Unknown, Delayed, Delayed, Delayed, Delayed]);
    assert_eq!(scene.levels("198.51.101.200"), [Unknown; 5], "the next network");
    // The same in IPv6: a /48 of /64s.
    for host in 0..30 {
        (0..2).for_each(|_| scene.saw(&format!("2001:db8:1:{host:x}::25"), Spam));
    }
    assert_eq!((scene.at("2001:db8:1:ff::1", 2), scene.at("2001:db8:2::1", 2)), (Delayed, Unknown));
}

#[test]
fn a_good_record_of_its_own_or_of_its_domain_stands_against_a_bad_network() {
    let scene = Scene::new();
    let (ours, theirs) = (Domain::parse("good.example").unwrap(), Domain::parse("fresh.example").unwrap());
    (0..5).for_each(|_| scene.saw("198.51.100.250", Ham));
    (0..5).for_each(|_| scene.saw_from("203.0.113.5", &ours, Ham));
    (0..40).for_each(|host| (0..3).for_each(|_| scene.saw(&format!("198.51.100.{host}"), Spam)));
    assert_eq!(scene.at("198.51.100.250", 2), Good);
    let with = |domain| {
        let ip = "198.51.100.251".parse().unwrap();
        scene.reputation.standing(ip, Some(domain), Level::default(), scene.clock.now()).standing
    };
    assert_eq!((with(&ours), with(&theirs)), (Good, Delayed));
}

#[test]
fn a_domain_that_sends_spam_from_everywhere_is_known_by_its_name() {
    let scene = Scene::new();
    let domain = Domain::parse("spam.example").unwrap();
    for host in 0..12 {
        scene.saw_from(&format!("10.{host}.0.1"), &domain, Spam);
    }
    let ip = "192.0.2.200".parse().unwrap();
    let judged = scene.reputation.standing(ip, Some(&domain), Level::default(), scene.clock.now());
    assert_eq!((judged.standing, judged.why), (Delayed, Why::Domain));
    assert_eq!(scene.at("192.0.2.200", 2), Unknown, "without the domain nothing is known");
}

#[test]
fn recipients_tried_at_random_and_malformed_talk_count_at_last() {
    let scene = Scene::new();
    (0..34).for_each(|_| scene.saw("192.0.2.20", UnknownRecipient));
    assert_eq!(scene.at("192.0.2.20", 2), Unknown);
    (0..3).for_each(|_| scene.saw("192.0.2.20", UnknownRecipient));
    assert_eq!(scene.at("192.0.2.20", 2), Delayed);
    (0..16).for_each(|_| scene.saw("192.0.2.21", Malformed));
    assert_eq!(scene.at("192.0.2.21", 2), Delayed);
}

#[test]
fn a_mistyped_recipient_does_not_prolong_a_stay() {
    let scene = Scene::new();
    (0..4).for_each(|_| scene.saw(MIXED, Spam));
    let until = scene.judged(MIXED, 2).until;
    scene.clock.advance(HOUR);
    scene.saw(MIXED, UnknownRecipient);
    let after = scene.judged(MIXED, 2).until.unwrap();
    assert!(after.since(until.unwrap()) < MINUTE, "{after} is {until:?}");
}

#[test]
fn an_operators_word_counts_until_its_time_is_over_but_never_at_level_0() {
    let scene = Scene::new();
    let subject = Subject::Address(MIXED.parse().unwrap());
    let pin = |standing, hours: Option<u32>| Pin {
        standing,
        until: hours.map(|hours| scene.clock.now().plus(hours * HOUR)),
        reason: "ticket 812".into(),
        since: scene.clock.now(),
    };
    (0..9).for_each(|_| scene.saw(MIXED, Spam));
    scene.reputation.set(&subject, pin(Good, Some(1))).unwrap();
    assert_eq!(scene.levels(MIXED), [Unknown, Good, Good, Good, Good]);
    scene.clock.advance(HOUR);
    assert_eq!(scene.levels(MIXED), [Unknown, Unknown, Delayed, Delayed, Refused], "level 1 has let it go by now");
    scene.reputation.set(&subject, pin(Refused, None)).unwrap();
    assert_eq!(scene.levels(MIXED), [Unknown, Refused, Refused, Refused, Refused]);
    assert_eq!(scene.reputation.show(&subject, scene.clock.now()).pin.unwrap().reason.as_ref(), "ticket 812");
}

#[test]
fn forgetting_takes_the_network_share_back() {
    let scene = Scene::new();
    for host in 0..6 {
        (0..2).for_each(|_| scene.saw(&format!("198.51.100.{host}"), Spam));
    }
    assert_eq!(scene.at("198.51.100.99", 2), Delayed);
    let subject = Subject::Address("198.51.100.3".parse().unwrap());
    assert!(scene.reputation.forget(&subject, scene.clock.now()));
    assert!(!scene.reputation.forget(&subject, scene.clock.now()));
    assert_eq!(scene.reputation.show(&subject, scene.clock.now()).own, None);
    assert_eq!((scene.at("198.51.100.3", 4), scene.at("198.51.100.99", 2)), (Delayed, Unknown), "ten points remain");
}

#[test]
fn what_is_saved_is_loaded_and_damage_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::new();
    (0..9).for_each(|_| scene.saw(MIXED, Spam));
    let pin = Pin { standing: Refused, until: None, reason: "abuse".into(), since: scene.clock.now() };
    scene.reputation.set(&Subject::Domain(Domain::parse("x.example").unwrap()), pin).unwrap();
    scene.reputation.save(dir.path()).unwrap();
    let again = Scene::new();
    again.reputation.load(dir.path()).unwrap();
    assert_eq!(again.levels(MIXED), scene.levels(MIXED));
    let subject = Subject::Domain(Domain::parse("x.example").unwrap());
    assert_eq!(again.reputation.show(&subject, scene.clock.now()), scene.reputation.show(&subject, scene.clock.now()));
    let file = dir.path().join(COUNTS);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let empty = Scene::new();
    assert!(matches!(empty.reputation.load(dir.path()), Err(StateError::Damaged { .. })));
    assert_eq!(empty.levels(MIXED), [Unknown; 5]);
    assert!(empty.reputation.show(&subject, scene.clock.now()).pin.is_some(), "the other file is good");
}
