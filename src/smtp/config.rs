//! What a session is told at its start: who we are, what we offer, and every limit.
//!
//! **Invariants**: shared by all sessions of a listener behind one `Arc`; a session copies nothing of it.

use crate::model::{Address, Direction};

/// Whether AUTH is offered. There is no "without TLS": a password in the clear is never asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthOffer {
    #[default]
    Never,
    AfterTls,
}

/// One listener's view of the protocol.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // each is one EHLO keyword, set by one settings key
pub struct SessionConfig {
    pub hostname: Box<str>,
    pub direction: Direction,
    pub limits: Limits,
    /// Offer STARTTLS while the connection is not encrypted.
    pub starttls: bool,
    pub auth: AuthOffer,
    /// Answer 530 to mail commands until TLS is up.
    pub require_tls: bool,
    pub smtputf8: bool,
    pub chunking: bool,
    pub dsn: bool,
    /// Who is meant by `<postmaster>` without a domain and at our own host name (RFC 5321 section 4.5.1); `None`: the
    /// mailbox of that name at the host name. Who may write to that address, the embedder decides as for any other: it is
    /// reached from outside if its domain is a tenant's.
    pub postmaster: Option<Address>,
}

impl SessionConfig {
    /// Everything offered that needs no certificate and no credentials.
    #[must_use]
    pub fn new(hostname: &str, direction: Direction) -> Self {
        Self {
            hostname: hostname.into(),
            direction,
            limits: Limits::default(),
            starttls: false,
            auth: AuthOffer::Never,
            require_tls: false,
            smtputf8: true,
            chunking: true,
            dsn: true,
            postmaster: None,
        }
    }
}

/// Bounds of one session. Times are the driver's matter, see [`Phase`](super::Phase).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest command without CRLF. RFC 5321 section 4.5.3.1.4 wants 512, its extensions together some 1,500 more.
    pub command_line: usize,
    /// Longest line of a message without CRLF (RFC 5321 section 4.5.3.1.6: 1000 with it).
    pub data_line: usize,
    pub header_bytes: u64,
    pub header_count: u32,
    /// Recipients of one transaction; never below 100 (RFC 5321 section 4.5.3.1.8), see [`Limits::recipients`].
    pub recipients: usize,
    /// Largest message, as announced by SIZE.
    pub message_size: u64,
    /// How much of a message that is already lost is still read and thrown away before the connection is closed instead.
    pub discard: u64,
    /// Transactions begun on one connection.
    pub transactions: u32,
    /// Refused commands on one connection; the one that reaches it is answered 421. Forgotten when a message is accepted.
    pub errors: u32,
    /// Failed AUTH attempts on one connection.
    pub auth_failures: u32,
    /// Commands since the last complete message that can't lead to one (RSET, NOOP, VRFY, ...).
    pub commands_without_mail: u32,
}

impl Limits {
    /// The recipient limit, at least the 100 every server must take.
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.recipients.max(100)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            data_line: 998,
            header_bytes: 256 << 10,
            header_count: 1000,
            recipients: 1000,
            message_size: 50 << 20,
            discard: 256 << 20,
            transactions: 100_000,
            errors: 20,
            auth_failures: 5,
            commands_without_mail: 100,
        }
    }
}
