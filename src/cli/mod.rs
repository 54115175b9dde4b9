//! The command line: one file per command. Data goes to stdout, everything else to stderr; exit codes are stable.

mod account_rows;
mod accounts;
mod apply;
pub mod control_client;
mod dkim;
pub mod exit;
pub mod explain;
mod failure;
mod learn;
mod list;
mod list_import;
mod list_text;
pub mod quarantine;
mod quarantine_text;
pub mod queue;
mod queue_text;
pub mod reputation;
pub mod scan;
mod serve;
mod settings;
mod signatures;
mod signatures_train;
pub mod suspension;
mod suspension_text;
mod tenant;
mod tenant_purge;

use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app;
use crate::clock::Clock;
use crate::config::{self, Loaded, LogSettings};
use crate::store::SqliteKeys;
use failure::Failure;

/// The checkpoint for mail: a multi-tenant mail security gateway.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 5 conflict, 6 done in part, 69 no node answers, \
                        75 try again later, 78 bad settings."
)]
pub struct Cli {
    /// The settings file [default: ./sekisho.toml, otherwise /etc/sekisho/sekisho.toml]
    #[arg(long, short, global = true, env = "SEKISHO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON on stdout instead of text (NDJSON for lists)
    #[arg(long, global = true)]
    json: bool,
    /// No colours, as with NO_COLOR in the environment
    #[arg(long, global = true)]
    no_color: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve,
    /// Start a gateway on loopback with example mail, and tell what became of each message
    Demo,
    /// Make the tenants equal to a file
    Apply(apply::ApplyArgs),
    /// See tenants; hash a password for one
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// See and register the accounts that tenants use, and what a month's bill rests on
    #[command(subcommand)]
    Accounts(accounts::AccountsCommand),
    /// See and change allow and block lists
    #[command(subcommand)]
    List(list::ListCommand),
    /// See, make and change the keys that sign
    #[command(subcommand)]
    Dkim(dkim::DkimCommand),
    /// Make signature sets of packs, put them in force, take them back
    #[command(subcommand)]
    Signatures(signatures::SignaturesCommand),
    /// Teach a tenant's classifier what is spam and what is good
    #[command(subcommand)]
    Learn(learn::LearnCommand),
    /// See and change what waits on the running node
    Queue(queue::QueueArgs),
    /// See, release and remove what the running node holds in quarantine
    Quarantine(quarantine::QuarantineArgs),
    /// See, take and lift measures against senders of outbound mail that do harm
    Suspension(suspension::SuspensionArgs),
    /// See and change what the running node knows of a source
    Reputation(reputation::ReputationArgs),
    /// Ask the running node what it would say, and why
    #[command(subcommand)]
    Explain(explain::ExplainCommand),
    /// Look into messages as the gateway would
    Scan(scan::ScanArgs),
    /// Check, show and explain the settings
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Print a completion script for a shell
    Completion { shell: clap_complete::Shell },
}

/// How to print.
#[derive(Debug, Clone, Copy)]
struct Style {
    json: bool,
    /// Of stderr.
    color: bool,
}

/// Runs the command; returns the exit code. `logging` is called once it is known what to log.
pub fn run(cli: Cli, logging: impl FnOnce(Option<&LogSettings>)) -> u8 {
    let no_color = cli.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = !no_color && std::io::IsTerminal::is_terminal(&std::io::stderr());
    // What we write holds mail and password hashes: nobody else's business, whatever the usual mode is here.
    let _ = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let style = Style { json: cli.json, color };
    let done = match cli.command {
        Command::Serve => {
            let file = cli.config.unwrap_or_else(config::default_path);
            load(&file).and_then(|loaded| {
                logging(Some(&loaded.settings.log));
                serve::run(&file, loaded)
            })
        }
        Command::Demo => {
            logging(None);
            serve::demo()
        }
        Command::Scan(args) => {
            logging(None);
            looked(args, cli.config, style)
        }
        command => {
            logging(None);
            let file = cli.config.unwrap_or_else(config::default_path);
            short(command, file, style)
        }
    };
    done.unwrap_or_else(|failure| failure.tell(style))
}

/// `scan`, whose exit codes are its own.
fn looked(args: scan::ScanArgs, config: Option<PathBuf>, style: Style) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let code = runtime.block_on(scan::run(args, config.as_deref(), style, &mut out));
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(code),
    }
}

/// Commands that look or edit and end.
fn short(command: Command, file: PathBuf, style: Style) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let code = runtime.block_on(async {
        match command {
            Command::Apply(args) => apply::run(args, &load(&file)?.settings.data_dir, style, &mut out).await,
            Command::Tenant(command) => tenant::run(command, &file, style, &mut out).await,
            Command::Accounts(command) => {
                let data_dir = load(&file)?.settings.data_dir;
                accounts::run(command, &data_dir, style, std::io::stdin().lock(), &mut out).await
            }
            Command::List(command) => {
                let data_dir = load(&file)?.settings.data_dir;
                list::run(command, &data_dir, style, std::io::stdin().lock(), &mut out).await
            }
            Command::Dkim(command) => {
                let settings = load(&file)?.settings;
                let store = SqliteKeys::open(&settings.data_dir).await?;
                let resolver = || app::resolver(&settings).map_err(|error| Failure::Other(error.to_string()));
                let now = Clock::System.now();
                let done = dkim::run(command, &store, &resolver, (now, style), &mut out).await;
                store.close().await;
                done
            }
            Command::Queue(args) => {
                let data_dir = load(&file)?.settings.data_dir;
                Ok(queue::run(args, &data_dir, std::io::stdin().lock(), &mut out).await)
            }
            Command::Quarantine(args) => {
                let data_dir = load(&file)?.settings.data_dir;
                Ok(quarantine::run(args, &data_dir, std::io::stdin().lock(), &mut out).await)
            }
            Command::Suspension(args) => {
                let data_dir = load(&file)?.settings.data_dir;
                Ok(suspension::run(args, &data_dir, &mut out).await)
            }
            Command::Reputation(args) => {
                let data_dir = load(&file)?.settings.data_dir;
                Ok(reputation::run(args, &data_dir, &mut out).await)
            }
            Command::Explain(command) => {
                let data_dir = load(&file)?.settings.data_dir;
                Ok(explain::run(command, &data_dir, style, &mut out).await)
            }
            Command::Signatures(command) => {
                let node = || {
                    let settings = load(&file)?.settings.content.signatures;
                    Ok(signatures::Node { dir: settings.dir, keys: settings.keys, signers: settings.signers })
                };
                signatures::run(command, node, style, &mut out)
            }
            Command::Learn(command) => learn::run(command, &load(&file)?.settings, style, &mut out).await,
            Command::Config(command) => settings::run(&command, &file, style, &mut out),
            Command::Completion { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "sekisho", &mut out);
                Ok(exit::OK)
            }
            Command::Serve | Command::Demo | Command::Scan(_) => Ok(exit::USAGE),
        }
    })?;
    out.flush()?;
    Ok(code)
}

fn load(file: &std::path::Path) -> Result<Loaded, Failure> {
    config::load(file, std::env::vars()).map_err(Failure::Settings)
}

#[cfg(test)]
mod tests;
