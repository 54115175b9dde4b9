//! From written rules to a [`RuleSet`]: literals interned, expressions compiled, conditions put in order.
//!
//! **Failure**: every fault is told with file and line; a rule at fault keeps the set from being made.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use regex::{Regex, RegexBuilder};

use super::atoms::Atom;
use super::expression::{self, Expression, Named};
use super::fields::{FieldNames, Mask};
use super::lists;
use super::read::Written;
use super::required::{is_never_ascii, required, required_as_written};
use super::{Literal, Matcher, Needle, NeedleId, Pattern, Rule, RuleInfo, RuleSet};
use crate::model::finding::{Class, Score};
use crate::signatures::fault::Faults;
use crate::signatures::fold;
use crate::signatures::literals::{Case, Literals};
use crate::signatures::pack::FeedEntry;

/// Points of one rule, at most, either way.
pub const MAX_SCORE: f64 = 100.0;
/// Characters of the name of a rule.
pub const MAX_NAME: usize = 64;
/// Octets of a compiled expression.
const REGEX_SIZE: usize = 1 << 20;
const REGEX_DEPTH: u32 = 50;

/// Where a rule is written.
#[derive(Debug, Clone)]
pub struct Place {
    pub pack: Box<str>,
    pub file: Box<str>,
    pub line: usize,
}

/// What makes a needle another one: octets, where it is looked for, case, whole words.
type NeedleKey = (Box<[u8]>, Mask, bool, bool);

#[derive(Debug, Default)]
pub struct Builder {
    names: FieldNames,
    needles: Vec<Needle>,
    known: HashMap<NeedleKey, NeedleId>,
    rules: Vec<(Place, Rule, Option<Named>)>,
    patterns: Vec<Pattern>,
    domains: HashMap<Box<str>, Vec<usize>>,
    domain_groups: usize,
    wanted: Mask,
    lists: lists::Builder,
}

impl Builder {
    /// Takes a list of literals.
    pub fn list(&mut self, pack: &str, entry: &FeedEntry, octets: &[u8], faults: &mut Faults) {
        let shown = format!("{pack}/{}", entry.file);
        let mut mask = Mask::default();
        let text = ["text".to_owned()];
        for field in if entry.fields.is_empty() { &text[..] } else { &entry.fields } {
            match self.names.number(field) {
                Ok(number) => mask.add(number),
                Err(reason) => faults.refuse(&shown, 0, reason),
            }
        }
        if mask.is_octets() {
            faults.refuse(&shown, 0, "lists of literals are for texts, not for file and raw");
        }
        self.wanted.join(mask);
        self.lists.add(pack, entry, mask, octets, faults);
    }

    /// Takes a rule; its faults go to `faults`.
    pub fn add(&mut self, place: Place, written: &Written, faults: &mut Faults) {
        match self.rule(&place, written) {
            Ok((rule, when)) => self.rules.push((place, rule, when)),
            Err(reason) => faults.refuse(&place.file, place.line, format!("{}: {reason}", shown(&written.id))),
        }
    }

