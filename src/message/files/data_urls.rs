//! Files that stand in the addresses of a page that the mail shows (`data:`, RFC 2397): who follows such an address has the file.
//!
//! **Failure**: more than [`MAX_FILES`] in one page are noted. What is no such address is passed over.
//! **Invariants**: linear; one file is decoded at a time.

use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use memchr::memmem;

use super::encoded::base64;
use super::kind;
use super::markup::percent_decoded;
use super::octets::{contains_ignoring_case, find_ignoring_case};
use super::walk::{Met, Walk};
use crate::message::specimen::{FileKind, LinkSource};
use crate::message::{html, links};
use crate::model::finding::Reason;

/// Files in one page.
const MAX_FILES: usize = 256;
const SCHEME: &[u8] = b"data:";

/// Looks at those of a part that is a page. `followed`: other readings of it. `false`: there is no time for the next part.
pub fn open(walk: &mut Walk<'_>, part: usize, page: &Bytes, followed: &[Vec<u8>]) -> bool {
    let mut seen = Seen::default();
    look(walk, part, page, &mut seen) && followed.iter().all(|page| look(walk, part, page, &mut seen))
}

/// Whether there may be one in the page as its octets say.
pub fn may_have(octets: &[u8]) -> bool {
    find_ignoring_case(octets, SCHEME, 0).is_some()
}

/// What was looked at in a page: of files that stand in several of its readings, one is enough.
#[derive(Default)]
struct Seen {
    count: usize,
    /// With a key that nobody outside knows, or a harmless file could be made that hides another.
    hashes: RandomState,
    files: Vec<u64>,
}

fn look(walk: &mut Walk<'_>, part: usize, page: &[u8], seen: &mut Seen) -> bool {
    let mut addresses = Addresses::of(page);
    while let Some(found) = addresses.next() {
        let file = found.decoded();
        let is_of_page = found.is_of_page();
        let hash = seen.hashes.hash_one((&*file, is_of_page));
        if seen.files.contains(&hash) {
            continue;
        }
        seen.files.push(hash);
        seen.count += 1;
        if seen.count > MAX_FILES {
            walk.note_of_part(Reason::Count, part);
            return true;
        }
        match kind::of(&file, "").0 {
            FileKind::Empty => {}
            FileKind::Image => {
                if (walk.time_up)() {
                    walk.note_of_part(Reason::Time, part);
                    return false;
                }
                if links::is_beyond_photographs(&file) {
                    walk.note_of_part(Reason::Bytes, part);
                }
                for text in links::in_image(&file, &mut walk.pixels) {
                    walk.link_of_part(part, LinkSource::Qr, &text);
                }
            }
            FileKind::Unknown | FileKind::Audio if is_of_page => {}
            FileKind::Svg if is_of_page && !does_something(&file) => {}
            _ => {
                if !walk.of_page(part, Met { octets: file.into(), ..Met::default() }) {
                    return false;
                }
            }
        }
    }
    true
}

