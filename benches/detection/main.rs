//! How well the default set tells mail apart, and what its classifier is trained with.
//!
//! ```text
//! cargo bench --bench detection                      # the table: trained on older mail, tried on newer and on other mail
//! cargo bench --bench detection -- tune              # the same for choosing: the newer mail is not looked at
//! cargo bench --bench detection -- train             # writes signatures/starter/seed.model from all that may be used
//! cargo bench --bench detection -- list [CORPUS]     # one line for each message: fate, points and symbols; also `list tune`
//! ```
//!
//! The corpora are looked for in `$SEKISHO_CORPORA`, else in `target/corpora`; without them there is nothing to do.
//!
//! **Split.** Of each corpus and sort the newer 30 % of the mail, by date, is what the table is about. Of the older 70 %, all
//! trains for the table; for `tune` the oldest three quarters train and the rest is tried. The phishing (whose licence forbids
//! training) and the project's own mail (`tests/mail`) train nothing; of the phishing the older half is for `tune`, the newer for
//! the table. `taught.txt` trains: kinds of mail the corpora lack. Rules are not trained: they are written by hand, for
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
const TAUGHT: f64 = 2.5;
const MODEL: &str = "signatures/starter/seed.model";

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Train,
    Tune,
    Test,
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
    let uses = uses(&mails);
    let tries = if has("tune") { Use::Tune } else { Use::Test };
    let (mails, uses): (Vec<Mail>, Vec<Use>) = mails
        .into_iter()
        .zip(uses)
        .filter(|(mail, its)| *its != Use::Test || tries == Use::Test || mail.corpus == "own")
        .unzip();
    let tokens: Vec<Tokens> = mails.iter().map(tokens).collect();
    let trains = |nth: &usize| may_train(mails[*nth].corpus) && uses[*nth] != Use::Test && uses[*nth] != tries;
    let of_training: Vec<usize> = (0..mails.len()).filter(trains).collect();
    let model = if has("--shipped") {
        Model::from_bytes(&std::fs::read(home.join(MODEL)).expect("the model is there")).expect("the model is whole")
    } else {
        let chosen: Vec<&Mail> = of_training.iter().map(|nth| &mails[*nth]).collect();
        let words: Vec<Tokens> = of_training.iter().map(|nth| tokens[*nth].clone()).collect();
        learn(home, &chosen, &words)
    };
    let judge = Judge::new(home, model);
    let group = alike::groups(&tokens);
    let known: HashSet<usize> = of_training.iter().map(|nth| group[*nth]).collect();
    let tried = |nth: &usize| uses[*nth] == tries || mails[*nth].corpus == "own";
    let (copies, chosen): (Vec<usize>, Vec<usize>) =
        (0..mails.len()).filter(tried).partition(|nth| known.contains(&group[*nth]));
    if let Some(at) = arguments.iter().position(|argument| argument == "list") {
        let only = arguments.get(at + 1).filter(|only| *only != "tune");
        for nth in chosen.into_iter().filter(|nth| only.is_none_or(|only| only == mails[*nth].corpus)) {
            table::list(&mails[nth], &judge.judge(&mails[nth]));
        }
        return;
    }
    let step = if has("--quick") { 8 } else { 1 };
    let judged = chosen.iter().step_by(step).map(|nth| (&mails[*nth], group[*nth], judge.judge(&mails[*nth])));
    table::print(judged);
    let mut left_out: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    copies.iter().for_each(|nth| *left_out.entry((mails[*nth].corpus, mails[*nth].is_spam)).or_default() += 1);
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

/// By date, within each corpus and sort.
fn uses(mails: &[Mail]) -> Vec<Use> {
    let mut sorts: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
    for (nth, mail) in mails.iter().enumerate() {
        sorts.entry((mail.corpus, mail.is_spam)).or_default().push(nth);
    }
    let mut uses = vec![Use::Test; mails.len()];
    for ((corpus, _), mut members) in sorts {
        members.sort_by_key(|nth| mails[*nth].sent);
        let (train, tune) = match corpus {
            "own" => (0.0, 0.0),
            _ if may_train(corpus) => (OLDER * OLDEST, OLDER),
            _ => (0.0, 0.5),
        };
        let place = |share: f64| (members.len() as f64 * share) as usize;
        let (train, tune) = (place(train), place(tune));
        members.iter().take(tune).for_each(|nth| uses[*nth] = Use::Tune);
        members.iter().take(train).for_each(|nth| uses[*nth] = Use::Train);
    }
    uses
}

fn may_train(corpus: &str) -> bool {
    !["phish", "bounces", "own"].contains(&corpus)
}

/// Newer spam is worth more: there is little of it.
fn weight(mail: &Mail) -> f64 {
    if mail.corpus == "kernel" && mail.is_spam { 3.0 } else { 1.0 }
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
