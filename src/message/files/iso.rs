//! ISO 9660 with Joliet and Rock Ridge names. Contents are slices of the image and cost no memory.
//!
//! **Failure**: an image that holds an UDF tree too is noted `unsupported`: Windows shows that tree, and it may be another one.
//! **Invariants**: iterative; each directory is read once, whatever points at it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bytes::Bytes;

use super::names;
use super::octets::{at32, byte, slice, up_to, utf16be};
use super::walk::{Met, Unpacked, Walk};
use crate::model::finding::Reason;

const SECTOR: usize = 2_048;
/// Directories and files that are read.
const MAX_ENTRIES: usize = 20_000;

/// A content's place, and all its names.
type Files = BTreeMap<(usize, usize), File>;

#[derive(Default)]
struct File {
    names: Vec<Box<str>>,
    /// Of a file in several pieces: those behind the first.
    more: Vec<(usize, usize)>,
}

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut files = Files::new();
    let mut count = 0;
    // Raw images have sectors of another size; programs that mount them don't take these.
    for sector in 16..64_usize {
        let Some(descriptor) = slice(octets, sector * SECTOR, SECTOR) else { break };
        match slice(descriptor, 1, 5) {
            Some(b"CD001") => {}
            Some(b"NSR02" | b"NSR03") => walk.note(Reason::Unsupported, at),
            Some(b"BEA01" | b"TEA01" | b"BOOT2") => continue,
            _ => break,
        }
        let kind = byte(descriptor, 0).unwrap_or(255);
        let joliet = kind == 2 && matches!(up_to(descriptor, 88, 3), b"%/@" | b"%/C" | b"%/E");
        if kind == 1 || kind == 2 {
            tree(walk, at, octets, up_to(descriptor, 156, 34), joliet, &mut files, &mut count);
        }
    }
    if count >= MAX_ENTRIES {
        walk.note(Reason::Count, at);
    }
    if files.is_empty() && count == 0 {
        walk.note(Reason::Malformed, at);
    }
    for ((start, length), file) in files {
        if walk.is_spent(at) {
            return;
        }
        let piece = |start: usize, length: usize| {
            octets.slice(start.min(octets.len())..start.saturating_add(length).min(octets.len()))
        };
        let first = piece(start, length);
        if first.len() < length {
            walk.note_in(Reason::Malformed, at, file.names.first().map_or("", |name| name));
        }
        let met = Met { names: file.names, ..Met::default() };
        let adjacent =
            file.more.iter().try_fold(start + length, |end, &(start, length)| (start == end).then_some(start + length));
        match adjacent {
            Some(end) => walk.inside_unpacked(
                at,
                Unpacked::whole(octets.slice(start.min(octets.len())..end.min(octets.len()))),
                met,
            ),
            None => {
                let pieces: Vec<Bytes> = file.more.iter().map(|&(start, length)| piece(start, length)).collect();
                let mut reader = Pieces { first, rest: pieces.into_iter() };
                walk.unpack_inside(at, octets.len() as u64, 0, met, &mut reader);
            }
        }
    }
}

/// A file whose pieces lie apart.
struct Pieces {
    first: Bytes,
    rest: std::vec::IntoIter<Bytes>,
}

impl std::io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.first.is_empty() {
            match self.rest.next() {
                Some(next) => self.first = next,
                None => return Ok(0),
            }
        }
        let taken = self.first.split_to(self.first.len().min(buffer.len()));
        if let Some(to) = buffer.get_mut(..taken.len()) {
            to.copy_from_slice(&taken);
        }
        Ok(taken.len())
    }
}

fn tree(
    walk: &mut Walk<'_>,
    at: usize,
    octets: &Bytes,
    root: &[u8],
    joliet: bool,
    files: &mut Files,
    count: &mut usize,
) {
    let Some(root) = extent(root) else { return walk.note(Reason::Malformed, at) };
    let mut open = vec![(root, String::new())];
    let mut known = BTreeSet::from([root.0]);
    while let Some(((start, length), folder)) = open.pop() {
        let directory = up_to(octets, start, length);
        let mut here = 0;
        // A file in several pieces: its first.
        let mut begun: Option<(usize, usize)> = None;
        while here < directory.len() {
            if *count >= MAX_ENTRIES || walk.is_spent(at) {
                return;
            }
            let size = usize::from(byte(directory, here).unwrap_or(0));
            if size == 0 {
                // Records don't cross sectors.
                here = (here / SECTOR + 1) * SECTOR;
                continue;
            }
            let Some(record) = slice(directory, here, size) else { break };
            here += size;
            *count += 1;
            let (Some(place), Some(flags)) = (extent(record), byte(record, 25)) else { continue };
            let Some(name) = name_of(record, joliet) else { continue };
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if flags & 2 != 0 {
                if known.insert(place.0) {
                    open.push((place, path));
                }
                continue;
            }
            if place.1 == 0 {
                continue;
            }
            match begun {
                Some(first) => {
                    if let Some(file) = files.get_mut(&first)
                        && !file.more.contains(&place)
                        && file.more.len() < 4_096
                    {
                        file.more.push(place);
                    }
                }
                None => {
                    let file = files.entry(place).or_default();
                    if file.names.len() < 8 {
                        file.names.push(path.into());
                    }
                }
            }
            begun = (flags & 0x80 != 0).then_some(begun.unwrap_or(place));
        }
    }
}

/// Where a record's content is, in octets.
fn extent(record: &[u8]) -> Option<(usize, usize)> {
    let attributes = usize::from(byte(record, 1)?);
    let sector = at32(record, 2)?.checked_add(attributes)?;
    Some((sector.checked_mul(SECTOR)?, at32(record, 10)?))
}

/// `None` for the folder itself and its parent.
fn name_of(record: &[u8], joliet: bool) -> Option<String> {
    let length = usize::from(byte(record, 32)?);
    let raw = slice(record, 33, length)?;
    if matches!(raw, [0 | 1]) {
        return None;
    }
    let name = if joliet {
        utf16be(raw)
    } else {
        rock_ridge(up_to(record, 33 + length + (length + 1) % 2, 255)).unwrap_or_else(|| names::decoded(raw).into())
    };
    // The version behind the semicolon is shown by nobody.
    let name = name.split_once(';').map_or(&*name, |(name, _)| name);
    Some(name.trim_end_matches('.').into())
}

/// The NM entries of the system use area (IEEE P1282 section 4.1.4).
fn rock_ridge(mut area: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    while let Some(length) = byte(area, 2).map(usize::from).filter(|&length| length >= 4) {
        let entry = slice(area, 0, length)?;
        if entry.starts_with(b"NM") {
            name.extend_from_slice(up_to(entry, 5, length));
        }
        area = area.get(length..)?;
    }
    (!name.is_empty()).then(|| names::decoded(&name).into())
}
