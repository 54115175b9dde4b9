//! A message as SpamAssassin's rules expect it: header values, paragraphs, chunks, addresses.
//!
//! **Failure**: nothing fails; what is missing is empty.
//! **Invariants**: made once for a message from its Specimen, whose budgets bound it.

use crate::message::specimen::{Part, PartKind, Specimen};
use crate::signatures::spamassassin::Rules;
use crate::signatures::spamassassin::rule::{HeaderKey, Piece};

use super::html::{self, Html};
use super::relays::Relays;
use super::uris::{Uri, Uris};

/// A field of the message's header.
#[derive(Debug)]
pub struct Field<'s> {
    pub name: &'s str,
    /// Behind the colon, folded, lines ending in LF.
    pub raw: String,
    /// Unfolded and decoded.
    pub value: String,
}

/// The views.
#[derive(Debug)]
pub struct Mail<'s> {
    pub specimen: &'s Specimen,
    pub fields: Vec<Field<'s>>,
    /// The subject, then the paragraphs of all texts.
    pub body: Vec<Vec<u8>>,
    /// Texts with their transfer encoding taken off, in chunks.
    pub raw_body: Vec<Vec<u8>>,
    pub uris: Vec<Uri>,
    pub htmls: Vec<Html>,
    pub relays: Relays,
    /// MAIL FROM, if the server told it.
    pub envelope: Option<String>,
}

/// Longest paragraph and shortest chunk, in octets.
const PARAGRAPH: usize = 2_048;
const MAX_BODY: usize = 2 << 20;

impl<'s> Mail<'s> {
    #[must_use]
    pub fn new(specimen: &'s Specimen, rules: &Rules, envelope: Option<&str>) -> Self {
        let fields: Vec<Field<'s>> = specimen
            .fields
            .iter()
            .map(|field| {
                let raw = specimen.raw.get(field.raw.clone()).unwrap_or_default();
                let raw = String::from_utf8_lossy(raw).replace("\r\n", "\n");
                Field { name: &field.name, raw, value: value(&field.value) }
            })
            .collect();
        let mut mail = Self {
            specimen,
            fields,
            body: Vec::new(),
            raw_body: Vec::new(),
            uris: Vec::new(),
            htmls: Vec::new(),
            relays: Relays::default(),
            envelope: envelope.map(str::to_owned),
        };
        mail.relays =
            Relays::read(mail.values("received"), rules.settings.originating.iter().flat_map(|name| mail.values(name)));
        mail.envelope = mail.envelope.take().or_else(|| mail.envelope_of_fields());
        mail.texts(rules);
        mail
    }

    /// Those of one name, in order.
    pub fn values<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// A Return-Path counts where no server stands before it: else it is some other transaction's.
    fn envelope_of_fields(&self) -> Option<String> {
        let written =
            ["x-envelope-from", "envelope-sender"].iter().find_map(|name| self.first(name)).or_else(|| {
                let path = self.fields.iter().position(|field| field.name.eq_ignore_ascii_case("return-path"))?;
                let before = self.fields.iter().take(path);
                let alone = before.clone().count()
                    == before.filter(|field| !field.name.eq_ignore_ascii_case("received")).count();
                self.fields.get(path).filter(|_| alone).map(|field| field.value.as_str())
            })?;
        Some(written.trim().trim_matches(['<', '>']).to_owned())
    }

