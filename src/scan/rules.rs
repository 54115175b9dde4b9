//! Detector `rules`: our own rules over one Specimen.
//!
//! **Failure**: when time is up before all was looked at, the detector is unavailable; what it found until then stays.

use crate::message::specimen::{Specimen, TimeUp};
use crate::model::finding::{Detector, Finding, Unavailable, Verdict};
use crate::signatures::SignatureSet;
use crate::signatures::rules::{Facts, Seen};

/// The parts whose names, or names in them, a rule is about; none if it is about something else, or time is up.
fn parts<'s>(set: &SignatureSet, specimen: &'s Specimen, rule: &str, time_up: TimeUp<'_>) -> Vec<&'s str> {
    let mut paths = Vec::new();
    for file in &specimen.files {
        if time_up() {
            return Vec::new();
        }
        let Some(part) = specimen.parts.get(file.part).filter(|part| !paths.contains(&&*part.path)) else { continue };
        if file.names.iter().any(|name| set.rules.is_about_file(rule, name)) {
            paths.push(&*part.path);
        }
    }
    paths
}

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
        let finding = Finding::new(Detector::Rules, &hit.rule.name, hit.rule.class, hit.score, &hit.evidence);
        let paths = if hit.rule.class.is_scored() { Vec::new() } else { parts(set, specimen, &hit.rule.name, time_up) };
        if paths.is_empty() {
            verdict.find(finding.clone());
        }
        for path in paths {
            verdict.find(finding.clone().in_part(path));
        }
    }
    if evaluated.time_is_up {
        verdict.unavailable.push(Unavailable { detector: Detector::Rules, reason: "time is up".into() });
    }
}
