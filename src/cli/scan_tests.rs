//! The command over files, directories and standard shapes; what it finds is the matter of others.

use super::*;
use clap::Parser;

const HAM: &str = "From: a@partner.example\nTo: b@acme.example\nSubject: minutes\nMessage-ID: <1@partner.example>\nDate: Sat, 21 Nov 2026 10:00:00 +0900\n\nSee you at ten.\n";

#[derive(Debug, Parser)]
struct Words {
    #[command(flatten)]
    args: ScanArgs,
}

const PLAIN: Style = Style { json: false, color: false };
const JSON: Style = Style { json: true, color: false };

/// With settings that name nothing but what must be named.
async fn said(words: &str, dir: &Path, style: Style) -> (u8, String) {
    let config = dir.join("sekisho.toml");
    let settings = format!(
        "hostname = 'a.example'\ndata_dir = '{}'\n[[listener]]\nname = 'm'\ndirection = 'inbound'\nbind = '127.0.0.1:0'\n",
        dir.join("var").display()
    );
    std::fs::write(&config, settings).unwrap();
    let words = words.replace("DIR", dir.to_str().unwrap());
    let args = Words::try_parse_from(std::iter::once("scan").chain(words.split_whitespace())).unwrap().args;
    let mut out = Vec::new();
    let code = run(args, Some(&config), style, &mut out).await;
    (code, String::from_utf8(out).unwrap().replace(dir.to_str().unwrap(), "DIR"))
}

fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    dir
}

#[tokio::test]
async fn a_plain_message_is_delivered() {
    let dir = dir_with(&[("ham.eml", HAM)]);
    let (code, out) = said("DIR/ham.eml", dir.path(), PLAIN).await;
    assert!(out.starts_with("DIR/ham.eml: deliver; clean; "), "{out}");
    assert_eq!(code, CLEAN, "{out}");
    let (_, explained) = said("DIR/ham.eml --explain --rcpt b@acme.example", dir.path(), PLAIN).await;
    assert!(
        explained.contains("for b@acme.example") && explained.contains("Delivered: nothing was found."),
        "{explained}"
    );
    let (_, explained) = said("DIR/ham.eml --explain --lang ja", dir.path(), PLAIN).await;
    assert!(explained.contains("配信しました"), "{explained}");
}

#[tokio::test]
async fn directories_are_told_in_order_and_errors_are_two() {
    let many: Vec<(String, &str)> = (0..40).map(|n| (format!("m/{}/{n:02}.eml", n % 3), HAM)).collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let dir = dir_with(&files);
    let (code, out) = said("DIR/m", dir.path(), JSON).await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names.is_sorted(), code), (40, true, CLEAN));
    assert!(
        lines.iter().all(|line| line["v"] == 1 && line["disposition"] == "deliver" && line["explanation"].is_null())
    );
    let (code, out) = said("DIR/none.eml", dir.path(), JSON).await;
    assert!(code == UNSEEN && out.contains("\"error\""), "{code} {out}");
    let (code, _) = said("DIR/m --tenant nobody", dir.path(), PLAIN).await;
    assert_eq!(code, UNSEEN, "a tenant that is none");
}

#[test]
fn codes_follow_what_would_become_of_it() {
    use crate::model::Reply;
    let question = |words: &str| Question {
        scanner: app::scanner(None).unwrap(),
        tenant: None,
        spam: OutboundSpam::default(),
        args: Words::try_parse_from(["scan", "-"].into_iter().chain(words.split_whitespace())).unwrap().args,
    };
    let told = |disposition, decided_by, categories: &[Category]| {
        let client = ClientSeen { ip: [0, 0, 0, 0].into(), helo: "".into(), tls: None, country: None, reverse: None };
        Ok(Told {
            disposition,
            categories: categories.to_vec(),
            decided_by,
            score: Score::ZERO,
            set: 0,
            symbols: Vec::new(),
            explanation: Explanation::new(Clock::System.now(), Versions::default(), client, ReversePath::Null),
        })
    };
    let by = |category| Decider::Category { category };
    let clean = || told(Disposition::Deliver(Default::default()), Decider::Nothing, &[]);
    let bulk = || told(Disposition::Deliver(Default::default()), by(Category::Bulk), &[Category::Bulk]);
    let spam = || told(Disposition::Quarantine { category: Category::Spam }, by(Category::Spam), &[Category::Spam]);
    let unseen = || {
        let category = Category::Unscannable;
        told(Disposition::Quarantine { category }, by(category), &[category])
    };
    let later = || told(Disposition::Defer(Reply::plain(451, "later")), Decider::NoScan, &[Category::Unscannable]);
    for (words, result, code) in [
        ("", clean(), CLEAN),
        ("", bulk(), CLEAN),
        ("", spam(), NOT_CLEAN),
        ("", unseen(), UNSEEN),
        ("", later(), UNSEEN),
        ("", Err("no such file".into()), UNSEEN),
        ("--fail-on malware", spam(), CLEAN),
        ("--fail-on malware --fail-on spam", spam(), NOT_CLEAN),
        ("--fail-on bulk", bulk(), NOT_CLEAN),
        ("--fail-on malware", unseen(), UNSEEN),
    ] {
        assert_eq!(question(words).code(&result), code, "{words}");
    }
}

#[test]
fn a_file_becomes_what_smtp_would_bring() {
    assert_eq!(canonical(b"A: b\nC: d\r\n\nx\ry\n"), b"A: b\r\nC: d\r\n\r\nx\ry\r\n");
    assert_eq!(canonical(b"From x Sat Nov 21\nA: b\n"), b"A: b\r\n");
    assert_eq!(canonical(b"From nobody"), b"");
}
