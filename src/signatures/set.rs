//! The [`SignatureSet`]: everything that messages are compared with, compiled, numbered, never changed.
//!
//! **Failure**: [`SignatureSet::compile`] tells every fault with file and line, and makes no set if one is grave; what a
//! format has that we can't do is skipped, and told in [`SignatureSet::skipped`].
//! **Invariants**: a set is immutable; a message is judged by one of them.

use super::clamav::{ClamAv, Format};
use super::fault::{Fault, Faults, MAX_FAULTS};
use super::feeds::Feeds;
use super::model::Model;
use super::octets::Octets;
use super::pack::{FeedKind, PACK_FILE, Pack, PackFile};
use super::rules::compile::{Builder, Place};
use super::rules::read::{self, Written};
use super::rules::{RuleInfo, RuleSet};
use super::self_test;
use super::spamassassin::{self, ScoreSet};
use super::yara::{self, Yara};
use crate::model::finding::Class;

/// Compiled signatures, rules and models.
#[derive(Debug, Default)]
pub struct SignatureSet {
    /// Grows with each set; 0: none was ever published.
    pub number: u64,
    pub rules: RuleSet,
    pub clamav: ClamAv,
    pub feeds: Feeds,
    pub yara: Yara,
    /// The classifier's; empty if no pack has one.
    pub model: Model,
    /// The literals of rules for files and of ClamAV's bodies.
    pub octets: Octets,
    /// Rules in SpamAssassin's language.
    pub spamassassin: spamassassin::Rules,
    examples: Vec<Examples>,
    /// What was left out, and why.
    pub skipped: Vec<Fault>,
    /// Names and versions of the packs.
    pub packs: Vec<(Box<str>, Box<str>)>,
}

/// Of a rule: texts that hit, and texts that don't.
#[derive(Debug)]
struct Examples {
    rule: Box<str>,
    hits: Vec<String>,
    misses: Vec<String>,
}

/// How many there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    pub rules: usize,
    /// In lists.
    pub literals: usize,
    pub clamav: usize,
    pub feeds: usize,
    pub yara: usize,
    /// Words that the classifier knows.
    pub words: usize,
    pub spamassassin: usize,
}

impl SignatureSet {
    /// A set that finds nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Compiles packs, and what every set has ([`self_test::built_in`]), into a set. `number`: 0 while it is not published.
    pub fn compile(number: u64, packs: &[Pack]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut gathered = Gathered::default();
        let built_in = [self_test::built_in()];
        let all = || built_in.iter().chain(packs);
        for (place, pack) in all().enumerate() {
            if all().take(place).any(|other| other.name == pack.name) {
                faults.refuse(&format!("{}/{PACK_FILE}", pack.name), 0, "two packs of this name");
            }
        }
        // Names to leave out must be known before what they name.
        for pass in [Pass::Ignored, Pass::Others] {
            for pack in all() {
                for file in &pack.files {
                    gathered.file(pass, pack, file, &mut faults);
                }
            }
        }
        let Gathered { rules, mut clamav, mut feeds, yara, model, examples, spamassassin } = gathered;
        let rules = rules.finish(&mut faults);
        if !faults.refused.is_empty() {
            faults.refused.sort();
            faults.refused.truncate(MAX_FAULTS);
            return Err(faults.refused);
        }
        clamav.finish();
        feeds.finish();
        let octets = Octets::build(&rules, &clamav);
        clamav.forget_literals();
        let yara = yara.finish();
        let files = spamassassin.iter().map(|(name, octets)| (&**name, &**octets));
        let spamassassin = spamassassin::compile(files, ScoreSet::Local);
        for skipped in &spamassassin.skipped {
            let reason = format!("{} {}", skipped.rule, skipped.reason);
            faults.skip(&skipped.file, skipped.line as usize, reason.trim());
        }
        let packs = packs.iter().map(|pack| (pack.name.clone(), pack.version.clone())).collect();
        let skipped = faults.skipped;
        Ok(Self { number, rules, clamav, feeds, yara, model, octets, spamassassin, examples, skipped, packs })
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            rules: self.rules.len(),
            literals: self.rules.listed(),
            clamav: self.clamav.len(),
            feeds: self.feeds.len(),
            yara: self.yara.len(),
            words: self.model.len(),
            spamassassin: self.spamassassin.rules.len(),
        }
    }

    /// What is known of a symbol.
    #[must_use]
    pub fn describe(&self, symbol: &str) -> Option<&RuleInfo> {
        let of_feed = || self.feeds.infos().find(|info| &*info.name == symbol);
        self.rules.info(symbol).or_else(of_feed).or_else(|| self.yara.info(symbol))
    }

    /// Rules whose own examples say otherwise: those that fail to hit, and those that hit what they shouldn't.
    #[must_use]
    pub fn wrong_examples(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for Examples { rule, hits, misses } in &self.examples {
            for (texts, expected) in [(hits, true), (misses, false)] {
                for text in texts {
                    if self.rules.tries(rule, text) != Some(expected) {
                        let does = if expected { "doesn't hit" } else { "hits" };
                        wrong.push(format!("{rule} {does} its example {text:?}"));
                    }
                }
            }
        }
        wrong
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Ignored,
    Others,
}

/// What was read from the files so far.
#[derive(Default)]
struct Gathered {
    rules: Builder,
    clamav: ClamAv,
    feeds: Feeds,
    yara: yara::Builder,
    model: Model,
    examples: Vec<Examples>,
    /// `.cf` files, which are compiled together: later ones change what earlier ones say.
    spamassassin: Vec<(Box<str>, Box<[u8]>)>,
}

impl Gathered {
    fn file(&mut self, pass: Pass, pack: &Pack, file: &PackFile, faults: &mut Faults) {
        let path = &*file.path;
        let shown = pack.shown(file);
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if (ending == "ign2") != (pass == Pass::Ignored) || path == PACK_FILE || path.starts_with("self-test/") {
            return;
        }
        let mut feeds = pack.feeds.iter().filter(|feed| feed.file == file.path).peekable();
        if feeds.peek().is_some() {
            feeds.for_each(|feed| match feed.kind {
                FeedKind::Literals => self.rules.list(&pack.name, feed, &file.octets, faults),
                _ => self.feeds.add(&pack.name, feed, &file.octets, faults),
            });
        } else if let Some(format) = Format::of(ending) {
            self.clamav.add(format, &shown, &file.octets, faults);
        } else if ending == "cf" {
            self.spamassassin.push((shown.into(), file.octets.to_vec().into()));
        } else if matches!(ending, "toml" | "yar" | "yara") {
            match pack.text(file) {
                Ok(text) if ending == "toml" => self.toml(pack, &shown, text, faults),
                Ok(text) => {
                    let class = pack.yara_class.unwrap_or(Class::Malware);
                    self.yara.add(&pack.name, &shown, class, text, faults);
                }
                Err(fault) => faults.refused.push(fault),
            }
        } else if ending == "model" {
            match Model::from_bytes(&file.octets) {
                Ok(_) if !self.model.is_empty() => faults.refuse(&shown, 0, "a second model: a set has one"),
                Ok(model) => self.model = model,
                Err(error) => faults.refuse(&shown, 0, format!("it is no model: {error}")),
            }
        } else if !matches!(ending, "md") && !name.starts_with("LICENSE") {
            let reason = format!("files that end in {ending:?} mean nothing here; lists need a [[feed]] in pack.toml");
            faults.refuse(&shown, 0, reason);
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
                        self.examples.push(Examples { rule: id.into(), hits: hits.0, misses: misses.0 });
                    }
                }
            }
            Err(fault) => faults.refused.push(fault),
        }
    }
}
