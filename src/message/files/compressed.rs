//! gzip, bzip2, xz, lzma, lzip, zstd and compress: one file without a name of its own, or several in a row.
//!
//! **Failure**: what comes before the damage is looked at.
//! **Invariants**: dictionaries of more than 32 MiB are refused before they are allocated.

use std::io::{self, Read};

use bytes::Bytes;

use super::names;
use super::octets::{byte, le16, le32, le64, slice, until_nul, up_to};
use super::walk::{MAX_DICTIONARY, Met, Walk};
use crate::model::finding::Reason;

const MAX_DICTIONARY_KIB: u32 = (MAX_DICTIONARY >> 10) as u32;
/// The same for zstd, as a power of two.
const MAX_WINDOW_LOG: u32 = 25;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes, format: &str) {
    let data: &[u8] = octets;
    let packed = data.len() as u64;
    let met = Met { names: inner_names(walk, at, data, format), ..Met::default() };
    // The last four octets of gzip, if there is one member; a .lzma says it in front.
    let told = match format {
        "gz" => data.len().checked_sub(4).and_then(|end| le32(data, end)).map_or(0, u64::from),
        "lzma" => le64(data, 5).filter(|&size| size != u64::MAX).unwrap_or(0),
        _ => 0,
    };
    match format {
        "gz" => walk.unpack_inside(at, packed, told, met, &mut flate2::read::MultiGzDecoder::new(data)),
        "bz2" => walk.unpack_inside(at, packed, told, met, &mut bzip2::read::MultiBzDecoder::new(data)),
        "xz" => walk.unpack_inside(
            at,
            packed,
            told,
            met,
            &mut lzma_rust2::XzReader::new_mem_limit(data, true, MAX_DICTIONARY_KIB),
        ),
        "lz" => {
            // Coded as a power of two less some sixteenths of it.
            let power = byte(data, 5).unwrap_or(0) & 0x1f;
            if 1_u64 << power > MAX_DICTIONARY {
                return walk.note(Reason::Bytes, at);
            }
            walk.unpack_inside(at, packed, told, met, &mut lzma_rust2::LzipReader::new(data));
        }
        "lzma" => match lzma_rust2::LzmaReader::new_mem_limit(data, MAX_DICTIONARY_KIB, None) {
            Ok(mut reader) => walk.unpack_inside(at, packed, told, met, &mut reader),
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => walk.note(Reason::Bytes, at),
            Err(_) => walk.note(Reason::Malformed, at),
        },
        "zst" => match zstd::stream::read::Decoder::with_buffer(data) {
            Ok(mut reader) => {
                if reader.window_log_max(MAX_WINDOW_LOG).is_err() {
                    return walk.note(Reason::Unsupported, at);
                }
                walk.unpack_inside(at, packed, told, met, &mut reader);
            }
            Err(_) => walk.note(Reason::Malformed, at),
        },
        _ => match Lzw::new(data) {
            Some(mut reader) => walk.unpack_inside(at, packed, told, met, &mut reader),
            None => walk.note(Reason::Malformed, at),
        },
    }
}

/// The name in the gzip header, and the container's name without its last extension.
fn inner_names(walk: &Walk<'_>, at: usize, data: &[u8], format: &str) -> Vec<Box<str>> {
    let mut found = Vec::new();
    if format == "gz" {
        found.extend(gzip_name(data));
    }
    let outer = walk.name_of(at);
    if let Some((front, extension)) = outer.rsplit_once('.') {
        let short = ["tgz", "tbz", "tbz2", "txz", "tlz", "taz", "tzst"].contains(&&*extension.to_ascii_lowercase());
        found.push(if short { format!("{front}.tar").into() } else { front.into() });
    } else {
        found.push(outer);
    }
    found
}

/// FNAME of RFC 1952 section 2.3.1.
fn gzip_name(data: &[u8]) -> Option<Box<str>> {
    let flags = byte(data, 3)?;
    if flags & 0x08 == 0 {
        return None;
    }
    let mut start = 10;
    if flags & 0x04 != 0 {
        start += 2 + usize::from(le16(data, 10)?);
    }
    let name = until_nul(up_to(data, start, 1_024));
    (!name.is_empty()).then(|| names::decoded(name))
}

/// Unix compress: LZW with codes of 9 to 16 bits.
struct Lzw<'a> {
    data: &'a [u8],
    /// In bits.
    at: usize,
    max_bits: u32,
    is_block: bool,
    bits: u32,
    /// Bits of the current group of eight codes, which the writer fills up when the width changes.
    group: usize,
    prefix: Vec<u16>,
    suffix: Vec<u8>,
    last: Option<u16>,
    first: u8,
    /// Decoded, in reverse.
    out: Vec<u8>,
}

