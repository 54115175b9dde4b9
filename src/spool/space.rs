//! Space for a segment before it is one: allocated, and filled with zeros.
//!
//! **Failure**: no space, or a broken disk, is told and what was begun taken away; a file system that can't allocate ahead, or can't
//! be written past the kernel's cache, is used the slower way.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::FallocateFlags;

use super::error::is_full;

/// What a kernel caches, and a disk takes, as one.
pub(super) const PAGE: usize = 4096;

/// An empty file of `size` bytes with the space for them, durable.
pub(super) fn preallocate(path: &Path, size: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let allocated = if size == 0 {
        Ok(())
    } else {
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
            // A file system without preallocation: writes may find the disk full, and that is handled too.
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(size),
            other => other.map_err(io::Error::from),
        }
    };
    if let Err(error) = allocated.and_then(|()| file.sync_all()) {
        drop(file);
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Zeros for [`Filling::fill`], where writes past the kernel's cache want them: at the beginning of a page.
#[derive(Debug)]
pub(super) struct Zeros {
    all: Vec<u8>,
    begin: usize,
}

impl Zeros {
    /// Octets of one write.
    const PIECE: usize = 256 << 10;

    pub(super) fn new() -> Self {
        let all = vec![0; Self::PIECE + PAGE];
        // Unaligned they are only slower.
        let begin = all.as_ptr().align_offset(PAGE).min(PAGE);
        Self { all, begin }
    }

    fn some(&self, length: u64) -> &[u8] {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(Self::PIECE);
        self.all.get(self.begin..self.begin + length).unwrap_or_default()
    }
}

/// A file to be filled with zeros: a sync of later writes there needs no change of the file system's own records, which takes
/// longer than the data.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    file: &'a File,
    /// The same without the kernel's cache, which zeros that nobody reads need not go through; `None`: the file system has no such way.
    direct: Option<File>,
}

impl<'a> Filling<'a> {
    pub(super) fn new(file: &'a File, path: &Path) -> Self {
        let flag = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or(0);
        let direct = OpenOptions::new().write(true).custom_flags(flag).open(path).ok();
        Self { file, direct }
    }

    /// Writes zeros over a part of it and syncs them.
    pub(super) fn fill(&mut self, from: u64, length: u64, zeros: &Zeros) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let some = match &self.direct {
                Some(direct) => {
                    let some = zeros.some(length - done);
                    match direct.write_all_at(some, from + done) {
                        Ok(()) => some,
                        Err(error) if is_full(&error) => return Err(error),
                        // Too fine a piece, or a file system that takes the flag and not the writes; a broken disk shows again.
                        Err(_) => {
                            self.direct = None;
                            continue;
                        }
                    }
                }
                None => {
                    // The kernel caches a file in blocks as large as the writes it was made by, and a small write later dirties a
                    // whole block: in larger pieces each commit would bring hundreds of kilobytes to the disk.
                    let some = zeros.some((length - done).min(PAGE as u64));
                    self.file.write_all_at(some, from + done)?;
                    some
                }
            };
            done += some.len() as u64;
        }
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past the kernel's cache and through it, also where the end is no end of a page.
    #[test]
    fn a_file_is_filled_with_zeros_to_its_end_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filling");
        for (length, is_direct) in [(3 << 20, true), (3 << 20, false), ((1 << 20) + 1_000, true)] {
            fs::write(&path, vec![1; length]).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let mut filling = Filling::new(&file, &path);
            filling.direct = filling.direct.filter(|_| is_direct);
            let half = 512 << 10;
            filling.fill(0, half, &Zeros::new()).unwrap();
            filling.fill(half, length as u64 - half, &Zeros::new()).unwrap();
            let found = fs::read(&path).unwrap();
            assert_eq!((found.len(), found.iter().position(|octet| *octet != 0)), (length, None));
        }
    }
}
