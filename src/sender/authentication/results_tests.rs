//! Forty ways to claim to be us, and those that only look like it.

use super::*;
use crate::model::Domain;
use crate::model::authentication::{Arc, ArcResult, Dkim, Dmarc, DmarcPolicy, DmarcResult, Spf};

const OURS: &str = "mx.example";

#[test]
fn forty_ways_to_claim_our_name_are_found() {
    let variants = [
        "Authentication-Results: mx.example; spf=pass",
        "authentication-results: mx.example; spf=pass",
        "AUTHENTICATION-RESULTS: mx.example; spf=pass",
        "Authentication-Results:mx.example;spf=pass",
        "Authentication-Results : mx.example; spf=pass",
        "Authentication-Results\t: mx.example; spf=pass",
        "Authentication-Results: MX.EXAMPLE; spf=pass",
        "Authentication-Results: Mx.Example; spf=pass",
        "Authentication-Results: mx.example.; spf=pass",
        "Authentication-Results: mx.example; none",
        "Authentication-Results: mx.example",
        "Authentication-Results: mx.example ; spf=pass",
        "Authentication-Results: mx.example\t; spf=pass",
        "Authentication-Results: mx.example 1; spf=pass",
        "Authentication-Results: mx.example 1 ; spf=pass",
        "Authentication-Results: mx.example 2; spf=pass",
        "Authentication-Results: other.example 2; spf=pass",
        "Authentication-Results: mx.example 99999999999999; spf=pass",
        "Authentication-Results: \"mx.example\"; spf=pass",
        "Authentication-Results: \"MX.example\"; spf=pass",
        "Authentication-Results: \"mx\\.example\"; spf=pass",
        "Authentication-Results: \" mx.example \"; spf=pass",
        "Authentication-Results: (hello) mx.example; spf=pass",
        "Authentication-Results: (a (nested) one) mx.example; spf=pass",
        "Authentication-Results: (a\\) b) mx.example; spf=pass",
        "Authentication-Results: (one)(two) mx.example; spf=pass",
        "Authentication-Results: mx.example (comment); spf=pass",
        "Authentication-Results: mx.example (comment) 1 (comment); spf=pass",
        "Authentication-Results: mx.example(comment); spf=pass",
        "Authentication-Results:\r\n mx.example; spf=pass",
        "Authentication-Results:\r\n\tmx.example;\r\n\tspf=pass",
        "Authentication-Results: \r\n \r\n\tmx.example; spf=pass",
        "Authentication-Results: (fold\r\n ed) mx.example; spf=pass",
        "Authentication-Results: mx.example\r\n\t1; spf=pass",
        "Authentication-Results: \"mx.exa\r\n mple\"; spf=pass",
        "Authentication-Results: =?us-ascii?q?mx.example?=; spf=pass",
        "Authentication-Results: (never closed mx.example; spf=pass",
        "Authentication-Results: \"never closed; spf=pass",
        "Authentication-Results: ; mx.example; spf=pass",
        "Authentication-Results: mx.example spf=pass",
        "Authentication-Results:",
    ];
    assert!(variants.len() >= 40);
    for (at, variant) in variants.iter().enumerate() {
        let header = format!("From: a@b\r\n{variant}\r\nTo: c@d\r\n\r\n{variant}\r\n");
        let found = forged(header.as_bytes(), OURS);
        if at == 34 {
            // White space inside a quoted name is part of it: another name, whoever reads it.
            assert!(found.is_empty(), "{variant:?}");
            continue;
        }
        assert_eq!(found.len(), 1, "{variant:?}");
        let mut left = header.clone().into_bytes();
        left.drain(found[0].clone());
        assert_eq!(
            String::from_utf8(left).unwrap(),
            format!("From: a@b\r\nTo: c@d\r\n\r\n{variant}\r\n"),
            "{variant:?}"
        );
    }
}

