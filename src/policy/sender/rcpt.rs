//! At RCPT, for one valid recipient.

use crate::model::authentication::Spf;
use crate::model::lists::{EntryKind, Matched};
use crate::model::rule::{Effect, ReverseFault, Rule, Skips, Stage};
use crate::model::sender::{Level, Listed, Reverse, Standing};
use crate::model::{Decision, ReversePath};
use crate::policy::replies;
use crate::tenant::{ReverseAct, SenderPolicy};

use super::entries::{ClientLists, SenderLists, client_lists, sender_lists};
use super::facts::{Client, Greylist, Harvest, Source, Tls};
use super::proof::{Proof, by_spf};
use super::ruling::{Objection, Provisional, Ruling, Walk};

/// Everything a recipient is judged by.
#[derive(Debug, Clone, Copy)]
pub struct RcptFacts<'a> {
    /// Of the recipient's domain.
    pub policy: &'a SenderPolicy,
    pub sender: &'a ReversePath,
    /// Entries that match the envelope sender, of all scopes, in any order, without expired ones.
    pub sender_entries: &'a [Matched],
    /// Entries that match the client's address and country, likewise.
    pub client_entries: &'a [Matched],
    /// HELO and MAIL FROM, as far as they were checked.
    pub spf: &'a [Spf],
    pub client: Client<'a>,
    pub source: Source<'a>,
}

/// Listings add up, lists of good senders count against them; from here on a source is refused.
const LISTED_AT: i64 = 1;

/// Stages that an allow entry for the sender spares. Not the limits.
const SPARED_BY_SENDER: &[Stage] =
    &[Stage::ClientLists, Stage::KnownSources, Stage::Reputation, Stage::ReverseName, Stage::Greylist];

/// Judges one recipient.
#[must_use]
pub fn at_rcpt(facts: &RcptFacts<'_>) -> Ruling {
    let mut walk = Walk::new();
    let known = match facts.sender.address() {
        // A relay's address passes SPF for the relay alone.
        Some(sender) if !facts.client.is_relay => by_spf(facts.spf, sender.domain().as_str()),
        _ => Proof::Unproven,
    };
    let entries = facts.sender_entries.iter().map(|entry| (*entry, known));
    let lists = sender_lists(entries, facts.client.ip, &mut walk);
    if let SenderLists::Blocked(entry) = lists {
        return walk.end((Decision::Reject(replies::SENDER_BLOCKED), Rule::of_entry(&entry, None)));
    }
    if let Some(objection) = tls(facts, &mut walk) {
        return walk.end(objection);
    }
    match lists {
        SenderLists::Allowed(entry) => allowed(facts, &entry, walk),
        _ if facts.client.is_relay => relayed(facts, walk),
        SenderLists::Unproven(entry) => judged(facts, Some(entry), walk),
        _ => judged(facts, None, walk),
    }
}

fn allowed(facts: &RcptFacts<'_>, entry: &Matched, mut walk: Walk) -> Ruling {
    let (late, early): (Vec<Stage>, Vec<Stage>) = SPARED_BY_SENDER.iter().partition(|stage| **stage > Stage::Limits);
    walk.skip(&early);
    if let Some(objection) = limits(facts, &mut walk) {
        return walk.end(objection);
    }
    walk.skip(&late);
    walk.accept(Rule::of_entry(entry, None), Skips::ALLOWED_SENDER)
}

/// Of whoever sends through a relay of our own, its address says nothing; the limits are the relay's. Who blocks its network means the
/// relay itself, who allows a part of it, that part.
fn relayed(facts: &RcptFacts<'_>, mut walk: Walk) -> Ruling {
    let networks = facts.client_entries.iter().filter(|entry| entry.kind == EntryKind::Network);
    let networks: Vec<Matched> = networks.copied().collect();
    if let ClientLists::Blocked(entry) = client_lists(&networks, None, &mut walk) {
        return walk.end((Decision::Reject(replies::CLIENT_BLOCKED), Rule::of_entry(&entry, None)));
    }
    walk.rule(Stage::ClientLists, Rule::TrustedRelay, Effect::Allowed);
    walk.skip(&[Stage::KnownSources, Stage::Reputation, Stage::ReverseName, Stage::Limits, Stage::Greylist]);
    walk.accept(Rule::TrustedRelay, Skips::NONE)
}

/// `unproven`: the allow entry that would count if the sender were authenticated.
fn judged(facts: &RcptFacts<'_>, unproven: Option<Matched>, mut walk: Walk) -> Ruling {
    let (early, spared) = client_stages(facts, &mut walk);
    if let (Some(objection), None) = (&early, unproven) {
        return walk.end(objection.clone());
    }
    if let Some(objection) = limits(facts, &mut walk) {
        return walk.end(objection);
    }
    let objection = early.or_else(|| greylist(facts, spared.greylist, &mut walk));
    match (objection, unproven) {
        (None, _) => walk.accept(spared.by.unwrap_or(Rule::NothingAgainst), Skips::NONE),
        (Some(objection), None) => walk.end(objection),
        (Some((refusal, rule)), Some(entry)) => {
            walk.rule(Stage::Provisional, rule.clone(), Effect::Postponed);
            let provisional = Provisional { entry, refusal, rule };
            let ruling = walk.accept(Rule::of_entry(&entry, None), Skips::NONE);
            Ruling { provisional: Some(Box::new(provisional)), ..ruling }
        }
    }
}

