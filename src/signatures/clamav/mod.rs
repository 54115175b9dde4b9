//! ClamAV's signatures, in its own formats: hashes of files (`.hdb .hsb`) and of sections of programs (`.mdb .msb`), bodies
//! (`.ndb`), logical signatures (`.ldb`), and names to leave out (`.ign2`).
//!
//! Of each body one literal is looked for together with all other literals of the set; only where it stands the body is
//! compared. Signatures for HTML and text (targets 3 and 7) are written for ClamAV's normalized text: here they are compared
//! with the octets as they are, ASCII letters alike in both cases.
//!
//! **Failure**: a line that can't be understood or done is skipped and told; signatures of other engine levels are left
//! out. A file whose comparison is given up is told as not checked.
//! **Invariants**: the work for one file is bounded by [`body::Fuel`].

pub mod body;
pub mod executable;
pub mod hashes;
pub mod hex;
pub mod logical;
pub mod read;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::message::specimen::{FileKind, TimeUp};
use crate::signatures::fault::Faults;
use crate::signatures::literals::Case;
use body::{Body, Fuel, GaveUp, MAX_COUNT};
use executable::Layout;
use hashes::Hashes;
use logical::Logical;
use read::{Base, Offset, Placed, Subsignature, Target};

/// Literals of one file that are looked at more closely: a file made of them would cost minutes.
const MAX_SIGHTINGS: u32 = 8_000_000;
/// Signatures that are told of one file.
const MAX_NAMES: usize = 16;

#[derive(Debug, Default)]
pub struct ClamAv {
    names: Names,
    files: Hashes,
    sections: Hashes,
    patterns: Vec<Pattern>,
    /// Literals of patterns that are nothing else.
    plain: Vec<u8>,
    logicals: Vec<LogicalEntry>,
    ignored: HashSet<Box<str>>,
    /// Lines for other engine levels.
    pub other_levels: usize,
}

/// All names in one text: a million boxes would cost more than the names.
#[derive(Debug, Default)]
struct Names {
    text: String,
    ends: Vec<u32>,
}

impl Names {
    fn add(&mut self, name: &str) -> u32 {
        self.text.push_str(name);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        u32::try_from(self.ends.len() - 1).unwrap_or(u32::MAX)
    }

    fn name(&self, id: u32) -> &str {
        let id = id as usize;
        let start = id.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(id).copied().unwrap_or(start);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// A body, small: a million of them must fit.
#[derive(Debug)]
struct Pattern {
    /// In `plain`, until the matcher has it; empty: the anchor of `body`.
    literal: std::ops::Range<u32>,
    any_case: bool,
    target: Target,
    owner: Owner,
    /// `None`: anywhere.
    offset: Option<Box<Offset>>,
    /// `None`: it is its literal.
    body: Option<Box<Body>>,
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    /// A signature of its own: its name.
    Name(u32),
    /// Of a logical signature: which, and its number there.
    Logical(u32, u32),
}

#[derive(Debug)]
struct LogicalEntry {
    name: u32,
    size: Option<(u64, u64)>,
    sections: Option<(usize, usize)>,
    expression: Logical,
    regexes: Vec<(usize, Logical, Box<regex::bytes::Regex>)>,
    subsignatures: usize,
}

/// The formats, by the ending of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Hashes,
    Sections,
    Extended,
    Logical,
    Ignored,
}

impl Format {
    #[must_use]
    pub fn of(ending: &str) -> Option<Self> {
        Some(match ending {
            "hdb" | "hsb" => Self::Hashes,
            "mdb" | "msb" => Self::Sections,
            "ndb" => Self::Extended,
            "ldb" => Self::Logical,
            "ign2" => Self::Ignored,
            _ => return None,
        })
    }
}

/// A signature that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<'s> {
    pub name: &'s str,
    /// By a hash of the whole file.
    pub by_hash: bool,
}

