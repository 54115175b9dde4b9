//! Detector `rules`: our own rules over one Specimen.
//!
//! **Failure**: when time is up before all was looked at, the detector is unavailable; what it found until then stays.

use crate::message::specimen::{Specimen, TimeUp};
use crate::model::finding::{Detector, Finding, Unavailable, Verdict};
use crate::signatures::SignatureSet;
use crate::signatures::rules::{Facts, Seen};

/// `seen`: the literals found in octets ([`crate::signatures::rules::RuleSet::nothing_seen`], if nobody looked).
pub fn detect(
    set: &SignatureSet,
    specimen: &Specimen,
    facts: &Facts,
    seen: Seen,
    time_up: TimeUp<'_>,
    verdict: &mut Verdict,
) {
    let evaluated = set.rules.evaluate(specimen, facts, seen, time_up);
    for hit in &evaluated.hits {
        verdict.find(Finding::new(Detector::Rules, &hit.rule.name, hit.rule.class, hit.score, &hit.evidence));
    }
    if evaluated.time_is_up {
        verdict.unavailable.push(Unavailable { detector: Detector::Rules, reason: "time is up".into() });
    }
}
