//! Listeners with implicit TLS, and listeners that take no mail without TLS.

use crate::support::tls::client_config;
use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn implicit_tls_speaks_tls_from_the_first_byte() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().inbound("tls = \"implicit\"").start();
    let mut client = Client::connect(gateway.inbound);
    client.handshake(&client_config(None));
    client.expect(220);
    let ehlo = client.ehlo();
    assert!(!ehlo.lines.iter().any(|line| line == "STARTTLS"), "{ehlo:?}");
    client.mail("a@sender.example", &["you@acme.example"], message("implicit", "x\r\n"));
    client.quit();
    assert!(mx.one().header("Received").unwrap().contains("ESMTPS"));

    let mut plain = Client::connect(gateway.inbound);
    plain.send("EHLO client.example\r\n");
    assert!(plain.closed_silently(), "a plain-text answer on a port of TLS");
}

#[test]
fn where_tls_is_required_there_is_no_mail_without() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().inbound("require_tls = true").start();
    let mut client = Client::ready(gateway.inbound);
    let refused = client.command("MAIL FROM:<a@sender.example>", 530);
    assert!(refused.is("5.7.0"), "{refused:?}");
    client.starttls(&client_config(None));
    client.ehlo();
    client.mail("a@sender.example", &["you@acme.example"], message("required", "x\r\n"));
    client.quit();
    mx.one();
    gateway.assert_settled();
}
