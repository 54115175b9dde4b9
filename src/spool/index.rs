//! What is queued, when it is due, and who has it: the spool's memory of what the log says.
//!
//! A million messages fit: the envelope stays encoded, a branch is some sixty bytes, and the order of due times is a set of
//! sixteen-byte keys. The same `apply` functions serve a running spool and recovery, so the two can't differ.
//!
//! **Invariants**: a branch is in `due` exactly while it waits (has pending recipients, isn't leased, isn't held); an
//! entry is there exactly while some recipient is pending; every entry is counted live in exactly one segment.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::meta::Meta;
use super::record::{Progress, RecipientState};
use crate::model::MessageId;

/// Where the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    /// Of the inline bytes.
    pub(super) offset: u32,
    pub(super) inline: u32,
    pub(super) crc: u32,
    pub(super) file_length: Option<std::num::NonZeroU64>,
}

/// Recipients of a branch that are still to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    One(u32),
    Many(Box<[u32]>),
}

impl Pending {
    fn from(members: &[u32]) -> Self {
        match members {
            [one] => Self::One(*one),
            many => Self::Many(many.into()),
        }
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Rarely there, so kept apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) held: Option<Box<str>>,
    pub(super) last_error: Option<Box<str>>,
}

/// The recipients of one message that share a routing domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) pending: Pending,
    pub(super) due: u64,
    pub(super) last_attempt: u64,
    pub(super) attempts: u32,
    pub(super) leased: bool,
    pub(super) delay_notice_sent: bool,
    /// An operator wants the next attempt now; forgotten with it, and at a restart.
    pub(super) hastened: bool,
    pub(super) notes: Option<Box<Notes>>,
}

impl Branch {
    pub(super) fn held(&self) -> Option<&str> {
        self.notes.as_deref().and_then(|notes| notes.held.as_deref())
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        self.notes.as_deref().and_then(|notes| notes.last_error.as_deref())
    }

    pub(super) fn waits(&self) -> bool {
        !self.leased && self.held().is_none() && !self.pending.as_slice().is_empty()
    }

    fn note(&mut self, change: impl FnOnce(&mut Notes)) {
        let mut notes = self.notes.take().unwrap_or_default();
        change(&mut notes);
        if *notes != Notes::default() {
            self.notes = Some(notes);
        }
    }
}

/// Nearly every message has one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Branches {
    One(Branch),
    Many(Box<[Branch]>),
}

impl Branches {
    pub(super) fn as_slice(&self) -> &[Branch] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn as_mut(&mut self) -> &mut [Branch] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }
}

/// A body not yet tried.
#[derive(Debug, Clone)]
pub(super) struct Cached {
    pub(super) meta: Arc<Meta>,
    pub(super) head: Bytes,
    pub(super) rest: Bytes,
}

impl Cached {
    fn cost(&self) -> u64 {
        (self.head.len() + self.rest.len() + 768) as u64
    }
}

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: MessageId,
    pub(super) place: Place,
    pub(super) meta: Box<[u8]>,
    pub(super) queued_at: u64,
    pub(super) branches: Branches,
    /// Codes of recipients that ended; empty while none has.
    pub(super) ended: Box<[u8]>,
    pub(super) cached: Option<Box<Cached>>,
    /// All its branches are leased to nobody. Forgotten at a restart.
    pub(super) kept_back: bool,
}

impl Entry {
    pub(super) fn new(id: MessageId, place: Place, meta: &Meta, encoded: &[u8], queued_at: u64) -> Self {
        let new = |members: Vec<u32>| Branch {
            pending: Pending::from(&members),
            due: queued_at,
            last_attempt: 0,
            attempts: 0,
            leased: false,
            delay_notice_sent: false,
            hastened: false,
            notes: None,
        };
        let mut branches: Vec<Branch> = meta.branches().into_iter().map(|(_, members)| new(members)).collect();
        let branches = match branches.pop() {
            Some(only) if branches.is_empty() => Branches::One(only),
            last => {
                branches.extend(last);
                Branches::Many(branches.into())
            }
        };
        Self {
            id,
            place,
            meta: encoded.into(),
            queued_at,
            branches,
            ended: Box::default(),
            cached: None,
            kept_back: false,
        }
    }

    /// Nobody leases it before it is let go.
    pub(super) fn keep_back(&mut self) {
        self.branches.as_mut().iter_mut().for_each(|branch| branch.leased = true);
        self.kept_back = true;
    }

    pub(super) fn pending(&self) -> u64 {
        self.branches.as_slice().iter().map(|branch| branch.pending.as_slice().len() as u64).sum()
    }

