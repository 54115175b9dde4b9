//! What a tenant wants done with senders: as written (`[tenant.sender]`, `[tenant.domain.sender]`), and compiled for one
//! domain.
//!
//! **Invariants**: a domain's keys stand in the place of its tenant's, key by key, a list as a whole; what neither names
//! is [`SenderPolicy::default`]. A domain without a word of either holds no policy of its own.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::sender::Level;
use crate::model::{Domain, ReversePath};

use super::reverse::{ReverseRow, ReverseRules};

/// Most elements of each list of a sender table.
pub const MAX_LIST: usize = 1_000;

/// As written: what is not named is left to the tenant's table, then to the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SenderSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reputation: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_sources: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greylisting: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_required_from: Option<Vec<TlsPeer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_sealers: Option<Vec<Domain>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse: Option<Vec<ReverseRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse_blocked: Option<Vec<Domain>>,
    #[serde(skip_serializing_if = "AuthenticationSpec::is_empty")]
    pub authentication: AuthenticationSpec,
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Accept,
    /// Accepted, and later checks are told.
    Mark,
    Defer,
    Reject,
}

/// Makes both forms of the actions, and what joins them.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $key:ident = $default:ident;)+) => {
        /// Actions as written in `[tenant.sender.authentication]`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct AuthenticationSpec {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<Act>,)+
        }

        impl AuthenticationSpec {
            /// The keys, in the order of the manual.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key)),+];

            #[must_use]
            pub fn is_empty(&self) -> bool {
                true $(&& self.$key.is_none())+
            }

            /// The action of a key; `None`: there is no such key.
            pub fn action(&mut self, key: &str) -> Option<&mut Option<Act>> {
                match key {
                    $(stringify!($key) => Some(&mut self.$key),)+
                    _ => None,
                }
            }

            /// What is not named here is taken from `under`.
            #[must_use]
            pub fn over(self, under: Self) -> Self {
                Self { $($key: self.$key.or(under.$key),)+ }
            }
        }

        /// Actions by result of authentication.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct AuthenticationActions {
            $($(#[doc = $doc])+ pub $key: Act,)+
        }

        impl Default for AuthenticationActions {
            fn default() -> Self {
                Self { $($key: Act::$default,)+ }
            }
        }

        impl From<AuthenticationSpec> for AuthenticationActions {
            fn from(spec: AuthenticationSpec) -> Self {
                Self { $($key: spec.$key.unwrap_or(Act::$default),)+ }
            }
        }
    };
}

actions! {
    /// The header has no From field, several, or authors of several domains.
    from_invalid = Reject;
    /// The record says that this client may not send for the domain (`-all`).
    spf_fail = Mark;
    /// `~all`
    spf_softfail = Accept;
    /// The record could not be had.
    spf_temperror = Accept;
    /// The record is wrong.
    spf_permerror = Accept;
    /// There are signatures and none of them is valid.
    dkim_fail = Accept;
    /// DMARC fails and the domain's owner says `p=reject`.
    dmarc_reject = Reject;
    /// DMARC fails under `p=quarantine`.
    dmarc_quarantine = Mark;
    /// DMARC fails under `p=none`.
    dmarc_none = Accept;
    /// DMARC could not be evaluated for now.
    dmarc_temperror = Mark;
    /// The domain's DMARC record is wrong.
    dmarc_permerror = Accept;
    /// The most that a DMARC result does to mail with an empty envelope sender.
    null_sender = Reject;
}

/// Whose mail must come over TLS: `*`, a sender domain with its subdomains, or the client's network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TlsPeer {
    Everyone,
    Domain(Domain),
    Network(IpNet),
}

