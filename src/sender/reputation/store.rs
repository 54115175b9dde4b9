//! Where the records are: a port, and the adapter that keeps them in memory.
//!
//! **Failure**: an adapter that can't reach its place answers as if it knew nothing and drops changes: reputation never stops
//! mail by being away.
//! **Invariants**: a change of one record is atomic; nothing here waits for a network or a disk but load and save.

use std::fmt;
use std::path::Path;

use super::{Key, Record};
use crate::tables::state_file::{self, Encoder, StateError};
use crate::tables::{Bounded, Seconds};

/// The records of all sources.
pub trait ReputationStore: Send + Sync + fmt::Debug {
    fn look(&self, key: Key) -> Option<Record>;
    /// Calls `change` once, with the record of `key` or a new one as of `now`.
    fn change(&self, key: Key, now: Seconds, change: &mut dyn FnMut(&mut Record));
    fn remove(&self, key: Key) -> Option<Record>;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Records that made room for others since the last call.
    fn take_evicted(&self) -> u64;
    /// # Errors
    /// [`StateError`]; nothing was taken over.
    fn load(&self, path: &Path) -> Result<(), StateError>;
    /// # Errors
    /// [`StateError`]; the file of before is still there.
    fn save(&self, path: &Path) -> Result<(), StateError>;
}

const NAME: &[u8; 8] = b"SKREPU1\n";

/// Bounded; what is worth least makes room.
#[derive(Debug)]
pub struct MemoryReputation {
    records: Bounded<Key, Record>,
}

impl MemoryReputation {
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { records: Bounded::new(most) }
    }
}

impl ReputationStore for MemoryReputation {
    fn look(&self, key: Key) -> Option<Record> {
        self.records.look(&key, |record| *record)
    }

    fn change(&self, key: Key, now: Seconds, change: &mut dyn FnMut(&mut Record)) {
        self.records.change(key, now, || Record::new(now), change);
    }

    fn remove(&self, key: Key) -> Option<Record> {
        self.records.remove(&key)
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    fn take_evicted(&self) -> u64 {
        self.records.take_evicted()
    }

    fn load(&self, path: &Path) -> Result<(), StateError> {
        for (key, loaded) in state_file::load::<Key, Record>(path, NAME)?.unwrap_or_default() {
            self.records.change(key, loaded.at, || loaded, |_| ());
        }
        Ok(())
    }

    fn save(&self, path: &Path) -> Result<(), StateError> {
        let mut encoder = Encoder::new(NAME);
        self.records.each(|key, record| encoder.push(key, record));
        state_file::replace(path, &encoder.finish())
    }
}
