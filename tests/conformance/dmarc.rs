//! DMARC: the public suffix vectors, the messages of authheaders, and the matrix that OpenDMARC's TESTS file describes.

use std::sync::Arc as Shared;

use sekisho::clock::Clock;
use sekisho::dns::MemoryResolver;
use sekisho::model::Timestamp;
use sekisho::model::authentication::{Authentication, DmarcPolicy, DmarcResult, Spf, SpfIdentity, SpfResult};
use sekisho::sender::authentication::organization::by_suffix_list;
use sekisho::sender::authentication::{Authenticator, Config};

use crate::dkim::crlf;
use crate::{Tally, corpora};

/// `tests.txt`; `test_psl.txt` beside it says the same but for `city.kobe.jp`, where it contradicts the list's own
/// exception rule.
#[test]
fn organizational_domains() {
    let Some(folder) = corpora("auth/publicsuffix-list/tests") else { return };
    let text = std::fs::read_to_string(folder.join("tests.txt")).unwrap();
    let mut tally = Tally::default();
    for line in text.lines().filter(|line| !line.starts_with("//")) {
        let mut words = line.split_whitespace();
        let (Some(domain), Some(wanted)) = (words.next(), words.next()) else { continue };
        // No domain at all, and names that begin with a dot: neither comes out of a From field.
        let Ok(name) = sekisho::model::Domain::parse(domain) else { continue };
        let got = by_suffix_list(name.as_str());
        // A public suffix has no organization above it: it stands for itself.
        let wanted = if wanted == "null" { name.clone() } else { sekisho::model::Domain::parse(wanted).unwrap() };
        let outcome = if *got == *wanted.as_str() { Ok(()) } else { Err(format!("{got} instead of {wanted}")) };
        tally.note(domain, outcome);
    }
    let total = tally.passed + tally.failed.len();
    assert!(total > 60, "{total} vectors");
    tally.settle("DMARC, organizational domains", total, &[]);
}

#[tokio::test]
async fn messages_of_authheaders() {
    let Some(folder) = corpora("auth/authheaders-tests/authheaders/test") else { return };
    let key = std::fs::read_to_string(folder.join("test.txt")).unwrap();
    let resolver = MemoryResolver::default()
        .with_txt("test._domainkey.example.com", &[key.trim()])
        .with_txt("test._domainkey.example.biz", &[key.trim()])
        .with_txt("_dmarc.example.com", &["v=DMARC1; p=reject; rua=mailto:dmarc@example.com"])
        .with_txt("_dmarc.bad.example.com", &["v=DMARC1; p=reject", "v=DMARC1; p=none"])
        .with_txt("_dmarc.example.org", &["v=DMARC1; p=none"])
        .with_txt("_dmarc.nop.example.org", &["v=DMARC1; rua=mailto:dmarc@example.org"])
        .with_txt("_dmarc.example.net", &["v=DMARC1; p=reject; sp=quarantine"])
        .with_txt("_dmarc.gov", &["v=DMARC1; p=reject; psd=y; np=reject"])
        .with_txt("_dmarc.example.biz", &["v=DMARC1; p=none; sp=none; np=reject"])
        .with_txt("sub.example.biz", &["exists"]);
    let authenticator = build(resolver);
    let mut tally = Tally::default();
    use DmarcPolicy::{None as Nothing, Quarantine, Reject};
    use DmarcResult::{Fail, None as Missing, Pass, PermError};
    // file, who passes SPF, result by list, policy by list, result by walk, policy by walk
    for (file, spf, list, walk) in [
        ("test.message", "example.com", (Pass, Reject), (Pass, Reject)),
        ("test.message", "example.net", (Fail, Reject), (Fail, Reject)),
        ("test.message_signed", "example.net", (Pass, Reject), (Pass, Reject)),
        ("testcomma.message", "example.com", (Pass, Reject), (Pass, Reject)),
        // Two records at the name are none; the organization's speaks.
        ("test.bad.message", "example.net", (Fail, Reject), (Fail, Reject)),
        ("test.gov.message", "example.net", (Missing, Nothing), (Fail, Reject)),
        ("test.message_sub", "example.com", (Fail, Quarantine), (Fail, Quarantine)),
        ("test_nop.message", "example.net", (Fail, Nothing), (Fail, Nothing)),
        ("test.message_np1", "example.net", (Fail, Nothing), (Fail, Nothing)),
        ("test.message_np2", "example.net", (Fail, Nothing), (Fail, Reject)),
        ("test.nofrom.message", "example.com", (PermError, Nothing), (PermError, Nothing)),
        // Several authors have no record to ask for; that counts as the strictest.
        ("test.message_multi", "example.com", (PermError, Reject), (PermError, Reject)),
        ("test.message_multi2", "example.com", (PermError, Reject), (PermError, Reject)),
    ] {
        let message = crlf(&std::fs::read(folder.join(file)).unwrap());
        let found = judge(&authenticator, &message, spf).await;
        let got = [&found.dmarc, &found.dmarc_tree_walk].map(|dmarc| (dmarc.result, dmarc.policy));
        let outcome =
            if got == [list, walk] { Ok(()) } else { Err(format!("{:?} {:?}", found.dmarc, found.dmarc_tree_walk)) };
        tally.note(&format!("{file} with SPF of {spf}"), outcome);
    }
    tally.settle("DMARC, messages of authheaders", 13, &[]);
}

