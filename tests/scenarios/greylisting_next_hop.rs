//! A next hop that says 450 the first time gets the mail the second time, and only once.

use crate::support::{FakeMx, Gateway, message};

#[test]
fn greylisted_mail_arrives_on_the_second_attempt() {
    let mx = FakeMx::builder().greylisting().start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("grey", "x\r\n"));
    let line = gateway.logged("deferred", |line| line["recipient"] == "you@acme.example");
    assert_eq!(line["code"], 450, "{line}");
    assert!(line["next_attempt"].is_string(), "{line}");
    mx.one();
    gateway.logged("delivered", |line| line["recipient"] == "you@acme.example");
    gateway.assert_settled();
    assert_eq!(mx.count(), 1);
}

#[test]
fn one_greylisted_recipient_does_not_hold_up_the_others_nor_double_them() {
    let mx = FakeMx::builder()
        .on_rcpt(|rcpt| {
            if rcpt.address == "grey@acme.example" && rcpt.nth <= 2 {
                crate::support::Answer::reply("450 4.7.1 greylisted")
            } else {
                crate::support::Answer::Accept
            }
        })
        .start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    let to = ["one@acme.example", "grey@acme.example", "two@acme.example"];
    gateway.send_inbound("a@sender.example", &to, &message("grey", "x\r\n"));
    let received = mx.wait(2);
    assert_eq!(received[0].recipients(), ["one@acme.example", "two@acme.example"]);
    assert_eq!(received[1].recipients(), ["grey@acme.example"]);
    gateway.assert_settled();
}

#[test]
fn a_temporary_refusal_of_the_sender_or_the_message_is_retried() {
    let answer = |nth: usize| {
        if nth == 1 { crate::support::Answer::reply("451 4.3.2 not now") } else { crate::support::Answer::Accept }
    };
    let mx = FakeMx::builder()
        .on_mail(move |mail| answer(mail.nth))
        .on_data(move |data| answer(data.nth))
        .on_dot(move |dot| answer(dot.nth))
        .capabilities(&["PIPELINING", "8BITMIME"])
        .start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("thrice", "x\r\n"));
    mx.one();
    gateway.assert_settled();
    let deferrals = gateway.mail_log().iter().filter(|line| line["event"] == "deferred").count();
    assert_eq!(deferrals, 3);
}
