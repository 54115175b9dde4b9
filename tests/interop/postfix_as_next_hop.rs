//! A real Postfix is the tenant's mail server: it greylists, is slow, is away for a while, refuses one of three.

use std::collections::HashSet;

use crate::need_postfix;
use crate::policy_server;
use crate::postfix::Postfix;
use crate::support::gateway::{MX_PORT, acme};
use crate::support::{Client, FakeMx, Gateway, eventually, fake_dns::FakeDns, loopback, message, sha256};

/// The recipients of each message that came through Postfix to the sink behind it.
fn recipients(sink: &FakeMx, count: usize) -> Vec<String> {
    let mut all: Vec<String> =
        sink.wait(count).iter().flat_map(|mail| mail.to.iter().map(|(address, _)| address.clone())).collect();
    all.sort();
    all
}

#[test]
fn it_takes_everything_over_tls_and_bdat() {
    need_postfix!();
    for custody in ["queued", "inline"] {
        let sink = FakeMx::start();
        let postfix = Postfix::start(sink.address(), &["smtpd_tls_loglevel = 1"]);
        let gateway = Gateway::builder()
            .tenants(&acme(custody, &[postfix.address], "\"any\""))
            .set("delivery", "idle_timeout = \"1s\"")
            .start();
        let body = "日本語の本文\r\n.\r\n..dots\r\n\r\n".repeat(2000);
        gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("whole", &body));
        let mut client = Client::ready(gateway.inbound);
        client.command("MAIL FROM:<葵@sender.example> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+2B1", 250);
        client.command("RCPT TO:<貴方@acme.example> NOTIFY=FAILURE ORCPT=utf-8;x@acme.example", 250);
        assert_eq!(client.bdat("Subject: 件名\r\n\r\n本文\r\n", true).code, 250);
        client.quit();
        let received = sink.wait(2);
        assert!(received.iter().any(|mail| mail.body_hash == sha256(body.as_bytes())));
        let utf8 = received.iter().find(|mail| mail.from == "葵@sender.example").expect("the SMTPUTF8 mail");
        assert_eq!(utf8.recipients(), ["貴方@acme.example"]);
        assert!(
            utf8.from_params.contains("ENVID=e+2B1") && utf8.from_params.contains("RET=HDRS"),
            "{}",
            utf8.from_params
        );
        assert!(postfix.log().contains("TLS connection established from"), "opportunistic TLS:\n{}", postfix.log());
        gateway.assert_settled();
        // Postfix sums up what a client said when it has gone: two messages by BDAT, none by DATA.
        drop(gateway);
        eventually("the end of our connections in Postfix's log", || {
            let log = postfix.log();
            let sums = log.lines().filter(|line| line.contains("disconnect from")).collect::<String>();
            assert!(!sums.contains(" data="), "{sums}");
            sums.matches("bdat=").count() >= 1
        });
    }
}

#[test]
fn it_greylists() {
    need_postfix!();
    let sink = FakeMx::start();
    let policy = policy_server::greylisting();
    let restrictions = format!("smtpd_recipient_restrictions = check_policy_service inet:{policy}, permit");
    let postfix = Postfix::start(sink.address(), &[&restrictions]);
    let gateway = Gateway::builder().acme(postfix.address).quick_retries().start();
    gateway.send_inbound("a@sender.example", &["one@acme.example", "two@acme.example"], &message("grey", "x\r\n"));
    let line = gateway.logged("deferred", |line| line["recipient"] == "one@acme.example");
    assert_eq!(line["code"], 450, "{line}");
    assert_eq!(recipients(&sink, 1), ["one@acme.example", "two@acme.example"]);
    gateway.assert_settled();
}

#[test]
fn it_is_slow() {
    need_postfix!();
    let sink = FakeMx::start();
    let postfix = Postfix::start(sink.address(), &["smtpd_recipient_restrictions = sleep 2, permit"]);
    let gateway = Gateway::builder().acme(postfix.address).start();
    let mut client = Client::ready(gateway.inbound);
    for n in 0..20 {
        client.mail("a@sender.example", &[&format!("user{n}@acme.example")], message(&format!("m{n}"), "x\r\n"));
    }
    client.quit();
    let unique: HashSet<String> = recipients(&sink, 20).into_iter().collect();
    assert_eq!(unique.len(), 20);
    gateway.assert_settled();
}

