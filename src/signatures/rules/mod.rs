//! Our own rules: `*.toml` in a pack. A rule looks for words and expressions in fields of a message, or combines others.
//!
//! ```toml
//! [[rule]]
//! id = "JA_CARD_SUSPENDED"            # A-Z, 0-9, _; unique in the whole set; begins with __ by custom if it has no score
//! en = "A card is said to be suspended"         # both are needed if there is a score
//! ja = "カードの利用停止をうたう"
//! class = "phishing"                  # malware risky-file ambiguous unscannable encrypted phishing impersonation spam bulk
//! score = 2.5                         # none: only for conditions of other rules; negative: speaks for the message
//! in = ["subject", "body"]            # fields, see below; default "text"
//! any = ["カードの利用を停止", "ご利用を制限"]    # at least `min` different ones of these (default 1) in the fields together
//! min = 1
//! all = ["カード"]                     # all of these
//! none = ["配信停止"]                  # and none of these
//! regex = 'お客様の.{0,10}カード'        # and at least one of these
//! word = true                         # literals of `any`, `all`, `none` stand between ASCII word boundaries
//! case = false                        # true: compared as written, not folded
//! when = "__LINK_NEW and not @authenticated"    # and this holds, see `expression`
//! hits = ["お客様のカードの利用を停止しました"]     # checked by `signatures check`: texts in which words and expressions hit
//! misses = ["カードを同封します"]               # and in which they don't
//! ```
//!
//! What is given must all be so. Other questions: `exists = true` (the field is there and not empty), `domains = [...]` (a
//! link leads to one of these domains or below), `hex = ["4d 5a"]` (octets, joins `any`; with `in = "file"` or `"raw"`).
//!
//! | `in` | is |
//! |---|---|
//! | `text` | `subject` and `body` |
//! | `body`, `hidden`, `html` | what is shown (texts inside files too), what the markup hides, the source of HTML |
//! | `subject`, `from`, `to` (with Cc), `reply-to`, `header:NAME` | a field, decoded |
//! | `from-name`, `from-address`, `from-domain` | parts of From |
//! | `headers` | each field as `Name: value` |
//! | `url`, `host`, `domain`, `link-text` | of links: the address, its host, the registrable domain, what is shown in its place |
//! | `file-name`, `content-type` | names of attachments and files in archives; types of parts as claimed |
//! | `file`, `raw` | octets of each file and of the message as it came; ASCII letters alike in both cases, no `regex` |
//!
//! Texts and literals are folded ([`crate::signatures::fold`]): write as you like, but for `case = true`. Expressions are
//! those of the `regex` crate, run on the folded text, and match in linear time; `\b` is ASCII's. One that needs neither
//! a literal of at least three octets nor one with a sign like `$` runs on every message: avoid it, or give its rule a word in `any` or `all`,
//! for expressions run only where all else of their rule holds. Literals themselves cost next to nothing: thousands are fine.
//!
//! **Failure**: a fault anywhere refuses the set, with file and line. When time is up, what was found until then is told,
//! and that it is not all.
//! **Invariants**: a rule is evaluated after those it asks for; a message's cost is linear in its texts.

pub mod atoms;
pub mod compile;
pub mod expression;
pub mod fields;
pub mod lists;
pub mod read;
pub mod required;

use std::collections::{BTreeMap, HashMap, HashSet};

use regex::Regex;

use crate::message::specimen::{Specimen, TimeUp};
use crate::model::finding::{Class, Score};
use crate::signatures::literals::{Case, Literals};
pub use atoms::{Atom, Facts};
use expression::Expression;
use fields::{FieldNames, Mask, Region, regions};
use lists::Lists;

pub type NeedleId = u32;
/// Labels of a host name that are looked at, from the right.
const MAX_LABELS: usize = 12;

/// A literal that some rule or expression needs.
#[derive(Debug, Clone)]
pub struct Needle {
    pub bytes: Box<[u8]>,
    mask: Mask,
    word: bool,
    case: Case,
}

#[derive(Debug, Clone, Copy)]
struct Literal {
    needle: NeedleId,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    mask: Mask,
    /// Of the text as written, not folded.
    exact: bool,
    /// Matches no text of ASCII alone.
    never_ascii: bool,
    /// One of these must have been seen. Empty: always runs.
    required: Box<[NeedleId]>,
}

/// What is told of a rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleInfo {
    pub name: Box<str>,
    pub class: Class,
    /// `None`: the rule only serves others.
    pub score: Option<Score>,
    pub en: Box<str>,
    pub ja: Box<str>,
    pub pack: Box<str>,
}

