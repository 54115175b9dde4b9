//! An antivirus of others finds, the quarantine keeps, the operator gives back: with the real binary and its commands.

use serde_json::Value;

use crate::support::fake_scanner::VIRUS;
use crate::support::{FakeMx, FakeScanner, Gateway, message};

fn world(more: &str) -> (FakeMx, FakeScanner, Gateway) {
    let (mx, clamd) = (FakeMx::start(), FakeScanner::clamd());
    let servers = format!("servers = [\"{}\"]", clamd.endpoint());
    let mut builder = Gateway::builder().acme(mx.address()).set("clamd", &servers);
    if !more.is_empty() {
        builder = builder.set("clamd", more);
    }
    let gateway = builder.start();
    (mx, clamd, gateway)
}

fn list(gateway: &Gateway, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["quarantine", "ls", "--json"];
    arguments.extend_from_slice(more);
    gateway.cli_ok(&arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(entry: &Value) -> String {
    entry["id"].as_str().expect("an id").to_owned()
}

#[test]
fn what_clamd_finds_is_held_and_released_by_the_operator() {
    let (mx, clamd, gateway) = world("");
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("infected", &format!("{VIRUS}\r\n")));
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("clean", "hello\r\n"));
    assert!(mx.one().text().contains("Subject: clean"));
    assert_eq!(clamd.seen().len(), 2, "each message was seen once");
    let held = list(&gateway, &["--class", "malware", "--recipient", "you@acme.example", "--since", "1h"]);
    assert_eq!(
        (held.len(), &held[0]["subject"], &held[0]["sender"]),
        (1, &"infected".into(), &"a@sender.example".into())
    );
    assert!(list(&gateway, &["--class", "spam"]).is_empty() && list(&gateway, &["--tenant", "beta"]).is_empty());
    gateway.assert_balanced();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_quarantined"), 1.0);

    let id = id(&held[0]);
    let shown = gateway.cli_ok(&["quarantine", "show", &id]);
    assert!(shown.contains("  class       malware\n") && shown.contains("  to          you@acme.example\n"), "{shown}");
    assert_eq!(gateway.cli(&["quarantine", "release", &id]).status.code(), Some(2), "a release without a reason");
    gateway.cli_ok(&["quarantine", "release", &id, "--reason", "a false alarm, ticket 812"]);
    assert!(mx.wait(2)[1].text().contains(VIRUS));
    let line = gateway.logged("released", |line| line["message"] == id.as_str());
    assert_eq!(line["reason"], "a false alarm, ticket 812");
    gateway.assert_settled();
    assert_eq!(gateway.cli(&["quarantine", "release", &id, "--reason", "again"]).status.code(), Some(3));
    assert_eq!(gateway.cli(&["quarantine", "show", &id]).status.code(), Some(3));
}

#[test]
fn held_mail_survives_a_kill_and_goes_recipient_by_recipient() {
    let (mx, _clamd, mut gateway) = world("");
    let lines = format!("{VIRUS}\r\n{}", "0123456789abcde\r\n".repeat(200_000));
    let to = ["a@acme.example", "b@acme.example"];
    gateway.send_inbound("a@sender.example", &to, &message("large and infected", &lines));
    gateway.kill();
    gateway.serve();
    let held = list(&gateway, &[]);
    assert_eq!(held.iter().map(|entry| entry["recipients"].as_array().unwrap().len()).sum::<usize>(), 2);
    assert_eq!(gateway.metrics().sum("sekisho_recipients_quarantined"), 2.0);
    gateway.assert_balanced();
    let id = id(&held[0]);
    gateway.cli_ok(&["quarantine", "rm", &id, "--to", "a@acme.example", "--reason", "she does not want it"]);
    gateway.cli_ok(&["quarantine", "release", &id, "--reason", "he does"]);
    let received = mx.one();
    assert_eq!(received.recipients(), ["b@acme.example"]);
    assert!(received.text().ends_with(&lines), "octet for octet");
    assert!(list(&gateway, &[]).is_empty());
    gateway.assert_settled();
}

/// As it would have been handed on at once: nobody's words stand under our names.
#[test]
fn released_mail_says_nothing_in_our_name_that_we_did_not_say() {
    let (mx, _clamd, gateway) = world("");
    let forged = "X-Sekisho-Verdict: clean\r\nX-Spam-Flag: NO\r\n";
    for size in [1, 200_000] {
        let lines = format!("{VIRUS}\r\n{}", "0123456789abcde\r\n".repeat(size));
        let text = message("infected", &lines);
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &format!("{forged}{text}"));
        gateway.cli_ok(&["quarantine", "release", &id(&list(&gateway, &[])[0]), "--reason", "a false alarm"]);
        let received = mx.wait(if size == 1 { 1 } else { 2 }).pop().unwrap();
        let headers = received.headers();
        assert!(!headers.contains("clean") && !headers.contains("X-Spam-Flag"), "{headers}");
        assert!(headers.starts_with("X-Sekisho-Verdict: malware; released\r\n"), "{headers}");
        assert!(headers.contains("Authentication-Results:") && headers.contains("Subject: infected"), "{headers}");
        assert!(received.text().ends_with(&lines), "octet for octet");
    }
    gateway.assert_settled();
}

/// The spool has it and the quarantine still does: the next start knows, and it goes out once.
#[test]
fn a_release_that_a_crash_breaks_off_goes_out_once() {
    let (mx, clamd) = (FakeMx::start(), FakeScanner::clamd());
    let servers = format!("servers = [\"{}\"]", clamd.endpoint());
    let kill = |point: &str| {
        let builder = Gateway::builder().acme(mx.address()).set("clamd", &servers);
        builder.env("SEKISHO_DRILL_KILL", point).start()
    };
    for (at, point) in ["release-before-forget:1", "release-after-forget:1"].into_iter().enumerate() {
        let mut gateway = kill(point);
        let to = ["a@acme.example", "b@acme.example"];
        gateway.send_inbound("a@sender.example", &to, &message("infected", &format!("{VIRUS}\r\n")));
        let held = id(&list(&gateway, &[])[0]);
        gateway.cli(&["quarantine", "release", &held, "--to", "b@acme.example", "--reason", "he does"]);
        gateway.wait_exit();
        assert_eq!(mx.count(), at, "{point}: nothing leaves before it is forgotten");
        gateway.serve();
        let received = mx.wait(at + 1).pop().unwrap();
        assert_eq!(received.recipients(), ["b@acme.example"], "{point}");
        let left = list(&gateway, &[]);
        assert_eq!((left.len(), &left[0]["recipients"]), (1, &serde_json::json!(["a@acme.example"])), "{point}");
        gateway.assert_settled();
        gateway.assert_balanced();
        assert_eq!(mx.count(), at + 1, "{point}");
    }
}

#[test]
fn mail_waits_for_a_required_scanner_and_goes_on_without_another() {
    for (required, code) in [("required = true", 451), ("required = false", 250)] {
        let (mx, clamd, gateway) = world(required);
        drop(clamd);
        let mut client = crate::support::Client::ready(gateway.inbound);
        client.envelope("a@sender.example", &["you@acme.example"]);
        let reply = client.data(message("x", "x\r\n"));
        assert_eq!(reply.code, code, "{required}: {reply:?}");
        if code == 250 {
            mx.one();
        }
        gateway.assert_settled();
        assert_eq!(mx.count(), usize::from(code == 250));
    }
}
