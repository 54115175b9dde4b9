//! XCLIENT: from trusted peers it changes who the client is; to all others it does not exist.

use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn a_trusted_peer_names_its_client() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).inbound("xclient_from = [\"127.0.0.1/32\"]").start();
    let mut client = Client::greeted(gateway.inbound);
    let ehlo = client.ehlo();
    let offered = ehlo.lines.iter().find(|line| line.starts_with("XCLIENT")).expect("XCLIENT");
    assert!(offered.contains("ADDR") && offered.contains("HELO"), "{offered}");
    client.command("XCLIENT ADDR=203.0.113.7 PORT=4711 HELO=mail.sender.example PROTO=ESMTP NAME=[UNAVAILABLE]", 220);
    client.ehlo();
    client.mail("a@sender.example", &["you@acme.example"], message("xclient", "x\r\n"));
    // Whoever was named is no trusted peer.
    assert!(client.ask("XCLIENT ADDR=203.0.113.8").permanent());
    client.quit();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    client.command("XCLIENT ADDR=203.0.113.8", 503);
    client.quit();
    gateway.logged("queued", |line| line["ip"] == "203.0.113.7");
    assert!(mx.one().header("Received").unwrap().contains("203.0.113.7"));

    let mut client = Client::ready(gateway.inbound);
    client.command("XCLIENT ADDR=IPV6:2001:db8::9", 220);
    client.ehlo();
    client.mail("a@sender.example", &["you@acme.example"], message("xclient6", "x\r\n"));
    client.quit();
    gateway.logged("queued", |line| line["ip"] == "2001:db8::9");

    for bad in ["XCLIENT", "XCLIENT ADDR=nonsense", "XCLIENT WHAT=ever", "XCLIENT ADDR=203.0.113.9+0D+0A"] {
        let mut client = Client::ready(gateway.inbound);
        client.command(bad, 501);
        client.quit();
    }
    gateway.assert_settled();
}

#[test]
fn to_strangers_it_does_not_exist() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).inbound("xclient_from = [\"192.0.2.0/24\"]").start();
    let mut client = Client::greeted(gateway.inbound);
    let ehlo = client.ehlo();
    assert!(!ehlo.lines.iter().any(|line| line.starts_with("XCLIENT")));
    assert!(client.ask("XCLIENT ADDR=203.0.113.7").permanent());
    client.mail("a@sender.example", &["you@acme.example"], message("stranger", "x\r\n"));
    client.quit();
    assert!(!mx.one().headers().contains("203.0.113.7"));
}

#[test]
fn a_client_the_proxy_cannot_name_is_not_the_proxy() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .outbound("require_tls = false")
        .outbound("xclient_from = [\"127.0.0.1/32\"]")
        .start();
    // The proxy's own address is in acme's network: what it sends for itself is acme's.
    let mut client = Client::ready(gateway.outbound);
    client.command("MAIL FROM:<you@acme.example>", 250);
    client.command("RSET", 250);
    client.quit();
    for (unnamed, more) in [
        ("XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]", 550),
        ("XCLIENT ADDR=[TEMPUNAVAIL]", 550),
        ("XCLIENT NAME=x.example", 220),
    ] {
        let mut client = Client::ready(gateway.outbound);
        client.command(unnamed, 220);
        client.ehlo();
        assert!(client.ask("MAIL FROM:<you@acme.example>").permanent(), "{unnamed}");
        // Said to be unknown is said: whoever speaks from here on may be the client itself, which names nobody.
        client.command("XCLIENT ADDR=127.0.0.1", more);
        client.quit();
    }
    let mut client = Client::ready(gateway.outbound);
    client.command("XCLIENT NAME=x.example", 220);
    client.command("XCLIENT ADDR=127.0.0.1", 220);
    client.ehlo();
    client.command("MAIL FROM:<you@acme.example>", 250);
    client.quit();
}
