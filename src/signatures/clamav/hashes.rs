//! Hashes of files and of sections of programs: `.hdb .hsb .mdb .msb`, and feeds of hashes.
//!
//! **Failure**: a line that is none is told. **Invariants**: sorted tables; a look-up costs a binary search, and a hash is
//! only made of a file whose size some entry has.

use std::collections::HashSet;

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};

/// Any size.
const ANY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Md5,
    Sha1,
    Sha256,
}

impl Kind {
    /// By the number of hexadecimal digits.
    #[must_use]
    pub fn of_length(digits: usize) -> Option<Self> {
        match digits {
            32 => Some(Self::Md5),
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// One entry: the hash (of shorter ones, the rest is zero), the size, and whose it is.
type Entry = ([u8; 32], u32, u32);

/// A table for one kind of hash.
#[derive(Debug, Default)]
struct Table {
    /// Sorted.
    entries: Vec<Entry>,
    sizes: HashSet<u32>,
    any_size: bool,
}

impl Table {
    fn add(&mut self, hash: [u8; 32], size: u32, owner: u32) {
        self.entries.push((hash, size, owner));
        if size == ANY {
            self.any_size = true;
        } else {
            self.sizes.insert(size);
        }
    }

    fn wants(&self, size: u32) -> bool {
        self.any_size || self.sizes.contains(&size)
    }

    fn find(&self, hash: &[u8; 32], size: u32) -> Option<u32> {
        let start = self.entries.partition_point(|(entry, ..)| entry < hash);
        let same = self.entries.get(start..)?.iter().take_while(|(entry, ..)| entry == hash);
        let mut fits = same.filter(|(_, wanted, _)| *wanted == ANY || *wanted == size);
        fits.next().map(|(_, _, owner)| *owner)
    }
}

/// Hashes, each with the number of its owner.
#[derive(Debug, Default)]
pub struct Hashes {
    md5: Table,
    sha1: Table,
    sha256: Table,
}

impl Hashes {
    #[must_use]
    pub fn len(&self) -> usize {
        self.md5.entries.len() + self.sha1.entries.len() + self.sha256.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `size`: `None` for any.
    pub fn add(&mut self, hex: &str, size: Option<u64>, owner: u32) -> Result<(), String> {
        let kind = Kind::of_length(hex.len());
        let (kind, hash) = kind.zip(unhex(hex)).ok_or_else(|| format!("{hex:.70?} is no MD5, SHA-1 or SHA-256"))?;
        let size = size.map_or(Ok(ANY), |size| u32::try_from(size).map_err(|_| "a size above 4 GiB"))?;
        match kind {
            Kind::Md5 => self.md5.add(hash, size, owner),
            Kind::Sha1 => self.sha1.add(hash, size, owner),
            Kind::Sha256 => self.sha256.add(hash, size, owner),
        }
        Ok(())
    }

    /// To be called when all are added.
    pub fn sort(&mut self) {
        for table in [&mut self.md5, &mut self.sha1, &mut self.sha256] {
            table.entries.sort_unstable();
            table.entries.dedup();
        }
    }

    /// The owner of the first entry that fits. `sha256`, if somebody knows it already.
    #[must_use]
    pub fn find(&self, octets: &[u8], sha256: Option<&[u8; 32]>) -> Option<u32> {
        let size = u32::try_from(octets.len()).unwrap_or(ANY);
        let sha256 = || match sha256 {
            Some(known) if *known != [0; 32] => *known,
            _ => padded(digest::digest(&digest::SHA256, octets).as_ref()),
        };
        let look =
            |table: &Table, hash: &dyn Fn() -> [u8; 32]| table.wants(size).then(|| table.find(&hash(), size)).flatten();
        look(&self.sha256, &sha256).or_else(|| look(&self.md5, &|| padded(&Md5::digest(octets)))).or_else(|| {
            let sha1 = || padded(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref());
            look(&self.sha1, &sha1)
        })
    }
}

fn padded(hash: &[u8]) -> [u8; 32] {
    let mut padded = [0; 32];
    padded.iter_mut().zip(hash).for_each(|(place, octet)| *place = *octet);
    padded
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    for (place, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        let (high, low) = (digit(pair.first()?)?, digit(pair.get(1)?)?);
        *place = u8::try_from(high << 4 | low).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_fit_with_their_size() {
        let mut hashes = Hashes::default();
        hashes.add("900150983cd24fb0d6963f7d28e17f72", Some(3), 1).unwrap();
        hashes.add("a9993e364706816aba3e25717850c26c9cd0d89d", Some(4), 2).unwrap();
        hashes.sort();
        assert_eq!(hashes.find(b"abc", None), Some(1));
        assert_eq!(hashes.find(b"abd", None), None);
        let mut hashes = Hashes::default();
        hashes.add("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", None, 3).unwrap();
        hashes.sort();
        assert_eq!(hashes.find(b"abc", None), Some(3));
        assert!(hashes.add("xyz", None, 0).is_err());
        assert!(hashes.add(&"g".repeat(32), None, 0).is_err());
    }
}
