//! Runs SpamAssassin's rules (`signatures::spamassassin`) over a Specimen.
//!
//! **Failure**: nothing fails; an expression that reaches its limit in a text counts as no match. Where time is up, the hits
//! so far are told, and [`Hits::cut`] says so: what is missing is not clean.
//! **Invariants**: the same rules and message give the same hits, in every order and on every machine.

mod evals;
pub mod html;
pub mod mail;
pub mod relays;
mod run;
pub mod uris;

use crate::message::specimen::{Specimen, TimeUp};
use crate::model::finding::{Class, Detector, Finding, Score, Unavailable, Verdict};
use crate::signatures::spamassassin::Rules;

pub use mail::Mail;
use run::Run;

/// What hit.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Hits {
    /// Numbers of rules and what each is worth to metas, parts of other rules included.
    pub rules: Vec<(u32, f32)>,
    /// Of all that aren't parts.
    pub points: f64,
    /// Time was up before all was looked at.
    pub cut: bool,
}

/// What is known of a message apart from its octets.
#[derive(Debug, Default, Clone, Copy)]
pub struct Facts<'f> {
    /// MAIL FROM; else the header's Return-Path is asked.
    pub envelope_from: Option<&'f str>,
}

/// Scans one message.
#[must_use]
pub fn scan(rules: &Rules, specimen: &Specimen, facts: Facts<'_>, time_up: TimeUp<'_>) -> Hits {
    let mail = Mail::new(specimen, rules, facts.envelope_from);
    Run::new(rules, &mail, time_up).run()
}

/// Detector `spamassassin`: puts what hits into the verdict. Rules that aren't there find nothing.
pub fn detect(rules: &Rules, specimen: &Specimen, facts: Facts<'_>, time_up: TimeUp<'_>, verdict: &mut Verdict) {
    if rules.rules.is_empty() {
        return;
    }
    let hits = scan(rules, specimen, facts, time_up);
    for finding in findings(rules, &hits) {
        verdict.find(finding);
    }
    if hits.cut {
        verdict.unavailable.push(Unavailable { detector: Detector::SpamAssassin, reason: "time is up".into() });
    }
}

/// The hits that count by themselves, as findings.
#[must_use]
pub fn findings(rules: &Rules, hits: &Hits) -> Vec<Finding> {
    hits.rules
        .iter()
        .filter_map(|(number, _)| rules.rules.get(*number as usize))
        .filter(|rule| !rule.is_part())
        .map(|rule| {
            let evidence = rule.description.as_deref().unwrap_or_default();
            Finding::new(Detector::SpamAssassin, &rule.name, Class::Spam, Score::from_points(rule.points), evidence)
        })
        .collect()
}
