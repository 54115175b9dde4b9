//! Measures in force, as mail asks for them: immutable, swapped whole; a throttle's bucket goes on through a swap.
//!
//! **Invariants**: asking takes no lock and, for a tenant without measures, allocates nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Throttle;
use crate::model::abuse::{Scope, Stage};
use crate::model::suspension::{Suspension, SuspensionId};
use crate::model::{Address, Domain, TenantId};

/// Who wants to send.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub tenant: &'a TenantId,
    /// `None`: the null sender.
    pub sender: Option<&'a Address>,
    /// `None`: not known.
    pub client: Option<IpAddr>,
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    pub id: SuspensionId,
    pub stage: Stage,
    /// When there is room again (throttle).
    pub after: Option<Duration>,
}

/// One measure that bites.
#[derive(Debug)]
pub(super) struct Measure {
    id: SuspensionId,
    stage: Stage,
    bucket: Bucket,
}

#[derive(Debug, Default)]
struct Measures {
    tenant: Option<Arc<Measure>>,
    domains: HashMap<Domain, Arc<Measure>>,
    clients: HashMap<Scope, Arc<Measure>>,
    senders: HashMap<Scope, Arc<Measure>>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    tenants: HashMap<TenantId, Measures>,
}

impl Table {
    /// Measures with the stages that bite. `before`: what was in force, whose buckets go on. Warnings hinder nobody and are not in it.
    pub(super) fn build<'s>(
        active: impl Iterator<Item = (&'s Suspension, Stage)>,
        rate: Throttle,
        before: &Self,
    ) -> Self {
        let mut table = Self::default();
        for (one, stage) in active.filter(|(_, stage)| *stage != Stage::Warn) {
            let subject = one.subject.normal();
            let old = before.find(&subject.tenant, &subject.scope);
            let old = old.filter(|old| old.id == one.id && old.stage == stage && old.bucket.rate == rate);
            let measure =
                old.cloned().unwrap_or_else(|| Arc::new(Measure { id: one.id, stage, bucket: Bucket::new(rate) }));
            let of = table.tenants.entry(subject.tenant).or_default();
            match subject.scope {
                Scope::Tenant => of.tenant = Some(measure),
                Scope::Domain(domain) => drop(of.domains.insert(domain, measure)),
                Scope::Client(_) => drop(of.clients.insert(subject.scope, measure)),
                Scope::Sender(_) => drop(of.senders.insert(subject.scope, measure)),
            }
        }
        table
    }

    fn find(&self, tenant: &TenantId, scope: &Scope) -> Option<&Arc<Measure>> {
        let of = self.tenants.get(tenant)?;
        match scope {
            Scope::Tenant => of.tenant.as_ref(),
            Scope::Domain(domain) => of.domains.get(domain),
            Scope::Client(_) => of.clients.get(scope),
            Scope::Sender(_) => of.senders.get(scope),
        }
    }

    /// Every measure that concerns who asks, the widest first.
    fn of(&self, asked: Asked<'_>) -> [Option<&Measure>; 4] {
        let Some(of) = self.tenants.get(asked.tenant) else { return [None; 4] };
        let domain = asked.sender.filter(|_| !of.domains.is_empty()).and_then(|a| of.domains.get(a.domain()));
        let client = asked.client.filter(|_| !of.clients.is_empty()).and_then(|ip| of.clients.get(&Scope::client(ip)));
        let sender = asked.sender.filter(|_| !of.senders.is_empty()).and_then(|a| of.senders.get(&Scope::sender(a)));
        [of.tenant.as_deref(), domain.map(|one| &**one), client.map(|one| &**one), sender.map(|one| &**one)]
    }

    pub(super) fn suspended(&self, asked: Asked<'_>) -> Option<Stop> {
        let found = self.of(asked).into_iter().flatten().find(|measure| measure.stage == Stage::Suspend)?;
        Some(Stop { id: found.id, stage: found.stage, after: None })
    }

    /// Takes `n` from every bucket that concerns who asks, or from none.
    pub(super) fn charge(&self, asked: Asked<'_>, n: u32) -> Result<(), Stop> {
        if let Some(stop) = self.suspended(asked) {
            return Err(stop);
        }
        let found = self.of(asked);
        for (place, measure) in found.iter().enumerate() {
            let Some(measure) = measure else { continue };
            if let Err(after) = measure.bucket.take(n) {
                found.iter().take(place).flatten().for_each(|earlier| earlier.bucket.give_back(n));
                return Err(Stop { id: measure.id, stage: measure.stage, after: Some(after) });
            }
        }
        Ok(())
    }
}

/// The generic cell rate algorithm: a full burst at once, then one by one as the time allows.
#[derive(Debug)]
struct Bucket {
    rate: Throttle,
    start: Instant,
    /// Nanoseconds from `start` on: when everything taken so far will have been earned.
    earned: AtomicU64,
}

impl Bucket {
    fn new(rate: Throttle) -> Self {
        Self { rate, start: Instant::now(), earned: AtomicU64::new(0) }
    }

    fn cost(&self, n: u32) -> u64 {
        nanos(self.rate.per) / u64::from(self.rate.count.get()) * u64::from(n.min(self.rate.count.get()))
    }

    fn take(&self, n: u32) -> Result<(), Duration> {
        let (now, burst, cost) = (nanos(self.start.elapsed()), nanos(self.rate.per), self.cost(n));
        let later = |earned: u64| earned.max(now).saturating_add(cost);
        let taken = self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |earned| {
            Some(later(earned)).filter(|later| later - now <= burst)
        });
        taken.map(drop).map_err(|earned| Duration::from_nanos((later(earned) - now).saturating_sub(burst)))
    }

    fn give_back(&self, n: u32) {
        let cost = self.cost(n);
        let _ =
            self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |earned| Some(earned.saturating_sub(cost)));
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
