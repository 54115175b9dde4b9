//! Where a rule looks: the fields of a message as texts, each under all the names it is known by.
//!
//! **Failure**: nothing fails; a field that the message doesn't have is no text.
//! **Invariants**: at most [`MAX_FIELDS`] names in a set; a text is made only if some rule looks into it.

use std::borrow::Cow;

use crate::message::specimen::{HeaderField, PartKind, Specimen};
use crate::signatures::fold::fold;

/// Names of fields in one set, header names included.
pub const MAX_FIELDS: usize = 256;

/// The fixed names, as `in` writes them; their place is their number.
pub const NAMES: [&str; 20] = [
    "text",
    "subject",
    "body",
    "hidden",
    "html",
    "from",
    "from-name",
    "from-address",
    "from-domain",
    "to",
    "reply-to",
    "headers",
    "url",
    "host",
    "domain",
    "link-text",
    "file-name",
    "content-type",
    "file",
    "raw",
];

pub const TEXT: usize = 0;
pub const SUBJECT: usize = 1;
pub const BODY: usize = 2;
pub const HIDDEN: usize = 3;
pub const HTML: usize = 4;
pub const FROM: usize = 5;
pub const FROM_NAME: usize = 6;
pub const FROM_ADDRESS: usize = 7;
pub const FROM_DOMAIN: usize = 8;
pub const TO: usize = 9;
pub const REPLY_TO: usize = 10;
pub const HEADERS: usize = 11;
pub const URL: usize = 12;
pub const HOST: usize = 13;
pub const DOMAIN: usize = 14;
pub const LINK_TEXT: usize = 15;
pub const FILE_NAME: usize = 16;
pub const CONTENT_TYPE: usize = 17;
pub const FILE: usize = 18;
pub const RAW: usize = 19;

/// A set of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mask([u64; MAX_FIELDS / 64]);

impl Mask {
    #[must_use]
    pub fn of(fields: &[usize]) -> Self {
        let mut mask = Self::default();
        for field in fields {
            mask.add(*field);
        }
        mask
    }

    pub fn add(&mut self, field: usize) {
        if let Some(word) = self.0.get_mut(field / 64) {
            *word |= 1 << (field % 64);
        }
    }

    pub fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
    }

    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(word, other)| word & other != 0)
    }

    #[must_use]
    pub fn has(&self, field: usize) -> bool {
        self.0.get(field / 64).is_some_and(|word| word & (1 << (field % 64)) != 0)
    }

    /// Whether it holds fields that are octets, not text.
    #[must_use]
    pub fn is_octets(&self) -> bool {
        self.has(FILE) || self.has(RAW)
    }
}

/// The names of the fields of one set; header names get the numbers behind [`NAMES`].
#[derive(Debug, Clone, Default)]
pub struct FieldNames {
    headers: Vec<Box<str>>,
}

impl FieldNames {
    /// The number of a field, as `in` writes it.
    pub fn number(&mut self, name: &str) -> Result<usize, String> {
        if let Some(number) = NAMES.iter().position(|known| *known == name) {
            return Ok(number);
        }
        let Some(header) = name.strip_prefix("header:") else {
            return Err(format!("there is no field {name:?}; known: {}, header:NAME", NAMES.join(", ")));
        };
        if header.is_empty() || !header.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':') {
            return Err(format!("{header:?} can't be the name of a header field"));
        }
        let header = header.to_ascii_lowercase();
        let known = self.headers.iter().position(|known| **known == header);
        let place = match known {
            Some(place) => place,
            None if self.headers.len() + NAMES.len() >= MAX_FIELDS => {
                return Err(format!("more than {} names of header fields", MAX_FIELDS - NAMES.len()));
            }
            None => {
                self.headers.push(header.into());
                self.headers.len() - 1
            }
        };
        Ok(NAMES.len() + place)
    }

    fn header(&self, name: &str) -> Option<usize> {
        let place = self.headers.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Some(NAMES.len() + place)
    }
}

