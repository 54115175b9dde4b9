//! What the content of one message costs in CPU, with the set that comes with the program and all detectors of this process.
//!
//! ```text
//! cargo bench --bench scan                      # made-up mail of several kinds
//! cargo bench --bench scan -- FOLDER            # and every file of a folder, as one kind
//! cargo bench --bench scan -- - 5 html-20k      # five seconds of one kind alone, for a profiler
//! cargo bench --bench scan -- peers             # beside rspamd with its default rules, and spamd with the rules of its package
//! ```
//!
//! Method: one thread scans the messages of a kind over and over for a while; the processor time of the process is divided
//! by the number of messages; so is that of all processes of a peer, which gets the same messages over a socket, one by one. The
//! share of each detector is what its own timer says. Reading and deciding are in it, the
//! sender, custody and the wire are not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench: a panic is its failure"
)]

mod cpu;
mod mail;
mod peers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::model::{Address, Direction, ReversePath};
use sekisho::scan::{Config, Request, Scanner, external};
use sekisho::signatures::sets::Sets;
use sekisho::signatures::starter;
use sekisho::telemetry::Metrics;

/// How long each kind is scanned, unless it is said.
const LONG: Duration = Duration::from_secs(2);

/// Seconds of each detector, and of the whole, so far.
fn timers(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = metrics.render();
    let found = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let rest = name.strip_prefix("sekisho_scan_detector_seconds_sum{")?;
        let (_, detector) = rest.split_once("detector=\"")?;
        Some((detector.split('"').next()?.to_owned(), value.parse().ok()?))
    });
    found.collect()
}

/// A scanner of one thread with the set that comes with the program.
struct Bench {
    scanner: Scanner,
    metrics: Arc<Metrics>,
    runtime: tokio::runtime::Runtime,
}

/// What a kind of mail costs.
struct Cost {
    /// CPU of a message.
    each: Duration,
    messages: u32,
    points: i64,
}

impl Bench {
    fn new() -> Self {
        let metrics = Metrics::new();
        let sets = Arc::new(Sets::fixed(starter::set().unwrap()));
        let config = Config { workers: 1, ..Config::default() };
        let scanner = Scanner::build(config, sets, external::Config::default(), Arc::clone(&metrics), "mx.example");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { scanner, metrics, runtime }
    }

    fn cost(&self, mails: &[Bytes], long: Duration) -> Cost {
        let requests: Vec<Request> = mails.iter().map(|octets| request(octets.clone())).collect();
        let round = || {
            let scans =
                requests.iter().map(|request| self.runtime.block_on(self.scanner.scan(request.clone())).unwrap());
            scans.map(|scanned| i64::from(scanned.verdict().score.0)).sum::<i64>()
        };
        round();
        let (begun, start) = (Instant::now(), cpu::own());
        let (mut points, mut messages) = (0, 0);
        while begun.elapsed() < long {
            points += round();
            messages += u32::try_from(requests.len()).unwrap();
        }
        Cost { each: (cpu::own() - start) / messages, messages, points }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if words.first().is_some_and(|word| word == "peers") {
        return peers::run(&Bench::new());
    }
    let mut kinds = mail::made_up();
    if let Some(path) = words.first().filter(|path| *path != "-") {
        kinds.push(("folder".to_owned(), mail::folder(path)));
    }
    let long = words.get(1).map_or(LONG, |seconds| Duration::from_secs(seconds.parse().unwrap()));
    let only = words.get(2);
    let bench = Bench::new();
    for (kind, mails) in kinds.iter().filter(|(kind, _)| only.is_none_or(|only| only == kind)) {
        let size = mails.iter().map(Bytes::len).sum::<usize>() / mails.len();
        let before = timers(&bench.metrics);
        let cost = bench.cost(mails, long);
        let (each, messages) = (cost.each.as_secs_f64() * 1e6, f64::from(cost.messages));
        let (speed, points) = (size as f64 / each, cost.points as f64 / 1000.0 / messages);
        println!("{kind:<12} {size:>8} octets  {each:>9.1} us  {speed:>6.1} MB/s  {points:.2} points");
        let mut shares: Vec<_> = timers(&bench.metrics)
            .into_iter()
            .map(|(name, seconds)| ((seconds - before.get(&name).unwrap_or(&0.0)) * 1e6 / messages, name))
            .filter(|(each, _)| *each >= 1.0)
            .collect();
        shares.sort_by(|one, other| other.0.total_cmp(&one.0));
        let shares: Vec<String> = shares.iter().map(|(each, name)| format!("{name} {each:.0}")).collect();
        println!("{:<12} {}", "", shares.join(", "));
    }
}

fn request(octets: Bytes) -> Request {
    Request {
        octets,
        number: 1,
        direction: Direction::Inbound,
        tenant: None,
        client: Some("192.0.2.7".parse().unwrap()),
        helo: "mail.partner.example".into(),
        sender: ReversePath::Mailbox(Address::parse("taro@partner.example").unwrap()),
        recipients: vec![Address::parse("hanako@acme.example").unwrap()],
        own_domains: Vec::new(),
        protected: Arc::default(),
        authentication: None,
        is_relayed: false,
        first_contact: false,
    }
}
