//! One destination: the leases that wait for it, the workers that serve it, and how much it can take.
//!
//! A destination begins with a few connections and earns more by success; trouble halves them. When no host answers, the
//! whole destination rests: what waits for it is put off together, and one worker tries first when the rest is over.
//!
//! **Invariants**: no destination can use another's workers or queue; a lease is in one queue or with one worker.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::{Domain, Outcome, Timestamp};
use crate::spool::Lease;

/// Consecutive transactions lost on new connections before the destination rests.
const STUMBLES: u32 = 3;

/// A destination where nobody answers.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    pub until: Timestamp,
    pub ends: Instant,
    pub outcome: Outcome,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Lease>,
    workers: u32,
    parked: u32,
    allowed: u32,
    /// Consecutive failures of the whole destination.
    failures: u32,
    stumbles: u32,
    rest: Option<Rest>,
    used: Instant,
    pace: Pace,
}

/// How fast the queue moves, to tell those that find it full when to come again.
#[derive(Debug)]
struct Pace {
    since: Instant,
    taken: u32,
    per_second: f64,
    /// Sent away since the queue was last short.
    sent_away: u32,
}

impl Pace {
    fn new() -> Self {
        // Nothing is known yet: hopeful. Coming back too early costs a look, too late costs the destination's idleness.
        Self { since: Instant::now(), taken: 0, per_second: 5_000.0, sent_away: 0 }
    }

    fn measure(&mut self) {
        let elapsed = self.since.elapsed();
        if elapsed >= Duration::from_millis(200) {
            let pace = f64::from(self.taken) / elapsed.as_secs_f64();
            self.per_second = (self.per_second + pace) / 2.0;
            // As many places have become free for those that are away.
            self.sent_away = self.sent_away.saturating_sub(self.taken);
            (self.since, self.taken) = (Instant::now(), 0);
        }
    }

    /// The next one sent away comes again when those before it have had their turn.
    fn send_away(&mut self) -> Duration {
        self.measure();
        self.sent_away = self.sent_away.saturating_add(1);
        Duration::from_secs_f64((f64::from(self.sent_away) / self.per_second.max(1.0)).clamp(0.05, LONGEST_AWAY))
    }

    fn take(&mut self, left: usize) {
        self.taken = self.taken.saturating_add(1);
        if left == 0 {
            // Time without work says nothing about the pace.
            (self.since, self.taken) = (Instant::now(), 0);
        }
        if left < 16 {
            self.sent_away = 0;
        }
        self.measure();
    }
}

/// Seconds. A destination that stands still is looked at again this often.
const LONGEST_AWAY: f64 = 60.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Site {
    pub domain: Domain,
    state: Mutex<State>,
    wake: Notify,
}

/// What is to be done after a lease was put into the queue.
#[derive(Debug)]
pub(super) enum Pushed {
    /// A worker will see it.
    Queued,
    /// A worker has to be started ([`Site::hire`]).
    NeedsWorker,
    /// The queue is full; by the pace of late there will be room after this time.
    Full(Lease, Duration),
}

