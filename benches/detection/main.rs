//! How well the default set tells mail apart, and what its classifier is trained with.
//!
//! ```text
//! cargo bench --bench detection                      # the table: trained on older mail, tried on newer and on other mail
//! cargo bench --bench detection -- tune              # the same for choosing: the newer mail is not looked at
//! cargo bench --bench detection -- cross             # for choosing, too: each quarter of that older mail by what the others teach
//! cargo bench --bench detection -- train             # writes signatures/starter/seed.model from all that may be used
//! cargo bench --bench detection -- list [CORPUS]     # one line for each message: fate, points and symbols; also `list tune`, `list cross`
//! ```
//!
//! The corpora are looked for in `$SEKISHO_CORPORA`, else in `target/corpora`; without them there is nothing to do.
//!
//! **Split.** Of each corpus and sort the newer 30 % of the mail, by date, is what the table is about. Of the older 70 %, all
//! trains for the table; for `tune` the oldest three quarters train and the rest is tried. The phishing (whose licence forbids
//! training) and the project's own mail (`tests/mail`) train nothing; of the phishing the older half is for `tune`, the newer for
//! the table. `cross` is a wider look at the older 70 %: its quarters, by date, are tried in turn by a model of the three others. `taught.txt` trains: kinds of mail the corpora lack. Rules are not trained: they are written by hand, for
//! kinds of mail and not for these messages.
//!
//! **Near duplicates** ([`alike`]) of a message that trains are left out of the table, and said. What remains twice counts twice
//! in `held`, once in `distinct`.
//!
//! **Judged** is as the gateway does it with no settings: every detector of this process, default thresholds and actions, nothing
//! asked over the network, no authentication known. `held` is what does not reach the inbox: quarantined as spam,
//! phishing or malware; `for a file` is what is held for another reason (risky files, what can't be looked into). Intervals are
//! Wilson's, 95 %. `--shipped` takes the model of the pack, which knows all of the corpora but the phishing.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench")]

mod alike;
mod corpus;
mod judge;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use corpus::Mail;
use judge::Judge;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::signatures::model::train::{Example, train};
use sekisho::signatures::model::{Model, Tokens};

/// Of the mail of a corpus, what is newer than this share is for the table.
const OLDER: f64 = 0.7;
/// Of the older, what trains when something is chosen.
const OLDEST: f64 = 0.75;
/// The weight of what was written for training.
const TAUGHT: f64 = 4.0;
const MODEL: &str = "signatures/starter/seed.model";

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Train,
    Try,
    Nothing,
}

