//! Packs: folders with a `pack.toml` and the files it stands for.
//!
//! ```toml
//! # signatures/starter/pack.toml
//! [pack]
//! name = "starter"                  # a-z, 0-9, -; unique in a set
//! version = "2026.11.21"            # for people
//! description = "What every gateway begins with"
//!
//! [[feed]]                          # plain lists need to be told what they are, see `feeds`
//! file = "phishing-domains.txt"
//! kind = "domains"                  # domains urls networks hashes literals (then also in = ["body"], see `rules`)
//! symbol = "FEED_PHISHING"
//! class = "phishing"
//! score = 4.0
//! en = "A link leads to a domain known for phishing"
//! ja = "フィッシングで知られるドメインへのリンク"
//!
//! [yara]
//! class = "risky-file"              # of YARA rules that don't say theirs; malware if left out
//! ```
//!
//! Every other file of the folder (and of folders in it) is taken by its ending: `.toml` [`crate::signatures::rules`];
//! `.hdb .hsb .mdb .msb .ndb .ldb .ign2` ClamAV; `.yar .yara` YARA; `.cf` SpamAssassin; `.model` the classifier's. `.md` and
//! `LICENSE…` are for people; `self-test/ham/*.eml` and `self-test/spam/*.eml` are for [`crate::signatures::self_test`]. Anything else is refused, so that nothing is left out unnoticed.
//!
//! **Failure**: what can't be read is a fault. **Invariants**: links and hidden files are not followed; sizes are bounded.

use std::path::Path;

use serde::Deserialize;

use super::fault::{Fault, line_of};
use crate::model::finding::Class;

/// Octets of all files of a set together.
pub const MAX_OCTETS: u64 = 1 << 30;
/// Files of a pack.
pub const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 8;
/// The file that makes a folder a pack.
pub const PACK_FILE: &str = "pack.toml";

/// A pack, read into memory.
#[derive(Debug, Clone, Default)]
pub struct Pack {
    pub name: Box<str>,
    pub version: Box<str>,
    pub description: Box<str>,
    pub feeds: Vec<FeedEntry>,
    pub yara_class: Option<Class>,
    /// Sorted by path.
    pub files: Vec<PackFile>,
}

#[derive(Debug, Clone)]
pub struct PackFile {
    /// Within the pack, with `/`.
    pub path: Box<str>,
    pub octets: bytes::Bytes,
}

