//! The manifest of a published set: its number, its dates and the hash of each file; what is signed.
//!
//! **Failure**: [`Refused`] says why a set is not taken. **Invariants**: a set is exactly the files of its manifest.

use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::pack::{MAX_FILES, MAX_OCTETS, Pack, PackFile};
use crate::model::Timestamp;

pub const VERSION: u32 = 1;
/// Octets of a manifest.
pub const MAX_MANIFEST: u64 = 8 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub v: u32,
    /// Of the set; each new one has a higher number than all before.
    pub number: u64,
    pub created: Timestamp,
    /// From then on it is not taken up any more; a running one goes on, and says that it is old.
    pub expires: Timestamp,
    pub files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// `pack/file`.
    pub path: Box<str>,
    pub size: u64,
    /// Hexadecimal.
    pub sha256: Box<str>,
}

/// Why a set is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("set {0} is not here")]
    Missing(u64),
    #[error("can't read {0}")]
    Unreadable(String),
    #[error("no trusted key signed the manifest")]
    Unsigned,
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("it says that it is set {0}, in the place of set {1}")]
    Misplaced(u64, u64),
    #[error("set {number} is older than set {highest}, and was never in force here")]
    Older { number: u64, highest: u64 },
    #[error("it expired at {0}")]
    Expired(Timestamp),
    #[error("it can't be compiled: {}", Lines(.0))]
    Faults(Vec<Fault>),
    #[error("it fails its self-test: {}", .0.join("; "))]
    SelfTest(Vec<String>),
    #[error("it was taken back before: {0}")]
    Returned(String),
}

struct Lines<'f>(&'f [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.0.iter().take(20).enumerate() {
            write!(f, "{}{fault}", if place == 0 { "" } else { "; " })?;
        }
        if self.0.len() > 20 {
            write!(f, "; and {} more", self.0.len() - 20)?;
        }
        Ok(())
    }
}

impl Manifest {
    #[must_use]
    pub fn of(number: u64, packs: &[Pack], created: Timestamp, expires: Timestamp) -> Self {
        let listed = |pack: &Pack, file: &PackFile| Listed {
            path: pack.shown(file).into(),
            size: file.octets.len() as u64,
            sha256: sha256(&file.octets).into(),
        };
        let mut files: Vec<_> =
            packs.iter().flat_map(|pack| pack.files.iter().map(move |file| listed(pack, file))).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self { v: VERSION, number, created, expires, files }
    }

    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Reads one whose signature was checked.
    pub fn read(octets: &[u8]) -> Result<Self, Refused> {
        let manifest: Self =
            serde_json::from_slice(octets).map_err(|error| Refused::Damaged(format!("manifest.json: {error}")))?;
        if manifest.v != VERSION {
            return Err(Refused::Damaged(format!("manifest.json: version {} is not known here", manifest.v)));
        }
        let size = manifest.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        if manifest.files.len() > MAX_FILES || size > MAX_OCTETS {
            return Err(Refused::Damaged("manifest.json: more or bigger files than a set may have".to_owned()));
        }
        let plain = |path: &str| path.split('/').all(|name| !name.is_empty() && !name.starts_with('.'));
        if let Some(odd) = manifest.files.iter().find(|file| !plain(&file.path) || file.path.contains('\\')) {
            return Err(Refused::Damaged(format!("manifest.json: {:?} is no place for a file", odd.path)));
        }
        Ok(manifest)
    }

    /// Whether these are its files.
    pub fn covers(&self, packs: &[Pack]) -> Result<(), Refused> {
        let there = Self::of(self.number, packs, self.created, self.expires);
        for (listed, file) in self.files.iter().zip(&there.files) {
            if listed != file {
                let path = listed.path.as_ref().min(&*file.path);
                return Err(Refused::Damaged(format!("{path} is not as the manifest says")));
            }
        }
        if self.files.len() == there.files.len() {
            Ok(())
        } else {
            Err(Refused::Damaged("there are more or fewer files than the manifest says".to_owned()))
        }
    }
}

#[must_use]
pub fn sha256(octets: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, octets);
    hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}
