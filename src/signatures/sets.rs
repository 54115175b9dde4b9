//! The sets in force on this node: a current one, perhaps a canary for a share of the mail, pins of tenants.
//!
//! A message picks its set once ([`Sets::pick`]) and keeps it to its end, whatever is swapped meanwhile. What each set does is
//! counted. A canary whose hits or whose time jump against the current set, over the same hours, is taken back without anybody's
//! doing. A new current set has nothing beside it to be compared with, and strangers choose the mail it sees: against the one
//! before it only raises doubt ([`Sets::doubt`]), which is told.
//!
//! **Failure**: a set that is refused changes nothing; the running one stays, and so do the pins. **Invariants**: picking takes no
//! lock and waits for nobody, nor does telling what became of a message; a set that was taken back on this node does not come in
//! force again by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
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
use crate::model::finding::Finding;
use crate::model::{TenantId, Timestamp};

/// Messages that a set must have judged before its figures say anything.
pub const ENOUGH: u64 = 200;
/// Figures are compared each time a set has judged so many more.
const OFTEN: u64 = 32;
/// A set that has judged so many without cause for complaint is not compared any more.
const SETTLED: u64 = 20_000;
/// What one message counts at most: a few that are made to be slow say nothing of a set.
const LONGEST: Duration = Duration::from_secs(1);

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
    /// Messages that were found spam, phishing or the like. Not malware: a wave of it says nothing of a set.
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
    /// What came since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(before.messages),
            hits: self.hits.saturating_sub(before.hits),
            micros: self.micros.saturating_sub(before.micros),
        }
    }

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

    /// What is to be said against a set with these figures, if the other one had `before`.
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
    /// Somebody was told of a doubt.
    is_doubted: AtomicBool,
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
    /// What the current set had done when the canary began: what came later is compared.
    pub control: Figures,
    pub previous: Option<Arc<Slot>>,
    pub pins: HashMap<TenantId, Arc<Slot>>,
}

/// The set of one message.
#[derive(Debug, Clone)]
pub struct Picked {
    slot: Arc<Slot>,
    /// By a pin: says nothing of the mail of all.
    is_pinned: bool,
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
    /// Beside the keys in the folder of `published`, which are read at each look: one that is trusted while the node runs counts at
    /// once, one that is taken away for the next set; what is in force goes on.
    pub trust: Trust,
    pub clock: Clock,
    /// Makes the Specimens of the self-test.
    pub parse: fn(Bytes) -> Specimen,
    /// The other detectors of the self-test.
    pub judge: fn(&SignatureSet, &Specimen) -> Vec<Finding>,
}

impl Config {
    /// Whose signatures count now.
    pub fn trusted(&self) -> Result<Trust, Refused> {
        let mut trust = self.trust.clone();
        trust.keys.extend(self.published.keys().map_err(|error| Refused::Unreadable(format!("the keys: {error}")))?);
        Ok(trust)
    }
}

/// The handle; shared by all connections.
#[derive(Debug)]
pub struct Sets {
    in_force: ArcSwap<InForce>,
    config: Option<Config>,
    /// Changes come one after the other.
    changing: Mutex<Changing>,
}

#[derive(Debug, Default)]
struct Changing {
    /// What was wanted the last time, and by whose keys: a set that was refused is not tried again before one of them changes.
    wanted: Option<(State, Trust)>,
    /// Taken back, and not yet written down.
    returned: Vec<Returned>,
    /// Taken back, and not yet told to [`Sets::news`].
    news: Vec<Returned>,
}

