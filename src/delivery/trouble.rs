//! What can go wrong between us and a server, and the reply it stands for in log, queue and notice.
//!
//! **Invariants**: none of it is final. A network that fails and a server that talks nonsense are 4xx; only words of the
//! server or of the DNS make 5xx.

use std::io;
use std::net::IpAddr;

use crate::model::egress::Pool;
use crate::model::{Enhanced, Reply};
use crate::smtp::reply_reader::ReplyError;

/// The room's error.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("no connection to {host}: {source}")]
    Connect { host: String, source: io::Error },
    #[error("time-out waiting for {phase}")]
    TimedOut { phase: &'static str },
    #[error("connection closed waiting for {phase}")]
    Closed { phase: &'static str },
    #[error("connection lost waiting for {phase}: {source}")]
    Lost { phase: &'static str, source: io::Error },
    #[error("not a reply: {0}")]
    NotSmtp(#[from] ReplyError),
    /// A reply where none belongs: whatever was read before may have answered something else.
    #[error("out of step with the server at {phase}")]
    OutOfStep { phase: &'static str },
    #[error("TLS is required and not offered")]
    NoTls,
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("no host of the destination has an address: {0}")]
    NoAddress(String),
    /// Ours: the pool of addresses that the message leaves by has none for this server.
    #[error("the egress pool {pool} has no address to reach {ip} from")]
    NoSource { pool: Pool, ip: IpAddr },
    /// Ours, not the server's.
    #[error("the message can't be read: {0}")]
    Spool(io::Error),
    /// The server answered, and will not take mail now: greeting, EHLO or STARTTLS refused.
    #[error("{0}")]
    Refused(Reply),
}

impl Trouble {
    /// For those who keep a reply. Refusals come in the server's own words.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let (code, enhanced) = match self {
            Self::Refused(reply) => return reply.clone(),
            Self::Connect { .. } => (451, Enhanced(4, 4, 1)),
            Self::TimedOut { .. } | Self::Closed { .. } | Self::Lost { .. } => (451, Enhanced(4, 4, 2)),
            Self::NotSmtp(_) | Self::OutOfStep { .. } => (451, Enhanced(4, 5, 0)),
            Self::NoTls | Self::Handshake(_) => (451, Enhanced(4, 7, 5)),
            Self::Spool(_) => (451, Enhanced(4, 3, 0)),
            Self::NoSource { .. } => (451, Enhanced(4, 3, 5)),
            Self::NoAddress(_) => (451, Enhanced(4, 4, 4)),
        };
        Reply::with_text(code, enhanced, &self.to_string())
    }
}
