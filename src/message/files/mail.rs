//! Messages inside files: their attachments are files, their texts and links are the message's.
//!
//! **Failure**: what couldn't be looked at in there is noted here.
//! **Invariants**: the depth of messages in messages is that of the files, see [`Limits::layers`].
//!
//! [`Limits::layers`]: crate::message::specimen::Limits::layers

use bytes::Bytes;
use memchr::memmem;

use super::readings;
use super::walk::{Met, Walk};
use crate::message::specimen::Specimen;

/// Messages of one mbox.
const MAX_MESSAGES: usize = 100;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    if !octets.starts_with(b"From ") {
        return message(walk, at, octets.clone());
    }
    // An mbox: each message behind a line of its own.
    let mut start = 0;
    for _ in 0..MAX_MESSAGES {
        let rest = octets.get(start..).unwrap_or_default();
        let Some(line) = memchr::memchr(b'\n', rest) else { return };
        let end = memmem::find(rest, b"\nFrom ").filter(|&end| end > line).map_or(octets.len(), |end| start + end + 1);
        message(walk, at, octets.slice(start + line + 1..end));
        start = end;
        if start >= octets.len() || walk.is_spent(at) {
            return;
        }
    }
    walk.note(crate::model::finding::Reason::Count, at);
}

fn message(walk: &mut Walk<'_>, at: usize, raw: Bytes) {
    let inner = Specimen::parse(raw, walk.limits, walk.time_up);
    for text in inner.texts {
        walk.text_of(text);
    }
    let room = walk.limits.links.saturating_sub(walk.specimen.links.len());
    let part = walk.part();
    walk.specimen
        .links
        .extend(inner.links.into_iter().take(room).map(|link| crate::message::specimen::Link { part, ..link }));
    for ambiguity in inner.ambiguities {
        if !walk.specimen.ambiguities.contains(&ambiguity) {
            walk.specimen.ambiguities.push(ambiguity);
        }
    }
    for unchecked in inner.unchecked {
        walk.note_in(unchecked.reason, at, &unchecked.what);
    }
    for part in &inner.parts {
        for met in readings(part).into_iter().flatten() {
            walk.inside(at, Met { octets: met.octets, ..met });
        }
    }
}
