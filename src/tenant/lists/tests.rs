//! The index against the long way, edits against compiling anew, shadows against what decides.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::sender::Country;
use crate::model::{Address, Domain, ReversePath, TenantId, Timestamp};

const NOW: Timestamp = Timestamp(1_795_176_451_250);

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

/// `operator`, `acme`, `acme/acme.example`, `acme/taro@acme.example`.
fn place(text: &str) -> Place {
    match text.split_once('/') {
        None if text == "operator" => Place::Operator,
        None => Place::Tenant(tenant(text)),
        Some((id, name)) if name.contains('@') => Place::mailbox(tenant(id), &Address::parse(name).unwrap()).unwrap(),
        Some((id, name)) => Place::Domain(tenant(id), Domain::parse(name).unwrap()),
    }
}

/// `acme allow x.example from 192.0.2.0/24`.
fn rule(text: &str) -> Rule {
    let words: Vec<&str> = text.split(' ').collect();
    let pattern = Pattern::parse(Pattern::guess(words[2]), words[2]).unwrap();
    let bound = words.get(4).map(|bound| Rule::read_bound(bound).unwrap());
    Rule::new(place(words[0]), Action::parse(words[1]).unwrap(), pattern, bound).unwrap()
}

fn entries(rules: &[&str]) -> Vec<Entry> {
    let numbered = (1..).zip(rules);
    numbered.map(|(id, text)| Entry { id: EntryId(id), rule: rule(text), expires: None }).collect()
}

#[derive(Debug)]
struct Asked {
    tenant: TenantId,
    mailbox: Address,
    sender: ReversePath,
    ip: IpAddr,
    country: Option<Country>,
}

impl Asked {
    /// To taro@acme.example.
    fn new(sender: &str, ip: &str) -> Self {
        Self {
            tenant: tenant("acme"),
            mailbox: Address::parse("taro@acme.example").unwrap(),
            sender: ReversePath::try_from(sender.to_owned()).unwrap(),
            ip: ip.parse().unwrap(),
            country: Country::parse("JP"),
        }
    }

    fn query(&self) -> Query<'_> {
        Query {
            tenant: &self.tenant,
            domain: self.mailbox.domain(),
            mailbox: &self.mailbox,
            sender: &self.sender,
            ip: self.ip,
            country: self.country,
            now: NOW,
        }
    }
}

fn ids(matched: &[crate::model::lists::Matched]) -> Vec<u64> {
    matched.iter().map(|one| one.id.0).collect()
}

#[test]
fn sender_entries_come_in_the_four_layers() {
    let all = entries(&[
        "operator allow x.example",
        "acme allow a@x.example",
        "acme/acme.example allow x.example",
        "acme/taro@acme.example allow x.example",
        "operator block x.example",
        "acme block x.example",
        "acme/acme.example block sub.x.example",
        "acme/taro@acme.example block a@sub.x.example",
        "acme/other@acme.example block x.example",
        "beta block x.example",
        "acme block y.example",
        "acme block ax.example",
    ]);
    let lists = Lists::compile(7, all.clone());
    assert_eq!((lists.version(), lists.len()), (7, 12));
    let asked = Asked::new("A@sub.x.example", "192.0.2.1");
    let found = lists.judge(&asked.query());
    assert_eq!(ids(&found.sender), [8, 7, 6, 5, 4, 3, 1]);
    assert!(found.ip.is_empty());
    assert_eq!(found, naive::judge(&all, &asked.query()));
    // Nothing matches the null sender.
    assert_eq!(lists.judge(&Asked::new("", "192.0.2.1").query()), Matches::default());
}

#[test]
fn client_entries_come_by_prefix_then_allow_then_scope() {
    let all = entries(&[
        "operator block 192.0.2.0/24",
        "acme allow 192.0.2.0/24",
        "operator block 192.0.2.1",
        "acme/acme.example block 192.0.2.1/32",
        "acme/taro@acme.example allow 0.0.0.0/0",
        "acme block JP",
        "operator allow JP",
        "acme block ::/0",
        "acme block 192.0.3.0/24",
    ]);
    let lists = Lists::compile(1, all.clone());
    for ip in ["192.0.2.1", "::ffff:192.0.2.1"] {
        let asked = Asked::new("a@x.example", ip);
        let found = lists.judge(&asked.query());
        assert_eq!(ids(&found.ip), [4, 3, 2, 1, 5, 7, 6]);
        assert_eq!(found, naive::judge(&all, &asked.query()));
    }
    let asked = Asked::new("a@x.example", "2001:db8::1");
    assert_eq!(ids(&lists.judge(&asked.query()).ip), [8, 7, 6]);
}

