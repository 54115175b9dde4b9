//! What is said of a sender of outbound mail that does harm: whom it is about, what was seen, and what is done for it.
//!
//! **Invariants**: pure; a [`Subject`] is always of one tenant, so that no tenant's mail is measured by another's.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Address, Domain, MessageId, TenantId, Timestamp};

/// Part of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// An envelope sender, its plus-address folded.
    Sender(Address),
    /// A machine of the tenant's (IPv6: one /64).
    Client(IpAddr),
    Domain(Domain),
    /// All of it.
    Tenant,
}

impl Scope {
    /// The sender whom an address belongs to: in lower case, without what stands behind a plus.
    #[must_use]
    pub fn sender(address: &Address) -> Self {
        let key = address.key();
        let folded = match key.split_once(['+', '@']) {
            Some((local, _)) if !local.is_empty() && !key.starts_with('"') => {
                Address::parse(&format!("{local}@{}", address.domain())).ok()
            }
            _ => None,
        };
        Self::Sender(folded.unwrap_or_else(|| address.clone()))
    }

    /// The client at an address: of IPv6 its /64.
    #[must_use]
    pub fn client(ip: IpAddr) -> Self {
        Self::Client(match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
            v4 => v4,
        })
    }
}

/// Whom a measure is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    pub tenant: TenantId,
    pub scope: Scope,
}

/// What speaks against a sender. Each is independent of the others: it is found in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// The same text, or nearly, to many recipients.
    Alike,
    /// Recipients that next hops don't know.
    UnknownRecipients,
    /// Other final refusals of next hops.
    Bounces,
    /// Content that was found to be spam or phishing, or comes near to it.
    Spam,
    /// Malware in what was sent.
    Malware,
    /// Fields of mailing lists on mail to many.
    List,
    /// Far more than this sender has sent before.
    SuddenChange,
    /// A sender that was not seen before.
    NewSender,
    /// Limits of rate were reached again and again.
    Rate,
}

impl Signal {
    pub const ALL: [Self; 9] = [
        Self::Alike,
        Self::UnknownRecipients,
        Self::Bounces,
        Self::Spam,
        Self::Malware,
        Self::List,
        Self::SuddenChange,
        Self::NewSender,
        Self::Rate,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alike => "alike",
            Self::UnknownRecipients => "unknown-recipients",
            Self::Bounces => "bounces",
            Self::Spam => "spam",
            Self::Malware => "malware",
            Self::List => "list",
            Self::SuddenChange => "sudden-change",
            Self::NewSender => "new-sender",
            Self::Rate => "rate",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str() == text)
    }

    /// Whether mass mail alone gives it: a newsletter that its readers asked for has all of these and no other.
    #[must_use]
    pub fn is_of_any_bulk(self) -> bool {
        matches!(self, Self::Alike | Self::List | Self::SuddenChange | Self::NewSender | Self::Rate)
    }
}

/// One signal, measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub signal: Signal,
    /// So many (messages, recipients, refusals)...
    pub count: u64,
    /// ...of so many.
    pub of: u64,
    pub since: Timestamp,
    /// One of them, to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<MessageId>,
}

/// What is known of a subject at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    pub subject: Subject,
    /// Messages of the last day, those that were refused for content or rate among them.
    pub volume: u64,
    /// At most one for each signal, strongest first.
    pub evidence: Vec<Evidence>,
}

/// What is done, from the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Told, and nothing else.
    Warn,
    /// Slower than others: 4xx beyond a small rate.
    Throttle,
    /// Nothing leaves.
    Suspend,
}

impl Stage {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Throttle => "throttle",
            Self::Suspend => "suspend",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Warn, Self::Throttle, Self::Suspend].into_iter().find(|stage| stage.as_str() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sender(address) => write!(f, "sender {address}"),
            Self::Client(ip) => write!(f, "client {ip}"),
            Self::Domain(domain) => write!(f, "domain {domain}"),
            Self::Tenant => f.write_str("tenant"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.scope, self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for signal in Signal::ALL {
            assert_eq!(Signal::parse(signal.as_str()), Some(signal));
        }
        for stage in [Stage::Warn, Stage::Throttle, Stage::Suspend] {
            assert_eq!(Stage::parse(stage.as_str()), Some(stage));
        }
        assert!(Stage::Warn < Stage::Throttle && Stage::Throttle < Stage::Suspend);
    }

    #[test]
    fn spellings_of_one_sender_or_client_are_one() {
        let sender = |text: &str| Scope::sender(&Address::parse(text).unwrap());
        assert_eq!(sender("Aoi+news@ACME.example"), sender("aoi@acme.example"));
        assert_eq!(sender("aoi+a+b@acme.example").to_string(), "sender aoi@acme.example");
        assert_eq!(sender("+x@acme.example").to_string(), "sender +x@acme.example");
        assert_ne!(sender("aoi@acme.example"), sender("aoi@beta.example"));
        let client = |text: &str| Scope::client(text.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::2"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8::1"));
    }

    #[test]
    fn an_honest_newsletter_has_no_signal_but_of_bulk() {
        let harm: Vec<_> = Signal::ALL.into_iter().filter(|signal| !signal.is_of_any_bulk()).collect();
        assert_eq!(harm, [Signal::UnknownRecipients, Signal::Bounces, Signal::Spam, Signal::Malware]);
    }
}
