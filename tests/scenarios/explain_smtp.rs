//! `sekisho explain smtp` says what a client would hear, without leaving a trace.

use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::judged;
use crate::support::{FakeMx, Gateway, eventually, message};

const CLIENT: &str = "192.0.2.7";

fn words<'a>(from: &'a str, rcpt: &'a str) -> Vec<&'a str> {
    vec!["explain", "smtp", "--ip", CLIENT, "--helo", "mail.sender.example", "--from", from, "--rcpt", rcpt]
}

fn told(gateway: &Gateway, words: &[&str]) -> Value {
    serde_json::from_str(&gateway.cli_ok(&[words, &["--json"]].concat())).unwrap()
}

/// Code and rule of the last answer.
fn last(told: &Value) -> (u64, String) {
    let last = told["said"].as_array().unwrap().last().unwrap();
    (last["code"].as_u64().unwrap(), last["rule"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn it_says_what_the_client_then_hears_and_changes_nothing() {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    dns.txt("sender.example", "v=spf1 ip4:192.0.2.7 -all");
    dns.txt("_dmarc.author.example", "v=DMARC1; p=reject");
    let tenants = judged("acme", "acme.example", &[mx.address()], "[\"you@acme.example\"]")
        + "[tenant.sender]\ngreylisting = true\n";
    let gateway = Gateway::builder().tenants(&tenants).dns(dns.address()).clients_anywhere().start();
    let usual = words("aoi@sender.example", "you@acme.example");

    // Asked twice: a greylist that remembered the question would still make it wait, and know it afterwards.
    for _ in 0..2 {
        let told = told(&gateway, &usual);
        assert_eq!(last(&told), (451, "greylist".into()), "{told}");
        assert_eq!(told["explanation"]["schema"], "explanation/v1");
    }
    assert_eq!(gateway.metrics().sum("sekisho_greylist_total"), 0.0);
    let reply = gateway.try_from(CLIENT, "aoi@sender.example", "you@acme.example", &message("grey", "x\r\n"));
    assert_eq!(reply.code, 451, "{reply:?}");

    gateway.cli_ok(&["list", "add", "allow", CLIENT, "--tenant", "acme", "--reason", "known"]);
    eventually("the entry to be live", || last(&told(&gateway, &usual)).0 == 250);
    let text = gateway.cli_ok(&usual);
    for expected in [
        "connect from 192.0.2.7 => 220\n",
        "EHLO mail.sender.example => 250\n",
        "MAIL FROM:<aoi@sender.example> => 250\n",
        "RCPT TO:<you@acme.example> => 250 (entry)\n",
        "DATA => 250 (nothing-against)\n",
        "DNS TXT sender.example: ",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(gateway.cli_ok(&[&usual[..], &["--lang", "ja"]].concat()).contains("接続元: 192.0.2.7"));

    let spoofed = told(&gateway, &[&usual[..], &["--header-from", "boss@author.example"]].concat());
    assert_eq!(last(&spoofed), (550, "dmarc".into()), "{spoofed}");
    assert_eq!(
        told(&gateway, &words("", "you@acme.example"))["said"].as_array().unwrap().len(),
        4,
        "no author, no DATA"
    );
    gateway.cli_ok(&["reputation", "show", CLIENT]);
    assert!(gateway.cli_ok(&["reputation", "show", CLIENT]).contains("own      nothing known"));
    assert_eq!(gateway.mail_log().iter().filter(|line| line["event"] == "rcpt").count(), 1, "the real one alone");
}

#[test]
fn wrong_questions_and_a_node_that_does_not_run_have_their_exit_codes() {
    let mx = FakeMx::start();
    let tenants = judged("acme", "acme.example", &[mx.address()], "[\"you@acme.example\"]");
    let mut gateway = Gateway::builder().tenants(&tenants).start();
    for unknown in ["nobody@acme.example", "you@other.example"] {
        let output = gateway.cli(&words("aoi@sender.example", unknown));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(&format!("{unknown} is no recipient of this gateway")), "{stderr}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("=> 550 5."),
            "what it would hear is told all the same"
        );
    }
    assert_eq!(gateway.cli(&words("no address", "you@acme.example")).status.code(), Some(2));
    assert_eq!(gateway.cli(&["explain", "smtp", "--ip", CLIENT]).status.code(), Some(2));
    assert!(gateway.terminate().success());
    let output = gateway.cli(&words("aoi@sender.example", "you@acme.example"));
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no node answers"));
}
