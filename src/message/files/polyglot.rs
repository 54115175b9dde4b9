//! Archives behind or inside something else: self-extracting programs, pictures with an archive at the end.
//!
//! **Failure**: what looks like an archive and isn't is passed over in silence; only proven signatures are opened.
//! **Invariants**: linear; a bounded number of candidates is proven.

use bytes::Bytes;
use memchr::memmem;

use super::kind::Form;
use super::octets::{at32, le16, le32, slice};
use super::walk::{Met, Walk};
use crate::message::specimen::{FileKind, Trait};

/// Candidates that are proven, for each format.
const MAX_CANDIDATES: usize = 256;
const PROGRAM: &str = "embedded.exe";
/// Archives that are opened in one file.
const MAX_FOUND: usize = 4;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes, (kind, format): Form) {
    let may_have = match kind {
        FileKind::Executable
        | FileKind::Image
        | FileKind::Audio
        | FileKind::Unknown
        | FileKind::Shortcut
        | FileKind::OneNote
        | FileKind::Pdf
        | FileKind::Html
        | FileKind::Text
        | FileKind::Script => true,
        FileKind::Compressed => format == "gz",
        _ => false,
    };
    // Found at the very beginning it would have been taken for what it is.
    if !may_have || octets.len() < 64 {
        return;
    }
    let mut found: Vec<(usize, &'static str)> = Vec::new();
    if let Some(start) = zip(octets) {
        found.push((start, "embedded.zip"));
    }
    found.extend(proven(octets, b"Rar!\x1a\x07", |_| true).map(|start| (start, "embedded.rar")));
    found.extend(proven(octets, b"7z\xbc\xaf\x27\x1c\0", is_seven).map(|start| (start, "embedded.7z")));
    found.extend(proven(octets, b"MSCF\0\0\0\0", is_cabinet).map(|start| (start, "embedded.cab")));
    found.extend(proven(octets, b"\x60\xea", is_arj).map(|start| (start, "embedded.arj")));
    if kind != FileKind::Executable {
        found.extend(proven(octets, b"MZ", is_program).map(|start| (start, PROGRAM)));
    }
    found.retain(|&(start, _)| start > 0);
    if found.is_empty() {
        return;
    }
    // A program that unpacks itself is no disguise, a picture is. Documents may hold files as they are.
    match kind {
        FileKind::Image | FileKind::Audio => walk.mark(at, Trait::Ambiguous),
        FileKind::OneNote => walk.mark(at, Trait::EmbeddedObject),
        _ => {}
    }
    for (start, name) in found {
        let end = if name == PROGRAM { octets.get(start..).and_then(program_size) } else { None };
        let end = end.map_or(octets.len(), |size| start.saturating_add(size).min(octets.len()));
        walk.inside(at, Met::new(name, octets.slice(start..end)));
    }
}

fn proven<'o>(octets: &'o [u8], magic: &'o [u8], is_real: fn(&[u8]) -> bool) -> impl Iterator<Item = usize> + 'o {
    memmem::find_iter(octets, magic)
        .take(MAX_CANDIDATES)
        .filter(move |&at| octets.get(at..).is_some_and(is_real))
        .take(MAX_FOUND)
}

/// The first local header, if there is a directory with its end record.
fn zip(octets: &[u8]) -> Option<usize> {
    let end = memmem::rfind(octets, b"PK\x05\x06")?;
    let size = at32(octets, end + 12)?;
    let directory = end.checked_sub(size)?;
    if slice(octets, directory, 4) != Some(b"PK\x01\x02") {
        return None;
    }
    memmem::find(octets, b"PK\x03\x04").or(Some(directory))
}

fn is_seven(octets: &[u8]) -> bool {
    let (Some(told), Some(header)) = (le32(octets, 8), slice(octets, 12, 20)) else { return false };
    crc32(header) == told
}

fn is_cabinet(octets: &[u8]) -> bool {
    slice(octets, 24, 2) == Some(&[3, 1]) && at32(octets, 8).is_some_and(|size| size >= 36 && size <= octets.len())
}

fn is_arj(octets: &[u8]) -> bool {
    let Some(size) = le16(octets, 2).map(usize::from).filter(|size| (30..2_600).contains(size)) else { return false };
    let (Some(header), Some(told)) = (slice(octets, 4, size), le32(octets, 4 + size)) else { return false };
    crc32(header) == told
}

/// The offset in its header leads to the second header.
fn is_program(octets: &[u8]) -> bool {
    let Some(second) = at32(octets, 0x3c).filter(|at| (0x40..0x1000).contains(at)) else { return false };
    slice(octets, second, 4) == Some(b"PE\0\0")
        && le16(octets, second + 4).is_some_and(|machine| matches!(machine, 0x014c | 0x8664 | 0xaa64 | 0x01c0 | 0x01c4))
}

/// Where its last section ends.
fn program_size(octets: &[u8]) -> Option<usize> {
    let second = at32(octets, 0x3c)?;
    let sections = usize::from(le16(octets, second.checked_add(6)?)?).min(96);
    let first = second.checked_add(24)?.checked_add(usize::from(le16(octets, second.checked_add(20)?)?))?;
    let ends = (0..sections).filter_map(|index| {
        let section = first.checked_add(40 * index)?;
        at32(octets, section + 16)?.checked_add(at32(octets, section + 20)?)
    });
    ends.max().filter(|&end| end > second)
}

fn crc32(octets: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(octets);
    sum.sum()
}
