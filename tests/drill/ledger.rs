//! Who said what: the injector's ledger (L1), the next hop's (L2), the notices' (L3), and the judgement over them.
//!
//! **Invariants**: L1 goes to its file before the injector's next action; a (uuid, recipient) is written there once.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;

use crate::dice::Dice;
use crate::sink::{Ending, Handler};

pub type Hash = [u8; 32];

/// SHA-256.
pub fn hash(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// What the client knows of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    Refused(u16),
    /// The final dot was (perhaps) sent, no reply was read.
    Ambiguous,
}

/// One line of L1.
#[derive(Debug, Clone)]
pub struct Sent {
    pub uuid: String,
    /// Those that got 250 at RCPT.
    pub recipients: Vec<String>,
    pub hash: Hash,
    pub fate: Fate,
}

/// L1.
#[derive(Debug)]
pub struct Injected {
    file: Mutex<(File, Vec<Sent>)>,
}

impl Injected {
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Mutex::new((File::create(path)?, Vec::new())) })
    }

    pub fn write(&self, sent: Sent) {
        let mut guard = lock(&self.file);
        let line = format!("{} {:?} {}\n", sent.uuid, sent.fate, sent.recipients.join(","));
        guard.0.write_all(line.as_bytes()).expect("the drill's own ledger can be written");
        guard.1.push(sent);
    }

    pub fn all(&self) -> Vec<Sent> {
        lock(&self.file).1.clone()
    }

    pub fn len(&self) -> usize {
        lock(&self.file).1.len()
    }
}

/// L2 and L3, and the behaviour of the next hop.
#[derive(Debug)]
pub struct NextHop {
    inner: Mutex<Arrived>,
    /// Stands for a next hop that is away.
    away: std::sync::atomic::AtomicBool,
    /// Per mille of messages answered 451.
    pub deferred_per_mille: u64,
    /// Up to so many milliseconds before the reply.
    pub slow_ms: u64,
}

#[derive(Debug)]
struct Arrived {
    dice: Dice,
    transactions: Vec<Arrival>,
    noticed: Vec<(String, String)>,
    unreadable: u64,
    broken_off: Vec<Instant>,
}

/// One transaction that the next hop took.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub uuid: String,
    pub recipients: Vec<String>,
    pub hash: Hash,
}

impl NextHop {
    pub fn new(seed: u64, deferred_per_mille: u64, slow_ms: u64) -> Arc<Self> {
        let inner = Arrived {
            dice: Dice::new(seed),
            transactions: Vec::new(),
            noticed: Vec::new(),
            unreadable: 0,
            broken_off: Vec::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), away: false.into(), deferred_per_mille, slow_ms })
    }

    /// Greets nobody while away.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, std::sync::atomic::Ordering::SeqCst);
    }

    /// Connections that broke since `from` with a transaction open or freshly answered.
    pub fn take_in_flight(&self, from: Instant) -> u64 {
        let broken_off = std::mem::take(&mut lock(&self.inner).broken_off);
        broken_off.iter().filter(|at| **at >= from).count() as u64
    }

    pub fn count(&self) -> usize {
        lock(&self.inner).transactions.len()
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.inner).transactions.clone()
    }
}

const MARK: &[u8] = b"X-Test-UUID: ";

/// The uuid and the hash of everything from its header line on (what the gateway put in front is its own).
pub fn identify(message: &[u8]) -> Option<(String, Hash)> {
    let at = message.windows(MARK.len()).position(|window| window == MARK)?;
    let own = message.get(at..)?;
    let end = own.iter().position(|byte| *byte == b'\r')?;
    let uuid = String::from_utf8_lossy(own.get(MARK.len()..end)?).into_owned();
    Some((uuid, hash(own)))
}

