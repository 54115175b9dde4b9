//! A measure against a sender of outbound mail: whom it is about, how far it goes, why, until when, and how it ended.
//!
//! **Invariants**: pure; the JSON form only ever grows, by keys with defaults; a secret is in it as its hash alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::abuse::{Evidence, Scope, Signal, Stage, Subject};
use super::{MessageId, Timestamp};

/// Names one measure for good; printed and sorted like a message's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SuspensionId(MessageId);

/// The text is no name of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a suspension (26 letters and digits)")]
pub struct NotASuspensionId;

impl SuspensionId {
    /// From the time in milliseconds and 80 random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: u128) -> Self {
        Self(MessageId::new(now.as_millis(), random))
    }
}

impl fmt::Display for SuspensionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SuspensionId {
    type Err = NotASuspensionId;
    fn from_str(text: &str) -> Result<Self, NotASuspensionId> {
        text.parse().map(Self).map_err(|_| NotASuspensionId)
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The gateway, by its settings.
    Automatic,
    /// A person at the provider.
    Operator(Box<str>),
    /// The tenant's administrator, by a token of a notice.
    Administrator,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Automatic => f.write_str("automatic"),
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Administrator => f.write_str("administrator"),
        }
    }
}

/// How a measure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By an operator.
    Lifted,
    /// By the tenant, who looked after it.
    Confirmed,
    /// Its time was over.
    Expired,
}

impl Ending {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lifted => "lifted",
            Self::Confirmed => "confirmed",
            Self::Expired => "expired",
        }
    }
}

/// The end of a measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub how: Ending,
    pub at: Timestamp,
    pub by: By,
    pub reason: Box<str>,
}

/// What the evidence looks like, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// A business of distributing mail, which contracts forbid: alike mail of lists to many, of whom many don't exist or don't take
    /// it, from more than one sender of the tenant.
    Distribution,
    /// A machine or account in the hands of somebody else: malware or spam.
    Compromised,
}

impl Pattern {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distribution => "mail-distribution",
            Self::Compromised => "compromised",
        }
    }

    /// `others`: so many other senders of the tenant do alike.
    #[must_use]
    pub fn of(scope: &Scope, evidence: &[Evidence], others: usize) -> Option<Self> {
        let has = |signal| evidence.iter().any(|one| one.signal == signal);
        let wide = matches!(scope, Scope::Domain(_) | Scope::Tenant) || others > 0;
        if has(Signal::Malware) || (has(Signal::Spam) && !has(Signal::List)) {
            Some(Self::Compromised)
        } else if wide
            && has(Signal::Alike)
            && has(Signal::List)
            && (has(Signal::Bounces) || has(Signal::UnknownRecipients))
        {
            Some(Self::Distribution)
        } else {
            None
        }
    }
}

/// SHA-256 of a token, as lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(pub Box<str>);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    pub id: SuspensionId,
    pub subject: Subject,
    pub stage: Stage,
    /// Who set this stage.
    pub by: By,
    pub reason: Box<str>,
    /// Messages of the day before this stage began; 0: by an operator.
    #[serde(default)]
    pub volume: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// When the first stage began.
    pub created: Timestamp,
    /// When this stage began.
    pub since: Timestamp,
    /// `None`: when somebody lifts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Of the token that the notice of this stage gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenHash>,
    /// `None`: it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

impl Suspension {
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.ended.is_none()
    }
}

impl Subject {
    /// The form in which subjects are compared: a sender folded, an IPv6 client as its /64.
    #[must_use]
    pub fn normal(&self) -> Self {
        let scope = match &self.scope {
            Scope::Sender(address) => Scope::sender(address),
            Scope::Client(ip) => Scope::client(*ip),
            other => other.clone(),
        };
        Self { tenant: self.tenant.clone(), scope }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Address, TenantId};

    pub(crate) fn evidence(signal: Signal, count: u64, of: u64) -> Evidence {
        Evidence { signal, count, of, since: Timestamp::from_millis(1_795_176_451_250), sample: None }
    }

    pub(crate) fn example(number: u128) -> Suspension {
        let now = Timestamp::from_millis(1_795_176_451_250);
        Suspension {
            id: SuspensionId::new(now, number),
            subject: Subject {
                tenant: TenantId::parse("acme").unwrap(),
                scope: Scope::Sender(Address::parse(&format!("user{number}@acme.example")).unwrap()),
            },
            stage: Stage::Throttle,
            by: By::Automatic,
            reason: "spam, alike, sudden-change".into(),
            volume: 812,
            evidence: vec![evidence(Signal::Spam, 700, 812), evidence(Signal::Alike, 790, 812)],
            pattern: Some(Pattern::Compromised),
            created: now,
            since: now,
            expires: Some(Timestamp::from_millis(1_795_262_851_250)),
            token: None,
            ended: None,
        }
    }

    #[test]
    fn the_json_form_reads_back_and_hides_nothing_but_the_token() {
        let mut one = example(1);
        one.token = Some(TokenHash("ab".into()));
        one.ended =
            Some(Ended { how: Ending::Lifted, at: one.since, by: By::Operator("mika".into()), reason: "x".into() });
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Suspension>(&text).unwrap(), one);
        assert!(text.contains(r#""scope":{"sender":"user1@acme.example"}"#), "{text}");
        assert!(!format!("{one:?}").contains("\"ab\""));
        assert_eq!(one.id.to_string().parse(), Ok(one.id));
    }

    #[test]
    fn subjects_are_compared_folded() {
        let tenant = TenantId::parse("acme").unwrap();
        let normal = |scope| Subject { tenant: tenant.clone(), scope }.normal().scope.to_string();
        for (written, expected) in [
            ("Taro+news@ACME.example", "sender taro@acme.example"),
            ("+news@acme.example", "sender +news@acme.example"),
            ("\"a b+c\"@acme.example", "sender \"a b+c\"@acme.example"),
        ] {
            assert_eq!(normal(Scope::Sender(Address::parse(written).unwrap())), expected);
        }
        assert_eq!(normal(Scope::Client("2001:db8::1:2:3:4".parse().unwrap())), "client 2001:db8::");
        assert_eq!(normal(Scope::Client("::ffff:192.0.2.7".parse().unwrap())), "client 192.0.2.7");
    }

    #[test]
    fn a_business_of_distribution_is_known_by_its_evidence() {
        let sender = Scope::Sender(Address::parse("a@b.example").unwrap());
        let list = [Signal::Alike, Signal::List, Signal::Bounces].map(|signal| evidence(signal, 900, 1_000));
        assert_eq!(Pattern::of(&Scope::Tenant, &list, 0), Some(Pattern::Distribution));
        assert_eq!(Pattern::of(&sender, &list, 2), Some(Pattern::Distribution));
        assert_eq!(Pattern::of(&sender, &list, 0), None, "one sender's bad list is no business");
        assert_eq!(Pattern::of(&Scope::Tenant, &list[..2], 0), None, "a newsletter that is wanted");
        let spam = [Signal::Alike, Signal::Spam].map(|signal| evidence(signal, 900, 1_000));
        assert_eq!(Pattern::of(&sender, &spam, 0), Some(Pattern::Compromised));
    }
}
