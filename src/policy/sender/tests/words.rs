//! The words of the tables.
//!
//! Facts: `ACTION:SCOPE:KIND[@BOUND][~EXPIRY]` is an entry that matches (`KIND`: address, domain, net/LENGTH, country),
//! `author:` before it makes it one for the From field. The others are `key` or `key=value`, see [`Scene::word`].
//! Without a word: a good server with TLS, known to nobody's list, and `From` as the envelope sender's domain.

use std::net::IpAddr;

use crate::model::authentication::{
    Arc, ArcResult, Authentication, Dkim, DkimResult, Dmarc, DmarcPolicy, DmarcResult, Spf, SpfIdentity, SpfResult,
};
use crate::model::lists::{Action, EntryId, EntryKind, Matched, Scope};
use crate::model::rule::{Check, LimitOf, Rule, Skips};
use crate::model::sender::{Country, Level, Listed, Reverse, Standing, ZoneAnswer};
use crate::model::{Address, Decision, Direction, Domain, ReversePath};
use crate::policy::rcpt;
use crate::policy::sender::*;
use crate::tenant::{
    Act, AuthenticationActions, ReverseAct, ReverseKey, ReverseRow, ReverseRules, SenderPolicy, TlsPeer,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Rcpt,
    Message,
    /// RCPT, then end of data with what RCPT left open, then content.
    Whole,
}

/// An entry as the list keeps it: the index of lists gives out only those that have not expired.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    entry: Matched,
    author: bool,
    /// Seconds after the beginning.
    expires: Option<u64>,
}

/// The moment of every table.
const NOW: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Scene {
    policy: SenderPolicy,
    sender: ReversePath,
    ip: IpAddr,
    is_relay: bool,
    tls: Tls,
    zones: Vec<ZoneAnswer>,
    reverse: Option<Reverse>,
    standing: Standing,
    limit: Option<LimitOf>,
    harvest: Harvest,
    greylist: Greylist,
    authentication: Authentication,
    recipient: rcpt::Validity,
    virus: bool,
    spam: bool,
    pub(super) entries: Vec<Held>,
}

impl Scene {
    pub(super) fn read(words: &str) -> Self {
        let mut scene = Self {
            policy: SenderPolicy { greylisting: true, ..SenderPolicy::default() },
            sender: ReversePath::Mailbox(Address::parse("anna@partner.example").unwrap()),
            ip: "192.0.2.10".parse().unwrap(),
            is_relay: false,
            tls: Tls::Encrypted,
            zones: Vec::new(),
            reverse: Some(Reverse::Pass("mx.partner.example".into())),
            standing: Standing::Good,
            limit: None,
            harvest: Harvest::Clear,
            greylist: Greylist::Passed,
            authentication: Authentication { from: Domain::parse("partner.example").ok(), ..Authentication::default() },
            recipient: rcpt::Validity::Valid,
            virus: false,
            spam: false,
            entries: Vec::new(),
        };
        let mut rows = Vec::new();
        let mut blocked = Vec::new();
        for word in words.split_whitespace() {
            scene.word(word, &mut rows, &mut blocked);
        }
        scene.policy.reverse = ReverseRules::compile(rows, blocked);
        scene
    }

