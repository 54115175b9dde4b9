//! What one event costs its caller: `cargo bench --bench mail_log`. The bar is 2 microseconds.
//!
//! Method: full `rcpt` events to a file on this machine's disk, from one thread and from two; wall time of the calls
//! alone, divided by the events, in the best of five rounds. The buffer never fills, so that no line is dropped cheaply.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sekisho::model::{
    Address, ConnectionId, Direction, Enhanced, MessageId, Reply, ReversePath, TenantId, Timestamp, TlsFacts,
};
use sekisho::telemetry::{Event, EventName, MailLog, Metrics};

const EVENTS: u64 = 20_000;
const ROUNDS: usize = 5;

fn main() {
    let metrics = Metrics::new();
    let file = std::env::temp_dir().join(format!("sekisho-mail-log-{}", std::process::id()));
    let log = MailLog::to_file(&file, &metrics).expect("a file to write to");
    for threads in [1u32, 2] {
        let best = (0..ROUNDS).map(|_| round(&log, threads)).min().unwrap_or_default();
        println!("mail log, {threads} thread(s): {:.0} ns per event", best.as_nanos() as f64 / EVENTS as f64);
    }
    drop(log);
    let bytes = std::fs::metadata(&file).map_or(0, |data| data.len());
    println!("bytes per line: {}; lost: {}", bytes / metrics.log.lines.get().max(1), metrics.log.lost.get());
    let started = Instant::now();
    for _ in 0..1_000 {
        black_box(metrics.render());
    }
    println!("one scrape: {:.0} us", started.elapsed().as_secs_f64() * 1e3);
    let started = Instant::now();
    for _ in 0..1_000_000 {
        metrics.balance.accepted_queued(Direction::Inbound, 1);
        metrics.balance.delivered(1);
    }
    println!("balance, accept and deliver: {:.0} ns", started.elapsed().as_secs_f64() * 1e3);
    let _ = std::fs::remove_file(&file);
}

/// The longest of the threads' own times.
fn round(log: &MailLog, threads: u32) -> Duration {
    let taken = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(|| events(log))).collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).max().unwrap_or_default()
    });
    assert!(log.flush(), "the disk keeps up");
    taken
}

fn events(log: &MailLog) -> Duration {
    let tenant = TenantId::parse("acme").unwrap();
    let sender = ReversePath::Mailbox(Address::parse("hanako@sender.example").unwrap());
    let recipient = Address::parse("taro@acme.example").unwrap();
    let reply = Reply::new(250, Enhanced(2, 1, 5), "Recipient OK");
    let tls =
        TlsFacts { version: "TLSv1.3".into(), cipher: "TLS13_AES_256_GCM_SHA384".into(), client_certificate: None };
    let ip = "192.0.2.25".parse().unwrap();
    let started = Instant::now();
    for n in 0..EVENTS {
        log.log(black_box(&Event {
            connection: Some(ConnectionId(n)),
            message: Some(MessageId::new(1_795_176_451_250 + n, 42)),
            tenant: Some(&tenant),
            direction: Some(Direction::Inbound),
            listener: Some("mx"),
            ip: Some(ip),
            helo: Some("mail.sender.example"),
            sender: Some(&sender),
            recipient: Some(&recipient),
            reply: Some(&reply),
            tls: Some(&tls),
            ..Event::new(EventName::Rcpt, Timestamp::from_millis(1_795_176_451_250 + n))
        }));
    }
    started.elapsed()
}
