//! Who used the service: accounts counted for each tenant, from registered addresses and from mail that was delivered or sent, and
//! held against the contract.
//!
//! An account counts while it is registered, and otherwise for thirty days after mail was delivered to it or sent with it; aliases
//! and plus-addresses count as their account. Days are those of the tenant's zone.
//!
//! **Failure**: a store that is away delays what is told, and loses nothing while the process lives. A crash loses sights of the last
//! seconds, which nobody was told of; the account counts again with its next mail.
//! **Invariants**: a number is shown, exported or alarmed only after what it is made of is durable; the numbers of a closed day never
//! change; a new account may be refused, one that was there before never; a jump of the wall clock closes no day and ends no
//! contract until it has been confirmed.
//! **Elsewhere**: the rules of a contract are in `tenant::Contract`.

mod alarm;
mod keeper;
mod key;
mod meters;
mod port;
mod state;
pub mod usage;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use alarm::{Announcement, LEVELS, Told};
pub use keeper::Announcer;
pub use key::account_of;
pub use meters::Admission;
pub use port::{
    AccountStore, AccountsError, Answer, Batch, DayRow, Erased, Listed, Loaded, Others, Registered, Registration, Seen,
    SharedAccounts, Standing,
};
pub use state::{REMEMBERED_DAYS, WINDOW_DAYS};

use crate::clock::{Clock, SteadyClock};
use crate::model::{Address, TenantId, Timestamp};
use crate::telemetry::Metrics;
use crate::tenant::{Phase, Snapshot, Tenant};
use keeper::Kept;
use meters::{Asked, Meters};

/// How long a jump of the wall clock must stay before days and contracts follow it.
const CONFIRMATION: Duration = Duration::from_hours(1);
/// A start within this of the last run's end believes the clock.
const TOLERATED: Duration = Duration::from_hours(7 * 24);

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Tenants with a series of their own in the metrics: the fullest.
    pub max_tenant_series: usize,
    /// How often what was seen is written down.
    pub write_every: Duration,
}

/// What it works with.
#[derive(Debug)]
pub struct Deps {
    pub store: SharedAccounts,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

/// Counts accounts and knows contracts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    deps: Deps,
    steady: SteadyClock,
    meters: Meters,
    /// Of one batch at a time.
    kept: tokio::sync::Mutex<Kept>,
}

impl Accounts {
    /// Reads what was counted before, and closes days that ended since.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(config: Config, deps: Deps) -> Result<Self, AccountsError> {
        let standing = deps.store.standing().await?;
        let steady = SteadyClock::resumed(deps.clock.clone(), CONFIRMATION, standing.written, TOLERATED);
        let (meters, mut kept) = (Meters::default(), Kept::default());
        let (snapshot, now) = (deps.snapshot.load_full(), steady.now());
        let mut show = |id: TenantId, loaded: Loaded| {
            kept.told.insert(id.clone(), loaded.told);
            if let Some(tenant) = snapshot.tenant(&id) {
                meters.add(tenant, &loaded, now);
            }
        };
        deps.store.load(&mut show).await?;
        for tenant in snapshot.tenants() {
            meters.add(tenant, &Loaded::default(), now);
        }
        meters.follow(&snapshot);
        kept.version = standing.version;
        kept.snapshot = Some(snapshot);
        let inner = Inner { config, deps, steady, meters, kept: tokio::sync::Mutex::new(kept) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The time that days and contracts go by: the wall clock without jumps.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.steady.now()
    }

    /// Where a tenant's contract stands.
    #[must_use]
    pub fn phase(&self, tenant: &Tenant) -> Phase {
        match &tenant.contract {
            Some(contract) => contract.phase(self.inner.steady.now()),
            None => Phase::Active,
        }
    }

    /// Whether an address may use the service: a tenant's recipient that exists, or a sender of its own.
    #[must_use]
    pub fn admit(&self, tenant: &Tenant, address: &Address) -> Admission {
        self.admission(tenant, address, Asked::Live)
    }

    /// As [`Self::admit`], for somebody who only wants to know: no place is kept. `before`: addresses of the tenant that were told to be
    /// new and let in before this one.
    #[must_use]
    pub fn would_admit(&self, tenant: &Tenant, address: &Address, before: &[Address]) -> Admission {
        self.admission(tenant, address, Asked::Dry(before))
    }

    fn admission(&self, tenant: &Tenant, address: &Address, asked: Asked<'_>) -> Admission {
        if tenant.contract.is_none() {
            return Admission::Existing;
        }
        self.inner.meters.admit(&tenant.id, address, (asked, self.inner.steady.now()))
    }

    /// An account used the service: mail was delivered to it, or a client of the tenant's sent with it. Nearly free from the second
    /// sight of a day on.
    pub fn observe(&self, tenant: &TenantId, address: &Address) {
        if self.inner.meters.observe(tenant, address, self.inner.steady.now()) {
            self.inner.deps.metrics.accounts.observed.inc();
        }
    }
}
