//! cpio in its four formats, ar (also .deb) and the payload of rpm.
//!
//! Members are slices of the archive and cost no memory.
//! **Failure**: what comes before the damage is looked at.

use bytes::Bytes;

use super::names;
use super::octets::{be16, be32, le16, slice, until_nul, up_to};
use super::walk::{Met, Walk};
use crate::model::finding::Reason;

/// Of one member: where its name begins, how long name and content are, to what multiple both are filled up.
struct Header {
    name_at: usize,
    name: usize,
    content: usize,
    fill: usize,
    is_folder: bool,
}

/// Of the mode of a folder (POSIX `S_IFMT`, `S_IFDIR`).
const KIND: usize = 0o170_000;
const FOLDER: usize = 0o040_000;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 0;
    while here < octets.len() && !walk.is_spent(at) {
        let Some(header) = octets.get(here..).and_then(header) else {
            // Filled up with zeros to whole blocks.
            if octets.get(here..).is_some_and(|rest| rest.iter().any(|&octet| octet != 0)) {
                walk.note(Reason::Malformed, at);
            }
            return;
        };
        let name_at = here.saturating_add(header.name_at);
        let name = until_nul(up_to(octets, name_at, header.name));
        if name == b"TRAILER!!!" {
            return;
        }
        let start = filled(header.name_at.saturating_add(header.name), header.fill).saturating_add(here);
        let end = start.saturating_add(header.content);
        if end > octets.len() {
            walk.note(Reason::Malformed, at);
        }
        let content = octets.slice(start.min(octets.len())..end.min(octets.len()));
        // A file without content has a name all the same, and thousands of them are too many.
        if header.content > 0 || !header.is_folder {
            walk.inside(at, Met { names: vec![names::decoded(name)], octets: content, ..Met::default() });
        }
        here = start.saturating_add(filled(header.content, header.fill));
    }
}

fn filled(length: usize, to: usize) -> usize {
    length.checked_next_multiple_of(to).unwrap_or(usize::MAX)
}

fn header(data: &[u8]) -> Option<Header> {
    match slice(data, 0, 6)? {
        b"070701" | b"070702" => {
            let field = |at: usize| digits(slice(data, at, 8)?, 16);
            let is_folder = field(14)? & KIND == FOLDER;
            Some(Header { name_at: 110, name: field(94)?, content: field(54)?, fill: 4, is_folder })
        }
        b"070707" => {
            let (name, content) = (digits(slice(data, 59, 6)?, 8)?, digits(slice(data, 65, 11)?, 8)?);
            let is_folder = digits(slice(data, 18, 6)?, 8)? & KIND == FOLDER;
            Some(Header { name_at: 76, name, content, fill: 1, is_folder })
        }
        _ => {
            let word = match slice(data, 0, 2)? {
                b"\x71\xc7" => be16,
                b"\xc7\x71" => le16,
                _ => return None,
            };
            let content = usize::from(word(data, 22)?) << 16 | usize::from(word(data, 24)?);
            let is_folder = usize::from(word(data, 6)?) & KIND == FOLDER;
            Some(Header { name_at: 26, name: usize::from(word(data, 20)?), content, fill: 2, is_folder })
        }
    }
}

fn digits(field: &[u8], radix: u32) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(field).ok()?.trim(), radix).ok()
}

pub fn open_ar(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 8;
    let mut long_names = Bytes::new();
    while let Some(header) = slice(octets, here, 60) {
        if walk.is_spent(at) {
            return;
        }
        let Some(size) = digits(up_to(header, 48, 10), 10).filter(|_| header.ends_with(b"`\n")) else {
            return walk.note(Reason::Malformed, at);
        };
        let start = here + 60;
        let mut content = octets.slice(start.min(octets.len())..start.saturating_add(size).min(octets.len()));
        if content.len() < size {
            walk.note(Reason::Malformed, at);
        }
        let name = up_to(header, 0, 16).trim_ascii_end();
        here = start.saturating_add(filled(size, 2));
        if name == b"//" {
            long_names = content;
            continue;
        }
        if name == b"/" || name == b"/SYM64/" {
            continue;
        }
        let name = if let Some(length) = name.strip_prefix(b"#1/") {
            // The name stands in front of the content.
            let length = digits(length, 10).unwrap_or(0).min(content.len());
            let name = content.split_to(length);
            names::decoded(until_nul(&name))
        } else if let Some(offset) = name.strip_prefix(b"/").and_then(|offset| digits(offset, 10)) {
            let long = up_to(&long_names, offset, 1_024);
            names::decoded(
                long.split(|&octet| octet == b'\n').next().unwrap_or_default().strip_suffix(b"/").unwrap_or(long),
            )
        } else {
            names::decoded(name.strip_suffix(b"/").unwrap_or(name))
        };
        walk.inside(at, Met { names: vec![name], octets: content, ..Met::default() });
    }
}

/// A lead of 96 octets, two headers of records, and a compressed cpio behind them.
pub fn open_rpm(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 96_usize;
    for is_first in [true, false] {
        let (Some(b"\x8e\xad\xe8"), Some(records), Some(length)) =
            (slice(octets, here, 3), be32(octets, here + 8), be32(octets, here + 12))
        else {
            return walk.note(Reason::Malformed, at);
        };
        let size = 16_u64 + 16 * u64::from(records) + u64::from(length);
        let Some(next) = usize::try_from(size).ok().and_then(|size| here.checked_add(size)) else {
            return walk.note(Reason::Malformed, at);
        };
        here = if is_first { filled(next, 8) } else { next };
    }
    match octets.get(here..) {
        Some(payload) if !payload.is_empty() => walk.inside(at, Met::new("payload.cpio", octets.slice(here..))),
        _ => walk.note(Reason::Malformed, at),
    }
}
