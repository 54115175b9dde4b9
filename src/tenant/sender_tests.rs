//! What a sender table may say, what becomes of it, and what is told of one that is wrong.

use super::*;
use crate::tenant::{Tenant, TenantSpec, differences, read};

const DOMAIN: &str = "[[tenant.domain]]\nname = 'a.example'\nnext_hops = ['h']\n";

fn spec(text: &str) -> TenantSpec {
    read("t.toml", &format!("[[tenant]]\nid = 'a'\n{text}")).unwrap().remove(0)
}

fn policy(text: &str) -> SenderPolicy {
    Tenant::compile(spec(text)).domains[0].sender_policy().clone()
}

fn problems(text: &str) -> Vec<String> {
    let Err(problems) = read("t.toml", &format!("[[tenant]]\nid = 'a'\n{text}")) else { return Vec::new() };
    problems.0.iter().map(|problem| problem.to_string().replace("t.toml:", "")).collect()
}

const FULL: &str = r#"
[tenant.sender]
reputation = 4
known_sources = false
greylisting = false
tls_required_from = ["*", "Bank.example", "192.0.2.0/24", "2001:db8::1"]
trusted_sealers = ["list.example"]
reverse_blocked = ["*.dyn.isp.example"]
[[tenant.sender.reverse]]
sender = "default"
missing = "reject"
[[tenant.sender.reverse]]
sender = "empty"
[[tenant.sender.reverse]]
sender = "partner.example"
invalid = "reject"
[tenant.sender.authentication]
spf_fail = "reject"
dmarc_none = "mark"
"#;

#[test]
fn every_key_reaches_the_policy() {
    let policy = policy(&format!("{FULL}{DOMAIN}"));
    assert_eq!((policy.level, policy.known_sources, policy.greylisting), (Level::STRICTEST, false, false));
    let from: Vec<String> = policy.tls_required_from.iter().map(ToString::to_string).collect();
    assert_eq!(from, ["*", "bank.example", "192.0.2.0/24", "2001:db8::1/128"]);
    assert_eq!(policy.trusted_sealers[0].as_str(), "list.example");
    assert_eq!(policy.reverse.blocks("h1.DYN.isp.example.").map(Domain::as_str), Some("dyn.isp.example"));
    let row = |sender: &str| {
        let sender = ReversePath::try_from(sender.to_owned()).unwrap();
        policy.reverse.row(&sender).map(|row| (row.sender.to_string(), row.missing, row.invalid)).unwrap()
    };
    use ReverseAct::{Accept, Reject};
    assert_eq!(row("x@a.partner.example"), ("partner.example".into(), Accept, Reject));
    assert_eq!(row("x@partner.example.org"), ("default".into(), Reject, Accept));
    assert_eq!(row(""), ("empty".into(), Accept, Accept));
    let expected =
        AuthenticationActions { spf_fail: Act::Reject, dmarc_none: Act::Mark, ..AuthenticationActions::default() };
    assert_eq!(policy.authentication, expected);
}

#[test]
fn a_domain_overrides_its_tenant_key_by_key() {
    let text = format!(
        "{FULL}{DOMAIN}[tenant.domain.sender]\nreputation = 1\nreverse = []\n\
         [tenant.domain.sender.authentication]\nspf_fail = 'accept'\n"
    );
    let policy = policy(&text);
    assert_eq!((policy.level.get(), policy.greylisting), (1, false));
    assert!(policy.reverse.row(&ReversePath::Null).is_none(), "a list stands in the place of the tenant's");
    assert!(policy.reverse.blocks("dyn.isp.example").is_some(), "a key that is not named is the tenant's");
    assert_eq!((policy.authentication.spf_fail, policy.authentication.dmarc_none), (Act::Accept, Act::Mark));
}

/// 100,000 tenants without a word about senders hold nothing for it; one with a word holds it once for all its domains.
#[test]
fn policies_are_held_once() {
    let two = format!("{DOMAIN}[[tenant.domain]]\nname = 'b.example'\nnext_hops = ['h']\n");
    let plain = Tenant::compile(spec(&two));
    assert!(plain.domains.iter().all(|domain| domain.sender.is_none()));
    assert!(std::ptr::eq(plain.domains[0].sender_policy(), SenderPolicy::default_ref()));
    let own = Tenant::compile(spec(&format!("[tenant.sender]\nreputation = 3\n{two}")));
    assert!(Arc::ptr_eq(own.domains[0].sender.as_ref().unwrap(), own.domains[1].sender.as_ref().unwrap()));
    assert_eq!(size_of::<Option<Arc<SenderPolicy>>>(), size_of::<usize>());
    let json = serde_json::to_string(&spec(&two)).unwrap();
    assert!(!json.contains("sender"), "{json}");
}

