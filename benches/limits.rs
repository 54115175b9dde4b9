//! 5,000,000 rate-limit keys and 1,000,000 sources: memory of one, time of a check, what a flood of further keys does.
//!
//! `cargo bench --bench limits` (or with the number of keys behind `--`). Method: one thread, the allocator of the program; resident
//! memory from the kernel before and after, so that the table's slack and what the allocator keeps count. Keys are addresses, each used to a tenth of its limit, so
//! that all are in use for the whole run.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use sekisho::limits::{Config, Key, Limits, Rate, Who};
use sekisho::model::Timestamp;
use sekisho::model::sender::{Level, Standing};
use sekisho::sender::reputation;
use sekisho::sender::{Observation, Reputation};
use sekisho::telemetry::Metrics;
use sekisho::telemetry::metrics::Limit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.as_slice() {
        [part, count] if part == "sources" => sources(count.parse().unwrap()),
        [count] => both(count.parse().unwrap()),
        _ => both(5_000_000),
    }
}

/// The second part in a process of its own, so that its memory is not what the first has left.
fn both(keys: u32) {
    limits(keys);
    let program = std::env::current_exe().unwrap();
    let sources = (keys / 5).to_string();
    assert!(std::process::Command::new(program).args(["sources", &sources]).status().unwrap().success());
}

fn limits(keys: u32) {
    let config = Config { most_keys: keys as usize, ..Config::none() };
    let config = config.with(Limit::SenderIp, Rate::new(2000, Duration::from_secs(7200)));
    let before = resident();
    let limits = Limits::build(&config, Metrics::new());
    let key = |n: u32| Key::shared(Limit::SenderIp, Who::Host(IpAddr::V4(Ipv4Addr::from(n))));
    let begun = Instant::now();
    (0..keys).for_each(|n| limits.check(key(n), 200).unwrap());
    each("first check of a key", begun, keys);
    let used = resident().saturating_sub(before);
    println!("keys in use                  {:>10}", limits.keys());
    println!("memory a key                 {:>10.1} octets ({} MB)", used as f64 / f64::from(keys), used >> 20);
    let begun = Instant::now();
    let allowed = (0..keys).filter(|n| limits.check(key(n.wrapping_mul(7919) % keys), 1).is_ok()).count();
    black_box(allowed);
    each("check of a known key", begun, keys);
    let begun = Instant::now();
    (0..keys).for_each(|n| limits.check(key(0x8000_0000 | n), 1).unwrap());
    each("check of a key when full", begun, keys);
    println!(
        "memory a key after the flood {:>10.1} octets",
        resident().saturating_sub(before) as f64 / f64::from(keys)
    );
    let kept = (0..keys / 100).filter(|n| limits.check(key(n * 100), 1900).is_err()).count();
    println!("used keys kept in the flood  {:>10.2} %", kept as f64 * 100.0 / f64::from(keys / 100));
    let begun = Instant::now();
    limits.sweep();
    println!("sweep                        {:>10.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn sources(count: u32) {
    let now = Timestamp::from_millis(1_795_176_451_250);
    let config = reputation::Config { most_sources: count as usize };
    let before = resident();
    let reputation = Reputation::in_memory(config, Metrics::new());
    // Every address a network of its own: two records each.
    let ip = |n: u32| IpAddr::V4(Ipv4Addr::from(n << 8));
    let begun = Instant::now();
    (0..count / 2).for_each(|n| reputation.saw(ip(n), None, Observation::Spam, now));
    each("first message of a source", begun, count / 2);
    println!(
        "memory a record              {:>10.1} octets",
        resident().saturating_sub(before) as f64 / f64::from(count)
    );
    let begun = Instant::now();
    let known = (0..count / 2).map(|n| ip(n.wrapping_mul(7919) % (count / 2)));
    let good = known.filter(|ip| reputation.would_say(*ip, None, Level::default(), now).standing == Standing::Good);
    assert_eq!(good.count(), 0);
    each("judgement of a source", begun, count / 2);
    let begun = Instant::now();
    (0..count / 2).for_each(|n| reputation.saw(ip(n), None, Observation::Ham, now));
    each("next message of a source", begun, count / 2);
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    reputation.save(dir.path()).unwrap();
    println!("save                         {:>10.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let again = Reputation::in_memory(config, Metrics::new());
    let begun = Instant::now();
    again.load(dir.path()).unwrap();
    println!("load                         {:>10.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn each(what: &str, begun: Instant, count: u32) {
    println!("{what:<28} {:>10.0} ns", begun.elapsed().as_secs_f64() * 1e9 / f64::from(count.max(1)));
}

/// In octets, from the kernel.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