/// What [`Sets::refresh`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    pub current: u64,
    pub canary: Option<u64>,
    /// Tenants that keep a set of their own.
    pub pins: usize,
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

    /// Takes what is published. A set that is refused is told; then the previous one is taken, at worst `base`, the one that
    /// comes with the program, whose number is 0.
    #[must_use]
    pub fn open(config: Config, base: SignatureSet) -> (Self, Refreshed) {
        let base = alone(slot(base, None));
        let sets = Self { in_force: ArcSwap::from_pointee(base), config: Some(config), changing: Mutex::default() };
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
            return Picked { slot: Arc::clone(slot), is_pinned: true };
        }
        if let Some((slot, share)) = &in_force.canary
            && lot(message) < *share
        {
            return Picked { slot: Arc::clone(slot), is_pinned: false };
        }
        Picked { slot: Arc::clone(&in_force.current), is_pinned: false }
    }

    /// The set for a tenant that is not on trial: its own or the one in force.
    #[must_use]
    pub fn settled(&self, tenant: &TenantId) -> Arc<SignatureSet> {
        let in_force = self.in_force.load();
        Arc::clone(&in_force.pins.get(tenant).unwrap_or(&in_force.current).set)
    }

    /// What became of a message. Returns the set that was taken back because of it. Never waits.
    pub fn told(&self, picked: &Picked, hit: bool, took: Duration) -> Option<Returned> {
        if picked.is_pinned {
            return None;
        }
        let stats = &picked.slot.stats;
        let took = took.min(LONGEST);
        stats.hits.fetch_add(u64::from(hit), Ordering::Relaxed);
        stats.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let messages = stats.messages.fetch_add(1, Ordering::Relaxed) + 1;
        if messages < ENOUGH || !messages.is_multiple_of(OFTEN) || messages >= SETTLED {
            return None;
        }
        // While a set is being compiled nobody who judges mail waits for it: the next one asks again.
        match self.changing.try_lock() {
            Ok(changing) => self.compare(changing),
            Err(TryLockError::Poisoned(poisoned)) => self.compare(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Compares the canary with the current set, and takes it back if need be; the next [`Sets::refresh`] writes that down. Waits
    /// for one under way.
    pub fn review(&self) -> Option<Returned> {
        self.compare(self.changing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn compare(&self, mut changing: MutexGuard<'_, Changing>) -> Option<Returned> {
        let in_force = self.in_force.load_full();
        let (canary, _) = in_force.canary.as_ref()?;
        let reason = canary.figures().against(in_force.current.figures().since(in_force.control))?;
        let returned = Returned { number: canary.set.number, instead: in_force.current.set.number, reason };
        self.in_force.store(Arc::new(InForce { canary: None, ..(*in_force).clone() }));
        changing.returned.push(returned.clone());
        changing.news.push(returned.clone());
        tracing::warn!(set = returned.number, instead = returned.instead, reason = %returned.reason, "signature set taken back");
        Some(returned)
    }

    /// Sets that were taken back since it was asked the last time: for who writes the log.
    #[must_use]
    pub fn news(&self) -> Vec<Returned> {
        std::mem::take(&mut self.changing.lock().unwrap_or_else(PoisonError::into_inner).news)
    }

    /// What speaks against the current set, compared with what the one before did in its time; told once for a set.
    #[must_use]
    pub fn doubt(&self) -> Option<(u64, String)> {
        let in_force = self.in_force.load();
        let current = &in_force.current;
        if current.figures().messages >= SETTLED {
            return None;
        }
        let reason = current.figures().against(in_force.previous.as_ref()?.figures())?;
        (!current.is_doubted.swap(true, Ordering::Relaxed)).then_some((current.set.number, reason))
    }

    /// Keeps sets that were taken back from coming again; what can't be written now stays for the next time.
    fn write_down(&self, returned: &mut Vec<Returned>) {
        let Some(config) = self.config.as_ref().filter(|_| !returned.is_empty()) else { return };
        let change = |seen: &mut Seen| {
            seen.returned.extend(returned.iter().map(|one| (one.number, one.reason.clone())));
        };
        match config.published.remember(change) {
            Ok(()) => returned.clear(),
            Err(error) => tracing::warn!(%error, "can't write down which signature set was taken back"),
        }
    }

    /// Makes the node follow what is published. To be called at the start, on a signal and every few seconds: if nothing
    /// else is wanted, it reads two small files. Compiling takes seconds: not for an async thread.
    pub fn refresh(&self) -> Refreshed {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_down(&mut changing.returned);
        let before = self.in_force.load_full();
        let mut refreshed = Refreshed { current: before.current.set.number, ..Refreshed::default() };
        refreshed.canary = before.canary.as_ref().map(|(slot, _)| slot.set.number);
        let Some(config) = &self.config else { return refreshed };
        let read = (config.published.state(), config.published.seen(), config.trusted());
        let (wanted, mut seen) = match read {
            (Ok(state), Ok(seen), Ok(trust)) => ((state, trust), seen),
            (Err(refused), ..) | (_, Err(refused), _) | (.., Err(refused)) => {
                refreshed.refused.push((0, refused));
                return refreshed;
            }
        };
        if changing.wanted.as_ref() == Some(&wanted) {
            return refreshed;
        }
        let (state, trust) = &wanted;
        seen.returned.extend(changing.returned.iter().map(|one| (one.number, one.reason.clone())));
        let known = seen.clone();
        let mut loader = Loader { config, trust, seen: &mut seen, loaded: BTreeMap::new(), refused: Vec::new() };
        let slots = [Some(&before.current), before.canary.as_ref().map(|(slot, _)| slot), before.previous.as_ref()];
        for slot in slots.into_iter().flatten().chain(before.pins.values()) {
            loader.loaded.insert(slot.set.number, Arc::clone(slot));
        }
        let next = loader.follow(state, &before);
        refreshed.refused = loader.refused;
        refreshed.current = next.current.set.number;
        refreshed.canary = next.canary.as_ref().map(|(slot, _)| slot.set.number);
        refreshed.pins = next.pins.len();
        refreshed.changed = !same(&before, &next);
        if refreshed.changed {
            self.in_force.store(Arc::new(next));
        }
        let change = |known: &mut Seen| {
            known.highest = known.highest.max(seen.highest);
            known.in_force.extend(&seen.in_force);
        };
        if seen != known
            && let Err(error) = config.published.remember(change)
        {
            tracing::warn!(%error, "can't write down which signature sets were in force");
        }
        changing.wanted = Some(wanted);
        refreshed
    }
}

/// Puts sets in force one by one.
struct Loader<'l> {
    config: &'l Config,
    trust: &'l Trust,
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
        // Only an older set is one before: who goes back doesn't want what he left.
        let previous = if before.current.set.number == current.set.number {
            before.previous.clone()
        } else {
            let older = 1..current.set.number;
            Some(&before.current).filter(|slot| older.contains(&slot.set.number)).cloned()
        };
        let goes_on = |canary: &Arc<Slot>| {
            before.canary.as_ref().is_some_and(|(slot, _)| Arc::ptr_eq(slot, canary))
                && Arc::ptr_eq(&before.current, &current)
        };
        let control = match &canary {
            Some((slot, _)) if goes_on(slot) => before.control,
            _ => current.figures(),
        };
        let mut pins = HashMap::new();
        for (tenant, number) in &state.pins {
            // Better the set that the tenant had than one that it is to be kept from.
            if let Some(slot) = self.pinned(*number).or_else(|| before.pins.get(tenant).cloned()) {
                pins.insert(tenant.clone(), slot);
            }
        }
        InForce { current, canary, control, previous, pins }
    }

    /// A set for all: not one that was taken back, though a tenant may still be pinned to it.
    fn get(&mut self, number: u64) -> Option<Arc<Slot>> {
        if let Some(reason) = self.seen.returned.get(&number) {
            if !self.refused.iter().any(|(other, _)| *other == number) {
                self.refused.push((number, Refused::Returned(reason.clone())));
            }
            return None;
        }
        self.pinned(number)
    }

    fn pinned(&mut self, number: u64) -> Option<Arc<Slot>> {
        if let Some(slot) = self.loaded.get(&number) {
            return Some(Arc::clone(slot));
        }
        if self.refused.iter().any(|(other, _)| *other == number) {
            return None;
        }
        match load(self.config, self.trust, self.seen, number) {
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
pub fn load(config: &Config, trust: &Trust, seen: &Seen, number: u64) -> Result<Slot, Refused> {
    if let Some(reason) = seen.returned.get(&number) {
        return Err(Refused::Returned(reason.clone()));
    }
    let was_in_force = seen.in_force.contains(&number);
    if number < seen.highest && !was_in_force {
        return Err(Refused::Older { number, highest: seen.highest });
    }
    let (manifest, packs) = config.published.verified(number, trust)?;
    // One that was in force goes on: old signatures are better than none.
    if manifest.expires <= config.clock.now() && !was_in_force {
        return Err(Refused::Expired(manifest.expires));
    }
    let set = SignatureSet::compile(number, &packs).map_err(Refused::Faults)?;
    self_test::run(&set, &packs, &config.parse, &config.judge).map_err(Refused::SelfTest)?;
    // They were started by a thread that may give way to mail, and would give way themselves.
    set.yara.end_threads();
    Ok(slot(set, Some(manifest.expires)))
}

fn slot(set: SignatureSet, expires: Option<Timestamp>) -> Slot {
    Slot { set: Arc::new(set), stats: Stats::default(), expires, is_doubted: AtomicBool::new(false) }
}

fn alone(slot: Slot) -> InForce {
    InForce { current: Arc::new(slot), canary: None, control: Figures::default(), previous: None, pins: HashMap::new() }
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
