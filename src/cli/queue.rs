//! `sekisho queue`: see and change what waits on the running node.
//!
//! ```text
//! sekisho queue ls --domain acme.example
//! sekisho queue ls --held --json | sekisho queue release - --reason "checked, ticket 812"
//! ```
//! Exit codes: 0 done, 1 failed, 2 usage, 3 not in the queue, 69 no node answers.

use std::io::{BufRead, Write};
use std::path::Path;

use clap::{ArgGroup, Args, Subcommand};
use hyper::Method;
use serde::de::DeserializeOwned;

use super::control_client::{ClientError, ask};
use super::{exit, queue_text};
use crate::admin::queue::{Change, Changed, Destination, Entry, Filter, Selection, USUAL_LIMIT, Verb};
use crate::clock::Clock;
use crate::model::{Direction, Domain, MessageId, TenantId};

/// Ids of one request: well below what the node takes as a body.
const IDS_AT_ONCE: usize = 10_000;

#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List messages, oldest first
    Ls(ListArgs),
    /// What waits for each domain
    Summary(ListArgs),
    /// Everything about one message
    Show {
        id: MessageId,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Try again now
    Retry {
        #[command(flatten)]
        chosen: Chosen,
        /// For the mail log
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Keep from being delivered until released
    Hold(Changing),
    /// Let held messages go on
    Release(Changing),
    /// Remove for good, without a notice to the sender
    Rm(Changing),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// Recipients' domain
    #[arg(long, value_parser = Domain::parse)]
    domain: Option<Domain>,
    /// inbound or outbound
    #[arg(long, value_parser = direction)]
    direction: Option<Direction>,
    /// Only held messages
    #[arg(long)]
    held: bool,
    #[arg(long, default_value_t = USUAL_LIMIT)]
    limit: usize,
    /// NDJSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Which messages: ids, or one of the options; never everything by accident.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(false).args(["ids", "domain", "tenant", "all"]))]
struct Chosen {
    /// Message ids; `-` reads them from stdin, one per line or as `ls --json` prints them
    ids: Vec<String>,
    /// All messages with recipients of this domain
    #[arg(long, value_parser = Domain::parse)]
    domain: Option<Domain>,
    /// All messages of this tenant
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// All messages
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct Changing {
    #[command(flatten)]
    chosen: Chosen,
    /// Why; kept in the mail log
    #[arg(long)]
    reason: String,
}

pub(super) fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "inbound" => Ok(Direction::Inbound),
        "outbound" => Ok(Direction::Outbound),
        _ => Err("inbound or outbound".into()),
    }
}

/// Why a command of the queue, or of the quarantine, failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueueFailure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Usage(String),
    #[error("the node's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs one command against the node that owns `data_dir`; returns the exit code.
pub async fn run(args: QueueArgs, data_dir: &Path, stdin: impl BufRead, out: &mut (impl Write + Send)) -> u8 {
    ended(perform(args.command, data_dir, stdin, out).await)
}

/// The exit code; a failure is told on stderr.
pub(super) fn ended(done: Result<u8, QueueFailure>) -> u8 {
    match done {
        Ok(code) => code,
        Err(QueueFailure::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(failure) => {
            eprintln!("sekisho: {failure}");
            match failure {
                QueueFailure::Client(ClientError::Unavailable { .. }) => exit::UNAVAILABLE,
                QueueFailure::Client(ClientError::NotFound(_)) => exit::NOT_FOUND,
                QueueFailure::Client(ClientError::Conflict(_)) => exit::CONFLICT,
                QueueFailure::Usage(_) => exit::USAGE,
                _ => exit::FAILED,
            }
        }
    }
}

async fn perform(
    command: QueueCommand,
    data_dir: &Path,
    stdin: impl BufRead,
    out: &mut (impl Write + Send),
) -> Result<u8, QueueFailure> {
    let now = Clock::System.now();
    let (verb, chosen, reason) = match command {
        QueueCommand::Ls(list) => {
            let body = ask(data_dir, Method::GET, &path("/queue", &list), Vec::new()).await?;
            let found = body.iter().filter(|byte| **byte == b'\n').count();
            show(&body, list.json, out, |entries: &[Entry]| queue_text::entries(entries, now))?;
            if found >= list.limit {
                eprintln!("sekisho: the first {found} messages; more with --limit");
            }
            return Ok(exit::OK);
        }
        QueueCommand::Summary(list) => {
            let body = ask(data_dir, Method::GET, &path("/queue/summary", &list), Vec::new()).await?;
            show(&body, list.json, out, |found: &[Destination]| queue_text::destinations(found, now))?;
            return Ok(exit::OK);
        }
        QueueCommand::Show { id, json } => {
            let body = ask(data_dir, Method::GET, &format!("/queue/{id}"), Vec::new()).await?;
            show(&body, json, out, |entries: &[Entry]| {
                entries.iter().map(|entry| queue_text::entry(entry, now)).collect()
            })?;
            return Ok(exit::OK);
        }
        QueueCommand::Retry { chosen, reason } => (Verb::Retry, chosen, reason),
        QueueCommand::Hold(Changing { chosen, reason }) => (Verb::Hold, chosen, reason),
        QueueCommand::Release(Changing { chosen, reason }) => (Verb::Release, chosen, reason),
        QueueCommand::Rm(Changing { chosen, reason }) => (Verb::Remove, chosen, reason),
    };
    let selections = match selection(chosen, stdin)? {
        Selection::Ids(ids) => ids.chunks(IDS_AT_ONCE).map(|ids| Selection::Ids(ids.to_vec())).collect(),
        other => vec![other],
    };
    let mut total = Changed::default();
    for selection in selections {
        let body = serde_json::to_vec(&Change { verb, selection, reason: reason.clone() })?;
        let changed: Changed = serde_json::from_slice(&ask(data_dir, Method::POST, "/queue", body).await?)?;
        total.changed += changed.changed;
        total.unchanged += changed.unchanged;
        total.missing.extend(changed.missing);
    }
    for id in &total.missing {
        eprintln!("sekisho: {id} is not in the queue");
    }
    eprintln!("sekisho: {} changed, {} unchanged, {} missing", total.changed, total.unchanged, total.missing.len());
    Ok(if total.missing.is_empty() { exit::OK } else { exit::NOT_FOUND })
}

fn selection(chosen: Chosen, stdin: impl BufRead) -> Result<Selection, QueueFailure> {
    if let Some(domain) = chosen.domain {
        return Ok(Selection::Domain(domain));
    }
    if let Some(tenant) = chosen.tenant {
        return Ok(Selection::Tenant(tenant));
    }
    if chosen.all {
        return Ok(Selection::All);
    }
    Ok(Selection::Ids(ids(&chosen.ids, stdin)?))
}

/// What was typed; `-` stands for the lines of stdin.
pub(super) fn ids(words: &[String], stdin: impl BufRead) -> Result<Vec<MessageId>, QueueFailure> {
    let mut ids = Vec::new();
    if words.iter().any(|id| id == "-") {
        for line in stdin.lines() {
            let line = line?;
            if !line.trim().is_empty() {
                ids.push(id(line.trim())?);
            }
        }
    }
    for text in words.iter().filter(|id| *id != "-") {
        ids.push(id(text)?);
    }
    Ok(ids)
}

/// An id alone, as the first word of a line, or as the member `id` of a line of JSON.
fn id(text: &str) -> Result<MessageId, QueueFailure> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: MessageId,
    }
    if text.starts_with('{') {
        return Ok(serde_json::from_str::<Named>(text).map_err(|error| QueueFailure::Usage(error.to_string()))?.id);
    }
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().map_err(|error| QueueFailure::Usage(format!("{word:?}: {error}")))
}

