//! Walks the tree of a message, and the trees that other programs would see in it.
//!
//! **Failure**: what lies beyond a limit is in [`Specimen::unchecked`].
//! **Invariants**: no recursion; at most [`Limits::parts`] parts, [`Limits::depth`] layers, [`WORK`] passes over the message and
//! [`KEPT`] copies of it; a small one may have more of both. Texts beyond [`Limits::text`] are not kept: they are not looked at
//! to the end by anybody.

use std::cell::OnceCell;

use bytes::Bytes;

use super::heading::{self, Heading, Media};
use super::transfer::{self, Decoded, Transfer};
use super::{block, embedded, split};
use crate::message::specimen::{Ambiguity, HeaderField, Limits, Part, PartKind, Specimen, TimeUp};
use crate::message::{charset, words};
use crate::model::finding::{Reason, Unchecked};

/// How often all of the message may be looked through, all layers and readings together...
const WORK: usize = 20;
/// ...and so many octets besides: a small message may be as deep as it likes.
const FREE_WORK: usize = 64 << 20;
/// Octets that are kept beside the message itself (decoded bodies, texts), as often as the message is long...
const KEPT: usize = 3;
/// ...and so many besides.
const FREE_KEPT: usize = 32 << 20;
/// Of the fields of parts, as many times [`Limits::fields`] in all.
const PART_FIELDS: usize = 4;

/// A part that is still to be read: its header and body.
struct Todo {
    data: Bytes,
    /// Where `data` stands in the message, if it stands there.
    at: Option<usize>,
    place: Place,
    /// The type of parts that name none.
    fallback: &'static str,
}

#[derive(Clone)]
struct Place {
    /// `2.1.`; empty at the top.
    prefix: String,
    number: usize,
    parent: Option<usize>,
    depth: usize,
    /// A message's own body, whose multipart has no number (RFC 9051 section 6.4.5.1).
    of_message: bool,
    second: bool,
}

impl Place {
    fn path(&self, is_multipart: bool) -> String {
        let mark = if self.second { "'" } else { "" };
        if self.of_message && is_multipart {
            format!("{}TEXT{mark}", self.prefix)
        } else {
            format!("{}{}{mark}", self.prefix, self.number)
        }
    }
}

/// Reads the message's header and all its parts into `specimen`, whose `raw` is there already.
pub fn walk(specimen: &mut Specimen, limits: &Limits, time_up: TimeUp<'_>) {
    let raw = specimen.raw.clone();
    let place = Place { prefix: String::new(), number: 1, parent: None, depth: 0, of_message: true, second: false };
    let mut walk = Walk {
        hint: OnceCell::new(),
        work: raw.len().saturating_mul(WORK).saturating_add(FREE_WORK),
        room: raw.len().saturating_mul(KEPT).saturating_add(FREE_KEPT),
        text_room: limits.text,
        file_text_room: limits.text,
        fields_left: limits.fields.saturating_mul(PART_FIELDS),
        specimen,
        limits,
        time_up,
        todo: vec![Todo { data: raw, at: Some(0), place, fallback: "text/plain" }],
        almost: Vec::new(),
        boundaries: Vec::new(),
    };
    while let Some(todo) = walk.todo.pop() {
        if !walk.may(&todo.place, todo.data.len()) {
            continue;
        }
        walk.visit(todo);
    }
    walk.explain_almost();
}

struct Walk<'a> {
    specimen: &'a mut Specimen,
    limits: &'a Limits,
    time_up: TimeUp<'a>,
    /// A stack, the next in document order on top.
    todo: Vec<Todo>,
    /// The charset that the message names first, once somebody asked.
    hint: OnceCell<Option<String>>,
    work: usize,
    /// Octets that may still be kept.
    room: usize,
    /// Of these, octets of texts that are shown.
    text_room: usize,
    /// The same of files that are texts.
    file_text_room: usize,
    fields_left: usize,
    /// Lines that begin like a delimiter of one multipart: harmless if they are one of another.
    almost: Vec<Vec<u8>>,
    boundaries: Vec<Vec<u8>>,
}

/// The first charset that is named anywhere near the top.
fn hint(raw: &[u8]) -> Option<String> {
    let top = raw.get(..raw.len().min(64 << 10)).unwrap_or_default();
    let at = memchr::memmem::find(top, b"charset=").or_else(|| memchr::memmem::find(top, b"CHARSET="))?;
    let value = top.get(at + 8..)?;
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let end = value.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"-_.".contains(byte)))?;
    Some(String::from_utf8_lossy(value.get(..end.min(40))?).into_owned())
}

