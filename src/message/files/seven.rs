//! 7z. The crate decodes, but takes what memory and how many hashes the archive asks for: the coders' properties are read first.
//!
//! **Failure**: archives that need a bigger dictionary than 32 MiB, or slower keys than 2^20 hashes, are noted and left closed.
//! **Invariants**: a block that a budget cuts off is not decoded to its end.

use std::io::Cursor;

use bytes::Bytes;
use sevenz_rust2::{Archive, BlockDecoder, Error, Password};

use super::octets::{byte, le64, slice};
use super::walk::{MAX_DICTIONARY, Met, Walk};
use crate::message::specimen::{Lock, Trait};
use crate::model::finding::Reason;

/// Octets of a directory, unpacked.
const MAX_DIRECTORY: u64 = 8 << 20;
/// Octets of a file that isn't packed, read for its checksum: a larger one stays closed.
const MAX_PROOF: u64 = 16 << 20;
/// Powers of two of hashes for a key: 19 is usual.
const MAX_KEY_POWER: u8 = 20;

const LZMA: &[u8] = &[3, 1, 1];
const LZMA2: &[u8] = &[0x21];
const PPMD: &[u8] = &[3, 4, 1];
const AES: &[u8] = &[6, 0xf1, 7, 1];
const COPY: &[u8] = &[0];

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let needs = match Needs::of_directory(octets) {
        Ok(needs) => needs,
        Err(reason) => return walk.note(reason, at),
    };
    if needs.is_too_big() {
        return walk.note(Reason::Bytes, at);
    }
    // An archive of nothing has no directory.
    if le64(octets, 20) == Some(0) {
        return;
    }
    if !needs.is_encrypted {
        return match Archive::read(&mut Cursor::new(octets), &Password::empty()) {
            Ok(archive) => with_passwords(walk, at, octets, &archive),
            Err(error) => walk.note(reason(&error), at),
        };
    }
    let passwords = walk.passwords();
    for word in passwords {
        if !needs.has_affordable_key() || !walk.may_try_costly() {
            break;
        }
        let password = Password::from(&**word);
        if let Ok(archive) = Archive::read(&mut Cursor::new(octets), &password) {
            walk.lock(at, Lock::Opened);
            blocks(walk, at, octets, &archive, &password);
            return;
        }
    }
    walk.lock(at, Lock::Closed);
}

/// The directory is readable; some contents may be encrypted.
fn with_passwords(walk: &mut Walk<'_>, at: usize, octets: &Bytes, archive: &Archive) {
    let locked =
        archive.blocks.iter().position(|block| block.coders.iter().any(|coder| coder.encoder_method_id() == AES));
    let Some(locked) = locked else { return blocks(walk, at, octets, archive, &Password::empty()) };
    let passwords = walk.passwords();
    for word in passwords {
        if !Needs::of_block(archive, locked).has_affordable_key() || !walk.may_try_costly() {
            break;
        }
        let password = Password::from(&**word);
        if fits(octets, archive, locked, &password) {
            walk.lock(at, Lock::Opened);
            return blocks(walk, at, octets, archive, &password);
        }
    }
    walk.lock(at, Lock::Closed);
    blocks(walk, at, octets, archive, &Password::empty());
}

/// Whether the first file of the block comes out with the right checksum. Without a checksum nothing shows that a word is wrong:
/// what it makes of the file would be taken for the file.
fn fits(octets: &Bytes, archive: &Archive, block: usize, password: &Password) -> bool {
    if Needs::of_block(archive, block).is_too_big() {
        return false;
    }
    let is_packed = archive
        .blocks
        .get(block)
        .is_some_and(|block| block.coders.iter().any(|coder| ![AES, COPY].contains(&coder.encoder_method_id())));
    // Of a file that is packed, a megabyte is proof enough: garbage doesn't unpack that far.
    let most = if is_packed { 1 << 20 } else { MAX_PROOF };
    let mut source = Cursor::new(octets);
    let decoder = BlockDecoder::new(1, block, archive, password, &mut source);
    let mut fits = false;
    let result = decoder.for_each_entries(&mut |entry: &sevenz_rust2::ArchiveEntry, reader: &mut dyn std::io::Read| {
        let read = std::io::copy(&mut std::io::Read::take(reader, most), &mut std::io::sink())?;
        fits |= read == entry.size && entry.has_crc || read == most && is_packed;
        Ok(!entry.has_stream || entry.size == 0)
    });
    fits && result.is_ok()
}