/// DKIM and SPF of the From domain, a parent, another, or none; three organizations; p and sp of each kind.
#[tokio::test]
async fn the_matrix_of_opendmarc() {
    use sekisho::sender::authentication::keys::SigningKey;
    use sekisho::sender::authentication::sign::{self, Layout, Signer};
    let key = SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap();
    let mut tally = Tally::default();
    for organization in ["example.com", "example.org.uk", "example.co.jp"] {
        for (tag, policy) in [
            ("p=none", DmarcPolicy::None),
            ("p=quarantine", DmarcPolicy::Quarantine),
            ("p=reject", DmarcPolicy::Reject),
            ("p=reject; sp=none", DmarcPolicy::None),
            ("p=none; sp=quarantine", DmarcPolicy::Quarantine),
            ("p=none; sp=reject", DmarcPolicy::Reject),
        ] {
            let from = format!("mail.{organization}");
            let names = [None, Some(from.clone()), Some(organization.to_owned()), Some("other.example".to_owned())];
            let mut resolver =
                MemoryResolver::default().with_txt(&format!("_dmarc.{organization}"), &[&format!("v=DMARC1; {tag}")]);
            for name in names.iter().flatten() {
                resolver = resolver.with_txt(&format!("s._domainkey.{name}"), &[&key.record()]);
            }
            let authenticator = build(resolver);
            for (d, dkim) in names.iter().enumerate() {
                for (s, spf) in names.iter().enumerate() {
                    let plain = format!("From: a@{from}\r\nSubject: x\r\n\r\nx\r\n").into_bytes();
                    let mut message = Vec::new();
                    if let Some(domain) = dkim {
                        let signer = Signer { key: &key, domain, selector: "s", now: 1, layout: Layout::Folded };
                        message = sign::dkim(&plain, &signer, None).unwrap();
                    }
                    message.extend_from_slice(&plain);
                    let found = judge(&authenticator, &message, spf.as_deref().unwrap_or("")).await;
                    let wanted = if [d, s].iter().any(|who| (1..=2).contains(who)) {
                        DmarcResult::Pass
                    } else {
                        DmarcResult::Fail
                    };
                    let right = [&found.dmarc, &found.dmarc_tree_walk]
                        .iter()
                        .all(|dmarc| dmarc.result == wanted && dmarc.policy == policy);
                    let outcome = if right { Ok(()) } else { Err(format!("{:?}", found.dmarc)) };
                    tally.note(&format!("{organization} {tag} dkim={dkim:?} spf={spf:?}"), outcome);
                }
            }
        }
    }
    tally.settle("DMARC, matrix", 3 * 6 * 16, &[]);
}

fn build(resolver: MemoryResolver) -> Authenticator {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    Authenticator::build(Config::default(), Shared::new(resolver), clock)
}

/// `spf` passes SPF; empty: nobody does.
async fn judge(authenticator: &Authenticator, message: &[u8], spf: &str) -> Authentication {
    let result = if spf.is_empty() { SpfResult::None } else { SpfResult::Pass };
    let spf = [Spf { identity: SpfIdentity::MailFrom, result, domain: spf.into(), why: None }];
    authenticator.message(message, &spf, &authenticator.budget()).await
}
