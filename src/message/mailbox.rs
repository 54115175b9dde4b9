//! Mailboxes of a header field (RFC 5322 section 3.4), read as tolerantly as mail programs do: groups, comments, routes,
//! quotes, encoded words where they don't belong, names that are addresses.
//!
//! **Failure**: what is no address is kept as it stands; nothing fails.
//! **Invariants**: linear; an iterator, so that a hundred thousand recipients need the room of one.

use super::specimen::{Ambiguity, Mailbox, Specimen};
use super::{charset, words};

/// Mailboxes of one field that are kept.
const MAX_MAILBOXES: usize = 1_000;
/// Characters of a name or an address that are kept.
const MAX_LENGTH: usize = 1_000;

/// The mailboxes that a field names, the first thousand. `value` may hold encoded words or be decoded already.
#[must_use]
pub fn mailboxes(value: &str) -> Vec<Mailbox> {
    Mailboxes::new(value).take(MAX_MAILBOXES).collect()
}

/// Reads one mailbox after the other.
#[derive(Debug)]
pub struct Mailboxes<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl<'a> Mailboxes<'a> {
    #[must_use]
    pub fn new(value: &'a str) -> Self {
        Self { rest: value.chars().peekable() }
    }

    /// A quoted string's content, the opening quote read already.
    fn quoted(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => break,
                '\\' => text.extend(self.rest.next()),
                c => text.push(c),
            }
        }
        text
    }

    fn comment(&mut self) -> String {
        let mut text = String::new();
        let mut depth = 1_usize;
        while let Some(c) = self.rest.next() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\\' => {
                    text.extend(self.rest.next());
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(c);
        }
        text
    }

    /// What stands between angle brackets, without a route (RFC 5322 section 4.4).
    fn angle(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '>' => break,
                '"' => text.extend(["\"", &self.quoted(), "\""]),
                c => text.push(c),
            }
        }
        match text.split_once(':') {
            Some((route, address)) if route.trim_start().starts_with('@') => address.trim().to_owned(),
            _ => text.trim().to_owned(),
        }
    }
}

/// What was read of one mailbox so far.
#[derive(Default)]
struct Pieces {
    /// Words outside of brackets, quotes taken off.
    phrase: String,
    /// The same with its quotes.
    raw: String,
    /// What `raw` holds, so that nobody looks through it at every comma: characters that are no blanks, an `@`, a `[`.
    has_words: bool,
    has_at: bool,
    has_bracket: bool,
    comment: String,
    address: Option<String>,
}

impl Iterator for Mailboxes<'_> {
    type Item = Mailbox;

    fn next(&mut self) -> Option<Mailbox> {
        self.pieces().map(Pieces::mailbox)
    }

    /// Without decoding them.
    fn count(mut self) -> usize {
        std::iter::from_fn(|| self.pieces()).count()
    }
}

impl Mailboxes<'_> {
    fn pieces(&mut self) -> Option<Pieces> {
        let mut pieces = Pieces::default();
        while let Some(c) = self.rest.peek().copied() {
            // A second bracket begins another mailbox.
            if c == '<' && pieces.address.is_some() {
                return Some(pieces);
            }
            self.rest.next();
            match c {
                '"' => {
                    let text = self.quoted();
                    pieces.phrase.push_str(&text);
                    pieces.quote(&text);
                }
                '(' => pieces.comment = self.comment(),
                '<' => pieces.address = Some(self.angle()),
                // A group's name, unless it is part of an address without brackets.
                ':' if pieces.address.is_none() && !pieces.has_at && !pieces.has_bracket => pieces = Pieces::default(),
                ',' | ';' if pieces.is_empty() => {}
                // `Bee, Ann <a@b.example>` without quotes is one author, not two.
                ',' if pieces.address.is_none() && !pieces.has_at => pieces.push(','),
                ',' | ';' => return Some(pieces),
                '\r' | '\n' => {}
                c => pieces.push(c),
            }
        }
        (!pieces.is_empty()).then_some(pieces)
    }
}

