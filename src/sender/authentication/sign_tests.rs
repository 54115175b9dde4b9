//! What we sign, we verify; what is changed afterwards, we don't.

use std::sync::Arc as Shared;

use super::*;
use crate::dns::MemoryResolver;
use crate::model::authentication::DkimResult;
use crate::sender::authentication::budget::Budget;
use crate::sender::authentication::dkim::{self as verifier, Bodies};
use crate::sender::authentication::keys::SigningKey;

const MESSAGE: &[u8] =
    b"From: A <a@example.com>\r\nTo: b@example.net\r\nSubject: x\r\n\ty\r\nDate: now\r\n\r\nHello  you \r\n \r\n\r\n";

fn key() -> SigningKey {
    SigningKey::read(&SigningKey::generate_rsa().unwrap()).unwrap()
}

fn signer(key: &SigningKey) -> Signer<'_> {
    Signer { key, domain: "example.com", selector: "s1", now: 1_000, layout: Layout::Folded }
}

fn budget(key: &SigningKey) -> Budget {
    Budget::new(Shared::new(MemoryResolver::default().with_txt("s1._domainkey.example.com", &[&key.record()])))
}

async fn dkim_result(message: &[u8], budget: &Budget, now: u64) -> DkimResult {
    let block = Block::read(message);
    let judged = verifier::verify(&block, &Bodies::new(block.body), Some("example.com"), budget, now).await;
    assert_eq!(judged.len(), 1);
    judged[0].result
}

#[tokio::test]
async fn a_signature_holds_until_something_changes() {
    let key = key();
    let budget = budget(&key);
    let mut signed = dkim(MESSAGE, &signer(&key), Some(100)).unwrap();
    assert!(signed.split(|b| *b == b'\n').all(|line| line.len() <= 200), "{}", String::from_utf8_lossy(&signed));
    signed.extend_from_slice(MESSAGE);
    assert_eq!(dkim_result(&signed, &budget, 1_050).await, DkimResult::Pass);
    assert_eq!(dkim_result(&signed, &budget, 1_101).await, DkimResult::Fail, "expired");
    let text = String::from_utf8(signed).unwrap();
    for (changed, what) in [
        (text.replace("Hello", "hello"), "body"),
        (text.replace("Subject: x", "Subject: z"), "subject"),
        (text.replace("Subject: x", "Subject: other\r\nSubject: x"), "an added subject"),
        (text.replace("Date: now", "Date: now\r\nCc: c@example.org"), "an added Cc"),
    ] {
        assert_ne!(changed, text);
        assert_eq!(dkim_result(changed.as_bytes(), &budget, 1_050).await, DkimResult::Fail, "{what}");
    }
    let spaced = text.replace("Hello  you ", "Hello you").replace("Subject: x\r\n\ty", "subject:x y");
    assert_eq!(dkim_result(spaced.as_bytes(), &budget, 1_050).await, DkimResult::Pass, "white space is relaxed");
}

#[tokio::test]
async fn seals_build_a_chain_that_breaks_with_the_body() {
    let key = key();
    let budget = budget(&key);
    let mut message = MESSAGE.to_vec();
    let mut chain = ArcResult::None;
    for hop in 1..=3 {
        let mut sealed = seal(&message, chain, "mx.example; spf=pass", None, &signer(&key)).unwrap();
        sealed.extend_from_slice(&message);
        message = sealed;
        let block = Block::read(&message);
        let judged = arc::verify(&block, &Bodies::new(block.body), &budget, 2_000).await;
        assert_eq!(judged.result, ArcResult::Pass, "hop {hop}: {:?}", judged.why);
        assert_eq!(judged.sealers.len(), hop);
        assert_eq!(budget.spent(), 1, "one key, one question");
        chain = judged.result;
    }
    let broken = String::from_utf8(message).unwrap().replace("Hello", "hello").into_bytes();
    let block = Block::read(&broken);
    let judged = arc::verify(&block, &Bodies::new(block.body), &budget, 2_000).await;
    assert_eq!(judged.result, ArcResult::Fail);
    // A failed chain gets one last seal that says so, and none after it.
    let mut last = seal(&broken, judged.result, "mx.example; arc=fail", None, &signer(&key)).unwrap();
    assert!(String::from_utf8_lossy(&last).contains("cv=fail"));
    last.extend_from_slice(&broken);
    assert_eq!(seal(&last, ArcResult::Fail, "x; none", None, &signer(&key)).unwrap_err(), SignError::NoMoreSets);
    assert_eq!(seal(MESSAGE, ArcResult::TempError, "x; none", None, &signer(&key)).unwrap_err(), SignError::NoMoreSets);
}

#[test]
fn without_from_nothing_is_signed() {
    let key = key();
    assert_eq!(dkim(b"To: a@b\r\n\r\nx\r\n", &signer(&key), None).unwrap_err(), SignError::NoFrom);
}
