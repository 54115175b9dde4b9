//! zip: every entry that some program would unpack (PKWARE APPNOTE 6.3.10).
//!
//! Programs disagree about which directory counts (the first or the last end record, with or without the octets in front), and
//! whether the local or the central header is believed. All of them are read here: each directory, and local headers that no
//! directory names. What is read in two ways is marked [`Trait::Ambiguous`].
//!
//! **Failure**: entries that are cut off or lie are looked at as far as they go; overlapping ones are noted as damage, because no
//! honest archive has them and bombs do.
//! **Invariants**: linear in the archive's size: signatures are searched once, each header is read once.

use std::collections::BTreeSet;

use bytes::Bytes;
use memchr::memmem;

use super::names;
use super::octets::{at32, le16, le32, le64, slice, up_to};
use super::ooxml::Package;
use super::walk::{Met, Unpacked, Walk};
use super::zip_entry::{self, Keys};
use crate::message::specimen::{FileKind, Lock, Trait};
use crate::model::finding::Reason;

/// End records that are believed: the first ones and the last.
const MAX_ENDS: usize = 8;
/// Entries that are read from all directories together; those beyond are counted as too many.
const MAX_ENTRIES: usize = 20_000;

/// What a header says of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raw octets of the name, central and local; alike mostly.
    pub central_name: Option<Bytes>,
    pub local_name: Option<Bytes>,
    pub flags: u16,
    pub method: u16,
    pub time: u16,
    pub crc: u32,
    pub packed: u64,
    pub size: u64,
    /// Of the local header.
    pub header: usize,
    /// Of the content.
    pub start: usize,
    /// Extra field, for AES.
    pub extra: Bytes,
    pub is_link: bool,
}

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let directories = directories(octets);
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut is_ambiguous = false;
    let mut is_cut = false;
    for directory in &directories {
        // An archive that lies in another one as it is has a directory, too.
        if directory.is_inside(&entries) {
            continue;
        }
        is_ambiguous |= !entries.is_empty();
        is_cut |= read_directory(octets, *directory, &mut entries, &mut seen);
    }
    is_cut |= hidden(octets, &mut entries, &mut is_ambiguous, directories.is_empty());
    if entries.is_empty() {
        // An end record alone is an empty archive.
        if directories.is_empty() || octets.len() > 22 && memmem::find(octets, b"PK\x01\x02").is_some() {
            walk.note(Reason::Malformed, at);
        }
        return;
    }
    if is_ambiguous {
        walk.mark(at, Trait::Ambiguous);
    }
    if overlaps(&entries) {
        walk.note(Reason::Malformed, at);
    }
    if is_cut {
        walk.note(Reason::Count, at);
    }
    let mut read: BTreeSet<(usize, u64, u16, u16)> = BTreeSet::new();
    let mut package = Package::of(walk, at, &entries);
    let mut keys = Keys::default();
    for entry in &entries {
        if walk.is_spent(at) {
            return;
        }
        if package.as_ref().is_some_and(Package::is_full) {
            walk.note(Reason::Count, at);
            break;
        }
        for reading in readings(octets, entry, walk, at) {
            // The same octets under another name: no honest archive has that, and bombs are made of it. Only the name is new.
            let content = (reading.start, reading.packed, reading.method, reading.flags & 1);
            if reading.packed > 0 && !read.insert(content) {
                walk.inside(at, Met { names: names_of(&reading), is_cut: true, ..Met::default() });
                continue;
            }
            show(walk, at, octets, &reading, &mut keys, &mut package);
        }
    }
    if let Some(package) = package {
        package.finish(walk, at);
    }
}

