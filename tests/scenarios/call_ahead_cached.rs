//! Recipients the next hop is asked about: once each, with the answer remembered, and 451 while nobody answers.

use crate::support::gateway::acme;
use crate::support::{Answer, Client, FakeMx, Gateway, message};

fn rcpts(mx: &FakeMx, address: &str) -> usize {
    let wanted = format!("RCPT TO:<{address}>");
    mx.commands().iter().filter(|line| line.to_ascii_uppercase().starts_with(&wanted.to_ascii_uppercase())).count()
}

#[test]
fn each_recipient_is_asked_about_once() {
    let mx = FakeMx::builder().refusing("nobody@acme.example", "550 5.1.1 never heard of").start();
    let gateway = Gateway::builder().tenants(&acme("queued", &[mx.address()], "\"call-ahead\"")).start();
    for _ in 0..3 {
        let mut client = Client::ready(gateway.inbound);
        client.command("MAIL FROM:<x@sender.example>", 250);
        let refused = client.command("RCPT TO:<nobody@acme.example>", 550);
        assert!(refused.is("5.1.1"), "{refused:?}");
        client.command("RCPT TO:<aoi@acme.example>", 250);
        client.quit();
    }
    assert_eq!((rcpts(&mx, "nobody@acme.example"), rcpts(&mx, "aoi@acme.example")), (1, 1));
    let from_null = |line: &String| !line.starts_with("MAIL") || line.starts_with("MAIL FROM:<>");
    assert!(mx.commands().iter().all(from_null), "a probe must come from the null sender");
    assert!(mx.seen().is_empty(), "a probe sends no message");

    gateway.send_inbound("x@sender.example", &["aoi@acme.example"], &message("asked", "x\r\n"));
    mx.one();
    gateway.assert_settled();
}

#[test]
fn a_silent_next_hop_defers_and_is_not_remembered() {
    let mx = FakeMx::builder().start_down();
    let gateway = Gateway::builder().tenants(&acme("queued", &[mx.address()], "\"call-ahead\"")).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<x@sender.example>", 250);
    let deferred = client.command("RCPT TO:<aoi@acme.example>", 451);
    assert!(deferred.is("4.4.3"), "{deferred:?}");
    mx.come_up();
    crate::support::eventually("the next hop to be asked again", || {
        client.ask("RCPT TO:<aoi@acme.example>").code == 250
    });
    client.quit();
}

#[test]
fn a_temporary_answer_is_not_remembered() {
    let mx = FakeMx::builder()
        .on_rcpt(|rcpt| if rcpt.nth == 1 { Answer::reply("450 4.2.0 busy") } else { Answer::Accept })
        .start();
    let gateway = Gateway::builder().tenants(&acme("queued", &[mx.address()], "\"call-ahead\"")).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<x@sender.example>", 250);
    client.command("RCPT TO:<aoi@acme.example>", 451);
    client.command("RCPT TO:<aoi@acme.example>", 250);
    client.quit();
}
