//! One entry: for whom, what it does, what it matches.
//!
//! **Invariants**: a value of these types is sound: names parse, addresses are lower case, networks have no host bits,
//! an expiry is a whole second, texts are short and plain.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::sender::Country;
use crate::model::{Address, Domain, TenantId, Timestamp};

/// Entries of one mailbox.
pub const MAX_IN_MAILBOX: u32 = 100;
/// Entries of one tenant, all its domains and mailboxes included; of the operator likewise. The index counts octets of a
/// tenant's texts in 32 bits: this many of the longest fit.
pub const MAX_IN_TENANT: u32 = 5_000_000;
/// Characters of an owner or a reason.
pub const MAX_TEXT: usize = 200;

/// Why there is no such entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("{0:?} is no address: {1}")]
    Address(String, crate::model::AddressError),
    #[error("{0:?} is no domain: {1}; write example.com, it includes every domain below")]
    Domain(String, crate::model::AddressError),
    #[error("{0:?} is no network; write 192.0.2.0/24, 2001:db8::/32 or an address")]
    Network(String),
    #[error("{0} has bits behind its prefix; write {1}")]
    HostBits(IpNet, IpNet),
    #[error("{0:?} is no country code of two letters (ISO 3166-1)")]
    Country(String),
    #[error("from_network goes with an allow entry for an address or domain")]
    Bound,
    #[error("{0} is at most {MAX_TEXT} characters, none of them a control character")]
    Text(&'static str),
}

/// Whose mail an entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Everybody's.
    Operator,
    Tenant(TenantId),
    /// One domain of a tenant.
    Domain(TenantId, Domain),
    /// One mailbox of a tenant, in lower case.
    Mailbox(TenantId, Address),
}

impl Place {
    /// # Errors
    /// [`EntryError::Address`]: in lower case it is none (too long).
    pub fn mailbox(tenant: TenantId, mailbox: &Address) -> Result<Self, EntryError> {
        Ok(Self::Mailbox(tenant, lower(mailbox)?))
    }

    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Operator => Scope::Operator,
            Self::Tenant(_) => Scope::Tenant,
            Self::Domain(..) => Scope::Domain,
            Self::Mailbox(..) => Scope::Mailbox,
        }
    }

    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Operator => None,
            Self::Tenant(tenant) | Self::Domain(tenant, _) | Self::Mailbox(tenant, _) => Some(tenant),
        }
    }

    /// The domain or mailbox as it is written; empty for the wider scopes.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Operator | Self::Tenant(_) => String::new(),
            Self::Domain(_, domain) => domain.to_string(),
            Self::Mailbox(_, mailbox) => mailbox.to_string(),
        }
    }
}

/// `operator`, `tenant acme`, `domain acme.example`, `mailbox taro@acme.example`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
            Self::Domain(_, domain) => write!(f, "domain {domain}"),
            Self::Mailbox(_, mailbox) => write!(f, "mailbox {mailbox}"),
        }
    }
}

/// What an entry is compared with. A new kind is a variant here, a code in [`EntryKind`], and a probe in the index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// In lower case.
    Address(Address),
    /// With every domain below it.
    Domain(Domain),
    /// Without host bits; never an IPv4-mapped one.
    Network(IpNet),
    Country(Country),
}

/// Entries that match more than their maker may have thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broad {
    /// A domain under which everybody can register.
    PublicSuffix,
    /// Shorter than /8 (IPv4) or /16 (IPv6).
    WideNetwork,
}

impl fmt::Display for Broad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicSuffix => "a domain under which everybody can register",
            Self::WideNetwork => "a very wide network",
        })
    }
}