/// What the client lists let pass unseen.
#[derive(Debug, Default)]
struct Spared {
    by: Option<Rule>,
    greylist: bool,
}

/// Client lists to reverse name; the first objection ends them.
fn client_stages(facts: &RcptFacts<'_>, walk: &mut Walk) -> (Option<Objection>, Spared) {
    let country = facts.client.country;
    match client_lists(facts.client_entries, country, walk) {
        ClientLists::Blocked(entry) => {
            let objection = (Decision::Reject(replies::CLIENT_BLOCKED), Rule::of_entry(&entry, country));
            (Some(objection), Spared::default())
        }
        ClientLists::AllowedNetwork(entry) => {
            walk.skip(&[Stage::KnownSources, Stage::Reputation, Stage::ReverseName]);
            (None, Spared { by: Some(Rule::of_entry(&entry, country)), greylist: true })
        }
        ClientLists::AllowedCountry(entry) => {
            walk.skip(&[Stage::KnownSources, Stage::Reputation]);
            let spared = Spared { by: Some(Rule::of_entry(&entry, country)), greylist: false };
            (reverse_name(facts, walk), spared)
        }
        ClientLists::Silent => {
            let objection =
                known_sources(facts, walk).or_else(|| reputation(facts, walk)).or_else(|| reverse_name(facts, walk));
            (objection, Spared::default())
        }
    }
}

fn tls(facts: &RcptFacts<'_>, walk: &mut Walk) -> Option<Objection> {
    let required = facts.policy.tls_required_from.iter().find(|peer| peer.has(facts.client.ip, facts.sender));
    match (required, facts.client.tls) {
        (None, _) => {
            walk.note(Stage::Tls, Effect::Passed);
            None
        }
        (Some(peer), Tls::Encrypted) => {
            walk.rule(Stage::Tls, Rule::TlsRequired { from: peer.to_string().into() }, Effect::Passed);
            None
        }
        (Some(peer), Tls::Plain) => {
            let rule = Rule::TlsRequired { from: peer.to_string().into() };
            Some(walk.object(Stage::Tls, (Decision::Reject(replies::TLS_REQUIRED), rule)))
        }
    }
}

/// The worst list decides; what could not be had is noted and counts for nothing.
fn known_sources(facts: &RcptFacts<'_>, walk: &mut Walk) -> Option<Objection> {
    let stage = Stage::KnownSources;
    if !facts.policy.known_sources {
        walk.note(stage, Effect::Off);
        return None;
    }
    let weights = facts.client.zones.iter().filter_map(|zone| match zone.answer {
        Listed::Yes { weight, .. } => Some(i64::from(weight)),
        Listed::No | Listed::Degraded { .. } => None,
    });
    let refused = weights.sum::<i64>() >= LISTED_AT;
    let mut worst: Option<(i32, Rule)> = None;
    let before = walk.consulted.len();
    for zone in facts.client.zones {
        let (reason, weight, effect) = match &zone.answer {
            Listed::No => continue,
            Listed::Degraded { why } => (why, 0, Effect::Degraded),
            Listed::Yes { reason, weight } => (reason, *weight, for_or_against(*weight, refused)),
        };
        let rule = Rule::KnownSource { list: zone.list.clone(), reason: reason.clone(), weight };
        if effect == Effect::Refused && worst.as_ref().is_none_or(|(other, _)| weight > *other) {
            worst = Some((weight, rule.clone()));
        }
        walk.rule(stage, rule, effect);
    }
    if walk.consulted.len() == before {
        walk.note(stage, Effect::Passed);
    }
    worst.map(|(_, rule)| (Decision::Reject(replies::KNOWN_SOURCE), rule))
}

fn for_or_against(weight: i32, refused: bool) -> Effect {
    match weight {
        ..0 => Effect::Allowed,
        0 => Effect::Passed,
        1.. if refused => Effect::Refused,
        1.. => Effect::Overruled,
    }
}

fn reputation(facts: &RcptFacts<'_>, walk: &mut Walk) -> Option<Objection> {
    let (level, seen) = (facts.policy.level, facts.source.reputation);
    let rule = || Rule::Reputation { level, standing: seen.standing, why: seen.why.map(Into::into) };
    if level == Level::OFF {
        walk.rule(Stage::Reputation, rule(), Effect::Off);
        return None;
    }
    let decision = match seen.standing {
        Standing::Good | Standing::Unknown => {
            walk.rule(Stage::Reputation, rule(), Effect::Passed);
            return None;
        }
        Standing::Refused if level == Level::STRICTEST => Decision::Reject(replies::REPUTATION_REFUSED),
        Standing::Delayed | Standing::Refused => Decision::Defer(replies::REPUTATION_DELAYED),
    };
    Some(walk.object(Stage::Reputation, (decision, rule())))
}

