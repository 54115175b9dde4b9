//! Whether mail really comes from a domain.
//!
//! Alignment is relaxed (RFC 7489 section 3.1): two names belong together if they share the organizational domain of
//! the public suffix list.

use crate::model::Domain;
use crate::model::authentication::{Authentication, DkimResult, DmarcResult, Spf, SpfIdentity, SpfResult};

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// SPF, DKIM or DMARC says so.
    Proven,
    /// None of them does.
    Unproven,
    /// None of them does, but one could not be evaluated for now.
    Unknown,
}

/// What SPF, DKIM and DMARC together say of `domain`.
#[must_use]
pub fn proof(authentication: &Authentication, domain: &Domain) -> Proof {
    let domain = domain.as_str();
    let by_spf = by_spf(&authentication.spf, domain);
    let from = authentication.from.as_ref().filter(|from| aligned(from.as_str(), domain));
    let by_dmarc = match (from, authentication.dmarc.result) {
        (Some(_), DmarcResult::Pass) => Proof::Proven,
        (Some(_), DmarcResult::TempError) => Proof::Unknown,
        _ => Proof::Unproven,
    };
    let by_dkim = authentication.dkim.iter().filter(|signature| aligned(&signature.domain, domain));
    let by_dkim = by_dkim.map(|signature| match signature.result {
        DkimResult::Pass => Proof::Proven,
        DkimResult::TempError => Proof::Unknown,
        _ => Proof::Unproven,
    });
    by_dkim.chain([by_spf, by_dmarc]).fold(Proof::Unproven, Proof::or)
}

/// What SPF alone says, which is all that is known at RCPT.
#[must_use]
pub(super) fn by_spf(checks: &[Spf], domain: &str) -> Proof {
    let own = checks.iter().filter(|spf| spf.identity == SpfIdentity::MailFrom && aligned(&spf.domain, domain));
    let each = own.map(|spf| match spf.result {
        SpfResult::Pass => Proof::Proven,
        SpfResult::TempError => Proof::Unknown,
        _ => Proof::Unproven,
    });
    each.fold(Proof::Unproven, Proof::or)
}

impl Proof {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Proven, _) | (_, Self::Proven) => Self::Proven,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::Unproven,
        }
    }
}

/// Relaxed alignment. A name that is itself a public suffix is aligned with nothing but itself.
#[must_use]
pub(super) fn aligned(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim_end_matches('.'), other.trim_end_matches('.'));
    one.eq_ignore_ascii_case(other)
        || match (organization(one), organization(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
}

fn organization(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    psl::domain_str(&name).map(str::to_owned)
}
