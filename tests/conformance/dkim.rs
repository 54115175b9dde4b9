//! DKIM: the vectors of Mail-DKIM (Perl) and dkimpy through the real verifier, and the body hashes of a mailing list.

use std::path::{Path, PathBuf};
use std::sync::Arc as Shared;

use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::dkim::Canonicalization;
use sekisho::dns::{Answer, MemoryResolver};
use sekisho::model::authentication::{Dkim, DkimResult};
use sekisho::sender::authentication::block::Block;
use sekisho::sender::authentication::budget::Budget;
use sekisho::sender::authentication::dkim::signature::Signature;
use sekisho::sender::authentication::dkim::tags::Tags;
use sekisho::sender::authentication::dkim::{self, Bodies};

use crate::{Tally, corpora};

/// Vectors whose name says "good" by the drafts of 2005 and 2006, and which RFC 6376 or RFC 8301 refuses. Each is held
/// against the words of the refusal.
const REFUSED_TODAY: &[(&str, &str)] = &[
    ("good_1878523", "512 bits"),
    ("good_ietf00_1", "v= is not 1"),
    ("good_ietf00_2", "v= is not 1"),
    ("good_ietf00_3", "v= is not 1"),
    ("good_ietf00_4", "v= is not 1"),
    ("good_ietf00_5", "v= is not 1"),
    ("good_ietf01_1", "v= is not 1"),
    ("good_ietf01_2", "v= is not 1"),
    ("good_qp_1", "512 bits"),
    ("good_qp_2", "512 bits"),
    ("good_qp_3", "512 bits"),
    ("good_rfc4871_3", "512 bits"),
    ("good_rfc4871_4", "512 bits"),
    ("goodkey_1", "512 bits"),
    ("goodkey_2", "512 bits"),
    ("goodkey_3", "512 bits"),
    ("goodkey_4", "512 bits"),
    ("mine_ietf01_1", "v= is not 1"),
    ("mine_ietf01_2", "v= is not 1"),
    ("mine_ietf01_3", "v= is not 1"),
    ("mine_ietf01_4", "v= is not 1"),
    ("mine_ietf05_1", "v= is not 1"),
    ("multiple_1", "v= is not 1"),
    ("no_body_1", "v= is not 1"),
    ("no_body_2", "v= is not 1"),
    ("no_body_3", "v= is not 1"),
];

#[tokio::test]
async fn mail_dkim() {
    let Some(folder) = corpora("auth/perl-mail-dkim/t") else { return };
    let dns = fake_dns(&std::fs::read_to_string(folder.join("FAKE_DNS.dat")).unwrap());
    let mut tally = Tally::default();
    for file in files(&folder.join("corpus")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let message = crlf(&std::fs::read(&file).unwrap());
        if Block::read(&message).named("DKIM-Signature").next().is_none() {
            // DomainKeys (RFC 4870) is history: such mail is unsigned mail.
            assert!(verify(&message, &dns).await.is_empty());
            continue;
        }
        let found = verify(&message, &dns).await;
        let judged = |wanted: bool| if wanted { Ok(()) } else { Err(format!("{found:?}")) };
        // Right by mathematics; rsa-sha1 is, and is still not accepted (RFC 8301).
        let valid = found.iter().any(|dkim| matches!(dkim.result, DkimResult::Pass | DkimResult::Policy));
        if let Some((_, words)) = REFUSED_TODAY.iter().find(|(known, _)| *known == name) {
            let said = found.iter().any(|dkim| dkim.why.as_deref().is_some_and(|why| why.contains(words)));
            tally.note(&name, judged(!valid && said));
        } else {
            let good = ["good", "mine", "no_body", "multiple"].iter().any(|start| name.starts_with(start));
            tally.note(&name, judged(valid == good));
        }
    }
    println!("({} of them are refused by rules newer than they are, each with its reason)", REFUSED_TODAY.len());
    tally.settle("DKIM, vectors of Mail-DKIM", 62, &[]);
}

#[tokio::test]
async fn dkimpy() {
    let Some(folder) = corpora("auth/dkimpy-tests/dkim/tests/data") else { return };
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap().trim().to_owned();
    let dns = |records: &[(&str, String)]| {
        let resolver = MemoryResolver::default();
        for (name, text) in records {
            resolver.set_txt(name, Answer::Found(vec![text.as_bytes().into()]));
        }
        Shared::new(resolver)
    };
    let football = [
        (
            "brisbane._domainkey.football.example.com",
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned(),
        ),
        ("test._domainkey.football.example.com", text("test.txt")),
    ];
    let pass = DkimResult::Pass;
    let mut tally = Tally::default();
    for (file, records, wanted) in [
        ("rfc6376.signed.msg", &football[..], vec![pass, pass]),
        ("rfc6376.signed.rsa.msg", &football[..], vec![pass]),
        // Changed by hand after signing: read without t=, and then refused.
        ("rfc6376.signed.no_t.msg", &football[..], vec![DkimResult::Fail]),
        ("ed25519test.msg", &football[..], vec![]),
        ("rfc6376.msg", &football[..], vec![]),
        ("test.message", &football[..], vec![]),
    ] {
        let found = verify(&crlf(&std::fs::read(folder.join(file)).unwrap()), &dns(records)).await;
        let results: Vec<_> = found.iter().map(|dkim| dkim.result).collect();
        tally.note(file, if results == wanted { Ok(()) } else { Err(format!("{found:?}")) });
    }
    // Keys that are none: a signature that is right fails without its key.
    let signed = crlf(&std::fs::read(folder.join("rfc6376.signed.rsa.msg")).unwrap());
    for record in ["badk.txt", "badversion.txt"] {
        let found = verify(&signed, &dns(&[("test._domainkey.football.example.com", text(record))])).await;
        let right = found.len() == 1 && found[0].result == DkimResult::PermError;
        tally.note(record, if right { Ok(()) } else { Err(format!("{found:?}")) });
    }
    tally.settle("DKIM, vectors of dkimpy", 8, &[]);
}

