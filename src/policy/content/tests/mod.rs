//! Policy tables: facts in words, ruling in words. Every row is one line, so that the order of judging can be read.

mod classes;
mod combined;
mod outbound;
mod tenant;
mod trouble;
mod words;

use words::Scene;

use super::{Effect, Together, dispose, together};
use crate::model::disposition::{Category, Disposition, Field, Strip, is_reserved};
use crate::model::finding::{Class, Detector, Finding, MAX_FINDINGS, Score, Verdict};
use crate::model::rule::Skips;
use crate::model::{Direction, Reply};
use crate::tenant::Fate;

/// What, facts, ruling.
type Row = (&'static str, &'static str, &'static str);

const TABLES: &[&[Row]] = &[classes::ROWS, combined::ROWS, tenant::ROWS, outbound::ROWS, trouble::ROWS];

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}

#[test]
fn the_tables() {
    let mut wrong = Vec::new();
    for (what, facts, expected) in rows() {
        let said = Scene::read(facts).said();
        if said != *expected {
            wrong.push(format!("{what}\n    {facts}\n    expected {expected}\n    was      {said}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_enough_rows_and_none_twice() {
    let mut seen = std::collections::HashSet::new();
    for (what, facts, _) in rows() {
        let mut sorted: Vec<&str> = facts.split_whitespace().collect();
        sorted.sort_unstable();
        assert!(seen.insert(sorted), "{what}: {facts:?} stands twice");
    }
    assert!(seen.len() >= 150, "{} rows", seen.len());
}

/// Findings, silent detectors and unchecked things may come in any order: the ruling is the same.
#[test]
fn the_order_of_findings_does_not_matter() {
    for (what, facts, expected) in rows() {
        let mut scene = Scene::read(facts);
        scene.verdict.findings.reverse();
        scene.verdict.unavailable.reverse();
        scene.verdict.unchecked.reverse();
        assert_eq!(scene.said(), *expected, "{what} (reversed): {facts}");
    }
}

/// In every row, whatever else it says: what nobody can change holds.
#[test]
fn what_is_forced_holds_in_every_row() {
    for (what, facts, _) in rows() {
        let scene = Scene::read(facts);
        let ruling = dispose(&scene.facts());
        let delivered = ruling.disposition.is_delivered();
        assert!(!(delivered && scene.verdict.has(Class::Malware)), "{what}: malware is delivered: {facts}");
        assert!(!delivered || scene.has_verdict, "{what}: delivered without a scan: {facts}");
        assert!(delivered || ruling.copies.bcc.is_empty(), "{what}: a copy of what is not delivered: {facts}");
        let unseen = scene.verdict.unavailable.iter().any(|one| scene.mandatory.has(one.detector));
        assert!(!(delivered && unseen), "{what}: delivered without a detector that must answer: {facts}");
        if !scene.verdict.unchecked.is_empty() && scene.has_verdict {
            assert!(!ruling.categories.is_empty(), "{what}: unchecked counts as clean: {facts}");
        }
        if scene.direction == Direction::Outbound {
            let unwanted = ruling.categories.iter().any(|one| matches!(one, Category::Spam | Category::Phishing));
            let let_out = facts.contains("operator=suspect-pool") && !ruling.categories.contains(&Category::Phishing);
            assert!(!unwanted || !delivered || let_out, "{what}: spam goes out: {facts}");
            assert!(ruling.disposition != Disposition::Discard || !unwanted, "{what}: outbound spam is lost: {facts}");
        }
    }
}

/// An allow entry never makes a difference to malware, files and what could not be inspected, and never makes anything worse.
#[test]
fn an_allow_entry_spares_points_and_nothing_else() {
    for (what, facts, _) in rows() {
        let mut scene = Scene::read(facts);
        scene.skips = Skips::NONE;
        let plain = dispose(&scene.facts());
        scene.skips = Skips::ALLOWED_SENDER;
        let allowed = dispose(&scene.facts());
        let of_files = |categories: &[Category]| -> Vec<Category> {
            categories.iter().copied().filter(|category| !category.is_scored()).collect()
        };
        assert_eq!(of_files(&allowed.categories), of_files(&plain.categories), "{what}: {facts}");
        if scene.direction == Direction::Outbound {
            assert_eq!(allowed, plain, "{what}: a list changes outbound mail: {facts}");
        }
        assert!(allowed.disposition.is_delivered() || !plain.disposition.is_delivered(), "{what}: {facts}");
    }
}

/// What decides is among the steps; what counts is in the categories; steps are in order.
#[test]
fn a_ruling_explains_itself() {
    for (what, facts, _) in rows() {
        let scene = Scene::read(facts);
        let ruling = dispose(&scene.facts());
        assert!(ruling.steps.is_sorted_by_key(|step| step.category), "{what}: {facts}");
        assert!(ruling.categories.is_sorted(), "{what}: {facts}");
        let decided =
            ruling.steps.iter().filter(|step| matches!(step.effect, Effect::Decided | Effect::Forced)).count();
        let by_category = matches!(ruling.decided_by, super::Decider::Category { .. });
        assert_eq!(decided == 1, by_category && !ruling.disposition.is_delivered(), "{what}: {facts}: {ruling:?}");
        for step in &ruling.steps {
            let counts = !matches!(step.effect, Effect::Below | Effect::Skipped);
            assert_eq!(counts, ruling.categories.contains(&step.category), "{what}: {facts}: {step:?}");
            assert_eq!(step.points.is_some(), step.category.is_scored());
        }
    }
}

/// A refusal names the kind of trouble and nothing of what found it.
#[test]
fn refusals_tell_nothing_of_rules() {
    for category in Category::ALL {
        let reply = crate::policy::replies::content(category);
        let text = reply.to_string().to_lowercase();
        assert!(reply.is_permanent(), "{text}");
        for secret in ["rule", "score", "points", "signature", "threshold", "virus", "sekisho", "clam", "rspamd"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

fn verdict(findings: &[(Class, f64, &str)]) -> Verdict {
    let mut verdict = Verdict::new(17);
    for (class, points, symbol) in findings {
        verdict.find(Finding::new(Detector::Rules, symbol, *class, Score::from_points(*points), ""));
    }
    verdict
}

fn fields_of(verdict: Verdict, facts: &str) -> Vec<(String, String)> {
    let mut scene = Scene::read(facts);
    scene.verdict = verdict;
    match dispose(&scene.facts()).disposition {
        Disposition::Deliver(edits) => {
            edits.fields.into_iter().map(|Field { name, value }| (name.into(), value.into())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fields_say_what_was_found() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        fields_of(verdict(&[(Class::Spam, 3.5, "A"), (Class::Spam, 0.25, "B"), (Class::Spam, 0.0, "A")]), ""),
        [
            pair("X-Sekisho-Verdict", "suspected; set=17"),
            pair("X-Spam-Flag", "NO"),
            pair("X-Spam-Score", "3.75"),
            pair("X-Spam-Level", "***"),
            pair("X-Spam-Status", "No, score=3.75 required=5.0 tests=A, B"),
        ]
    );
    assert_eq!(
        fields_of(verdict(&[]), ""),
        [
            pair("X-Sekisho-Verdict", "clean; set=17"),
            pair("X-Spam-Flag", "NO"),
            pair("X-Spam-Score", "0.0"),
            pair("X-Spam-Status", "No, score=0.0 required=5.0 tests=none"),
        ]
    );
    let spam = fields_of(verdict(&[(Class::Spam, 9.0, "A")]), "act:spam=deliver");
    assert_eq!((&*spam[0].1, &*spam[1].1, &*spam[4].1), ("spam; set=17", "YES", "Yes, score=9.0 required=5.0 tests=A"));
    let allowed = fields_of(verdict(&[(Class::Spam, 9.0, "A")]), "allowed");
    assert_eq!((&*allowed[0].1, &*allowed[1].1), ("clean; allowed; set=17", "NO"));
}

/// Names of rules come from packs; nothing in them breaks a header, and no number of them makes a long one.
#[test]
fn fields_are_bounded_and_plain() {
    let long = "x".repeat(500);
    let mut many: Vec<(Class, f64, String)> =
        (0..MAX_FINDINGS).map(|n| (Class::Spam, 0.0, format!("N{n}{long}"))).collect();
    many.push((Class::Spam, 900.0, "a\r\nBcc: b@c.example, 日本".into()));
    many.reverse();
    let mut verdict = Verdict::new(u64::MAX);
    for (class, points, symbol) in &many {
        verdict.find(Finding::new(Detector::Rules, symbol, *class, Score::from_points(*points), ""));
    }
    for (name, value) in fields_of(verdict, "act:spam=deliver") {
        assert!(is_reserved(&name), "{name} would be let in from outside");
        assert!(
            value.len() <= super::fields::MAX_VALUE && value.chars().all(|c| matches!(c, ' '..='~')),
            "{name}: {value}"
        );
        assert!(!value.contains("Bcc:"), "{value}");
    }
}

/// Points that were left out because there were too many findings still count.
#[test]
fn what_is_left_out_counts() {
    let mut scene = Scene::read("");
    for n in 0..MAX_FINDINGS * 2 {
        scene.verdict.find(Finding::new(Detector::Rules, &n.to_string(), Class::Spam, Score(10), ""));
    }
    let ruling = dispose(&scene.facts());
    assert_eq!(
        (ruling.points.spam, ruling.disposition),
        (Score(5_120), Disposition::Quarantine { category: Category::Spam })
    );
}

#[test]
fn one_reply_for_all_recipients() {
    let ruling = |facts: &str| dispose(&Scene::read(facts).facts());
    let reply = |reply: &Reply| reply.code();
    let said = |facts: &[&str]| {
        let mut rulings: Vec<_> = facts.iter().map(|facts| ruling(facts)).collect();
        let told = match together(&mut rulings) {
            Together::Settle => "250".to_owned(),
            Together::Defer(told) | Together::Reject(told) => reply(&told).to_string(),
        };
        let fates: Vec<&str> = rulings.iter().map(|ruling| ruling.disposition.name()).collect();
        format!("{told} {}", fates.join(" "))
    };
    let rejects = "spam=9 act:spam=reject";
    for (facts, expected) in [
        (&["", "spam=9"][..], "250 deliver quarantine"),
        (&[rejects, rejects], "550 reject reject"),
        (&[rejects, "allowed spam=9"], "250 quarantine deliver"),
        (&["allowed spam=9", rejects], "250 deliver quarantine"),
        (&[rejects, "spam=9 act:spam=discard"], "250 quarantine discard"),
        (&["silent=clamd", rejects], "451 defer reject"),
        (&[rejects, "noscan"], "451 reject defer"),
        (&[], "250 "),
    ] {
        assert_eq!(said(facts), expected, "{facts:?}");
    }
}

/// Every category can be treated in every way that may be asked for, and what comes out is what was asked.
#[test]
fn every_category_with_every_fate() {
    let finding = |category: Category| match category {
        Category::RiskyFile => "risky".to_owned(),
        Category::Suspected => "spam=4".to_owned(),
        category if category.is_scored() => format!("{}=4.5:A {}=4.5:B", category.name(), category.name()),
        category => category.name().to_owned(),
    };
    let mut seen = 0;
    for category in Category::ALL {
        for (word, fate) in [
            ("deliver", Fate::Deliver),
            ("quarantine", Fate::Quarantine),
            ("reject", Fate::Reject),
            ("discard", Fate::Discard),
        ] {
            let others = "act:spam=deliver ";
            let others = if matches!(category, Category::Spam) { "" } else { others };
            let scene = Scene::read(&format!("{others}act:{}={word} {}", category.name(), finding(category)));
            let may = crate::tenant::Treatment::plain(fate).check(Direction::Inbound, category).is_ok();
            let expected = if may { word } else { "quarantine" };
            assert_eq!(dispose(&scene.facts()).disposition.name(), expected, "{category:?} {word}");
            seen += 1;
        }
    }
    assert_eq!(seen, 40);
}

#[test]
fn nothing_found_changes_nothing_but_our_fields() {
    let ruling = dispose(&Scene::read("headers-off").facts());
    assert!(
        matches!(&ruling.disposition, Disposition::Deliver(edits) if edits.is_empty() && edits.strip == Strip::None)
    );
    assert!(ruling.copies.is_empty() && ruling.categories.is_empty());
}
