//! Correspondents: who exchanged mail with which tenant before, so that mail of a stranger can be told as such.
//!
//! An author is known to a tenant once mail of theirs was delivered there, or a mailbox of the tenant's wrote to them. Who could
//! not be authenticated is somebody else than the author of the same address who was: a forged From is a first contact even
//! if the one it names is known. All is kept as 64 bits of a hash: correspondents, and since when each tenant is observed.
//!
//! **Failure**: fails towards saying nothing. Who can't be remembered is no stranger: a tenant that is observed for less than
//! [`Config::learning`] has no first contacts, and after entries were lost (a full table, a crash) there are none for as long.
//! **Invariants**: bounded; to ask remembers nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::model::{Address, TenantId, Timestamp};
use crate::tables::state_file::{self, Encoder, Fixed, StateError};
use crate::tables::{Bounded, Seconds, Worth, hash, seconds};
use crate::telemetry::Metrics;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// So long mail must have been delivered to a tenant, without a pause of a quarter of that, before anybody is a stranger to it.
    pub learning: Duration,
    /// Who is known is kept so long without mail.
    pub memory: Duration,
    /// Fewer than 60 octets each.
    pub most_entries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            learning: Duration::from_secs(14 * 24 * 3600),
            memory: Duration::from_secs(400 * 24 * 3600),
            most_entries: 1_000_000,
        }
    }
}

/// What mail brought between the last save and a crash is not in the file. Of so little time it is no matter.
const LITTLE_LOST: Seconds = 24 * 3600;

/// An author, as far as it is proven who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author<'a> {
    pub address: &'a Address,
    pub is_authenticated: bool,
}

/// Of a correspondent, the first and the last mail; of a tenant, since when and until when it was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    first: Seconds,
    last: Seconds,
}

const NAME: &[u8; 8] = b"SKCORR1\n";
const FILE: &str = "correspondents.state";

/// The handle: cheap to share as `Arc`.
#[derive(Debug)]
pub struct Correspondents {
    config: Config,
    entries: Bounded<u64, Entry>,
    /// When entries were lost last; 0: never.
    lost: AtomicU32,
    metrics: Arc<Metrics>,
}

