//! Whether a list can be believed.
//!
//! **Invariants**: a list is believed only after a self-test; only a self-test brings it back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Said;
use crate::telemetry::metrics::ListAnswer;

/// Unanswered questions in a row that take a list out of service: each costs a client its time-out.
const MOST_SILENCE: u32 = 5;

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
    /// It gave a code that the settings don't know.
    odd: bool,
}

#[derive(Debug)]
pub(super) struct Health(Mutex<Now>);

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(Now { state: State::Untested, silence: 0, odd: false }))
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

    /// True if this answer made the list need attention.
    pub(super) fn heard(&self, said: &Said) -> bool {
        let mut now = self.now();
        let before = (now.state, now.odd);
        now.odd |= said.unknown_code.is_some();
        now.silence = if said.counted == ListAnswer::NoAnswer { now.silence.saturating_add(1) } else { 0 };
        if said.counted == ListAnswer::Refused {
            now.state = State::Out("refused: answers with an error code");
        } else if now.silence >= MOST_SILENCE {
            now.state = State::Out("silent");
        }
        before != (now.state, now.odd)
    }

    pub(super) fn passed(&self) {
        *self.now() = Now { state: State::InService, silence: 0, odd: false };
    }

    pub(super) fn failed(&self, why: &'static str) {
        self.now().state = State::Out(why);
    }

    /// The self-test had no answer: what was true before still is.
    pub(super) fn untold(&self) {
        let mut now = self.now();
        now.silence = now.silence.saturating_add(1);
    }
}
