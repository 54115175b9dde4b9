//! PDF: script, actions that start something, embedded files, addresses, text, encryption.
//!
//! The objects are read by the crate. What it refuses is searched by words, with `#xx` in names undone: readers open more than the
//! standard allows.
//! **Failure**: a file the crate refuses is noted as damaged.
//! **Invariants**: streams are unpacked one at a time within the budgets; object and cross-reference streams have their own limit.

use bytes::Bytes;
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId};

use super::names;
use super::octets::{contains_ignoring_case, utf16be};
use super::pdf_text;
use super::walk::{Met, Walk};
use super::{is_container, kind};
use crate::message::specimen::{FileKind, Lock, Trait};
use crate::model::finding::Reason;

/// One stream, while the crate loads.
const MAX_STREAM: usize = 16 << 20;
/// Objects that are looked at.
const MAX_OBJECTS: usize = 200_000;
/// A dictionary's entries in entries.
const MAX_DEPTH: usize = 32;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    by_words(walk, at, octets);
    match load(octets, None) {
        Ok(document) if document.is_encrypted() => locked(walk, at, octets),
        Ok(document) => read(walk, at, &document),
        Err(error) if is_locked(&error) => locked(walk, at, octets),
        Err(_) => {
            walk.note(Reason::Malformed, at);
            streams_by_words(walk, at, octets);
        }
    }
}

fn load(octets: &[u8], password: Option<&str>) -> lopdf::Result<Document> {
    let options = LoadOptions {
        password: password.map(Into::into),
        max_decompressed_size: Some(MAX_STREAM),
        ..LoadOptions::default()
    };
    Document::load_mem_with_options(octets, options)
}

fn is_locked(error: &lopdf::Error) -> bool {
    matches!(
        error,
        lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword | lopdf::Error::UnsupportedSecurityHandler(_)
    )
}

fn locked(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let passwords = walk.passwords;
    for word in passwords {
        if !walk.may_try_costly() {
            break;
        }
        if let Ok(document) = load(octets, Some(word))
            && !document.is_encrypted()
        {
            walk.lock(at, Lock::Opened);
            return read(walk, at, &document);
        }
    }
    walk.lock(at, Lock::Closed);
}

fn read(walk: &mut Walk<'_>, at: usize, document: &Document) {
    if document.objects.len() > MAX_OBJECTS {
        walk.note(Reason::Count, at);
    }
    for (&id, object) in document.objects.iter().take(MAX_OBJECTS) {
        if walk.is_spent(at) {
            return;
        }
        if let Ok(dictionary) = dictionary_of(object) {
            look(walk, at, document, dictionary, 0);
        }
        if let Object::Array(items) = object {
            for item in items.iter().filter_map(|item| item.as_dict().ok()) {
                look(walk, at, document, item, 1);
            }
        }
        stream(walk, at, id, object, document);
    }
    let text = pdf_text::of(document, walk.time_up);
    walk.text(&text, "");
}

fn dictionary_of(object: &Object) -> lopdf::Result<&Dictionary> {
    match object {
        Object::Stream(stream) => Ok(&stream.dict),
        other => other.as_dict(),
    }
}

/// Actions, and the dictionaries inside.
fn look(walk: &mut Walk<'_>, at: usize, document: &Document, dictionary: &Dictionary, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let name = |key: &[u8]| dictionary.get(key).ok().and_then(|value| value.as_name().ok());
    match name(b"S") {
        Some(b"JavaScript") => script(walk, at, document, dictionary),
        Some(b"Launch") => walk.mark(at, Trait::Launch),
        Some(b"URI") => {
            if let Some(target) = text_of(document, dictionary, b"URI") {
                walk.link(&target, None);
            }
        }
        Some(b"GoToR" | b"GoToE" | b"ImportData") => walk.mark(at, Trait::ExternalLink),
        Some(b"SubmitForm") => {
            walk.mark(at, Trait::ExternalLink);
            if let Ok(target) = dictionary.get_deref(b"F", document).and_then(Object::as_dict)
                && let Some(target) = text_of(document, target, b"F")
            {
                walk.link(&target, None);
            }
        }
        _ => {}
    }
    if dictionary.has(b"JS") {
        script(walk, at, document, dictionary);
    }
    for (_, value) in dictionary {
        match value {
            Object::Dictionary(inner) => look(walk, at, document, inner, depth + 1),
            Object::Array(items) => {
                for inner in items.iter().take(1_024).filter_map(|item| item.as_dict().ok()) {
                    look(walk, at, document, inner, depth + 1);
                }
            }
            _ => {}
        }
    }
}

fn script(walk: &mut Walk<'_>, at: usize, document: &Document, dictionary: &Dictionary) {
    walk.mark(at, Trait::Script);
    let source = match dictionary.get_deref(b"JS", document) {
        Ok(Object::Stream(stream)) => stream.get_plain_content_with_limit(MAX_STREAM).unwrap_or_default(),
        Ok(Object::String(text, _)) => text.clone(),
        _ => return,
    };
    walk.links_of(&string(&source));
    walk.glance(at, "script.js", &source);
}

fn text_of(document: &Document, dictionary: &Dictionary, key: &[u8]) -> Option<String> {
    dictionary.get_deref(key, document).ok().and_then(|value| value.as_str().ok()).map(string)
}

