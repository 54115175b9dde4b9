//! Everything has a limit, and each limit its reply.

use crate::support::{Client, FakeMx, Gateway, message};

fn world() -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .set("smtp", "message_size = \"1MiB\"")
        .set("smtp", "recipients = 100")
        .set("smtp", "header_bytes = \"64KiB\"")
        .set("smtp", "header_count = 200")
        .set("smtp", "errors = 10")
        .set("smtp", "commands_without_mail = 30")
        .set("smtp", "transactions = 5")
        .start();
    (mx, gateway)
}

fn ready(gateway: &Gateway) -> Client {
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    client
}

#[test]
fn a_line_of_998_octets_passes_and_of_999_does_not() {
    let (mx, gateway) = world();
    let mut client = ready(&gateway);
    assert_eq!(client.data(message("998", &format!("{}\r\n", "x".repeat(998)))).code, 250);
    client.envelope("a@sender.example", &["you@acme.example"]);
    assert!(client.data(message("999", &format!("{}\r\n", "x".repeat(999)))).permanent());
    client.envelope("a@sender.example", &["you@acme.example"]);
    assert!(client.bdat(message("999", &format!("{}\r\n", "x".repeat(999))), true).permanent());
    client.quit();
    assert_eq!(mx.one().header("Subject").unwrap(), "998");
    gateway.assert_settled();
}

#[test]
fn a_line_without_end_is_bounded_and_refused() {
    let (mx, gateway) = world();
    let mut client = ready(&gateway);
    client.command("DATA", 354);
    client.send(message("endless", ""));
    let block = vec![b'x'; 64 * 1024];
    for _ in 0..160 {
        client.send(&block);
    }
    client.send("\r\n.\r\n");
    assert!(client.reply().permanent());
    client.command("QUIT", 221);
    assert_eq!(mx.count(), 0);
}

#[test]
fn an_overlong_command_is_refused() {
    let (_mx, gateway) = world();
    let mut client = Client::ready(gateway.inbound);
    let _ = client.try_send(format!("MAIL FROM:<{}@sender.example>\r\n", "a".repeat(10_000)));
    let reply = client.reply();
    assert!(matches!(reply.code, 500 | 501 | 521), "{reply:?}");
    let mut client = Client::ready(gateway.inbound);
    // No line end at all: refused or cut, never collected.
    let block = vec![b'A'; 64 * 1024];
    for _ in 0..64 {
        if client.try_send(&block).is_err() {
            break;
        }
    }
    let _ = client.try_send("\r\nQUIT\r\n");
    let replies = client.closed();
    assert!(replies.first().is_none_or(|reply| reply.code >= 421), "{replies:?}");
}

#[test]
fn a_header_block_beyond_its_limits_is_refused() {
    let (mx, gateway) = world();
    for bad in [
        format!("{}\r\nx\r\n", "X-Pad: 0123456789012345678901234567890123456789\r\n".repeat(1500)),
        format!("X-Folded: a\r\n{}\r\nx\r\n", " 0123456789012345678901234567890123456789\r\n".repeat(1700)),
        format!("{}\r\nx\r\n", "A: b\r\n".repeat(250)),
    ] {
        let mut client = ready(&gateway);
        let refused = client.data(&bad);
        assert!(matches!(refused.code, 552 | 554 | 550), "{refused:?}");
        client.quit();
    }
    let mut client = ready(&gateway);
    assert_eq!(client.data(format!("{}\r\nx\r\n", "A: b\r\n".repeat(150))).code, 250);
    client.quit();
    mx.one();
    gateway.assert_settled();
}

#[test]
fn recipients_beyond_the_limit_get_452_and_the_first_ones_their_mail() {
    let (mx, gateway) = world();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    for n in 0..100 {
        client.command(&format!("RCPT TO:<user{n}@acme.example>"), 250);
    }
    for n in 100..103 {
        let refused = client.command(&format!("RCPT TO:<user{n}@acme.example>"), 452);
        assert!(refused.is("4.5.3"), "{refused:?}");
    }
    assert_eq!(client.data(message("many", "x\r\n")).code, 250);
    client.quit();
    assert_eq!(mx.one().to.len(), 100);
    gateway.assert_settled();
}

