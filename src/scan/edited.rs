//! A message with the changes that its recipients' policy asks for.
//!
//! **Failure**: none; a file that should go and could not be taken out is said so, and the message may not be delivered.
//! **Invariants**: nothing is made of a message that is not the one that was taken apart.

use std::ops::Range;

use bytes::Bytes;

use crate::message::edit;
use crate::message::specimen::{Limits, Specimen};
use crate::model::disposition::Edits;

/// What became of it.
#[derive(Debug, Clone)]
pub struct Changed {
    /// `None`: as it came.
    pub octets: Option<Bytes>,
    /// A file that was to be taken out is still in it.
    pub is_left_in: bool,
}

/// Changes the message. `without`: ranges of octets that go, which rise and don't overlap. Fields of ours ([`Edits::fields`]) are
/// no part of the message: they go before it.
#[must_use]
pub fn changed(specimen: &Specimen, whole: &Bytes, edits: &Edits, without: &[Range<usize>]) -> Changed {
    let edits = Edits { fields: Vec::new(), ..edits.clone() };
    // What was taken apart is not this message: nothing may be made of it. It is kept as it came.
    if specimen.raw != *whole {
        return Changed { octets: None, is_left_in: true };
    }
    let style = edit::Style::default();
    let edited = if without.is_empty() {
        edit::apply(specimen, &edits, &style)
    } else {
        let clean = Bytes::from(kept(whole, without));
        let specimen = Specimen::parse(clean, &Limits::default(), &|| false);
        edit::apply(&specimen, &edits, &style)
    };
    let is_left_in = edited.undone.iter().any(|undone| matches!(undone.what, edit::What::Strip(_)));
    Changed { octets: (edited.octets != *whole).then_some(edited.octets), is_left_in }
}

/// The message without some ranges.
fn kept(whole: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(whole.len());
    let mut from = 0;
    for range in ranges {
        kept.extend_from_slice(whole.get(from..range.start).unwrap_or_default());
        from = range.end;
    }
    kept.extend_from_slice(whole.get(from..).unwrap_or_default());
    kept
}
