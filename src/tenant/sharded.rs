//! A set in shards, copied on write: a clone shares every shard, an edit copies the shards it touches and no other.
//!
//! Entries are small handles (a pointer and an index), so that copying a shard copies no tenant.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// 100,000 entries make shards of about 100: an edit copies some 2 KB of handles.
const SHARDS: usize = 1024;

/// Entries of type `E`, found by their borrowed key.
#[derive(Debug, Clone)]
pub(super) struct ShardedSet<E> {
    shards: Box<[Arc<HashSet<E, RandomState>>]>,
    hasher: RandomState,
}

impl<E: Clone + Eq + Hash> ShardedSet<E> {
    pub(super) fn new() -> Self {
        let hasher = RandomState::new();
        let empty = Arc::new(HashSet::with_hasher(hasher.clone()));
        Self { shards: vec![empty; SHARDS].into(), hasher }
    }

    /// The middle bits: the table inside a shard uses the lowest and the highest.
    fn shard_of<K: Hash + ?Sized>(&self, key: &K) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize & (SHARDS - 1)
    }

    pub(super) fn find<K: Eq + Hash + ?Sized>(&self, key: &K) -> Option<&E>
    where
        E: Borrow<K>,
    {
        self.shards.get(self.shard_of(key))?.get(key)
    }

    /// Puts an entry in; gives back the one that stands in its place already, if any.
    pub(super) fn insert(&mut self, entry: E) -> Result<(), E> {
        let at = self.shard_of(&entry);
        let Some(shard) = self.shards.get_mut(at) else { return Err(entry) };
        if let Some(there) = shard.get(&entry) {
            return Err(there.clone());
        }
        Arc::make_mut(shard).insert(entry);
        Ok(())
    }

    pub(super) fn remove(&mut self, entry: &E) -> bool {
        let at = self.shard_of(entry);
        self.shards.get_mut(at).is_some_and(|shard| shard.contains(entry) && Arc::make_mut(shard).remove(entry))
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// How many shards are not the same allocation in both.
    pub(super) fn unshared(&self, other: &Self) -> usize {
        self.shards.iter().zip(&other.shards).filter(|(a, b)| !Arc::ptr_eq(a, b)).count()
    }
}
