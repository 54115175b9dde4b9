//! Counters on disk between two runs: fixed-size entries behind a checksum, put in place in one step.
//!
//! Layout, little-endian: 8 octets of name and version, 8 of the number of entries, the entries (key and value, each of
//! fixed size), CRC-32C of all before. A change of layout is a new name.
//!
//! **Failure**: a file that is not whole and right is not believed at all ([`StateError::Damaged`]); its reader starts empty.
//! **Invariants**: readers see the old file or the new one; nothing is allocated from a claimed number.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// More than any table of ours makes; a larger file is no file of ours.
const MOST_BYTES: u64 = 1 << 30;

/// Why state was not saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: damaged or from another version", path.display())]
    Damaged { path: PathBuf },
}

/// A value of a size that never changes.
pub trait Fixed: Sized {
    const SIZE: usize;
    /// Appends exactly [`SIZE`](Self::SIZE) octets.
    fn write(&self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// Encodes entries as they come.
#[derive(Debug)]
pub struct Encoder {
    bytes: Vec<u8>,
    entries: u64,
}

impl Encoder {
    pub fn new(name: &[u8; 8]) -> Self {
        let mut bytes = name.to_vec();
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes, entries: 0 }
    }

    pub fn push(&mut self, key: &impl Fixed, value: &impl Fixed) {
        key.write(&mut self.bytes);
        value.write(&mut self.bytes);
        self.entries += 1;
    }

    pub fn finish(mut self) -> Vec<u8> {
        if let Some(count) = self.bytes.get_mut(8..16) {
            count.copy_from_slice(&self.entries.to_le_bytes());
        }
        let crc = crc32c::crc32c(&self.bytes);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// The entries of a file, if it is whole and right.
pub fn decode<K: Fixed, V: Fixed>(name: &[u8; 8], bytes: &[u8]) -> Option<Vec<(K, V)>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (count, entries) = body.strip_prefix(name)?.split_first_chunk::<8>()?;
    let (size, count) = (K::SIZE + V::SIZE, usize::try_from(u64::from_le_bytes(*count)).ok()?);
    if count.checked_mul(size)? != entries.len() {
        return None;
    }
    let entry = |entry: &[u8]| {
        let (key, value) = entry.split_at_checked(K::SIZE)?;
        Some((K::read(key)?, V::read(value)?))
    };
    entries.chunks_exact(size).map(entry).collect()
}

/// `None`: there is no such file.
pub fn load<K: Fixed, V: Fixed>(path: &Path, name: &[u8; 8]) -> Result<Option<Vec<(K, V)>>, StateError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    decode(name, &bytes).map(Some).ok_or_else(|| StateError::Damaged { path: path.to_owned() })
}

/// The bytes of a file of bearable size; `None`: there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(found) if found.len() > MOST_BYTES => return Err(StateError::Damaged { path: path.to_owned() }),
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(io)
}

/// Who saves now and then and who saves at the end write beside under the same name.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Written beside, made durable, moved into place.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let put = || -> std::io::Result<()> {
        let fresh = path.with_extension("new");
        let mut file = BufWriter::new(File::create(&fresh)?);
        file.write_all(bytes)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&fresh, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    put().map_err(|source| StateError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Fixed for u16 {
        const SIZE: usize = 2;
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.to_le_bytes());
        }
        fn read(bytes: &[u8]) -> Option<Self> {
            Some(Self::from_le_bytes(bytes.try_into().ok()?))
        }
    }

    const NAME: &[u8; 8] = b"SKTEST1\n";

    fn sample() -> Vec<u8> {
        let mut encoder = Encoder::new(NAME);
        (0..9_u16).for_each(|n| encoder.push(&n, &(n * 100)));
        encoder.finish()
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts.state");
        assert_eq!(load::<u16, u16>(&path, NAME).unwrap(), None);
        replace(&path, &sample()).unwrap();
        replace(&path, &sample()).unwrap();
        assert_eq!(load(&path, NAME).unwrap().unwrap().get(3), Some(&(3_u16, 300_u16)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(matches!(load::<u16, u16>(&path, b"SKTEST2\n"), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn any_changed_octet_and_any_cut_is_noticed() {
        let good = sample();
        assert_eq!(decode::<u16, u16>(NAME, &good).unwrap().len(), 9);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(decode::<u16, u16>(NAME, &bad).is_none(), "octet {at}");
            assert!(decode::<u16, u16>(NAME, &good[..at]).is_none(), "cut at {at}");
        }
    }
}