    fn word(&mut self, word: &str, rows: &mut Vec<ReverseRow>, blocked: &mut Vec<Domain>) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "relay" => self.is_relay = true,
            "plain" => self.tls = Tls::Plain,
            "tls-from" => {
                let peer = TlsPeer::parse(value).unwrap();
                self.policy.tls_required_from = [&*self.policy.tls_required_from, &[peer]].concat().into();
            }
            "sender" => self.sender = value.to_owned().try_into().unwrap(),
            "null" => self.sender = ReversePath::Null,
            "ip" => self.ip = value.parse().unwrap(),
            "unknown-recipient" => self.recipient = rcpt::Validity::Invalid,
            "zone" => self.zones.push(zone(value)),
            "zones-off" => self.policy.known_sources = false,
            "level" => self.policy.level = Level::new(value.parse().unwrap()).unwrap(),
            "delayed" => self.standing = Standing::Delayed,
            "refused" => self.standing = Standing::Refused,
            "unknown" => self.standing = Standing::Unknown,
            "limit" => {
                self.limit = Some(match value {
                    "client" => LimitOf::Client,
                    "sender" => LimitOf::Sender,
                    _ => LimitOf::Recipient,
                });
            }
            "harvest" => self.harvest = Harvest::Suspected,
            "greylist-off" => self.policy.greylisting = false,
            "wait" => (self.standing, self.greylist) = (Standing::Unknown, Greylist::Wait),
            "greylist-down" => (self.standing, self.greylist) = (Standing::Unknown, Greylist::Unavailable),
            "ptr" => self.reverse = reverse(value),
            "ptr-row" => rows.push(row(value)),
            "ptr-block" => blocked.push(Domain::parse(value).unwrap()),
            "spf" => self.authentication.spf.push(spf(value, &self.sender)),
            "dkim" => self.authentication.dkim.push(dkim(value)),
            "dmarc" => self.authentication.dmarc = dmarc(value),
            "arc" => self.authentication.arc = arc(value),
            "from" => self.authentication.from = Domain::parse(value).ok(),
            "sealer" => self.policy.trusted_sealers = [Domain::parse(value).unwrap()].into(),
            "act" => self.act(value),
            "eicar" => self.virus = true,
            "spam" => self.spam = true,
            _ => {
                let held = self.entry(word);
                self.entries.push(held);
            }
        }
    }

    fn act(&mut self, written: &str) {
        let (key, act) = written.split_once(':').unwrap();
        let act = match act {
            "accept" => Act::Accept,
            "mark" => Act::Mark,
            "defer" => Act::Defer,
            "reject" => Act::Reject,
            other => panic!("{other} is no action"),
        };
        let mut spec = crate::tenant::AuthenticationSpec::default();
        *spec.action(key).unwrap_or_else(|| panic!("{key} is no key")) = Some(act);
        let before = self.policy.authentication;
        // One key a row, so that a row shows what it is about.
        assert_eq!(before, AuthenticationActions::default(), "two act= in one row");
        self.policy.authentication = spec.into();
    }

    fn entry(&self, word: &str) -> Held {
        let (word, expires) = match word.split_once('~') {
            Some((word, "expired")) => (word, Some(NOW)),
            Some((word, _)) => (word, Some(NOW + 1)),
            None => (word, None),
        };
        let author = word.strip_prefix("author:");
        let parts: Vec<&str> = author.unwrap_or(word).splitn(3, ':').collect();
        let [action, scope, kind] = parts.as_slice() else { panic!("{word:?} is no word of the tables") };
        let (kind, bound) = kind.split_once('@').unwrap_or((kind, ""));
        let (kind, prefix) = kind.split_once('/').unwrap_or((kind, ""));
        let entry = Matched {
            id: EntryId(self.entries.len() as u64 + 1),
            action: if *action == "allow" { Action::Allow } else { Action::Block },
            kind: match kind {
                "address" => EntryKind::Address,
                "domain" => EntryKind::Domain,
                "net" => EntryKind::Network,
                "country" => EntryKind::Country,
                other => panic!("{other} is no kind"),
            },
            scope: match *scope {
                "mailbox" => Scope::Mailbox,
                "domain" => Scope::Domain,
                "tenant" => Scope::Tenant,
                "operator" => Scope::Operator,
                other => panic!("{other} is no scope"),
            },
            prefix: (!prefix.is_empty()).then(|| prefix.parse().unwrap()),
            bound: (!bound.is_empty()).then(|| bound.parse().unwrap()),
        };
        Held { entry, author: author.is_some(), expires }
    }

    /// What the index of lists would answer.
    fn matching(&self, wanted: impl Fn(&Held) -> bool) -> Vec<Matched> {
        let live = self.entries.iter().filter(|held| held.expires.is_none_or(|end| end > NOW));
        live.filter(|held| wanted(held)).map(|held| held.entry).collect()
    }

    fn of_senders(&self, author: bool) -> Vec<Matched> {
        let sender = |held: &Held| matches!(held.entry.kind, EntryKind::Address | EntryKind::Domain);
        self.matching(|held| sender(held) && held.author == author)
    }

    pub(super) fn at_rcpt(&self) -> Ruling {
        self.rcpt_with(at_rcpt)
    }

    fn rcpt_with<T>(&self, with: impl FnOnce(&RcptFacts<'_>) -> T) -> T {
        let sender_entries = self.of_senders(false);
        let client_entries = self.matching(|held| matches!(held.entry.kind, EntryKind::Network | EntryKind::Country));
        with(&RcptFacts {
            policy: &self.policy,
            sender: &self.sender,
            sender_entries: &sender_entries,
            client_entries: &client_entries,
            spf: &self.authentication.spf,
            client: Client {
                ip: self.ip,
                is_relay: self.is_relay,
                tls: self.tls,
                country: Country::parse("jp"),
                reverse: self.reverse.as_ref(),
                zones: &self.zones,
            },
            source: Source {
                reputation: Reputation { standing: self.standing, why: None },
                limit: self.limit,
                harvest: self.harvest,
                greylist: self.greylist,
            },
        })
    }

    /// As the flow does it: neutral facts first, then what [`needs`] says, one after the other.
    pub(super) fn at_rcpt_lazily(&self) -> Ruling {
        self.rcpt_with(|full| {
            let client = Client { reverse: None, zones: &[], ..full.client };
            let reputation = Reputation { standing: Standing::Unknown, why: None };
            let source = Source { reputation, greylist: Greylist::NotAsked, ..full.source };
            let mut facts = RcptFacts { spf: &[], client, source, ..*full };
            if needs(&facts).spf {
                facts.spf = full.spf;
            }
            if needs(&facts).zones {
                facts.client.zones = full.client.zones;
            }
            if needs(&facts).reputation {
                facts.source.reputation = full.source.reputation;
            }
            if needs(&facts).reverse {
                facts.client.reverse = full.client.reverse;
            }
            if needs(&facts).greylist {
                facts.source.greylist = full.source.greylist;
            }
            at_rcpt(&facts)
        })
    }

    pub(super) fn at_message(&self, provisional: Option<&Provisional>) -> Ruling {
        at_message(&MessageFacts {
            policy: &self.policy,
            sender: &self.sender,
            client: self.ip,
            is_relayed: self.is_relay,
            sender_entries: &self.of_senders(false),
            author_entries: &self.of_senders(true),
            authentication: &self.authentication,
            provisional,
        })
    }

    pub(super) fn run(&self, step: Step) -> String {
        match step {
            Step::Rcpt => said(&self.at_rcpt()),
            Step::Message => said(&self.at_message(None)),
            Step::Whole => self.whole(),
        }
    }

    pub(super) fn policy(&self) -> &SenderPolicy {
        &self.policy
    }

    /// The last ruling: that of RCPT if it refuses, otherwise that of end of data.
    pub(super) fn outcome(&self) -> Ruling {
        let first = self.at_rcpt();
        if first.is_accepted() { self.at_message(first.provisional.as_deref()) } else { first }
    }

    fn whole(&self) -> String {
        let recipient = Address::parse("hanako@acme.example").unwrap();
        let domain = rcpt::Domain::Tenants(self.recipient);
        let valid = rcpt::decide(&rcpt::Facts { direction: Direction::Inbound, recipient: &recipient, domain });
        if valid != Decision::Accept {
            return format!("rcpt: {} recipient", code(&valid));
        }
        let first = self.at_rcpt();
        if !first.is_accepted() {
            return format!("rcpt: {}", said(&first));
        }
        let last = self.at_message(first.provisional.as_deref());
        if !last.is_accepted() {
            return format!("data: {}", said(&last));
        }
        match self.scan(last.skips) {
            Some(check) => format!("scan: {check:?}"),
            None => format!("data: {}", said(&last)),
        }
    }

    /// Content checks, which come later: in order, as far as the ruling leaves them in.
    fn scan(&self, skips: Skips) -> Option<Check> {
        let found = |check: &Check| match check {
            Check::Malware => self.virus,
            Check::Spam => self.spam,
            _ => false,
        };
        let checks = [Check::Malware, Check::Attachment, Check::Spam, Check::Bulk, Check::Content];
        checks.into_iter().filter(|check| !skips.skips(*check)).find(found)
    }
}