#[test]
fn an_allow_counts_by_authentication_or_by_its_network() {
    let lists = Lists::compile(
        1,
        entries(&["acme allow x.example from 192.0.2.0/24", "acme allow x.example", "operator allow x.example"]),
    );
    let found = lists.judge(&Asked::new("a@x.example", "198.51.100.1").query());
    let decision = |ip: &str, authenticated| {
        found.sender_decision(ip.parse().unwrap(), authenticated).map(|(one, shadowed)| (one.id.0, ids(shadowed)))
    };
    assert_eq!(decision("192.0.2.9", false), Some((1, vec![2, 3])));
    assert_eq!(decision("::ffff:192.0.2.9", false), Some((1, vec![2, 3])));
    assert_eq!(decision("198.51.100.1", true), Some((2, vec![3])));
    assert_eq!(decision("198.51.100.1", false), None);
}

#[test]
fn an_expired_entry_does_not_match() {
    let mut all = entries(&["acme block a@x.example", "acme block x.example", "acme block 192.0.2.1"]);
    let at = |seconds: u64| Some(Timestamp::from_millis(seconds * 1000));
    let now = NOW.as_millis() / 1000;
    (all[0].expires, all[1].expires, all[2].expires) = (at(now), at(now + 1), at(1));
    let found = Lists::compile(1, all).judge(&Asked::new("a@x.example", "192.0.2.1").query());
    assert_eq!((ids(&found.sender), ids(&found.ip)), (vec![2], vec![]));
}

#[test]
fn a_mailbox_with_detail_has_the_entries_of_both() {
    let lists = Lists::compile(
        1,
        entries(&["acme/taro@acme.example block x.example", "acme/taro+shop@acme.example block a@x.example"]),
    );
    let mut asked = Asked::new("a@x.example", "192.0.2.1");
    assert_eq!(ids(&lists.judge(&asked.query()).sender), [1]);
    asked.mailbox = Address::parse("Taro+Shop@acme.example").unwrap();
    assert_eq!(ids(&lists.judge(&asked.query()).sender), [2, 1]);
}

#[test]
fn an_edit_shares_what_it_does_not_touch() {
    let before =
        Lists::compile(1, entries(&["operator block x.example", "acme block x.example", "beta block x.example"]));
    let mut new = entries(&["acme allow y.example"]).remove(0);
    new.id = EntryId(9);
    let put = before.edited(2, &[ListChange::Put(new.clone())]);
    assert_eq!((put.blocks_not_shared_with(&before), put.len(), before.len()), (1, 4, 3));
    let gone = put.edited(3, &[ListChange::Remove(Some(tenant("acme")), EntryId(9))]);
    let asked = Asked::new("a@y.example", "192.0.2.1");
    assert_eq!(ids(&put.judge(&asked.query()).sender), [9]);
    assert!(gone.judge(&asked.query()).sender.is_empty());
    // What was put and removed in one step is gone, what was removed and put is there.
    let (put_it, remove_it) = (ListChange::Put(new.clone()), ListChange::Remove(Some(tenant("acme")), new.id));
    assert_eq!(before.edited(2, &[put_it.clone(), remove_it.clone()]).len(), 3);
    assert_eq!(before.edited(2, &[remove_it, put_it.clone(), put_it]).len(), 4);
    let all_gone = before.edited(4, &[ListChange::Remove(Some(tenant("beta")), EntryId(3))]);
    assert_eq!((all_gone.len(), all_gone.block(Some(&tenant("beta"))).is_none()), (2, true));
}

#[test]
fn shadows_are_told() {
    let all = entries(&[
        "operator block x.example",
        "acme allow a@x.example",
        "acme allow 192.0.2.0/24",
        "operator block 192.0.2.0/24",
        "acme block 192.0.2.0/24",
        "acme/taro@acme.example allow b@y.example",
        "acme/acme.example block y.example",
        "acme allow z.example from 192.0.2.0/24",
        "acme allow z.example from 192.0.2.128/25",
        "acme/acme.example allow 192.0.2.0/25",
        "operator allow JP",
        "acme block JP",
        "beta allow y.example",
    ]);
    let lists = Lists::compile(1, all.clone());
    let shadows: Vec<_> = all.iter().filter_map(|one| Some((one.id.0, lists.shadow_of(one, NOW)?.0))).collect();
    assert_eq!(shadows, [(2, 1), (5, 3), (6, 7), (9, 8), (12, 11)]);
}

