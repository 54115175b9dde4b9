//! Inline custody and call-ahead: the next hop's answer becomes ours, or nothing was sent.

#[allow(unused_imports)]
use std::time::Duration;

use super::bench::{Bench, Builder, TEXT, acme, address, envelope};
use crate::support::{Answer, FakeMx};
use bytes::Bytes;
use sekisho::delivery::{HandOn, HandOnResult, ProbeAnswer};
use sekisho::model::units::Span;
use sekisho::model::{Direction, Domain, Envelope, MessageId, Notify};
use tokio::time::Instant;

async fn hand_on(bench: &Bench, recipients: &[&str]) -> HandOnResult {
    hand_on_within(bench, recipients, Duration::from_secs(60)).await
}

async fn hand_on_within(bench: &Bench, recipients: &[&str], patience: Duration) -> HandOnResult {
    hand_on_envelope(bench, Direction::Inbound, &envelope("s@sender.example", recipients), patience).await
}

async fn hand_on_envelope(
    bench: &Bench,
    direction: Direction,
    envelope: &Envelope,
    patience: Duration,
) -> HandOnResult {
    let request = HandOn {
        id: MessageId::new(1, 1),
        domain: &Domain::parse("acme.example").unwrap(),
        direction,
        envelope,
        head: Bytes::from_static(b"Received: here\r\n"),
        rest: Bytes::from_static(TEXT.as_bytes()),
        deadline: Instant::now() + patience,
    };
    bench.handle.handoff().hand_on(request).await
}