/// The page as a program reads the addresses in it: as characters, their references replaced, without the ends of lines and
/// the tabs that count for nothing in an address (WHATWG URL section 4.4). What would end an address and was written as a
/// reference doesn't. `None`: the octets say the same.
pub fn as_followed(octets: &[u8], source: &str) -> Option<Vec<u8>> {
    let page = source.as_bytes();
    // In a charset where the scheme is written with other octets.
    let is_hidden = || {
        octets.len() != page.len()
            && find_ignoring_case(page, SCHEME, 0).is_some()
            && find_ignoring_case(octets, SCHEME, 0).is_none()
    };
    if !has_reference(page) && !is_broken(page) && !is_hidden() {
        return None;
    }
    let mut out = Vec::with_capacity(page.len());
    let mut rest = source;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        let (before, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.extend_from_slice(before.as_bytes());
        let is_of_name = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'#';
        let mut length = 1 + behind.bytes().skip(1).take_while(is_of_name).count();
        length += usize::from(behind.as_bytes().get(length) == Some(&b';'));
        let (reference, behind) = behind.split_at_checked(length).unwrap_or((behind, ""));
        for character in html::decode(reference, html::Place::Attribute).chars() {
            match character {
                '"' => out.extend_from_slice(b"%22"),
                '\'' => out.extend_from_slice(b"%27"),
                '<' => out.extend_from_slice(b"%3C"),
                '>' => out.extend_from_slice(b"%3E"),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        rest = behind;
    }
    out.extend_from_slice(rest.as_bytes());
    out.retain(|octet| !matches!(octet, b'\t' | b'\r' | b'\n'));
    Some(out)
}

/// A character that an address is made of, written by its number or name.
fn has_reference(page: &[u8]) -> bool {
    let by_number = |at: usize| {
        let rest = page.get(at + 2..).unwrap_or_default();
        let (radix, digits) = match rest {
            [b'x' | b'X', digits @ ..] => (16, digits),
            digits => (10, digits),
        };
        let value = digits
            .iter()
            .map_while(|octet| char::from(*octet).to_digit(radix))
            .fold(0_u32, |value, digit| value.saturating_mul(radix).saturating_add(digit));
        u8::try_from(value).is_ok_and(|octet| octet.is_ascii_alphanumeric() || b":,;/+=\t\r\n".contains(&octet))
    };
    const NAMES: [&[u8]; 8] = [b"&colon", b"&comma", b"&semi", b"&sol", b"&plus", b"&equals", b"&Tab", b"&NewLine"];
    memmem::find_iter(page, b"&#").any(by_number) || NAMES.iter().any(|name| memmem::find(page, name).is_some())
}

/// Whether the scheme stands there over several lines.
fn is_broken(page: &[u8]) -> bool {
    let is_gap = |octet: &u8| matches!(octet, b'\t' | b'\r' | b'\n');
    memchr::memchr_iter(b':', page).any(|colon| {
        let mut before = page.get(..colon).unwrap_or_default();
        let mut gaps = 0;
        for letter in b"atad" {
            let kept = before.len() - before.iter().rev().take_while(|octet| is_gap(octet)).count();
            gaps += before.len() - kept;
            match before.get(..kept).and_then(<[u8]>::split_last) {
                Some((last, rest)) if last.eq_ignore_ascii_case(letter) => before = rest,
                _ => return false,
            }
        }
        gaps > 0
    })
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

/// The addresses of a page, one after the other. The octets that end a type are looked for once, whatever the number of schemes
/// before them.
struct Addresses<'p> {
    page: &'p [u8],
    from: usize,
    comma: usize,
    bracket: usize,
    blank: usize,
    quotes: [usize; 2],
}

impl<'p> Addresses<'p> {
    fn of(page: &'p [u8]) -> Self {
        Self { page, from: 0, comma: 0, bracket: 0, blank: 0, quotes: [0; 2] }
    }

    fn next(&mut self) -> Option<Found<'p>> {
        while let Some(at) = find_ignoring_case(self.page, SCHEME, self.from) {
            self.from = at + SCHEME.len();
            if let Some(found) = self.read(at) {
                self.from = found.end;
                return Some(found);
            }
        }
        None
    }

    /// The address at `at`; `None` if it is none.
    fn read(&mut self, at: usize) -> Option<Found<'p>> {
        let start = at + SCHEME.len();
        let first = |from: &mut usize, is_it: fn(&u8) -> bool| {
            if *from < start {
                let rest = self.page.get(start..).unwrap_or_default();
                *from = start + rest.iter().position(is_it).unwrap_or(rest.len());
            }
            *from
        };
        let comma = first(&mut self.comma, |octet| *octet == b',');
        let bracket = first(&mut self.bracket, |octet| matches!(octet, b'<' | b'>'));
        let blank = first(&mut self.blank, u8::is_ascii_whitespace);
        let before = at.checked_sub(1).and_then(|before| self.page.get(before)).copied();
        let [double, single] = &mut self.quotes;
        let ends = match before {
            Some(b'"') => first(double, |octet| *octet == b'"'),
            Some(b'\'') => first(single, |octet| *octet == b'\''),
            _ => blank,
        };
        if bracket < comma || ends < comma {
            return None;
        }
        let kind = self.page.get(start..comma)?;
        let content = self.page.get(comma + 1..)?;
        let is_end = |octet: &u8| match before {
            Some(quote @ (b'"' | b'\'')) => *octet == quote,
            _ => octet.is_ascii_whitespace() || matches!(octet, b'"' | b'\'' | b'<' | b'>' | b')'),
        };
        let length = content.iter().position(is_end).unwrap_or(content.len());
        let content = content.get(..length)?;
        (!content.is_empty()).then_some(Found { kind, content, end: comma + 1 + length })
    }
}

