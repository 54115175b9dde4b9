//! MAIL FROM: who may send as whom, and whether there is room.

use crate::model::{Decision, Direction, ReversePath};

use super::replies;

/// Whether mail can be stored just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Enough,
    /// Disk space or inodes are short.
    StorageLow,
    /// Storage failed; nothing more is taken until an operator has looked.
    StorageBroken,
    MemoryLow,
}

/// Who the client of an outbound listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Neither credential, certificate nor network is any tenant's.
    Unknown { may_authenticate: bool },
    /// A tenant's whose mail is put off for now.
    Suspended,
    /// A tenant's.
    Tenants(Sends),
}

/// What the envelope sender is to the client's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// Of one of its domains.
    Own,
    Foreign,
    /// Foreign, and rewritten onto a domain of its own (SRS).
    Rewritten,
    /// Foreign, and too long for it.
    TooLong,
}

/// What is known at MAIL FROM.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub direction: Direction,
    pub sender: &'a ReversePath,
    pub client: Client,
    pub room: Room,
}

/// Room first, because everything else may pass by then; then the client; then the sender.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Decision {
    match facts.room {
        Room::Enough => {}
        Room::StorageLow => return Decision::Defer(replies::STORAGE_LOW),
        Room::StorageBroken => return Decision::Defer(replies::STORAGE_TROUBLE),
        Room::MemoryLow => return Decision::Defer(replies::MEMORY_LOW),
    }
    if facts.direction == Direction::Inbound {
        return Decision::Accept;
    }
    match facts.client {
        Client::Unknown { may_authenticate: true } => Decision::Reject(replies::AUTH_REQUIRED),
        Client::Unknown { may_authenticate: false } => Decision::Reject(replies::CLIENT_UNKNOWN),
        Client::Suspended => Decision::Defer(replies::TENANT_SUSPENDED),
        Client::Tenants(sends) => match facts.sender {
            // Notices of the tenant's own server: nobody to claim, nothing to spoof in the envelope.
            ReversePath::Null => Decision::Accept,
            ReversePath::Mailbox(address) if address.domain().as_ip().is_some() => {
                Decision::Reject(replies::SENDER_LITERAL)
            }
            ReversePath::Mailbox(_) => match sends {
                Sends::Own | Sends::Rewritten => Decision::Accept,
                Sends::Foreign => Decision::Reject(replies::SENDER_NOT_YOURS),
                Sends::TooLong => Decision::Reject(replies::SENDER_TOO_LONG),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(direction: Direction, sender: &str, client: Client, room: Room) -> Option<u16> {
        let sender = ReversePath::try_from(sender.to_owned()).unwrap();
        match decide(&Facts { direction, sender: &sender, client, room }) {
            Decision::Accept => None,
            Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => Some(reply.code()),
        }
    }

    #[test]
    fn the_table() {
        use Client::{Tenants, Unknown};
        use Direction::{Inbound, Outbound};
        use Room::{Enough, MemoryLow, StorageBroken, StorageLow};
        let ours = Tenants(Sends::Own);
        let theirs = Tenants(Sends::Foreign);
        let nobody = Unknown { may_authenticate: false };
        let rows = [
            (Inbound, "a@b.example", nobody, Enough, None),
            (Inbound, "", nobody, Enough, None),
            (Inbound, "a@b.example", nobody, StorageLow, Some(452)),
            (Inbound, "a@b.example", nobody, StorageBroken, Some(451)),
            (Inbound, "a@b.example", nobody, MemoryLow, Some(452)),
            (Outbound, "a@b.example", ours, Enough, None),
            (Outbound, "", ours, Enough, None),
            (Outbound, "", theirs, Enough, None),
            (Outbound, "a@b.example", theirs, Enough, Some(550)),
            (Outbound, "a@b.example", Tenants(Sends::Rewritten), Enough, None),
            (Outbound, "a@b.example", Tenants(Sends::TooLong), Enough, Some(550)),
            (Outbound, "a@[192.0.2.1]", Tenants(Sends::Rewritten), Enough, Some(550)),
            (Outbound, "a@[192.0.2.1]", ours, Enough, Some(550)),
            (Outbound, "a@b.example", nobody, Enough, Some(550)),
            (Outbound, "", nobody, Enough, Some(550)),
            (Outbound, "a@b.example", Client::Suspended, Enough, Some(451)),
            (Outbound, "a@b.example", Unknown { may_authenticate: true }, Enough, Some(530)),
            (Outbound, "a@b.example", ours, StorageLow, Some(452)),
            (Outbound, "a@b.example", nobody, StorageBroken, Some(451)),
        ];
        for (direction, sender, client, room, expected) in rows {
            assert_eq!(said(direction, sender, client, room), expected, "{direction:?} {sender:?} {client:?} {room:?}");
        }
    }
}
