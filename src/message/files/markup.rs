//! HTML, SVG and HTA files: script, forms for passwords, and files that a script makes out of its own text (HTML smuggling).
//!
//! **Failure**: what isn't found is not noted: a script can hide anything, which is why [`Trait::Script`] alone counts. What isn't
//! looked at is.
//! **Invariants**: linear; at most [`MAX_PAYLOADS`] files are taken out.

use bytes::Bytes;

use super::encoded::{base64, text_of};
use super::octets::{at32, contains_ignoring_case, slice, up_to};
use super::walk::{Met, Unpacked, Walk};
use super::{is_container, kind};
use crate::message::specimen::{FileKind, Trait};
use crate::model::finding::Reason;

/// Files taken out of one document.
const MAX_PAYLOADS: usize = 16;
/// Shorter runs of base64 hold no file worth a look.
const MIN_PAYLOAD: usize = 200;
/// Shorter ones are no piece of a file that a script joins.
const MIN_PIECE: usize = 40;
/// Octets of a document that are read as text.
const MAX_TEXT: usize = 4 << 20;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes, format: &str) {
    if octets.len() > MAX_TEXT {
        walk.note(Reason::Bytes, at);
    }
    let signs = walk.markup(&text_of(up_to(octets, 0, MAX_TEXT)));
    let script = signs.scripts
        || contains_ignoring_case(octets, b"javascript:")
        || contains_ignoring_case(octets, b"<foreignobject");
    if script || matches!(format, "hta" | "wsf") {
        walk.mark(at, Trait::Script);
    }
    if signs.password_field {
        walk.mark(at, Trait::PasswordForm);
    }
    if signs.smuggling {
        walk.mark(at, Trait::Smuggling);
    }
    payloads(walk, at, octets, script);
}

/// Long runs of base64 and of percent-encoding that turn out to be files, and short ones that a script joins to one.
fn payloads(walk: &mut Walk<'_>, at: usize, octets: &Bytes, script: bool) {
    let mut found = 0;
    let mut pieces: Vec<u8> = Vec::new();
    let is_base64 = |octet: &u8| {
        octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=' | b'-' | b'_' | b'%' | b'\r' | b'\n')
    };
    for run in octets.split(|octet| !is_base64(octet)) {
        if run.len() < MIN_PAYLOAD {
            // The first of them begins as a file does; where it doesn't, they are words.
            if script && run.len() >= MIN_PIECE && (!pieces.is_empty() || is_joined(&base64(run))) {
                pieces.extend_from_slice(run);
            }
            continue;
        }
        if walk.is_spent(at) {
            return;
        }
        let percents = run.iter().filter(|&&octet| octet == b'%').count();
        let file = if percents * 4 > run.len() { percent_decoded(run) } else { base64(run) };
        let form = kind::of(up_to(&file, 0, 8_192), "");
        let is_file =
            is_container(form) || matches!(form.0, FileKind::Executable | FileKind::Shortcut | FileKind::Script);
        let is_worth = match form.0 {
            FileKind::Compressed => matches!(form.1, "gz" | "xz" | "zst"),
            _ => is_file,
        };
        if !is_worth {
            continue;
        }
        if found >= MAX_PAYLOADS {
            return walk.note(Reason::Count, at);
        }
        if !walk.account(at, file.len() as u64) {
            return;
        }
        found += 1;
        if script {
            walk.mark(at, Trait::Smuggling);
        }
        let name = format!("payload.{found}");
        walk.inside_unpacked(at, Unpacked::whole(file.into()), Met::new(name, Bytes::new()));
    }
    let file = base64(&pieces);
    drop(pieces);
    if !file.is_empty() && is_plausible(&file) && !walk.is_spent(at) && walk.account(at, file.len() as u64) {
        walk.mark(at, Trait::Smuggling);
        walk.inside_unpacked(at, Unpacked::whole(file.into()), Met::new("payload.joined", Bytes::new()));
    }
}

/// What pages are made to smuggle: programs and archives. Others are too easily begun by chance.
fn is_joined(file: &[u8]) -> bool {
    let form = kind::of(file, "");
    let is_packed = form.0 == FileKind::Archive && matches!(form.1, "zip" | "rar" | "7z" | "cab" | "iso")
        || matches!(form.1, "gz" | "ole" | "one" | "pdf" | "lnk" | "rtf");
    is_packed || form.0 == FileKind::Executable
}

/// Whether what begins like a program goes on like one: the two letters of DOS alone begin every 65,536th word. Its header is
/// mostly noughts, or names where that of Windows is.
fn is_plausible(file: &[u8]) -> bool {
    let noughts = up_to(file, 0, 30).iter().filter(|&&octet| octet == 0).count();
    let of_windows = || at32(file, 0x3c).is_some_and(|at| slice(file, at, 4) == Some(b"PE\0\0"));
    !file.starts_with(b"MZ") || noughts >= 8 || of_windows()
}

pub fn percent_decoded(run: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(run.len() / 3);
    let mut rest = run;
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code {
            Some(octet) => {
                out.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}