/// Every signature of the list's mail: our body hash is that of a reference written here, and the signer's wherever the
/// reference says that the body is unbroken.
#[test]
fn body_hashes_of_a_mailing_list() {
    let Some(folder) = corpora("ham-spam/list-linux-alpha") else { return };
    let (mut messages, mut signatures, mut unbroken, mut same, mut verified) = (0, 0, 0, 0, 0);
    for file in files(&folder).into_iter().filter(|file| file.extension().is_some_and(|end| end == "eml")) {
        let message = crlf(&std::fs::read(&file).unwrap());
        let block = Block::read(&message);
        let bodies = Bodies::new(block.body);
        let mut signed = false;
        for field in block.named("DKIM-Signature") {
            let Ok(text) = std::str::from_utf8(field.value) else { continue };
            let Some(signature) = Tags::parse(text).ok().and_then(|tags| Signature::dkim(&tags).ok()) else { continue };
            signed = true;
            signatures += 1;
            let ours = bodies.hash(&signature);
            let mut canonical = reference(block.body, signature.body_form);
            if let Some(length) = signature.length {
                canonical.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            }
            let hash =
                if signature.hash() == HashAlgorithm::Sha1 { HashAlgorithm::Sha1 } else { HashAlgorithm::Sha256 };
            let reference = hash.hash(canonical.as_slice());
            same += usize::from(*ours.hash == *reference.as_ref());
            if *reference.as_ref() == *signature.body_hash {
                unbroken += 1;
                verified += usize::from(*ours.hash == *signature.body_hash);
            }
        }
        messages += usize::from(signed);
    }
    println!(
        "DKIM body hashes of list-linux-alpha: {messages} signed messages, {signatures} signatures, {unbroken} unbroken, \
         {verified} of them verify; {same} of {signatures} agree with the reference"
    );
    assert!(messages > 1_000, "the corpus is there");
    assert_eq!(verified, unbroken);
    assert_eq!(same, signatures);
}

/// RFC 6376 sections 3.4.3 and 3.4.4, as short as possible.
fn reference(body: &[u8], form: Canonicalization) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut out = Vec::with_capacity(line.len());
        for &byte in line {
            match byte {
                b' ' | b'\t' if form == Canonicalization::Relaxed => {
                    if out.last() != Some(&b' ') {
                        out.push(b' ');
                    }
                }
                byte => out.push(byte),
            }
        }
        if form == Canonicalization::Relaxed && out.last() == Some(&b' ') {
            out.pop();
        }
        lines.push(out);
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() {
        return if form == Canonicalization::Simple { b"\r\n".to_vec() } else { Vec::new() };
    }
    let mut out = lines.join(&b"\r\n"[..]);
    out.extend_from_slice(b"\r\n");
    out
}

async fn verify(message: &[u8], dns: &Shared<MemoryResolver>) -> Vec<Dkim> {
    let block = Block::read(message);
    let budget = Budget::new(dns.clone());
    dkim::verify(&block, &Bodies::new(block.body), None, &budget, 1_700_000_000).await
}

/// Files are stored with LF.
pub(crate) fn crlf(stored: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stored.len() + stored.len() / 32);
    for line in stored.split_inclusive(|byte| *byte == b'\n') {
        let plain = line.strip_suffix(b"\n").unwrap_or(line);
        let plain = plain.strip_suffix(b"\r").unwrap_or(plain);
        out.extend_from_slice(plain);
        if line.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `name  text` a line; "NXDOMAIN" and "~~…~~" (no answer) instead of a text.
fn fake_dns(text: &str) -> Shared<MemoryResolver> {
    let resolver = MemoryResolver::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, record)) = line.split_once([' ', '\t']) else { continue };
        let record = record.trim();
        let answer = match record {
            "NXDOMAIN" => Answer::NoSuchDomain,
            text if text.starts_with("~~") => Answer::Temporary(text.into()),
            text => Answer::Found(vec![text.trim_matches('"').as_bytes().into()]),
        };
        resolver.set_txt(name, answer);
    }
    Shared::new(resolver)
}
