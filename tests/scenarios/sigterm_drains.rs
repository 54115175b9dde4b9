//! SIGTERM (UPG-02): nothing new comes in, idle clients get 421, what is under way ends, and the exit status is 0.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::client::stuffed;
use crate::support::{Answer, Client, FakeMx, Gate, Gateway, eventually, message};

#[test]
fn a_message_under_way_ends_and_the_idle_are_sent_off() {
    let mx = FakeMx::start();
    let mut gateway = Gateway::builder().acme(mx.address()).start();
    let mut idle = Client::ready(gateway.inbound);
    let mut fresh = Client::greeted(gateway.inbound);
    let mut busy = Client::ready(gateway.inbound);
    busy.envelope("a@sender.example", &["you@acme.example"]);
    busy.command("DATA", 354);
    busy.send("Subject: under way\r\n\r\nfirst half\r\n");
    gateway.signal(Signal::TERM);
    for client in [&mut idle, &mut fresh] {
        let replies = client.closed();
        assert_eq!((replies.len(), replies[0].code), (1, 421), "{replies:?}");
        assert!(replies[0].is("4.3.0"), "{replies:?}");
    }
    eventually("no new connection", || match TcpStream::connect(gateway.inbound) {
        Err(_) => true,
        Ok(_) => Client::connect(gateway.inbound).closed().iter().all(|reply| reply.code == 421),
    });
    assert_eq!(crate::support::metrics::get(gateway.observe, "/readyz").map(|(status, _)| status).unwrap_or(503), 503);
    busy.send("second half\r\n.\r\n");
    busy.expect(250);
    busy.closed();
    let status = gateway.wait_exit();
    assert_eq!(status.code(), Some(0), "{status}");
    if mx.count() == 0 {
        gateway.serve();
    }
    assert_eq!(mx.one().body(), b"first half\r\nsecond half\r\n");
}

#[test]
fn a_delivery_under_way_ends_too() {
    let gate = Gate::default();
    let held = gate.clone();
    let mx = FakeMx::builder().on_dot(move |_| Answer::Wait(held.clone())).start();
    let mut gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("under way", "x\r\n"));
    eventually("the dot at the next hop", || gate.waiting() == 1);
    gateway.signal(Signal::TERM);
    gate.open();
    assert_eq!(gateway.wait_exit().code(), Some(0));
    gateway.serve();
    gateway.assert_settled();
    assert_eq!(mx.count(), 1, "the outcome was known and must not be forgotten");
}

#[test]
fn a_client_that_never_ends_does_not_hold_up_the_end() {
    let mx = FakeMx::start();
    let mut gateway = Gateway::builder().acme(mx.address()).set("", "drain_timeout = \"1s\"").start();
    let mut stuck = Client::ready(gateway.inbound);
    stuck.envelope("a@sender.example", &["you@acme.example"]);
    stuck.raw_data(&stuffed(b"never ending\r\n")[..8]);
    let status = gateway.terminate();
    assert_eq!(status.code(), Some(0), "{status}");
    let replies = stuck.closed();
    assert!(replies.iter().all(|reply| reply.code == 421), "{replies:?}");
    assert_eq!(mx.count(), 0);
}
