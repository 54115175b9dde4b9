//! DMARC twice: by RFC 7489 with the public suffix list, which acts, and by the tree walk of RFC 9989, logged beside it.
//!
//! **Failure**: a record that could not be asked for is temperror; so is a message that only a temperror keeps from
//! passing; several records at one name are none.
//! **Invariants**: at most [`WALK`] names are asked for one walk; without one From domain the result is permerror, never a
//! pass; the policy is that of the record after `sp`/`np`, `pct` and `t`.

pub mod record;

use super::organization::by_suffix_list;
use crate::dns::{Answer, Resolver};
use crate::model::Domain;
use crate::model::authentication::{Dkim, DkimResult, Dmarc, DmarcPolicy, DmarcResult, Spf, SpfIdentity, SpfResult};
use record::{Psd, Record, milder};

/// Questions of one tree walk (RFC 9989 section 4.10).
pub const WALK: usize = 8;

/// The policy of a record that we ourselves did not ask for (too many questions, or no one author to ask about): the
/// message may have brought that about, so it is judged as by the severest. [`Dmarc::record_at`] is then `None`.
pub const UNASKED: DmarcPolicy = DmarcPolicy::Reject;

/// What is judged.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub from: &'a Domain,
    pub spf: &'a [Spf],
    pub dkim: &'a [Dkim],
    /// 0 to 99; `pct` applies if it is below. Rolled only where there is a `pct`.
    pub roll: &'a (dyn Fn() -> u8 + Sync),
}

impl std::fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Records at one name.
enum Looked {
    One(Record),
    None,
    Temporary(String),
}

async fn look(resolver: &dyn Resolver, domain: &str) -> Looked {
    match resolver.txt(&format!("_dmarc.{domain}")).await {
        Answer::Found(texts) => {
            let mut records = texts.iter().filter(|text| is_dmarc(text));
            match (records.next(), records.next()) {
                (Some(text), None) => Record::parse(text).map_or(Looked::None, Looked::One),
                _ => Looked::None,
            }
        }
        Answer::NoSuchDomain | Answer::NoRecords => Looked::None,
        Answer::Temporary(why) => Looked::Temporary(why),
    }
}

/// Whether the text counts as a record for "more than one" (RFC 7489 section 6.6.3).
fn is_dmarc(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text.get(..text.len().min(64)).unwrap_or_default());
    text.split(';')
        .next()
        .and_then(|tag| tag.split_once('='))
        .is_some_and(|(name, version)| name.trim_ascii().eq_ignore_ascii_case("v") && version.trim_ascii() == "DMARC1")
}

/// RFC 7489.
pub async fn by_list(resolver: &dyn Resolver, facts: &Facts<'_>) -> Dmarc {
    let from = facts.from.as_str();
    let organization = by_suffix_list(from);
    let mut at: Box<str> = from.into();
    let mut looked = look(resolver, from).await;
    if matches!(looked, Looked::None) && *organization != *from {
        at = organization.clone();
        looked = look(resolver, &organization).await;
    }
    let record = match looked {
        Looked::One(record) => record,
        Looked::None => return Dmarc { organization: Some(organization), ..Dmarc::default() },
        Looked::Temporary(why) => return temporary(&at, organization, &why),
    };
    let mut policy = if *at == *from { record.policy } else { record.subdomains.unwrap_or(record.policy) };
    if record.percent < 100 && (facts.roll)() >= record.percent {
        policy = milder(policy);
    }
    let within = |domain: &str| *by_suffix_list(domain) == *organization;
    let aligned = Aligned {
        spf: align_spf(facts, record.strict_spf, within),
        dkim: align_dkim(facts, record.strict_dkim, within),
    };
    aligned.settle(policy, at, organization)
}

/// RFC 9989.
pub async fn by_walk(resolver: &dyn Resolver, facts: &Facts<'_>) -> Dmarc {
    let from = facts.from.as_str();
    let walked = match walk(resolver, from).await {
        Ok(walked) => walked,
        Err((at, why)) => return temporary(&at, from.into(), &why),
    };
    let organization = organization_of(from, &walked);
    let chosen = [from, &organization].into_iter().find_map(|name| walked.iter().find(|(at, _)| **at == *name));
    // Else the record of the public suffix itself.
    let chosen = chosen.or_else(|| walked.iter().find(|(_, record)| record.psd == Psd::Yes));
    let Some((at, record)) = chosen else {
        return Dmarc { organization: Some(organization), ..Dmarc::default() };
    };
    let mut policy = record.policy;
    if **at != *from {
        policy = record.subdomains.unwrap_or(policy);
        if let Some(missing) = record.missing {
            match exists(resolver, from).await {
                Answer::Found(()) | Answer::NoRecords => {}
                Answer::NoSuchDomain => policy = missing,
                Answer::Temporary(why) => return temporary(at, organization, &why),
            }
        }
    }
    if record.testing {
        policy = milder(policy);
    }
    let spf = align_walked(resolver, facts, &organization, record.strict_spf, spf_domain(facts)).await;
    let mut dkim = (false, false);
    let passing = facts.dkim.iter().filter(|dkim| matches!(dkim.result, DkimResult::Pass | DkimResult::TempError));
    for one in passing {
        let checked = Some((&*one.domain, one.result == DkimResult::Pass));
        let found = align_walked(resolver, facts, &organization, record.strict_dkim, checked).await;
        dkim = (dkim.0 | found.0, dkim.1 | found.1);
    }
    Aligned { spf, dkim }.settle(policy, at.clone(), organization)
}

