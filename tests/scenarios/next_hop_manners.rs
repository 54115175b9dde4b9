//! How we behave as a client: nothing optional is needed, TLS by policy, connections used again, broken ones survived.

use crate::support::gateway::acme;
use crate::support::tls::Identity;
use crate::support::{Answer, Client, FakeMx, Gateway, eventually, message, sha256};

fn with_tls_policy(mx: &FakeMx, policy: &str) -> String {
    acme("queued", &[mx.address()], "\"any\"").replace("recipients =", &format!("tls = \"{policy}\"\nrecipients ="))
}

fn tls_hop() -> (tempfile::TempDir, crate::support::fake_mx::FakeMxBuilder) {
    let dir = tempfile::tempdir().unwrap();
    let config = Identity::create(dir.path(), "fake.example").server_config();
    (dir, FakeMx::builder().tls(config))
}

#[test]
fn a_server_that_knows_only_helo_gets_its_mail() {
    let mx = FakeMx::builder().helo_only().start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("helo", ".dot\r\n"));
    let received = mx.one();
    assert_eq!(received.helo, "mx.gateway.example");
    assert_eq!(received.from_params, "");
    assert_eq!(received.body(), b".dot\r\n");
}

#[test]
fn no_extension_is_needed() {
    let mx = FakeMx::builder().capabilities(&[]).start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("a@sender.example", &["a@acme.example", "b@acme.example"], &message("bare", "x\r\n"));
    let received = mx.one();
    assert_eq!((received.from_params.as_str(), received.to.len()), ("", 2));
    gateway.assert_settled();
}

#[test]
fn utf8_addresses_are_never_downgraded() {
    let mx = FakeMx::builder().capabilities(&["PIPELINING", "8BITMIME"]).start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<> SMTPUTF8 BODY=8BITMIME", 250);
    client.command("RCPT TO:<貴方@acme.example>", 250);
    assert_eq!(client.data("Subject: 件名\r\n\r\n本文\r\n").code, 250);
    client.quit();
    gateway.logged("bounced", |line| line["reply"].as_str().or(line["reason"].as_str()).is_some());
    gateway.assert_settled();
    assert!(mx.seen().is_empty());
}

#[test]
fn a_long_body_arrives_equal_over_data_and_over_bdat() {
    let body = ".\r\n..\r\n.x\r\n0123456789\r\n\r\n".repeat(50_000);
    for capabilities in [&["PIPELINING", "8BITMIME"][..], &["PIPELINING", "8BITMIME", "CHUNKING"]] {
        let mx = FakeMx::builder().capabilities(capabilities).start();
        let gateway = Gateway::builder().acme(mx.address()).start();
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("long", &body));
        assert_eq!(mx.one().body_hash, sha256(body.as_bytes()));
    }
}

#[test]
fn opportunistic_tls_is_used_where_offered() {
    let (_dir, builder) = tls_hop();
    let mx = builder.start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("tls", "x\r\n"));
    assert!(mx.one().tls);
    let line = gateway.logged("delivered", |_| true);
    assert!(line["tls"]["version"].is_string(), "{line}");
}

#[test]
fn with_tls_none_it_is_not_even_asked_for() {
    let (_dir, builder) = tls_hop();
    let mx = builder.start();
    let gateway = Gateway::builder().tenants(&with_tls_policy(&mx, "none")).start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("plain", "x\r\n"));
    assert!(!mx.one().tls);
    assert!(!mx.commands().iter().any(|line| line == "STARTTLS"));
}

#[test]
fn required_and_verified_tls_never_go_plain() {
    let plain = FakeMx::start();
    let (_dir, builder) = tls_hop();
    let self_signed = builder.start();
    for (mx, policy) in [(&plain, "required"), (&plain, "verified"), (&self_signed, "verified")] {
        let gateway = Gateway::builder().tenants(&with_tls_policy(mx, policy)).quick_retries().start();
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("secret", "x\r\n"));
        gateway.logged("deferred", |line| line["recipient"] == "you@acme.example");
        assert_eq!(gateway.metrics().sum("sekisho_recipients_queued"), 1.0);
        gateway.assert_balanced();
    }
    assert!(plain.seen().is_empty() && self_signed.seen().is_empty());
    assert!(!plain.commands().iter().any(|line| line.starts_with("MAIL")), "{:?}", plain.commands());
}

