//! What a detector saw in a message, and all of it together: Finding and Verdict (DESIGN section 2).
//!
//! **Invariants**: a detector that could not do its work is named in [`Verdict::unavailable`], and what it could not look at in
//! [`Verdict::unchecked`]: neither is ever "clean". Texts from outside are bounded by [`MAX_EVIDENCE`] and hold no control
//! characters. Scores are whole thousandths, so that a sum is the same on every machine and in every order.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Most findings with points that are kept, and most without; further ones still count, see [`Verdict::find`].
pub const MAX_FINDINGS: usize = 256;
/// Longest evidence, in characters.
pub const MAX_EVIDENCE: usize = 200;

/// Points, in thousandths: `Score(5_000)` is 5.0. Spam begins at 5.0 at the middle level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(pub i32);

impl Score {
    pub const ZERO: Self = Self(0);

    /// Rounded to the nearest thousandth; beyond a million points, a million.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "clamped before")]
    pub fn from_points(points: f64) -> Self {
        if points.is_nan() { Self::ZERO } else { Self((points * 1000.0).round().clamp(-1e9, 1e9) as i32) }
    }

    #[must_use]
    pub fn points(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl Add for Score {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Score {
    fn sum<I: Iterator<Item = Self>>(scores: I) -> Self {
        scores.fold(Self::ZERO, Add::add)
    }
}

/// `5.2`, `-0.001`: at least one decimal, at most three.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.unsigned_abs() / 1_000, self.0.unsigned_abs() % 1_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        match part {
            part if part % 100 == 0 => write!(f, "{sign}{whole}.{}", part / 100),
            part if part % 10 == 0 => write!(f, "{sign}{whole}.{:02}", part / 10),
            part => write!(f, "{sign}{whole}.{part:03}"),
        }
    }
}

/// What a finding speaks for. Those before [`Class::Spam`] in this order go before it whatever the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A known virus or other malicious file.
    Malware,
    /// A file of a kind that is rarely honest: executables, scripts, hidden types, macros that start by themselves.
    RiskyFile,
    /// What mail programs understand in different ways (reliability row SEC-M01).
    Ambiguous,
    /// What could not be looked at: damaged, beyond a budget, or a scanner's error.
    Unscannable,
    /// An archive or document with a password that we don't have.
    Encrypted,
    Phishing,
    /// Somebody claims to be another (business e-mail compromise).
    Impersonation,
    Spam,
    /// Newsletters and other bulk mail that somebody may have asked for.
    Bulk,
}

impl Class {
    pub const ALL: [Self; 9] = [
        Self::Malware,
        Self::RiskyFile,
        Self::Ambiguous,
        Self::Unscannable,
        Self::Encrypted,
        Self::Phishing,
        Self::Impersonation,
        Self::Spam,
        Self::Bulk,
    ];

    /// Whether points are added up before anything follows. The other classes follow from a single finding.
    #[must_use]
    pub fn is_scored(self) -> bool {
        matches!(self, Self::Phishing | Self::Impersonation | Self::Spam | Self::Bulk)
    }

    /// As in JSON, metrics and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malware => "malware",
            Self::RiskyFile => "risky-file",
            Self::Ambiguous => "ambiguous",
            Self::Unscannable => "unscannable",
            Self::Encrypted => "encrypted",
            Self::Phishing => "phishing",
            Self::Impersonation => "impersonation",
            Self::Spam => "spam",
            Self::Bulk => "bulk",
        }
    }
}

/// Who looks at a message, in the order in which they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detector {
    /// The shape of the message: what could not be parsed or is read in several ways.
    Structure,
    /// Hashes of files.
    Hashes,
    /// Our own rules, literal and regular expressions.
    Rules,
    /// Feeds of addresses on the web and of domains.
    Feeds,
    Yara,
    /// Rules in SpamAssassin's language.
    #[serde(rename = "spamassassin")]
    SpamAssassin,
    Classifier,
    Impersonation,
    Bulk,
    /// Kinds, names and active content of files.
    Files,
    Clamd,
    Icap,
    Rspamd,
    Spamd,
}

impl Detector {
    pub const ALL: [Self; 14] = [
        Self::Structure,
        Self::Hashes,
        Self::Rules,
        Self::Feeds,
        Self::Yara,
        Self::SpamAssassin,
        Self::Classifier,
        Self::Impersonation,
        Self::Bulk,
        Self::Files,
        Self::Clamd,
        Self::Icap,
        Self::Rspamd,
        Self::Spamd,
    ];

