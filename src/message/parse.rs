//! Makes a [`Specimen`] of a message's octets.
//!
//! **Failure**: nothing fails; see [`Specimen`].
//! **Invariants**: every budget of [`Limits`] holds; `time_up` is asked before each part and each text.

use bytes::Bytes;

use super::files;
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

    /// The header and the parts alone: no text is searched and no file opened. For those who change or divide a message that nobody looks
    /// into.
    #[must_use]
    pub fn parse_frame(raw: Bytes, limits: &Limits, time_up: TimeUp<'_>) -> Self {
        let mut specimen = Self { raw, ..Self::default() };
        walk::walk(&mut specimen, limits, time_up);
        specimen.note_authors();
        specimen
    }

    /// As [`Self::parse`], of a message that holds words and nothing else. `None`: there may be a file in it, in whatever disguise;
    /// nothing was unpacked and no picture read.
    #[must_use]
    pub fn parse_words(raw: Bytes, limits: &Limits) -> Option<Self> {
        let mut specimen = Self { raw, ..Self::default() };
        walk::walk(&mut specimen, limits, &|| false);
        if files::may_have(&specimen) {
            return None;
        }
        specimen.note_authors();
        texts::read(&mut specimen, limits, &|| false);
        // Read by its charset, a page may say more.
        (!files::may_have(&specimen)).then_some(specimen)
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
