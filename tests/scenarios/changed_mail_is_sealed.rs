//! Mail that we change is sealed (ARC) with the key of our domain, and whoever gets it next can verify that; mail that we leave
//! as it is, is not.

use std::time::{Duration, Instant};

use sekisho::clock::Clock;
use sekisho::dns::MemoryResolver;
use sekisho::model::authentication::{Arc, ArcResult};
use sekisho::sender::authentication::keys::SigningKey;
use sekisho::sender::authentication::sign::{self, Signer};
use sekisho::sender::authentication::{Authenticator, Config};
use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::fake_mx::Received;
use crate::support::{FakeMx, Gateway, message};

const OWN: &str = "192.0.2.7";
const FORGED: &str = "Authentication-Results: mx.gateway.example; dmarc=pass header.from=forged.example\r\n";

fn world() -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    dns.txt("sender.example", "v=spf1 ip4:192.0.2.7 -all");
    let gateway = Gateway::builder()
        .acme(mx.address())
        .dns(dns.address())
        .set("spool", "large_message = \"128KiB\"")
        .clients_anywhere()
        .start();
    (mx, dns, gateway)
}

/// Makes, publishes and activates a key; what was published: name and record.
fn activate(dns: &FakeDns, gateway: &Gateway, algorithm: &str) -> (String, String) {
    let made = gateway.cli_ok(&["dkim", "generate", "gateway.example", "--algorithm", algorithm, "--json"]);
    let made: Value = serde_json::from_str(made.trim()).unwrap();
    let word = |member: &str| made[member].as_str().unwrap().to_owned();
    let refused = gateway.cli(&["dkim", "activate", "gateway.example"]);
    assert_eq!(refused.status.code(), Some(5), "not published yet");
    dns.txt(&word("name"), &word("record"));
    // The refusal is remembered by no one: each command asks anew.
    gateway.cli_ok(&["dkim", "activate", "gateway.example"]);
    (word("name"), word("record"))
}

fn send(mx: &FakeMx, gateway: &Gateway, text: &str) -> Received {
    let before = mx.count();
    let reply = gateway.try_from(OWN, "aoi@sender.example", "you@acme.example", text);
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = mx.wait_for_at_least(before + 1).pop().unwrap();
    assert!(!received.text().contains("forged.example"), "{}", received.headers());
    received
}

fn sealed_by_us(received: &Received) -> bool {
    received.header("ARC-Seal").is_some_and(|newest| newest.contains("d=gateway.example;"))
}

/// Until a message is sealed: the key is live within a second.
fn first_sealed(mx: &FakeMx, gateway: &Gateway, text: &str) -> Received {
    let begun = Instant::now();
    loop {
        let received = send(mx, gateway, text);
        if sealed_by_us(&received) {
            return received;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "never sealed: {}", received.headers());
    }
}

async fn verified(received: &Received, published: &[(&str, &str)]) -> Arc {
    let mut resolver = MemoryResolver::default();
    for (name, record) in published {
        resolver = resolver.with_txt(name, &[record]);
    }
    let verifier = Authenticator::build(Config::default(), std::sync::Arc::new(resolver), Clock::default());
    verifier.message(&received.message, &[], &verifier.budget()).await.arc
}

#[tokio::test]
async fn what_was_forged_is_removed_and_the_rest_is_sealed() {
    let (mx, dns, gateway) = world();
    let mail = format!("{FORGED}{}", message("forged", "small\r\n"));
    assert!(send(&mx, &gateway, &mail).header("ARC-Seal").is_none(), "no key, no seal");

    let (name, record) = activate(&dns, &gateway, "rsa-2048");
    let small = first_sealed(&mx, &gateway, &mail);
    let large = "0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789ab\r\n".repeat(30_000);
    let large = send(&mx, &gateway, &format!("{FORGED}{}", message("large", &large)));
    for received in [&small, &large] {
        let arc = verified(received, &[(&name, &record)]).await;
        assert_eq!(arc.result, ArcResult::Pass, "{arc:?}\n{}", received.headers());
        assert_eq!(arc.sealers, ["gateway.example".into()]);
        let payload = received.header("ARC-Authentication-Results").unwrap();
        assert!(payload.contains("i=1; mx.gateway.example; spf=") && payload.contains("spf=pass"), "{payload}");
        assert!(payload.contains("arc=none"), "what was found before the change: {payload}");
    }
    let untouched = send(&mx, &gateway, &message("honest", "x\r\n"));
    assert!(untouched.header("ARC-Seal").is_none(), "{}", untouched.headers());
    assert!(!gateway.stderr().contains("PRIVATE"), "keys are in no log");
    gateway.assert_settled();
}

#[tokio::test]
async fn a_seal_is_put_on_a_chain_that_was_whole_before_the_change() {
    let (mx, dns, gateway) = world();
    let key = SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap();
    let theirs = ("s1._domainkey.list.example", key.record());
    dns.txt(theirs.0, &theirs.1);
    let plain = message("forwarded", "x\r\n");
    let signer = Signer {
        key: &key,
        domain: "list.example",
        selector: "s1",
        now: 1_795_000_000,
        layout: sign::Layout::default(),
    };
    let set = sign::seal(plain.as_bytes(), ArcResult::None, "list.example; spf=pass", None, &signer).unwrap();
    let sealed = format!("{FORGED}{}{plain}", String::from_utf8(set).unwrap());

    let (name, record) = activate(&dns, &gateway, "ed25519");
    let received = first_sealed(&mx, &gateway, &sealed);
    let arc = verified(&received, &[(&name, &record), (theirs.0, &theirs.1)]).await;
    assert_eq!(arc.result, ArcResult::Pass, "{arc:?}\n{}", received.headers());
    assert_eq!(arc.sealers, ["gateway.example".into(), "list.example".into()]);
    assert!(received.header("ARC-Seal").unwrap().contains("cv=pass"), "{}", received.headers());

    // Retired: nothing is sealed from then on.
    let selector = name.split('.').next().unwrap();
    gateway.cli_ok(&["dkim", "retire", "gateway.example", "--selector", selector, "--stop-signing"]);
    let begun = Instant::now();
    while sealed_by_us(&send(&mx, &gateway, &sealed)) {
        assert!(begun.elapsed() < Duration::from_secs(5), "still sealed");
    }
    gateway.assert_settled();
}
