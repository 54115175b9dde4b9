//! RCPT TO: is this ours to take? Authorised on the same parsed address that routing uses.

use crate::model::{Address, Decision, Direction};

use super::replies;

/// Whether the address is a mailbox of its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Valid,
    Invalid,
    /// The next hop was asked and gave no answer to go by.
    Unavailable,
}

/// Whose the recipient's domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    Tenants(Validity),
    /// No tenant's: the internet's, or nobody's.
    Foreign,
}

/// What is known at RCPT TO.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub direction: Direction,
    pub recipient: &'a Address,
    pub domain: Domain,
}

/// Tricks first: no list or direction makes an address that asks for routing acceptable.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Decision {
    if let Some(refusal) = trick(facts.recipient) {
        return refusal;
    }
    match (facts.direction, facts.domain) {
        (_, Domain::Tenants(Validity::Valid)) | (Direction::Outbound, Domain::Foreign) => Decision::Accept,
        (Direction::Inbound, Domain::Foreign) => Decision::Reject(replies::RELAY_DENIED),
        (_, Domain::Tenants(Validity::Invalid)) => Decision::Reject(replies::NO_SUCH_RECIPIENT),
        (_, Domain::Tenants(Validity::Unavailable)) => Decision::Defer(replies::RECIPIENT_UNVERIFIED),
    }
}

/// Refuses addresses that no one may use here, before anything is looked up.
#[must_use]
pub fn trick(recipient: &Address) -> Option<Decision> {
    if recipient.asks_for_routing() {
        return Some(Decision::Reject(replies::ROUTING_DENIED));
    }
    recipient.domain().as_ip().map(|_| Decision::Reject(replies::RECIPIENT_LITERAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        use Direction::{Inbound, Outbound};
        use Domain::{Foreign, Tenants};
        use Validity::{Invalid, Unavailable, Valid};
        let rows = [
            (Inbound, "a@acme.example", Tenants(Valid), None),
            (Inbound, "a@acme.example", Tenants(Invalid), Some(550)),
            (Inbound, "a@acme.example", Tenants(Unavailable), Some(451)),
            (Inbound, "a@other.example", Foreign, Some(550)),
            (Inbound, "a%other.example@acme.example", Tenants(Valid), Some(550)),
            (Inbound, "other.example!a@acme.example", Tenants(Valid), Some(550)),
            (Inbound, "\"a@other.example\"@acme.example", Tenants(Valid), Some(550)),
            (Inbound, "a@[127.0.0.1]", Foreign, Some(550)),
            (Outbound, "a@other.example", Foreign, None),
            (Outbound, "a@acme.example", Tenants(Valid), None),
            (Outbound, "a@acme.example", Tenants(Invalid), Some(550)),
            (Outbound, "a@acme.example", Tenants(Unavailable), Some(451)),
            (Outbound, "a@[192.0.2.1]", Foreign, Some(550)),
            (Outbound, "a%b@other.example", Foreign, Some(550)),
            (Outbound, "|sh@other.example", Foreign, Some(550)),
        ];
        for (direction, recipient, domain, expected) in rows {
            let recipient = Address::parse(recipient).unwrap();
            let said = match decide(&Facts { direction, recipient: &recipient, domain }) {
                Decision::Accept => None,
                Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => Some(reply.code()),
            };
            assert_eq!(said, expected, "{direction:?} {recipient} {domain:?}");
        }
    }
}
