//! The names of a file, of which a part may have many: plain, in encoded words (RFC 2047, where they don't belong), in
//! sections and with a charset (RFC 2231), twice, and each as strict and as lax programs read it.
//!
//! **Failure**: nothing fails; names that differ where they shouldn't come with an [`Ambiguity`].
//! **Invariants**: at most [`MAX_NAMES`] names of at most [`MAX_NAME`] characters, their ends kept.

use super::params::{Param, Params};
use crate::message::specimen::Ambiguity;
use crate::message::{charset, words};

/// Names of one part.
const MAX_NAMES: usize = 32;
/// Characters of one name.
const MAX_NAME: usize = 1_024;

/// All names, the likeliest first.
#[derive(Debug, Default)]
pub struct Names {
    pub names: Vec<Box<str>>,
    pub odd: Vec<Ambiguity>,
}

/// Reads the names out of all fields that may hold one: those of Content-Disposition first.
#[must_use]
pub fn read(fields: &[(Params, Params)]) -> Names {
    let mut names = Names::default();
    for (with_comments, bare) in fields {
        names.field(with_comments);
        if with_comments.has_comment {
            names.commented(bare);
        }
    }
    names.across(fields);
    names
}

fn is_name(param: &&Param) -> bool {
    matches!(param.base.as_str(), "filename" | "name")
}

impl Names {
    fn push(&mut self, name: &str) {
        let name = bounded(name.trim());
        if !name.is_empty() && self.names.len() < MAX_NAMES && !self.names.iter().any(|known| **known == *name) {
            self.names.push(name);
        }
    }

    fn note(&mut self, odd: Ambiguity) {
        if !self.odd.contains(&odd) {
            self.odd.push(odd);
        }
    }

    fn field(&mut self, field: &Params) {
        for base in ["filename", "name"] {
            let mut plain = 0_usize;
            for param in field.named(base).filter(|param| param.extended && param.section.is_none()) {
                self.extended(param);
            }
            self.sections(&field.named(base).filter(|param| param.section.is_some()).collect::<Vec<_>>());
            for param in field.named(base).filter(|param| !param.extended && param.section.is_none()) {
                plain += 1;
                if plain == 2 {
                    self.note(Ambiguity::DuplicateParameter);
                }
                self.plain(param);
            }
        }
    }

    fn plain(&mut self, param: &Param) {
        let decoded: Vec<String> = param.readings.iter().map(|reading| words::decode(reading, None)).collect();
        let extension = |name: &String| name.trim().rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
        let strict = decoded.first().and_then(extension);
        if decoded.iter().any(|name| extension(name) != strict) {
            // `filename=my file.pdf` is sloppy and honest: the name with blanks is what is shown.
            let blanks = param.readings.get(1).is_some_and(|whole| !whole.iter().any(|byte| b"\"'()".contains(byte)));
            if !blanks {
                self.note(Ambiguity::OddSyntax);
            }
        }
        for (name, reading) in decoded.iter().zip(&param.readings) {
            self.push(name);
            self.other_ends(reading);
        }
        if param.first().contains(&b'%') {
            self.push(&charset::decode_header(&percent(param.first()), None));
        }
    }

    /// UTF-16 without a mark is read both ways round.
    fn other_ends(&mut self, reading: &[u8]) {
        if memchr::memmem::find(reading, b"?=").is_some() {
            for name in words::decode_utf16(reading) {
                self.push(&name);
            }
        }
    }

    fn extended(&mut self, param: &Param) {
        for reading in &param.readings {
            let (label, value) = language(reading);
            self.octets(&percent(value), label.as_deref());
        }
    }

    fn octets(&mut self, octets: &[u8], label: Option<&str>) {
        for name in charset::decode_name(octets, label) {
            self.push(&name);
        }
    }

    /// What sections come to: in the order of their numbers, up to the first gap, and in the order they stand in.
    fn sections(&mut self, sections: &[&Param]) {
        if sections.is_empty() {
            return;
        }
        let mut sorted = sections.to_vec();
        sorted.sort_by_key(|param| param.section);
        let numbers: Vec<u32> = sorted.iter().filter_map(|param| param.section).collect();
        let whole = numbers.iter().zip(0..).take_while(|(number, place)| *number == place).count();
        if whole != numbers.len() || sorted != sections {
            self.note(Ambiguity::DuplicateParameter);
        }
        self.joined(sorted.get(..whole).unwrap_or_default());
        self.joined(&sorted);
        self.joined(sections);
    }

    fn joined(&mut self, sections: &[&Param]) {
        let mut octets = Vec::new();
        let mut label = None;
        for section in sections {
            let (named, value) = if section.extended { language(section.first()) } else { (None, section.first()) };
            label = label.or(named);
            octets.extend(if section.extended { percent(value) } else { value.to_vec() });
        }
        if !octets.is_empty() {
            self.octets(&octets, label.as_deref());
            self.push(&words::decode(&octets, None));
        }
    }

    /// The field again, with parentheses that are no comments.
    fn commented(&mut self, bare: &Params) {
        let known = self.names.len();
        for param in bare.params.iter().filter(|param| lax_base(&param.base).is_some()) {
            let mut param = param.clone();
            if let Some(base) = lax_base(&param.base) {
                base.clone_into(&mut param.base);
            }
            self.plain(&param);
        }
        if self.names.len() > known {
            let extensions = |names: &[Box<str>]| {
                let mut all: Vec<_> = names.iter().map(|n| n.rsplit('.').next().map(str::to_ascii_lowercase)).collect();
                all.sort();
                all.dedup();
                all.len()
            };
            if extensions(&self.names) > 1 {
                self.note(Ambiguity::OddSyntax);
            }
        }
    }

