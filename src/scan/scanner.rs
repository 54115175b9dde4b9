//! One message through all detectors, in their order, with one signature set.
//!
//! ```text
//! octets ─► Specimen ─► files, each seen once ─► detectors of this process (pool) ─► scanners elsewhere ─► Verdict
//! ```
//!
//! **Failure**: [`ScanError`] where nothing was scanned: no place in the pool, or a detector that broke. Both are our trouble:
//! 4xx. A detector that had no time is in [`Verdict::unavailable`], what was not looked at in [`Verdict::unchecked`].
//! **Invariants**: a message is scanned by one set, the one picked when its scan begins. Nothing switches a detector off but the
//! operator's settings, and nothing at all for outbound mail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::checked::{Scanned, sum};
use super::detectors::{self, Look};
use super::external::{self, External, Question};
use super::light::{Lately, frame, taken_apart};
use super::pool::{Pool, PoolError};
use crate::message::specimen::{Limits, Specimen};
use crate::model::authentication::Authentication;
use crate::model::detectors::Detectors;
use crate::model::finding::{Class, Detector, Score};
use crate::model::{Address, Direction, Domain, Person, ReversePath, TenantId};
use crate::signatures::Layers;
use crate::signatures::layers::AtHand;
use crate::signatures::model::Layer;
use crate::signatures::sets::Sets;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Pool as Threads, ScanTrouble};

/// From here on a message counts as a hit of its set.
const HIT: Score = Score(5_000);

/// Settings of scanning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Messages scanned at one time.
    pub workers: usize,
    /// How many of those at one time on the threads that serve connections: short ones alone.
    pub short_here: usize,
    /// Longest wait for a place; then 451.
    pub patience: Duration,
    /// Longest time for one message in this process.
    pub time: Duration,
    pub limits: Limits,
    /// Detectors that are asked about inbound mail; the operator's word alone. Outbound, all are.
    pub on: Detectors,
    /// Tried on files with passwords, after the words of the mail.
    pub passwords: Vec<Box<str>>,
    /// Where the classifier keeps what tenants' users taught; `None`: nowhere, and nobody is heard.
    pub layers: Option<PathBuf>,
    /// Octets of that in memory.
    pub layer_memory: usize,
}

impl Default for Config {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Self {
            workers,
            short_here: workers,
            patience: Duration::from_secs(60),
            time: Duration::from_secs(20),
            limits: Limits::default(),
            on: Detectors::all(),
            passwords: Vec::new(),
            layers: None,
            layer_memory: 128 << 20,
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
    /// People of the one tenant whose mail it is, whose names are borrowed.
    pub protected: Arc<[Person]>,
    /// `None`: nobody asked.
    pub authentication: Option<Authentication>,
    /// A relay of the operator's brought it: an author who isn't proven here may have been there.
    pub is_relayed: bool,
    /// The author never exchanged mail with the tenant before; not so where nobody can say.
    pub first_contact: bool,
}

/// Nothing was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ScanError(#[from] PoolError);

impl ScanError {
    /// Too much was going on: nothing about the message itself.
    #[must_use]
    pub fn is_for_want_of_a_place(self) -> bool {
        self.0 == PoolError::Full
    }
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scanner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    pool: Pool,
    sets: Arc<Sets>,
    layers: Option<Arc<Layers>>,
    external: External,
    metrics: Arc<Metrics>,
    hostname: Box<str>,
    /// Of light messages.
    lately: Lately,
}

impl Scanner {
    /// `hostname`: our own, as other scanners are told.
    #[must_use]
    pub fn build(
        config: Config,
        sets: Arc<Sets>,
        external: external::Config,
        metrics: Arc<Metrics>,
        hostname: &str,
    ) -> Self {
        let pool = Pool::new(config.workers, config.short_here, config.patience);
        metrics.scan.running.of(Threads::All).set(i64::try_from(config.workers).unwrap_or(i64::MAX));
        let external = External::new(external.only(config.on));
        let (hostname, lately) = (hostname.into(), Lately::default());
        let layers = config.layers.clone().map(|dir| Arc::new(Layers::new(dir, config.layer_memory)));
        Self(Arc::new(Inner { config, pool, sets, layers, external, metrics, hostname, lately }))
    }

