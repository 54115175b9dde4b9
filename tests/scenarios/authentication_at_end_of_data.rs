//! SPF, DKIM and DMARC at end of data: spoofed mail is refused, aligned mail passes, our Authentication-Results stands before
//! the message, and fields that pretend to be ours are gone.

use sekisho::sender::authentication::keys::SigningKey;
use sekisho::sender::authentication::sign::{self, Signer};

use crate::support::fake_dns::FakeDns;
use crate::support::{FakeMx, Gateway, message, sha256};

/// The one server of sender.example.
const OWN: &str = "192.0.2.7";
const STRANGER: &str = "198.51.100.9";

/// sender.example sends from [`OWN`] alone and wants the rest refused.
fn world() -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    dns.txt("sender.example", "v=spf1 ip4:192.0.2.7 -all");
    dns.txt("_dmarc.sender.example", "v=DMARC1; p=reject");
    dns.txt("bulk.example", "v=spf1 ip4:198.51.100.0/24 -all");
    let gateway = Gateway::builder()
        .acme(mx.address())
        .dns(dns.address())
        .set("spool", "large_message = \"128KiB\"")
        .clients_anywhere()
        .start();
    (mx, dns, gateway)
}

#[test]
fn who_is_spoofed_under_p_reject_is_refused_at_the_end_of_data() {
    let (mx, _dns, gateway) = world();
    // SPF of the envelope passes; it is not the author's.
    let reply = gateway.try_from(STRANGER, "list@bulk.example", "you@acme.example", &message("spoofed", "x\r\n"));
    assert!(reply.code == 550 && reply.is("5.7.26"), "{reply:?}");
    let logged = gateway.logged("message", |line| line["code"] == 550);
    assert_eq!(logged["explanation"]["authentication"]["dmarc"]["result"], "fail", "{logged}");
    let last = logged["explanation"]["judgements"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["moment"], &last["decided_by"]["rule"]), (&"message".into(), &"dmarc".into()), "{logged}");
    assert_eq!(mx.count(), 0);
    gateway.assert_settled();
}

#[test]
fn aligned_mail_passes_by_spf_or_by_dkim_and_bears_our_results() {
    let (mx, dns, gateway) = world();
    let spf = gateway.try_from(OWN, "aoi@sender.example", "you@acme.example", &message("spf", "x\r\n"));
    assert_eq!(spf.code, 250, "{spf:?}");

    let key = SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap();
    dns.txt("s1._domainkey.sender.example", &key.record());
    let plain = message("dkim", "x\r\n");
    let signer = Signer {
        key: &key,
        domain: "sender.example",
        selector: "s1",
        now: 1_795_000_000,
        layout: sign::Layout::default(),
    };
    let signature = String::from_utf8(sign::dkim(plain.as_bytes(), &signer, None).unwrap()).unwrap();
    let dkim = gateway.try_from(STRANGER, "list@bulk.example", "you@acme.example", &(signature + &plain));
    assert_eq!(dkim.code, 250, "{dkim:?}");

    for received in mx.wait(2) {
        let ours = received.text().find("Authentication-Results: mx.gateway.example;").expect("our results");
        assert!(ours < received.text().find("From: ").unwrap(), "before what came: {}", received.headers());
        let results = received.header("Authentication-Results").unwrap();
        assert!(results.contains("dmarc=pass"), "{results}");
        let proof = if received.from == "aoi@sender.example" { "spf=pass" } else { "dkim=pass" };
        assert!(results.contains(proof), "{results}");
    }
    gateway.assert_settled();
}

/// Fields in our name, in the ways they are written, and one of somebody else.
fn pretending(body: &str) -> (String, String) {
    let honest = "Authentication-Results: other.example; spf=fail smtp.mailfrom=x.example\r\n";
    let mail = message("pretending", body);
    let forged = "Authentication-Results: mx.gateway.example; dmarc=pass header.from=forged.example\r\n\
                  authentication-results:\r\n\t(a comment) MX.gateway.EXAMPLE 1;\r\n\tdkim=pass header.d=forged.example\r\n";
    (format!("{forged}{honest}{mail}"), format!("{honest}{mail}"))
}

#[test]
fn fields_in_our_name_are_removed_from_small_and_from_large_messages() {
    let (mx, _dns, gateway) = world();
    let large = "0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789ab\r\n".repeat(30_000);
    for (before, body) in ["small\r\n", &large].into_iter().enumerate() {
        let (sent, expected) = pretending(body);
        let reply = gateway.try_from(OWN, "aoi@sender.example", "you@acme.example", &sent);
        assert_eq!(reply.code, 250, "{reply:?}");
        let received = mx.wait_for_at_least(before + 1).pop().unwrap();
        let text = received.text();
        assert!(!text.contains("forged.example"), "{}", received.headers());
        assert!(
            text.contains("other.example; spf=fail"),
            "another server's results are its own: {}",
            received.headers()
        );
        assert_eq!(text.matches("mx.gateway.example;").count(), 1 + text.matches("by mx.gateway.example;").count());
        assert_eq!(received.body_hash, sha256(body.as_bytes()), "the body is as it was sent");
        assert!(body.len() > 1000 || text.ends_with(&expected), "{text}");
        gateway.assert_settled();
    }
}

#[test]
fn a_notice_is_judged_by_its_author_too() {
    let (mx, _dns, gateway) = world();
    let spoofed = gateway.try_from(STRANGER, "", "you@acme.example", &message("notice", "x\r\n"));
    assert!(spoofed.code == 550 && spoofed.is("5.7.26"), "{spoofed:?}");
    let plain = "From: postmaster@plain.example\r\nSubject: undelivered\r\n\r\nx\r\n";
    let honest = gateway.try_from(STRANGER, "", "you@acme.example", plain);
    assert_eq!(honest.code, 250, "{honest:?}");
    assert_eq!(mx.one().from, "");
    gateway.assert_settled();
}