impl TlsPeer {
    /// # Errors
    /// A sentence with what may stand here.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Everyone);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Network(ip.to_canonical().into()));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            let trunc = network.trunc();
            return if trunc == network {
                Ok(Self::Network(network))
            } else {
                Err(format!("{text} has bits behind its prefix; write {trunc}"))
            };
        }
        match Domain::parse(text) {
            Ok(domain) if domain.as_ip().is_none() => Ok(Self::Domain(domain)),
            _ => Err(format!("{text:?} is neither a domain nor a network nor \"*\"")),
        }
    }

    #[must_use]
    pub fn has(&self, client: IpAddr, sender: &ReversePath) -> bool {
        match self {
            Self::Everyone => true,
            Self::Network(network) => network.contains(&client),
            Self::Domain(domain) => sender.address().is_some_and(|sender| is_within(sender.domain(), domain)),
        }
    }
}

impl TryFrom<String> for TlsPeer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<TlsPeer> for String {
    fn from(peer: TlsPeer) -> Self {
        peer.to_string()
    }
}

impl fmt::Display for TlsPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("*"),
            Self::Domain(domain) => domain.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// What a domain wants done with senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderPolicy {
    pub level: Level,
    /// Whether known-source lists (DNSxL) refuse.
    pub known_sources: bool,
    pub greylisting: bool,
    pub tls_required_from: Box<[TlsPeer]>,
    pub reverse: ReverseRules,
    pub authentication: AuthenticationActions,
    pub trusted_sealers: Box<[Domain]>,
}

impl Default for SenderPolicy {
    fn default() -> Self {
        Self {
            level: Level::default(),
            known_sources: true,
            greylisting: false,
            tls_required_from: Box::default(),
            reverse: ReverseRules::default(),
            authentication: AuthenticationActions::default(),
            trusted_sealers: Box::default(),
        }
    }
}

static DEFAULT: LazyLock<SenderPolicy> = LazyLock::new(SenderPolicy::default);

impl SenderPolicy {
    /// The one for domains that say nothing.
    #[must_use]
    pub fn default_ref() -> &'static Self {
        &DEFAULT
    }

    /// A tenant's own policy, for those of its domains that say nothing themselves; `None`: the defaults.
    #[must_use]
    pub fn of_tenant(tenant: Option<&SenderSpec>) -> Option<Arc<Self>> {
        tenant.cloned().map(Self::compile)
    }

    /// The policy of one domain, sharing the tenant's where the domain says nothing.
    #[must_use]
    pub fn of_domain(
        tenant: Option<&SenderSpec>,
        shared: Option<&Arc<Self>>,
        domain: Option<SenderSpec>,
    ) -> Option<Arc<Self>> {
        match (domain, tenant) {
            (None, _) => shared.cloned(),
            (Some(domain), None) => Some(Self::compile(domain)),
            (Some(domain), Some(tenant)) => Some(Self::compile(domain.over(tenant.clone()))),
        }
    }

    fn compile(spec: SenderSpec) -> Arc<Self> {
        let plain = Self::default();
        Arc::new(Self {
            level: spec.reputation.unwrap_or(plain.level),
            known_sources: spec.known_sources.unwrap_or(plain.known_sources),
            greylisting: spec.greylisting.unwrap_or(plain.greylisting),
            tls_required_from: spec.tls_required_from.unwrap_or_default().into(),
            reverse: ReverseRules::compile(spec.reverse.unwrap_or_default(), spec.reverse_blocked.unwrap_or_default()),
            authentication: spec.authentication.into(),
            trusted_sealers: spec.trusted_sealers.unwrap_or_default().into(),
        })
    }
}

impl SenderSpec {
    /// What is not named here is taken from `under`.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        Self {
            reputation: self.reputation.or(under.reputation),
            known_sources: self.known_sources.or(under.known_sources),
            greylisting: self.greylisting.or(under.greylisting),
            tls_required_from: self.tls_required_from.or(under.tls_required_from),
            trusted_sealers: self.trusted_sealers.or(under.trusted_sealers),
            reverse: self.reverse.or(under.reverse),
            reverse_blocked: self.reverse_blocked.or(under.reverse_blocked),
            authentication: self.authentication.over(under.authentication),
        }
    }
}

/// Whether `name` is `domain` or below it.
#[must_use]
pub fn is_within(name: &Domain, domain: &Domain) -> bool {
    is_within_str(name.as_str(), domain.as_str())
}

pub(super) fn is_within_str(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
