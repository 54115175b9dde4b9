//! What can be set about delivery.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Direction;
use crate::model::egress::Pool;
use crate::model::units::{ByteSize, Span};

/// `[delivery]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// First wait after a temporary failure; it doubles from there.
    pub retry_first: Span,
    pub retry_max: Span,
    /// First rest of a destination where no host answered; it doubles from there.
    pub rest_first: Span,
    pub rest_max: Span,
    pub lifetime_inbound: Span,
    pub lifetime_outbound: Span,
    /// A wall clock that jumped by more than an hour is believed for expiry after it has stayed there this long.
    pub clock_confirmation: Span,
    /// When the sender is told that a message still waits; zero: never.
    pub delay_notice_after: Span,
    /// Failed mail up to this size goes back whole when the sender asked for it (RET=FULL).
    pub notice_return_full: ByteSize,
    /// Connections to all destinations together.
    pub max_connections: u32,
    /// Connections to one tenant's next hops.
    pub max_connections_inbound: u32,
    /// Connections to one MX domain.
    pub max_connections_outbound: u32,
    /// Connections a destination begins with, before successes earn it more.
    pub initial_connections: u32,
    /// Transactions on one connection.
    pub max_transactions: u32,
    /// How long a connection is kept with nothing to send.
    pub idle: Span,
    /// Recipients of one transaction; every server takes 100 (RFC 5321 section 4.5.3.1.8).
    pub max_recipients: usize,
    /// Leases held in memory, of all destinations and of one.
    pub ready_limit: usize,
    pub ready_limit_site: usize,
    /// Port of MX hosts.
    pub mx_port: u16,
    /// How long transactions under way may go on after shutdown was asked.
    pub drain: Span,
    /// Connections of hand-on and call-ahead to one tenant domain.
    pub handoff_connections: u32,
    /// All that comes before the final dot of a hand-on must be done in this time; then the spool takes the message.
    pub handoff_patience: Span,
    /// The final dot is sent only if the client still waits this long.
    pub handoff_margin: Span,
    pub probe_patience: Span,
    pub probe_valid: Span,
    pub probe_invalid: Span,
    pub probe_cache: u64,
    #[serde(skip)]
    pub timeouts: Timeouts,
    /// Our name in EHLO and in notices; the node's host name.
    #[serde(skip)]
    pub hostname: Box<str>,
    /// The pools of addresses that mail leaves by. A pool that is not here takes the system's address and `hostname`; but
    /// [`Pool::Suspect`] has addresses of its own or its mail waits, and [`Pool::Bulk`] takes those of [`Pool::Normal`].
    #[serde(skip)]
    pub egress: Vec<Egress>,
    /// Our other names.
    #[serde(skip)]
    pub own_names: Vec<Box<str>>,
    /// Where we listen: an MX that leads here is a loop.
    #[serde(skip)]
    pub own_addresses: Vec<SocketAddr>,
    /// Mail exchangers and address literals may lead to loopback and link-local addresses. Tenants' next hops always may.
    pub private_targets: bool,
}

/// Source addresses of one pool, and the name in EHLO that belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    pub pool: Pool,
    /// Addresses of this machine, of either family; a server is reached from one of its own family or not at all.
    pub source: Vec<IpAddr>,
    pub hostname: Box<str>,
}

impl Default for Config {
    fn default() -> Self {
        let minutes = |n: u64| Span(Duration::from_secs(n * 60));
        let hours = |n: u64| minutes(n * 60);
        Self {
            retry_first: minutes(5),
            retry_max: hours(4),
            rest_first: minutes(1),
            rest_max: minutes(30),
            lifetime_inbound: hours(240),
            lifetime_outbound: hours(120),
            clock_confirmation: hours(1),
            delay_notice_after: hours(4),
            notice_return_full: ByteSize(256 << 10),
            max_connections: 1_000,
            max_connections_inbound: 50,
            max_connections_outbound: 20,
            initial_connections: 5,
            max_transactions: 1_000,
            idle: Span(Duration::from_secs(10)),
            max_recipients: 100,
            ready_limit: 20_000,
            ready_limit_site: 5_000,
            mx_port: 25,
            drain: Span(Duration::from_secs(30)),
            handoff_connections: 200,
            handoff_patience: Span(Duration::from_secs(20)),
            handoff_margin: Span(Duration::from_secs(30)),
            probe_patience: Span(Duration::from_secs(20)),
            probe_valid: hours(96),
            probe_invalid: hours(2),
            probe_cache: 200_000,
            timeouts: Timeouts::default(),
            hostname: "localhost".into(),
            egress: Vec::new(),
            own_names: Vec::new(),
            own_addresses: Vec::new(),
            private_targets: false,
        }
    }
}

impl Config {
    #[must_use]
    pub fn lifetime(&self, direction: Direction) -> Duration {
        match direction {
            Direction::Inbound => self.lifetime_inbound.0,
            Direction::Outbound => self.lifetime_outbound.0,
        }
    }
}

/// How long a server may take (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone)]
pub struct Timeouts {
    pub connect: Duration,
    pub tls: Duration,
    pub greeting: Duration,
    /// EHLO, STARTTLS, RSET.
    pub helo: Duration,
    /// MAIL and RCPT.
    pub envelope: Duration,
    /// The answer to DATA.
    pub data: Duration,
    /// One block of the body to be taken.
    pub block: Duration,
    /// The answer to the final dot.
    pub dot: Duration,
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(30),
            tls: seconds(60),
            greeting: seconds(300),
            helo: seconds(300),
            envelope: seconds(300),
            data: seconds(120),
            block: seconds(180),
            dot: seconds(600),
            quit: seconds(2),
        }
    }
}
