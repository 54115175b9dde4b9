//! The mail log: NDJSON, one event per transition, one schema, whatever clients and next hops say.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::gateway::acme;
use crate::support::{Client, FakeMx, Gateway, message};

type Check = fn(&Value) -> bool;

/// Member, and the check of its type.
const MEMBERS: &[(&str, Check)] = &[
    ("v", |value| value == 1),
    ("ts", |value| value.as_str().is_some_and(is_timestamp)),
    ("event", Value::is_string),
    ("connection", Value::is_u64),
    ("message", |value| value.as_str().is_some_and(|id| id.len() == 26)),
    ("tenant", Value::is_string),
    ("direction", |value| value == "inbound" || value == "outbound"),
    ("listener", Value::is_string),
    ("ip", |value| value.as_str().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok())),
    ("helo", Value::is_string),
    ("sender", Value::is_string),
    ("recipient", Value::is_string),
    ("code", |value| value.as_u64().is_some_and(|code| (200..600).contains(&code))),
    ("reply", Value::is_string),
    ("remote", Value::is_object),
    ("size", Value::is_u64),
    ("recipients", Value::is_u64),
    ("attempt", Value::is_u64),
    ("next_attempt", |value| value.as_str().is_some_and(is_timestamp)),
    ("reason", Value::is_string),
    ("tls", Value::is_object),
    ("duration_ms", Value::is_u64),
    ("explanation", |value| value["schema"] == "explanation/v1"),
];

const EVENTS: &[&str] = &[
    "connect",
    "disconnect",
    "auth",
    "mail",
    "rcpt",
    "message",
    "queued",
    "handed-on",
    "delivered",
    "deferred",
    "bounced",
    "expired",
    "notice",
    "held",
    "released",
    "retried",
    "removed",
    "discarded",
    "quarantined",
    "judged",
    "corrupt",
    "alert",
    "reload",
    "signatures",
    "contract",
    "suspension",
];

/// 2026-11-20T12:07:31.250Z
fn is_timestamp(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z')
}

fn assert_schema(lines: &[Value]) {
    for line in lines {
        let members = line.as_object().expect("an object");
        for required in ["v", "ts", "event"] {
            assert!(members.contains_key(required), "no {required}: {line}");
        }
        assert!(EVENTS.contains(&line["event"].as_str().unwrap()), "an unknown event: {line}");
        for (name, value) in members {
            let (_, check) = MEMBERS
                .iter()
                .find(|(known, _)| known == name)
                .unwrap_or_else(|| panic!("an unknown member {name}: {line}"));
            assert!(check(value), "{name} is not what it should be: {line}");
        }
    }
}

#[test]
fn a_mails_way_can_be_read_from_it() {
    let mx = FakeMx::builder()
        .on_rcpt(|rcpt| match (rcpt.address.as_str(), rcpt.nth) {
            ("grey@acme.example", 1) => crate::support::Answer::reply("450 4.7.1 greylisted"),
            ("gone@acme.example", _) => crate::support::Answer::reply("550 5.1.1 gone"),
            _ => crate::support::Answer::Accept,
        })
        .start();
    let list = "[\"ok@acme.example\", \"grey@acme.example\", \"gone@acme.example\"]";
    let gateway = Gateway::builder().tenants(&acme("queued", &[mx.address()], list)).quick_retries().start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<>", 250);
    for (to, code) in [("ok", 250), ("nobody", 550), ("grey", 250), ("gone", 250)] {
        client.command(&format!("RCPT TO:<{to}@acme.example>"), code);
    }
    assert_eq!(client.data(message("logged", "x\r\n")).code, 250);
    client.quit();
    gateway.assert_settled();
    gateway.logged("disconnect", |_| true);
    gateway.logged("delivered", |line| line["recipient"] == "grey@acme.example");
    let lines = gateway.mail_log();
    assert_schema(&lines);

    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!(of("rcpt").len(), 4, "every recipient attempted, refused ones included");
    assert_eq!(of("rcpt").iter().filter(|line| line["code"] == 550).count(), 1);
    let connection = &of("connect")[0]["connection"];
    assert!(of("rcpt").iter().all(|line| line["connection"] == *connection));
    let message = of("queued")[0]["message"].clone();
    assert!(message.is_string(), "{:?}", of("queued"));
    for event in ["delivered", "deferred", "bounced"] {
        assert!(!of(event).is_empty(), "no {event}");
        assert!(of(event).iter().all(|line| line["message"] == message && line["tenant"] == "acme"), "{:?}", of(event));
    }
    // I5: exactly one end per recipient.
    let mut ends: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in &lines {
        let event = line["event"].as_str().unwrap();
        if ["delivered", "bounced", "expired", "removed", "discarded"].contains(&event) {
            ends.entry(line["recipient"].as_str().expect("a recipient")).or_default().push(event);
        }
    }
    assert_eq!(ends["ok@acme.example"], ["delivered"]);
    assert_eq!(ends["grey@acme.example"], ["delivered"]);
    assert_eq!(ends["gone@acme.example"], ["bounced"]);
    assert_eq!(ends.len(), 3);
}

#[test]
fn hostile_words_stay_within_their_line() {
    let mx = FakeMx::builder()
        .on_dot(|_| crate::support::Answer::reply("554 5.0.0 \u{1b}[2J\u{202e}evil \"quoted\\ {\"event\":\"forged\"}"))
        .start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::greeted(gateway.inbound);
    client.ask("EHLO \u{1b}[31mred\u{202e}");
    client.ask("EHLO \"},{\"event\":\"forged\"}");
    client.command("EHLO client.example", 250);
    client.ask("MAIL FROM:<\u{202e}@sender.example> SMTPUTF8");
    client.ask("RCPT TO:<nobody\u{202e}@elsewhere.example>");
    client.ask("RCPT TO:<you\u{202e}@acme.example>");
    client.data(message("hostile", "x\r\n"));
    client.command("MAIL FROM:<\u{202e}@sender.example> SMTPUTF8", 250);
    client.ask("RSET");
    client.command("MAIL FROM:<\"a\\\"b\"@sender.example>", 250);
    client.ask("RCPT TO:<\"\\\"\"@acme.example>");
    client.ask("RCPT TO:<you@acme.example>");
    client.data(message("hostile", "x\r\n"));
    client.send(b"\xff\xfe\x00bad\r\n");
    client.reply();
    client.quit();
    gateway.logged("disconnect", |_| true);
    gateway.assert_balanced();
    let raw = std::fs::read(gateway.mail_log_file()).unwrap();
    let text = String::from_utf8(raw).expect("UTF-8");
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)));
    let lines = gateway.mail_log();
    assert_schema(&lines);
    assert!(lines.iter().all(|line| line["event"] != "forged"));
}

#[test]
fn a_rotated_log_is_opened_anew_at_sighup() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("a@sender.example", &["before@acme.example"], &message("before", "x\r\n"));
    gateway.logged("delivered", |line| line["recipient"] == "before@acme.example");
    let old = gateway.path().join("rotated.ndjson");
    std::fs::rename(gateway.mail_log_file(), &old).unwrap();
    gateway.signal(rustix::process::Signal::HUP);
    crate::support::eventually("a new file", || gateway.mail_log_file().exists());
    gateway.send_inbound("a@sender.example", &["after@acme.example"], &message("after", "x\r\n"));
    gateway.logged("delivered", |line| line["recipient"] == "after@acme.example");
    let old = std::fs::read_to_string(old).unwrap();
    assert!(old.contains("before@acme.example") && !old.contains("after@acme.example"));
    mx.wait(2);
}
