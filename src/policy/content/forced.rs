//! The rules that nobody can edit: what a policy asks for, and what it gets.
//!
//! **Invariants**: what comes out is never milder than what went in. Outbound, neither malware nor what could not be inspected
//! leaves, and spam only where the operator lets it ([`OutboundSpam::SuspectPool`]), never phishing and never what is certain.

use crate::model::disposition::Category;
use crate::model::egress::OutboundSpam;
use crate::model::finding::{Class, Reason, Score, Verdict};
use crate::model::{Direction, Reply};
use crate::policy::replies;
use crate::tenant::{ContentPolicy, Extra, Fate, Sensitivity, Thresholds, Treatment};

use super::facts::Facts;
use super::points::CERTAIN;

/// What is done with mail of a category; `true`: not what the policy says.
pub(super) fn treatment(facts: &Facts<'_>, category: Category, is_certain: bool) -> (Treatment, bool) {
    let wanted = facts.policy.treatment(category);
    let (fate, told) = match (category, facts.direction) {
        (Category::Malware, Direction::Inbound) if wanted.fate == Fate::Deliver => (Fate::Quarantine, false),
        (Category::Malware, Direction::Outbound) => (Fate::Quarantine, true),
        (Category::Spam | Category::Phishing, Direction::Outbound) => (spam(facts, category, is_certain), false),
        (Category::Unscannable, Direction::Outbound) if wanted.fate == Fate::Deliver => (Fate::Quarantine, false),
        _ => (wanted.fate, false),
    };
    let given = wanted.with_fate(fate);
    (if told { given.and(Extra::Notify) } else { given }, fate != wanted.fate)
}

/// The stricter of the operator's word and the tenant's.
fn spam(facts: &Facts<'_>, category: Category, is_certain: bool) -> Fate {
    let ours = match facts.spam {
        OutboundSpam::SuspectPool if category != Category::Spam || is_certain => OutboundSpam::Quarantine,
        ours => ours,
    };
    let own = match facts.policy.treatment(category).fate {
        _ if !facts.policy.is_written(category) => OutboundSpam::SuspectPool,
        Fate::Deliver => OutboundSpam::SuspectPool,
        Fate::Quarantine | Fate::Discard => OutboundSpam::Quarantine,
        Fate::Reject => OutboundSpam::Reject,
    };
    match ours.max(own) {
        OutboundSpam::SuspectPool => Fate::Deliver,
        OutboundSpam::Quarantine => Fate::Quarantine,
        OutboundSpam::Reject => Fate::Reject,
    }
}

/// Whether somebody says for sure that it is unwanted (GTUBE does): no other points outweigh that outbound.
pub(super) fn is_certain(verdict: &Verdict) -> bool {
    let unwanted = |class| matches!(class, Class::Spam | Class::Phishing | Class::Impersonation);
    verdict.findings.iter().any(|found| unwanted(found.class) && found.score >= CERTAIN)
}

/// Outbound mail that is too large to be inspected goes back to who sent it: waiting in a quarantine would help nobody.
pub(super) fn too_large(facts: &Facts<'_>, verdict: &Verdict, category: Category) -> Option<Reply> {
    let is_of_size = |reason| matches!(reason, Reason::Bytes | Reason::FileSize);
    let is_too_large = facts.direction == Direction::Outbound
        && category == Category::Unscannable
        && verdict.unchecked.iter().any(|one| is_of_size(one.reason));
    is_too_large.then_some(replies::TOO_LARGE_TO_INSPECT)
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
