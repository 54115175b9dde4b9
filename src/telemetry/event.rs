//! One line of the mail log: one transition of a connection, message or recipient.
//!
//! The schema is documented for readers in the manual (`manual::operations`); members are only ever added, and a reader
//! ignores those it does not know. Every recipient attempted has its own `rcpt` line, refused ones included.

use std::net::IpAddr;

use crate::model::{
    Address, ConnectionId, Direction, MessageId, Remote, Reply, ReversePath, TenantId, Timestamp, TlsFacts,
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventName {
    Connect,
    Disconnect,
    Auth,
    Mail,
    Rcpt,
    Message,
    Queued,
    HandedOn,
    Delivered,
    Deferred,
    Bounced,
    Expired,
    Notice,
    Held,
    Released,
    Retried,
    Removed,
    Discarded,
    Quarantined,
    Judged,
    Corrupt,
    Alert,
    Reload,
    Signatures,
    Contract,
    Suspension,
}

impl EventName {
    pub const ALL: [Self; 26] = [
        Self::Connect,
        Self::Disconnect,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Message,
        Self::Queued,
        Self::HandedOn,
        Self::Delivered,
        Self::Deferred,
        Self::Bounced,
        Self::Expired,
        Self::Notice,
        Self::Held,
        Self::Released,
        Self::Retried,
        Self::Removed,
        Self::Discarded,
        Self::Quarantined,
        Self::Judged,
        Self::Corrupt,
        Self::Alert,
        Self::Reload,
        Self::Signatures,
        Self::Contract,
        Self::Suspension,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Message => "message",
            Self::Queued => "queued",
            Self::HandedOn => "handed-on",
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Bounced => "bounced",
            Self::Expired => "expired",
            Self::Notice => "notice",
            Self::Held => "held",
            Self::Released => "released",
            Self::Retried => "retried",
            Self::Removed => "removed",
            Self::Discarded => "discarded",
            Self::Quarantined => "quarantined",
            Self::Judged => "judged",
            Self::Corrupt => "corrupt",
            Self::Alert => "alert",
            Self::Reload => "reload",
            Self::Signatures => "signatures",
            Self::Contract => "contract",
            Self::Suspension => "suspension",
        }
    }
}

/// Borrowed from whoever tells; only what is known is written.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub name: EventName,
    pub at: Timestamp,
    pub connection: Option<ConnectionId>,
    pub message: Option<MessageId>,
    pub tenant: Option<&'a TenantId>,
    pub direction: Option<Direction>,
    pub listener: Option<&'a str>,
    pub ip: Option<IpAddr>,
    pub helo: Option<&'a str>,
    pub sender: Option<&'a ReversePath>,
    pub recipient: Option<&'a Address>,
    pub reply: Option<&'a Reply>,
    pub remote: Option<&'a Remote>,
    pub size: Option<u64>,
    pub attempt: Option<u32>,
    pub next_attempt: Option<Timestamp>,
    pub reason: Option<&'a str>,
    pub tls: Option<&'a TlsFacts>,
    pub duration_ms: Option<u64>,
    pub recipients: Option<u32>,
    /// `explanation/v1` as JSON, in one line.
    pub explanation: Option<&'a str>,
}

impl Event<'_> {
    /// Nothing known but name and time; the rest by struct update.
    #[must_use]
    pub fn new(name: EventName, at: Timestamp) -> Self {
        Self {
            name,
            at,
            connection: None,
            message: None,
            tenant: None,
            direction: None,
            listener: None,
            ip: None,
            helo: None,
            sender: None,
            recipient: None,
            reply: None,
            remote: None,
            size: None,
            attempt: None,
            next_attempt: None,
            reason: None,
            tls: None,
            duration_ms: None,
            recipients: None,
            explanation: None,
        }
    }
}

/// Characters that change what a reader of the raw line sees: controls, line separators, bidirectional marks and overrides.
#[must_use]
pub fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
