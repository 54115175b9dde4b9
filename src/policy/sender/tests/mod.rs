//! Policy tables: facts in words, ruling in words. Every row is one line, so that the order of evaluation can be read.

mod fates;
mod lists;
mod message;
mod order;
mod relayed;
mod source;
mod whole;
mod words;

use words::{Scene, Step};

/// What, facts, ruling.
type Row = (&'static str, &'static str, &'static str);

/// Rows over all tables.
const TABLES: &[(Step, &[&[Row]])] = &[
    (Step::Rcpt, &[order::ROWS, lists::SENDER, lists::CLIENT, lists::EXPIRED, source::ROWS, relayed::RCPT]),
    (Step::Message, &[message::ROWS, relayed::MESSAGE]),
    (Step::Whole, &[whole::ROWS, relayed::WHOLE]),
];

#[test]
fn the_tables() {
    let mut wrong = Vec::new();
    for (step, tables) in TABLES {
        for (what, facts, expected) in tables.iter().copied().flatten() {
            let said = Scene::read(facts).run(*step);
            if said != *expected {
                wrong.push(format!("{what}\n    {facts}\n    expected {expected}\n    was      {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// The bar of the issue, and that no row is there twice.
#[test]
fn there_are_enough_rows_and_none_twice() {
    let mut seen = std::collections::HashSet::new();
    for (step, tables) in TABLES {
        for (what, facts, _) in tables.iter().copied().flatten() {
            let mut sorted: Vec<&str> = facts.split_whitespace().collect();
            sorted.sort_unstable();
            assert!(seen.insert((format!("{step:?}"), sorted)), "{what}: {facts:?} stands twice");
        }
    }
    assert!(seen.len() >= 150, "{} rows", seen.len());
}

/// Entries may come in any order: the ruling is the same.
#[test]
fn the_order_of_entries_does_not_matter() {
    for (step, tables) in TABLES {
        for (what, facts, expected) in tables.iter().copied().flatten() {
            let mut scene = Scene::read(facts);
            scene.entries.reverse();
            assert_eq!(scene.run(*step), *expected, "{what} (reversed): {facts}");
        }
    }
}

/// Whatever stands in the row: a refusal names its rule among the steps, and an accepted recipient has no refusing step
/// that is not postponed.
#[test]
fn what_decides_is_among_what_was_consulted() {
    use crate::model::rule::Effect;
    for (_, tables) in TABLES {
        for (what, facts, _) in tables.iter().copied().flatten() {
            let scene = Scene::read(facts);
            let ruling = scene.at_rcpt();
            let named = ruling.consulted.iter().any(|step| step.rule.as_ref() == Some(&ruling.decided_by));
            assert!(named || ruling.decided_by == crate::model::rule::Rule::NothingAgainst, "{what}: {ruling:?}");
            let refusing = |effect| matches!(effect, Effect::Refused | Effect::Deferred);
            let refused = ruling.consulted.iter().any(|step| refusing(step.effect));
            assert_eq!(refused, !ruling.is_accepted() || ruling.provisional.is_some(), "{what}: {ruling:?}");
            assert!(ruling.consulted.is_sorted_by_key(|step| step.stage), "{what}: {ruling:?}");
        }
    }
}

/// Asking only for what is needed leads to the same answer as knowing everything.
#[test]
fn asking_for_what_is_needed_is_enough() {
    for (_, tables) in TABLES {
        for (what, facts, _) in tables.iter().copied().flatten() {
            let scene = Scene::read(facts);
            let (lazy, full) = (scene.at_rcpt_lazily(), scene.at_rcpt());
            assert_eq!((&lazy.decision, &lazy.decided_by), (&full.decision, &full.decided_by), "{what}: {facts}");
            assert_eq!(lazy.provisional, full.provisional, "{what}: {facts}");
        }
    }
}
