//! End of data: what the header alone forbids. Content is judged in a later stage.

use crate::model::Reply;

use super::replies;

/// Most servers a message may have passed (reliability row RTY-06: peers stop at 30 to 100).
pub const MAX_RECEIVED: usize = 50;
/// Most times it may have passed this very gateway: out through us and in again is ordinary, going round is not.
pub const MAX_OWN_RECEIVED: usize = 5;

/// Refuses a message that goes round in circles (RFC 5321 section 6.3).
#[must_use]
pub fn refuse_loop(received: usize, own_received: usize) -> Option<Reply> {
    (received > MAX_RECEIVED || own_received > MAX_OWN_RECEIVED).then_some(replies::LOOP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive() {
        assert!(refuse_loop(MAX_RECEIVED, MAX_OWN_RECEIVED).is_none());
        assert!(refuse_loop(MAX_RECEIVED + 1, 0).is_some());
        assert!(refuse_loop(0, MAX_OWN_RECEIVED + 1).is_some());
    }
}
