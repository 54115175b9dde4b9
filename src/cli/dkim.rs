//! `sekisho dkim generate|ls|show|activate|rotate|retire|rm`: keys that sign, straight in the store; the running node follows.
//!
//! ```text
//! sekisho dkim generate example.com            # prints the record to publish
//! sekisho dkim activate example.com            # once the DNS has it
//! sekisho dkim rotate example.com              # later: a new key, to be published and activated
//! sekisho dkim retire example.com              # days later: the old key is erased, its record may go
//! ```
//! stdout has the records as lines of a zone file, so that they can go straight into one; words go to stderr.
//!
//! **Invariants**: no command prints or reads a private key.
//! Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 5 the key's state or what is published stands against it, 75 the DNS
//! gives no answer.

use std::io::Write;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::Failure;
use super::{Style, exit};
use crate::dns::Resolver;
use crate::model::signing::{KeyAlgorithm, KeyFacts, KeyName, KeyPair, KeyState, PrivateKey, Selector};
use crate::model::{Domain, Timestamp};
use crate::sender::authentication::keys::SigningKey;
use crate::sender::authentication::publish::{self, Unpublished};
use crate::store::{KeyEdit, KeyStore, MAX_KEYS, Signing};

#[derive(Debug, Subcommand)]
pub(super) enum DkimCommand {
    /// Make a key, and print the record to publish
    Generate(MakeArgs),
    /// List keys
    Ls {
        /// Of this domain only
        #[arg(value_parser = Domain::parse)]
        domain: Option<Domain>,
    },
    /// Show keys of a domain with their records
    Show(WhichArgs),
    /// Let a key sign, if the DNS has its record; the one that signed before stays until it is retired
    Activate {
        #[command(flatten)]
        which: WhichArgs,
        /// Don't ask the DNS
        #[arg(long)]
        unchecked: bool,
    },
    /// Ask the DNS whether it has the record of each key that is not retired
    Check(WhichArgs),
    /// Make the key that is to come after the active one, and print the record to publish
    Rotate(MakeArgs),
    /// Erase a key that was replaced; its record may go
    Retire {
        #[command(flatten)]
        which: WhichArgs,
        /// Also the active key: nothing is signed with this algorithm from then on
        #[arg(long)]
        stop_signing: bool,
    },
    /// Forget a new or retired key
    Rm {
        #[arg(value_parser = Domain::parse)]
        domain: Domain,
        #[arg(long, value_parser = Selector::parse)]
        selector: Selector,
    },
}

#[derive(Debug, Args)]
pub(super) struct MakeArgs {
    #[arg(value_parser = Domain::parse)]
    domain: Domain,
    /// [default: the date and a letter for the algorithm, as 20261121r]
    #[arg(long, value_parser = Selector::parse)]
    selector: Option<Selector>,
    /// rsa-2048 or ed25519 [default: rsa-2048; to rotate: that of the active key]
    #[arg(long, value_parser = KeyAlgorithm::parse)]
    algorithm: Option<KeyAlgorithm>,
}

/// Which key; what is left out must leave one.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    #[arg(value_parser = Domain::parse)]
    domain: Domain,
    #[arg(long, value_parser = Selector::parse)]
    selector: Option<Selector>,
    /// rsa-2048 or ed25519
    #[arg(long, value_parser = KeyAlgorithm::parse)]
    algorithm: Option<KeyAlgorithm>,
}

/// Made only if the DNS is asked.
pub(super) type MakeResolver<'a> = dyn Fn() -> Result<Arc<dyn Resolver>, Failure> + 'a;

