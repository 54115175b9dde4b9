//! What SPF, DKIM, ARC and DMARC found of one message. Result words are those of the RFCs, so that logs, headers and
//! explanations agree.
//!
//! **Invariants**: a result that could not be had is `TempError`, never `None` ("nothing published") and never a pass.

use serde::{Deserialize, Serialize};

use super::Domain;

/// RFC 7208 section 2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfResult {
    #[default]
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
    TempError,
    PermError,
}

impl SpfResult {
    /// As the RFCs and our JSON write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// Which name was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfIdentity {
    Helo,
    MailFrom,
}

/// One SPF check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spf {
    pub identity: SpfIdentity,
    pub result: SpfResult,
    /// The domain whose record was evaluated.
    pub domain: Box<str>,
    /// The mechanism that decided, or what is wrong with the record; for the Explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

/// RFC 8601 section 2.7.1. "None" is the absence of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DkimResult {
    Pass,
    Fail,
    /// The signature can't be judged as it is written (syntax, `l=`, too weak a key).
    Neutral,
    /// Valid, and not accepted for what it leaves out.
    Policy,
    TempError,
    PermError,
}

impl DkimResult {
    /// As the RFCs and our JSON write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Neutral => "neutral",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// One DKIM signature (RFC 6376), in the order of the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dkim {
    /// `d=`
    pub domain: Box<str>,
    /// `s=`
    pub selector: Box<str>,
    pub result: DkimResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

/// The chain of RFC 8617.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArcResult {
    #[default]
    None,
    Pass,
    Fail,
    TempError,
}

impl ArcResult {
    /// As the RFCs and our JSON write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Arc {
    pub result: ArcResult,
    /// `d=` of the seals, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealers: Vec<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

/// RFC 7489 section 11.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcResult {
    #[default]
    None,
    Pass,
    Fail,
    TempError,
    PermError,
}

impl DmarcResult {
    /// As the RFCs and our JSON write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// What the domain's owner asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcPolicy {
    #[default]
    None,
    Quarantine,
    Reject,
}

impl DmarcPolicy {
    /// As the RFCs and our JSON write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// One evaluation of DMARC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dmarc {
    pub result: DmarcResult,
    /// The policy that applies to this message: `p`, `sp` or `np`, after `pct` and `t`.
    pub policy: DmarcPolicy,
    /// Where the record was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_at: Option<Box<str>>,
    /// The organizational domain of the From field's domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Box<str>>,
    pub spf_aligned: bool,
    pub dkim_aligned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

/// Everything together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Authentication {
    /// The one domain of the one From field; `None` if there are several or none (reliability row SEC-H02).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Domain>,
    /// HELO first, then MAIL FROM, as far as they were checked.
    pub spf: Vec<Spf>,
    pub dkim: Vec<Dkim>,
    pub arc: Arc,
    /// By RFC 7489, with the public suffix list. This one acts.
    pub dmarc: Dmarc,
    /// By the tree walk of RFC 9989, logged beside it.
    pub dmarc_tree_walk: Dmarc,
}

impl Authentication {
    /// Whether the author is who the header says: DMARC passes, or SPF or DKIM is aligned with the author's domain.
    #[must_use]
    pub fn proves_author(&self) -> bool {
        self.from.as_ref().is_some_and(|from| self.authenticates(from))
    }

    /// Whether the message is proven to come from `domain` (or a name below it): DMARC passes for its From domain, or SPF
    /// or DKIM passes for a name of `domain` that the From domain aligns with. A message without one From domain is
    /// nobody's.
    #[must_use]
    pub fn authenticates(&self, domain: &Domain) -> bool {
        let Some(from) = &self.from else { return false };
        if !within(from.as_str(), domain.as_str()) {
            return false;
        }
        if self.dmarc.result == DmarcResult::Pass {
            return true;
        }
        // Aligned without a DMARC record: the proven name lies within the entry's domain, as From does.
        let proven = |name: &str| within(name, domain.as_str());
        let mail_from = self.spf.iter().find(|spf| spf.identity == SpfIdentity::MailFrom);
        let spf = mail_from.or_else(|| self.spf.iter().find(|spf| spf.identity == SpfIdentity::Helo));
        spf.is_some_and(|spf| spf.result == SpfResult::Pass && proven(&spf.domain))
            || self.dkim.iter().any(|dkim| dkim.result == DkimResult::Pass && proven(&dkim.domain))
    }
}

/// `name` is `domain` or below it.
fn within(name: &str, domain: &str) -> bool {
    let Some(split) = name.len().checked_sub(domain.len()) else { return false };
    match (name.get(..split), name.get(split..)) {
        (Some(before), Some(end)) => end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(
        from: Option<&str>,
        dmarc: DmarcResult,
        spf: Option<(&str, SpfResult)>,
        dkim: &[&str],
    ) -> Authentication {
        let spf = spf.map(|(domain, result)| Spf {
            identity: SpfIdentity::MailFrom,
            result,
            domain: domain.into(),
            why: None,
        });
        let dkim = dkim.iter().map(|domain| Dkim {
            domain: (*domain).into(),
            selector: "s".into(),
            result: DkimResult::Pass,
            why: None,
        });
        Authentication {
            from: from.map(|from| Domain::parse(from).unwrap()),
            spf: spf.into_iter().collect(),
            dkim: dkim.collect(),
            dmarc: Dmarc { result: dmarc, ..Dmarc::default() },
            ..Authentication::default()
        }
    }

    #[test]
    fn a_domain_is_proven_only_by_itself_and_only_for_its_own_from() {
        use DmarcResult::{Fail, None as Nothing, Pass};
        let pass = SpfResult::Pass;
        for (found, domain, proven) in [
            (message(Some("a.example"), Pass, None, &[]), "a.example", true),
            (message(Some("m.a.example"), Pass, None, &[]), "a.example", true),
            (message(Some("a.example"), Pass, None, &[]), "m.a.example", false),
            (message(Some("a.example"), Pass, None, &[]), "b.example", false),
            (message(Some("a.example"), Nothing, Some(("a.example", pass)), &[]), "a.example", true),
            (message(Some("a.example"), Nothing, Some(("m.a.example", pass)), &[]), "a.example", true),
            (message(Some("a.example"), Nothing, Some(("a.example", SpfResult::SoftFail)), &[]), "a.example", false),
            (message(Some("a.example"), Fail, Some(("evil.example", pass)), &["evil.example"]), "a.example", false),
            (message(Some("a.example"), Fail, Some(("evil.example", pass)), &["evil.example"]), "evil.example", false),
            (message(Some("a.example"), Nothing, None, &["x.example", "a.example"]), "a.example", true),
            (message(Some("bada.example"), Nothing, None, &["a.example"]), "a.example", false),
            (message(None, Nothing, Some(("a.example", pass)), &["a.example"]), "a.example", false),
        ] {
            let domain = Domain::parse(domain).unwrap();
            assert_eq!(found.authenticates(&domain), proven, "{domain}: {found:?}");
        }
    }
}
