//! What is held, in memory: as little of each message as finding it takes. The files are the truth.
//!
//! **Invariants**: a message is leased to at most one who releases or removes it; sums are those of the entries.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use super::held::{Filter, Held};
use crate::model::finding::Class;
use crate::model::{Address, Direction, MessageId, TenantId};

/// Entries looked at under one lock.
const PART: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<MessageId, Entry>,
    /// Being written.
    arriving: HashSet<MessageId>,
    tenants: Vec<TenantId>,
    numbers: HashMap<TenantId, u32>,
    /// Messages and octets by the tenant's number.
    of_tenants: Vec<(usize, u64)>,
    pub(super) bytes: u64,
    pub(super) recipients: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    tenant: u32,
    direction: Direction,
    class: Class,
    /// Somebody releases or removes it.
    leased: bool,
    held_at: u64,
    expires_at: u64,
    size: u64,
    sender: u32,
    /// Of those for whom it is still held.
    recipients: Box<[u32]>,
}

/// For finding only: what is found is compared.
fn hash(address: &Address) -> u32 {
    crc32c::crc32c(address.to_string().to_lowercase().as_bytes())
}

pub(super) enum Arrival {
    New,
    /// The same message is here.
    Known,
    /// Another message of that name is here, or comes.
    Taken,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn coming(&self) -> usize {
        self.arriving.len()
    }

    /// Keeps the name for a message that is to be written.
    pub(super) fn arrive(&mut self, id: MessageId, tenant: &TenantId, recipients: &[&Address]) -> Arrival {
        match self.entries.get(&id) {
            Some(entry) => {
                let same = self.tenants.get(entry.tenant as usize) == Some(tenant)
                    && entry.recipients.iter().copied().eq(recipients.iter().map(|address| hash(address)));
                if same { Arrival::Known } else { Arrival::Taken }
            }
            None if self.arriving.insert(id) => Arrival::New,
            None => Arrival::Taken,
        }
    }

    pub(super) fn not_arriving(&mut self, id: MessageId) {
        self.arriving.remove(&id);
    }

    pub(super) fn insert(&mut self, held: &Held) {
        let entry = Entry {
            tenant: self.number(&held.tenant),
            direction: held.direction,
            class: held.class,
            leased: false,
            held_at: held.held_at.as_millis(),
            expires_at: held.expires_at.as_millis(),
            size: held.size,
            sender: held.envelope.sender.address().map_or(0, hash),
            recipients: held.envelope.recipients.iter().map(|recipient| hash(&recipient.address)).collect(),
        };
        self.bytes += entry.size;
        self.recipients += entry.recipients.len() as u64;
        if let Some((messages, bytes)) = self.of_tenants.get_mut(entry.tenant as usize) {
            (*messages, *bytes) = (*messages + 1, *bytes + entry.size);
        }
        if let Some(old) = self.entries.insert(held.id, entry) {
            self.uncount(&old);
        }
    }

    fn number(&mut self, tenant: &TenantId) -> u32 {
        if let Some(number) = self.numbers.get(tenant) {
            return *number;
        }
        let number = u32::try_from(self.tenants.len()).unwrap_or(u32::MAX);
        self.tenants.push(tenant.clone());
        self.of_tenants.push((0, 0));
        self.numbers.insert(tenant.clone(), number);
        number
    }

    fn uncount(&mut self, entry: &Entry) {
        self.bytes = self.bytes.saturating_sub(entry.size);
        self.recipients = self.recipients.saturating_sub(entry.recipients.len() as u64);
        if let Some((messages, bytes)) = self.of_tenants.get_mut(entry.tenant as usize) {
            (*messages, *bytes) = (messages.saturating_sub(1), bytes.saturating_sub(entry.size));
        }
    }

    /// Messages and octets held for a tenant.
    pub(super) fn of_tenant(&self, tenant: &TenantId) -> (usize, u64) {
        let number = self.numbers.get(tenant).and_then(|number| self.of_tenants.get(*number as usize));
        number.copied().unwrap_or_default()
    }

