//! Outbound mail that may leave, as a type: nobody but the check makes a [`Checked`].
//!
//! ```text
//! Scanner::scan ─► Scanned ─► Scanned::check(Terms) ─► Ruling, and a Checked if it says "deliver" ─► spool::NewMessage::outbound
//! ```
//!
//! **Failure**: no Checked; the ruling says what the client is told.
//! **Invariants**: a Checked comes from a whole scan of an outbound message by a [`Scanner`](super::Scanner), and from the rules
//! of `policy::content` over that very verdict; no list, policy or setting is asked whether to check. It is about so many octets
//! with that checksum, and the spool takes no others under it. A change of the message is made through it, or it is about another
//! message.
//!
//! There is no other way to make one:
//!
//! ```compile_fail
//! let checked = sekisho::scan::Checked { length: 0, crc: 0, pool: Default::default(), set: 0 };
//! ```
//! ```compile_fail
//! fn forged(verdict: sekisho::model::finding::Verdict) -> sekisho::scan::Scanned {
//!     sekisho::scan::Scanned { verdict, ..todo!() }
//! }
//! ```
//! With a scan there is:
//! ```
//! use sekisho::scan::{Checked, Scanned, Terms};
//! fn honest(scanned: &Scanned, terms: &Terms<'_>) -> Option<Checked> {
//!     scanned.check(terms).1
//! }
//! ```

use std::ops::Range;

use bytes::Bytes;

use super::edited::{Changed, changed};
use crate::message::specimen::Specimen;
use crate::model::Direction;
use crate::model::detectors::Detectors;
use crate::model::disposition::{Category, Edits};
use crate::model::egress::{OutboundSpam, Pool};
use crate::model::finding::Verdict;
use crate::model::rule::Skips;
use crate::policy::content::{Author, Facts, Ruling, Signed, dispose};
use crate::tenant::ContentPolicy;

/// What a scan came to. Made by a [`Scanner`](super::Scanner) alone.
#[derive(Debug)]
pub struct Scanned {
    pub(super) verdict: Verdict,
    pub(super) specimen: Specimen,
    /// Of what was scanned: octets, and their CRC-32C.
    pub(super) sum: (u64, u32),
    pub(super) direction: Direction,
    /// Detectors without which nothing may leave.
    pub(super) mandatory: Detectors,
    /// Everybody who is to be asked was asked.
    pub(super) is_whole: bool,
}

/// What an outbound message is judged by, besides what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Of the sender's domain.
    pub policy: &'a ContentPolicy,
    /// How often this very message was put off before because it could not be inspected.
    pub tries: u32,
    /// The operator's rule.
    pub spam: OutboundSpam,
}

/// An outbound message that may leave, and how. See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    length: u64,
    /// CRC-32C.
    crc: u32,
    pool: Pool,
    set: u64,
}

/// A message that was changed under its check.
#[derive(Debug)]
pub struct Edited {
    pub checked: Checked,
    pub changed: Changed,
}

impl Scanned {
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// For whoever edits the message.
    #[must_use]
    pub fn specimen(&self) -> &Specimen {
        &self.specimen
    }

    #[must_use]
    pub fn into_parts(self) -> (Verdict, Specimen) {
        (self.verdict, self.specimen)
    }

    /// Judges it as outbound mail. A scan that was for something else counts as none. `None`: it may not leave; the ruling says
    /// why.
    #[must_use]
    pub fn check(&self, terms: &Terms<'_>) -> (Ruling, Option<Checked>) {
        let counts = self.is_whole && self.direction == Direction::Outbound;
        let ruling = dispose(&Facts {
            direction: Direction::Outbound,
            verdict: counts.then_some(&self.verdict),
            policy: terms.policy,
            skips: Skips::NONE,
            // The client has shown who it is before it said MAIL.
            author: Author::Authenticated,
            marks: &[],
            mandatory: self.mandatory,
            tries: terms.tries,
            signed: if self.specimen.is_signed() { Signed::Yes } else { Signed::No },
            spam: terms.spam,
        });
        let checked = if counts && ruling.disposition.is_delivered() { self.passed(&ruling, terms) } else { None };
        (ruling, checked)
    }

    /// Looks once more at what may never be: whatever the rules said, malware does not leave, nor spam over other addresses.
    fn passed(&self, ruling: &Ruling, terms: &Terms<'_>) -> Option<Checked> {
        let has = |category| ruling.categories.contains(&category);
        let is_spam = has(Category::Spam);
        if has(Category::Malware) || has(Category::Phishing) || (is_spam && terms.spam != OutboundSpam::SuspectPool) {
            return None;
        }
        let pool = match (is_spam, has(Category::Bulk)) {
            (true, _) => Pool::Suspect,
            (false, true) => Pool::Bulk,
            (false, false) => Pool::Normal,
        };
        let (length, crc) = self.sum;
        Some(Checked { length, crc, pool, set: self.verdict.set })
    }
}

/// What an outbound message is told when it could not be scanned at all.
#[must_use]
pub fn unscanned(terms: &Terms<'_>) -> Ruling {
    dispose(&Facts {
        direction: Direction::Outbound,
        verdict: None,
        policy: terms.policy,
        skips: Skips::NONE,
        author: Author::Authenticated,
        marks: &[],
        mandatory: Detectors::mandatory(),
        tries: terms.tries,
        signed: Signed::No,
        spam: terms.spam,
    })
}

/// Octets, and their CRC-32C.
pub(super) fn sum(octets: &[u8]) -> (u64, u32) {
    (octets.len() as u64, crc32c::crc32c(octets))
}

impl Checked {
    fn about(octets: &[u8], pool: Pool, set: u64) -> Self {
        let (length, crc) = sum(octets);
        Self { length, crc, pool, set }
    }

    /// Octets of the message, without the fields that we put in front.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// CRC-32C of the message, without the fields that we put in front.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// The addresses it leaves by.
    #[must_use]
    pub fn pool(&self) -> Pool {
        self.pool
    }

    /// The signature set that judged.
    #[must_use]
    pub fn set(&self) -> u64 {
        self.set
    }

    #[must_use]
    pub fn is_about(&self, octets: &[u8]) -> bool {
        (self.length, self.crc) == sum(octets)
    }

    /// Changes the message: only what [`Edits`] can say, and fields that are taken out (`without`: ranges of octets that rise and
    /// don't overlap). `None`: `whole` is not the message that was checked.
    #[must_use]
    pub fn edited(
        &self,
        specimen: &Specimen,
        whole: &Bytes,
        edits: &Edits,
        without: &[Range<usize>],
    ) -> Option<Edited> {
        if !self.is_about(whole) {
            return None;
        }
        let changed = changed(specimen, whole, edits, without);
        let checked = match &changed.octets {
            Some(octets) => Self::about(octets, self.pool, self.set),
            None => self.clone(),
        };
        Some(Edited { checked, changed })
    }
}

#[cfg(test)]
#[path = "checked_tests.rs"]
pub(in crate::scan) mod tests;
