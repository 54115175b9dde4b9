//! What one message costs on its way out: queued delivery and hand-on of 5 KB messages to Postfix's `smtp-sink` (or to
//! whatever listens at `SEKISHO_BENCH_HOP`), CPU of this process only.
//!
//! Run with `cargo bench --bench delivery [messages]`; starts `smtp-sink` itself if it is installed, and does nothing
//! otherwise. The time to commit the messages to the spool is part of the first figure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/rooms/checked.rs"]
mod checked;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/rooms/delivery/bench.rs"]
mod delivery_support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use delivery_support::{Bench, Builder, acme, envelope};
use sekisho::delivery::{HandOn, HandOnResult};
use sekisho::model::{Direction, Domain, MessageId};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sink() -> Option<(SocketAddr, Option<Sink>)> {
    if let Ok(hop) = std::env::var("SEKISHO_BENCH_HOP") {
        return Some((hop.parse().unwrap(), None));
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let program =
        ["/usr/sbin/smtp-sink", "smtp-sink"].into_iter().find(|name| Command::new(name).arg("-?").output().is_ok())?;
    let child = Command::new(program)
        .args(["-c", "-u", "nobody", &address.to_string(), "1000"])
        .stdout(std::process::Stdio::null())
        .spawn();
    let sink = Sink(child.ok()?);
    for _ in 0..100 {
        if TcpStream::connect(address).is_ok() {
            return Some((address, Some(sink)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Time on a processor of all threads of this process, to the nanosecond.
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let times = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

fn report(what: &str, messages: u64, cpu: Duration, wall: Duration) {
    println!(
        "{what}: {:.1} us CPU per message, {:.0} messages/s",
        cpu.as_secs_f64() * 1e6 / messages as f64,
        messages as f64 / wall.as_secs_f64()
    );
}

fn text() -> Vec<u8> {
    let mut text = b"Subject: a message of five kilobytes\r\nFrom: a@sender.example\r\n\r\n".to_vec();
    while text.len() < 5_000 {
        text.extend_from_slice(b"the quick brown fox jumps over the lazy dog, again and again and again.\r\n");
    }
    text
}

async fn relayed(hop: SocketAddr, messages: u64, lanes: u64) {
    let text = text();
    let bench = Arc::new(Builder::new(acme(&[hop], "")).start());
    let (before, begun) = (cpu(), Instant::now());
    let mut committing = tokio::task::JoinSet::new();
    for lane in 0..lanes {
        let (bench, text) = (Arc::clone(&bench), text.clone());
        committing.spawn(async move {
            for number in (lane..messages).step_by(usize::try_from(lanes).unwrap()) {
                let envelope = envelope("s@sender.example", &["a@acme.example"]);
                bench.queue_body(number, Direction::Inbound, envelope, &text).await;
            }
        });
    }
    while committing.join_next().await.is_some() {}
    while !bench.spool.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report(&format!("commit and deliver, {lanes} writers"), messages, cpu() - before, begun.elapsed());
    println!("  {}", counters(&bench));
}

fn counters(bench: &Bench) -> String {
    let text = bench.metrics.render();
    let wanted = [
        "delivery_connections_total",
        "delivery_attempts_total",
        "spool_commits_total",
        "spool_frames_total",
        "relocated",
    ];
    let lines = text.lines().filter(|line| !line.starts_with('#') && wanted.iter().any(|name| line.contains(name)));
    lines.collect::<Vec<_>>().join("  ")
}

async fn handed_on(hop: SocketAddr, messages: u64, clients: u64) {
    let bench = Builder::new(acme(&[hop], "")).start();
    let handoff = bench.handle.handoff();
    let rest = Bytes::from(text());
    let (before, begun) = (cpu(), Instant::now());
    let done = Arc::new(AtomicU64::new(0));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (handoff, rest, done) = (handoff.clone(), rest.clone(), Arc::clone(&done));
        asking.spawn(async move {
            let domain = Domain::parse("acme.example").unwrap();
            let envelope = envelope("s@sender.example", &["a@acme.example"]);
            while done.fetch_add(1, Ordering::Relaxed) < messages {
                let request = HandOn {
                    id: MessageId::new(1, 1),
                    domain: &domain,
                    direction: Direction::Inbound,
                    envelope: &envelope,
                    head: Bytes::from_static(b"Received: here\r\n"),
                    rest: rest.clone(),
                    deadline: tokio::time::Instant::now() + Duration::from_secs(300),
                };
                let result = handoff.hand_on(request).await;
                assert!(matches!(result, HandOnResult::Delivered { .. }), "{result:?}");
            }
        });
    }
    while asking.join_next().await.is_some() {}
    report(&format!("hand-on, {clients} clients"), messages, cpu() - before, begun.elapsed());
    println!("  {}", counters(&bench));
}

fn main() {
    let messages = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(50_000);
    let Some((hop, _sink)) = sink() else {
        println!("smtp-sink is not installed; nothing measured");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for lanes in [10, 100] {
            relayed(hop, messages, lanes).await;
            handed_on(hop, messages, lanes).await;
        }
    });
}
