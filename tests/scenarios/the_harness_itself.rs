//! The fakes against the raw client: a harness that cannot fail proves nothing.

use crate::support::client::stuffed;
use crate::support::metrics::Metrics;
use crate::support::tls::{Identity, client_config};
use crate::support::{Answer, Client, FakeMx, Gate, eventually, message};

#[test]
fn a_strict_next_hop_takes_a_mail_dots_and_all() {
    let mx = FakeMx::start();
    let mail = message("dots", ".one\r\n..two\r\n.\r\nend\r\n");
    let mut client = Client::ready(mx.address());
    client.mail("a@b.example", &["c@d.example", "e@f.example"], &mail);
    client.mail("", &["c@d.example"], "");
    client.quit();
    let received = mx.wait(2);
    assert_eq!(received[0].text(), mail);
    assert_eq!(received[0].recipients(), ["c@d.example", "e@f.example"]);
    assert_eq!(received[1].from, "");
    assert_eq!(received[1].message, b"");
}

#[test]
fn bdat_chunks_are_put_together() {
    let mx = FakeMx::start();
    let mut client = Client::ready(mx.address());
    client.envelope("a@b.example", &["c@d.example"]);
    assert_eq!(client.bdat("Subject: x\r\n\r", false).code, 250);
    assert_eq!(client.bdat("\n.\r\n", true).code, 250);
    assert_eq!(mx.one().text(), "Subject: x\r\n\r\n.\r\n");
    assert!(mx.one().bdat);
}

#[test]
fn only_a_lenient_next_hop_can_be_smuggled_to() {
    let smuggled =
        b"Subject: x\r\n\r\nfirst\n.\nMAIL FROM:<s@x.example>\r\nRCPT TO:<v@y.example>\r\nDATA\r\nboo\r\n.\r\n";
    let lenient = FakeMx::builder().lenient().start();
    let mut client = Client::ready(lenient.address());
    client.envelope("a@b.example", &["c@d.example"]);
    client.raw_data(smuggled);
    eventually("the smuggled message", || lenient.count() == 2);
    lenient.forgive();

    let strict = FakeMx::start();
    let mut client = Client::ready(strict.address());
    client.envelope("a@b.example", &["c@d.example"]);
    client.raw_data(smuggled);
    client.expect(250);
    assert_eq!(strict.count(), 1);
    assert!(strict.forgive().iter().any(|violation| violation.contains("bare CR or LF")));
}

#[test]
fn a_script_answers_as_told() {
    let gate = Gate::default();
    let held = gate.clone();
    let mx = FakeMx::builder()
        .greylisting()
        .on_dot(move |dot| match dot.nth {
            1 => Answer::reply("451 4.3.0 not now"),
            2 => Answer::Wait(held.clone()),
            3 => Answer::Close,
            _ => Answer::Reset,
        })
        .start();
    let mut client = Client::ready(mx.address());
    client.command("MAIL FROM:<a@b.example>", 250);
    client.command("RCPT TO:<c@d.example>", 450);
    client.command("RCPT TO:<c@d.example>", 250);
    assert_eq!(client.data("x\r\n").code, 451);
    client.envelope("a@b.example", &["c@d.example"]);
    client.raw_data(stuffed(b"x\r\n"));
    eventually("an answer held back", || gate.waiting() == 1);
    assert_eq!(mx.count(), 0);
    gate.open();
    client.expect(250);
    for _ in 0..2 {
        let mut client = Client::ready(mx.address());
        client.envelope("a@b.example", &["c@d.example"]);
        client.raw_data(stuffed(b"x\r\n"));
        assert_eq!(client.closed(), []);
    }
    assert_eq!((mx.count(), mx.seen().len()), (1, 4));
}

#[test]
fn a_next_hop_goes_down_and_comes_back() {
    let mx = FakeMx::start();
    let mut client = Client::ready(mx.address());
    mx.go_down();
    assert_eq!(client.closed(), []);
    assert!(std::net::TcpStream::connect(mx.address()).is_err());
    mx.come_up();
    Client::ready(mx.address()).mail("a@b.example", &["c@d.example"], "x\r\n");
    assert_eq!(mx.count(), 1);
}

#[test]
fn starttls_works_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let mx = FakeMx::builder().tls(Identity::create(dir.path(), "fake.example").server_config()).start();
    let mut client = Client::ready(mx.address());
    client.starttls(&client_config(None));
    client.ehlo();
    client.mail("a@b.example", &["c@d.example"], "x\r\n");
    client.quit();
    assert!(mx.one().tls);
}

#[test]
#[should_panic(expected = "broke the protocol")]
fn a_violation_fails_the_test() {
    let mx = FakeMx::start();
    let mut client = Client::ready(mx.address());
    client.envelope("a@b.example", &["c@d.example"]);
    client.send("DATA\r\nearly\r\n.\r\n");
    client.expect(354);
    client.expect(250);
}

#[test]
fn metrics_are_read_with_and_without_labels() {
    let metrics = Metrics::parse("# HELP x y\nx{a=\"b\"} 1\nx{a=\"c d\"} 2\nxy 4\n");
    assert_eq!((metrics.sum("x"), metrics.sum("xy"), metrics.has("z")), (3.0, 4.0, false));
}