impl Walk<'_> {
    /// For `text`, if it can't be read without.
    fn hint(&self, text: &[u8]) -> Option<&str> {
        if std::str::from_utf8(text).is_ok() && !text.contains(&0x1b) {
            return None;
        }
        self.hint.get_or_init(|| hint(&self.specimen.raw)).as_deref()
    }

    fn note(&mut self, odd: Ambiguity) {
        if !self.specimen.ambiguities.contains(&odd) {
            self.specimen.ambiguities.push(odd);
        }
    }

    fn unchecked(&mut self, reason: Reason, what: &str) {
        let missed = Unchecked { reason, what: what.chars().take(200).collect() };
        // One of a kind is enough: a bomb has thousands.
        if !self.specimen.unchecked.iter().any(|known| known.reason == reason) {
            self.specimen.unchecked.push(missed);
        }
    }

    fn may(&mut self, place: &Place, octets: usize) -> bool {
        let beyond = if self.specimen.parts.len() >= self.limits.parts {
            Reason::Count
        } else if place.depth > self.limits.depth {
            Reason::Depth
        } else {
            return self.spend(octets, &place.path(false));
        };
        self.unchecked(beyond, &place.path(false));
        false
    }

    /// Whether that many octets more may be kept; they are counted then.
    fn keep(&mut self, octets: usize, path: &str) -> bool {
        let Some(room) = self.room.checked_sub(octets) else {
            self.unchecked(Reason::Bytes, path);
            return false;
        };
        self.room = room;
        true
    }

    /// Whether that many octets more may be looked through; they are counted then.
    fn spend(&mut self, octets: usize, path: &str) -> bool {
        let Some(work) = self.work.checked_sub(octets).filter(|_| !(self.time_up)()) else {
            self.unchecked(Reason::Time, path);
            return false;
        };
        self.work = work;
        true
    }

    fn visit(&mut self, todo: Todo) {
        let Todo { data, at, place, fallback } = todo;
        let block = block::read(&data, self.limits);
        let is_root = place.parent.is_none() && !place.second;
        if let Some(reason) = block.beyond {
            self.unchecked(reason, &format!("{} header", place.path(false)));
        }
        for odd in &block.odd {
            self.note(*odd);
        }
        let fields = self.fields(&data, &block, at, is_root);
        let heading = heading::read(&data, &block.fields, fallback);
        for odd in &heading.odd {
            self.note(*odd);
        }
        let body = data.slice(block.body.min(data.len())..);
        let at = at.map(|at| at + block.body);
        let mut fields = fields;
        if is_root {
            self.specimen.body = block.body;
            self.specimen.fields = std::mem::take(&mut fields);
        }
        let first = self.todo.len();
        for (index, media) in heading.medias.iter().enumerate() {
            let mut place = place.clone();
            place.second |= index > 0;
            let part = Part {
                path: place.path(media.is_multipart()).into(),
                parent: place.parent,
                depth: place.depth,
                kind: PartKind::File,
                content_type: media.name.clone().into(),
                charset: media.charset.clone().map(Into::into),
                names: heading.names.clone(),
                is_attachment: heading.attachment.unwrap_or(false),
                fields: if index == 0 { fields.clone() } else { Vec::new() },
                encoded: at.map_or(0..0, |at| at..at + body.len()),
                octets: Bytes::new(),
                other_octets: Vec::new(),
                text: None,
                other_texts: Vec::new(),
            };
            if media.is_multipart() {
                self.multipart(part, media, &heading, &body, at, &place);
            } else if media.is_message() {
                self.message(part, &heading, &body, at, &place);
            } else {
                self.leaf(part, media, &heading, &body, &place);
            }
        }
        // Pushed in document order, popped from the end.
        self.todo.get_mut(first..).unwrap_or_default().reverse();
    }

    fn fields(&mut self, data: &[u8], block: &block::Block, at: Option<usize>, is_root: bool) -> Vec<HeaderField> {
        let most = if is_root { usize::MAX } else { self.fields_left };
        if block.fields.len() > most {
            self.unchecked(Reason::Count, "fields of parts");
        }
        let mut fields = Vec::with_capacity(block.fields.len().min(most));
        for field in block.fields.iter().take(most) {
            let raw = data.get(field.value.clone()).unwrap_or_default();
            let value = words::decode(raw.trim_ascii(), self.hint(raw));
            fields.push(HeaderField {
                name: String::from_utf8_lossy(data.get(field.name.clone()).unwrap_or_default()).into(),
                raw: at.map_or(0..0, |at| at + field.value.start..at + field.value.end),
                value: value.into(),
            });
        }
        if !is_root {
            self.fields_left = self.fields_left.saturating_sub(fields.len());
        }
        fields
    }

    fn push(&mut self, part: Part) -> usize {
        self.specimen.parts.push(part);
        self.specimen.parts.len() - 1
    }

    fn message(&mut self, mut part: Part, heading: &Heading, body: &Bytes, at: Option<usize>, place: &Place) {
        part.kind = PartKind::Message;
        let (decoded, identity) = self.decoded(&mut part, heading, body);
        let prefix = format!("{}.", part.path);
        let parent = self.push(part);
        let inner =
            Place { prefix, number: 1, parent: Some(parent), depth: place.depth + 1, of_message: true, ..*place };
        let at = at.filter(|_| identity);
        self.todo.push(Todo { data: decoded.octets, at, place: inner.clone(), fallback: "text/plain" });
        for other in decoded.others {
            let place = Place { second: true, ..inner.clone() };
            self.todo.push(Todo { data: other, at: None, place, fallback: "text/plain" });
        }
    }

    /// Takes the encodings off, each that is named; octets that differ are others. Whether the body is as it stands.
    fn decoded(&mut self, part: &mut Part, heading: &Heading, body: &Bytes) -> (Decoded, bool) {
        let first = heading.transfers.first().copied().unwrap_or(Transfer::Identity);
        let mut decoded = transfer::decode(body, first);
        if decoded.octets.as_ptr() != body.as_ptr() && !self.keep(decoded.octets.len(), &part.path) {
            decoded.octets = Bytes::new();
        }
        decoded.others.retain(|other| self.keep(other.len(), &part.path));
        for further in heading.transfers.iter().skip(1).take(3) {
            if !self.spend(body.len(), &part.path) {
                break;
            }
            let other = transfer::decode(body, *further).octets;
            if other != decoded.octets && !decoded.others.contains(&other) {
                decoded.odd = Some(Ambiguity::DuplicateField);
                if self.keep(other.len(), &part.path) {
                    decoded.others.push(other);
                }
            }
        }
        if heading.transfers.len() > 4 {
            self.unchecked(Reason::Count, &part.path);
        }
        part.octets = decoded.octets.clone();
        part.other_octets.clone_from(&decoded.others);
        let identity = part.octets.len() == body.len() && part.octets.as_ptr() == body.as_ptr();
        (decoded, identity)
    }

    fn leaf(&mut self, mut part: Part, media: &Media, heading: &Heading, body: &Bytes, place: &Place) {
        let (decoded, identity) = self.decoded(&mut part, heading, body);
        let is_html = matches!(media.name.as_str(), "text/html" | "application/xhtml+xml");
        let is_text = is_html || is_shown_text(&media.name);
        // A name makes a text a file, but for the message's own text.
        let offered = heading.attachment == Some(true)
            || (heading.attachment.is_none() && !part.names.is_empty() && !place.of_message);
        part.is_attachment = offered || !is_text;
        part.kind = match (is_text && !offered, is_html) {
            (true, true) => PartKind::Html,
            (true, false) => PartKind::Text,
            (false, _) => PartKind::File,
        };
        self.odd_leaf(&part, &decoded);
        self.unreadable(&part, media);
        if is_text || media.name.starts_with("text/") {
            self.text(&mut part, media);
        }
        let embedded = if part.kind == PartKind::Text { embedded::find(&part.octets) } else { Vec::new() };
        let path = part.path.clone();
        let stands_at = (identity && !part.encoded.is_empty()).then_some(part.encoded.start);
        let parent = self.push(part);
        for (number, file) in embedded.into_iter().enumerate() {
            if self.specimen.parts.len() >= self.limits.parts {
                self.unchecked(Reason::Count, &path);
                break;
            }
            self.push(Part {
                path: format!("{path}.{}", number + 1).into(),
                parent: Some(parent),
                depth: place.depth + 1,
                kind: PartKind::File,
                content_type: "application/octet-stream".into(),
                charset: None,
                names: vec![words::decode(&file.name, self.hint(&file.name)).into()],
                is_attachment: true,
                fields: Vec::new(),
                encoded: stands_at.map_or(0..0, |at| at + file.place.start..at + file.place.end),
                octets: file.octets.into(),
                other_octets: Vec::new(),
                text: None,
                other_texts: Vec::new(),
            });
        }
    }

    /// The source in Unicode, in each way in which label and octets let it be read.
    fn text(&mut self, part: &mut Part, media: &Media) {
        // In Unicode it may become shorter, but not by more than that.
        if part.octets.len() / 2 > *self.text_room_of(part) {
            return self.too_long(part);
        }
        let read = charset::read(&part.octets, media.charset.as_deref());
        if read.is_odd {
            self.note(Ambiguity::Charset);
        }
        let mut others: Vec<String> = read.other.into_iter().collect();
        for label in &media.other_charsets {
            let other = charset::decode(&part.octets, Some(label));
            if other != read.text && !others.contains(&other) {
                self.note(Ambiguity::DuplicateParameter);
                others.push(other);
            }
        }
        if self.keep_text(part, read.text.len()) {
            part.text = Some(read.text.into());
        }
        others.retain(|other| self.keep_text(part, other.len()));
        part.other_texts = others.into_iter().map(Into::into).collect();
    }

    fn text_room_of(&mut self, part: &Part) -> &mut usize {
        if part.kind == PartKind::File { &mut self.file_text_room } else { &mut self.text_room }
    }

    /// Whether so long a text of the part may be kept; it is counted then.
    fn keep_text(&mut self, part: &Part, octets: usize) -> bool {
        let room = self.text_room_of(part);
        match room.checked_sub(octets) {
            Some(left) => *room = left,
            None => {
                self.too_long(part);
                return false;
            }
        }
        self.keep(octets, &part.path)
    }

    /// A file is looked at by who opens it.
    fn too_long(&mut self, part: &Part) {
        if part.kind != PartKind::File {
            self.unchecked(Reason::Bytes, &part.path);
        }
    }

    fn odd_leaf(&mut self, part: &Part, decoded: &Decoded) {
        let Some(odd) = decoded.odd else { return };
        // A list's footer behind a text in base64 is sloppy, but all readings are texts and all of them are looked at.
        let footer = odd == Ambiguity::BrokenEncoding && part.kind != PartKind::File;
        let mostly = decoded.others.iter().all(|other| other.len() * 10 >= decoded.octets.len() * 7);
        if !(footer && mostly) {
            self.note(odd);
        }
    }

    fn unreadable(&mut self, part: &Part, media: &Media) {
        let reason = match media.name.as_str() {
            "message/partial" => Reason::Unsupported,
            "application/pkcs7-mime" | "application/x-pkcs7-mime" if media.sealed => Reason::Encrypted,
            "application/pgp-encrypted" => Reason::Encrypted,
            _ => return,
        };
        self.unchecked(reason, &part.path);
    }

    fn multipart(
        &mut self,
        mut part: Part,
        media: &Media,
        heading: &Heading,
        body: &Bytes,
        at: Option<usize>,
        place: &Place,
    ) {
        part.kind = PartKind::Multipart;
        part.is_attachment = false;
        part.octets = body.clone();
        let prefix = if place.of_message { place.prefix.clone() } else { format!("{}.", part.path) };
        let parent = self.push(part);
        let inner = Place {
            prefix,
            number: 0,
            parent: Some(parent),
            depth: place.depth + 1,
            of_message: false,
            second: place.second,
        };
        let fallback = if media.name == "multipart/digest" { "message/rfc822" } else { "text/plain" };
        let cut = self.pieces(body, at, media, &inner, fallback);
        // No multipart may be encoded (RFC 2045 section 6.4); who takes the encoding off sees other parts.
        for transfer in heading.transfers.iter().filter(|transfer| **transfer != Transfer::Identity) {
            if !self.spend(body.len(), &inner.prefix) {
                return;
            }
            let decoded = transfer::decode(body, *transfer).octets;
            let differs = |boundary: &Vec<u8>| {
                let count = |octets: &[u8]| split::cut(octets, boundary, self.limits.parts).parts.len();
                count(&decoded) > cut
            };
            if media.boundaries.iter().any(differs) && self.keep(decoded.len(), &inner.prefix) {
                self.note(Ambiguity::BrokenHeader);
                let place = Place { second: true, ..inner.clone() };
                self.pieces(&decoded, None, media, &place, fallback);
            }
        }
    }

    /// Queues the parts that `body` has by each boundary; how many the first one gave.
    fn pieces(
        &mut self,
        body: &Bytes,
        at: Option<usize>,
        media: &Media,
        place: &Place,
        fallback: &'static str,
    ) -> usize {
        let left = self.limits.parts.saturating_sub(self.specimen.parts.len()).max(1);
        let mut readings: Vec<split::Pieces> = Vec::new();
        for boundary in &media.boundaries {
            if !self.spend(body.len(), &place.prefix) {
                break;
            }
            let pieces = split::cut(body, boundary, left);
            if pieces.parts.is_empty() && pieces.further.is_empty() {
                continue;
            }
            self.boundaries.push(boundary.clone());
            if !readings.iter().any(|known| known.parts == pieces.parts) {
                readings.push(pieces);
            }
        }
        if readings.len() > 1 {
            self.note(Ambiguity::Boundary);
        }
        if readings.is_empty() {
            return self.without_delimiter(body, at, place, fallback);
        }
        let count = readings.first().map_or(0, |pieces| pieces.parts.len());
        for (index, pieces) in readings.into_iter().enumerate() {
            let place = Place { second: place.second || index > 0, ..place.clone() };
            self.queue(body, at, &pieces, &place, fallback);
        }
        count
    }

    fn queue(
        &mut self,
        body: &Bytes,
        at: Option<usize>,
        pieces: &split::Pieces,
        place: &Place,
        fallback: &'static str,
    ) {
        if pieces.too_many {
            self.unchecked(Reason::Count, &place.prefix);
        }
        for line in &pieces.almost {
            self.almost.push(body.get(line.clone()).unwrap_or_default().trim_ascii_end().to_vec());
        }
        let mut number = 0;
        let mut todo = |range: &std::ops::Range<usize>, second: bool| {
            number += 1;
            Todo {
                data: body.slice(range.clone()),
                at: at.map(|at| at + range.start),
                place: Place { number, second: place.second || second, ..place.clone() },
                fallback,
            }
        };
        let mut all: Vec<Todo> = pieces.parts.iter().map(|range| todo(range, false)).collect();
        // What stands outside the delimiters is shown by nobody, unless a program takes it for a part.
        let outside = [&pieces.preamble, &pieces.epilogue].into_iter();
        let hidden = outside.filter(|range| hides_a_part(body.get((*range).clone()).unwrap_or_default()));
        let further: Vec<_> =
            if pieces.further.is_empty() { hidden.collect() } else { pieces.further.iter().collect() };
        if !further.is_empty() {
            self.note(Ambiguity::Boundary);
        }
        all.extend(further.into_iter().map(|range| todo(range, true)));
        self.todo.extend(all);
    }

    /// A multipart whose delimiter isn't there: some guess it, others show all of it.
    fn without_delimiter(&mut self, body: &Bytes, at: Option<usize>, place: &Place, fallback: &'static str) -> usize {
        if body.trim_ascii().is_empty() {
            return 0;
        }
        if let Some(boundary) = split::guess(body) {
            self.note(Ambiguity::Boundary);
            let left = self.limits.parts.saturating_sub(self.specimen.parts.len()).max(1);
            let pieces = split::cut(body, boundary, left);
            let place = Place { second: true, ..place.clone() };
            self.queue(body, at, &pieces, &place, fallback);
            return pieces.parts.len();
        }
        if !self.keep(body.len(), &place.prefix) {
            return 0;
        }
        // An empty header before it makes it a text.
        let data: Bytes = [b"\r\n", body.as_ref()].concat().into();
        self.todo.push(Todo { data, at: None, place: Place { number: 1, ..place.clone() }, fallback: "text/plain" });
        0
    }

    /// A line that begins like a delimiter is one of another multipart, or a trick.
    fn explain_almost(&mut self) {
        let known: std::collections::HashSet<&[u8]> = self.boundaries.iter().map(Vec::as_slice).collect();
        let explained = |line: &Vec<u8>| {
            let inner = line.strip_prefix(b"--").unwrap_or(line);
            known.contains(inner) || inner.strip_suffix(b"--").is_some_and(|inner| known.contains(inner))
        };
        if !self.almost.iter().all(explained) {
            self.note(Ambiguity::Boundary);
        }
    }
}

/// Text that mail programs show below the message's own.
fn is_shown_text(name: &str) -> bool {
    matches!(
        name,
        "text/plain"
            | "text/enriched"
            | "text/richtext"
            | "text/rfc822-headers"
            | "message/delivery-status"
            | "message/disposition-notification"
            | "text/markdown"
            | "text/x-amp-html"
            | "text/watch-html"
            | "text"
    )
}

/// Whether a program that takes it for a part would find a file in it.
fn hides_a_part(octets: &[u8]) -> bool {
    let mut at = 0;
    while let Some((line, next)) = block::line(octets, at) {
        at = next;
        let content = line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        if (content && line.contains(&b':')) || line.starts_with(b"begin 6") || line.starts_with(b"=ybegin ") {
            return true;
        }
    }
    false
}
