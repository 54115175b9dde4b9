//! PDF: script, actions that start something, embedded files, addresses, text, encryption.
//!
//! The objects are read by the crate. What it refuses is searched by words, with `#xx` in names undone: readers open more than the
//! standard allows.
//! **Failure**: a file the crate refuses is noted as damaged.
//! **Invariants**: streams are unpacked one at a time within the budgets. What objects take in memory is known before the crate
//! reads them: see [`Purse`]. Object streams are kept from it by another name, and opened here one by one.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bytes::Bytes;
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, ObjectStream};

use super::names;
use super::octets::{contains_ignoring_case, utf16be};
use super::pdf_text;
use super::pdf_weight::{self, MAX_STREAM, Purse};
use super::walk::{Met, Walk};
use super::{is_container, kind};
use crate::message::specimen::{FileKind, Lock, Trait};
use crate::model::finding::Reason;

/// One object stream, and one script.
const MAX_OBJECTS_STREAM: usize = 8 << 20;
/// Objects that are looked at.
const MAX_OBJECTS: usize = 200_000;
/// A dictionary's entries in entries.
const MAX_DEPTH: usize = 32;
/// Scripts of one file: a form has a few for each field.
const MAX_SCRIPTS: usize = 10_000;

/// Words that make the crate open object streams by itself, and what stands in their place while it reads.
const VEILS: [(&[u8], &[u8]); 2] = [(b"/ObjStm", b"/0bj5tm"), (b"/First", b"/F1rst")];

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    by_words(walk, at, octets);
    let mut purse = Purse::new(octets.len());
    let Some(veiled) = purse.file(octets).and_then(|()| veiled(octets)) else {
        walk.note(Reason::Bytes, at);
        return streams_by_words(walk, at, octets);
    };
    match load(&veiled, None) {
        Loaded::Whole(document) if document.is_encrypted() => locked(walk, at, octets, &veiled, purse),
        Loaded::Whole(document) => read(walk, at, *document, purse),
        Loaded::Locked => locked(walk, at, octets, &veiled, purse),
        Loaded::TooMuch => {
            walk.note(Reason::Bytes, at);
            streams_by_words(walk, at, octets);
        }
        Loaded::Refused => {
            walk.note(Reason::Malformed, at);
            streams_by_words(walk, at, octets);
        }
    }
}

/// The file with the words of [`VEILS`] changed; `None` if one is written in a way that hides it from us.
fn veiled(octets: &[u8]) -> Option<Vec<u8>> {
    let mut veiled = octets.to_vec();
    let mut start = 0;
    while let Some(slash) = octets.get(start..).and_then(|rest| memchr::memchr(b'/', rest)) {
        start += slash + 1;
        let raw = octets.get(start..).unwrap_or_default();
        let length = raw.iter().take(48).take_while(|octet| octet.is_ascii_alphanumeric() || **octet == b'#').count();
        let raw = raw.get(..length).unwrap_or_default();
        let is_plain = !raw.contains(&b'#');
        let name = unhashed(raw);
        for (word, veil) in VEILS {
            if word.get(1..) != Some(&*name) {
                continue;
            }
            let place = veiled.get_mut(start - 1..start - 1 + veil.len())?;
            if !is_plain {
                return None;
            }
            place.copy_from_slice(veil);
        }
    }
    Some(veiled)
}

fn unveil(octets: &mut [u8]) {
    for (word, veil) in VEILS {
        let places: Vec<usize> = memchr::memmem::find_iter(octets, veil).collect();
        for at in places {
            if let Some(place) = octets.get_mut(at..at + word.len()) {
                place.copy_from_slice(word);
            }
        }
    }
}

/// What the crate made of a file.
enum Loaded {
    Whole(Box<Document>),
    Locked,
    Refused,
    TooMuch,
}

thread_local! {
    /// What the objects of the file that is being loaded may still take.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Unwinds out of the crate.
struct TooMuch;

/// Pays for each object as it is loaded: any number of references may lead to the same one.
fn pay(id: (u32, u16), object: &mut Object) -> Option<((u32, u16), Object)> {
    match LEFT.get().checked_sub(pdf_weight::of(object)) {
        Some(left) => LEFT.set(left),
        None => resume_unwind(Box::new(TooMuch)),
    }
    if let Object::Stream(stream) = object {
        unveil(&mut stream.content);
    }
    // The crate keeps what stays in place, and only asks whether it is to.
    Some((id, Object::Null))
}

fn load(octets: &[u8], password: Option<&str>) -> Loaded {
    let first = load_as(octets, password, false);
    // With references that lead nowhere, as after a wrong copy, the objects are searched for.
    if let Loaded::Whole(document) = &first
        && !document.is_encrypted()
        && document.objects.len() < memchr::memmem::find_iter(octets, b"endobj").count() / 2
        && let Loaded::Whole(other) = load_as(octets, password, true)
        && other.objects.len() > document.objects.len()
    {
        return Loaded::Whole(other);
    }
    first
}

fn load_as(octets: &[u8], password: Option<&str>, force_reconstruct: bool) -> Loaded {
    let options = LoadOptions {
        password: password.map(Into::into),
        max_decompressed_size: Some(MAX_STREAM),
        filter: Some(pay),
        force_reconstruct,
        ..LoadOptions::default()
    };
    LEFT.set(Purse::total(octets));
    match catch_unwind(AssertUnwindSafe(|| Document::load_mem_with_options(octets, options))) {
        Ok(Ok(document)) => Loaded::Whole(Box::new(document)),
        Ok(Err(error)) if is_locked(&error) => Loaded::Locked,
        Ok(Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }))) => Loaded::TooMuch,
        Ok(Err(_)) => Loaded::Refused,
        Err(unwound) if unwound.is::<TooMuch>() => Loaded::TooMuch,
        Err(unwound) => resume_unwind(unwound),
    }
}

