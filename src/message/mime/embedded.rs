//! Files inside plain text: uuencoded (POSIX `uuencode`) and yEnc.
//!
//! **Failure**: what is damaged is decoded as far as it goes.
//! **Invariants**: linear; at most [`MAX_FILES`] files in one text.

use std::ops::Range;

use super::block::line;

/// Files in one text: more than any message may have parts, so that who takes them notes that there are too many.
const MAX_FILES: usize = 10_000;

/// A file in a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Embedded {
    pub name: Vec<u8>,
    /// From its first line to behind its last one.
    pub place: Range<usize>,
    pub octets: Vec<u8>,
}

/// Finds them.
#[must_use]
pub fn find(text: &[u8]) -> Vec<Embedded> {
    let mut found = Vec::new();
    let mut at = 0;
    // Most texts have none: one quick look for either, `begin` or `=ybegin`.
    if memchr::memmem::find(text, b"begin").is_none() {
        return found;
    }
    while let Some((here, next)) = line(text, at) {
        let file = uu_name(here)
            .and_then(|name| uu_body(text, next).map(|(octets, end)| (name, octets, end)))
            .or_else(|| y_name(here).map(|name| (name, y_body(text, next))).map(|(name, (o, e))| (name, o, e)));
        let Some((name, octets, end)) = file else {
            at = next;
            continue;
        };
        found.push(Embedded { name: name.to_vec(), place: at..end, octets });
        at = end;
        if found.len() >= MAX_FILES {
            break;
        }
    }
    found
}

/// The first uuencoded file, for the transfer encoding of that name.
#[must_use]
pub fn uudecode(text: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    while let Some((here, next)) = line(text, at) {
        if uu_name(here).is_some() {
            return uu_body(text, next).map(|(octets, _)| octets);
        }
        at = next;
    }
    uu_body(text, 0).map(|(octets, _)| octets)
}

/// `begin 644 name`.
fn uu_name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ").or_else(|| line.strip_prefix(b"begin-base64 "))?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    let name = rest.get(digits..)?.strip_prefix(b" ")?.trim_ascii();
    ((3..=5).contains(&digits) && !name.is_empty()).then_some(name)
}

/// Lines up to `end`; `None` if the first one is no uuencoded line.
fn uu_body(text: &[u8], from: usize) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let mut at = from;
    while let Some((here, next)) = line(text, at) {
        if here.starts_with(b"end") && here.len() <= 5 {
            return (!out.is_empty()).then_some((out, next));
        }
        if !uu_line(here, &mut out) {
            break;
        }
        at = next;
    }
    (!out.is_empty()).then_some((out, at))
}

#[allow(clippy::cast_possible_truncation, reason = "octets are cut out of the bits")]
fn uu_line(line: &[u8], out: &mut Vec<u8>) -> bool {
    let Some((first, rest)) = line.split_first() else { return true };
    if !(b' '..=b'`').contains(first) {
        return false;
    }
    let length = usize::from((first - b' ') & 63);
    let letters = rest.len().max(rest.trim_ascii_end().len());
    // Blanks at a line's end get lost; more than one octet of checksum nobody writes.
    if rest.iter().any(|byte| !(b' '..=b'`').contains(byte)) || letters > length.div_ceil(3) * 4 + 2 {
        return false;
    }
    if letters * 3 + 12 < length * 4 {
        return false;
    }
    let value = |at: usize| rest.get(at).map_or(0, |byte| u32::from((byte - b' ') & 63));
    let end = out.len() + length;
    for group in 0..length.div_ceil(3) {
        let bits = (0..4).fold(0, |bits, index| (bits << 6) | value(group * 4 + index));
        out.extend([(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
    }
    out.truncate(end);
    true
}

/// `=ybegin line=128 size=123 name=file.bin`.
fn y_name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"=ybegin ")?;
    let at = memchr::memmem::find(rest, b"name=")?;
    rest.get(at + 5..).map(<[u8]>::trim_ascii)
}

fn y_body(text: &[u8], from: usize) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut at = from;
    while let Some((here, next)) = line(text, at) {
        at = next;
        if here.starts_with(b"=yend") {
            break;
        }
        if here.starts_with(b"=ypart") {
            continue;
        }
        let mut bytes = here.iter();
        while let Some(byte) = bytes.next() {
            let plain = if *byte == b'=' { bytes.next().map(|next| next.wrapping_sub(64)) } else { Some(*byte) };
            out.extend(plain.map(|byte| byte.wrapping_sub(42)));
        }
    }
    (out, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuencoded_files_are_found_in_text() {
        let text = b"hello\nbegin 644 cat.txt\n#0V%T\n`\nend\nbye\nbegin 600 b\n#0V%T\n";
        let found = find(text);
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[0].name, &*found[0].octets), (&b"cat.txt"[..], &b"Cat"[..]));
        assert_eq!(&text[found[0].place.end..][..3], b"bye");
        assert_eq!(&*found[1].octets, b"Cat");
    }

    #[test]
    fn prose_is_no_file() {
        assert!(find(b"begin 644 things\nThis is a sentence, and no more.\n").is_empty());
        assert!(find(b"begin with a word\nbegin 12 x\n").is_empty());
    }

    #[test]
    fn yenc_is_read() {
        let found = find(b"=ybegin line=128 size=3 name=a b.bin\r\n\x6d\x8b\x9e=\x6a\r\n=yend size=3\r\nrest");
        assert_eq!((&*found[0].name, &*found[0].octets), (&b"a b.bin"[..], &b"Cat\0"[..]));
    }
}