impl ClamAv {
    /// Takes the lines of a file; to be called for `.ign2` first.
    pub fn add(&mut self, format: Format, shown: &str, octets: &[u8], faults: &mut Faults) {
        for (line, number) in octets.split(|octet| *octet == b'\n').zip(1..) {
            let Ok(line) = std::str::from_utf8(line) else {
                faults.skip(shown, number, "is not UTF-8");
                continue;
            };
            let line = line.trim_end_matches('\r');
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match self.line(format, line) {
                Ok(true) => {}
                Ok(false) => self.other_levels += 1,
                Err(reason) => faults.skip(shown, number, reason),
            }
        }
    }

    fn line(&mut self, format: Format, line: &str) -> Result<bool, String> {
        match format {
            Format::Ignored => {
                let name = line.split(':').next().unwrap_or(line);
                self.ignored.insert(name.into());
            }
            Format::Hashes | Format::Sections => {
                let Some((hash, size, name)) = read::hash(line, format == Format::Sections)? else { return Ok(false) };
                if !self.is_ignored(name) {
                    let owner = self.names.add(name);
                    let table = if format == Format::Hashes { &mut self.files } else { &mut self.sections };
                    table.add(hash, size, owner)?;
                }
            }
            Format::Extended => {
                let Some((name, target, placed)) = read::extended(line)? else { return Ok(false) };
                if !self.is_ignored(name) {
                    let owner = Owner::Name(self.names.add(name));
                    self.pattern(placed, target, owner);
                }
            }
            Format::Logical => {
                let Some(read) = read::logical(line)? else { return Ok(false) };
                if !self.is_ignored(read.name) {
                    self.logical(read);
                }
            }
        }
        Ok(true)
    }

    fn is_ignored(&self, name: &str) -> bool {
        self.ignored.contains(name) || name.strip_suffix(".UNOFFICIAL").is_some_and(|name| self.ignored.contains(name))
    }

    fn pattern(&mut self, placed: Placed, target: Target, owner: Owner) {
        let Placed { offset, body } = placed;
        let start = self.plain.len();
        let any_case = body.any_case;
        let is_plain = body.plain().is_some_and(|octets| {
            self.plain.extend_from_slice(&octets);
            true
        });
        let at = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        self.patterns.push(Pattern {
            literal: at(start)..at(self.plain.len()),
            any_case,
            target,
            owner,
            offset: (offset != Offset::ANYWHERE).then(|| Box::new(offset)),
            body: (!is_plain).then(|| Box::new(body)),
        });
    }

    fn logical(&mut self, read: read::LogicalSignature<'_>) {
        let id = u32::try_from(self.logicals.len()).unwrap_or(u32::MAX);
        let name = self.names.add(read.name);
        let mut regexes = Vec::new();
        let subsignatures = read.subsignatures.len();
        for (number, subsignature) in read.subsignatures.into_iter().enumerate() {
            match subsignature {
                Subsignature::Body(placed) => {
                    let owner = Owner::Logical(id, u32::try_from(number).unwrap_or(u32::MAX));
                    self.pattern(placed, read.target, owner);
                }
                Subsignature::Regex { trigger, regex } => regexes.push((number, trigger, regex)),
            }
        }
        let (size, sections, expression) = (read.size, read.sections, read.expression);
        self.logicals.push(LogicalEntry { name, size, sections, expression, regexes, subsignatures });
    }

    /// To be called when all is added.
    pub fn finish(&mut self) {
        self.files.sort();
        self.sections.sort();
        self.names.text.shrink_to_fit();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        let alone = self.patterns.iter().filter(|pattern| matches!(pattern.owner, Owner::Name(_))).count();
        self.files.len() + self.sections.len() + self.logicals.len() + alone
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.sections.is_empty() && self.patterns.is_empty()
    }

    /// The literal of each pattern, in the order of their numbers.
    pub fn literals(&self) -> impl Iterator<Item = (&[u8], Case)> {
        self.patterns.iter().map(|pattern| {
            let literal = match &pattern.body {
                Some(body) => body.anchor().map(|(_, _, octets)| octets),
                None => self.plain.get(pattern.literal.start as usize..pattern.literal.end as usize),
            };
            (literal.unwrap_or_default(), if pattern.any_case { Case::Ascii } else { Case::Exact })
        })
    }

