//! One field of addresses, taken apart strictly: mailboxes and groups (RFC 5322 sections 3.4 and 4.4) as far as all readers
//! agree on them.
//!
//! **Failure**: `None`: brackets, quotes or comments that don't close, routes, two addresses where one belongs, text behind an
//! address. **Invariants**: every `@` of the field ends up in exactly one of [`Entry`]'s texts.

use unicode_normalization::UnicodeNormalization;

use crate::message::fold::is_ignorable;
use crate::model::Domain;

/// One piece between commas, or the name of a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Names outside of quotes, where an address was in brackets.
    pub(super) phrase: String,
    /// Everything outside of brackets, one after the other, without quotes.
    pub(super) hidden: String,
    pub(super) address: Option<Addr>,
}

/// An address as it stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addr {
    local: String,
    /// Was written in quotes.
    quoted: bool,
    domain: String,
}

/// Entries of one field.
const MOST: usize = 100;

pub(super) fn entries(text: &str) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut reader = Reader { rest: text.chars(), group: false };
    loop {
        let (entry, is_last) = reader.entry()?;
        if entry != Entry::default() {
            entries.push(entry);
        }
        if entries.len() > MOST {
            return None;
        }
        if is_last {
            return Some(entries);
        }
    }
}

/// The domain of an address that every reader reads alike.
pub(super) fn domain_of(address: &Addr) -> Option<Domain> {
    let Addr { local, quoted, domain } = address;
    // "=?": some decode inside addresses. "%" and "!" route in old servers. The rest means something to a reader of a list.
    let special = |c: char| {
        matches!(c, '@' | '<' | '>' | ',' | ';' | ':' | '"' | '\\' | '(' | ')' | '[' | ']' | '%' | '!')
            || c.is_control()
    };
    let sound = |text: &str| {
        let folded: String = text.nfkc().collect();
        !text.chars().any(|c| special(c) || is_ignorable(c)) && !folded.chars().any(special) && !folded.contains("=?")
    };
    let blank = |c: char| c.is_whitespace() && !(*quoted && c == ' ');
    if local.is_empty() || !sound(local) || local.chars().any(blank) {
        return None;
    }
    if domain.is_empty() || !sound(domain) || domain.chars().any(char::is_whitespace) {
        return None;
    }
    Domain::parse(domain).ok()
}

struct Reader<'a> {
    rest: std::str::Chars<'a>,
    /// Inside of `Name: ... ;`.
    group: bool,
}

impl Reader<'_> {
    /// To the next comma, or to the end: then `true`.
    fn entry(&mut self) -> Option<(Entry, bool)> {
        let mut entry = Entry::default();
        // Outside of brackets: words, with a mark where a quoted string stood.
        let mut bare = Bare::default();
        let mut angle = None;
        let mut is_last = false;
        loop {
            let Some(c) = self.rest.next() else {
                is_last = true;
                break;
            };
            match c {
                ',' => break,
                ';' if self.group => {
                    self.group = false;
                    break;
                }
                '(' => {
                    let comment = self.comment()?;
                    entry.hidden.extend([" ", &comment, " "]);
                    bare.comment(&comment);
                }
                // Behind the brackets nothing may stand but comments.
                c if angle.is_some() && !c.is_whitespace() => return None,
                '"' => {
                    let quoted = self.quoted()?;
                    entry.hidden.push_str(&quoted);
                    bare.quote(quoted)?;
                }
                '<' => {
                    angle = Some(self.angle()?);
                    entry.phrase = std::mem::take(&mut bare).phrase;
                }
                ':' if !self.group && !bare.has_at => {
                    // Its name is an entry of its own.
                    self.group = true;
                    break;
                }
                '>' | ';' | ':' | '\\' | ')' => return None,
                c => {
                    entry.hidden.push(c);
                    bare.push(c);
                }
            }
        }
        entry.address = match angle {
            Some(address) => Some(address),
            None if bare.has_at => Some(bare.address()?),
            None => None,
        };
        Some((entry, is_last))
    }

    /// Up to the closing parenthesis, the opening one read already.
    fn comment(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut depth = 1_u32;
        loop {
            match self.rest.next()? {
                '\\' => text.push(self.rest.next()?),
                '(' => {
                    depth += 1;
                    text.push(' ');
                }
                ')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(text);
                    }
                    text.push(' ');
                }
                c => text.push(c),
            }
        }
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '\\' => text.push(self.rest.next()?),
                '"' => return Some(text),
                c => text.push(c),
            }
        }
    }

    /// What stands between angle brackets: one address, without route.
    fn angle(&mut self) -> Option<Addr> {
        let mut bare = Bare::default();
        loop {
            match self.rest.next()? {
                '>' => return bare.address(),
                '"' => bare.quote(self.quoted()?)?,
                '(' => {
                    // A comment that could be the address to a reader that knows no comments.
                    let comment = self.comment()?;
                    if comment.contains(['@', '<', '>', '=']) {
                        return None;
                    }
                    bare.blank();
                }
                '<' | ',' | ';' | ':' | '\\' | ')' => return None,
                c => bare.push(c),
            }
        }
    }
}

/// Words outside of quotes and comments, which are an address if an `@` is among them.
#[derive(Default)]
struct Bare {
    /// As it stands, without quoted strings.
    phrase: String,
    local: String,
    domain: String,
    quoted: bool,
    has_at: bool,
    /// There were two `@`, or a quoted string behind one: a name at best.
    odd: bool,
}

impl Bare {
    fn push(&mut self, c: char) {
        self.phrase.push(c);
        match c {
            '@' if self.has_at => self.odd = true,
            '@' => self.has_at = true,
            c if self.has_at => self.domain.push(c),
            c => {
                // `"a".b@c`: what stands beside a quoted string is read in more than one way.
                self.odd |= self.quoted && !c.is_whitespace();
                self.local.push(c);
            }
        }
    }

    fn blank(&mut self) {
        self.push(' ');
    }

    /// Before or inside of an address it could be the address to a reader that knows no comments.
    fn comment(&mut self, text: &str) {
        self.odd |= text.contains(['@', '<', '>']) && self.domain.trim().is_empty();
        self.blank();
    }

    fn quote(&mut self, text: String) -> Option<()> {
        self.odd |= self.has_at || !self.local.trim().is_empty() || self.quoted;
        self.quoted = true;
        self.phrase.push(' ');
        if !self.has_at {
            self.local = text;
        }
        Some(())
    }

    fn address(self) -> Option<Addr> {
        if self.odd || !self.has_at {
            return None;
        }
        let local = if self.quoted { self.local.trim_end() } else { self.local.trim() };
        Some(Addr { local: local.to_owned(), quoted: self.quoted, domain: self.domain.trim().to_owned() })
    }
}
