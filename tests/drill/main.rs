//! Drills of the real binary: crash, damage at rest, disk trouble, exactly once.
//!
//! Under `cargo test` or nextest each drill runs in its short form; `tests/drill/run` runs the full ones. This program is
//! the whole outside world of the gateway: clients, next hop and ledgers live here, so a SIGKILL of the gateway never
//! touches what is known. It reads nothing of the product but the names of its drill points.
//!
//! **Invariants**: L1 holds a reply before the client's next action; nothing is sent twice by a client, so a duplicate
//! is always the gateway's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod damage;
mod dice;
mod disk;
mod exactly_once;
mod gateway;
mod injector;
mod kills;
mod ledger;
mod nowhere;
mod scene;
mod sink;
mod wire;

use std::process::ExitCode;

use kills::Order;
use scene::Custody;

const USAGE: &str =
    "tests/drill/run [--kills N] [--seed S] [--custody queued|inline] [--clients N] [--rate N]   the crash drill
tests/drill/run --damage [--messages N] [--victims N] [--seed S]             torn and flipped records at rest
tests/drill/run --disk [--deep N] [--seed S]                                 no space, failing writes and syncs
tests/drill/run --exactly-once [--messages N] [--sessions N] [--custody ..]  smtp-source through to a hashing next hop";

type Short = fn() -> Result<(), String>;

/// What runs among the ordinary tests.
const SHORT: [(&str, Short); 5] = [
    ("crash_drill_queued", || {
        kills::run(Order { kills: 20, seed: 1, custody: Custody::Queued, clients: 16, rate: 300 })
    }),
    ("crash_drill_inline", || {
        kills::run(Order { kills: 20, seed: 2, custody: Custody::Inline, clients: 16, rate: 300 })
    }),
    ("damage_at_rest", || damage::run(3, 150, 12)),
    ("disk_trouble", || disk::run(4, 0)),
    ("exactly_once", || exactly_once::run(2_000, 20, Custody::Queued)),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let value = |word: &str| words.iter().position(|other| other == word).and_then(|at| words.get(at + 1));
    if has("--list") {
        // The little of libtest's manners that nextest needs.
        if !has("--ignored") {
            SHORT.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    if has("--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let number = |word: &str, default: u64| value(word).and_then(|text| text.parse().ok()).unwrap_or(default);
    let size = |word: &str, default: u64| usize::try_from(number(word, default)).unwrap_or(usize::MAX);
    let custody = match value("--custody").map(String::as_str) {
        Some("inline") => Custody::Inline,
        _ => Custody::Queued,
    };
    let seed = number("--seed", 20_261_120);
    if has("--disk") {
        return end("disk trouble", disk::run(seed, number("--deep", 0)));
    }
    if has("--damage") {
        return end("damage at rest", damage::run(seed, size("--messages", 2_000), size("--victims", 200)));
    }
    if has("--exactly-once") {
        return end("exactly once", exactly_once::run(size("--messages", 50_000), size("--sessions", 50), custody));
    }
    if has("--kills") || has("--seed") || has("--custody") {
        let order = Order {
            kills: number("--kills", 300),
            seed,
            custody,
            clients: number("--clients", 40),
            rate: number("--rate", 400),
        };
        return end("crash drill", kills::run(order));
    }
    short(&words)
}

fn short(words: &[String]) -> ExitCode {
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let exact = words.iter().any(|word| word == "--exact");
    let mut failed = false;
    for (name, drill) in SHORT {
        let wanted = |filter: &&&String| if exact { filter.as_str() == name } else { name.contains(filter.as_str()) };
        if filters.is_empty() || filters.iter().any(|filter| wanted(&filter)) {
            failed |= end(name, drill()) != ExitCode::SUCCESS;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn end(name: &str, result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => {
            println!("{name}: passed");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{name}: FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}
