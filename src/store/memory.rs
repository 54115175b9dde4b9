//! Tenants in memory: for tests and the demo.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::TenantId;
use crate::tenant::{Changed as ChangedTenant, Diff, TenantSpec, differences};

use super::{Answer, Changed, Changes, Mode, SpecChange, StoreError, TenantStore, check_claims};

#[derive(Debug, Default)]
pub struct MemoryTenants {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// `None`: removed at that version.
    tenants: BTreeMap<TenantId, (u64, Option<TenantSpec>)>,
}

impl MemoryTenants {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn present(&self) -> impl Iterator<Item = &TenantSpec> {
        self.tenants.values().filter_map(|(_, spec)| spec.as_ref())
    }

    fn find(&self, id: &TenantId) -> Option<&TenantSpec> {
        self.tenants.get(id)?.1.as_ref()
    }

    fn diff(&self, specs: &[TenantSpec]) -> Diff {
        let mut diff = Diff { version: self.version, ..Diff::default() };
        for spec in specs {
            match self.find(&spec.id) {
                None => diff.added.push(spec.id.clone()),
                Some(old) if old == spec => diff.unchanged += 1,
                Some(old) => {
                    diff.changed.push(ChangedTenant { id: spec.id.clone(), differences: differences(old, spec) });
                }
            }
        }
        let kept: std::collections::HashSet<_> = specs.iter().map(|spec| &spec.id).collect();
        diff.removed = self.present().map(|spec| &spec.id).filter(|id| !kept.contains(id)).cloned().collect();
        diff
    }

    fn apply(&mut self, specs: &[TenantSpec], mode: Mode) -> Diff {
        let mut diff = self.diff(specs);
        if mode == Mode::DryRun || diff.is_empty() {
            return diff;
        }
        self.version += 1;
        diff.version = self.version;
        let changed: Vec<TenantSpec> = specs.iter().filter(|spec| self.find(&spec.id) != Some(spec)).cloned().collect();
        for spec in changed {
            self.tenants.insert(spec.id.clone(), (self.version, Some(spec)));
        }
        for id in &diff.removed {
            self.tenants.insert(id.clone(), (self.version, None));
        }
        diff
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Answer<'a, T> {
    Box::pin(std::future::ready(result))
}

impl TenantStore for MemoryTenants {
    fn version(&self) -> Answer<'_, u64> {
        ready(Ok(self.state().version))
    }

    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantSpec) + Send)) -> Answer<'a, u64> {
        let state = self.state();
        state.present().cloned().for_each(each);
        ready(Ok(state.version))
    }

    fn find<'a>(&'a self, id: &'a TenantId) -> Answer<'a, Option<TenantSpec>> {
        ready(Ok(self.state().find(id).cloned()))
    }

    fn changes_since(&self, version: u64) -> Answer<'_, Changes> {
        let state = self.state();
        if version > state.version {
            return ready(Ok(Changes { version: state.version, changes: Changed::Everything }));
        }
        let newer = state.tenants.iter().filter(|(_, (at, _))| *at > version);
        let changes = newer.map(|(id, (_, spec))| match spec {
            Some(spec) => SpecChange::Put(spec.clone()),
            None => SpecChange::Remove(id.clone()),
        });
        ready(Ok(Changes { version: state.version, changes: Changed::Tenants(changes.collect()) }))
    }

    fn apply<'a>(&'a self, specs: &'a [TenantSpec], mode: Mode) -> Answer<'a, Diff> {
        ready(check_claims(specs).map(|()| self.state().apply(specs, mode)))
    }
}
