//! The layout of programs that signatures refer to: entry point, sections and version information of PE, entry point of ELF.
//!
//! **Failure**: what is damaged has no layout. **Invariants**: at most [`MAX_SECTIONS`] sections; every offset is checked.

use std::ops::Range;

pub const MAX_SECTIONS: usize = 96;
/// Entries of the resource tree that are looked at.
const MAX_RESOURCES: usize = 2_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Offset in the file.
    pub entry: Option<usize>,
    /// Of each section in the file.
    pub sections: Vec<Range<usize>>,
    /// Version information.
    pub version: Vec<Range<usize>>,
}

/// Little-endian numbers at offsets.
struct At<'o>(&'o [u8]);

impl At<'_> {
    fn u16(&self, at: usize) -> Option<usize> {
        self.0.get(at..)?.first_chunk().map(|octets| usize::from(u16::from_le_bytes(*octets)))
    }

    fn u32(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?)).ok()
    }
}

struct Section {
    address: usize,
    size: usize,
    file: Range<usize>,
}

/// Of a PE program.
#[must_use]
pub fn pe(octets: &[u8]) -> Option<Layout> {
    let at = At(octets);
    let header = octets.starts_with(b"MZ").then(|| at.u32(0x3c)).flatten()?;
    if octets.get(header..)?.get(..4)? != b"PE\0\0" {
        return None;
    }
    let count = at.u16(header + 6)?.min(MAX_SECTIONS);
    let optional = header + 24;
    let table = optional + at.u16(header + 20)?;
    let is_64 = at.u16(optional)? == 0x20b;
    let entry = at.u32(optional + 16)?;
    let mut sections = Vec::with_capacity(count);
    for number in 0..count {
        let row = table + number * 40;
        let (Some(virtual_size), Some(address)) = (at.u32(row + 8), at.u32(row + 12)) else { break };
        let (Some(size), Some(offset)) = (at.u32(row + 16), at.u32(row + 20)) else { break };
        let start = (offset & !0x1ff).min(octets.len());
        let end = start.saturating_add(size).min(octets.len());
        sections.push(Section { address, size: virtual_size.max(size), file: start..end });
    }
    let in_file = |address: usize| {
        let within = |section: &&Section| address >= section.address && address - section.address < section.size;
        let section = sections.iter().find(within)?;
        section.file.start.checked_add(address - section.address).filter(|offset| *offset < octets.len())
    };
    let first = sections.iter().map(|section| section.address).min().unwrap_or(0);
    let entry = if entry < first { Some(entry) } else { in_file(entry) };
    let resources = at.u32(optional + if is_64 { 128 } else { 112 }).and_then(in_file);
    let version = resources.map(|base| versions(&at, base, &in_file)).unwrap_or_default();
    Some(Layout { entry, sections: sections.into_iter().map(|section| section.file).collect(), version })
}

/// The data of all resources of type 16.
fn versions(at: &At<'_>, base: usize, in_file: &dyn Fn(usize) -> Option<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut looked = 0;
    // Directories: of types, of names, of languages.
    let mut waiting = vec![(base, 0)];
    while let Some((directory, level)) = waiting.pop() {
        let named = at.u16(directory + 12).unwrap_or(0);
        let numbered = at.u16(directory + 14).unwrap_or(0);
        for number in 0..named + numbered {
            looked += 1;
            if looked > MAX_RESOURCES {
                return found;
            }
            let entry = directory + 16 + number * 8;
            let (Some(id), Some(target)) = (at.u32(entry), at.u32(entry + 4)) else { break };
            if level == 0 && id != 16 {
                continue;
            }
            let place = base + (target & 0x7fff_ffff);
            if target & 0x8000_0000 != 0 {
                if level < 2 {
                    waiting.push((place, level + 1));
                }
            } else if let (Some(address), Some(size)) = (at.u32(place), at.u32(place + 4))
                && let Some(start) = in_file(address)
            {
                found.push(start..start.saturating_add(size).min(at.0.len()));
            }
        }
    }
    found
}

/// Of an ELF program: the entry point by its loadable segments.
#[must_use]
pub fn elf(octets: &[u8]) -> Option<Layout> {
    let at = At(octets);
    if !octets.starts_with(b"\x7fELF") || octets.get(5) != Some(&1) {
        return None;
    }
    let is_64 = octets.get(4) == Some(&2);
    // Only the low half of 64-bit numbers: files are smaller.
    let (entry, table, row, count) = if is_64 {
        (at.u32(24)?, at.u32(32)?, at.u16(54)?, at.u16(56)?)
    } else {
        (at.u32(24)?, at.u32(28)?, at.u16(42)?, at.u16(44)?)
    };
    let mut found = None;
    for number in 0..count.min(MAX_SECTIONS) {
        let place = table.checked_add(number.checked_mul(row)?)?;
        let (offset, address, size) = if is_64 {
            (at.u32(place + 8)?, at.u32(place + 16)?, at.u32(place + 32)?)
        } else {
            (at.u32(place + 4)?, at.u32(place + 8)?, at.u32(place + 16)?)
        };
        if at.u32(place)? == 1 && entry >= address && entry - address < size {
            found = Some(offset + (entry - address)).filter(|entry| *entry < octets.len());
        }
    }
    Some(Layout { entry: found, ..Layout::default() })
}
