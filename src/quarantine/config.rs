//! Settings of the quarantine, and what it needs from the outside.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::telemetry::{MailLog, Metrics};

/// Filled by `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Holds `mail/`, `drafts/` and `corrupt/`; one process at a time.
    pub dir: PathBuf,
    /// How long a message is kept.
    pub keep: Duration,
    /// Below this much free disk nothing more is taken (452).
    pub min_free_bytes: u64,
    /// Messages beyond these are not taken (452). One takes about 200 octets of memory.
    pub most_messages: usize,
    /// The same for the messages of one tenant, and for their octets; those that are written at the same moment may come on top.
    pub most_of_tenant: usize,
    pub most_bytes_of_tenant: u64,
}

impl Config {
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            keep: Duration::from_hours(30 * 24),
            min_free_bytes: 512 << 20,
            most_messages: 1_000_000,
            most_of_tenant: 200_000,
            most_bytes_of_tenant: 20 << 30,
        }
    }
}

/// What the quarantine needs.
#[derive(Debug, Clone)]
pub struct Deps {
    pub clock: Clock,
    pub faults: Faults,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
}