impl Pieces {
    fn is_empty(&self) -> bool {
        self.address.is_none() && !self.has_words
    }

    fn push(&mut self, c: char) {
        self.phrase.push(c);
        self.raw.push(c);
        self.note(c);
    }

    /// A quoted string, for `raw`.
    fn quote(&mut self, text: &str) {
        self.raw.extend(["\"", text, "\""]);
        self.has_words = true;
        text.chars().for_each(|c| self.note(c));
    }

    fn note(&mut self, c: char) {
        self.has_words |= !c.is_whitespace();
        self.has_at |= c == '@';
        self.has_bracket |= c == '[';
    }

    fn mailbox(self) -> Mailbox {
        let (name, address) = match self.address {
            Some(address) => (self.phrase, address),
            None => self.bare(),
        };
        let name = if name.trim().is_empty() { self.comment } else { name };
        let decoded = |text: &str| words::decode(text.trim().trim_end_matches(',').trim().as_bytes(), None);
        let mut name = decoded(&name);
        // What a mail program shows for `<=?utf-8?B?…?=@example.org>`.
        if name.is_empty() && address.contains("=?") {
            name = decoded(&address);
        }
        let bounded = |text: &str| text.chars().take(MAX_LENGTH).collect::<String>().into();
        Mailbox { name: bounded(&name), address: bounded(&address) }
    }

    /// Without brackets the word with the `@` is the address, what stands before it is a name.
    fn bare(&self) -> (String, String) {
        let raw = self.raw.trim();
        if raw.starts_with('"') {
            return match raw.rfind("\"@") {
                Some(_) => (String::new(), raw.to_owned()),
                None => (self.phrase.clone(), String::new()),
            };
        }
        match raw.rsplit_once(char::is_whitespace) {
            Some((name, address)) if address.contains('@') => (name.to_owned(), address.to_owned()),
            Some(_) if !raw.contains('@') => (raw.to_owned(), String::new()),
            _ => (String::new(), raw.to_owned()),
        }
    }
}

impl Specimen {
    /// Of every field of this name.
    #[must_use]
    pub fn mailboxes(&self, name: &str) -> Vec<Mailbox> {
        let fields = self.fields_named(name).take(10);
        fields.flat_map(|field| mailboxes(&self.undecoded(field.raw.clone()))).take(MAX_MAILBOXES).collect()
    }

    /// The authors; more than one is [`Ambiguity::Author`].
    #[must_use]
    pub fn from(&self) -> Vec<Mailbox> {
        self.mailboxes("From")
    }

    #[must_use]
    pub fn reply_to(&self) -> Vec<Mailbox> {
        self.mailboxes("Reply-To")
    }

    /// How many recipients the header names in To and Cc.
    #[must_use]
    pub fn recipients_named(&self) -> usize {
        let count = |name| -> usize {
            self.fields_named(name).map(|field| Mailboxes::new(&self.undecoded(field.raw.clone())).count()).sum()
        };
        count("To") + count("Cc")
    }

    /// `list.example.org` of `A list <list.example.org>` (RFC 2919).
    #[must_use]
    pub fn list_id(&self) -> Option<&str> {
        let value = self.field("List-Id")?;
        let id = value.rsplit_once('<').and_then(|(_, id)| id.split_once('>')).map_or(value, |(id, _)| id);
        Some(id.trim()).filter(|id| !id.is_empty())
    }

    /// A field's value with its encoded words, which may hold commas, left alone.
    fn undecoded(&self, raw: std::ops::Range<usize>) -> String {
        charset::decode_header(self.raw.get(raw).unwrap_or_default(), None).into_owned()
    }

    /// Notes more than one author, or none: mail programs show one or the other, and checks of authenticity look at one.
    pub(super) fn note_authors(&mut self) {
        if !self.has_one_author() {
            self.ambiguities.push(Ambiguity::Author);
        }
    }

