//! The sets in force on this node: a current one, perhaps a canary for a share of the mail, pins of tenants.
//!
//! A message picks its set once ([`Sets::pick`]) and keeps it to its end, whatever is swapped meanwhile. What each set does is
//! counted; a new one whose hits or whose time jump against the one before is taken back without anybody's doing.
//!
//! **Failure**: a set that is refused changes nothing; the running one stays. **Invariants**: picking takes no lock and waits
//! for nobody; a set that was taken back on this node does not come in force again by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::SignatureSet;
use super::keys::Trust;
use super::manifest::Refused;
use super::published::{Published, Seen, State};
use super::self_test;
use crate::clock::Clock;
use crate::message::specimen::Specimen;
use crate::model::{TenantId, Timestamp};

/// Messages that a set must have judged before its figures say anything.
pub const ENOUGH: u64 = 200;
/// Figures are compared each time a set has judged so many more.
const OFTEN: u64 = 32;
/// A set that has judged so many without cause for complaint is not compared any more.
const SETTLED: u64 = 20_000;

/// What a set has done so far.
#[derive(Debug, Default)]
pub struct Stats {
    messages: AtomicU64,
    hits: AtomicU64,
    micros: AtomicU64,
}

/// [`Stats`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Figures {
    pub messages: u64,
    /// Messages that were found spam, phishing, malware or the like.
    pub hits: u64,
    /// Microseconds, all messages together.
    pub micros: u64,
}

impl Stats {
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            messages: self.messages.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
            micros: self.micros.load(Ordering::Relaxed),
        }
    }
}

impl Figures {
    #[allow(clippy::cast_precision_loss, reason = "shares of counts")]
    fn share(self, part: u64) -> f64 {
        part as f64 / self.messages.max(1) as f64
    }

    /// Hits of each message.
    #[must_use]
    pub fn hit_rate(self) -> f64 {
        self.share(self.hits)
    }

    /// Mean time of a message, microseconds.
    #[must_use]
    pub fn mean_micros(self) -> f64 {
        self.share(self.micros)
    }

    /// Why a set with these figures is to be taken back, if the one before had `before`.
    #[must_use]
    pub fn against(self, before: Self) -> Option<String> {
        if self.messages < ENOUGH || before.messages < ENOUGH {
            return None;
        }
        let (hits, was) = (self.hit_rate(), before.hit_rate());
        if hits > was * 2.0 + 0.05 {
            return Some(format!(
                "it finds something in {:.1} % of the mail, before {:.1} %",
                hits * 100.0,
                was * 100.0
            ));
        }
        if was > 0.05 && hits < was / 4.0 {
            return Some(format!(
                "it finds something in {:.1} % of the mail, before {:.1} %",
                hits * 100.0,
                was * 100.0
            ));
        }
        let (time, was) = (self.mean_micros(), before.mean_micros());
        if time > was * 3.0 + 5_000.0 {
            return Some(format!("it takes {:.1} ms for a message, before {:.1} ms", time / 1000.0, was / 1000.0));
        }
        None
    }
}

/// A set with its figures.
#[derive(Debug)]
pub struct Slot {
    set: Arc<SignatureSet>,
    stats: Stats,
    /// Of the manifest; `None`: not from a published set.
    expires: Option<Timestamp>,
}

impl Slot {
    #[must_use]
    pub fn set(&self) -> &Arc<SignatureSet> {
        &self.set
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        self.stats.figures()
    }

    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }
}

/// Which sets messages are judged with.
#[derive(Debug, Clone)]
pub struct InForce {
    pub current: Arc<Slot>,
    /// With its share of 10,000 messages.
    pub canary: Option<(Arc<Slot>, u16)>,
    pub previous: Option<Arc<Slot>>,
    pub pins: HashMap<TenantId, Arc<Slot>>,
}

/// The set of one message.
#[derive(Debug, Clone)]
pub struct Picked {
    slot: Arc<Slot>,
}

impl std::ops::Deref for Picked {
    type Target = SignatureSet;

    fn deref(&self) -> &SignatureSet {
        &self.slot.set
    }
}

impl Picked {
    /// To hand to another thread.
    #[must_use]
    pub fn set(&self) -> Arc<SignatureSet> {
        Arc::clone(&self.slot.set)
    }
}

/// A set was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    pub number: u64,
    /// In force instead.
    pub instead: u64,
    pub reason: String,
}

/// Where sets come from.
#[derive(Debug, Clone)]
pub struct Config {
    pub published: Published,
    pub trust: Trust,
    pub clock: Clock,
    /// Makes the Specimens of the self-test.
    pub parse: fn(Bytes) -> Specimen,
}

/// The handle; shared by all connections.
#[derive(Debug)]
pub struct Sets {
    in_force: ArcSwap<InForce>,
    config: Option<Config>,
    /// Changes come one after the other. What was wanted the last time: a set that was refused is not tried again before
    /// something else is wanted.
    changing: Mutex<Option<State>>,
}