    /// Messages whose names are of the same millisecond: a release keeps it.
    pub(super) fn of_moment(&self, id: MessageId) -> Vec<MessageId> {
        let moment = u64::try_from(id.as_u128() >> 80).unwrap_or_default();
        let (first, last) = (MessageId::new(moment, 0), MessageId::new(moment, u128::MAX));
        self.entries.range(first..=last).map(|(id, _)| *id).collect()
    }

    /// How many recipients it was held for.
    pub(super) fn remove(&mut self, id: MessageId) -> usize {
        let Some(entry) = self.entries.remove(&id) else { return 0 };
        self.uncount(&entry);
        entry.recipients.len()
    }

    pub(super) fn tenant(&self, id: MessageId) -> Option<&TenantId> {
        self.tenants.get(self.entries.get(&id)?.tenant as usize)
    }

    /// `None`: not here. `Some(false)`: leased to somebody else.
    pub(super) fn lease(&mut self, id: MessageId) -> Option<bool> {
        let entry = self.entries.get_mut(&id)?;
        Some(!std::mem::replace(&mut entry.leased, true))
    }

    pub(super) fn unlease(&mut self, id: MessageId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.leased = false;
        }
    }

    /// It is now held for these only; how many went.
    pub(super) fn leave(&mut self, id: MessageId, left: &[&Address]) -> usize {
        let Some(entry) = self.entries.get_mut(&id) else { return 0 };
        let before = std::mem::replace(&mut entry.recipients, left.iter().map(|address| hash(address)).collect());
        let after = entry.recipients.len();
        self.recipients = (self.recipients + after as u64).saturating_sub(before.len() as u64);
        before.len().saturating_sub(after)
    }

    /// Those that expired by `now`, of one part of the index; the place to go on from.
    pub(super) fn expired(&self, now: u64, from: Bound<MessageId>) -> (Vec<(MessageId, TenantId)>, Option<MessageId>) {
        let mut found = Vec::new();
        let mut last = None;
        for (id, entry) in self.entries.range((from, Bound::Unbounded)).take(PART) {
            last = Some(*id);
            if entry.expires_at <= now && !entry.leased {
                found.extend(self.tenants.get(entry.tenant as usize).map(|tenant| (*id, tenant.clone())));
            }
        }
        (found, last)
    }

    /// Those that may fit, newest first, of one part of the index below `below`; the place to go on from.
    pub(super) fn matching(
        &self,
        wanted: &Wanted,
        below: Bound<MessageId>,
    ) -> (Vec<(MessageId, TenantId)>, Option<MessageId>) {
        let mut found = Vec::new();
        let mut last = None;
        for (id, entry) in self.entries.range((Bound::Unbounded, below)).rev().take(PART) {
            last = Some(*id);
            if wanted.fits(entry) {
                found.extend(self.tenants.get(entry.tenant as usize).map(|tenant| (*id, tenant.clone())));
            }
        }
        (found, last)
    }

    /// What a filter comes to here; `None` if nothing can fit.
    pub(super) fn wanted(&self, filter: &Filter) -> Option<Wanted> {
        let tenant = match &filter.tenant {
            None => None,
            Some(tenant) => Some(*self.numbers.get(tenant)?),
        };
        Some(Wanted {
            tenant,
            direction: filter.direction,
            class: filter.class,
            sender: filter.sender.as_ref().map(hash),
            recipient: filter.recipient.as_ref().map(hash),
            since: filter.since.map_or(0, |at| at.as_millis()),
            until: filter.until.map_or(u64::MAX, |at| at.as_millis()),
        })
    }
}

/// A filter in the index's terms.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    tenant: Option<u32>,
    direction: Option<Direction>,
    class: Option<Class>,
    sender: Option<u32>,
    recipient: Option<u32>,
    since: u64,
    until: u64,
}

impl Wanted {
    fn fits(&self, entry: &Entry) -> bool {
        self.tenant.is_none_or(|tenant| tenant == entry.tenant)
            && self.direction.is_none_or(|direction| direction == entry.direction)
            && self.class.is_none_or(|class| class == entry.class)
            && self.sender.is_none_or(|sender| sender == entry.sender)
            && (self.since..=self.until).contains(&entry.held_at)
            && self.recipient.is_none_or(|recipient| entry.recipients.contains(&recipient))
    }
}
