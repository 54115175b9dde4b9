//! Adapters behind the ports: what is kept in a database. One contract suite runs over every adapter.
//!
//! **Failure**: [`StoreError`]; a store that is away or damaged stops no running node, which goes on with the last
//! snapshot it knows.
//! **Invariants**: an edit is one transaction; readers see all of it or nothing; the version counts up with each.
//! **Elsewhere**: message bodies are in the spool.

mod accounts_memory;
mod accounts_sqlite;
mod database;
mod follow;
mod keys;
mod keys_memory;
mod keys_sqlite;
mod lists;
mod lists_memory;
mod lists_sqlite;
mod memory;
mod sqlite;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

pub use accounts_memory::MemoryAccounts;
pub use accounts_sqlite::SqliteAccounts;
pub use follow::{EVERY, Follower, Step, lists, snapshot};
pub use keys::{KeyEdit, KeyStore, MAX_KEYS, SharedKeys, Signing};
pub use keys_memory::MemoryKeys;
pub use keys_sqlite::SqliteKeys;
pub use lists::{
    Checkpoint, FileHash, HITS_EVERY, ListChanges, ListFilter, ListStore, Put, SharedLists, Whose, keep_hits,
    write_hits,
};
pub use lists_memory::MemoryLists;
pub use lists_sqlite::SqliteLists;
pub use memory::MemoryTenants;
pub use sqlite::SqliteTenants;

use crate::model::TenantId;
use crate::tenant::{Diff, SnapshotError, TenantSpec, claimed_both_ways};

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("can't open the store {}: {source}", path.display())]
    Open { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the store {} has schema {found}, this program knows up to {known}; a newer one wrote it", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(transparent)]
    Conflict(#[from] SnapshotError),
    #[error("the stored form of tenant {id} can't be read: {reason}")]
    Damaged { id: String, reason: String },
    #[error("the stored list entry {id} can't be read: {reason}")]
    DamagedEntry { id: u64, reason: String },
    #[error("the stored key {name} can't be read: {reason}")]
    DamagedKey { name: String, reason: String },
    #[error("the store failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a port's methods return: a future that can be boxed.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Whether an edit is written or only computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    DryRun,
}

/// What happened after a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    pub version: u64,
    pub changes: Changed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// In no particular order; a tenant appears once.
    Tenants(Vec<SpecChange>),
    /// The version is too long ago (or not of this store): load everything.
    Everything,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecChange {
    Put(TenantSpec),
    Remove(TenantId),
}

/// Where tenants are kept.
pub trait TenantStore: Send + Sync + std::fmt::Debug {
    /// Counts up with every edit; cheap enough to ask four times a second.
    fn version(&self) -> Answer<'_, u64>;

    /// Shows every tenant to `each`, all of one version, which is returned. In the order of their ids.
    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantSpec) + Send)) -> Answer<'a, u64>;

    /// One tenant.
    fn find<'a>(&'a self, id: &'a TenantId) -> Answer<'a, Option<TenantSpec>>;

    /// What happened after `version`.
    fn changes_since(&self, version: u64) -> Answer<'_, Changes>;

    /// Makes the store hold exactly these tenants. Only what differs is written.
    fn apply<'a>(&'a self, specs: &'a [TenantSpec], mode: Mode) -> Answer<'a, Diff>;
}

/// Refuses tenants that claim the same thing, as the snapshot would.
fn check_claims(specs: &[TenantSpec]) -> Result<(), StoreError> {
    let mut ids = std::collections::HashSet::with_capacity(specs.len());
    let mut owners = std::collections::HashMap::with_capacity(specs.len() * 2);
    for spec in specs {
        if !ids.insert(&spec.id) {
            let id = spec.id.clone();
            return Err(SnapshotError { claim: "the id".into(), owner: id.clone(), claimant: id }.into());
        }
        for claim in spec.claims() {
            if let Some(owner) = owners.insert(claim, &spec.id) {
                let (owner, claimant) = (owner.clone(), spec.id.clone());
                return Err(SnapshotError { claim: claim.to_string(), owner, claimant }.into());
            }
        }
    }
    if let Some((owner, claimant, network)) = claimed_both_ways(specs) {
        let claim = format!("network {network}, shared for the second,");
        return Err(SnapshotError { claim, owner: owner.clone(), claimant: claimant.clone() }.into());
    }
    Ok(())
}

/// Any store, shared.
pub type SharedTenants = Arc<dyn TenantStore>;

#[cfg(test)]
mod accounts_contract;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod keys_contract;
#[cfg(test)]
mod lists_contract;
