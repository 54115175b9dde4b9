//! Measures in memory: for tests and the demo. A switch makes it fail as a database that is away does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::suspensions::{MOST_SUSPENSIONS, SuspensionFilter, SuspensionStore};
use super::{Answer, StoreError};
use crate::model::suspension::{Suspension, SuspensionId};
use crate::model::{TenantId, Timestamp};

#[derive(Debug, Default)]
pub struct MemorySuspensions {
    state: Mutex<State>,
    away: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    seen: Option<Timestamp>,
    all: BTreeMap<SuspensionId, Suspension>,
}

impl MemorySuspensions {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on nothing works, or works again.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn answer<'a, T: Send + 'a>(&'a self, work: impl FnOnce(&mut State) -> T) -> Answer<'a, T> {
        let done = if self.away.load(Ordering::SeqCst) {
            Err(StoreError::Database(sqlx::Error::PoolTimedOut))
        } else {
            Ok(work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)))
        };
        Box::pin(std::future::ready(done))
    }
}

fn ended(one: &Suspension) -> Option<Timestamp> {
    one.ended.as_ref().map(|ended| ended.at)
}

impl SuspensionStore for MemorySuspensions {
    fn version(&self) -> Answer<'_, u64> {
        self.answer(|state| state.version)
    }

    fn put<'a>(&'a self, suspensions: &'a [Suspension]) -> Answer<'a, u64> {
        self.answer(|state| {
            let mut changed = false;
            for one in suspensions {
                let known = state.all.get(&one.id);
                if known.is_none_or(|known| known.is_active() && known != one) {
                    state.all.insert(one.id, one.clone());
                    changed = true;
                }
            }
            state.version += u64::from(changed);
            state.version
        })
    }

    fn load(&self, ended_after: Timestamp) -> Answer<'_, (u64, Vec<Suspension>)> {
        self.answer(|state| {
            let wanted = state.all.values().filter(|one| ended(one).is_none_or(|at| at > ended_after));
            (state.version, wanted.cloned().collect())
        })
    }

    fn list<'a>(&'a self, filter: &'a SuspensionFilter) -> Answer<'a, Vec<Suspension>> {
        self.answer(|state| {
            let newest = state.all.values().rev();
            let wanted = newest.filter(|one| {
                (filter.ended || one.is_active())
                    && filter.tenant.as_ref().is_none_or(|tenant| *tenant == one.subject.tenant)
                    && filter.before.is_none_or(|before| one.id < before)
            });
            wanted.take(filter.limit.min(MOST_SUSPENSIONS)).cloned().collect()
        })
    }

    fn find(&self, id: SuspensionId) -> Answer<'_, Option<Suspension>> {
        self.answer(|state| state.all.get(&id).cloned())
    }

    fn forget(&self, ended_before: Timestamp) -> Answer<'_, u64> {
        self.answer(|state| {
            let before = state.all.len();
            state.all.retain(|_, one| ended(one).is_none_or(|at| at >= ended_before));
            let gone = before - state.all.len();
            state.version += u64::from(gone > 0);
            gone as u64
        })
    }

    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, u64> {
        self.answer(|state| {
            let before = state.all.len();
            state.all.retain(|_, one| one.subject.tenant != *tenant);
            let gone = before - state.all.len();
            state.version += u64::from(gone > 0);
            gone as u64
        })
    }

    fn saw(&self, now: Timestamp) -> Answer<'_, ()> {
        self.answer(|state| state.seen = Some(now))
    }

    fn seen(&self) -> Answer<'_, Option<Timestamp>> {
        self.answer(|state| state.seen)
    }
}
