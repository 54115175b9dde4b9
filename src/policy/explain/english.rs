//! English.

use crate::model::authentication::{DmarcPolicy, DmarcResult, SpfIdentity, SpfResult};
use crate::model::explanation::Answer;
use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::rule::{Effect, LimitOf, ReverseFault, Rule, Stage};
use crate::model::sender::{Country, Standing};

pub(super) fn sentence(answer: Answer, decided_by: &Rule, postponed: Option<&Rule>) -> String {
    let verb = match answer {
        Answer::Accept => "Accepted",
        Answer::Defer => "Put off",
        Answer::Reject => "Refused",
        Answer::Disconnect => "Refused, connection closed",
    };
    match postponed {
        Some(postponed) => format!(
            "Accepted for now: {}, but the sender must prove to be authenticated after the body, for otherwise {}.",
            rule(decided_by),
            rule(postponed)
        ),
        None => format!("{verb}: {}.", rule(decided_by)),
    }
}

pub(super) fn rule(rule: &Rule) -> String {
    match rule {
        Rule::NothingAgainst => "nothing speaks against it".into(),
        Rule::Contract => "the contract of the recipient's organization is frozen or over".into(),
        Rule::Accounts => "the recipient would be a new account beyond the number of the contract".into(),
        Rule::Recipient => "the recipient is not a mailbox here, or could not be verified".into(),
        Rule::Entry { id, action, kind, scope, prefix, country } => {
            entry((*id, *action, *kind, *scope), *prefix, *country)
        }
        Rule::TrustedRelay => "the server is a relay of the operator's, which has judged the sender".into(),
        Rule::TlsRequired { from } if &**from == "*" => "TLS is required from everyone".into(),
        Rule::TlsRequired { from } => format!("TLS is required from {from}"),
        Rule::KnownSource { list, reason, weight: 0 } => format!("the known-source list {list} answers {reason:?}"),
        Rule::KnownSource { list, reason, weight } => {
            format!("the known-source list {list} says {reason:?} (weight {weight})")
        }
        Rule::Reputation { level, standing, why } => {
            let standing = match standing {
                Standing::Good => "has a good reputation",
                Standing::Unknown => "is not known yet",
                Standing::Delayed => "has sent unwanted mail lately",
                Standing::Refused => "has sent very much unwanted mail lately",
            };
            let why = why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
            format!("the server {standing} (level {}{why})", level.get())
        }
        Rule::ReverseName { row, fault } => match fault {
            ReverseFault::Missing => format!("the server has no reverse name (rule for {row})"),
            ReverseFault::Invalid => format!("the server's reverse name does not lead back to it (rule for {row})"),
            ReverseFault::Blocked => format!("the server's reverse name is within {row}, which is blocked"),
            ReverseFault::Unavailable => {
                format!("the server's reverse name could not be looked up (rule for {row})")
            }
        },
        Rule::Limit { of } => {
            let of = match of {
                LimitOf::Client => "the server",
                LimitOf::Sender => "the sender",
                LimitOf::Recipient => "the recipient",
            };
            format!("the limit of messages for {of} is exceeded")
        }
        Rule::Harvest => "the server has tried too many recipients that don't exist".into(),
        Rule::Greylist => "the server is not known and has to come back (greylist)".into(),
        Rule::From => "the message does not have one From field with authors of one domain".into(),
        Rule::ArcSealer { sealer } => format!("{sealer}, whose ARC seals are trusted, vouches for the message"),
        Rule::Dmarc { result, policy } => {
            let policy = match policy {
                DmarcPolicy::None => "none",
                DmarcPolicy::Quarantine => "quarantine",
                DmarcPolicy::Reject => "reject",
            };
            match result {
                DmarcResult::None => "the author's domain has no DMARC record".into(),
                DmarcResult::Pass => "DMARC passes".into(),
                DmarcResult::Fail => format!("DMARC fails and the author's domain asks for p={policy}"),
                DmarcResult::TempError => "DMARC cannot be evaluated now".into(),
                DmarcResult::PermError => "the DMARC record of the author's domain is wrong".into(),
            }
        }
        Rule::Spf { result, identity } => {
            let of = match identity {
                SpfIdentity::Helo => "HELO",
                SpfIdentity::MailFrom => "the envelope sender",
            };
            match result {
                SpfResult::None => format!("no SPF record for {of}"),
                SpfResult::Neutral => format!("SPF says nothing of {of} (neutral)"),
                SpfResult::Pass => format!("SPF passes for {of}"),
                SpfResult::Fail => format!("SPF fails for {of}"),
                SpfResult::SoftFail => format!("SPF fails softly for {of}"),
                SpfResult::TempError => format!("SPF of {of} cannot be evaluated now"),
                SpfResult::PermError => format!("the SPF record of {of} is wrong"),
            }
        }
        Rule::Dkim => "no DKIM signature of the message is valid".into(),
    }
}

fn entry(
    (EntryId(id), action, kind, scope): (EntryId, Action, EntryKind, Scope),
    prefix: Option<u8>,
    country: Option<Country>,
) -> String {
    let whose = match scope {
        Scope::Operator => "operator's",
        Scope::Tenant => "tenant's",
        Scope::Domain => "domain's",
        Scope::Mailbox => "mailbox owner's",
    };
    let does = match action {
        Action::Allow => "allows",
        Action::Block => "blocks",
    };
    let what = match (kind, prefix, country) {
        (EntryKind::Address, ..) => "the sender's address".into(),
        (EntryKind::Domain, ..) => "the sender's domain".into(),
        (EntryKind::Network, Some(prefix), _) => format!("the server's network (/{prefix})"),
        (EntryKind::Network, None, _) => "the server's network".into(),
        (EntryKind::Country, _, Some(country)) => format!("the server's country ({country})"),
        (EntryKind::Country, _, None) => "the server's country".into(),
    };
    format!("the {whose} entry #{id} {does} {what}")
}

pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Recipient => "recipient",
        Stage::SenderLists => "sender lists",
        Stage::Tls => "TLS",
        Stage::ClientLists => "networks and countries",
        Stage::KnownSources => "known sources",
        Stage::Reputation => "reputation",
        Stage::ReverseName => "reverse name",
        Stage::Limits => "limits",
        Stage::Greylist => "greylist",
        Stage::Provisional => "proof",
        Stage::From => "From",
        Stage::Arc => "ARC",
        Stage::Dmarc => "DMARC",
        Stage::Spf => "SPF",
        Stage::Dkim => "DKIM",
    }
}

pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Passed => "passed",
        Effect::Allowed => "allows",
        Effect::Refused => "refuses",
        Effect::Deferred => "puts off",
        Effect::Marked => "marks",
        Effect::Postponed => "waits for proof",
        Effect::Skipped => "skipped",
        Effect::Off => "switched off",
        Effect::Degraded => "no answer, counts for nothing",
        Effect::Shadowed => "shadowed by an entry before it",
        Effect::Unauthenticated => "does not count: the sender is not authenticated",
        Effect::OutsideNetwork => "does not count: bound to a network that does not have the client",
        Effect::Overruled => "overruled",
    }
}
