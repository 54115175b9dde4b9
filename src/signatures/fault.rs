//! What is wrong with a pack, where, and whether it stands in the way.

use std::fmt;

/// One fault: file, line and reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    /// `pack/file`.
    pub file: Box<str>,
    /// From 1; 0: the file as a whole.
    pub line: usize,
    pub reason: Box<str>,
}

impl Fault {
    #[must_use]
    pub fn new(file: &str, line: usize, reason: impl Into<Box<str>>) -> Self {
        Self { file: file.into(), line, reason: reason.into() }
    }
}

/// `pack/rules.toml:12: there is no rule A`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for Fault {}

/// Faults found while a set is compiled. Refusals keep the set from being made; what is skipped is told and left out.
#[derive(Debug, Default)]
pub struct Faults {
    pub refused: Vec<Fault>,
    pub skipped: Vec<Fault>,
}

/// Most faults that are kept of each kind: a million bad lines need no million reports.
pub const MAX_FAULTS: usize = 1_000;

impl Faults {
    pub fn refuse(&mut self, file: &str, line: usize, reason: impl Into<Box<str>>) {
        if self.refused.len() < MAX_FAULTS {
            self.refused.push(Fault::new(file, line, reason));
        }
    }

    pub fn skip(&mut self, file: &str, line: usize, reason: impl Into<Box<str>>) {
        if self.skipped.len() < MAX_FAULTS {
            self.skipped.push(Fault::new(file, line, reason));
        }
    }
}

/// The line, from 1, in which an offset lies.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset.min(text.len())).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count() + 1
}
