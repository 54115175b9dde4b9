//! What is looked for in octets: one matcher for the literals of ClamAV's bodies and of our own rules for files.
//!
//! **Failure**: a file that could not be compared to its end is told. **Invariants**: one pass over a file for all literals.

use super::clamav::ClamAv;
use super::clamav::Named;
use super::clamav::body::GaveUp;
use super::literals::Literals;
use super::rules::{NeedleId, RuleSet, Seen};
use crate::message::specimen::{FileKind, TimeUp};

#[derive(Debug, Default)]
pub struct Octets {
    literals: Option<Literals>,
    targets: Box<[Target]>,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Rule(NeedleId),
    Body(u32),
}

/// What octets belong to.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    pub kind: FileKind,
    /// A file; otherwise the message as it came.
    pub is_file: bool,
    pub sha256: Option<&'s [u8; 32]>,
}

impl Octets {
    #[must_use]
    pub fn build(rules: &RuleSet, clamav: &ClamAv) -> Self {
        let mut literals = Vec::new();
        let mut targets = Vec::new();
        for (id, octets, case) in rules.octet_needles() {
            literals.push((octets, case));
            targets.push(Target::Rule(id));
        }
        for (number, literal) in (0..).zip(clamav.literals()) {
            literals.push(literal);
            targets.push(Target::Body(number));
        }
        let literals = (!literals.is_empty()).then(|| Literals::build(&literals));
        Self { literals, targets: targets.into() }
    }

    /// Looks into octets. Literals of rules go to `seen`.
    pub fn look<'s>(
        &self,
        (rules, clamav): (&RuleSet, &'s ClamAv),
        octets: &[u8],
        source: Source<'_>,
        seen: &mut Seen,
        time_up: TimeUp<'_>,
    ) -> (Vec<Named<'s>>, Result<(), GaveUp>) {
        let mut scan = clamav.file(octets, source.kind);
        if let Some(literals) = &self.literals {
            literals.find(octets, &mut |found, start| match self.targets.get(found as usize) {
                Some(Target::Rule(needle)) => rules.saw_octets(*needle, source.is_file, seen),
                Some(Target::Body(number)) => scan.saw(*number, start),
                None => {}
            });
        }
        scan.finish(source.sha256, time_up)
    }
}