/// Finds literals, of which some are looked for in these fields.
#[derive(Debug)]
struct Matcher {
    literals: Literals,
    ids: Vec<NeedleId>,
    mask: Mask,
}

#[derive(Debug)]
pub struct Rule {
    info: RuleInfo,
    any: Vec<Literal>,
    min: usize,
    all: Vec<Literal>,
    none: Vec<Literal>,
    patterns: Vec<usize>,
    domains: Option<usize>,
    exists: Option<Mask>,
    when: Option<Expression<usize>>,
}

/// Which literals were seen.
#[derive(Debug, Clone, Default)]
pub struct Seen(Vec<u64>);

impl Seen {
    #[must_use]
    pub fn new(needles: usize) -> Self {
        Self(vec![0; needles.div_ceil(64)])
    }

    pub fn add(&mut self, needle: NeedleId) {
        if let Some(word) = self.0.get_mut(needle as usize / 64) {
            *word |= 1 << (needle % 64);
        }
    }

    #[must_use]
    pub fn has(&self, needle: NeedleId) -> bool {
        self.0.get(needle as usize / 64).is_some_and(|word| word & (1 << (needle % 64)) != 0)
    }
}

/// A rule that hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHit<'s> {
    pub rule: &'s RuleInfo,
    pub score: Score,
    /// The word or text that was found.
    pub evidence: Box<str>,
}

/// What came of a message.
#[derive(Debug, Default)]
pub struct Evaluated<'s> {
    pub hits: Vec<RuleHit<'s>>,
    /// Not everything was looked at.
    pub time_is_up: bool,
}

/// All rules of a set, compiled.
#[derive(Debug, Default)]
pub struct RuleSet {
    names: FieldNames,
    wanted: Mask,
    needles: Vec<Needle>,
    folded: Option<Matcher>,
    exact: Option<Matcher>,
    patterns: Vec<Pattern>,
    rules: Vec<Rule>,
    /// The order of evaluation.
    order: Vec<usize>,
    by_name: BTreeMap<Box<str>, usize>,
    domains: HashMap<Box<str>, Vec<usize>>,
    atoms: Vec<Atom>,
    lists: Lists,
}

