//! From the store to the running node: compiles the first snapshot and then each next one as the store changes.
//!
//! **Failure**: an error leaves the running snapshot in place; the next look tries again.
//! **Invariants**: an edit of a few tenants compiles those and shares everything else with the snapshot before.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::tenant::lists::{Compiler, ListChange, Lists};
use crate::tenant::{Snapshot, Tenant, TenantChange};

use super::{Changed, ListStore, SharedLists, SharedTenants, SpecChange, StoreError, TenantStore};

/// How often the store's version is asked for: a change is live within this and the time to read it.
pub const EVERY: Duration = Duration::from_millis(200);

/// Edits of more list entries than this are compiled aside: an import of a million takes seconds, and no worker has them.
const ASIDE: usize = 1000;

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

/// Compiles every entry that the store holds.
///
/// # Errors
/// [`StoreError`], also if a stored entry can't be read.
pub async fn lists(store: &dyn ListStore) -> Result<Lists, StoreError> {
    let mut compiler = Compiler::default();
    let version = store.load(&mut compiler).await?;
    Ok(compiler.finish(version))
}

/// What a look at the store led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Unchanged,
    /// A new snapshot is live: its version, and how many tenants and list entries were compiled for it.
    Live {
        version: u64,
        tenants: usize,
        entries: usize,
    },
}

/// Keeps a shared snapshot equal to the store.
#[derive(Debug)]
pub struct Follower {
    store: SharedTenants,
    lists: Option<SharedLists>,
    live: Arc<ArcSwap<Snapshot>>,
}

impl Follower {
    #[must_use]
    pub fn new(store: SharedTenants, live: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { store, lists: None, live }
    }

    /// Follows the lists as well.
    #[must_use]
    pub fn with_lists(self, lists: SharedLists) -> Self {
        Self { lists: Some(lists), ..self }
    }

    /// Looks once.
    ///
    /// # Errors
    /// [`StoreError`]; the snapshot stays as it is, except that tenants are taken even if lists can't be.
    pub async fn look(&self) -> Result<Step, StoreError> {
        let tenants = self.look_at_tenants().await;
        let entries = self.look_at_lists().await;
        match (tenants?, entries?) {
            (None, None) => Ok(Step::Unchanged),
            (tenants, entries) => Ok(Step::Live {
                version: self.live.load().version(),
                tenants: tenants.unwrap_or_default(),
                entries: entries.unwrap_or_default(),
            }),
        }
    }

    async fn look_at_tenants(&self) -> Result<Option<usize>, StoreError> {
        let current = self.live.load_full();
        if self.store.version().await? == current.version() {
            return Ok(None);
        }
        let changes = self.store.changes_since(current.version()).await?;
        let (next, tenants) = match changes.changes {
            Changed::Everything => {
                let next = snapshot(&*self.store).await?;
                let tenants = next.len();
                (next.with_lists(Arc::clone(current.shared_lists())), tenants)
            }
            Changed::Tenants(specs) => {
                let edits: Vec<TenantChange> = specs.into_iter().map(compile).collect();
                (current.edited(changes.version, &edits)?, edits.len())
            }
        };
        self.live.store(Arc::new(next));
        Ok(Some(tenants))
    }

    async fn look_at_lists(&self) -> Result<Option<usize>, StoreError> {
        let Some(store) = &self.lists else { return Ok(None) };
        let current = self.live.load_full();
        if store.version().await? == current.lists().version() {
            return Ok(None);
        }
        let changes = store.changes_since(current.lists().version()).await?;
        let (next, entries) = match changes.changes {
            None => {
                let next = lists(&**store).await?;
                let entries = next.len();
                (next, entries)
            }
            Some(edits) => {
                let entries = edits.len();
                (edited(&current, changes.version, edits).await?, entries)
            }
        };
        self.live.store(Arc::new(Snapshot::clone(&current).with_lists(Arc::new(next))));
        Ok(Some(entries))
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

async fn edited(current: &Arc<Snapshot>, version: u64, edits: Vec<ListChange>) -> Result<Lists, StoreError> {
    if edits.len() <= ASIDE {
        return Ok(current.lists().edited(version, &edits));
    }
    let current = Arc::clone(current);
    let compiled = tokio::task::spawn_blocking(move || current.lists().edited(version, &edits)).await;
    compiled.map_err(|error| StoreError::Database(sqlx::Error::Io(error.into())))
}

fn compile(change: SpecChange) -> TenantChange {
    match change {
        SpecChange::Put(spec) => TenantChange::Put(Arc::new(Tenant::compile(spec))),
        SpecChange::Remove(id) => TenantChange::Remove(id),
    }
}
