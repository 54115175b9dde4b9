//! A next hop dies with mail waiting for it and comes back: everything arrives once, and not as a stampede.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Answer, Client, FakeMx, Gateway, eventually, message};

fn send_many(gateway: &Gateway, count: usize) {
    let mut client = Client::ready(gateway.inbound);
    for n in 0..count {
        client.mail("a@sender.example", &[&format!("user{n}@acme.example")], message(&format!("m{n}"), "x\r\n"));
    }
    client.quit();
}

fn assert_each_once(mx: &FakeMx, count: usize) {
    let received = mx.wait(count);
    let unique: HashSet<&str> = received.iter().flat_map(|mail| mail.recipients()).collect();
    assert_eq!(unique.len(), count);
}

#[test]
fn what_waited_arrives_once_it_is_back() {
    let mx = FakeMx::builder().start_down();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    send_many(&gateway, 300);
    gateway.logged("deferred", |_| true);
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("sekisho_recipients_queued"), 300.0);
    mx.come_up();
    assert_each_once(&mx, 300);
    gateway.assert_settled();
    assert!(mx.most_open() <= 50, "{} connections at once", mx.most_open());
}

#[test]
fn a_hop_that_refuses_connections_is_not_hammered() {
    let up = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&up);
    let mx = FakeMx::builder()
        .on_connect(
            move |_| {
                if asked.load(Ordering::SeqCst) { Answer::Accept } else { Answer::reply("421 4.3.2 not now") }
            },
        )
        .start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    send_many(&gateway, 300);
    // Ten rounds of refusal: one connection or a few each, not one for each of the 300 that wait.
    eventually("some rounds of attempts", || mx.connections() >= 10);
    let deferred = gateway.metrics().sum("sekisho_delivery_sites_backing_off");
    assert!(mx.connections() < 200, "{} connections ({deferred} sites back off)", mx.connections());
    up.store(true, Ordering::SeqCst);
    assert_each_once(&mx, 300);
    gateway.assert_settled();
}

#[test]
fn a_hop_that_dies_in_the_middle_loses_nothing() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    send_many(&gateway, 100);
    eventually("some mail", || mx.count() > 0);
    mx.go_down();
    send_many(&gateway, 100);
    mx.come_up();
    gateway.assert_settled();
    // A reply that was cut off makes a duplicate, one per connection at most; never a loss.
    let received = mx.accepted();
    let unique: HashSet<&str> = received.iter().flat_map(|mail| mail.recipients()).collect();
    assert_eq!(unique.len(), 100);
    assert!(received.len() <= 200 + 50, "{}", received.len());
}

#[test]
fn the_second_next_hop_takes_over_at_once() {
    let (first, second) = (FakeMx::builder().start_down(), FakeMx::start());
    let gateway = Gateway::builder()
        .tenants(&crate::support::gateway::acme("queued", &[], "\"any\"").replace(
            "next_hops = []",
            &format!(
                "next_hops = [{{ host = \"{}\", port = {}, priority = 10 }}, {{ host = \"{}\", port = {}, priority = 20 }}]",
                first.address().ip(),
                first.address().port(),
                second.address().ip(),
                second.address().port()
            ),
        ))
        .start();
    send_many(&gateway, 20);
    assert_each_once(&second, 20);
    gateway.assert_settled();
}