    /// Leaves of the tree that are text, in the reading most programs agree on.
    fn text_parts(&self) -> impl Iterator<Item = &'s Part> {
        self.specimen.parts.iter().filter(|part| is_text(part))
    }

    fn texts(&mut self, rules: &Rules) {
        let mut text = String::new();
        let mut uris = Uris::new(&rules.settings, &rules.redirectors);
        let mut html_from = Vec::new();
        let parts: Vec<&Part> = self.text_parts().collect();
        for part in parts {
            if text.len() > MAX_BODY {
                break;
            }
            chunks(&part.octets, &mut self.raw_body);
            let source =
                part.text.as_deref().map_or_else(|| String::from_utf8_lossy(&part.octets), std::borrow::Cow::Borrowed);
            if part.kind == PartKind::Html || &*part.content_type == "text/html" {
                let html = html::read(&source);
                text.push_str(&html.text);
                html_from.push(html);
            } else {
                text.push_str(&source);
            }
            text.push('\n');
        }
        let mut subject = self.first("subject").unwrap_or_default().to_owned();
        subject.push('\n');
        self.body.push(subject.into_bytes());
        for paragraph in paragraphs(&text) {
            uris.text(&paragraph);
            split(paragraph, &mut self.body);
        }
        for html in &html_from {
            for link in &html.links {
                uris.markup(&link.address, html.base.as_deref());
            }
        }
        self.uris = uris.list;
        self.htmls = html_from;
    }

    /// What a header rule looks at; `None` where there is none.
    #[must_use]
    pub fn header(&self, key: &HeaderKey) -> Option<String> {
        let whole = self.whole(key)?;
        Some(match key.piece {
            Piece::Whole => whole,
            Piece::Address => address(&whole).to_owned(),
            Piece::Name => name(&whole),
            Piece::Host => host(address(&whole)).to_owned(),
            Piece::Domain => registrable(host(address(&whole))).to_owned(),
        })
    }

    fn whole(&self, key: &HeaderKey) -> Option<String> {
        match &*key.name {
            "ALL" if key.raw => {
                let end = self.specimen.body.min(self.specimen.raw.len());
                let header = self.specimen.raw.get(..end).unwrap_or_default();
                let text = String::from_utf8_lossy(header).replace("\r\n", "\n");
                Some(format!("{}\n", text.trim_end_matches('\n')))
            }
            "ALL" => {
                let mut all = String::new();
                for field in &self.fields {
                    all.push_str(field.name);
                    all.push_str(": ");
                    all.push_str(&field.value);
                    all.push('\n');
                }
                Some(all)
            }
            "ToCc" => self.joined(&["to", "cc"], key),
            "MESSAGEID" => self.joined(&["x-message-id", "resent-message-id", "message-id"], key),
            "EnvelopeFrom" => self.envelope.clone(),
            "x-spam-relays-untrusted" | "x-spam-relays-external" => {
                Some(Relays::written(&self.relays.untrusted, false))
            }
            "x-spam-relays-trusted" | "x-spam-relays-internal" => Some(Relays::written(&self.relays.trusted, true)),
            name if name.starts_with("ALL-") => {
                self.side(name.ends_with("TERNAL") && name.starts_with("ALL-IN") || name == "ALL-TRUSTED")
            }
            name => self.joined(&[name], key),
        }
    }

    /// Fields that our servers added, or all others: those from the first Received field of a server that isn't ours on.
    fn side(&self, trusted: bool) -> Option<String> {
        let ours = self.relays.trusted.len();
        let mut seen = 0;
        let mut all = String::new();
        for field in &self.fields {
            seen += usize::from(field.name.eq_ignore_ascii_case("received"));
            if (seen <= ours) == trusted {
                all.push_str(field.name);
                all.push_str(": ");
                all.push_str(&field.value);
                all.push('\n');
            }
        }
        (!all.is_empty()).then_some(all)
    }

    fn joined(&self, names: &[&str], key: &HeaderKey) -> Option<String> {
        let mut all: Vec<&str> = Vec::new();
        for name in names {
            all.extend(
                self.fields
                    .iter()
                    .filter(|field| field.name.eq_ignore_ascii_case(name))
                    .map(|field| if key.raw { field.raw.as_str() } else { field.value.as_str() }),
            );
        }
        let chosen: &[&str] = match all.as_slice() {
            [] => return None,
            [first, ..] if key.first => &[*first],
            [.., last] if key.last => &[*last],
            all => all,
        };
        let mut text = String::new();
        for value in chosen {
            text.push_str(value);
            text.push('\n');
        }
        Some(text)
    }
}

/// Whether a part's text is looked at: what is shown, and files that are text.
#[must_use]
pub fn is_text(part: &Part) -> bool {
    !part.path.ends_with('\'')
        && match part.kind {
            PartKind::Text | PartKind::Html => true,
            PartKind::File => part.content_type.starts_with("text/"),
            _ => false,
        }
}

/// A value of the Specimen without the blanks around.
fn value(decoded: &str) -> String {
    decoded.trim_matches([' ', '\t', '\r', '\n']).to_owned()
}

/// Paragraphs: parted by empty lines, white space run together.
fn paragraphs(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_blank).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        current.push_str(word);
        let length = tail.find(|c| !is_blank(c)).unwrap_or(tail.len());
        let (blank, after) = tail.split_at(length);
        match (blank.find('\n'), blank.rfind('\n')) {
            (Some(first), Some(last)) if first < last => {
                if first > 0 {
                    current.push(' ');
                }
                current.push('\n');
                all.push(std::mem::take(&mut current));
                if last + 1 < blank.len() {
                    current.push(' ');
                }
            }
            _ if !blank.is_empty() => current.push(' '),
            _ => {}
        }
        rest = after;
    }
    if !current.is_empty() {
        all.push(current);
    }
    all
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{a0}')
}

