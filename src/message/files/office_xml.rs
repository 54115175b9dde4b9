//! Office documents in one XML file: Word 2003, Excel 2003 and the flat package. Binary parts are in base64.
//!
//! **Failure**: XML that isn't well-formed is noted as damaged.

use bytes::Bytes;

use super::encoded::base64;
use super::octets::slice;
use super::walk::{Met, Unpacked, Walk};
use super::xml::{self, Ended, Item};
use crate::message::specimen::Trait;
use crate::model::finding::Reason;

/// Binary parts of one document.
const MAX_BINARIES: usize = 256;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut text = String::new();
    let mut binary = String::new();
    let (mut is_binary, mut is_instruction) = (false, false);
    let mut name = String::new();
    let mut instruction = String::new();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let room = walk.room();
    let ended = xml::read(octets, |item| {
        match item {
            Item::Start(element, attributes) => {
                let of = |name: &str| attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
                match element {
                    "bindata" | "binarydata" | "docoleobjectdata" => {
                        is_binary = true;
                        if !of("name").is_empty() {
                            name = of("name").into();
                        }
                    }
                    "part" => name = of("name").into(),
                    "instrtext" => is_instruction = true,
                    "relationship" if of("targetmode").eq_ignore_ascii_case("external") => {
                        walk.link(of("target"), None)
                    }
                    "p" | "row" => text.push('\n'),
                    _ => {}
                }
                if of("formula").contains('|') && super::spreadsheet::is_dde(of("formula").as_bytes()) {
                    walk.mark(at, Trait::Dde);
                }
                if of("href").contains("://") {
                    walk.link(of("href"), None);
                }
            }
            Item::End(element) => {
                if std::mem::take(&mut is_binary) && files.len() < MAX_BINARIES && (binary.len() as u64) < room {
                    files.push((std::mem::take(&mut name), base64(std::mem::take(&mut binary).as_bytes())));
                }
                is_instruction &= element != "instrtext";
            }
            Item::Text(piece) if is_binary => binary.push_str(piece),
            Item::Text(piece) if is_instruction => instruction.push_str(piece),
            Item::Text(piece) => text.push_str(piece),
        }
        !(walk.time_up)()
    });
    if instruction.to_uppercase().split_whitespace().any(|word| matches!(word.trim_matches('"'), "DDEAUTO" | "DDE")) {
        walk.mark(at, Trait::Dde);
    }
    for (name, file) in files {
        // ActiveMime: an OLE file compressed behind its header.
        if file.starts_with(b"ActiveMime") {
            active_mime(walk, at, name, file.into());
        } else if !file.is_empty() && walk.account(at, file.len() as u64) {
            walk.inside_unpacked(at, Unpacked::whole(file.into()), Met::new(name, Bytes::new()));
        }
    }
    let _ = walk.is_spent(at);
    match ended {
        Ended::Well => {}
        Ended::TooLong => walk.note(Reason::Count, at),
        Ended::DocType | Ended::Malformed => walk.note(Reason::Malformed, at),
    }
    walk.text(text);
}

pub fn active_mime(walk: &mut Walk<'_>, at: usize, name: String, file: Bytes) {
    let start = memchr::memmem::find_iter(&file, b"\x78")
        .find(|&start| matches!(slice(&file, start + 1, 1), Some([0x01 | 0x5e | 0x9c | 0xda])));
    let Some(packed) = start.and_then(|start| file.get(start..)) else {
        return walk.note_in(Reason::Malformed, at, &name);
    };
    walk.unpack_inside(
        at,
        packed.len() as u64,
        0,
        Met::new(name, Bytes::new()),
        &mut flate2::read::ZlibDecoder::new(packed),
    );
}