impl Site {
    pub fn new(domain: Domain, initial: u32) -> Self {
        let state = State {
            queue: VecDeque::new(),
            workers: 0,
            parked: 0,
            allowed: initial.max(1),
            failures: 0,
            stumbles: 0,
            rest: None,
            used: Instant::now(),
            pace: Pace::new(),
        };
        Self { domain, state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, lease: Lease, limit: usize) -> Pushed {
        let mut state = self.state();
        if state.queue.len() >= limit.max(1) {
            let wait = state.pace.send_away();
            return Pushed::Full(lease, wait);
        }
        state.queue.push_back(lease);
        if state.parked > 0 {
            drop(state);
            self.wake.notify_one();
            return Pushed::Queued;
        }
        if state.workers < state.allowed { Pushed::NeedsWorker } else { Pushed::Queued }
    }

    pub fn pop(&self) -> Option<Lease> {
        let mut state = self.state();
        let lease = state.queue.pop_front();
        let left = state.queue.len();
        state.pace.take(left);
        if state.queue.is_empty() && state.queue.capacity() > 64 {
            state.queue.shrink_to(64);
        }
        lease
    }

    /// Counts one more worker in, if there is work and room for it.
    pub fn hire(&self) -> bool {
        let mut state = self.state();
        let wanted = !state.queue.is_empty() && state.workers < state.allowed;
        if wanted {
            state.workers += 1;
        }
        wanted
    }

    /// Counts a worker out. False if work came meanwhile: it stays.
    pub fn leave(&self, stay_for_work: bool) -> bool {
        let mut state = self.state();
        if stay_for_work && !state.queue.is_empty() {
            return false;
        }
        state.workers = state.workers.saturating_sub(1);
        state.used = Instant::now();
        true
    }

    /// Waits for work; false if none came.
    pub async fn park(&self, patience: Duration) -> bool {
        {
            let mut state = self.state();
            if !state.queue.is_empty() {
                return true;
            }
            state.parked += 1;
        }
        let woken = tokio::time::timeout(patience, self.wake.notified()).await.is_ok();
        self.state().parked -= 1;
        woken
    }

    /// A transaction went through. True if another worker would help.
    pub fn succeeded(&self, most: u32) -> bool {
        let mut state = self.state();
        state.failures = 0;
        state.stumbles = 0;
        state.rest = None;
        state.allowed = (state.allowed + 1).min(most.max(1));
        !state.queue.is_empty() && state.workers < state.allowed && state.parked == 0
    }

    /// A host answered and hung up, or said 421. True if that has gone on long enough to rest.
    pub fn stumbled(&self) -> bool {
        let mut state = self.state();
        state.stumbles += 1;
        state.allowed = (state.allowed / 2).max(1);
        state.stumbles >= STUMBLES
    }

    /// No host answered: rest, longer each time. Returns the rest.
    pub fn rest(&self, outcome: Outcome, now: Timestamp, wait: impl FnOnce(u32) -> Duration) -> Rest {
        let mut state = self.state();
        if let Some(rest) = state.rest.as_ref().filter(|rest| is_on(rest, now)) {
            return rest.clone();
        }
        state.failures = state.failures.saturating_add(1);
        state.stumbles = 0;
        state.allowed = 1;
        let wait = wait(state.failures);
        let rest = Rest { until: now.plus(wait), ends: Instant::now() + wait, outcome };
        state.rest = Some(rest.clone());
        rest
    }

    /// An operator wants it tried now. How often it failed is remembered, so that the next rest is no shorter.
    pub fn end_rest(&self) {
        self.state().rest = None;
    }

    /// The rest going on now.
    pub fn resting(&self, now: Timestamp) -> Option<Rest> {
        self.state().rest.as_ref().filter(|rest| is_on(rest, now)).cloned()
    }

    /// Everything that waits, to be put off.
    pub fn drain(&self) -> VecDeque<Lease> {
        std::mem::take(&mut self.state().queue)
    }

    /// Work waits, and nobody is there to do it.
    pub fn is_deserted(&self) -> bool {
        let state = self.state();
        state.workers == 0 && !state.queue.is_empty()
    }

    /// Nothing to do for a while, and nothing to remember.
    pub fn is_forgettable(&self, now: Timestamp) -> bool {
        let state = self.state();
        state.workers == 0
            && state.queue.is_empty()
            && state.used.elapsed() > Duration::from_secs(60)
            && !state.rest.as_ref().is_some_and(|rest| is_on(rest, now) || rest.ends.elapsed() < REMEMBERED)
    }
}

/// How long the failures of a destination are remembered after its last rest.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Over when either clock says so: the wall clock may have been turned, the other stops while the machine sleeps.
fn is_on(rest: &Rest, now: Timestamp) -> bool {
    now < rest.until && Instant::now() < rest.ends
}