#[test]
fn it_is_down_for_a_while() {
    need_postfix!();
    for custody in ["queued", "inline"] {
        let sink = FakeMx::start();
        let mut postfix = Postfix::prepare(sink.address(), &[]);
        let gateway = Gateway::builder().tenants(&acme(custody, &[postfix.address], "\"any\"")).quick_retries().start();
        let mut client = Client::ready(gateway.inbound);
        for n in 0..50 {
            client.mail("a@sender.example", &[&format!("user{n}@acme.example")], message(&format!("m{n}"), "x\r\n"));
        }
        client.quit();
        gateway.logged("deferred", |_| true);
        assert_eq!(gateway.metrics().sum("sekisho_recipients_queued"), 50.0);
        postfix.up();
        let unique: HashSet<String> = recipients(&sink, 50).into_iter().collect();
        assert_eq!(unique.len(), 50);
        gateway.assert_settled();
        // And once more, with mail in between.
        postfix.down();
        gateway.send_inbound("a@sender.example", &["again@acme.example"], &message("again", "x\r\n"));
        postfix.up();
        sink.wait(51);
        gateway.assert_settled();
    }
}

#[test]
fn it_refuses_one_recipient_of_three() {
    need_postfix!();
    for custody in ["queued", "inline"] {
        let (dns, ip) = (FakeDns::start(), loopback::fresh_ip());
        let sender_mx = FakeMx::builder().ip(ip).port(MX_PORT).start();
        dns.mx("sender.example", &[(10, "mx.sender.example")]);
        dns.a("mx.sender.example", &[ip]);
        let sink = FakeMx::start();
        let refuse = "smtpd_recipient_restrictions = \
            check_recipient_access inline:{ { gone@acme.example = 550 5.1.1 moved to the branch office } }, permit";
        let postfix = Postfix::start(sink.address(), &[refuse]);
        let gateway =
            Gateway::builder().tenants(&acme(custody, &[postfix.address], "\"any\"")).dns(dns.address()).start();
        let to = ["first@acme.example", "gone@acme.example", "third@acme.example"];
        gateway.send_inbound("a@sender.example", &to, &message("three", "x\r\n"));
        assert_eq!(recipients(&sink, 1), ["first@acme.example", "third@acme.example"]);
        let notice = sender_mx.one().text();
        assert!(notice.contains("gone@acme.example") && notice.contains("branch office"), "{notice}");
        assert!(!notice.contains("first@acme.example"), "{notice}");
        gateway.assert_settled();
    }
}

#[test]
fn its_refusal_comes_back_inline_as_it_came() {
    need_postfix!();
    let sink = FakeMx::start();
    let refuse = "smtpd_recipient_restrictions = \
        check_recipient_access inline:{ { gone@acme.example = 550 5.1.1 moved to the branch office } }, permit";
    let postfix = Postfix::start(sink.address(), &[refuse]);
    let gateway = Gateway::builder().tenants(&acme("inline", &[postfix.address], "\"any\"")).start();
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["gone@acme.example"]);
    let refused = client.data(message("refused", "x\r\n"));
    assert!(refused.code == 550 && refused.text().contains("branch office"), "{refused:?}");
    client.quit();
    gateway.assert_settled();
    assert_eq!(sink.count(), 0);
}

#[test]
fn it_is_asked_ahead_for_recipients() {
    need_postfix!();
    let sink = FakeMx::start();
    let refuse = "smtpd_recipient_restrictions = \
        check_recipient_access inline:{ { gone@acme.example = 550 5.1.1 gone } }, permit";
    let postfix = Postfix::start(sink.address(), &[refuse]);
    let gateway = Gateway::builder().tenants(&acme("queued", &[postfix.address], "\"call-ahead\"")).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    client.command("RCPT TO:<gone@acme.example>", 550);
    client.command("RCPT TO:<you@acme.example>", 250);
    assert_eq!(client.data(message("asked", "x\r\n")).code, 250);
    client.quit();
    assert_eq!(recipients(&sink, 1), ["you@acme.example"]);
    gateway.assert_settled();
}
