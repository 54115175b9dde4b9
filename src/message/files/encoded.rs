//! Files written as text: uuencode, yEnc, base64 and BinHex; and the text of files that are text.
//!
//! **Failure**: a line that doesn't decode ends its file; what came before is looked at. What is beyond a bound is noted.
//! **Invariants**: decoded octets count towards the budgets of what is unpacked.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;

use super::names;
use super::octets::{be32, byte, find_ignoring_case, slice, up_to};
use super::walk::{Met, Unpacked, Walk};
use super::{is_container, kind};
use crate::message::charset;
use crate::message::specimen::{FileKind, Trait};
use crate::model::finding::Reason;

/// Files in one text.
const MAX_FILES: usize = 64;
/// Octets of one text that are read as text.
const MAX_TEXT: usize = 16 << 20;
/// Shorter base64 isn't a file.
const MIN_BASE64: usize = 60;

pub fn open_text(walk: &mut Walk<'_>, at: usize, octets: &Bytes, kind: FileKind) {
    if octets.len() > MAX_TEXT {
        walk.note(Reason::Bytes, at);
    }
    let text = text_of(up_to(octets, 0, MAX_TEXT));
    if kind != FileKind::Script {
        walk.text(text);
        if octets.split(|octet| matches!(octet, b'\n' | b',' | b';' | b'\t')).any(super::spreadsheet::is_formula_dde) {
            walk.mark(at, Trait::Dde);
        }
    } else {
        walk.links_of(&text);
    }
    let mut found = 0;
    let mut here = 0;
    while let Some(begin) = next_line_with(octets, here, b"begin") {
        if walk.is_spent(at) {
            return;
        }
        let (line, next) = line(octets, begin);
        here = next;
        if let Some(name) = uu_name(line) {
            if found >= MAX_FILES {
                return walk.note(Reason::Count, at);
            }
            let (file, end) =
                if line.starts_with(b"begin-base64") { base64_lines(octets, next) } else { uu(octets, next) };
            here = end.max(next);
            found += 1;
            inside(walk, at, name, file);
        }
    }
    here = 0;
    while let Some(begin) = next_line_with(octets, here, b"=ybegin ") {
        if walk.is_spent(at) {
            return;
        }
        if found >= MAX_FILES {
            return walk.note(Reason::Count, at);
        }
        let (line, next) = line(octets, begin);
        let name =
            memmem::find(line, b"name=").map_or_else(|| "".into(), |name| names::decoded(up_to(line, name + 5, 255)));
        let (file, end) = yenc(octets, next);
        here = end.max(next);
        found += 1;
        inside(walk, at, name, file);
    }
    if found == 0
        && let Some(file) = all_base64(octets)
    {
        inside(walk, at, walk.name_of(at), file);
    }
}

fn inside(walk: &mut Walk<'_>, at: usize, name: Box<str>, file: Vec<u8>) {
    if !file.is_empty() && walk.account(at, file.len() as u64) {
        walk.inside_unpacked(at, Unpacked::whole(file.into()), Met { names: vec![name], ..Met::default() });
    }
}

/// Text in whatever charset it is likely to be. What is plain UTF-8 is not copied: a document may be as large as all that may be
/// held.
pub fn text_of(octets: &[u8]) -> Cow<'_, str> {
    const ESCAPE: u8 = 0x1b;
    match std::str::from_utf8(octets) {
        Ok(text) if !text.starts_with('\u{feff}') && memchr::memchr(ESCAPE, octets).is_none() => Cow::Borrowed(text),
        _ => Cow::Owned(charset::decode(octets, None)),
    }
}

/// The line at `from` without its end, and where the next one begins.
fn line(octets: &[u8], from: usize) -> (&[u8], usize) {
    let rest = octets.get(from..).unwrap_or_default();
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let line = up_to(rest, 0, end);
    (line.strip_suffix(b"\r").unwrap_or(line), from.saturating_add(end + 1))
}

fn next_line_with(octets: &[u8], from: usize, start: &[u8]) -> Option<usize> {
    memmem::find_iter(octets.get(from..)?, start)
        .map(|hit| from + hit)
        .find(|&hit| hit == 0 || byte(octets, hit - 1) == Some(b'\n'))
}

/// `begin 644 name`.
fn uu_name(line: &[u8]) -> Option<Box<str>> {
    let rest = line.strip_prefix(b"begin-base64 ").or_else(|| line.strip_prefix(b"begin "))?;
    let blank = memchr::memchr(b' ', rest)?;
    let mode = up_to(rest, 0, blank);
    let is_mode = (3..=6).contains(&mode.len()) && mode.iter().all(|octet| (b'0'..=b'7').contains(octet));
    is_mode.then(|| names::decoded(rest.get(blank + 1..).unwrap_or_default().trim_ascii()))
}

/// The octets, and where the text goes on.
fn uu(octets: &[u8], from: usize) -> (Vec<u8>, usize) {
    let mut file = Vec::new();
    let mut here = from;
    while here < octets.len() {
        let (text, next) = line(octets, here);
        let Some(&count) = text.first().filter(|octet| (b' '..=b'`').contains(octet)) else { break };
        if text == b"end" {
            return (file, next);
        }
        let length = usize::from((count - 32) & 0x3f);
        let before = file.len();
        for group in text.get(1..).unwrap_or_default().chunks(4) {
            let value = |at: usize| u32::from(byte(group, at).unwrap_or(b' ').wrapping_sub(32) & 0x3f);
            let word = value(0) << 18 | value(1) << 12 | value(2) << 6 | value(3);
            file.extend_from_slice(word.to_be_bytes().get(1..).unwrap_or_default());
        }
        file.truncate(before + length);
        here = next;
        if length == 0 && line(octets, next).0 == b"end" {
            return (file, line(octets, next).1);
        }
    }
    (file, here)
}

