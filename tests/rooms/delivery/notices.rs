//! Who hears of what: failure, delay and success notices, and when a message's time is over.

#[allow(unused_imports)]
use std::time::Duration;

use super::bench::{Bench, Builder, TEXT, acme, envelope};
use crate::support::{Answer, FakeMx, Received};
use sekisho::model::units::Span;
use sekisho::model::{Direction, Envelope, Notify, OriginalRecipient, ReturnContent};

/// A tenant's hop that refuses everything but `ok@`, and the sender's own server.
fn world(reply: &str) -> (FakeMx, FakeMx, Builder) {
    let reply = reply.to_owned();
    let hop = FakeMx::builder()
        .capabilities(&["PIPELINING", "SMTPUTF8", "8BITMIME"])
        .on_rcpt(
            move |rcpt| if rcpt.address.starts_with("ok@") { Answer::Accept } else { Answer::Reply(reply.clone()) },
        )
        .start();
    let home = FakeMx::builder().start();
    let builder = Builder::new(acme(&[hop.address()], ""))
        .set(|config| config.mx_port = home.address().port())
        .mx("sender.example", &[(10, "home.example")])
        .ip("home.example", &[home.address().ip()]);
    (hop, home, builder)
}

async fn queue(bench: &Bench, envelope: Envelope) -> String {
    bench.queue_body(1, Direction::Inbound, envelope, TEXT.as_bytes()).await.to_string()
}

