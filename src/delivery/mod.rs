//! From due to outcome: routes, connections, transactions, retries and notices; hand-on and call-ahead for intake.
//!
//! [`build`] starts the scheduler, which brings due leases of the spool to their destinations ([`site`](self)); each destination
//! has its own queue and workers, so that a slow one delays nobody else.
//!
//! **Failure**: whatever can't be delivered now stays in the spool; only words of the next hop or of the domain's owner, or
//! the end of a message's lifetime, end it otherwise.
//! **Invariants**: nothing leaves for a mail exchanger but by a lease with an exit ([`crate::spool::Exit`]); a recipient is reported delivered only from a server's 2xx to the whole message; after shutdown was asked
//! no transaction begins.
//! **Elsewhere**: why this is not built on a client library: `manual::decisions`, number 3.

mod config;
mod connect;
mod connection;
mod content;
mod handoff;
mod notice;
mod observer;
mod ourselves;
mod pool;
mod probe;
mod retry;
mod route;
mod scheduler;
mod settle;
mod shared;
mod site;
mod source;
mod transaction;
mod trouble;
mod ways;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Config, Egress, Timeouts};
pub use handoff::{HandOn, HandOnResult, Handoff};
pub use observer::{Ended, Observer};
pub use probe::{Answer as ProbeAnswer, Probe};

use crate::clock::{Clock, SteadyClock};
use crate::dns::Resolver;
use crate::faults::Faults;
use crate::net::client_tls::ClientTls;
use crate::policy::srs::Rewriter;
use crate::spool::Spool;
use crate::telemetry::{MailLog, Metrics};
use crate::tenant::Snapshot;
use connect::Dialer;
use pool::Pool;
use settle::Settler;
use shared::Shared;
use source::Sources;
use ways::Ways;

/// What delivery is built from.
#[derive(Debug)]
pub struct Deps {
    pub spool: Spool,
    pub resolver: Arc<dyn Resolver>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub tls: ClientTls,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
    pub faults: Faults,
    /// Finds who a rewritten sender is, whom notices are for.
    pub rewriter: Arc<Rewriter>,
    /// Told what became of each recipient of the spool.
    pub observers: Vec<Arc<dyn Observer>>,
    /// Asks for the end: no lease is taken any more, transactions under way may end.
    pub shutdown: CancellationToken,
}

/// Running delivery.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    handoff: Handoff,
    probe: Probe,
}

/// Starts delivery. Call it inside the runtime.
#[must_use]
pub fn build(config: Config, deps: Deps) -> Handle {
    let Deps { spool, resolver, snapshot, tls, clock, metrics, log, faults, observers, rewriter, shutdown } = deps;
    let config = Arc::new(config);
    let dialer = Dialer {
        sources: Sources::new(&config),
        tls,
        timeouts: config.timeouts.clone(),
        metrics: Arc::clone(&metrics),
    };
    let ways = Arc::new(Ways { config: Arc::clone(&config), dialer, resolver, snapshot, missed: Mutex::default() });
    let places = Arc::new(Semaphore::new(config.max_connections.max(1) as usize));
    let settler = Settler {
        config: Arc::clone(&config),
        clock: clock.clone(),
        steady: SteadyClock::new(clock.clone(), config.clock_confirmation.0),
        metrics: Arc::clone(&metrics),
        log,
        rewriter,
        observers,
        stuck: AtomicBool::new(false),
    };
    let pool = Arc::new(Pool::new(Arc::clone(&ways), Arc::clone(&places)));
    let handoff = Handoff {
        ways: Arc::clone(&ways),
        pool: Arc::clone(&pool),
        metrics: Arc::clone(&metrics),
        faults: faults.clone(),
    };
    let probe = Probe::new(Arc::clone(&ways), Arc::clone(&pool), Arc::clone(&metrics));
    let shared = Arc::new(Shared {
        config,
        clock,
        metrics,
        faults,
        ways,
        settler,
        shutdown,
        tracker: TaskTracker::new(),
        sites: Mutex::new(HashMap::new()),
        places,
        starved: Mutex::new(VecDeque::new()),
        ready: AtomicUsize::new(0),
        room: Notify::new(),
        put_offs: Shared::new_put_offs(),
    });
    shared.tracker.spawn(scheduler::schedule(Arc::clone(&shared), spool));
    shared.tracker.spawn(scheduler::keep_house(Arc::clone(&shared), pool));
    Handle { shared, handoff, probe }
}

impl Handle {
    /// Inline custody, for intake.
    #[must_use]
    pub fn handoff(&self) -> Handoff {
        self.handoff.clone()
    }

    /// Call-ahead, for intake.
    #[must_use]
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Waits, after shutdown was asked, until every transaction under way has ended or the drain's time is over. True if all
    /// have ended; leases of the others go back to the spool.
    pub async fn drained(self) -> bool {
        self.shared.shutdown.cancelled().await;
        self.shared.tracker.close();
        tokio::time::timeout(self.shared.config.drain.0, self.shared.tracker.wait()).await.is_ok()
    }
}
