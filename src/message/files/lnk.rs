//! Shortcuts of Windows ([MS-SHLLINK]): what they start, as text, and what hides behind them.
//!
//! **Failure**: a shortcut that is cut off is noted as damaged.

use bytes::Bytes;

use super::names;
use super::octets::{at32, le16, le32, slice, utf16le};
use super::walk::Walk;
use crate::message::specimen::Trait;
use crate::model::finding::Reason;

const HAS_ID_LIST: u32 = 1;
const HAS_LINK_INFO: u32 = 2;
/// Name, relative path, working folder, arguments, icon: one bit each, from this one on.
const FIRST_STRING: u32 = 4;
const IS_UNICODE: u32 = 0x80;
/// Honest shortcuts have a few kilobytes.
const USUAL_SIZE: usize = 64 << 10;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let Some(strings) = strings(octets) else { return walk.note(Reason::Malformed, at) };
    let text = strings.join("\n");
    let lower = text.to_lowercase();
    let starts = [
        "powershell",
        "cmd",
        "mshta",
        "wscript",
        "cscript",
        "rundll32",
        "regsvr32",
        "http",
        "certutil",
        "msiexec",
        "\\\\",
        "forfiles",
        "conhost",
    ];
    if starts.iter().any(|word| lower.contains(word)) || octets.len() > USUAL_SIZE {
        walk.mark(at, Trait::Launch);
    }
    walk.text(text);
}

fn strings(octets: &[u8]) -> Option<Vec<String>> {
    let flags = le32(octets, 20)?;
    let mut here = 76;
    if flags & HAS_ID_LIST != 0 {
        here += 2 + usize::from(le16(octets, here)?);
    }
    if flags & HAS_LINK_INFO != 0 {
        here += at32(octets, here)?;
    }
    let mut strings = Vec::new();
    for bit in 0..5 {
        if flags & (FIRST_STRING << bit) == 0 {
            continue;
        }
        let count = usize::from(le16(octets, here)?);
        let length = if flags & IS_UNICODE != 0 { 2 * count } else { count };
        let raw = slice(octets, here + 2, length)?;
        strings.push(if flags & IS_UNICODE != 0 { utf16le(raw) } else { names::decoded_text(raw) });
        here += 2 + length;
    }
    Some(strings)
}
