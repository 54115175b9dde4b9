//! Inline custody: the next hop is asked while the client waits, its answer is ours, and our disk sees nothing; where that
//! can't be, the spool takes over and nothing is lost.

use std::time::Duration;

use crate::support::client::stuffed;
use crate::support::gateway::{MX_PORT, acme, tenant};
use crate::support::{Answer, Client, FakeMx, Gate, Gateway, eventually, fake_dns::FakeDns, loopback, message};

fn inline(mx: &FakeMx) -> Gateway {
    Gateway::builder().tenants(&acme("inline", &[mx.address()], "\"any\"")).quick_retries().start()
}

#[test]
fn the_250_comes_only_after_the_next_hops() {
    let gate = Gate::default();
    let held = gate.clone();
    let mx = FakeMx::builder().on_dot(move |_| Answer::Wait(held.clone())).start();
    let gateway = inline(&mx);
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    let marker = "never-on-our-disk-2f9d";
    client.raw_data(stuffed(message("inline", &format!("{marker}\r\n")).as_bytes()));
    eventually("the dot at the next hop", || gate.waiting() == 1);
    client.set_read_timeout(Duration::from_millis(300));
    assert!(client.try_reply().is_err(), "an answer before the next hop's");
    assert_eq!(gateway.metrics().sum("sekisho_recipients_accepted_total"), 0.0);
    assert!(!gateway.spool_contains(marker.as_bytes()));
    client.set_read_timeout(Duration::from_secs(30));
    gate.open();
    client.expect(250);
    client.quit();
    let received = mx.one();
    assert!(received.header("Received").unwrap().contains("by mx.gateway.example"));
    gateway.logged("handed-on", |line| line["recipient"] == "you@acme.example" || line["recipients"] == 1);
    gateway.assert_settled();
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("sekisho_recipients_delivered_total"), 1.0);
    assert_eq!(metrics.sum("sekisho_spool_frames_total"), 0.0, "something went through the spool");
    assert!(!gateway.spool_contains(marker.as_bytes()));
}

#[test]
fn a_refusal_goes_back_as_it_came() {
    for at_dot in [true, false] {
        let mx = FakeMx::builder();
        let mx = if at_dot {
            mx.on_dot(|_| Answer::reply("550 5.7.1 not in this house\nask the porter")).start()
        } else {
            mx.refusing("you@acme.example", "550 5.7.1 not in this house\nask the porter").start()
        };
        let gateway = inline(&mx);
        let mut client = Client::ready(gateway.inbound);
        client.envelope("a@sender.example", &["you@acme.example"]);
        let refused = client.data(message("refused", "x\r\n"));
        assert_eq!(refused.code, 550, "{refused:?}");
        assert!(refused.text().contains("5.7.1") && refused.text().contains("not in this house"), "{refused:?}");
        assert!(refused.text().contains("ask the porter"), "{refused:?}");
        client.mail_is_over();
        client.quit();
        gateway.assert_settled();
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sekisho_recipients_accepted_total"), 0.0);
        assert_eq!(metrics.sum("sekisho_delivery_notices_total"), 0.0, "a refusal at SMTP is never bounced");
        assert_eq!(mx.count(), 0);
    }
}

#[test]
fn a_temporary_answer_goes_back_too() {
    let mx = FakeMx::builder().on_dot(|_| Answer::reply("452 4.2.2 mailbox full")).start();
    let gateway = inline(&mx);
    let mut client = Client::ready(gateway.inbound);
    client.envelope("a@sender.example", &["you@acme.example"]);
    let deferred = client.data(message("later", "x\r\n"));
    // Ours or theirs: the client keeps the mail, or the spool does.
    assert!(deferred.code == 452 || deferred.code == 250, "{deferred:?}");
    client.quit();
    gateway.assert_balanced();
}

#[test]
fn many_over_one_connection() {
    let mx = FakeMx::start();
    let gateway = inline(&mx);
    let mut client = Client::ready(gateway.inbound);
    for n in 0..100 {
        client.mail("a@sender.example", &["you@acme.example"], message(&format!("m{n}"), "x\r\n"));
        assert_eq!(mx.count(), n + 1, "250 without the next hop's");
    }
    client.quit();
    assert!(mx.connections() <= 5, "{} connections", mx.connections());
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_spool_frames_total"), 0.0);
}

#[test]
fn a_dead_next_hop_means_the_spool() {
    let mx = FakeMx::builder().start_down();
    let gateway = inline(&mx);
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("spooled", "x\r\n"));
    assert_eq!(gateway.metrics().sum("sekisho_recipients_queued"), 1.0);
    mx.come_up();
    mx.one();
    gateway.assert_settled();
}

