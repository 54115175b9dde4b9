//! Hits of entries, counted in memory until they are written down.
//!
//! **Failure**: a hit that finds no room is counted as lost.
//! **Invariants**: at most [`Hits::CAPACITY`] entries wait; counting takes no longer than one short lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Timestamp;
use crate::model::lists::EntryId;

/// What happened to one entry since the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    pub id: EntryId,
    pub count: u64,
    pub last: Timestamp,
}

/// Counts hits. One for all versions of the lists.
#[derive(Debug)]
pub struct Hits {
    shards: [Mutex<HashMap<EntryId, (u64, Timestamp)>>; Self::SHARDS],
    lost: AtomicU64,
}

impl Default for Hits {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), lost: AtomicU64::new(0) }
    }
}

impl Hits {
    const SHARDS: usize = 16;
    /// Entries that can wait to be written, about 4 MB.
    pub const CAPACITY: usize = 65_536;

    /// The entry decided.
    pub fn count(&self, id: EntryId, now: Timestamp) {
        let Some(mut shard) = self.shard(id) else { return };
        if let Some((count, last)) = shard.get_mut(&id) {
            *count = count.saturating_add(1);
            *last = now.max(*last);
        } else if shard.len() < Self::CAPACITY / Self::SHARDS {
            shard.insert(id, (1, now));
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn shard(&self, id: EntryId) -> Option<MutexGuard<'_, HashMap<EntryId, (u64, Timestamp)>>> {
        let at = usize::try_from(id.0).unwrap_or_default() % Self::SHARDS;
        Some(self.shards.get(at)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes out all that waits.
    #[must_use]
    pub fn take(&self) -> Vec<Hit> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let waiting = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            taken.extend(waiting.into_iter().map(|(id, (count, last))| Hit { id, count, last }));
        }
        taken
    }

    /// Puts back what could not be written.
    pub fn restore(&self, hits: &[Hit]) {
        for hit in hits {
            let Some(mut shard) = self.shard(hit.id) else { continue };
            let room = shard.len() < Self::CAPACITY / Self::SHARDS;
            match shard.get_mut(&hit.id) {
                Some((count, last)) => {
                    *count = count.saturating_add(hit.count);
                    *last = hit.last.max(*last);
                }
                None if room => {
                    shard.insert(hit.id, (hit.count, hit.last));
                }
                None => {
                    self.lost.fetch_add(hit.count, Ordering::Relaxed);
                }
            }
        }
    }

    /// Hits that found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_counted_taken_and_put_back() {
        let hits = Hits::default();
        let at = Timestamp::from_millis;
        hits.count(EntryId(1), at(5));
        hits.count(EntryId(1), at(3));
        let taken = hits.take();
        assert_eq!(taken, [Hit { id: EntryId(1), count: 2, last: at(5) }]);
        assert!(hits.take().is_empty());
        hits.count(EntryId(1), at(9));
        hits.restore(&taken);
        assert_eq!(hits.take(), [Hit { id: EntryId(1), count: 3, last: at(9) }]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_lost_is_counted() {
        let hits = Hits::default();
        for id in 0..100_000 {
            hits.count(EntryId(id), Timestamp::from_millis(1));
        }
        assert_eq!(hits.lost(), 100_000 - Hits::CAPACITY as u64);
        hits.count(EntryId(0), Timestamp::from_millis(2));
        assert_eq!(hits.take().len(), Hits::CAPACITY);
    }
}
