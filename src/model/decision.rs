//! What we say to a client at one SMTP stage. It can't say "quarantine": that is a Disposition, made later.

use super::Reply;

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go on, with the stage's usual positive reply.
    Accept,
    /// "Not now": a 4xx reply; the session goes on.
    Defer(Reply),
    /// "Never": a 5xx reply; the session goes on.
    Reject(Reply),
    /// Say this (421 or 554) and close the connection.
    Disconnect(Reply),
}