fn zone(value: &str) -> ZoneAnswer {
    let answer = match value {
        "no" => Listed::No,
        "degraded" => Listed::Degraded { why: "127.255.255.254".into() },
        weight => Listed::Yes { reason: "spam".into(), weight: weight.parse().unwrap() },
    };
    ZoneAnswer { list: format!("list {value}").into(), answer }
}

fn reverse(value: &str) -> Option<Reverse> {
    match value.split_once(':').unwrap_or((value, "")) {
        ("not-asked", _) => None,
        ("missing", _) => Some(Reverse::Missing),
        ("temp", _) => Some(Reverse::TempError),
        ("invalid", name) => Some(Reverse::Mismatch(name.into())),
        (_, name) => Some(Reverse::Pass(name.into())),
    }
}

/// `KEY:missing,invalid`
fn row(value: &str) -> ReverseRow {
    let (sender, faults) = value.split_once(':').unwrap();
    let act = |fault| if faults.contains(fault) { ReverseAct::Reject } else { ReverseAct::Accept };
    ReverseRow { sender: ReverseKey::parse(sender).unwrap(), missing: act("missing"), invalid: act("invalid") }
}

/// `RESULT[@DOMAIN]`; without a domain, the sender's.
fn spf(value: &str, sender: &ReversePath) -> Spf {
    let own = sender.address().map_or("mx.partner.example", |sender| sender.domain().as_str());
    let (result, domain) = value.split_once('@').unwrap_or((value, own));
    let result = match result {
        "pass" => SpfResult::Pass,
        "fail" => SpfResult::Fail,
        "softfail" => SpfResult::SoftFail,
        "neutral" => SpfResult::Neutral,
        "temp" => SpfResult::TempError,
        "perm" => SpfResult::PermError,
        _ => SpfResult::None,
    };
    let identity = if *sender == ReversePath::Null { SpfIdentity::Helo } else { SpfIdentity::MailFrom };
    Spf { identity, result, domain: domain.into(), why: None }
}

