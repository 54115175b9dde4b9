//! What the evidence allows, stage by stage: pure.
//!
//! **Invariants**: below a floor nothing is done by itself; nothing that bulk mail alone can show leads to a measure; one stage at a
//! time, and the next one only for harm that went on after the last, or for a sender that goes on as if nothing had been said.

use std::time::Duration;

use super::config::Config;
use crate::model::abuse::{Assessment, Scope, Signal, Stage};

/// So much harm must be new before the next stage.
const FRESH: u64 = 3;
/// After somebody has looked after it: so much new harm before it begins again, because the counts of the day are still there.
const FRESH_AFTER_PARDON: u64 = 20;

/// Volume and signals are above the floors.
#[must_use]
pub(super) fn qualifies(config: &Config, assessment: &Assessment) -> bool {
    // At most one for each signal is promised, and not relied on.
    let mut seen: u32 = 0;
    let mut harmful = false;
    for evidence in &assessment.evidence {
        seen |= 1 << (evidence.signal as u32);
        harmful |= !evidence.signal.is_of_any_bulk();
    }
    assessment.volume >= config.least_messages && seen.count_ones() >= config.least_signals && harmful
}

/// What no honest bulk mail does, counted.
#[must_use]
pub(super) fn harm(assessment: &Assessment) -> u64 {
    let harmful = assessment.evidence.iter().filter(|evidence| !evidence.signal.is_of_any_bulk());
    harmful.map(|evidence| evidence.count).fold(0, u64::saturating_add)
}

/// Malware or spam: nobody asked for it.
#[must_use]
pub(super) fn is_grave(assessment: &Assessment) -> bool {
    assessment.evidence.iter().any(|evidence| matches!(evidence.signal, Signal::Malware | Signal::Spam))
}

/// How long a stage lasts before the next.
#[must_use]
pub(super) fn dwell(config: &Config, assessment: &Assessment) -> Duration {
    if is_grave(assessment) { config.dwell_harm } else { config.dwell }
}

#[must_use]
pub(super) fn fresh_needed(assessment: &Assessment, pardoned: bool) -> u64 {
    match (pardoned, is_grave(assessment)) {
        (true, _) => FRESH_AFTER_PARDON,
        (false, true) => 1,
        (false, false) => FRESH,
    }
}

/// As much mail again as the floor since the stage began, whatever became of it: what is refused does no harm and is counted. `before`:
/// the volume then.
#[must_use]
pub(super) fn goes_on(config: &Config, assessment: &Assessment, before: u64) -> bool {
    assessment.volume >= before.saturating_add(config.least_messages)
}

/// The last stage to which the gateway goes by itself. Whatever is wider than one sender may be a company's only mail server: it is
/// stopped for malware and spam alone.
#[must_use]
pub(super) fn last_stage(assessment: &Assessment) -> Stage {
    match assessment.subject.scope {
        Scope::Sender(_) => Stage::Suspend,
        _ if is_grave(assessment) => Stage::Suspend,
        _ => Stage::Throttle,
    }
}

#[must_use]
pub(super) fn next(stage: Stage) -> Option<Stage> {
    match stage {
        Stage::Warn => Some(Stage::Throttle),
        Stage::Throttle => Some(Stage::Suspend),
        Stage::Suspend => None,
    }
}

/// Narrow to wide.
#[must_use]
pub(super) fn width(scope: &Scope) -> u8 {
    match scope {
        Scope::Sender(_) => 0,
        Scope::Client(_) => 1,
        Scope::Domain(_) => 2,
        Scope::Tenant => 3,
    }
}

/// Harm as it grows: the counts of an assessment decay, so that only what is added from one to the next is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fresh {
    last: Option<u64>,
    pub(super) new: u64,
}

impl Fresh {
    /// From so much harm on.
    pub(super) fn from(harm: u64) -> Self {
        Self { last: Some(harm), new: 0 }
    }

    /// The first sight is where counting begins, not something new.
    pub(super) fn saw(&mut self, harm: u64) {
        self.new = self.new.saturating_add(self.last.map_or(0, |last| harm.saturating_sub(last)));
        self.last = Some(harm);
    }
}
