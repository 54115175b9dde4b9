//! The table, and the list behind it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::corpus::Mail;
use crate::judge::Judged;

pub fn sort(is_spam: bool) -> &'static str {
    if is_spam { "spam" } else { "ham" }
}

/// One line: sort, corpus, what holds it, points, the classifier's odds and known words, file, symbols.
pub fn list(mail: &Mail, judged: &Judged) {
    let symbols: Vec<String> = judged
        .verdict
        .findings
        .iter()
        .map(|finding| format!("{}:{}={}", finding.class.name(), finding.symbol, finding.score))
        .collect();
    let held = judged.held.map_or("-", |category| category.name());
    let (sort, path) = (sort(mail.is_spam), mail.path.display());
    let (points, odds, known) = (judged.points.spam, judged.opinion.odds, judged.opinion.known);
    println!("{sort}\t{}\t{held}\t{points}\t{odds:.3}\t{known}\t{path}\t{}", mail.corpus, symbols.join(" "));
}

#[derive(Default)]
struct Row {
    all: usize,
    caught: usize,
    marked: usize,
    held_otherwise: usize,
    octets: usize,
    took: Duration,
    /// Of each group of like messages: whether all were caught.
    groups: HashMap<usize, bool>,
}

pub fn print<'m>(judged: impl Iterator<Item = (&'m Mail, usize, Judged)>) {
    let mut rows: BTreeMap<(bool, &str), Row> = BTreeMap::new();
    for (mail, group, judged) in judged {
        // The sums that the bars are about. Phishing has its own.
        let sum = match (mail.corpus, mail.is_spam) {
            ("own" | "phish", _) => None,
            (_, false) => Some("~ all ham"),
            (_, true) => Some("~ all spam"),
        };
        for name in [Some(mail.corpus), sum].into_iter().flatten() {
            let row = rows.entry((mail.is_spam, name)).or_default();
            let caught = judged.is_caught();
            row.all += 1;
            row.caught += usize::from(caught);
            row.marked += usize::from(judged.is_marked());
            row.held_otherwise += usize::from(judged.held.is_some() && !caught);
            row.octets += mail.raw.len();
            row.took += judged.took;
            let all = row.groups.entry(group).or_insert(mail.is_spam);
            // Of spam, one that gets through is a miss; of ham, one that is held is a fault.
            *all = if mail.is_spam { *all && caught } else { *all || caught };
        }
    }
    println!("\n| mail | messages | held | 95 % | distinct | held | marked | for a file | KB each | scan each |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for ((is_spam, corpus), row) in rows {
        let (low, high) = wilson(row.caught, row.all);
        let distinct = row.groups.values().filter(|caught| **caught).count();
        println!(
            "| {} {corpus} | {} | {} = {:.2} % | {low:.2}-{high:.2} | {} | {distinct} = {:.2} % | {} | {} | {:.1} | {:.2?} |",
            sort(is_spam),
            row.all,
            row.caught,
            percent(row.caught, row.all),
            row.groups.len(),
            percent(distinct, row.groups.len()),
            row.marked,
            row.held_otherwise,
            row.octets as f64 / 1000.0 / row.all as f64,
            row.took / u32::try_from(row.all).unwrap(),
        );
    }
}

fn percent(part: usize, of: usize) -> f64 {
    part as f64 * 100.0 / of as f64
}

/// In percent.
fn wilson(part: usize, of: usize) -> (f64, f64) {
    let (n, p, z) = (of as f64, part as f64 / of as f64, 1.96_f64);
    let middle = p + z * z / (2.0 * n);
    let width = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + z * z / n);
    ((middle - width) * scale, (middle + width) * scale)
}
