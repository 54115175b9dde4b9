//! The greylist: who is not known is asked to come back, which a mail server does and a one-shot spammer doesn't.
//!
//! Kept by network (/24, IPv6 /64), sender and recipient, as 64 bits of a hash. A sender that came back in time passes from then on;
//! a network that sent for the same sender domain twice is known and is asked no more, whoever the recipient.
//! Whether it is asked at all is policy's: only at the middle levels of reputation, only of [`Standing::Unknown`] sources.
//!
//! **Failure**: entries lost to a restart or a full table cost a second delay, never mail.
//! **Invariants**: bounded; nobody who comes back between [`Config::wait`] and [`Config::window`] is asked twice for the same triplet.
//!
//! [`Standing::Unknown`]: crate::model::sender::Standing::Unknown

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Address, ReversePath, Timestamp};
use crate::tables::state_file::{self, Encoder, Fixed, StateError};
use crate::tables::{Bounded, Seconds, Worth, hash, seconds, timestamp};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::GreylistAnswer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Not before this; servers usually come back after 15 minutes or more.
    pub wait: Duration,
    /// Not after this (RFC 5321 section 4.5.4.1: give-up time is at least 4 days, but a first retry is within hours).
    pub window: Duration,
    /// What has passed is kept so long without mail.
    pub memory: Duration,
    /// Fewer than 150 octets each.
    pub most_entries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(300),
            window: Duration::from_secs(24 * 3600),
            memory: Duration::from_secs(36 * 24 * 3600),
            most_entries: 1_000_000,
        }
    }
}

/// Triplets that passed before a network and sender domain are known.
const PASSES_TO_BE_KNOWN: u32 = 2;

/// What the greylist says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Greyed {
    /// Known from before.
    Known,
    /// It came back.
    Passed,
    /// Come back, not before this time.
    Wait(Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    first: Seconds,
    last: Seconds,
    /// Triplets: 1 once it passed. Networks and domains: triplets passed.
    passes: u32,
}

const NAME: &[u8; 8] = b"SKGREY1\n";
const FILE: &str = "greylist.state";

/// The handle: cheap to share as `Arc`.
#[derive(Debug)]
pub struct Greylist {
    config: Config,
    entries: Bounded<u64, Entry>,
    metrics: Arc<Metrics>,
}

impl Greylist {
    #[must_use]
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        Self { config, entries: Bounded::new(config.most_entries), metrics }
    }

    /// Asks, and remembers that it was asked.
    #[must_use]
    pub fn check(&self, ip: IpAddr, sender: &ReversePath, recipient: &Address, now: Timestamp) -> Greyed {
        let greyed = self.asked(ip, sender, recipient, seconds(now));
        self.metrics.sender.greylist.inc(match greyed {
            Greyed::Known => GreylistAnswer::Known,
            Greyed::Passed => GreylistAnswer::Passed,
            Greyed::Wait(_) => GreylistAnswer::Wait,
        });
        greyed
    }

    /// The same, for those who only want to know.
    #[must_use]
    pub fn would_say(&self, ip: IpAddr, sender: &ReversePath, recipient: &Address, now: Timestamp) -> Greyed {
        let (now, (known, triplet)) = (seconds(now), keys(ip, sender, recipient));
        if self.is_known(known, now) {
            return Greyed::Known;
        }
        let mut entry = self.entries.look(&triplet, |entry| *entry).unwrap_or_else(|| Entry::new(now));
        self.came(&mut entry, now)
    }

    fn is_known(&self, known: u64, now: Seconds) -> bool {
        let is_known = |entry: &Entry| entry.passes >= PASSES_TO_BE_KNOWN && self.is_fresh(entry, now);
        self.entries.look(&known, is_known) == Some(true)
    }

    fn asked(&self, ip: IpAddr, sender: &ReversePath, recipient: &Address, now: Seconds) -> Greyed {
        let (known, triplet) = keys(ip, sender, recipient);
        if self.is_known(known, now) {
            self.entries.change(known, now, || Entry::new(now), |entry| entry.last = now);
            return Greyed::Known;
        }
        let greyed = self.entries.change(triplet, now, || Entry::new(now), |entry| self.came(entry, now));
        match greyed {
            Some(Greyed::Passed) => {
                let count = |entry: &mut Entry| {
                    if !self.is_fresh(entry, now) {
                        entry.passes = 0;
                    }
                    entry.passes = entry.passes.saturating_add(1);
                    entry.last = now;
                };
                self.entries.change(known, now, || Entry::new(now), count);
                Greyed::Passed
            }
            Some(greyed) => greyed,
            // No table, no reason to wait.
            None => Greyed::Passed,
        }
    }

    fn came(&self, entry: &mut Entry, now: Seconds) -> Greyed {
        if entry.passes > 0 && self.is_fresh(entry, now) {
            entry.last = now;
            return Greyed::Known;
        }
        let since = now.saturating_sub(entry.first);
        if entry.passes > 0 || since > whole(self.config.window) {
            *entry = Entry::new(now);
        } else if since >= whole(self.config.wait) {
            entry.passes = 1;
            entry.last = now;
            return Greyed::Passed;
        }
        Greyed::Wait(timestamp(entry.first.saturating_add(whole(self.config.wait))))
    }

    fn is_fresh(&self, entry: &Entry, now: Seconds) -> bool {
        now.saturating_sub(entry.last) <= whole(self.config.memory)
    }

    /// Tells the metrics how many entries there are; to be called now and then.
    pub fn measure(&self) {
        self.metrics.sender.greylist_entries.set(i64::try_from(self.entries.len()).unwrap_or(i64::MAX));
    }

    /// Takes over what an earlier run saved.
    ///
    /// # Errors
    /// [`StateError`]; nothing was taken over.
    pub fn load(&self, dir: &Path) -> Result<(), StateError> {
        for (key, entry) in state_file::load::<u64, Entry>(&dir.join(FILE), NAME)?.unwrap_or_default() {
            self.entries.change(key, entry.last, || entry, |_| ());
        }
        Ok(())
    }

    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`StateError`]; the file of before is still there.
    pub fn save(&self, dir: &Path) -> Result<(), StateError> {
        let mut encoder = Encoder::new(NAME);
        self.entries.each(|key, entry| encoder.push(key, entry));
        state_file::replace(&dir.join(FILE), &encoder.finish())
    }
}