fn dkim(value: &str) -> Dkim {
    let (result, domain) = value.split_once('@').unwrap_or((value, "partner.example"));
    let result = match result {
        "pass" => DkimResult::Pass,
        "temp" => DkimResult::TempError,
        "perm" => DkimResult::PermError,
        "neutral" => DkimResult::Neutral,
        _ => DkimResult::Fail,
    };
    Dkim { domain: domain.into(), selector: "s".into(), result, why: None }
}

/// `RESULT[/POLICY]`: with a policy, a record was had; `/unasked`: it was not asked for, by our own limit.
fn dmarc(value: &str) -> Dmarc {
    let (result, policy) = value.split_once('/').unwrap_or((value, "-"));
    Dmarc {
        record_at: (!matches!(policy, "-" | "unasked")).then(|| "partner.example".into()),
        result: match result {
            "pass" => DmarcResult::Pass,
            "fail" => DmarcResult::Fail,
            "temp" => DmarcResult::TempError,
            "perm" => DmarcResult::PermError,
            _ => DmarcResult::None,
        },
        policy: match policy {
            "reject" | "unasked" => DmarcPolicy::Reject,
            "quarantine" => DmarcPolicy::Quarantine,
            _ => DmarcPolicy::None,
        },
        ..Dmarc::default()
    }
}

fn arc(value: &str) -> Arc {
    let (result, sealers) = value.split_once('@').unwrap_or((value, ""));
    let result = match result {
        "pass" => ArcResult::Pass,
        "temp" => ArcResult::TempError,
        _ => ArcResult::Fail,
    };
    Arc { result, sealers: sealers.split(',').map(Into::into).collect(), why: None }
}

fn code(decision: &Decision) -> String {
    match decision {
        Decision::Accept => "250".into(),
        Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => {
            format!("{} {}", reply.code(), reply.enhanced().unwrap())
        }
    }
}

fn said(ruling: &Ruling) -> String {
    let mut text = format!("{} {}", code(&ruling.decision), name(&ruling.decided_by));
    if let Some(provisional) = &ruling.provisional {
        text.push_str(&format!("; else {} {}", code(&provisional.refusal), name(&provisional.rule)));
    }
    if ruling.skips == Skips::ALLOWED_SENDER {
        text.push_str("; skips");
    }
    for mark in ruling.marks() {
        text.push_str(&format!("; marked {}", name(mark)));
    }
    text
}

/// `#n`: the n-th entry of the row.
fn name(rule: &Rule) -> String {
    match rule {
        Rule::NothingAgainst => "nothing".into(),
        Rule::Contract => "contract".into(),
        Rule::Accounts => "accounts".into(),
        Rule::Recipient => "recipient".into(),
        Rule::Entry { id, .. } => format!("#{}", id.0),
        Rule::TrustedRelay => "relay".into(),
        Rule::TlsRequired { from } => format!("tls {from}"),
        Rule::KnownSource { list, .. } => list.to_string(),
        Rule::Reputation { .. } => "reputation".into(),
        Rule::ReverseName { row, fault } => format!("ptr {row} {fault:?}").to_lowercase(),
        Rule::Limit { of } => format!("limit {of:?}").to_lowercase(),
        Rule::Harvest => "harvest".into(),
        Rule::Greylist => "greylist".into(),
        Rule::From => "from".into(),
        Rule::ArcSealer { sealer } => format!("arc {sealer}"),
        Rule::Dmarc { .. } => "dmarc".into(),
        Rule::Spf { .. } => "spf".into(),
        Rule::Dkim => "dkim".into(),
    }
}
