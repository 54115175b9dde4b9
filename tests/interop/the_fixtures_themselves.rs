//! The real Postfix between the fakes, without us: what fails here is no fault of the gateway.

use crate::postfix::Postfix;
use crate::support::{Client, FakeMx, eventually, message};
use crate::{need_postfix, policy_server};

#[test]
fn it_relays_what_it_is_handed_by_smtp_and_by_sendmail() {
    need_postfix!();
    let sink = FakeMx::start();
    let mut postfix = Postfix::start(sink.address(), &[]);
    let mut client = Client::ready_tls(postfix.address);
    client.mail("a@sender.example", &["you@acme.example"], message("smtp", "x\r\n"));
    client.quit();
    sink.wait(1);
    postfix.sendmail(&["-f", "a@sender.example", "-N", "never", "you@acme.example"], "Subject: local\n\nx\n");
    let received = sink.wait(2);
    assert!(received[1].to[0].1.contains("NOTIFY=NEVER"), "{:?}", received[1].to);
    postfix.down();
    assert!(std::net::TcpStream::connect(postfix.address).is_err());
    postfix.up();
    Client::ready(postfix.address).quit();
}

#[test]
fn it_greylists_by_the_policy_server() {
    need_postfix!();
    let sink = FakeMx::start();
    let policy = policy_server::greylisting();
    let restrictions = format!("smtpd_recipient_restrictions = check_policy_service inet:{policy}, permit");
    let postfix = Postfix::start(sink.address(), &[&restrictions]);
    let mut client = Client::ready(postfix.address);
    client.command("MAIL FROM:<a@sender.example>", 250);
    client.command("RCPT TO:<you@acme.example>", 450);
    client.command("RCPT TO:<you@acme.example>", 250);
    assert_eq!(client.data(message("grey", "x\r\n")).code, 250);
    eventually("the mail", || sink.count() == 1);
}
