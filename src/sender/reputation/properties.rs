//! What must hold whatever sources do and whenever they do it.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::judge::rank;
use super::*;

const START: Timestamp = Timestamp(1_795_176_451_250);

fn seen() -> impl Strategy<Value = Observation> {
    use Observation::{Ham, Malformed, Spam, UnknownRecipient};
    prop_oneof![4 => Just(Ham), 3 => Just(Spam), 2 => Just(UnknownRecipient), 1 => Just(Malformed)]
}

/// Host in the network, what it did, and how long nothing happened after.
fn story(hosts: u8) -> impl Strategy<Value = Vec<(u8, Observation, u32)>> {
    prop::collection::vec((0..hosts, seen(), prop_oneof![3 => 0u32..60, 1 => 0u32..90_000]), 0..160)
}

fn fresh() -> Reputation {
    Reputation::in_memory(Config { most_sources: 1000 }, Metrics::new())
}

fn ip(host: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, host).into()
}

fn levels() -> impl Iterator<Item = Level> {
    (0..=4).filter_map(Level::new)
}

proptest! {
    #[test]
    fn a_higher_level_is_never_milder_and_level_0_never_acts(story in story(9)) {
        let (reputation, mut now) = (fresh(), START);
        for (host, seen, pause) in story {
            reputation.saw(ip(host), None, seen, now);
            now = now.plus(Duration::from_secs(pause.into()));
            let all: Vec<Judged> = levels().map(|level| reputation.standing(ip(host), None, level, now)).collect();
            prop_assert_eq!(rank(all[0].standing), 0);
            for pair in all.windows(2) {
                prop_assert!(rank(pair[0].standing) <= rank(pair[1].standing), "{:?}", pair);
                prop_assert!(pair[0].until <= pair[1].until, "{:?}", pair);
            }
        }
    }

    #[test]
    fn a_sender_of_good_mail_among_one_bad_neighbour_is_never_delayed(story in story(1), mail in 0_usize..40) {
        let (reputation, mut now) = (fresh(), START);
        (0..mail).for_each(|_| reputation.saw(ip(200), None, Observation::Ham, now));
        for (_, seen, pause) in story {
            reputation.saw(ip(1), None, seen, now);
            now = now.plus(Duration::from_secs(pause.into()));
            for level in levels() {
                prop_assert_eq!(rank(reputation.standing(ip(200), None, level, now).standing), 0);
            }
        }
    }

    #[test]
    fn a_known_good_sender_is_never_delayed_by_any_number_of_neighbours(hosts in 1..250_u8, spam in 1..9) {
        let (reputation, now) = (fresh(), START);
        (0..3).for_each(|_| reputation.saw(ip(251), None, Observation::Ham, now));
        (0..hosts).for_each(|host| (0..spam).for_each(|_| reputation.saw(ip(host), None, Observation::Spam, now)));
        for level in levels() {
            prop_assert_eq!(reputation.standing(ip(251), None, level, now).standing, Standing::Good);
        }
    }

    #[test]
    fn everything_passes_with_time_and_what_is_told_is_kept(story in story(3)) {
        let (reputation, mut now) = (fresh(), START);
        for (host, seen, pause) in story {
            reputation.saw(ip(host), None, seen, now);
            now = now.plus(Duration::from_secs(pause.into()));
        }
        for level in levels() {
            let judged = reputation.standing(ip(0), None, level, now);
            prop_assert_eq!(rank(judged.standing) > 0, judged.until.is_some());
            if let Some(until) = judged.until {
                prop_assert!(until > now && until.since(now) <= Duration::from_secs(6 * 24 * 3600));
                let before = Timestamp(until.0 - 2000);
                prop_assert!(before < now || rank(reputation.standing(ip(0), None, level, before).standing) > 0);
            }
        }
        let later = now.plus(Duration::from_secs(7 * 24 * 3600));
        for level in levels() {
            prop_assert_eq!(rank(reputation.standing(ip(0), None, level, later).standing), 0);
        }
    }

    #[test]
    fn more_spam_is_never_better(story in story(1), level in 0..=4_u8) {
        let level = Level::new(level).unwrap();
        let (less, more) = (fresh(), Reputation::in_memory(Config::default(), Metrics::new()));
        let mut now = START;
        for (host, seen, pause) in story {
            less.saw(ip(host), None, seen, now);
            more.saw(ip(host), None, seen, now);
            now = now.plus(Duration::from_secs(pause.into()));
        }
        more.saw(ip(0), None, Observation::Spam, now);
        let (less, more) = (less.standing(ip(0), None, level, now), more.standing(ip(0), None, level, now));
        prop_assert!(rank(less.standing) <= rank(more.standing), "{:?} {:?}", less, more);
    }

    #[test]
    fn the_clock_may_jump(times in prop::collection::vec(any::<u32>(), 1..40)) {
        let reputation = fresh();
        for time in times {
            let now = Timestamp::from_millis(u64::from(time) * 1000);
            reputation.saw(ip(0), None, Observation::Spam, now);
            for level in levels() {
                let judged = reputation.standing(ip(0), None, level, now);
                prop_assert!(judged.counts.spam.is_finite() && judged.counts.spam >= 0.0);
            }
        }
    }
}
