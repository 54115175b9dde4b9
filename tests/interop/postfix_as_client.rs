//! A real Postfix sends through us: in from the internet, and out as a tenant's mail server.
//!
//! **Elsewhere**: Postfix's client never says BDAT, only its server takes it; that side is in `postfix_as_next_hop`, and BDAT
//! towards us comes from the raw client of the scenarios.

use crate::need_postfix;
use crate::postfix::Postfix;
use crate::support::gateway::MX_PORT;
use crate::support::{Client, FakeMx, Gateway, fake_dns::FakeDns, loopback, message, own, sha256};

#[test]
fn it_sends_with_tls_pipelining_8bitmime_and_size() {
    need_postfix!();
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().start();
    let postfix = Postfix::start(gateway.inbound, &["smtp_tls_security_level = encrypt", "smtp_tls_loglevel = 1"]);
    let body = "日本語の本文\r\n.\r\n..dots\r\n".repeat(500);
    let mut client = Client::ready(postfix.address);
    client.command("MAIL FROM:<a@sender.example> BODY=8BITMIME", 250);
    for n in 0..10 {
        client.command(&format!("RCPT TO:<user{n}@acme.example>"), 250);
    }
    assert_eq!(client.data(message("postfix", &body)).code, 250);
    client.quit();
    let received = mx.one();
    assert_eq!(received.to.len(), 10);
    assert_eq!(received.body_hash, sha256(body.as_bytes()));
    assert!(received.from_params.contains("BODY=8BITMIME"), "{}", received.from_params);
    let trace = received.header("Received").unwrap();
    assert!(trace.contains("ESMTPS") && trace.contains("postfix.example"), "{trace}");
    gateway.assert_settled();
}

#[test]
fn it_sends_many_in_parallel_each_once() {
    need_postfix!();
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().start();
    let postfix = Postfix::start(gateway.inbound, &["smtp_tls_security_level = may"]);
    let mut client = Client::ready(postfix.address);
    for n in 0..100 {
        let body = format!("body {n}\r\n");
        client.mail("a@sender.example", &[&format!("user{n}@acme.example")], message(&format!("m{n}"), &body));
    }
    client.quit();
    for received in mx.wait(100) {
        let number: String = received.to[0].0.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(received.body_hash, sha256(format!("body {number}\r\n").as_bytes()));
    }
    gateway.assert_settled();
}

#[test]
fn it_sends_internationalised_mail() {
    need_postfix!();
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let postfix = Postfix::start(gateway.inbound, &[]);
    let mut client = Client::ready(postfix.address);
    client.command("MAIL FROM:<葵@sender.example> BODY=8BITMIME SMTPUTF8", 250);
    client.command("RCPT TO:<貴方@acme.example>", 250);
    assert_eq!(client.data("From: 葵@sender.example\r\nSubject: 件名\r\n\r\n本文\r\n").code, 250);
    client.quit();
    let received = mx.one();
    assert_eq!((received.from.as_str(), received.recipients()), ("葵@sender.example", vec!["貴方@acme.example"]));
    assert!(received.from_params.contains("SMTPUTF8"), "{}", received.from_params);
    gateway.assert_settled();
}

#[test]
fn it_asks_for_notices_and_gets_what_it_asked_for() {
    need_postfix!();
    let (dns, ip) = (FakeDns::start(), loopback::fresh_ip());
    let sender_mx = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.mx("sender.example", &[(10, "mx.sender.example")]);
    dns.a("mx.sender.example", &[ip]);
    let mx = FakeMx::builder()
        .capabilities(&["PIPELINING", "8BITMIME"])
        .refusing("gone@acme.example", "550 5.1.1 gone")
        .start();
    let gateway = Gateway::builder().acme(mx.address()).dns(dns.address()).start();
    let postfix = Postfix::start(gateway.inbound, &[]);
    let send = |more: &[&str]| postfix.sendmail(&[&["-f", "a@sender.example"], more].concat(), "Subject: dsn\n\nx\n");
    let mut client = Client::ready(postfix.address);
    client.command("MAIL FROM:<a@sender.example> ENVID=envelope-77 RET=HDRS", 250);
    client.command("RCPT TO:<ok@acme.example> NOTIFY=SUCCESS,FAILURE", 250);
    assert_eq!(client.data(message("dsn", "x\r\n")).code, 250);
    client.quit();
    let relayed = sender_mx.one().text();
    assert!(relayed.contains("Action: relayed") && relayed.contains("Original-Envelope-Id: envelope-77"), "{relayed}");
    send(&["-N", "failure", "gone@acme.example"]);
    let failed = sender_mx.wait(2)[1].text();
    assert!(failed.contains("Action: failed") && failed.contains("Original-Recipient: rfc822"), "{failed}");
    send(&["-N", "never", "gone@acme.example"]);
    gateway.logged("bounced", |line| line["recipient"] == "gone@acme.example");
    crate::support::eventually("the third mail's end", || {
        gateway.metrics().sum("sekisho_recipients_bounced_total") == 2.0
    });
    gateway.assert_settled();
    assert_eq!((sender_mx.count(), mx.count()), (2, 1));
}

#[test]
fn it_is_told_of_refusals_and_believes_them() {
    need_postfix!();
    let mx = FakeMx::start();
    let list = "[\"ok@acme.example\"]";
    let gateway = Gateway::builder().tenants(&crate::support::gateway::acme("inline", &[mx.address()], list)).start();
    let postfix = Postfix::start(gateway.inbound, &[]);
    let mut client = Client::ready(postfix.address);
    client.mail("", &["ok@acme.example", "nobody@acme.example"], message("two", "x\r\n"));
    client.quit();
    assert_eq!(mx.one().recipients(), ["ok@acme.example"]);
    crate::support::eventually("both fates in Postfix's log", || {
        let log = postfix.log();
        let says = |to: &str, what: &str| log.lines().any(|line| line.contains(to) && line.contains(what));
        says("to=<nobody@acme.example>", "dsn=5.1.1") && says("to=<ok@acme.example>", "status=sent")
    });
}

#[test]
fn as_a_tenants_mail_server_it_sends_out() {
    need_postfix!();
    let (acme, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let gateway = Gateway::builder().acme(acme.address()).with_tls().dns(dns.address()).start();
    let postfix = Postfix::start(gateway.outbound, &["smtp_tls_security_level = encrypt"]);
    let mut client = Client::ready(postfix.address);
    client.mail("aoi@acme.example", &["you@dest.example"], own(&message("out", "x\r\n")));
    client.mail("evil@other.example", &["you@dest.example"], message("spoofed", "x\r\n"));
    client.quit();
    assert_eq!(dest.one().from, "aoi@acme.example");
    crate::support::eventually("the refusal in Postfix's log", || {
        postfix.log().lines().any(|line| line.contains("from=<evil@other.example>") || line.contains("dsn=5.7.1"))
    });
    gateway.assert_settled();
}
