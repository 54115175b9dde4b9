//! What scheduler and workers share: the destinations, the places for connections, the way to settle.
//!
//! **Invariants**: no more workers than places; a destination that found no place is remembered and gets the next one that
//! falls free, in order.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::Config;
use super::retry::{Schedule, fraction};
use super::settle::{Attempt, Settler};
use super::site::{Pushed, Rest, Site};
use super::ways::Ways;
use super::worker;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::model::egress::Pool;
use crate::model::{Domain, Enhanced, Outcome, OutcomeKind, Reply, Timestamp};
use crate::spool::Lease;
use crate::telemetry::Metrics;

const HUNG_UP: Reply = Reply::new(451, Enhanced(4, 4, 2), "the destination hung up too often");

/// Put-offs settled at one time.
const PUT_OFFS: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub faults: Faults,
    pub ways: Arc<Ways>,
    pub settler: Settler,
    pub shutdown: CancellationToken,
    pub tracker: TaskTracker,
    pub sites: Mutex<HashMap<(Domain, Pool), Arc<Site>>>,
    pub places: Arc<Semaphore>,
    pub starved: Mutex<VecDeque<Arc<Site>>>,
    /// Leases waiting in queues.
    pub ready: AtomicUsize,
    /// There is room for more of them.
    pub room: Notify,
    pub put_offs: Arc<Semaphore>,
}