impl Correspondents {
    #[must_use]
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        Self { config, entries: Bounded::new(config.most_entries), lost: AtomicU32::new(0), metrics }
    }

    /// Whether the author is a stranger to the tenant, who would know otherwise.
    #[must_use]
    pub fn is_first_contact(&self, tenant: &TenantId, author: Author<'_>, now: Timestamp) -> bool {
        let now = seconds(now);
        self.has_learned(tenant, now) && !self.is_known(tenant, author, now)
    }

    fn has_learned(&self, tenant: &TenantId, now: Seconds) -> bool {
        let (learning, lost) = (whole(self.config.learning), self.lost.load(Ordering::Relaxed));
        let has_learned = |entry: &Entry| {
            self.is_fresh(entry, now) && entry.last.min(now).saturating_sub(entry.first.max(lost)) >= learning
        };
        learning == 0 || self.entries.look(&tenant_key(tenant), has_learned) == Some(true)
    }

    fn is_known(&self, tenant: &TenantId, author: Author<'_>, now: Seconds) -> bool {
        let proven = Author { is_authenticated: true, ..author };
        self.knows(author_key(tenant, author), now)
            // Whom the tenant writes to, unless somebody else writes under a name that is known to be proven.
            || (self.knows(partner_key(tenant, author.address), now)
                && (author.is_authenticated || !self.knows(author_key(tenant, proven), now)))
    }

    /// Mail of the author was delivered to the tenant.
    pub fn wrote(&self, tenant: &TenantId, author: Author<'_>, now: Timestamp) {
        let now = seconds(now);
        let learning = whole(self.config.learning);
        // One mail of long ago taught nothing.
        let broke_off = |entry: &Entry| {
            entry.last.saturating_sub(entry.first) < learning && now.saturating_sub(entry.last) > learning / 4
        };
        self.see(tenant_key(tenant), now, broke_off);
        self.see(author_key(tenant, author), now, |_| false);
    }

    /// A mailbox of the tenant's wrote to this address: whoever answers is no stranger, authenticated or not.
    pub fn was_written_to(&self, tenant: &TenantId, address: &Address, now: Timestamp) {
        self.see(partner_key(tenant, address), seconds(now), |_| false);
    }

    fn knows(&self, key: u64, now: Seconds) -> bool {
        self.entries.look(&key, |entry| self.is_fresh(entry, now)) == Some(true)
    }

    /// `begins_anew`: besides when it is forgotten.
    fn see(&self, key: u64, now: Seconds, begins_anew: impl FnOnce(&Entry) -> bool) {
        let seen = |entry: &mut Entry| {
            if !self.is_fresh(entry, now) || begins_anew(entry) {
                *entry = Entry::new(now);
            }
            entry.last = now;
        };
        self.entries.change(key, now, || Entry::new(now), seen);
        if self.entries.take_evicted() > 0 {
            self.lost.fetch_max(now, Ordering::Relaxed);
        }
    }

    fn is_fresh(&self, entry: &Entry, now: Seconds) -> bool {
        now.saturating_sub(entry.last) <= whole(self.config.memory)
    }

    /// Tells the metrics how many entries there are; to be called now and then.
    pub fn measure(&self) {
        self.metrics.sender.first_contact_entries.set(i64::try_from(self.entries.len()).unwrap_or(i64::MAX));
    }

    /// Takes over what an earlier run saved, but for what is forgotten by now.
    ///
    /// # Errors
    /// [`StateError`]; nothing was taken over.
    pub fn load(&self, dir: &Path, now: Timestamp) -> Result<(), StateError> {
        let now = seconds(now);
        let Some(entries) = state_file::load::<u64, Entry>(&dir.join(FILE), NAME)? else { return Ok(()) };
        let book = book_key();
        for (key, entry) in entries {
            if key == book {
                let is_old = now.saturating_sub(entry.last) > LITTLE_LOST;
                self.lost.fetch_max(if is_old { now } else { entry.first }, Ordering::Relaxed);
            } else if self.is_fresh(&entry, now) {
                self.entries.change(key, entry.last, || entry, |_| ());
            }
        }
        // The table was larger before.
        if self.entries.take_evicted() > 0 {
            self.lost.fetch_max(now, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`StateError`]; the file of before is still there.
    pub fn save(&self, dir: &Path, now: Timestamp) -> Result<(), StateError> {
        let now = seconds(now);
        let mut encoder = Encoder::new(NAME);
        encoder.push(&book_key(), &Entry { first: self.lost.load(Ordering::Relaxed), last: now });
        self.entries.each(|key, entry| {
            if self.is_fresh(entry, now) {
                encoder.push(key, entry);
            }
        });
        state_file::replace(&dir.join(FILE), &encoder.finish())
    }
}

fn tenant_key(tenant: &TenantId) -> u64 {
    hash(&[b"tenant", tenant.as_str().as_bytes()])
}

fn author_key(tenant: &TenantId, author: Author<'_>) -> u64 {
    let kind: &[u8] = if author.is_authenticated { b"authenticated" } else { b"unauthenticated" };
    hash(&[kind, tenant.as_str().as_bytes(), mailbox(author.address).as_bytes()])
}

fn partner_key(tenant: &TenantId, address: &Address) -> u64 {
    hash(&[b"written-to", tenant.as_str().as_bytes(), mailbox(address).as_bytes()])
}

/// In the file alone: when it was saved, and when entries were lost last.
fn book_key() -> u64 {
    hash(&[b"book"])
}

/// The mailbox without its detail (RFC 5233): `help+4711@` and `help+4712@` are one, and a service that writes each conversation
/// from a detail of its own does not fill the table.
fn mailbox(address: &Address) -> String {
    let key = address.key();
    let detailed = key.rsplit_once('@').and_then(|(local, domain)| Some((local.split_once('+')?.0, domain)));
    match detailed {
        Some((local, domain)) if !local.is_empty() => format!("{local}@{domain}"),
        _ => key,
    }
}

fn whole(duration: Duration) -> Seconds {
    Seconds::try_from(duration.as_secs()).unwrap_or(Seconds::MAX)
}

impl Entry {
    fn new(now: Seconds) -> Self {
        Self { first: now, last: now }
    }
}

impl Worth for Entry {
    /// Who wrote more than once is worth more; then who wrote later. A tenant's entry is as young as its last mail.
    #[allow(clippy::cast_precision_loss, reason = "hours don't matter here")]
    fn worth(&self, now: Seconds) -> f32 {
        let age = now.saturating_sub(self.last) as f32 / 3600.0;
        if self.first == self.last { -age } else { 1_000_000.0 - age }
    }
}

impl Fixed for Entry {
    const SIZE: usize = 8;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let [first, last] = words else { return None };
        rest.is_empty().then_some(Self { first: u32::from_le_bytes(*first), last: u32::from_le_bytes(*last) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_176_451_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn with(config: Config) -> Correspondents {
        Correspondents::new(config, Metrics::new())
    }

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// Whether an author with this proof is a stranger to acme.
    fn strange(table: &Correspondents, author: &str, is_authenticated: bool, now: Timestamp) -> bool {
        let author = address(author);
        table.is_first_contact(&tenant("acme"), Author { address: &author, is_authenticated }, now)
    }

    fn wrote(table: &Correspondents, author: &str, is_authenticated: bool, now: Timestamp) {
        let author = address(author);
        table.wrote(&tenant("acme"), Author { address: &author, is_authenticated }, now);
    }

    /// Mail on each of so many days.
    fn daily(table: &Correspondents, from: Timestamp, days: u32) {
        (0..=days).for_each(|day| wrote(table, "first@client.example", true, from.plus(day * DAY)));
    }

    /// A table that has observed acme for long enough, and the time it is by then.
    fn learned(config: Config) -> (Correspondents, Timestamp) {
        let table = with(config);
        daily(&table, START, 14);
        (table, START.plus(14 * DAY))
    }

    #[test]
    fn nobody_is_a_stranger_before_the_tenant_was_observed_for_long_enough() {
        let table = with(Config::default());
        for day in 0..=15 {
            wrote(&table, "first@client.example", true, START.plus(day * DAY));
            assert_eq!(strange(&table, "aoi@client.example", true, START.plus(day * DAY)), day >= 14, "day {day}");
        }
        let tested = with(Config::default());
        wrote(&tested, "first@client.example", true, START);
        wrote(&tested, "first@client.example", true, START.plus(20 * DAY));
        assert!(
            !strange(&tested, "aoi@client.example", true, START.plus(20 * DAY)),
            "a test long before the mail came"
        );
        daily(&tested, START.plus(21 * DAY), 13);
        assert!(strange(&tested, "aoi@client.example", true, START.plus(34 * DAY)));
        let (later, author) = (START.plus(20 * DAY), address("aoi@client.example"));
        let author = Author { address: &author, is_authenticated: true };
        assert!(!table.is_first_contact(&tenant("beta"), author, later), "each tenant learns for itself");
        assert!(!strange(&table, "aoi@client.example", true, START), "the clock was put back");
    }

    #[test]
    fn without_learning_the_first_mail_is_a_first_contact_and_the_second_is_not() {
        let table = with(Config { learning: Duration::ZERO, ..Config::default() });
        assert!(strange(&table, "aoi@client.example", true, START));
        assert!(strange(&table, "aoi@client.example", true, START), "to ask is not to meet");
        wrote(&table, "aoi@client.example", true, START);
        assert!(!strange(&table, "AOI@Client.example", true, START), "whatever the case");
        assert!(!strange(&table, "aoi+news@client.example", true, START), "whatever the detail");
        assert!(strange(&table, "bob@client.example", true, START));
    }

    #[test]
    fn who_is_not_proven_is_not_whom_the_tenant_knows_and_tenants_share_nobody() {
        let (table, now) = learned(Config::default());
        wrote(&table, "aoi@client.example", true, now);
        assert!(!strange(&table, "aoi@client.example", true, now));
        assert!(strange(&table, "aoi@client.example", false, now), "somebody writes under a known name");
        wrote(&table, "bob@client.example", false, now);
        assert!(!strange(&table, "bob@client.example", false, now));
        assert!(strange(&table, "bob@client.example", true, now));

        let (beta, author) = (tenant("beta"), address("aoi@client.example"));
        let author = Author { address: &author, is_authenticated: true };
        assert!(!table.is_first_contact(&beta, author, now), "it has learned nothing yet");
        let (first, is_authenticated) = (address("first@client.example"), true);
        let first = Author { address: &first, is_authenticated };
        (0..=14).for_each(|day| table.wrote(&beta, first, START.plus(day * DAY)));
        assert!(table.is_first_contact(&beta, author, now));
    }

    #[test]
    fn whom_the_tenant_wrote_to_is_no_stranger_proven_or_not() {
        let (table, now) = learned(Config::default());
        table.was_written_to(&tenant("acme"), &address("Aoi@client.example"), now);
        assert!(!strange(&table, "aoi@client.example", true, now));
        assert!(!strange(&table, "aoi@client.example", false, now));
        wrote(&table, "aoi@client.example", true, now);
        assert!(strange(&table, "aoi@client.example", false, now), "who is known to be proven goes on to be");
        table.was_written_to(&tenant("beta"), &address("bob@client.example"), now);
        assert!(strange(&table, "bob@client.example", true, now));
    }

    #[test]
    fn who_is_silent_for_too_long_is_forgotten_and_so_is_a_tenant() {
        let (table, now) = learned(Config::default());
        wrote(&table, "aoi@client.example", true, now);
        let again = now.plus(400 * DAY);
        assert!(!strange(&table, "aoi@client.example", true, again), "so long it is kept");
        wrote(&table, "other@client.example", true, now.plus(399 * DAY));
        assert!(strange(&table, "aoi@client.example", true, now.plus(402 * DAY)));
        let late = now.plus(900 * DAY);
        assert!(
            !strange(&table, "aoi@client.example", true, late),
            "the tenant had no mail for so long: it learns anew"
        );
        daily(&table, late, 14);
        assert!(strange(&table, "aoi@client.example", true, late.plus(14 * DAY)));
    }

    #[test]
    fn it_outlives_the_process_but_not_a_loss() {
        let (dir, (table, now)) = (tempfile::tempdir().unwrap(), learned(Config::default()));
        wrote(&table, "aoi@client.example", true, now);
        table.save(dir.path(), now).unwrap();
        let loaded = |after: Duration| {
            let again = with(Config::default());
            again.load(dir.path(), now.plus(after)).unwrap();
            again
        };
        let (again, soon) = (loaded(DAY), now.plus(DAY));
        assert!(!strange(&again, "aoi@client.example", true, soon));
        assert!(strange(&again, "bob@client.example", true, soon), "the tenant is observed since before");

        let (again, late) = (loaded(3 * DAY), now.plus(3 * DAY));
        assert!(!strange(&again, "bob@client.example", true, late), "whoever wrote after the save is lost");
        again.save(dir.path(), late).unwrap();
        daily(&again, late, 14);
        assert!(strange(&again, "bob@client.example", true, late.plus(14 * DAY)));
        assert!(!strange(&again, "aoi@client.example", true, late.plus(14 * DAY)), "who was saved is known");
        let third = with(Config::default());
        third.load(dir.path(), late.plus(DAY)).unwrap();
        assert!(!strange(&third, "bob@client.example", true, late.plus(DAY)), "the loss is saved, too");

        let again = loaded(500 * DAY);
        again.measure();
        assert_eq!(again.metrics.sender.first_contact_entries.get(), 0, "what is forgotten is not loaded");
        std::fs::write(dir.path().join(FILE), b"SKCORR1\nxx").unwrap();
        assert!(matches!(with(Config::default()).load(dir.path(), now), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn a_full_table_calls_nobody_a_stranger() {
        let (table, now) = learned(Config { most_entries: 640, ..Config::default() });
        assert!(strange(&table, "bob@client.example", true, now));
        for n in 0..2_000 {
            wrote(&table, &format!("u{n}@client.example"), true, now);
        }
        assert!(!strange(&table, "bob@client.example", true, now));
        table.measure();
        assert_eq!(table.metrics.sender.first_contact_entries.get(), 640);
        daily(&table, now, 14);
        assert!(strange(&table, "bob@client.example", true, now.plus(14 * DAY)), "the flood is over for long");

        let (large, dir) = (learned(Config::default()).0, tempfile::tempdir().unwrap());
        (0..2_000).for_each(|n| wrote(&large, &format!("u{n}@client.example"), true, now));
        large.save(dir.path(), now).unwrap();
        let small = with(Config { most_entries: 640, ..Config::default() });
        small.load(dir.path(), now).unwrap();
        assert!(!strange(&small, "bob@client.example", true, now), "the setting was lowered");
    }
}
