//! One SMTP transaction from connect to settled reply: drives the pure session, gathers facts, asks policy, settles custody.
//!
//! **Failure**: whatever breaks here is answered 4xx and the client keeps the message; a 250 is made from receipts only. A
//! panic or time-out ends one connection, and nothing of its transaction survives.
//! **Invariants**: one [`Snapshot`] per transaction, taken at MAIL; nothing of a transaction outlives its end.

pub mod authenticate;
mod connection;
mod content;
mod contract;
mod deadlines;
mod draft;
mod first_contact;
mod forwards;
pub mod identity;
mod ids;
pub mod judging;
mod lanes;
mod large;
mod ledger;
pub mod listener;
mod notice;
mod outbound;
mod outbound_rates;
mod outbound_suspension;
mod parcel;
mod parts;
pub mod ports;
pub mod seal;
mod settle;
pub mod signing;
mod stages;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::limits::Outbound;
use crate::limits::suspension::Suspensions;
use crate::model::ConnectionId;
use crate::model::egress::OutboundSpam;
use crate::net::admission::Admission;
use crate::quarantine::Quarantine;
use crate::scan::Scanner;
use crate::spool::Spool;
use crate::telemetry::{MailLog, Metrics};
use crate::tenant::Snapshot;

/// Messages that could not be scanned and are remembered, and for how long after the last attempt.
const MOST_PUT_OFF: u64 = 100_000;
const PUT_OFF_FOR: Duration = Duration::from_hours(5 * 24);

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub hostname: Box<str>,
    /// Waiting for the next command (RFC 5321 section 4.5.3.2.7: at least 5 minutes).
    pub command_timeout: Duration,
    /// Waiting for the next bytes of a message (RFC 5321 section 4.5.3.2.5: at least 3 minutes).
    pub data_timeout: Duration,
    /// From MAIL to the end of the message.
    pub transaction_deadline: Duration,
    /// Most time a client may hold a connection.
    pub session_deadline: Duration,
    pub tls_handshake_timeout: Duration,
    /// Bytes per second below which a message is cut off, after a grace of ten seconds.
    pub min_body_rate: u64,
    /// A message of more bytes goes to a file while it arrives.
    pub memory_per_message: usize,
    /// The same for messages that may be handed on inline, which must not touch the disk.
    pub memory_per_inline_message: usize,
    /// All messages together from arrival to their answer, not counting the first 64 KiB of each (a thousand connections may
    /// hold 64 MiB of those); beyond it, messages go to files from their first 64 KiB on.
    pub memory_total: usize,
    /// Messages in files that are in memory at one time to be judged, in octets, all together. Counts from the start.
    pub memory_large: usize,
    /// How long a client is kept waiting for the next hop's answer (inline custody) before its message is queued instead.
    pub inline_deadline: Duration,
    /// Suspended senders are told 550 instead of 450.
    pub reject_suspended: bool,
    /// What becomes of outbound spam.
    pub outbound_spam: OutboundSpam,
}

/// What intake works with.
pub struct Deps {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub spool: Spool,
    pub next_hop: Arc<dyn ports::NextHop>,
    pub probe: Arc<dyn ports::RecipientProbe>,
    pub judges: judging::Judges,
    pub sealer: seal::Sealer,
    pub identity: identity::Identity,
    pub scanner: Scanner,
    pub quarantine: Quarantine,
    pub accounts: Accounts,
    pub suspensions: Suspensions,
    /// Rates and records of those who send for tenants.
    pub outbound: Outbound,
    pub admission: Arc<Admission>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
    pub faults: Faults,
    /// Set when the process drains.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").finish_non_exhaustive()
    }
}

/// Shared by all listeners.
#[derive(Debug)]
pub struct Intake {
    /// A reload swaps it; a connection keeps what it began with.
    config: ArcSwap<Config>,
    deps: Deps,
    authenticator: authenticate::Authenticator,
    ids: ids::IdMaker,
    connections: AtomicU64,
    memory: Arc<draft::MemoryBudget>,
    /// Messages in files that are read whole to be judged.
    large: large::Room,
    /// Messages that could not be scanned, by their fingerprint.
    put_off: moka::sync::Cache<u64, content::PutOff>,
    /// When a tenant was told last of malware that named no sender.
    told: moka::sync::Cache<crate::model::TenantId, crate::model::Timestamp>,
    tasks: TaskTracker,
}

impl Intake {
    #[must_use]
    pub fn build(config: Config, deps: Deps) -> Arc<Self> {
        let memory = draft::MemoryBudget::new(config.memory_total);
        let large = large::Room::new(config.memory_large);
        Arc::new(Self {
            config: ArcSwap::from_pointee(config),
            deps,
            authenticator: authenticate::Authenticator::default(),
            ids: ids::IdMaker::new(),
            connections: AtomicU64::new(1),
            memory,
            large,
            put_off: moka::sync::Cache::builder().max_capacity(MOST_PUT_OFF).time_to_live(PUT_OFF_FOR).build(),
            told: moka::sync::Cache::builder().max_capacity(MOST_PUT_OFF).build(),
            tasks: TaskTracker::new(),
        })
    }

    /// Takes new settings for connections from now on.
    pub fn configure(&self, config: Config) {
        self.memory.resize(config.memory_total);
        self.config.store(Arc::new(config));
    }

    /// Resolves when every connection has ended; call after `shutdown` was set and the listeners have stopped.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}
