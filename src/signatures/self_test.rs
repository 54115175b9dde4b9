//! The self-test of a set before it is used: the test files of the trade must be found, honest mail must pass.
//!
//! Every set holds the signatures of the two test texts, EICAR for viruses and GTUBE for spam: an engine that doesn't find
//! them finds nothing. Beside them run the examples of the rules, honest mail of our own, and the mail that packs bring in
//! `self-test/ham/*.eml` and `self-test/spam/*.eml`.
//!
//! **Failure**: all that went wrong is told. **Invariants**: deterministic; no network, no clock.

use bytes::Bytes;

use super::SignatureSet;
use super::octets::Source;
use super::pack::{Pack, PackFile};
use super::rules::Facts;
use crate::message::specimen::{FileKind, Specimen};
use crate::model::finding::{Class, Finding, Score};

/// From here on mail is spam at the middle level.
const SPAM: Score = Score(5_000);

/// The signatures that every set has.
#[must_use]
pub fn built_in() -> Pack {
    let file = |path: &str, text: &str| PackFile { path: path.into(), octets: text.to_owned().into() };
    let files = vec![
        file("pack.toml", include_str!("built_in/pack.toml")),
        file("tests.toml", include_str!("built_in/tests.toml")),
        file("eicar.ndb", include_str!("built_in/eicar.ndb")),
    ];
    // Its own tests hold that it reads.
    Pack::from_files("built-in", files).unwrap_or_default()
}

/// The EICAR test file, put together here so that no scanner finds it in ours.
#[must_use]
pub fn eicar() -> Vec<u8> {
    [&br"X5O!P%@AP[4\PZX54(P^)7CC)7}"[..], b"$EICAR-STANDARD-ANTIVIRUS-", b"TEST-FILE!$H+H*"].concat()
}

/// A message with the GTUBE text.
#[must_use]
pub fn gtube() -> Vec<u8> {
    let text = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL", "*C.34X"].concat();
    format!("From: a@example.com\r\nTo: b@example.com\r\nSubject: test\r\n\r\n{text}\r\n").into_bytes()
}

const HAM: [(&str, &str); 6] = [
    ("letter.eml", include_str!("built_in/ham/letter.eml")),
    ("meeting-ja.eml", include_str!("built_in/ham/meeting-ja.eml")),
    ("invoice-ja.eml", include_str!("built_in/ham/invoice-ja.eml")),
    ("receipt.eml", include_str!("built_in/ham/receipt.eml")),
    ("newsletter.eml", include_str!("built_in/ham/newsletter.eml")),
    ("patch.eml", include_str!("built_in/ham/patch.eml")),
];

/// Makes a Specimen of a message; the integrating room's own way.
pub type Parse<'p> = &'p dyn Fn(Bytes) -> Specimen;

/// What the detectors find by the set besides rules and octets: YARA, feeds, SpamAssassin's language, the classifier.
pub type Judge<'j> = &'j dyn Fn(&SignatureSet, &Specimen) -> Vec<Finding>;

/// Tests a set.
pub fn run(set: &SignatureSet, packs: &[Pack], parse: Parse<'_>, others: Judge<'_>) -> Result<(), Vec<String>> {
    let mut wrong = set.wrong_examples();
    let source = Source { kind: FileKind::Unknown, is_file: true, sha256: None };
    let (found, _) =
        set.octets.look((&set.rules, &set.clamav), &eicar(), source, &mut set.rules.nothing_seen(), &|| false);
    if found.is_empty() {
        wrong.push("EICAR is not found".to_owned());
    }
    if score(set, &parse(gtube().into()), &[]) < SPAM {
        wrong.push("GTUBE is not found".to_owned());
    }
    for (name, text) in HAM {
        let crlf = text.replace('\n', "\r\n");
        wrong.extend(judge(set, name, crlf.into(), false, parse, others));
    }
    for pack in packs {
        for file in &pack.files {
            let is_spam = file.path.starts_with("self-test/spam/");
            if is_spam || file.path.starts_with("self-test/ham/") {
                wrong.extend(judge(set, &pack.shown(file), file.octets.clone(), is_spam, parse, others));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn judge(
    set: &SignatureSet,
    name: &str,
    octets: Bytes,
    is_spam: bool,
    parse: Parse<'_>,
    others: Judge<'_>,
) -> Option<String> {
    let specimen = parse(octets);
    let others = others(set, &specimen);
    let score = score(set, &specimen, &others);
    match (is_spam, score >= SPAM) {
        (false, true) => {
            let names = names(set, &specimen, &others);
            Some(format!("honest mail is found: {name} has {score} points, by {names}"))
        }
        (true, false) => Some(format!("spam is not found: {name} has {score} points")),
        _ => None,
    }
}

/// The points by rules and octets, and by the other detectors; malware and the like are more than any.
fn score(set: &SignatureSet, specimen: &Specimen, others: &[Finding]) -> Score {
    let mut seen = set.rules.nothing_seen();
    let mail = Source { kind: FileKind::Mail, is_file: false, sha256: None };
    let mut malware = others.iter().any(|finding| !finding.class.is_scored());
    for octets in [&specimen.raw].into_iter().chain(specimen.parts.iter().map(|part| &part.octets)) {
        let (found, _) = set.octets.look((&set.rules, &set.clamav), octets, mail, &mut seen, &|| false);
        malware |= !found.is_empty();
    }
    let evaluated = set.rules.evaluate(specimen, &Facts::default(), seen, &|| false);
    if malware || evaluated.hits.iter().any(|hit| hit.rule.class == Class::Malware) {
        return Score(i32::MAX);
    }
    let own: Score = evaluated.hits.iter().filter(|hit| hit.rule.class.is_scored()).map(|hit| hit.score).sum();
    [own].into_iter().chain(others.iter().map(|finding| finding.score)).sum()
}

fn names(set: &SignatureSet, specimen: &Specimen, others: &[Finding]) -> String {
    let evaluated = set.rules.evaluate(specimen, &Facts::default(), set.rules.nothing_seen(), &|| false);
    let own = evaluated.hits.iter().map(|hit| &*hit.rule.name);
    own.chain(others.iter().map(|finding| &*finding.symbol)).collect::<Vec<_>>().join(", ")
}
