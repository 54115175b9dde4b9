//! The starter pack against mail of our own (`tests/mail`), by rules, classifier and impersonation: no lists, no network. Nobody has
//! asked who the author is, but for `ham-proven`: there the domain is proven, as it is for the mail of the companies it copies.

use std::path::Path;

use super::impersonation::{self, Known};
use super::{classifier, rules};
use crate::message::specimen::{Limits, Specimen};
use crate::model::finding::{Class, Score, Verdict};
use crate::signatures::rules::Facts;
use crate::signatures::{Pack, SignatureSet};

const SPAM: Score = Score(5_000);

fn set() -> SignatureSet {
    let packs = Pack::read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/signatures"))).unwrap();
    SignatureSet::compile(1, &packs).unwrap()
}

/// Points of each message of a folder; files that bring their own class count as found.
fn judged(set: &SignatureSet, folder: &str) -> Vec<(String, Score)> {
    let proven = folder == "ham-proven";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail").join(folder);
    let mut judged: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let specimen = Specimen::parse(std::fs::read(&path).unwrap().into(), &Limits::default(), &|| false);
            let mut verdict = Verdict::new(1);
            let facts = Facts { recipients: 1, authenticated: proven, dkim_pass: proven, ..Facts::default() };
            rules::detect(set, &specimen, &facts, set.rules.nothing_seen(), &|| false, &mut verdict);
            classifier::classify(&specimen, &set.model, None).into_iter().for_each(|finding| verdict.find(finding));
            let known = Known { authenticated: proven.then_some(true), ..Known::default() };
            impersonation::detect(&specimen, &known, &mut verdict);
            let scored = [Class::Spam, Class::Phishing, Class::Impersonation].map(|class| verdict.score_of(class));
            let points = if verdict.has(Class::RiskyFile) { SPAM } else { scored.into_iter().sum() };
            (path.file_name().unwrap().to_string_lossy().into_owned(), points)
        })
        .collect();
    judged.sort();
    judged
}

#[test]
fn the_pack_is_whole() {
    let set = set();
    assert_eq!(set.wrong_examples(), Vec::<String>::new());
    let scored = set.rules.infos().filter(|info| info.score.is_some() && &*info.pack == "starter").count();
    assert!(scored >= 250, "{scored} rules with a score");
    assert!(set.model.len() > 10_000, "the classifier is part of the pack");
    let told =
        set.rules.infos().filter(|info| info.score.is_some()).all(|info| !info.en.is_empty() && !info.ja.is_empty());
    assert!(told, "each rule says what it means in English and Japanese");
}

#[test]
fn notices_of_well_known_companies_from_their_own_domain_are_clean() {
    let judged = judged(&set(), "ham-proven");
    assert!(judged.len() >= 10);
    let stopped: Vec<_> = judged.iter().filter(|(_, points)| *points >= SPAM).collect();
    assert!(stopped.is_empty(), "{stopped:?}");
}

#[test]
fn honest_mail_passes() {
    let judged = judged(&set(), "ham");
    assert!(judged.len() >= 80);
    let stopped: Vec<_> = judged.iter().filter(|(_, points)| *points >= SPAM).collect();
    assert!(stopped.is_empty(), "{stopped:?}");
    let suspected: Vec<_> = judged.iter().filter(|(_, points)| *points >= Score(3_000)).collect();
    assert!(suspected.len() <= 3, "{suspected:?}");
}

#[test]
fn most_spam_and_phishing_is_found() {
    let set = set();
    for (folder, least) in [("spam", 0.85), ("phish", 0.9)] {
        let judged = judged(&set, folder);
        let missed: Vec<_> = judged.iter().filter(|(_, points)| *points < SPAM).collect();
        let found = 1.0 - missed.len() as f64 / judged.len() as f64;
        assert!(judged.len() >= 45 && found >= least, "{folder}: {found:.2} of {}; missed {missed:?}", judged.len());
    }
}