    /// As in JSON, metrics and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Hashes => "hashes",
            Self::Rules => "rules",
            Self::Feeds => "feeds",
            Self::Yara => "yara",
            Self::SpamAssassin => "spamassassin",
            Self::Classifier => "classifier",
            Self::Impersonation => "impersonation",
            Self::Bulk => "bulk",
            Self::Files => "files",
            Self::Clamd => "clamd",
            Self::Icap => "icap",
            Self::Rspamd => "rspamd",
            Self::Spamd => "spamd",
        }
    }
}

/// One observation by one detector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub detector: Detector,
    /// The rule's or signature's name.
    pub symbol: Box<str>,
    pub class: Class,
    pub score: Score,
    /// What was seen, in few words; never a secret, never more than [`MAX_EVIDENCE`] characters.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub evidence: Box<str>,
    /// The path of the part it was seen in ([`Part::path`](crate::message::specimen::Part)), where it concerns one attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Box<str>>,
}

impl Finding {
    /// `evidence` is cut and cleaned.
    #[must_use]
    pub fn new(detector: Detector, symbol: &str, class: Class, score: Score, evidence: &str) -> Self {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let evidence = evidence.chars().take(MAX_EVIDENCE).map(clean).collect::<String>();
        Self { detector, symbol: symbol.into(), class, score, evidence: evidence.into(), part: None }
    }

    /// The finding with the attachment it concerns, so that this one alone can be taken out of the message.
    #[must_use]
    pub fn in_part(self, path: &str) -> Self {
        Self { part: Some(path.into()), ..self }
    }
}

/// A detector that was asked and could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    pub detector: Detector,
    pub reason: Box<str>,
}

/// Which budget or fault kept something from being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// More octets than may be unpacked.
    Bytes,
    /// One file is too big unpacked.
    FileSize,
    /// It unpacks to too many times its size.
    Ratio,
    /// Too many files or parts.
    Count,
    /// Too many layers.
    Depth,
    Time,
    /// Damaged, or not what it says it is.
    Malformed,
    /// A format or method that can't be opened here.
    Unsupported,
    /// A password is needed; the class is `encrypted`.
    Encrypted,
}

/// Something in the message that nobody looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchecked {
    pub reason: Reason,
    /// The part or file: `1.2/invoice.zip/a.exe`; bounded, without control characters.
    pub what: Box<str>,
}

/// Everything that was found in one message, and what was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Of the signature set that judged.
    pub set: u64,
    pub findings: Vec<Finding>,
    /// Findings beyond [`MAX_FINDINGS`].
    #[serde(default)]
    pub left_out: u32,
    /// Their points, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_points: BTreeMap<Class, Score>,
    /// The sum of the scored classes, of all findings.
    pub score: Score,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Unavailable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<Unchecked>,
}

impl Verdict {
    #[must_use]
    pub fn new(set: u64) -> Self {
        Self { set, ..Self::default() }
    }

