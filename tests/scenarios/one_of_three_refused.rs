//! Three recipients, three fates: each is settled for itself.

use crate::support::gateway::MX_PORT;
use crate::support::{Answer, FakeMx, Gateway, fake_dns::FakeDns, loopback, message};

const TO: [&str; 3] = ["first@acme.example", "gone@acme.example", "third@acme.example"];

#[test]
fn two_get_their_mail_and_the_sender_a_notice_about_the_third() {
    for capabilities in [&["PIPELINING", "CHUNKING"][..], &["PIPELINING"], &[]] {
        let (dns, ip) = (FakeDns::start(), loopback::fresh_ip());
        let sender_mx = FakeMx::builder().ip(ip).port(MX_PORT).start();
        dns.mx("sender.example", &[(10, "mx.sender.example")]);
        dns.a("mx.sender.example", &[ip]);
        let mx =
            FakeMx::builder().capabilities(capabilities).refusing(TO[1], "550 5.1.1 moved away\nask reception").start();
        let gateway = Gateway::builder().acme(mx.address()).dns(dns.address()).start();
        gateway.send_inbound("a@sender.example", &TO, &message("three", "x\r\n"));
        assert_eq!(mx.one().recipients(), [TO[0], TO[2]]);
        let notice = sender_mx.one();
        assert_eq!((notice.from.as_str(), notice.recipients()), ("", vec!["a@sender.example"]));
        let text = notice.text();
        assert!(text.contains(TO[1]) && !text.contains(TO[0]) && !text.contains(TO[2]), "{text}");
        assert!(text.contains("Status: 5.1.1") && text.contains("moved away"), "{text}");
        gateway.assert_settled();
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sekisho_recipients_delivered_total"), 3.0, "two, and the notice");
        assert_eq!(metrics.sum("sekisho_recipients_bounced_total"), 1.0);
    }
}

#[test]
fn a_message_refused_after_the_dot_fails_for_all_its_recipients() {
    let mx = FakeMx::builder().on_dot(|_| Answer::reply("554 5.7.1 not this one")).start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("", &TO, &message("refused", "x\r\n"));
    gateway.assert_settled();
    let bounced: Vec<_> = gateway.mail_log().into_iter().filter(|line| line["event"] == "bounced").collect();
    assert_eq!(bounced.len(), 3);
    assert!(bounced.iter().all(|line| line["code"] == 554), "{bounced:?}");
    assert_eq!(mx.seen().len(), 1, "a final refusal is not tried again");
}