const TWO: [&str; 2] = ["a@acme.example", "b@acme.example"];
const MIXES: [&[&str]; 3] = [&["PIPELINING", "CHUNKING"], &["PIPELINING"], &[]];

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_becomes_ours_and_the_connection_is_kept() {
    for capabilities in MIXES {
        let hop = FakeMx::builder().capabilities(capabilities).start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        for _ in 0..5 {
            let result = hand_on(&bench, &TWO).await;
            let HandOnResult::Delivered { receipt, reply, remote } = result else { panic!("{result:?}") };
            assert_eq!((receipt.recipients(), reply.code(), remote.ip), (2, 250, hop.address().ip()));
        }
        assert_eq!((hop.count(), hop.connections()), (5, 1));
        assert_eq!(hop.accepted()[0].text(), format!("Received: here\r\n{TEXT}"));
        let sums = bench.metrics.balance.sums();
        assert_eq!((sums.delivered, sums.queued), (10, 0));
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_back_as_it_came() {
    for capabilities in MIXES {
        for (stage, words) in
            [("mail", "550 5.7.1 not you"), ("rcpt", "450 4.7.1 greylisted"), ("dot", "554 5.7.1 spam")]
        {
            let say = |here: &str| {
                let (at, words) = (here == stage, words.to_owned());
                move |_: &crate::support::fake_mx::Command| {
                    if at { Answer::Reply(words.clone()) } else { Answer::Accept }
                }
            };
            let hop = FakeMx::builder()
                .capabilities(capabilities)
                .on_mail(say("mail"))
                .on_rcpt(say("rcpt"))
                .on_dot(say("dot"))
                .start();
            let bench = Builder::new(acme(&[hop.address()], "")).start();
            for _ in 0..2 {
                let result = hand_on(&bench, &TWO).await;
                let HandOnResult::Refused { reply, .. } = result else {
                    panic!("{capabilities:?} {stage}: {result:?}")
                };
                assert_eq!(reply.to_string(), words);
            }
            bench.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_fates_send_nothing() {
    for capabilities in MIXES {
        let hop = FakeMx::builder().capabilities(capabilities).refusing("b@acme.example", "550 5.1.1 no").start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Mixed));
        assert!(hop.seen().is_empty(), "{capabilities:?}");
        assert!(matches!(hand_on(&bench, &["a@acme.example"]).await, HandOnResult::Delivered { .. }));
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_or_closing_hop_is_for_the_spool() {
    let hop = FakeMx::builder().start_down();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Unavailable(_)));
    // Known to be down: no connection is tried.
    hop.come_up();
    assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Unavailable(_)));
    assert_eq!(hop.connections(), 0);
    bench.stop().await;
    let hop = FakeMx::builder().on_mail(|_| Answer::reply("421 4.3.2 going down")).start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Unavailable(_)));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_to_the_dot_nobody_knows() {
    for capabilities in MIXES {
        let hop = FakeMx::builder().capabilities(capabilities).on_dot(|_| Answer::Reset).start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Unknown(_)), "{capabilities:?}");
        assert_eq!(bench.metrics.handoff.unknown.get(), 1);
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dot_is_not_sent_when_too_little_time_is_left() {
    let gate = crate::support::Gate::default();
    let held = gate.clone();
    let hop = FakeMx::builder().capabilities(&["PIPELINING"]).on_rcpt(move |_| Answer::Wait(held.clone())).start();
    let bench = Builder::new(acme(&[hop.address()], ""))
        .set(|config| config.handoff_margin = Span(Duration::from_millis(500)))
        .start();
    let result = hand_on_within(&bench, &TWO, Duration::from_millis(900)).await;
    assert!(matches!(result, HandOnResult::Unavailable(_)), "{result:?}");
    assert!(matches!(hand_on_within(&bench, &TWO, Duration::from_millis(400)).await, HandOnResult::Unavailable(_)));
    gate.open();
    assert!(hop.seen().is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_to_the_dot_is_waited_for_to_the_deadline() {
    let gate = crate::support::Gate::default();
    let held = gate.clone();
    let hop = FakeMx::builder().on_dot(move |_| Answer::Wait(held.clone())).start();
    let bench = Builder::new(acme(&[hop.address()], ""))
        .set(|config| config.handoff_margin = Span(Duration::from_millis(300)))
        .start();
    let begun = Instant::now();
    let result = hand_on_within(&bench, &TWO, Duration::from_millis(700)).await;
    assert!(matches!(result, HandOnResult::Unknown(_)), "{result:?}");
    assert!(begun.elapsed() >= Duration::from_millis(650));
    gate.open();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_was_closed_is_replaced_at_once() {
    let hop = FakeMx::builder().start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Delivered { .. }));
    hop.go_down();
    hop.come_up();
    assert!(matches!(hand_on(&bench, &TWO).await, HandOnResult::Delivered { .. }));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_ahead_asks_once_and_believes_only_answers() {
    for capabilities in MIXES {
        let hop = FakeMx::builder()
            .capabilities(capabilities)
            .on_rcpt(|rcpt| match rcpt.address.as_str() {
                "no@acme.example" => Answer::reply("550 5.1.1 nobody"),
                "later@acme.example" => Answer::reply("450 4.2.1 later"),
                _ => Answer::Accept,
            })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        let probe = bench.handle.probe();
        for _ in 0..3 {
            assert_eq!(probe.ask(&address("Yes@acme.example")).await, ProbeAnswer::Valid);
            assert!(
                matches!(probe.ask(&address("no@acme.example")).await, ProbeAnswer::Invalid(reply) if reply.code() == 550)
            );
            assert!(matches!(probe.ask(&address("later@acme.example")).await, ProbeAnswer::Unknown(_)));
        }
        let asked = |who: &str| hop.commands().iter().filter(|line| line.contains(who)).count();
        assert_eq!((asked("Yes@"), asked("no@"), asked("later@")), (1, 1, 3), "{capabilities:?}");
        assert_eq!((hop.connections(), hop.seen().len()), (1, 0));
        bench.stop().await;
    }
    let hop = FakeMx::builder().on_mail(|_| Answer::reply("550 5.7.1 no null senders")).start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    assert!(
        matches!(bench.handle.probe().ask(&address("a@acme.example")).await, ProbeAnswer::Unknown(reply) if reply.code() == 451)
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_us_is_not_taken_for_one_of_the_recipient() {
    let hop = FakeMx::builder().refusing("a@acme.example", "550 5.7.1 your address is blocked").start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    for _ in 0..2 {
        let answer = bench.handle.probe().ask(&address("a@acme.example")).await;
        assert!(matches!(&answer, ProbeAnswer::Unknown(reply) if reply.code() == 451), "{answer:?}");
    }
    assert_eq!(hop.commands().iter().filter(|line| line.contains("RCPT")).count(), 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_are_one_question() {
    let gate = crate::support::Gate::default();
    let held = gate.clone();
    let hop = FakeMx::builder().on_rcpt(move |_| Answer::Wait(held.clone())).start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let probe = bench.handle.probe();
            tokio::spawn(async move { probe.ask(&address("a@acme.example")).await })
        })
        .collect();
    bench.until("the question", |_| gate.waiting() > 0).await;
    // The one who asks first goes away; somebody else takes over.
    asked[0].abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.open();
    let mut valid = 0;
    for answer in asked {
        valid += usize::from(matches!(answer.await, Ok(ProbeAnswer::Valid)));
    }
    assert!(valid >= 49, "{valid}");
    assert!(hop.commands().iter().filter(|line| line.contains("RCPT")).count() <= 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_to_hear_of_success_is_not_handed_to_a_hop_that_never_tells() {
    for (capabilities, direction, handed_on) in [
        (&["DSN", "PIPELINING"][..], Direction::Outbound, true),
        (&["PIPELINING"], Direction::Outbound, false),
        (&["DSN", "PIPELINING"], Direction::Inbound, true),
        (&["PIPELINING"], Direction::Inbound, false),
    ] {
        let hop = FakeMx::builder().capabilities(capabilities).start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        let mut asked = envelope("s@sender.example", &TWO);
        asked.recipients[1].notify = Some(Notify::On { success: true, failure: true, delay: false });
        let result = hand_on_envelope(&bench, direction, &asked, Duration::from_secs(60)).await;
        let as_wanted = match &result {
            HandOnResult::Delivered { .. } => handed_on,
            HandOnResult::Unavailable(_) => !handed_on,
            _ => false,
        };
        assert!(as_wanted, "{capabilities:?} {direction:?}: {result:?}");
        bench.stop().await;
    }
}
