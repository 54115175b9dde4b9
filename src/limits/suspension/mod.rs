//! Measures against senders of outbound mail that do harm: warned, slowed, stopped, for a time and with a way out.
//!
//! Automatic measures begin above floors ([`Config`]), at the narrowest scope, and go one stage at a time while the harm goes on;
//! operators set and lift any. Who carries a measure out (store, queue, notices, log) takes the changes with
//! [`Suspensions::take_changes`] and says [`Suspensions::bite`] when one is written.
//!
//! **Failure**: none of its own; a store that is away delays a measure by the time its writer waits, and it is enforced from memory.
//! **Invariants**: asking whether mail may go takes no lock; a jump of the wall clock expires nothing before it has stayed
//! ([`SteadyClock`]); bulk mail without harm meets no measure here.

mod config;
mod rules;
mod state;
mod table;
pub mod text;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use self::state::State;
use self::table::Table;
use super::consider::Consider;
use crate::clock::{Clock, SteadyClock};
use crate::model::abuse::{Assessment, Stage, Subject};
use crate::model::suspension::{By, Ended, Ending, Suspension, SuspensionId, TokenHash};
use crate::model::{MessageId, Timestamp};

pub use config::{Config, Throttle, Widest};
pub use table::{Asked, Stop};

/// Ended measures are told to [`Suspensions::load`] if they ended within this time.
#[must_use]
pub fn remembered(config: &Config) -> Duration {
    state::PARDON.max(config.confirm_every)
}

/// A node that was away for longer than this may have woken with a wrong clock.
const LONGEST_ABSENCE: Duration = Duration::from_secs(3 * 86_400);

/// Lifts a warning or a throttle, once; it is in one notice and nowhere else.
pub struct Token(Box<str>);

impl Token {
    /// `None` without randomness: then only an operator lifts.
    fn make() -> Option<Self> {
        let mut random = [0u8; 16];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        Some(Self(MessageId::from_u128(u128::from_le_bytes(random)).to_string().into()))
    }

    fn hash(&self) -> TokenHash {
        hash(&self.0)
    }

    /// For the notice.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

fn hash(token: &str) -> TokenHash {
    use fmt::Write as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.to_ascii_lowercase().as_bytes());
    let mut text = String::with_capacity(64);
    for octet in digest.as_ref() {
        // Writing to a string never fails.
        let _ = write!(text, "{octet:02x}");
    }
    TokenHash(text.into())
}

/// What happened to a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Began,
    /// Another stage, reason or time.
    Stage,
    Ended(Ending),
}

/// One change, to be written, told and carried out.
#[derive(Debug)]
pub struct Change {
    /// As it is after it.
    pub suspension: Suspension,
    pub what: What,
    /// The stage before it; `None`: it began.
    pub before: Option<Stage>,
    /// For the notice.
    pub token: Option<Token>,
}

/// A measure that an operator orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub subject: Subject,
    pub stage: Stage,
    /// Not given: as the settings say for the stage. `Some(None)`: until it is lifted.
    pub lasts: Option<Option<Duration>>,
    pub operator: Box<str>,
    pub reason: Box<str>,
}

/// Why a token lifts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    #[error("the token is not known, was used, or belongs to a stage that is over")]
    Unknown,
    #[error("this sender was confirmed not long ago; the next time from {0} on, or ask the operator")]
    TooSoon(Timestamp),
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Suspensions(Arc<Inner>);

struct Inner {
    config: ArcSwap<Config>,
    table: ArcSwap<Table>,
    state: Mutex<State>,
    steady: SteadyClock,
    changed: Notify,
}

impl fmt::Debug for Suspensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspensions").finish_non_exhaustive()
    }
}

impl Suspensions {
    #[must_use]
    pub fn build(config: Config, clock: Clock) -> Self {
        Self::resumed(config, clock, None)
    }

