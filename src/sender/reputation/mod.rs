//! Our own reputation of sources: decaying counts of what they sent, and what each level makes of them.
//!
//! Kept per address (IPv6: per /64), per network (/24, /48) and, apart from these, per authenticated domain. Every message counts
//! once, whatever its number of recipients. [`Reputation::saw`] counts, [`Reputation::standing`] judges; the numbers are in
//! [`numbers`], the reasons for them in [`manual::reputation`](crate::manual::reputation).
//!
//! | level | address: points, share | network: points, share | stay | 550 from |
//! |---|---|---|---|---|
//! | 0 | never acts; computed for the log | | | |
//! | 1 | 7.5, 40 % | 24, 80 % | 30 min | never |
//! | 2 | 2.5, 15 % | 12, 60 % | 2 h | never |
//! | 3 | 1.5, 5 % | 8, 50 % | 6 h | never |
//! | 4 | 0.5: a single spam | 5, 34 % | 24 h | 4.5, 20 % |
//!
//! **Failure**: none while judging: an unknown source is [`Standing::Unknown`]. What can't be loaded at start is given up.
//! **Invariants**: a source without offences of its own or its network's is never delayed; a higher level is never milder;
//! one address adds at most two points to its network; refused and delayed attempts count nothing, so retries don't prolong.

mod judge;
mod key;
pub mod numbers;
mod pins;
mod record;
mod store;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use key::Key;
pub use pins::{MAX_PINS, Pin, TooMany};
pub use record::Record;
pub use store::{MemoryReputation, ReputationStore};

use crate::model::sender::{Level, Standing};
use crate::model::{Domain, Timestamp};
use crate::tables::{StateError, seconds};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Observed, StandingKind};
use judge::Evidence;
use pins::Pins;

/// One thing a source did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// A message nothing was found against.
    Ham,
    /// A message judged to be spam, phishing or malware.
    Spam,
    UnknownRecipient,
    /// Early talk, broken line ends, commands that are none.
    Malformed,
}

/// The decayed counts behind a judgement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub ham: f32,
    pub spam: f32,
    pub unknown: f32,
    pub malformed: f32,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Nothing is known against it.
    Nothing,
    /// What the address itself sent.
    Address,
    /// What many of its neighbours sent.
    Network,
    /// What the authenticated domain sent from anywhere.
    Domain,
    /// An operator's word.
    Operator,
}

/// What a level makes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub standing: Standing,
    pub why: Why,
    /// When the delay ends if nothing more comes; `None`: nothing to end, or until an operator says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What the default level makes of it: for the log where the level is 0.
    pub usual: Standing,
    /// Of what decided; of the address if nothing did.
    pub counts: Counts,
}

/// What an operator may see or change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address, with its network.
    Address(IpAddr),
    Domain(Domain),
}

/// Everything kept about a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub own: Option<Record>,
    pub network: Option<Record>,
    pub pin: Option<Pin>,
}

/// The files in the data directory.
const COUNTS: &str = "reputation.state";
const PINS: &str = "reputation-set.json";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Addresses, networks and domains together; about 170 octets each (`benches/limits.rs`).
    pub most_sources: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { most_sources: 1_000_000 }
    }
}

/// The handle: cheap to share as `Arc`.
#[derive(Debug)]
pub struct Reputation {
    store: Arc<dyn ReputationStore>,
    pins: Pins,
    metrics: Arc<Metrics>,
}

impl Reputation {
    #[must_use]
    pub fn new(store: Arc<dyn ReputationStore>, metrics: Arc<Metrics>) -> Self {
        Self { store, pins: Pins::default(), metrics }
    }

    #[must_use]
    pub fn in_memory(config: Config, metrics: Arc<Metrics>) -> Self {
        Self::new(Arc::new(MemoryReputation::new(config.most_sources)), metrics)
    }

    /// Judges a source. `domain`: only an authenticated one (SPF or DKIM pass), since anybody can claim a name.
    #[must_use]
    pub fn standing(&self, ip: IpAddr, domain: Option<&Domain>, level: Level, now: Timestamp) -> Judged {
        let judged = self.would_say(ip, domain, level, now);
        self.metrics.sender.standings.inc(judged.standing.into());
        judged
    }

    /// The same, for those who only want to know.
    #[must_use]
    pub fn would_say(&self, ip: IpAddr, domain: Option<&Domain>, level: Level, now: Timestamp) -> Judged {
        let now = seconds(now);
        let fetch = |key: Key| self.store.look(key).map(|record| record.at(now));
        let evidence = Evidence {
            address: fetch(Key::address(ip)),
            network: fetch(Key::network(ip)),
            domain: domain.and_then(|domain| fetch(Key::domain(domain))),
            pin: self.pins.of(Key::address(ip), now).or_else(|| self.pins.of(Key::domain(domain?), now)),
        };
        judge::judge(&evidence, level, now)
    }

