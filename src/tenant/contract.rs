//! What is agreed with a tenant: how many accounts, from when to when, and what becomes of its mail afterwards.
//!
//! ```text
//! upcoming ── start ──▶ active ── the end's midnight ──▶ grace ──▶ frozen (put off, then refused) ──▶ ended ── purge ──▶
//! ```
//! Every change of phase is at midnight in the contract's zone, days counted by its calendar.
//!
//! **Failure**: a contract without an end never ends; a tenant without a contract has every right and no number.
//! **Invariants**: pure, the zone tables are in the program: the same contract has the same instants on every machine.

use serde::{Deserialize, Serialize};

use super::calendar::{Day, Zone};
use crate::model::{TenantId, Timestamp};

/// Days of a trial that says no end.
pub const TRIAL_DAYS: u16 = 30;
/// Days between the end and the freezing, where the contract says nothing else.
pub const GRACE_DAYS: u16 = 30;
/// Days between the freezing and the end of everything.
pub const FROZEN_DAYS: u16 = 30;
/// Of the frozen days, so many first ones put mail off; on the others it is refused.
pub const DEFERRED_DAYS: u16 = 15;

/// As it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractSpec {
    /// The number agreed on; `None`: no number, or that of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<u32>,
    /// The first day.
    pub start: Day,
    /// The last day. `None`: without end, or the 30th day of a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Day>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trial: bool,
    /// The tenant whose number this one shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<TenantId>,
    #[serde(default)]
    pub over: Over,
    #[serde(default)]
    pub time_zone: Zone,
    #[serde(default = "grace_days")]
    pub grace_days: u16,
    #[serde(default = "frozen_days")]
    pub frozen_days: u16,
    #[serde(default = "deferred_days")]
    pub deferred_days: u16,
}

fn grace_days() -> u16 {
    GRACE_DAYS
}

fn frozen_days() -> u16 {
    FROZEN_DAYS
}

fn deferred_days() -> u16 {
    DEFERRED_DAYS
}

/// What is done with accounts beyond the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// They are told of.
    #[default]
    Warn,
    /// Mail of or to an account that is new is put off. One that was there before is never touched.
    RefuseNew,
}

/// Where a contract stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Before the first day: all works, so that a tenant can be tried out before its MX is turned.
    Upcoming,
    Active,
    /// All works, and its administrators are told.
    Grace,
    /// Frozen, the first half: mail is put off.
    FrozenDeferred,
    /// Frozen, the second half: mail is refused.
    FrozenRefused,
    /// Mail is refused, and the data may be purged.
    Ended,
}

impl Phase {
    pub const ALL: [Self; 6] =
        [Self::Upcoming, Self::Active, Self::Grace, Self::FrozenDeferred, Self::FrozenRefused, Self::Ended];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upcoming => "upcoming",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::FrozenDeferred => "frozen-deferred",
            Self::FrozenRefused => "frozen-refused",
            Self::Ended => "ended",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

/// As connections see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    pub accounts: Option<u32>,
    pub group: Option<TenantId>,
    pub over: Over,
    pub trial: bool,
    pub zone: Zone,
    start: Timestamp,
    /// When grace, the two parts of freezing, and the end of everything begin.
    ends: Option<[Timestamp; 4]>,
}

/// The phases behind `ends`.
const LATER: [Phase; 4] = [Phase::Grace, Phase::FrozenDeferred, Phase::FrozenRefused, Phase::Ended];

impl ContractSpec {
    /// The last day, a trial's own one too.
    #[must_use]
    pub fn last_day(&self) -> Option<Day> {
        self.end.or_else(|| self.trial.then(|| self.start.plus(TRIAL_DAYS - 1)))
    }

    /// What contradicts itself in it, as a sentence.
    ///
    /// # Errors
    /// The key and the sentence.
    pub fn check(&self, own: &TenantId) -> Result<(), (&'static str, String)> {
        if let Some(end) = self.end.filter(|end| *end < self.start) {
            return Err(("end", format!("{end} is before the start, {}", self.start)));
        }
        if self.deferred_days > self.frozen_days {
            let (deferred, frozen) = (self.deferred_days, self.frozen_days);
            return Err(("deferred_days", format!("{deferred} of {frozen} frozen days can't be")));
        }
        match &self.group {
            Some(group) if group == own => Err(("group", "a tenant is no member of its own group".into())),
            Some(_) if self.accounts.is_some() => {
                Err(("accounts", "a member of a group shares the number of the tenant that group names".into()))
            }
            _ => Ok(()),
        }
    }
}

impl Contract {
    #[must_use]
    pub fn compile(spec: &ContractSpec) -> Self {
        let zone = spec.time_zone.clone();
        let ends = spec.last_day().map(|last| {
            let grace = last.plus(1);
            let frozen = grace.plus(spec.grace_days);
            let refused = frozen.plus(spec.deferred_days);
            let ended = frozen.plus(spec.frozen_days);
            [grace, frozen, refused, ended].map(|day| zone.midnight(day))
        });
        Self {
            accounts: spec.accounts,
            group: spec.group.clone(),
            over: spec.over,
            trial: spec.trial,
            start: zone.midnight(spec.start),
            zone,
            ends,
        }
    }

    /// Where it stands at `now`. Take `now` from a [`crate::clock`] that doesn't follow jumps.
    #[must_use]
    pub fn phase(&self, now: Timestamp) -> Phase {
        let passed = |ends: [Timestamp; 4]| ends.into_iter().zip(LATER).rev().find(|(at, _)| *at <= now);
        match self.ends.and_then(passed) {
            Some((_, phase)) => phase,
            None if now < self.start => Phase::Upcoming,
            None => Phase::Active,
        }
    }

    /// When the phase after `now`'s begins, and which one it is.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<(Timestamp, Phase)> {
        if now < self.start {
            return Some((self.start, self.phase(self.start)));
        }
        let at = self.ends?.into_iter().find(|at| *at > now)?;
        Some((at, self.phase(at)))
    }
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
