//! Many expressions over one text, of which only those run whose literals or windows are in it.
//!
//! **Failure**: an expression that neither engine takes is refused when it is compiled. One that reaches its limit in a
//! text has [given up](GaveUp): that is no answer.
//! **Invariants**: which engine and which filter an expression has never changes what it matches.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::literals::{END, Needed, WINDOW, needed};
use super::perl::{Translated, translate};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    engine: Engine,
    needed: Needed,
    pub names: Vec<Box<str>>,
}

#[derive(Debug, Clone)]
enum Engine {
    /// Compiled when it first runs: of thousands, few ever do.
    Linear(Box<Linear>),
    /// Look-around, back-references; steps are limited.
    Perl(Box<pcre2::bytes::Regex>),
}

#[derive(Debug, Clone)]
struct Linear {
    exact: Box<str>,
    regex: OnceLock<Option<regex::bytes::Regex>>,
}

impl Linear {
    fn regex(&self) -> Option<&regex::bytes::Regex> {
        self.regex
            .get_or_init(|| {
                regex::bytes::RegexBuilder::new(&self.exact)
                    .unicode(false)
                    .size_limit(MAX_SIZE)
                    .dfa_size_limit(MAX_SIZE)
                    .build()
                    .ok()
            })
            .as_ref()
    }
}

fn perl(pcre: &str) -> Result<Engine, String> {
    let built = pcre2::bytes::RegexBuilder::new().jit_if_available(true).build(pcre);
    built.map(|regex| Engine::Perl(Box::new(regex))).map_err(|error| error.to_string())
}

/// Most memory of one compiled expression, in octets.
const MAX_SIZE: usize = 8 << 20;
/// Longer expressions than this, and counts above [`MAX_COUNT`], may become too big.
const MAX_LAZY: usize = 64 << 10;
const MAX_COUNT: u32 = 1_000;

/// Whether an expression is one, and small enough: its states are about its length, times its counts.
fn is_valid(exact: &str) -> bool {
    let parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).nest_limit(120).build().parse(exact);
    parser.is_ok_and(|hir| states(&hir) < 60_000)
}

/// Roughly.
fn states(hir: &regex_syntax::hir::Hir) -> u64 {
    use regex_syntax::hir::HirKind;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) => 2,
        HirKind::Capture(capture) => states(&capture.sub),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min + 1).min(MAX_COUNT * 10);
            states(&repetition.sub).saturating_mul(u64::from(times.max(1)))
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(states).fold(1, u64::saturating_add),
    }
}

/// The text drove an expression beyond its steps: whether it matches isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an expression gave up on this text")]
pub struct GaveUp;

impl Pattern {
    /// # Errors
    /// With the reason.
    pub fn new(source: &str) -> Result<Self, String> {
        let Translated { exact, relaxed, pcre, names } = translate(source)?;
        let engine = match exact {
            // What is too big for one engine may fit the other: asked at once where it looks so.
            Some(exact) if exact.len() < MAX_LAZY && is_valid(&exact) => {
                Engine::Linear(Box::new(Linear { exact: exact.into(), regex: OnceLock::new() }))
            }
            _ => perl(&pcre)?,
        };
        Ok(Self { engine, needed: relaxed.map_or(Needed::Unknown, |relaxed| needed(&relaxed)), names })
    }

    #[must_use]
    pub fn is_linear(&self) -> bool {
        matches!(self.engine, Engine::Linear(_))
    }

    /// # Errors
    /// [`GaveUp`].
    pub fn is_match(&self, text: &[u8]) -> Result<bool, GaveUp> {
        match &self.engine {
            Engine::Linear(linear) => Ok(linear.regex().is_some_and(|regex| regex.is_match(text))),
            Engine::Perl(regex) => regex.is_match(text).map_err(|_| GaveUp),
        }
    }

    /// Whether it matches, as far as it is known: for names and addresses, which are short.
    #[must_use]
    pub fn surely_matches(&self, text: &[u8]) -> bool {
        self.is_match(text).unwrap_or(false)
    }

