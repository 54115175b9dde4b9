//! Detectors `hashes` and `yara`, and the part of `rules` that looks into octets: while files are unpacked, each is seen once.
//!
//! **Failure**: what a detector gave up is told as unavailable or not checked, never as clean.
//! **Invariants**: works on octets in memory; nothing is kept but what was found.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::message::specimen::{FileKind, FileSeen, FileVisitor, PartKind, Specimen};
use crate::model::detectors::Detectors;
use crate::model::finding::{Class, Detector, Finding, Reason, Score, Unavailable, Unchecked, Verdict};
use crate::signatures::SignatureSet;
use crate::signatures::octets::Source;
use crate::signatures::rules::Seen;

/// For one YARA scan, if as much is left.
const YARA_TIME: Duration = Duration::from_secs(5);
/// Points of a file that is known for malware; the class decides, not they.
const MALWARE: Score = Score(50_000);

/// When the message's time is up, for what can be told in advance how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(Some(moment))
    }

    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// How much time is left.
    fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |moment| moment.saturating_duration_since(Instant::now()))
    }
}

/// Looks into the octets of one message: its files while they are unpacked, then itself.
pub struct OctetScan<'s> {
    set: &'s SignatureSet,
    on: Detectors,
    deadline: Deadline,
    seen: Seen,
    /// With the index of the part; `None`: in the message as a whole.
    findings: Vec<(Finding, Option<usize>)>,
    /// Of the file that is looked at.
    part: Option<usize>,
    unavailable: Vec<Unavailable>,
    unchecked: Vec<Unchecked>,
}

impl std::fmt::Debug for OctetScan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OctetScan").field("findings", &self.findings).finish_non_exhaustive()
    }
}

impl FileVisitor for OctetScan<'_> {
    fn file(&mut self, seen: &FileSeen, octets: &[u8]) {
        let sha256 = Some(&seen.sha256);
        self.part = Some(seen.part);
        self.look(seen.name(), octets, Source { kind: seen.kind, is_file: true, sha256 });
    }
}

impl<'s> OctetScan<'s> {
    /// `on`: whose findings are told; literals of rules are looked for in any case.
    #[must_use]
    pub fn new(set: &'s SignatureSet, on: Detectors, deadline: Deadline) -> Self {
        let seen = set.rules.nothing_seen();
        Self {
            set,
            on,
            deadline,
            seen,
            findings: Vec::new(),
            part: None,
            unavailable: Vec::new(),
            unchecked: Vec::new(),
        }
    }

    /// Looks into the message as it came, and into its texts. To be called once, beside the walk over its files.
    pub fn message(&mut self, specimen: &Specimen) {
        self.part = None;
        self.look("message", &specimen.raw, Source { kind: FileKind::Mail, is_file: false, sha256: None });
        for (index, part) in specimen.parts.iter().enumerate() {
            let kind = match part.kind {
                PartKind::Html => FileKind::Html,
                PartKind::Text => FileKind::Text,
                PartKind::Multipart | PartKind::Message | PartKind::File => continue,
            };
            self.part = Some(index);
            self.look(&part.path, &part.octets, Source { kind, is_file: false, sha256: None });
        }
        for (finding, part) in &mut self.findings {
            finding.part = part.and_then(|part| specimen.parts.get(part)).map(|part| part.path.clone());
        }
    }

    /// Tells the verdict what was found; returns the literals for [`crate::scan::rules::detect`].
    pub fn finish(self, verdict: &mut Verdict) -> Seen {
        self.findings.into_iter().for_each(|(finding, _)| verdict.find(finding));
        verdict.unavailable.extend(self.unavailable);
        verdict.unchecked.extend(self.unchecked);
        self.seen
    }

    fn look(&mut self, name: &str, octets: &[u8], source: Source<'_>) {
        if octets.is_empty() {
            return;
        }
        let (set, deadline) = (self.set, self.deadline);
        let time_up = || deadline.left().is_zero();
        if time_up() {
            return self.leave(name, source.is_file);
        }
        let (named, compared) = set.octets.look((&set.rules, &set.clamav), octets, source, &mut self.seen, &time_up);
        if self.on.has(Detector::Hashes) {
            for named in named {
                // Programs that nobody asked for are no viruses.
                let class = if named.name.starts_with("PUA.") { Class::RiskyFile } else { Class::Malware };
                self.find(Finding::new(Detector::Hashes, named.name, class, MALWARE, name));
            }
            if let Some(info) = set.feeds.file(octets, source.sha256) {
                let score = info.score.unwrap_or_default();
                self.find(Finding::new(Detector::Hashes, &info.name, info.class, score, name));
            }
        }
        if compared.is_err() {
            self.leave(name, source.is_file);
        }
        let is_wanted = self.on.has(Detector::Yara) && !set.yara.is_empty();
        if is_wanted && (source.is_file || source.kind == FileKind::Mail) {
            self.yara(name, octets);
        }
    }

    /// There was no time for it.
    fn leave(&mut self, name: &str, is_file: bool) {
        if self.unchecked.is_empty() {
            // A file's name may look like a part's path.
            let place = if is_file { "file/" } else { "" };
            let name = name.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
            self.unchecked.push(Unchecked { reason: Reason::Time, what: format!("{place}{name}").into() });
        }
    }

    fn yara(&mut self, name: &str, octets: &[u8]) {
        if self.unavailable.iter().any(|other| other.detector == Detector::Yara) {
            return;
        }
        match self.set.yara.scan(Bytes::copy_from_slice(octets), YARA_TIME.min(self.deadline.left())) {
            Ok(rules) => {
                for info in rules {
                    let score = info.score.unwrap_or_default();
                    self.find(Finding::new(Detector::Yara, &info.name, info.class, score, name));
                }
            }
            Err(failed) => {
                let reason = failed.to_string().into();
                self.unavailable.push(Unavailable { detector: Detector::Yara, reason });
            }
        }
    }

    /// The same signature is told once for each part, and not again for the message around it; where it gives points, once.
    fn find(&mut self, finding: Finding) {
        let part = self.part;
        let same = |(other, at): &(Finding, Option<usize>)| {
            other.symbol == finding.symbol
                && other.detector == finding.detector
                && (finding.class.is_scored() || *at == part || part.is_none() || at.is_none())
        };
        if !self.findings.iter().any(same) {
            self.findings.push((finding, part));
        }
    }
}
