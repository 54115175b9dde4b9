//! The golden JSON of `explanation/v1`, and that every rule has its words.

use super::*;
use crate::model::authentication::{Authentication, Dkim, DkimResult, Dmarc, Spf};
use crate::model::authentication::{DmarcPolicy, DmarcResult, SpfIdentity, SpfResult};
use crate::model::explanation::{Asked, ClientSeen, Explanation, Versions};
use crate::model::lists::{Action, EntryId, EntryKind, Matched, Scope};
use crate::model::rule::{LimitOf, ReverseFault};
use crate::model::sender::{Country, Level, Listed, Reverse, Standing, ZoneAnswer};
use crate::model::{Domain, ReversePath, TenantId, Timestamp};
use crate::policy::sender::{
    Client, Greylist, Harvest, MessageFacts, RcptFacts, Reputation, Source, Tls, at_message, at_rcpt,
};
use crate::tenant::SenderPolicy;

/// A sender that is allowed, spoofed, and sent from a known source: RCPT takes it for now, end of data refuses.
fn spoofed() -> Explanation {
    let allow = Matched {
        id: EntryId(12),
        action: Action::Allow,
        kind: EntryKind::Domain,
        scope: Scope::Tenant,
        prefix: None,
        bound: None,
    };
    let sender = ReversePath::try_from("anna@partner.example".to_owned()).unwrap();
    let recipient = Address::parse("hanako@acme.example").unwrap();
    let reverse = Reverse::Missing;
    let zones = [
        ZoneAnswer { list: "zen".into(), answer: Listed::Yes { reason: "SBL".into(), weight: 10 } },
        ZoneAnswer { list: "other".into(), answer: Listed::Degraded { why: "127.255.255.254".into() } },
    ];
    let why = Some("fail: -all".into());
    let (identity, domain) = (SpfIdentity::MailFrom, "partner.example".into());
    let authentication = Authentication {
        from: Domain::parse("partner.example").ok(),
        spf: vec![Spf { identity, result: SpfResult::Fail, domain, why }],
        dkim: vec![Dkim { domain: "evil.test".into(), selector: "s1".into(), result: DkimResult::Pass, why: None }],
        dmarc: Dmarc { result: DmarcResult::Fail, policy: DmarcPolicy::Reject, ..Dmarc::default() },
        ..Authentication::default()
    };
    let country = Country::parse("jp");
    let ip = [192, 0, 2, 10].into();
    let facts = RcptFacts {
        policy: SenderPolicy::default_ref(),
        sender: &sender,
        sender_entries: &[allow],
        client_entries: &[],
        spf: &authentication.spf,
        client: Client { ip, is_relay: false, tls: Tls::Encrypted, country, reverse: Some(&reverse), zones: &zones },
        source: Source {
            reputation: Reputation { standing: Standing::Good, why: None },
            limit: None,
            harvest: Harvest::Clear,
            greylist: Greylist::NotAsked,
        },
    };
    let first = at_rcpt(&facts);
    let last = at_message(&MessageFacts {
        policy: facts.policy,
        sender: &sender,
        client: ip,
        is_relayed: false,
        sender_entries: &[allow],
        author_entries: &[],
        authentication: &authentication,
        provisional: first.provisional.as_deref(),
    });
    let tls = Some("TLSv1.3".into());
    let client = ClientSeen { ip, helo: "mx.evil.test".into(), tls, country, reverse: Some(reverse) };
    let versions = Versions { program: "0.1.0".into(), snapshot: 17, lists: Some(42) };
    let at = Timestamp(1_795_176_451_250);
    let mut explanation = Explanation::new(at, versions, client, sender.clone());
    explanation.message = "01h2xcejqtf2nbrexx3vqjhp41".parse().ok();
    explanation.tenant = TenantId::parse("acme").ok();
    explanation.ask(Asked::new("partner.example", "TXT", "v=spf1 ip4:198.51.100.0/24 -all"));
    explanation.ask(Asked::new("_dmarc.partner.example", "TXT", "v=DMARC1; p=reject"));
    explanation.ask(Asked::new("s1._domainkey.evil.test", "TXT", "no such name"));
    explanation.ask(Asked::new("10.2.0.192.in-addr.arpa", "PTR", "time-out"));
    explanation.listed(&zones);
    explanation.authenticated(&authentication);
    explanation.judge(judgement(Moment::Rcpt, Some(&recipient), &first));
    explanation.judge(judgement(Moment::Message, None, &last));
    explanation
}

