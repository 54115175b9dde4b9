//! Changing a message byte by byte: what is not to be changed keeps its octets.
//!
//! **Failure**: nothing fails; what can't be changed safely is left as it was. **Invariants**: fields with names of ours are
//! removed whatever else is asked for.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;

use super::specimen::Specimen;
use crate::model::disposition::{Edits, Field, is_reserved};

/// The message with its changes; `None`: there are none. `also`: further ranges of the header to take out, rising.
#[must_use]
pub fn apply(specimen: &Specimen, _edits: &Edits, also: &[Range<usize>]) -> Option<Bytes> {
    let mut out: Vec<Range<usize>> = also.to_vec();
    for field in specimen.fields.iter().filter(|field| is_reserved(&field.name)) {
        let start = field.raw.start.saturating_sub(1 + field.name.len());
        out.push(start..field.raw.end + 2);
    }
    if out.is_empty() {
        return None;
    }
    out.sort_by_key(|range| range.start);
    let mut kept = Vec::with_capacity(specimen.raw.len());
    let mut from = 0;
    for range in out {
        kept.extend_from_slice(specimen.raw.get(from..range.start).unwrap_or_default());
        from = from.max(range.end);
    }
    kept.extend_from_slice(specimen.raw.get(from..).unwrap_or_default());
    Some(kept.into())
}

/// Our own fields as they are written.
#[must_use]
pub fn fields(fields: &[Field]) -> String {
    let mut written = String::new();
    for field in fields {
        let _ = write!(written, "{}: {}\r\n", field.name, field.value);
    }
    written
}
