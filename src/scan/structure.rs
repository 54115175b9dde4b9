//! Detector `structure`: what mail programs read in several ways.
//!
//! **Failure**: none. What could not be read is in the Specimen's own list of what is unchecked.

use crate::message::specimen::{Ambiguity, Specimen};
use crate::model::finding::{Class, Detector, Finding, Score, Verdict};

/// One finding for each kind of ambiguity that can hide something from a scanner.
pub fn detect(specimen: &Specimen, verdict: &mut Verdict) {
    let mut told: Vec<Ambiguity> = Vec::new();
    for ambiguity in &specimen.ambiguities {
        if !told.contains(ambiguity) {
            told.push(*ambiguity);
            let class = class(*ambiguity);
            let score = if class.is_scored() { Score(1_000) } else { Score::ZERO };
            verdict.find(Finding::new(Detector::Structure, symbol(*ambiguity), class, score, ""));
        }
    }
}

/// All readings of a text are scanned; with an author it is the reader who is deceived.
fn class(ambiguity: Ambiguity) -> Class {
    match ambiguity {
        Ambiguity::Author | Ambiguity::Charset | Ambiguity::Octets => Class::Spam,
        _ => Class::Ambiguous,
    }
}

fn symbol(ambiguity: Ambiguity) -> &'static str {
    match ambiguity {
        Ambiguity::DuplicateField => "AMBIGUOUS_DUPLICATE_FIELD",
        Ambiguity::DuplicateParameter => "AMBIGUOUS_DUPLICATE_PARAMETER",
        Ambiguity::OddSyntax => "AMBIGUOUS_SYNTAX",
        Ambiguity::UnknownEncoding => "AMBIGUOUS_UNKNOWN_ENCODING",
        Ambiguity::BrokenEncoding => "AMBIGUOUS_BROKEN_ENCODING",
        Ambiguity::Boundary => "AMBIGUOUS_BOUNDARY",
        Ambiguity::BrokenHeader => "AMBIGUOUS_BROKEN_HEADER",
        Ambiguity::Octets => "ODD_OCTETS",
        Ambiguity::Charset => "ODD_CHARSET",
        Ambiguity::Author => "ODD_AUTHOR",
    }
}