/// A text string (ISO 32000-1 section 7.9.2.2).
fn string(octets: &[u8]) -> String {
    match octets {
        [0xfe, 0xff, rest @ ..] => utf16be(rest),
        _ => names::decoded_text(octets),
    }
}

/// Embedded files, and streams that are files without saying so.
fn stream(walk: &mut Walk<'_>, at: usize, id: ObjectId, object: &Object, document: &Document) {
    let Object::Stream(stream) = object else { return };
    let is_type =
        |name: &[u8]| stream.dict.get(b"Type").is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == name));
    let is_image = stream.dict.get(b"Subtype").is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == b"Image"));
    let embedded = is_type(b"EmbeddedFile") || stream.dict.has(b"Params") || embedded_name(document, id).is_some();
    if is_image || is_type(b"XRef") || is_type(b"ObjStm") || is_type(b"Metadata") {
        return;
    }
    let limit = usize::try_from(walk.room()).unwrap_or(usize::MAX);
    let ratio = usize::try_from(walk.limits.ratio).unwrap_or(usize::MAX);
    let limit = limit.min(stream.content.len().saturating_mul(ratio).max(1 << 20));
    let Ok(content) = stream.get_plain_content_with_limit(limit) else {
        if embedded {
            walk.note(Reason::Ratio, at);
        }
        return;
    };
    if !walk.account(at, content.len() as u64) {
        return;
    }
    let form = kind::of(&content, "");
    let is_file = is_container(form) && form.1 != "lzma" || form.0 == FileKind::Executable;
    if embedded || is_file {
        if embedded {
            walk.mark(at, Trait::EmbeddedObject);
        }
        let name = embedded_name(document, id).unwrap_or_else(|| format!("stream.{}", id.0).into());
        walk.inside_unpacked(at, super::walk::Unpacked::whole(content.into()), Met::new(name, Bytes::new()));
    }
}

/// The name in the file specification that points at this stream.
fn embedded_name(document: &Document, id: ObjectId) -> Option<Box<str>> {
    let points_here = |dictionary: &Dictionary| {
        let files = dictionary.get_deref(b"EF", document).and_then(Object::as_dict).ok()?;
        files.iter().any(|(_, value)| value.as_reference().is_ok_and(|target| target == id)).then_some(())
    };
    document
        .objects
        .values()
        .filter_map(|object| object.as_dict().ok())
        .filter(|dictionary| dictionary.has(b"EF"))
        .take(256)
        .find_map(|dictionary| {
            points_here(dictionary)?;
            let name = text_of(document, dictionary, b"UF").or_else(|| text_of(document, dictionary, b"F"))?;
            Some(name.into())
        })
}

/// Names as they stand in the file, `#4a` undone. Those in compressed objects are found by [`look`].
fn by_words(walk: &mut Walk<'_>, at: usize, octets: &[u8]) {
    let mut start = 0;
    while let Some(slash) = octets.get(start..).and_then(|rest| memchr::memchr(b'/', rest)) {
        start += slash + 1;
        let raw = octets.get(start..).unwrap_or_default();
        let length = raw.iter().take(48).take_while(|octet| octet.is_ascii_alphanumeric() || **octet == b'#').count();
        let name = unhashed(raw.get(..length).unwrap_or_default());
        match &*name {
            b"JavaScript" | b"JS" => walk.mark(at, Trait::Script),
            b"Launch" => walk.mark(at, Trait::Launch),
            b"EmbeddedFile" => walk.mark(at, Trait::EmbeddedObject),
            _ => {}
        }
    }
}

fn unhashed(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut here = 0;
    while let Some(&octet) = name.get(here) {
        let code = name
            .get(here + 1..here + 3)
            .filter(|_| octet == b'#')
            .and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        out.push(code.unwrap_or(octet));
        here += if code.is_some() { 3 } else { 1 };
    }
    out
}

/// What lies between `stream` and `endstream`, inflated where it can be: for files the crate refuses.
fn streams_by_words(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut start = 0;
    let mut count = 0;
    while let Some(hit) = octets.get(start..).and_then(|rest| memchr::memmem::find(rest, b"stream")) {
        let mut begin = start + hit + 6;
        begin += usize::from(octets.get(begin) == Some(&b'\r'));
        begin += usize::from(octets.get(begin) == Some(&b'\n'));
        let end = octets
            .get(begin..)
            .and_then(|rest| memchr::memmem::find(rest, b"endstream"))
            .map_or(octets.len(), |end| begin + end);
        start = end.saturating_add(9);
        count += 1;
        if count > 2_000 || walk.is_spent(at) {
            return;
        }
        let content = octets.slice(begin.min(end)..end);
        let (inflated, _) = walk.draw(content.len() as u64, 0, &mut flate2::read::ZlibDecoder::new(&content[..]));
        let content = if inflated.is_empty() { content } else { inflated.into() };
        let form = kind::of(&content, "");
        if is_container(form) && form.1 != "lzma" || form.0 == FileKind::Executable {
            walk.inside(at, Met::new(format!("stream.{count}"), content));
        } else if contains_ignoring_case(&content, b"/javascript") {
            walk.mark(at, Trait::Script);
        }
    }
}
