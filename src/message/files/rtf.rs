//! RTF: objects in hexadecimal, whatever is strewn between the digits; templates from elsewhere; text.
//!
//! **Failure**: nesting, objects and text beyond a limit are noted.
//! **Invariants**: iterative and linear; one object is decoded at a time.

use bytes::Bytes;

use super::names;
use super::ole_objects;
use super::walk::{Met, Unpacked, Walk};
use super::{is_container, kind};
use crate::message::specimen::{FileKind, Trait};
use crate::model::finding::Reason;

/// Groups in groups. Word stops long before.
const MAX_DEPTH: usize = 10_000;
const MAX_OBJECTS: usize = 128;
/// Octets of text that are kept.
const MAX_TEXT: usize = 4 << 20;
/// Characters behind a `\u`: nobody writes more than two.
const MAX_FALLBACK: usize = 16;
/// Hexadecimal digits that may be an object although no word says so.
const MIN_HEX: usize = 512;

/// What a group is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Text,
    Skip,
    Object,
    Template,
    Field,
}

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut read = Rtf::read(octets, walk);
    if read.is_too_deep {
        walk.note(Reason::Depth, at);
    }
    if read.is_full {
        walk.note(Reason::Count, at);
    }
    if !read.has_room() {
        walk.note(Reason::Bytes, at);
    }
    // Where time was up while it was read, that is noted here.
    let _ = walk.is_spent(at);
    if read.has_objects || !read.objects.is_empty() {
        walk.mark_document(at, Trait::EmbeddedObject);
    }
    for object in std::mem::take(&mut read.objects) {
        if walk.is_spent(at) || !walk.account(at, object.len() as u64) {
            return;
        }
        open_object(walk, at, object.into());
    }
    let template = read.template.trim().to_owned();
    if template.contains("://") || template.starts_with("\\\\") {
        walk.mark_document(at, Trait::ExternalLink);
        walk.link(&template, None);
    }
    let upper = read.fields.to_uppercase();
    if upper.split_whitespace().any(|word| matches!(word.trim_matches('"'), "DDEAUTO" | "DDE")) {
        walk.mark_document(at, Trait::Dde);
    }
    if upper.contains("INCLUDETEXT") || upper.contains("INCLUDEPICTURE") {
        walk.mark_document(at, Trait::ExternalLink);
    }
    walk.links_of(&read.fields);
    read.settle();
    walk.text(read.shown);
}

