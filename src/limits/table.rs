//! The state of all limits: for each key the time at which its whole burst will be free again ("theoretical arrival time").
//!
//! 256 shards, each a power of two of buckets of 16 places; a key lives in one bucket. A key whose time is over is as good as none
//! and its place is free. When a bucket is full its shard doubles, up to the most; then the key whose time is nearest makes room,
//! because forgetting it gives away least.
//!
//! **Invariants**: 16 octets a place; growing moves one shard; a limited key is not pushed out by a flood of new ones, as
//! these have the nearest times of all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::rates::Rate;

const SHARDS: usize = 256;
const WAYS: usize = 16;

/// What a use of a limit costs, in nanoseconds of its time, and the most that a key may owe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Debt {
    cost: u64,
    most: u64,
}

impl Debt {
    /// What is left of it when so much time has passed.
    pub(super) fn left_after(self, since: u64) -> Self {
        Self { cost: self.cost.saturating_sub(since), ..self }
    }

    pub(super) fn of(rate: Rate, count: u64) -> Self {
        let per = rate.per().as_nanos();
        let cost = per.saturating_mul(count.into()) / u128::from(rate.count());
        let nanos = |nanos| u64::try_from(nanos).unwrap_or(u64::MAX);
        Self { cost: nanos(cost), most: nanos(per) }
    }

    /// The new time of a key; `Err`: how long to wait.
    fn after(self, time: u64, now: u64) -> Result<u64, u64> {
        let due = time.max(now).saturating_add(self.cost);
        let allowed = now.saturating_add(self.most);
        if due > allowed { Err(due - allowed) } else { Ok(due) }
    }
}

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

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(key >> 56).unwrap_or(0) % SHARDS;
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds to a key's debt; `Err`: how long to wait until it could be, and nothing was added.
    pub(super) fn take(&self, key: u64, now: u64, debt: Debt) -> Result<(), u64> {
        let key = key.max(1);
        let Some(mut shard) = self.shard(key) else { return Ok(()) };
        if let Some(place) = shard.bucket(key).iter_mut().find(|place| place.key == key) {
            place.time = debt.after(place.time, now)?;
            return Ok(());
        }
        let time = debt.after(0, now)?;
        if shard.put(Place { key, time }, now, self.most) {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// As [`take`](Self::take), adding nothing.
    pub(super) fn look(&self, key: u64, now: u64, debt: Debt) -> Result<(), u64> {
        let key = key.max(1);
        let Some(mut shard) = self.shard(key) else { return Ok(()) };
        let time = shard.bucket(key).iter().find(|place| place.key == key).map_or(0, |place| place.time);
        debt.after(time, now).map(|_| ())
    }

    /// Undoes what [`take`](Self::take) has added.
    pub(super) fn give_back(&self, key: u64, debt: Debt) {
        let key = key.max(1);
        let Some(mut shard) = self.shard(key) else { return };
        if let Some(place) = shard.bucket(key).iter_mut().find(|place| place.key == key) {
            place.time = place.time.saturating_sub(debt.cost);
        }
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
