//! What each sender, client, domain and tenant has sent lately and what came of it: counts that fade over a day, a baseline over four
//! weeks, and how far its limits have grown.
//!
//! **Failure**: what made room for others or could not be read at start is unknown: such a sender begins as a new one.
//! **Invariants**: bounded in entries. Time goes on by what the wall clock moves between two looks at it, but never backwards, and by
//! no more than [`MOST_STEP`] at once: a jump of the clock neither erases nor invents anything.

mod assess;
mod record;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use record::{Kind, Record};

use crate::model::abuse::{Assessment, Scope, Subject};
use crate::model::rates::Rate;
use crate::model::{TenantId, Timestamp};
use crate::tables::state_file::{self, Encoder};
use crate::tables::{Bounded, Seconds, StateError, hash, seconds};

/// The most that time goes on between two looks at the clock. Something looks every few minutes while the process runs.
pub const MOST_STEP: Duration = Duration::from_secs(3600);
/// The same between two runs.
const MOST_ABSENCE: Seconds = 86_400;

const FILE: &str = "outbound.state";
const NAME: &[u8; 8] = b"SKOUTB2\n";
/// Bits of a key that say of which tenant it is. A tenant shares them with one in 17 million, whose records are then forgotten with its
/// own.
const OF_TENANT: u64 = 0xffff_ff00_0000_0000;

/// See the module.
#[derive(Debug)]
pub struct History {
    records: Bounded<u64, Record>,
    clock: Mutex<Steady>,
}

/// The wall clock when it was last looked at, and our own time then, in milliseconds.
#[derive(Debug, Default)]
struct Steady {
    wall: u64,
    own: u64,
}

impl History {
    /// At most `most` senders, clients, domains and tenants together; about 160 octets each.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { records: Bounded::new(most), clock: Mutex::default() }
    }

    /// Our own time.
    pub fn now(&self, wall: Timestamp) -> Seconds {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = wall.as_millis();
        if clock.wall == 0 {
            clock.own = clock.own.max(wall);
        } else {
            let most = u64::try_from(MOST_STEP.as_millis()).unwrap_or(u64::MAX);
            clock.own = clock.own.saturating_add(wall.saturating_sub(clock.wall).min(most));
        }
        clock.wall = wall;
        seconds(Timestamp::from_millis(clock.own))
    }

    /// The key of a subject: by its upper bits, of which tenant; by the others, of whom.
    #[must_use]
    pub fn key(tenant: &TenantId, scope: &Scope) -> u64 {
        Self::upper(tenant) | Self::whom(tenant, scope) & !OF_TENANT
    }

    fn upper(tenant: &TenantId) -> u64 {
        hash(&[b"of", tenant.as_str().as_bytes()]) & OF_TENANT
    }

    fn whom(tenant: &TenantId, scope: &Scope) -> u64 {
        let tenant = tenant.as_str().as_bytes();
        match scope {
            Scope::Sender(address) => hash(&[b"sender", tenant, address.key().as_bytes()]),
            Scope::Client(ip) => hash(&[b"client", tenant, ip.to_string().as_bytes()]),
            Scope::Domain(domain) => hash(&[b"domain", tenant, domain.as_str().as_bytes()]),
            Scope::Tenant => hash(&[b"tenant", tenant]),
        }
    }

    pub fn change(&self, key: u64, now: Seconds, change: impl FnOnce(&mut Record)) {
        self.records.change(
            key,
            now,
            || Record::new(now),
            |record| {
                record.advance(now);
                change(record);
            },
        );
    }

    /// As of now; `None`: not known.
    #[must_use]
    pub fn look(&self, key: u64, now: Seconds) -> Option<Record> {
        let mut record = self.records.look(&key, |record| *record)?;
        record.advance(now);
        Some(record)
    }

    /// The limits of a subject as they have grown or shrunk: thousandths of the usual.
    #[must_use]
    pub fn factor(&self, key: u64, now: Seconds) -> u32 {
        self.look(key, now).map_or(crate::limits::USUAL, |record| record.factor())
    }

    /// How many recipients of alike messages a sender may have: `usual`, and more for one that has sent such mail for weeks and
    /// did no harm.
    #[must_use]
    pub fn allowance(&self, key: u64, usual: Rate, now: Seconds) -> Rate {
        self.look(key, now).map_or(usual, |record| record.allowance(usual, now))
    }

    /// What is known of a subject; without evidence where nothing speaks against it.
    #[must_use]
    pub fn assess(&self, subject: &Subject, wall: Timestamp) -> Assessment {
        let now = self.now(wall);
        let record = self.look(Self::key(&subject.tenant, &subject.scope), now);
        let record = record.unwrap_or_else(|| Record::new(now));
        assess::assess(subject, &record, now, wall)
    }

    /// Takes away what is known of a tenant and of all who sent for it; how many records.
    pub fn forget(&self, tenant: &TenantId) -> u64 {
        let mut keys = Vec::new();
        self.records.each(|key, _| {
            if key & OF_TENANT == Self::upper(tenant) {
                keys.push(*key);
            }
        });
        keys.iter().filter(|key| self.records.remove(key).is_some()).count() as u64
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that made room for others since the last call.
    pub fn take_evicted(&self) -> u64 {
        self.records.take_evicted()
    }

    /// Reads what the last run has saved.
    ///
    /// # Errors
    /// [`StateError`]; nothing was taken over.
    pub fn load(&self, dir: &Path, wall: Timestamp) -> Result<(), StateError> {
        let Some(entries) = state_file::load::<u64, Record>(&path(dir), NAME)? else { return Ok(()) };
        let newest = entries.iter().map(|(_, record)| record.last()).max().unwrap_or(0);
        let own = seconds(wall).clamp(newest, newest.saturating_add(MOST_ABSENCE));
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) =
            Steady { wall: wall.as_millis(), own: u64::from(own) * 1000 };
        for (key, record) in entries {
            self.records.change(key, own, || record, |_| ());
        }
        Ok(())
    }

    /// Saves all of it. Called from time to time and on exit; writes, so not on the way of mail.
    ///
    /// # Errors
    /// [`StateError`]; the file of before is still there.
    pub fn save(&self, dir: &Path) -> Result<(), StateError> {
        let mut encoder = Encoder::new(NAME);
        self.records.each(|key, record| encoder.push(key, record));
        state_file::replace(&path(dir), &encoder.finish())
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

#[cfg(test)]
mod tests;
