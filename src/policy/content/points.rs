//! Adds points up.
//!
//! One symbol alone does not sink the mail of an authenticated author: what one rule gives, however often it was found, counts for
//! at most a tenth less than the threshold. It takes a second one, whatever that gives. Not capped is what is itself a sum of
//! many rules (rspamd, spamd), and what says that it is certain: [`CERTAIN`] points and more, as GTUBE does. Outbound nothing is
//! capped: every client there has shown who it is, and the spam of a stolen account too comes authenticated.
//!
//! **Invariants**: the sum does not depend on the order of the findings.

use std::collections::BTreeMap;

use crate::model::disposition::Category;
use crate::model::finding::{Class, Detector, Finding, Score, Verdict};
use crate::model::rule::Rule;
use crate::tenant::Thresholds;

use super::Author;

/// From here on a single finding is certain by its author's word.
pub const CERTAIN: Score = Score(50_000);
/// How far below the threshold one symbol alone may bring the mail of an authenticated author.
const SHORT_OF: Score = Score(100);

/// Sums by category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Points {
    /// Spam, phishing, impersonation and marks together: everything that is unwanted. Bulk mail is not.
    pub spam: Score,
    /// Less what speaks for the mail, if its points for spam are negative.
    pub phishing: Score,
    pub impersonation: Score,
    pub bulk: Score,
}

impl Points {
    /// `None`: the category has no points.
    #[must_use]
    pub fn of(&self, category: Category) -> Option<Score> {
        match category {
            Category::Spam | Category::Suspected => Some(self.spam),
            Category::Phishing => Some(self.phishing),
            Category::Impersonation => Some(self.impersonation),
            Category::Bulk => Some(self.bulk),
            Category::Malware
            | Category::RiskyFile
            | Category::Ambiguous
            | Category::Unscannable
            | Category::Encrypted => None,
        }
    }
}

/// The sums of a verdict, for an author and thresholds.
#[must_use]
pub fn points(verdict: &Verdict, thresholds: &Thresholds, author: Author, marks: &[Rule]) -> Points {
    let mut by_symbol: BTreeMap<(Class, Detector, &str), Score> = BTreeMap::new();
    for Finding { detector, symbol, class, score, .. } in &verdict.findings {
        if class.is_scored() {
            *by_symbol.entry((*class, *detector, symbol)).or_default() += *score;
        }
    }
    let sum = |classes: &[Class], threshold: Score| -> Score {
        let most = Score(threshold.0.saturating_sub(SHORT_OF.0).max(0));
        let counted = by_symbol.iter().filter(|((class, ..), _)| classes.contains(class));
        counted
            .map(
                |((_, detector, _), score)| {
                    if is_capped(*detector, *score, author) { (*score).min(most) } else { *score }
                },
            )
            .sum()
    };
    // Findings that were too many to keep still count.
    let left_out = |class| verdict.left_out_of(class);
    let marked: Score = marks.iter().map(mark).sum();
    let unwanted = [Class::Spam, Class::Phishing, Class::Impersonation];
    let good = sum(&[Class::Spam], thresholds.phishing).min(Score::ZERO);
    Points {
        spam: sum(&unwanted, thresholds.spam) + unwanted.into_iter().map(left_out).sum() + marked,
        phishing: sum(&[Class::Phishing], thresholds.phishing) + left_out(Class::Phishing) + good,
        impersonation: plain(&by_symbol, Class::Impersonation) + left_out(Class::Impersonation),
        bulk: plain(&by_symbol, Class::Bulk) + left_out(Class::Bulk),
    }
}

fn plain(by_symbol: &BTreeMap<(Class, Detector, &str), Score>, class: Class) -> Score {
    by_symbol.iter().filter(|((own, ..), _)| *own == class).map(|(_, score)| *score).sum()
}

fn is_capped(detector: Detector, score: Score, author: Author) -> bool {
    let is_a_sum = matches!(detector, Detector::Rspamd | Detector::Spamd);
    author == Author::Authenticated && !is_a_sum && score < CERTAIN
}

/// What a mark of the sender's judgement adds. The owner of a domain who asks for quarantine gets at least a suspicion.
fn mark(rule: &Rule) -> Score {
    match rule {
        Rule::Dmarc { .. } => Score(3_000),
        Rule::From => Score(2_000),
        Rule::Spf { .. } => Score(1_000),
        Rule::Dkim => Score(500),
        _ => Score::ZERO,
    }
}
