//! At end of data: what SPF, DKIM, DMARC and ARC together make of the message.
//!
//! Lists come first, as at RCPT, now for the author of the header too. Then an allow entry that was waiting for proof has
//! its answer. Then the actions of the tenant: the severest decides, of equals the first of From, DMARC, SPF, DKIM.
//!
//! **Invariants**: a DMARC pass ends all actions: forwarding breaks SPF, lists break DKIM, and one aligned pass is enough
//! (RFC 7489 section 3). While DMARC can't be evaluated nothing refuses for good, for it might yet pass. A record that was
//! had and asks for quarantine or reject is never got round by an answer that is missing: such mail is put off at least.

use std::net::IpAddr;

use crate::model::authentication::{
    ArcResult, Authentication, DkimResult, Dmarc, DmarcPolicy, DmarcResult, SpfIdentity, SpfResult,
};
use crate::model::lists::Matched;
use crate::model::rule::{Effect, Rule, Skips, Stage};
use crate::model::{Decision, Domain, Reply, ReversePath};
use crate::policy::replies;
use crate::tenant::{Act, SenderPolicy, is_within};

use super::entries::{SenderLists, sender_lists};
use super::proof::{Proof, aligned, proof};
use super::ruling::{Provisional, Ruling, Walk};

/// Everything a message is judged by, for one recipient or for several with the same entries. RCPT let in only recipients
/// that share a fate ([`super::same_fate`]); entries for the author may still part them ([`super::together`]).
#[derive(Debug, Clone, Copy)]
pub struct MessageFacts<'a> {
    pub policy: &'a SenderPolicy,
    pub sender: &'a ReversePath,
    /// IPv4-mapped addresses folded to IPv4.
    pub client: IpAddr,
    /// A relay of our own brings it: what the message can't prove by itself speaks neither for nor against it.
    pub is_relayed: bool,
    /// Entries that match the envelope sender, as at RCPT.
    pub sender_entries: &'a [Matched],
    /// Entries that match the author in the From field.
    pub author_entries: &'a [Matched],
    pub authentication: &'a Authentication,
    /// What the ruling at RCPT left open.
    pub provisional: Option<&'a Provisional>,
}

/// Judges the message.
#[must_use]
pub fn at_message(facts: &MessageFacts<'_>) -> Ruling {
    let mut walk = Walk::new();
    let of_sender = match facts.sender.address() {
        Some(sender) => proof(facts.authentication, sender.domain()),
        None => Proof::Unproven,
    };
    let of_author = match &facts.authentication.from {
        Some(from) => proof(facts.authentication, from),
        None => Proof::Unproven,
    };
    let by_sender = facts.sender_entries.iter().map(|entry| (*entry, of_sender));
    let by_author = facts.author_entries.iter().map(|entry| (*entry, of_author));
    let lists = sender_lists(by_sender.chain(by_author), facts.client, &mut walk);
    let allowed = match lists {
        SenderLists::Blocked(entry) => {
            return walk.end((Decision::Reject(replies::SENDER_BLOCKED), Rule::of_entry(&entry, None)));
        }
        SenderLists::Allowed(entry) => Some(entry),
        SenderLists::Silent | SenderLists::Unproven(_) => None,
    };
    if let (Some(provisional), None) = (facts.provisional, allowed) {
        // The entry that waits is one for the envelope sender.
        let refusal = match of_sender {
            Proof::Unknown => Decision::Defer(replies::AUTHENTICATION_UNAVAILABLE),
            Proof::Proven | Proof::Unproven => provisional.refusal.clone(),
        };
        let objection = walk.object(Stage::Provisional, (refusal, provisional.rule.clone()));
        return walk.end(objection);
    }
    if facts.is_relayed { relayed(facts, allowed, walk) } else { authentication(facts, allowed, walk) }
}

/// The relay has seen the sender's address and asked for its authentication; from here neither can be told. Who the author is must
/// be plain all the same, or no list would find him.
fn relayed(facts: &MessageFacts<'_>, allowed: Option<Matched>, mut walk: Walk) -> Ruling {
    walk.rule(Stage::ClientLists, Rule::TrustedRelay, Effect::Allowed);
    let decisive = decisive(from(facts), |_| false, &mut walk);
    walk.skip(&[Stage::Arc, Stage::Dmarc, Stage::Spf, Stage::Dkim]);
    end(decisive, allowed, Rule::TrustedRelay, walk)
}

/// One rule of authentication, its action, and what it would answer.
struct Action {
    stage: Stage,
    rule: Rule,
    act: Act,
    refusal: Reply,
    delay: Reply,
}

