//! Measurements of the real binary against its peers and its bars. Started by the scripts beside it:
//! `benches/side_by_side`, `benches/outbound`, `benches/idle_connections`, `benches/many_tenants`, `benches/swaps`; each says its
//! method at its head.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, reason = "shared with the drills, which use more of it")]
#[path = "../../tests/drill/dice.rs"]
mod dice;
mod figures;
#[allow(dead_code, reason = "shared with the drills, which use more of it")]
#[path = "../../tests/drill/gateway.rs"]
mod gateway;
mod idle;
mod load;
mod many_tenants;
mod meter;
#[path = "../../tests/drill/nowhere.rs"]
mod nowhere;
mod outbound;
mod postfix;
mod side_by_side;
#[allow(dead_code, reason = "shared with the drills, which use more of it")]
#[path = "../../tests/drill/sink.rs"]
mod sink;
mod swaps;
#[allow(dead_code, reason = "shared with the drills, which use more of it")]
#[path = "../../tests/drill/wire.rs"]
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str =
    "benches/side_by_side [--messages N] [--postfix-messages N] [--connections 10,100] [--without-postfix]
    [--normal] [--threads N] [--rounds N]
benches/outbound [--messages N] [--postfix-messages N] [--connections N]
benches/idle_connections [--connections N] [--beyond N]
benches/many_tenants [--count N]
benches/swaps [--swaps N] [--connections N] [--quiet SECONDS] [--pause MILLISECONDS]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |word: &str| words.iter().position(|other| other == word).and_then(|at| words.get(at + 1));
    let number = |word: &str, default: usize| value(word).and_then(|text| text.parse().ok()).unwrap_or(default);
    let program =
        std::env::var_os("SEKISHO_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sekisho")), PathBuf::from);
    let result = match words.iter().find(|word| !word.starts_with("--")).map(String::as_str) {
        Some("side-by-side") => side_by_side::run(&side_by_side::Order {
            program,
            postfix_messages: number("--postfix-messages", 4_000),
            messages: number("--messages", 40_000),
            connections: value("--connections")
                .map_or_else(|| vec![10, 100], |list| list.split(',').filter_map(|word| word.parse().ok()).collect()),
            without_postfix: words.iter().any(|word| word == "--without-postfix"),
            normal: words.iter().any(|word| word == "--normal"),
            threads: value("--threads").and_then(|text| text.parse().ok()),
            rounds: number("--rounds", 1).max(1),
        }),
        Some("outbound") => outbound::run(
            &program,
            number("--messages", 20_000),
            number("--postfix-messages", 1_500),
            number("--connections", 20),
        ),
        Some("idle") => idle::run(&program, number("--connections", 10_000), number("--beyond", 200)),
        Some("many-tenants") => many_tenants::run(&program, number("--count", 100_000)),
        Some("swaps") => swaps::run(&swaps::Order {
            program,
            swaps: number("--swaps", 100),
            connections: number("--connections", 100),
            quiet: Duration::from_secs(number("--quiet", 60) as u64),
            pause: Duration::from_millis(number("--pause", 1_000) as u64),
        }),
        // `cargo bench` starts every bench; these want their scripts.
        _ => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("a bar was missed");
            ExitCode::FAILURE
        }
        Err(why) => {
            println!("not measured: {why}");
            ExitCode::FAILURE
        }
    }
}