    /// Sections that begin in one field and end in another, and a name that goes on behind a semicolon.
    fn across(&mut self, fields: &[(Params, Params)]) {
        let in_fields: Vec<Vec<&Param>> = fields
            .iter()
            .map(|(field, _)| field.params.iter().filter(is_name).filter(|param| param.section.is_some()).collect())
            .collect();
        let all: Vec<&Param> = in_fields.iter().flatten().copied().collect();
        let begins = |sections: &Vec<&Param>| sections.iter().any(|param| param.section == Some(0));
        if in_fields.iter().any(|sections| !sections.is_empty() && !begins(sections)) {
            self.sections(&all);
        }
    }

    /// `filename=file;.zip`: what follows the semicolon may be the rest of the name.
    pub fn behind_semicolons(&mut self, raw: &[u8]) {
        let text = charset::decode_header(raw, None);
        for key in ["filename=", "name="] {
            let Some(at) = text.to_ascii_lowercase().find(key) else { continue };
            let value = text.get(at + key.len()..).unwrap_or_default();
            let Some((_, behind)) = value.split_once(';') else { continue };
            if !value.starts_with('"') && !behind.contains('=') && !behind.trim().is_empty() {
                self.push(value);
                self.note(Ambiguity::OddSyntax);
            }
        }
    }
}

/// `filename` hidden among parentheses.
fn lax_base(base: &str) -> Option<&'static str> {
    let letters: String = base.chars().filter(char::is_ascii_alphabetic).collect();
    ["filename", "name"].into_iter().find(|known| letters == *known)
}

/// `charset'language'value` (RFC 2231 section 4).
fn language(value: &[u8]) -> (Option<String>, &[u8]) {
    let mut quotes = memchr::memchr_iter(b'\'', value);
    let (Some(first), Some(second)) = (quotes.next(), quotes.next()) else { return (None, value) };
    let label = String::from_utf8_lossy(value.get(..first).unwrap_or_default()).into_owned();
    (Some(label).filter(|label| !label.is_empty()), value.get(second + 1..).unwrap_or_default())
}

/// Percent-encoding undone; what is none stays.
#[must_use]
pub fn percent(value: &[u8]) -> Vec<u8> {
    let digit = |at: usize| value.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// Its beginning and its end, where the extension is.
fn bounded(name: &str) -> Box<str> {
    let length = name.chars().count();
    let kept = |(index, c): (usize, char)| (index < MAX_NAME / 2 || index + MAX_NAME / 2 >= length).then_some(c);
    name.chars().enumerate().filter_map(kept).filter(|c| *c != '\0').collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::params;

    fn of(values: &[&str]) -> (Vec<String>, bool) {
        let fields: Vec<_> =
            values.iter().map(|v| (params::read(v.as_bytes(), true), params::read(v.as_bytes(), false))).collect();
        let mut names = read(&fields);
        values.iter().for_each(|value| names.behind_semicolons(value.as_bytes()));
        (names.names.iter().map(|name| name.to_string()).collect(), !names.odd.is_empty())
    }

    #[test]
    fn honest_names_are_read_without_doubt() {
        for (value, name) in [
            ("attachment; filename=a.zip", "a.zip"),
            ("attachment; filename=\"a b.zip\"", "a b.zip"),
            ("attachment; filename*=UTF-8''a%20b.zip; filename=\"a?b.zip\"", "a b.zip"),
            ("attachment; filename*0=\"a\"; filename*1=\"b.zip\"", "ab.zip"),
            ("attachment; filename=\"=?utf-8?B?YS56aXA=?=\"", "a.zip"),
            ("attachment; filename=\"report (1).pdf\"", "report (1).pdf"),
            ("attachment; filename=\"C:\\x\\y.pdf\"", "C:xy.pdf"),
        ] {
            let (names, odd) = of(&[value]);
            assert_eq!((names.first().map(String::as_str), odd), (Some(name), false), "{value}: {names:?}");
        }
        let (names, odd) = of(&["attachment; filename=my file.pdf"]);
        assert!(names.contains(&"my file.pdf".to_owned()) && !odd);
    }

    #[test]
    fn tricks_give_the_name_or_a_doubt() {
        for value in [
            "attachment; filename=x.png; filename=a.zip",
            "attachment; filename*1=zip; filename*0=a.",
            "attachment; filename*1=a.; filename*2=zip",
            "attachment; filename=a.zip(.gif)",
            "attachment; filename=a.z(.gif)ip",
            "attachment; filena()me=a.zip",
            "attachment; filename='a.zip'",
            "attachment; filename=\"a.zip\"\"",
            "attachment; filename*=UTF-16''%00a%00.%00z%00i%00p",
            "attachment; filename*=UTF-16''a%00.%00z%00i%00p%00",
            "attachment; filename=\"=?utf-16?B?AGEALgB6AGkAcA==?=\"",
            "attachment; filename=\"=?utf-16?B?YQAuAHoAaQBwAA==?=\"",
        ] {
            let (names, _) = of(&[value]);
            assert!(names.iter().any(|name| name == "a.zip"), "{value}: {names:?}");
        }
        assert!(of(&["attachment; filename=a;.zip"]).0.contains(&"a;.zip".to_owned()));
        assert!(of(&["attachment; filename*0=a.", "a/b; filename*1=zip"]).0.contains(&"a.zip".to_owned()));
        assert!(of(&["attachment; filename=\"a\".zip"]).1);
    }

    #[test]
    fn names_are_bounded_and_keep_their_end() {
        let (names, _) = of(&[&format!("attachment; filename=\"{}.exe\"", "x".repeat(100_000))]);
        assert_eq!(names[0].len(), MAX_NAME);
        assert!(names[0].ends_with(".exe"));
    }
}
