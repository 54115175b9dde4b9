//! Compound files ([MS-CFB]): old office documents, Outlook messages, installers. Streams are read by the crate; what they mean is
//! read here: macros, embedded objects, attachments, encryption.
//!
//! **Failure**: a file the crate refuses is noted as damaged; streams that break off are looked at as far as they go.
//! **Invariants**: streams are read one after the other, each within the budgets.

use std::io::{Cursor, Read};
use std::path::PathBuf;

use bytes::Bytes;
use cfb::CompoundFile;

use super::octets::{le16, le32, utf16le};
use super::ole_objects;
use super::walk::{Met, Unpacked, Walk};
use super::{is_container, kind, names, spreadsheet, vba};
use crate::message::specimen::{FileKind, Lock, Trait};
use crate::model::finding::Reason;

/// Streams that are read.
const MAX_STREAMS: usize = 4_000;
/// Streams smaller than this hold no file.
const MIN_FILE: usize = 64;

struct Stream {
    path: PathBuf,
    /// Names of its storages and its own, in lower case, by slashes.
    full: String,
    name: String,
    length: u64,
}

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let Ok(mut file) = CompoundFile::open(Cursor::new(octets.clone())) else { return walk.note(Reason::Malformed, at) };
    let mut streams: Vec<Stream> = file
        .walk()
        .filter(cfb::Entry::is_stream)
        .take(MAX_STREAMS + 1)
        .map(|entry| Stream {
            path: entry.path().to_path_buf(),
            full: entry.path().to_string_lossy().to_lowercase(),
            name: entry.name().to_lowercase(),
            length: entry.len(),
        })
        .collect();
    if streams.len() > MAX_STREAMS {
        walk.note(Reason::Count, at);
        streams.truncate(MAX_STREAMS);
    }
    let format = format_of(&streams, file.root_entry().clsid().as_bytes());
    walk.form(at, (FileKind::Ole, format));
    if format == "encrypted" {
        super::office_crypt::open(walk, at, &mut file);
        return;
    }
    let names = if format == "msg" { attachment_names(&mut file, &streams) } else { Vec::new() };
    let mut project = Project::default();
    for stream in &streams {
        if walk.is_spent(at) {
            return;
        }
        let Ok(reader) = file.open_stream(&stream.path) else {
            walk.note_in(Reason::Malformed, at, &stream.name);
            continue;
        };
        // A stream can't be longer than its file, whatever it says.
        let length = stream.length.min(octets.len() as u64);
        if length == 0 {
            continue;
        }
        let Some(unpacked) = walk.unpack(at, &stream.name, length, length, &mut reader.take(length)) else { continue };
        project.look(stream, &unpacked.octets);
        one(walk, at, format, stream, unpacked, &names);
    }
    project.finish(walk, at);
}

fn format_of(streams: &[Stream], class: &[u8]) -> &'static str {
    let has = |name: &str| streams.iter().any(|stream| stream.name == name);
    let msi: &[u8] = &[0, 0x0c, 0x10, 0x84, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46];
    if has("encryptedpackage") {
        "encrypted"
    } else if has("worddocument") {
        "doc"
    } else if has("workbook") || has("book") {
        "xls"
    } else if has("powerpoint document") {
        "ppt"
    } else if has("__properties_version1.0") {
        "msg"
    } else if class == msi {
        "msi"
    } else if streams.iter().any(|stream| stream.full.contains("/vba/")) {
        "vba"
    } else {
        "ole"
    }
}

/// The macros of a document.
#[derive(Default)]
struct Project {
    sources: Vec<(String, String)>,
    has_code: bool,
}

impl Project {
    fn look(&mut self, stream: &Stream, octets: &[u8]) {
        if self.sources.len() < 256 {
            self.sources.extend(vba::sources(octets).into_iter().map(|source| (stream.name.clone(), source)));
        }
        self.has_code |= stream.name == "_vba_project" && vba::has_code(octets) && octets.len() > 64;
    }

