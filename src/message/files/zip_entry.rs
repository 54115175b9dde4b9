//! The content of one zip entry: stored and deflated by ourselves, everything else (and what is encrypted) by the crate, which is
//! given an archive of just this entry, so that no lie of the real directory reaches it.
//!
//! **Failure**: noted; what was unpacked before the damage is returned.
//! **Invariants**: an encrypted archive costs one round of passwords, not one for each entry.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use zip::ZipArchive;
use zip::result::ZipError;

use super::walk::{Unpacked, Walk};
use super::zip::{Entry, extra_field};
use crate::message::specimen::Lock;
use crate::model::finding::Reason;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const AES: u16 = 99;

/// What is known of an archive's passwords.
#[derive(Debug, Default)]
pub struct Keys {
    /// The one that opened an entry.
    works: Option<Box<str>>,
    /// No word opened an entry: the others have the same password.
    is_closed: bool,
}

pub fn read(
    walk: &mut Walk<'_>,
    at: usize,
    octets: &Bytes,
    entry: &Entry,
    name: &str,
    keys: &mut Keys,
) -> (Option<Unpacked>, Lock) {
    let start = entry.start.min(octets.len());
    let end = entry.start.saturating_add(usize::try_from(entry.packed).unwrap_or(usize::MAX)).min(octets.len());
    let content = octets.slice(start..end);
    if (content.len() as u64) < entry.packed {
        walk.note_in(Reason::Malformed, at, name);
    }
    if entry.flags & 1 != 0 {
        return encrypted(walk, at, &content, entry, name, keys);
    }
    let packed = content.len() as u64;
    let unpacked = match entry.method {
        STORED => Some(Unpacked::whole(content)),
        DEFLATED => walk.unpack(at, name, packed, entry.size, &mut flate2::bufread::DeflateDecoder::new(&*content)),
        _ => by_crate(walk, at, &content, entry, name),
    };
    // Who goes by the size told sees only the beginning, or takes the archive for damaged.
    if unpacked.as_ref().is_some_and(|unpacked| entry.size > 0 && unpacked.octets.len() as u64 > entry.size) {
        walk.note_in(Reason::Malformed, at, name);
    }
    (unpacked, Lock::None)
}

/// The rarer methods.
fn by_crate(walk: &mut Walk<'_>, at: usize, content: &Bytes, entry: &Entry, name: &str) -> Option<Unpacked> {
    if let Some(need) = dictionary(content, entry.method)
        && need > super::walk::MAX_DICTIONARY
    {
        walk.note_in(Reason::Bytes, at, name);
        return None;
    }
    let mut archive = ZipArchive::new(Alone::new(content, entry)).ok()?;
    match archive.by_index(0) {
        Ok(mut file) => walk.unpack(at, name, content.len() as u64, entry.size, &mut file),
        Err(ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_)) => {
            walk.note_in(Reason::Unsupported, at, name);
            None
        }
        Err(_) => {
            walk.note_in(Reason::Malformed, at, name);
            None
        }
    }
}

/// Memory that the decoder would take by its header: LZMA (14) and PPMd (98).
fn dictionary(content: &[u8], method: u16) -> Option<u64> {
    match method {
        14 => Some(u64::from(super::octets::le32(content, 5)?)),
        98 => Some(u64::from(super::octets::le16(content, 0)? >> 4 & 0xff) + 1).map(|mib| mib << 20),
        _ => None,
    }
}

fn encrypted(
    walk: &mut Walk<'_>,
    at: usize,
    content: &Bytes,
    entry: &Entry,
    name: &str,
    keys: &mut Keys,
) -> (Option<Unpacked>, Lock) {
    // Bit 6: strong encryption; bit 13: the directory is encrypted. Nobody reads these.
    if entry.flags & 0x2040 != 0 || keys.is_closed || entry.method == AES && extra_field(&entry.extra, 0x9901).is_none()
    {
        return (None, Lock::Closed);
    }
    if let Some(works) = keys.works.clone()
        && let Some(unpacked) = attempt(walk, at, content, entry, name, &works)
    {
        return (Some(unpacked), Lock::Opened);
    }
    let passwords = walk.passwords();
    for password in passwords {
        if !walk.may_try() {
            break;
        }
        if let Some(unpacked) = attempt(walk, at, content, entry, name, password) {
            keys.works = Some(password.clone());
            return (Some(unpacked), Lock::Opened);
        }
    }
    keys.is_closed = keys.works.is_none();
    (None, Lock::Closed)
}

