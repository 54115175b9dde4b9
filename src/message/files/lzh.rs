//! lzh (lha), which Japan still sends.
//!
//! **Failure**: unknown methods are `unsupported`, what comes before damage is looked at.

use bytes::Bytes;
use delharc::LhaDecodeReader;

use super::names;
use super::walk::{Met, Walk};
use crate::model::finding::Reason;

/// Extended headers with a file's name, and its folder.
const NAME: u8 = 1;
const FOLDER: u8 = 2;
const NAME_UTF16: u8 = 0x44;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let Ok(mut reader) = LhaDecodeReader::new(&octets[..]) else { return walk.note(Reason::Malformed, at) };
    loop {
        if walk.is_spent(at) {
            return;
        }
        let header = reader.header();
        let (packed, size) = (header.compressed_size, header.original_size);
        let met = Met { names: names_of(header), ..Met::default() };
        if !header.is_directory() {
            if reader.is_decoder_supported() {
                walk.unpack_inside(at, packed, size, met, &mut reader);
            } else {
                let name = met.names.first().cloned().unwrap_or_default();
                walk.note_in(Reason::Unsupported, at, &name);
                walk.inside(at, Met { is_cut: true, ..met });
            }
        }
        // The next header is found by the packed size, whatever was read of the member.
        match next(&mut reader) {
            Some(true) => {}
            Some(false) => return,
            None => return walk.note(Reason::Malformed, at),
        }
    }
}

fn next(reader: &mut LhaDecodeReader<&[u8]>) -> Option<bool> {
    reader.next_file().ok()
}

fn names_of(header: &delharc::LhaHeader) -> Vec<Box<str>> {
    let mut name = header.filename.to_vec();
    let mut folder = Vec::new();
    let mut wide = None;
    for extra in header.iter_extra() {
        match extra.split_first() {
            Some((&NAME, rest)) => name = rest.to_vec(),
            Some((&FOLDER, rest)) => {
                folder = rest.iter().map(|&octet| if octet == 0xff { b'/' } else { octet }).collect()
            }
            Some((&NAME_UTF16, rest)) => wide = Some(super::octets::utf16le(rest)),
            _ => {}
        }
    }
    let short = names::decoded(&[folder, name].concat());
    wide.map(String::into_boxed_str).into_iter().chain(std::iter::once(short)).collect()
}
