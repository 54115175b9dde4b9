//! For each tenant, the groups of alike messages that its senders sent lately, and how many recipients each has reached.
//!
//! A recipient counts once for a group: the last [`REMEMBERED`] are known by 32 bits of a hash, so that a report which goes to the same
//! few people every minute never grows, and nobody passes as somebody else by trying often.
//!
//! **Failure**: a group that made room for another begins anew: less is counted than was sent, never more.
//! **Invariants**: at most [`MOST_PER_TENANT`] groups a tenant and the given number in all (each tenant may have [`FREE`] beyond it).
//! A group that has reached many goes last.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Sketch;
use crate::model::{Address, TenantId};
use crate::tables::Seconds;

/// Groups of one tenant.
pub const MOST_PER_TENANT: usize = 512;
/// Groups that each tenant may have whatever all others have.
pub const FREE: usize = 16;
/// A group that nothing was added to for so long is none any more.
const FORGOTTEN: Seconds = 2 * 86_400;
/// Groups that have reached so many go after all others.
const WORTH_KEEPING: u32 = 10;
const SHARDS: usize = 64;
/// Recipients of a group that are known again.
pub const REMEMBERED: usize = 256;

/// What a message would be part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Names the group; 0: there is none yet.
    pub group: u64,
    /// Recipients that the group has not reached before.
    pub fresh: u32,
    /// Recipients that it has reached.
    pub reached: u32,
    /// Different senders (estimate, at most 64).
    pub senders: u32,
}

type Shard = HashMap<TenantId, Vec<Group>>;

/// See the module.
pub struct Groups {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    next: AtomicU64,
    total: AtomicUsize,
    most: usize,
}

struct Group {
    id: u64,
    sketch: Sketch,
    last: Seconds,
    reached: u32,
    /// One bit for each of 64 hashes of senders.
    senders: u64,
    /// The last of them; a ring once it is full.
    seen: Vec<u32>,
}

impl Group {
    fn has(&self, hash: u32) -> bool {
        self.seen.contains(&hash)
    }

    fn add(&mut self, hash: u32) {
        let at = self.reached as usize % REMEMBERED;
        match self.seen.get_mut(at) {
            Some(oldest) => *oldest = hash,
            None => self.seen.push(hash),
        }
        self.reached = self.reached.saturating_add(1);
    }
}