    /// Matches that don't overlap, at most `most`.
    ///
    /// # Errors
    /// [`GaveUp`].
    pub fn count(&self, text: &[u8], most: u32) -> Result<u32, GaveUp> {
        let most = most as usize;
        let count = match &self.engine {
            Engine::Linear(linear) => linear.regex().map_or(0, |regex| regex.find_iter(text).take(most).count()),
            Engine::Perl(regex) => {
                let mut count = 0;
                for found in regex.find_iter(text).take(most) {
                    found.map_err(|_| GaveUp)?;
                    count += 1;
                }
                count
            }
        };
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// What the first group of the first match holds.
    #[must_use]
    pub fn first_group(&self, text: &[u8]) -> Option<Vec<u8>> {
        let Engine::Perl(regex) = &self.engine else { return None };
        let found = regex.captures(text).ok().flatten()?;
        Some(found.get(1)?.as_bytes().to_vec())
    }

    /// One whose groups matter: always by the engine that keeps them all.
    ///
    /// # Errors
    /// With the reason.
    pub fn with_groups(source: &str) -> Result<Self, String> {
        let Translated { relaxed, pcre, names, .. } = translate(source)?;
        Ok(Self { engine: perl(&pcre)?, needed: relaxed.map_or(Needed::Unknown, |relaxed| needed(&relaxed)), names })
    }

    /// The named groups of the first match.
    #[must_use]
    pub fn captured(&self, text: &[u8]) -> Vec<(Box<str>, Vec<u8>)> {
        let mut tags = Vec::new();
        for name in &self.names {
            let value = match &self.engine {
                Engine::Linear(linear) => linear
                    .regex()
                    .and_then(|regex| regex.captures(text))
                    .and_then(|found| found.name(name).map(|group| group.as_bytes().to_vec())),
                Engine::Perl(regex) => regex
                    .captures(text)
                    .ok()
                    .flatten()
                    .and_then(|found| found.name(name).map(|group| group.as_bytes().to_vec())),
            };
            if let Some(value) = value {
                tags.push((name.clone(), value));
            }
        }
        tags
    }
}

/// Windows of up to 64 patterns: for each octet of a window and each octet of the text, who may go on.
struct Lane {
    masks: Box<[[u64; END + 1]; WINDOW]>,
    patterns: Vec<u32>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

impl Lane {
    fn new() -> Self {
        Self { masks: Box::new([[0; END + 1]; WINDOW]), patterns: Vec::new() }
    }

    /// Bits of the patterns whose window fits somewhere.
    fn scan(&self, text: &[u8]) -> u64 {
        let [m0, m1, m2, m3, m4, m5] = &*self.masks;
        let at = |mask: &[u64; END + 1], octet: u8| mask.get(usize::from(octet)).copied().unwrap_or(u64::MAX);
        let end = |mask: &[u64; END + 1]| mask.get(END).copied().unwrap_or(u64::MAX);
        let (mut s0, mut s1, mut s2, mut s3, mut s4, mut hits) = (0, 0, 0, 0, 0, 0);
        for octet in text {
            hits |= s4 & at(m5, *octet);
            s4 = s3 & at(m4, *octet);
            s3 = s2 & at(m3, *octet);
            s2 = s1 & at(m2, *octet);
            s1 = s0 & at(m1, *octet);
            s0 = at(m0, *octet);
        }
        for _ in 0..WINDOW {
            hits |= s4 & end(m5);
            s4 = s3 & end(m4);
            s3 = s2 & end(m3);
            s2 = s1 & end(m2);
            s1 = s0 & end(m1);
            s0 = end(m0);
        }
        hits
    }
}

/// Patterns that look at the same texts.
#[derive(Debug, Default)]
pub struct PatternSet {
    patterns: Vec<Pattern>,
    /// Those without a filter.
    always: Vec<u32>,
    literals: Option<AhoCorasick>,
    /// For each literal, who needs it.
    owners: Vec<Vec<u32>>,
    lanes: Vec<Lane>,
}

/// What was found in a text; kept from text to text to save memory.
#[derive(Debug, Default)]
pub struct Candidates {
    seen: Vec<u64>,
    /// Numbers of patterns.
    pub list: Vec<u32>,
}

impl Candidates {
    fn clear(&mut self, patterns: usize) {
        self.seen.clear();
        self.seen.resize(patterns.div_ceil(64), 0);
        self.list.clear();
    }