    /// Of classes with points the first [`MAX_FINDINGS`] are kept; of the others the first so many by detector, symbol and part. Of
    /// what comes beyond, the points are kept; and of each detector and class without points one finding that names no part:
    /// nobody hides a virus behind other findings.
    pub fn find(&mut self, mut finding: Finding) {
        let class = finding.class;
        if class.is_scored() {
            self.score += finding.score;
            if self.kept(true) < MAX_FINDINGS {
                return self.findings.push(finding);
            }
            *self.left_out_points.entry(class).or_default() += finding.score;
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let is_of = |other: &&Finding| other.class == class && other.detector == finding.detector;
        if self.findings.iter().filter(is_of).any(|other| other.symbol == finding.symbol && other.part == finding.part)
        {
            return;
        }
        if self.kept(false) >= MAX_FINDINGS {
            self.left_out = self.left_out.saturating_add(1);
            if self.findings.iter().filter(is_of).any(|other| other.part.is_none()) {
                return;
            }
            finding.part = None;
        }
        self.findings.push(finding);
    }

    fn kept(&self, scored: bool) -> usize {
        self.findings.iter().filter(|finding| finding.class.is_scored() == scored).count()
    }

    /// The points of a class that were left out.
    #[must_use]
    pub fn left_out_of(&self, class: Class) -> Score {
        self.left_out_points.get(&class).copied().unwrap_or_default()
    }

    /// The findings of a class, with their points.
    pub fn of(&self, class: Class) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.class == class)
    }

    #[must_use]
    pub fn score_of(&self, class: Class) -> Score {
        self.of(class).map(|finding| finding.score).sum::<Score>() + self.left_out_of(class)
    }

    #[must_use]
    pub fn has(&self, class: Class) -> bool {
        self.of(class).next().is_some()
    }

    /// Whether every detector did its work on all of the message.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unavailable.is_empty() && self.unchecked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_one_decimal_at_least_and_three_at_most() {
        for (score, text) in [
            (0, "0.0"),
            (50, "0.05"),
            (1_020, "1.02"),
            (10_000, "10.0"),
            (-500, "-0.5"),
            (-1, "-0.001"),
            (i32::MAX, "2147483.647"),
            (i32::MIN, "-2147483.648"),
        ] {
            assert_eq!(Score(score).to_string(), text);
        }
    }

    #[test]
    fn points_are_read_and_written_exactly() {
        let written = |points: f64| Score::from_points(points).to_string();
        assert_eq!([5.0, 0.1, -0.001, 3.25].map(written), ["5.0", "0.1", "-0.001", "3.25"]);
        assert_eq!(Score::from_points(f64::NAN), Score::ZERO);
        assert_eq!(Score(i32::MAX) + Score(1), Score(i32::MAX));
    }

    #[test]
    fn findings_left_out_still_count() {
        let mut verdict = Verdict::new(1);
        for _ in 0..=MAX_FINDINGS {
            verdict.find(Finding::new(Detector::Rules, "R", Class::Spam, Score(1), "a\r\nb"));
        }
        assert_eq!((verdict.findings.len(), verdict.left_out), (MAX_FINDINGS, 1));
        assert_eq!(verdict.score, Score(i32::try_from(MAX_FINDINGS).unwrap() + 1));
        assert_eq!(&*verdict.findings[0].evidence, "a  b");
    }

    #[test]
    fn nothing_hides_a_virus_or_a_file() {
        let mut verdict = Verdict::new(1);
        let file = |number: usize| {
            Finding::new(Detector::Files, "F", Class::RiskyFile, Score(1), "").in_part(&number.to_string())
        };
        for number in 0..MAX_FINDINGS + 10 {
            verdict.find(Finding::new(Detector::Rules, "R", Class::Phishing, Score(1), ""));
            verdict.find(file(number));
            verdict.find(file(number));
        }
        verdict.find(Finding::new(Detector::Hashes, "Eicar", Class::Malware, Score(1), "").in_part("2"));
        assert!(verdict.has(Class::Malware));
        assert_eq!(verdict.of(Class::RiskyFile).filter(|found| found.part.is_none()).count(), 1, "some were not named");
        assert_eq!(verdict.findings.len(), 2 * MAX_FINDINGS + 2);
        assert_eq!(verdict.score_of(Class::Phishing), Score(i32::try_from(MAX_FINDINGS).unwrap() + 10));
    }

    #[test]
    fn no_number_of_findings_hides_a_virus() {
        let mut verdict = Verdict::new(1);
        for _ in 0..MAX_FINDINGS * 2 {
            verdict.find(Finding::new(Detector::Rules, "R", Class::Spam, Score::ZERO, ""));
        }
        for _ in 0..3 {
            verdict.find(Finding::new(Detector::Hashes, "Eicar", Class::Malware, Score::ZERO, ""));
        }
        assert!(verdict.has(Class::Malware));
        assert_eq!(verdict.findings.len(), MAX_FINDINGS + 1);
    }

    #[test]
    fn a_virus_is_not_added_to_the_points() {
        let mut verdict = Verdict::new(1);
        verdict.find(Finding::new(Detector::Hashes, "Eicar", Class::Malware, Score(50_000), ""));
        assert_eq!(verdict.score, Score::ZERO);
        assert!(verdict.has(Class::Malware));
    }

    #[test]
    fn names_are_those_of_the_json() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
        for detector in Detector::ALL {
            assert_eq!(serde_json::to_value(detector).unwrap(), detector.name());
        }
        assert!(Class::ALL.is_sorted() && Detector::ALL.is_sorted());
    }
}
