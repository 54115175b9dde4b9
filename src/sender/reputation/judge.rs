//! From counts to a standing. Pure.
//!
//! The address, the authenticated domain and the network are each held to the level's numbers; the strictest finding decides,
//! and among equals the one that lasts longest. The network has no say over a source with a good record of its own.

use super::numbers::{self, KNOWN_HAM, Numbers};
use super::pins::Pin;
use super::record::Record;
use super::{Judged, Why};
use crate::model::sender::{Level, Standing};
use crate::tables::{Seconds, timestamp};

/// Records decayed to the time of judgement.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    pub address: Option<Record>,
    pub network: Option<Record>,
    pub domain: Option<Record>,
    pub pin: Option<Pin>,
}

type Finding = (Standing, Why, Option<Seconds>);

pub(super) fn judge(evidence: &Evidence, level: Level, now: Seconds) -> Judged {
    let usual = at_level(evidence, Level::default(), now);
    let (standing, why, until) = if level == Level::default() { usual } else { at_level(evidence, level, now) };
    let decided_by = match why {
        Why::Network => &evidence.network,
        Why::Domain => &evidence.domain,
        Why::Nothing | Why::Address | Why::Operator => &evidence.address,
    };
    Judged {
        standing,
        why,
        until: until.map(timestamp),
        usual: usual.0,
        counts: decided_by.as_ref().map(Record::counts).unwrap_or_default(),
    }
}

fn at_level(evidence: &Evidence, level: Level, now: Seconds) -> Finding {
    let quiet = (if is_known(evidence) { Standing::Good } else { Standing::Unknown }, Why::Nothing, None);
    let Some(numbers) = numbers::of(level) else { return quiet };
    if let Some(pin) = &evidence.pin {
        return (pin.standing, Why::Operator, pin.until.map(super::seconds));
    }
    let findings = [address(evidence, numbers, now), domain(evidence, numbers, now), network(evidence, numbers, now)];
    findings.into_iter().flatten().max_by_key(|(standing, _, until)| (rank(*standing), *until)).unwrap_or(quiet)
}

/// Good mail was seen from it not long ago, or from its authenticated domain.
fn is_known(evidence: &Evidence) -> bool {
    let known = |record: &Option<Record>| record.is_some_and(|record| record.ham >= KNOWN_HAM);
    known(&evidence.address) || known(&evidence.domain)
}

fn address(evidence: &Evidence, numbers: &Numbers, now: Seconds) -> Option<Finding> {
    let record = evidence.address?;
    let until = record.listed(&numbers.address, numbers.stay, now)?;
    let heavy = numbers.refused.is_some_and(|allowance| record.is_heavy(&allowance, now));
    Some((if heavy { Standing::Refused } else { Standing::Delayed }, Why::Address, Some(until)))
}

fn domain(evidence: &Evidence, numbers: &Numbers, now: Seconds) -> Option<Finding> {
    let until = evidence.domain?.listed(&numbers.domain, numbers.stay, now)?;
    Some((Standing::Delayed, Why::Domain, Some(until)))
}

fn network(evidence: &Evidence, numbers: &Numbers, now: Seconds) -> Option<Finding> {
    let protected = |record: &Option<Record>| record.as_ref().is_some_and(Record::is_protected);
    if protected(&evidence.address) || protected(&evidence.domain) {
        return None;
    }
    let until = evidence.network?.listed(&numbers.network, numbers.stay, now)?;
    Some((Standing::Delayed, Why::Network, Some(until)))
}

pub(super) fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Good | Standing::Unknown => 0,
        Standing::Delayed => 1,
        Standing::Refused => 2,
    }
}
