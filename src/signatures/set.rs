//! The [`SignatureSet`]: everything that messages are compared with, compiled, numbered, never changed.
//!
//! **Failure**: [`SignatureSet::compile`] tells every fault with file and line, and makes no set if one is grave; what a
//! format has that we can't do is skipped, and told in [`SignatureSet::skipped`].
//! **Invariants**: a set is immutable; a message is judged by one of them.

use super::fault::{Fault, Faults, MAX_FAULTS};
use super::pack::{PACK_FILE, Pack, PackFile};
use super::rules::compile::{Builder, Place};
use super::rules::read::{self, Written};
use super::rules::{RuleInfo, RuleSet};

/// Compiled signatures, rules and models.
#[derive(Debug, Default)]
pub struct SignatureSet {
    /// Grows with each set; 0: none was ever published.
    pub number: u64,
    pub rules: RuleSet,
    /// Of rules with examples: name, texts that hit, texts that don't.
    examples: Vec<(Box<str>, Vec<String>, Vec<String>)>,
    /// What was left out, and why.
    pub skipped: Vec<Fault>,
    /// Names and versions of the packs.
    pub packs: Vec<(Box<str>, Box<str>)>,
}

impl SignatureSet {
    /// A set that finds nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Compiles packs into a set. `number`: 0 while it is not published.
    pub fn compile(number: u64, packs: &[Pack]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut gathered = Gathered::default();
        for (place, pack) in packs.iter().enumerate() {
            if packs.iter().take(place).any(|other| other.name == pack.name) {
                faults.refuse(&format!("{}/{PACK_FILE}", pack.name), 0, "two packs of this name");
            }
            for file in &pack.files {
                gathered.file(pack, file, &mut faults);
            }
        }
        let rules = gathered.rules.finish(&mut faults);
        faults.refused.truncate(MAX_FAULTS);
        if !faults.refused.is_empty() {
            faults.refused.sort();
            return Err(faults.refused);
        }
        let packs = packs.iter().map(|pack| (pack.name.clone(), pack.version.clone())).collect();
        Ok(Self { number, rules, examples: gathered.examples, skipped: faults.skipped, packs })
    }

    /// What is known of a symbol.
    #[must_use]
    pub fn describe(&self, symbol: &str) -> Option<&RuleInfo> {
        self.rules.info(symbol)
    }

    /// Rules whose own examples say otherwise: those that fail to hit, and those that hit what they shouldn't.
    #[must_use]
    pub fn wrong_examples(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, hits, misses) in &self.examples {
            for (texts, expected) in [(hits, true), (misses, false)] {
                for text in texts {
                    if self.rules.tries(name, text) != Some(expected) {
                        let does = if expected { "doesn't hit" } else { "hits" };
                        wrong.push(format!("{name} {does} its example {text:?}"));
                    }
                }
            }
        }
        wrong
    }
}

/// What was read from the files so far.
#[derive(Default)]
struct Gathered {
    rules: Builder,
    examples: Vec<(Box<str>, Vec<String>, Vec<String>)>,
}

impl Gathered {
    fn file(&mut self, pack: &Pack, file: &PackFile, faults: &mut Faults) {
        let path = &*file.path;
        if path == PACK_FILE || pack.feeds.iter().any(|feed| feed.file == file.path) {
            return;
        }
        let shown = format!("{}/{path}", pack.name);
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "toml" => {
                if let Some(text) = text(&shown, file, faults) {
                    self.toml(pack, &shown, text, faults);
                }
            }
            "md" | "txt" => {}
            _ if name.starts_with("LICENSE") => {}
            ending => faults.refuse(&shown, 0, format!("files that end in {ending:?} mean nothing here")),
        }
    }

    fn toml(&mut self, pack: &Pack, shown: &str, text: &str, faults: &mut Faults) {
        match read::read(shown, text) {
            Ok(rules) => {
                for (line, written) in rules {
                    let place = Place { pack: pack.name.clone(), file: shown.into(), line };
                    self.rules.add(place, &written, faults);
                    let Written { id, hits, misses, .. } = written;
                    if !hits.is_empty() || !misses.is_empty() {
                        self.examples.push((id.into(), hits.0, misses.0));
                    }
                }
            }
            Err(fault) => faults.refuse(&fault.file, fault.line, fault.reason),
        }
    }
}

/// The file as text, or a fault.
fn text<'f>(shown: &str, file: &'f PackFile, faults: &mut Faults) -> Option<&'f str> {
    let text = std::str::from_utf8(&file.octets);
    text.map_err(|error| {
        let before = file.octets.get(..error.valid_up_to()).unwrap_or_default();
        faults.refuse(shown, memchr::memchr_iter(b'\n', before).count() + 1, "is not UTF-8");
    })
    .ok()
}
