//! `sekisho accounts ls|import|export|usage`: straight in the store; the running node follows within seconds.
//!
//! ```text
//! sekisho accounts import acme.csv --tenant acme --replace --dry-run
//! sekisho accounts ls --tenant acme --json | jq -r 'select(.registered | not) | .address'
//! sekisho accounts usage --month 2026-11 --format csv > bill.csv
//! ```
//! Exit codes: 0 done, 1 failed, 2 usage, 3 not found.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::account_rows::{self, COLUMNS};
use super::failure::Failure;
use super::list::KnownTenants;
use super::{Style, exit, list_text};
use crate::accounts::{AccountStore, AccountsError, Listed, Loaded, Others, Registered, usage};
use crate::clock::Clock;
use crate::model::TenantId;
use crate::store::{SqliteAccounts, SqliteTenants, TenantStore};
use crate::tenant::lists::text::{self, Encoding};
use crate::tenant::{Day, Month, TenantSpec, Zone};

#[derive(Debug, Subcommand)]
pub(super) enum AccountsCommand {
    /// How many accounts the tenants use; with --tenant, which ones
    Ls {
        #[arg(long, value_parser = TenantId::parse)]
        tenant: Option<TenantId>,
    },
    /// Register accounts and aliases as a CSV file says
    Import(ImportArgs),
    /// Print registered accounts and aliases as CSV
    Export {
        #[arg(long, value_parser = TenantId::parse)]
        tenant: Option<TenantId>,
        /// utf-8-bom is what spreadsheet programs read
        #[arg(long, value_enum, default_value = "utf-8")]
        encoding: Written,
    },
    /// The usage of a month, from days that are closed
    Usage(UsageArgs),
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The CSV file, with a header; `-` reads stdin. Columns: address, and as needed alias_of and tenant
    file: PathBuf,
    /// Whose accounts they are, for rows that don't say it [default: whose domain it is]
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// What is not in the file is registered no more
    #[arg(long)]
    replace: bool,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value = "auto")]
    encoding: Wanted,
}

#[derive(Debug, Args)]
pub(super) struct UsageArgs {
    /// As 2026-11
    #[arg(long, value_parser = Month::parse)]
    month: Month,
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    /// NDJSON
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Auto,
    #[value(name = "utf-8")]
    Utf8,
    Cp932,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Written {
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "utf-8-bom")]
    Utf8Bom,
    Cp932,
}

impl From<AccountsError> for Failure {
    fn from(error: AccountsError) -> Self {
        Self::Other(error.to_string())
    }
}

pub(super) async fn run(
    command: AccountsCommand,
    data_dir: &Path,
    style: Style,
    stdin: impl BufRead,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let store = SqliteAccounts::open(data_dir).await?;
    let done = match command {
        AccountsCommand::Ls { tenant: None } => numbers(&store, data_dir, style, out).await,
        AccountsCommand::Ls { tenant: Some(tenant) } => list(&store, &tenant, data_dir, style, out).await,
        AccountsCommand::Import(args) => import(args, &store, data_dir, style, stdin, out).await,
        AccountsCommand::Export { tenant, encoding } => export(tenant.as_ref(), encoding, &store, out).await,
        AccountsCommand::Usage(args) => show_usage(&args, &store, style, out).await,
    };
    store.close().await;
    done
}

async fn specs(data_dir: &Path) -> Result<Vec<TenantSpec>, Failure> {
    let tenants = SqliteTenants::open(data_dir).await?;
    let mut specs = Vec::new();
    tenants.load(&mut |spec| specs.push(spec)).await?;
    Ok(specs)
}

/// As the running node has written it down: a few seconds old.
async fn numbers(
    store: &SqliteAccounts,
    data_dir: &Path,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let now = Clock::System.now();
    let mut loaded = std::collections::HashMap::new();
    store.load(&mut |id, tenant: Loaded| drop(loaded.insert(id, tenant))).await?;
    for spec in specs(data_dir).await? {
        let contract = spec.contract.as_deref();
        let today = contract.map_or_else(Zone::default, |contract| contract.time_zone.clone()).day(now);
        let row = loaded.get(&spec.id).cloned().unwrap_or_default().numbers(&spec.id, today);
        let phase = contract.map(|contract| crate::tenant::Contract::compile(contract).phase(now).as_str());
        let contracted = contract.and_then(|contract| contract.accounts);
        let group = contract.and_then(|contract| contract.group.as_ref());
        if style.json {
            let shown = json!({
                "v": 1, "tenant": spec.id, "accounts": row.accounts, "registered": row.registered,
                "observed": row.observed, "contracted": contracted, "group": group, "phase": phase, "day": today,
            });
            writeln!(out, "{shown}")?;
        } else {
            let of = match (contracted, group) {
                (Some(number), _) => format!("of {number}"),
                (None, Some(group)) => format!("in {group}"),
                (None, None) => String::new(),
            };
            let (id, phase) = (spec.id.as_str(), phase.unwrap_or("no contract"));
            let (accounts, registered, observed) = (row.accounts, row.registered, row.observed);
            writeln!(
                out,
                "{id:<20} {accounts:>7} {of:<12} {registered:>7} registered {observed:>7} observed  {phase}"
            )?;
        }
    }
    Ok(exit::OK)
}

