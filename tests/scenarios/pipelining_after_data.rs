//! Synchronisation (SEC-P06): nothing may follow DATA before its 354, nor EHLO before its reply; everything else may be
//! pipelined.

use crate::support::client::stuffed;
use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn a_message_sent_without_waiting_for_354_is_refused() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    let mut eager = b"DATA\r\n".to_vec();
    eager.extend(stuffed(message("eager", "x\r\n").as_bytes()));
    client.send(eager);
    let replies = client.closed();
    assert_eq!((replies.len(), replies[0].code), (1, 554), "{replies:?}");
    assert!(replies[0].is("5.5.0"), "{replies:?}");
    assert_eq!(gateway.metrics().sum("sekisho_recipients_accepted_total"), 0.0);
    assert_eq!(mx.count(), 0);
}

#[test]
fn a_whole_envelope_may_be_pipelined() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    let envelope = "MAIL FROM:<a@sender.example>\r\nRCPT TO:<one@acme.example>\r\nRCPT TO:<no@other.example>\r\n\
                    RCPT TO:<two@acme.example>\r\nDATA\r\n";
    client.send(envelope);
    let codes: Vec<u16> = (0..5).map(|_| client.reply().code).collect();
    assert_eq!(codes, [250, 250, 550, 250, 354]);
    // Commands of the next mail right behind the end of data are in order (RFC 2920 section 3.1).
    let mut rest = stuffed(message("first", "x\r\n").as_bytes());
    rest.extend_from_slice(envelope.as_bytes());
    client.send(rest);
    let codes: Vec<u16> = (0..6).map(|_| client.reply().code).collect();
    assert_eq!(codes, [250, 250, 250, 550, 250, 354]);
    client.send(stuffed(message("second", "x\r\n").as_bytes()));
    client.expect(250);
    client.quit();
    for received in mx.wait(2) {
        assert_eq!(received.recipients(), ["one@acme.example", "two@acme.example"]);
    }
    gateway.assert_settled();
}

#[test]
fn everything_in_one_segment_with_bdat() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    let mail = message("bdat", "x\r\n");
    let one = format!(
        "MAIL FROM:<a@sender.example>\r\nRCPT TO:<one@acme.example>\r\nBDAT {}\r\n{}BDAT {} LAST\r\n{}",
        10,
        &mail[..10],
        mail.len() - 10,
        &mail[10..]
    );
    client.send(format!("{one}{one}QUIT\r\n"));
    let codes: Vec<u16> = client.closed().iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 250, 250, 250, 250, 250, 250, 250, 221]);
    assert!(mx.wait(2).iter().all(|received| received.text().ends_with(&mail)));
    gateway.assert_settled();
}

#[test]
fn commands_behind_ehlo_are_out_of_step() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::greeted(gateway.inbound);
    client.send("EHLO client.example\r\nMAIL FROM:<a@sender.example>\r\n");
    let replies = client.closed();
    assert_eq!(replies.last().map(|reply| reply.code), Some(554), "{replies:?}");
}

#[test]
fn nothing_survives_a_refused_message() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    assert!(client.data("bare\nLF\r\n").permanent());
    client.command("RCPT TO:<you@acme.example>", 503);
    client.command("DATA", 503);
    client.quit();
    assert_eq!(mx.count(), 0);
}

#[test]
fn other_protocols_are_cut_off_at_once() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    for other in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.0\r\n\r\nMAIL FROM:<a@b>\r\n",
        "CONNECT x:25 HTTP/1.1\r\n\r\n",
    ] {
        let mut client = Client::greeted(gateway.inbound);
        client.send(other);
        let replies = client.closed();
        assert!(replies.len() <= 1 && replies.iter().all(|reply| reply.code >= 421), "{replies:?}");
    }
    let mut client = Client::greeted(gateway.inbound);
    client.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    client.send([0x0a; 16]);
    let replies = client.closed();
    assert!(replies.len() <= 1, "{replies:?}");
}

#[test]
fn names_are_not_told() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    let known = client.command("VRFY you@acme.example", 252);
    assert_eq!(client.command("VRFY nobody@nowhere.example", 252), known);
    for command in ["EXPN staff", "ETRN acme.example", "TURN"] {
        client.command(command, 502);
    }
    client.command("HELP", 214);
    client.command("NOOP x", 250);
    client.quit();
}
