//! The operator's hand in the queue: ls, show, summary, hold, release, retry, rm.

use serde_json::Value;

use crate::support::{FakeMx, Gateway, eventually, message};

fn list(gateway: &Gateway, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["queue", "ls", "--json"];
    arguments.extend_from_slice(more);
    gateway.cli_ok(&arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(entry: &Value) -> String {
    entry["id"].as_str().expect("an id").to_owned()
}

/// A next hop that is down, and as many messages in the queue.
fn world(messages: usize) -> (FakeMx, Gateway) {
    let mx = FakeMx::builder().start_down();
    let gateway = Gateway::builder().acme(mx.address()).set("delivery", "retry_first = \"1h\"").start();
    for n in 0..messages {
        gateway.send_inbound("a@sender.example", &[&format!("user{n}@acme.example")], &message("queued", "x\r\n"));
    }
    eventually("the first attempts", || {
        let entries = list(&gateway, &[]);
        entries.len() == messages && entries.iter().any(|entry| entry["branches"][0]["last_error"].is_string())
    });
    (mx, gateway)
}

#[test]
fn what_waits_is_listed_and_shown() {
    let (_mx, gateway) = world(2);
    let entries = list(&gateway, &[]);
    assert_eq!(entries[0]["sender"], "a@sender.example");
    assert_eq!(entries[0]["tenant"], "acme");
    assert_eq!(entries[0]["branches"][0]["domain"], "acme.example");
    assert_eq!(list(&gateway, &["--domain", "other.example"]).len(), 0);
    assert_eq!(list(&gateway, &["--tenant", "acme", "--limit", "1"]).len(), 1);
    let table = gateway.cli_ok(&["queue", "ls"]);
    assert!(table.contains(&id(&entries[0])) && table.contains(&id(&entries[1])), "{table}");
    let shown = gateway.cli_ok(&["queue", "show", &id(&entries[0])]);
    assert!(shown.contains("user0@acme.example") || shown.contains("user1@acme.example"), "{shown}");
    let summary = gateway.cli_ok(&["queue", "summary"]);
    assert!(summary.contains("acme.example"), "{summary}");
    let missing = gateway.cli(&["queue", "show", "00000000000000000000000000"]);
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn held_mail_waits_for_its_release() {
    let (mx, gateway) = world(2);
    let held = id(&list(&gateway, &[])[0]);
    let refused = gateway.cli(&["queue", "hold", &held]);
    assert_eq!(refused.status.code(), Some(2), "a hold without a reason");
    gateway.cli_ok(&["queue", "hold", &held, "--reason", "checking with the customer"]);
    let metrics = gateway.metrics();
    assert_eq!((metrics.sum("sekisho_recipients_held"), metrics.sum("sekisho_recipients_queued")), (1.0, 1.0));
    gateway.assert_balanced();
    assert_eq!(list(&gateway, &["--held"]).len(), 1);
    mx.come_up();
    gateway.cli_ok(&["queue", "retry", "--all"]);
    mx.one();
    eventually("only the held one left", || gateway.metrics().sum("sekisho_recipients_queued") == 0.0);
    let line = gateway.logged("held", |line| line["message"] == held.as_str());
    assert_eq!(line["reason"], "checking with the customer");
    gateway.cli_ok(&["queue", "release", &held, "--reason", "customer says fine"]);
    mx.wait(2);
    gateway.logged("released", |line| line["message"] == held.as_str());
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_held"), 0.0);
}

#[test]
fn a_hold_survives_a_restart() {
    let (mx, mut gateway) = world(1);
    let held = id(&list(&gateway, &[])[0]);
    gateway.cli_ok(&["queue", "hold", &held, "--reason", "x"]);
    gateway.kill();
    mx.come_up();
    gateway.serve();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_held"), 1.0);
    gateway.cli_ok(&["queue", "release", &held, "--reason", "x"]);
    mx.one();
    gateway.assert_settled();
}

#[test]
fn removed_mail_is_gone_without_a_notice() {
    let (mx, gateway) = world(3);
    let removed = id(&list(&gateway, &[])[0]);
    assert_eq!(gateway.cli(&["queue", "rm", &removed]).status.code(), Some(2), "a removal without a reason");
    gateway.cli_ok(&["queue", "rm", &removed, "--reason", "spam run"]);
    assert_eq!(list(&gateway, &[]).len(), 2);
    assert_eq!(gateway.cli(&["queue", "rm", &removed, "--reason", "again"]).status.code(), Some(3));
    let line = gateway.logged("removed", |line| line["message"] == removed.as_str());
    assert_eq!(line["reason"], "spam run");
    gateway.assert_balanced();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_discarded_total"), 1.0);
    mx.come_up();
    gateway.cli_ok(&["queue", "retry", "--domain", "acme.example"]);
    mx.wait(2);
    gateway.assert_settled();
}

#[test]
fn without_a_running_node_the_exit_status_says_so() {
    let gateway = Gateway::builder().acme("127.0.0.1:9".parse().unwrap()).build();
    assert_eq!(gateway.cli(&["queue", "ls"]).status.code(), Some(69));
}
