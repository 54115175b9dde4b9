//! ARJ, whose methods 1 to 3 are a dialect of LZH, and ALZ, which Korea sends.
//!
//! **Failure**: garbled members and method 4 are named with the reason.

use std::io::{self, Read};

use bytes::Bytes;
use delharc::decode::{Decoder, DecoderAny};
use delharc::header::CompressionMethod;

use super::names;
use super::octets::{at32, byte, le16, le32, slice, until_nul, up_to};
use super::walk::{Met, Unpacked, Walk};
use crate::message::specimen::Lock;
use crate::model::finding::Reason;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 0;
    let mut is_main = true;
    loop {
        if walk.is_spent(at) {
            return;
        }
        let size = le16(octets, here + 2).map_or(0, usize::from);
        if slice(octets, here, 2) != Some(b"\x60\xea") {
            return walk.note(Reason::Malformed, at);
        }
        if size == 0 {
            return;
        }
        let Some(header) = slice(octets, here + 4, size) else { return walk.note(Reason::Malformed, at) };
        here += 4 + size + 4;
        // Extended headers, each with its checksum.
        while let Some(extra) = le16(octets, here) {
            here += 2;
            if extra == 0 {
                break;
            }
            here += usize::from(extra) + 4;
        }
        if std::mem::take(&mut is_main) {
            continue;
        }
        let packed = at32(header, 12).unwrap_or(0);
        let content = octets.slice(here.min(octets.len())..here.saturating_add(packed).min(octets.len()));
        here = here.saturating_add(packed);
        member(walk, at, header, content);
    }
}

fn member(walk: &mut Walk<'_>, at: usize, header: &[u8], content: Bytes) {
    let first = usize::from(byte(header, 0).unwrap_or(0));
    let met = Met::new(names::decoded(until_nul(up_to(header, first, 512))), Bytes::new());
    let (flags, method, kind) =
        (byte(header, 4).unwrap_or(0), byte(header, 5).unwrap_or(0), byte(header, 6).unwrap_or(0));
    if kind > 1 {
        return;
    }
    if flags & 1 != 0 {
        walk.lock(at, Lock::Closed);
        return walk.inside(at, Met { is_cut: true, lock: Lock::Closed, ..met });
    }
    let (packed, size) = (content.len() as u64, u64::from(le32(header, 16).unwrap_or(0)));
    match method {
        0 => walk.inside(at, Met { octets: content, ..met }),
        1..=3 => {
            let mut reader =
                Lzh { decoder: DecoderAny::new_from_compression(CompressionMethod::Lh7, &content[..]), left: size };
            walk.unpack_inside(at, packed, size, met, &mut reader);
        }
        _ => {
            let name = met.names.first().cloned().unwrap_or_default();
            walk.note_in(Reason::Unsupported, at, &name);
            walk.inside(at, Met { is_cut: true, ..met });
        }
    }
}

/// The decoder doesn't know where it ends.
struct Lzh<'a> {
    decoder: DecoderAny<&'a [u8]>,
    left: u64,
}

impl Read for Lzh<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..length).filter(|room| !room.is_empty()) else { return Ok(0) };
        self.decoder.fill_buffer(room).map_err(|_| io::ErrorKind::InvalidData)?;
        self.left -= length as u64;
        Ok(length)
    }
}

pub fn open_alz(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let mut here = 8;
    while slice(octets, here, 4) == Some(b"BLZ\x01") {
        if walk.is_spent(at) {
            return;
        }
        let Some(next) = alz_member(walk, at, octets, here + 4) else { return walk.note(Reason::Malformed, at) };
        here = next;
    }
}

fn alz_member(walk: &mut Walk<'_>, at: usize, octets: &Bytes, start: usize) -> Option<usize> {
    let name_length = usize::from(le16(octets, start)?);
    let flags = byte(octets, start + 7)?;
    let width = usize::from(flags >> 4);
    let mut here = start + 9;
    let (mut method, mut packed, mut size) = (0, 0, 0);
    if width > 0 {
        method = byte(octets, here)?;
        packed = usize::try_from(number(slice(octets, here + 6, width)?)).ok()?;
        size = number(slice(octets, here + 6 + width, width)?);
        here += 6 + 2 * width;
    }
    let met = Met::new(names::decoded(slice(octets, here, name_length)?), Bytes::new());
    here += name_length;
    if flags & 1 != 0 {
        here += 12;
    }
    let end = here.checked_add(packed)?;
    let content = octets.slice(here.min(octets.len())..end.min(octets.len()));
    let length = content.len() as u64;
    if flags & 1 != 0 {
        walk.lock(at, Lock::Closed);
        walk.inside(at, Met { is_cut: true, lock: Lock::Closed, ..met });
    } else {
        match method {
            0 => walk.inside_unpacked(at, Unpacked::whole(content), met),
            1 => walk.unpack_inside(at, length, size, met, &mut bzip2::read::BzDecoder::new(&content[..])),
            2 => walk.unpack_inside(at, length, size, met, &mut flate2::bufread::DeflateDecoder::new(&content[..])),
            _ => walk.note(Reason::Unsupported, at),
        }
    }
    Some(end)
}

fn number(field: &[u8]) -> u64 {
    field.iter().rev().fold(0, |number, &octet| number << 8 | u64::from(octet))
}