    /// As [`Self::build`], at a start; `seen` is when a node last ran. A clock that stands far off from there, back or ahead, may be
    /// wrong: until it has stayed, time goes on from `seen`.
    #[must_use]
    pub fn resumed(config: Config, clock: Clock, seen: Option<Timestamp>) -> Self {
        let steady = SteadyClock::resumed(clock, config.clock_confirmation, seen, LONGEST_ABSENCE);
        Self(Arc::new(Inner {
            config: ArcSwap::from_pointee(config),
            table: ArcSwap::default(),
            state: Mutex::default(),
            steady,
            changed: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes new settings for stages from now on.
    pub fn configure(&self, config: Config) {
        self.0.config.store(Arc::new(config));
        self.swap(&self.state());
    }

    /// What is in force, and what ended lately ([`remembered`]): all that the store knows of. Measures that changed here and whose
    /// change is not written yet stay as they are here; false if there are such, and the store is to be read again.
    #[must_use]
    pub fn load(&self, suspensions: Vec<Suspension>) -> bool {
        let (config, now) = (self.0.config.load(), self.0.steady.now());
        let mut state = self.state();
        let whole = state.load(suspensions, &config, now);
        self.swap(&state);
        whole
    }

    /// Whether nothing may be sent at all.
    #[must_use]
    pub fn suspended(&self, asked: Asked<'_>) -> Option<Stop> {
        self.0.table.load().suspended(asked)
    }

    /// Counts recipients of who is throttled.
    ///
    /// # Errors
    /// [`Stop`]: suspended, or beyond the throttle; nothing is counted.
    pub fn charge(&self, asked: Asked<'_>, recipients: u32) -> Result<(), Stop> {
        self.0.table.load().charge(asked, recipients)
    }

    /// Sets a measure; on a subject that has one, changes it.
    #[must_use]
    pub fn set(&self, order: Order) -> Suspension {
        let (config, now) = (self.0.config.load(), self.0.steady.now());
        let lasts = order.lasts.unwrap_or_else(|| config.lasts(order.stage));
        let suspension = Suspension {
            id: new_id(now),
            subject: order.subject,
            stage: order.stage,
            by: By::Operator(order.operator),
            reason: order.reason,
            volume: 0,
            evidence: Vec::new(),
            pattern: None,
            created: now,
            since: now,
            expires: lasts.map(|lasts| now.plus(lasts)),
            token: None,
            ended: None,
        };
        let mut state = self.state();
        let set = state.set(suspension);
        // A milder stage than before must not go on biting as the harder one.
        self.swap(&state);
        self.0.changed.notify_one();
        set
    }

    /// Ends a measure. `None`: it is not active.
    pub fn lift(&self, id: SuspensionId, operator: &str, reason: &str) -> Option<Suspension> {
        let by = By::Operator(operator.into());
        let ended = Ended { how: Ending::Lifted, at: self.0.steady.now(), by, reason: reason.into() };
        self.end(id, ended)
    }

    fn end(&self, id: SuspensionId, ended: Ended) -> Option<Suspension> {
        let config = self.0.config.load();
        let mut state = self.state();
        let lifted = state.end(id, ended, &config)?;
        self.swap(&state);
        self.0.changed.notify_one();
        Some(lifted)
    }

    /// Ends the warning or throttle whose notice gave this token.
    ///
    /// # Errors
    /// [`ConfirmError`].
    pub fn confirm(&self, token: &str, reason: &str) -> Result<Suspension, ConfirmError> {
        let (config, now, hash) = (self.0.config.load(), self.0.steady.now(), hash(token.trim()));
        let id = {
            let state = self.state();
            let by_token = |one: &&Suspension| one.token.as_ref() == Some(&hash) && one.stage != Stage::Suspend;
            let found = state.active.values().map(|held| &held.suspension).find(by_token);
            let found = found.ok_or(ConfirmError::Unknown)?;
            if let Some(until) = state.confirmed_until(&found.subject, &config, now) {
                return Err(ConfirmError::TooSoon(until));
            }
            found.id
        };
        let ended = Ended { how: Ending::Confirmed, at: now, by: By::Administrator, reason: reason.into() };
        self.end(id, ended).ok_or(ConfirmError::Unknown)
    }

    /// Ends what is over. To be called every few seconds.
    pub fn expire(&self) {
        let (config, now) = (self.0.config.load(), self.0.steady.now());
        let mut state = self.state();
        let before = state.active.len();
        state.expire(&config, now);
        if state.active.len() != before {
            self.swap(&state);
        }
    }

    /// The time by which measures begin and end.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.steady.now()
    }

    #[must_use]
    pub fn find(&self, id: SuspensionId) -> Option<Suspension> {
        self.state().active.get(&id).map(|held| held.suspension.clone())
    }

    /// What is in force, in the order of their making.
    #[must_use]
    pub fn active(&self) -> Vec<Suspension> {
        let mut all: Vec<_> = self.state().active.values().map(|held| held.suspension.clone()).collect();
        all.sort_unstable_by_key(|one| one.id);
        all
    }

    /// How many of each stage are in force, mildest first.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let state = self.state();
        let count = |stage| state.active.values().filter(|held| held.suspension.stage == stage).count();
        [Stage::Warn, Stage::Throttle, Stage::Suspend].map(count)
    }

    /// What happened since the last time, in order.
    #[must_use]
    pub fn take_changes(&self) -> Vec<Change> {
        self.state().take_changes()
    }

    /// Wakes when something changed. For one who carries out.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// These are written (or the store is away): they bite from now on.
    pub fn bite(&self, ids: &[SuspensionId]) {
        let mut state = self.state();
        for id in ids {
            if let Some(held) = state.active.get_mut(id) {
                held.bites = Some(held.suspension.stage);
            }
        }
        self.swap(&state);
    }

    fn swap(&self, state: &State) {
        let biting = state.active.values().filter_map(|held| Some((&held.suspension, held.bites?)));
        let table = Table::build(biting, self.0.config.load().throttle, &self.0.table.load());
        self.0.table.store(Arc::new(table));
    }
}

impl Consider for Suspensions {
    /// Time is told by the steady clock; what an assessment says below the floors takes no lock.
    fn consider(&self, assessment: &Assessment, _now: Timestamp) {
        let config = self.0.config.load();
        if !config.automatic || !rules::qualifies(&config, assessment) {
            return;
        }
        let now = self.0.steady.now();
        let mut state = self.state();
        let before = state.waiting();
        state.consider(assessment, &config, now, new_id(now));
        if state.waiting() != before {
            self.0.changed.notify_one();
        }
    }
}

/// Unique without randomness too: two measures of one millisecond would be one.
fn new_id(now: Timestamp) -> SuspensionId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0u8; 16];
    let _ = aws_lc_rs::rand::fill(&mut random);
    let count = u128::from(NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff);
    SuspensionId::new(now, u128::from_le_bytes(random) & !0xffff | count)
}

#[cfg(test)]
mod tests;
