//! The counting of accounts from outside: days, months, zones, restarts, crashes, groups, alarms, a store that is away.

mod away;
mod count;
mod days;
mod limits;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use sekisho::accounts::{Accounts, Announcement, Announcer, Config, DayRow, Deps, SharedAccounts};
use sekisho::clock::Clock;
use sekisho::model::{Address, TenantId, Timestamp};
use sekisho::store::{MemoryAccounts, SqliteAccounts};
use sekisho::telemetry::Metrics;
use sekisho::tenant::{self, Day, Snapshot, Tenant};

pub const HOUR: Duration = Duration::from_secs(3600);

/// What administrators were told, as `tenant: reason`.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub fn take(&self) -> Vec<String> {
        let mut heard = std::mem::take(&mut *self.0.lock().unwrap());
        heard.sort();
        heard
    }
}

impl Announcer for Heard {
    fn announce<'a>(
        &'a self,
        tenant: &'a Tenant,
        what: &'a Announcement,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.0.lock().unwrap().push(format!("{}: {}", tenant.id, what.reason()));
        Box::pin(std::future::ready(()))
    }
}

/// A node's accounts with a clock to turn, over a store that outlives them.
pub struct Bench {
    pub store: SharedAccounts,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub accounts: Accounts,
    pub heard: Heard,
}

impl Bench {
    pub async fn new(tenants: &str, start: &str) -> Self {
        Self::over(Arc::new(MemoryAccounts::new()), tenants, start).await
    }

    pub async fn over(store: SharedAccounts, tenants: &str, start: &str) -> Self {
        let clock = Clock::manual(at(start));
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot(tenants, 1)));
        let metrics = Metrics::new();
        let accounts = open(&store, &snapshot, &clock, &metrics).await;
        Self { store, clock, metrics, snapshot, accounts, heard: Heard::default() }
    }

    /// Ends without a word, and starts again on what the store has.
    pub async fn crash(&mut self) {
        self.metrics = Metrics::new();
        self.accounts = open(&self.store, &self.snapshot, &self.clock, &self.metrics).await;
    }

    /// In steps that no clock takes for a jump; nothing is done meanwhile.
    pub fn pass(&self, hours: u64) {
        for _ in 0..hours {
            self.clock.advance(HOUR);
            let _ = self.accounts.now();
        }
    }

    pub async fn step(&self) {
        self.accounts.step(&self.heard).await.unwrap();
    }

    pub fn edit(&self, tenants: &str) {
        let version = self.snapshot.load().version() + 1;
        self.snapshot.store(Arc::new(snapshot(tenants, version)));
    }

    pub fn tenant(&self, id: &str) -> Arc<Tenant> {
        Arc::clone(self.snapshot.load().tenant(&tenant_id(id)).unwrap())
    }

    pub fn sees(&self, tenant: &str, text: &str) {
        self.accounts.observe(&tenant_id(tenant), &address(text));
    }

    pub async fn days(&self, tenant: &str) -> Vec<DayRow> {
        self.store.days(Some(&tenant_id(tenant)), Day::FIRST, Day::LAST).await.unwrap()
    }

    /// `2026-11-20=3`, with a tenant's accounts at the end of its days.
    pub async fn numbers(&self, tenant: &str) -> Vec<String> {
        self.days(tenant).await.iter().map(|row| format!("{}={}", row.day, row.accounts)).collect()
    }
}

async fn open(
    store: &SharedAccounts,
    live: &Arc<ArcSwap<Snapshot>>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Accounts {
    let deps = Deps {
        store: Arc::clone(store),
        snapshot: Arc::clone(live),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    };
    let config = Config { max_tenant_series: 10, write_every: Duration::from_secs(5) };
    Accounts::open(config, deps).await.unwrap()
}

pub async fn sqlite(dir: &std::path::Path) -> SharedAccounts {
    Arc::new(SqliteAccounts::open(dir).await.unwrap())
}

pub fn snapshot(tenants: &str, version: u64) -> Snapshot {
    let mut snapshot = Snapshot::empty();
    for spec in tenant::read("tenants.toml", tenants).unwrap() {
        snapshot.put(&Arc::new(Tenant::compile(spec))).unwrap();
    }
    snapshot.at(version)
}

/// A tenant with the domain `ID.example` and these lines of a contract.
pub fn contract(id: &str, lines: &str) -> String {
    format!(
        "[[tenant]]\nid = \"{id}\"\n[tenant.contract]\nstart = 2026-01-01\n{lines}\n[[tenant.domain]]\nname = \"{id}.example\"\n\
         next_hops = [\"h\"]\nrecipients = \"any\"\n"
    )
}

pub fn tenant_id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub fn at(text: &str) -> Timestamp {
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
    Timestamp::from_millis(u64::try_from(at.unix_timestamp()).unwrap() * 1000)
}
