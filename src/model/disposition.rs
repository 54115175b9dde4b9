//! What becomes of a message for a recipient once its content was judged: Disposition, and what is changed on the way.
//!
//! **Invariants**: pure values; who makes one has decided, who carries it out decides nothing. A Disposition says nothing at an
//! SMTP stage (that is a [`Decision`](super::Decision)), nothing of what was seen (a [`Verdict`](super::finding::Verdict)) and
//! nothing of what the next hop said (an [`Outcome`](super::Outcome)).

use serde::{Deserialize, Serialize};

use super::finding::Class;
use super::{Address, Reply};

/// Beginnings of the names of header fields that only we write. Whatever comes with such a name is removed from every
/// message, in both directions, whatever else becomes of it: nobody may tell later readers what we found.
pub const RESERVED_FIELDS: [&str; 2] = ["X-Spam-", "X-Sekisho-"];

/// Whether an incoming field of this name is removed ([`RESERVED_FIELDS`]).
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let begins = |start: &&str| name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    RESERVED_FIELDS.iter().any(begins) || name.eq_ignore_ascii_case("X-Spam")
}

/// What a message counts as by its recipient's thresholds. A finding has a [`Class`]; what all of them come to is a category.
/// The order is that of judging: the first whose action keeps the message from the recipient decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    Malware,
    RiskyFile,
    Ambiguous,
    Unscannable,
    Encrypted,
    Phishing,
    Impersonation,
    Spam,
    /// Points below spam, but not few.
    Suspected,
    Bulk,
}

impl Category {
    pub const ALL: [Self; 10] = [
        Self::Malware,
        Self::RiskyFile,
        Self::Ambiguous,
        Self::Unscannable,
        Self::Encrypted,
        Self::Phishing,
        Self::Impersonation,
        Self::Spam,
        Self::Suspected,
        Self::Bulk,
    ];

    /// As in JSON, metrics and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malware => "malware",
            Self::RiskyFile => "risky-file",
            Self::Ambiguous => "ambiguous",
            Self::Unscannable => "unscannable",
            Self::Encrypted => "encrypted",
            Self::Phishing => "phishing",
            Self::Impersonation => "impersonation",
            Self::Spam => "spam",
            Self::Suspected => "suspected",
            Self::Bulk => "bulk",
        }
    }

    /// The class behind it, for what is kept by class: what is suspected is suspected to be spam.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Malware => Class::Malware,
            Self::RiskyFile => Class::RiskyFile,
            Self::Ambiguous => Class::Ambiguous,
            Self::Unscannable => Class::Unscannable,
            Self::Encrypted => Class::Encrypted,
            Self::Phishing => Class::Phishing,
            Self::Impersonation => Class::Impersonation,
            Self::Spam | Self::Suspected => Class::Spam,
            Self::Bulk => Class::Bulk,
        }
    }

    /// Whether it follows from points and a threshold; the others follow from a single finding.
    #[must_use]
    pub fn is_scored(self) -> bool {
        matches!(self, Self::Phishing | Self::Impersonation | Self::Spam | Self::Suspected | Self::Bulk)
    }
}

impl From<Class> for Category {
    fn from(class: Class) -> Self {
        match class {
            Class::Malware => Self::Malware,
            Class::RiskyFile => Self::RiskyFile,
            Class::Ambiguous => Self::Ambiguous,
            Class::Unscannable => Self::Unscannable,
            Class::Encrypted => Self::Encrypted,
            Class::Phishing => Self::Phishing,
            Class::Impersonation => Self::Impersonation,
            Class::Spam => Self::Spam,
            Class::Bulk => Self::Bulk,
        }
    }
}

/// The fate of a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Disposition {
    Deliver(Edits),
    /// Kept as it came, for the reason of this category.
    Quarantine {
        category: Category,
    },
    /// At SMTP, with this reply.
    Reject(Reply),
    /// Taken and thrown away, as the recipient's policy asks; logged.
    Discard,
    /// Not now: 4xx.
    Defer(Reply),
    /// Taken and not handed on until this is over.
    Hold {
        until: Until,
    },
}

/// What a held message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Somebody releases it.
    Released,
    /// A second look (sandbox, new signatures) has its answer.
    Reviewed,
}

