//! A client that drips is cut: by silence, by the whole transaction's deadline, by the least rate (OVL-04).

use std::time::{Duration, Instant};

use crate::support::{Client, FakeMx, Gateway, message};

fn world(settings: &[&str]) -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let builder = Gateway::builder().acme(mx.address());
    (mx, settings.iter().fold(builder, |builder, line| builder.set("smtp", line)).start())
}

/// Sends `drip` every `pause` until cut off; panics if that takes longer than `limit`.
#[track_caller]
fn cut_within(client: &mut Client, drip: &str, pause: Duration, limit: Duration) {
    let start = Instant::now();
    client.set_read_timeout(pause);
    loop {
        match client.try_reply() {
            Ok(None) => break,
            Ok(Some(reply)) => assert!(reply.code >= 400, "{reply:?}"),
            Err(_) => {}
        }
        assert!(start.elapsed() < limit, "still open after {limit:?}");
        if client.try_send(drip).is_err() {
            break;
        }
    }
}

#[test]
fn silence_at_every_stage_ends_in_421() {
    let (mx, gateway) = world(&["command_timeout = \"1s\"", "data_timeout = \"1s\""]);
    let stages: [&[&str]; 5] = [
        &[],
        &["EHLO client.example"],
        &["EHLO client.example", "MAIL FROM:<a@sender.example>"],
        &["EHLO client.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<you@acme.example>"],
        &["EHLO client.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<you@acme.example>", "DATA"],
    ];
    let mut clients: Vec<Client> = stages
        .iter()
        .map(|stage| {
            let mut client = Client::greeted(gateway.inbound);
            stage.iter().for_each(|line| drop(client.ask(line)));
            client
        })
        .collect();
    for client in &mut clients {
        let replies = client.closed();
        assert_eq!((replies.len(), replies[0].code), (1, 421), "{replies:?}");
        assert!(replies[0].is("4.4.2"), "{replies:?}");
    }
    assert_eq!(mx.count(), 0);
}

#[test]
fn a_command_dripping_in_is_cut_by_its_deadline() {
    let (_mx, gateway) = world(&["command_timeout = \"2s\""]);
    let mut client = Client::ready(gateway.inbound);
    cut_within(&mut client, "N", Duration::from_millis(200), Duration::from_secs(15));
}

#[test]
fn a_body_dripping_in_is_cut_by_the_transactions_deadline() {
    let (mx, gateway) = world(&["transaction_timeout = \"3s\"", "min_body_rate = \"0\""]);
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    client.command("DATA", 354);
    cut_within(&mut client, "x\r\n", Duration::from_millis(200), Duration::from_secs(20));
    assert_eq!(gateway.metrics().sum("sekisho_recipients_accepted_total"), 0.0);
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("next", "x\r\n"));
    mx.one();
}

#[test]
fn a_body_below_the_least_rate_is_cut_after_a_minute() {
    let (mx, gateway) = world(&["min_body_rate = \"10000\""]);
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    client.command("DATA", 354);
    cut_within(&mut client, "x\r\n", Duration::from_secs(1), Duration::from_secs(90));
    assert_eq!(mx.count(), 0);
}

#[test]
fn a_chunk_that_never_comes_whole_is_cut() {
    let (mx, gateway) = world(&["transaction_timeout = \"3s\"", "min_body_rate = \"0\""]);
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    client.send("BDAT 50000000 LAST\r\n");
    cut_within(&mut client, "x", Duration::from_millis(200), Duration::from_secs(20));
    assert_eq!(mx.count(), 0);
}

#[test]
fn a_tls_handshake_that_stalls_is_cut() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().set("smtp", "handshake_timeout = \"1s\"").start();
    let mut client = Client::ready(gateway.inbound);
    client.command("STARTTLS", 220);
    client.set_read_timeout(Duration::from_secs(15));
    client.closed();
}
