//! Reads `[tenant.sender]` and `[tenant.domain.sender]`.
//!
//! **Failure**: every value that can't be used is a problem with file and line; the rest is read on.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

use toml::de::DeValue;

use crate::model::Domain;
use crate::model::sender::Level;
use crate::model::written::{Problems, Section, Source, kind_of, one_of};

use super::sender::{Act, AuthenticationSpec, MAX_LIST, ReverseAct, ReverseKey, ReverseRow, SenderSpec, TlsPeer};

const KEYS: &[&str] = &[
    "reputation",
    "known_sources",
    "greylisting",
    "tls_required_from",
    "trusted_sealers",
    "reverse",
    "reverse_blocked",
    "authentication",
];
const ROW_KEYS: &[&str] = &["sender", "missing", "invalid"];
const ACTS: &[(&str, Act)] =
    &[("accept", Act::Accept), ("mark", Act::Mark), ("defer", Act::Defer), ("reject", Act::Reject)];
const REVERSE_ACTS: &[(&str, ReverseAct)] = &[("accept", ReverseAct::Accept), ("reject", ReverseAct::Reject)];

/// What the tables are called in messages.
pub(super) struct Labels {
    sender: &'static str,
    reverse: &'static str,
    authentication: &'static str,
}

pub(super) const TENANT: Labels = Labels {
    sender: "[tenant.sender]",
    reverse: "[[tenant.sender.reverse]]",
    authentication: "[tenant.sender.authentication]",
};
pub(super) const DOMAIN: Labels = Labels {
    sender: "[tenant.domain.sender]",
    reverse: "[[tenant.domain.sender.reverse]]",
    authentication: "[tenant.domain.sender.authentication]",
};

/// The `sender` table of a tenant or domain, if there is one.
pub(super) fn sender<'a, 'i>(
    source: &'a Source<'i>,
    outer: &Section<'a, 'i>,
    labels: &Labels,
    problems: &mut Problems,
) -> Option<SenderSpec> {
    let section = Section::open(source, outer.table("sender", problems)?, labels.sender, KEYS, problems);
    let reputation = section.integer("reputation", 0..=i64::from(Level::STRICTEST.get()), problems);
    let known_sources = section.boolean("known_sources", problems);
    let greylisting = section.boolean("greylisting", problems);
    let tls_required_from = texts(&section, "tls_required_from", problems, TlsPeer::parse);
    let trusted_sealers = texts(&section, "trusted_sealers", problems, plain_domain);
    let reverse_blocked = texts(&section, "reverse_blocked", problems, plain_domain);
    let reverse = reverse(source, &section, labels.reverse, problems);
    let authentication = authentication(source, &section, labels.authentication, problems);
    Some(SenderSpec {
        reputation: reputation.and_then(|level| Level::new(u8::try_from(level).ok()?)),
        known_sources,
        greylisting,
        tls_required_from,
        trusted_sealers,
        reverse,
        reverse_blocked,
        authentication,
    })
}

/// A list of texts, none of them twice.
fn texts<T: Clone + Eq + Hash, E: Display>(
    section: &Section<'_, '_>,
    key: &str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<Vec<T>> {
    let list = section.list(key, problems)?;
    if list.len() > MAX_LIST {
        let what = format!("{} elements; at most {MAX_LIST} may stand here", list.len());
        section.wrong(&section.span(), key, what, problems);
        return None;
    }
    let mut seen = HashSet::with_capacity(list.len());
    let mut read = Vec::with_capacity(list.len());
    for (value, at) in list {
        let DeValue::String(text) = value else {
            let what = format!("{} was written where a text belongs", kind_of(value));
            section.wrong(&at, key, what, problems);
            continue;
        };
        match parse(text) {
            Ok(element) if seen.insert(element.clone()) => read.push(element),
            Ok(_) => section.wrong(&at, key, format_args!("{text:?} stands here twice"), problems),
            Err(error) => section.wrong(&at, key, error, problems),
        }
    }
    Some(read)
}

fn plain_domain(text: &str) -> Result<Domain, String> {
    match Domain::parse(text.strip_prefix("*.").unwrap_or(text)) {
        Ok(domain) if domain.as_ip().is_none() => Ok(domain),
        Ok(_) => Err(format!("{text:?} is an address literal, a domain belongs here")),
        Err(error) => Err(format!("{text:?}: {error}")),
    }
}

fn reverse<'a, 'i>(
    source: &'a Source<'i>,
    section: &Section<'a, 'i>,
    label: &'static str,
    problems: &mut Problems,
) -> Option<Vec<ReverseRow>> {
    section.item("reverse")?;
    let tables = section.tables("reverse", problems);
    if tables.len() > MAX_LIST {
        let what = format!("{} rows; at most {MAX_LIST} may stand here", tables.len());
        section.wrong(&section.span(), "reverse", what, problems);
        return None;
    }
    let mut seen = HashSet::with_capacity(tables.len());
    let mut rows = Vec::with_capacity(tables.len());
    for table in tables {
        let row = Section::open(source, table, label, ROW_KEYS, problems);
        let sender = row.required("sender", problems, ReverseKey::parse);
        let missing = row.word("missing", REVERSE_ACTS, problems).unwrap_or_default();
        let invalid = row.word("invalid", REVERSE_ACTS, problems).unwrap_or_default();
        let Some(sender) = sender else { continue };
        if seen.insert(sender.clone()) {
            rows.push(ReverseRow { sender, missing, invalid });
        } else {
            let at = row.item("sender").map_or(row.span(), |(_, at)| at);
            row.wrong(&at, "sender", format_args!("a second row for {sender}"), problems);
        }
    }
    Some(rows)
}

fn authentication<'a, 'i>(
    source: &'a Source<'i>,
    section: &Section<'a, 'i>,
    label: &'static str,
    problems: &mut Problems,
) -> AuthenticationSpec {
    let mut spec = AuthenticationSpec::default();
    let Some(table) = section.table("authentication", problems) else { return spec };
    let section = Section::open(source, table, label, AuthenticationSpec::KEYS, problems);
    for key in AuthenticationSpec::KEYS {
        if let (Some(place), Some(act)) =
            (spec.action(key), section.text(key, problems, |written| one_of(written, ACTS)))
        {
            *place = Some(act);
        }
    }
    spec
}