pub(super) async fn run(
    command: DkimCommand,
    store: &dyn KeyStore,
    resolver: &MakeResolver<'_>,
    (now, style): (Timestamp, Style),
    out: &mut impl Write,
) -> Result<u8, Failure> {
    match command {
        DkimCommand::Generate(args) => {
            let algorithm = args.algorithm.unwrap_or(KeyAlgorithm::Rsa2048);
            let key = make(&args, algorithm, store, now).await?;
            tell_made(&key, style, out)?;
        }
        DkimCommand::Ls { domain } => {
            for key in store.list(domain.as_ref()).await? {
                if style.json {
                    writeln!(out, "{}", described(&key))?;
                } else {
                    writeln!(out, "{}", line(&key))?;
                }
            }
        }
        DkimCommand::Show(which) => {
            for key in which.found(store).await? {
                show(&key, style, out)?;
            }
        }
        DkimCommand::Activate { which, unchecked } => {
            let key = which.one(store, KeyState::New).await?;
            if !unchecked && matches!(key.state, KeyState::New | KeyState::Replaced) {
                check(&key, &*resolver()?).await?;
            }
            let edit = store.activate(&key.name, now).await?;
            tell_edited(edit, &key.name, style, out)?;
        }
        DkimCommand::Check(which) => {
            let keys = which.found(store).await?;
            let resolver = resolver()?;
            let mut first = None;
            for key in keys.iter().filter(|key| key.state != KeyState::Retired) {
                let checked = check(key, &*resolver).await;
                tell_checked(key, &checked, style, out)?;
                first = first.or(checked.err());
            }
            return first.map_or(Ok(exit::OK), Err);
        }
        DkimCommand::Rotate(args) => rotate(&args, store, (now, style), out).await?,
        DkimCommand::Retire { which, stop_signing } => {
            let key = which.one(store, KeyState::Replaced).await?;
            let signing = if stop_signing { Signing::MayEnd } else { Signing::MustGoOn };
            let edit = store.retire(&key.name, signing, now).await?;
            tell_edited(edit, &key.name, style, out)?;
            eprintln!("sekisho: the private key is erased; {} may go from the DNS", key.name.record_name());
        }
        DkimCommand::Rm { domain, selector } => {
            let name = KeyName::new(domain, selector).map_err(usage)?;
            match store.remove(&name).await? {
                KeyEdit::Done { .. } => eprintln!("sekisho: {name} is forgotten"),
                other => return Err(refused(&other, &name)),
            }
        }
    }
    Ok(exit::OK)
}

impl WhichArgs {
    /// All that are meant, one at least.
    async fn found(&self, store: &dyn KeyStore) -> Result<Vec<KeyFacts>, Failure> {
        let mut keys = store.list(Some(&self.domain)).await?;
        keys.retain(|key| {
            self.selector.as_ref().is_none_or(|selector| key.name.selector() == selector)
                && self.algorithm.is_none_or(|algorithm| key.algorithm == algorithm)
        });
        if keys.is_empty() {
            return Err(Failure::NotFound(format!("{} has no such key", self.domain)));
        }
        Ok(keys)
    }