async fn list(
    store: &SqliteAccounts,
    tenant: &TenantId,
    data_dir: &Path,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    if SqliteTenants::open(data_dir).await?.find(tenant).await?.is_none() {
        return Err(Failure::NoTenant(tenant.clone()));
    }
    let mut failed = None;
    let mut each = |one: Listed| {
        let line = if style.json { as_json(&one) } else { as_text(&one) };
        failed = writeln!(out, "{line}").err();
        failed.is_none()
    };
    store.list(Some(tenant), &mut each).await?;
    failed.map_or(Ok(exit::OK), |error| Err(error.into()))
}

fn as_json(one: &Listed) -> String {
    let mut value = serde_json::to_value(one).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.insert("v".into(), 1.into());
    }
    value.to_string()
}

fn as_text(one: &Listed) -> String {
    let how = if one.registered { "registered" } else { "observed" };
    let day = |day: Option<Day>| day.map_or_else(|| "-".into(), |day| day.to_string());
    let aliases = if one.aliases.is_empty() { String::new() } else { format!("  also {}", one.aliases.join(" ")) };
    // Addresses have no control characters, but may change the direction of writing.
    list_text::clean(&format!("{:<40} {how:<10} {:<10} {:<10}{aliases}", one.address, day(one.first), day(one.last)))
}

async fn import(
    args: ImportArgs,
    store: &SqliteAccounts,
    data_dir: &Path,
    style: Style,
    stdin: impl BufRead,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let known = KnownTenants::load(data_dir).await?;
    let octets = account_rows::read_file(&args.file, stdin)?;
    let encoding = match args.encoding {
        Wanted::Auto => None,
        Wanted::Utf8 => Some(Encoding::Utf8),
        Wanted::Cp932 => Some(Encoding::Cp932),
    };
    let (tenants, errors) = account_rows::read(&octets, encoding, args.tenant.as_ref(), &known)?;
    for (line, error) in errors.iter().take(account_rows::TOLD) {
        eprintln!("sekisho: line {line}: {}", list_text::clean(error));
    }
    if !errors.is_empty() {
        return Err(Failure::Other(format!("{} bad rows; nothing written", errors.len())));
    }
    let others = if args.replace { Others::Go } else { Others::Stay };
    let mut sum = Registered::default();
    // One transaction for each tenant; run again, it changes nothing that is done.
    for (tenant, addresses) in &tenants {
        let done = store.register(tenant, addresses, others, args.dry_run).await?;
        sum.accounts += done.accounts;
        sum.aliases += done.aliases;
        sum.removed += done.removed;
        sum.unchanged += done.unchanged;
    }
    let Registered { accounts, aliases, removed, unchanged } = sum;
    if style.json {
        let shown = json!({
            "v": 1, "dry_run": args.dry_run, "tenants": tenants.len(), "accounts": accounts, "aliases": aliases,
            "removed": removed, "unchanged": unchanged,
        });
        writeln!(out, "{shown}")?;
    } else {
        let end = if args.dry_run { "; nothing written (dry run)" } else { "" };
        writeln!(
            out,
            "{accounts} accounts and {aliases} aliases registered, {removed} removed, {unchanged} unchanged{end}"
        )?;
    }
    Ok(exit::OK)
}

async fn export(
    tenant: Option<&TenantId>,
    encoding: Written,
    store: &SqliteAccounts,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    if encoding == Written::Utf8Bom {
        out.write_all("\u{feff}".as_bytes())?;
    }
    out.write_all(list_text::csv_line(&COLUMNS.map(str::to_owned)).as_bytes())?;
    let mut failed: Option<Failure> = None;
    let mut each = |one: Listed| {
        for line in account_rows::write(&one) {
            let written = match encoding {
                Written::Utf8 | Written::Utf8Bom => out.write_all(line.as_bytes()).map_err(Failure::from),
                Written::Cp932 => match text::to_cp932(&line) {
                    Ok(octets) => out.write_all(&octets).map_err(Failure::from),
                    Err(c) => Err(Failure::Other(format!(
                        "{} has {c:?}, which CP932 can't hold; write --encoding utf-8-bom",
                        one.address
                    ))),
                },
            };
            failed = failed.take().or(written.err());
        }
        failed.is_none()
    };
    store.list(tenant, &mut each).await?;
    failed.map_or(Ok(exit::OK), Err)
}

async fn show_usage(
    args: &UsageArgs,
    store: &SqliteAccounts,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let days = store.days(args.tenant.as_ref(), args.month.first, args.month.last).await?;
    let all = usage::of_month(args.month, &days);
    let usual = if style.json { Format::Json } else { Format::Csv };
    match args.format.unwrap_or(usual) {
        Format::Csv => {
            out.write_all(list_text::csv_line(&usage::COLUMNS.map(str::to_owned)).as_bytes())?;
            for one in &all {
                out.write_all(list_text::csv_line(&one.fields()).as_bytes())?;
            }
        }
        Format::Json => {
            for one in &all {
                let mut value = serde_json::to_value(one).unwrap_or_default();
                if let Some(map) = value.as_object_mut() {
                    map.insert("v".into(), 1.into());
                }
                writeln!(out, "{value}")?;
            }
        }
    }
    if all.iter().any(|one| !one.closed) {
        eprintln!("sekisho: the month's last day is not closed yet for every tenant (closed = false)");
    }
    Ok(exit::OK)
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