/// `None` if the password doesn't fit. ZipCrypto alone lets one in 256 pass; the checksum tells.
fn attempt(
    walk: &mut Walk<'_>,
    at: usize,
    content: &Bytes,
    entry: &Entry,
    name: &str,
    password: &str,
) -> Option<Unpacked> {
    let mut archive = ZipArchive::new(Alone::new(content, entry)).ok()?;
    let mut file = archive.by_index_decrypt(0, password.as_bytes()).ok()?;
    // A wrong password mostly shows within the first octets.
    let mut first = vec![0; 4_096];
    let length = read_some(&mut file, &mut first)?;
    first.truncate(length);
    let mut rest = first.as_slice().chain(file);
    let (octets, reason) = walk.draw(content.len() as u64, entry.size, &mut rest);
    if reason == Some(Reason::Malformed) {
        return None;
    }
    walk.drawn(at, name, octets, reason)
}

fn read_some(file: &mut dyn Read, buffer: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room).ok()? {
            0 => break,
            read => length += read,
        }
    }
    Some(length)
}

/// An archive with just one entry, whose headers agree: header, content, directory.
struct Alone<'a> {
    head: Vec<u8>,
    content: &'a [u8],
    tail: Vec<u8>,
    at: u64,
}

impl<'a> Alone<'a> {
    fn new(content: &'a [u8], entry: &Entry) -> Self {
        let packed = u32::try_from(content.len()).unwrap_or(u32::MAX - 1);
        let size = u32::try_from(entry.size).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
        let aes = extra_field(&entry.extra, 0x9901).filter(|_| entry.method == AES);
        let extra: Vec<u8> = aes.map_or_else(Vec::new, |field| {
            let length = u16::try_from(field.len()).unwrap_or(0);
            [&0x9901_u16.to_le_bytes()[..], &length.to_le_bytes(), field].concat()
        });
        let mut common = Vec::with_capacity(26);
        common.extend_from_slice(&51_u16.to_le_bytes());
        // Encrypted, sizes follow (its check octet is the time's then), and two bits of the implode method.
        common.extend_from_slice(&(entry.flags & 0x000f).to_le_bytes());
        common.extend_from_slice(&entry.method.to_le_bytes());
        common.extend_from_slice(&entry.time.to_le_bytes());
        common.extend_from_slice(&0x21_u16.to_le_bytes());
        common.extend_from_slice(&entry.crc.to_le_bytes());
        common.extend_from_slice(&packed.to_le_bytes());
        common.extend_from_slice(&size.to_le_bytes());
        common.extend_from_slice(&1_u16.to_le_bytes());
        common.extend_from_slice(&u16::try_from(extra.len()).unwrap_or(0).to_le_bytes());
        let head = [b"PK\x03\x04", &common[..], b"x", &extra].concat();
        let mut tail = [b"PK\x01\x02\x33\0", &common[..]].concat();
        tail.extend_from_slice(&[0; 14]);
        tail.extend_from_slice(b"x");
        tail.extend_from_slice(&extra);
        let directory = u32::try_from(tail.len()).unwrap_or(0);
        let offset = u32::try_from(head.len() + content.len()).unwrap_or(u32::MAX);
        tail.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        tail.extend_from_slice(&directory.to_le_bytes());
        tail.extend_from_slice(&offset.to_le_bytes());
        tail.extend_from_slice(&[0; 2]);
        Self { head, content, tail, at: 0 }
    }

    fn len(&self) -> u64 {
        (self.head.len() + self.content.len() + self.tail.len()) as u64
    }
}

impl Read for Alone<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut at = usize::try_from(self.at).unwrap_or(usize::MAX);
        for piece in [&self.head[..], self.content, &self.tail] {
            if let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
                let length = rest.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
                    to.copy_from_slice(from);
                }
                self.at += length as u64;
                return Ok(length);
            }
            at = at.saturating_sub(piece.len());
        }
        Ok(0)
    }
}

impl Seek for Alone<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.len().checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
