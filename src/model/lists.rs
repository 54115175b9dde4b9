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
