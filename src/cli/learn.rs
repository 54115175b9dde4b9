//! `sekisho learn spam|ham|show|forget`: what a tenant's users say of their mail, taught to the tenant's own classifier.
//!
//! ```text
//! sekisho learn spam --tenant acme Maildir/.Junk/
//! sekisho learn ham --tenant acme invoice.eml
//! sekisho learn show --tenant acme
//! ```
//! It counts for the tenant's inbound mail alone, from the next message on: the running node sees it within a second.
//!
//! **Failure**: a file that can't be read, or too large: what was told before it is learned, the rest is not. Exit codes: 0 done, 1
//! failed, 3 no such tenant.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::scan::{messages, read};
use super::{Style, exit};
use crate::app;
use crate::config::Settings;
use crate::message::specimen::{Limits, Specimen};
use crate::model::TenantId;
use crate::signatures::Layers;
use crate::signatures::layers::{LayerError, Sums};
use crate::signatures::model::Tokens;
use crate::store::{SqliteTenants, TenantStore};

/// Messages learned with one writing of the file.
const BATCH: usize = 200;

#[derive(Debug, Subcommand)]
pub(super) enum LearnCommand {
    /// These messages are spam
    Spam(Lesson),
    /// These messages are good
    Ham(Lesson),
    /// How much was taught
    Show(Whose),
    /// Forget all that was taught
    Forget(Whose),
}

#[derive(Debug, Args)]
pub(super) struct Lesson {
    #[command(flatten)]
    whose: Whose,
    /// Messages, Maildirs, other directories of messages, or - for stdin
    #[arg(required = true, value_name = "FILE|-|DIR")]
    places: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Whose {
    /// Whose mail it is; nobody else's is judged by it
    #[arg(long, value_name = "ID", value_parser = TenantId::parse)]
    tenant: TenantId,
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        Self::Other(error.to_string())
    }
}

pub(super) async fn run(
    command: LearnCommand,
    settings: &Settings,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let (LearnCommand::Spam(Lesson { whose, .. })
    | LearnCommand::Ham(Lesson { whose, .. })
    | LearnCommand::Show(whose)
    | LearnCommand::Forget(whose)) = &command;
    let id = whose.tenant.clone();
    let store = SqliteTenants::open(&settings.data_dir).await?;
    // What a tenant left behind may be forgotten when it is gone.
    let is_known = store.find(&id).await?.is_some() || matches!(command, LearnCommand::Forget(_));
    if !is_known {
        return Err(Failure::NoTenant(id));
    }
    let classifier = &settings.content.scan.classifier;
    let layers = Layers::new(classifier.dir.clone(), 0);
    match command {
        LearnCommand::Spam(lesson) => teach(settings, (&layers, &lesson, true), style, out),
        LearnCommand::Ham(lesson) => teach(settings, (&layers, &lesson, false), style, out),
        LearnCommand::Show(_) => {
            let sums = layers.sums(&id)?.unwrap_or_default();
            tell((&id, sums), None, style, out)?;
            Ok(exit::OK)
        }
        LearnCommand::Forget(_) => {
            let was = layers.forget(&id)?;
            if style.json {
                writeln!(out, "{}", json!({ "v": 1, "tenant": id, "forgotten": was }))?;
            } else if was {
                writeln!(out, "{id}: all that was taught is forgotten")?;
            } else {
                writeln!(out, "{id}: nothing was taught")?;
            }
            Ok(exit::OK)
        }
    }
}

/// Every file below a directory; of a Maildir the messages, not the files of whoever serves it nor the folders beside.
fn mail_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let own = ["cur", "new"].map(|name| dir.join(name));
    if !own.iter().all(|dir| dir.is_dir()) {
        return messages(dir);
    }
    let mut files = Vec::new();
    for dir in own {
        files.extend(messages(&dir)?);
    }
    Ok(files)
}

/// What came of a lesson.
#[derive(Debug, Default)]
struct Taken {
    messages: usize,
    /// There was nothing to learn of them.
    empty: usize,
}

fn teach(
    settings: &Settings,
    (layers, lesson, is_spam): (&Layers, &Lesson, bool),
    style: Style,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let tenant = &lesson.whose.tenant;
    let scanner = app::scanner(Some(settings)).map_err(|error| Failure::Other(error.to_string()))?;
    let mut files = Vec::new();
    for place in &lesson.places {
        match place.is_dir() {
            true => files.extend(mail_in(place)?),
            false => files.push(place.clone()),
        }
    }
    let mut taken = Taken::default();
    let mut sums = layers.sums(tenant)?.unwrap_or_default();
    for some in files.chunks(BATCH) {
        let mut words = Vec::with_capacity(some.len());
        let mut failed = None;
        for file in some {
            match words_of(file) {
                Ok(tokens) if tokens.is_empty() => taken.empty += 1,
                Ok(tokens) => words.push((tokens, is_spam)),
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        taken.messages += words.len();
        if !words.is_empty() {
            sums = layers.teach(tenant, &scanner.sets().settled(tenant).model, words)?;
        }
        if let Some(failure) = failed {
            eprintln!("sekisho: {} messages were learned before it", taken.messages);
            return Err(failure);
        }
    }
    tell((tenant, sums), Some(&taken), style, out)?;
    Ok(exit::OK)
}

fn words_of(file: &Path) -> Result<Tokens, Failure> {
    let octets = read(file).map_err(|source| Failure::File { path: file.to_path_buf(), source })?;
    Ok(Tokens::of(&Specimen::parse(octets, &Limits::default(), &|| false)))
}

fn tell(
    (tenant, sums): (&TenantId, Sums),
    taken: Option<&Taken>,
    style: Style,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let Sums { spam, ham, words } = sums;
    if style.json {
        let mut told = json!({ "v": 1, "tenant": tenant, "spam": spam, "ham": ham, "words": words });
        if let (Some(taken), Some(told)) = (taken, told.as_object_mut()) {
            told.insert("learned".into(), taken.messages.into());
            told.insert("without_words".into(), taken.empty.into());
        }
        writeln!(out, "{told}")?;
        return Ok(());
    }
    if let Some(Taken { messages, empty }) = taken {
        eprintln!("sekisho: {messages} messages learned, {empty} without words left out");
    }
    writeln!(out, "{tenant}: taught by {spam} messages of spam and {ham} good ones; {words} words")?;
    Ok(())
}

#[cfg(test)]
#[path = "learn_tests.rs"]
mod tests;