impl Shared {
    pub fn new_put_offs() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(PUT_OFFS))
    }

    /// Brings a lease to its destination.
    pub fn dispatch(self: &Arc<Self>, lease: Lease) {
        if let Some(until) = self.suspended_until(&lease) {
            lease.postpone(until);
            return;
        }
        let Some(site) = lease.domain().map(|domain| self.site(domain, lease.way().pool())) else { return };
        if lease.is_hastened() {
            site.end_rest();
        }
        if let Some(rest) = site.resting(self.clock.now()) {
            self.put_off(lease, &rest);
            return;
        }
        // A destination may fill as much as is left free: however many stand still, some room is left for the others.
        let free = self.config.ready_limit.saturating_sub(self.ready.fetch_add(1, Ordering::Relaxed));
        match site.push(lease, self.config.ready_limit_site.min(free)) {
            Pushed::Queued => {}
            Pushed::NeedsWorker => {
                self.hire(&site);
            }
            Pushed::Full(lease, wait) => {
                self.ready.fetch_sub(1, Ordering::Relaxed);
                lease.postpone(self.clock.now().plus(wait));
            }
        }
    }

    /// When to look again at mail of a tenant, or to a tenant, that is suspended; `None`: it is not. That costs no attempt.
    pub fn suspended_until(&self, lease: &Lease) -> Option<Timestamp> {
        let snapshot = self.ways.snapshot.load();
        let own = snapshot.tenant(&lease.meta().tenant).is_some_and(|tenant| !tenant.is_active());
        let other = || snapshot.domain(lease.domain()?.as_str()).map(|ours| !ours.tenant.is_active());
        (own || other() == Some(true)).then(|| self.one_wait_from_now(lease))
    }

    /// One to two first waits, spread.
    pub fn one_wait_from_now(&self, lease: &Lease) -> Timestamp {
        let spread = 1.0 + fraction(lease.id(), lease.attempts());
        self.clock.now().plus(self.config.retry_first.0.mul_f64(spread))
    }

    /// A destination is kept apart for each pool of addresses: one that takes no mail from one of them may take it from another, and
    /// no connection is used for mail of two pools.
    fn site(&self, domain: &Domain, pool: Pool) -> Arc<Site> {
        let key = (domain.clone(), pool);
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = sites.get(&key) {
            return Arc::clone(site);
        }
        let site = Arc::new(Site::new(domain.clone(), self.config.initial_connections));
        sites.insert(key, Arc::clone(&site));
        self.metrics.delivery.sites.set(i64::try_from(sites.len()).unwrap_or(i64::MAX));
        site
    }

    /// Drops destinations without work, workers or memory worth keeping.
    pub fn forget_sites(&self) {
        let now = self.clock.now();
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        sites.retain(|_, site| !site.is_forgettable(now));
        let resting = sites.values().filter(|site| site.resting(now).is_some()).count();
        self.metrics.delivery.sites.set(i64::try_from(sites.len()).unwrap_or(i64::MAX));
        self.metrics.delivery.sites_backing_off.set(i64::try_from(resting).unwrap_or(i64::MAX));
    }

    pub fn pop(&self, site: &Site) -> Option<Lease> {
        let lease = site.pop()?;
        self.left(1);
        Some(lease)
    }

    fn left(&self, count: usize) {
        let before = self.ready.fetch_sub(count, Ordering::Relaxed);
        let low = self.config.ready_limit / 2;
        if before >= low && before - count <= low {
            self.room.notify_one();
        }
    }

    /// Starts a worker, if the destination wants one and there is a place for it.
    pub fn hire(self: &Arc<Self>, site: &Arc<Site>) -> bool {
        if self.shutdown.is_cancelled() {
            return false;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let mut starved = self.starved.lock().unwrap_or_else(PoisonError::into_inner);
            if !starved.iter().any(|waiting| Arc::ptr_eq(waiting, site)) {
                starved.push_back(Arc::clone(site));
            }
            return false;
        };
        let hired = site.hire();
        if hired {
            self.tracker.spawn(worker::work(Arc::clone(self), Arc::clone(site), place));
        }
        hired
    }

    pub fn has_starved(&self) -> bool {
        !self.starved.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Gives a free place to the destination that has waited longest.
    pub fn hire_starved(self: &Arc<Self>) {
        let next = || self.starved.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some(site) = next() {
            // One that needs nobody any more leaves the place to the one behind it.
            if self.hire(&site) || self.places.available_permits() == 0 {
                return;
            }
        }
    }

    /// Finds workers for destinations that have work and nobody to do it, however that came about.
    pub fn hire_for_deserted(self: &Arc<Self>) {
        let deserted: Vec<Arc<Site>> = {
            let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
            sites.values().filter(|site| site.is_deserted()).map(Arc::clone).collect()
        };
        // Those that have waited longest come first.
        self.hire_starved();
        for site in deserted {
            self.hire(&site);
        }
    }

    /// Connections the destination may have. When places run low, everyone gets along with two.
    pub fn most(&self, site: &Site) -> u32 {
        if self.places.available_permits() < self.config.max_connections as usize / 4 {
            return 2;
        }
        let snapshot = self.ways.snapshot.load();
        match snapshot.domain(site.domain.as_str()) {
            Some(_) => self.config.max_connections_inbound,
            None => self.config.max_connections_outbound,
        }
    }

    /// Nobody answers there.
    ///
    /// Whatever happened, those that wait are put off and nothing else: the outcome of one message ends no other.
    pub fn begin_rest(&self, site: &Site, outcome: Outcome) -> Rest {
        let reply = if outcome.reply.is_temporary() { outcome.reply } else { HUNG_UP };
        let outcome = Outcome { kind: OutcomeKind::Deferred, reply, ..outcome };
        let schedule = Schedule { first: self.config.rest_first.0, max: self.config.rest_max.0 };
        tracing::info!(domain = %site.domain, reply = %outcome.reply, "destination rests");
        site.rest(outcome, self.clock.now(), |failures| schedule.wait(failures))
    }

    /// Lets go of everything that waits.
    pub fn give_up(&self, site: &Site) {
        self.left(site.drain().len());
    }

    /// Puts off everything that waits for a resting destination.
    pub fn put_off_all(self: &Arc<Self>, site: &Site, rest: &Rest) {
        let leases = site.drain();
        self.left(leases.len());
        for lease in leases {
            self.put_off(lease, rest);
        }
    }

    /// Puts a lease off to the end of the rest, without an attempt of its own.
    pub fn put_off(self: &Arc<Self>, lease: Lease, rest: &Rest) {
        let shared = Arc::clone(self);
        let rest = rest.clone();
        self.tracker.spawn(async move {
            let Ok(_turn) = shared.put_offs.acquire().await else { return };
            let outcomes = vec![rest.outcome.clone(); lease.recipients().count()];
            let retry_at = after_rest(&shared.config, &rest, &lease);
            shared.settler.settle(lease, Attempt { outcomes, retry_at: Some(retry_at), ..Attempt::default() }).await;
        });
    }
}

/// Spread over a quarter of the shortest rest behind its end, so that the first to come can find out.
fn after_rest(config: &Config, rest: &Rest, lease: &Lease) -> Timestamp {
    rest.until.plus(config.rest_first.0.mul_f64(0.25 * fraction(lease.id(), lease.attempts())))
}
