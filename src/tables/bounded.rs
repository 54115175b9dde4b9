//! A table with a most number of entries: when it is full, an entry that is worth little makes room.
//!
//! **Invariants**: never more entries than allowed; no call looks at more than [`SAMPLE`] others to find a victim, whatever the size.
//! A flood of new entries pushes out its own kind first, because what was seen once is worth least.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Timestamp;

/// Seconds since 1970; enough until 2106, and half the room of a [`Timestamp`].
pub type Seconds = u32;

pub fn seconds(at: Timestamp) -> Seconds {
    Seconds::try_from(at.as_millis() / 1000).unwrap_or(Seconds::MAX)
}

pub fn timestamp(at: Seconds) -> Timestamp {
    Timestamp::from_millis(u64::from(at) * 1000)
}

/// Enough that two connections rarely wait for each other.
const SHARDS: usize = 64;
/// Entries that are compared to find the one to go.
pub const SAMPLE: usize = 16;

/// What losing an entry would cost; the least goes first.
pub trait Worth {
    fn worth(&self, now: Seconds) -> f32;
}

pub struct Bounded<K, V> {
    shards: Box<[Mutex<Shard<K, V>>]>,
    hasher: RandomState,
    most_per_shard: usize,
    evicted: AtomicU64,
}

struct Shard<K, V> {
    places: HashMap<K, u32>,
    entries: Vec<(K, V)>,
    /// Where the next search for a victim begins.
    hand: usize,
}

impl<K: Copy + Eq + Hash, V: Worth> Bounded<K, V> {
    /// At most `most` entries, rounded up to a multiple of the number of shards.
    pub fn new(most: usize) -> Self {
        let shard = || Mutex::new(Shard { places: HashMap::new(), entries: Vec::new(), hand: 0 });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            most_per_shard: most.div_ceil(SHARDS).clamp(1, u32::MAX as usize),
            evicted: AtomicU64::new(0),
        }
    }

    fn shard(&self, key: &K) -> Option<MutexGuard<'_, Shard<K, V>>> {
        let index = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0) % SHARDS;
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn look<R>(&self, key: &K, look: impl FnOnce(&V) -> R) -> Option<R> {
        let shard = self.shard(key)?;
        let place = *shard.places.get(key)?;
        shard.entries.get(place as usize).map(|(_, value)| look(value))
    }

    /// Changes the entry, which is made by `fresh` if there is none yet.
    pub fn change<R>(
        &self,
        key: K,
        now: Seconds,
        fresh: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let mut shard = self.shard(&key)?;
        let place = match shard.places.get(&key) {
            Some(place) => *place as usize,
            None => {
                if shard.entries.len() >= self.most_per_shard {
                    shard.evict(now);
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                shard.push(key, fresh())
            }
        };
        shard.entries.get_mut(place).map(|(_, value)| change(value))
    }

    pub fn remove(&self, key: &K) -> Option<V> {
        let mut shard = self.shard(key)?;
        let place = *shard.places.get(key)?;
        shard.take(place as usize).map(|(_, value)| value)
    }

    /// Shard by shard; a shard is locked while its entries are looked at.
    pub fn each(&self, mut look: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            for (key, value) in &shard.lock().unwrap_or_else(PoisonError::into_inner).entries {
                look(key, value);
            }
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len()).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that had to make room since the last call.
    pub fn take_evicted(&self) -> u64 {
        self.evicted.swap(0, Ordering::Relaxed)
    }
}

impl<K: Copy + Eq + Hash, V: Worth> Shard<K, V> {
    fn push(&mut self, key: K, value: V) -> usize {
        let place = self.entries.len();
        self.entries.push((key, value));
        self.places.insert(key, u32::try_from(place).unwrap_or(u32::MAX));
        place
    }

    fn evict(&mut self, now: Seconds) {
        let length = self.entries.len();
        // Spread over the shard: entries of one time, and so of one kind, stand together.
        let stride = (length / SAMPLE).max(1);
        let sample = (0..SAMPLE.min(length)).map(|step| (self.hand + step * stride) % length.max(1));
        let worth = |place: &usize| self.entries.get(*place).map_or(f32::MAX, |(_, value)| value.worth(now));
        let victim = sample.min_by(|a, b| worth(a).total_cmp(&worth(b)));
        self.hand = (self.hand + 1) % length.max(1);
        if let Some(victim) = victim {
            self.take(victim);
        }
    }

    /// The last entry moves into the place that becomes free.
    fn take(&mut self, place: usize) -> Option<(K, V)> {
        if place >= self.entries.len() {
            return None;
        }
        let taken = self.entries.swap_remove(place);
        self.places.remove(&taken.0);
        if let Some((moved, _)) = self.entries.get(place) {
            self.places.insert(*moved, u32::try_from(place).unwrap_or(u32::MAX));
        }
        Some(taken)
    }
}

impl<K, V> fmt::Debug for Bounded<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("most_per_shard", &self.most_per_shard).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap as Model;

    use super::*;

    impl Worth for u32 {
        fn worth(&self, _: Seconds) -> f32 {
            f32::from(u16::try_from(*self).unwrap_or(u16::MAX))
        }
    }

    #[test]
    fn it_is_a_map_until_it_is_full() {
        let (table, mut model) = (Bounded::<u64, u32>::new(1 << 20), Model::new());
        for step in 0..20_000_u64 {
            let key = step * 7919 % 3000;
            if step % 5 == 4 {
                assert_eq!(table.remove(&key), model.remove(&key));
            } else {
                table.change(key, 0, || 0, |value| *value += 1);
                *model.entry(key).or_insert(0) += 1;
            }
            assert_eq!(table.look(&key, |value| *value), model.get(&key).copied());
        }
        assert_eq!(table.len(), model.len());
        let mut all = Model::new();
        table.each(|key, value| assert!(all.insert(*key, *value).is_none()));
        assert_eq!((all, table.take_evicted()), (model, 0));
    }

    #[test]
    fn a_flood_of_newcomers_does_not_push_out_what_is_worth_more() {
        let table = Bounded::<u64, u32>::new(6400);
        for key in 0..1000 {
            table.change(key, 0, || 500, |_| ());
        }
        for key in 1000..200_000 {
            table.change(key, 0, || 1, |_| ());
            assert!(key % 1000 != 0 || table.len() <= 6400);
        }
        assert!(table.take_evicted() > 190_000);
        assert_eq!((0..1000).filter(|key| table.look(key, |_| ()).is_some()).count(), 1000);
    }
}
