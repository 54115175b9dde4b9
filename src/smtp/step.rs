//! What a session says to its driver: the next step, why it closes, what it waits for.
//!
//! **Invariants**: the driver needs nothing else to go on; every way a transaction ends without a Message question is a step.

use super::question::Question;
use crate::model::{Envelope, Reply};

/// What is known of the connection before the first octet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// Implicit TLS: the handshake is done.
    pub tls: bool,
    /// The peer may use XCLIENT.
    pub xclient_trusted: bool,
}

/// What [`Session::step`](super::Session::step) came to. Anything but `Read` and `Close` may leave input unread: call again.
#[derive(Debug)]
pub enum Step {
    /// All input is used up. Send `out`, then read more.
    Read,
    /// Answer it, then call again.
    Ask(Question),
    /// Send `out`, make the TLS handshake, call [`Session::tls_established`](super::Session::tls_established). An open transaction is gone.
    StartTls,
    /// The open transaction is gone (RSET): drop what was collected of it.
    Reset,
    /// The session itself refused a RCPT (grammar, order, too many) and has said so; for the log.
    RcptRefused(Box<RcptRefused>),
    /// The session itself refused the message at its end; drop what was collected of it.
    Refused(Box<Refused>),
    /// Send `out` and close the connection.
    Close(CloseReason),
}

/// A recipient refused before anybody was asked.
#[derive(Debug)]
pub struct RcptRefused {
    /// The address, or the command's argument as it was written where that is no address.
    pub recipient: Box<str>,
    /// As the client was told, unless that was one error too many.
    pub reply: Reply,
}

/// A message refused for what it is made of.
#[derive(Debug)]
pub struct Refused {
    pub envelope: Envelope,
    /// Octets that were handed to `body` before the defect.
    pub size: u64,
    /// As the client was told.
    pub reply: Reply,
}

/// Why the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client spoke before the greeting.
    EarlyTalk,
    /// No mail client: HTTP, or TLS where none was asked for.
    Foreign,
    LineTooLong,
    /// Commands behind one whose reply must be awaited.
    OutOfStep,
    /// The embedder said so.
    Policy,
    Quit,
    ShuttingDown,
    TimedOut,
    TooManyCommands,
    TooManyErrors,
    TooManyTransactions,
    /// A refused message went on for too long.
    TooMuchDiscarded,
    /// The embedder dropped a question.
    Unanswered,
    /// A BDAT whose size can't be read.
    UnreadableChunk,
}

impl CloseReason {
    /// For logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EarlyTalk => "early-talk",
            Self::Foreign => "foreign-protocol",
            Self::LineTooLong => "line-too-long",
            Self::OutOfStep => "out-of-step",
            Self::Policy => "policy",
            Self::Quit => "quit",
            Self::ShuttingDown => "shutting-down",
            Self::TimedOut => "timed-out",
            Self::TooManyCommands => "too-many-commands",
            Self::TooManyErrors => "too-many-errors",
            Self::TooManyTransactions => "too-many-transactions",
            Self::TooMuchDiscarded => "too-much-discarded",
            Self::Unanswered => "unanswered",
            Self::UnreadableChunk => "unreadable-chunk",
        }
    }
}

/// What the session waits for; the driver picks its time-out by it (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Greeting,
    Command,
    Auth,
    /// DATA or BDAT octets.
    Body,
    Closed,
}

/// Ties an answer to its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub(super) u32);

/// What follows an accepted [`DataQuestion`](super::question::DataQuestion).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterData {
    Lines,
    Chunk { left: u64, last: bool },
}
