//! Mail by a relay of the operator's: what says something of its address alone is not asked, and everything else is.

use sekisho::sender::authentication::keys::SigningKey;
use sekisho::sender::authentication::sign::{self, Signer};

use crate::support::fake_dns::FakeDns;
use crate::support::{FakeMx, Gateway, eventually, message};

const RELAY: &str = "192.0.2.10";
const STRANGER: &str = "198.51.100.9";

/// sender.example sends from one address alone and wants the rest refused.
fn world() -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    dns.txt("sender.example", "v=spf1 ip4:203.0.113.7 -all");
    dns.txt("_dmarc.sender.example", "v=DMARC1; p=reject");
    let gateway = Gateway::builder()
        .acme(mx.address())
        .dns(dns.address())
        .clients_anywhere()
        .inbound("trusted_relays = [\"192.0.2.8/29\"]")
        .start();
    (mx, dns, gateway)
}

#[test]
fn what_the_relay_has_judged_is_not_judged_by_its_address() {
    let (mx, _dns, gateway) = world();
    let mail = message("relayed", "x\r\n");
    let refused = gateway.try_from(STRANGER, "aoi@sender.example", "you@acme.example", &mail);
    assert!(refused.code == 550 && refused.is("5.7.26"), "{refused:?}");
    let taken = gateway.try_from(RELAY, "aoi@sender.example", "you@acme.example", &mail);
    assert_eq!(taken.code, 250, "{taken:?}");
    let received = mx.one();
    assert!(received.header("Received").unwrap().contains(RELAY), "the trace names who brought it");
    let results = received.header("Authentication-Results").unwrap();
    assert!(!results.contains("spf=") && !results.contains("dmarc="), "nobody asked: {results}");
    let judged = gateway.logged("judged", |line| line["explanation"]["client"]["ip"] == RELAY);
    for judgement in judged["explanation"]["judgements"].as_array().unwrap() {
        assert_eq!(judgement["decided_by"]["rule"], "trusted-relay", "{judged}");
    }
    gateway.assert_settled();
}

#[test]
fn a_signature_proves_its_author_whoever_brings_it() {
    let (mx, dns, gateway) = world();
    let key = SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap();
    dns.txt("s1._domainkey.sender.example", &key.record());
    let plain = message("signed", "x\r\n");
    let layout = sign::Layout::default();
    let signer = Signer { key: &key, domain: "sender.example", selector: "s1", now: 1_795_000_000, layout };
    let signature = String::from_utf8(sign::dkim(plain.as_bytes(), &signer, None).unwrap()).unwrap();
    let taken = gateway.try_from(RELAY, "aoi@sender.example", "you@acme.example", &(signature + &plain));
    assert_eq!(taken.code, 250, "{taken:?}");
    let results = mx.one().header("Authentication-Results").unwrap().to_owned();
    assert!(results.contains("dkim=pass") && results.contains("dmarc=pass"), "{results}");
    gateway.assert_settled();
}

#[test]
fn lists_and_content_judge_what_a_relay_brings() {
    let (mx, _dns, gateway) = world();
    gateway.try_from(RELAY, "aoi@sender.example", "you@acme.example", &message("virus", &eicar()));
    gateway.logged("judged", |line| line["explanation"]["content"].to_string().contains("malware"));
    assert_eq!(mx.count(), 0);

    gateway.cli_ok(&["list", "add", "block", "bad.example", "--tenant", "acme", "--reason", "test"]);
    eventually("the entry to be live", || {
        let blocked = gateway.try_from(RELAY, "a@bad.example", "you@acme.example", &message("blocked", "x\r\n"));
        blocked.code == 550 && blocked.is("5.7.1")
    });
    let explained = gateway.cli_ok(&[
        "explain",
        "smtp",
        "--ip",
        RELAY,
        "--helo",
        "r.example",
        "--from",
        "a@other.example",
        "--rcpt",
        "you@acme.example",
    ]);
    assert!(explained.contains("a relay of the operator's"), "{explained}");
}

/// In pieces, so that no scanner takes this file for the test virus.
fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\r\n"].concat()
}
