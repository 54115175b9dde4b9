//! OneNote sections: the files embedded in them ([MS-ONESTORE] section 2.6.13), found by their mark.
//!
//! **Failure**: a file that is cut off is looked at as far as it goes.

use bytes::Bytes;
use memchr::memmem;

use super::octets::{le64, up_to, utf16le};
use super::walk::{Met, Walk};
use crate::message::specimen::Trait;

/// `{BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}` as it is stored.
const FILE_DATA: &[u8] = b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";
/// Between the length and the data: unused, reserved.
const GAP: usize = 12;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let names = names_in(octets);
    for (index, mark) in memmem::find_iter(octets, FILE_DATA).enumerate() {
        if walk.is_spent(at) {
            return;
        }
        let Some(length) = le64(octets, mark + 16).and_then(|length| usize::try_from(length).ok()) else { continue };
        let start = (mark + 16 + 8 + GAP).min(octets.len());
        let content = octets.slice(start..start.saturating_add(length).min(octets.len()));
        if !content.is_empty() {
            walk.mark(at, Trait::EmbeddedObject);
            let name = names.get(index).cloned().unwrap_or_else(|| format!("embedded.{}", index + 1));
            walk.inside(at, Met::new(name, content));
        }
    }
}

/// Names with an extension behind the marker that OneNote shows them under; not surely in the order of the files.
fn names_in(octets: &[u8]) -> Vec<String> {
    let mark: Vec<u8> = "<ifndf>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    memmem::find_iter(octets, &mark)
        .take(64)
        .filter_map(|at| {
            let before = utf16le(up_to(octets, at.saturating_sub(512), 512.min(at)));
            let name: String =
                before.chars().rev().take_while(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER).collect();
            let name: String = name.chars().rev().collect();
            (name.len() > 3 && name.contains('.')).then_some(name)
        })
        .collect()
}