/// The form others rely on. A change here must only add.
#[test]
fn the_json_form_is_golden() {
    let explanation = spoofed();
    let written = format!("{}\n", serde_json::to_string_pretty(&explanation).unwrap());
    assert_eq!(written, include_str!("golden.json"), "{written}");
    assert_eq!(serde_json::from_str::<Explanation>(&written).unwrap(), explanation);
    assert_eq!(explanation.to_json(), serde_json::to_string(&explanation).unwrap());
}

#[test]
fn the_texts_are_golden() {
    let explanation = spoofed();
    let (english, japanese) = (text(&explanation, Language::English), text(&explanation, Language::Japanese));
    let both = format!("{english}\n{japanese}");
    assert_eq!(both, include_str!("golden.txt"), "{both}");
}

/// The page that describes the form names every member that the golden file has.
#[test]
fn the_manual_names_every_member() {
    fn keys(value: &serde_json::Value, into: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| {
                into.insert(key.clone());
                keys(inner, into);
            }),
            serde_json::Value::Array(list) => list.iter().for_each(|inner| keys(inner, into)),
            _ => {}
        }
    }
    let manual = include_str!("../../manual/explanation.rs");
    let mut all = std::collections::BTreeSet::new();
    let explanation = Explanation { authentication: None, ..spoofed() };
    keys(&serde_json::to_value(explanation).unwrap(), &mut all);
    let missing: Vec<_> = all.iter().filter(|key| !manual.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in manual::explanation: {missing:?}");
}

fn every_rule() -> Vec<Rule> {
    let mut rules = vec![
        Rule::NothingAgainst,
        Rule::Recipient,
        Rule::Contract,
        Rule::Accounts,
        Rule::TrustedRelay,
        Rule::TlsRequired { from: "*".into() },
        Rule::TlsRequired { from: "bank.example".into() },
        Rule::KnownSource { list: "zen".into(), reason: "SBL".into(), weight: 10 },
        Rule::Harvest,
        Rule::Greylist,
        Rule::From,
        Rule::ArcSealer { sealer: "list.example".into() },
        Rule::Dkim,
    ];
    for kind in [EntryKind::Address, EntryKind::Domain, EntryKind::Network, EntryKind::Country] {
        for scope in [Scope::Operator, Scope::Tenant, Scope::Domain, Scope::Mailbox] {
            for action in [Action::Allow, Action::Block] {
                let (prefix, country) = (Some(24), Country::parse("jp"));
                rules.push(Rule::Entry { id: EntryId(1), action, kind, scope, prefix, country });
            }
        }
    }
    for standing in [Standing::Good, Standing::Unknown, Standing::Delayed, Standing::Refused] {
        rules.push(Rule::Reputation { level: Level::STRICTEST, standing, why: None });
    }
    for fault in [ReverseFault::Missing, ReverseFault::Invalid, ReverseFault::Blocked, ReverseFault::Unavailable] {
        rules.push(Rule::ReverseName { row: "default".into(), fault });
    }
    for of in [LimitOf::Client, LimitOf::Sender, LimitOf::Recipient] {
        rules.push(Rule::Limit { of });
    }
    let results =
        [DmarcResult::None, DmarcResult::Pass, DmarcResult::Fail, DmarcResult::TempError, DmarcResult::PermError];
    rules.extend(results.map(|result| Rule::Dmarc { result, policy: DmarcPolicy::Reject }));
    for result in [SpfResult::Fail, SpfResult::SoftFail, SpfResult::Pass, SpfResult::TempError, SpfResult::PermError] {
        rules.push(Rule::Spf { result, identity: SpfIdentity::MailFrom });
    }
    rules
}

/// Each rule has words of its own in both languages, and a JSON form that reads back.
#[test]
fn every_rule_has_its_words() {
    for language in [Language::English, Language::Japanese] {
        let mut seen = std::collections::HashSet::new();
        for known in every_rule() {
            let said = rule(&known, language);
            assert!(!said.is_empty() && !said.ends_with(['.', '。']), "{said}");
            assert!(seen.insert(said.clone()), "{known:?} says the same as another rule: {said}");
            assert_eq!(said.is_ascii(), language == Language::English, "{said}");
        }
    }
    for known in every_rule() {
        let json = serde_json::to_string(&known).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), known, "{json}");
    }
}

#[test]
fn a_sentence_says_what_was_done_and_why() {
    let rule = Rule::Dmarc { result: DmarcResult::Fail, policy: DmarcPolicy::Reject };
    let said = summary(Answer::Reject, &rule, None);
    assert_eq!(&*said.en, "Refused: DMARC fails and the author's domain asks for p=reject.");
    assert_eq!(&*said.ja, "拒否しました：DMARCに不合格で、作成者のドメインは p=reject を求めています。");
}