    fn rule(&mut self, place: &Place, written: &Written) -> Result<(Rule, Option<Named>), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let first = written.id.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || written.id.len() > MAX_NAME || !written.id.chars().all(is_name) {
            return Err(format!("a name has up to {MAX_NAME} letters, digits and _, and begins with a letter or _"));
        }
        let score = written.score.map(|points| {
            let fits = points.is_finite() && points.abs() <= MAX_SCORE;
            fits.then(|| Score::from_points(points)).ok_or(format!("a score is at most {MAX_SCORE}"))
        });
        let score = score.transpose()?;
        if score.is_some() && (written.en.is_empty() || written.ja.is_empty()) {
            return Err("a rule with a score needs its description in English and Japanese (en, ja)".to_owned());
        }
        let mut mask = Mask::default();
        let fields = if written.fields.is_empty() { &["text".to_owned()][..] } else { &written.fields };
        for field in fields {
            mask.add(self.names.number(field)?);
        }
        if mask.is_octets() && fields.iter().any(|field| field != "file" && field != "raw") {
            return Err("file and raw go with no other field".to_owned());
        }
        let literals = |builder: &mut Self, list: &[String]| {
            list.iter().map(|literal| builder.literal(literal, mask, written)).collect::<Result<Vec<_>, String>>()
        };
        let mut any = literals(self, &written.any)?;
        for hex in written.hex.iter() {
            any.push(self.hex(hex, mask)?);
        }
        let all = literals(self, &written.all)?;
        let none = literals(self, &written.none)?;
        let min = written.min.unwrap_or(1);
        if min == 0 || (min > any.len() && written.min.is_some()) {
            return Err(format!("min is {min}, and any has {}", any.len()));
        }
        let mut patterns = Vec::new();
        for regex in written.regex.iter() {
            patterns.push(regex_of(regex, mask, written.case)?);
        }
        let patterns: Vec<_> =
            joined(patterns).into_iter().map(|made| self.pattern(made, mask)).collect::<Result<_, String>>()?;
        let domains = (!written.domains.is_empty()).then(|| self.domains(&written.domains));
        let when = written.when.as_deref().map(expression::parse).transpose()?;
        let asks = !(any.is_empty() && all.is_empty() && patterns.is_empty());
        if !asks && !written.exists && domains.is_none() && when.is_none() {
            return Err("asks for nothing: any, all, regex, hex, domains, exists or when is needed".to_owned());
        }
        if asks || written.exists || !none.is_empty() {
            self.wanted.join(mask);
        }
        let info = RuleInfo {
            name: written.id.as_str().into(),
            class: written.class.unwrap_or(Class::Spam),
            score,
            en: written.en.as_str().into(),
            ja: written.ja.as_str().into(),
            pack: place.pack.clone(),
        };
        let exists = written.exists.then_some(mask);
        Ok((Rule { info, any, min, all, none, patterns, domains, exists, when: None }, when))
    }

    fn literal(&mut self, literal: &str, mask: Mask, written: &Written) -> Result<Literal, String> {
        if mask.is_octets() {
            let case = if written.case { Case::Exact } else { Case::Ascii };
            return self.octets(literal.as_bytes(), mask, case, written.word);
        }
        let bytes = if written.case { literal.to_owned() } else { fold::literal(literal) };
        self.octets(bytes.as_bytes(), mask, if written.case { Case::Exact } else { Case::Folded }, written.word)
    }

    fn octets(&mut self, bytes: &[u8], mask: Mask, case: Case, word: bool) -> Result<Literal, String> {
        if bytes.len() < 2 {
            return Err(format!("the literal {:?} is shorter than two octets", String::from_utf8_lossy(bytes)));
        }
        self.needle(bytes, mask, case, word)
    }

    fn needle(&mut self, bytes: &[u8], mask: Mask, case: Case, word: bool) -> Result<Literal, String> {
        let exact = case == Case::Exact;
        let key = (Box::from(bytes), mask, word, exact);
        let next = NeedleId::try_from(self.needles.len()).map_err(|_| "too many literals")?;
        let id = *self.known.entry(key).or_insert(next);
        if id == next {
            self.needles.push(Needle { bytes: bytes.into(), mask, word, case });
        }
        Ok(Literal { needle: id })
    }

    fn hex(&mut self, hex: &str, mask: Mask) -> Result<Literal, String> {
        if !mask.is_octets() {
            return Err("hex goes with in = \"file\" or \"raw\"".to_owned());
        }
        let digits: Vec<u8> = hex.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
        let octet = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes = digits.chunks(2).map(octet).collect::<Option<Vec<u8>>>();
        let bytes = bytes.ok_or_else(|| format!("{hex:?} is not hexadecimal"))?;
        self.octets(&bytes, mask, Case::Exact, false)
    }

    fn pattern(&mut self, made: Made, mask: Mask) -> Result<usize, String> {
        let mut required = Vec::new();
        for literal in &made.required {
            required.push(self.needle(literal, mask, Case::Folded, false)?.needle);
        }
        let id = self.patterns.len();
        let Made { regex, exact, never_ascii, .. } = made;
        self.patterns.push(Pattern { regex, mask, exact, never_ascii, required: required.into() });
        Ok(id)
    }

    fn domains(&mut self, list: &[String]) -> usize {
        let group = self.domain_groups;
        self.domain_groups += 1;
        for domain in list {
            let domain = domain.trim_matches('.').to_ascii_lowercase();
            let groups = self.domains.entry(domain.into()).or_default();
            if groups.last() != Some(&group) {
                groups.push(group);
            }
        }
        group
    }

    /// The names put together, and everything in an order in which what a rule asks for comes before it.
    pub fn finish(self, faults: &mut Faults) -> RuleSet {
        let mut by_name = BTreeMap::new();
        for (number, (place, rule, _)) in self.rules.iter().enumerate() {
            if let Some(first) = by_name.insert(rule.info.name.clone(), number)
                && let Some((other, ..)) = self.rules.get(first)
            {
                let reason = format!("{} is already in {} line {}", rule.info.name, other.file, other.line);
                faults.refuse(&place.file, place.line, reason);
            }
        }
        let mut rules = Vec::with_capacity(self.rules.len());
        let mut places = Vec::with_capacity(self.rules.len());
        for (place, mut rule, when) in self.rules {
            if let Some(when) = when {
                match when.resolve(&|name| resolve(&by_name, &name, &rule.info.name)) {
                    Ok(when) => rule.when = Some(when),
                    Err(reason) => faults.refuse(&place.file, place.line, format!("{}: {reason}", rule.info.name)),
                }
            }
            rules.push(rule);
            places.push(place);
        }
        let order = order(&rules).unwrap_or_else(|stuck| {
            for number in stuck {
                if let (Some(rule), Some(place)) = (rules.get(number), places.get(number)) {
                    let reason = format!("{}: its condition leads back to itself", rule.info.name);
                    faults.refuse(&place.file, place.line, reason);
                }
            }
            Vec::new()
        });
        let lists = self.lists.finish();
        RuleSet::new(self.names, self.wanted, self.needles, self.patterns, (rules, order, by_name), self.domains, lists)
    }
}