fn show(walk: &mut Walk<'_>, at: usize, octets: &Bytes, entry: &Entry, keys: &mut Keys, package: &mut Option<Package>) {
    let mut met = Met { names: names_of(entry), ..Met::default() };
    if entry.is_link {
        met.traits.push(Trait::EscapingName);
    }
    if entry.central_name.is_some() && entry.local_name.is_some() && entry.central_name != entry.local_name {
        met.traits.push(Trait::Ambiguous);
    }
    let name = met.names.first().cloned().unwrap_or_default();
    let is_folder = name.ends_with(['/', '\\']) && entry.packed == 0;
    if is_folder {
        return;
    }
    let (unpacked, lock) = zip_entry::read(walk, at, octets, entry, &name, keys);
    met.lock = lock;
    if lock == Lock::Closed {
        walk.lock(at, Lock::Closed);
    } else if lock == Lock::Opened {
        walk.lock(at, Lock::Opened);
    }
    let Some(unpacked) = unpacked else {
        // Its name is known all the same.
        met.is_cut = true;
        return walk.inside(at, met);
    };
    match package {
        Some(package) if !unpacked.is_cut && package.takes(&name, &unpacked.octets) => {
            package.part(walk, at, &name, &unpacked.octets)
        }
        Some(package) => {
            package.binary(walk, at, &name, &unpacked.octets);
            walk.inside_unpacked(at, unpacked, met);
        }
        None => walk.inside_unpacked(at, unpacked, met),
    }
}

fn names_of(entry: &Entry) -> Vec<Box<str>> {
    [&entry.central_name, &entry.local_name].into_iter().flatten().map(|name| names::decoded(name)).collect()
}

/// The entry as the central header has it, and as the local one has it where that is something else.
fn readings(octets: &Bytes, entry: &Entry, walk: &mut Walk<'_>, at: usize) -> Vec<Entry> {
    let mut readings = vec![entry.clone()];
    if entry.central_name.is_none() {
        return readings;
    }
    let Some(local) = local(octets, entry.header) else { return readings };
    let sizes_follow = local.flags & 8 != 0;
    let other_size = !sizes_follow && local.packed != entry.packed && local.packed != 0;
    let other_method = local.method != entry.method;
    let other_lock = (local.flags ^ entry.flags) & 1 != 0;
    if other_size || other_method || other_lock {
        walk.mark(at, Trait::Ambiguous);
        let packed = if sizes_follow || local.packed == 0 { entry.packed } else { local.packed };
        readings.push(Entry { packed, ..local });
    }
    readings
}

/// A directory: where it begins, how many octets the archive is shifted, and where it must end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Directory {
    start: usize,
    shift: usize,
    end: usize,
}

impl Directory {
    fn is_inside(&self, entries: &[Entry]) -> bool {
        entries.iter().any(|entry| entry.start <= self.start && self.start < end_of(entry))
    }
}

/// Those of all end records, each where it says and where it would be by its size.
fn directories(octets: &[u8]) -> Vec<Directory> {
    let mut ends: Vec<usize> = memmem::find_iter(octets, b"PK\x05\x06").collect();
    if ends.len() > MAX_ENDS {
        ends.drain(MAX_ENDS / 2..ends.len() - MAX_ENDS / 2);
    }
    let mut found: Vec<Directory> = Vec::new();
    for end in ends.into_iter().rev() {
        let Some((size, offset, end)) = end_record(octets, end) else { continue };
        let by_size = end.checked_sub(size);
        let starts = |at: usize| octets.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02"));
        let mut add = |start: usize, shift: usize| {
            let directory = Directory { start, shift, end };
            if starts(start) && !found.iter().any(|known| known.start == start && known.shift == shift) {
                found.push(directory);
            }
        };
        if let Some(start) = by_size {
            add(start, start.saturating_sub(offset));
        }
        if Some(offset) != by_size {
            add(offset, 0);
        }
    }
    found
}

/// Size and offset of the directory, and where it ends at the latest.
fn end_record(octets: &[u8], at: usize) -> Option<(usize, usize, usize)> {
    let (size, offset) = (at32(octets, at + 12)?, at32(octets, at + 16)?);
    // Zip64: a locator in front, which points to a longer record.
    let locator = at.checked_sub(20).filter(|&at| slice(octets, at, 4) == Some(b"PK\x06\x07"));
    if let Some(locator) = locator {
        let told = le64(octets, locator + 8).and_then(|told| usize::try_from(told).ok());
        let near = locator.checked_sub(56);
        for record in [told, near].into_iter().flatten() {
            if slice(octets, record, 4) == Some(b"PK\x06\x06") {
                let size = usize::try_from(le64(octets, record.checked_add(40)?)?).ok()?;
                let offset = usize::try_from(le64(octets, record.checked_add(48)?)?).ok()?;
                return Some((size, offset, record));
            }
        }
    }
    Some((size, offset, at))
}