impl Found<'_> {
    fn decoded(&self) -> Vec<u8> {
        let mut kind = self.kind.to_ascii_lowercase();
        kind.retain(|octet| !octet.is_ascii_whitespace());
        let is_base64 = kind.ends_with(b"base64");
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

    fn all(page: &[u8]) -> Vec<String> {
        let mut addresses = Addresses::of(page);
        std::iter::from_fn(|| addresses.next())
            .map(|found| String::from_utf8_lossy(&found.decoded()).into_owned())
            .collect()
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
        assert_eq!(all(b"<a href=\"data:text/html;base64,QU\r\nJD\">x</a>"), ["ABC"]);
        assert_eq!(all(b"<a href=DATA:;base64,QUI%3D>x</a>"), ["AB"]);
        assert_eq!(all(b"<a href=\"data:text/html; charset=utf-8;base64,QUJD\">x</a>"), ["ABC"]);
        assert_eq!(all(b"<a href='data:text/html,%3Cb%3E\"x y'>x</a>"), ["<b>\"x y"]);
        assert_eq!(all(b"<p style='a:url(data:image/png;base64,QUJD)'>"), ["ABC"]);
        assert!(all(b"metadata: none, or data:<b>x</b>, data:, data:x").is_empty());
    }

    #[test]
    fn a_type_may_be_long_and_its_end_is_looked_for_once() {
        let long = format!("<a href=\"data:text/html;a={};base64,QUJD\">", "a".repeat(10_000));
        assert_eq!(all(long.as_bytes()), ["ABC"]);
        // Quadratic, this takes minutes.
        assert!(all(&b"data: ".repeat(1_000_000)).is_empty());
        assert!(all(&[&b"data:".repeat(1_000_000)[..], b"<,x"].concat()).is_empty());
    }

    #[test]
    fn addresses_are_found_as_programs_read_them() {
        let followed = |page: &str| as_followed(page.as_bytes(), page).map(|page| all(&page));
        for page in [
            "<a href='d&#97;ta:text/html,x'>",
            "<a href='d&#x00061;ta:text/html,x'>",
            "<a href='d&#000000000000000000000000097;ta:text/html,x'>",
            "<a href='data&colon;text/html,x'>",
            "<a href='data:text/html;base64&#44;eA'>",
            "<a href='data:text/html;base64,&#101;A'>",
            "<a href='da\n\tta:text/html,x'>",
            "<a href='da&Tab;ta:text/html,x'>",
            "<a href='d&#97;ta:text/html;base\n64 ,eA'>",
        ] {
            assert_eq!(followed(page), Some(vec!["x".to_owned()]), "{page}");
        }
        let quoted = "<a href=\"d&#97;ta:text/html,&lt;p title=&quot;x&#39;&gt;\">";
        assert_eq!(followed(quoted), Some(vec!["<p title=\"x'>".to_owned()]));
        let wide = "<a href='data:text/html,x'>";
        let octets: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(as_followed(&octets, wide).map(|page| all(&page)), Some(vec!["x".to_owned()]));
        assert_eq!(followed("<p style='a:b'>Data: &#8199;&nbsp;&#39;x\n a: <img src='data:image/png,x'>"), None);
    }

    #[test]
    fn a_scheme_in_words_before_hides_no_address() {
        assert_eq!(all(b"<a title='data:' href=\"data:text/html,<b>it's\">"), ["<b>it's"]);
        assert_eq!(all(b"<a title=\"data:\" href='data:text/html,x'>"), ["x"]);
    }
}
