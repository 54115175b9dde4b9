//! Files that stand in the addresses of a page that the mail shows (`data:`, RFC 2397): who follows such an address has the file.
//!
//! **Failure**: more than [`MAX_FILES`] in one page are noted. What is no such address is passed over.
//! **Invariants**: linear; one file is decoded at a time.

use bytes::Bytes;

use super::encoded::base64;
use super::kind;
use super::markup::percent_decoded;
use super::octets::{contains_ignoring_case, find_ignoring_case};
use super::walk::{Met, Walk};
use crate::message::links;
use crate::message::specimen::{FileKind, LinkSource};
use crate::model::finding::Reason;

/// Files in one page.
const MAX_FILES: usize = 256;
/// Octets of a type with its parameters.
const MAX_TYPE: usize = 200;
const SCHEME: &[u8] = b"data:";

/// Looks at those of a part that is a page. `false`: there is no time for the next part.
pub fn open(walk: &mut Walk<'_>, part: usize, page: &Bytes) -> bool {
    let mut from = 0;
    let mut count = 0;
    while let Some(at) = find_ignoring_case(page, SCHEME, from) {
        from = at + SCHEME.len();
        let Some(found) = read(page, at) else { continue };
        from = found.end;
        count += 1;
        if count > MAX_FILES {
            walk.note_of_part(Reason::Count, part);
            return true;
        }
        let file = found.decoded();
        match kind::of(&file, "").0 {
            FileKind::Empty => {}
            FileKind::Image => {
                if links::is_beyond_photographs(&file) {
                    walk.note_of_part(Reason::Bytes, part);
                }
                for text in links::in_image(&file, &mut walk.pixels) {
                    walk.link_of_part(part, LinkSource::Qr, &text);
                }
            }
            FileKind::Unknown | FileKind::Audio if found.is_of_page() => {}
            FileKind::Svg if found.is_of_page() && !does_something(&file) => {}
            _ => {
                if !walk.of_page(part, Met { octets: file.into(), ..Met::default() }) {
                    return false;
                }
            }
        }
    }
    true
}

/// Whether a drawing is more than that.
fn does_something(drawing: &[u8]) -> bool {
    let is_said = |word: &&[u8]| contains_ignoring_case(drawing, word);
    // What is done when something happens: `onload=`, behind a blank or a slash.
    let reacts = drawing.array_windows::<3>().any(|[before, o, n]| {
        (before.is_ascii_whitespace() || matches!(before, b'/' | b'"' | b'\'')) && [*o, *n].eq_ignore_ascii_case(b"on")
    });
    reacts || [&b"<script"[..], b"javascript:", b"<foreignobject", b"href", b"data:"].iter().any(is_said)
}

/// One address.
struct Found<'p> {
    /// `text/html;base64`.
    kind: &'p [u8],
    content: &'p [u8],
    end: usize,
}

/// The address at `at`; `None` if it is none.
fn read(page: &[u8], at: usize) -> Option<Found<'_>> {
    let start = at + SCHEME.len();
    let rest = page.get(start..)?;
    let comma = memchr::memchr(b',', rest.get(..rest.len().min(MAX_TYPE))?)?;
    let kind = rest.get(..comma)?;
    let before = at.checked_sub(1).and_then(|before| page.get(before)).copied();
    let is_quoted = matches!(before, Some(b'"' | b'\''));
    if kind.iter().any(|octet| matches!(octet, b'<' | b'>') || (octet.is_ascii_whitespace() && !is_quoted)) {
        return None;
    }
    let content = rest.get(comma + 1..)?;
    let is_end = |octet: &u8| match before {
        Some(quote @ (b'"' | b'\'')) => *octet == quote,
        _ => octet.is_ascii_whitespace() || matches!(octet, b'"' | b'\'' | b'<' | b'>' | b')'),
    };
    let length = content.iter().position(is_end).unwrap_or(content.len());
    let content = content.get(..length)?;
    (!content.is_empty()).then_some(Found { kind, content, end: start + comma + 1 + length })
}

impl Found<'_> {
    fn decoded(&self) -> Vec<u8> {
        let is_base64 = self.kind.len() >= 6 && self.kind.to_ascii_lowercase().ends_with(b"base64");
        match (is_base64, memchr::memchr(b'%', self.content)) {
            (true, None) => base64(self.content),
            (true, Some(_)) => base64(&percent_decoded(self.content)),
            (false, _) => percent_decoded(self.content),
        }
    }

    /// Fonts and sounds of the page itself.
    fn is_of_page(&self) -> bool {
        let kind = self.kind.to_ascii_lowercase();
        [&b"font/"[..], b"image/", b"audio/", b"application/font", b"application/x-font"]
            .iter()
            .any(|start| kind.starts_with(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(page: &str) -> Vec<String> {
        let page = page.as_bytes();
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = find_ignoring_case(page, SCHEME, from) {
            from = at + SCHEME.len();
            found.extend(read(page, at).map(|found| String::from_utf8_lossy(&found.decoded()).into_owned()));
        }
        found
    }

    #[test]
    fn a_drawing_that_reacts_is_more_than_one() {
        for more in ["<svg/onload=a()>", "<svg\nonload=a()>", "<svg ONLOAD=a()>", "<svg><script>", "<a xlink:href='x'>"]
        {
            assert!(does_something(more.as_bytes()), "{more}");
        }
        assert!(!does_something(b"<svg viewBox='0 0 1 1'><path d='M0 0'/></svg>"));
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        assert_eq!(all("<a href=\"data:text/html;base64,QU\r\nJD\">x</a>"), ["ABC"]);
        assert_eq!(all("<a href=DATA:;base64,QUI%3D>x</a>"), ["AB"]);
        assert_eq!(all("<a href=\"data:text/html; charset=utf-8;base64,QUJD\">x</a>"), ["ABC"]);
        assert_eq!(all("<a href='data:text/html,%3Cb%3E\"x y'>x</a>"), ["<b>\"x y"]);
        assert_eq!(all("<p style='a:url(data:image/png;base64,QUJD)'>"), ["ABC"]);
        assert!(all("metadata: none, or data:<b>x</b>, data:, data:x").is_empty());
    }
}