impl Groups {
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next: AtomicU64::new(1),
            total: AtomicUsize::new(0),
            most,
        }
    }

    /// What a message with this sketch is part of; changes nothing.
    #[must_use]
    pub fn look<'a>(
        &self,
        tenant: &TenantId,
        sketch: &Sketch,
        recipients: impl IntoIterator<Item = &'a Address>,
        now: Seconds,
    ) -> Found {
        let hashes = self.hashes(recipients);
        let shard = self.shard(tenant);
        let groups = shard.as_ref().and_then(|shard| shard.get(tenant));
        let found = groups.and_then(|groups| find(groups, sketch, now).and_then(|at| groups.get(at)));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match found {
            None => Found { group: 0, fresh: count(hashes.len()), reached: 0, senders: 0 },
            Some(group) => Found {
                group: group.id,
                fresh: count(hashes.iter().filter(|hash| !group.has(**hash)).count()),
                reached: group.reached,
                senders: group.senders.count_ones(),
            },
        }
    }

    /// The message was sent.
    pub fn add<'a>(
        &self,
        tenant: &TenantId,
        (sketch, sender): (&Sketch, u64),
        recipients: impl IntoIterator<Item = &'a Address>,
        now: Seconds,
    ) {
        let hashes = self.hashes(recipients);
        let Some(mut shard) = self.shard(tenant) else { return };
        if !shard.contains_key(tenant) {
            shard.insert(tenant.clone(), Vec::new());
        }
        let Some(groups) = shard.get_mut(tenant) else { return };
        let at = find(groups, sketch, now).unwrap_or_else(|| {
            self.make_room(groups);
            groups.push(Group {
                id: self.next.fetch_add(1, Ordering::Relaxed),
                sketch: *sketch,
                last: now,
                reached: 0,
                senders: 0,
                seen: Vec::new(),
            });
            self.total.fetch_add(1, Ordering::Relaxed);
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            group.last = now;
            group.senders |= 1 << (sender & 63);
            for hash in hashes {
                if !group.has(hash) {
                    group.add(hash);
                }
            }
        }
    }

    fn make_room(&self, groups: &mut Vec<Group>) {
        let full = groups.len() >= MOST_PER_TENANT
            || (groups.len() >= FREE && self.total.load(Ordering::Relaxed) >= self.most);
        if !full {
            return;
        }
        let worth = |group: &Group| (group.reached >= WORTH_KEEPING, group.last, group.id);
        let least = groups.iter().enumerate().min_by_key(|(_, group)| worth(group)).map(|(at, _)| at);
        if let Some(at) = least {
            groups.swap_remove(at);
            self.total.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Forgets groups that nothing was added to for two days.
    pub fn sweep(&self, now: Seconds) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, groups| {
                let before = groups.len();
                groups.retain(|group| now.saturating_sub(group.last) < FORGOTTEN);
                self.total.fetch_sub(before - groups.len(), Ordering::Relaxed);
                !groups.is_empty()
            });
        }
    }

    /// Groups of all tenants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each mailbox once.
    fn hashes<'a>(&self, recipients: impl IntoIterator<Item = &'a Address>) -> Vec<u32> {
        let mut hashes: Vec<u32> =
            recipients.into_iter().map(|recipient| (self.hasher.hash_one(recipient.key()) >> 32) as u32).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    fn shard(&self, tenant: &TenantId) -> Option<MutexGuard<'_, Shard>> {
        let index = (self.hasher.hash_one(tenant) >> 32) as usize % SHARDS;
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The group most like it.
fn find(groups: &[Group], sketch: &Sketch, now: Seconds) -> Option<usize> {
    let alive = groups.iter().enumerate().filter(|(_, group)| now.saturating_sub(group.last) < FORGOTTEN);
    let alike = alive.filter(|(_, group)| group.sketch.is_alike(sketch));
    alike.max_by_key(|(_, group)| (group.sketch.shared(sketch), group.reached)).map(|(at, _)| at)
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("groups", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(seed: u64) -> Sketch {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let letters = (0..200).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 33) as u8 % 26)
        });
        Sketch::of_text(&letters.collect::<String>()).unwrap()
    }

    fn address(n: u32) -> Address {
        Address::parse(&format!("r{n}@dest.example")).unwrap()
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn a_recipient_counts_once_for_a_group_and_tenants_share_none() {
        let (groups, acme, beta) = (Groups::new(1000), tenant("acme"), tenant("beta"));
        let all: Vec<Address> = (0..10).map(address).collect();
        for round in 0..1000 {
            let found = groups.look(&acme, &sketch(1), &all, round);
            assert_eq!(found.fresh, if round == 0 { 10 } else { 0 });
            groups.add(&acme, (&sketch(1), 7), &all, round);
        }
        assert_eq!(groups.look(&acme, &sketch(1), [&address(99)], 1000).reached, 10);
        assert_eq!(groups.look(&beta, &sketch(1), &all, 1000), Found { group: 0, fresh: 10, reached: 0, senders: 0 });
        assert_eq!(groups.look(&acme, &sketch(2), &all, 1000).group, 0);
        let twice = [address(50), address(50)];
        assert_eq!(groups.look(&acme, &sketch(1), &twice, 1000).fresh, 1);
    }

    #[test]
    fn a_large_group_counts_on() {
        let (groups, acme) = (Groups::new(1000), tenant("acme"));
        let mut counted = 0;
        for n in 0..5000 {
            counted += groups.look(&acme, &sketch(1), [&address(n)], 0).fresh;
            groups.add(&acme, (&sketch(1), u64::from(n % 3)), [&address(n)], 0);
        }
        assert_eq!(counted, 5000);
        assert_eq!(groups.look(&acme, &sketch(1), [], 0).senders, 3);
    }

    #[test]
    fn groups_are_bounded_and_those_that_reached_many_stay() {
        let (groups, acme) = (Groups::new(600), tenant("acme"));
        let many: Vec<Address> = (0..20).map(address).collect();
        groups.add(&acme, (&sketch(0), 1), &many, 0);
        for seed in 1..3000 {
            groups.add(&acme, (&sketch(seed), 1), [&address(1)], 1);
        }
        assert_eq!(groups.len(), MOST_PER_TENANT);
        assert_eq!(groups.look(&acme, &sketch(0), [], 2).reached, 20);
        for n in 0..40 {
            for seed in 0..30 {
                groups.add(&tenant(&format!("t{n}")), (&sketch(seed), 1), [&address(1)], 1);
            }
        }
        assert!(groups.len() <= 600 + 40 * FREE, "{}", groups.len());
        groups.sweep(FORGOTTEN + 2);
        assert!(groups.is_empty());
    }
}
