//! Ranges of a message that are replaced.
//!
//! **Invariants**: what no range covers comes out as it went in, in the same order; a range that overlaps an earlier one is
//! dropped, and who asked is told.

use std::ops::Range;

use bytes::Bytes;

/// Replacements, in any order.
#[derive(Debug, Default)]
pub struct Splices {
    list: Vec<(Range<usize>, Vec<u8>)>,
}

impl Splices {
    pub fn replace(&mut self, range: Range<usize>, with: Vec<u8>) {
        self.list.push((range, with));
    }

    pub fn remove(&mut self, range: Range<usize>) {
        self.replace(range, Vec::new());
    }

    /// Before the octet at `at`; of several, the last one stands first.
    pub fn insert(&mut self, at: usize, text: Vec<u8>) {
        if !text.is_empty() {
            self.list.push((at..at, text));
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The octets with everything replaced, and the ranges that were dropped.
    #[must_use]
    pub fn apply(mut self, raw: &Bytes) -> (Bytes, Vec<Range<usize>>) {
        let mut dropped = Vec::new();
        if self.list.is_empty() {
            return (raw.clone(), dropped);
        }
        self.list.reverse();
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let added: usize = self.list.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(raw.len() + added);
        let mut at = 0;
        for (range, with) in self.list {
            if range.start < at {
                dropped.push(range);
                continue;
            }
            out.extend(raw.get(at..range.start).unwrap_or_default());
            out.extend(with);
            at = range.end.min(raw.len());
        }
        out.extend(raw.get(at..).unwrap_or_default());
        (out.into(), dropped)
    }
}

/// Behind the line break that follows `at`.
#[must_use]
pub fn line_end(raw: &[u8], at: usize) -> usize {
    let rest = raw.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(raw.len(), |end| at + end + 1)
}

/// Where the line begins in which `at` is.
#[must_use]
pub fn line_start(raw: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', raw.get(..at).unwrap_or_default()).map_or(0, |end| end + 1)
}
