//! `sekisho signatures train`: folders of sorted mail made into a classifier's model, for a pack.
//!
//! One message is in memory at a time; of those read before, only hashes of words stay, of a bounded number. The same files
//! make the same model, octet by octet.
//!
//! **Failure**: a folder that can't be read, too much mail, or mail of one sort only: nothing is written. The file is replaced as a
//! whole or not at all.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::signatures::{gather, parse};
use super::{Style, exit};
use crate::signatures::model::train::{Collection, Taken};

/// With fewer messages of a sort than this, a model knows little.
const FEW: usize = 200;

#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Folders of honest mail, one message a file; also those below
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    ham: Vec<PathBuf>,
    /// Folders of spam
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    spam: Vec<PathBuf>,
    /// Folders of phishing; the classifier takes it for spam
    #[arg(long, num_args = 1.., value_name = "DIR")]
    phish: Vec<PathBuf>,
    /// The model goes there; put it into a pack in place of another .model
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Of one sort.
#[derive(Default)]
struct Counts {
    taken: usize,
    again: usize,
    empty: usize,
}

pub(super) fn train(args: &TrainArgs, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let mut collection = Collection::default();
    let ham = read(&mut collection, &args.ham, false)?;
    let mut spam = args.spam.clone();
    spam.extend(args.phish.iter().cloned());
    let spam = read(&mut collection, &spam, true)?;
    if ham.taken == 0 || spam.taken == 0 {
        let missing = if ham.taken == 0 { "honest mail" } else { "spam" };
        return Err(Failure::NotFound(format!("there is no {missing} to learn from")));
    }
    if ham.taken.min(spam.taken) < FEW {
        eprintln!("sekisho: fewer than {FEW} messages of a sort: the model will know little");
    }
    let model = collection.train();
    if model.is_empty() {
        return Err(Failure::Other(
            "no word was used by enough different writers: the model would be empty".to_owned(),
        ));
    }
    let octets = model.to_bytes();
    let io = |source| Failure::File { path: args.out.clone(), source };
    let beside = args.out.with_extension("model.new");
    std::fs::write(&beside, &octets).and_then(|()| std::fs::rename(&beside, &args.out)).map_err(io)?;
    if style.json {
        let of = |counts: &Counts| json!({ "taken": counts.taken, "again": counts.again, "empty": counts.empty });
        let report =
            json!({ "v": 1, "ham": of(&ham), "spam": of(&spam), "words": model.len(), "octets": octets.len() });
        writeln!(out, "{report}")?;
    } else {
        writeln!(out, "{}", args.out.display())?;
        for (sort, counts) in [("ham", &ham), ("spam", &spam)] {
            let Counts { taken, again, empty } = counts;
            eprintln!("sekisho: {sort}: {taken} messages; left out: {again} that say the same, {empty} without words");
        }
        eprintln!("sekisho: {} words, {} octets", model.len(), octets.len());
    }
    Ok(exit::OK)
}

fn read(collection: &mut Collection, folders: &[PathBuf], is_spam: bool) -> Result<Counts, Failure> {
    let mut files = Vec::new();
    for folder in folders {
        gather(folder, &mut files)?;
    }
    // What was named twice is read once, and in the same order wherever a folder's listing begins.
    files.sort();
    files.dedup();
    let mut counts = Counts::default();
    for file in files {
        let octets = std::fs::read(&file).map_err(|source| Failure::File { path: file.clone(), source })?;
        match collection.take(&parse(octets.into()), is_spam) {
            Taken::Yes => counts.taken += 1,
            Taken::Again => counts.again += 1,
            Taken::Empty => counts.empty += 1,
            Taken::Full => {
                return Err(Failure::Other(format!(
                    "too much mail: {} was the first message without room; take fewer, the newest best",
                    file.display()
                )));
            }
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Specimen;
    use crate::signatures::model::{Model, Tokens};

    const PLAIN: Style = Style { json: false, color: false };

    fn folder(parent: &std::path::Path, name: &str, subject: &str, text: &str) -> PathBuf {
        let folder = parent.join(name);
        std::fs::create_dir(&folder).unwrap();
        // Mail that says the same counts once: each says something of its own.
        let own = ["ant", "bear", "crow", "deer", "eel", "fox", "goat", "hare", "ibis", "jay", "kite", "lark"];
        for (writer, own) in own.iter().enumerate() {
            let mail =
                format!("From: w{writer}@host{writer}.example\r\nSubject: {subject}\r\n\r\n{text} the {own} says\r\n");
            std::fs::write(folder.join(format!("{writer}.eml")), mail).unwrap();
        }
        folder
    }

    fn args(dir: &std::path::Path, out: &str) -> TrainArgs {
        TrainArgs {
            ham: vec![dir.join("ham")],
            spam: vec![dir.join("spam")],
            phish: vec![dir.join("phish")],
            out: dir.join(out),
        }
    }

    #[test]
    fn sorted_folders_make_a_model_that_tells_them_apart() {
        let dir = tempfile::tempdir().unwrap();
        let ham = "please bring the minutes and the draft budget to the meeting in room four on monday morning";
        folder(dir.path(), "ham", "meeting on monday", ham);
        let spam = "you are the lucky winner of the lottery send your bank details to the barrister to claim it";
        folder(dir.path(), "spam", "claim your prize", spam);
        let phish = "verify your mailbox password today or the account will be suspended click the link below now";
        folder(dir.path(), "phish", "mailbox suspended", phish);
        for name in ["one.model", "two.model"] {
            assert_eq!(train(&args(dir.path(), name), PLAIN, &mut Vec::new()).unwrap(), exit::OK);
        }
        let octets = std::fs::read(dir.path().join("one.model")).unwrap();
        assert_eq!(octets, std::fs::read(dir.path().join("two.model")).unwrap(), "the same mail makes the same model");
        let model = Model::from_bytes(&octets).unwrap();
        let odds = |text: &str| {
            let specimen =
                Specimen::parse(format!("Subject: x\r\n\r\n{text}\r\n").into(), &Default::default(), &|| false);
            model.judge(&Tokens::of(&specimen), None).odds
        };
        assert!(odds(ham) < -0.5 && odds(spam) > 0.5 && odds(phish) > 0.5);
    }

    #[test]
    fn without_both_sorts_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        folder(dir.path(), "ham", "meeting", "please bring the minutes and the draft budget to the meeting on monday");
        for name in ["spam", "phish"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let told = train(&args(dir.path(), "m.model"), PLAIN, &mut Vec::new()).unwrap_err();
        assert!(matches!(&told, Failure::NotFound(reason) if reason.contains("spam")), "{told}");
        assert!(!dir.path().join("m.model").exists());
        std::fs::remove_dir(dir.path().join("phish")).unwrap();
        assert!(matches!(train(&args(dir.path(), "m.model"), PLAIN, &mut Vec::new()), Err(Failure::File { .. })));
    }
}
