//! How many messages a second the spool makes durable, and what each costs in CPU.
//!
//! Method: a spool in `SEKISHO_BENCH_DIR` (else the build directory, a real disk); N tasks commit one message after the
//! other on a two-thread runtime; CPU is the whole process's, user and system, index work included. `settle` rows lease what was
//! committed and settle it as delivered. Run with `cargo bench --bench spool [writers]`.
//!
//! `latency` instead: N writers, a thread each, that wait 0.3 ms between their commits, as clients do, while everything that
//! is committed is leased and settled at once. Run with `cargo bench --bench spool -- latency [writers]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::clock::Clock;
use sekisho::faults::Faults;
use sekisho::model::{Address, Envelope, MessageId, Origin, Recipient, ReversePath, TenantId, Timestamp};
use sekisho::spool::{About, Body, Config, Deps, NewMessage, RecipientState, Settlement, Spool};
use sekisho::telemetry::{MailLog, Metrics};

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// User and system time of the process with all its threads, also those that ended; in steps of 10 ms.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn about() -> About {
    let mut envelope = Envelope::from_sender(ReversePath::Mailbox(Address::parse("sender@client.example").unwrap()));
    envelope.recipients = vec![Recipient::new(Address::parse("recipient@acme.example").unwrap())];
    About {
        tenant: TenantId::parse("acme").unwrap(),
        origin: Origin {
            ip: "192.0.2.7".parse().unwrap(),
            helo: "mail.client.example".into(),
            listener: "mx".into(),
            protocol: "ESMTPS".into(),
            received_at: Timestamp(1_795_176_451_250),
        },
        envelope,
    }
}

async fn commits(spool: &Spool, writers: usize, total: u64, size: usize) -> Vec<Duration> {
    let next = Arc::new(AtomicU64::new(0));
    let body = Bytes::from(vec![b'x'; size]);
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (spool, next, body) = (spool.clone(), Arc::clone(&next), body.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return times;
                    }
                    let body = Body::Memory { head: Bytes::from_static(b"Received: x\r\n"), rest: body.clone() };
                    let id = MessageId::new(1_795_176_451_250, u128::from(number));
                    let started = Instant::now();
                    spool.commit(vec![NewMessage::inbound(id, about(), body)]).await.unwrap();
                    times.push(started.elapsed());
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort_unstable();
    times
}

