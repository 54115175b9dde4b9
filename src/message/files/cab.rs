//! Cabinets: stored, MSZIP and LZX folders ([MS-CAB] section 2). Each folder is decoded once, in order.
//!
//! **Failure**: Quantum is `unsupported`; what comes before damage is looked at.
//! **Invariants**: a folder's window is 2 MiB at most; what lies between files is decoded, counted and dropped.

use std::io::{self, Read};

use bytes::Bytes;
use lzxd::{Lzxd, WindowSize};

use super::names;
use super::octets::{at32, byte, le16, le32, slice, until_nul, up_to};
use super::walk::{Met, Walk};
use crate::model::finding::Reason;

/// Folders that are decoded anew because files overlap.
const MAX_RESTARTS: usize = 8;

struct File {
    name: Box<str>,
    size: u64,
    offset: u64,
    folder: usize,
}

#[derive(Clone, Copy)]
struct Folder {
    start: usize,
    blocks: u16,
    method: u16,
}

struct Cabinet {
    folders: Vec<Folder>,
    files: Vec<File>,
    /// Octets between a block's header and its data.
    reserve: usize,
    is_whole: bool,
}

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let Some(cabinet) = read(octets) else { return walk.note(Reason::Malformed, at) };
    if !cabinet.is_whole {
        walk.note(Reason::Malformed, at);
    }
    for (index, folder) in cabinet.folders.iter().enumerate() {
        let mut files: Vec<&File> = cabinet.files.iter().filter(|file| file.folder == index).collect();
        files.sort_by_key(|file| file.offset);
        open_folder(walk, at, octets, &cabinet, *folder, &files);
    }
    // Files that begin or end in another cabinet.
    for file in cabinet.files.iter().filter(|file| file.folder >= cabinet.folders.len()) {
        walk.note_in(Reason::Unsupported, at, &file.name);
        walk.inside(at, Met { is_cut: true, ..Met::new(file.name.clone(), Bytes::new()) });
    }
}

fn open_folder(walk: &mut Walk<'_>, at: usize, octets: &Bytes, cabinet: &Cabinet, folder: Folder, files: &[&File]) {
    let mut stream: Option<(Blocks<'_>, u64)> = None;
    let mut restarts = 0;
    for file in files {
        if walk.is_spent(at) {
            return;
        }
        let (mut blocks, mut position) = match stream.take() {
            Some((blocks, position)) if position <= file.offset => (blocks, position),
            before => {
                restarts += usize::from(before.is_some());
                match Blocks::new(octets, folder, cabinet.reserve) {
                    Some(blocks) if restarts <= MAX_RESTARTS => (blocks, 0),
                    Some(_) => return walk.note(Reason::Malformed, at),
                    None => {
                        walk.note_in(Reason::Unsupported, at, &file.name);
                        walk.inside(at, Met { is_cut: true, ..Met::new(file.name.clone(), Bytes::new()) });
                        continue;
                    }
                }
            }
        };
        // What nobody names is passed over, at the cost of the budgets.
        while position < file.offset {
            let step = (file.offset - position).min(1 << 20);
            let read = io::copy(&mut (&mut blocks).take(step), &mut io::sink()).unwrap_or(0);
            position += read;
            if read == 0 || !walk.account(at, read) || walk.is_spent(at) {
                walk.note_in(Reason::Malformed, at, &file.name);
                return;
            }
        }
        let packed = octets.len() as u64;
        let unpacked = walk.unpack(at, &file.name, packed, file.size, &mut (&mut blocks).take(file.size));
        let Some(unpacked) = unpacked else { continue };
        if unpacked.is_cut {
            walk.inside_unpacked(at, unpacked, Met::new(file.name.clone(), Bytes::new()));
            continue;
        }
        position += unpacked.octets.len() as u64;
        if (unpacked.octets.len() as u64) < file.size {
            walk.note_in(Reason::Malformed, at, &file.name);
        }
        walk.inside_unpacked(at, unpacked, Met::new(file.name.clone(), Bytes::new()));
        stream = Some((blocks, position));
    }
}

fn read(octets: &[u8]) -> Option<Cabinet> {
    let (folder_count, file_count, flags) = (le16(octets, 26)?, le16(octets, 28)?, le16(octets, 30)?);
    let mut here = 36;
    let (mut folder_reserve, mut reserve) = (0, 0);
    if flags & 4 != 0 {
        let header_reserve = usize::from(le16(octets, 36)?);
        folder_reserve = usize::from(byte(octets, 38)?);
        reserve = usize::from(byte(octets, 39)?);
        here = 40 + header_reserve;
    }
    // The names of the cabinets before and behind, and of their disks.
    for bit in [1, 2] {
        if flags & bit != 0 {
            for _ in 0..2 {
                here += until_nul(up_to(octets, here, 256)).len() + 1;
            }
        }
    }
    let mut folders = Vec::new();
    for _ in 0..folder_count {
        let Some(method) = le16(octets, here + 6) else { break };
        folders.push(Folder { start: at32(octets, here)?, blocks: le16(octets, here + 4)?, method });
        here += 8 + folder_reserve;
    }
    let mut files = Vec::new();
    let mut here = at32(octets, 16)?;
    for _ in 0..file_count {
        let Some(header) = slice(octets, here, 16) else { break };
        let name = until_nul(up_to(octets, here + 16, 256));
        files.push(File {
            name: names::decoded(name),
            size: u64::from(le32(header, 0)?),
            offset: u64::from(le32(header, 4)?),
            folder: usize::from(le16(header, 8)?),
        });
        here = here.checked_add(16 + name.len() + 1)?;
    }
    let is_whole = folders.len() == usize::from(folder_count) && files.len() == usize::from(file_count);
    Some(Cabinet { folders, files, reserve, is_whole })
}

enum Method {
    Stored,
    /// With the last 32 KiB that came out.
    MsZip(Box<flate2::Decompress>, Vec<u8>),
    Lzx(Box<Lzxd>),
}

/// A folder's blocks, one behind the other.
struct Blocks<'a> {
    octets: &'a [u8],
    at: usize,
    left: u16,
    reserve: usize,
    method: Method,
    out: Vec<u8>,
    given: usize,
}