/// How the mail is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Test,
    Tune,
    /// Of the older mail, the nth quarter is tried.
    Quarter(usize),
}

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
        let (chosen, tokens): (Vec<_>, Vec<_>) =
            mails.iter().filter(|mail| may_train(mail.corpus)).map(|mail| (mail, tokens(mail))).unzip();
        let model = learn(home, &chosen, &tokens);
        let octets = model.to_bytes();
        std::fs::write(home.join(MODEL), &octets).expect("the model can be written");
        println!("{MODEL}: {} words, {} octets, {} in memory", model.len(), octets.len(), model.memory());
        return;
    }
    mails.extend(corpus::read_own(&home.join("tests/mail")));
    let places = places(&mails);
    let trial = if has("tune") {
        &[Split::Tune][..]
    } else if has("cross") {
        &[Split::Quarter(0), Split::Quarter(1), Split::Quarter(2), Split::Quarter(3)][..]
    } else {
        &[Split::Test][..]
    };
    // What is for the table is not even read where something is chosen.
    let (mails, places): (Vec<Mail>, Vec<f64>) = mails
        .into_iter()
        .zip(places)
        .filter(|(mail, place)| trial == [Split::Test] || *place < older(mail.corpus) || mail.corpus == "own")
        .unzip();
    let tokens: Vec<Tokens> = mails.iter().map(tokens).collect();
    let group = alike::groups(&tokens);
    let step = if has("--quick") { 8 } else { 1 };
    let only = arguments.iter().position(|argument| argument == "list").map(|at| arguments.get(at + 1));
    let mut judged: Vec<(&Mail, usize, judge::Judged)> = Vec::new();
    let mut left_out: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for split in trial {
        let uses: Vec<Use> = mails.iter().zip(&places).map(|(mail, place)| split.of(mail.corpus, *place)).collect();
        let of_training: Vec<usize> = (0..mails.len()).filter(|nth| uses[*nth] == Use::Train).collect();
        let model = if has("--shipped") {
            Model::from_bytes(&std::fs::read(home.join(MODEL)).expect("the model is there"))
                .expect("the model is whole")
        } else {
            let chosen: Vec<&Mail> = of_training.iter().map(|nth| &mails[*nth]).collect();
            let words: Vec<Tokens> = of_training.iter().map(|nth| tokens[*nth].clone()).collect();
            learn(home, &chosen, &words)
        };
        let judge = Judge::new(home, model);
        let known: HashSet<usize> = of_training.iter().map(|nth| group[*nth]).collect();
        let (copies, chosen): (Vec<usize>, Vec<usize>) =
            (0..mails.len()).filter(|nth| uses[*nth] == Use::Try).partition(|nth| known.contains(&group[*nth]));
        copies.iter().for_each(|nth| *left_out.entry((mails[*nth].corpus, mails[*nth].is_spam)).or_default() += 1);
        let chosen = chosen.iter().step_by(step);
        judged.extend(chosen.map(|nth| (&mails[*nth], group[*nth], judge.judge(&mails[*nth]))));
    }
    if let Some(only) = only {
        let only = only.filter(|only| !["tune", "cross"].contains(&only.as_str()));
        for (mail, _, judged) in judged.iter().filter(|(mail, ..)| only.is_none_or(|only| only == mail.corpus)) {
            table::list(mail, judged);
        }
        return;
    }
    table::print(judged.into_iter());
    for ((corpus, is_spam), count) in left_out {
        println!("left out, for a like message trains: {count} of {} {corpus}", table::sort(is_spam));
    }
}

fn specimen(mail: &Mail) -> Specimen {
    Specimen::parse(mail.raw.clone(), &Limits::default(), &|| false)
}

fn tokens(mail: &Mail) -> Tokens {
    Tokens::of(&specimen(mail))
}

/// Where each stands by date within its corpus and sort: from 0, the oldest, to 1.
fn places(mails: &[Mail]) -> Vec<f64> {
    let mut sorts: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
    for (nth, mail) in mails.iter().enumerate() {
        sorts.entry((mail.corpus, mail.is_spam)).or_default().push(nth);
    }
    let mut places = vec![0.0; mails.len()];
    for mut members in sorts.into_values() {
        members.sort_by_key(|nth| mails[*nth].sent);
        let all = members.len() as f64;
        members.into_iter().enumerate().for_each(|(rank, nth)| places[nth] = (rank as f64 + 0.5) / all);
    }
    places
}

/// Of a corpus, what is not for the table.
fn older(corpus: &str) -> f64 {
    if may_train(corpus) { OLDER } else { 0.5 }
}

impl Split {
    /// What a message is for, by its place.
    fn of(self, corpus: &str, place: f64) -> Use {
        let (older, trains) = (older(corpus), may_train(corpus));
        let is_tried = match self {
            _ if corpus == "own" => self == Self::Test || self == Self::Tune || self == Self::Quarter(0),
            Self::Test => place >= older,
            Self::Tune => place < older && (!trains || place >= older * OLDEST),
            Self::Quarter(nth) => place < older && (place / older * 4.0) as usize == nth,
        };
        match is_tried {
            true => Use::Try,
            false if trains && place < older => Use::Train,
            false => Use::Nothing,
        }
    }
}

fn may_train(corpus: &str) -> bool {
    !["phish", "bounces", "own"].contains(&corpus)
}

/// There is less spam than ham, least of newer spam and of advertisements that somebody wanted: each is worth more.
fn weight(mail: &Mail) -> f64 {
    match (mail.corpus, mail.is_spam) {
        ("kernel", true) => 5.0,
        ("old", true) => 1.5,
        ("old-html", false) => 6.0,
        _ => 1.0,
    }
}

fn learn(home: &Path, mails: &[&Mail], tokens: &[Tokens]) -> Model {
    let mut examples: Vec<Example> = mails
        .iter()
        .zip(tokens)
        .map(|(mail, tokens)| Example {
            tokens: tokens.clone(),
            is_spam: mail.is_spam,
            weight: weight(mail),
            writer: mail.writer,
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
