//! Mail from the internet reaches the tenant's next hop: once, whole, with its envelope.

use crate::support::{Client, FakeMx, Gateway, message, sha256};

#[test]
fn one_mail_arrives_whole_and_traced() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mail = message("hello", "Konnichi wa\r\n.dot\r\n..\r\n.\r\n\r\nend\r\n");
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &mail);
    let received = mx.one();
    assert_eq!(received.from, "aoi@sender.example");
    assert_eq!(received.recipients(), ["you@acme.example"]);
    assert!(received.text().ends_with(&mail), "the message as sent must stand behind our own header fields");
    let trace = received.header("Received").expect("a Received field of ours");
    assert!(trace.contains("by mx.gateway.example") && trace.contains("from client.example"), "{trace}");
    assert!(received.text().starts_with("Authentication-Results: mx.gateway.example"), "{}", received.headers());
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_delivered_total"), 1.0);
}

#[test]
fn one_transaction_with_many_recipients_is_one_delivery() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let recipients: Vec<String> = (0..100).map(|n| format!("user{n}@acme.example")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    gateway.send_inbound("aoi@sender.example", &recipients, &message("many", "x\r\n"));
    assert_eq!(mx.one().recipients(), recipients);
    gateway.assert_settled();
}

#[test]
fn transactions_on_one_connection_stay_apart() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    for n in 0..20 {
        let (from, to) = (format!("from{n}@sender.example"), format!("to{n}@acme.example"));
        client.mail(&from, &[&to], message(&format!("number {n}"), &format!("body {n}\r\n")));
    }
    client.command("MAIL FROM:<forgotten@sender.example>", 250);
    client.command("RCPT TO:<forgotten@acme.example>", 250);
    client.command("RSET", 250);
    client.command("DATA", 503);
    client.quit();
    let mut received = mx.wait(20);
    received.sort_by_key(|mail| mail.from[4..mail.from.find('@').unwrap()].parse::<u32>().unwrap());
    for (n, mail) in received.iter().enumerate() {
        assert_eq!(mail.recipients(), [format!("to{n}@acme.example")]);
        assert_eq!(mail.body(), format!("body {n}\r\n").as_bytes());
    }
    gateway.assert_settled();
}

#[test]
fn every_way_of_sending_brings_the_same_body() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().start();
    let body = "日本語の本文\r\n.\r\n..\r\n\r\n".repeat(3000);
    let mail = message("same", &body);
    gateway.send_inbound("a@sender.example", &["data@acme.example"], &mail);

    let mut client = Client::ready_tls(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example> BODY=8BITMIME SIZE=200000", 250);
    client.command("RCPT TO:<bdat@acme.example>", 250);
    let (first, rest) = mail.as_bytes().split_at(33_333);
    assert_eq!(client.bdat(first, false).code, 250);
    assert_eq!(client.bdat(rest, false).code, 250);
    assert_eq!(client.bdat("", true).code, 250);
    client.quit();

    for received in mx.wait(2) {
        assert_eq!(received.body_hash, sha256(body.as_bytes()), "{:?}", received.recipients());
    }
    gateway.assert_settled();
}

#[test]
fn small_and_odd_messages_pass() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    for odd in ["", "\r\n", "no header at all\r\n", "Subject: no body\r\n", "Subject: x\r\n\r\n", ".\r\n"] {
        client.mail("", &["you@acme.example"], odd);
    }
    client.quit();
    for received in mx.wait(6) {
        assert_eq!(received.from, "");
        assert!(received.text().starts_with("Authentication-Results: mx.gateway.example"), "{}", received.text());
    }
    gateway.assert_settled();
}

#[test]
fn a_message_above_a_mebibyte_passes() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let body = "0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789ab\r\n".repeat(100_000);
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("large", &body));
    assert_eq!(mx.one().body_hash, sha256(body.as_bytes()));
    gateway.assert_settled();
}

#[test]
fn internationalised_mail_passes_as_it_came() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<葵@例え.example>", 553);
    client.command("MAIL FROM:<葵@例え.example> SMTPUTF8 BODY=8BITMIME", 250);
    client.command("RCPT TO:<貴方@acme.example>", 250);
    assert_eq!(client.data("Subject: 件名\r\n\r\n本文\r\n").code, 250);
    client.quit();
    let received = mx.one();
    assert_eq!(received.recipients(), ["貴方@acme.example"]);
    assert!(received.from_params.to_ascii_uppercase().contains("SMTPUTF8"), "{}", received.from_params);
    assert!(received.text().ends_with("Subject: 件名\r\n\r\n本文\r\n"));
    gateway.assert_settled();
}

#[test]
fn over_ipv6_in_both_directions() {
    let ip = std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    if std::net::TcpListener::bind((ip, 0)).is_err() {
        println!("SKIPPED: no IPv6 on this machine");
        return;
    }
    let mx = FakeMx::builder().ip(ip).start();
    let file = crate::support::gateway::acme("queued", &[mx.address()], "\"any\"").replace("127.0.0.1/32", "::1/128");
    let gateway = Gateway::builder().ip(ip).tenants(&file).start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("six", "x\r\n"));
    gateway.send_outbound("aoi@acme.example", &["me@acme.example"], &message("six", "x\r\n"));
    for received in mx.wait(2) {
        let trace = received.header("Received").unwrap();
        assert!(trace.contains("[IPv6:::1]"), "{trace}");
    }
    gateway.assert_settled();
}
