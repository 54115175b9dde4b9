//! The words of allow and block lists: what an entry matches, whose it is and what it does.
//!
//! **Invariants**: plain values; matching is in `tenant`, what follows from a match in `policy`.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Unique in a store, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub u64);

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Allow,
    Block,
}

/// What an entry is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A sender's address.
    Address,
    /// A sender's domain and all below it.
    Domain,
    /// The client's address or network.
    Network,
    /// The country of the client's address.
    Country,
}

/// Whose mail an entry is for, widest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Operator,
    Tenant,
    Domain,
    Mailbox,
}

/// An entry that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    pub id: EntryId,
    pub action: Action,
    pub kind: EntryKind,
    pub scope: Scope,
    /// Length of the network's prefix, for [`EntryKind::Network`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
    /// An allow entry bound to this network counts without authentication for clients in it, and for no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<IpNet>,
}

impl Action {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allow, Self::Block].into_iter().find(|action| action.as_str() == text)
    }

    /// In the store and the index; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Block => 1,
        }
    }

    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Allow, Self::Block].into_iter().find(|action| action.code() == code)
    }
}

impl EntryKind {
    pub const ALL: [Self; 4] = [Self::Address, Self::Domain, Self::Network, Self::Country];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Domain => "domain",
            Self::Network => "network",
            Self::Country => "country",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// In the store and the index, below 16; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Address => 0,
            Self::Domain => 1,
            Self::Network => 2,
            Self::Country => 3,
        }
    }

    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Operator, Self::Tenant, Self::Domain, Self::Mailbox];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Tenant => "tenant",
            Self::Domain => "domain",
            Self::Mailbox => "mailbox",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// In the store and the index, widest first; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Operator => 0,
            Self::Tenant => 1,
            Self::Domain => 2,
            Self::Mailbox => 3,
        }
    }

    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.code() == code)
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
