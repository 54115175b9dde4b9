//! Spreadsheets: BIFF ([MS-XLS] section 2.1.4) and SYLK: macro sheets, names that run, links that start programs, text.
//!
//! **Failure**: a record that is cut off ends the reading; a password is noted.

use super::names;
use super::octets::{byte, contains_ignoring_case, le16, slice, up_to, utf16le};
use super::walk::Walk;
use crate::message::specimen::{Lock, Trait};

const FILEPASS: u16 = 0x002f;
const BOUNDSHEET: u16 = 0x0085;
const NAME: u16 = 0x0018;
const SUPBOOK: u16 = 0x01ae;
const EXTERNNAME: u16 = 0x0023;
const SST: u16 = 0x00fc;
const CONTINUE: u16 = 0x003c;
const LABEL: u16 = 0x0204;
const HLINK: u16 = 0x01b8;
const STRING: u16 = 0x0207;

/// Octets of text that are kept.
const MAX_TEXT: usize = 1 << 20;

pub fn open_biff(walk: &mut Walk<'_>, at: usize, octets: &[u8]) {
    let mut here = 0;
    let mut last = 0;
    let mut text = String::new();
    while let (Some(kind), Some(length)) = (le16(octets, here), le16(octets, here + 2)) {
        let data = up_to(octets, here + 4, usize::from(length));
        here += 4 + usize::from(length);
        match kind {
            // What follows is noise.
            FILEPASS => return walk.lock(at, Lock::Closed),
            // Kind 1: a sheet of Excel 4.0 macros.
            BOUNDSHEET if byte(data, 5) == Some(1) => walk.mark_document(at, Trait::Xlm),
            NAME => name(walk, at, data),
            SUPBOOK => {
                let target = unicode(data.get(2..).unwrap_or_default());
                supbook(walk, at, &target);
            }
            // Bit 1: it keeps itself up to date.
            EXTERNNAME if le16(data, 0).unwrap_or(0) & 2 != 0 => walk.mark_document(at, Trait::ExternalLink),
            HLINK => walk.links_of(&utf16le(data)),
            SST | LABEL | STRING => text.push_str(&readable(data)),
            CONTINUE if last == SST => text.push_str(&readable(data)),
            _ => {}
        }
        if kind != CONTINUE {
            last = kind;
        }
        if text.len() > MAX_TEXT || walk.is_spent(at) {
            break;
        }
    }
    walk.text(text);
}

/// A defined name; the built-in 1 is `Auto_Open`, 2 `Auto_Close`.
fn name(walk: &mut Walk<'_>, at: usize, data: &[u8]) {
    let flags = le16(data, 0).unwrap_or(0);
    let is_built_in = flags & 0x20 != 0;
    let start = data.get(14..).unwrap_or_default();
    // BIFF8 has an octet of flags in front of the characters.
    let code = if byte(start, 0) == Some(0) { byte(start, 1) } else { byte(start, 0) };
    let is_automatic = is_built_in && matches!(code, Some(1 | 2))
        || contains_ignoring_case(start, b"auto_open")
        || contains_ignoring_case(start, b"auto_close");
    if is_automatic {
        walk.mark_document(at, Trait::Xlm);
        walk.mark_document(at, Trait::AutoMacros);
    }
}

/// Another book, or a program and its topic with `\x03` between them (DDE and OLE links).
fn supbook(walk: &mut Walk<'_>, at: usize, target: &str) {
    if let Some((program, _)) = target.split_once('\u{3}') {
        let lower = program.to_lowercase();
        let dde = ["cmd", "powershell", "mshta", "msexcel", "rundll", "regsvr", "wscript", "cscript", "certutil"]
            .iter()
            .any(|word| lower.contains(word));
        walk.mark_document(at, if dde || !program.contains('.') { Trait::Dde } else { Trait::ExternalLink });
    } else if target.to_lowercase().contains("http") {
        walk.mark_document(at, Trait::ExternalLink);
        walk.links_of(target);
    }
}

/// A string with its count of characters and an octet that says how wide they are.
fn unicode(data: &[u8]) -> String {
    let count = usize::from(le16(data, 0).unwrap_or(0));
    match byte(data, 2) {
        Some(flags) if flags & 1 != 0 => utf16le(up_to(data, 3, 2 * count)),
        _ => names::decoded_text(up_to(data, 3, count)),
    }
}

/// The strings of a record, without reading their formats.
fn readable(data: &[u8]) -> String {
    super::ole::runs(data)
}

/// SYLK: cells as text; `E` formulas may be macros.
pub fn open_slk(walk: &mut Walk<'_>, at: usize, octets: &[u8]) {
    let mut text = String::new();
    for line in octets.split(|&octet| matches!(octet, b'\n' | b'\r')).take(100_000) {
        if line.starts_with(b"O;E") || line.windows(2).any(|pair| pair == b";E") && line.starts_with(b"O;") {
            walk.mark(at, Trait::Xlm);
        }
        if line.starts_with(b"NN;") && contains_ignoring_case(line, b"auto_open") {
            walk.mark(at, Trait::Xlm);
            walk.mark(at, Trait::AutoMacros);
        }
        if line.starts_with(b"C;") && text.len() < MAX_TEXT {
            text.push_str(&names::decoded_text(line));
            text.push('\n');
            if is_dde(line) {
                walk.mark(at, Trait::Dde);
            }
        }
    }
    walk.text(text);
}

/// The same for the cell of a table as text, where it must begin like a formula.
pub fn is_formula_dde(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii_start();
    let cell = cell.strip_prefix(b"\"").unwrap_or(cell);
    cell.first().is_some_and(|first| matches!(first, b'=' | b'+' | b'-' | b'@')) && is_dde(cell)
}

/// `=cmd|'/c calc'!A0`: a formula that starts a program.
pub fn is_dde(cell: &[u8]) -> bool {
    let Some(bar) = memchr::memchr(b'|', cell) else { return false };
    let Some(rest) = cell.get(bar..) else { return false };
    let program = slice(cell, 0, bar).unwrap_or_default();
    let word = program.rsplit(|octet| !octet.is_ascii_alphanumeric() && *octet != b'.').next().unwrap_or_default();
    let starts = [
        &b"cmd"[..],
        b"cmd.exe",
        b"powershell",
        b"mshta",
        b"msexcel",
        b"rundll32",
        b"regsvr32",
        b"wscript",
        b"certutil",
    ];
    rest.contains(&b'!') && starts.iter().any(|one| word.eq_ignore_ascii_case(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_that_start_programs_are_seen() {
        assert!(is_dde(b"=cmd|'/c calc'!A0"));
        assert!(is_dde(b"@SUM(1+1)*CMD|' /C calc'!A0"));
        assert!(!is_dde(b"a|b!c"));
    }
}