fn blocks(walk: &mut Walk<'_>, at: usize, octets: &Bytes, archive: &Archive, password: &Password) {
    for block in 0..archive.blocks.len() {
        if walk.is_spent(at) {
            return;
        }
        let needs = Needs::of_block(archive, block);
        if needs.is_encrypted && password.is_empty() {
            let first = archive.stream_map.block_first_file_index.get(block).copied().unwrap_or(0);
            names_only(walk, at, archive, |index| {
                index >= first && archive.stream_map.file_block_index.get(index) == Some(&Some(block))
            });
            continue;
        }
        if needs.is_too_big() {
            walk.note(Reason::Bytes, at);
            names_only(walk, at, archive, |index| archive.stream_map.file_block_index.get(index) == Some(&Some(block)));
            continue;
        }
        let packed = octets.len() as u64;
        let mut source = Cursor::new(octets);
        let decoder = BlockDecoder::new(1, block, archive, password, &mut source);
        let result =
            decoder.for_each_entries(&mut |entry: &sevenz_rust2::ArchiveEntry, reader: &mut dyn std::io::Read| {
                if entry.is_directory() || !entry.has_stream {
                    return Ok(true);
                }
                let met = met(entry);
                let Some(unpacked) = walk.unpack(at, entry.name(), packed, entry.size, reader) else {
                    return Ok(false);
                };
                let goes_on = !unpacked.is_cut && !unpacked.is_broken;
                walk.inside_unpacked(at, unpacked, met);
                Ok(goes_on && !walk.is_spent(at))
            });
        if let Err(error) = result {
            walk.note(reason(&error), at);
        }
    }
}

/// What can't be unpacked still has a name.
fn names_only(walk: &mut Walk<'_>, at: usize, archive: &Archive, wanted: impl Fn(usize) -> bool) {
    for (index, entry) in archive.files.iter().enumerate() {
        if wanted(index) && !entry.is_directory() && !walk.is_spent(at) {
            walk.inside(at, Met { is_cut: true, lock: Lock::Closed, ..met(entry) });
        }
    }
}

fn met(entry: &sevenz_rust2::ArchiveEntry) -> Met {
    let mut met = Met::new(entry.name(), Bytes::new());
    // Unix modes stand in the high half.
    if entry.has_windows_attributes && entry.windows_attributes & 0x8000 != 0 && entry.windows_attributes >> 28 == 0xa {
        met.traits.push(Trait::EscapingName);
    }
    met
}

fn reason(error: &Error) -> Reason {
    match error {
        Error::Unsupported(_)
        | Error::UnsupportedCompressionMethod(_)
        | Error::UnsupportedVersion { .. }
        | Error::ExternalUnsupported => Reason::Unsupported,
        Error::PasswordRequired => Reason::Encrypted,
        Error::MaxMemLimited { .. } => Reason::Bytes,
        _ => Reason::Malformed,
    }
}

/// What decoding would take.
#[derive(Debug, Default)]
struct Needs {
    memory: u64,
    unpacked: u64,
    key_power: u8,
    is_encrypted: bool,
}

impl Needs {
    fn is_too_big(&self) -> bool {
        self.memory > MAX_DICTIONARY || self.unpacked > MAX_DIRECTORY
    }

    fn has_affordable_key(&self) -> bool {
        self.key_power <= MAX_KEY_POWER
    }

