//! How well the default set tells mail apart, and what its classifier is trained with.
//!
//! ```text
//! cargo bench --bench detection                      # the table: trained on older mail, tried on newer and on other mail
//! cargo bench --bench detection -- train             # writes signatures/starter/seed.model from all that may be used
//! cargo bench --bench detection -- list [CORPUS]     # one line for each message: points and symbols
//! ```
//!
//! The corpora are looked for in `$SEKISHO_CORPORA`, else in `target/corpora`; without them there is nothing to do. Of each
//! corpus the older 70 % of the mail, by date, trains the classifier, and the newer 30 % is what the table is about; the
//! phishing and the project's own mail (`tests/mail`) train nothing. `taught.txt` trains: kinds of mail the corpora lack. `--shipped` takes the model of the pack instead, which knows all of it.
//! Rules were not split: they were written by hand, for kinds of mail and not for these messages.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench")]

mod corpus;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use corpus::Mail;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::model::finding::{Class, Score, Verdict};
use sekisho::scan::{classifier, rules};
use sekisho::signatures::model::train::{Example, train};
use sekisho::signatures::model::{Model, Tokens};
use sekisho::signatures::rules::Facts;
use sekisho::signatures::{Pack, SignatureSet};

/// Of the older mail of a corpus, how much trains.
const TRAINS: f64 = 0.7;
const SPAM: Score = Score(5_000);
const SUSPECTED: Score = Score(3_000);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpora = std::env::var_os("SEKISHO_CORPORA").map_or_else(|| home.join("target/corpora"), PathBuf::from);
    let mut mails = corpus::read(&corpora);
    if mails.is_empty() {
        println!("SKIPPED: no corpora in {}", corpora.display());
        return;
    }
    if has("train") {
        write(home, &mails);
        return;
    }
    mails.extend(corpus::read_own(&home.join("tests/mail")));
    let newer = newer(&mails);
    let set = set(home);
    let model = if has("--shipped") {
        Model::from_bytes(&std::fs::read(home.join(MODEL)).expect("the model is there")).expect("the model is whole")
    } else {
        learn(home, mails.iter().zip(&newer).filter(|(_, newer)| !**newer).map(|(mail, _)| mail))
    };
    let only = arguments.iter().position(|argument| argument == "list").map(|at| arguments.get(at + 1));
    let judge = |mail: &Mail| judge(&set, &model, mail);
    if let Some(only) = only {
        for (mail, _) in
            mails.iter().zip(&newer).filter(|(mail, newer)| **newer && only.is_none_or(|only| only == mail.corpus))
        {
            list(mail, &judge(mail).0);
        }
        return;
    }
    let step = if has("--quick") { 8 } else { 1 };
    let chosen = mails.iter().zip(&newer).filter(|(_, newer)| **newer).map(|(mail, _)| mail).step_by(step);
    table(chosen, &judge);
}

/// The weight of what was written for training.
const TAUGHT: f64 = 2.5;
const MODEL: &str = "signatures/starter/seed.model";

/// Which messages are for evaluation: the newer ones of each corpus, and all of those that may not train.
fn newer(mails: &[Mail]) -> Vec<bool> {
    let mut sorts: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
    for (nth, mail) in mails.iter().enumerate() {
        sorts.entry((mail.corpus, mail.is_spam)).or_default().push(nth);
    }
    let mut newer = vec![true; mails.len()];
    for ((corpus, _), mut members) in sorts {
        if may_train(corpus) {
            members.sort_by_key(|nth| mails[*nth].sent);
            let older = (members.len() as f64 * TRAINS) as usize;
            members.iter().take(older).for_each(|nth| newer[*nth] = false);
        }
    }
    newer
}

fn may_train(corpus: &str) -> bool {
    !["phish", "bounces", "own"].contains(&corpus)
}

/// Newer spam is worth more: there is little of it.
fn weight(mail: &Mail) -> f64 {
    if mail.corpus == "kernel" && mail.is_spam { 3.0 } else { 1.0 }
}

