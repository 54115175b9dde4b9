//! The wall clock for what expires: a jump of it counts only after time has confirmed it, so that a clock that was set wrong for
//! a while ends no mail, no contract and no account.
//!
//! **Invariants**: steps of up to an hour, as time servers make them, are followed at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Clock;
use crate::model::Timestamp;

/// The wall clock as expiry sees it: a jump counts only after it has been confirmed by time.
#[derive(Debug)]
pub struct SteadyClock {
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
    /// `confirmation`: how long a jump must stay to be believed.
    #[must_use]
    pub fn new(clock: Clock, confirmation: Duration) -> Self {
        let seen = Seen { wall: clock.now(), at: Instant::now(), jump: None };
        Self { clock, confirmation, seen: Mutex::new(seen) }
    }

    /// For a process that knows until when the last one ran: a clock that stands further than `tolerated` from there, to either
    /// side, has to be confirmed as a jump is. `None`: nothing is known, and the clock is believed.
    #[must_use]
    pub fn resumed(clock: Clock, confirmation: Duration, last: Option<Timestamp>, tolerated: Duration) -> Self {
        let wall = clock.now();
        let tolerated = i64::try_from(tolerated.as_millis()).unwrap_or(i64::MAX);
        let start = last.filter(|last| signed(wall).saturating_sub(signed(*last)).abs() > tolerated).unwrap_or(wall);
        let seen = Seen { wall: start, at: Instant::now(), jump: None };
        Self { clock, confirmation, seen: Mutex::new(seen) }
    }

    /// The wall clock, or where it would stand without the jump under observation.
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

    #[tokio::test(start_paused = true)]
    async fn a_start_far_from_the_last_run_has_to_be_confirmed() {
        let last = Timestamp::from_millis(1_700_000_000_000);
        let hour = Duration::from_secs(3600);
        let wrong = Clock::manual(last.plus(400 * DAY));
        let steady = SteadyClock::resumed(wrong.clone(), hour, Some(last), 7 * DAY);
        assert_eq!(steady.now(), last);
        tokio::time::advance(hour).await;
        wrong.advance(hour);
        assert_eq!(steady.now(), last.plus(400 * DAY + hour));
        for near in [Some(last.plus(395 * DAY)), None] {
            assert_eq!(SteadyClock::resumed(wrong.clone(), hour, near, 7 * DAY).now(), wrong.now());
        }
    }
}