    /// The matcher has the literals.
    pub fn forget_literals(&mut self) {
        self.plain = Vec::new();
    }

    /// Begins with a file, or with a message as it came.
    #[must_use]
    pub fn file<'s, 'o>(&'s self, octets: &'o [u8], kind: FileKind) -> FileScan<'s, 'o> {
        let layout = match executable::pe(octets) {
            Some(layout) => layout,
            None => executable::elf(octets).unwrap_or_default(),
        };
        FileScan { set: self, octets, kind, layout, counts: HashMap::new(), waiting: BTreeSet::new(), sightings: 0 }
    }

    fn found(&self, id: u32, by_hash: bool) -> Named<'_> {
        Named { name: self.names.name(id), by_hash }
    }
}

/// One file being compared: first literals are told, then [`FileScan::finish`].
#[derive(Debug)]
pub struct FileScan<'s, 'o> {
    set: &'s ClamAv,
    octets: &'o [u8],
    kind: FileKind,
    layout: Layout,
    /// How often each pattern occurs.
    counts: HashMap<u32, u32>,
    /// Patterns with gaps whose literal occurs.
    waiting: BTreeSet<u32>,
    sightings: u32,
}

impl<'s> FileScan<'s, '_> {
    /// The literal of a pattern stands at `start`.
    pub fn saw(&mut self, number: u32, start: usize) {
        self.sightings = self.sightings.saturating_add(1);
        let Some(pattern) = self.set.patterns.get(number as usize) else { return };
        if self.sightings > MAX_SIGHTINGS || !self.is_for(pattern.target) {
            return;
        }
        let begin = match &pattern.body {
            None => Some(start),
            Some(body) if body.is_solid() => body.anchor().and_then(|(_, at, _)| start.checked_sub(at)),
            Some(_) => {
                self.waiting.insert(number);
                return;
            }
        };
        let Some(begin) = begin else { return };
        if self.counts.get(&number).is_some_and(|count| *count >= MAX_COUNT) {
            return;
        }
        let is_place =
            |offset: &Offset| self.places(*offset).iter().any(|(first, last)| (*first..=*last).contains(&begin));
        let may = pattern.offset.as_deref().is_none_or(is_place);
        if may && pattern.body.as_ref().is_none_or(|body| body.is_at(self.octets, begin)) {
            *self.counts.entry(number).or_insert(0) += 1;
        }
    }

    /// The signatures that are there. `Err`: not everything was compared.
    pub fn finish(mut self, sha256: Option<&[u8; 32]>, time_up: TimeUp<'_>) -> (Vec<Named<'s>>, Result<(), GaveUp>) {
        let set = self.set;
        let mut found = Vec::new();
        found.extend(set.files.find(self.octets, sha256).map(|id| set.found(id, true)));
        if !set.sections.is_empty() {
            for section in &self.layout.sections {
                let octets = self.octets.get(section.clone()).unwrap_or_default();
                found.extend(set.sections.find(octets, None).map(|id| set.found(id, false)));
            }
        }
        let compared = self.compare(time_up);
        let mut logicals: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (number, count) in &self.counts {
            match set.patterns.get(*number as usize).map(|pattern| pattern.owner) {
                Some(Owner::Name(name)) => found.push(set.found(name, false)),
                Some(Owner::Logical(logical, subsignature)) => {
                    let Some(entry) = set.logicals.get(logical as usize) else { continue };
                    let counts = logicals.entry(logical).or_insert_with(|| vec![0; entry.subsignatures]);
                    if let Some(place) = counts.get_mut(subsignature as usize) {
                        *place = *count;
                    }
                }
                None => {}
            }
        }
        for (logical, counts) in logicals {
            if let Some(entry) = set.logicals.get(logical as usize)
                && self.holds(entry, counts)
            {
                found.push(set.found(entry.name, false));
            }
        }
        found.sort_by(|one, other| one.name.cmp(other.name));
        found.dedup();
        found.truncate(MAX_NAMES);
        (found, compared)
    }

    fn compare(&mut self, time_up: TimeUp<'_>) -> Result<(), GaveUp> {
        if self.sightings > MAX_SIGHTINGS {
            return Err(GaveUp);
        }
        let mut fuel = Fuel::of(self.octets.len());
        for number in std::mem::take(&mut self.waiting) {
            if time_up() {
                return Err(GaveUp);
            }
            let Some(pattern) = self.set.patterns.get(number as usize) else { continue };
            let Some(body) = &pattern.body else { continue };
            for range in self.places(pattern.offset.as_deref().copied().unwrap_or(Offset::ANYWHERE)) {
                let count = body.count(self.octets, range, &mut fuel)?;
                if count > 0 {
                    *self.counts.entry(number).or_insert(0) += count;
                }
            }
        }
        Ok(())
    }

    fn holds(&self, entry: &LogicalEntry, mut counts: Vec<u32>) -> bool {
        let size = self.octets.len() as u64;
        let sections = self.layout.sections.len();
        if entry.size.is_some_and(|(least, most)| size < least || size > most)
            || entry.sections.is_some_and(|(least, most)| sections < least || sections > most)
        {
            return false;
        }
        for (number, trigger, regex) in &entry.regexes {
            if trigger.holds(&counts)
                && regex.is_match(self.octets)
                && let Some(count) = counts.get_mut(*number)
            {
                *count = 1;
            }
        }
        entry.expression.holds(&counts)
    }

    fn is_for(&self, target: Target) -> bool {
        let begins = |magic: &[u8]| self.octets.starts_with(magic);
        match target {
            Target::Any => true,
            Target::Pe => begins(b"MZ"),
            Target::Ole => begins(b"\xd0\xcf\x11\xe0"),
            Target::Html => matches!(self.kind, FileKind::Html | FileKind::Svg),
            Target::Mail => self.kind == FileKind::Mail,
            Target::Graphics => self.kind == FileKind::Image,
            Target::Elf => begins(b"\x7fELF"),
            Target::Text => matches!(self.kind, FileKind::Text | FileKind::Script | FileKind::Html),
            Target::MachO => {
                begins(&[0xfe, 0xed, 0xfa]) || begins(&[0xce, 0xfa, 0xed, 0xfe]) || begins(&[0xcf, 0xfa, 0xed, 0xfe])
            }
            Target::Pdf => self.kind == FileKind::Pdf || begins(b"%PDF-"),
            Target::Flash => begins(b"FWS") || begins(b"CWS") || begins(b"ZWS"),
            Target::Java => begins(&[0xca, 0xfe, 0xba, 0xbe]),
        }
    }

    /// The places where a body may begin, as ranges.
    fn places(&self, offset: Offset) -> Vec<(usize, usize)> {
        let length = self.octets.len();
        let from = |start: Option<usize>| {
            start.map(|start| (start, start.saturating_add(offset.shift).min(length))).into_iter().collect()
        };
        let plus = |base: usize| base.checked_add(offset.distance);
        let section = |number: usize| self.layout.sections.get(number);
        match offset.base {
            Base::Anywhere => vec![(0, length)],
            Base::Start => from(Some(offset.distance)),
            Base::End => from(length.checked_sub(offset.distance)),
            Base::Entry => from(self.layout.entry.and_then(plus)),
            Base::EntryBefore => from(self.layout.entry.and_then(|entry| entry.checked_sub(offset.distance))),
            Base::Section(number) => from(section(number).and_then(|section| plus(section.start))),
            Base::LastSection => from(self.layout.sections.last().and_then(|section| plus(section.start))),
            Base::InSection(number) => {
                section(number).map(|section| (section.start, section.end)).into_iter().collect()
            }
            Base::Version => self.layout.version.iter().map(|range| (range.start, range.end)).collect(),
        }
    }
}