    fn has_one_author(&self) -> bool {
        let mut fields = self.fields_named("From");
        let (Some(field), None) = (fields.next(), fields.next()) else { return false };
        let authors = Mailboxes::new(&self.undecoded(field.raw.clone())).count();
        authors == 1 || (authors > 1 && self.field("Sender").is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Limits;

    #[test]
    fn one_author_is_plain_and_everything_else_is_noted() {
        for (header, is_plain) in [
            ("From: a@b.example\r\n", true),
            ("From: A <a@b.example>\r\n", true),
            ("From: \"b@c.example\" <a@b.example>\r\n", true),
            ("From: a@b.example, c@d.example\r\nSender: e@f.example\r\n", true),
            ("From: a@b.example, c@d.example\r\n", false),
            ("From: a@b.example\r\nFrom: a@b.example\r\n", false),
            ("From:\r\n", false),
            ("From: group:;\r\n", false),
            ("To: a@b.example\r\n", false),
        ] {
            let message = format!("{header}\r\nx\r\n").into_bytes();
            let specimen = Specimen::parse(message.into(), &Limits::default(), &|| false);
            assert_eq!(!specimen.ambiguities.contains(&Ambiguity::Author), is_plain, "{header}");
        }
    }

    fn read(value: &str) -> Vec<(String, String)> {
        mailboxes(value).into_iter().map(|mailbox| (mailbox.name.into(), mailbox.address.into())).collect()
    }

    fn one(name: &str, address: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), address.to_owned())]
    }

    #[test]
    fn mailboxes_of_the_standard() {
        assert_eq!(read("a@b.example"), one("", "a@b.example"));
        assert_eq!(read("Ann <a@b.example>"), one("Ann", "a@b.example"));
        assert_eq!(read("\"Bee, Ann\" <a@b.example>"), one("Bee, Ann", "a@b.example"));
        assert_eq!(read("a@b.example (Ann (x) Bee)"), one("Ann (x) Bee", "a@b.example"));
        assert_eq!(read("\"an n\"@b.example"), one("", "\"an n\"@b.example"));
        assert_eq!(read("<@c.example,@d.example:a@b.example>"), one("", "a@b.example"));
        assert_eq!(read("=?utf-8?B?QSxC?= <a@b.example>"), one("A,B", "a@b.example"));
        assert_eq!(read("Team: a@b.example, Bo <b@b.example>;, c@b.example").len(), 3);
        assert_eq!(read("undisclosed-recipients:;"), []);
    }

    #[test]
    fn mailboxes_as_they_come() {
        assert_eq!(read("Ann a@b.example"), one("Ann", "a@b.example"));
        assert_eq!(read("Ann"), one("", "Ann"));
        assert_eq!(read("ann@bank.example <x@evil.example>"), one("ann@bank.example", "x@evil.example"));
        assert_eq!(read("<a@b.example> <c@d.example>").len(), 2);
        assert_eq!(read("\"a@bank.example\" <x@evil.example>"), one("a@bank.example", "x@evil.example"));
        assert_eq!(read("<=?utf-8?Q?a=40bank.example?=@evil.example>")[0].0, "a@bank.example@evil.example");
        assert_eq!(read("Bee, Ann <a@b.example>, c@d.example")[0], one("Bee, Ann", "a@b.example")[0]);
        assert_eq!(read("Ann , <a@b.example>"), one("Ann", "a@b.example"));
        assert_eq!(read("Ann <a@b.example"), one("Ann", "a@b.example"));
        assert_eq!(read(",, ,"), []);
        assert_eq!(mailboxes(&"a@b.example, ".repeat(100_000)).len(), MAX_MAILBOXES);
        assert_eq!(Mailboxes::new(&"a@b.example, ".repeat(100_000)).count(), 100_000);
    }
}
