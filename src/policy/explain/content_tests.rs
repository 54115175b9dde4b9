//! The golden form of the member `content`, and that everything has its words.

use super::*;
use crate::model::detectors::Detectors;
use crate::model::disposition::{Category, Disposition};
use crate::model::egress::OutboundSpam;
use crate::model::explanation::content::{Content, Effect, MAX_EXPLAINED, MAX_GROUPS, MAX_NAMED, MAX_UNCHECKED};
use crate::model::explanation::{ClientSeen, Explanation, Versions};
use crate::model::finding::{Class, Detector, Finding, Reason, Score, Unavailable, Unchecked, Verdict};
use crate::model::rule::Skips;
use crate::model::{Direction, ReversePath, Timestamp};
use crate::policy::content::{Author, Facts, Ruling, Signed, dispose};
use crate::tenant::{ContentPolicy, DirectionSpec, Treatment};

fn verdict() -> Verdict {
    let mut verdict = Verdict::new(17);
    let points = Score::from_points;
    verdict.find(Finding::new(Detector::Rules, "FAKE_PARCEL_JA", Class::Phishing, points(4.5), "再配達"));
    verdict.find(Finding::new(Detector::Classifier, "CLASSIFIER", Class::Spam, points(2.25), "p=0.97"));
    verdict.find(Finding::new(Detector::Bulk, "LIST_ID", Class::Bulk, points(-0.5), ""));
    let encrypted = Finding::new(Detector::Files, "FILE_ENCRYPTED", Class::Encrypted, Score::ZERO, "invoice.zip");
    verdict.find(encrypted.in_part("2"));
    verdict.unavailable.push(Unavailable { detector: Detector::Rspamd, reason: "time-out".into() });
    verdict.unchecked.push(Unchecked { reason: Reason::Encrypted, what: "2/invoice.zip/a.exe".into() });
    verdict
}

fn ruling(verdict: Option<&Verdict>, spec: DirectionSpec, skips: Skips) -> Ruling {
    let policy = ContentPolicy::compile(Direction::Inbound, spec);
    dispose(&Facts {
        direction: Direction::Inbound,
        verdict,
        policy: &policy,
        skips,
        author: Author::Unproven,
        marks: &[],
        mandatory: Detectors::mandatory(),
        tries: 0,
        signed: Signed::No,
        spam: OutboundSpam::default(),
    })
}

fn judged() -> Explanation {
    let verdict = verdict();
    let ip = [192, 0, 2, 10].into();
    let client = ClientSeen { ip, helo: "mx.evil.test".into(), tls: None, country: None, reverse: None };
    let mut explanation = Explanation::new(Timestamp(0), Versions::default(), client, ReversePath::Null);
    let mut content = Content::new(Some(&verdict));
    let rejecting = DirectionSpec {
        actions: [(Category::Spam, Treatment::parse(["reject"]).unwrap())].into(),
        ..DirectionSpec::default()
    };
    for (recipient, spec, skips) in [
        ("hanako@acme.example", DirectionSpec::default(), Skips::NONE),
        ("taro@acme.example", DirectionSpec::default(), Skips::ALLOWED_SENDER),
        ("jiro@other.example", rejecting, Skips::NONE),
    ] {
        let recipients = vec![Address::parse(recipient).unwrap()];
        let ruling = ruling(Some(&verdict), spec, skips);
        content.judge(content_group(Direction::Inbound, recipients, &ruling, Some(&verdict)));
    }
    explanation.content = Some(Box::new(content));
    explanation
}

/// The form others rely on. A change here must only add.
#[test]
fn the_json_form_is_golden() {
    let explanation = judged();
    let written = format!("{}\n", serde_json::to_string_pretty(&explanation.content).unwrap());
    assert_eq!(written, include_str!("golden_content.json"), "{written}");
    let whole = explanation.to_json();
    assert_eq!(whole, serde_json::to_string(&explanation).unwrap());
    assert_eq!(serde_json::from_str::<Explanation>(&whole).unwrap(), explanation);
}

#[test]
fn the_text_is_golden() {
    let explanation = judged();
    let said = |language| text(&explanation, language).split_once("MAIL FROM:<>\n").unwrap().1.to_owned();
    let written = format!("{}\n{}", said(Language::English), said(Language::Japanese));
    assert_eq!(written, include_str!("golden_content.txt"), "{written}");
}

/// An explanation from before there was such a member reads as before.
#[test]
fn the_member_may_be_absent() {
    let mut explanation = judged();
    explanation.content = None;
    let json = explanation.to_json();
    assert!(!json.contains("content"), "{json}");
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
}

#[test]
fn every_category_effect_and_reason_has_its_words() {
    let reasons = [
        Reason::Bytes,
        Reason::FileSize,
        Reason::Ratio,
        Reason::Count,
        Reason::Depth,
        Reason::Time,
        Reason::Malformed,
        Reason::Unsupported,
        Reason::Encrypted,
    ];
    let effects = [Effect::Below, Effect::Skipped, Effect::Passed, Effect::Decided, Effect::Forced, Effect::Later];
    for language in [Language::English, Language::Japanese] {
        let mut seen = std::collections::HashSet::new();
        let all = Category::ALL.map(|category| content_words::category(category, language)).into_iter();
        let all = all.chain(effects.map(|effect| content_words::effect(effect, language)));
        for words in all.chain(reasons.map(|reason| content_words::reason(reason, language))) {
            assert!(!words.is_empty() && !words.ends_with(['.', '。']), "{words}");
            assert!(seen.insert(words), "{words} stands twice");
            assert_eq!(words.is_ascii(), language == Language::English, "{words}");
        }
    }
}

