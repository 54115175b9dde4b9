//! SpamAssassin's rule files (`.cf`), compiled: what scans a message with them is `scan::spamassassin`.
//!
//! Written after the documentation of `Mail::SpamAssassin::Conf` and its plugins and after what version 4.0.1 does with
//! messages; nothing here needs the network, learns or keeps state.
//!
//! **Failure**: a line or rule that can't be used is left out and named in [`Rules::skipped`]; the others count.
//! **Invariants**: compiled rules are immutable; a rule's number stands for it everywhere.

pub mod condition;
pub mod eval;
pub mod literals;
pub mod meta;
pub mod pattern;
pub mod perl;
pub mod read;
pub mod replace;
pub mod rule;

use std::collections::{BTreeMap, HashSet};

use eval::Call;
use meta::Step;
use pattern::{Pattern, PatternSet};
use read::Reader;
pub use read::Skipped;
use rule::{Flags, HeaderKey, Settings, Test};

/// Which column of four scores counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScoreSet {
    /// Neither network tests nor learning: ours.
    #[default]
    Local,
    Network,
    Learned,
    Both,
}

/// A rule that can hit.
#[derive(Debug, Clone)]
pub struct Named {
    pub name: Box<str>,
    pub description: Option<Box<str>>,
    pub points: f64,
}

impl Named {
    /// Counts only within other rules.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.name.starts_with("__")
    }
}

/// One pattern and whose it is.
#[derive(Debug)]
pub struct Owner {
    pub rule: u32,
    /// Counted up to this often.
    pub most: u32,
    pub no_subject: bool,
    pub negated: bool,
    pub if_unset: Option<Box<[u8]>>,
    /// `%{TAG}` of other rules: the pattern is to be made for each message.
    pub template: Option<Box<str>>,
}

/// Patterns that look at the same texts, and their owners by the pattern's number.
#[derive(Debug, Default)]
pub struct Group {
    pub set: PatternSet,
    pub owners: Vec<Owner>,
}

/// What looks at one field.
#[derive(Debug)]
pub struct HeaderGroup {
    pub key: HeaderKey,
    pub group: Group,
    /// Rules that ask whether there is one.
    pub exists: Vec<u32>,
    /// What hits where there is none.
    pub absent: Vec<u32>,
    /// Only rules with named groups, whose values other rules use.
    pub captures: bool,
}

#[derive(Debug)]
pub struct Meta {
    pub rule: u32,
    pub steps: Vec<Step>,
}

/// `uri_detail`.
#[derive(Debug)]
pub struct Detail {
    pub rule: u32,
    pub conditions: Vec<(Box<str>, bool, Pattern)>,
}

/// Compiled rules.
#[derive(Debug, Default)]
pub struct Rules {
    pub rules: Vec<Named>,
    pub body: Group,
    pub raw_body: Group,
    pub uri: Group,
    pub full: Group,
    pub headers: Vec<HeaderGroup>,
    pub mime_headers: Vec<HeaderGroup>,
    pub details: Vec<Detail>,
    pub calls: Vec<(u32, Call)>,
    /// In an order in which each stands behind those that it needs.
    pub metas: Vec<Meta>,
    /// For each rule, the metas (by place) that name it.
    pub dependents: Vec<Vec<u32>>,
    /// Metas that hold where nothing hits.
    pub baseline: Vec<u32>,
    pub redirectors: Vec<Pattern>,
    pub settings: Settings,
    pub skipped: Vec<Skipped>,
    pub ignored: BTreeMap<Box<str>, u32>,
}

/// Reads and compiles files, in the order of their reading.
#[must_use]
pub fn compile<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>, scores: ScoreSet) -> Rules {
    let mut reader = Reader::default();
    for (name, octets) in files {
        reader.file(name, octets);
    }
    Compiler::new(reader, scores).run()
}

#[derive(Default)]
struct Draft {
    patterns: Vec<Pattern>,
    owners: Vec<Owner>,
    exists: Vec<u32>,
}

impl Draft {
    fn group(self) -> Group {
        Group { set: PatternSet::new(self.patterns), owners: self.owners }
    }
}

struct Compiler {
    reader: Reader,
    scores: ScoreSet,
    rules: Rules,
    numbers: BTreeMap<Box<str>, u32>,
    replaced: HashSet<Box<str>>,
    texts: [Draft; 4],
    headers: BTreeMap<HeaderKey, Draft>,
    mime_headers: BTreeMap<HeaderKey, Draft>,
}

impl Compiler {
    fn new(reader: Reader, scores: ScoreSet) -> Self {
        let replaced = reader.replaced.iter().cloned().collect();
        Self {
            reader,
            scores,
            rules: Rules::default(),
            numbers: BTreeMap::new(),
            replaced,
            texts: Default::default(),
            headers: BTreeMap::new(),
            mime_headers: BTreeMap::new(),
        }
    }