#[test]
fn values_are_read_and_refused() {
    let reads = |kind, text: &str| Pattern::parse(kind, text).map(|pattern| pattern.to_string());
    assert_eq!(reads(EntryKind::Address, "Taro@X.Example").unwrap(), "taro@x.example");
    assert_eq!(reads(EntryKind::Address, "\"A b\"@x.example").unwrap(), "\"a b\"@x.example");
    assert_eq!(reads(EntryKind::Domain, "@日本.example").unwrap(), "xn--wgv71a.example");
    assert_eq!(reads(EntryKind::Network, "::ffff:192.0.2.1").unwrap(), "192.0.2.1/32");
    assert_eq!(reads(EntryKind::Country, "jp").unwrap(), "JP");
    for (kind, text) in [
        (EntryKind::Domain, "*.x.example"),
        (EntryKind::Domain, ""),
        (EntryKind::Address, "x.example"),
        (EntryKind::Network, "192.0.2.1/24"),
        (EntryKind::Network, "::ffff:192.0.2.0/120"),
        (EntryKind::Country, "JPN"),
    ] {
        assert!(reads(kind, text).is_err(), "{text}");
    }
    let guesses = ["a@b.example", "b.example", "@b.example", "192.0.2.0/24", "::1", "jp"].map(Pattern::guess);
    assert_eq!(guesses.map(EntryKind::as_str), ["address", "domain", "domain", "network", "network", "country"]);
    let bound = Some(Rule::read_bound("192.0.2.0/24").unwrap());
    let block = Rule::new(Place::Operator, Action::Block, rule("acme allow x.example").pattern, bound);
    assert_eq!(block, Err(EntryError::Bound));
    let broad = |text: &str| Pattern::parse(Pattern::guess(text), text).unwrap().broad();
    assert_eq!(
        ["co.jp", "x.co.jp", "0.0.0.0/0", "10.0.0.0/8"].map(broad).map(|one| one.is_some()),
        [true, false, true, false]
    );
}

const PLACES: &[&str] = &[
    "operator",
    "acme",
    "beta",
    "acme/acme.example",
    "acme/other.example",
    "acme/taro@acme.example",
    "acme/jiro@acme.example",
    "acme/taro+x@acme.example",
    "beta/taro@beta.example",
];
const VALUES: &[&str] = &[
    "a@x.example",
    "b@x.example",
    "a@sub.x.example",
    "\"a b\"@x.example",
    "x.example",
    "sub.x.example",
    "example",
    "a.b.c.d.e.f.example",
    "e.f.example",
    "ax.example",
    "a@[192.0.2.1]",
    "[192.0.2.1]",
    "0.0.0.0/0",
    "192.0.2.0/24",
    "192.0.2.1",
    "192.0.2.0/31",
    "198.51.100.0/22",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1",
    "2001:db8::/121",
    "JP",
    "US",
];
const BOUNDS: &[&str] = &["192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32"];

