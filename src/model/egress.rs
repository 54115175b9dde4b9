//! How outbound mail leaves: the pool of addresses it takes, and the operator's rule for spam.
//!
//! **Invariants**: pure; only the check of a message says which pool it takes (`scan::Checked`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Source addresses that share a reputation. What leaves over one does no harm to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    #[default]
    Normal,
    /// Spam that the operator lets out all the same; it has addresses of its own or doesn't leave.
    Suspect,
    /// Newsletters and the like; without addresses of its own it takes those of [`Pool::Normal`].
    Bulk,
}

impl Pool {
    pub const ALL: [Self; 3] = [Self::Normal, Self::Suspect, Self::Bulk];

    /// As in settings, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Suspect => "suspect",
            Self::Bulk => "bulk",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pool| pool.as_str() == text)
    }

    /// As on disk; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Suspect => 1,
            Self::Bulk => 2,
        }
    }

    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|pool| pool.code() == code)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of outbound spam (`[outbound] spam`): the operator's word, and tenants can only be stricter. From the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OutboundSpam {
    /// It leaves over [`Pool::Suspect`], unless it is phishing or certain.
    SuspectPool,
    #[default]
    Quarantine,
    Reject,
}

impl OutboundSpam {
    pub const ALL: [Self; 3] = [Self::SuspectPool, Self::Quarantine, Self::Reject];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuspectPool => "suspect-pool",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_read_back() {
        for pool in Pool::ALL {
            assert_eq!((Pool::parse(pool.as_str()), Pool::from_code(pool.code())), (Some(pool), Some(pool)));
        }
        assert_eq!(Pool::from_code(9), None);
        for rule in OutboundSpam::ALL {
            assert_eq!(OutboundSpam::parse(rule.as_str()), Some(rule));
        }
        assert!(OutboundSpam::ALL.is_sorted(), "from the mildest on");
    }
}
