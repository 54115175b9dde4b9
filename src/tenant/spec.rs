//! What is written about a tenant: the form of `tenants.toml`, kept in the store as JSON.
//!
//! **Invariants**: a value of these types is sound in itself (names parse, networks have no host bits); whether two
//! tenants claim the same thing is the matter of [`TenantSpec::claims`]. The JSON form only ever grows, by keys with
//! defaults.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::rates::OutboundRates;
use crate::model::{Address, Domain, Person, TenantId};

use super::content::ContentSpec;
use super::contract::ContractSpec;
use super::proof::HeaderProof;
use super::sender::SenderSpec;

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSpec {
    pub id: TenantId,
    pub name: Box<str>,
    #[serde(default)]
    pub state: TenantState,
    #[serde(default)]
    pub custody: Custody,
    #[serde(default)]
    pub domains: Vec<DomainSpec>,
    #[serde(default)]
    pub outbound_clients: Vec<ClientSpec>,
    /// What is done with senders, for the domains that say nothing themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Box<SenderSpec>>,
    /// What is done with mail because of its content, for the domains that say nothing themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<ContentSpec>>,
    /// Who is told of what concerns the tenant as a whole; addresses at its own domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub administrators: Vec<Address>,
    /// Whose names only they may write under.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// What is agreed on accounts and dates. `None`: every right, no number, no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Box<ContractSpec>>,
    /// Whether its mail may leave unsigned.
    #[serde(default, skip_serializing_if = "SignPolicy::is_default")]
    pub sign: SignPolicy,
    /// What is done with outbound mail of senders that are not its own.
    #[serde(default, skip_serializing_if = "Forwards::is_default")]
    pub forwards: Forwards,
    /// Limits of its outbound mail, beside the operator's.
    #[serde(default, skip_serializing_if = "OutboundRates::is_empty")]
    pub rates: OutboundRates,
}

/// What is done with outbound mail that could not be signed (DKIM).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignPolicy {
    /// It leaves unsigned, and is counted.
    #[default]
    Possible,
    /// It is put off (451).
    Required,
}

impl SignPolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done with mail that a tenant's server sends on for somebody else: with another's envelope sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwards {
    #[default]
    Refuse,
    /// The sender is rewritten onto the tenant's first domain, and what comes back there is sent on.
    Srs,
}

impl Forwards {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether the gateway works for the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantState {
    #[default]
    Active,
    /// Its mail is put off, in both directions, until it is active again.
    Suspended,
}

/// Who answers for inbound mail between the client's end of data and the next hop's 250.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Custody {
    /// We do: 250 after a durable commit.
    #[default]
    Queued,
    /// The next hop does: it is asked while the client waits, and its answer becomes ours.
    Inline,
}

/// One mail domain of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSpec {
    pub name: Domain,
    pub next_hops: Vec<NextHop>,
    #[serde(default)]
    pub tls: TlsPolicy,
    #[serde(default)]
    pub recipients: RecipientsSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Box<SenderSpec>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<ContentSpec>>,
}

/// A server that takes a domain's mail. Lower priorities are asked first, equal ones share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NextHop {
    pub host: Host,
    pub port: u16,
    #[serde(default)]
    pub priority: u16,
}

/// Prints as it is written: `host:port`, `[v6]:port`.
impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// A name to resolve or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    Ip(IpAddr),
    Name(Domain),
}

impl Host {
    /// # Errors
    /// A sentence saying that this is neither address nor host name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(ip.to_canonical()));
        }
        // "192.0.2.300" would pass for a host name; no top-level domain is a number (RFC 1123 section 2.1).
        let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        match Domain::parse(text) {
            Ok(name) if !numeric && name.as_ip().is_none() => Ok(Self::Name(name)),
            _ => Err(format!("{text:?} is neither an IP address nor a host name")),
        }
    }
}

impl TryFrom<String> for Host {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// What TLS must do on the way to a next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsPolicy {
    /// Never started.
    None,
    /// Used where offered, whatever the certificate.
    #[default]
    Opportunistic,
    /// No mail without it, whatever the certificate.
    Required,
    /// No mail without it and a certificate for the host's name from a trusted authority.
    Verified,
}

/// Which recipients of a domain exist.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipientsSpec {
    Any,
    /// The next hop is asked, and its answer remembered.
    #[default]
    CallAhead,
    /// Only these, and postmaster.
    List(Vec<Address>),
}

/// How a tenant's own mail server is known on an outbound listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientSpec {
    Network(IpNet),
    Login {
        username: Box<str>,
        password_hash: PasswordHash,
    },
    /// SHA-256 of the client's certificate, lower-case hex.
    Certificate(Box<str>),
    /// A network that others use too (a shared cloud's): each message bears a field with a secret.
    Header(HeaderProof),
}

/// An argon2 hash in PHC form; never printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// # Errors
    /// A sentence; the text itself is not in it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let sound = text.starts_with("$argon2") && argon2::password_hash::phc::PasswordHash::new(text).is_ok();
        if sound {
            Ok(Self(text.into()))
        } else {
            Err("this is no argon2 hash; `sekisho tenant hash-password` makes one")
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Something that only one tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim<'s> {
    Domain(&'s Domain),
    Network(&'s IpNet),
    Username(&'s str),
    Certificate(&'s str),
    /// The SHA-256 of a secret.
    Secret(&'s str),
}

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => write!(f, "domain {name}"),
            Self::Network(network) => write!(f, "network {network}"),
            Self::Username(name) => write!(f, "user name {name}"),
            Self::Certificate(print) => write!(f, "certificate {print}"),
            Self::Secret(_) => f.write_str("the value of a header field"),
        }
    }
}

impl ClientSpec {
    #[must_use]
    pub fn claim(&self) -> Claim<'_> {
        match self {
            Self::Network(network) => Claim::Network(network),
            Self::Login { username, .. } => Claim::Username(username),
            Self::Certificate(print) => Claim::Certificate(print),
            Self::Header(proof) => Claim::Secret(proof.secret()),
        }
    }
}

impl TenantSpec {
    /// Everything that must be this tenant's alone: its domains, then its outbound clients, in order.
    pub fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        let domains = self.domains.iter().map(|domain| Claim::Domain(&domain.name));
        domains.chain(self.outbound_clients.iter().map(ClientSpec::claim))
    }
}