/// Long paragraphs in pieces that end behind a blank.
fn split(paragraph: String, out: &mut Vec<Vec<u8>>) {
    let mut octets = paragraph.into_bytes();
    while octets.len() > PARAGRAPH {
        let head = octets.get(..PARAGRAPH).unwrap_or_default();
        let at = memchr::memrchr(b' ', head).filter(|at| *at > PARAGRAPH / 2).map_or(PARAGRAPH, |at| at + 1);
        let rest = octets.split_off(at.min(octets.len()));
        out.push(std::mem::replace(&mut octets, rest));
    }
    out.push(octets);
}

/// Chunks of 2 to 4 KiB that end in a line end, else behind a blank.
fn chunks(octets: &[u8], out: &mut Vec<Vec<u8>>) {
    let text: Vec<u8> = {
        let mut text = Vec::with_capacity(octets.len());
        let mut before = 0;
        for octet in octets {
            if *octet == b'\n' && before == b'\r' {
                text.pop();
            }
            text.push(*octet);
            before = *octet;
        }
        text
    };
    let mut rest = text.as_slice();
    while rest.len() > 2 * PARAGRAPH {
        let window = rest.get(PARAGRAPH - 1..2 * PARAGRAPH).unwrap_or_default();
        let at = memchr::memchr(b'\n', window)
            .or_else(|| window.iter().position(u8::is_ascii_whitespace))
            .map_or(2 * PARAGRAPH, |at| PARAGRAPH + at);
        let (head, tail) = rest.split_at(at);
        out.push(head.to_vec());
        rest = tail;
    }
    if !rest.is_empty() {
        out.push(rest.to_vec());
    }
}

/// The first address of a field.
#[must_use]
pub fn address(field: &str) -> &str {
    let field = field.trim();
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in field.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => {
                let rest = field.get(at + 1..).unwrap_or_default();
                return rest.split('>').next().unwrap_or_default().trim();
            }
            _ => {}
        }
    }
    let bare = field.split(',').find(|part| part.contains('@')).unwrap_or(field);
    let bare = bare.split('(').next().unwrap_or_default().trim();
    let bare = bare.rsplit_once(':').map_or(bare, |(_, bare)| bare).trim().trim_end_matches(';').trim();
    bare.split_ascii_whitespace().find(|word| word.contains('@')).unwrap_or(bare)
}

/// The first display name of a field.
#[must_use]
pub fn name(field: &str) -> String {
    let field = field.trim();
    let plain =
        |text: &str| text.trim().trim_matches('"').replace("\\\"", "\"").trim().trim_matches('\'').trim().to_owned();
    if let Some((before, _)) = field.rsplit_once('<').filter(|(before, _)| !before.trim().is_empty()) {
        let first = if before.contains('<') { before.split('<').next().unwrap_or_default() } else { before };
        return plain(first);
    }
    match field.split_once('(').and_then(|(_, rest)| rest.split_once(')')) {
        Some((comment, _)) if !field.starts_with('<') => plain(comment),
        _ => String::new(),
    }
}

#[must_use]
pub fn host(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, host)| host)
}

/// The registrable domain; the host itself if it has none.
#[must_use]
pub fn registrable(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_end_at_empty_lines() {
        assert_eq!(paragraphs("a  b\tc\n \n\n d e   \nf\n"), ["a b c\n", " d e f "]);
        assert_eq!(paragraphs("a \n\nb"), ["a \n", "b"]);
    }

    #[test]
    fn long_texts_come_in_pieces() {
        let mut out = Vec::new();
        split("word ".repeat(1_000), &mut out);
        assert!(out.iter().all(|piece| piece.len() <= PARAGRAPH && piece.ends_with(b" ")));
        let mut out = Vec::new();
        chunks("line of text\n".repeat(1_000).as_bytes(), &mut out);
        assert!(out.iter().all(|piece| piece.len() <= 2 * PARAGRAPH && piece.ends_with(b"\n")));
    }

    #[test]
    fn first_address_and_name() {
        for (field, address_of, name_of) in [
            ("example@foo.example", "example@foo.example", ""),
            ("example@foo.example (Foo Blah), b@bar.example", "example@foo.example", "Foo Blah"),
            ("Foo Blah <example@foo.example>", "example@foo.example", "Foo Blah"),
            ("\"'Foo, Blah'\" <example@foo.example>", "example@foo.example", "Foo, Blah"),
            ("display: example@foo.example ;", "example@foo.example", ""),
        ] {
            assert_eq!((address(field), &*name(field)), (address_of, name_of), "{field}");
        }
    }
}
