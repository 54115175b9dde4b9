//! tar: ustar, GNU and pax, concatenated ones too (POSIX.1-2017 pax, section "ustar Interchange Format").
//!
//! Members are slices of the archive and cost no memory.
//! **Failure**: what comes before the damage is looked at; a member that is cut off is looked at as far as it goes.

use bytes::Bytes;

use super::names;
use super::octets::{byte, slice, until_nul, up_to};
use super::walk::{Met, Walk};
use crate::message::specimen::Trait;
use crate::model::finding::Reason;

const BLOCK: usize = 512;
/// Octets of a long name or of pax records that are read.
const MAX_EXTRA: usize = 64 << 10;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 0;
    let mut pending = Pending::default();
    while let Some(header) = slice(octets, here, BLOCK) {
        if walk.is_spent(at) {
            return;
        }
        here += BLOCK;
        // Two empty blocks end an archive; another one may follow, as tar -A leaves them.
        if header.iter().all(|&octet| octet == 0) {
            continue;
        }
        let Some(size) =
            checked(header).then(|| pending.size.take().or_else(|| number(up_to(header, 124, 12)))).flatten()
        else {
            return walk.note(Reason::Malformed, at);
        };
        let kind = byte(header, 156).unwrap_or(0);
        // The map of an old sparse file goes on in blocks of its own.
        let mut more = kind == b'S' && byte(header, 482) == Some(1);
        while more {
            more = byte(octets, here + 504) == Some(1);
            here += BLOCK;
        }
        // Links and devices have no content, whatever they say.
        let has_content = !matches!(kind, b'1'..=b'6');
        let size = if has_content { usize::try_from(size).unwrap_or(usize::MAX) } else { 0 };
        let content = octets.slice(here.min(octets.len())..here.saturating_add(size).min(octets.len()));
        if content.len() < size {
            walk.note(Reason::Malformed, at);
        }
        here = here.saturating_add(size.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX));
        match kind {
            b'L' => pending.name = Some(names::decoded(until_nul(up_to(&content, 0, MAX_EXTRA)))),
            b'x' | b'X' => pending.pax(up_to(&content, 0, MAX_EXTRA)),
            b'g' | b'K' | b'V' | b'5' => {}
            _ => {
                let mut met = Met {
                    names: vec![pending.name.take().unwrap_or_else(|| name(header))],
                    octets: content,
                    ..Met::default()
                };
                let target = names::decoded(until_nul(up_to(header, 157, 100)));
                if matches!(kind, b'3' | b'4') || !has_content && names::is_escaping(&target) {
                    met.traits.push(Trait::EscapingName);
                }
                walk.inside(at, met);
            }
        }
    }
}

/// What stands before a member and is said of it.
#[derive(Default)]
struct Pending {
    name: Option<Box<str>>,
    size: Option<u64>,
}

impl Pending {
    /// `length key=value\n`, the length counting itself.
    fn pax(&mut self, mut records: &[u8]) {
        while let Some(blank) = memchr::memchr(b' ', records) {
            let length = std::str::from_utf8(up_to(records, 0, blank)).ok().and_then(|text| text.parse::<usize>().ok());
            let Some((length, record)) = length.and_then(|length| Some((length, records.get(blank + 1..length)?)))
            else {
                return;
            };
            let Some(record) = record.strip_suffix(b"\n") else { return };
            if let Some(name) = record.strip_prefix(b"path=") {
                self.name = Some(names::decoded(name));
            } else if let Some(size) = record.strip_prefix(b"size=") {
                self.size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
            }
            records = records.get(length..).unwrap_or_default();
        }
    }
}

fn name(header: &[u8]) -> Box<str> {
    let name = until_nul(up_to(header, 0, 100));
    let prefix = until_nul(up_to(header, 345, 155));
    if slice(header, 257, 6) != Some(b"ustar\0") || prefix.is_empty() {
        return names::decoded(name);
    }
    names::decoded(&[prefix, b"/", name].concat())
}

fn checked(header: &[u8]) -> bool {
    let Some(written) = number(up_to(header, 148, 8)) else { return false };
    let field = 148..156;
    let unsigned: u64 =
        header.iter().enumerate().map(|(at, &octet)| if field.contains(&at) { 32 } else { u64::from(octet) }).sum();
    let signed: i64 = header
        .iter()
        .enumerate()
        .map(|(at, &octet)| if field.contains(&at) { 32 } else { i64::from(octet.cast_signed()) })
        .sum();
    written == unsigned || i64::try_from(written) == Ok(signed)
}

/// Octal digits between blanks, or big-endian with the first bit set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let low = field.get(field.len().checked_sub(8)?..)?;
        return Some(u64::from_be_bytes(low.try_into().ok()?));
    }
    let digits = until_nul(field).trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_big_endian() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b" 12 "), Some(10));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"9"), None);
    }

    #[test]
    fn pax_records_name_the_member() {
        let mut pending = Pending::default();
        pending.pax(b"17 path=long/name\n11 size=77\n");
        assert_eq!((pending.name.as_deref(), pending.size), (None, None), "a wrong length ends it");
        pending.pax(b"18 path=long/name\n11 size=77\n");
        assert_eq!((pending.name.as_deref(), pending.size), (Some("long/name"), Some(77)));
    }
}