fn is_locked(error: &lopdf::Error) -> bool {
    matches!(
        error,
        lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword | lopdf::Error::UnsupportedSecurityHandler(_)
    )
}

fn locked(walk: &mut Walk<'_>, at: usize, octets: &Bytes, veiled: &[u8], purse: Purse) {
    let passwords = walk.passwords();
    for word in passwords {
        if !walk.may_try_costly() {
            break;
        }
        match load(veiled, Some(word)) {
            Loaded::Whole(document) if !document.is_encrypted() => {
                walk.lock(at, Lock::Opened);
                return read(walk, at, *document, purse);
            }
            Loaded::TooMuch => {
                walk.note(Reason::Bytes, at);
                return streams_by_words(walk, at, octets);
            }
            _ => {}
        }
    }
    walk.lock(at, Lock::Closed);
}

fn read(walk: &mut Walk<'_>, at: usize, mut document: Document, mut purse: Purse) {
    object_streams(walk, at, &mut document, &mut purse);
    objects(walk, at, &document);
    if walk.is_spent(at) {
        return;
    }
    let (text, is_cut) = pdf_text::of(&mut document, &purse, walk.time_up);
    if is_cut {
        walk.note(Reason::Bytes, at);
    }
    walk.text(text);
}

fn objects(walk: &mut Walk<'_>, at: usize, document: &Document) {
    if document.objects.len() > MAX_OBJECTS {
        walk.note(Reason::Count, at);
    }
    let names = names_of(document);
    let mut scripts = Scripts::default();
    for (&id, object) in document.objects.iter().take(MAX_OBJECTS) {
        if walk.is_spent(at) {
            return;
        }
        if let Ok(dictionary) = dictionary_of(object) {
            look(walk, at, document, (dictionary, 0), &mut scripts);
        }
        if let Object::Array(items) = object {
            for item in items.iter().filter_map(|item| item.as_dict().ok()) {
                look(walk, at, document, (item, 1), &mut scripts);
            }
        }
        stream(walk, at, id, object, &names);
    }
}

/// Brings in the objects of object streams, as long as there is room for them.
fn object_streams(walk: &mut Walk<'_>, at: usize, document: &mut Document, purse: &mut Purse) {
    let is_one = |object: &Object| object.as_stream().is_ok_and(|stream| stream.dict.has_type(b"0bj5tm"));
    let ids: Vec<ObjectId> = document.objects.iter().filter(|(_, one)| is_one(one)).map(|(&id, _)| id).collect();
    for id in ids {
        if walk.is_spent(at) {
            return;
        }
        let Some(Object::Stream(stream)) = document.objects.get_mut(&id) else { continue };
        let limit = usize::try_from(walk.room()).unwrap_or(usize::MAX).min(MAX_OBJECTS_STREAM);
        let content = match stream.get_plain_content_with_limit(limit) {
            Ok(content) => content,
            Err(error) => {
                walk.note(undecoded(&error), at);
                // Nobody tells how far it came.
                walk.account(at, limit as u64);
                continue;
            }
        };
        let first = stream.dict.remove(b"F1rst");
        let place = first.as_ref().and_then(|first| usize::try_from(first.as_i64().ok()?).ok());
        let (Some(first), Some(place)) = (first, place) else {
            walk.note(Reason::Malformed, at);
            continue;
        };
        if !walk.account(at, content.len() as u64) {
            return;
        }
        if purse.object_stream(&content, place).is_none() {
            return walk.note(Reason::Bytes, at);
        }
        stream.dict.set("First", first);
        match ObjectStream::new_with_limit(stream, Some(limit)) {
            Ok(opened) => {
                for (id, object) in opened.objects {
                    document.objects.entry(id).or_insert(object);
                }
            }
            Err(_) => walk.note(Reason::Malformed, at),
        }
    }
}

fn undecoded(error: &lopdf::Error) -> Reason {
    match error {
        lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) => Reason::Ratio,
        lopdf::Error::Unimplemented(_) => Reason::Unsupported,
        _ => Reason::Malformed,
    }
}

fn dictionary_of(object: &Object) -> lopdf::Result<&Dictionary> {
    match object {
        Object::Stream(stream) => Ok(&stream.dict),
        other => other.as_dict(),
    }
}

