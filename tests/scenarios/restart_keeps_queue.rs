//! What was accepted before a restart, or a kill, is delivered after it: once.

use std::collections::HashSet;

use crate::support::{Client, FakeMx, Gateway, message, sha256};

fn fill(gateway: &Gateway, count: usize) {
    let mut client = Client::ready(gateway.inbound);
    for n in 0..count {
        let mail = message(&format!("m{n}"), &format!("body {n}\r\n"));
        client.mail("a@sender.example", &[&format!("user{n}@acme.example")], mail);
    }
}

fn assert_all_arrive(mx: &FakeMx, gateway: &Gateway, count: usize) {
    let received = mx.wait(count);
    let unique: HashSet<&str> = received.iter().flat_map(|mail| mail.recipients()).collect();
    assert_eq!(unique.len(), count);
    for mail in &received {
        let number: String = mail.to[0].0.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(mail.body_hash, sha256(format!("body {number}\r\n").as_bytes()));
    }
    gateway.assert_settled();
    assert_eq!(mx.count(), count);
}

#[test]
fn after_sigterm_and_after_sigkill() {
    for kill in [false, true] {
        let mx = FakeMx::builder().start_down();
        let mut gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
        fill(&gateway, 50);
        if kill {
            gateway.kill();
        } else {
            assert_eq!(gateway.terminate().code(), Some(0));
        }
        gateway.serve();
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sekisho_recipients_recovered_total"), 50.0);
        assert_eq!(metrics.sum("sekisho_recipients_queued"), 50.0);
        gateway.assert_balanced();
        mx.come_up();
        assert_all_arrive(&mx, &gateway, 50);
        // What is done stays done.
        assert_eq!(gateway.terminate().code(), Some(0));
        gateway.serve();
        assert_eq!(gateway.metrics().sum("sekisho_recipients_recovered_total"), 0.0);
        assert_eq!(mx.count(), 50);
    }
}

#[test]
fn large_and_small_across_many_restarts() {
    let mx = FakeMx::builder().start_down();
    let mut gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    let large = "0123456789 0123456789 0123456789 0123456789 0123456789 012345\r\n".repeat(40_000);
    gateway.send_inbound("a@sender.example", &["large@acme.example"], &message("large", &large));
    for n in 0..3 {
        gateway.send_inbound("a@sender.example", &["small@acme.example"], &message(&format!("s{n}"), "small\r\n"));
        gateway.kill();
        gateway.serve();
    }
    mx.come_up();
    let received = mx.wait(4);
    let large_ones = received.iter().filter(|mail| mail.body_hash == sha256(large.as_bytes())).count();
    let small_ones = received.iter().filter(|mail| mail.body_hash == sha256(b"small\r\n")).count();
    assert_eq!((large_ones, small_ones), (1, 3));
    gateway.assert_settled();
}

#[test]
fn two_gateways_never_share_a_data_directory() {
    let mx = FakeMx::start();
    let mut gateway = Gateway::builder().acme(mx.address()).start();
    let second = gateway.cli(&["serve"]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    assert!(gateway.is_running());
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("alive", "x\r\n"));
    mx.one();
}
