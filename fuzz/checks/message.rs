//! What must hold of any message: it is read to a Specimen within every budget, its files are walked through, and those who
//! look at it afterwards come to an end; no panic, no part without a parent before it, no range outside the message.

use bytes::Bytes;
use sekisho::message::files::{Passwords, walk};
use sekisho::message::specimen::{FileSeen, FileVisitor, Specimen};
use sekisho::model::finding::{MAX_EVIDENCE, MAX_FINDINGS, Verdict};
use sekisho::scan::impersonation::{self, Known};
use sekisho::scan::{bulk, files};
use sekisho::signatures::model::tokens::{MAX_TOKENS, Tokens};

use super::limits::SMALL;

struct Nobody;

impl FileVisitor for Nobody {
    fn file(&mut self, _: &FileSeen, _: &[u8]) {}
}

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let mut specimen = Specimen::parse(Bytes::copy_from_slice(data), &SMALL, &|| false);
    holds(&specimen);
    walk(&mut specimen, &SMALL, &Passwords::of_mail_and(&[]), &|| false, &mut Nobody);
    holds(&specimen);
    assert!(specimen.files.len() <= SMALL.files + SMALL.parts, "{} files", specimen.files.len());
    for (index, file) in specimen.files.iter().enumerate() {
        assert!(file.parent.is_none_or(|parent| parent < index) && file.part < specimen.parts.len());
    }

    let mut verdict = Verdict::new(1);
    let known = Known { own_domains: &[], recipients: &[], authenticated: None, first_contact: false, protected: &[] };
    impersonation::detect(&specimen, &known, &mut verdict);
    bulk::detect(&specimen, &mut verdict);
    files::detect(&specimen, &mut verdict);
    assert!(verdict.findings.len() <= 2 * MAX_FINDINGS);
    for finding in &verdict.findings {
        assert!(finding.evidence.chars().count() <= MAX_EVIDENCE && !finding.evidence.contains(char::is_control));
    }
    assert!(Tokens::of(&specimen).len() <= MAX_TOKENS);
    let _ = (specimen.is_signed(), specimen.from(), specimen.reply_to(), specimen.recipients_named());
}

fn holds(specimen: &Specimen) {
    assert!(specimen.fields.len() <= SMALL.fields && specimen.parts.len() <= SMALL.parts);
    assert!(specimen.body <= specimen.raw.len());
    for field in &specimen.fields {
        assert!(specimen.raw.get(field.raw.clone()).is_some(), "a field outside of the message");
    }
    for (index, part) in specimen.parts.iter().enumerate() {
        assert!(part.parent.is_none_or(|parent| parent < index), "{part:?}");
        assert!(specimen.raw.get(part.encoded.clone()).is_some(), "a part outside of the message");
        assert!(part.depth <= SMALL.depth + 1, "{} deep", part.depth);
    }
    assert!(specimen.links.len() <= SMALL.links);
    for link in &specimen.links {
        assert!(link.part < specimen.parts.len() && !link.host.contains(char::is_whitespace), "{link:?}");
    }
    let text: usize =
        specimen.texts.iter().map(|text| text.visible.chars().count() + text.hidden.chars().count()).sum();
    assert!(text <= 4 * SMALL.text + 4_096, "{text} characters");
    assert!(specimen.texts.iter().all(|text| text.part < specimen.parts.len()));
}
