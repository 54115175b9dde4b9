//! What is kept of one source: four decaying counts, and when it last did wrong.
//!
//! **Invariants**: counts are finite and not negative; a clock that goes back decays nothing.

use serde::Serialize;

use super::numbers::{
    Allowance, FREE_MALFORMED, FREE_UNKNOWN, HALF_LIFE, MALFORMED_POINTS, MOST_DOUBLINGS, NETWORK_SHARE_OF_ADDRESS,
    PROTECTED_HAM, PROTECTED_SHARE, UNKNOWN_POINTS,
};
use super::{Counts, Observation};
use crate::tables::state_file::Fixed;
use crate::tables::{Seconds, Worth};

/// Above this a count only stands still.
const MOST: f32 = 1e9;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Record {
    pub ham: f32,
    pub spam: f32,
    pub unknown: f32,
    pub malformed: f32,
    /// What this address has added to its network, decayed like the network's own counts.
    pub lent_points: f32,
    pub lent_ham: f32,
    /// The time to which the counts are decayed.
    pub at: Seconds,
    /// The last offence; 0: never.
    pub offence: Seconds,
}

impl Record {
    pub(super) fn new(now: Seconds) -> Self {
        Self { at: now, ..Self::default() }
    }

    /// As it is at `now`.
    #[must_use]
    pub(super) fn at(&self, now: Seconds) -> Self {
        if now <= self.at {
            return *self;
        }
        Self { at: now, ..self.times((-halvings(now - self.at)).exp2()) }
    }

    fn times(&self, factor: f32) -> Self {
        let times = |count: f32| (count * factor).min(MOST);
        Self {
            ham: times(self.ham),
            spam: times(self.spam),
            unknown: times(self.unknown),
            malformed: times(self.malformed),
            lent_points: times(self.lent_points),
            lent_ham: times(self.lent_ham),
            ..*self
        }
    }

    /// Counts one observation; the record must be at `now`.
    pub(super) fn count(&mut self, seen: Observation, now: Seconds) {
        let count = match seen {
            Observation::Ham => &mut self.ham,
            Observation::Spam => &mut self.spam,
            Observation::UnknownRecipient => &mut self.unknown,
            Observation::Malformed => &mut self.malformed,
        };
        *count = (*count + 1.0).min(MOST);
        // A mistyped recipient is no offence: it must not prolong the stay for an earlier one.
        if seen == Observation::Spam || (seen != Observation::Ham && self.trouble() > 0.0) {
            self.offence = self.offence.max(now);
        }
    }

    /// Adds what an address has done to its network's record; the record must be at `now`.
    pub(super) fn count_lent(&mut self, points: f32, ham: f32, offence: Seconds) {
        self.spam = (self.spam + points).clamp(0.0, MOST);
        self.ham = (self.ham + ham).clamp(0.0, MOST);
        if points > 0.0 {
            self.offence = self.offence.max(offence);
        }
    }

    /// What is still to be added to the network: each address stands for a few points there, however much it sends.
    pub(super) fn lend(&mut self) -> (f32, f32) {
        let points = (self.points().min(NETWORK_SHARE_OF_ADDRESS) - self.lent_points).max(0.0);
        let ham = (self.ham.min(NETWORK_SHARE_OF_ADDRESS) - self.lent_ham).max(0.0);
        self.lent_points += points;
        self.lent_ham += ham;
        (points, ham)
    }

    /// Points for what is no spam.
    fn trouble(&self) -> f32 {
        (self.unknown - self.ham - FREE_UNKNOWN).max(0.0) * UNKNOWN_POINTS
            + (self.malformed - self.ham - FREE_MALFORMED).max(0.0) * MALFORMED_POINTS
    }

    #[must_use]
    pub(super) fn points(&self) -> f32 {
        self.spam + self.trouble()
    }

    /// Enough good mail, and hardly anything else: not judged by its neighbours.
    #[must_use]
    pub(super) fn is_protected(&self) -> bool {
        self.ham >= PROTECTED_HAM && self.points() <= self.ham * PROTECTED_SHARE
    }

    /// Until when this is too much, if it is; the record must be at `now`.
    ///
    /// Judged as of the last offence, so that a source doesn't slip out a moment later because its counts decay.
    #[must_use]
    pub(super) fn listed(&self, allowance: &Allowance, stay: Seconds, now: Seconds) -> Option<Seconds> {
        let then = self.as_of_offence(now)?;
        if !then.exceeds(allowance) {
            return None;
        }
        let doublings = (then.points() / allowance.points).log2().clamp(0.0, MOST_DOUBLINGS);
        // Both are small: at most six days.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let stay = (stay as f32 * (1.0 + doublings)) as Seconds;
        let until = self.offence.saturating_add(stay);
        (now < until).then_some(until)
    }

    /// It was at its last offence, and one more spam would make it so again: otherwise that spam would make it milder.
    #[must_use]
    pub(super) fn is_heavy(&self, allowance: &Allowance, now: Seconds) -> bool {
        self.points() >= allowance.points - 1.0 && self.as_of_offence(now).is_some_and(|then| then.exceeds(allowance))
    }

    #[must_use]
    fn exceeds(&self, allowance: &Allowance) -> bool {
        let points = self.points();
        points >= allowance.points && points >= (points + self.ham) * allowance.share
    }

    #[must_use]
    fn as_of_offence(&self, now: Seconds) -> Option<Self> {
        // Ten half-lives are far beyond every stay; the cap keeps the numbers finite.
        let age = now.saturating_sub(self.offence);
        (self.offence != 0 && halvings(age) < 10.0).then(|| self.times(halvings(age).exp2()))
    }

    #[must_use]
    pub(super) fn counts(&self) -> Counts {
        Counts { ham: self.ham, spam: self.spam, unknown: self.unknown, malformed: self.malformed }
    }
}

/// Half-lives in so many seconds.
#[allow(clippy::cast_precision_loss, reason = "a minute in a century doesn't matter")]
fn halvings(age: Seconds) -> f32 {
    age as f32 / HALF_LIFE.as_secs() as f32
}

impl Worth for Record {
    /// What is known against a source is worth most: forgetting it would release the source.
    fn worth(&self, now: Seconds) -> f32 {
        let now = self.at(now);
        now.points() * 4.0 + now.ham.min(100.0) + now.unknown.min(10.0) * 0.01
    }
}

impl Fixed for Record {
    const SIZE: usize = 32;

    fn write(&self, out: &mut Vec<u8>) {
        for count in [self.ham, self.spam, self.unknown, self.malformed, self.lent_points, self.lent_ham] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.offence.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let [ham, spam, unknown, malformed, lent_points, lent_ham, at, offence] = words else { return None };
        let record = Self {
            ham: f32::from_le_bytes(*ham),
            spam: f32::from_le_bytes(*spam),
            unknown: f32::from_le_bytes(*unknown),
            malformed: f32::from_le_bytes(*malformed),
            lent_points: f32::from_le_bytes(*lent_points),
            lent_ham: f32::from_le_bytes(*lent_ham),
            at: Seconds::from_le_bytes(*at),
            offence: Seconds::from_le_bytes(*offence),
        };
        let counts = [record.ham, record.spam, record.unknown, record.malformed, record.lent_points, record.lent_ham];
        (rest.is_empty() && counts.iter().all(|count| (0.0..=MOST).contains(count))).then_some(record)
    }
}