/// The characters of ids, domains and tenants need no encoding in a query.
fn path(resource: &str, list: &ListArgs) -> String {
    let filter = Filter {
        tenant: list.tenant.clone(),
        domain: list.domain.clone(),
        direction: list.direction,
        held: list.held.then_some(true),
        limit: Some(list.limit),
    };
    let mut query = format!("{resource}?limit={}", list.limit);
    let mut add = |name: &str, value: &str| push_query(&mut query, name, value);
    if let Some(tenant) = &filter.tenant {
        add("tenant", tenant.as_str());
    }
    if let Some(domain) = &filter.domain {
        add("domain", domain.as_str());
    }
    if let Some(direction) = filter.direction {
        add("direction", direction.as_str());
    }
    if filter.held == Some(true) {
        add("held", "true");
    }
    query
}

/// Adds `&name=value`, percent-encoded.
pub(super) fn push_query(query: &mut String, name: &str, value: &str) {
    query.push('&');
    query.push_str(name);
    query.push('=');
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => query.push(char::from(byte)),
            _ => query.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// As it came with `--json`, else as text.
pub(super) fn show<T: DeserializeOwned>(
    body: &[u8],
    json: bool,
    out: &mut impl Write,
    text: impl Fn(&[T]) -> String,
) -> Result<(), QueueFailure> {
    if json {
        out.write_all(body)?;
    } else {
        let found: Vec<T> = serde_json::Deserializer::from_slice(body).into_iter().collect::<Result<_, _>>()?;
        out.write_all(text(&found).as_bytes())?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
