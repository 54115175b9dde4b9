//! A time-out that is set anew at every wait of a connection, and nearly never goes off.
//!
//! The runtime's timer is taken once and left as it is while it would wake us too early rather than too late; waking, it is
//! set to what is wanted then. A wait costs no timer so, where a time-out of its own would enter and leave the timer wheel.
//!
//! **Failure**: none. **Invariants**: never goes off before its time.

use std::pin::Pin;

use tokio::time::{Instant, Sleep};

/// One for each connection; owns nothing until it is first waited for.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ends at `deadline`. Cancel-safe.
    pub async fn at(&mut self, deadline: Instant) {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if sleep.is_elapsed() || sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            let set = sleep.deadline();
            sleep.as_mut().await;
            if set >= deadline {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Deadlines that come later, earlier and in the past, each at its time.
    #[tokio::test(start_paused = true)]
    async fn goes_off_at_the_deadline_of_each_wait() {
        let mut alarm = Alarm::default();
        let began = Instant::now();
        for seconds in [5, 7, 7, 30] {
            alarm.at(began + Duration::from_secs(seconds)).await;
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_given_up_does_not_hold_up_or_hurry_the_next() {
        let mut alarm = Alarm::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        for (first, second) in [(10, 60), (300, 70)] {
            let given_up = tokio::time::timeout(Duration::from_millis(1), alarm.at(at(first))).await;
            assert!(given_up.is_err());
            alarm.at(at(second)).await;
            assert_eq!(began.elapsed().as_secs(), second);
        }
    }
}
