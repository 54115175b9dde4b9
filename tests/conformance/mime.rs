//! Ambiguous MIME and honest mail: what hides is seen or told, what is honest is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sekisho::message::specimen::{Ambiguity, Limits, Specimen};

use crate::corpora;

fn parse(path: &Path) -> Option<Specimen> {
    let raw = Bytes::from(std::fs::read(path).ok()?);
    Some(Specimen::parse(raw, &Limits::default(), &|| false))
}

/// Files below `folder`, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Every mail of the suite "MIME is broken" that hides a file's name: the name is among those seen, or the mail is told to be
/// ambiguous. Mails without a trick are not told to be.
#[test]
fn a_hidden_file_name_is_seen_or_told() {
    let Some(folder) = corpora("evasion/noxxi-mime-is-broken/hide-filename.d") else { return };
    let mut by_validity: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let mut missed = Vec::new();
    for path in files(&folder) {
        let specimen = parse(&path).unwrap();
        let id = specimen.field("X-Payload-Id").unwrap().to_owned();
        let validity = id.split_whitespace().find(|word| word.starts_with("valid(")).unwrap().to_owned();
        let shows_png = id.split_whitespace().next().unwrap().ends_with(".png");
        let wanted = if shows_png { "png" } else { "zip" };
        let is_hidden = |name: &str| name.starts_with("file") && name.trim_end_matches(['"', '\'']).ends_with(wanted);
        let seen = specimen.parts.iter().flat_map(|part| &part.names).any(|name| is_hidden(name));
        let told = !specimen.ambiguities.is_empty();
        let row = by_validity.entry(validity.clone()).or_default();
        row.0 += 1;
        row.1 += usize::from(seen);
        row.2 += usize::from(told);
        if !seen && !told {
            missed.push(id.clone());
        }
        // 2 and 3 are as the standard says.
        if told && matches!(validity.as_str(), "valid(2)" | "valid(3)") {
            missed.push(format!("told without need: {id}"));
        }
    }
    for (validity, (mails, seen, told)) in &by_validity {
        println!("{validity}: {mails} mails, name seen {seen}, told ambiguous {told}");
    }
    assert_eq!(by_validity.values().map(|row| row.0).sum::<usize>(), 176);
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Honest mail is not ambiguous, but for very few.
#[test]
fn honest_mail_is_not_ambiguous() {
    let public = ["easy_ham", "easy_ham_2", "hard_ham"].map(|name| format!("ham-spam/spamassassin-public/{name}"));
    let lists = ["list-usrp-users", "list-linux-alpha"].map(|name| format!("ham-spam/{name}"));
    let (mut mails, mut odd) = (0_usize, 0_usize);
    let mut told = BTreeMap::<Ambiguity, Vec<PathBuf>>::new();
    for folder in public.iter().chain(&lists).filter_map(|part| corpora(part)) {
        let labels = std::fs::read_to_string(folder.join("labels-dev.tsv")).unwrap_or_default();
        let spam: BTreeSet<&str> =
            labels.lines().filter(|line| line.contains("\tspam")).filter_map(|line| line.split('\t').next()).collect();
        // Every third one: without optimisation all of them take minutes.
        for path in files(&folder).into_iter().step_by(STEP) {
            let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
            if name.ends_with(".tsv") || name == "cmds" || spam.contains(name.as_str()) {
                continue;
            }
            let specimen = parse(&path).unwrap();
            mails += 1;
            odd += usize::from(!specimen.ambiguities.is_empty());
            for ambiguity in &specimen.ambiguities {
                told.entry(*ambiguity).or_default().push(path.clone());
            }
        }
    }
    println!("{odd} of {mails} honest mails are told to be ambiguous");
    for (ambiguity, paths) in &told {
        println!("{ambiguity:?}: {} ({:?})", paths.len(), paths.iter().take(12).collect::<Vec<_>>());
    }
    assert!(odd * 1_000 <= mails * 3, "{odd} of {mails}");
}

const STEP: usize = 3;
