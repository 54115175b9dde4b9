//! Several recipients in one transaction, and what holds for any facts.

use proptest::prelude::*;

use super::words::Scene;
use crate::model::rule::Skips;
use crate::policy::sender::*;
use crate::tenant::SenderPolicy;

fn same(one: &str, other: &str) -> bool {
    let (one, other) = (Scene::read(one), Scene::read(other));
    same_fate((one.policy(), &one.at_rcpt()), (other.policy(), &other.at_rcpt()))
}

#[test]
fn recipients_share_a_fate_or_come_separately() {
    for (one, other, expected) in [
        ("", "", true),
        ("", "level=4 greylist-off", true),
        ("", "allow:tenant:domain spf=pass", false),
        ("", "act=dmarc_reject:accept", false),
        ("", "sealer=list.example", false),
        ("", "allow:tenant:domain delayed", false),
        ("allow:tenant:domain delayed", "allow:tenant:domain delayed", true),
        ("allow:mailbox:address delayed", "allow:tenant:domain delayed", true),
        ("allow:tenant:domain delayed", "allow:tenant:domain zone=+10", false),
        ("allow:tenant:domain delayed", "allow:tenant:domain spf=pass delayed", false),
        ("allow:tenant:domain delayed", "allow:tenant:net/24 delayed", false),
    ] {
        assert_eq!(same(one, other), expected, "{one:?} and {other:?}");
        assert_eq!(same(other, one), expected, "{other:?} and {one:?}");
    }
    let policy = SenderPolicy::default();
    let ruling = Scene::read("").at_rcpt();
    assert!(same_fate((&policy, &ruling), (SenderPolicy::default_ref(), &ruling)), "equal policies, held twice");
}

#[test]
fn one_answer_for_all() {
    let ruling = |facts: &str| Scene::read(facts).at_message(None);
    let (takes, blocks) = (ruling(""), ruling("author:block:mailbox:address"));
    let waits = ruling("dmarc=temp/reject");
    let fails = ruling("dmarc=fail/reject");
    for (rulings, expected) in [
        (vec![], Together::Accept),
        (vec![&takes, &takes], Together::Accept),
        (vec![&blocks, &blocks], Together::Refuse(0)),
        (vec![&takes, &blocks], Together::Split),
        (vec![&blocks, &takes], Together::Split),
        (vec![&takes, &waits], Together::Refuse(1)),
        (vec![&blocks, &waits, &takes], Together::Refuse(1)),
        (vec![&takes, &fails], Together::Refuse(1)),
        (vec![&takes, &blocks, &fails], Together::Refuse(2)),
    ] {
        let rulings: Vec<Ruling> = rulings.into_iter().cloned().collect();
        assert_eq!(together(&rulings), expected);
    }
}

/// Words that speak neither of lists nor of authentication.
fn objections() -> impl Strategy<Value = Vec<&'static str>> {
    let words = [
        "plain",
        "tls-from=*",
        "zone=+10",
        "zone=-20",
        "zone=degraded",
        "zones-off",
        "delayed",
        "refused",
        "level=0",
        "level=4",
        "ptr=missing",
        "ptr=temp",
        "ptr-row=default:missing",
        "limit=client",
        "harvest",
        "wait",
        "block:tenant:net/24",
        "allow:tenant:net/16",
        "allow:operator:country",
        "block:operator:country",
        "dmarc=fail/reject",
        "dmarc=fail/quarantine",
        "from=-",
        "dkim=fail",
        "dkim=pass@evil.test",
    ];
    proptest::sample::subsequence(words.to_vec(), 0..8)
}

fn sender_entries() -> impl Strategy<Value = Vec<String>> {
    let scope = prop_oneof![Just("mailbox"), Just("domain"), Just("tenant"), Just("operator")];
    let kind = prop_oneof![Just("address"), Just("domain")];
    proptest::collection::vec((scope, kind).prop_map(|(scope, kind)| format!("{scope}:{kind}")), 1..4)
}

proptest! {
    /// What the bar asks for: to a sender that is not authenticated, allow entries give nothing.
    #[test]
    fn an_allow_entry_does_nothing_for_a_spoofer(words in objections(), entries in sender_entries(), fails in any::<bool>()) {
        let spf = if fails { "spf=fail" } else { "spf=neutral" };
        let without = format!("{} {spf}", words.join(" "));
        let allows: String = entries.iter().map(|entry| format!(" allow:{entry}")).collect();
        let with = Scene::read(&format!("{without}{allows}"));
        let without = Scene::read(&without);
        let (plain, allowed) = (without.outcome(), with.outcome());
        prop_assert_eq!(plain.is_accepted(), allowed.is_accepted(), "{:?} {:?}", plain, allowed);
        prop_assert_eq!(allowed.skips, Skips::NONE);
    }

    /// A block for the sender refuses, whatever else speaks for the mail.
    #[test]
    fn a_block_is_a_block(words in objections(), entries in sender_entries(), blocked in "(mailbox|tenant|operator):(address|domain)") {
        let allows: String = entries.iter().map(|entry| format!(" allow:{entry}@192.0.2.0/24")).collect();
        let ruling = Scene::read(&format!("{} spf=pass dkim=pass{allows} block:{blocked}", words.join(" "))).at_rcpt();
        prop_assert!(matches!(ruling.decision, crate::model::Decision::Reject(_)), "{:?}", ruling);
        prop_assert!(ruling.provisional.is_none());
    }

    /// An authenticated sender on an allow list meets TLS rules, limits and what its own domain asks for; nothing else.
    #[test]
    fn an_allow_entry_lifts_what_it_may(words in objections(), entries in sender_entries()) {
        let allows: String = entries.iter().map(|entry| format!(" allow:{entry}")).collect();
        let scene = Scene::read(&format!("{} spf=pass{allows}", words.join(" ")));
        let ruling = scene.at_rcpt();
        let stopped = words.contains(&"limit=client") || words.contains(&"harvest")
            || (words.contains(&"plain") && words.contains(&"tls-from=*"));
        prop_assert_eq!(ruling.is_accepted(), !stopped, "{:?}", ruling);
    }
}
