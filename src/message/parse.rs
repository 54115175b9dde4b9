//! Makes a [`Specimen`] of a message's octets.
//!
//! **Failure**: nothing fails; see [`Specimen`].
//! **Invariants**: every budget of [`Limits`] holds; `time_up` is asked before each part and each text.

use bytes::Bytes;

use super::mime::walk;
use super::specimen::{Limits, Specimen, TimeUp};
use super::texts;

impl Specimen {
    /// Reads `raw` (lines end in CRLF or LF) within `limits`, until `time_up` says so.
    #[must_use]
    pub fn parse(raw: Bytes, limits: &Limits, time_up: TimeUp<'_>) -> Self {
        let mut specimen = Self { raw, ..Self::default() };
        walk::walk(&mut specimen, limits, time_up);
        specimen.note_authors();
        texts::read(&mut specimen, limits, time_up);
        specimen
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