const CLEAR: u16 = 256;

impl<'a> Lzw<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let flags = byte(data, 2)?;
        let max_bits = u32::from(flags & 0x1f);
        if !(9..=16).contains(&max_bits) {
            return None;
        }
        let is_block = flags & 0x80 != 0;
        let mut lzw = Self {
            data: data.get(3..)?,
            at: 0,
            max_bits,
            is_block,
            bits: 9,
            group: 0,
            prefix: Vec::new(),
            suffix: Vec::new(),
            last: None,
            first: 0,
            out: Vec::new(),
        };
        lzw.clear();
        Some(lzw)
    }

    fn clear(&mut self) {
        let roots: u16 = if self.is_block { 257 } else { 256 };
        self.prefix = vec![0; usize::from(roots)];
        self.suffix = (0..roots).map(|code| u8::try_from(code).unwrap_or(0)).collect();
        self.last = None;
    }

    fn align(&mut self) {
        let width = 8 * self.bits as usize;
        let used = self.at - self.group;
        self.at = self.group + used.div_ceil(width) * width;
        self.group = self.at;
    }

    fn code(&mut self) -> Option<u16> {
        if self.prefix.len() >= 1 << self.bits && self.bits < self.max_bits {
            self.align();
            self.bits += 1;
        }
        let octets = slice(self.data, self.at / 8, 3).map_or_else(
            || {
                let rest = up_to(self.data, self.at / 8, 3);
                (rest.len() * 8 >= self.at % 8 + self.bits as usize)
                    .then(|| (byte(rest, 0).unwrap_or(0), byte(rest, 1).unwrap_or(0), byte(rest, 2).unwrap_or(0)))
            },
            |three| Some((byte(three, 0)?, byte(three, 1)?, byte(three, 2)?)),
        )?;
        let word = u32::from(octets.0) | u32::from(octets.1) << 8 | u32::from(octets.2) << 16;
        let code = word >> (self.at % 8) & ((1 << self.bits) - 1);
        self.at += self.bits as usize;
        u16::try_from(code).ok()
    }

    /// Decodes one code into `out`. `Ok(false)` at the end.
    fn step(&mut self) -> io::Result<bool> {
        let Some(code) = self.code() else { return Ok(false) };
        if self.is_block && code == CLEAR {
            self.align();
            self.clear();
            self.bits = 9;
            return Ok(true);
        }
        let mut here = code;
        if usize::from(code) >= self.prefix.len() {
            let Some(last) = self.last else { return Err(io::ErrorKind::InvalidData.into()) };
            if usize::from(code) > self.prefix.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.out.push(self.first);
            here = last;
        }
        while here >= 256 {
            let at = usize::from(here);
            let (Some(&prefix), Some(&suffix)) = (self.prefix.get(at), self.suffix.get(at)) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            if self.out.len() > 1 << 17 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.out.push(suffix);
            here = prefix;
        }
        self.first = u8::try_from(here).unwrap_or(0);
        self.out.push(self.first);
        if let Some(last) = self.last
            && self.prefix.len() < 1 << self.max_bits
        {
            self.prefix.push(last);
            self.suffix.push(self.first);
        }
        self.last = Some(code);
        Ok(true)
    }
}

impl Read for Lzw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        for to in buffer {
            while self.out.is_empty() {
                if !self.step()? {
                    return Ok(written);
                }
            }
            *to = self.out.pop().unwrap_or(0);
            written += 1;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compress_is_read() {
        // "ababab": codes a, b, ab (257), ab; 9 bits each.
        let codes = [u16::from(b'a'), u16::from(b'b'), 257, 257];
        let mut bits = 0_u64;
        for (index, code) in codes.into_iter().enumerate() {
            bits |= u64::from(code) << (9 * index);
        }
        let mut data = vec![0x1f, 0x9d, 0x90];
        data.extend_from_slice(&bits.to_le_bytes()[..5]);
        let mut out = String::new();
        Lzw::new(&data).unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(out, "ababab");
    }

    #[test]
    fn the_name_in_gzip_is_found() {
        assert_eq!(gzip_name(b"\x1f\x8b\x08\x08\0\0\0\0\0\x03a.exe\0...").as_deref(), Some("a.exe"));
        assert_eq!(gzip_name(b"\x1f\x8b\x08\0\0\0\0\0\0\x03a.exe\0..."), None);
    }
}