    fn finish(self, walk: &mut Walk<'_>, at: usize) {
        if self.sources.is_empty() && !self.has_code {
            return;
        }
        walk.mark_document(at, Trait::Macros);
        // Compiled code without any source: it was taken away so that nobody reads it.
        if self.sources.is_empty() {
            walk.mark_document(at, Trait::SuspiciousMacros);
        }
        for (name, source) in self.sources {
            let habits = vba::habits(&source);
            if habits.is_automatic {
                walk.mark_document(at, Trait::AutoMacros);
            }
            if habits.is_suspicious {
                walk.mark_document(at, Trait::SuspiciousMacros);
            }
            walk.links_of(&source);
            walk.glance(at, &format!("{name}.vba.txt"), source.as_bytes());
        }
    }
}

fn one(
    walk: &mut Walk<'_>,
    at: usize,
    format: &str,
    stream: &Stream,
    unpacked: Unpacked,
    attachments: &[(String, String)],
) {
    let octets = unpacked.octets.clone();
    match &*stream.name {
        "workbook" | "book" => spreadsheet::open_biff(walk, at, &octets),
        "worddocument" => word(walk, at, &octets),
        "powerpoint document" => slides(walk, at, &octets),
        "\u{1}ole10native" => {
            walk.mark_document(at, Trait::EmbeddedObject);
            if let Some(embedded) = ole_objects::native(&octets) {
                walk.inside(at, Met { names: embedded.names, octets: embedded.octets, ..Met::default() });
            }
            return;
        }
        "package" | "contents" | "equation native" | "\u{1}ole10itemname" => {
            walk.mark_document(at, Trait::EmbeddedObject)
        }
        "encryptedsummary" => walk.lock(at, Lock::Closed),
        _ => {}
    }
    if format == "msg" {
        message(walk, at, stream, unpacked, attachments);
        return;
    }
    walk.glance(at, &stream.name, &octets);
    if octets.len() >= MIN_FILE {
        let form = kind::of(&octets, "");
        let is_file = is_container(form) || matches!(form.0, FileKind::Executable | FileKind::Shortcut);
        if is_file && !matches!(form.1, "lzma") {
            walk.inside_unpacked(
                at,
                unpacked,
                Met::new(stream.name.trim_start_matches(|c: char| c.is_control()), Bytes::new()),
            );
        }
    }
}

/// The long and short names of attachments, by the storage they are in; the long ones first.
fn attachment_names(file: &mut CompoundFile<Cursor<Bytes>>, streams: &[Stream]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for property in ["3707001f", "3707001e", "3704001f", "3704001e", "3001001f", "3001001e"] {
        for stream in
            streams.iter().filter(|stream| stream.name.strip_prefix("__substg1.0_") == Some(property)).take(512)
        {
            let mut raw = Vec::new();
            let read =
                file.open_stream(&stream.path).is_ok_and(|reader| reader.take(1_024).read_to_end(&mut raw).is_ok());
            if let (true, Some((folder, _))) = (read, stream.full.rsplit_once('/')) {
                let name = if property.ends_with('f') { utf16le(&raw) } else { names::decoded_text(&raw) };
                found.push((folder.into(), name.trim_end_matches('\0').into()));
            }
        }
    }
    found
}

/// A stream of an Outlook message ([MS-OXMSG] section 2.1.3): `__substg1.0_` and property with type.
fn message(walk: &mut Walk<'_>, at: usize, stream: &Stream, unpacked: Unpacked, attachments: &[(String, String)]) {
    let Some(property) = stream.name.strip_prefix("__substg1.0_") else { return };
    let octets = unpacked.octets.clone();
    match property {
        "1000001f" => walk.text(utf16le(&octets)),
        "1000001e" => walk.text(names::decoded_text(&octets)),
        "10130102" | "1013001f" | "1013001e" => walk.inside_unpacked(at, unpacked, Met::new("body.html", Bytes::new())),
        "10090102" => {
            if let Some(rtf) = super::lzss::rtf(&octets) {
                walk.account(at, rtf.len() as u64);
                walk.inside(at, Met::new("body.rtf", rtf));
            }
        }
        "37010102" => {
            let folder = stream.full.rsplit_once('/').map_or("", |(folder, _)| folder);
            let name = attachments.iter().find(|(of, _)| of == folder).map(|(_, name)| name.clone());
            walk.inside_unpacked(at, unpacked, Met::new(name.unwrap_or_else(|| "attachment".into()), Bytes::new()));
        }
        _ => {}
    }
}

