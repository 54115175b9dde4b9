//! A message to take into custody, and the right to leave: the two ends of the way that outbound mail takes through the spool.
//!
//! **Failure**: a body that is not the one that was checked is [`SpoolError::Unchecked`]; nothing of it is kept.
//! **Invariants**: outbound mail comes in with a [`Checked`] about these very octets, or not at all, and its record says so
//! ([`Mark`]); an [`Exit`] is made here alone, for a message whose record has the mark or that is a notice of our own. Delivery
//! can't connect to a mail exchanger without one.
//!
//! Neither end can be forged:
//!
//! ```compile_fail
//! fn forged(id: sekisho::model::MessageId, about: sekisho::spool::About, body: sekisho::spool::Body) {
//!     sekisho::spool::NewMessage::outbound(id, about, body); // nothing was checked
//! }
//! ```
//! ```compile_fail
//! fn forged(message: sekisho::spool::NewMessage, meta: sekisho::spool::Meta) -> sekisho::spool::NewMessage {
//!     sekisho::spool::NewMessage { meta, ..message }
//! }
//! ```
//! ```compile_fail
//! let exit = sekisho::spool::Exit(sekisho::model::egress::Pool::Normal);
//! ```
//! With a check there is a way in:
//! ```
//! use sekisho::spool::{About, Body, NewMessage};
//! fn honest(
//!     checked: sekisho::scan::Checked,
//!     id: sekisho::model::MessageId,
//!     about: About,
//!     body: Body,
//! ) -> NewMessage {
//!     NewMessage::outbound(checked, id, about, body)
//! }
//! ```

use bytes::Bytes;

use super::body::Body;
use super::error::SpoolError;
use super::meta::{Kind, Meta};
use crate::model::egress::Pool;
use crate::model::{Direction, Envelope, MessageId, Origin, ReversePath, TenantId};
use crate::scan::Checked;

/// Whose a message is, where it came from and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub tenant: TenantId,
    pub origin: Origin,
    pub envelope: Envelope,
}

/// A message to take into custody.
#[derive(Debug)]
pub struct NewMessage {
    pub(super) id: MessageId,
    pub(super) meta: Meta,
    pub(super) body: Body,
    pub(super) checked: Option<Checked>,
    /// In custody, and delivered to nobody before [`Spool::let_go`](super::Spool::let_go), or the next start.
    pub(super) kept_back: bool,
}

impl NewMessage {
    fn new(id: MessageId, (direction, kind): (Direction, Kind), about: About, body: Body) -> Self {
        let About { tenant, origin, envelope } = about;
        let meta = Meta { tenant, direction, origin, envelope, size: body.len(), kind, mark: None };
        Self { id, meta, body, checked: None, kept_back: false }
    }

    /// Mail for tenants: it goes to their next hops and nowhere else.
    #[must_use]
    pub fn inbound(id: MessageId, about: About, body: Body) -> Self {
        Self::new(id, (Direction::Inbound, Kind::Mail), about, body)
    }

    /// What we write to a tenant's people; it has no sender, and goes to tenants' next hops and nowhere else. Notices about a
    /// message are made by its lease ([`Lease::notice`](super::Lease::notice)).
    #[must_use]
    pub fn notice(id: MessageId, about: About, body: Body) -> Self {
        let envelope = Envelope { sender: ReversePath::Null, ..about.envelope };
        Self::new(id, (Direction::Inbound, Kind::Notice), About { envelope, ..about }, body)
    }

    /// A notice about a message of the other direction.
    pub(super) fn answer(id: MessageId, to: Direction, about: About, body: Body) -> Self {
        let envelope = Envelope { sender: ReversePath::Null, ..about.envelope };
        let direction = match to {
            Direction::Inbound => Direction::Outbound,
            Direction::Outbound => Direction::Inbound,
        };
        Self::new(id, (direction, Kind::Notice), About { envelope, ..about }, body)
    }