fn learn<'m>(home: &Path, mails: impl Iterator<Item = &'m Mail>) -> Model {
    let limits = Limits::default();
    let mut examples: Vec<Example> = mails
        .filter(|mail| may_train(mail.corpus))
        .map(|mail| {
            let specimen = Specimen::parse(mail.raw.clone(), &limits, &|| false);
            let tokens = Tokens::of(&specimen);
            Example { tokens, is_spam: mail.is_spam, weight: weight(mail), writer: mail.writer }
        })
        .collect();
    for (is_spam, subject, text, writer) in corpus::read_taught(&home.join("benches/detection/taught.txt")) {
        examples.push(Example { tokens: Tokens::of_text(&subject, &text), is_spam, weight: TAUGHT, writer });
    }
    let started = Instant::now();
    let model = train(&examples);
    println!("trained on {} messages in {:.0?}: {} words", examples.len(), started.elapsed(), model.len());
    model
}

fn write(home: &Path, mails: &[Mail]) {
    let model = learn(home, mails.iter());
    let octets = model.to_bytes();
    std::fs::write(home.join(MODEL), &octets).expect("the model can be written");
    println!("{MODEL}: {} words, {} octets, {} in memory", model.len(), octets.len(), model.memory());
}

fn set(home: &Path) -> SignatureSet {
    let faults = |faults: Vec<sekisho::signatures::Fault>| -> ! {
        faults.iter().for_each(|fault| println!("{fault}"));
        panic!("the pack has faults");
    };
    let packs = Pack::read_all(&home.join("signatures")).unwrap_or_else(|found| faults(found));
    SignatureSet::compile(1, &packs).unwrap_or_else(|found| faults(found))
}

/// What was found, and how long it took: to parse, for the rules, for the classifier.
fn judge(set: &SignatureSet, model: &Model, mail: &Mail) -> (Verdict, [Duration; 3]) {
    let mut verdict = Verdict::new(1);
    let started = Instant::now();
    let specimen = Specimen::parse(mail.raw.clone(), &Limits::default(), &|| false);
    let parsed = started.elapsed();
    let facts = Facts { recipients: 1, ..Facts::default() };
    rules::detect(set, &specimen, &facts, set.rules.nothing_seen(), &|| false, &mut verdict);
    let ruled = started.elapsed();
    if let Some(finding) = classifier::classify(&specimen, model, None) {
        verdict.find(finding);
    }
    (verdict, [parsed, ruled - parsed, started.elapsed() - ruled])
}

/// Everything that is unwanted; bulk mail is not.
fn points(verdict: &Verdict) -> Score {
    [Class::Spam, Class::Phishing, Class::Impersonation].map(|class| verdict.score_of(class)).into_iter().sum()
}

fn list(mail: &Mail, verdict: &Verdict) {
    let symbols: Vec<String> =
        verdict.findings.iter().map(|finding| format!("{}={}", finding.symbol, finding.score)).collect();
    let sort = if mail.is_spam { "spam" } else { "ham" };
    println!("{sort}\t{}\t{}\t{}\t{}", mail.corpus, points(verdict), mail.path.display(), symbols.join(" "));
}

#[derive(Default)]
struct Row {
    all: usize,
    spam: usize,
    suspected: usize,
    octets: usize,
    took: [Duration; 3],
}

fn table<'m>(mails: impl Iterator<Item = &'m Mail>, judge: &dyn Fn(&Mail) -> (Verdict, [Duration; 3])) {
    let mut rows: BTreeMap<(bool, &str), Row> = BTreeMap::new();
    for mail in mails {
        let (verdict, took) = judge(mail);
        let points = points(&verdict);
        for name in [mail.corpus, "~ all but own"] {
            if name != mail.corpus && mail.corpus == "own" {
                continue;
            }
            let row = rows.entry((mail.is_spam, name)).or_default();
            row.all += 1;
            row.spam += usize::from(points >= SPAM);
            row.suspected += usize::from(points >= SUSPECTED);
            row.octets += mail.raw.len();
            row.took.iter_mut().zip(took).for_each(|(sum, took)| *sum += took);
        }
    }
    println!(
        "\n| mail | messages | spam (5.0) | suspected (3.0) | KB each | parse, rules, classifier each |\n|---|---|---|---|---|---|"
    );
    for ((is_spam, corpus), row) in rows {
        let share = |part: usize| format!("{part} = {:.2} %", part as f64 * 100.0 / row.all as f64);
        let each = row.took.map(|took| format!("{:.2?}", took / u32::try_from(row.all).unwrap()));
        println!(
            "| {} {corpus} | {} | {} | {} | {:.1} | {} |",
            if is_spam { "spam" } else { "ham" },
            row.all,
            share(row.spam),
            share(row.suspected),
            row.octets as f64 / 1000.0 / row.all as f64,
            each.join(", "),
        );
    }
}
