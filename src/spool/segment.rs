//! Segment files: their names, their headers, and how they are made, put to use and taken away.
//!
//! A segment is made as `spare` before it is needed (see there), so that rolling over needs no new space, and a write inside
//! it can't fail for want of any. `reserve` is a small one that only outcomes may use, when the disk is full.
//!
//! **Invariants**: a segment's number and epoch stand in its name, its header and every frame; a file where they differ is
//! foreign. Numbers only grow. A file gets its name before the first byte is acknowledged out of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::Path;

use super::space::PAGE;

static EMPTY_PAGE: [u8; PAGE] = [0; PAGE];

/// Bytes before the first frame.
pub const SEGMENT_HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"\x00SEKISHO";
const VERSION: u32 = 1;

/// Names a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub number: u32,
    pub epoch: u64,
}

impl Name {
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{:08x}-{:016x}.log", self.number, self.epoch)
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, epoch) = text.strip_suffix(".log")?.split_once('-')?;
        let name = Self { number: u32::from_str_radix(number, 16).ok()?, epoch: u64::from_str_radix(epoch, 16).ok()? };
        (name.file_name() == text).then_some(name)
    }

    /// The first bytes of the segment.
    #[must_use]
    pub fn header(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0u8; SEGMENT_HEADER];
        let fields: [&[u8]; 4] = [MAGIC, &VERSION.to_le_bytes(), &self.number.to_le_bytes(), &self.epoch.to_le_bytes()];
        for (place, byte) in out.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        let (covered, checksum) = out.split_at_mut(SEGMENT_HEADER - 4);
        checksum.copy_from_slice(&crc32c::crc32c(covered).to_le_bytes());
        out
    }

    /// Whose header this is, if it is a sound one.
    #[must_use]
    pub fn of_header(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<SEGMENT_HEADER>()?;
        let (covered, checksum) = bytes.split_at(SEGMENT_HEADER - 4);
        let number = covered.get(12..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b))?;
        let epoch = covered.get(16..).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b))?;
        let sound = covered.starts_with(MAGIC) && checksum == crc32c::crc32c(covered).to_le_bytes();
        sound.then_some(Self { number, epoch })
    }

    /// A number nobody can guess.
    pub(super) fn fresh(number: u32) -> Self {
        let mut bytes = [0u8; 8];
        // Without randomness the clock-less fallback is the number itself: frames are still bound to their segment.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        Self { number, epoch: u64::from_le_bytes(bytes) ^ u64::from(number) }
    }
}

/// Makes what was done to a directory's entries durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) name: Name,
    pub(super) file: File,
    pub(super) end: u64,
    pub(super) limit: u64,
}

impl Active {
    /// Puts a preallocated file to use under a fresh name.
    pub(super) fn start(dir: &Path, spare: &Path, number: u32) -> io::Result<Self> {
        let name = Name::fresh(number);
        let path = dir.join(name.file_name());
        let file = OpenOptions::new().read(true).write(true).open(spare)?;
        let limit = file.metadata()?.len();
        fs::rename(spare, &path)?;
        sync_dir(dir)?;
        Ok(Self { name, file, end: 0, limit })
    }

    /// Where the next frame goes. The header is written with the first group: a segment without one is an empty one.
    pub(super) fn next(&self) -> u64 {
        self.end.max(SEGMENT_HEADER as u64)
    }

    pub(super) fn room(&self) -> u64 {
        self.limit.saturating_sub(self.next())
    }

    /// Writes all slices at the end. On error nothing of it counts, and the next write overwrites it.
    pub(super) fn write(&mut self, slices: &mut [IoSlice<'_>], length: u64) -> io::Result<()> {
        let next = self.next() + length;
        let mut result = self.open_page(next);
        if self.end == 0 {
            result = result.and_then(|()| self.file.write_all(&self.name.header()));
        }
        result = result.and_then(|()| write_all(&mut self.file, slices));
        match result {
            Ok(()) => self.end = next,
            Err(_) => self.rewind()?,
        }
        result
    }

    /// Writes the page whole in which the end will stand, if nothing of it was written yet: of a page that is written in part the
    /// kernel reads the rest from the disk first.
    fn open_page(&self, end: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let page = end - end % PAGE as u64;
        let room = usize::try_from(self.limit.saturating_sub(page)).unwrap_or(PAGE).min(PAGE);
        if page < self.end || page == end {
            return Ok(());
        }
        self.file.write_all_at(EMPTY_PAGE.get(..room).unwrap_or_default(), page)
    }

    /// Takes back what was written behind the end.
    fn rewind(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end)).map(drop)
    }

    /// Gives back space that was preallocated and not used.
    pub(super) fn seal(&self) -> io::Result<()> {
        self.file.set_len(self.end)
    }
}

fn write_all(file: &mut File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    /// The kernel takes no more at once (IOV_MAX).
    const MOST: usize = 1024;
    while !slices.is_empty() {
        let batch = slices.get(..slices.len().min(MOST)).unwrap_or(slices);
        match file.write_vectored(batch) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_nothing_else_is_one() {
        let name = Name::fresh(7);
        assert_eq!(Name::parse(&name.file_name()), Some(name));
        assert_eq!(Name::of_header(&name.header()), Some(name));
        for text in ["spare", "7-1.log", "../00000007-0000000000000001.log", "00000007-0000000000000001.log.bak"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn groups_stand_behind_each_other_with_zeros_to_the_end_of_the_page() {
        let dir = tempfile::tempdir().unwrap();
        let (limit, spare) = (6 * PAGE, dir.path().join("spare"));
        fs::write(&spare, vec![0xff; limit]).unwrap();
        let mut active = Active::start(dir.path(), &spare, 1).unwrap();
        let mut wanted = active.name.header().to_vec();
        for (octet, length) in [(1, 100), (2, 2 * PAGE), (3, PAGE - 164), (4, 3), (5, PAGE - 3), (6, 100)] {
            let group = vec![octet; length];
            active.write(&mut [IoSlice::new(&group)], length as u64).unwrap();
            wanted.extend(&group);
            let found = fs::read(dir.path().join(active.name.file_name())).unwrap();
            let page = wanted.len().next_multiple_of(PAGE);
            assert_eq!((active.end, found.len()), (wanted.len() as u64, limit));
            assert!(found[..wanted.len()] == wanted, "up to {octet}");
            assert!(found[wanted.len()..page].iter().all(|octet| *octet == 0), "behind {octet}");
            assert!(found[page..].iter().all(|octet| *octet == 0xff), "far behind {octet}");
        }
        // The last page of a file that ends within one.
        let left = vec![7; limit - wanted.len()];
        active.write(&mut [IoSlice::new(&left)], left.len() as u64).unwrap();
        assert_eq!(
            (active.room(), fs::metadata(dir.path().join(active.name.file_name())).unwrap().len()),
            (0, limit as u64)
        );
    }
}
