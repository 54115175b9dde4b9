//! What is kept with a held message: who sent it to whom, when, and why it is held.
//!
//! **Invariants**: texts that come from the message are bounded and hold no control characters.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::finding::Class;
use crate::model::{Address, Direction, Envelope, MessageId, Origin, TenantId, Timestamp};

/// Longest text that is kept of a message's header, in characters.
pub const MAX_TEXT: usize = 300;

/// Longest explanation that is kept, in octets; a longer one is left out, for half of it explains nothing.
pub const MAX_EXPLANATION: usize = 64 << 10;

/// A message to be held: everything but its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHeld {
    pub id: MessageId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub origin: Origin,
    /// With the recipients for whom it is held, and no others.
    pub envelope: Envelope,
    pub class: Class,
    /// Why, in a sentence for the administrator.
    pub reason: Box<str>,
    /// `explanation/v1` of this judgement, in JSON: nothing of other tenants' recipients.
    pub explanation: Option<Box<str>>,
    /// Decoded; cut and cleaned here.
    pub subject: Option<Box<str>>,
    /// The author as the header shows it; cut and cleaned here.
    pub from: Option<Box<str>>,
}

/// A held message, without its octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// 1; members are only ever added.
    pub v: u8,
    pub id: MessageId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub origin: Origin,
    /// With the recipients for whom it is still held.
    pub envelope: Envelope,
    pub class: Class,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub reason: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<str>>,
    /// Octets of the message.
    pub size: u64,
    pub held_at: Timestamp,
    pub expires_at: Timestamp,
    /// Recipients to whom it was given, or for whom it was removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Address>,
}

impl Held {
    pub(super) fn new(new: NewHeld, size: u64, now: Timestamp, keep: Duration) -> Self {
        Self {
            v: 1,
            id: new.id,
            tenant: new.tenant,
            direction: new.direction,
            origin: new.origin,
            envelope: new.envelope,
            class: new.class,
            reason: cleaned(&new.reason),
            explanation: new.explanation.filter(|text| text.len() <= MAX_EXPLANATION),
            subject: new.subject.as_deref().map(cleaned),
            from: new.from.as_deref().map(cleaned),
            size,
            held_at: now,
            expires_at: now.plus(keep),
            gone: Vec::new(),
        }
    }

    /// Takes those at these places out of the envelope. A place that isn't there is nobody's.
    pub(super) fn part(&mut self, gone: &[u32]) {
        if gone.is_empty() {
            return;
        }
        let places: std::collections::HashSet<u32> = gone.iter().copied().collect();
        let mut left = Vec::new();
        for (place, recipient) in (0_u32..).zip(std::mem::take(&mut self.envelope.recipients)) {
            if places.contains(&place) { self.gone.push(recipient.address) } else { left.push(recipient) }
        }
        self.envelope.recipients = left;
    }
}

fn cleaned(text: &str) -> Box<str> {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
}

/// Whose mail somebody may see and change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The operator's: everybody's.
    Everyone,
    /// One tenant's. Mail of others does not exist for them.
    Tenant(TenantId),
}

impl Scope {
    pub(super) fn covers(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Everyone => true,
            Self::Tenant(own) => own == tenant,
        }
    }
}

/// Which recipients of a held message are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// All for whom it is still held.
    All,
    Only(Vec<Address>),
}

/// Which messages to list; everything given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub tenant: Option<TenantId>,
    pub direction: Option<Direction>,
    pub class: Option<Class>,
    /// The sender of the envelope.
    pub sender: Option<Address>,
    /// One of the recipients.
    pub recipient: Option<Address>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only older ones than this: the last of the page before.
    pub before: Option<MessageId>,
    /// At most so many.
    pub limit: usize,
}
