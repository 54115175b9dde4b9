//! `sekisho suspension`: measures of the running node against senders of outbound mail that do harm.
//!
//! ```text
//! sekisho suspension ls --tenant acme
//! sekisho suspension add suspend --tenant acme --sender taro@acme.example --for 2d --reason "account taken over, ticket 812"
//! sekisho suspension lift 06abcdefghjkmnpqrstvwxyz01 --reason "password changed, ticket 812"
//! sekisho suspension confirm 5n8d... --reason "the machine was cleaned"
//! ```
//! Exit codes: 0 done, 1 failed, 2 usage, 3 no such measure, token or tenant, 5 not in force any more or confirmed too lately,
//! 69 no node answers.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;

use super::control_client::ask;
use super::queue::{QueueFailure, ended, push_query, show};
use super::{exit, suspension_text};
use crate::admin::suspension::{Add, Confirm, Entry, Lift, USUAL_LIMIT};
use crate::clock::Clock;
use crate::model::abuse::{Scope, Stage};
use crate::model::suspension::SuspensionId;
use crate::model::units::Span;
use crate::model::{Address, Domain, TenantId};

#[derive(Debug, Args)]
pub struct SuspensionArgs {
    #[command(subcommand)]
    command: SuspensionCommand,
}

#[derive(Debug, Subcommand)]
enum SuspensionCommand {
    /// List measures in force, newest first
    Ls {
        #[arg(long, value_parser = TenantId::parse)]
        tenant: Option<TenantId>,
        /// Ended ones too
        #[arg(long)]
        ended: bool,
        /// Only older ones than this
        #[arg(long, value_name = "ID")]
        before: Option<SuspensionId>,
        #[arg(long, default_value_t = USUAL_LIMIT)]
        limit: usize,
        /// NDJSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Everything about one measure, its evidence among it
    Show {
        id: SuspensionId,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Warn, throttle or suspend a sender, a client, a domain or a whole tenant; takes the place of a measure that is there
    Add(Adding),
    /// End a measure; mail that was held for it goes on
    Lift {
        id: SuspensionId,
        #[command(flatten)]
        why: Why,
    },
    /// End a warning or throttle by the code of its notice, once in a period
    Confirm {
        /// As the notice to the tenant's administrators gives it
        token: String,
        /// Why; kept with the measure and in the mail log
        #[arg(long)]
        reason: String,
        /// JSON instead of a sentence
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Adding {
    stage: StageWord,
    #[arg(long, value_parser = TenantId::parse)]
    tenant: TenantId,
    #[command(flatten)]
    whom: Whom,
    /// How long, as 90m, 24h or 7d; 0s: until it is lifted [default: as the settings say for the stage]
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    lasting: Option<Duration>,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// An envelope sender, whatever follows a plus in it
    #[arg(long, value_parser = Address::parse, value_name = "ADDRESS")]
    sender: Option<Address>,
    /// A mail server of the tenant (IPv6: its /64)
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    #[arg(long, value_parser = Domain::parse)]
    domain: Option<Domain>,
    /// All of the tenant
    #[arg(long)]
    whole_tenant: bool,
}

#[derive(Debug, Args)]
struct Why {
    /// Why; kept with the measure and in the mail log
    #[arg(long)]
    reason: String,
    /// Who does it
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME", hide_env_values = true)]
    by: String,
    /// JSON instead of a sentence
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StageWord {
    /// Told, and nothing else
    Warn,
    /// 450 beyond a small rate
    Throttle,
    /// Nothing leaves, and queued mail is held
    Suspend,
}

impl From<StageWord> for Stage {
    fn from(word: StageWord) -> Self {
        match word {
            StageWord::Warn => Self::Warn,
            StageWord::Throttle => Self::Throttle,
            StageWord::Suspend => Self::Suspend,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    Span::parse(text).map(|span| span.0).map_err(|error| error.to_string())
}

/// Runs one command against the node that owns `data_dir`; returns the exit code.
pub async fn run(args: SuspensionArgs, data_dir: &Path, out: &mut (impl Write + Send)) -> u8 {
    ended(perform(args.command, data_dir, out).await)
}

async fn perform(
    command: SuspensionCommand,
    data_dir: &Path,
    out: &mut (impl Write + Send),
) -> Result<u8, QueueFailure> {
    let now = Clock::System.now();
    match command {
        SuspensionCommand::Ls { tenant, ended, before, limit, json } => {
            let mut query = format!("/suspensions?limit={limit}&ended={ended}");
            if let Some(tenant) = tenant {
                push_query(&mut query, "tenant", tenant.as_str());
            }
            if let Some(before) = before {
                push_query(&mut query, "before", &before.to_string());
            }
            let body = ask(data_dir, Method::GET, &query, Vec::new()).await?;
            show(&body, json, out, |entries: &[Entry]| suspension_text::entries(entries, now))?;
        }
        SuspensionCommand::Show { id, json } => {
            let body = ask(data_dir, Method::GET, &format!("/suspensions/{id}"), Vec::new()).await?;
            show(&body, json, out, |entries: &[Entry]| {
                entries.iter().map(|entry| suspension_text::entry(entry, now)).collect()
            })?;
        }
        SuspensionCommand::Add(Adding { stage, tenant, whom, lasting, why }) => {
            let seconds = lasting.map(|lasting| lasting.as_secs());
            let add = Add { tenant, scope: scope(whom)?, stage: stage.into(), seconds, by: why.by, reason: why.reason };
            let body = ask(data_dir, Method::POST, "/suspensions", serde_json::to_vec(&add)?).await?;
            told(&body, why.json, out)?;
        }
        SuspensionCommand::Lift { id, why } => {
            let lift = serde_json::to_vec(&Lift { by: why.by, reason: why.reason })?;
            let body = ask(data_dir, Method::POST, &format!("/suspensions/{id}/lift"), lift).await?;
            told(&body, why.json, out)?;
        }
        SuspensionCommand::Confirm { token, reason, json } => {
            let confirm = serde_json::to_vec(&Confirm { token, reason })?;
            let body = ask(data_dir, Method::POST, "/suspensions/confirm", confirm).await?;
            told(&body, json, out)?;
        }
    }
    Ok(exit::OK)
}

fn scope(whom: Whom) -> Result<Scope, QueueFailure> {
    match whom {
        Whom { sender: Some(sender), .. } => Ok(Scope::Sender(sender)),
        Whom { client: Some(client), .. } => Ok(Scope::Client(client.to_canonical())),
        Whom { domain: Some(domain), .. } => Ok(Scope::Domain(domain)),
        Whom { whole_tenant: true, .. } => Ok(Scope::Tenant),
        _ => Err(QueueFailure::Usage("name --sender, --client, --domain or --whole-tenant".into())),
    }
}

/// The id on stdout (or all of it as JSON), the sentence on stderr.
fn told(body: &[u8], json: bool, out: &mut (impl Write + Send)) -> Result<(), QueueFailure> {
    show(body, json, out, |entries: &[Entry]| entries.iter().map(|entry| format!("{}\n", entry.id)).collect())?;
    for entry in serde_json::Deserializer::from_slice(body).into_iter::<Entry>() {
        let entry = entry?;
        eprintln!("sekisho: {}", suspension_text::sentence(&entry));
        if !entry.written {
            eprintln!("sekisho: the store is away: it is in force, and written when the store is back");
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "suspension_tests.rs"]
mod tests;
