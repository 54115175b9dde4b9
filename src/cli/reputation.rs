//! `sekisho reputation`: what the running node knows of a source, and an operator's word over it.
//!
//! ```text
//! sekisho reputation show 192.0.2.7
//! sekisho reputation set 192.0.2.7 good --for 24h --reason "customer's new server, ticket 812"
//! sekisho reputation forget 192.0.2.7
//! ```
//! Exit codes: 0 done, 1 failed, 2 usage, 3 nothing to forget, 69 no node answers.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;

use super::control_client::{ClientError, ask};
use super::exit;
use crate::admin::reputation::{Set, Shown, Subject, Sums};
use crate::model::sender::Standing;
use crate::model::units::Span;

#[derive(Debug, Args)]
pub struct ReputationArgs {
    #[command(subcommand)]
    command: ReputationCommand,
}

#[derive(Debug, Subcommand)]
enum ReputationCommand {
    /// Counts of an address or an authenticated domain, and what each level makes of it
    Show {
        address: Subject,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Put an operator's word over the counts, at levels 1 to 4
    Set {
        address: Subject,
        standing: Word,
        /// How long, as 90m, 24h or 7d [default: until it is set anew or forgotten]
        #[arg(long = "for", value_parser = duration, value_name = "TIME")]
        lasting: Option<Duration>,
        /// Why; shown with it
        #[arg(long)]
        reason: String,
    },
    /// Forget the counts and what was set
    Forget { address: Subject },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// Neither delayed nor refused
    Good,
    /// 450
    Delayed,
    /// 550
    Refused,
}

fn duration(text: &str) -> Result<Duration, String> {
    Span::parse(text).map(|span| span.0).map_err(|error| error.to_string())
}

/// Runs one command against the node that owns `data_dir`; returns the exit code.
pub async fn run(args: ReputationArgs, data_dir: &Path, out: &mut (impl Write + Send)) -> u8 {
    match perform(args.command, data_dir, out).await {
        Ok(()) => exit::OK,
        Err(Trouble::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(trouble) => {
            eprintln!("sekisho: {trouble}");
            match trouble {
                Trouble::Client(ClientError::Unavailable { .. }) => exit::UNAVAILABLE,
                Trouble::Client(ClientError::NotFound(_)) => exit::NOT_FOUND,
                _ => exit::FAILED,
            }
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the node's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

async fn perform(command: ReputationCommand, data_dir: &Path, out: &mut (impl Write + Send)) -> Result<(), Trouble> {
    match command {
        ReputationCommand::Show { address, json } => {
            let body = ask(data_dir, Method::GET, &path(&address), Vec::new()).await?;
            if json {
                out.write_all(&body)?;
            } else {
                out.write_all(text(&serde_json::from_slice(&body)?).as_bytes())?;
            }
        }
        ReputationCommand::Set { address, standing, lasting, reason } => {
            let standing = match standing {
                Word::Good => Standing::Good,
                Word::Delayed => Standing::Delayed,
                Word::Refused => Standing::Refused,
            };
            let seconds = lasting.map(|lasting| lasting.as_secs());
            let set = serde_json::to_vec(&Set { standing, reason: reason.into(), seconds })?;
            ask(data_dir, Method::PUT, &path(&address), set).await?;
            eprintln!("sekisho: {address} is set");
        }
        ReputationCommand::Forget { address } => {
            ask(data_dir, Method::DELETE, &path(&address), Vec::new()).await?;
            eprintln!("sekisho: {address} is forgotten");
        }
    }
    Ok(out.flush()?)
}

/// The characters of addresses and domains need no encoding in a path.
fn path(subject: &Subject) -> String {
    format!("/reputation/{subject}")
}

fn text(shown: &Shown) -> String {
    let mut text = format!("{}\n", shown.subject);
    let mut counts = |name: &str, sums: &Option<Sums>| {
        let _ = match sums {
            None => writeln!(text, "  {name:<8} nothing known"),
            Some(sums) => {
                let _ = write!(text, "  {name:<8} ham {:.2}, spam {:.2}", sums.ham, sums.spam);
                let _ = write!(text, ", unknown recipients {:.2}", sums.unknown_recipients);
                let _ = write!(text, ", malformed {:.2}", sums.malformed);
                match sums.last_offence {
                    Some(at) => writeln!(text, "; last offence {at}"),
                    None => writeln!(text),
                }
            }
        };
    };
    counts("own", &shown.own);
    if shown.network.is_some() {
        counts("network", &shown.network);
    }
    if let Some(set) = &shown.set {
        let until = set.until.map_or("forgotten".into(), |until| until.to_string());
        let reason: String = set.reason.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(text, "  set      {} at {} until {until}: {reason}", word(set.standing), set.since);
    }
    for at in &shown.levels {
        let _ = write!(text, "  level {}  {}", at.level, word(at.standing));
        if &*at.why != "nothing" {
            let _ = write!(text, " for its {}", if &*at.why == "operator" { "setting" } else { &at.why });
        }
        if let Some(until) = at.until {
            let _ = write!(text, " until {until}");
        }
        text.push('\n');
    }
    text
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Unknown => "unknown",
        Standing::Delayed => "delayed",
        Standing::Refused => "refused",
    }
}

#[cfg(test)]
#[path = "reputation_tests.rs"]
mod tests;