    fn run(mut self) -> Rules {
        let drafts = std::mem::take(&mut self.reader.rules);
        let mut metas = Vec::new();
        for (name, draft) in &drafts {
            let flags = self.reader.flags.get(name).copied().unwrap_or_default();
            let points = self.points(name, flags);
            // Only functions ask the network; a meta or a pattern with the flag works without.
            let asks = flags.net && matches!(draft.test, Test::Eval { .. });
            if asks || flags.unusable || (points == 0.0 && !name.starts_with("__")) {
                continue;
            }
            let Ok(number) = u32::try_from(self.rules.rules.len()) else { break };
            let description = self.reader.descriptions.get(name).cloned();
            self.rules.rules.push(Named { name: name.clone(), description, points });
            self.numbers.insert(name.clone(), number);
            let done = match &draft.test {
                Test::Meta(source) => {
                    metas.push((number, source.clone(), draft.file, draft.line));
                    Ok(())
                }
                test => self.rule(name, number, flags, test),
            };
            if let Err(reason) = done {
                self.skip(name, draft.file, draft.line, &reason);
            }
        }
        self.metas(metas);
        self.finish()
    }

    fn skip(&mut self, rule: &str, file: usize, line: u32, reason: &str) {
        let file = self.reader.files.get(file).cloned().unwrap_or_default();
        self.rules.skipped.push(Skipped { file, line, rule: rule.into(), reason: reason.into() });
    }

    fn points(&self, name: &str, flags: Flags) -> f64 {
        let [local, network, learned, both] = match self.reader.scores.get(name) {
            Some(four) => *four,
            None if name.starts_with("T_") => [0.01; 4],
            None if flags.nice => [-1.0; 4],
            None => [1.0; 4],
        };
        match self.scores {
            ScoreSet::Local => local,
            ScoreSet::Network => network,
            ScoreSet::Learned => learned,
            ScoreSet::Both => both,
        }
    }

    /// With its tags replaced and, for a template, with the place of its tags open.
    fn pattern(&self, name: &str, source: &str) -> Result<(Pattern, Option<Box<str>>), String> {
        let source = if self.replaced.contains(name) {
            replace::expand(source, &self.reader.replacements)
        } else {
            source.into()
        };
        match replace::opened(&source) {
            Some(open) => Ok((Pattern::new(&open)?, Some(source.into()))),
            None => Ok((Pattern::new(&source)?, None)),
        }
    }

    fn rule(&mut self, name: &str, rule: u32, flags: Flags, test: &Test) -> Result<(), String> {
        let owner = |template: Option<Box<str>>, negated: bool, if_unset: &Option<Box<str>>| Owner {
            rule,
            most: flags.most.unwrap_or(1),
            no_subject: flags.no_subject,
            negated,
            if_unset: if_unset.as_ref().map(|text| text.chars().filter_map(|c| u8::try_from(c).ok()).collect()),
            template,
        };
        match test {
            Test::Body(source) | Test::RawBody(source) | Test::Uri(source) | Test::Full(source) => {
                let (pattern, template) = self.pattern(name, source)?;
                let [body, raw, uri, full] = &mut self.texts;
                let draft = match test {
                    Test::Body(_) => body,
                    Test::RawBody(_) => raw,
                    Test::Uri(_) => uri,
                    _ => full,
                };
                draft.patterns.push(pattern);
                draft.owners.push(owner(template, false, &None));
            }
            Test::Header { key, negated, pattern, if_unset } | Test::MimeHeader { key, negated, pattern, if_unset } => {
                let (pattern, template) = self.pattern(name, pattern)?;
                let groups =
                    if matches!(test, Test::Header { .. }) { &mut self.headers } else { &mut self.mime_headers };
                let draft = groups.entry(key.clone()).or_default();
                draft.patterns.push(pattern);
                draft.owners.push(owner(template, *negated, if_unset));
            }
            Test::HasHeader(key) => self.headers.entry(key.clone()).or_default().exists.push(rule),
            Test::UriDetail(conditions) => {
                let mut all = Vec::new();
                for (key, negated, source) in conditions {
                    all.push((key.clone(), *negated, Pattern::new(source)?));
                }
                self.rules.details.push(Detail { rule, conditions: all });
            }
            Test::Eval { function, arguments } => self.rules.calls.push((rule, Call::new(function, arguments)?)),
            Test::Meta(_) => {}
        }
        Ok(())
    }