fn authentication(facts: &MessageFacts<'_>, allowed: Option<Matched>, mut walk: Walk) -> Ruling {
    let vouched = vouched(facts, allowed.as_ref(), &mut walk);
    let dmarc = dmarc_result(facts.authentication);
    let pending = dmarc == DmarcResult::TempError;
    let had = facts.authentication.dmarc.record_at.is_some();
    // Whatever the record that can't be had says: an aligned pass is all that it can ask for. One that was had may ask for
    // strict alignment, and has been asked.
    let proven =
        facts.authentication.from.as_ref().map(|from| proof(facts.authentication, from)) == Some(Proof::Proven);
    let overruled = |stage: Stage| match stage {
        Stage::From => false,
        Stage::Dmarc => vouched || (pending && proven && !had),
        _ => vouched || dmarc == DmarcResult::Pass,
    };
    let found = [from(facts), dmarc_action(facts, dmarc), spf(facts), dkim(facts)];
    let found = found.into_iter().flatten().map(|mut action| {
        let waits = pending && matches!(action.stage, Stage::Spf | Stage::Dkim);
        if waits && action.act == Act::Reject {
            (action.act, action.delay) = (Act::Defer, replies::AUTHENTICATION_UNAVAILABLE);
        }
        action
    });
    let decisive = decisive(found, overruled, &mut walk);
    end(decisive, allowed, Rule::NothingAgainst, walk)
}

/// The severest of the actions; of equals the first.
fn decisive(
    actions: impl IntoIterator<Item = Action>,
    overruled: impl Fn(Stage) -> bool,
    walk: &mut Walk,
) -> Option<Action> {
    let mut decisive: Option<Action> = None;
    for action in actions {
        let effect = match action.act {
            Act::Accept => Effect::Passed,
            _ if overruled(action.stage) => Effect::Overruled,
            Act::Mark => Effect::Marked,
            Act::Defer => Effect::Deferred,
            Act::Reject => Effect::Refused,
        };
        walk.rule(action.stage, action.rule.clone(), effect);
        let stops = matches!(effect, Effect::Deferred | Effect::Refused);
        if stops && decisive.as_ref().is_none_or(|other| action.act > other.act) {
            decisive = Some(action);
        }
    }
    decisive
}

/// `otherwise`: what is said to decide where nothing does.
fn end(decisive: Option<Action>, allowed: Option<Matched>, otherwise: Rule, walk: Walk) -> Ruling {
    match decisive {
        Some(Action { act: Act::Reject, rule, refusal, .. }) => walk.end((Decision::Reject(refusal), rule)),
        Some(Action { rule, delay, .. }) => walk.end((Decision::Defer(delay), rule)),
        None => match allowed {
            Some(entry) => walk.accept(Rule::of_entry(&entry, None), Skips::ALLOWED_SENDER),
            None => walk.accept(otherwise, Skips::NONE),
        },
    }
}

/// Whether something else stands for authentication: the newest seal of a sound chain (RFC 8617) is of a sealer the tenant
/// trusts, or an allow entry is bound to a network that has the client and its sender is aligned with the author.
fn vouched(facts: &MessageFacts<'_>, allowed: Option<&Matched>, walk: &mut Walk) -> bool {
    let arc = &facts.authentication.arc;
    let sealer = arc.sealers.first().filter(|_| arc.result == ArcResult::Pass);
    let trusted = sealer.filter(|sealer| {
        let sealer = Domain::parse(sealer);
        sealer.is_ok_and(|sealer| facts.policy.trusted_sealers.iter().any(|trusted| is_within(&sealer, trusted)))
    });
    if let Some(sealer) = trusted {
        walk.rule(Stage::Arc, Rule::ArcSealer { sealer: sealer.clone() }, Effect::Allowed);
        return true;
    }
    if arc.result != ArcResult::None {
        let effect = if arc.result == ArcResult::TempError { Effect::Degraded } else { Effect::Passed };
        walk.note(Stage::Arc, effect);
    }
    allowed.is_some_and(|entry| {
        entry.bound.is_some_and(|bound| bound.contains(&facts.client)) && speaks_for_author(facts, entry)
    })
}

/// Whether the entry's sender speaks for the author: it is an entry for the author, or the envelope sender is of the same
/// organization.
fn speaks_for_author(facts: &MessageFacts<'_>, entry: &Matched) -> bool {
    let Some(from) = &facts.authentication.from else { return false };
    let envelope = facts.sender.address().is_some_and(|sender| aligned(sender.domain().as_str(), from.as_str()));
    envelope || facts.author_entries.iter().any(|own| own.id == entry.id)
}

