//! Reputation as operators see it: the port behind which the records stand, and the JSON of `/reputation/…`.
//!
//! One line of JSON with `"v":1`; members are only ever added. A change has a reason and is saved when it is answered.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Answer;
use super::queue::rfc3339;
use crate::model::sender::Standing;
use crate::model::{Domain, Timestamp};

/// Reputation, for operators.
pub trait ReputationControl: Send + Sync {
    fn show(&self, subject: Subject) -> Answer<'_, Shown>;
    /// What stands after it; the words say why not.
    fn set(&self, subject: Subject, change: Set) -> Answer<'_, Result<Shown, String>>;
    /// False: there was nothing to forget.
    fn forget(&self, subject: Subject) -> Answer<'_, Result<bool, String>>;
}

/// A source: an address or an authenticated domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Address(IpAddr),
    Domain(Domain),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Address(ip.to_canonical()));
        }
        match Domain::parse(text) {
            // A mistyped address is no domain: no top-level domain is a number.
            Ok(domain) if !text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) => {
                Ok(domain.as_ip().map_or(Self::Domain(domain), Self::Address))
            }
            _ => Err(format!("{text:?} is neither an IP address nor a domain")),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
        }
    }
}

/// The decayed counts of one record.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    pub ham: f32,
    pub spam: f32,
    #[serde(default)]
    pub unknown_recipients: f32,
    #[serde(default)]
    pub malformed: f32,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub last_offence: Option<Timestamp>,
}

/// What one level makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtLevel {
    pub level: u8,
    pub standing: Standing,
    /// What decided: nothing, address, network, domain, operator.
    pub why: Box<str>,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An operator's word that holds now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub standing: Standing,
    pub reason: Box<str>,
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub v: u32,
    pub subject: Box<str>,
    /// What the record is kept under: an IPv6 address shares its /64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Sums>,
    /// Of its /24 or /48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Sums>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Held>,
    pub levels: Vec<AtLevel>,
}

/// A standing by an operator's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    pub standing: Standing,
    pub reason: Box<str>,
    /// Seconds from now; left out: until it is set anew or forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// For the tests of other resources.
    pub(crate) struct NoRecords;

    impl ReputationControl for NoRecords {
        fn show(&self, subject: Subject) -> Answer<'_, Shown> {
            let subject = subject.to_string().into();
            Box::pin(async { Shown { v: 1, subject, own: None, network: None, set: None, levels: Vec::new() } })
        }
        fn set(&self, _: Subject, _: Set) -> Answer<'_, Result<Shown, String>> {
            Box::pin(async { Err("nothing is kept here".into()) })
        }
        fn forget(&self, _: Subject) -> Answer<'_, Result<bool, String>> {
            Box::pin(async { Ok(false) })
        }
    }

    #[test]
    fn a_subject_is_an_address_or_a_domain_and_nothing_between() {
        let read = |text: &str| text.parse::<Subject>().map(|subject| subject.to_string());
        assert_eq!(read("192.0.2.7").unwrap(), "192.0.2.7");
        assert_eq!(read("::ffff:192.0.2.7").unwrap(), "192.0.2.7");
        assert_eq!(read("[IPv6:2001:db8::1]").unwrap(), "2001:db8::1");
        assert_eq!(read("Mail.EXAMPLE").unwrap(), "mail.example");
        for bad in ["192.0.2.300", "192.0.2", "", "a b", "192.0.2.0/24"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
