//! What a contract says to mail: by its phase, and to an account that is new.

use crate::model::{Decision, Reply};
use crate::tenant::Phase;

use super::replies;

/// What is known of a contract when mail of or for it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub phase: Phase,
    /// A new account beyond a number that is not to be passed.
    pub is_over: bool,
    /// What is said of that: other words to a recipient's world than to a sender of the tenant.
    pub over: Reply,
}

impl Facts {
    /// For a recipient of the tenant, or for a sender of it.
    #[must_use]
    pub fn of_recipient(phase: Phase, is_over: bool) -> Self {
        Self { phase, is_over, over: replies::RECIPIENT_OVER_CONTRACT }
    }

    #[must_use]
    pub fn of_sender(phase: Phase, is_over: bool) -> Self {
        Self { phase, is_over, over: replies::SENDER_OVER_CONTRACT }
    }
}

/// The phase first; new accounts are put off, never refused for good: the number may be raised tomorrow.
#[must_use]
pub fn decide(facts: &Facts) -> Decision {
    match facts.phase {
        Phase::Upcoming | Phase::Active | Phase::Grace if facts.is_over => Decision::Defer(facts.over.clone()),
        Phase::Upcoming | Phase::Active | Phase::Grace => Decision::Accept,
        Phase::FrozenDeferred => Decision::Defer(replies::CONTRACT_FROZEN),
        Phase::FrozenRefused | Phase::Ended => Decision::Reject(replies::CONTRACT_ENDED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let said = |phase, is_over| match decide(&Facts::of_recipient(phase, is_over)) {
            Decision::Accept => None,
            Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => Some(reply.code()),
        };
        let rows = [
            (Phase::Upcoming, None, Some(450)),
            (Phase::Active, None, Some(450)),
            (Phase::Grace, None, Some(450)),
            (Phase::FrozenDeferred, Some(451), Some(451)),
            (Phase::FrozenRefused, Some(550), Some(550)),
            (Phase::Ended, Some(550), Some(550)),
        ];
        for (phase, within, over) in rows {
            assert_eq!((said(phase, false), said(phase, true)), (within, over), "{phase:?}");
        }
    }
}