    /// For people to look at.
    pub(super) fn without_body(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            branches: self.branches.clone(),
            ended: self.ended.clone(),
            cached: None,
            ..*self
        }
    }

    fn cost(&self) -> u64 {
        u64::from(self.place.inline) + self.meta.len() as u64 + 128
    }

    /// The state of every branch, for a record that carries the message forward.
    pub(super) fn snapshot(&self) -> Vec<Progress> {
        let mut list: Vec<Progress> = (0u32..)
            .zip(self.branches.as_slice())
            .map(|(number, branch)| Progress {
                branch: number,
                ended: Vec::new(),
                attempts: branch.attempts,
                due: branch.due,
                last_attempt: branch.last_attempt,
                delay_notice_sent: branch.delay_notice_sent,
                held: branch.held().map(Into::into),
                last_error: branch.last_error().map(Into::into),
            })
            .collect();
        // Which branch an ended recipient was in doesn't matter: `end` looks in all.
        if let Some(first) = list.first_mut() {
            first.ended = (0u32..)
                .zip(&self.ended)
                .filter_map(|(index, code)| RecipientState::from_code(*code).map(|state| (index, state)))
                .collect();
        }
        list
    }
}

/// What applying a record changed, in recipients.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) expired: u64,
    pub(super) discarded: u64,
    /// How many of the above were on hold.
    pub(super) were_held: u64,
    pub(super) held: u64,
    pub(super) released: u64,
    /// Nothing is pending any more; true for a body in a file of its own.
    pub(super) done: Option<(MessageId, bool)>,
}

/// How much of a segment is still needed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) epoch: u64,
    pub(super) size: u64,
    pub(super) live_messages: u64,
    pub(super) live_bytes: u64,
}

/// A branch given to a worker.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) branch: u32,
    pub(super) id: MessageId,
    pub(super) queued_at: u64,
    pub(super) state: Branch,
    /// Decoded, or as in the index.
    pub(super) meta: Result<Arc<Meta>, Box<[u8]>>,
    pub(super) body: Option<(Bytes, Bytes)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u64, u64);

impl From<MessageId> for Key {
    fn from(id: MessageId) -> Self {
        let bits = id.as_u128();
        Self((bits >> 64) as u64, bits as u64)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    ids: HashMap<Key, u32>,
    slots: Vec<Option<Box<Entry>>>,
    free: Vec<u32>,
    due: BTreeSet<(u64, u32, u32)>,
    pub(super) segments: BTreeMap<u32, Use>,
    cache: VecDeque<(u32, MessageId)>,
    cache_bytes: u64,
    pub(super) cache_limit: u64,
    pub(super) recipients: u64,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.ids.contains_key(&id.into())
    }

    fn slot(&self, id: MessageId) -> Option<u32> {
        self.ids.get(&id.into()).copied()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Entry> {
        self.slots.get(self.slot(id)? as usize)?.as_deref()
    }

    /// A part of the messages, so that nobody holds the lock for all of them; `from` starts at 0. `None` at the end.
    pub(super) fn part<T>(&self, from: usize, pick: impl Fn(&Entry) -> Option<T>) -> Option<(Vec<T>, usize)> {
        const PART: usize = 4_096;
        let slots = self.slots.get(from..).filter(|slots| !slots.is_empty())?;
        let picked = slots.iter().take(PART).flatten().filter_map(|entry| pick(entry)).collect();
        Some((picked, from + PART))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten().map(|entry| &**entry)
    }

    /// Takes a message in; false if it is there already.
    pub(super) fn insert(&mut self, entry: Box<Entry>) -> bool {
        let key = Key::from(entry.id);
        if self.ids.contains_key(&key) {
            return false;
        }
        let pending = entry.pending();
        if pending == 0 {
            return true;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.ids.insert(key, slot);
        for (number, branch) in (0u32..).zip(entry.branches.as_slice()) {
            if branch.waits() {
                self.due.insert((branch.due, slot, number));
            }
        }
        self.recipients += pending;
        self.occupy(entry.place.segment, entry.cost());
        if let Some(cached) = &entry.cached {
            self.cache_bytes += cached.cost();
            self.cache.push_back((slot, entry.id));
        }
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(entry);
        }
        self.trim_cache();
        true
    }

    fn occupy(&mut self, segment: u32, cost: u64) {
        let segment = self.segments.entry(segment).or_default();
        segment.live_messages += 1;
        segment.live_bytes += cost;
    }

    fn vacate(&mut self, segment: u32, cost: u64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.live_messages = segment.live_messages.saturating_sub(1);
            segment.live_bytes = segment.live_bytes.saturating_sub(cost);
        }
    }