    /// Scans a message.
    ///
    /// # Errors
    /// [`ScanError`]; the message is to be put off.
    pub async fn scan(&self, request: Request) -> Result<Scanned, ScanError> {
        let metrics = &self.0.metrics.scan;
        let timer = metrics.seconds.start_timer();
        let question = (!self.0.external.is_empty()).then(|| self.question(&request));
        let inner = Arc::clone(&self.0);
        let waiting = Waiting::new(&self.0.metrics);
        let is_frame = self.0.look(request.direction) == Look::Frame;
        // To take it apart is work as well.
        let may_be_here = is_frame || self.0.config.short_here > 0 && self.0.lately.is_short();
        let begun = Instant::now();
        let light = if may_be_here { self.0.light(&request) } else { None };
        let (taking_apart, is_light) = (begun.elapsed(), light.is_some());
        let work = move || {
            drop(waiting);
            let running = inner.metrics.scan.running.of(Threads::Busy);
            running.inc();
            let begun = Instant::now();
            let light = if may_be_here { light } else { inner.light(&request) };
            let is_short = !is_frame && light.is_some();
            let scanned = catch_unwind(AssertUnwindSafe(|| inner.scan(&request, light)));
            if is_short {
                inner.lately.took(taking_apart + begun.elapsed());
            }
            running.dec();
            scanned
        };
        let here = async {
            match (is_light, is_frame) {
                (true, true) => self.0.pool.run_trifle(work).await,
                (true, false) => self.0.pool.run_short(work).await,
                (false, _) => self.0.pool.run(work).await,
            }
        };
        let elsewhere = async {
            match &question {
                Some(question) => self.0.external.ask(question).await,
                None => Vec::new(),
            }
        };
        // The others are asked first: what runs here may keep the thread.
        let (elsewhere, here) = tokio::join!(elsewhere, here);
        let mut scanned = match here {
            Ok(Ok(scanned)) => scanned,
            Ok(Err(_)) | Err(PoolError::Broken) => {
                metrics.troubles.inc(ScanTrouble::Fault);
                return Err(ScanError(PoolError::Broken));
            }
            Err(PoolError::Full) => {
                metrics.troubles.inc(ScanTrouble::Full);
                return Err(ScanError(PoolError::Full));
            }
        };
        for answer in elsewhere {
            if answer.unavailable.is_some() {
                metrics.detector_errors.inc(answer.detector);
            }
            answer.tell(&mut scanned.verdict);
        }
        scanned.is_whole = true;
        metrics.unchecked.inc_by(scanned.verdict.unchecked.len() as u64);
        timer.observe_duration();
        Ok(scanned)
    }

    /// The same here and now, without a place in the pool and without scanners elsewhere: for tests. Nothing can leave by it.
    #[cfg(test)]
    pub(super) fn scan_here(&self, request: &Request) -> Scanned {
        self.0.scan(request, None)
    }

    /// Whether anybody looks into mail of this direction, beyond its frame.
    #[must_use]
    pub fn looks_inside(&self, direction: Direction) -> bool {
        self.0.look(direction) == Look::Inside
    }

    /// Longest time for one message in this process.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.0.config.time
    }

    /// Longest wait for a place.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.config.patience
    }

    /// Detectors whose silence puts a message off.
    #[must_use]
    pub fn mandatory(&self, direction: Direction) -> Detectors {
        self.0.mandatory(direction)
    }

    /// Scanners of others, for those who ask whether they are there.
    #[must_use]
    pub fn external(&self) -> &External {
        &self.0.external
    }

    /// The sets it judges with.
    #[must_use]
    pub fn sets(&self) -> &Arc<Sets> {
        &self.0.sets
    }

    /// What tenants' users taught, if it is kept.
    #[must_use]
    pub fn layers(&self) -> Option<&Arc<Layers>> {
        self.0.layers.as_ref()
    }

    fn question(&self, request: &Request) -> Question {
        Question {
            message: request.octets.clone(),
            id: None,
            ip: request.client,
            helo: request.helo.clone(),
            hostname: Box::default(),
            from: request.sender.address().map(ToString::to_string).unwrap_or_default().into(),
            recipients: request.recipients.iter().map(|one| one.to_string().into()).collect(),
            user: Box::default(),
            ourselves: self.0.hostname.clone(),
        }
    }
}