/// Appends what is new. Whether there is more than can be read.
fn read_directory(
    octets: &Bytes,
    directory: Directory,
    entries: &mut Vec<Entry>,
    seen: &mut BTreeSet<(usize, Bytes)>,
) -> bool {
    let mut here = directory.start;
    while here < directory.end && slice(octets, here, 4) == Some(b"PK\x01\x02") {
        if entries.len() >= MAX_ENTRIES {
            return true;
        }
        let Some((entry, next)) = central(octets, here, directory.shift) else { return false };
        let key = (entry.header, entry.central_name.clone().unwrap_or_default());
        if seen.insert(key) {
            entries.push(entry);
        }
        here = next;
    }
    false
}

fn central(octets: &Bytes, at: usize, shift: usize) -> Option<(Entry, usize)> {
    let header = octets.get(at..)?;
    let (name, extra, comment) =
        (usize::from(le16(header, 28)?), usize::from(le16(header, 30)?), usize::from(le16(header, 32)?));
    let mut entry = Entry {
        central_name: Some(part(octets, at.checked_add(46)?, name)),
        local_name: None,
        flags: le16(header, 8)?,
        method: le16(header, 10)?,
        time: le16(header, 12)?,
        crc: le32(header, 16)?,
        packed: u64::from(le32(header, 20)?),
        size: u64::from(le32(header, 24)?),
        header: 0,
        start: 0,
        extra: part(octets, at.checked_add(46 + name)?, extra),
        is_link: le32(header, 38)? >> 28 == 0xa,
    };
    let mut offset = u64::from(le32(header, 42)?);
    zip64(&entry.extra.clone(), &mut entry.size, &mut entry.packed, Some(&mut offset));
    entry.header = usize::try_from(offset).ok()?.checked_add(shift)?;
    if let Some(local) = local(octets, entry.header) {
        entry.local_name = local.local_name;
        entry.start = local.start;
        if entry.method == 99 && entry.extra.is_empty() {
            entry.extra = local.extra;
        }
    } else {
        // No local header: some programs don't look at it.
        entry.start = entry.header.checked_add(30 + name)?;
    }
    Some((entry, at.checked_add(46 + name + extra + comment)?))
}

fn local(octets: &Bytes, at: usize) -> Option<Entry> {
    let header = octets.get(at..)?;
    if !header.starts_with(b"PK\x03\x04") {
        return None;
    }
    let (name, extra) = (usize::from(le16(header, 26)?), usize::from(le16(header, 28)?));
    let mut entry = Entry {
        central_name: None,
        local_name: Some(part(octets, at + 30, name)),
        flags: le16(header, 6)?,
        method: le16(header, 8)?,
        time: le16(header, 10)?,
        crc: le32(header, 14)?,
        packed: u64::from(le32(header, 18)?),
        size: u64::from(le32(header, 22)?),
        header: at,
        start: at + 30 + name + extra,
        extra: part(octets, at + 30 + name, extra),
        is_link: false,
    };
    zip64(&entry.extra.clone(), &mut entry.size, &mut entry.packed, None);
    Some(entry)
}

fn part(octets: &Bytes, at: usize, length: usize) -> Bytes {
    let at = at.min(octets.len());
    octets.slice(at..at.saturating_add(length).min(octets.len()))
}

/// The extra field 0x0001 has what doesn't fit, in a fixed order.
fn zip64(extra: &[u8], size: &mut u64, packed: &mut u64, offset: Option<&mut u64>) {
    let Some(field) = extra_field(extra, 1) else { return };
    let mut here = 0;
    for value in [Some(size), Some(packed), offset].into_iter().flatten() {
        if *value == u64::from(u32::MAX) {
            let Some(long) = le64(field, here) else { return };
            *value = long;
            here += 8;
        }
    }
}

pub fn extra_field(extra: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut here = 0;
    loop {
        let (id, length) = (le16(extra, here)?, usize::from(le16(extra, here + 2)?));
        if id == wanted {
            return slice(extra, here + 4, length);
        }
        here += 4 + length;
    }
}