    /// Reads the metas and puts them in order; those in a circle are left out.
    fn metas(&mut self, sources: Vec<(u32, Box<str>, usize, u32)>) {
        let numbers = &self.numbers;
        let mut read = BTreeMap::new();
        let mut bad = Vec::new();
        for (rule, source, file, line) in sources {
            let steps = meta::read(&source, &mut |name| numbers.get(name).copied(), &mut |glob| {
                numbers
                    .iter()
                    .filter(|(name, _)| rule::glob(glob.as_bytes(), name.as_bytes()))
                    .map(|(_, number)| *number)
                    .filter(|number| *number != rule)
                    .collect()
            });
            match steps {
                Ok(steps) => drop(read.insert(rule, (steps, file, line))),
                Err(reason) => bad.push((rule, file, line, reason)),
            }
        }
        let mut waiting: BTreeMap<u32, usize> = BTreeMap::new();
        let mut named_by: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (rule, (steps, ..)) in &read {
            let needs: HashSet<u32> = needs(steps).filter(|need| read.contains_key(need)).collect();
            waiting.insert(*rule, needs.len());
            for need in needs {
                named_by.entry(need).or_default().push(*rule);
            }
        }
        let mut ready: std::collections::VecDeque<u32> =
            waiting.iter().filter(|(_, count)| **count == 0).map(|(rule, _)| *rule).collect();
        while let Some(rule) = ready.pop_front() {
            for next in named_by.get(&rule).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(next) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(*next);
                    }
                }
            }
            if let Some((steps, ..)) = read.remove(&rule) {
                self.rules.metas.push(Meta { rule, steps });
            }
        }
        bad.extend(read.into_iter().map(|(rule, (_, file, line))| (rule, file, line, "a circle of metas")));
        for (rule, file, line, reason) in bad {
            let name = self.rules.rules.get(rule as usize).map(|rule| rule.name.clone()).unwrap_or_default();
            self.skip(&name, file, line, reason);
        }
    }

    fn finish(mut self) -> Rules {
        let [body, raw, uri, full] = std::mem::take(&mut self.texts);
        self.rules.body = body.group();
        self.rules.raw_body = raw.group();
        self.rules.uri = uri.group();
        self.rules.full = full.group();
        self.rules.headers = std::mem::take(&mut self.headers).into_iter().map(header_group).collect();
        self.rules.mime_headers = std::mem::take(&mut self.mime_headers).into_iter().map(header_group).collect();
        let mut dependents = vec![Vec::new(); self.rules.rules.len()];
        let mut baseline = Vec::new();
        let mut stack = Vec::new();
        for (place, meta) in (0..).zip(&self.rules.metas) {
            for need in needs(&meta.steps) {
                if let Some(places) = dependents.get_mut(need as usize) {
                    places.push(place);
                }
            }
            if meta::evaluate(&meta.steps, &mut stack, |_| 0.0) != 0.0 {
                baseline.push(place);
            }
        }
        self.rules.dependents = dependents;
        self.rules.baseline = baseline;
        self.rules.redirectors =
            self.reader.settings.redirectors.iter().filter_map(|source| Pattern::with_groups(source).ok()).collect();
        self.rules.settings = std::mem::take(&mut self.reader.settings);
        sort_lists(&mut self.rules.settings);
        let mut skipped = std::mem::take(&mut self.reader.skipped);
        skipped.append(&mut self.rules.skipped);
        self.rules.skipped = skipped;
        self.rules.ignored = std::mem::take(&mut self.reader.ignored);
        self.rules
    }
}

fn sort_lists(settings: &mut Settings) {
    for list in [&mut settings.freemail, &mut settings.freemail_allowed, &mut settings.top_levels] {
        list.sort_unstable();
        list.dedup();
    }
    for list in settings.host_lists.values_mut() {
        list.sort_unstable();
    }
}

fn needs(steps: &[Step]) -> impl Iterator<Item = u32> {
    steps.iter().filter_map(|step| if let Step::Rule(rule) = step { Some(*rule) } else { None })
}

fn header_group((key, draft): (HeaderKey, Draft)) -> HeaderGroup {
    let absent = draft
        .patterns
        .iter()
        .zip(&draft.owners)
        .filter(|(pattern, owner)| {
            let unset = owner.if_unset.as_deref().unwrap_or_default();
            pattern.is_match(unset).unwrap_or_default() != owner.negated
        })
        .map(|(_, owner)| owner.rule)
        .collect();
    let captures = draft.patterns.iter().any(|pattern| !pattern.names.is_empty());
    let exists = draft.exists.clone();
    HeaderGroup { key, group: draft.group(), exists, absent, captures }
}

impl Rules {
    /// The longest of the lists is that of freemail: sorted.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<u32> {
        self.rules.binary_search_by(|rule| (*rule.name).cmp(name)).ok().and_then(|at| u32::try_from(at).ok())
    }
}
