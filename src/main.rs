//! Arguments, logging, exit codes; nothing else.

use std::process::ExitCode;

use clap::Parser;
use sekisho::cli::{self, Cli};
use sekisho::config::{LogFormat, LogSettings};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(cli::run(Cli::parse(), start_logging))
}

/// To stderr: stdout is for data. Commands that only look or edit tell warnings.
fn start_logging(settings: Option<&LogSettings>) {
    let level = settings.map_or("warn", |settings| settings.level.as_str());
    let filter = EnvFilter::builder().parse_lossy(level);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start would be a fault of ours; the first one's logging goes on.
    let _ = match settings.map(|settings| settings.format) {
        Some(LogFormat::Json) => lines.json().try_init(),
        _ => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
}