/// A name that ends in `*` means all others that begin so.
fn resolve(by_name: &BTreeMap<Box<str>, usize>, name: &str, asking: &str) -> Result<Vec<usize>, String> {
    if let Some(prefix) = name.strip_suffix('*') {
        let begins = by_name
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(known, _)| known.starts_with(prefix));
        let found: Vec<usize> = begins.filter(|(known, _)| &***known != asking).map(|(_, number)| *number).collect();
        return if found.is_empty() { Err(format!("no rule begins with {prefix}")) } else { Ok(found) };
    }
    by_name.get(name).map(|number| vec![*number]).ok_or_else(|| format!("there is no rule {name}"))
}

/// What others ask for first. `Err`: those that ask for each other in a circle, or for one that does.
fn order(rules: &[Rule]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting = vec![0_usize; rules.len()];
    let mut asked_by: Vec<Vec<usize>> = vec![Vec::new(); rules.len()];
    for (number, rule) in rules.iter().enumerate() {
        if let Some(when) = &rule.when {
            when.each(&mut |asked: &usize| {
                if let (Some(count), Some(list)) = (waiting.get_mut(number), asked_by.get_mut(*asked)) {
                    *count += 1;
                    list.push(number);
                }
            });
        }
    }
    let mut order: Vec<usize> = (0..rules.len()).filter(|number| waiting.get(*number) == Some(&0)).collect();
    let mut next = 0;
    while let Some(done) = order.get(next).copied() {
        next += 1;
        for number in asked_by.get(done).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(*number) {
                *count -= 1;
                if *count == 0 {
                    order.push(*number);
                }
            }
        }
    }
    if order.len() == rules.len() {
        return Ok(order);
    }
    Err((0..rules.len()).filter(|number| waiting.get(*number).is_some_and(|count| *count > 0)).collect())
}

