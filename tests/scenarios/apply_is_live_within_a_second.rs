//! An edit of a tenant is live within a second, without losing a connection, and a transaction sees one state only.

use std::time::{Duration, Instant};

use crate::support::gateway::{acme, tenant};
use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn an_edit_is_live_on_the_same_connection() {
    let mx = FakeMx::start();
    let only = |names: &str| acme("queued", &[mx.address()], names);
    let gateway = Gateway::builder()
        .tenants(&only("[\"one@acme.example\"]"))
        .set("smtp", "errors = 1000")
        .set("smtp", "commands_without_mail = 100000")
        .start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    client.command("RCPT TO:<two@acme.example>", 550);
    gateway.write_tenants(&only("[\"one@acme.example\", \"two@acme.example\"]"));
    gateway.apply();
    let applied = Instant::now();
    loop {
        client.command("RSET", 250);
        client.command("MAIL FROM:<a@sender.example>", 250);
        if client.ask("RCPT TO:<two@acme.example>").code == 250 {
            break;
        }
        assert!(applied.elapsed() < Duration::from_secs(1), "not live within a second");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(client.data(message("live", "x\r\n")).code, 250);
    client.quit();
    assert_eq!(mx.one().recipients(), ["two@acme.example"]);
    gateway.assert_settled();
}

#[test]
fn a_transaction_under_way_keeps_the_state_it_began_with() {
    let (old, new) = (FakeMx::start(), FakeMx::start());
    let gateway = Gateway::builder().tenants(&acme("queued", &[old.address()], "\"any\"")).start();
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    // The whole tenant goes while its mail is on the way in.
    gateway.write_tenants(&tenant("beta", "beta.example", "queued", &[new.address()], "\"any\""));
    gateway.apply();
    crate::support::eventually("the edit to be live", || {
        let mut other = Client::ready(gateway.inbound);
        other.command("MAIL FROM:<a@sender.example>", 250);
        other.ask("RCPT TO:<you@beta.example>").code == 250
    });
    // Its recipients were accepted: the mail is taken or put off, never lost and never refused for good.
    let reply = client.data(message("under way", "x\r\n"));
    assert!(reply.code == 250 || (400..500).contains(&reply.code), "{reply:?}");
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    client.command("RCPT TO:<you@acme.example>", 550);
    client.quit();
    gateway.assert_balanced();
}

#[test]
fn waiting_mail_follows_an_edit_of_its_next_hop() {
    let (dead, alive) = (FakeMx::builder().start_down(), FakeMx::start());
    let gateway = Gateway::builder().tenants(&acme("queued", &[dead.address()], "\"any\"")).quick_retries().start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("follows", "x\r\n"));
    gateway.logged("deferred", |_| true);
    gateway.write_tenants(&acme("queued", &[alive.address()], "\"any\""));
    gateway.apply();
    alive.one();
    gateway.assert_settled();
}