    fn trim_cache(&mut self) {
        while self.cache_bytes > self.cache_limit || self.cache.len() > 2 * self.ids.len() + 64 {
            let Some((slot, id)) = self.cache.pop_front() else { return };
            self.uncache(slot, id);
        }
    }

    fn uncache(&mut self, slot: u32, id: MessageId) {
        let entry = self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut).filter(|entry| entry.id == id);
        if let Some(cached) = entry.and_then(|entry| entry.cached.take()) {
            self.cache_bytes = self.cache_bytes.saturating_sub(cached.cost());
        }
    }

    /// The message's bytes are elsewhere now.
    pub(super) fn relocate(&mut self, id: MessageId, place: Place) {
        let Some(slot) = self.slot(id) else { return };
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let (from, cost) = (entry.place.segment, entry.cost());
        entry.place = place;
        let now = entry.cost();
        self.vacate(from, cost);
        self.occupy(place.segment, now);
    }

    /// Changes one branch and keeps everything that depends on it.
    fn change<T>(
        &mut self,
        slot: u32,
        number: u32,
        change: impl FnOnce(&mut Branch, &mut Box<[u8]>) -> T,
    ) -> Option<T> {
        let entry = self.slots.get_mut(slot as usize)?.as_deref_mut()?;
        let branch = entry.branches.as_mut().get_mut(number as usize)?;
        let (waited, due, pending) = (branch.waits(), branch.due, branch.pending.as_slice().len() as u64);
        let result = change(branch, &mut entry.ended);
        let (waits, new_due, left) = (branch.waits(), branch.due, branch.pending.as_slice().len() as u64);
        self.recipients = self.recipients.saturating_sub(pending).saturating_add(left);
        if (waited, due) != (waits, new_due) {
            if waited {
                self.due.remove(&(due, slot, number));
            }
            if waits {
                self.due.insert((new_due, slot, number));
            }
        }
        Some(result)
    }

    /// Records what became of a branch; gives up its lease.
    pub(super) fn progress(&mut self, id: MessageId, progress: &Progress) -> Change {
        let mut total = Change::default();
        let Some(slot) = self.slot(id) else { return total };
        if self.end(slot, progress.branch, &progress.ended, &mut total) {
            self.change(slot, progress.branch, |branch, _| {
                branch.leased = false;
                branch.attempts = progress.attempts;
                branch.due = progress.due;
                branch.last_attempt = progress.last_attempt;
                branch.delay_notice_sent = progress.delay_notice_sent;
                branch.note(|notes| notes.last_error.clone_from(&progress.last_error));
            });
        }
        self.uncache(slot, id);
        self.finish(slot, &mut total);
        total
    }

    /// Marks recipients of one branch as ended. False if the branch isn't there.
    fn end(&mut self, slot: u32, number: u32, ended: &[(u32, RecipientState)], total: &mut Change) -> bool {
        let count = self.slots.get(slot as usize).and_then(Option::as_deref).map_or(0, |entry| {
            entry
                .branches
                .as_slice()
                .iter()
                .filter_map(|b| b.pending.as_slice().last())
                .max()
                .map_or(0, |last| *last as usize + 1)
                .max(entry.ended.len())
        });
        self.change(slot, number, |branch, codes| {
            if ended.is_empty() {
                return;
            }
            if codes.len() < count {
                let mut longer = std::mem::take(codes).into_vec();
                longer.resize(count, 0);
                *codes = longer.into_boxed_slice();
            }
            let held = branch.held().is_some();
            let mut left = branch.pending.as_slice().to_vec();
            for (index, state) in ended {
                let Ok(at) = left.binary_search(index) else { continue };
                left.remove(at);
                if let Some(code) = codes.get_mut(*index as usize) {
                    *code = state.code();
                }
                total.were_held += u64::from(held);
                match state {
                    RecipientState::Delivered => total.delivered += 1,
                    RecipientState::Failed => total.failed += 1,
                    RecipientState::Expired => total.expired += 1,
                    RecipientState::Discarded => total.discarded += 1,
                }
            }
            branch.pending = Pending::from(&left);
        })
        .is_some()
    }

    /// Forgets a message with nothing pending.
    fn finish(&mut self, slot: u32, total: &mut Change) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let Some(entry) = place.take_if(|entry| entry.pending() == 0) else { return };
        self.ids.remove(&entry.id.into());
        self.free.push(slot);
        if let Some(cached) = &entry.cached {
            self.cache_bytes = self.cache_bytes.saturating_sub(cached.cost());
        }
        self.vacate(entry.place.segment, entry.cost());
        total.done = Some((entry.id, entry.place.file_length.is_some()));
    }

    /// Puts a branch on hold, or lets it go (`None`).
    pub(super) fn hold(&mut self, id: MessageId, number: u32, reason: Option<&str>, now: u64) -> Change {
        let mut total = Change::default();
        let Some(slot) = self.slot(id) else { return total };
        self.change(slot, number, |branch, _| {
            let count = branch.pending.as_slice().len() as u64;
            match (branch.held().is_some(), reason.is_some()) {
                (false, true) => total.held += count,
                (true, false) => {
                    total.released += count;
                    branch.due = now;
                }
                _ => {}
            }
            branch.note(|notes| notes.held = reason.map(Into::into));
        });
        total
    }

    /// Sets every branch as a carried-forward record says. For recovery.
    pub(super) fn restore(&mut self, id: MessageId, branches: &[Progress]) -> Change {
        let mut total = Change::default();
        let Some(slot) = self.slot(id) else { return total };
        let numbers = self.get(id).map_or(0, |entry| entry.branches.as_slice().len());
        for ended in branches.iter().map(|progress| &progress.ended).filter(|ended| !ended.is_empty()) {
            for number in 0..u32::try_from(numbers).unwrap_or(u32::MAX) {
                self.end(slot, number, ended, &mut total);
            }
        }
        for progress in branches {
            let due = progress.due;
            self.progress(id, &Progress { ended: Vec::new(), ..progress.clone() });
            self.hold(id, progress.branch, progress.held.as_deref(), due);
        }
        self.finish(slot, &mut total);
        total
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due, _, _)| *due)
    }

    /// Leases what is due, oldest first.
    pub(super) fn take_due(&mut self, now: u64, limit: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(&(due, slot, number)) = self.due.first() else { break };
            if due > now {
                break;
            }
            self.due.pop_first();
            taken.extend(self.lease(slot, number));
        }
        taken
    }

    fn lease(&mut self, slot: u32, number: u32) -> Option<Taken> {
        let entry = self.slots.get_mut(slot as usize)?.as_deref_mut()?;
        let branch = entry.branches.as_mut().get_mut(number as usize)?;
        branch.leased = true;
        let state = branch.clone();
        branch.hastened = false;
        let cached = entry.cached.as_deref();
        Some(Taken {
            branch: number,
            id: entry.id,
            queued_at: entry.queued_at,
            state,
            meta: cached.map(|cached| Arc::clone(&cached.meta)).ok_or_else(|| entry.meta.clone()),
            body: cached
                .filter(|_| entry.place.file_length.is_none())
                .map(|cached| (cached.head.clone(), cached.rest.clone())),
        })
    }

    /// Leases one waiting branch for an operator's action.
    pub(super) fn claim(&mut self, id: MessageId, number: u32) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        self.change(slot, number, |branch, _| {
            let free = !branch.leased && !branch.pending.as_slice().is_empty();
            branch.leased |= free;
            free
        })
        .unwrap_or(false)
    }

    /// Gives a lease back.
    pub(super) fn give_back(&mut self, id: MessageId, number: u32, due: Option<u64>) {
        let Some(slot) = self.slot(id) else { return };
        self.change(slot, number, |branch, _| {
            branch.leased = false;
            branch.due = due.unwrap_or(branch.due);
        });
    }

    /// Gives a message free that was kept back; false if it was not.
    pub(super) fn let_go(&mut self, id: MessageId) -> bool {
        let Some(entry) = self.entry_mut(id).filter(|entry| entry.kept_back) else { return false };
        entry.kept_back = false;
        let branches = u32::try_from(entry.branches.as_slice().len()).unwrap_or(u32::MAX);
        (0..branches).for_each(|number| self.give_back(id, number, None));
        true
    }

    /// Takes a message that is kept back for oneself; false if it is not kept back. Its branches stay leased.
    pub(super) fn claim_kept_back(&mut self, id: MessageId) -> bool {
        self.entry_mut(id).is_some_and(|entry| std::mem::take(&mut entry.kept_back))
    }

    /// Undoes [`claim_kept_back`](Self::claim_kept_back).
    pub(super) fn still_kept_back(&mut self, id: MessageId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.kept_back = true;
        }
    }

    fn entry_mut(&mut self, id: MessageId) -> Option<&mut Entry> {
        let slot = self.slot(id)?;
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Makes a waiting branch due.
    pub(super) fn hasten(&mut self, id: MessageId, number: u32, now: u64) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        self.change(slot, number, |branch, _| {
            let waits = branch.waits();
            if waits {
                branch.due = branch.due.min(now);
                branch.hastened = true;
            }
            waits
        })
        .unwrap_or(false)
    }
}