    /// Counts what a source did. `domain`: only an authenticated one.
    pub fn saw(&self, ip: IpAddr, domain: Option<&Domain>, seen: Observation, now: Timestamp) {
        self.metrics.sender.observed.inc(seen.into());
        let now = seconds(now);
        let mut lent = (0.0, 0.0);
        self.store.change(Key::address(ip), now, &mut |record| {
            *record = record.at(now);
            record.count(seen, now);
            lent = record.lend();
        });
        let (points, ham) = lent;
        if points > 0.0 || ham > 0.0 {
            self.store.change(Key::network(ip), now, &mut |record| {
                *record = record.at(now);
                record.count_lent(points, ham, now);
            });
        }
        if let Some(domain) = domain
            && matches!(seen, Observation::Ham | Observation::Spam)
        {
            self.store.change(Key::domain(domain), now, &mut |record| {
                *record = record.at(now);
                record.count(seen, now);
            });
        }
    }

    /// What a level makes of a subject alone, for operators.
    #[must_use]
    pub fn judged(&self, subject: &Subject, level: Level, now: Timestamp) -> Judged {
        let (key, now) = (key_of(subject), seconds(now));
        let own = self.store.look(key).map(|record| record.at(now));
        let pin = self.pins.of(key, now);
        let evidence = match subject {
            Subject::Address(ip) => {
                let network = self.store.look(Key::network(*ip)).map(|record| record.at(now));
                Evidence { address: own, network, domain: None, pin }
            }
            Subject::Domain(_) => Evidence { domain: own, pin, ..Evidence::default() },
        };
        judge::judge(&evidence, level, now)
    }

    #[must_use]
    pub fn show(&self, subject: &Subject, now: Timestamp) -> Known {
        let now = seconds(now);
        let fetch = |key: Key| self.store.look(key).map(|record| record.at(now));
        let key = key_of(subject);
        let network = match subject {
            Subject::Address(ip) => fetch(Key::network(*ip)),
            Subject::Domain(_) => None,
        };
        Known { own: fetch(key), network, pin: self.pins.of(key, now) }
    }

    /// An operator's word on a source, over all counts.
    ///
    /// # Errors
    /// There are [`MAX_PINS`] already.
    pub fn set(&self, subject: &Subject, pin: Pin) -> Result<(), TooMany> {
        self.pins.set(key_of(subject), pin)
    }

    /// Forgets a source and what was set for it, and takes out of its network what it added. False: there was nothing.
    pub fn forget(&self, subject: &Subject, now: Timestamp) -> bool {
        let (key, now) = (key_of(subject), seconds(now));
        let unpinned = self.pins.remove(key);
        let Some(record) = self.store.remove(key).map(|record| record.at(now)) else { return unpinned };
        if let Subject::Address(ip) = subject
            && self.store.look(Key::network(*ip)).is_some()
        {
            self.store.change(Key::network(*ip), now, &mut |network| {
                *network = network.at(now);
                network.count_lent(-record.lent_points, -record.lent_ham, now);
            });
        }
        true
    }

    /// Tells the metrics how many sources there are; to be called now and then.
    pub fn measure(&self) {
        self.metrics.sender.sources.set(i64::try_from(self.store.len()).unwrap_or(i64::MAX));
        self.metrics.sender.sources_evicted.inc_by(self.store.take_evicted());
    }

    /// Takes over what an earlier run saved. What is damaged is left where it is and given up.
    ///
    /// # Errors
    /// [`StateError`]; the rest was loaded.
    pub fn load(&self, dir: &Path) -> Result<(), StateError> {
        let pins = self.pins.load(&dir.join(PINS));
        let counts = self.store.load(&dir.join(COUNTS));
        counts.and(pins)
    }

    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`StateError`]; the files of before are still there.
    pub fn save(&self, dir: &Path) -> Result<(), StateError> {
        self.store.save(&dir.join(COUNTS)).and_then(|()| self.save_set(dir))
    }

    /// Only what operators set: small, and saved at once. Blocks on the disk.
    ///
    /// # Errors
    /// [`StateError`]; the file of before is still there.
    pub fn save_set(&self, dir: &Path) -> Result<(), StateError> {
        self.pins.save(&dir.join(PINS))
    }
}

impl From<Standing> for StandingKind {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Good => Self::Good,
            Standing::Unknown => Self::Unknown,
            Standing::Delayed => Self::Delayed,
            Standing::Refused => Self::Refused,
        }
    }
}

impl From<Observation> for Observed {
    fn from(seen: Observation) -> Self {
        match seen {
            Observation::Ham => Self::Ham,
            Observation::Spam => Self::Spam,
            Observation::UnknownRecipient => Self::UnknownRecipient,
            Observation::Malformed => Self::Malformed,
        }
    }
}

fn key_of(subject: &Subject) -> Key {
    match subject {
        Subject::Address(ip) => Key::address(*ip),
        Subject::Domain(domain) => Key::domain(domain),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
