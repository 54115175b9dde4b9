//! Claims and floods cost what was sent, at most, and often nothing (OVL-05, OVL-06).

use crate::support::{Client, FakeMx, Gateway, eventually, message};

fn world() -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).set("limits", "max_connections_per_ip = 5000").start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("warm", "x\r\n"));
    mx.one();
    (mx, gateway)
}

fn ready(gateway: &Gateway, count: usize) -> Vec<Client> {
    let clients = (0..count).map(|_| {
        let mut client = Client::ready(gateway.inbound);
        client.envelope("a@sender.example", &["you@acme.example"]);
        client
    });
    clients.collect()
}

/// KiB that came on top while `flood` went on.
fn grown(gateway: &Gateway, flood: impl FnOnce()) -> u64 {
    let before = gateway.memory();
    flood();
    gateway.memory().saturating_sub(before)
}

#[test]
fn a_claimed_chunk_is_not_allocated() {
    let (_mx, gateway) = world();
    let mut clients = ready(&gateway, 300);
    let grown = grown(&gateway, || {
        for client in &mut clients {
            client.send("BDAT 50000000 LAST\r\nSubject: claim\r\n");
        }
        eventually("the claims to be read", || gateway.metrics().sum("sekisho_smtp_connections_open") >= 300.0);
    });
    assert!(grown < 100 * 1024, "{grown} KiB for 300 claims of 50 MB");
}

#[test]
fn an_endless_line_is_not_kept() {
    let (_mx, gateway) = world();
    let mut clients = ready(&gateway, 10);
    let block = vec![b'x'; 1024 * 1024];
    let grown = grown(&gateway, || {
        for client in &mut clients {
            client.command("DATA", 354);
            (0..30).for_each(|_| client.send(&block));
        }
    });
    for client in &mut clients {
        client.send("\r\n.\r\n");
        assert!(client.reply().permanent());
    }
    assert!(grown < 64 * 1024, "{grown} KiB for 300 MB of lines without end");
}

#[test]
fn ninety_thousand_tiny_chunks_are_one_message() {
    let (mx, gateway) = world();
    let mut client = ready(&gateway, 1).remove(0);
    let grown = grown(&gateway, || {
        assert_eq!(client.bdat("Subject: tiny\r\n\r\n", false).code, 250);
        for _ in 0..100 {
            client.send("BDAT 1\r\nx".repeat(900));
            (0..900).for_each(|_| assert_eq!(client.reply().code, 250));
            assert_eq!(client.bdat("\r\n", false).code, 250);
        }
    });
    assert_eq!(client.bdat("", true).code, 250);
    client.quit();
    assert!(grown < 16 * 1024, "{grown} KiB for 90 KB in 90,000 chunks");
    assert_eq!(mx.wait(2)[1].body(), format!("{}\r\n", "x".repeat(900)).repeat(100).as_bytes());
}

#[test]
fn noise_on_the_wire_ends_connections_and_nothing_else() {
    let (mx, gateway) = world();
    // xorshift: the same noise in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: [&[u8]; 16] = [
        b"EHLO x\r\n",
        b"MAIL FROM:<a@b.example>",
        b"RCPT TO:<you@acme.example>",
        b"DATA\r\n",
        b"BDAT 10 LAST\r\n",
        b".\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"RSET\r\n",
        b" SIZE=",
        b"SMTPUTF8",
        b"\xff\xfe",
        b"NOOP\r\n",
        b"<>",
    ];
    for _ in 0..300 {
        let mut client = Client::greeted(gateway.inbound);
        let mut noise = Vec::new();
        for _ in 0..next() % 60 {
            noise.extend_from_slice(words[usize::try_from(next() % 16).unwrap()]);
        }
        for piece in noise.chunks(1 + usize::try_from(next() % 40).unwrap()) {
            if client.try_send(piece).is_err() {
                break;
            }
        }
        client.finish_writing();
        client.closed();
    }
    eventually("all gone", || gateway.metrics().sum("sekisho_smtp_connections_open") == 0.0);
    gateway.assert_settled();
    gateway.send_inbound("a@sender.example", &["last@acme.example"], &message("after the noise", "x\r\n"));
    eventually("the mail after it", || mx.accepted().iter().any(|mail| mail.to[0].0 == "last@acme.example"));
}