/// The parts of a multipart/report: their headers and bodies.
fn parts(notice: &Received) -> Vec<(String, String)> {
    let kind = notice.header("Content-Type").unwrap();
    assert!(kind.starts_with("multipart/report; report-type=delivery-status"), "{kind}");
    let boundary = kind.split("boundary=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let text = notice.text();
    let body = text.split_once("\r\n\r\n").unwrap().1;
    let closed = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("a closing boundary");
    let between = format!("--{boundary}\r\n");
    let parts = closed.split(&between).skip(1);
    parts
        .map(|part| part.split_once("\r\n\r\n").expect("a part's header"))
        .map(|(head, body)| (head.to_owned(), body.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_comes_home_with_every_fact() {
    let (hop, home, builder) = world("550 5.1.1 no such user\n5.1.1 here or there");
    let bench = builder.start();
    let mut asked = envelope("s@sender.example", &["ok@acme.example", "a@acme.example", "quiet@acme.example"]);
    asked.envid = Some("id 7".into());
    asked.recipients[1].original =
        Some(OriginalRecipient { address_type: "rfc822".into(), address: "alias@acme.example".into() });
    asked.recipients[2].notify = Some(Notify::Never);
    let id = queue(&bench, asked).await;
    bench.empty().await;
    assert_eq!(hop.count(), 1);
    let notice = home.one();
    assert_eq!((notice.from.as_str(), notice.recipients()), ("", vec!["s@sender.example"]));
    assert_eq!(notice.header("Auto-Submitted").as_deref(), Some("auto-replied"));
    assert_eq!(notice.header("To").as_deref(), Some("<s@sender.example>"));
    let parts = parts(&notice);
    assert_eq!(parts.len(), 3, "{}", notice.text());
    assert!(parts[0].1.contains(&id) && parts[0].1.contains("a@acme.example") && parts[0].1.contains("no such user"));
    assert!(parts[1].0.contains("message/delivery-status"));
    let status = &parts[1].1;
    for line in [
        "Original-Envelope-Id: id 7\r\n",
        "Reporting-MTA: dns; gateway.example\r\n",
        "Original-Recipient: rfc822;alias@acme.example\r\n",
        "Final-Recipient: rfc822; a@acme.example\r\n",
        "Action: failed\r\nStatus: 5.1.1\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user / here or there\r\n",
    ] {
        assert!(status.contains(line), "{line:?} is not in {status}");
    }
    assert!(!status.contains("quiet@") && !status.contains("ok@"));
    assert!(parts[2].0.contains("text/rfc822-headers"));
    assert_eq!(parts[2].1, "Received: here\r\nSubject: hello\r\nFrom: a@sender.example\r\n");
    assert!(notice.text().split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.delivered, sums.bounced), (2, 2));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_message_goes_back_to_tenants_when_asked_for_and_to_no_stranger() {
    let (hop, home, builder) = world("550 5.1.1 no");
    let bench = builder.start();
    let mut asked = envelope("ok@acme.example", &["x@missing.example"]);
    asked.ret = Some(ReturnContent::Full);
    bench.queue_body(1, Direction::Outbound, asked, TEXT.as_bytes()).await;
    bench.empty().await;
    let whole = parts(&hop.one());
    assert!(whole[2].0.contains("message/rfc822"));
    assert_eq!(whole[2].1, format!("Received: here\r\n{TEXT}"));
    // Nobody has us write a text of his own to whom he names as sender.
    let mut forged = envelope("s@sender.example", &["a@acme.example"]);
    forged.ret = Some(ReturnContent::Full);
    bench.queue_body(2, Direction::Inbound, forged, TEXT.as_bytes()).await;
    bench.empty().await;
    let header = parts(&home.one());
    assert!(header[2].0.contains("text/rfc822-headers") && !header[2].1.contains("dotted"), "{header:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_null_sender_mail_or_what_they_did_not_ask_for() {
    let (_hop, home, builder) = world("550 5.1.1 no");
    let bench = builder.start();
    queue(&bench, envelope("", &["a@acme.example"])).await;
    let mut never = envelope("s@sender.example", &["a@acme.example"]);
    never.recipients[0].notify = Some(Notify::On { success: true, failure: false, delay: true });
    bench.queue_body(2, Direction::Inbound, never, TEXT.as_bytes()).await;
    bench.empty().await;
    assert_eq!((home.count(), bench.metrics.balance.sums().bounced), (0, 2));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_can_not_be_delivered_ends_there() {
    let (_hop, home, builder) = world("550 5.1.1 no");
    let bench = builder.start();
    queue(&bench, envelope("s@missing.example", &["a@acme.example"])).await;
    bench.empty().await;
    assert_eq!(home.count(), 0);
    assert_eq!(bench.metrics.balance.sums().bounced, 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbound_failure_goes_to_the_tenants_own_hop() {
    let hop = FakeMx::builder().start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    let envelope = envelope("boss@acme.example", &["x@missing.example"]);
    bench.queue_body(1, Direction::Outbound, envelope, TEXT.as_bytes()).await;
    bench.empty().await;
    let notice = hop.one();
    assert_eq!(notice.recipients(), ["boss@acme.example"]);
    assert!(parts(&notice)[1].1.contains("Status: 5.1.2"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_mail_is_told_of_once_and_then_its_time_is_over() {
    let (hop, home, builder) = world("450 4.2.1 later");
    let bench = builder
        .set(|config| {
            config.delay_notice_after = Span(Duration::from_millis(300));
            config.lifetime_inbound = Span(Duration::from_millis(1_500));
        })
        .start();
    queue(&bench, envelope("s@sender.example", &["a@acme.example"])).await;
    bench.empty().await;
    let notices = home.wait(2);
    let (delay, failure) = (parts(&notices[0]), parts(&notices[1]));
    assert!(delay[1].1.contains("Action: delayed\r\nStatus: 4.2.1\r\n") && delay[1].1.contains("Will-Retry-Until: "));
    assert!(failure[1].1.contains("Action: failed\r\nStatus: 5.4.7\r\n"), "{}", failure[1].1);
    assert_eq!(bench.logged("expired").len(), 1);
    assert_eq!(hop.count(), 0);
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.expired, sums.delivered), (1, 2));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_told_where_the_next_hop_will_not_and_to_strangers_in_bounds() {
    let (hop, home, builder) = world("550 5.1.1 no");
    let bench = builder.start();
    let mut too_many = envelope("s@sender.example", &["ok@acme.example"; 11]);
    for recipient in &mut too_many.recipients {
        recipient.notify = Some(Notify::On { success: true, failure: true, delay: true });
    }
    queue(&bench, too_many).await;
    bench.empty().await;
    assert_eq!((hop.count(), home.count()), (1, 0));
    let mut asked = envelope("s@sender.example", &["ok@acme.example"]);
    asked.recipients[0].notify = Some(Notify::On { success: true, failure: true, delay: true });
    bench.queue_body(3, Direction::Inbound, asked.clone(), TEXT.as_bytes()).await;
    bench.empty().await;
    assert!(parts(&home.one())[1].1.contains("Action: relayed\r\nStatus: 2.0.0\r\n"));
    asked.sender = sekisho::model::ReversePath::Mailbox(super::bench::address("ok@acme.example"));
    bench.queue_body(2, Direction::Outbound, asked, TEXT.as_bytes()).await;
    bench.empty().await;
    let notice = hop.wait(4).remove(3);
    assert!(parts(&notice)[1].1.contains("Action: relayed\r\nStatus: 2.0.0\r\n"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_32_kib_of_a_header_go_back() {
    let (_hop, home, builder) = world("550 5.1.1 no");
    let bench = builder.start();
    let text = format!("{}\r\nbody\r\n", "X-Long: 0123456789 0123456789 0123456789\r\n".repeat(4_000));
    let envelope = envelope("s@sender.example", &["a@acme.example"]);
    bench.queue_body(1, Direction::Inbound, envelope, text.as_bytes()).await;
    bench.empty().await;
    let parts = parts(&home.one());
    assert!((31 << 10..=32 << 10).contains(&parts[2].1.len()), "{}", parts[2].1.len());
    assert!(parts[2].1.starts_with("Received: here\r\nX-Long: 0") && parts[2].1.ends_with("456789\r\n"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn internationalised_addresses_are_told_of_in_their_own_form() {
    let (_hop, home, builder) = world("550 5.1.1 いません");
    let bench = builder.start();
    queue(&bench, envelope("s@sender.example", &["あ@acme.example"])).await;
    bench.empty().await;
    let notice = home.one();
    assert!(notice.from_params.contains("SMTPUTF8") && notice.from_params.contains("BODY=8BITMIME"));
    let parts = parts(&notice);
    assert!(parts[1].0.contains("message/global-delivery-status"));
    assert!(parts[1].1.contains("Final-Recipient: utf-8; あ@acme.example\r\n"));
    assert!(parts[1].1.contains("550 5.1.1 いません"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waiting_for_a_dead_destination_expires_too() {
    let dead = FakeMx::builder().start_down();
    let bench = Builder::new(acme(&[dead.address()], ""))
        .set(|config| config.lifetime_inbound = Span(Duration::from_millis(800)))
        .start();
    for number in 0..20 {
        bench.queue(number, envelope("", &["a@acme.example"])).await;
    }
    bench.empty().await;
    assert_eq!(bench.metrics.balance.sums().expired, 20);
    bench.stop().await;
}