impl Pattern {
    /// Reads a value of a kind. A domain may be written with a leading `@`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(kind: EntryKind, text: &str) -> Result<Self, EntryError> {
        match kind {
            EntryKind::Address => {
                let address = Address::parse(text).map_err(|error| EntryError::Address(text.to_owned(), error))?;
                lower(&address).map(Self::Address)
            }
            EntryKind::Domain => {
                let domain = Domain::parse(text.strip_prefix('@').unwrap_or(text));
                domain.map(Self::Domain).map_err(|error| EntryError::Domain(text.to_owned(), error))
            }
            EntryKind::Network => network(text).map(Self::Network),
            EntryKind::Country => {
                Country::parse(text).map(Self::Country).ok_or_else(|| EntryError::Country(text.to_owned()))
            }
        }
    }

    /// The kind that a value looks like: an address has an `@` inside, two letters are a country.
    #[must_use]
    pub fn guess(text: &str) -> EntryKind {
        if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
            EntryKind::Network
        } else if text.char_indices().any(|(at, c)| c == '@' && at > 0) {
            EntryKind::Address
        } else if Country::parse(text).is_some() {
            EntryKind::Country
        } else {
            EntryKind::Domain
        }
    }

    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Address(_) => EntryKind::Address,
            Self::Domain(_) => EntryKind::Domain,
            Self::Network(_) => EntryKind::Network,
            Self::Country(_) => EntryKind::Country,
        }
    }

    /// Whether it matches so much that its maker should hear of it.
    #[must_use]
    pub fn broad(&self) -> Option<Broad> {
        match self {
            Self::Domain(domain) => {
                let suffix = psl::suffix_str(domain.as_str()) == Some(domain.as_str());
                suffix.then_some(Broad::PublicSuffix)
            }
            Self::Network(network) => {
                let widest = if network.addr().is_ipv4() { 8 } else { 16 };
                (network.prefix_len() < widest).then_some(Broad::WideNetwork)
            }
            Self::Address(_) | Self::Country(_) => None,
        }
    }
}

/// As [`Pattern::parse`] reads it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Country(country) => country.fmt(f),
        }
    }
}

/// The sender's and mailboxes' addresses are compared in lower case.
fn lower(address: &Address) -> Result<Address, EntryError> {
    let text = address.to_string();
    Address::parse(&text.to_lowercase()).map_err(|error| EntryError::Address(text, error))
}

fn network(text: &str) -> Result<IpNet, EntryError> {
    let bad = || EntryError::Network(text.to_owned());
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| bad())?,
    };
    if network.trunc() != network {
        return Err(EntryError::HostBits(network, network.trunc()));
    }
    // Addresses are compared in their canonical form: a mapped network would match nobody.
    if matches!(network, IpNet::V6(v6) if v6.prefix_len() > 0 && v6.addr().to_ipv4_mapped().is_some()) {
        return Err(bad());
    }
    Ok(network)
}

/// What makes an entry this one and no other: a store holds each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    pub place: Place,
    pub action: Action,
    pub pattern: Pattern,
    /// An allow entry that counts without authentication for clients in this network, and for no others.
    pub bound: Option<IpNet>,
}

impl Rule {
    /// # Errors
    /// [`EntryError::Bound`].
    pub fn new(place: Place, action: Action, pattern: Pattern, bound: Option<IpNet>) -> Result<Self, EntryError> {
        let of_sender = matches!(pattern.kind(), EntryKind::Address | EntryKind::Domain);
        if bound.is_some() && !(of_sender && action == Action::Allow) {
            return Err(EntryError::Bound);
        }
        Ok(Self { place, action, pattern, bound })
    }

    /// Reads a bound network.
    ///
    /// # Errors
    /// [`EntryError::Network`], [`EntryError::HostBits`].
    pub fn read_bound(text: &str) -> Result<IpNet, EntryError> {
        network(text)
    }
}

/// `block domain x.example for tenant acme`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, kind) = (self.action.as_str(), self.pattern.kind().as_str());
        write!(f, "{action} {kind} {}", self.pattern)?;
        if let Some(bound) = self.bound {
            write!(f, " from {bound}")?;
        }
        write!(f, " for {}", self.place)
    }
}

/// What the index knows of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub rule: Rule,
    /// From then on it doesn't count.
    pub expires: Option<Timestamp>,
}

/// What people wrote about an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who made it.
    pub owner: Box<str>,
    pub reason: Box<str>,
    pub created: Timestamp,
}

/// An entry to be made, or to be made so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    pub rule: Rule,
    pub expires: Option<Timestamp>,
    pub note: Note,
}

impl NewEntry {
    /// An expiry is rounded up, a creation down to the second.
    ///
    /// # Errors
    /// [`EntryError::Text`].
    pub fn new(rule: Rule, expires: Option<Timestamp>, note: Note) -> Result<Self, EntryError> {
        for (what, text) in [("owner", &note.owner), ("reason", &note.reason)] {
            if !plain_note(text) {
                return Err(EntryError::Text(what));
            }
        }
        let up = |at: Timestamp| Timestamp::from_millis(at.as_millis().div_ceil(1000).saturating_mul(1000));
        let created = Timestamp::from_millis(note.created.as_millis() / 1000 * 1000);
        Ok(Self { rule, expires: expires.map(up), note: Note { created, ..note } })
    }
}

/// Whether a text can be an owner or a reason.
#[must_use]
pub fn plain_note(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// An entry as a store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub entry: Entry,
    pub note: Note,
    pub hits: u64,
    pub last_hit: Option<Timestamp>,
}
