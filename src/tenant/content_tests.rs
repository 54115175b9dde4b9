//! What a content table may say, what becomes of it, and what is told of one that is wrong.

use super::*;
use crate::tenant::{Tenant, TenantSpec, differences, read};

const DOMAIN: &str = "[[tenant.domain]]\nname = 'a.example'\nnext_hops = ['h']\n";

fn spec(text: &str) -> TenantSpec {
    read("t.toml", &format!("[[tenant]]\nid = 'a'\n{text}")).unwrap().remove(0)
}

fn policy(text: &str, direction: Direction) -> ContentPolicy {
    Tenant::compile(spec(text)).domains[0].content_policy(direction).clone()
}

fn problems(text: &str) -> Vec<String> {
    let Err(problems) = read("t.toml", &format!("[[tenant]]\nid = 'a'\n{text}")) else { return Vec::new() };
    problems.0.iter().map(|problem| problem.to_string().replace("t.toml:", "")).collect()
}

const FULL: &str = r#"
[tenant.content.inbound]
level = "high"
headers = false
tag_signed = false
bcc = ["archive@a.example"]
notify = ["admin@a.example", "soc@A.example"]
[tenant.content.inbound.thresholds]
spam = 6
suspected = 2.5
[tenant.content.inbound.actions]
spam = "reject"
suspected = ["tag", "bcc"]
risky-file = ["strip", "stamp", "notify"]
malware = ["discard", "notify"]
[tenant.content.inbound.tags]
suspected = "【迷惑?】"
[tenant.content.inbound.stamps]
risky-file = "taken out\nask the sender"
[tenant.content.outbound]
level = "low"
[tenant.content.outbound.actions]
spam = "reject"
"#;

#[test]
fn every_key_reaches_the_policy() {
    let text = format!("{FULL}{DOMAIN}");
    let policy = policy(&text, Direction::Inbound);
    assert_eq!((policy.level, policy.headers, policy.tag_signed), (Sensitivity::High, false, false));
    let high = Thresholds::of_level(Sensitivity::High);
    assert_eq!(policy.thresholds, Thresholds { spam: Score(6_000), suspected: Score(2_500), ..high });
    let shown = |category| policy.treatment(category).to_string();
    assert_eq!(shown(Category::Spam), "reject");
    assert_eq!(shown(Category::Suspected), "tag bcc");
    assert_eq!(shown(Category::RiskyFile), "stamp strip notify");
    assert_eq!(shown(Category::Malware), "discard notify");
    assert_eq!(shown(Category::Phishing), "quarantine", "what is not named is as by default");
    assert_eq!(policy.tag(Category::Suspected), "【迷惑?】");
    assert_eq!(policy.tag(Category::Bulk), "[BULK]");
    assert_eq!(policy.stamp(Category::RiskyFile), "taken out\nask the sender");
    assert_eq!((policy.bcc.len(), policy.notify.len()), (1, 2));
    let outbound = self::policy(&text, Direction::Outbound);
    assert_eq!((outbound.level, outbound.headers), (Sensitivity::Low, false));
    assert_eq!(outbound.treatment(Category::Spam).fate, Fate::Reject);
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let shown = |direction, category| ContentPolicy::default_ref(direction).treatment(category).to_string();
    for (category, inbound, outbound) in [
        (Category::Malware, "quarantine", "quarantine"),
        (Category::RiskyFile, "quarantine", "quarantine"),
        (Category::Ambiguous, "quarantine", "quarantine"),
        (Category::Unscannable, "quarantine", "quarantine"),
        (Category::Encrypted, "stamp", "deliver"),
        (Category::Phishing, "quarantine", "quarantine"),
        (Category::Impersonation, "stamp", "deliver"),
        (Category::Spam, "quarantine", "quarantine"),
        (Category::Suspected, "tag", "deliver"),
        (Category::Bulk, "tag", "deliver"),
    ] {
        assert_eq!(shown(Direction::Inbound, category), inbound, "{category:?}");
        assert_eq!(shown(Direction::Outbound, category), outbound, "{category:?}");
        for direction in [Direction::Inbound, Direction::Outbound] {
            assert!(default_treatment(direction, category).check(direction, category).is_ok());
        }
    }
}

#[test]
fn higher_levels_catch_more() {
    let of = Thresholds::of_level;
    let (low, medium, high) = (of(Sensitivity::Low), of(Sensitivity::Medium), of(Sensitivity::High));
    for category in Category::ALL {
        assert_eq!(medium.of(category).is_some(), category.is_scored());
        if category.is_scored() {
            assert!(low.of(category) > medium.of(category) && medium.of(category) > high.of(category), "{category:?}");
        }
    }
    assert_eq!(medium.spam, Score(5_000));
}