/// The result of DMARC; a failure that rests on an answer that could not be had is none (RFC 7489 section 5.6.2).
fn dmarc_result(authentication: &Authentication) -> DmarcResult {
    let result = authentication.dmarc.result;
    match &authentication.from {
        Some(from) if result == DmarcResult::Fail && proof(authentication, from) == Proof::Unknown => {
            DmarcResult::TempError
        }
        _ => result,
    }
}

fn from(facts: &MessageFacts<'_>) -> Option<Action> {
    if facts.authentication.from.is_some() {
        return None;
    }
    let act = facts.policy.authentication.from_invalid;
    // What old servers send back is `From: MAILER-DAEMON`, and lost if it is refused. Not where readers see somebody
    // (several authors): else the empty envelope sender would get round DMARC.
    let nobody = facts.authentication.dmarc.policy == DmarcPolicy::None;
    let act = if nobody && *facts.sender == ReversePath::Null { act.min(Act::Mark) } else { act };
    let (refusal, delay) = (replies::FROM_INVALID, replies::AUTHENTICATION_DEFERRED);
    Some(Action { stage: Stage::From, rule: Rule::From, act, refusal, delay })
}

fn dmarc_action(facts: &MessageFacts<'_>, result: DmarcResult) -> Option<Action> {
    let Dmarc { policy, ref record_at, .. } = facts.authentication.dmarc;
    let actions = &facts.policy.authentication;
    let (refusal, later) = (replies::DMARC_FAILED, replies::AUTHENTICATION_DEFERRED);
    let (act, refusal, delay) = match (result, policy) {
        (DmarcResult::None, _) => return None,
        (DmarcResult::Pass, _) => (Act::Accept, refusal, later),
        (DmarcResult::Fail, DmarcPolicy::Reject) => (actions.dmarc_reject, refusal, later),
        (DmarcResult::Fail, DmarcPolicy::Quarantine) => (actions.dmarc_quarantine, refusal, later),
        (DmarcResult::Fail, DmarcPolicy::None) => (actions.dmarc_none, refusal, later),
        (DmarcResult::TempError, _) => {
            let act = match policy {
                // Also a record that we did not ask for, because the message used up its questions.
                DmarcPolicy::Reject | DmarcPolicy::Quarantine => actions.dmarc_temperror.max(Act::Defer),
                // The worst that can come of it, but for good only when it is known.
                DmarcPolicy::None if record_at.is_some() => actions.dmarc_none.min(Act::Defer),
                DmarcPolicy::None => actions.dmarc_temperror,
            };
            (act, refusal, replies::AUTHENTICATION_UNAVAILABLE)
        }
        (DmarcResult::PermError, _) => (actions.dmarc_permerror, replies::DMARC_BROKEN, later),
    };
    let act = if *facts.sender == ReversePath::Null { act.min(actions.null_sender) } else { act };
    Some(Action { stage: Stage::Dmarc, rule: Rule::Dmarc { result, policy }, act, refusal, delay })
}

/// MAIL FROM if it was checked; for the empty envelope sender, HELO.
fn spf(facts: &MessageFacts<'_>) -> Option<Action> {
    let checks = &facts.authentication.spf;
    let own = checks.iter().find(|spf| spf.identity == SpfIdentity::MailFrom).or_else(|| checks.first())?;
    let actions = &facts.policy.authentication;
    let (failed, later) = (replies::SPF_FAILED, replies::AUTHENTICATION_DEFERRED);
    let (act, refusal, delay) = match own.result {
        SpfResult::None | SpfResult::Neutral | SpfResult::Pass => (Act::Accept, failed, later),
        SpfResult::Fail => (actions.spf_fail, failed, later),
        SpfResult::SoftFail => (actions.spf_softfail, failed, later),
        SpfResult::TempError => (actions.spf_temperror, failed, replies::SPF_UNAVAILABLE),
        SpfResult::PermError => (actions.spf_permerror, replies::SPF_BROKEN, later),
    };
    let rule = Rule::Spf { result: own.result, identity: own.identity };
    Some(Action { stage: Stage::Spf, rule, act, refusal, delay })
}

/// Signatures that can't be judged for now are no failure.
fn dkim(facts: &MessageFacts<'_>) -> Option<Action> {
    let signatures = &facts.authentication.dkim;
    let open = |result| matches!(result, DkimResult::Pass | DkimResult::TempError);
    if signatures.is_empty() || signatures.iter().any(|signature| open(signature.result)) {
        return None;
    }
    let act = facts.policy.authentication.dkim_fail;
    let (refusal, delay) = (replies::DKIM_FAILED, replies::AUTHENTICATION_DEFERRED);
    Some(Action { stage: Stage::Dkim, rule: Rule::Dkim, act, refusal, delay })
}