fn base64_lines(octets: &[u8], from: usize) -> (Vec<u8>, usize) {
    let end = memmem::find(octets.get(from..).unwrap_or_default(), b"====").map_or(octets.len(), |end| from + end);
    (base64(up_to(octets, from, end.saturating_sub(from))), end)
}

/// Whatever is base64 in it; other octets are passed over.
pub fn base64(text: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0_u32, 0);
    for &octet in text {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            file.push(u8::try_from(word >> bits & 0xff).unwrap_or(0));
        }
    }
    file
}

/// The whole text, if it is nothing but base64 and a file comes out that is more than text.
fn all_base64(octets: &[u8]) -> Option<Vec<u8>> {
    let text = octets.trim_ascii();
    let fits = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=' | b'\r' | b'\n');
    if text.len() < MIN_BASE64 || !text.iter().all(fits) {
        return None;
    }
    let form = kind::of(&base64(up_to(text, 0, 2_048)), "");
    (is_container(form) || matches!(form.0, FileKind::Executable | FileKind::Text | FileKind::Shortcut))
        .then(|| base64(text))
}

fn yenc(octets: &[u8], from: usize) -> (Vec<u8>, usize) {
    let mut file = Vec::new();
    let mut here = from;
    while here < octets.len() {
        let (text, next) = line(octets, here);
        here = next;
        if text.starts_with(b"=yend") {
            break;
        }
        if text.starts_with(b"=ypart") {
            continue;
        }
        let mut is_escaped = false;
        for &octet in text {
            if octet == b'=' && !is_escaped {
                is_escaped = true;
                continue;
            }
            file.push(octet.wrapping_sub(42).wrapping_sub(if std::mem::take(&mut is_escaped) { 64 } else { 0 }));
        }
    }
    (file, here)
}

/// BinHex 4.0 (RFC 1741 appendix A): six bits a character, runs, then a header, the data and the resources.
pub fn open_binhex(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let Some(start) = find_ignoring_case(octets, b"binhex", 0)
        .and_then(|hit| memchr::memchr(b':', octets.get(hit..)?).map(|colon| hit + colon + 1))
    else {
        return walk.note(Reason::Malformed, at);
    };
    let mut raw: Vec<u8> = Vec::new();
    let (mut word, mut bits, mut is_run) = (0_u32, 0, false);
    for &octet in octets.get(start..).unwrap_or_default() {
        if octet == b':' {
            break;
        }
        const ALPHABET: &[u8] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
        let Some(value) = ALPHABET.iter().position(|&one| one == octet).and_then(|value| u32::try_from(value).ok())
        else {
            continue;
        };
        word = word << 6 | value;
        bits += 6;
        if bits < 8 {
            continue;
        }
        bits -= 8;
        let decoded = u8::try_from(word >> bits & 0xff).unwrap_or(0);
        if std::mem::take(&mut is_run) {
            match (decoded, raw.last().copied()) {
                (0, _) => raw.push(0x90),
                (count, Some(last)) => raw.extend(std::iter::repeat_n(last, usize::from(count) - 1)),
                _ => {}
            }
            if raw.len() as u64 > walk.room() {
                return walk.note(Reason::Bytes, at);
            }
        } else if decoded == 0x90 {
            is_run = true;
        } else {
            raw.push(decoded);
        }
    }
    let name_length = usize::from(byte(&raw, 0).unwrap_or(0));
    let name = names::decoded(up_to(&raw, 1, name_length));
    let lengths = 1 + name_length + 1 + 4 + 4 + 2;
    let (Some(data), Some(resources)) = (be32(&raw, lengths), be32(&raw, lengths + 4)) else {
        return walk.note(Reason::Malformed, at);
    };
    let data_at = lengths + 8 + 2;
    let resources_at = data_at.saturating_add(data as usize).saturating_add(2);
    for (start, length) in [(data_at, data), (resources_at, resources)] {
        let content = up_to(&raw, start, length as usize);
        if !content.is_empty() {
            inside(walk, at, name.clone(), content.to_vec());
        }
    }
    if slice(&raw, data_at, data as usize).is_none() {
        walk.note(Reason::Malformed, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuencode_is_read() {
        let text = b"begin 644 cat.txt\n#0V%T\n`\nend\nmore";
        let (file, end) = uu(text, 18);
        assert_eq!((file.as_slice(), text.get(end..)), (&b"Cat"[..], Some(&b"more"[..])));
        assert_eq!(uu_name(b"begin 644 cat.txt").as_deref(), Some("cat.txt"));
        assert_eq!(uu_name(b"begin the day"), None);
    }

    #[test]
    fn base64_passes_over_junk() {
        assert_eq!(base64(b"Q2\r\n!F0"), b"Cat");
    }

    #[test]
    fn yenc_is_read() {
        let line: Vec<u8> = b"Cat\x13"
            .iter()
            .flat_map(|&octet| match octet.wrapping_add(42) {
                b'=' => vec![b'=', b'=' + 64],
                plain => vec![plain],
            })
            .chain(*b"\r\n=yend size=4\r\n")
            .collect();
        assert_eq!(yenc(&line, 0).0, b"Cat\x13");
    }
}
