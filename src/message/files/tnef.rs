//! TNEF (`winmail.dat`, [MS-OXTNEF]): attachments, messages inside messages, and the body that only Outlook shows.
//!
//! **Failure**: what comes before damage is looked at; more properties than [`MAX_PROPERTIES`] are noted.

use bytes::Bytes;

use super::names;
use super::octets::{at32, le16, le32, slice, until_nul, utf16le};
use super::walk::{Met, Walk};
use crate::model::finding::Reason;

/// Properties of one attribute, and values of one property, that are read.
const MAX_PROPERTIES: u32 = 10_000;

const RENDERING: u32 = 0x0006_9002;
const TITLE: u32 = 0x0006_8010;
const TITLE_OLD: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800f;
const ATTACHMENT_PROPERTIES: u32 = 0x0006_9005;
const MESSAGE_PROPERTIES: u32 = 0x0006_9003;
const BODY: u32 = 0x0002_800c;

/// MAPI properties ([MS-OXPROPS]).
const BODY_TEXT: u16 = 0x1000;
const RTF_COMPRESSED: u16 = 0x1009;
const BODY_HTML: u16 = 0x1013;
const ATTACH_OBJECT: u16 = 0x3701;
const ATTACH_FILENAME: u16 = 0x3704;
const ATTACH_LONG_FILENAME: u16 = 0x3707;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 6;
    let mut attachment = Attachment::default();
    while here + 9 <= octets.len() {
        if walk.is_spent(at) {
            return;
        }
        let (Some(id), Some(length)) = (le32(octets, here + 1), at32(octets, here + 5)) else { break };
        let start = here + 9;
        let Some(data) = slice(octets, start, length) else {
            walk.note(Reason::Malformed, at);
            // The last attachment may still be whole enough.
            if id == DATA {
                attachment.data = Some(octets.slice(start..));
            }
            break;
        };
        match id {
            RENDERING => std::mem::take(&mut attachment).finish(walk, at),
            TITLE | TITLE_OLD => attachment.names.push(names::decoded(until_nul(data))),
            DATA => attachment.data = Some(octets.slice(start..start + length)),
            ATTACHMENT_PROPERTIES => {
                for (id, value) in properties(walk, at, data) {
                    match id {
                        ATTACH_OBJECT => attachment.object = Some(octets.slice_ref(value)),
                        ATTACH_LONG_FILENAME => attachment.names.insert(0, text(value)),
                        ATTACH_FILENAME => attachment.names.push(text(value)),
                        _ => {}
                    }
                }
            }
            MESSAGE_PROPERTIES => body(walk, at, octets, data),
            BODY => walk.text(names::decoded_text(until_nul(data))),
            _ => {}
        }
        here = start + length + 2;
    }
    attachment.finish(walk, at);
}

#[derive(Default)]
struct Attachment {
    names: Vec<Box<str>>,
    data: Option<Bytes>,
    /// A message inside, behind the identifier of its interface.
    object: Option<Bytes>,
}

impl Attachment {
    fn finish(self, walk: &mut Walk<'_>, at: usize) {
        for octets in [self.data, self.object.map(|object| object.slice(16.min(object.len())..))].into_iter().flatten()
        {
            if !octets.is_empty() {
                walk.inside(at, Met { names: self.names.clone(), octets, ..Met::default() });
            }
        }
    }
}

fn body(walk: &mut Walk<'_>, at: usize, octets: &Bytes, data: &[u8]) {
    for (id, value) in properties(walk, at, data) {
        match id {
            BODY_TEXT => walk.text(text(value)),
            BODY_HTML => walk.inside(at, Met::new("body.html", octets.slice_ref(value))),
            RTF_COMPRESSED => {
                if let Some(rtf) = super::lzss::rtf(value) {
                    walk.account(at, rtf.len() as u64);
                    walk.inside(at, Met::new("body.rtf", rtf));
                }
            }
            _ => {}
        }
    }
}

/// A name or text in one octet a character, or UTF-16: the second octet tells.
fn text(value: &[u8]) -> Box<str> {
    if value.len() >= 2 && value.get(1) == Some(&0) && value.first() != Some(&0) {
        return utf16le(value).trim_end_matches('\0').into();
    }
    names::decoded_text(until_nul(value)).into()
}

/// The properties with a value of variable length; the others are passed over.
fn properties<'d>(walk: &mut Walk<'_>, at: usize, data: &'d [u8]) -> Vec<(u16, &'d [u8])> {
    let mut found = Vec::new();
    let mut here = 4;
    for number in 0..le32(data, 0).unwrap_or(0) {
        if number >= MAX_PROPERTIES {
            walk.note(Reason::Count, at);
            break;
        }
        let Some(next) = property(data, here, &mut found) else { break };
        here = next;
        // One property with as many values as there may be properties: what stands behind it isn't read.
        if found.len() >= MAX_PROPERTIES as usize {
            walk.note(Reason::Count, at);
            break;
        }
    }
    found
}

fn property<'d>(data: &'d [u8], at: usize, found: &mut Vec<(u16, &'d [u8])>) -> Option<usize> {
    let (kind, id) = (le16(data, at)?, le16(data, at + 2)?);
    let mut here = at + 4;
    if id >= 0x8000 {
        // Named: an identifier of 16 octets, then a number or a text.
        here += 20;
        here += if le32(data, at + 20)? == 0 { 4 } else { 4 + padded(at32(data, here)?)? };
    }
    let is_many = kind & 0x1000 != 0;
    let fixed = match kind & 0x0fff {
        2 | 3 | 4 | 0x0a | 0x0b => Some(4),
        5 | 6 | 7 | 0x14 | 0x40 => Some(8),
        0x48 => Some(16),
        _ => None,
    };
    let values = if is_many || fixed.is_none() {
        let values = at32(data, here)?;
        here += 4;
        values
    } else {
        1
    };
    for _ in 0..values.min(MAX_PROPERTIES as usize) {
        if let Some(size) = fixed {
            here = here.checked_add(size)?;
            continue;
        }
        let length = at32(data, here)?;
        found.push((id, slice(data, here + 4, length)?));
        here = here.checked_add(4 + padded(length)?)?;
    }
    (here <= data.len()).then_some(here)
}

fn padded(length: usize) -> Option<usize> {
    length.checked_next_multiple_of(4)
}