/// What [`Sets::refresh`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    pub current: u64,
    pub canary: Option<u64>,
    pub changed: bool,
    /// Sets that were wanted and not taken.
    pub refused: Vec<(u64, Refused)>,
}

impl Sets {
    /// One set for everything, for ever: for tests and for commands.
    #[must_use]
    pub fn fixed(set: SignatureSet) -> Self {
        Self { in_force: ArcSwap::from_pointee(alone(slot(set, None))), config: None, changing: Mutex::default() }
    }

    /// Takes what is published. A set that is refused is told; then the previous one is taken, at worst one that finds
    /// nothing, which [`Sets::number`] tells as 0.
    #[must_use]
    pub fn open(config: Config) -> (Self, Refreshed) {
        let empty = alone(slot(SignatureSet::empty(), None));
        let sets = Self { in_force: ArcSwap::from_pointee(empty), config: Some(config), changing: Mutex::default() };
        let refreshed = sets.refresh();
        (sets, refreshed)
    }

    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Of the current set.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.in_force.load().current.set.number
    }

    /// The set for a message, by a number of its own (its id) and its tenant: the same for the same, while nothing is swapped.
    #[must_use]
    pub fn pick(&self, message: u128, tenant: Option<&TenantId>) -> Picked {
        let in_force = self.in_force.load();
        if let Some(slot) = tenant.and_then(|tenant| in_force.pins.get(tenant)) {
            return Picked { slot: Arc::clone(slot) };
        }
        if let Some((slot, share)) = &in_force.canary
            && lot(message) < *share
        {
            return Picked { slot: Arc::clone(slot) };
        }
        Picked { slot: Arc::clone(&in_force.current) }
    }

    /// What became of a message. Returns the set that was taken back because of it, for the log.
    pub fn told(&self, picked: &Picked, hit: bool, took: Duration) -> Option<Returned> {
        let stats = &picked.slot.stats;
        stats.hits.fetch_add(u64::from(hit), Ordering::Relaxed);
        stats.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let messages = stats.messages.fetch_add(1, Ordering::Relaxed) + 1;
        if messages >= ENOUGH && messages % OFTEN == 0 && messages < SETTLED { self.review() } else { None }
    }

    /// Compares the new set with the one before, and takes it back if need be.
    pub fn review(&self) -> Option<Returned> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let in_force = self.in_force.load_full();
        let current = in_force.current.figures();
        let (next, returned) = if let Some((canary, _)) = &in_force.canary {
            let reason = canary.figures().against(current)?;
            let next = InForce { canary: None, ..(*in_force).clone() };
            (next, Returned { number: canary.set.number, instead: in_force.current.set.number, reason })
        } else {
            let previous = in_force.previous.as_ref()?;
            let reason = current.against(previous.figures())?;
            let next = InForce { current: Arc::clone(previous), previous: None, ..(*in_force).clone() };
            (next, Returned { number: in_force.current.set.number, instead: previous.set.number, reason })
        };
        self.in_force.store(Arc::new(next));
        self.remember(&returned);
        tracing::warn!(set = returned.number, instead = returned.instead, reason = %returned.reason, "signature set taken back");
        Some(returned)
    }

    /// Keeps a set that was taken back from coming again with the next refresh.
    fn remember(&self, returned: &Returned) {
        let Some(config) = &self.config else { return };
        let mut seen = config.published.seen().unwrap_or_default();
        seen.returned.insert(returned.number, returned.reason.clone());
        if let Err(error) = config.published.remember(&seen) {
            tracing::warn!(%error, "can't write down which signature set was taken back");
        }
    }

    /// Makes the node follow what is published. To be called at the start, on a signal and every few seconds: if nothing
    /// else is wanted, it reads two small files. Compiling takes seconds: not for an async thread.
    pub fn refresh(&self) -> Refreshed {
        let mut wanted = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.in_force.load_full();
        let mut refreshed = Refreshed { current: before.current.set.number, ..Refreshed::default() };
        refreshed.canary = before.canary.as_ref().map(|(slot, _)| slot.set.number);
        let Some(config) = &self.config else { return refreshed };
        let (state, mut seen) = match (config.published.state(), config.published.seen()) {
            (Ok(state), Ok(seen)) => (state, seen),
            (Err(refused), _) | (_, Err(refused)) => {
                refreshed.refused.push((0, refused));
                return refreshed;
            }
        };
        if wanted.as_ref() == Some(&state) {
            return refreshed;
        }
        let known = seen.clone();
        let mut loader = Loader { config, seen: &mut seen, loaded: BTreeMap::new(), refused: Vec::new() };
        let slots = [Some(&before.current), before.canary.as_ref().map(|(slot, _)| slot), before.previous.as_ref()];
        for slot in slots.into_iter().flatten().chain(before.pins.values()) {
            loader.loaded.insert(slot.set.number, Arc::clone(slot));
        }
        let next = loader.follow(&state, &before);
        refreshed.refused = loader.refused;
        refreshed.current = next.current.set.number;
        refreshed.canary = next.canary.as_ref().map(|(slot, _)| slot.set.number);
        refreshed.changed = !same(&before, &next);
        if refreshed.changed {
            self.in_force.store(Arc::new(next));
        }
        if seen != known
            && let Err(error) = config.published.remember(&seen)
        {
            tracing::warn!(%error, "can't write down which signature sets were in force");
        }
        *wanted = Some(state);
        refreshed
    }
}

