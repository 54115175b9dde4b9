//! The rules that nobody can edit: what a policy asks for, and what it gets.
//!
//! **Invariants**: what comes out is never milder than what went in.

use crate::model::Direction;
use crate::model::disposition::Category;
use crate::model::finding::Score;
use crate::tenant::{ContentPolicy, Fate, Sensitivity, Thresholds, Treatment};

/// What is done with mail of a category; `true`: not what the policy says.
pub(super) fn treatment(direction: Direction, policy: &ContentPolicy, category: Category) -> (Treatment, bool) {
    let wanted = policy.treatment(category);
    let fate = match (category, direction) {
        (Category::Malware, Direction::Inbound) if wanted.fate == Fate::Deliver => Fate::Quarantine,
        (Category::Malware, Direction::Outbound) => Fate::Quarantine,
        (Category::Spam | Category::Phishing, Direction::Outbound) if wanted.fate != Fate::Reject => Fate::Quarantine,
        _ => wanted.fate,
    };
    (wanted.with_fate(fate), fate != wanted.fate)
}

/// Outbound, a tenant may be stricter than the middle level with spam and phishing and not milder.
pub(super) fn thresholds(direction: Direction, policy: &ContentPolicy) -> Thresholds {
    const OURS: Thresholds = Thresholds::of_level(Sensitivity::Medium);
    let own = policy.thresholds;
    let stricter = |own: Score, ours: Score| own.min(ours);
    match direction {
        Direction::Inbound => own,
        Direction::Outbound => {
            let spam = stricter(own.spam, OURS.spam);
            let phishing = stricter(own.phishing, OURS.phishing);
            Thresholds { spam, phishing, suspected: stricter(own.suspected, spam), ..own }
        }
    }
}
