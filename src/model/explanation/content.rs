//! The member `content` of an Explanation: what was found in a message, and what became of it for each group of recipients.
//!
//! **Invariants**: bounded by the constants here; what is left out is counted. Texts hold no control or direction characters.

use serde::{Deserialize, Serialize};

use super::{Summary, plain, tidy};
use crate::model::disposition::{Category, Copies, Disposition};
use crate::model::finding::{Detector, Score, Verdict};
use crate::model::{Address, Direction};

/// Most findings that are kept: those of the classes that need no points, then those with the most points either way.
pub const MAX_EXPLAINED: usize = 64;
/// Most things that were not looked at, and most silent detectors.
pub const MAX_UNCHECKED: usize = 32;
/// Most groups of recipients.
pub const MAX_GROUPS: usize = 33;
/// Most recipients named in a group.
pub const MAX_NAMED: usize = 16;

/// What was found, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Absent: the scan could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Silent detectors and unchecked things beyond [`MAX_UNCHECKED`].
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub unchecked_left_out: u32,
    pub groups: Vec<Group>,
    /// Groups beyond [`MAX_GROUPS`].
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub groups_left_out: u32,
}

/// Recipients whose mail is treated alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub direction: Direction,
    /// The first [`MAX_NAMED`] of them.
    pub recipients: Vec<Address>,
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub recipients_left_out: u32,
    /// What the message counts as; empty: clean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
    pub steps: Vec<Weighed>,
    pub decided_by: Decider,
    /// Without the values of our own fields.
    pub disposition: Disposition,
    #[serde(default, skip_serializing_if = "Copies::is_empty")]
    pub copies: Copies,
    pub summary: Summary,
}

/// What decided about a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Decider {
    /// Nothing was found.
    Nothing,
    /// The first category that keeps it back; or, of what is delivered, the first that it counts as.
    Category { category: Category },
    /// A detector that must answer and did not.
    Unavailable { detector: Detector },
    /// The scan as a whole could not be done.
    NoScan,
}

/// One category that was found, or whose points were weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    pub category: Category,
    /// Absent for the categories without points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Score>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Score>,
    pub effect: Effect,
}

/// What came of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Too few points.
    Below,
    /// An allowed sender.
    Skipped,
    /// The policy delivers it, with changes or without.
    Passed,
    /// Keeps the message from the recipient.
    Decided,
    /// The same, and the policy wanted something milder.
    Forced,
    /// Would keep it back too, but something before it has decided.
    Later,
}

impl Content {
    /// Bounded and cleaned.
    #[must_use]
    pub fn new(verdict: Option<&Verdict>) -> Self {
        let mut unchecked_left_out = 0;
        let verdict = verdict.map(|verdict| {
            let mut kept = verdict.clone();
            if kept.findings.len() > MAX_EXPLAINED {
                kept.findings
                    .sort_by_key(|found| (found.class.is_scored(), std::cmp::Reverse(found.score.0.saturating_abs())));
                let more = kept.findings.len() - MAX_EXPLAINED;
                kept.findings.truncate(MAX_EXPLAINED);
                kept.left_out = kept.left_out.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            }
            for found in &mut kept.findings {
                (found.symbol, found.evidence) = (plain(&found.symbol), plain(&found.evidence));
                found.part = found.part.as_deref().map(plain);
            }
            let silent = kept.unavailable.len().saturating_sub(MAX_UNCHECKED);
            let unseen = kept.unchecked.len().saturating_sub(MAX_UNCHECKED);
            unchecked_left_out = u32::try_from(silent + unseen).unwrap_or(u32::MAX);
            kept.unavailable.truncate(MAX_UNCHECKED);
            kept.unchecked.truncate(MAX_UNCHECKED);
            for silent in &mut kept.unavailable {
                silent.reason = plain(&silent.reason);
            }
            for unseen in &mut kept.unchecked {
                unseen.what = plain(&unseen.what);
            }
            kept
        });
        Self { verdict, unchecked_left_out, groups: Vec::new(), groups_left_out: 0 }
    }

    /// Without what was seen where that may be text of the message: for records that others read than those whose mail it is. Names
    /// of files, hosts and hashes stay.
    #[must_use]
    pub fn without_texts(mut self) -> Self {
        for found in self.verdict.iter_mut().flat_map(|verdict| &mut verdict.findings) {
            let is_a_name = matches!(
                found.detector,
                Detector::Hashes
                    | Detector::Yara
                    | Detector::Feeds
                    | Detector::Files
                    | Detector::Clamd
                    | Detector::Icap
            ) || matches!(found.detector, Detector::Rspamd | Detector::Spamd);
            if !is_a_name {
                found.evidence = Box::default();
            }
        }
        self
    }

    /// Whether the message counts as nothing at all, for everybody.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdict.is_some() && self.groups.iter().all(|group| group.categories.is_empty())
    }

    /// Whether it counts against its source.
    #[must_use]
    pub fn is_spam(&self) -> bool {
        let bad = |category: &Category| matches!(category, Category::Malware | Category::Phishing | Category::Spam);
        self.groups.iter().any(|group| group.categories.iter().any(bad))
    }

    /// Whether it is of a kind that makes nobody's acquaintance, for any of its recipients.
    #[must_use]
    pub fn is_harmful(&self) -> bool {
        self.is_spam() || self.groups.iter().any(|group| group.categories.contains(&Category::Impersonation))
    }

    /// Adds a group; beyond [`MAX_GROUPS`] it is only counted.
    pub fn judge(&mut self, mut group: Group) {
        if self.groups.len() >= MAX_GROUPS {
            self.groups_left_out = self.groups_left_out.saturating_add(1);
            return;
        }
        let more = group.recipients.len().saturating_sub(MAX_NAMED);
        group.recipients.truncate(MAX_NAMED);
        group.recipients_left_out = group.recipients_left_out.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        if let Disposition::Deliver(edits) = &mut group.disposition {
            edits.fields.clear();
        }
        tidy(&mut group.summary.en);
        tidy(&mut group.summary.ja);
        self.groups.push(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::{Class, Finding};

    #[test]
    fn records_hold_no_text_of_the_message() {
        let mut verdict = Verdict::new(1);
        for detector in Detector::ALL {
            verdict.find(Finding::new(detector, "S", Class::Spam, Score(1), "seen"));
        }
        let content = Content::new(Some(&verdict)).without_texts();
        let findings = content.verdict.unwrap().findings;
        let silent: Vec<Detector> =
            findings.iter().filter(|one| one.evidence.is_empty()).map(|one| one.detector).collect();
        let texts = [
            Detector::Structure,
            Detector::Rules,
            Detector::SpamAssassin,
            Detector::Classifier,
            Detector::Impersonation,
            Detector::Bulk,
        ];
        assert_eq!((findings.len(), silent), (Detector::ALL.len(), texts.to_vec()));
    }
}