fn reverse_name(facts: &RcptFacts<'_>, walk: &mut Walk) -> Option<Objection> {
    let (stage, rules) = (Stage::ReverseName, &facts.policy.reverse);
    if rules.is_empty() {
        walk.note(stage, Effect::Off);
        return None;
    }
    let Some(reverse) = facts.client.reverse else {
        walk.note(stage, Effect::Degraded);
        return None;
    };
    if let Reverse::Pass(name) | Reverse::Mismatch(name) = reverse
        && let Some(blocked) = rules.blocks(name)
    {
        let rule = Rule::ReverseName { row: blocked.as_str().into(), fault: ReverseFault::Blocked };
        return Some(walk.object(stage, (Decision::Reject(replies::REVERSE_BLOCKED), rule)));
    }
    let row = rules.row(facts.sender);
    let (fault, act, reply) = match (reverse, row) {
        (Reverse::Pass(_), _) | (_, None) => {
            walk.note(stage, Effect::Passed);
            return None;
        }
        (Reverse::Missing, Some(row)) => (ReverseFault::Missing, row.missing, replies::REVERSE_MISSING),
        (Reverse::Mismatch(_), Some(row)) => (ReverseFault::Invalid, row.invalid, replies::REVERSE_INVALID),
        // Either fault may be behind it; who refuses neither need not wait for the answer.
        (Reverse::TempError, Some(row)) => {
            let act = if row.missing == ReverseAct::Reject { row.missing } else { row.invalid };
            (ReverseFault::Unavailable, act, replies::REVERSE_UNAVAILABLE)
        }
    };
    let rule = Rule::ReverseName { row: row.map(|row| row.sender.to_string()).unwrap_or_default().into(), fault };
    match act {
        ReverseAct::Accept => {
            walk.rule(stage, rule, Effect::Passed);
            None
        }
        ReverseAct::Reject if reply.is_temporary() => Some(walk.object(stage, (Decision::Defer(reply), rule))),
        ReverseAct::Reject => Some(walk.object(stage, (Decision::Reject(reply), rule))),
    }
}

fn limits(facts: &RcptFacts<'_>, walk: &mut Walk) -> Option<Objection> {
    if let Some(of) = facts.source.limit {
        return Some(walk.object(Stage::Limits, (Decision::Defer(replies::too_much(of)), Rule::Limit { of })));
    }
    if facts.source.harvest == Harvest::Suspected {
        return Some(walk.object(Stage::Limits, (Decision::Defer(replies::HARVEST), Rule::Harvest)));
    }
    walk.note(Stage::Limits, Effect::Passed);
    None
}

fn greylist(facts: &RcptFacts<'_>, spared: bool, walk: &mut Walk) -> Option<Objection> {
    let stage = Stage::Greylist;
    if spared {
        walk.note(stage, Effect::Skipped);
    } else if !greylists(facts.policy) {
        walk.note(stage, Effect::Off);
    } else if facts.source.reputation.standing != Standing::Unknown {
        walk.note(stage, Effect::Skipped);
    } else {
        match facts.source.greylist {
            Greylist::Passed | Greylist::NotAsked => walk.rule(stage, Rule::Greylist, Effect::Passed),
            Greylist::Unavailable => walk.rule(stage, Rule::Greylist, Effect::Degraded),
            Greylist::Wait => {
                return Some(walk.object(stage, (Decision::Defer(replies::GREYLISTED), Rule::Greylist)));
            }
        }
    }
    None
}

/// A measure of the middle levels: below they are too lax for it, at the highest reputation itself is quicker.
fn greylists(policy: &SenderPolicy) -> bool {
    policy.greylisting && matches!(policy.level.get(), 2 | 3)
}

/// Which facts can still change the ruling, so that no question is asked for nothing. Ask for the first that is needed,
/// put its answer in, and ask again; limits are counted whatever is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// An allow entry is there that SPF could prove. (At end of data SPF is needed anyway.)
    pub spf: bool,
    pub zones: bool,
    pub reputation: bool,
    pub reverse: bool,
    /// Only if nothing else objects: asking makes the greylist remember.
    pub greylist: bool,
}

/// See [`Needs`]. Facts that were not asked for stand at their neutral value: no zones, no reverse name, standing unknown,
/// greylist not asked.
#[must_use]
pub fn needs(facts: &RcptFacts<'_>) -> Needs {
    let ruling = at_rcpt(&RcptFacts { source: Source { greylist: Greylist::Wait, ..facts.source }, ..*facts });
    let reached = |stage: Stage| {
        let at = |step: &&crate::model::rule::Consulted| step.stage == stage;
        let idle = [Effect::Skipped, Effect::Off];
        ruling.consulted.iter().find(at).is_some_and(|step| !idle.contains(&step.effect))
    };
    let unproven = ruling.consulted.iter().any(|step| step.effect == Effect::Unauthenticated);
    Needs {
        spf: facts.spf.is_empty() && unproven && !facts.client.is_relay,
        zones: reached(Stage::KnownSources),
        reputation: reached(Stage::Reputation),
        reverse: reached(Stage::ReverseName),
        greylist: matches!(facts.source.greylist, Greylist::NotAsked) && reached(Stage::Greylist),
    }
}