/// A Word document ([MS-DOC] section 2.5.1): whether it is encrypted, its text, its fields.
fn word(walk: &mut Walk<'_>, at: usize, octets: &[u8]) {
    if le16(octets, 10).unwrap_or(0) & 0x0100 != 0 {
        return walk.lock(at, Lock::Closed);
    }
    let text = runs(octets);
    fields(walk, at, &text);
    walk.text(text);
}

/// Field codes that fetch or start something.
pub fn fields(walk: &mut Walk<'_>, at: usize, text: &str) {
    let upper = text.to_uppercase();
    for (code, noteworthy) in [
        ("DDEAUTO", Trait::Dde),
        ("DDE ", Trait::Dde),
        ("INCLUDETEXT", Trait::ExternalLink),
        ("INCLUDEPICTURE", Trait::ExternalLink),
    ] {
        let begins = |at: usize| {
            let before = upper.get(..at).unwrap_or_default().trim_end_matches([' ', '"']);
            before.ends_with('\u{13}') || before.ends_with("<FIELD>")
        };
        if upper.match_indices(code).any(|(at, _)| begins(at)) {
            walk.mark_document(at, noteworthy);
        }
    }
}

/// Readable runs in UTF-16 and one octet a character: Word keeps its text in pieces of both.
pub fn runs(octets: &[u8]) -> String {
    const MIN_RUN: usize = 6;
    const MAX_RUNS: usize = 1 << 20;
    let mut text = String::new();
    let mut here = 0;
    while here < octets.len() && text.len() < MAX_RUNS {
        let narrow = octets
            .get(here..)
            .unwrap_or_default()
            .iter()
            .take_while(|&&octet| is_shown(u16::from(octet)) && octet < 0x7f)
            .count();
        let wide = octets
            .get(here..)
            .unwrap_or_default()
            .chunks_exact(2)
            .take_while(|pair| {
                pair.first().zip(pair.last()).is_some_and(|(&low, &high)| is_shown(u16::from_le_bytes([low, high])))
            })
            .count();
        if wide >= MIN_RUN && 2 * wide > narrow {
            text.push_str(&utf16le(octets.get(here..here + 2 * wide).unwrap_or_default()));
            text.push('\n');
            here += 2 * wide;
        } else if narrow >= MIN_RUN {
            text.push_str(&String::from_utf8_lossy(octets.get(here..here + narrow).unwrap_or_default()));
            text.push('\n');
            here += narrow;
        } else {
            here += narrow.max(1);
        }
    }
    text
}

fn is_shown(unit: u16) -> bool {
    matches!(unit, 9 | 10 | 13 | 0x13..=0x15 | 0x20..=0x7e | 0xa0..=0xff | 0x370..=0x52f | 0x2010..=0x203a | 0x3000..=0x30ff | 0x4e00..=0x9fff | 0xff01..=0xff9f | 0xac00..=0xd7a3)
}

/// A presentation ([MS-PPT] section 2.3.1): a tree of records, read as a flat run of headers.
fn slides(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    const TEXT_WIDE: u16 = 0x0fa0;
    const TEXT: u16 = 0x0fa8;
    const OBJECT: u16 = 0x1011;
    let mut text = String::new();
    let mut here = 0;
    while let (Some(head), Some(kind), Some(length)) =
        (le16(octets, here), le16(octets, here + 2), le32(octets, here + 4))
    {
        if walk.is_spent(at) {
            return;
        }
        here += 8;
        // Containers have records inside.
        if head & 0x0f == 0x0f {
            continue;
        }
        let end = here.saturating_add(length as usize).min(octets.len());
        let content = octets.slice(here.min(end)..end);
        match kind {
            TEXT_WIDE => text.push_str(&(utf16le(&content) + "\n")),
            TEXT => text.push_str(&(names::decoded_text(&content) + "\n")),
            OBJECT => {
                walk.mark_document(at, Trait::EmbeddedObject);
                // With the instance 1 it is compressed, behind its size.
                let met = Met::new("object.ole", Bytes::new());
                if head >> 4 == 1 {
                    let told = le32(&content, 0).map_or(0, u64::from);
                    let packed = content.get(4..).unwrap_or_default();
                    walk.unpack_inside(at, packed.len() as u64, told, met, &mut flate2::read::ZlibDecoder::new(packed));
                } else {
                    walk.inside(at, Met { octets: content, ..met });
                }
            }
            _ => {}
        }
        here = end;
    }
    walk.text(text);
}
