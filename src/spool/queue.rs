//! Where requests wait for the committer, and when a group of them starts.
//!
//! Mail starts a group at once. Outcomes alone don't while mail is coming in: they wait for it a moment, because each sync
//! they cause makes the next mail wait for two.
//!
//! A group waits a moment for mail that is [`Expected`]: a sync costs processor time, and who comes during one waits for two. What
//! did not come in [`CHANCES`] such moments is waited for no more: a client that stands still, or is far away, keeps nobody for long.
//!
//! Under load the committer gives way once when it was woken: with all processors busy the thread that it interrupted is often about to
//! bring more, and a group of one costs as much as a group of twenty. Where giving way takes longer than what it brings is worth, because
//! others compute, the committer gives way to nobody for a while.
//!
//! **Failure**: what comes after the close is answered at once: `Closed`, or not moved.
//! **Invariants**: requests are taken in the order they came; nothing waits longer than [`PATIENCE`] and [`COMPANY`] for others.
//! How long one giving way lasts is the system's affair; those that are not worth it take a [`HASTE`]th of the time at most.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::SpoolError;
use super::request::{Move, Request};
use super::shared::{Shared, lock};

/// Longest wait of outcomes for mail to share a sync with.
const PATIENCE: Duration = Duration::from_micros(1_500);
/// So many outcomes are worth a sync of their own.
const ENOUGH: usize = 16;
/// Mail that came so long ago promises more mail.
const PROMISE: Duration = Duration::from_millis(20);

/// Longest wait for mail that is expected.
const COMPANY: Duration = Duration::from_micros(800);
/// The same in syncs: where those are quick, so is the wait.
const SYNCS: u32 = 4;
/// So many waits may end without what they waited for before it counts as late. With a hundred quick clients a message misses some.
const CHANCES: u64 = 16;
/// So many requests need no company.
const CROWD: usize = 128;

/// Where giving way took longer than it was worth, nobody is given way to for so many times as long.
const HASTE: u32 = 16;
/// A thread that did not run for longer was stopped, not one of several that compute.
const SLICE: Duration = Duration::from_millis(50);

/// Mail that is coming in: a group waits a moment for it. Counted until it comes, or until this is dropped.
#[derive(Debug)]
pub struct Expected {
    /// `None`: it is here.
    shared: Option<Arc<Shared>>,
    /// How many waits had ended without what they waited for when this began.
    since: u64,
}

impl Expected {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let since = lock(&shared.queue.waiting).expect();
        Self { shared: Some(Arc::clone(shared)), since }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            let mut waiting = lock(&shared.queue.waiting);
            waiting.is_here(self.since);
            // Nobody else waits for what does not come.
            if matches!(waiting.sleep, Sleep::Company) {
                shared.queue.nudge(waiting);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    requests: Vec<Request>,
    moves: Vec<Move>,
    /// Of the requests, those that don't wait for company.
    urgent: usize,
    /// How much mail is [`Expected`].
    coming: usize,
    /// Of that, what has had its chances.
    late: usize,
    /// The rest of it, by the waits that had ended in vain when it began.
    since: [usize; CHANCES as usize],
    /// Waits that ended without what they waited for.
    missed: u64,
    /// The last wait for what was expected brought nothing, for the clients may be slow: nobody waits for them again until mail
    /// comes in company by itself.
    in_vain: bool,
    /// Nobody is given way to until then.
    hurries_until: Option<Instant>,
    /// The committer slept since it took the last group.
    slept: bool,
    closed: bool,
    sleep: Sleep,
}

/// What the committer sleeps for.
#[derive(Debug, Default, Clone, Copy)]
enum Sleep {
    #[default]
    Awake,
    Anything,
    /// Something urgent, or enough of the others.
    Urgent,
    /// All that was expected, or enough.
    Company,
}

impl Waiting {
    fn count(&self) -> usize {
        self.requests.len() + self.moves.len()
    }

    fn is_urgent(&self) -> bool {
        self.closed || self.urgent > 0 || !self.moves.is_empty() || self.requests.len() >= ENOUGH
    }

    fn expect(&mut self) -> u64 {
        self.coming += 1;
        *self.begun(self.missed) += 1;
        self.missed
    }

    /// What was expected since then came, or will not come.
    fn is_here(&mut self, since: u64) {
        self.coming -= 1;
        *if self.missed - since < CHANCES { self.begun(since) } else { &mut self.late } -= 1;
    }

    /// One chance less for all that is still to come.
    fn miss(&mut self) {
        self.missed += 1;
        self.late += std::mem::take(self.begun(self.missed));
    }

    #[allow(clippy::indexing_slicing, reason = "a remainder is within")]
    fn begun(&mut self, since: u64) -> &mut usize {
        &mut self.since[(since % CHANCES) as usize]
    }

    fn needs_no_company(&self) -> bool {
        self.closed || self.coming <= self.late || self.count() >= CROWD
    }

    fn wakes(&self) -> bool {
        match self.sleep {
            Sleep::Awake => false,
            Sleep::Anything => true,
            Sleep::Urgent => self.is_urgent(),
            Sleep::Company => self.needs_no_company(),
        }
    }
}

/// What the last group was like.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    pub(super) requests: usize,
    pub(super) sync: Duration,
    /// When a group last held mail.
    pub(super) mail: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Lets other threads go on that want this one's processor.
    yield_now: fn(),
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: Mutex::default(), wake: Condvar::new(), yield_now: std::thread::yield_now }
    }
}