#[test]
fn connections_are_used_again() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    for n in 0..20 {
        client.mail("a@sender.example", &["you@acme.example"], message(&format!("m{n}"), "x\r\n"));
        eventually("the delivery", || gateway.metrics().sum("sekisho_recipients_delivered_total") == f64::from(n + 1));
    }
    client.quit();
    assert!(mx.connections() <= 2, "{} connections for 20 messages one after the other", mx.connections());
    gateway.assert_settled();
}

#[test]
fn a_connection_lost_behind_the_dot_is_tried_again() {
    for cut in [Answer::Reset, Answer::Close, Answer::reply("421 4.3.0 going down")] {
        let mx = FakeMx::builder().on_dot(move |dot| if dot.nth == 1 { cut.clone() } else { Answer::Accept }).start();
        let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("cut", "x\r\n"));
        mx.one();
        gateway.assert_settled();
        assert_eq!(mx.seen().len(), 2);
    }
}

#[test]
fn a_stale_connection_is_not_the_mails_fault() {
    // The hop closes every connection after one message: the next mail must not lose an attempt to it.
    let mx = FakeMx::builder().on_mail(|mail| if mail.nth == 2 { Answer::Close } else { Answer::Accept }).start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    for n in 0..3 {
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message(&format!("m{n}"), "x\r\n"));
        eventually("the mail", || mx.count() == n + 1);
    }
    gateway.assert_settled();
}

#[test]
fn a_babbling_server_is_cut_off() {
    let endless = vec!["x".repeat(500); 2000].join("\n");
    let mx = FakeMx::builder()
        .on_mail(move |mail| if mail.nth == 1 { Answer::Reply(format!("250 {endless}")) } else { Answer::Accept })
        .start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("babble", "x\r\n"));
    mx.one();
    gateway.assert_settled();
}

#[test]
fn opportunistic_tls_that_fails_is_done_without() {
    for builder in [FakeMx::builder().broken_tls(), FakeMx::builder().capabilities(&["STARTTLS"])] {
        let mx = builder.start();
        let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("no tls", "x\r\n"));
        assert!(!mx.one().tls);
        gateway.assert_settled();
    }
}

#[test]
fn a_message_larger_than_the_server_takes_is_not_even_sent() {
    let mx = FakeMx::builder().capabilities(&["SIZE 2000", "PIPELINING"]).start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("", &["you@acme.example"], &message("large", &"0123456789\r\n".repeat(500)));
    let line = gateway.logged("bounced", |_| true);
    assert!(line["reply"].as_str().unwrap_or_default().contains("5.3.4"), "{line}");
    gateway.assert_settled();
    assert!(!mx.commands().iter().any(|line| line.starts_with("MAIL")));
}

#[test]
fn more_recipients_than_every_server_takes_go_in_several_transactions() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let recipients: Vec<String> = (0..250).map(|n| format!("user{n}@acme.example")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    gateway.send_inbound("a@sender.example", &recipients, &message("many", "x\r\n"));
    gateway.assert_settled();
    let received = mx.accepted();
    assert!(received.iter().all(|mail| mail.to.len() <= 100));
    let mut all: Vec<&str> = received.iter().flat_map(|mail| mail.recipients()).collect();
    let mut expected = recipients.clone();
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

#[test]
fn a_greeting_that_turns_us_away_is_for_now() {
    for greeting in ["554 5.7.1 go away", "421 4.3.2 busy", "500 what?"] {
        let mx = FakeMx::builder()
            .on_connect(move |connect| if connect.nth == 1 { Answer::reply(greeting) } else { Answer::Accept })
            .start();
        let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("greeting", "x\r\n"));
        mx.one();
        gateway.assert_settled();
    }
}