#[test]
fn sentences_say_what_was_done_and_why() {
    let said = |verdict: Option<&Verdict>| {
        let ruling = ruling(verdict, DirectionSpec::default(), Skips::NONE);
        content_group(Direction::Inbound, Vec::new(), &ruling, verdict).summary
    };
    let clean = said(Some(&Verdict::new(1)));
    assert_eq!(
        (&*clean.en, &*clean.ja),
        ("Delivered: nothing was found.", "配信しました：問題は見つかりませんでした。")
    );
    assert_eq!(&*said(None).en, "Put off: the message could not be inspected.");
    let mut virus = Verdict::new(1);
    virus.find(Finding::new(Detector::Hashes, "Eicar-Test", Class::Malware, Score::ZERO, ""));
    assert_eq!(&*said(Some(&virus)).en, "Quarantined: malicious content was found (Eicar-Test).");
    let mut silent = Verdict::new(1);
    silent.unavailable.push(Unavailable { detector: Detector::Clamd, reason: "refused".into() });
    assert_eq!(&*said(Some(&silent)).en, "Put off: clamd did not answer, and without it the message is not inspected.");
}

/// Whatever a message brings: bounded, and what is left out is counted.
#[test]
fn the_worst_content_is_bounded() {
    let long = "x\u{202e}\r\n".repeat(1 << 12);
    let mut verdict = Verdict::new(1);
    for n in 0..1_000 {
        let finding = Finding::new(Detector::Rules, &format!("{n}{long}"), Class::Spam, Score(n), &long);
        verdict.find(finding.in_part(&long));
        verdict.unchecked.push(Unchecked { reason: Reason::Time, what: long.as_str().into() });
        verdict.unavailable.push(Unavailable { detector: Detector::Icap, reason: long.as_str().into() });
    }
    verdict.find(Finding::new(Detector::Hashes, "VIRUS", Class::Malware, Score::ZERO, ""));
    verdict.findings.rotate_right(1);
    let mut content = Content::new(Some(&verdict));
    let ruling = ruling(Some(&verdict), DirectionSpec::default(), Skips::NONE);
    let named = Address::parse(&format!("{}@acme.example", "a".repeat(60))).unwrap();
    for _ in 0..MAX_GROUPS + 2 {
        content.judge(content_group(Direction::Inbound, vec![named.clone(); 1_000], &ruling, Some(&verdict)));
    }
    let kept = content.verdict.as_ref().unwrap();
    assert_eq!(
        (kept.findings.len(), kept.unchecked.len(), kept.unavailable.len()),
        (MAX_EXPLAINED, MAX_UNCHECKED, MAX_UNCHECKED)
    );
    assert_eq!(content.unchecked_left_out, 2 * (1_000 - 32));
    assert_eq!(kept.left_out as usize + kept.findings.len(), 1_001);
    assert_eq!((content.groups.len(), content.groups_left_out), (MAX_GROUPS, 2));
    assert_eq!(content.groups[0].recipients.len(), MAX_NAMED);
    assert_eq!(content.groups[0].recipients_left_out, 1_000 - u32::try_from(MAX_NAMED).unwrap());
    let json = serde_json::to_string(&content).unwrap();
    assert!(json.len() < 320 << 10, "{}", json.len());
    assert!(!json.contains("\\r") && !json.contains('\u{202e}'), "a control character is left");
}

/// A finding that needs no points is never the one that is left out.
#[test]
fn what_decides_is_kept() {
    let mut verdict = Verdict::new(1);
    for n in 0..200 {
        verdict.find(Finding::new(Detector::Rules, &n.to_string(), Class::Spam, Score(9_000), ""));
    }
    verdict.find(Finding::new(Detector::Hashes, "VIRUS", Class::Malware, Score::ZERO, ""));
    let kept = Content::new(Some(&verdict)).verdict.unwrap();
    assert_eq!(&*kept.findings[0].symbol, "VIRUS");
    assert!(matches!(
        ruling(Some(&verdict), DirectionSpec::default(), Skips::NONE).disposition,
        Disposition::Quarantine { category: Category::Malware }
    ));
}

/// The manual describes every member of the golden form.
#[test]
fn the_manual_names_every_member() {
    fn keys(value: &serde_json::Value, into: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| {
                into.insert(key.clone());
                keys(inner, into);
            }),
            serde_json::Value::Array(list) => list.iter().for_each(|inner| keys(inner, into)),
            _ => {}
        }
    }
    let manual = include_str!("../../manual/explanation.rs");
    let mut all = std::collections::BTreeSet::new();
    keys(&serde_json::to_value(judged().content).unwrap(), &mut all);
    let missing: Vec<_> = all.iter().filter(|key| !manual.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in manual::explanation: {missing:?}");
}