impl Handler for NextHop {
    fn greeting(&self) -> Option<&'static str> {
        (!self.away.load(std::sync::atomic::Ordering::SeqCst)).then_some("220 sink.example ESMTP")
    }

    fn rcpt(&self, recipient: &str) -> &'static str {
        if recipient.starts_with("bounce") { "550 5.1.1 nobody of that name" } else { "250 2.1.5 ok" }
    }

    fn message(&self, sender: &str, recipients: &[String], body: &[u8]) -> (&'static str, Duration) {
        let found = identify(body);
        let mut inner = lock(&self.inner);
        let wait = Duration::from_millis(if self.slow_ms == 0 { 0 } else { inner.dice.below(self.slow_ms) });
        let Some((uuid, hash)) = found else {
            inner.unreadable += 1;
            return ("250 2.0.0 taken", wait);
        };
        if sender.is_empty() {
            let text = String::from_utf8_lossy(body);
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("Final-Recipient:") {
                    let address = rest.rsplit(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                    inner.noticed.push((uuid.clone(), address));
                }
            }
            return ("250 2.0.0 taken", wait);
        }
        if inner.dice.below(1000) < self.deferred_per_mille {
            return ("451 4.3.0 come back later", wait);
        }
        inner.transactions.push(Arrival { uuid, recipients: recipients.to_vec(), hash });
        ("250 2.0.0 taken", wait)
    }

    fn ended(&self, ending: Ending) {
        // An answer counts as in flight for a moment: the gateway still has to read it and to write it down.
        let fresh = ending.answered.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
        if !ending.polite && (ending.open || fresh) {
            lock(&self.inner).broken_off.push(Instant::now());
        }
    }
}

/// What came out.
#[derive(Debug, Default)]
pub struct Judgement {
    pub messages: usize,
    pub accepted: usize,
    pub refused: usize,
    pub ambiguous: usize,
    pub recipients: usize,
    pub delivered: usize,
    pub noticed: usize,
    pub lost: Vec<(String, String)>,
    /// Transactions at the next hop with a recipient that had the message already.
    pub duplicate_transactions: usize,
    pub duplicate_recipients: usize,
    pub duplicate_notices: usize,
    /// Delivered though the client was told 4xx or 5xx.
    pub phantoms: usize,
    pub foreign: usize,
    pub altered: usize,
    pub unreadable: u64,
}

/// Holds L1 against L2 and L3. `excused`: uuids whose records the drill itself damaged.
pub fn judge(injected: &[Sent], hop: &NextHop, excused: &HashSet<String>) -> Judgement {
    let inner = lock(&hop.inner);
    let mut out = Judgement { messages: injected.len(), unreadable: inner.unreadable, ..Judgement::default() };
    let known: HashMap<&str, &Sent> = injected.iter().map(|sent| (sent.uuid.as_str(), sent)).collect();
    let mut delivered: HashSet<(&str, &str)> = HashSet::new();
    let mut phantoms: HashSet<&str> = HashSet::new();
    for arrival in &inner.transactions {
        let Some(sent) = known.get(arrival.uuid.as_str()) else {
            out.foreign += 1;
            continue;
        };
        if sent.hash != arrival.hash {
            out.altered += 1;
        }
        if matches!(sent.fate, Fate::Refused(_)) {
            phantoms.insert(&arrival.uuid);
        }
        let mut again = 0;
        for recipient in &arrival.recipients {
            if !sent.recipients.contains(recipient) {
                out.foreign += 1;
            }
            if !delivered.insert((&arrival.uuid, recipient)) {
                again += 1;
            }
        }
        out.duplicate_recipients += again;
        out.duplicate_transactions += usize::from(again > 0);
    }
    let mut noticed: HashSet<(&str, &str)> = HashSet::new();
    for (uuid, recipient) in &inner.noticed {
        if !noticed.insert((uuid, recipient)) {
            out.duplicate_notices += 1;
        }
    }
    for sent in injected {
        match sent.fate {
            Fate::Refused(_) => out.refused += 1,
            Fate::Ambiguous => out.ambiguous += 1,
            Fate::Accepted => {
                out.accepted += 1;
                out.recipients += sent.recipients.len();
                for recipient in &sent.recipients {
                    let key = (sent.uuid.as_str(), recipient.as_str());
                    if !delivered.contains(&key) && !noticed.contains(&key) && !excused.contains(&sent.uuid) {
                        out.lost.push((sent.uuid.clone(), recipient.clone()));
                    }
                }
            }
        }
    }
    out.delivered = delivered.len();
    out.noticed = noticed.len();
    out.phantoms = phantoms.len();
    out
}

/// When a thing was last seen to move.
#[derive(Debug)]
pub struct Progress {
    last: (f64, usize),
    since: Instant,
}

impl Progress {
    pub fn new() -> Self {
        Self { last: (f64::NAN, 0), since: Instant::now() }
    }

    /// How long nothing has moved.
    pub fn stuck(&mut self, queued: f64, arrived: usize) -> Duration {
        if (queued, arrived) != self.last {
            self.last = (queued, arrived);
            self.since = Instant::now();
        }
        self.since.elapsed()
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