/// One text of a message, and which fields it is.
#[derive(Debug)]
pub struct Region<'s> {
    pub mask: Mask,
    /// Folded.
    pub folded: Cow<'s, str>,
    /// As written.
    pub exact: Cow<'s, str>,
}

/// Makes the texts of the fields in `wanted`.
pub fn regions<'s>(names: &FieldNames, wanted: &Mask, specimen: &'s Specimen) -> Vec<Region<'s>> {
    let mut gathered = Gathered { wanted, regions: Vec::new() };
    for field in &specimen.fields {
        gathered.header(names, field);
    }
    for text in &specimen.texts {
        let folded = if text.folded.is_empty() { fold(&text.visible) } else { Cow::Borrowed(&*text.folded) };
        gathered.add(Mask::of(&[BODY, TEXT]), folded, Cow::Borrowed(&text.visible));
        gathered.text(&[HIDDEN], &text.hidden);
    }
    for part in &specimen.parts {
        if part.kind == PartKind::Html
            && let Some(source) = &part.text
        {
            gathered.text(&[HTML], source);
        }
        gathered.text(&[CONTENT_TYPE], &part.content_type);
        part.names.iter().for_each(|name| gathered.text(&[FILE_NAME], name));
    }
    for file in &specimen.files {
        // The names of attachments are those of their parts.
        if file.parent.is_some() {
            file.names.iter().for_each(|name| gathered.text(&[FILE_NAME], name));
        }
    }
    for link in &specimen.links {
        gathered.text(&[URL], &link.url);
        gathered.text(&[HOST], &link.host);
        link.domain.iter().for_each(|domain| gathered.text(&[DOMAIN], domain));
        link.shown.iter().for_each(|shown| gathered.text(&[LINK_TEXT], shown));
    }
    gathered.regions
}

struct Gathered<'s, 'w> {
    wanted: &'w Mask,
    regions: Vec<Region<'s>>,
}

impl<'s> Gathered<'s, '_> {
    fn add(&mut self, mask: Mask, folded: Cow<'s, str>, exact: Cow<'s, str>) {
        if !folded.is_empty() && mask.meets(self.wanted) {
            self.regions.push(Region { mask, folded, exact });
        }
    }

    fn text(&mut self, fields: &[usize], text: &'s str) {
        let mask = Mask::of(fields);
        if mask.meets(self.wanted) {
            self.add(mask, fold(text), Cow::Borrowed(text));
        }
    }

    fn header(&mut self, names: &FieldNames, field: &'s HeaderField) {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let mut mask = Mask::default();
        if is("Subject") {
            mask.join(Mask::of(&[SUBJECT, TEXT]));
        } else if is("From") {
            mask.add(FROM);
        } else if is("To") || is("Cc") {
            mask.add(TO);
        } else if is("Reply-To") {
            mask.add(REPLY_TO);
        }
        if let Some(number) = names.header(&field.name) {
            mask.add(number);
        }
        if mask.meets(self.wanted) {
            self.add(mask, fold(&field.value), Cow::Borrowed(&field.value));
        }
        if is("From") {
            let (name, address) = mailbox(&field.value);
            self.text(&[FROM_NAME], name);
            self.text(&[FROM_ADDRESS], address);
            self.text(&[FROM_DOMAIN], address.rsplit_once('@').map_or("", |(_, domain)| domain));
        }
        if self.wanted.has(HEADERS) {
            let line = format!("{}: {}", field.name, field.value);
            self.add(Mask::of(&[HEADERS]), Cow::Owned(fold(&line).into_owned()), Cow::Owned(line));
        }
    }
}

/// The shown name and the address of the first mailbox, roughly: rules look for words in them.
fn mailbox(value: &str) -> (&str, &str) {
    let (name, address) = match value.rsplit_once('<') {
        Some((name, rest)) => (name, rest.split_once('>').map_or(rest, |(address, _)| address)),
        None => ("", value),
    };
    (name.trim().trim_matches('"'), address.trim())
}
