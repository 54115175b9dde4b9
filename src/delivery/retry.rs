//! When to try again, and when to give up.
//!
//! **Invariants**: the spread of a message's next attempt depends on its name and its attempts only, so that a fleet of
//! waiting messages never comes due together and a test can foretell it; the wall clock's jumps expire nothing until the
//! clock has stayed where it jumped to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::model::{MessageId, Timestamp};

/// Doubling waits with a spread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub first: Duration,
    pub max: Duration,
}

impl Schedule {
    /// The wait after so many failed attempts, without spread.
    #[must_use]
    pub fn wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }

    /// The same, moved by up to a tenth either way.
    #[must_use]
    pub fn spread_wait(&self, attempts: u32, id: MessageId) -> Duration {
        let wait = self.wait(attempts);
        wait.mul_f64(0.9 + 0.2 * fraction(id, attempts))
    }
}

/// A number in 0..1 from a message's name.
#[must_use]
pub(super) fn fraction(id: MessageId, salt: u32) -> f64 {
    let bits = id.as_u128();
    let mut mixed =
        (bits as u64) ^ ((bits >> 64) as u64).rotate_left(32) ^ u64::from(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // splitmix64's finish.
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// The wall clock as expiry sees it: a jump counts only after it has been confirmed by time.
#[derive(Debug)]
pub(super) struct SteadyClock {
    clock: Clock,
    confirmation: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    wall: Timestamp,
    at: Instant,
    /// A jump under observation: by how much to correct, and since when.
    jump: Option<(i64, Instant)>,
}

/// Smaller steps are what time servers do.
const JUMP: i64 = 3_600_000;

impl SteadyClock {
    #[must_use]
    pub fn new(clock: Clock, confirmation: Duration) -> Self {
        let seen = Seen { wall: clock.now(), at: Instant::now(), jump: None };
        Self { clock, confirmation, seen: Mutex::new(seen) }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (wall, at) = (self.clock.now(), Instant::now());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = seen.wall.plus(at.duration_since(seen.at));
        let off = signed(wall).saturating_sub(signed(expected));
        if off.abs() <= JUMP {
            *seen = Seen { wall, at, jump: None };
            return wall;
        }
        let since = match seen.jump {
            Some((known, since)) if (off - known).abs() <= JUMP => since,
            _ => {
                seen.jump = Some((off, at));
                at
            }
        };
        if at.duration_since(since) >= self.confirmation {
            *seen = Seen { wall, at, jump: None };
            return wall;
        }
        expected
    }
}

fn signed(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn waits_double_up_to_the_limit_and_spread_by_a_tenth() {
        let schedule = Schedule { first: Duration::from_secs(300), max: Duration::from_secs(14_400) };
        let waits: Vec<u64> = (1..9).map(|attempt| schedule.wait(attempt).as_secs()).collect();
        assert_eq!(waits, [300, 600, 1200, 2400, 4800, 9600, 14_400, 14_400]);
        let spread: Vec<f64> =
            (0..1000).map(|n| schedule.spread_wait(1, MessageId::new(1_700_000_000_000, n)).as_secs_f64()).collect();
        assert!(spread.iter().all(|wait| (270.0..=330.0).contains(wait)));
        let early = spread.iter().filter(|wait| **wait < 300.0).count();
        assert!((400..600).contains(&early), "{early} of 1000 below the middle");
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_thirty_days_counts_only_after_it_stayed() {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let steady = SteadyClock::new(clock.clone(), Duration::from_secs(3600));
        let start = steady.now();
        clock.advance(30 * DAY);
        assert_eq!(steady.now(), start);
        tokio::time::advance(Duration::from_secs(1800)).await;
        clock.advance(Duration::from_secs(1800));
        assert_eq!(steady.now(), start.plus(Duration::from_secs(1800)));
        tokio::time::advance(Duration::from_secs(1800)).await;
        clock.advance(Duration::from_secs(1800));
        assert_eq!(steady.now(), start.plus(30 * DAY + Duration::from_secs(3600)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_back_again_was_never_believed() {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let steady = SteadyClock::new(clock.clone(), Duration::ZERO);
        clock.advance(30 * DAY);
        assert_eq!(steady.now(), Timestamp::from_millis(1_700_000_000_000).plus(30 * DAY));
    }
}