/// Counted as waiting until its work begins, or it gives up.
struct Waiting(Arc<Metrics>);

impl Waiting {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.scan.waiting.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.scan.waiting.dec();
    }
}

impl Inner {
    fn mandatory(&self, direction: Direction) -> Detectors {
        // Of the scanners of others, those that the operator says.
        let required = self.external.required().into_iter();
        let without_others = |all: Detectors| external::DETECTORS.into_iter().fold(all, Detectors::without);
        let here = match direction {
            Direction::Inbound => without_others(Detectors::mandatory()),
            // Who looks at outbound mail at all must have looked: the others add points, and spam leaves for want of points.
            Direction::Outbound => without_others(Detectors::all()).without(Detector::Impersonation),
        };
        let all = required.fold(here, Detectors::with);
        match direction {
            Direction::Inbound => all.and(self.config.on).with(Detector::Structure),
            Direction::Outbound => all,
        }
    }

    /// Inside, but where the operator has switched off all who look there and no scanner elsewhere says what is to be taken out of the
    /// message.
    fn look(&self, direction: Direction) -> Look {
        let others = self.config.on.without(Detector::Structure);
        let here = external::DETECTORS.into_iter().fold(others, Detectors::without) != Detectors::NONE;
        if direction == Direction::Outbound || here || !self.external.is_empty() { Look::Inside } else { Look::Frame }
    }

    /// The message taken apart, if it may be scanned on this thread: YARA's rules have threads of their own, and waiting for one of
    /// them is no work.
    fn light(&self, request: &Request) -> Option<Specimen> {
        if self.look(request.direction) == Look::Frame {
            return frame(&request.octets, &self.config.limits);
        }
        let has_yara = || !self.sets.pick(request.number, request.tenant.as_ref()).yara.is_empty();
        if has_yara() || self.would_read(request) {
            return None;
        }
        taken_apart(&request.octets, &self.config.limits)
    }

    /// Whose users are heard: those of the one tenant whose mail comes in. What leaves is judged by nobody's own word.
    fn taught(&self, request: &Request) -> Option<(&Layers, TenantId)> {
        let tenant = request.tenant.clone().filter(|_| request.direction == Direction::Inbound)?;
        let layers = self.layers.as_deref().filter(|_| self.config.on.has(Detector::Classifier))?;
        Some((layers, tenant))
    }

    /// Whether the disk is asked for what was taught.
    fn would_read(&self, request: &Request) -> bool {
        let at_hand = self.taught(request).map(|(layers, tenant)| layers.at_hand(&tenant));
        matches!(at_hand, Some(AtHand::NotRead))
    }

    fn layer(&self, request: &Request, look: Look) -> Option<Arc<Layer>> {
        let (layers, tenant) = self.taught(request).filter(|_| look == Look::Inside)?;
        layers.of(&tenant)
    }

    fn scan(&self, request: &Request, light: Option<Specimen>) -> Scanned {
        let begun = Instant::now();
        let until = begun + self.config.time;
        let picked = self.sets.pick(request.number, request.tenant.as_ref());
        let look = self.look(request.direction);
        let layer = self.layer(request, look);
        let with = (&*picked, layer.as_deref());
        let (specimen, verdict) =
            detectors::run((&self.config, &self.metrics.scan), with, (request, light, look), until);
        // Malware comes in waves, which say nothing of a set.
        let malware = verdict.findings.iter().any(|found| found.class == Class::Malware);
        let hit = verdict.score >= HIT && !malware;
        self.sets.told(&picked, hit, begun.elapsed());
        Scanned {
            verdict,
            specimen,
            sum: sum(&request.octets),
            direction: request.direction,
            mandatory: self.mandatory(request.direction),
            is_whole: false,
        }
    }
}
