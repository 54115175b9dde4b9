//! Published sets on disk, and which of them is to be in force.
//!
//! ```text
//! DATA/signatures/state.json                what the operator wants: current, canary, previous, pins
//! DATA/signatures/node.json                 what this node saw: the highest number, sets that were in force, sets taken back
//! DATA/signatures/keys/*.pub                public keys that are trusted
//! DATA/signatures/sets/42/manifest.json     number, dates, hashes
//! DATA/signatures/sets/42/manifest.sig      signatures over exactly these octets
//! DATA/signatures/sets/42/packs/…           the packs
//! ```
//!
//! **Failure**: [`Refused`]. Files are written beside, made durable and moved into place, so a reader sees the old or the new.
//! **Invariants**: a set folder never changes once it has its name; nothing of a set is used before signature, number and
//! hashes were checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{PublicKey, SigningKey, Trust};
use super::manifest::{MAX_MANIFEST, Manifest, Refused};
use super::pack::Pack;
use crate::model::{TenantId, Timestamp};

/// What the operator wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Counts the changes.
    #[serde(default)]
    pub serial: u64,
    /// 0: none.
    pub current: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<TenantId, u64>,
}

/// A set that some messages are judged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    pub number: u64,
    /// Of 10,000 messages.
    pub share: u16,
}

/// What a node remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub highest: u64,
    /// Were in force here; may be again.
    #[serde(default)]
    pub in_force: BTreeSet<u64>,
    /// Were taken back, and why.
    #[serde(default)]
    pub returned: BTreeMap<u64, String>,
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Published {
    dir: PathBuf,
}

impl Published {
    /// Makes the folder if it isn't there.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("sets"))?;
        fs::create_dir_all(dir.join("keys"))?;
        Ok(Self { dir: dir.to_owned() })
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn set_dir(&self, number: u64) -> PathBuf {
        self.dir.join("sets").join(number.to_string())
    }

    /// The numbers of all sets that are here, in order.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(self.dir.join("sets"))? {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The keys in `keys/`, in an order of their own.
    pub fn keys(&self) -> io::Result<Vec<PublicKey>> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(self.dir.join("keys"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "pub") {
                let key = fs::read_to_string(&path)?.parse();
                keys.push(key.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    pub fn trust(&self, name: &str, key: PublicKey) -> io::Result<()> {
        replace(&self.dir.join("keys").join(format!("{name}.pub")), format!("{key}\n").as_bytes())
    }

    /// Writes a set with the next number, signed.
    pub fn write(&self, packs: &[Pack], key: &SigningKey, created: Timestamp, expires: Timestamp) -> io::Result<u64> {
        let _lock = self.lock()?;
        let seen = self.seen().unwrap_or_default();
        let last = self.numbers()?.last().copied().unwrap_or(0).max(seen.highest);
        let number = last + 1;
        let fresh = self.dir.join("sets").join(format!(".new-{number}"));
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        for pack in packs {
            for file in &pack.files {
                let path = fresh.join("packs").join(&*pack.name).join(&*file.path);
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                write_synced(&path, &file.octets)?;
            }
        }
        let manifest = Manifest::of(number, packs, created, expires).octets();
        write_synced(&fresh.join("manifest.sig"), key.sign(&manifest).as_bytes())?;
        write_synced(&fresh.join("manifest.json"), &manifest)?;
        fs::rename(&fresh, self.set_dir(number))?;
        sync_dir(&self.dir.join("sets"))?;
        Ok(number)
    }

    /// The packs of a set, if it is signed, whole and in its place.
    pub fn verified(&self, number: u64, trust: &Trust) -> Result<(Manifest, Vec<Pack>), Refused> {
        let dir = self.set_dir(number);
        if !dir.is_dir() {
            return Err(Refused::Missing(number));
        }
        let octets = bounded(&dir.join("manifest.json"))?;
        let signatures = match bounded(&dir.join("manifest.sig")) {
            Ok(signatures) => String::from_utf8_lossy(&signatures).into_owned(),
            Err(_) => return Err(Refused::Unsigned),
        };
        if !trust.is_signed(&octets, &signatures) {
            return Err(Refused::Unsigned);
        }
        let manifest = Manifest::read(&octets)?;
        if manifest.number != number {
            return Err(Refused::Misplaced(manifest.number, number));
        }
        let faults =
            |faults: Vec<super::Fault>| Refused::Damaged(faults.first().map(ToString::to_string).unwrap_or_default());
        let packs = Pack::read_all(&dir.join("packs")).map_err(faults)?;
        manifest.covers(&packs)?;
        Ok((manifest, packs))
    }

    pub fn state(&self) -> Result<State, Refused> {
        read_json(&self.dir.join("state.json"))
    }

    /// Changes what is wanted, alone.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, Refused> {
        let io = |error: io::Error| Refused::Unreadable(format!("{}: {error}", self.dir.display()));
        let _lock = self.lock().map_err(io)?;
        let mut state = self.state()?;
        let changed = change(&mut state)?;
        state.serial += 1;
        let octets = serde_json::to_vec_pretty(&state).unwrap_or_default();
        replace(&self.dir.join("state.json"), &octets).map_err(io)?;
        Ok(changed)
    }

    pub fn seen(&self) -> Result<Seen, Refused> {
        read_json(&self.dir.join("node.json"))
    }

    /// Changes what this node remembers, alone. What can't be read is left as it is, and nothing is changed.
    pub fn remember(&self, change: impl FnOnce(&mut Seen)) -> Result<(), Refused> {
        let path = self.dir.join("node.json");
        let io = |error: io::Error| Refused::Unreadable(format!("{}: {error}", path.display()));
        let _lock = self.lock().map_err(io)?;
        let mut seen = self.seen()?;
        change(&mut seen);
        replace(&path, &serde_json::to_vec_pretty(&seen).unwrap_or_default()).map_err(io)
    }

    /// Held until it is dropped.
    fn lock(&self) -> io::Result<File> {
        let file = File::options().create(true).append(true).open(self.dir.join("lock"))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(file)
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, Refused> {
    let io = |error: io::Error| Refused::Unreadable(format!("{}: {error}", path.display()));
    let mut octets = Vec::new();
    File::open(path).map_err(io)?.take(MAX_MANIFEST).read_to_end(&mut octets).map_err(io)?;
    Ok(octets)
}

/// What is not there is as new.
fn read_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Refused> {
    if !path.exists() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bounded(path)?).map_err(|error| Refused::Damaged(format!("{}: {error}", path.display())))
}

fn write_synced(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Written beside, made durable, moved into place.
pub(super) fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    write_synced(&fresh, octets)?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}