/// Of the network with the sender's domain, and of the triplet.
fn keys(ip: IpAddr, sender: &ReversePath, recipient: &Address) -> (u64, u64) {
    let network = network(ip);
    let known = hash(&[b"known", &network, sender_domain(sender).as_bytes()]);
    (known, hash(&[b"triplet", &network, plain(sender).as_bytes(), recipient.key().as_bytes()]))
}

fn whole(duration: Duration) -> Seconds {
    Seconds::try_from(duration.as_secs()).unwrap_or(Seconds::MAX)
}

/// A farm of senders shares a /24; an IPv6 host owns a /64.
fn network(ip: IpAddr) -> [u8; 9] {
    let (family, bits) = match ip.to_canonical() {
        IpAddr::V4(ip) => (4, u64::from(ip.to_bits() >> 8)),
        IpAddr::V6(ip) => (6, u64::try_from(ip.to_bits() >> 64).unwrap_or(0)),
    };
    let mut network = [family; 9];
    if let Some(rest) = network.last_chunk_mut::<8>() {
        *rest = bits.to_be_bytes();
    }
    network
}

fn sender_domain(sender: &ReversePath) -> &str {
    match sender {
        ReversePath::Null => "",
        ReversePath::Mailbox(address) => address.domain().as_str(),
    }
}

/// The sender without what changes from message to message: `bounce-4711+x@` and `bounce-4712+y@` are one.
fn plain(sender: &ReversePath) -> String {
    let ReversePath::Mailbox(address) = sender else { return String::new() };
    let key = address.key();
    let local = key.rsplit_once('@').map_or(key.as_str(), |(local, _)| local);
    let local = local.split(['+', '=']).next().unwrap_or_default();
    let mut plain = String::with_capacity(key.len());
    for c in local.chars() {
        match c {
            '0'..='9' if plain.ends_with('#') => {}
            '0'..='9' => plain.push('#'),
            c => plain.push(c),
        }
    }
    plain.push('@');
    plain.push_str(address.domain().as_str());
    plain
}

impl Entry {
    fn new(now: Seconds) -> Self {
        Self { first: now, last: now, passes: 0 }
    }
}

impl Worth for Entry {
    /// Who passed is worth more than who was seen once; then the younger one.
    #[allow(clippy::cast_precision_loss, reason = "minutes don't matter here")]
    fn worth(&self, now: Seconds) -> f32 {
        let age = now.saturating_sub(self.last) as f32 / 3600.0;
        self.passes.min(3) as f32 * 1000.0 - age
    }
}

impl Fixed for Entry {
    const SIZE: usize = 12;

