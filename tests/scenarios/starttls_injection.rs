//! Plaintext behind STARTTLS is dropped on both sides, and everything said before is forgotten (CVE-2011-0411).

use crate::support::gateway::acme;
use crate::support::tls::{Identity, client_config};
use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn injected_commands_are_never_answered() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().start();
    for injected in [
        "NOOP\r\n",
        "RSET\r\nRSET\r\n",
        "EHLO evil.example\r\n",
        "EHLO evil.example\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<you@acme.example>\r\nDATA\r\n",
        "MAIL FROM:<evil@evil.example>\r\n",
        "NOO",
        "\r\n",
        "\0\0\0",
    ] {
        let mut client = Client::ready(gateway.inbound);
        client.send(format!("STARTTLS\r\n{injected}"));
        client.expect(220);
        assert!(client.unread().is_empty(), "a plaintext reply behind the 220");
        client.handshake(&client_config(None));
        // The next reply must be the one to this command, and the session must be new.
        let refused = client.ask("MAIL FROM:<a@sender.example>");
        assert_eq!(refused.code, 503, "{injected:?}: {refused:?}");
        let ehlo = client.ehlo();
        assert!(!ehlo.lines.iter().any(|line| line == "STARTTLS"), "offered within TLS");
        client.mail("a@sender.example", &["you@acme.example"], message("clean", "x\r\n"));
        client.quit();
    }
    let received = mx.wait(8);
    assert!(received.iter().all(|mail| mail.from == "a@sender.example"));
    gateway.assert_settled();
}

#[test]
fn a_transaction_begun_before_is_forgotten() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().start();
    let mut client = Client::ready(gateway.inbound);
    client.envelope("before@sender.example", &["you@acme.example"]);
    client.starttls(&client_config(None));
    client.ehlo();
    client.command("DATA", 503);
    client.command("RCPT TO:<you@acme.example>", 503);
    client.command("STARTTLS", 503);
    client.mail("after@sender.example", &["you@acme.example"], message("after", "x\r\n"));
    client.quit();
    assert_eq!(mx.one().from, "after@sender.example");
}

#[test]
fn starttls_is_offered_only_with_a_certificate() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::greeted(gateway.inbound);
    let ehlo = client.ehlo();
    assert!(!ehlo.lines.iter().any(|line| line == "STARTTLS"));
    assert!(client.ask("STARTTLS").permanent());
    client.quit();
}

#[test]
fn a_next_hops_injected_reply_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Identity::create(dir.path(), "fake.example").server_config();
    let mx = FakeMx::builder().tls(tls).starttls_injection().start();
    let file = acme("queued", &[mx.address()], "\"any\"").replace("recipients =", "tls = \"required\"\nrecipients =");
    let gateway = Gateway::builder().tenants(&file).quick_retries().start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("inject", "x\r\n"));
    let received = mx.one();
    assert!(received.tls);
    let ehlos = mx.commands().iter().filter(|line| line.starts_with("EHLO")).count();
    assert!(ehlos >= 2, "EHLO must be said again within TLS: {:?}", mx.commands());
    gateway.assert_settled();
}