    /// Mail of a tenant that was checked. The `head` of the body is whole fields of ours; the rest is what `checked` is about, or
    /// the commit fails.
    #[must_use]
    pub fn outbound(checked: Checked, id: MessageId, about: About, body: Body) -> Self {
        let mark = Mark { pool: checked.pool(), set: checked.set() };
        let new = Self::new(id, (Direction::Outbound, Kind::Mail), about, body);
        Self { meta: Meta { mark: Some(mark), ..new.meta }, checked: Some(checked), ..new }
    }

    /// It is taken into custody and delivered to nobody until [`Spool::let_go`](super::Spool::let_go) or the next start: what must be
    /// done between is done when the first recipient gets it.
    #[must_use]
    pub fn kept_back(self) -> Self {
        Self { kept_back: true, ..self }
    }

    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// That a message was checked, as its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub(super) pool: Pool,
    pub(super) set: u64,
}

impl Mark {
    /// The addresses it leaves by.
    #[must_use]
    pub fn pool(self) -> Pool {
        self.pool
    }

    /// The signature set that judged.
    #[must_use]
    pub fn set(self) -> u64 {
        self.set
    }
}

/// The right to leave for the internet, over the addresses of one pool. Only leases have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exit(Pool);

impl Exit {
    #[must_use]
    pub fn pool(self) -> Pool {
        self.0
    }
}

/// Where a message may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// To tenants' next hops and nowhere else.
    Inside,
    /// To mail exchangers too.
    Out(Exit),
}

impl Way {
    /// Over which addresses; what stays inside takes those that everything takes.
    #[must_use]
    pub fn pool(self) -> Pool {
        match self {
            Self::Inside => Pool::Normal,
            Self::Out(exit) => exit.0,
        }
    }
}

impl Meta {
    /// `None`: outbound mail that nobody is known to have checked; it may go nowhere.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        match (self.direction, self.kind, self.mark) {
            (Direction::Inbound, ..) => Some(Way::Inside),
            (Direction::Outbound, Kind::Notice, _) => Some(Way::Out(Exit(Pool::Normal))),
            (Direction::Outbound, Kind::Mail, Some(mark)) => Some(Way::Out(Exit(mark.pool))),
            (Direction::Outbound, Kind::Mail, None) => None,
        }
    }

    /// Of outbound mail.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }
}

/// Why mail without the mark is on hold.
pub(super) const UNCHECKED: &str = "outbound mail without a mark of its check: it is never delivered, whoever releases it; \
     remove it (sekisho queue rm ID --reason TEXT) and have it sent again";

/// Holds what is taken against what was checked.
pub(super) fn compare(
    id: MessageId,
    checked: &Checked,
    head: &Bytes,
    (length, crc): (u64, u32),
) -> Result<(), SpoolError> {
    let why = if !is_whole_fields(head) {
        "what stands before it is not whole fields"
    } else if length != checked.length() || crc != checked.crc() {
        "it is not the message that was checked"
    } else {
        return Ok(());
    };
    tracing::error!(message = %id, "outbound mail is not taken: {why}");
    Err(SpoolError::Unchecked(id, why.into()))
}

/// Whether these octets can't end the header, so that what follows stays what it is.
fn is_whole_fields(head: &[u8]) -> bool {
    let has_end = head.starts_with(b"\r\n") || head.windows(4).any(|four| four == b"\r\n\r\n");
    (head.is_empty() || head.ends_with(b"\r\n")) && !has_end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_fields_stand_before_a_message() {
        for (head, whole) in [
            ("", true),
            ("Received: x\r\n", true),
            ("A: x\r\n y\r\nB: z\r\n", true),
            ("A: x", false),
            ("\r\nbody\r\n", false),
            ("A: x\r\n\r\nbody\r\n", false),
        ] {
            assert_eq!(is_whole_fields(head.as_bytes()), whole, "{head:?}");
        }
    }
}