/// Local headers outside of all entries that a directory names: what a program finds that reads from the front.
/// Whether there is more than can be read.
fn hidden(octets: &Bytes, entries: &mut Vec<Entry>, is_ambiguous: &mut bool, no_directory: bool) -> bool {
    let mut covered: Vec<(usize, usize)> = entries.iter().map(|entry| (entry.header, end_of(entry))).collect();
    covered.sort_unstable();
    let mut covered = covered.into_iter().peekable();
    let mut reach = 0;
    for at in memmem::find_iter(octets, b"PK\x03\x04") {
        while let Some(&(start, end)) = covered.peek() {
            if start > at {
                break;
            }
            reach = reach.max(end);
            covered.next();
        }
        if at < reach {
            continue;
        }
        let Some(mut entry) = local(octets, at).filter(is_plausible) else { continue };
        if entries.len() >= MAX_ENTRIES {
            return true;
        }
        if entry.flags & 8 != 0 && entry.packed == 0 {
            entry.packed = length_by_descriptor(octets, entry.start) as u64;
        }
        reach = reach.max(end_of(&entry));
        *is_ambiguous |= !no_directory;
        entries.push(entry);
    }
    false
}

fn end_of(entry: &Entry) -> usize {
    entry.start.saturating_add(usize::try_from(entry.packed).unwrap_or(usize::MAX))
}

fn is_plausible(entry: &Entry) -> bool {
    let name = entry.local_name.as_deref().unwrap_or_default();
    let known = matches!(entry.method, 0..=6 | 8 | 9 | 12 | 14 | 18 | 19 | 20 | 93..=99);
    known && !name.is_empty() && name.len() < 1_024 && !name.iter().any(|&octet| octet < 32)
}

/// The content ends at its descriptor, or before the next header.
fn length_by_descriptor(octets: &[u8], start: usize) -> usize {
    let rest = octets.get(start..).unwrap_or_default();
    let marks = memmem::find_iter(rest, b"PK").find(|&at| {
        matches!(up_to(rest, at + 2, 2), b"\x07\x08" | b"\x03\x04" | b"\x01\x02")
            && (up_to(rest, at + 2, 2) != b"\x07\x08" || at32(rest, at + 8) == Some(at))
    });
    marks.unwrap_or(rest.len())
}

/// Whether contents lie on one another.
fn overlaps(entries: &[Entry]) -> bool {
    let mut spans: Vec<(usize, usize)> =
        entries.iter().filter(|entry| entry.packed > 0).map(|entry| (entry.start, end_of(entry))).collect();
    spans.sort_unstable();
    spans.windows(2).any(|pair| matches!(pair, [(_, end), (start, _)] if end > start))
}

/// Whether the archive is a document or a program, by the names in it.
pub fn form_of(entries: &[Entry]) -> Option<(FileKind, &'static str)> {
    let has = |wanted: &str| {
        entries.iter().any(|entry| {
            let name = entry.central_name.as_deref().or(entry.local_name.as_deref()).unwrap_or_default();
            name.len() >= wanted.len() && up_to(name, 0, wanted.len()).eq_ignore_ascii_case(wanted.as_bytes())
        })
    };
    if has("[content_types].xml") || has("_rels/.rels") {
        let format = [
            ("word/", "docx"),
            ("xl/", "xlsx"),
            ("ppt/", "pptx"),
            ("visio/", "vsdx"),
            ("documents/", "xps"),
            ("appxmanifest.xml", "msix"),
        ]
        .into_iter()
        .find(|(folder, _)| has(folder));
        return format.map(|(_, format)| (FileKind::Ooxml, format));
    }
    if has("word/document") || has("xl/workbook") {
        return Some((FileKind::Ooxml, if has("xl/") { "xlsx" } else { "docx" }));
    }
    if has("androidmanifest.xml") {
        return Some((FileKind::Java, "apk"));
    }
    if has("meta-inf/manifest.mf") {
        let classes = entries.iter().any(|entry| {
            entry.central_name.as_deref().or(entry.local_name.as_deref()).is_some_and(|name| name.ends_with(b".class"))
        });
        if classes {
            return Some((FileKind::Java, "jar"));
        }
    }
    if has("content.xml") && has("mimetype") {
        return Some((FileKind::OpenDocument, "odf"));
    }
    None
}

impl Unpacked {
    /// A slice of its container, which costs nothing.
    pub fn whole(octets: Bytes) -> Self {
        Self { octets, is_cut: false, is_broken: false }
    }
}