impl RuleSet {
    fn new(
        names: FieldNames,
        wanted: Mask,
        needles: Vec<Needle>,
        patterns: Vec<Pattern>,
        (rules, order, by_name): (Vec<Rule>, Vec<usize>, BTreeMap<Box<str>, usize>),
        domains: HashMap<Box<str>, Vec<usize>>,
        lists: Lists,
    ) -> Self {
        let folded = compile::matcher(&needles, |needle| needle.case == Case::Folded);
        let exact = compile::matcher(&needles, |needle| needle.case == Case::Exact && !needle.mask.is_octets());
        let atoms = compile::atoms(&rules);
        Self { names, wanted, needles, folded, exact, patterns, rules, order, by_name, domains, atoms, lists }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.lists.len() == 0
    }

    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &rule.info).chain(self.lists.infos())
    }

    /// Literals of all lists.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.lists.len()
    }

    #[must_use]
    pub fn info(&self, name: &str) -> Option<&RuleInfo> {
        let rule = self.by_name.get(name).and_then(|number| self.rules.get(*number));
        rule.map(|rule| &rule.info).or_else(|| self.lists.infos().find(|info| &*info.name == name))
    }

    /// Expressions that run on every message, for want of a literal.
    pub fn costly(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter(|pattern| pattern.required.is_empty()).map(|pattern| pattern.regex.as_str())
    }

    /// Literals to be looked for in octets: of files, or of the message as it came.
    pub fn octet_needles(&self) -> impl Iterator<Item = (NeedleId, &[u8], Case)> {
        let needles = self.needles.iter().zip(0..);
        needles.filter(|(needle, _)| needle.mask.is_octets()).map(|(needle, id)| (id, &*needle.bytes, needle.case))
    }

    /// A literal of [`Self::octet_needles`] was found in a file, or in the message as it came.
    pub fn saw_octets(&self, needle: NeedleId, is_file: bool, seen: &mut Seen) {
        let field = if is_file { fields::FILE } else { fields::RAW };
        if self.needles.get(needle as usize).is_some_and(|needle| needle.mask.has(field)) {
            seen.add(needle);
        }
    }

    #[must_use]
    pub fn wants_raw(&self) -> bool {
        self.wanted.has(fields::RAW)
    }

    /// An empty record for [`Self::saw_octets`].
    #[must_use]
    pub fn nothing_seen(&self) -> Seen {
        Seen::new(self.needles.len())
    }

    /// Runs all rules; `seen` has what was found in octets.
    pub fn evaluate(&self, specimen: &Specimen, facts: &Facts, seen: Seen, time_up: TimeUp<'_>) -> Evaluated<'_> {
        let regions = regions(&self.names, &self.wanted, specimen);
        let mut run = Run { set: self, seen, matched: HashMap::new(), domains: HashSet::new(), time_is_up: false };
        let mut listed = self.lists.nothing();
        for region in &regions {
            if time_up() {
                run.time_is_up = true;
                break;
            }
            run.look(region);
            self.lists.look(region, &mut listed);
        }
        run.links(specimen);
        run.search(&regions, time_up);
        let atoms: Vec<(Atom, u32)> = self.atoms.iter().map(|atom| (*atom, atom.value(specimen, facts))).collect();
        let mut evaluated = run.judge(&regions, &atoms);
        evaluated.hits.extend(self.lists.hits(listed));
        evaluated
    }

    /// Whether it is a rule about names of files alone, and hits this one: then the file is known that it speaks of.
    #[must_use]
    pub fn is_about_file(&self, rule: &str, file_name: &str) -> bool {
        let found = self.by_name.get(rule).and_then(|number| self.rules.get(*number));
        let of_names = |rule: &Rule| rule.domains.is_none() && self.fields_of(rule) == Mask::of(&[fields::FILE_NAME]);
        found.is_some_and(of_names) && self.tries(rule, file_name) == Some(true)
    }

    fn fields_of(&self, rule: &Rule) -> Mask {
        let mut mask = Mask::default();
        let literals = rule.any.iter().chain(&rule.all).chain(&rule.none);
        let needles = literals.filter_map(|literal| self.needles.get(literal.needle as usize));
        needles.for_each(|needle| mask.join(needle.mask));
        rule.patterns.iter().filter_map(|id| self.patterns.get(*id)).for_each(|pattern| mask.join(pattern.mask));
        rule.exists.iter().for_each(|exists| mask.join(*exists));
        mask
    }

    /// Whether the words and expressions of a rule hit a text, whatever its field. `None`: there is no such rule.
    #[must_use]
    pub fn tries(&self, name: &str, text: &str) -> Option<bool> {
        let rule = self.rules.get(*self.by_name.get(name)?)?;
        let mask = self.fields_of(rule);
        let region = Region { mask, folded: crate::signatures::fold::fold(text), exact: text.into() };
        let seen = self.nothing_seen();
        let mut run = Run { set: self, seen, matched: HashMap::new(), domains: HashSet::new(), time_is_up: false };
        run.look(&region);
        if mask.is_octets() {
            for (id, bytes, case) in self.octet_needles() {
                let found = match case {
                    Case::Exact => memchr::memmem::find(text.as_bytes(), bytes).is_some(),
                    _ => text.to_ascii_lowercase().contains(&*String::from_utf8_lossy(bytes).to_ascii_lowercase()),
                };
                if found {
                    run.seen.add(id);
                }
            }
        }
        let regions = [region];
        run.search(&regions, &|| false);
        Some(run.own(rule, &regions))
    }
}

/// The time of the message is up.
struct Late;

/// The evaluation of one message.
struct Run<'s> {
    set: &'s RuleSet,
    seen: Seen,
    /// Expressions that matched, with the text.
    matched: HashMap<usize, Box<str>>,
    /// Groups of domains that links lead to.
    domains: HashSet<usize>,
    time_is_up: bool,
}

impl<'s> Run<'s> {
    fn look(&mut self, region: &Region<'_>) {
        for (matcher, text) in [(&self.set.folded, &region.folded), (&self.set.exact, &region.exact)] {
            if let Some(Matcher { literals, ids, mask }) = matcher
                && mask.meets(&region.mask)
            {
                let (set, seen) = (self.set, &mut self.seen);
                literals.find(text.as_bytes(), &mut |found, start| {
                    let Some(id) = ids.get(found as usize).copied() else { return };
                    let Some(needle) = set.needles.get(id as usize) else { return };
                    let fits = !needle.word || is_word(text.as_bytes(), start, needle.bytes.len());
                    if fits && needle.mask.meets(&region.mask) {
                        seen.add(id);
                    }
                });
            }
        }
    }