    fn add(&mut self, pattern: u32) {
        if let Some(word) = self.seen.get_mut(pattern as usize >> 6) {
            let bit = 1_u64 << (pattern & 63);
            if *word & bit == 0 {
                *word |= bit;
                self.list.push(pattern);
            }
        }
    }
}

/// Sets this small run all their patterns.
const SMALL: usize = 4;

impl PatternSet {
    #[must_use]
    pub fn new(patterns: Vec<Pattern>) -> Self {
        let mut set = Self { patterns, ..Self::default() };
        let mut literals: std::collections::BTreeMap<Vec<u8>, Vec<u32>> = std::collections::BTreeMap::new();
        let small = set.patterns.len() <= SMALL;
        for (number, pattern) in (0..).zip(&set.patterns) {
            match &pattern.needed {
                _ if small => set.always.push(number),
                Needed::Unknown => set.always.push(number),
                Needed::Literal(needed) => {
                    for literal in needed {
                        literals.entry(literal.clone()).or_default().push(number);
                    }
                }
                Needed::Window(window) => {
                    if set.lanes.last().is_none_or(|lane| lane.patterns.len() == 64) {
                        set.lanes.push(Lane::new());
                    }
                    let Some(lane) = set.lanes.last_mut() else { continue };
                    let bit = 1_u64 << lane.patterns.len();
                    lane.patterns.push(number);
                    for (masks, allowed) in lane.masks.iter_mut().zip(window.iter()) {
                        for (octet, mask) in masks.iter_mut().enumerate() {
                            if allowed.has(octet) {
                                *mask |= bit;
                            }
                        }
                    }
                }
            }
        }
        let (literals, owners): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        set.owners = owners;
        if !literals.is_empty() {
            let built = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&literals);
            match built {
                Ok(automaton) => set.literals = Some(automaton),
                // Too many for the automaton's numbers: without a filter, then.
                Err(_) => set.always = (0..).take(set.patterns.len()).collect(),
            }
        }
        set
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Patterns without a filter, and those with a window: what costs.
    #[must_use]
    pub fn unfiltered(&self) -> (usize, usize) {
        (self.always.len(), self.lanes.iter().map(|lane| lane.patterns.len()).sum())
    }

    #[must_use]
    pub fn pattern(&self, number: u32) -> Option<&Pattern> {
        self.patterns.get(number as usize)
    }

    /// All that may match this text.
    pub fn candidates(&self, text: &[u8], found: &mut Candidates) {
        found.clear(self.patterns.len());
        for number in &self.always {
            found.add(*number);
        }
        for lane in &self.lanes {
            let mut hits = lane.scan(text);
            while hits != 0 {
                if let Some(number) = lane.patterns.get(hits.trailing_zeros() as usize) {
                    found.add(*number);
                }
                hits &= hits - 1;
            }
        }
        if let Some(literals) = &self.literals {
            for hit in literals.find_overlapping_iter(text) {
                for number in self.owners.get(hit.pattern().as_usize()).into_iter().flatten() {
                    found.add(*number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The filters never lose a match.
    #[test]
    fn a_filter_only_leaves_out_what_does_not_match() {
        let sources = [
            "/v[i1]agra/i",
            "/\\d{3}-\\d{4}/",
            "/^$/",
            "/(?!x)[a-f]{2}z?/",
            "/foo|bar|q.z/",
            "/\\bA\\b/",
            "/[\\W_]{0,3}p[\\W_]{0,3}i[\\W_]{0,3}l[\\W_]{0,3}l/i",
            "/a(?=b)/",
            "/(?:ab|c)+d$/",
            "/.{3,}x/s",
        ];
        let set = PatternSet::new(sources.iter().map(|source| Pattern::new(source).unwrap()).collect());
        let texts: [&[u8]; 14] = [
            b"",
            b"V1AGRA",
            b"call 555-1234",
            b"ab",
            b"abz",
            b"q\nz",
            b"q-z",
            b" A ",
            b"p.i-l l",
            b"ababd\n",
            b"cd",
            b"\n\n\nx",
            b"PILL",
            b"555-123",
        ];
        let mut found = Candidates::default();
        for text in texts {
            set.candidates(text, &mut found);
            for number in 0..u32::try_from(set.len()).unwrap() {
                if set.pattern(number).unwrap().is_match(text).unwrap() {
                    assert!(found.list.contains(&number), "{} in {:?}", sources[number as usize], text);
                }
            }
        }
    }
}
