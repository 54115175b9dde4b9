//! Whether a list can be believed.
//!
//! **Invariants**: a list is believed only after a self-test; only a self-test brings it back. An error code that came for a
//! name of a sender's choice takes no list out: it accuses, and a self-test, whose names no sender chooses, decides.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Said;
use super::list::Kind;
use crate::telemetry::metrics::ListAnswer;

/// Unanswered questions in a row that take a list out of service: each costs a client its time-out.
const MOST_SILENCE: u32 = 5;
/// They must also lie this far apart: many clients ask within the same second.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Untested,
    InService,
    Out(&'static str),
}

#[derive(Debug)]
struct Now {
    state: State,
    /// Questions in a row without an answer.
    silence: u32,
    /// When the first of them ended.
    silent_since: Option<Instant>,
    /// It gave an error code or one that the settings don't know.
    odd: bool,
}

impl Now {
    fn unanswered(&mut self) {
        self.silence = self.silence.saturating_add(1);
        self.silent_since.get_or_insert_with(Instant::now);
    }

    fn answered(&mut self) {
        (self.silence, self.silent_since) = (0, None);
    }

    fn is_silent(&self) -> bool {
        self.silence >= MOST_SILENCE && self.silent_since.is_some_and(|since| since.elapsed() >= LONGEST_SILENCE)
    }
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The list needs attention now and did not before.
    pub news: bool,
    /// Only a self-test can tell what is true.
    pub test: bool,
}

#[derive(Debug)]
pub(super) struct Health(Mutex<Now>);

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(Now { state: State::Untested, silence: 0, silent_since: None, odd: false }))
    }
}

impl Health {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it is not asked.
    pub(super) fn out_of_service(&self) -> Option<&'static str> {
        match self.now().state {
            State::Untested => Some("not tested yet"),
            State::InService => None,
            State::Out(why) => Some(why),
        }
    }

    pub(super) fn needs_attention(&self) -> bool {
        let now = self.now();
        now.state != State::InService || now.odd
    }

    /// Takes note of an answer of a list of this kind.
    pub(super) fn heard(&self, said: &Said, kind: Kind) -> Change {
        let mut now = self.now();
        let before = (now.state, now.odd);
        let refused = said.counted == ListAnswer::Refused;
        now.odd |= refused || said.unknown_code.is_some();
        if said.counted == ListAnswer::NoAnswer {
            now.unanswered();
        } else {
            now.answered();
        }
        // The name in a question of a list of domains is whatever the sender wrote; an address is its own.
        if refused && said.asker_refused && kind != Kind::Domain {
            now.state = State::Out("refused: answers with an error code");
        } else if now.is_silent() {
            now.state = State::Out("silent");
        }
        let news = before != (now.state, now.odd);
        Change { news, test: refused || before.0 != now.state }
    }

    /// `accused`: the test was made because of an answer. The alarm stays up then until one more test has passed, so that it can
    /// be seen; that an earlier answer is repeated from a cache deceives one test only.
    pub(super) fn passed(&self, accused: bool) {
        let mut now = self.now();
        now.state = State::InService;
        now.odd &= accused;
        now.answered();
    }

    pub(super) fn failed(&self, why: &'static str) {
        self.now().state = State::Out(why);
    }

    /// The self-test had no answer: what was true before still is.
    pub(super) fn untold(&self) {
        self.now().unanswered();
    }
}