impl<'a> Blocks<'a> {
    /// `None` for methods that can't be decoded.
    fn new(octets: &'a [u8], folder: Folder, reserve: usize) -> Option<Self> {
        let method = match folder.method & 0x0f {
            0 => Method::Stored,
            1 => Method::MsZip(Box::new(flate2::Decompress::new(false)), Vec::new()),
            3 => Method::Lzx(Box::new(Lzxd::new(match folder.method >> 8 & 0x1f {
                15 => WindowSize::KB32,
                16 => WindowSize::KB64,
                17 => WindowSize::KB128,
                18 => WindowSize::KB256,
                19 => WindowSize::KB512,
                20 => WindowSize::MB1,
                21 => WindowSize::MB2,
                _ => return None,
            }))),
            _ => return None,
        };
        Some(Self { octets, at: folder.start, left: folder.blocks, reserve, method, out: Vec::new(), given: 0 })
    }

    fn next(&mut self) -> Option<()> {
        let packed = usize::from(le16(self.octets, self.at + 4)?);
        let size = usize::from(le16(self.octets, self.at + 6)?);
        let data = slice(self.octets, self.at + 8 + self.reserve, packed)?;
        self.at += 8 + self.reserve + packed;
        self.given = 0;
        self.out = match &mut self.method {
            Method::Stored => data.to_vec(),
            Method::MsZip(inflate, window) => inflated(inflate, window, data.strip_prefix(b"CK")?, size)?,
            Method::Lzx(lzx) => lzx.decompress_next(data, size).ok()?.to_vec(),
        };
        Some(())
    }
}

/// One MSZIP block: a deflate stream that may refer to what came out before.
fn inflated(inflate: &mut flate2::Decompress, window: &mut Vec<u8>, data: &[u8], size: usize) -> Option<Vec<u8>> {
    inflate.reset(false);
    if let Ok(length) = u16::try_from(window.len())
        && length > 0
    {
        // What came out before goes in as a stored block.
        let stored = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), window].concat();
        let mut echo = Vec::with_capacity(window.len());
        inflate.decompress_vec(&stored, &mut echo, flate2::FlushDecompress::Sync).ok()?;
    }
    let mut out = Vec::with_capacity(size.max(1));
    inflate.decompress_vec(data, &mut out, flate2::FlushDecompress::Finish).ok()?;
    window.extend_from_slice(&out);
    let surplus = window.len().saturating_sub(0x8000);
    window.drain(..surplus);
    Some(out)
}

impl Read for Blocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.out.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            self.next().ok_or(io::ErrorKind::InvalidData)?;
        }
        let rest = self.out.get(self.given..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.given += length;
        Ok(length)
    }
}