/// The scripts of one file that were looked at. A thousand actions may name one and the same: that is unpacked once.
#[derive(Default)]
struct Scripts {
    count: usize,
    seen: HashSet<ObjectId>,
}

/// Actions, and the dictionaries inside.
fn look(
    walk: &mut Walk<'_>,
    at: usize,
    document: &Document,
    (dictionary, depth): (&Dictionary, usize),
    scripts: &mut Scripts,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let name = |key: &[u8]| dictionary.get(key).ok().and_then(|value| value.as_name().ok());
    match name(b"S") {
        Some(b"JavaScript") => walk.mark(at, Trait::Script),
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
        script(walk, at, document, dictionary, scripts);
    }
    for (_, value) in dictionary {
        match value {
            Object::Dictionary(inner) => look(walk, at, document, (inner, depth + 1), scripts),
            Object::Array(items) => {
                for inner in items.iter().take(1_024).filter_map(|item| item.as_dict().ok()) {
                    look(walk, at, document, (inner, depth + 1), scripts);
                }
            }
            _ => {}
        }
    }
}

fn script(walk: &mut Walk<'_>, at: usize, document: &Document, dictionary: &Dictionary, scripts: &mut Scripts) {
    walk.mark(at, Trait::Script);
    if let Ok(Object::Reference(id)) = dictionary.get(b"JS")
        && !scripts.seen.insert(*id)
    {
        return;
    }
    if walk.is_spent(at) {
        return;
    }
    if scripts.count >= MAX_SCRIPTS {
        return walk.note(Reason::Count, at);
    }
    scripts.count += 1;
    let source = match dictionary.get_deref(b"JS", document) {
        Ok(Object::Stream(stream)) => {
            let limit = usize::try_from(walk.room()).unwrap_or(usize::MAX).min(MAX_OBJECTS_STREAM);
            match stream.get_plain_content_with_limit(limit) {
                Ok(source) => source,
                Err(error) => {
                    walk.note(undecoded(&error), at);
                    // Nobody tells how far it came.
                    walk.account(at, limit as u64);
                    return;
                }
            }
        }
        Ok(Object::String(text, _)) => text.clone(),
        _ => return,
    };
    if walk.account(at, source.len() as u64) {
        walk.links_of(&string(&source));
        walk.glance(at, "script.js", &source);
    }
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
fn stream(walk: &mut Walk<'_>, at: usize, id: ObjectId, object: &Object, names: &HashMap<ObjectId, Box<str>>) {
    let Object::Stream(stream) = object else { return };
    let is_type =
        |name: &[u8]| stream.dict.get(b"Type").is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == name));
    let is_image = stream.dict.get(b"Subtype").is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == b"Image"));
    let embedded = is_type(b"EmbeddedFile") || stream.dict.has(b"Params") || names.contains_key(&id);
    // What else it says it is doesn't matter to who saves an attached file.
    if !embedded && (is_image || is_type(b"XRef") || is_type(b"0bj5tm") || is_type(b"Metadata")) {
        return;
    }
    let limit = usize::try_from(walk.room()).unwrap_or(usize::MAX);
    let ratio = usize::try_from(walk.limits.ratio).unwrap_or(usize::MAX);
    let limit = limit.min(stream.content.len().saturating_mul(ratio).max(1 << 20));
    let content = match stream.get_plain_content_with_limit(limit) {
        Ok(content) => content,
        Err(error) => return walk.note(undecoded(&error), at),
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
        let name = names.get(&id).filter(|name| !name.is_empty()).cloned();
        let name = name.unwrap_or_else(|| format!("stream.{}", id.0).into());
        walk.inside_unpacked(at, super::walk::Unpacked::whole(content.into()), Met::new(name, Bytes::new()));
    }
}

/// The streams that file specifications point at, with their names.
fn names_of(document: &Document) -> HashMap<ObjectId, Box<str>> {
    let mut names = HashMap::new();
    let inner = document.objects.values().filter_map(|object| dictionary_of(object).ok());
    for dictionary in inner {
        specified(document, dictionary, 0, &mut names);
    }
    names
}

/// Those of a dictionary and of the dictionaries in it: an annotation may hold its file specification.
fn specified(document: &Document, dictionary: &Dictionary, depth: usize, names: &mut HashMap<ObjectId, Box<str>>) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Ok(files) = dictionary.get_deref(b"EF", document).and_then(Object::as_dict) {
        let name = text_of(document, dictionary, b"UF").or_else(|| text_of(document, dictionary, b"F"));
        let name: Box<str> = name.unwrap_or_default().into();
        for target in files.iter().filter_map(|(_, value)| value.as_reference().ok()) {
            let known = names.entry(target).or_default();
            if known.is_empty() {
                *known = name.clone();
            }
        }
    }
    for (_, value) in dictionary {
        match value {
            Object::Dictionary(inner) => specified(document, inner, depth + 1, names),
            Object::Array(items) => {
                for inner in items.iter().take(1_024).filter_map(|item| item.as_dict().ok()) {
                    specified(document, inner, depth + 1, names);
                }
            }
            _ => {}
        }
    }
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
