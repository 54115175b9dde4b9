//! Name servers that don't answer at all: while nothing has been heard for a while, only a few questions are let out to find
//! out whether they are back, and all others are answered "not now" at once. Otherwise every message would wait for every one of
//! its questions, and connections pile up until nothing is served any more (reliability row DRL-05).
//!
//! **Failure**: none. **Invariants**: with a single answer heard within [`FOR`] nobody is turned away, so that a few domains whose
//! servers are silent can't silence the others.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// So long nothing must have been heard.
const FOR: Duration = Duration::from_secs(5);
/// So many questions must have gone unanswered since.
const UNANSWERED: u32 = 2;
/// Questions at one time that find out.
const PROBES: usize = 4;

#[derive(Debug)]
pub(super) struct Silence {
    start: Instant,
    /// Milliseconds after `start`.
    last_heard: AtomicU64,
    unanswered: AtomicU32,
    probes: Semaphore,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            last_heard: AtomicU64::new(0),
            unanswered: AtomicU32::new(0),
            probes: Semaphore::new(PROBES),
        }
    }
}

/// Held while a question is under way.
#[derive(Debug)]
pub(super) struct Leave<'a>(#[allow(dead_code, reason = "held, not read")] Option<SemaphorePermit<'a>>);

impl Silence {
    /// `None`: answer "not now".
    pub(super) fn leave_to_ask(&self) -> Option<Leave<'_>> {
        if self.unanswered.load(Ordering::Relaxed) < UNANSWERED {
            return Some(Leave(None));
        }
        let heard = Duration::from_millis(self.last_heard.load(Ordering::Relaxed));
        if self.start.elapsed().saturating_sub(heard) < FOR {
            return Some(Leave(None));
        }
        self.probes.try_acquire().ok().map(|permit| Leave(Some(permit)))
    }

    /// An answer came, of whatever kind.
    pub(super) fn heard(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_heard.store(now, Ordering::Relaxed);
        self.unanswered.store(0, Ordering::Relaxed);
    }

    pub(super) fn heard_nothing(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_few_ask_while_nothing_is_heard_and_all_again_after_one_answer() {
        let silence = Silence::default();
        silence.heard_nothing();
        silence.heard_nothing();
        assert!(silence.leave_to_ask().is_some(), "it may be no more than a moment");
        tokio::time::advance(FOR).await;
        let probes: Vec<_> = (0..PROBES).map(|_| silence.leave_to_ask().expect("a probe")).collect();
        assert!(silence.leave_to_ask().is_none());
        drop(probes);
        let _probe = silence.leave_to_ask().expect("a place is free again");
        silence.heard();
        let all: Vec<_> = (0..100).map(|_| silence.leave_to_ask()).collect();
        assert!(all.iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn silent_domains_do_not_silence_the_others() {
        let silence = Silence::default();
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            silence.heard_nothing();
            silence.heard_nothing();
            silence.heard();
            silence.heard_nothing();
            silence.heard_nothing();
            assert!(silence.leave_to_ask().is_some());
        }
    }
}
