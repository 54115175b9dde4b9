//! One connection, one transaction: what goes over the wire, and what becomes of each recipient.

#[allow(unused_imports)]
use super::bench::{Builder, TEXT, acme, envelope};
use crate::support::{Answer, FakeMx};
use sekisho::model::{BodyKind, Direction, Notify, OriginalRecipient, ReturnContent};

const FULL: [&str; 6] = ["PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"];
const MIXES: [&[&str]; 4] = [&FULL, &["PIPELINING", "SIZE"], &["CHUNKING", "8BITMIME"], &[]];

#[tokio::test(flavor = "multi_thread")]
async fn every_recipient_has_its_own_fate_with_and_without_extensions() {
    for capabilities in MIXES {
        let hop = FakeMx::builder()
            .capabilities(capabilities)
            .on_rcpt(|rcpt| match (rcpt.address.as_str(), rcpt.nth) {
                ("later@acme.example", 1) => Answer::reply("450 4.2.1 later"),
                ("never@acme.example", _) => Answer::reply("550 5.1.1 no such user"),
                _ => Answer::Accept,
            })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue(1, envelope("", &["now@acme.example", "later@acme.example", "never@acme.example"])).await;
        bench.empty().await;
        let received = hop.accepted();
        let to: Vec<_> = received.iter().map(crate::support::Received::recipients).collect();
        assert_eq!(to, [["now@acme.example"], ["later@acme.example"]], "{capabilities:?}");
        let whole = format!("Received: here\r\n{TEXT}");
        assert!(received.iter().all(|message| message.text() == whole), "{capabilities:?}: {}", received[0].text());
        let sums = bench.metrics.balance.sums();
        assert_eq!((sums.delivered, sums.bounced), (2, 1), "{capabilities:?}");
        assert_eq!(bench.logged("deferred").len(), 1);
        assert!(bench.logged("bounced")[0].contains("5.1.1 no such user"));
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_refused_then_the_connection_serves_the_next_message() {
    for capabilities in MIXES {
        let hop = FakeMx::builder().capabilities(capabilities).refusing("never@acme.example", "550 5.1.1 no").start();
        let bench = Builder::new(acme(&[hop.address()], "")).set(|config| config.initial_connections = 1).start();
        bench.queue(1, envelope("", &["never@acme.example"])).await;
        bench.empty().await;
        bench.queue(2, envelope("", &["a@acme.example"])).await;
        bench.empty().await;
        assert_eq!((hop.count(), hop.connections()), (1, 1), "{capabilities:?} {:?}", hop.commands());
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sender_fails_all_and_spoils_nothing() {
    for capabilities in MIXES {
        let hop = FakeMx::builder()
            .capabilities(capabilities)
            .on_mail(|mail| if mail.nth == 1 { Answer::reply("550 5.7.1 not you") } else { Answer::Accept })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).set(|config| config.initial_connections = 1).start();
        bench.queue(1, envelope("", &["a@acme.example", "b@acme.example"])).await;
        bench.empty().await;
        assert_eq!(bench.metrics.balance.sums().bounced, 2, "{capabilities:?}");
        bench.queue(2, envelope("", &["c@acme.example"])).await;
        bench.empty().await;
        assert_eq!(hop.count(), 1, "{capabilities:?}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_up_to_the_limit() {
    let hop = FakeMx::builder().capabilities(&FULL).start();
    let bench = Builder::new(acme(&[hop.address()], ""))
        .set(|config| {
            (config.max_transactions, config.max_connections_inbound, config.initial_connections) = (10, 1, 1)
        })
        .start();
    for number in 0..40 {
        bench.queue(number, envelope("s@sender.example", &["a@acme.example"])).await;
    }
    bench.empty().await;
    assert_eq!((hop.count(), hop.connections()), (40, 4));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_421_in_the_middle_puts_off_the_rest_and_loses_nothing() {
    let hop = FakeMx::builder()
        .capabilities(&FULL[..4])
        .on_rcpt(|rcpt| {
            if rcpt.nth == 1 && rcpt.address == "b@acme.example" {
                Answer::reply("421 4.3.2 shutting down")
            } else {
                Answer::Accept
            }
        })
        .start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    bench.queue(1, envelope("", &["a@acme.example", "b@acme.example", "c@acme.example"])).await;
    bench.empty().await;
    let mut to: Vec<String> = hop.accepted().iter().flat_map(|m| m.to.clone()).map(|(address, _)| address).collect();
    to.sort();
    assert_eq!(to, ["a@acme.example", "b@acme.example", "c@acme.example"]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_after_the_dot_is_tried_again_and_counted() {
    for capabilities in [&FULL[..], &["PIPELINING"], &[]] {
        let hop = FakeMx::builder()
            .capabilities(capabilities)
            .on_dot(|dot| if dot.nth == 1 { Answer::Reset } else { Answer::Accept })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue(1, envelope("", &["a@acme.example"])).await;
        bench.empty().await;
        assert_eq!(hop.accepted().len(), 1);
        assert_eq!(bench.metrics.delivery.possible_duplicates.get(), 1, "{capabilities:?}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_dot_is_waited_for_and_then_given_up() {
    let gate = crate::support::Gate::default();
    let held = gate.clone();
    let hop = FakeMx::builder()
        .on_dot(move |dot| if dot.nth == 1 { Answer::Wait(held.clone()) } else { Answer::Accept })
        .start();
    let bench = Builder::new(acme(&[hop.address()], ""))
        .set(|config| config.timeouts.dot = std::time::Duration::from_millis(300))
        .start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    assert_eq!(bench.metrics.delivery.possible_duplicates.get(), 1);
    assert!(bench.logged("deferred")[0].contains("4.4.2"));
    gate.open();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_while_it_rested_costs_no_attempt() {
    let hop = FakeMx::builder().capabilities(&FULL).start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    hop.go_down();
    hop.come_up();
    bench.queue(2, envelope("", &["b@acme.example"])).await;
    bench.empty().await;
    assert_eq!(hop.count(), 2);
    assert!(bench.logged("deferred").is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_go_to_those_who_know_them_and_to_nobody_else() {
    let mut asked = envelope("s@sender.example", &["a@acme.example"]);
    asked.ret = Some(ReturnContent::Headers);
    asked.envid = Some("a b+c".into());
    asked.body = BodyKind::EightBitMime;
    asked.recipients[0].notify = Some(Notify::On { success: true, failure: true, delay: false });
    asked.recipients[0].original = Some(OriginalRecipient { address_type: "rfc822".into(), address: "x@y".into() });
    for (capabilities, from, to) in [
        (&FULL[..], "SIZE=79 BODY=8BITMIME RET=HDRS ENVID=a+20b+2Bc", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y"),
        (&["PIPELINING"][..], "", ""),
    ] {
        let hop = FakeMx::builder().capabilities(capabilities).start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue_body(1, Direction::Outbound, asked.clone(), TEXT.as_bytes()).await;
        bench.until("delivery", |_| hop.count() == 1).await;
        let received = hop.one();
        assert_eq!((received.from_params.trim(), received.to[0].1.trim()), (from, to));
        // Without DSN there, success is for us to tell.
        let wanted = usize::from(from.is_empty());
        bench.until("delivery's end", |bench| bench.logged("notice").len() == wanted).await;
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_can_not_take_fails_before_it_is_sent() {
    let hop = FakeMx::builder().capabilities(&["SIZE 50", "PIPELINING"]).start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    assert!(bench.logged("bounced")[0].contains("5.3.4"));
    let hop_without = FakeMx::builder().capabilities(&["PIPELINING"]).start();
    bench.snapshot.store(super::bench::snapshot(2, &acme(&[hop_without.address()], "")).into());
    bench.queue(2, envelope("", &["あ@acme.example"])).await;
    bench.empty().await;
    assert!(bench.logged("bounced")[1].contains("5.6.7"));
    assert_eq!(hop.count() + hop_without.count(), 0);
    let able = FakeMx::builder().capabilities(&["PIPELINING", "SMTPUTF8"]).start();
    bench.snapshot.store(super::bench::snapshot(3, &acme(&[able.address()], "")).into());
    bench.queue(3, envelope("", &["あ@acme.example"])).await;
    bench.empty().await;
    assert_eq!(able.one().from_params.trim(), "SMTPUTF8");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_recipients_go_in_several_transactions() {
    let hop = FakeMx::builder().capabilities(&FULL).start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    let all: Vec<String> = (0..250).map(|n| format!("u{n}@acme.example")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    bench.queue(1, envelope("", &all)).await;
    bench.empty().await;
    let sizes: Vec<usize> = hop.accepted().iter().map(|message| message.to.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_streamed_as_it_is() {
    let mut text = b"Subject: large\r\n\r\n".to_vec();
    for n in 0..120_000u32 {
        text.extend_from_slice(format!("{}line {n}\r\n", if n % 7 == 0 { "." } else { "" }).as_bytes());
    }
    for capabilities in [&["PIPELINING", "CHUNKING"][..], &["PIPELINING"], &[]] {
        let hop = FakeMx::builder().capabilities(capabilities).start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue_body(1, Direction::Inbound, envelope("", &["a@acme.example"]), &text).await;
        bench.empty().await;
        let received = hop.one();
        assert_eq!(&received.message[b"Received: here\r\n".len()..], &*text);
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_2xx_to_data_is_no_answer_to_a_message() {
    for capabilities in [&["PIPELINING"][..], &[]] {
        let hop = FakeMx::builder()
            .capabilities(capabilities)
            .on_data(|data| if data.nth == 1 { Answer::reply("250 2.0.0 ok") } else { Answer::Accept })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue(1, envelope("", &["a@acme.example", "b@acme.example"])).await;
        bench.empty().await;
        assert_eq!(hop.one().recipients(), ["a@acme.example", "b@acme.example"], "{capabilities:?}");
        assert!(bench.logged("deferred").iter().all(|line| line.contains("out of step")), "{capabilities:?}");
        assert_eq!((bench.logged("deferred").len(), bench.logged("delivered").len()), (2, 2));
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reply_too_many_is_noticed_and_nothing_of_the_transaction_believed() {
    for capabilities in [&["PIPELINING"][..], &[]] {
        let hop = FakeMx::builder()
            .capabilities(capabilities)
            .on_mail(|mail| if mail.nth == 1 { Answer::Twice } else { Answer::Accept })
            .on_rcpt(|rcpt| match (rcpt.address.as_str(), rcpt.nth) {
                // Where replies are off by one this seems to be about the one behind it.
                ("a@acme.example", 1) => Answer::reply("550 5.1.1 seen once"),
                _ => Answer::Accept,
            })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue(1, envelope("", &["a@acme.example", "b@acme.example"])).await;
        bench.empty().await;
        let sums = bench.metrics.balance.sums();
        assert_eq!((sums.delivered, sums.bounced), (2, 0), "{capabilities:?}");
        assert_eq!(hop.one().recipients(), ["a@acme.example", "b@acme.example"], "{capabilities:?}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farewell_behind_the_answer_takes_nothing_back_and_other_words_do() {
    for (behind, attempts) in [("421 4.3.2 enough for today", 1), ("221 2.0.0 bye", 1), ("250 2.0.0 and again", 2)] {
        let hop =
            FakeMx::builder()
                .capabilities(&["PIPELINING"])
                .on_dot(move |dot| {
                    if dot.nth == 1 { Answer::Reply(format!("250 2.0.0 taken\r\n{behind}")) } else { Answer::Accept }
                })
                .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue(1, envelope("", &["a@acme.example"])).await;
        bench.empty().await;
        assert_eq!(hop.seen().len(), attempts, "{behind}");
        assert_eq!(bench.metrics.delivery.possible_duplicates.get() as usize, attempts - 1, "{behind}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_about_the_conversation_put_off_and_words_about_the_mail_end() {
    for (words, ends) in [
        ("530 5.7.0 must issue STARTTLS first", false),
        ("535 5.7.8 authentication failed", false),
        ("502 5.5.1 not here", false),
        ("555 5.5.4 unknown parameter", false),
        ("550 5.7.1 not you", true),
        ("500 5.6.0 not that", true),
    ] {
        let hop = FakeMx::builder()
            .on_mail(move |mail| if mail.nth == 1 { Answer::reply(words) } else { Answer::Accept })
            .start();
        let bench = Builder::new(acme(&[hop.address()], "")).start();
        bench.queue(1, envelope("", &["a@acme.example"])).await;
        bench.empty().await;
        assert_eq!((hop.count(), bench.logged("bounced").len()), (usize::from(!ends), usize::from(ends)), "{words}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_close_during_the_rest_leaves_no_message_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let identity = crate::support::tls::Identity::create(dir.path(), "hop.acme.example");
    let hop = FakeMx::builder().capabilities(&FULL).tls(identity.server_config()).start();
    let bench = Builder::new(acme(&[hop.address()], "tls = \"required\"")).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    hop.go_down();
    hop.come_up();
    bench.queue(2, envelope("", &["b@acme.example"])).await;
    bench.empty().await;
    assert_eq!(hop.count(), 2);
    assert_eq!(bench.metrics.delivery.possible_duplicates.get(), 0);
    assert!(bench.logged("deferred").is_empty(), "{:#?}", bench.logged("deferred"));
    bench.stop().await;
}
