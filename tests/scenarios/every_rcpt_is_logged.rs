//! Every recipient that is tried has one line in the mail log. That of a refused sender says by which rule, with the whole
//! Explanation.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::judged;
use crate::support::{FakeMx, Gateway, eventually, message};

const DELAYED: &str = "192.0.2.7";
const BLOCKED: &str = "198.51.100.9";
const GOOD: &str = "203.0.113.5";

fn world() -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    let list = "[\"one@acme.example\", \"two@acme.example\"]";
    let tenants = judged("acme", "acme.example", &[mx.address()], list);
    let gateway = Gateway::builder()
        .tenants(&tenants)
        .dns(dns.address())
        .set("harvest", "unknown_recipients = 20")
        .clients_anywhere()
        .start();
    gateway.cli_ok(&["reputation", "set", DELAYED, "delayed", "--reason", "for the test"]);
    gateway.cli_ok(&["list", "add", "block", BLOCKED, "--tenant", "acme", "--reason", "for the test"]);
    eventually("the entry to be live", || {
        let to = "two@acme.example";
        gateway.try_from(BLOCKED, "first@sender.example", to, &message("first", "x\r\n")).code == 550
    });
    (mx, dns, gateway)
}

#[test]
fn every_recipient_tried_has_its_line_and_a_refused_sender_its_reason() {
    let (_mx, _dns, gateway) = world();
    for (ip, answers) in [
        (DELAYED, [("one", 450), ("nobody", 550), ("two", 450)]),
        (BLOCKED, [("one", 550), ("nobody", 550), ("two", 550)]),
        (GOOD, [("one", 250), ("nobody", 550), ("two", 250)]),
    ] {
        let mut client = gateway.client_at(ip);
        client.command("MAIL FROM:<aoi@sender.example>", 250);
        for (to, code) in answers {
            client.command(&format!("RCPT TO:<{to}@acme.example>"), code);
        }
        client.quit();
    }
    let of = |ip: &str| -> BTreeMap<String, Value> {
        let lines = gateway.mail_log().into_iter();
        let own =
            lines.filter(|line| line["event"] == "rcpt" && line["ip"] == ip && line["sender"] == "aoi@sender.example");
        own.map(|line| (line["recipient"].as_str().unwrap().to_owned(), line)).collect()
    };
    eventually("all nine lines", || [DELAYED, BLOCKED, GOOD].iter().all(|ip| of(ip).len() == 3));
    for (ip, rule) in [(DELAYED, "reputation"), (BLOCKED, "entry")] {
        for (recipient, line) in of(ip) {
            assert!(line["code"].as_u64() >= Some(400), "{line}");
            assert_eq!(line["tenant"], "acme", "{line}");
            if recipient == "nobody@acme.example" {
                assert!(line["explanation"].is_null(), "whoever asks for it: {line}");
                continue;
            }
            assert_eq!(line["reason"], rule, "{line}");
            let explanation = &line["explanation"];
            assert_eq!(explanation["schema"], "explanation/v1");
            assert_eq!((&explanation["client"]["ip"], &explanation["tenant"]), (&ip.into(), &"acme".into()));
            let judgements = explanation["judgements"].as_array().unwrap();
            assert_eq!(judgements.len(), 1, "its own and no other's: {line}");
            assert_eq!(
                (&judgements[0]["recipient"], &judgements[0]["decided_by"]["rule"]),
                (&recipient.into(), &rule.into())
            );
            assert!(judgements[0]["summary"]["en"].as_str().is_some_and(|text| !text.is_empty()));
            assert!(judgements[0]["summary"]["ja"].as_str().is_some_and(|text| !text.is_empty()));
        }
    }
    let accepted = of(GOOD);
    assert!(accepted["one@acme.example"]["code"].is_null() && accepted["one@acme.example"]["explanation"].is_null());
}

#[test]
fn an_accepted_message_has_the_explanation_of_all_its_judgements() {
    let (_mx, _dns, gateway) = world();
    let mut client = gateway.client_at(GOOD);
    client.mail("aoi@sender.example", &["one@acme.example", "two@acme.example"], message("good", "x\r\n"));
    client.quit();
    let judged = gateway.logged("judged", |line| line["ip"] == GOOD);
    let moments: Vec<_> =
        judged["explanation"]["judgements"].as_array().unwrap().iter().map(|one| one["moment"].clone()).collect();
    assert_eq!(moments, ["rcpt", "rcpt", "message"], "{judged}");
    assert!(judged["message"].is_string() && judged["explanation"]["authentication"].is_object(), "{judged}");
    gateway.assert_settled();
}

#[test]
fn who_guesses_addresses_is_logged_to_the_last_guess() {
    let (_mx, _dns, gateway) = world();
    let mut client = gateway.client_at(GOOD);
    let mut tried = 0;
    let stopped = (0..60).find(|n| {
        if n % 10 == 9 {
            // Errors in a row end a connection.
            client = gateway.client_at(GOOD);
        }
        if n % 10 == 9 || *n == 0 {
            client.command("MAIL FROM:<guess@sender.example>", 250);
        }
        tried += 1;
        client.ask(&format!("RCPT TO:<guess{n}@acme.example>")).code == 450
    });
    assert!(stopped.is_some(), "never stopped");
    client.command("RCPT TO:<one@acme.example>", 450);
    gateway.logged("rcpt", |line| line["recipient"] == "one@acme.example" && line["reason"] == "harvest");
    let lines = gateway.mail_log();
    let guesses = lines.iter().filter(|line| line["event"] == "rcpt" && line["sender"] == "guess@sender.example");
    assert_eq!(guesses.count(), tried + 1);
}
