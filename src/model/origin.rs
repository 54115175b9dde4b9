//! Where a message came from: direction, peer, transport.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Fixed by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the internet to a tenant.
    Inbound,
    /// From a tenant to the internet.
    Outbound,
}

impl Direction {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What TLS told about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `TLSv1.3`
    pub version: Box<str>,
    pub cipher: Box<str>,
    /// SHA-256 of the client's certificate, lower-case hex, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<Box<str>>,
}

/// The client of a connection, after PROXY and XCLIENT have had their say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub addr: SocketAddr,
    /// The address the connection really came from, where a trusted proxy spoke for the client.
    pub via: Option<SocketAddr>,
}

impl Peer {
    /// The client's address, IPv4-mapped IPv6 folded to IPv4.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.addr.ip().to_canonical()
    }
}

/// What is kept with a message about how it reached us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Unspecified where the client is not known: behind a proxy that doesn't tell.
    pub ip: IpAddr,
    pub helo: Box<str>,
    pub listener: Box<str>,
    /// SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA and the UTF8 forms (RFC 3848, RFC 6531 section 4.3); `LOCAL` for our own notices.
    pub protocol: Box<str>,
    pub received_at: Timestamp,
}

impl Origin {
    /// The client's address; `None`: not known.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        Some(self.ip).filter(|ip| !ip.is_unspecified())
    }
}
