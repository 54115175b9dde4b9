//! SpamAssassin's rules, ours against the original: the same messages, rule by rule, and the time both take.
//!
//! `peer.pl` asks the original (its package must be installed) and writes one line for each message; this program scans
//! the same messages and counts. Nothing here runs without both, and it says so:
//!
//! ```text
//! find target/corpora/ham-spam target/corpora/phish -type f | sort | awk 'NR%6==1' | head -2000 > list
//! perl benches/spamassassin/peer.pl /usr/share/spamassassin SITE list . > hits
//! SEKISHO_RULES=/usr/share/spamassassin:SITE SEKISHO_HITS=hits SEKISHO_ROOT=. cargo bench --bench spamassassin
//! ```
//!
//! `SEKISHO_RULE=NAME` lists the messages on which the two differ about one rule.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a bench: a panic is its failure"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::scan::spamassassin::{Facts, scan};
use sekisho::signatures::spamassassin::read::Reader;
use sekisho::signatures::spamassassin::rule::Test;
use sekisho::signatures::spamassassin::{ScoreSet, compile};

fn rule_files(folders: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in folders.split(':') {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "cf"))
            .collect();
        names.sort();
        files.extend(names.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())));
    }
    files
}

fn kind(test: &Test) -> &'static str {
    match test {
        Test::Header { .. } | Test::HasHeader(_) => "header",
        Test::MimeHeader { .. } => "mimeheader",
        Test::Body(_) => "body",
        Test::RawBody(_) => "rawbody",
        Test::Uri(_) => "uri",
        Test::Full(_) => "full",
        Test::UriDetail(_) => "uri_detail",
        Test::Meta(_) => "meta",
        Test::Eval { .. } => "eval",
    }
}

/// Both, only the original, only we.
#[derive(Default, Clone, Copy)]
struct Count {
    both: usize,
    peer: usize,
    ours: usize,
}

impl Count {
    fn agreement(self) -> f64 {
        let all = self.both + self.peer + self.ours;
        if all == 0 { 100.0 } else { 100.0 * self.both as f64 / all as f64 }
    }
}

/// Processor seconds of this thread's process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn main() {
    let set = |name| std::env::var(name).ok();
    let (Some(folders), Some(hits)) = (set("SEKISHO_RULES"), set("SEKISHO_HITS")) else {
        println!("SKIPPED: SEKISHO_RULES and SEKISHO_HITS are not set");
        return;
    };
    let root = set("SEKISHO_ROOT").unwrap_or_else(|| ".".into());
    let one = set("SEKISHO_RULE");
    let files = rule_files(&folders);
    let start = Instant::now();
    let rules = compile(files.iter().map(|(name, octets)| (name.as_str(), octets.as_slice())), ScoreSet::Local);
    println!("loaded {} rules in {:.2?}; skipped {}", rules.rules.len(), start.elapsed(), rules.skipped.len());
    let mut reader = Reader::default();
    for (name, octets) in &files {
        reader.file(name, octets);
    }

    let mut by_rule: BTreeMap<String, Count> = BTreeMap::new();
    let (mut messages, mut octets) = (0, 0);
    let mut points = (0, 0);
    let text = std::fs::read(&hits).unwrap();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let raws: Vec<Bytes> =
        lines.iter().map(|fields| std::fs::read(format!("{root}/{}", fields[0])).unwrap().into()).collect();
    let parse_start = cpu_seconds();
    let specimens: Vec<Specimen> =
        raws.iter().map(|raw| Specimen::parse(raw.clone(), &Limits::default(), &|| false)).collect();
    let parsed = cpu_seconds() - parse_start;
    let warm = scan(&rules, &specimens[0], Facts::default(), &|| false);
    drop(warm);
    let scan_start = cpu_seconds();
    let results: Vec<_> =
        specimens.iter().map(|specimen| scan(&rules, specimen, Facts::default(), &|| false)).collect();
    let scanned = cpu_seconds() - scan_start;
    for ((fields, raw), result) in lines.iter().zip(&raws).zip(&results) {
        messages += 1;
        octets += raw.len();
        let mut peer: BTreeSet<&str> = fields[2].split(',').filter(|name| !name.is_empty()).collect();
        let parts = fields.get(3).map_or("", |parts| parts.split(" (Total").next().unwrap());
        peer.extend(parts.split(',').map(|name| name.split('(').next().unwrap()).filter(|name| !name.is_empty()));
        let ours: BTreeSet<&str> = result.rules.iter().map(|(rule, _)| &*rules.rules[*rule as usize].name).collect();
        for name in peer.union(&ours) {
            let count = by_rule.entry((*name).to_owned()).or_default();
            match (peer.contains(name), ours.contains(name)) {
                (true, true) => count.both += 1,
                (true, false) => count.peer += 1,
                _ => count.ours += 1,
            }
            if one.as_deref() == Some(*name) && peer.contains(name) != ours.contains(name) {
                println!("{} {}", if peer.contains(name) { "peer" } else { "ours" }, fields[0]);
            }
        }
        let score: f64 = fields[1].parse().unwrap_or(0.0);
        points.0 += usize::from((score >= 5.0) == (result.points >= 5.0));
        points.1 += usize::from((score - result.points).abs() < 0.05);
    }
    println!(
        "{messages} messages, {octets} octets; parsing {parsed:.2} s CPU, rules {scanned:.2} s CPU: {:.3} ms a message",
        1000.0 * scanned / messages as f64
    );
    println!("same side of 5.0: {} of {messages}; same points: {}", points.0, points.1);
    let mut by_kind: BTreeMap<&str, Count> = BTreeMap::new();
    let mut worst: Vec<(usize, &str, &str, Count)> = Vec::new();
    for (name, count) in &by_rule {
        let kind = reader.rules.get(name.as_str()).map_or("none", |draft| kind(&draft.test));
        for kind in [kind, "all"] {
            let sum = by_kind.entry(kind).or_default();
            sum.both += count.both;
            sum.peer += count.peer;
            sum.ours += count.ours;
        }
        if count.peer + count.ours > 0 {
            worst.push((count.peer + count.ours, kind, name, *count));
        }
    }
    println!("{:<12}{:>10}{:>12}{:>10}{:>10}", "kind", "both", "only peer", "only we", "agree %");
    for (kind, count) in &by_kind {
        println!("{kind:<12}{:>10}{:>12}{:>10}{:>10.2}", count.both, count.peer, count.ours, count.agreement());
    }
    worst.sort_by(|one, other| other.cmp_by_size(one));
    let most = set("SEKISHO_WORST").and_then(|number| number.parse().ok()).unwrap_or(40);
    for (_, kind, name, count) in worst.iter().take(most) {
        println!("{name:<36}{kind:<10} both {:>5} peer {:>5} ours {:>5}", count.both, count.peer, count.ours);
    }
}

trait BySize {
    fn cmp_by_size(&self, other: &Self) -> std::cmp::Ordering;
}

impl BySize for (usize, &str, &str, Count) {
    fn cmp_by_size(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
