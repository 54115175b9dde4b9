//! The judgement of content as it is kept, and as text.

use std::fmt::Write as _;

use super::content_words::Words;
use super::{Language, content_words};
use crate::model::disposition::Disposition;
use crate::model::explanation::Summary;
use crate::model::explanation::content::{Content, Decider, Group, Weighed};
use crate::model::finding::{Finding, Verdict};
use crate::model::{Address, Direction};
use crate::policy::content::Ruling;

/// Most symbols that a sentence names.
const NAMED: usize = 3;

/// A ruling for recipients whose mail is treated alike, with its sentences.
#[must_use]
pub fn content_group(
    direction: Direction,
    recipients: Vec<Address>,
    ruling: &Ruling,
    verdict: Option<&Verdict>,
) -> Group {
    let sentence = |language| sentence(ruling, verdict, language).into();
    Group {
        direction,
        recipients,
        recipients_left_out: 0,
        categories: ruling.categories.clone(),
        steps: ruling.steps.clone(),
        decided_by: ruling.decided_by,
        disposition: match &ruling.disposition {
            Disposition::Deliver(edits) => Disposition::Deliver(edits.without_fields()),
            other => other.clone(),
        },
        copies: ruling.copies.clone(),
        summary: Summary { en: sentence(Language::English), ja: sentence(Language::Japanese) },
    }
}

/// What was done, and why.
fn sentence(ruling: &Ruling, verdict: Option<&Verdict>, language: Language) -> String {
    let words = Words::of(language);
    let done = match &ruling.disposition {
        Disposition::Deliver(edits) => {
            let changes = [
                (edits.tag.is_some(), words.tagged),
                (edits.stamp.is_some(), words.stamped),
                (!edits.strip.is_none(), words.stripped),
            ];
            let changes: Vec<&str> = changes.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
            words.delivered(&changes)
        }
        Disposition::Quarantine { .. } => words.quarantined.to_owned(),
        Disposition::Reject(_) => words.rejected.to_owned(),
        Disposition::Discard => words.discarded.to_owned(),
        Disposition::Defer(_) => words.deferred.to_owned(),
        Disposition::Hold { .. } => words.held.to_owned(),
    };
    let why = match ruling.decided_by {
        Decider::Nothing => words.nothing.to_owned(),
        Decider::NoScan => words.no_scan.to_owned(),
        Decider::Unavailable { detector } => words.silent(detector.name()),
        Decider::Category { category } => {
            let step = ruling.steps.iter().find(|step| step.category == category);
            let mut why = content_words::category(category, language).to_owned();
            if let Some(Weighed { points: Some(points), threshold: Some(threshold), .. }) = step {
                why.push_str(&words.points(&points.to_string(), &threshold.to_string()));
            }
            let symbols = verdict.map(|verdict| symbols(verdict, ruling, category)).unwrap_or_default();
            if !symbols.is_empty() {
                why.push_str(&words.brackets(&symbols.join(", ")));
            }
            why
        }
    };
    words.sentence(&done, &why)
}

/// The names of what weighs most for a category.
fn symbols<'v>(verdict: &'v Verdict, ruling: &Ruling, category: crate::model::disposition::Category) -> Vec<&'v str> {
    let is_total = ruling.points.of(category).is_some() && category.class() == crate::model::finding::Class::Spam;
    let mut of: Vec<&Finding> =
        verdict
            .findings
            .iter()
            .filter(|found| {
                if is_total { found.class.is_scored() && found.score.0 > 0 } else { found.class == category.class() }
            })
            .collect();
    of.sort_by_key(|found| std::cmp::Reverse(found.score));
    let mut names: Vec<&str> = Vec::new();
    for found in of {
        if names.len() < NAMED && !names.contains(&&*found.symbol) {
            names.push(&found.symbol);
        }
    }
    names
}

pub(super) fn write(out: &mut String, content: &Content, language: Language) -> std::fmt::Result {
    let words = Words::of(language);
    match &content.verdict {
        Some(verdict) => write_verdict(out, verdict, content.unchecked_left_out, language)?,
        None => writeln!(out, "{}: {}", words.content, words.no_scan)?,
    }
    for group in &content.groups {
        let mut names: Vec<String> = group.recipients.iter().map(ToString::to_string).collect();
        if group.recipients_left_out > 0 {
            names.push(format!("+{}", group.recipients_left_out));
        }
        if !names.is_empty() {
            writeln!(out, "{} {}", words.for_, names.join(", "))?;
        }
        for step in &group.steps {
            write_step(out, step, language)?;
        }
        match &group.disposition {
            Disposition::Reject(reply) | Disposition::Defer(reply) => writeln!(out, "  => {reply}")?,
            other => writeln!(out, "  => {}", other.name())?,
        }
        let summary = match language {
            Language::English => &group.summary.en,
            Language::Japanese => &group.summary.ja,
        };
        writeln!(out, "  {summary}")?;
    }
    if content.groups_left_out > 0 {
        writeln!(out, "  +{}", content.groups_left_out)?;
    }
    Ok(())
}

fn write_verdict(out: &mut String, verdict: &Verdict, left_out: u32, language: Language) -> std::fmt::Result {
    let words = Words::of(language);
    writeln!(out, "{}: {} {}, {} {}", words.content, words.set, verdict.set, words.total, verdict.score)?;
    for Finding { detector, symbol, class, score, evidence, part } in &verdict.findings {
        write!(out, "  {} {symbol}: {}", detector.name(), class.name())?;
        if class.is_scored() {
            // Scores say their own sign only if it is a minus.
            write!(out, " {}{score}", if score.0 < 0 { "" } else { "+" })?;
        }
        if let Some(part) = part {
            write!(out, " @{part}")?;
        }
        match evidence.is_empty() {
            true => writeln!(out)?,
            false => writeln!(out, " ({evidence})")?,
        }
    }
    if verdict.left_out > 0 {
        writeln!(out, "  +{}", verdict.left_out)?;
    }
    for silent in &verdict.unavailable {
        writeln!(out, "  {}: {} ({})", words.unavailable, silent.detector.name(), silent.reason)?;
    }
    for unseen in &verdict.unchecked {
        writeln!(out, "  {}: {} ({})", words.unchecked, unseen.what, content_words::reason(unseen.reason, language))?;
    }
    if left_out > 0 {
        writeln!(out, "  {}: +{left_out}", words.unchecked)?;
    }
    Ok(())
}

fn write_step(out: &mut String, step: &Weighed, language: Language) -> std::fmt::Result {
    write!(out, "  {}: ", step.category.name())?;
    if let (Some(points), Some(threshold)) = (step.points, step.threshold) {
        write!(out, "{points}/{threshold} ")?;
    }
    writeln!(out, "{}", content_words::effect(step.effect, language))
}
