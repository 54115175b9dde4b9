//! What the header of a part says about its body: every Content-Type, encoding and disposition in it.
//!
//! **Failure**: nothing fails; a type that is none counts as `text/plain` (RFC 2045 section 5.2).
//! **Invariants**: at most [`MAX_MEDIAS`] types are followed up.

use super::block::RawField;
use super::names::{self, percent};
use super::params::{self, Params};
use super::transfer::Transfer;
use crate::message::specimen::Ambiguity;

/// Types of one part that are followed up.
const MAX_MEDIAS: usize = 3;
/// Charsets of one type that are tried beside the first.
const MAX_CHARSETS: usize = 3;
/// Boundaries of one type that are tried.
const MAX_BOUNDARIES: usize = 6;

/// One Content-Type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// `text/html`.
    pub name: String,
    /// In every reading; the strict one first.
    pub boundaries: Vec<Vec<u8>>,
    pub charset: Option<String>,
    /// Named beside it: who takes the last one shows another text.
    pub other_charsets: Vec<String>,
    /// RFC 3676.
    pub flowed: bool,
    pub deletes_space: bool,
    /// `smime-type`, `report-type` and the like.
    pub sealed: bool,
}

impl Media {
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.name.starts_with("multipart/")
    }

    /// A whole message with header and body.
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self.name.as_str(), "message/rfc822" | "message/global" | "message/news" | "message/rfc2822")
    }

    fn also_charsets(&mut self, labels: impl IntoIterator<Item = String>) {
        for label in labels {
            let is_known = self.charset.as_ref() == Some(&label) || self.other_charsets.contains(&label);
            if !is_known && self.other_charsets.len() < MAX_CHARSETS {
                self.other_charsets.push(label);
            }
        }
    }

    /// Whether both lead to the same reading of the body.
    fn reads_like(&self, other: &Self) -> bool {
        let is_plain = |media: &Self| !media.is_multipart() && !media.is_message();
        let group = |media: &Self| match media.name.as_str() {
            "text/html" | "application/xhtml+xml" => 1,
            name if name.starts_with("text/") || name.is_empty() => 2,
            _ => 3,
        };
        if is_plain(self) && is_plain(other) {
            return group(self) == group(other);
        }
        self.name.split('/').next() == other.name.split('/').next() && self.boundaries == other.boundaries
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Heading {
    /// Readings that differ; the first field's first. Never empty.
    pub medias: Vec<Media>,
    /// Whether there is a Content-Type at all.
    pub is_typed: bool,
    /// All different ones; the first field's first. Never empty.
    pub transfers: Vec<Transfer>,
    /// `attachment`, and everything else that isn't `inline` (RFC 2183 section 2.8).
    pub attachment: Option<bool>,
    pub names: Vec<Box<str>>,
    pub odd: Vec<Ambiguity>,
}

/// Reads the fields of `octets`. `fallback` is the type of a part that names none.
#[must_use]
pub fn read(octets: &[u8], fields: &[RawField], fallback: &str) -> Heading {
    let mut heading = Heading::default();
    let mut types = Vec::new();
    let mut named = Vec::new();
    for field in fields {
        let name = octets.get(field.name.clone()).unwrap_or_default();
        let value = octets.get(field.value.clone()).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"content-type") {
            types.push((both(value), value));
        } else if name.eq_ignore_ascii_case(b"content-disposition") {
            let read = both(value);
            heading.disposition(&read.0);
            named.push((read, value));
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            let transfer = Transfer::named(&params::read(value, true).value);
            if !heading.transfers.contains(&transfer) {
                heading.transfers.push(transfer);
            }
        }
    }
    heading.is_typed = !types.is_empty();
    for ((strict, bare), _) in &types {
        heading.media(strict, bare, fallback);
    }
    if heading.medias.is_empty() {
        heading.medias.push(Media { name: fallback.to_owned(), ..Media::default() });
    }
    if heading.transfers.is_empty() {
        heading.transfers.push(Transfer::Identity);
    }
    heading.name(named, types);
    heading
}

fn both(value: &[u8]) -> (Params, Params) {
    let strict = params::read(value, true);
    let bare = if strict.has_comment { params::read(value, false) } else { Params::default() };
    (strict, bare)
}

type Field<'a> = ((Params, Params), &'a [u8]);

impl Heading {
    fn note(&mut self, odd: Ambiguity) {
        if !self.odd.contains(&odd) {
            self.odd.push(odd);
        }
    }

    fn disposition(&mut self, read: &Params) {
        if read.is_cut {
            self.note(Ambiguity::OddSyntax);
        }
        let attachment = match read.value.as_str() {
            "" => return,
            value => value != "inline",
        };
        if self.attachment.is_some_and(|known| known != attachment) {
            self.note(Ambiguity::DuplicateField);
        }
        self.attachment.get_or_insert(attachment);
    }