async fn settles(spool: &Spool, workers: usize) {
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let spool = spool.clone();
            tokio::spawn(async move {
                while let Some(lease) = spool.take_due(Timestamp(u64::MAX), 1).pop() {
                    std::hint::black_box(lease.body().await.unwrap());
                    let outcomes = vec![(0, RecipientState::Delivered)];
                    lease.settle(Settlement { outcomes, ..Settlement::default() }).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn row(name: &str, writers: usize, count: u64, wall: Duration, used: Duration, times: &[Duration]) {
    let at = |part: usize| times.get(times.len() * part / 100).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    println!(
        "{name:>8} {writers:>4} writers {:>9.0} records/s {:>7.1} us CPU each   p50 {:>6.2} ms  p99 {:>6.2} ms",
        count as f64 / wall.as_secs_f64(),
        used.as_secs_f64() * 1e6 / count as f64,
        at(50),
        at(99)
    );
}

/// Commits of writers that pause, with deliveries going on.
fn latency(runtime: &tokio::runtime::Runtime, base: &std::path::Path, writers: usize) {
    const TIME: Duration = Duration::from_secs(3);
    let dir = tempfile::tempdir_in(base).unwrap();
    let deps =
        Deps { clock: Clock::System, faults: Faults::default(), metrics: Metrics::new(), log: MailLog::nowhere() };
    let metrics = Arc::clone(&deps.metrics);
    let (spool, _) = Spool::open(Config::new(dir.path()), deps).unwrap();
    let dispatcher = runtime.spawn({
        let spool = spool.clone();
        async move {
            loop {
                for lease in spool.take_due(Timestamp(u64::MAX), 64) {
                    tokio::spawn(async move {
                        std::hint::black_box(lease.body().await.unwrap());
                        let outcomes = vec![(0, RecipientState::Delivered)];
                        lease.settle(Settlement { outcomes, ..Settlement::default() }).await.unwrap();
                    });
                }
                spool.changed().await;
            }
        }
    });
    std::thread::sleep(Duration::from_millis(300));
    let next = Arc::new(AtomicU64::new(0));
    let (started, before) = (Instant::now(), cpu());
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let (spool, next, runtime) = (spool.clone(), Arc::clone(&next), runtime.handle().clone());
            std::thread::spawn(move || {
                let mut times = Vec::new();
                while started.elapsed() < TIME {
                    let id = MessageId::new(1_795_176_451_250, u128::from(next.fetch_add(1, Ordering::Relaxed)));
                    let rest = Bytes::from(vec![b'x'; 5_000]);
                    let body = Body::Memory { head: Bytes::from_static(b"Received: x\r\n"), rest };
                    let begun = Instant::now();
                    runtime.block_on(spool.commit(vec![NewMessage::inbound(id, about(), body)])).unwrap();
                    times.push(begun.elapsed());
                    std::thread::sleep(Duration::from_micros(300));
                }
                times
            })
        })
        .collect();
    let mut times: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    times.sort_unstable();
    row("latency", writers, times.len() as u64, started.elapsed(), cpu() - before, &times);
    let (frames, groups) = (metrics.spool.frames.get(), metrics.spool.commits.get().max(1));
    println!(
        "{:>31} {:.1} frames per sync, {:.3} ms per sync, {} waiting at the end",
        "",
        frames as f64 / groups as f64,
        metrics.spool.sync_seconds.get_sample_sum() * 1e3 / groups as f64,
        spool.len()
    );
    dispatcher.abort();
}

fn main() {
    let only: Option<usize> = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let base = std::env::var_os("SEKISHO_BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), Into::into);
    let base: std::path::PathBuf = base;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::args().any(|arg| arg == "latency") {
        for writers in [1, 4, 10, 16, 64].into_iter().filter(|writers| only.is_none_or(|only| only == *writers)) {
            latency(&runtime, &base, writers);
        }
        return;
    }
    for (size, seconds_worth) in
        [(5_000usize, [5_000u64, 60_000, 150_000, 150_000]), (500_000, [300, 800, 1_000, 1_000])]
    {
        for (writers, count) in [1, 16, 64, 256].into_iter().zip(seconds_worth) {
            if only.is_some_and(|only| only != writers) {
                continue;
            }
            let dir = tempfile::tempdir_in(&base).unwrap();
            let deps = Deps {
                clock: Clock::System,
                faults: Faults::default(),
                metrics: Metrics::new(),
                log: MailLog::nowhere(),
            };
            let metrics = Arc::clone(&deps.metrics);
            let (spool, _) = Spool::open(Config::new(dir.path()), deps.clone()).unwrap();
            let (started, before) = (Instant::now(), cpu());
            let times = runtime.block_on(commits(&spool, writers, count, size));
            row(&format!("{} KB", size / 1000), writers, count, started.elapsed(), cpu() - before, &times);
            let (frames, groups) = (metrics.spool.frames.get(), metrics.spool.commits.get().max(1));
            println!(
                "{:>31} {:.1} frames per sync, {:.2} ms per sync",
                "",
                frames as f64 / groups as f64,
                metrics.spool.sync_seconds.get_sample_sum() * 1e3 / groups as f64
            );
            let spool = if size < 100_000 && writers == 256 {
                drop(spool);
                let (started, before) = (Instant::now(), cpu());
                let (spool, report) = Spool::open(Config::new(dir.path()), deps).unwrap();
                row("recover", 1, report.messages, started.elapsed(), cpu() - before, &[]);
                spool
            } else {
                spool
            };
            if size < 100_000 {
                let (started, before) = (Instant::now(), cpu());
                runtime.block_on(settles(&spool, writers));
                row("settle", writers, count, started.elapsed(), cpu() - before, &[]);
            }
        }
    }
}
