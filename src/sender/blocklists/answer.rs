//! What an answer of a list means, and how its question is written. Pure.
//!
//! **Invariants**: an answer that is an error, unknown, or none is [`Listed::Degraded`], never listed and never clean; no text
//! made here holds the zone.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::list::{Kind, List};
use crate::dns::{Answer, reverse_nibbles};
use crate::model::Domain;
use crate::model::sender::Listed;
use crate::telemetry::metrics::ListAnswer;

/// Longest name of a question (RFC 1035 section 2.3.4, as text).
const MAX_NAME: usize = 253;
/// Answers looked at; honest lists give a handful.
const MAX_ANSWERS: usize = 32;

/// What was said, and how it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub listed: Listed,
    pub counted: ListAnswer,
    /// A code came that the settings don't know, whatever else came with it.
    pub unknown_code: Option<Ipv4Addr>,
    /// The code refuses the asker, whatever was asked.
    pub asker_refused: bool,
}

/// Reads an answer with the list's codes.
#[must_use]
pub fn interpret(list: &List, answer: &Answer<Vec<Ipv4Addr>>) -> Said {
    let codes = match answer {
        Answer::NoSuchDomain | Answer::NoRecords => return plain(Listed::No, ListAnswer::NotListed),
        // The resolver's words may hold the name that was asked, and with it the zone.
        Answer::Temporary(_) => return plain(degraded("no answer".into()), ListAnswer::NoAnswer),
        Answer::Found(codes) => codes.get(..codes.len().min(MAX_ANSWERS)).unwrap_or_default(),
    };
    if let Some(error) = codes.iter().find(|code| is_error(list, **code)) {
        let said = plain(degraded(format!("refused: answered {error}")), ListAnswer::Refused);
        return Said { asker_refused: codes.iter().any(|code| refuses_asker(*code)), ..said };
    }
    let meaning = |code: &Ipv4Addr| list.codes.iter().find(|known| known.when.matches(*code));
    let unknown_code = codes.iter().find(|code| meaning(code).is_none()).copied();
    // A bit list says several things in one answer: every pattern may match.
    let known = list.codes.iter().filter(|known| codes.iter().any(|code| known.when.matches(*code)));
    match (known.max_by_key(|known| known.weight.unsigned_abs()), unknown_code) {
        (Some(strongest), _) => {
            let weight = match list.kind {
                Kind::Ip | Kind::Domain => strongest.weight,
                Kind::Allow => strongest.weight.saturating_abs().saturating_neg(),
            };
            let listed = Listed::Yes { reason: strongest.reason.clone(), weight };
            Said { unknown_code, ..plain(listed, ListAnswer::Listed) }
        }
        (None, Some(code)) => {
            let listed = degraded(format!("unknown code {code}"));
            Said { unknown_code, ..plain(listed, ListAnswer::UnknownCode) }
        }
        (None, None) => plain(Listed::No, ListAnswer::NotListed),
    }
}

pub(super) fn plain(listed: Listed, counted: ListAnswer) -> Said {
    Said { listed, counted, unknown_code: None, asker_refused: false }
}

pub(super) fn degraded(why: String) -> Listed {
    Listed::Degraded { why: why.into() }
}

/// Errors of every list: the resolver may not ask (127.255.255.0/24), the test point that is never listed (RFC 5782 section 5),
/// and answers of a zone that was given up or whose resolver makes things up.
pub(super) fn is_error(list: &List, code: Ipv4Addr) -> bool {
    let octets = code.octets();
    octets.first() != Some(&127)
        || refuses_asker(code)
        || code == Ipv4Addr::LOCALHOST
        || list.errors.iter().any(|error| error.matches(code))
}

/// 127.255.255.0/24 speaks of who asks (an open resolver, too many questions), not of what was asked.
fn refuses_asker(code: Ipv4Addr) -> bool {
    code.octets().first_chunk() == Some(&[127, 255, 255])
}

/// The name under which an address is asked for (RFC 5782 sections 2.1, 2.4). `None`: it is not asked for.
pub(super) fn name_of_ip(ip: IpAddr, list: &List) -> Option<String> {
    let ip = ip.to_canonical();
    if is_private(ip) {
        return None;
    }
    match ip {
        IpAddr::V4(ip) => v4(ip, list),
        IpAddr::V6(_) if !list.ipv6 => None,
        IpAddr::V6(ip) => below(&reverse_nibbles(ip), list),
    }
}

pub(super) fn v4(ip: Ipv4Addr, list: &List) -> Option<String> {
    let [a, b, c, d] = ip.octets();
    below(&format!("{d}.{c}.{b}.{a}"), list)
}

/// The name under which a domain is asked for (RFC 5782 section 3). `None`: it is not asked for. Addresses, also such without
/// brackets, are none of the names of these lists: they answer them with an error. No top-level domain is a number.
pub(super) fn name_of_domain(domain: &Domain, list: &List) -> Option<String> {
    let last = domain.as_str().trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || domain.as_ip().is_some() { None } else { below(domain.as_str(), list) }
}

pub(super) fn below(name: &str, list: &List) -> Option<String> {
    let mut text = String::with_capacity(name.len() + 1 + list.zone.reveal().len());
    write!(text, "{name}.{}", list.zone.reveal()).ok()?;
    (text.len() <= MAX_NAME).then_some(text)
}

/// Addresses of inner networks mean nothing to a list and are nobody's business.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}
