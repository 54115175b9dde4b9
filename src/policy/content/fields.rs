//! The header fields that we write: what a recipient's own rules and programs may go by.
//!
//! | field | holds |
//! |---|---|
//! | `X-Sekisho-Verdict` | `clean` or the categories, first to last; `allowed` if an allow entry spared some; the number of the signature set |
//! | `X-Spam-Flag` | `YES` if it counts as spam or phishing, otherwise `NO` |
//! | `X-Spam-Score` | points for spam, one decimal at least |
//! | `X-Spam-Level` | one `*` for each whole point, at most 50 |
//! | `X-Spam-Status` | `Yes` or `No`, score, threshold, names of symbols |
//!
//! **Invariants**: ASCII, bounded: a value is at most [`MAX_VALUE`] octets. Symbols are named and nothing else of a rule: neither
//! its points nor what it looks for.

use std::fmt::Write as _;

use crate::model::disposition::{Category, Field};
use crate::model::finding::Verdict;
use crate::tenant::Thresholds;

use super::points::Points;
use super::ruling::{Effect, Weighed};

/// Longest value, in octets.
pub const MAX_VALUE: usize = 1_000;
/// Most stars.
const MAX_STARS: i32 = 50;
/// Longest name of a symbol.
const MAX_SYMBOL: usize = 64;

/// Our fields, in order.
#[must_use]
pub fn fields(
    verdict: &Verdict,
    (categories, steps): (&[Category], &[Weighed]),
    points: &Points,
    thresholds: &Thresholds,
) -> Vec<Field> {
    let is_spam = categories.iter().any(|category| matches!(category, Category::Spam | Category::Phishing));
    let (flag, word) = if is_spam { ("YES", "Yes") } else { ("NO", "No") };
    let stars = usize::try_from((points.spam.0 / 1_000).clamp(0, MAX_STARS)).unwrap_or(0);
    let mut fields = vec![
        field("X-Sekisho-Verdict", said(verdict, categories, steps)),
        field("X-Spam-Flag", flag.to_owned()),
        field("X-Spam-Score", points.spam.to_string()),
    ];
    if stars > 0 {
        fields.push(field("X-Spam-Level", "*".repeat(stars)));
    }
    fields.push(field("X-Spam-Status", status(verdict, word, points, thresholds)));
    fields
}

fn field(name: &str, value: String) -> Field {
    Field { name: name.into(), value: value.into() }
}

fn said(verdict: &Verdict, categories: &[Category], steps: &[Weighed]) -> String {
    let names: Vec<&str> = categories.iter().map(|category| category.name()).collect();
    let mut said = if names.is_empty() { "clean".to_owned() } else { names.join(", ") };
    if steps.iter().any(|step| step.effect == Effect::Skipped) {
        said.push_str("; allowed");
    }
    if !verdict.unavailable.is_empty() {
        said.push_str("; degraded");
    }
    // Writing to a string never fails.
    let _ = write!(said, "; set={}", verdict.set);
    said
}

fn status(verdict: &Verdict, word: &str, points: &Points, thresholds: &Thresholds) -> String {
    let mut status = format!("{word}, score={} required={} tests=", points.spam, thresholds.spam);
    let (begin, mut seen) = (status.len(), std::collections::HashSet::new());
    for found in &verdict.findings {
        let symbol = symbol(&found.symbol);
        if symbol.is_empty() || status.len() + symbol.len() + 5 > MAX_VALUE {
            continue;
        }
        if seen.insert(symbol.clone()) {
            // A blank behind the comma, so that the line can be folded.
            if status.len() > begin {
                status.push_str(", ");
            }
            status.push_str(&symbol);
        }
    }
    if status.len() == begin {
        status.push_str("none");
    }
    status
}

/// Only what can't be mistaken for something else in a header.
fn symbol(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
    name.chars().take(MAX_SYMBOL).map(safe).collect()
}
