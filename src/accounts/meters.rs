//! The accounts of all tenants, groups of tenants that share a number, and what waits to be written.
//!
//! **Invariants**: what was counted waits to be written before anybody is told of it; two locks of tenants are never held at once;
//! what waits is bounded, and what finds no room is counted as lost and seen again the next day.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;

use super::key::{Hashing, Keys, account_of};
use super::port::{DayRow, Loaded, Seen};
use super::state::{Sight, State};
use crate::model::{Address, TenantId, Timestamp};
use crate::tenant::{Over, Snapshot, Tenant, Zone};

/// Sights that wait to be written at most: some 100 MB.
const MOST_WAITING: usize = 1_000_000;
/// Sights for tenants that are not counted yet, because they were made a moment ago.
const MOST_EARLY: usize = 10_000;

/// What is to be written with the next batch.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub seen: Vec<Seen>,
    pub closed: Vec<DayRow>,
    /// Of tenants that are not counted yet.
    pub early: Vec<(TenantId, Address)>,
    pub lost: u64,
}

#[derive(Debug)]
pub(super) struct Meter {
    pub id: TenantId,
    state: Mutex<State>,
}

impl Meter {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tenants that share a number; one alone, too.
#[derive(Debug)]
pub(super) struct Group {
    /// Who has the contract that counts.
    pub head: Arc<Tenant>,
    pub members: Vec<Arc<Meter>>,
}

impl Group {
    pub fn contracted(&self) -> Option<u32> {
        self.head.contract.as_ref()?.accounts
    }

    fn refuses_new(&self) -> bool {
        self.head.contract.as_ref().is_some_and(|contract| contract.over == Over::RefuseNew)
    }

    /// Today's accounts of all members.
    pub fn number(&self) -> u32 {
        self.members.iter().map(|member| member.state().number()).fold(0, u32::saturating_add)
    }
}

/// Whether mail is there that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    Live,
    /// These new addresses of the tenant would have been let in before.
    Dry(&'a [Address]),
}

/// What an address is to a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// An account that was there before, or nobody's address.
    Existing,
    /// A new one, within the number or without one.
    New,
    /// A new one beyond the number, which the contract refuses.
    Over,
}

#[derive(Debug, Default)]
pub(super) struct Meters {
    hashing: Hashing,
    meters: RwLock<HashMap<TenantId, Arc<Meter>>>,
    /// By each of their members.
    groups: ArcSwap<HashMap<TenantId, Arc<Group>>>,
    waiting: Mutex<Waiting>,
    /// One new account is admitted at a time, so that two don't take the last place.
    admitting: Mutex<()>,
}

impl Meters {
    pub fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meter(&self, tenant: &TenantId) -> Option<Arc<Meter>> {
        self.meters.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Meter>> {
        self.meters.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Every group once.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        let groups = self.groups.load();
        groups.iter().filter(|(id, group)| **id == group.head.id).map(|(_, group)| Arc::clone(group)).collect()
    }

    /// Tenants of the snapshot that are not counted yet.
    pub fn missing(&self, snapshot: &Snapshot) -> Vec<TenantId> {
        let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
        snapshot.tenants().map(|tenant| &tenant.id).filter(|id| !meters.contains_key(*id)).cloned().collect()
    }

    /// Begins to count a tenant.
    pub fn add(&self, tenant: &Tenant, loaded: &Loaded, now: Timestamp) {
        let state = State::new(tenant.id.clone(), zone_of(tenant), loaded, &self.hashing, now);
        let meter = Arc::new(Meter { id: tenant.id.clone(), state: Mutex::new(state) });
        self.meters.write().unwrap_or_else(PoisonError::into_inner).entry(tenant.id.clone()).or_insert(meter);
    }

    /// Takes what an operator registered for a tenant.
    pub fn reload(&self, tenant: &TenantId, loaded: &Loaded) {
        if let Some(meter) = self.meter(tenant) {
            meter.state().reload(loaded, &self.hashing);
        }
    }

    /// Zones, numbers and groups as the snapshot has them; tenants that are gone are counted no more.
    pub fn follow(&self, snapshot: &Snapshot) {
        let mut meters = self.meters.write().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|id, _| snapshot.tenant(id).is_some());
        let mut members: HashMap<&TenantId, Vec<Arc<Meter>>> = HashMap::new();
        for meter in meters.values() {
            let Some(head) = snapshot.tenant(&meter.id).map(|tenant| head_of(tenant, snapshot)) else { continue };
            members.entry(&head.id).or_default().push(Arc::clone(meter));
        }
        let mut groups = HashMap::with_capacity(meters.len());
        for (head, members) in members {
            let Some(head) = snapshot.tenant(head) else { continue };
            let group = Arc::new(Group { head: Arc::clone(head), members });
            let contracted = group.contracted();
            for member in &group.members {
                let mut state = member.state();
                if let Some(tenant) = snapshot.tenant(&member.id) {
                    state.set_zone(&zone_of(tenant));
                }
                state.contracted = contracted;
                groups.insert(member.id.clone(), Arc::clone(&group));
            }
        }
        drop(meters);
        self.groups.store(Arc::new(groups));
    }