#[test]
fn a_message_too_large_is_refused_at_mail_or_at_its_end() {
    let (mx, gateway) = world();
    let mut client = Client::greeted(gateway.inbound);
    let ehlo = client.ehlo();
    assert!(ehlo.lines.iter().any(|line| line == "SIZE 1048576"), "{ehlo:?}");
    let refused = client.command("MAIL FROM:<a@sender.example> SIZE=1048577", 552);
    assert!(refused.is("5.3.4"), "{refused:?}");
    let large = message("large", &format!("{}\r\n", "x".repeat(76)).repeat(20_000));
    client.envelope("a@sender.example", &["you@acme.example"]);
    assert_eq!(client.data(&large).code, 552);
    client.envelope("a@sender.example", &["you@acme.example"]);
    assert_eq!(client.bdat(&large, true).code, 552);
    client.ask("RSET");
    // The claim alone is refused too; its bytes are no commands.
    client.mail("a@sender.example", &["you@acme.example"], message("small", "x\r\n"));
    client.quit();
    assert_eq!(mx.one().header("Subject").unwrap(), "small");
    gateway.assert_settled();
}

#[test]
fn too_many_errors_end_in_421() {
    let (_mx, gateway) = world();
    let mut client = Client::ready(gateway.inbound);
    let mut refused = 0;
    loop {
        let reply = client.ask("BOGUS");
        if reply.code == 421 {
            break;
        }
        assert!(reply.permanent(), "{reply:?}");
        refused += 1;
        assert!(refused <= 10, "never cut off");
    }
    assert!(client.closed().is_empty());
}

#[test]
fn too_many_commands_without_mail_end_in_421() {
    let (_mx, gateway) = world();
    let mut client = Client::ready(gateway.inbound);
    let cut = (0..=31).any(|_| client.ask("NOOP").code == 421);
    assert!(cut, "NOOPs without end");
    assert!(client.closed().is_empty());
}

#[test]
fn parameters_are_checked() {
    let (_mx, gateway) = world();
    for (line, code) in [
        ("MAIL FROM:<a@sender.example> WHAT=EVER", 555),
        ("MAIL FROM:<a@sender.example> SIZE=1 SIZE=2", 501),
        ("MAIL FROM:<a@sender.example> SIZE=x", 501),
        ("MAIL FROM:<a@sender.example> BODY=BINARYMIME", 555),
        ("MAIL FROM:<a@sender.example> RET=SOME", 501),
        ("MAIL FROM:<a@sender.example> ENVID=a+0Db", 501),
        ("MAIL FROM:a@sender.example", 501),
        ("MAIL FROM:<a@sender.example", 501),
        ("MAIL FROM:<a b@sender.example>", 501),
        ("MAIL TO:<a@sender.example>", 501),
        ("RCPT TO:<you@acme.example>", 503),
        ("DATA", 503),
        ("BOGUS", 500),
    ] {
        let mut client = Client::ready(gateway.inbound);
        let reply = client.ask(line);
        let alike = reply.code == code || (matches!(code, 501 | 555) && matches!(reply.code, 500..=504 | 553 | 555));
        assert!(alike, "{line}: {reply:?}");
        client.quit();
    }
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    for bad in ["NOTIFY=NEVER,FAILURE", "NOTIFY=SOMETIMES", "ORCPT=rfc822;a+0Ab", "ORCPT=nonsense", "X=Y"] {
        let reply = client.ask(&format!("RCPT TO:<you@acme.example> {bad}"));
        assert!(reply.permanent(), "{bad}: {reply:?}");
    }
    client.command("MAIL FROM:<again@sender.example>", 503);
    client.quit();
}
