//! Bar 2: messages of 5 KB by `smtp-source` over 50 sessions: each arrives exactly once, bodies equal by hash, balance 0.
//! 50,000 in queued custody; inline 5,000, with `SEKISHO_FULL=1` 50,000.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::need_tool;
use crate::support::gateway::acme;
use crate::support::{FakeMx, Gateway, Received};

/// Each message has its own recipient: `1user@acme.example`, `2user@acme.example`, ...
fn source(tool: &Path, messages: usize, sessions: usize, to: SocketAddr) {
    let output = Command::new(tool)
        .args(["-d", "-N", "-l", "5120", "-f", "a@sender.example", "-t", "user@acme.example"])
        .args(["-s", &sessions.to_string(), "-m", &messages.to_string(), &format!("inet:{to}")])
        .output()
        .expect("run smtp-source");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn assert_exactly_once(received: &[Received], count: usize, body: &str) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for mail in received {
        assert_eq!(mail.body_hash, body, "another body than was sent, to {:?}", mail.recipients());
        mail.recipients().iter().for_each(|recipient| *times.entry(recipient).or_default() += 1);
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times != 1).take(5).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    assert_eq!(times.len(), count);
}

fn run(custody: &str, count: usize) {
    let tool = need_tool!("smtp-source");
    // What smtp-source sends, from itself: the body to compare with.
    let direct = FakeMx::start();
    source(&tool, 2, 1, direct.address());
    let bodies: HashSet<String> = direct.wait(2).into_iter().map(|mail| mail.body_hash).collect();
    assert_eq!(bodies.len(), 1);
    let body = bodies.into_iter().next().unwrap();
    assert!(direct.accepted()[0].message.len() > 5000);

    let mx = FakeMx::builder().hashes_only().start();
    let gateway = Gateway::builder()
        .tenants(&acme(custody, &[mx.address()], "\"any\""))
        .set("smtp", "transactions = 1000000")
        .start();
    let start = std::time::Instant::now();
    source(&tool, count, 50, gateway.inbound);
    let accepted = start.elapsed();
    crate::support::wait::within(std::time::Duration::from_secs(600), "an empty queue", || {
        (gateway.metrics().sum("sekisho_recipients_queued") == 0.0).then_some(())
    });
    println!("{custody}: {count} messages accepted in {accepted:?}, all out in {:?}", start.elapsed());
    gateway.assert_settled();
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("sekisho_recipients_accepted_total"), count as f64);
    assert_eq!(metrics.sum("sekisho_recipients_delivered_total"), count as f64);
    assert_exactly_once(&mx.accepted(), count, &body);
    assert_eq!(mx.seen().len(), count);
}

#[test]
fn in_queued_custody() {
    run("queued", 50_000);
}

#[test]
fn in_inline_custody() {
    run("inline", if std::env::var_os("SEKISHO_FULL").is_some() { 50_000 } else { 5_000 });
}
