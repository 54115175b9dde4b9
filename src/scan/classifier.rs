//! The statistical classifier: what the words of a message say, by the set's model and what the tenant's users taught.
//!
//! **Failure**: none; without a model, or with too few known words, there is no finding. **Invariants**: at most one finding.

use std::fmt::Write as _;

use crate::message::specimen::Specimen;
use crate::model::finding::{Class, Detector, Finding, Score};
use crate::signatures::model::{Layer, Model, Tokens};

/// Symbols, in the order of the odds for spam.
pub const SYMBOLS: [&str; 4] = ["CLASSIFIER_HAM", "CLASSIFIER_LIKELY", "CLASSIFIER_SPAM", "CLASSIFIER_SURE"];

/// Opinions that weigh less than this are none.
const LEAST: f64 = 0.1;

/// Judges a message.
#[must_use]
pub fn classify(specimen: &Specimen, model: &Model, layer: Option<&Layer>) -> Option<Finding> {
    if model.is_empty() && layer.is_none_or(Layer::is_empty) {
        return None;
    }
    let opinion = model.judge(&Tokens::of(specimen), layer);
    let points = opinion.points();
    if points.abs() < LEAST {
        return None;
    }
    let symbol = match points {
        ..0.0 => SYMBOLS[0],
        0.0..2.0 => SYMBOLS[1],
        2.0..4.0 => SYMBOLS[2],
        _ => SYMBOLS[3],
    };
    let mut evidence =
        format!("{:.1} % spam; {} of {} words known", opinion.probability() * 100.0, opinion.known, opinion.of);
    if opinion.learned.abs() >= LEAST {
        let _ = write!(evidence, "; by the tenant's reports {:+.1}", opinion.learned);
    }
    Some(Finding::new(Detector::Classifier, symbol, Class::Spam, Score::from_points(points), &evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specimen(words: &str) -> Specimen {
        let text = crate::message::specimen::Text { visible: words.into(), ..Default::default() };
        Specimen { texts: vec![text], ..Specimen::default() }
    }

    #[test]
    fn without_a_model_there_is_no_finding() {
        let words = "cheap pills for you without prescription, order today and save a lot of money";
        assert_eq!(classify(&specimen(words), &Model::empty(), None), None);
        assert_eq!(classify(&specimen(words), &Model::empty(), Some(&Layer::default())), None);
    }

    #[test]
    fn what_a_tenant_taught_is_found() {
        let words = "cheap pills for you without prescription, order today and save a lot of money";
        let mut layer = Layer::default();
        for _ in 0..4 {
            layer.learn(&Model::empty(), &Tokens::of_text("", words), true);
        }
        let finding = classify(&specimen(words), &Model::empty(), Some(&layer)).unwrap();
        assert!(finding.score > Score(2_000), "{finding:?}");
        assert!(finding.evidence.contains("words known; by the tenant's reports +"), "{finding:?}");
        let other = "Dear all, the minutes of yesterday's board meeting are attached, best regards, Hanako";
        assert_eq!(classify(&specimen(other), &Model::empty(), Some(&layer)), None);
    }
}