/// `[[feed]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedEntry {
    pub file: Box<str>,
    pub kind: FeedKind,
    pub symbol: Box<str>,
    pub class: Class,
    #[serde(default)]
    pub score: f64,
    #[serde(default)]
    pub en: Box<str>,
    #[serde(default)]
    pub ja: Box<str>,
    /// Of literals: where they are looked for; `text` if nothing is said.
    #[serde(rename = "in", default)]
    pub fields: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedKind {
    Domains,
    Urls,
    Networks,
    Hashes,
    /// Words and phrases, looked for in the fields `in`.
    Literals,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    pack: Head,
    #[serde(default)]
    feed: Vec<FeedEntry>,
    #[serde(default)]
    yara: YaraEntry,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct YaraEntry {
    class: Option<Class>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: Box<str>,
    #[serde(default)]
    version: Box<str>,
    #[serde(default)]
    description: Box<str>,
}

impl Pack {
    /// Reads a folder.
    pub fn read(dir: &Path) -> Result<Self, Fault> {
        let mut files = Vec::new();
        gather(dir, "", 0, &mut files)?;
        Self::from_files(&dir.file_name().map(|name| name.to_string_lossy()).unwrap_or_default(), files)
    }

    /// Reads a folder of packs, or a folder that is one.
    pub fn read_all(dir: &Path) -> Result<Vec<Self>, Vec<Fault>> {
        if dir.join(PACK_FILE).is_file() {
            return Self::read(dir).map(|pack| vec![pack]).map_err(|fault| vec![fault]);
        }
        let whole = |error: std::io::Error| vec![Fault::new(&dir.display().to_string(), 0, error.to_string())];
        let mut dirs = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(whole)? {
            let path = entry.map_err(whole)?.path();
            if path.join(PACK_FILE).is_file() {
                dirs.push(path);
            }
        }
        dirs.sort();
        let (mut packs, mut faults) = (Vec::new(), Vec::new());
        for path in dirs {
            match Self::read(&path) {
                Ok(pack) => packs.push(pack),
                Err(fault) => faults.push(fault),
            }
        }
        if packs.is_empty() && faults.is_empty() {
            faults.push(Fault::new(&dir.display().to_string(), 0, "no pack in here: no folder with a pack.toml"));
        }
        if faults.is_empty() { Ok(packs) } else { Err(faults) }
    }

    /// The file as text.
    pub fn text<'f>(&self, file: &'f PackFile) -> Result<&'f str, Fault> {
        std::str::from_utf8(&file.octets).map_err(|error| {
            let line =
                memchr::memchr_iter(b'\n', file.octets.get(..error.valid_up_to()).unwrap_or_default()).count() + 1;
            Fault::new(&self.shown(file), line, "is not UTF-8")
        })
    }

    /// `pack/path`, as faults name it.
    #[must_use]
    pub fn shown(&self, file: &PackFile) -> String {
        format!("{}/{}", self.name, file.path)
    }

    /// From files in memory; `folder` stands in faults until the pack's own name is known.
    pub fn from_files(folder: &str, mut files: Vec<PackFile>) -> Result<Self, Fault> {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let here = format!("{folder}/{PACK_FILE}");
        let head = files.iter().position(|file| &*file.path == PACK_FILE);
        let head = head.ok_or_else(|| Fault::new(&here, 0, "is missing"))?;
        let head = files.get(head).map(|file| file.octets.clone()).unwrap_or_default();
        let text = std::str::from_utf8(&head).map_err(|_| Fault::new(&here, 0, "is not UTF-8"))?;
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            Fault::new(&here, line, error.message().lines().next().unwrap_or("not TOML"))
        })?;
        let name = &written.pack.name;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(Fault::new(&here, 0, "the name of a pack has up to 64 of a-z, 0-9 and -"));
        }
        for feed in &written.feed {
            if !files.iter().any(|file| file.path == feed.file) {
                return Err(Fault::new(&here, 0, format!("there is no file {:?} for a feed", feed.file)));
            }
        }
        let Head { name, version, description } = written.pack;
        Ok(Self { name, version, description, feeds: written.feed, yara_class: written.yara.class, files })
    }
}

fn gather(dir: &Path, prefix: &str, depth: usize, files: &mut Vec<PackFile>) -> Result<(), Fault> {
    let place = || if prefix.is_empty() { dir.display().to_string() } else { prefix.to_owned() };
    let whole = |error: std::io::Error| Fault::new(&place(), 0, error.to_string());
    if depth > MAX_DEPTH {
        return Err(Fault::new(&place(), 0, format!("folders more than {MAX_DEPTH} deep")));
    }
    for entry in std::fs::read_dir(dir).map_err(whole)? {
        let entry = entry.map_err(whole)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| Fault::new(&place(), 0, "a file name that is not UTF-8"))?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(whole)?;
        if kind.is_dir() {
            gather(&entry.path(), &format!("{path}/"), depth + 1, files)?;
        } else if kind.is_file() {
            let size = entry.metadata().map_err(whole)?.len();
            if files.len() >= MAX_FILES || size > MAX_OCTETS {
                return Err(Fault::new(&path, 0, "more or bigger files than a pack may have"));
            }
            let octets = std::fs::read(entry.path()).map_err(|error| Fault::new(&path, 0, error.to_string()))?;
            files.push(PackFile { path: path.into(), octets: octets.into() });
        }
    }
    Ok(())
}
