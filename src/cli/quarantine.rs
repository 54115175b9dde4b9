//! `sekisho quarantine`: see, release and remove what the running node holds.
//!
//! ```text
//! sekisho quarantine ls --tenant acme --class spam --since 2d
//! sekisho quarantine release 06abcdefghjkmnpqrstvwxyz01 --to taro@acme.example --reason "asked for, ticket 812"
//! sekisho quarantine release 06abcdefghjkmnpqrstvwxyz02 --no-learn --reason "wanted as a specimen"
//! sekisho quarantine ls --class malware --json | sekisho quarantine rm - --reason "outbreak of Monday"
//! ```
//! Exit codes: 0 done, 1 failed, 2 usage, 3 not in quarantine, 6 done in part, 69 no node answers.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;

use super::control_client::ask;
use super::queue::{QueueFailure, direction, ended, ids, push_query, show};
use super::{exit, quarantine_text};
use crate::admin::quarantine::{Change, Changed, Entry, MOST_CHANGED, USUAL_LIMIT, Verb};
use crate::clock::Clock;
use crate::model::finding::Class;
use crate::model::units::Span;
use crate::model::{Address, Direction, MessageId, TenantId};

#[derive(Debug, Args)]
pub struct QuarantineArgs {
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List held messages, newest first
    Ls(ListArgs),
    /// Everything about one message but its content
    Show {
        id: MessageId,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Give messages to their recipients
    Release(Releasing),
    /// Remove messages for good, without a notice
    Rm(Changing),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// inbound or outbound
    #[arg(long, value_parser = direction)]
    direction: Option<Direction>,
    /// malware, risky-file, ambiguous, unscannable, encrypted, phishing, impersonation, spam or bulk
    #[arg(long, value_parser = class)]
    class: Option<Class>,
    /// The sender of the envelope
    #[arg(long, value_parser = Address::parse)]
    sender: Option<Address>,
    #[arg(long, value_parser = Address::parse)]
    recipient: Option<Address>,
    /// Held within this time, as 90m, 24h or 7d
    #[arg(long, value_parser = duration, value_name = "TIME")]
    since: Option<Duration>,
    /// Only older ones than this message
    #[arg(long, value_name = "ID")]
    before: Option<MessageId>,
    #[arg(long, default_value_t = USUAL_LIMIT)]
    limit: usize,
    /// NDJSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Releasing {
    #[command(flatten)]
    changing: Changing,
    /// Mail held as spam does not teach the tenant's classifier that it is good
    #[arg(long)]
    no_learn: bool,
}

#[derive(Debug, Args)]
struct Changing {
    /// Message ids; `-` reads them from stdin, one per line or as `ls --json` prints them
    #[arg(required = true)]
    ids: Vec<String>,
    /// Only for this recipient; may be given several times, with one id
    #[arg(long = "to", value_parser = Address::parse, value_name = "ADDRESS")]
    recipients: Vec<Address>,
    /// Why; kept in the mail log
    #[arg(long)]
    reason: String,
}

fn class(text: &str) -> Result<Class, String> {
    let known = || Class::ALL.map(Class::name).join(", ");
    Class::ALL.into_iter().find(|class| class.name() == text).ok_or_else(|| format!("one of {}", known()))
}

fn duration(text: &str) -> Result<Duration, String> {
    Span::parse(text).map(|span| span.0).map_err(|error| error.to_string())
}

/// Runs one command against the node that owns `data_dir`; returns the exit code.
pub async fn run(args: QuarantineArgs, data_dir: &Path, stdin: impl BufRead, out: &mut (impl Write + Send)) -> u8 {
    ended(perform(args.command, data_dir, stdin, out).await)
}

async fn perform(
    command: QuarantineCommand,
    data_dir: &Path,
    stdin: impl BufRead,
    out: &mut (impl Write + Send),
) -> Result<u8, QueueFailure> {
    let now = Clock::System.now();
    let (verb, chosen, teaches) = match command {
        QuarantineCommand::Ls(list) => {
            let body = ask(data_dir, Method::GET, &path(&list), Vec::new()).await?;
            let found = body.iter().filter(|byte| **byte == b'\n').count();
            show(&body, list.json, out, |entries: &[Entry]| quarantine_text::entries(entries, now))?;
            if found >= list.limit {
                eprintln!("sekisho: the newest {found} messages; more with --limit, older ones with --before");
            }
            return Ok(exit::OK);
        }
        QuarantineCommand::Show { id, json } => {
            let body = ask(data_dir, Method::GET, &format!("/quarantine/{id}"), Vec::new()).await?;
            show(&body, json, out, |entries: &[Entry]| {
                entries.iter().map(|entry| quarantine_text::entry(entry, now)).collect()
            })?;
            return Ok(exit::OK);
        }
        QuarantineCommand::Release(chosen) => (Verb::Release, chosen.changing, !chosen.no_learn),
        QuarantineCommand::Rm(chosen) => (Verb::Remove, chosen, true),
    };
    let ids = ids(&chosen.ids, stdin)?;
    if !chosen.recipients.is_empty() && ids.len() != 1 {
        return Err(QueueFailure::Usage("--to goes with one message".into()));
    }
    let recipients = (!chosen.recipients.is_empty()).then_some(chosen.recipients);
    let mut total = Changed::default();
    for ids in ids.chunks(MOST_CHANGED) {
        let (recipients, reason) = (recipients.clone(), chosen.reason.clone());
        let change = Change { verb, ids: ids.to_vec(), recipients, reason, teaches };
        let body = serde_json::to_vec(&change)?;
        let changed: Changed = serde_json::from_slice(&ask(data_dir, Method::POST, "/quarantine", body).await?)?;
        total.changed += changed.changed;
        total.recipients += changed.recipients;
        total.missing.extend(changed.missing);
        total.failed.extend(changed.failed);
    }
    Ok(told(verb, &total))
}

/// Says what was done; the exit code.
fn told(verb: Verb, total: &Changed) -> u8 {
    for id in &total.missing {
        eprintln!("sekisho: {id} is not in quarantine");
    }
    for failed in &total.failed {
        eprintln!("sekisho: {}: {}", failed.id, quarantine_text::line(&failed.why));
    }
    let done = match verb {
        Verb::Release => "released",
        Verb::Remove => "removed",
    };
    eprintln!(
        "sekisho: {} {done} for {} recipients, {} failed, {} missing",
        total.changed,
        total.recipients,
        total.failed.len(),
        total.missing.len()
    );
    match (total.changed, total.failed.len(), total.missing.len()) {
        (_, 0, 0) => exit::OK,
        (0, 0, _) => exit::NOT_FOUND,
        (0, ..) => exit::FAILED,
        _ => exit::PARTIAL,
    }
}

fn path(list: &ListArgs) -> String {
    let mut query = format!("/quarantine?limit={}", list.limit);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            push_query(&mut query, name, &value);
        }
    };
    add("tenant", list.tenant.as_ref().map(ToString::to_string));
    add("direction", list.direction.map(|direction| direction.as_str().into()));
    add("class", list.class.map(|class| class.name().into()));
    add("sender", list.sender.as_ref().map(ToString::to_string));
    add("recipient", list.recipient.as_ref().map(ToString::to_string));
    add("before", list.before.map(|id| id.to_string()));
    let since = list.since.map(|since| {
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Clock::System.now().as_millis().saturating_sub(millis).to_string()
    });
    add("since", since);
    query
}

#[cfg(test)]
#[path = "quarantine_tests.rs"]
mod tests;