    /// Runs the expressions that may match, of rules that hold but for them, until one of each rule matched.
    fn search(&mut self, regions: &[Region<'_>], time_up: TimeUp<'_>) {
        let set = self.set;
        for rule in set.rules.iter().filter(|rule| !rule.patterns.is_empty()) {
            if !self.own_but_patterns(rule, regions) {
                continue;
            }
            for id in &rule.patterns {
                let Some(pattern) = set.patterns.get(*id) else { continue };
                let Ok(found) = self.find(pattern, regions, time_up) else {
                    self.time_is_up = true;
                    return;
                };
                if let Some(found) = found {
                    self.matched.insert(*id, found);
                    break;
                }
            }
        }
    }

    /// What an expression matches first.
    fn find(&self, pattern: &Pattern, regions: &[Region<'_>], time_up: TimeUp<'_>) -> Result<Option<Box<str>>, Late> {
        if !pattern.required.is_empty() && !pattern.required.iter().any(|needle| self.seen.has(*needle)) {
            return Ok(None);
        }
        for region in regions.iter().filter(|region| region.mask.meets(&pattern.mask)) {
            if time_up() {
                return Err(Late);
            }
            let text = if pattern.exact { &region.exact } else { &region.folded };
            if pattern.never_ascii && text.is_ascii() {
                continue;
            }
            if let Some(found) = pattern.regex.find(text) {
                return Ok(Some(found.as_str().chars().take(80).collect::<String>().into()));
            }
        }
        Ok(None)
    }

    fn links(&mut self, specimen: &Specimen) {
        if self.set.domains.is_empty() {
            return;
        }
        for link in &specimen.links {
            let dots = link.host.rmatch_indices('.').map(|(at, _)| at + 1).take(MAX_LABELS);
            let above = dots.filter_map(|at| link.host.get(at..));
            for name in above.chain([&*link.host]) {
                self.domains.extend(self.set.domains.get(name).into_iter().flatten());
            }
        }
    }

    fn judge(self, regions: &[Region<'_>], atoms: &[(Atom, u32)]) -> Evaluated<'s> {
        let mut hit = vec![false; self.set.rules.len()];
        let mut hits = Vec::new();
        for number in &self.set.order {
            let Some(rule) = self.set.rules.get(*number) else { continue };
            let atom = |wanted: Atom| atoms.iter().find(|(atom, _)| *atom == wanted).map_or(0, |(_, value)| *value);
            let asked = |other: &usize| hit.get(*other).copied().unwrap_or(false);
            let holds = self.own(rule, regions) && rule.when.as_ref().is_none_or(|when| when.value(&asked, &atom) != 0);
            if !holds {
                continue;
            }
            if let Some(place) = hit.get_mut(*number) {
                *place = true;
            }
            if let Some(score) = rule.info.score {
                hits.push(RuleHit { rule: &rule.info, score, evidence: self.evidence(rule) });
            }
        }
        Evaluated { hits, time_is_up: self.time_is_up }
    }

    /// Everything that a rule asks for, but for its condition on others.
    fn own(&self, rule: &Rule, regions: &[Region<'_>]) -> bool {
        let matched = rule.patterns.is_empty() || rule.patterns.iter().any(|id| self.matched.contains_key(id));
        matched && self.own_but_patterns(rule, regions)
    }

    fn own_but_patterns(&self, rule: &Rule, regions: &[Region<'_>]) -> bool {
        let seen = |literal: &&Literal| self.seen.has(literal.needle);
        (rule.any.is_empty() || rule.any.iter().filter(seen).take(rule.min).count() >= rule.min)
            && rule.all.iter().all(|literal| seen(&literal))
            && !rule.none.iter().any(|literal| seen(&literal))
            && rule.domains.is_none_or(|group| self.domains.contains(&group))
            && rule.exists.is_none_or(|mask| regions.iter().any(|region| region.mask.meets(&mask)))
    }

    fn evidence(&self, rule: &Rule) -> Box<str> {
        if let Some(text) = rule.patterns.iter().find_map(|id| self.matched.get(id)) {
            return text.clone();
        }
        let seen = rule.any.iter().chain(&rule.all).find(|literal| self.seen.has(literal.needle));
        let needle = seen.and_then(|literal| self.set.needles.get(literal.needle as usize));
        needle.map(|needle| String::from_utf8_lossy(&needle.bytes).into()).unwrap_or_default()
    }
}

/// Whether no ASCII letter, digit or `_` stands right before or behind.
fn is_word(text: &[u8], start: usize, length: usize) -> bool {
    let part =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_');
    !part(start.checked_sub(1)) && !part(Some(start + length))
}

#[cfg(test)]
mod tests;