fn open_object(walk: &mut Walk<'_>, at: usize, object: Bytes) {
    let (class, data) = ole_objects::ole1(&object).unwrap_or_else(|| ("".into(), object.clone()));
    let lower = class.to_lowercase();
    if lower.starts_with("package") {
        // The packager's record again, without the size in front.
        let record = Bytes::from([&u32::try_from(data.len()).unwrap_or(0).to_le_bytes()[..], &data].concat());
        if let Some(embedded) = ole_objects::native(&record) {
            return walk.inside(at, Met { names: embedded.names, octets: embedded.octets, ..Met::default() });
        }
    }
    if data.is_empty() {
        return;
    }
    // The classes in front are often wrong on purpose: the content is found by its signature.
    let found = memchr::memmem::find(&data, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    let content = match found {
        Some(start) if start > 0 && !is_container(kind::of(&data, "")) => data.slice(start..),
        _ => data,
    };
    let name = if class.is_empty() { "object" } else { &class };
    walk.inside_unpacked(at, Unpacked::whole(content), Met::new(name, Bytes::new()));
}

#[derive(Default)]
struct Rtf {
    objects: Vec<Vec<u8>>,
    /// Decoded.
    shown: String,
    /// What comes behind it, in whatever charset.
    text: Vec<u8>,
    /// Half a character by `\u`.
    high: Option<u16>,
    /// Characters behind each `\u` for those who don't know it, by `\uc`: of each group that is open but the first.
    fallbacks: Vec<usize>,
    first_fallback: Option<usize>,
    template: String,
    fields: String,
    has_objects: bool,
    is_too_deep: bool,
    /// There are more objects than are looked at.
    is_full: bool,
}

impl Rtf {
    fn read(octets: &[u8], walk: &Walk<'_>) -> Self {
        let mut rtf = Self::default();
        let mut groups: Vec<Use> = vec![Use::Text];
        let mut hex = Hex::default();
        let (mut here, mut steps) = (0, 0_usize);
        while let Some(&octet) = octets.get(here) {
            here += 1;
            steps += 1;
            let current = groups.last().copied().unwrap_or(Use::Text);
            match octet {
                b'{' => {
                    if groups.len() >= MAX_DEPTH {
                        rtf.is_too_deep = true;
                        break;
                    }
                    groups.push(current);
                    rtf.fallbacks.push(rtf.fallback());
                }
                b'}' => {
                    if groups.len() > 1 {
                        groups.pop();
                        rtf.fallbacks.pop();
                    }
                    // An object ends with its own group, not with those strewn into it.
                    if groups.last() != Some(&Use::Object) {
                        rtf.keep(&mut hex, current == Use::Object);
                    }
                    if current == Use::Field {
                        rtf.fields.push(' ');
                    }
                }
                b'\\' => here = rtf.control(octets, here, &mut groups, &mut hex),
                b'\r' | b'\n' => {}
                _ => match current {
                    Use::Object => hex.push(octet),
                    Use::Template if rtf.template.len() < 4_096 => rtf.template.push(char::from(octet)),
                    Use::Field if rtf.fields.len() < 64 << 10 => rtf.fields.push(char::from(octet)),
                    Use::Text if rtf.has_room() => {
                        rtf.text.push(octet);
                        hex.push_strict(octet);
                    }
                    _ => {}
                },
            }
            if steps.is_multiple_of(1 << 12) && (walk.time_up)() {
                break;
            }
        }
        rtf.keep(&mut hex, true);
        rtf
    }

    /// A control word or symbol behind its backslash; where the text goes on.
    fn control(&mut self, octets: &[u8], at: usize, groups: &mut [Use], hex: &mut Hex) -> usize {
        let rest = octets.get(at..).unwrap_or_default();
        let letters = rest.iter().take(64).take_while(|octet| octet.is_ascii_alphabetic()).count();
        if letters == 0 {
            let current = groups.last().copied().unwrap_or(Use::Text);
            return match rest.first() {
                // \'hh: a character; inside objects Word passes over it.
                Some(b'\'') => {
                    let code =
                        rest.get(1..3).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
                    if let (Some(code), Use::Text) = (code, current)
                        && self.has_room()
                    {
                        self.text.push(code);
                    }
                    at + 3
                }
                Some(_) => at + 1,
                None => at,
            };
        }
        let word = rest.get(..letters).unwrap_or_default();
        let mut end = letters;
        let parameter = rest.get(end..).unwrap_or_default();
        end += usize::from(parameter.first() == Some(&b'-'));
        end += rest.get(end..).unwrap_or_default().iter().take(10).take_while(|octet| octet.is_ascii_digit()).count();
        let number = rest.get(letters..end).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
        let value = number.and_then(|number| usize::try_from(number).ok());
        end += usize::from(rest.get(end) == Some(&b' '));
        let Some(group) = groups.last_mut() else { return at + end };
        match word {
            b"uc" => {
                let count = value.unwrap_or(1).min(MAX_FALLBACK);
                match self.fallbacks.last_mut() {
                    Some(last) => *last = count,
                    None => self.first_fallback = Some(count),
                }
            }
            b"u" => {
                let is_text = *group == Use::Text;
                end = passed_over(rest, end, self.fallback());
                // Negative above 32,767: the numbers of the format have sixteen bits.
                if let Some(unit) = number.and_then(|number| u16::try_from(number & 0xffff).ok()).filter(|_| is_text) {
                    self.unicode(unit);
                }
            }
            b"objdata" => {
                self.keep(hex, *group == Use::Object);
                *group = Use::Object;
                self.has_objects = true;
            }
            b"object" | b"objemb" | b"objlink" | b"objautlink" | b"objupdate" | b"objocx" => self.has_objects = true,
            b"template" => *group = Use::Template,
            b"fldinst" => *group = Use::Field,
            b"datastore"
            | b"themedata"
            | b"colorschememapping"
            | b"pict"
            | b"fonttbl"
            | b"stylesheet"
            | b"colortbl"
            | b"listtable"
            | b"info"
            | b"generator"
            | b"latentstyles"
            | b"rsidtbl"
            | b"xmlnstbl"
            | b"shppict"
            | b"nonshppict"
                if *group == Use::Text =>
            {
                *group = Use::Skip;
            }
            b"par" | b"line" | b"tab" | b"cell" | b"row" => self.text.push(if word == b"tab" { b'\t' } else { b'\n' }),
            // Raw octets follow, which are no text.
            b"bin" => {
                let length = value.unwrap_or(0);
                let data = rest.get(end..end.saturating_add(length)).unwrap_or_default();
                if *group == Use::Object {
                    hex.extend(data);
                } else if data.len() >= MIN_HEX {
                    self.push(data.to_vec());
                }
                end += data.len();
            }
            _ => {}
        }
        at + end
    }

    fn fallback(&self) -> usize {
        self.fallbacks.last().copied().or(self.first_fallback).unwrap_or(1)
    }

    fn has_room(&self) -> bool {
        self.shown.len() + self.text.len() < MAX_TEXT
    }

    /// Decodes what isn't yet.
    fn settle(&mut self) {
        if !self.text.is_empty() {
            self.shown.push_str(&names::decoded_text(&std::mem::take(&mut self.text)));
        }
    }

    /// A character, or half of one.
    fn unicode(&mut self, unit: u16) {
        if !self.has_room() {
            return;
        }
        self.settle();
        let high = self.high.take();
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
        } else {
            let units = high.into_iter().chain([unit]);
            self.shown.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
    }

    /// An object is complete, or a long run of digits looks like one.
    fn keep(&mut self, hex: &mut Hex, is_object: bool) {
        let data = hex.take();
        let signed = || kind::of(&data, "");
        let worth = is_object && data.len() > 8
            || data.len() >= MIN_HEX && (is_container(signed()) || signed().0 == FileKind::Executable);
        if worth {
            self.push(data);
        }
    }

    fn push(&mut self, object: Vec<u8>) {
        if self.objects.len() < MAX_OBJECTS {
            self.objects.push(object);
        } else {
            self.is_full = true;
        }
    }
}

/// Where the text goes on behind so many characters.
fn passed_over(rest: &[u8], from: usize, count: usize) -> usize {
    let mut end = from;
    for _ in 0..count {
        end += match (rest.get(end), rest.get(end + 1)) {
            (Some(b'\\'), Some(b'\'')) => 4,
            (Some(b'\\' | b'{' | b'}') | None, _) => break,
            _ => 1,
        };
    }
    end
}

/// Digits in pairs.
#[derive(Default)]
struct Hex {
    data: Vec<u8>,
    high: Option<u8>,
}

impl Hex {
    fn push(&mut self, octet: u8) {
        let Some(digit) = char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else { return };
        match self.high.take() {
            Some(high) => self.data.push(high << 4 | digit),
            None => self.high = Some(digit),
        }
    }

    /// In text, anything but a digit begins anew.
    fn push_strict(&mut self, octet: u8) {
        if octet.is_ascii_hexdigit() {
            self.push(octet);
        } else if octet != b' ' && self.data.len() < MIN_HEX {
            self.data.clear();
            self.high = None;
        }
    }

    fn extend(&mut self, data: &[u8]) {
        self.data.extend_from_slice(data);
    }

    fn take(&mut self) -> Vec<u8> {
        self.high = None;
        std::mem::take(&mut self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::files::walk_octets;
    use crate::message::specimen::{FileSeen, FileVisitor, Limits};

    struct Nobody;

    impl FileVisitor for Nobody {
        fn file(&mut self, _: &FileSeen, _: &[u8]) {}
    }

    #[test]
    fn characters_by_number_are_text() {
        for (source, text) in [
            ("{\\rtf1 a\\u36855?\\u24785 ?b}", "a迷惑b"),
            ("{\\rtf1\\uc2\\u12513\\'83\\'81\\u12540\\'81[\\u12523\\'83\\'8b.}", "メール."),
            ("{\\rtf1\\u-10179?\\u-8694?{\\uc0\\u97}c\\u55357?d}", "😊acd"),
        ] {
            let octets = Bytes::copy_from_slice(source.as_bytes());
            let specimen = walk_octets("a.rtf", octets, &Limits::default(), &[], &|| false, &mut Nobody);
            assert_eq!(specimen.texts.first().map(|text| text.visible.trim()), Some(text), "{source}");
        }
    }
}