    fn media(&mut self, strict: &Params, bare: &Params, fallback: &str) {
        let text = |params: &Params, base: &str| {
            params.named(base).next().map(|param| String::from_utf8_lossy(param.first()).to_ascii_lowercase())
        };
        let is_type = strict.value.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
        let mut media = Media {
            name: if is_type { strict.value.clone() } else { fallback.to_owned() },
            boundaries: boundaries(strict),
            charset: text(strict, "charset"),
            other_charsets: Vec::new(),
            flowed: text(strict, "format").is_some_and(|format| format == "flowed"),
            deletes_space: text(strict, "delsp").is_some_and(|delsp| delsp == "yes"),
            sealed: text(strict, "smime-type").is_some_and(|kind| kind == "enveloped-data"),
        };
        let further = strict.named("charset").skip(1).chain(bare.named("charset"));
        let further: Vec<_> =
            further.map(|param| String::from_utf8_lossy(param.first()).to_ascii_lowercase()).collect();
        media.also_charsets(further);
        if strict.is_cut || bare.is_cut {
            self.note(Ambiguity::OddSyntax);
        }
        for boundary in boundaries(bare) {
            if !media.boundaries.contains(&boundary) && media.boundaries.len() < MAX_BOUNDARIES {
                media.boundaries.push(boundary);
            }
        }
        if strict.named("boundary").filter(|param| param.section.is_none()).count() > 1 && media.is_multipart() {
            self.note(Ambiguity::DuplicateParameter);
        }
        if let Some(known) = self.medias.iter_mut().find(|known| known.reads_like(&media)) {
            known.also_charsets(media.charset.into_iter().chain(media.other_charsets));
            return;
        }
        if !self.medias.is_empty() {
            self.note(Ambiguity::DuplicateField);
        }
        if self.medias.len() < MAX_MEDIAS {
            self.medias.push(media);
        }
    }

    fn name(&mut self, dispositions: Vec<Field<'_>>, types: Vec<Field<'_>>) {
        let several = dispositions.len() > 1 || types.len() > 1;
        let distinct = |fields: &[Field<'_>]| {
            fields.iter().any(|((field, _), _)| {
                fields.first().is_some_and(|((first, _), _)| !field.params.is_empty() && field.params != first.params)
            })
        };
        let differs = several && (distinct(&dispositions) || distinct(&types));
        let raws: Vec<&[u8]> = dispositions.iter().chain(&types).map(|(_, raw)| *raw).collect();
        let fields: Vec<(Params, Params)> = dispositions.into_iter().chain(types).map(|(read, _)| read).collect();
        let mut names = names::read(&fields);
        for raw in raws {
            names.behind_semicolons(raw);
        }
        self.names = names.names;
        for odd in names.odd {
            self.note(odd);
        }
        if differs && self.names.len() > 1 {
            self.note(Ambiguity::DuplicateField);
        }
    }
}

/// In all readings: RFC 2231 allows sections and percent-encoding here, too.
fn boundaries(params: &Params) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut sections: Vec<_> = params.named("boundary").filter(|param| param.section.is_some()).collect();
    sections.sort_by_key(|param| param.section);
    let joined: Vec<u8> = sections.iter().flat_map(|param| percent(param.first())).collect();
    let whole = params.named("boundary").filter(|param| param.section.is_none());
    let plain = whole.flat_map(|param| param.readings.iter().cloned());
    for boundary in plain.chain(std::iter::once(joined)) {
        let boundary = boundary.trim_ascii_end().to_vec();
        if !boundary.is_empty() && !found.contains(&boundary) && found.len() < MAX_BOUNDARIES {
            found.push(boundary);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::block;
    use crate::message::specimen::Limits;

    fn of(header: &str) -> Heading {
        let block = block::read(header.as_bytes(), &Limits::default());
        read(header.as_bytes(), &block.fields, "text/plain")
    }

    #[test]
    fn an_honest_header_has_one_reading() {
        let heading =
            of("Content-Type: text/html; charset=\"UTF-8\"; name=a.html\r\nContent-Transfer-Encoding: Base64\r\n\
             Content-Disposition: attachment; filename=a.html\r\n\r\n");
        assert_eq!((heading.medias.len(), heading.odd), (1, vec![]));
        assert_eq!(
            (heading.medias[0].name.as_str(), heading.medias[0].charset.as_deref()),
            ("text/html", Some("utf-8"))
        );
        assert_eq!((heading.transfers, heading.attachment), (vec![Transfer::Base64], Some(true)));
        assert_eq!(of("Subject: x\r\n\r\n").medias[0].name, "text/plain");
        assert_eq!(of("Content-Type: text\r\n\r\n").medias[0].name, "text/plain");
    }

    #[test]
    fn twice_is_two_readings_if_they_differ() {
        let same = of("Content-Type: text/plain\r\nContent-Type: text/plain; charset=x\r\n\r\n");
        assert_eq!((same.medias.len(), same.odd), (1, vec![]));
        let differ = of("Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
        assert_eq!((differ.medias.len(), differ.odd), (2, vec![Ambiguity::DuplicateField]));
        let encodings = of("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        assert_eq!(encodings.transfers.len(), 2);
        let boundaries = of("Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n");
        assert_eq!(boundaries.medias[0].boundaries.len(), 2);
        assert_eq!(boundaries.odd, vec![Ambiguity::DuplicateParameter]);
    }
}