impl Disposition {
    /// As in JSON, metrics and the mail log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deliver(_) => "deliver",
            Self::Quarantine { .. } => "quarantine",
            Self::Reject(_) => "reject",
            Self::Discard => "discard",
            Self::Defer(_) => "defer",
            Self::Hold { .. } => "hold",
        }
    }

    #[must_use]
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Deliver(_))
    }
}

/// What is changed in a message that is delivered. Fields with [`RESERVED_FIELDS`]' names are removed in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edits {
    /// Our own, for the top of the header, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Stands before the subject, with a blank behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Box<str>>,
    /// Stands above the text; lines end in LF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Box<str>>,
    /// Stands before the subject, where the stamp can't be put on the message and there is no tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Strip::is_none")]
    pub strip: Strip,
}

impl Edits {
    /// The others.
    #[must_use]
    pub fn without_fields(&self) -> Self {
        Self {
            fields: Vec::new(),
            tag: self.tag.clone(),
            stamp: self.stamp.clone(),
            instead: self.instead.clone(),
            strip: self.strip.clone(),
        }
    }

    /// Whether nothing is changed but reserved fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.tag.is_none() && self.stamp.is_none() && self.strip.is_none()
    }
}

/// A header field of our own. Unfolded; ASCII without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: Box<str>,
    pub value: Box<str>,
}

/// Which files are taken out, each with a notice in its place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strip {
    #[default]
    None,
    /// The parts with these paths ([`Part::path`](crate::message::specimen::Part)), ascending, each once.
    Parts(Vec<Box<str>>),
    /// All attachments: it is not known which one it was.
    Files,
}

impl Strip {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Files, _) | (_, Self::Files) => Self::Files,
            (Self::None, other) => other,
            (own, Self::None) => own,
            (Self::Parts(mut own), Self::Parts(more)) => {
                own.extend(more);
                own.sort_unstable();
                own.dedup();
                Self::Parts(own)
            }
        }
    }
}

/// Who hears of a message besides its recipients: addresses in the tenant's own domains.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Copies {
    /// Get it as it is delivered; never what is not delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<Address>,
    /// Are told what became of it, without its content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Address>,
}

impl Copies {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bcc.is_empty() && self.notify.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json_and_in_order() {
        for category in Category::ALL {
            assert_eq!(serde_json::to_value(category).unwrap(), category.name());
        }
        assert!(Category::ALL.is_sorted());
        for class in Class::ALL {
            assert_eq!(Category::from(class).name(), class.name());
            assert_eq!(Category::from(class).is_scored(), class.is_scored());
            assert_eq!(Category::from(class).class(), class);
        }
    }

    #[test]
    fn every_disposition_reads_back_by_its_name() {
        let reply = || Reply::with_text(550, crate::model::Enhanced(5, 7, 1), "no");
        let edits = Edits { tag: Some("[SPAM]".into()), strip: Strip::Files, ..Edits::default() };
        for disposition in [
            Disposition::Deliver(edits),
            Disposition::Quarantine { category: Category::RiskyFile },
            Disposition::Reject(reply()),
            Disposition::Discard,
            Disposition::Defer(reply()),
            Disposition::Hold { until: Until::Reviewed },
        ] {
            let json = serde_json::to_value(&disposition).unwrap();
            assert_eq!(json["fate"], disposition.name());
            assert_eq!(serde_json::from_value::<Disposition>(json).unwrap(), disposition);
        }
    }

    #[test]
    fn fields_of_ours_are_known_in_any_case_and_others_are_not() {
        for ours in ["X-Spam-Flag", "x-spam-status", "X-SEKISHO-Verdict", "X-Spam"] {
            assert!(is_reserved(ours), "{ours}");
        }
        for other in ["X-Spamd-Result", "X-Spa", "Subject", "X-Sekish", "é", "X-Spamメール"] {
            assert!(!is_reserved(other), "{other}");
        }
    }

    #[test]
    fn what_is_stripped_adds_up() {
        let parts = |paths: &[&str]| Strip::Parts(paths.iter().map(|path| (*path).into()).collect());
        assert_eq!(parts(&["3", "1.2"]).and(parts(&["3"])), parts(&["1.2", "3"]));
        assert_eq!(Strip::None.and(parts(&["2"])), parts(&["2"]));
        assert_eq!(parts(&["2"]).and(Strip::Files), Strip::Files);
        assert!(Strip::None.and(Strip::None).is_none());
    }
}