#[test]
fn the_stored_form_reads_back() {
    let full = spec(&format!("{FULL}{DOMAIN}[tenant.domain.sender]\ngreylisting = true\n"));
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<TenantSpec>(&json).unwrap(), full);
    assert!(json.contains(r#""authentication":{"spf_fail":"reject","dmarc_none":"mark"}"#), "{json}");
}

#[test]
fn all_problems_are_told_with_their_lines() {
    let text = r#"[tenant.sender]
reputation = 5
known_sources = "yes"
greylistng = true
tls_required_from = ["*", "a b", 7, "192.0.2.1/24", "*"]
trusted_sealers = "list.example"
[[tenant.sender.reverse]]
missing = "rejct"
[[tenant.sender.reverse]]
sender = "x.example"
[[tenant.sender.reverse]]
sender = "X.example"
invald = "reject"
[tenant.sender.authentication]
spf_fial = "reject"
dmarc_reject = "quarantine"
[[tenant.domain]]
name = "a.example"
next_hops = ["h"]
[tenant.domain.sender]
reputation = "high"
authentication = 3
reverse = [1]
"#;
    let told = problems(text);
    for expected in [
        "4: reputation of [tenant.sender]: 5 is not within 0 to 4",
        "5: known_sources of [tenant.sender]: a text was written where true or false belongs",
        "6: unknown key \"greylistng\" in [tenant.sender]; did you mean \"greylisting\"?",
        "7: tls_required_from of [tenant.sender]: \"a b\" is neither a domain nor a network nor \"*\"",
        "7: tls_required_from of [tenant.sender]: an integer was written where a text belongs",
        "7: tls_required_from of [tenant.sender]: 192.0.2.1/24 has bits behind its prefix; write 192.0.2.0/24",
        "7: tls_required_from of [tenant.sender]: \"*\" stands here twice",
        "8: trusted_sealers of [tenant.sender]: a text was written where a list belongs",
        "9: [[tenant.sender.reverse]] has no sender",
        "10: missing of [[tenant.sender.reverse]]: \"rejct\" is none of accept, reject; did you mean \"reject\"?",
        "14: sender of [[tenant.sender.reverse]]: a second row for x.example",
        "15: unknown key \"invald\" in [[tenant.sender.reverse]]; did you mean \"invalid\"?",
        "17: unknown key \"spf_fial\" in [tenant.sender.authentication]; did you mean \"spf_fail\"?",
        "18: dmarc_reject of [tenant.sender.authentication]: \"quarantine\" is none of accept, mark, defer, reject",
        "23: reputation of [tenant.domain.sender]: a text was written where an integer belongs",
        "24: authentication of [tenant.domain.sender]: an integer was written where a table belongs",
        "25: reverse of [tenant.domain.sender]: an integer was written where a table belongs",
    ] {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected:?} is not among {told:#?}");
    }
}

#[test]
fn long_lists_are_refused() {
    let names: Vec<String> = (0..=MAX_LIST).map(|n| format!("'d{n}.example'")).collect();
    let told = problems(&format!("[tenant.sender]\ntrusted_sealers = [{}]\n", names.join(", ")));
    assert_eq!(told, ["3: trusted_sealers of [tenant.sender]: 1001 elements; at most 1000 may stand here"]);
    let rows: Vec<String> = (0..=MAX_LIST).map(|n| format!("{{sender = 'd{n}.example'}}")).collect();
    let told = problems(&format!("[tenant.sender]\nreverse = [{}]\n", rows.join(", ")));
    assert_eq!(told, ["3: reverse of [tenant.sender]: 1001 rows; at most 1000 may stand here"]);
}

#[test]
fn differences_name_the_key() {
    let (old, new) = (spec(DOMAIN), spec(&format!("[tenant.sender]\nreputation = 3\n{DOMAIN}")));
    assert_eq!(differences(&old, &new), ["sender: null -> {\"reputation\":3}"]);
    let newer = spec(&format!(
        "[tenant.sender]\nreputation = 4\ntrusted_sealers = ['x.example']\n{DOMAIN}[tenant.domain.sender]\ngreylisting = false\n"
    ));
    assert_eq!(
        differences(&new, &newer),
        [
            "domains[a.example].sender: null -> {\"greylisting\":false}",
            "sender.reputation: 3 -> 4",
            "sender.trusted_sealers: null -> [\"x.example\"]",
        ]
    );
}

/// What the manual says of the keys is what they do.
#[test]
fn the_manual_has_every_key_with_its_default() {
    let manual = include_str!("../manual/sender.rs");
    let defaults = serde_json::to_value(AuthenticationSpec {
        from_invalid: Some(AuthenticationActions::default().from_invalid),
        spf_fail: Some(AuthenticationActions::default().spf_fail),
        spf_softfail: Some(AuthenticationActions::default().spf_softfail),
        spf_temperror: Some(AuthenticationActions::default().spf_temperror),
        spf_permerror: Some(AuthenticationActions::default().spf_permerror),
        dkim_fail: Some(AuthenticationActions::default().dkim_fail),
        dmarc_reject: Some(AuthenticationActions::default().dmarc_reject),
        dmarc_quarantine: Some(AuthenticationActions::default().dmarc_quarantine),
        dmarc_none: Some(AuthenticationActions::default().dmarc_none),
        dmarc_temperror: Some(AuthenticationActions::default().dmarc_temperror),
        dmarc_permerror: Some(AuthenticationActions::default().dmarc_permerror),
        null_sender: Some(AuthenticationActions::default().null_sender),
    });
    for (key, act) in defaults.unwrap().as_object().unwrap() {
        let row = format!("| `{key}` | `{}` |", act.as_str().unwrap());
        assert!(manual.contains(&row), "{row} is not in manual::sender");
    }
    let example = include_str!("../../config/tenants.example.toml");
    for key in AuthenticationSpec::KEYS {
        assert!(example.contains(&format!("\n{key} = ")), "{key} is not in tenants.example.toml");
    }
}