    /// The one that is named, or the only one in this state.
    async fn one(&self, store: &dyn KeyStore, state: KeyState) -> Result<KeyFacts, Failure> {
        let mut keys = self.found(store).await?;
        if self.selector.is_none() {
            keys.retain(|key| key.state == state);
        }
        match <[KeyFacts; 1]>::try_from(keys) {
            Ok([key]) => Ok(key),
            Err(none) if none.is_empty() => {
                Err(Failure::NotFound(format!("{} has no key in state {state}", self.domain)))
            }
            Err(several) => {
                let names: Vec<&str> = several.iter().map(|key| key.name.selector().as_str()).collect();
                Err(Failure::Usage(format!("which of {}? Name it with --selector", names.join(", "))))
            }
        }
    }
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

async fn rotate(
    args: &MakeArgs,
    store: &dyn KeyStore,
    (now, style): (Timestamp, Style),
    out: &mut impl Write,
) -> Result<(), Failure> {
    let keys = store.list(Some(&args.domain)).await?;
    let meant = |key: &&KeyFacts| args.algorithm.is_none_or(|algorithm| key.algorithm == algorithm);
    let active: Vec<&KeyFacts> = keys.iter().filter(meant).filter(|key| key.state == KeyState::Active).collect();
    if active.is_empty() {
        let domain = &args.domain;
        return Err(Failure::NotFound(format!("{domain} has no active key to rotate; make one with dkim generate")));
    }
    if active.len() > 1 && args.selector.is_some() {
        return Err(Failure::Usage("one selector for several keys: name the algorithm too".into()));
    }
    let waits =
        |active: &&KeyFacts| keys.iter().find(|key| key.algorithm == active.algorithm && key.state == KeyState::New);
    if let Some(waiting) = active.iter().find_map(waits) {
        let name = &waiting.name;
        return Err(Failure::Conflict(format!("{name} is new already: activate it, or forget it with dkim rm")));
    }
    for old in active {
        let key = make(args, old.algorithm, store, now).await?;
        tell_made(&key, style, out)?;
        eprintln!("sekisho: {} signs until then", old.name);
    }
    Ok(())
}

async fn make(
    args: &MakeArgs,
    algorithm: KeyAlgorithm,
    store: &dyn KeyStore,
    now: Timestamp,
) -> Result<KeyFacts, Failure> {
    // Before the work is done.
    let mut name = KeyName::new(args.domain.clone(), first_selector(args, algorithm, now)?).map_err(usage)?;
    let pkcs8 = match algorithm {
        KeyAlgorithm::Rsa2048 => SigningKey::generate_rsa(),
        KeyAlgorithm::Ed25519 => SigningKey::generate_ed25519(),
    };
    let other = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
    let pkcs8 = pkcs8.map_err(|error| other(&error))?;
    let record = SigningKey::read(&pkcs8).map_err(|error| other(&error))?.record();
    let private = PrivateKey::new(pkcs8);
    for n in 2..=MAX_KEYS + 2 {
        let facts = KeyFacts {
            name: name.clone(),
            algorithm,
            state: KeyState::New,
            record: record.as_str().into(),
            created: now,
            activated: None,
            retired: None,
        };
        match store.insert(&KeyPair { facts, private: private.clone() }).await? {
            KeyEdit::Done { key, .. } => return Ok(key),
            KeyEdit::Taken if args.selector.is_none() => {
                let next = format!("{}-{n}", first_selector(args, algorithm, now)?);
                let next = Selector::parse(&next).map_err(usage)?;
                name = KeyName::new(args.domain.clone(), next).map_err(usage)?;
            }
            edit => return Err(refused(&edit, &name)),
        }
    }
    Err(refused(&KeyEdit::Taken, &name))
}

/// As wished, or by the date.
fn first_selector(args: &MakeArgs, algorithm: KeyAlgorithm, now: Timestamp) -> Result<Selector, Failure> {
    if let Some(selector) = &args.selector {
        return Ok(selector.clone());
    }
    let letter = match algorithm {
        KeyAlgorithm::Rsa2048 => 'r',
        KeyAlgorithm::Ed25519 => 'e',
    };
    let date: String = now.rfc3339().chars().take(10).filter(char::is_ascii_digit).collect();
    Selector::parse(&format!("{date}{letter}")).map_err(usage)
}

async fn check(key: &KeyFacts, resolver: &dyn Resolver) -> Result<(), Failure> {
    match publish::check(resolver, &key.name.record_name(), &key.record).await {
        Ok(()) => Ok(()),
        Err(error @ Unpublished::NoAnswer(_)) => Err(Failure::Temporary(error.to_string())),
        Err(error) => Err(Failure::Conflict(format!("{}: {error}", key.name))),
    }
}

fn tell_checked(
    key: &KeyFacts,
    checked: &Result<(), Failure>,
    style: Style,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let wrong = checked.as_ref().err().map(ToString::to_string);
    if style.json {
        let mut described = described(key);
        if let Some(members) = described.as_object_mut() {
            members.insert("published".into(), wrong.is_none().into());
            members.insert("wrong".into(), wrong.map_or(Value::Null, Value::from));
        }
        return writeln!(out, "{described}");
    }
    writeln!(out, "{} {}: {}", key.name, key.state, wrong.as_deref().unwrap_or("published"))
}

/// Why an edit was not done.
fn refused(edit: &KeyEdit, name: &KeyName) -> Failure {
    match edit {
        KeyEdit::Missing => Failure::NotFound(format!("there is no key {name}")),
        KeyEdit::Not(state) => Failure::Conflict(format!("{name} is {state}{}", hint(*state))),
        KeyEdit::Taken => Failure::Conflict(format!("there is a key {name} already")),
        KeyEdit::Full => Failure::Conflict(format!("{} has {MAX_KEYS} keys, which is the most", name.domain())),
        KeyEdit::Done { .. } => Failure::Other(format!("{name}: done")),
    }
}

fn hint(state: KeyState) -> &'static str {
    match state {
        KeyState::New => "",
        KeyState::Active => ": it signs; activate another first",
        KeyState::Replaced => ": mail that it signed may be under way; retire it first",
        KeyState::Retired => ": its private key is erased",
    }
}