    fn add(&mut self, method: &[u8], properties: &[u8]) {
        let u32_at = |at: usize| super::octets::le32(properties, at).map_or(u64::MAX, u64::from);
        match method {
            LZMA => self.memory = self.memory.max(u32_at(1)),
            PPMD => self.memory = self.memory.max(u32_at(1)),
            LZMA2 => {
                let bits = u32::from(byte(properties, 0).unwrap_or(40)).min(40);
                self.memory = self.memory.max(u64::from(2 | bits & 1) << (bits / 2 + 11));
            }
            AES => {
                self.is_encrypted = true;
                let power = byte(properties, 0).unwrap_or(0) & 0x3f;
                // 63 means no hashing at all.
                self.key_power = self.key_power.max(if power == 0x3f { 0 } else { power });
            }
            _ => {}
        }
    }

    fn of_block(archive: &Archive, block: usize) -> Self {
        let mut needs = Self::default();
        for coder in archive.blocks.get(block).iter().flat_map(|block| &block.coders) {
            needs.add(coder.encoder_method_id(), coder.properties());
        }
        needs
    }

    /// Of a packed directory (`kEncodedHeader`), read before anything is decoded.
    fn of_directory(octets: &[u8]) -> Result<Self, Reason> {
        let mut needs = Self::default();
        let directory = (|| {
            let offset = usize::try_from(le64(octets, 12)?).ok()?;
            let size = usize::try_from(le64(octets, 20)?).ok()?;
            slice(octets, 32_usize.checked_add(offset)?, size)
        })()
        .ok_or(Reason::Malformed)?;
        if byte(directory, 0) == Some(0x17) {
            Self::read(directory, &mut needs).ok_or(Reason::Malformed)?;
        }
        Ok(needs)
    }

    /// `PackInfo`, then `UnPackInfo` as far as the sizes.
    fn read(directory: &[u8], needs: &mut Self) -> Option<()> {
        let mut input = Input { data: directory, at: 1 };
        if input.byte()? == 6 {
            input.number()?;
            let streams = input.number()?;
            loop {
                match input.byte()? {
                    0 => break,
                    9 => {
                        for _ in 0..streams.min(64) {
                            input.number()?;
                        }
                    }
                    _ => return None,
                }
            }
            if input.byte()? != 7 {
                return None;
            }
        }
        if input.byte()? != 0x0b || input.number()? != 1 || input.byte()? != 0 {
            return None;
        }
        let coders = input.number()?;
        if coders > 8 {
            return None;
        }
        let mut outputs = 0;
        for _ in 0..coders {
            let flags = input.byte()?;
            let method = input.take(usize::from(flags & 0x0f))?;
            let (inputs, outs) = if flags & 0x10 != 0 { (input.number()?, input.number()?) } else { (1, 1) };
            if inputs > 8 || outs > 8 {
                return None;
            }
            outputs += outs;
            let properties = if flags & 0x20 != 0 {
                let length = usize::try_from(input.number()?).ok()?;
                input.take(length)?
            } else {
                &[]
            };
            needs.add(method, properties);
        }
        for _ in 0..outputs.saturating_sub(1) {
            input.number()?;
            input.number()?;
        }
        if input.byte()? != 0x0c {
            return None;
        }
        for _ in 0..outputs {
            needs.unpacked = needs.unpacked.max(input.number()?);
        }
        Some(())
    }
}

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let octet = byte(self.data, self.at)?;
        self.at += 1;
        Some(octet)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = slice(self.data, self.at, length)?;
        self.at += length;
        Some(taken)
    }

    /// The first octet's leading ones count the octets that follow.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = first.leading_ones();
        let mut value = 0_u64;
        for index in 0..more {
            value |= u64::from(self.byte()?) << (8 * index);
        }
        if more < 7 {
            value |= u64::from(first & (0x7f >> more)) << (8 * more);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_length_in_front() {
        let number = |data: &[u8]| Input { data, at: 0 }.number();
        assert_eq!(number(&[0x7f]), Some(0x7f));
        assert_eq!(number(&[0x80, 0xff]), Some(0xff));
        assert_eq!(number(&[0xc1, 0, 0]), Some(0x1_0000));
        assert_eq!(number(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80]), Some(1 << 63 | 1));
        assert_eq!(number(&[0x80]), None);
    }
}