/// Whether something passed and aligns, and whether something aligns that a temperror kept from passing.
struct Aligned {
    spf: (bool, bool),
    dkim: (bool, bool),
}

impl Aligned {
    fn settle(self, policy: DmarcPolicy, at: Box<str>, organization: Box<str>) -> Dmarc {
        let result = if self.spf.0 || self.dkim.0 {
            DmarcResult::Pass
        } else if self.spf.1 || self.dkim.1 {
            DmarcResult::TempError
        } else {
            DmarcResult::Fail
        };
        Dmarc {
            result,
            policy,
            record_at: Some(at),
            organization: Some(organization),
            spf_aligned: self.spf.0,
            dkim_aligned: self.dkim.0,
            why: (result == DmarcResult::TempError).then(|| "an aligned result could not be had".into()),
        }
    }
}

fn temporary(at: &str, organization: Box<str>, why: &str) -> Dmarc {
    Dmarc {
        result: DmarcResult::TempError,
        organization: Some(organization),
        why: Some(format!("record at {at}: {why:.160}").into()),
        ..Dmarc::default()
    }
}

/// The domain SPF speaks for, and whether it passed: MAIL FROM, or HELO for the null sender (RFC 7489 section 3.1.2).
fn spf_domain<'a>(facts: &Facts<'a>) -> Option<(&'a str, bool)> {
    let of = |identity| facts.spf.iter().find(|spf| spf.identity == identity);
    let spf = of(SpfIdentity::MailFrom).or_else(|| of(SpfIdentity::Helo))?;
    matches!(spf.result, SpfResult::Pass | SpfResult::TempError).then(|| (&*spf.domain, spf.result == SpfResult::Pass))
}

fn align_spf(facts: &Facts<'_>, strict: bool, within: impl Fn(&str) -> bool) -> (bool, bool) {
    match spf_domain(facts) {
        Some((domain, passed)) if domain.eq_ignore_ascii_case(facts.from.as_str()) || (!strict && within(domain)) => {
            (passed, !passed)
        }
        _ => (false, false),
    }
}

fn align_dkim(facts: &Facts<'_>, strict: bool, within: impl Fn(&str) -> bool) -> (bool, bool) {
    let mut found = (false, false);
    for dkim in facts.dkim {
        let aligns = dkim.domain.eq_ignore_ascii_case(facts.from.as_str()) || (!strict && within(&dkim.domain));
        found.0 |= aligns && dkim.result == DkimResult::Pass;
        found.1 |= aligns && dkim.result == DkimResult::TempError;
    }
    found
}

async fn align_walked(
    resolver: &dyn Resolver,
    facts: &Facts<'_>,
    organization: &str,
    strict: bool,
    checked: Option<(&str, bool)>,
) -> (bool, bool) {
    let Some((domain, passed)) = checked else { return (false, false) };
    let domain = domain.to_ascii_lowercase();
    if domain == facts.from.as_str() {
        return (passed, !passed);
    }
    // What does not lie within the organization can't have it as its own: no question needed.
    if strict || !super::dkim::signature::is_below(&domain, organization) {
        return (false, false);
    }
    match walk(resolver, &domain).await {
        Ok(walked) if *organization_of(&domain, &walked) == *organization => (passed, !passed),
        Ok(_) => (false, false),
        Err(_) => (false, true),
    }
}

/// A name and its record.
type Walked = Vec<(Box<str>, Record)>;

/// The records from `domain` upwards, at most [`WALK`] names (RFC 9989 section 4.10).
async fn walk(resolver: &dyn Resolver, domain: &str) -> Result<Walked, (Box<str>, String)> {
    let mut walked = Walked::new();
    let mut name = domain;
    for step in 0..WALK {
        match look(resolver, name).await {
            Looked::One(record) => {
                let said = record.psd;
                walked.push((name.into(), record));
                if said != Psd::Unsaid {
                    break;
                }
            }
            Looked::None => {}
            Looked::Temporary(why) => return Err((name.into(), why)),
        }
        let labels = name.split('.').count();
        // A long name jumps to its last seven labels, so that all fits into eight questions.
        let drop = if step == 0 && labels >= 8 { labels - 7 } else { 1 };
        match name.splitn(drop + 1, '.').nth(drop) {
            Some(parent) if !parent.is_empty() => name = parent,
            _ => break,
        }
    }
    Ok(walked)
}

/// RFC 9989 section 4.10.2.
fn organization_of(domain: &str, walked: &Walked) -> Box<str> {
    if let Some((at, _)) = walked.iter().find(|(_, record)| record.psd == Psd::No) {
        return at.clone();
    }
    if let Some((suffix, _)) = walked.iter().find(|(at, record)| record.psd == Psd::Yes && **at != *domain) {
        let below = domain.strip_suffix(&**suffix).and_then(|rest| rest.strip_suffix('.')).unwrap_or_default();
        let label = below.rsplit('.').next().unwrap_or_default();
        return format!("{label}.{suffix}").into();
    }
    let fewest = walked.iter().min_by_key(|(at, _)| at.split('.').count());
    fewest.map_or_else(|| domain.into(), |(at, _)| at.clone())
}

/// Whether the name exists: it does not if the DNS says so for A (RFC 8020: then for every type).
async fn exists(resolver: &dyn Resolver, domain: &str) -> Answer<()> {
    resolver.a(domain).await.map(|_| ())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