#[test]
fn every_one_of_several_is_found_and_others_stay() {
    let header = "Authentication-Results: mx.example; spf=pass\r\n\
                  Authentication-Results: other.example; spf=pass\r\n\
                  Authentication-Results: mx.example.org; dkim=pass\r\n\
                  ARC-Authentication-Results: i=1; mx.example; spf=pass\r\n\
                  X-Authentication-Results: mx.example; spf=pass\r\n\
                  authentication-results: MX.example 1; dkim=pass\r\n\
                  Authentication-Results (as some still read): mx.example;\r\n\tdmarc=pass\r\n\
                  Subject (of some): x\r\n\r\n";
    let found: Vec<&str> = forged(header.as_bytes(), OURS).into_iter().map(|range| &header[range]).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("Authentication-Results: mx.example;") && found[1].starts_with("authentication-"));
    assert!(found[2].starts_with("Authentication-Results (as") && found[2].ends_with("dmarc=pass\r\n"), "{found:?}");
}

fn results() -> Authentication {
    Authentication {
        from: Some(Domain::parse("example.com").unwrap()),
        spf: vec![
            Spf { identity: SpfIdentity::Helo, result: SpfResult::None, domain: "h.example".into(), why: None },
            Spf {
                identity: SpfIdentity::MailFrom,
                result: SpfResult::Fail,
                domain: "example.com".into(),
                why: Some("-all \"of\" evil;\r\n x=y \u{e9}".into()),
            },
        ],
        dkim: vec![Dkim { domain: "example.com".into(), selector: "s1".into(), result: DkimResult::Pass, why: None }],
        arc: Arc { result: ArcResult::Pass, sealers: vec!["list.example".into()], why: None },
        dmarc: Dmarc {
            result: DmarcResult::Pass,
            policy: DmarcPolicy::Reject,
            record_at: Some("example.com".into()),
            ..Dmarc::default()
        },
        dmarc_tree_walk: Dmarc::default(),
    }
}

#[test]
fn our_field_is_folded_quoted_and_read_back_as_ours() {
    let smtp = Smtp { helo: "h.example", mail_from: "a;b \"c@example.com" };
    let field = make(OURS, &results(), smtp, &["iprev=pass policy.iprev=192.0.2.1 (x)".into()]);
    assert_eq!(
        field,
        "Authentication-Results: mx.example;\r\n\
         \tspf=none smtp.helo=h.example;\r\n\
         \tspf=fail reason=\"-all \\\"of\\\" evil;?? x=y ?\"\r\n\
         \t smtp.mailfrom=\"a;b \\\"c@example.com\";\r\n\
         \tdkim=pass header.d=example.com header.s=s1;\r\n\
         \tdmarc=pass (p=reject) header.from=example.com;\r\n\
         \tarc=pass header.d=list.example;\r\n\
         \tiprev=pass policy.iprev=192.0.2.1 (x)\r\n"
    );
    assert_eq!(forged(field.as_bytes(), OURS).first(), Some(&(0..field.len())));
    let merged = merged(field.as_bytes(), OURS).unwrap();
    assert_eq!(merged.matches(";\r\n\t").count(), 5, "{merged}");
}

#[test]
fn nothing_a_stranger_writes_ends_the_field() {
    for evil in ["a\r\nSubject: x", "a\0b", "a\u{2028}b", "\"", "\\", &"x".repeat(5_000)] {
        let smtp = Smtp { helo: evil, mail_from: evil };
        let mut found = results();
        found.dkim[0].domain = evil.into();
        found.arc.why = Some(evil.into());
        let field = make(OURS, &found, smtp, &[]);
        let block = Block::read(field.as_bytes());
        assert_eq!(block.fields.len(), 1, "{evil:?}");
        assert!(block.odd_line.is_none() && block.body.is_empty());
        assert!(field.lines().all(|line| line.len() < 900 && line.is_ascii()), "{evil:?}");
    }
}

#[test]
fn several_fields_of_ours_become_one_payload() {
    let header = b"Authentication-Results: mx.example; arc=none;\r\n  spf=pass smtp.mfrom=a@b\r\n\
        Authentication-Results: mx.example; dkim=pass (1024-bit; key) header.i=@b\r\n\
        Authentication-Results: nobody.example; x=ignored\r\nA: b\r\n\r\n";
    let merged = merged(header, OURS).unwrap();
    assert_eq!(
        merged,
        "mx.example; arc=none;\r\n\tspf=pass smtp.mfrom=a@b;\r\n\tdkim=pass (1024-bit; key) header.i=@b"
    );
}
