//! From the store to the running node: compiles the first snapshot and then each next one as the store changes.
//!
//! **Failure**: an error leaves the running snapshot in place; the next look tries again.
//! **Invariants**: an edit of a few tenants compiles those and shares everything else with the snapshot before.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::tenant::{Snapshot, Tenant, TenantChange};

use super::{Changed, SharedTenants, SpecChange, StoreError, TenantStore};

/// How often the store's version is asked for: a change is live within this and the time to read it.
pub const EVERY: Duration = Duration::from_millis(200);

/// Compiles everything that the store holds.
///
/// # Errors
/// [`StoreError`], also if two stored tenants claim the same.
pub async fn snapshot(store: &dyn TenantStore) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot::empty();
    let mut conflict = None;
    let mut put = |spec| {
        if conflict.is_none() {
            conflict = snapshot.put(&Arc::new(Tenant::compile(spec))).err();
        }
    };
    let version = store.load(&mut put).await?;
    match conflict {
        Some(conflict) => Err(conflict.into()),
        None => Ok(snapshot.at(version)),
    }
}

/// What a look at the store led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Unchanged,
    /// A new snapshot is live: its version, and how many tenants were compiled for it.
    Live {
        version: u64,
        tenants: usize,
    },
}

/// Keeps a shared snapshot equal to the store.
#[derive(Debug)]
pub struct Follower {
    store: SharedTenants,
    live: Arc<ArcSwap<Snapshot>>,
}

impl Follower {
    #[must_use]
    pub fn new(store: SharedTenants, live: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { store, live }
    }

    /// Looks once.
    ///
    /// # Errors
    /// [`StoreError`]; the snapshot stays as it is.
    pub async fn look(&self) -> Result<Step, StoreError> {
        let current = self.live.load_full();
        if self.store.version().await? == current.version() {
            return Ok(Step::Unchanged);
        }
        let changes = self.store.changes_since(current.version()).await?;
        let (next, tenants) = match changes.changes {
            Changed::Everything => {
                let next = snapshot(&*self.store).await?;
                let tenants = next.len();
                (next, tenants)
            }
            Changed::Tenants(specs) => {
                let edits: Vec<TenantChange> = specs.into_iter().map(compile).collect();
                (current.edited(changes.version, &edits)?, edits.len())
            }
        };
        let version = next.version();
        self.live.store(Arc::new(next));
        Ok(Step::Live { version, tenants })
    }

    /// Looks every 200 ms, for ever; tells of every step and error (an error once, until it changes or passes).
    pub async fn run(self, mut tell: impl FnMut(Result<Step, &StoreError>) + Send) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut trouble: Option<String> = None;
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(Step::Unchanged) if trouble.is_none() => {}
                Ok(step) => {
                    trouble = None;
                    tell(Ok(step));
                }
                Err(error) => {
                    let text = error.to_string();
                    if trouble.as_ref() != Some(&text) {
                        tell(Err(&error));
                    }
                    trouble = Some(text);
                }
            }
        }
    }
}

fn compile(change: SpecChange) -> TenantChange {
    match change {
        SpecChange::Put(spec) => TenantChange::Put(Arc::new(Tenant::compile(spec))),
        SpecChange::Remove(id) => TenantChange::Remove(id),
    }
}
