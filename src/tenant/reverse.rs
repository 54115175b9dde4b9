//! Rules for the reverse names of sending servers, by the envelope sender's domain.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Domain, ReversePath};

use super::sender::is_within_str;

/// One row of the rules for reverse names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseRow {
    pub sender: ReverseKey,
    #[serde(default)]
    pub missing: ReverseAct,
    #[serde(default)]
    pub invalid: ReverseAct,
}

/// Whose mail a row is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReverseKey {
    /// The empty envelope sender.
    Empty,
    /// Every sender that no other row is for.
    Default,
    /// A sender domain with its subdomains; the longest that fits is the one.
    Domain(Domain),
}

impl ReverseKey {
    /// # Errors
    /// A sentence with what may stand here.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (text, Domain::parse(text)) {
            ("empty", _) => Ok(Self::Empty),
            ("default", _) => Ok(Self::Default),
            (_, Ok(domain)) if domain.as_ip().is_none() => Ok(Self::Domain(domain)),
            _ => Err(format!("{text:?} is none of \"default\", \"empty\" and a sender domain")),
        }
    }
}

impl TryFrom<String> for ReverseKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ReverseKey> for String {
    fn from(key: ReverseKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for ReverseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Default => f.write_str("default"),
            Self::Domain(domain) => domain.fmt(f),
        }
    }
}

/// What is done about a reverse name that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReverseAct {
    #[default]
    Accept,
    Reject,
}

/// Rules for reverse names, by the envelope sender's domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReverseRules {
    /// Sorted by key.
    rows: Box<[ReverseRow]>,
    /// Reverse names, with all below them, that are refused whoever sends.
    pub blocked: Box<[Domain]>,
}

impl ReverseRules {
    #[must_use]
    pub fn compile(mut rows: Vec<ReverseRow>, blocked: Vec<Domain>) -> Self {
        rows.sort_by(|a, b| a.sender.cmp(&b.sender));
        Self { rows: rows.into(), blocked: blocked.into() }
    }

    /// Whether a reverse name is of any interest to anybody here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.blocked.is_empty()
    }

    /// The row for this sender: the longest domain that fits, then the default; the empty sender has its own, then the
    /// default.
    #[must_use]
    pub fn row(&self, sender: &ReversePath) -> Option<&ReverseRow> {
        let own = match sender {
            ReversePath::Null => self.find(&ReverseKey::Empty),
            ReversePath::Mailbox(address) => self.longest(address.domain().as_str()),
        };
        own.or_else(|| self.find(&ReverseKey::Default))
    }

    fn longest(&self, domain: &str) -> Option<&ReverseRow> {
        let mut name = Some(domain);
        while let Some(here) = name {
            let found = self.rows.binary_search_by(|row| match &row.sender {
                ReverseKey::Domain(domain) => domain.as_str().cmp(here),
                _ => std::cmp::Ordering::Less,
            });
            if let Ok(at) = found {
                return self.rows.get(at);
            }
            name = here.split_once('.').map(|(_, above)| above);
        }
        None
    }

    fn find(&self, key: &ReverseKey) -> Option<&ReverseRow> {
        self.rows.iter().take(2).find(|row| row.sender == *key)
    }

    /// The blocked name that this reverse name is, or is below of. Case and a final dot don't matter.
    #[must_use]
    pub fn blocks(&self, name: &str) -> Option<&Domain> {
        if self.blocked.is_empty() {
            return None;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.blocked.iter().find(|blocked| is_within_str(&name, blocked.as_str()))
    }
}