impl Queue {
    #[cfg(test)]
    pub(super) fn giving_way(yield_now: fn()) -> Self {
        Self { yield_now, ..Self::default() }
    }

    pub(super) fn push(&self, request: Request) {
        self.push_expected(request, None);
    }

    /// How much mail is [`Expected`].
    #[cfg(test)]
    pub(super) fn coming(&self) -> usize {
        lock(&self.waiting).coming
    }

    /// What was expected is here.
    pub(super) fn push_expected(&self, request: Request, expected: Option<Expected>) {
        let mut waiting = lock(&self.waiting);
        if let Some(mut expected) = expected
            && expected.shared.take().is_some()
        {
            waiting.is_here(expected.since);
        }
        if waiting.closed {
            drop(waiting);
            return request.fail(&SpoolError::Closed);
        }
        waiting.urgent += usize::from(!request.patient);
        waiting.requests.push(request);
        self.nudge(waiting);
    }

    pub(super) fn push_moves(&self, moves: Vec<Move>) {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            drop(waiting);
            for item in moves {
                let _ = item.done.send(false);
            }
            return;
        }
        waiting.moves.extend(moves);
        self.nudge(waiting);
    }

    /// Wakes the committer, once: a wake-up is a system call.
    fn nudge(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let wakes = waiting.wakes();
        if wakes {
            waiting.sleep = Sleep::Awake;
        }
        drop(waiting);
        if wakes {
            self.wake.notify_one();
        }
    }

    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.wake.notify_all();
    }

    /// Waits until there is work, or for so long. `None`: closed and empty.
    ///
    /// Where one group held several, the next is worth a moment's patience for mail that is on its way.
    pub(super) fn gather(&self, last: Last, retry: Option<Duration>) -> Option<(Vec<Move>, Vec<Request>)> {
        let mut waiting = self.wait_for_work(last, retry);
        if waiting.closed && waiting.count() == 0 {
            return None;
        }
        let several = last.requests > 1 && !waiting.requests.is_empty();
        let patience = COMPANY.min(last.sync * SYNCS);
        if several && waiting.slept {
            waiting = self.give_way(waiting, patience);
        }
        waiting.in_vain &= waiting.urgent <= 1;
        if several && !waiting.in_vain {
            waiting = self.wait_for_company(waiting, patience);
        }
        waiting.slept = false;
        waiting.urgent = 0;
        Some((std::mem::take(&mut waiting.moves), std::mem::take(&mut waiting.requests)))
    }

    fn wait_for_work(&self, last: Last, retry: Option<Duration>) -> MutexGuard<'_, Waiting> {
        let retry = retry.map(|retry| Instant::now() + retry);
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.is_urgent() {
                return waiting;
            }
            // With mail coming in the sleep is short, so that an outcome need not wake anybody to be seen in time.
            let short = last.mail.filter(|mail| mail.elapsed() < PROMISE).map(|_| Instant::now() + PATIENCE);
            if short.is_none() && !waiting.requests.is_empty() {
                return waiting;
            }
            let until = [short, retry].into_iter().flatten().min();
            waiting.sleep = if short.is_some() { Sleep::Urgent } else { Sleep::Anything };
            let (woken, is_over) = self.sleep(waiting, until);
            waiting = woken;
            if is_over && (!waiting.requests.is_empty() || retry.is_some_and(|retry| retry <= Instant::now())) {
                return waiting;
            }
        }
    }

    fn wait_for_company<'a>(
        &'a self,
        mut waiting: MutexGuard<'a, Waiting>,
        patience: Duration,
    ) -> MutexGuard<'a, Waiting> {
        let until = Instant::now() + patience;
        let alone = waiting.count();
        let mut is_over = false;
        while !is_over && !waiting.needs_no_company() {
            waiting.sleep = Sleep::Company;
            (waiting, is_over) = self.sleep(waiting, Some(until));
        }
        if is_over {
            waiting.miss();
        }
        waiting.in_vain = is_over && waiting.count() == alone;
        waiting
    }

    /// Until woken, or then; says whether it was then.
    fn sleep<'a>(
        &'a self,
        waiting: MutexGuard<'a, Waiting>,
        until: Option<Instant>,
    ) -> (MutexGuard<'a, Waiting>, bool) {
        let (mut waiting, is_over) = match until {
            None => (self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner), false),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let (waiting, _) = self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner);
                (waiting, until <= Instant::now())
            }
        };
        waiting.sleep = Sleep::Awake;
        waiting.slept = true;
        (waiting, is_over)
    }

    /// Once, without the lock: those who bring something take it. Each request that came is `worth` so much, and so is one if none
    /// came; after a giving way that took longer there is none for a while.
    fn give_way<'a>(&'a self, waiting: MutexGuard<'a, Waiting>, worth: Duration) -> MutexGuard<'a, Waiting> {
        let (began, had) = (Instant::now(), waiting.count());
        if waiting.closed || had >= CROWD || waiting.hurries_until.is_some_and(|until| until > began) {
            return waiting;
        }
        drop(waiting);
        (self.yield_now)();
        let mut waiting = lock(&self.waiting);
        let (now, came) = (Instant::now(), waiting.count().saturating_sub(had));
        let took = now - began;
        if took > worth * u32::try_from(came).unwrap_or(u32::MAX).max(1) {
            waiting.hurries_until = Some(now + took.min(SLICE) * HASTE);
        }
        waiting
    }
}
