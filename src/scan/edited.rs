//! A message with the changes that its recipients' policy asks for.
//!
//! **Failure**: none; a file that should go and could not be taken out is said so, and the message may not be delivered.
//! **Invariants**: nothing is made of a message that is not the one that was taken apart.

use std::ops::Range;

use bytes::Bytes;

use crate::message::edit;
use crate::message::specimen::Specimen;
use crate::model::disposition::Edits;

/// What became of it.
#[derive(Debug, Clone)]
pub struct Changed {
    /// `None`: as it came.
    pub octets: Option<Bytes>,
    /// A file that was to be taken out is still in it, or time was up: it may not be delivered.
    pub is_left_in: bool,
    /// A stamp could not be put on it.
    pub is_unstamped: bool,
}

impl Changed {
    #[must_use]
    pub fn left_in() -> Self {
        Self { octets: None, is_left_in: true, is_unstamped: false }
    }
}

/// Changes the message. `without`: fields of the header that go, whole, as ranges that rise and don't
/// overlap. Fields of ours ([`Edits::fields`]) are
/// no part of the message: they go before it.
#[must_use]
pub fn changed(specimen: &Specimen, whole: &Bytes, edits: &Edits, without: &[Range<usize>]) -> Changed {
    let edits = edits.without_fields();
    // What was taken apart is not this message: nothing may be made of it. It is kept as it came.
    if !is_same(&specimen.raw, whole) {
        return Changed::left_in();
    }
    let edited = edit::apply_without(specimen, without, &edits, &edit::Style::default());
    let is_left_in = edited.undone.iter().any(|undone| matches!(undone.what, edit::What::Strip(_)));
    let is_unstamped = edited.undone.iter().any(|undone| undone.what == edit::What::Stamp);
    Changed { octets: (!is_same(&edited.octets, whole)).then_some(edited.octets), is_left_in, is_unstamped }
}

/// Nearly always it is the same octets in the same place: then they need not be compared.
fn is_same(one: &Bytes, other: &Bytes) -> bool {
    (one.as_ptr(), one.len()) == (other.as_ptr(), other.len()) || one == other
}

/// The message without some ranges, which rise and don't overlap.
#[must_use]
pub fn kept(whole: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(whole.len());
    let mut from = 0;
    for range in ranges {
        kept.extend_from_slice(whole.get(from..range.start).unwrap_or_default());
        from = range.end;
    }
    kept.extend_from_slice(whole.get(from..).unwrap_or_default());
    kept
}