/// `\b` between ASCII words: the Unicode one would make every Japanese text slow, and means nothing there.
fn ascii_words(pattern: &str) -> String {
    let mut written = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        written.push(c);
        if c == '\\' {
            match rest.next() {
                Some('b') => {
                    written.pop();
                    written.push_str(r"(?-u:\b)");
                }
                Some(escaped) => written.push(escaped),
                None => {}
            }
        }
    }
    written
}

fn shown(id: &str) -> String {
    id.chars().take(MAX_NAME).collect()
}

/// The facts that the conditions of a set ask for, each once.
pub fn atoms(rules: &[Rule]) -> Vec<Atom> {
    fn walk(expression: &Expression<usize>, found: &mut Vec<Atom>) {
        match expression {
            Expression::Atom(atom) => {
                if !found.contains(atom) {
                    found.push(*atom);
                }
            }
            Expression::Rule(_) | Expression::Count(_) => {}
            Expression::Not(inner) | Expression::Compare(inner, ..) => walk(inner, found),
            Expression::All(list) | Expression::Any(list) => list.iter().for_each(|one| walk(one, found)),
        }
    }
    let mut found = Vec::new();
    rules.iter().filter_map(|rule| rule.when.as_ref()).for_each(|when| walk(when, &mut found));
    found
}

/// Builds the matcher for the literals of one kind of text; `None` if there are none.
pub(super) fn matcher(needles: &[Needle], wanted: impl Fn(&Needle) -> bool) -> Option<Matcher> {
    let mut ids = Vec::new();
    let mut literals = Vec::new();
    let mut mask = Mask::default();
    for (id, needle) in needles.iter().enumerate() {
        if wanted(needle) {
            ids.push(NeedleId::try_from(id).unwrap_or(NeedleId::MAX));
            literals.push((&*needle.bytes, needle.case));
            mask.join(needle.mask);
        }
    }
    (!ids.is_empty()).then(|| Matcher { literals: Literals::build(&literals), ids, mask })
}

/// An expression, and what must have been seen before it need run.
#[derive(Debug)]
struct Made {
    /// As the `regex` crate has it.
    written: String,
    regex: Regex,
    exact: bool,
    never_ascii: bool,
    required: Vec<Vec<u8>>,
}

fn regex_of(pattern: &str, mask: Mask, case: bool) -> Result<Made, String> {
    if mask.is_octets() {
        return Err("regex doesn't go with file and raw: use any, all and hex".to_owned());
    }
    let written = ascii_words(pattern);
    let regex = compiled(&written, case)
        .map_err(|error| error.to_string().lines().last().unwrap_or("not a regular expression").trim().to_owned())?;
    if regex.is_match("") {
        return Err("the expression matches nothing at all, and so everywhere".to_owned());
    }
    let mut hir = regex_syntax::ParserBuilder::new().case_insensitive(!case).nest_limit(REGEX_DEPTH).build();
    let hir = hir.parse(&written).ok();
    let required = hir.as_ref().and_then(if case { required_as_written } else { required }).unwrap_or_default();
    let never_ascii = hir.as_ref().is_some_and(is_never_ascii);
    Ok(Made { written, regex, exact: case, never_ascii, required })
}

fn compiled(pattern: &str, case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(!case)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .nest_limit(REGEX_DEPTH)
        .build()
}

/// Those of one rule that run on every message become one expression: a text is gone through once for all of them.
fn joined(all: Vec<Made>) -> Vec<Made> {
    let may_join = |made: &Made| made.required.is_empty() && !made.never_ascii && !made.written.contains('#');
    let (join, mut rest): (Vec<Made>, Vec<Made>) = all.into_iter().partition(may_join);
    let written: Vec<String> = join.iter().map(|made| format!("(?:{})", made.written)).collect();
    let written = written.join("|");
    let exact = join.first().is_some_and(|made| made.exact);
    match compiled(&written, exact) {
        Ok(regex) if join.len() > 1 => {
            rest.push(Made { written, regex, exact, never_ascii: false, required: Vec::new() });
        }
        // Together they are too large.
        _ => rest.extend(join),
    }
    rest
}