#[test]
fn a_domain_overrides_its_tenant_key_by_key() {
    let text = format!(
        "{FULL}{DOMAIN}[tenant.domain.content.inbound]\nheaders = true\nnotify = []\n\
         [tenant.domain.content.inbound.actions]\nspam = 'quarantine'\nrisky-file = 'reject'\nmalware = 'reject'\n"
    );
    let own = policy(&text, Direction::Inbound);
    assert!(own.headers && !own.tag_signed && own.notify.is_empty());
    assert_eq!(own.treatment(Category::Spam).fate, Fate::Quarantine);
    assert_eq!(own.treatment(Category::Suspected).to_string(), "tag bcc");
    assert_eq!(own.thresholds.spam, Score(6_000));
    let level = format!("{FULL}{DOMAIN}[tenant.domain.content.inbound]\nlevel = 'low'\n");
    let own = policy(&level, Direction::Inbound);
    assert_eq!(
        own.thresholds,
        Thresholds::of_level(Sensitivity::Low),
        "a level of its own, and none of the tenant's thresholds"
    );
    assert_eq!(policy(&level, Direction::Outbound).treatment(Category::Spam).fate, Fate::Reject);
}

/// 100,000 tenants without a word about content hold nothing for it; one with a word holds it once for all its domains.
#[test]
fn policies_are_held_once() {
    let two = format!("{DOMAIN}[[tenant.domain]]\nname = 'b.example'\nnext_hops = ['h']\n");
    let plain = Tenant::compile(spec(&two));
    assert!(plain.content.is_none() && plain.domains.iter().all(|domain| domain.content.is_none()));
    for direction in [Direction::Inbound, Direction::Outbound] {
        let default = ContentPolicy::default_ref(direction);
        assert!(std::ptr::eq(plain.domains[0].content_policy(direction), default));
        assert!(std::ptr::eq(plain.content_policy(direction), default));
    }
    let own = Tenant::compile(spec(&format!("[tenant.content.inbound]\nlevel = 'low'\n{two}")));
    let shared = own.content.as_ref().unwrap();
    assert!(own.domains.iter().all(|domain| Arc::ptr_eq(domain.content.as_ref().unwrap(), shared)));
    assert_eq!(size_of::<Option<Arc<ContentPolicies>>>(), size_of::<usize>());
    let json = serde_json::to_string(&spec(&two)).unwrap();
    assert!(!json.contains("content"), "{json}");
}

