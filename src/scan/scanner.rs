//! One message through all detectors, in their order, with one signature set.
//!
//! ```text
//! octets ─► Specimen ─► files, each seen once ─► detectors of this process (pool) ─► scanners elsewhere ─► Verdict
//! ```
//!
//! **Failure**: [`ScanError`] where nothing was scanned: no place in the pool, or a detector that broke. Both are our trouble:
//! 4xx. A detector that had no time is in [`Verdict::unavailable`], what was not looked at in [`Verdict::unchecked`].
//! **Invariants**: a message is scanned by one set, the one picked when its scan begins. Nothing switches a detector off but the
//! operator's settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pool::{Pool, PoolError};
use crate::message::specimen::{Limits, Specimen, TimeUp};
use crate::model::authentication::Authentication;
use crate::model::detectors::Detectors;
use crate::model::finding::Verdict;
use crate::model::{Address, Direction, Domain, ReversePath, TenantId};
use crate::signatures::SignatureSet;

/// Settings of scanning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Messages scanned at one time.
    pub workers: usize,
    /// Longest wait for a place; then 451.
    pub patience: Duration,
    /// Longest time for one message in this process.
    pub time: Duration,
    pub limits: Limits,
    /// Detectors that are asked; the operator's word alone.
    pub on: Detectors,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get),
            patience: Duration::from_secs(60),
            time: Duration::from_secs(20),
            limits: Limits::default(),
            on: Detectors::all(),
        }
    }
}

/// What is scanned, and what is known of it besides its octets.
#[derive(Debug, Clone)]
pub struct Request {
    /// Canonical CRLF, without the fields we prepend.
    pub octets: Bytes,
    /// The same for the same message as long as it is ours: by it a share of mail tries a new set.
    pub number: u128,
    pub direction: Direction,
    /// `None`: recipients of several tenants.
    pub tenant: Option<TenantId>,
    pub client: Option<std::net::IpAddr>,
    pub helo: Box<str>,
    pub sender: ReversePath,
    pub recipients: Vec<Address>,
    /// Domains of the tenants whose mail it is.
    pub own_domains: Vec<Domain>,
    /// `None`: nobody asked.
    pub authentication: Option<Authentication>,
}

/// What came of it.
#[derive(Debug)]
pub struct Scanned {
    pub verdict: Verdict,
    /// For whoever edits the message.
    pub specimen: Specimen,
}

/// Nothing was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ScanError(#[from] PoolError);

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scanner {
    config: Arc<Config>,
    pool: Pool,
    set: Arc<arc_swap::ArcSwap<SignatureSet>>,
}

impl Scanner {
    #[must_use]
    pub fn build(config: Config, set: Arc<arc_swap::ArcSwap<SignatureSet>>) -> Self {
        let pool = Pool::new(config.workers, config.patience);
        Self { config: Arc::new(config), pool, set }
    }

    /// Scans a message.
    ///
    /// # Errors
    /// [`ScanError`]; the message is to be put off.
    pub async fn scan(&self, request: Request) -> Result<Scanned, ScanError> {
        let set = self.set.load_full();
        let config = Arc::clone(&self.config);
        Ok(self.pool.run(move || scan(&config, &set, &request)).await?)
    }

    /// The same here and now, without a place in the pool: for tools.
    #[must_use]
    pub fn scan_here(&self, request: &Request) -> Scanned {
        scan(&self.config, &self.set.load(), request)
    }

    /// Detectors whose silence puts a message off.
    #[must_use]
    pub fn mandatory(&self) -> Detectors {
        Detectors::mandatory().and(self.config.on)
    }
}

fn scan(config: &Config, set: &SignatureSet, request: &Request) -> Scanned {
    let begun = Instant::now();
    let time_up: TimeUp<'_> = &|| begun.elapsed() >= config.time;
    let mut verdict = Verdict::new(set.number);
    let specimen = Specimen::parse(request.octets.clone(), &config.limits, time_up);
    verdict.unchecked.extend(specimen.unchecked.iter().cloned());
    let facts = super::facts::of(request);
    let seen = set.rules.nothing_seen();
    super::rules::detect(set, &specimen, &facts, seen, time_up, &mut verdict);
    Scanned { verdict, specimen }
}