#[test]
fn a_slow_next_hop_means_the_spool_before_the_dot() {
    let gate = Gate::default();
    let held = gate.clone();
    // Without CHUNKING: else the whole message may be in the same write as the envelope.
    let mx = FakeMx::builder()
        .capabilities(&["PIPELINING", "8BITMIME"])
        .on_rcpt(move |rcpt| if rcpt.nth == 1 { Answer::Wait(held.clone()) } else { Answer::Accept })
        .start();
    let gateway = Gateway::builder()
        .tenants(&acme("inline", &[mx.address()], "\"any\""))
        .set("custody", "answer_deadline = \"1s\"")
        .quick_retries()
        .start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("slow", "x\r\n"));
    gate.open();
    mx.one();
    gateway.assert_settled();
    assert!(gateway.metrics().sum("sekisho_handoff_fallback_total") >= 1.0);
}

#[test]
fn an_unknown_end_is_a_451_and_counted() {
    // A hop that never answers the dot is waited for as long as the client waits: minutes, not for this test.
    for cut in [Answer::Reset, Answer::Close] {
        let mx = FakeMx::builder().on_dot(move |dot| if dot.nth == 1 { cut.clone() } else { Answer::Accept }).start();
        let gateway = Gateway::builder().tenants(&acme("inline", &[mx.address()], "\"any\"")).start();
        let mut client = Client::ready(gateway.inbound);
        client.envelope("a@sender.example", &["you@acme.example"]);
        let unknown = client.data(message("unknown", "x\r\n"));
        assert_eq!(unknown.code, 451, "{unknown:?}");
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sekisho_handoff_unknown_total"), 1.0);
        assert_eq!(metrics.sum("sekisho_recipients_accepted_total"), 0.0);
        // What a client does with a 451.
        client.mail("a@sender.example", &["you@acme.example"], message("unknown", "x\r\n"));
        client.quit();
        gateway.assert_settled();
        assert_eq!(mx.seen().len(), 2, "a duplicate at worst, never a loss");
    }
}

#[test]
fn two_fates_mean_the_spool() {
    let (dns, ip) = (FakeDns::start(), loopback::fresh_ip());
    let sender_mx = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("sender.example", &[ip]);
    let mx = FakeMx::builder().refusing("gone@acme.example", "550 5.1.1 gone").start();
    let gateway = Gateway::builder().tenants(&acme("inline", &[mx.address()], "\"any\"")).dns(dns.address()).start();
    gateway.send_inbound(
        "a@sender.example",
        &["you@acme.example", "gone@acme.example"],
        &message("two fates", "x\r\n"),
    );
    assert_eq!(mx.one().recipients(), ["you@acme.example"]);
    assert!(sender_mx.one().text().contains("gone@acme.example"));
    gateway.assert_settled();
}

#[test]
fn lanes_of_two_tenants_both_arrive_once() {
    let (acme_mx, beta_mx) = (FakeMx::start(), FakeMx::start());
    for custody in ["inline", "queued"] {
        let gateway = Gateway::builder()
            .tenants(&acme("inline", &[acme_mx.address()], "\"any\""))
            .tenants(&tenant("beta", "beta.example", custody, &[beta_mx.address()], "\"any\""))
            .start();
        gateway.send_inbound("a@sender.example", &["a@acme.example", "b@beta.example"], &message("both", "x\r\n"));
        gateway.assert_settled();
    }
    for received in acme_mx.wait(2) {
        assert_eq!(received.recipients(), ["a@acme.example"]);
    }
    for received in beta_mx.wait(2) {
        assert_eq!(received.recipients(), ["b@beta.example"]);
    }
}

#[test]
fn one_lane_refused_is_not_the_other_lanes_refusal() {
    let acme_mx = FakeMx::builder().on_dot(|_| Answer::reply("550 5.7.1 no")).start();
    let beta_mx = FakeMx::start();
    let gateway = Gateway::builder()
        .tenants(&acme("inline", &[acme_mx.address()], "\"any\""))
        .tenants(&tenant("beta", "beta.example", "inline", &[beta_mx.address()], "\"any\""))
        .quick_retries()
        .start();
    gateway.send_inbound("", &["a@acme.example", "b@beta.example"], &message("both", "x\r\n"));
    beta_mx.one();
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_bounced_total"), 1.0);
}

#[test]
fn a_next_hop_that_was_restarted_is_met_anew() {
    let mx = FakeMx::start();
    let gateway = inline(&mx);
    let mut client = Client::ready(gateway.inbound);
    for n in 0..5 {
        client.mail("a@sender.example", &["you@acme.example"], message(&format!("m{n}"), "x\r\n"));
        // The connection kept for the next mail dies here.
        mx.go_down();
        mx.come_up();
    }
    client.quit();
    gateway.assert_settled();
    assert_eq!(mx.count(), 5, "each once");
    assert_eq!(gateway.metrics().sum("sekisho_handoff_unknown_total"), 0.0);
}

#[test]
fn a_large_message_is_handed_on_whole() {
    let mx = FakeMx::start();
    let gateway = inline(&mx);
    let body = "0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789ab\r\n".repeat(100_000);
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("large", &body));
    assert_eq!(mx.one().body_hash, crate::support::sha256(body.as_bytes()));
    gateway.assert_settled();
}