fn tell_made(key: &KeyFacts, style: Style, out: &mut impl Write) -> Result<(), Failure> {
    if style.json {
        writeln!(out, "{}", described(key))?;
    } else {
        writeln!(out, "{}", publish::zone_line(&key.name.record_name(), &key.record))?;
    }
    let (domain, selector) = (key.name.domain(), key.name.selector());
    eprintln!("sekisho: publish it, then: sekisho dkim activate {domain} --selector {selector}");
    Ok(())
}

fn tell_edited(edit: KeyEdit, name: &KeyName, style: Style, out: &mut impl Write) -> Result<(), Failure> {
    let KeyEdit::Done { key, replaced } = edit else { return Err(refused(&edit, name)) };
    if style.json {
        let mut described = described(&key);
        if let Some(members) = described.as_object_mut() {
            members.insert("replaced".into(), replaced.as_ref().map_or(Value::Null, self::described));
        }
        writeln!(out, "{described}")?;
        return Ok(());
    }
    writeln!(out, "{}", line(&key))?;
    if let Some(replaced) = replaced {
        writeln!(out, "{}", line(&replaced))?;
        let (domain, selector) = (replaced.name.domain(), replaced.name.selector());
        eprintln!(
            "sekisho: leave {} in the DNS until mail that it signed has arrived, then: sekisho dkim retire {domain} \
             --selector {selector}",
            replaced.name.record_name()
        );
    }
    Ok(())
}

fn line(key: &KeyFacts) -> String {
    let KeyFacts { name, algorithm, state, created, .. } = key;
    let mut line = format!("{} {} {algorithm} {state} created {created}", name.domain(), name.selector());
    for (word, at) in [("activated", key.activated), ("retired", key.retired)] {
        if let Some(at) = at {
            line.push_str(&format!(" {word} {at}"));
        }
    }
    line
}

fn show(key: &KeyFacts, style: Style, out: &mut impl Write) -> std::io::Result<()> {
    if style.json {
        return writeln!(out, "{}", described(key));
    }
    // The first line is a comment of a zone file.
    writeln!(out, "; {}", line(key))?;
    writeln!(out, "{}", publish::zone_line(&key.name.record_name(), &key.record))
}

fn described(key: &KeyFacts) -> Value {
    let time = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    json!({
        "v": 1,
        "domain": key.name.domain().as_str(),
        "selector": key.name.selector().as_str(),
        "algorithm": key.algorithm.as_str(),
        "state": key.state.as_str(),
        "name": key.name.record_name(),
        "record": &*key.record,
        "created": key.created.rfc3339(),
        "activated": time(key.activated),
        "retired": time(key.retired),
    })
}

#[cfg(test)]
#[path = "dkim_tests.rs"]
mod tests;