fn any_entry() -> impl Strategy<Value = (Rule, Option<Timestamp>)> {
    let parts = (
        prop::sample::select(PLACES),
        any::<bool>(),
        prop::sample::select(VALUES),
        prop::option::weighted(0.2, prop::sample::select(BOUNDS)),
        prop::option::weighted(0.2, 0u64..3),
    );
    parts.prop_map(|(at, allow, value, bound, expires)| {
        let action = if allow { Action::Allow } else { Action::Block };
        let pattern = Pattern::parse(Pattern::guess(value), value).unwrap();
        let of_sender = matches!(pattern.kind(), EntryKind::Address | EntryKind::Domain);
        let bound = bound.filter(|_| allow && of_sender).map(|bound| Rule::read_bound(bound).unwrap());
        // A second before now, the next second, the one after.
        let expires = expires.map(|second| Timestamp::from_millis((NOW.as_millis() / 1000 + second) * 1000));
        (Rule::new(place(at), action, pattern, bound).unwrap(), expires)
    })
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let senders = &[
        "",
        "a@x.example",
        "A@X.example",
        "b@x.example",
        "a@sub.x.example",
        "c@deep.sub.x.example",
        "\"a b\"@x.example",
        "z@a.b.c.d.e.f.example",
        "a@[192.0.2.1]",
        "a@ax.example",
        "a@example",
    ][..];
    let ips =
        &["192.0.2.1", "192.0.2.200", "198.51.100.7", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::80", "::1"][..];
    let mailboxes = &[
        "acme/taro@acme.example",
        "acme/TARO+x@acme.example",
        "acme/taro+y@acme.example",
        "acme/jiro@acme.example",
        "acme/a@other.example",
        "beta/taro@beta.example",
        "gamma/taro@acme.example",
    ][..];
    let parts = (
        prop::sample::select(senders),
        prop::sample::select(ips),
        prop::sample::select(mailboxes),
        prop::option::of(prop::sample::select(&["JP", "US", "DE"][..])),
    );
    parts.prop_map(|(sender, ip, mailbox, country)| {
        let (id, mailbox) = mailbox.split_once('/').unwrap();
        Asked {
            tenant: tenant(id),
            mailbox: Address::parse(mailbox).unwrap(),
            country: country.and_then(Country::parse),
            ..Asked::new(sender, ip)
        }
    })
}

proptest! {
    #[test]
    fn the_index_answers_as_the_long_way(
        rules in prop::collection::vec(any_entry(), 0..150),
        asked in prop::collection::vec(any_asked(), 1..20),
    ) {
        let numbered = (1..).zip(rules);
        let all: Vec<Entry> = numbered.map(|(id, (rule, expires))| Entry { id: EntryId(id), rule, expires }).collect();
        let lists = Lists::compile(1, all.clone());
        for asked in &asked {
            prop_assert_eq!(lists.judge(&asked.query()), naive::judge(&all, &asked.query()));
        }
    }

    #[test]
    fn edits_lead_where_compiling_anew_does(
        steps in prop::collection::vec(prop::collection::vec((1u64..40, prop::option::of(any_entry())), 0..12), 1..8),
        asked in any_asked(),
    ) {
        let mut now: std::collections::BTreeMap<u64, Entry> = std::collections::BTreeMap::new();
        let mut lists = Lists::empty();
        for (version, step) in (1..).zip(steps) {
            let mut changes = Vec::new();
            for (id, new) in step {
                // An id never changes hands: its tenant stays.
                let held = now.get(&id).map(|entry| entry.rule.place.tenant().cloned());
                match new {
                    Some((rule, expires)) if held.as_ref().is_none_or(|tenant| tenant.as_ref() == rule.place.tenant()) => {
                        let entry = Entry { id: EntryId(id), rule, expires };
                        changes.push(ListChange::Put(entry.clone()));
                        now.insert(id, entry);
                    }
                    None if held.is_some() => {
                        changes.push(ListChange::Remove(held.flatten(), EntryId(id)));
                        now.remove(&id);
                    }
                    _ => {}
                }
            }
            lists = lists.edited(version, &changes);
            let all: Vec<Entry> = now.values().cloned().collect();
            prop_assert_eq!(lists.len(), all.len());
            prop_assert_eq!(lists.judge(&asked.query()), naive::judge(&all, &asked.query()));
        }
    }

    /// Whatever is called shadowed never decides, whether or not the sender is authenticated.
    #[test]
    fn a_shadowed_entry_never_decides(
        rules in prop::collection::vec(any_entry(), 2..30),
        asked in prop::collection::vec(any_asked(), 1..20),
    ) {
        let numbered = (1..).zip(rules);
        let all: Vec<Entry> = numbered.map(|(id, (rule, expires))| Entry { id: EntryId(id), rule, expires }).collect();
        let lists = Lists::compile(1, all.clone());
        for asked in &asked {
            let found = lists.judge(&asked.query());
            let deciding = [false, true].map(|known| found.sender_decision(asked.ip, known).map(|(one, _)| one.id));
            let deciding = deciding.into_iter().chain([found.ip_decision().map(|(one, _)| one.id)]).flatten();
            for id in deciding {
                let entry = all.iter().find(|entry| entry.id == id).unwrap();
                prop_assert_eq!(lists.shadow_of(entry, NOW), None, "{} decided", entry.rule);
            }
        }
    }
}

#[test]
fn a_thousand_entries_of_one_value_are_found_apart() {
    let all: Vec<Entry> = (1..=1_000u64)
        .map(|id| Entry {
            id: EntryId(id),
            rule: rule(&format!("acme/user{id}@acme.example block x.example")),
            expires: None,
        })
        .collect();
    let lists = Lists::compile(1, all);
    let mut asked = Asked::new("a@x.example", "192.0.2.1");
    asked.mailbox = Address::parse("user77@acme.example").unwrap();
    let found = lists.judge(&asked.query());
    assert_eq!(ids(&found.sender), [77]);
    assert_eq!(found.sender[0].scope, Scope::Mailbox);
}
