//! A client that talks before the greeting is no mail server (SEC-P06).

use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn talking_before_the_greeting_ends_the_talk() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).inbound("early_talk_wait = \"2s\"").start();
    let mut client = Client::connect(gateway.inbound);
    client.send("EHLO eager.example\r\nMAIL FROM:<a@sender.example>\r\n");
    let replies = client.closed();
    assert_eq!((replies.len(), replies[0].code), (1, 554), "{replies:?}");
    assert!(replies[0].is("5.5.0"), "{replies:?}");
}

#[test]
fn a_patient_client_is_greeted() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).inbound("early_talk_wait = \"200ms\"").start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("patient", "x\r\n"));
    mx.one();
}

#[test]
fn who_has_talked_when_accepted_is_seen_without_a_wait() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .inbound("early_talk_wait = \"0s\"")
        .inbound("proxy_protocol = \"required\"")
        .inbound("trusted_proxies = [\"127.0.0.0/8\"]")
        .start();
    let mut client = Client::connect(gateway.inbound);
    // Header and talk in one segment, so that the talk is there when the header is read.
    client.send("PROXY TCP4 203.0.113.5 127.0.0.1 56324 25\r\nEHLO eager.example\r\n");
    let replies = client.closed();
    assert_eq!((replies.len(), replies[0].code), (1, 554), "{replies:?}");
}