#[test]
fn the_stored_form_reads_back() {
    let full = spec(&format!("{FULL}{DOMAIN}[tenant.domain.content.outbound]\nheaders = true\n"));
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<TenantSpec>(&json).unwrap(), full);
    assert!(
        json.contains(r#""suspected":["tag","bcc"]"#)
            && json.contains(r#""thresholds":{"spam":6000,"suspected":2500}"#),
        "{json}"
    );
}

#[test]
fn all_problems_are_told_with_their_lines() {
    let text = r#"[tenant.content.inbound]
level = "hihg"
headers = "yes"
bcc = ["archive@other.example", "b@a.example", "b@a.example", 7]
notfy = []
[tenant.content.inbound.thresholds]
spam = 3
suspected = 4.5
phishing = 0
malware = 5
bulk = "many"
[tenant.content.inbound.actions]
malware = "deliver"
spam = ["quarantine", "tag"]
bulk = "bin"
suspected = ["tag", "notify"]
phishing = ["strip"]
impersonation = 3
[tenant.content.inbound.tags]
spam = "a\u0007b"
[tenant.content.outbound.actions]
malware = "reject"
spam = "deliver"
[tenant.content.both]
[[tenant.domain]]
name = "a.example"
next_hops = ["h"]
[tenant.domain.content.outbound.actions]
phishing = "tag"
"#;
    let told = problems(text);
    for expected in [
        "4: level of [tenant.content.inbound]: \"hihg\" is none of low, medium, high; did you mean \"high\"?",
        "5: headers of [tenant.content.inbound]: a text was written where true or false belongs",
        "6: bcc of [tenant.content.inbound]: b@a.example stands here twice",
        "6: bcc of [tenant.content.inbound]: an integer was written where an address belongs",
        "7: unknown key \"notfy\" in [tenant.content.inbound]; did you mean \"notify\"?",
        "3: thresholds of [tenant.content.inbound]: suspected (4.5) is above spam (3.0)",
        "11: phishing of [tenant.content.inbound.thresholds]: a threshold is within 0.1 to 1000 points",
        "12: unknown key \"malware\" in [tenant.content.inbound.thresholds]",
        "13: bulk of [tenant.content.inbound.thresholds]: a text was written where a number belongs",
        "15: malware of [tenant.content.inbound.actions]: inbound malware mail is always kept back: quarantine or reject or discard",
        "16: spam of [tenant.content.inbound.actions]: \"tag\" is for mail that is delivered, and \"quarantine\" is not",
        "17: bulk of [tenant.content.inbound.actions]: \"bin\" is none of deliver",
        "19: phishing of [tenant.content.inbound.actions]: \"strip\" is for risky-file, encrypted and unscannable",
        "20: impersonation of [tenant.content.inbound.actions]: an integer was written where a word or a list of words belongs",
        "22: spam of [tenant.content.inbound.tags]: 1 to 64 characters without control characters belong here",
        "24: malware of [tenant.content.outbound.actions]: outbound malware mail is always kept back: quarantine",
        "25: spam of [tenant.content.outbound.actions]: outbound spam mail is always kept back: quarantine or reject",
        "26: unknown key \"both\" in [tenant.content]",
        "31: phishing of [tenant.domain.content.outbound.actions]: outbound phishing mail is always kept back",
        "1: bcc of [[tenant]]: archive@other.example is in none of the tenant's own domains",
        "1: notify of [[tenant]]: an action says \"notify\", but no address is named",
    ] {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected:?} is not among {told:#?}");
    }
}

/// A copy to the internet would be outbound mail that nobody checked.
#[test]
fn copies_stay_within_the_tenant() {
    let one = "[tenant.content.inbound]\nbcc = ['b@b.example']\n";
    let domain = |name: &str| format!("[[tenant.domain]]\nname = '{name}'\nnext_hops = ['h']\n");
    assert_eq!(problems(&format!("{one}{}", domain("a.example"))).len(), 1);
    assert_eq!(problems(&format!("{one}{}{}", domain("a.example"), domain("b.example"))), Vec::<String>::new());
    let of_domain = format!("{}[tenant.domain.content.outbound]\nnotify = ['x@c.example']\n", domain("a.example"));
    assert_eq!(problems(&of_domain).len(), 1);
    let unnamed = format!("{}[tenant.domain.content.inbound.actions]\nspam = ['tag', 'bcc']\n", domain("a.example"));
    assert_eq!(problems(&unnamed).len(), 1);
    let by_tenant = format!("[tenant.content.inbound]\nbcc = ['b@a.example']\n{unnamed}");
    assert_eq!(problems(&by_tenant), Vec::<String>::new(), "the tenant's addresses serve its domains");
}

#[test]
fn differences_name_the_key() {
    let (old, new) = (spec(DOMAIN), spec(&format!("[tenant.content.inbound]\nlevel = 'low'\n{DOMAIN}")));
    assert_eq!(differences(&old, &new), ["content: null -> {\"inbound\":{\"level\":\"low\"}}"]);
    let newer = spec(&format!("[tenant.content.inbound]\nlevel = 'high'\n{DOMAIN}"));
    assert_eq!(differences(&new, &newer), ["content.inbound.level: \"low\" -> \"high\""]);
}

/// What the manual says of defaults and levels is so, and the example has every key.
#[test]
fn the_manual_has_the_defaults() {
    let manual = include_str!("../manual/content.rs");
    for category in Category::ALL {
        let inbound = ContentPolicy::default_ref(Direction::Inbound).treatment(category);
        let outbound = ContentPolicy::default_ref(Direction::Outbound).treatment(category);
        let row = manual.lines().find(|line| line.starts_with(&format!("//! | `{}` |", category.name()))).unwrap();
        let cells: Vec<&str> = row.split(" | ").collect();
        assert!(
            cells[3].starts_with(&format!("`{inbound}`")) && cells[4].starts_with(&format!("`{outbound}`")),
            "{row}"
        );
    }
    for (name, level) in [("low", Sensitivity::Low), ("medium", Sensitivity::Medium), ("high", Sensitivity::High)] {
        let Thresholds { spam, suspected, phishing, impersonation, bulk } = Thresholds::of_level(level);
        let row =
            manual.lines().find(|line| line.starts_with(&format!("//! | `{name}`")) && line.matches('|').count() == 7);
        let said: Vec<&str> = row.unwrap().trim_end_matches(" |").split(" | ").skip(2).collect();
        let are = [spam, suspected, phishing, impersonation, bulk].map(|points| points.points().to_string());
        assert_eq!(said, are, "{name}");
    }
    let example = include_str!("../../config/tenants.example.toml");
    let keys = ["level", "headers", "tag_signed", "bcc", "notify"];
    for key in keys.into_iter().chain(Category::ALL.map(Category::name)) {
        assert!(example.contains(&format!("\n{key} = ")), "{key} is not in tenants.example.toml");
        assert!(manual.contains(&format!("`{key}`")), "{key} is not in manual::content");
    }
}