/// Puts sets in force one by one.
struct Loader<'l> {
    config: &'l Config,
    seen: &'l mut Seen,
    loaded: BTreeMap<u64, Arc<Slot>>,
    refused: Vec<(u64, Refused)>,
}

impl Loader<'_> {
    fn follow(&mut self, state: &State, before: &InForce) -> InForce {
        let wanted = if state.current == 0 { None } else { self.get(state.current) };
        let fallback = |loader: &mut Self| {
            // At the start nothing is in force yet: better the one before than none.
            if before.current.set.number > 0 { None } else { state.previous.and_then(|number| loader.get(number)) }
        };
        let current = wanted.or_else(|| fallback(self)).unwrap_or_else(|| Arc::clone(&before.current));
        let canary = state.canary.filter(|canary| canary.number != current.set.number);
        let canary = canary.and_then(|canary| Some((self.get(canary.number)?, canary.share)));
        let was = (before.current.set.number != current.set.number).then(|| Arc::clone(&before.current));
        let previous = was.filter(|slot| slot.set.number > 0).or_else(|| before.previous.clone());
        let previous = previous.filter(|slot| slot.set.number != current.set.number);
        let mut pins = HashMap::new();
        for (tenant, number) in &state.pins {
            if let Some(slot) = self.get(*number) {
                pins.insert(tenant.clone(), slot);
            }
        }
        InForce { current, canary, previous, pins }
    }

    fn get(&mut self, number: u64) -> Option<Arc<Slot>> {
        if let Some(slot) = self.loaded.get(&number) {
            return Some(Arc::clone(slot));
        }
        if self.refused.iter().any(|(other, _)| *other == number) {
            return None;
        }
        match load(self.config, self.seen, number) {
            Ok(slot) => {
                let slot = Arc::new(slot);
                self.loaded.insert(number, Arc::clone(&slot));
                self.seen.highest = self.seen.highest.max(number);
                self.seen.in_force.insert(number);
                Some(slot)
            }
            Err(refused) => {
                tracing::warn!(set = number, reason = %refused, "signature set refused");
                self.refused.push((number, refused));
                None
            }
        }
    }
}

/// Everything that is checked before a set is used.
pub fn load(config: &Config, seen: &Seen, number: u64) -> Result<Slot, Refused> {
    if let Some(reason) = seen.returned.get(&number) {
        return Err(Refused::Returned(reason.clone()));
    }
    let was_in_force = seen.in_force.contains(&number);
    if number < seen.highest && !was_in_force {
        return Err(Refused::Older { number, highest: seen.highest });
    }
    let (manifest, packs) = config.published.verified(number, &config.trust)?;
    // One that was in force goes on: old signatures are better than none.
    if manifest.expires <= config.clock.now() && !was_in_force {
        return Err(Refused::Expired(manifest.expires));
    }
    let set = SignatureSet::compile(number, &packs).map_err(Refused::Faults)?;
    self_test::run(&set, &packs, &config.parse).map_err(Refused::SelfTest)?;
    Ok(slot(set, Some(manifest.expires)))
}

fn slot(set: SignatureSet, expires: Option<Timestamp>) -> Slot {
    Slot { set: Arc::new(set), stats: Stats::default(), expires }
}

fn alone(slot: Slot) -> InForce {
    InForce { current: Arc::new(slot), canary: None, previous: None, pins: HashMap::new() }
}

fn same(one: &InForce, other: &InForce) -> bool {
    let canary = |in_force: &InForce| in_force.canary.as_ref().map(|(slot, share)| (slot.set.number, *share));
    let pins = |in_force: &InForce| {
        let mut pins: Vec<_> = in_force.pins.iter().map(|(tenant, slot)| (tenant.clone(), slot.set.number)).collect();
        pins.sort();
        pins
    };
    one.current.set.number == other.current.set.number && canary(one) == canary(other) && pins(one) == pins(other)
}

/// 0 to 9,999, evenly over the numbers of messages, which grow with time.
fn lot(message: u128) -> u16 {
    let mixed = (message ^ (message >> 64)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    u16::try_from((mixed >> 96) % 10_000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
