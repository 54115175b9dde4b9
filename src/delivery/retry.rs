//! When to try again, and when to give up.
//!
//! **Invariants**: the spread of a message's next attempt depends on its name and its attempts only, so that a fleet of
//! waiting messages never comes due together and a test can foretell it.
//! **Elsewhere**: by which clock mail expires: [`crate::clock::SteadyClock`].

use std::time::Duration;

use crate::model::MessageId;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