    /// Brings every tenant to the day of `now`.
    pub fn turn(&self, now: Timestamp) {
        for meter in self.all() {
            let mut state = meter.state();
            self.turn_one(&mut state, now);
        }
    }

    fn turn_one(&self, state: &mut State, now: Timestamp) {
        let mut closed = Vec::new();
        state.turn(now, &mut closed);
        if !closed.is_empty() {
            self.waiting().closed.append(&mut closed);
        }
    }

    /// Counts an account; true if it was the first sight of it today.
    pub fn observe(&self, tenant: &TenantId, address: &Address, now: Timestamp) -> bool {
        let Some(keys) = self.hashing.keys(address) else { return false };
        let Some(meter) = self.meter(tenant) else {
            let mut waiting = self.waiting();
            if waiting.early.len() < MOST_EARLY {
                waiting.early.push((tenant.clone(), address.clone()));
            } else {
                waiting.lost += 1;
            }
            return false;
        };
        let mut state = meter.state();
        self.turn_one(&mut state, now);
        let Sight::First { day, account } = state.observe(keys) else { return false };
        // Under the tenant's lock, so that what waits is in the order of its days.
        let account = account.or_else(|| account_of(address).map(Into::into));
        let mut waiting = self.waiting();
        match account {
            Some(account) if waiting.seen.len() < MOST_WAITING => {
                waiting.seen.push(Seen { tenant: tenant.clone(), account, day });
            }
            _ => waiting.lost += 1,
        }
        true
    }

    /// What an address is to its tenant's contract. With [`Asked::Live`] a place is kept for a new account that is let in.
    pub fn admit(&self, tenant: &TenantId, address: &Address, (asked, now): (Asked<'_>, Timestamp)) -> Admission {
        let Some((keys, meter)) = self.hashing.keys(address).zip(self.meter(tenant)) else {
            return Admission::Existing;
        };
        if meter.state().knows(keys) {
            return Admission::Existing;
        }
        let groups = self.groups.load();
        let Some(group) = groups.get(tenant).filter(|group| group.refuses_new()) else { return Admission::New };
        let Some(contracted) = group.contracted() else { return Admission::New };
        let _one = self.admitting.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<Keys> = match asked {
            Asked::Live => Vec::new(),
            Asked::Dry(before) => before.iter().filter_map(|address| self.hashing.keys(address)).collect(),
        };
        if before.iter().any(|other| other.folded == keys.folded) {
            return Admission::Existing;
        }
        let mut sum = u32::try_from(before.len()).unwrap_or(u32::MAX);
        for member in &group.members {
            let mut state = member.state();
            self.turn_one(&mut state, now);
            sum = sum.saturating_add(state.number_with_reserved(now));
        }
        let mut state = meter.state();
        if state.knows(keys) {
            return Admission::Existing;
        }
        if sum >= contracted {
            return Admission::Over;
        }
        if asked == Asked::Live {
            state.reserve(keys, now);
        }
        Admission::New
    }

    /// Gives back what could not be written; it goes before what came since.
    pub fn give_back(&self, mut seen: Vec<Seen>, mut closed: Vec<DayRow>) {
        let mut waiting = self.waiting();
        seen.append(&mut waiting.seen);
        closed.append(&mut waiting.closed);
        (waiting.seen, waiting.closed) = (seen, closed);
    }
}

fn zone_of(tenant: &Tenant) -> Zone {
    tenant.contract.as_ref().map(|contract| contract.zone.clone()).unwrap_or_default()
}

/// The tenant whose contract has the number. A group that isn't there any more is none.
fn head_of<'s>(tenant: &'s Arc<Tenant>, snapshot: &'s Snapshot) -> &'s Arc<Tenant> {
    let group = tenant.contract.as_ref().and_then(|contract| contract.group.as_ref());
    group.and_then(|group| snapshot.tenant(group)).unwrap_or(tenant)
}