    fn write(&self, out: &mut Vec<u8>) {
        for word in [self.first, self.last, self.passes] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let [first, last, passes] = words else { return None };
        let [first, last, passes] = [first, last, passes].map(|word| u32::from_le_bytes(*word));
        rest.is_empty().then_some(Self { first, last, passes })
    }
}

impl Fixed for u64 {
    const SIZE: usize = 8;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_176_451_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn greylist() -> Greylist {
        Greylist::new(Config::default(), Metrics::new())
    }

    fn check(greylist: &Greylist, ip: &str, sender: &str, recipient: &str, now: Timestamp) -> Greyed {
        let sender = match sender {
            "" => ReversePath::Null,
            text => ReversePath::Mailbox(Address::parse(text).unwrap()),
        };
        greylist.check(ip.parse().unwrap(), &sender, &Address::parse(recipient).unwrap(), now)
    }

    #[test]
    fn who_comes_back_in_time_passes_and_is_remembered() {
        let list = greylist();
        let ask = |now| check(&list, "192.0.2.7", "a@client.example", "b@acme.example", now);
        let early = START.plus(5 * MINUTE);
        assert_eq!(ask(START), Greyed::Wait(early));
        assert_eq!(ask(START.plus(4 * MINUTE)), Greyed::Wait(early), "coming early doesn't prolong");
        assert_eq!(ask(early), Greyed::Passed);
        assert_eq!(ask(early.plus(30 * DAY)), Greyed::Known);
        assert_eq!(ask(early.plus(60 * DAY)), Greyed::Known, "each mail renews it");
        let late = early.plus(100 * DAY);
        assert_eq!(ask(late), Greyed::Wait(late.plus(5 * MINUTE)));
    }

    #[test]
    fn who_comes_back_too_late_begins_anew() {
        let list = greylist();
        let ask = |now| check(&list, "192.0.2.7", "a@client.example", "b@acme.example", now);
        let _ = ask(START);
        let late = START.plus(25 * 60 * MINUTE);
        assert_eq!(ask(late), Greyed::Wait(late.plus(5 * MINUTE)));
        assert_eq!(ask(late.plus(5 * MINUTE)), Greyed::Passed);
    }

    #[test]
    fn farms_and_changing_senders_are_one_and_recipients_are_not() {
        let list = greylist();
        let later = START.plus(10 * MINUTE);
        let _ = check(&list, "192.0.2.7", "bounce-4711+b=acme@client.example", "b@acme.example", START);
        let again = check(&list, "192.0.2.99", "BOUNCE-4712+x@client.example", "B@ACME.example", later);
        assert_eq!(again, Greyed::Passed);
        let wait = Greyed::Wait(later.plus(5 * MINUTE));
        assert_eq!(check(&list, "192.0.2.7", "bounce-1@client.example", "c@acme.example", later), wait);
        assert_eq!(check(&list, "192.0.3.7", "bounce-1@client.example", "b@acme.example", later), wait);
        assert_eq!(check(&list, "192.0.2.7", "", "b@acme.example", later), wait);
    }

    #[test]
    fn a_network_that_passed_twice_for_a_domain_is_known_to_everybody() {
        let list = greylist();
        let later = START.plus(10 * MINUTE);
        for recipient in ["b@acme.example", "c@acme.example"] {
            let _ = check(&list, "192.0.2.7", "a@client.example", recipient, START);
            assert_eq!(check(&list, "192.0.2.7", "a@client.example", recipient, later), Greyed::Passed);
        }
        assert_eq!(check(&list, "192.0.2.8", "z@client.example", "d@beta.example", later), Greyed::Known);
        let other = check(&list, "192.0.2.8", "z@other.example", "d@beta.example", later);
        assert_eq!(other, Greyed::Wait(later.plus(5 * MINUTE)));
    }

    #[test]
    fn it_is_saved_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let list = greylist();
        let ask = |list: &Greylist, now| check(list, "2001:db8::1", "a@client.example", "b@acme.example", now);
        let _ = ask(&list, START);
        list.save(dir.path()).unwrap();
        let again = greylist();
        again.load(dir.path()).unwrap();
        assert_eq!(ask(&again, START.plus(6 * MINUTE)), Greyed::Passed);
        let small = Greylist::new(Config { most_entries: 640, ..Config::default() }, Metrics::new());
        for n in 0..5000 {
            let _ = check(&small, "192.0.2.7", "a@client.example", &format!("u{n}@acme.example"), START);
        }
        small.measure();
        assert_eq!(small.metrics.sender.greylist_entries.get(), 640);
    }
}
