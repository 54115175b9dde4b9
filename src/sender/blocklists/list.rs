//! A known-source list as data: where it is asked, and what its answers mean.
//!
//! **Invariants**: the zone may hold a customer's key, so it is in no `Debug`, no serialisation and no error text; a list is told by
//! its name. Codes 127.255.255.0/24, 127.0.0.1 and whatever lies outside 127.0.0.0/8 are errors of every list.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::model::Domain;
use crate::model::answer::AnswerPattern;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Addresses of bad clients.
    Ip,
    /// Domains of bad senders.
    Domain,
    /// Addresses of good clients: weights count for the client.
    Allow,
}

/// One list. `List::new` asks with the usual time-out and test, and knows no code yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct List {
    /// In logs, metrics' help, explanations.
    pub name: Box<str>,
    pub zone: Zone,
    pub kind: Kind,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether IPv6 addresses are asked for too.
    #[serde(default = "yes")]
    pub ipv6: bool,
    pub codes: Vec<Code>,
    /// Answers that are no listing, beside those of every list.
    #[serde(default)]
    pub errors: Vec<AnswerPattern>,
    #[serde(default = "timeout", deserialize_with = "seconds")]
    pub timeout: Duration,
    #[serde(default)]
    pub self_test: SelfTest,
}

fn yes() -> bool {
    true
}

fn timeout() -> Duration {
    Duration::from_secs(3)
}

fn seconds<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    u64::deserialize(value).map(Duration::from_secs)
}

impl List {
    #[must_use]
    pub fn new(name: &str, zone: Zone, kind: Kind) -> Self {
        Self {
            name: name.into(),
            zone,
            kind,
            enabled: true,
            ipv6: true,
            codes: Vec::new(),
            errors: Vec::new(),
            timeout: timeout(),
            self_test: SelfTest::Rfc5782,
        }
    }

    /// Adds what a code means. `weight`: above 0 the client is refused, 0 only notes; of a list of good clients the sign is dropped.
    #[must_use]
    pub fn code(mut self, when: AnswerPattern, reason: &str, weight: i32) -> Self {
        self.codes.push(Code { when, reason: reason.into(), weight });
        self
    }

    #[must_use]
    pub fn error(mut self, when: AnswerPattern) -> Self {
        self.errors.push(when);
        self
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    pub when: AnswerPattern,
    pub reason: Box<str>,
    pub weight: i32,
}

/// How it is found out whether the list works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTest {
    /// RFC 5782 section 5: 127.0.0.2 (or `test`) is listed, 127.0.0.1 (or `invalid`) is not.
    #[default]
    Rfc5782,
    /// The same with other names below the zone.
    Names { listed: Box<str>, unlisted: Box<str> },
    /// Believed to work.
    Off,
}

/// The domain under which a list is asked. It may hold a key: see the invariants.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(Domain);

impl Zone {
    /// # Errors
    /// Without the text, which may be secret.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match Domain::parse(text.trim_end_matches('.')) {
            Ok(zone) if zone.as_ip().is_none() => Ok(Self(zone)),
            _ => Err("the zone is no domain"),
        }
    }

    /// Only for asking.
    pub(super) fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Zone {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(zone)")
    }
}

/// Well-known lists, all of them disabled: each has terms of use that an operator has to accept first, and most refuse the
/// questions of public resolvers.
#[must_use]
pub fn examples() -> Vec<List> {
    let list = |name: &str, zone: &str, kind| Zone::parse(zone).ok().map(|zone| List::new(name, zone, kind));
    let code = |list: List, when: &str, reason: &str, weight| match AnswerPattern::parse(when) {
        Ok(when) => list.code(when, reason, weight),
        Err(_) => list,
    };
    let error = |list: List, when: &str| match AnswerPattern::parse(when) {
        Ok(when) => list.error(when),
        Err(_) => list,
    };
    let zen = list("spamhaus-zen", "zen.spamhaus.org", Kind::Ip).map(|list| {
        let list = code(list, "127.0.0.2", "SBL: a known spam source", 100);
        let list = code(list, "127.0.0.3", "CSS: a snowshoe or low-reputation source", 100);
        let list = code(list, "127.0.0.4-7", "XBL: an infected or hijacked machine", 100);
        let list = code(list, "127.0.0.9", "DROP: a hijacked network", 100);
        code(list, "127.0.0.10-11", "PBL: not meant to send mail directly", 100)
    });
    let dbl = list("spamhaus-dbl", "dbl.spamhaus.org", Kind::Domain).map(|list| {
        let list = code(list, "127.0.1.2", "a spam domain", 100);
        let list = code(list, "127.0.1.4", "a phishing domain", 100);
        let list = code(list, "127.0.1.5", "a malware domain", 100);
        let list = code(list, "127.0.1.6", "a botnet's domain", 100);
        let list = code(list, "127.0.1.102-106", "an abused legitimate domain", 0);
        error(list, "127.0.1.255")
    });
    let surbl = list("surbl", "multi.surbl.org", Kind::Domain).map(|list| {
        let list = code(list, "bit 8", "a phishing site", 100);
        let list = code(list, "bit 16", "a malware site", 100);
        let list = code(list, "bit 64", "an abused site", 100);
        let list = code(list, "bit 128", "a cracked site", 0);
        let list = code(list, "bit 36", "a tracker or mailer", 0);
        error(list, "bit 1")
    });
    let uribl = list("uribl", "multi.uribl.com", Kind::Domain).map(|list| {
        let list = code(list, "bit 2", "black", 100);
        let list = code(list, "bit 4", "grey", 0);
        let list = code(list, "bit 8", "red", 0);
        error(list, "bit 1")
    });
    let dnswl = list("dnswl", "list.dnswl.org", Kind::Allow).map(|list| {
        let list = error(error(list, "127.0.0.255"), "127.0.10.0/24");
        code(list, "127.0.0.0/16", "a known good sender", 10)
    });
    let off = |list| List { enabled: false, ..list };
    [zen, dbl, surbl, uribl, dnswl].into_iter().flatten().map(off).collect()
}
