//! The state of all limits: for each key the time at which its whole burst will be free again (governor's "theoretical arrival").
//!
//! 256 shards, each a power of two of buckets of 16 places; a key lives in one bucket. A key whose time is over is as good as none
//! and its place is free. When a bucket is full its shard doubles, up to the most; then the key whose time is nearest makes room,
//! because forgetting it gives away least.
//!
//! **Invariants**: 16 octets a place; growing moves one shard; a limited key is not pushed out by a flood of new ones, as
//! these have the nearest times of all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;

use super::Monotonic;

const SHARDS: usize = 256;
const WAYS: usize = 16;

/// Key 0: never used.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    key: u64,
    time: u64,
}

impl Place {
    fn is_live(&self, now: u64) -> bool {
        self.key != 0 && self.time > now
    }
}

#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    /// Buckets of one shard; a power of two.
    most: usize,
    evicted: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    places: Box<[Place]>,
}

impl Table {
    /// For `keys` keys at five eighths of its places: then a bucket is hardly ever full by chance.
    pub(super) fn new(keys: usize) -> Self {
        let places = (keys / 5).saturating_mul(8).div_ceil(SHARDS);
        let shard = || Mutex::new(Shard::new(1));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            // Rounded up: 1.6 to 3.2 places a key, so at most 52 octets for each.
            most: places.div_ceil(WAYS).next_power_of_two(),
            evicted: AtomicU64::new(0),
        }
    }

    fn measure<T, E>(
        &self,
        key: u64,
        now: u64,
        measure: impl Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    ) -> Result<T, E> {
        let key = key.max(1);
        let index = usize::try_from(key >> 56).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(index) else { return measure(None).map(|(allowed, _)| allowed) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = shard.bucket(key).iter_mut().find(|place| place.key == key) {
            let (allowed, time) = measure(Some(Nanos::new(place.time)))?;
            place.time = time.as_u64();
            return Ok(allowed);
        }
        let (allowed, time) = measure(None)?;
        if shard.put(Place { key, time: time.as_u64() }, now, self.most) {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(allowed)
    }

    pub(super) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).shrink(now);
        }
    }

    pub(super) fn live(&self, now: u64) -> usize {
        let live = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).live(now);
        self.shards.iter().map(live).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        let places = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).places.len();
        self.shards.iter().map(places).sum::<usize>() * size_of::<Place>()
    }

    /// Live keys that made room since the last call.
    pub(super) fn take_evicted(&self) -> u64 {
        self.evicted.swap(0, Ordering::Relaxed)
    }
}

impl Shard {
    fn new(buckets: usize) -> Self {
        Self { places: vec![Place::default(); buckets * WAYS].into() }
    }

    fn buckets(&self) -> usize {
        self.places.len() / WAYS
    }

    fn bucket(&mut self, key: u64) -> &mut [Place] {
        let begin = (usize::try_from(key & 0xffff_ffff).unwrap_or(0) & (self.buckets() - 1)) * WAYS;
        self.places.get_mut(begin..begin + WAYS).unwrap_or_default()
    }

    /// True if a live key made room.
    fn put(&mut self, new: Place, now: u64, most: usize) -> bool {
        loop {
            if let Some(free) = self.bucket(new.key).iter_mut().find(|place| !place.is_live(now)) {
                *free = new;
                return false;
            }
            if self.buckets() >= most {
                break;
            }
            self.rebuild(self.buckets() * 2, now);
        }
        if let Some(victim) = self.bucket(new.key).iter_mut().min_by_key(|place| place.time) {
            *victim = new;
        }
        true
    }

    /// A bucket's keys that don't all fit lose the nearest times; when growing they always fit.
    fn rebuild(&mut self, buckets: usize, now: u64) {
        let old = std::mem::replace(self, Self::new(buckets));
        for place in old.places.iter().filter(|place| place.is_live(now)) {
            self.put(*place, now, buckets);
        }
    }

    fn live(&self, now: u64) -> usize {
        self.places.iter().filter(|place| place.is_live(now)).count()
    }

    /// To a quarter full, if it is less than an eighth full.
    fn shrink(&mut self, now: u64) {
        let wanted = (self.live(now) * 4).div_ceil(WAYS).next_power_of_two();
        if wanted * 2 <= self.buckets() {
            let before = self.places.clone();
            self.rebuild(wanted, now);
            // Chance may crowd a bucket: then better large than wrong.
            if self.live(now) < before.iter().filter(|place| place.is_live(now)).count() {
                self.places = before;
            }
        }
    }
}

/// The table behind governor's port.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub table: Arc<Table>,
    pub clock: Monotonic,
}

impl StateStore for Shared {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.table.measure(*key, self.clock.now().as_u64(), measure)
    }
}
