//! `sekisho list add|rm|ls|import|export`: allow and block entries, straight in the store; the running node follows.
//!
//! ```text
//! sekisho list add block x.example --tenant acme --reason "ticket 812" --for 30d
//! sekisho list ls --tenant acme --value x.example --json | sekisho list rm -
//! sekisho list export --tenant acme --encoding cp932 > acme.csv
//! sekisho list import acme.csv --dry-run
//! ```
//! Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 5 the mailbox or tenant is full, 6 done in part.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::failure::Failure;
use super::list_import::{self, ImportArgs};
use super::{Style, exit, list_text};
use crate::clock::Clock;
use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::{Address, Domain, TenantId, Timestamp};
use crate::store::{ListFilter, ListStore, Mode, Put, SqliteLists, SqliteTenants, TenantStore, Whose};
use crate::tenant::lists::table::{self, Owners};
use crate::tenant::lists::{Kept, Lists, NewEntry, Note, Pattern, Place, Rule, text};

#[derive(Debug, Subcommand)]
pub(super) enum ListCommand {
    /// Add an entry, or give one that there is another reason or expiry
    Add(AddArgs),
    /// Remove entries
    Rm(RemoveArgs),
    /// List entries, and which entry shadows which
    Ls(ListArgs),
    /// Add and change entries as a CSV file says
    Import(ImportArgs),
    /// Print entries as CSV
    Export(ExportArgs),
}

/// Whose entries.
#[derive(Debug, Args)]
pub(super) struct ForWhom {
    /// Of the operator, for all tenants
    #[arg(long, conflicts_with_all = ["tenant", "domain", "mailbox"])]
    operator: bool,
    /// Of a tenant
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// Of one domain of a tenant
    #[arg(long, value_parser = Domain::parse, conflicts_with = "mailbox")]
    domain: Option<Domain>,
    /// Of one mailbox
    #[arg(long, value_parser = Address::parse)]
    mailbox: Option<Address>,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// allow or block
    #[arg(value_parser = action)]
    action: Action,
    /// An address, a domain (with all below it), a network or a country
    value: String,
    #[command(flatten)]
    whom: ForWhom,
    /// address, domain, network or country [default: as the value looks]
    #[arg(long = "type", value_parser = kind)]
    kind: Option<EntryKind>,
    /// Why; shown with every decision of the entry
    #[arg(long, allow_hyphen_values = true)]
    reason: String,
    /// Until when: 30m, 12h, 30d from now, or a time as 2026-11-20T12:00:00Z
    #[arg(long = "for", alias = "until", value_name = "TIME")]
    until: Option<String>,
    /// An allow entry that counts without authentication, for clients in this network only
    #[arg(long, value_name = "NETWORK")]
    from_network: Option<String>,
    /// Who makes it
    #[arg(long, env = "USER", default_value = "operator")]
    owner: String,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Ids; `-` reads them from stdin, one per line or as `ls --json` prints them
    #[arg(required = true)]
    ids: Vec<String>,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    whom: ForWhom,
    #[command(flatten)]
    which: Which,
    /// Only those that have expired
    #[arg(long)]
    expired: bool,
    /// Only those that another entry shadows
    #[arg(long)]
    shadowed: bool,
}

#[derive(Debug, Args)]
struct Which {
    /// address, domain, network or country
    #[arg(long = "type", value_parser = kind)]
    kind: Option<EntryKind>,
    /// allow or block
    #[arg(long, value_parser = action)]
    action: Option<Action>,
    /// Exactly this address, domain, network or country
    #[arg(long)]
    value: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    whom: ForWhom,
    #[command(flatten)]
    which: Which,
    /// Of the file; spreadsheets read UTF-8 only with its mark
    #[arg(long, value_enum, default_value = "utf-8-bom")]
    encoding: Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "utf-8-bom")]
    Utf8Bom,
    Cp932,
}

fn action(text: &str) -> Result<Action, &'static str> {
    Action::parse(text).ok_or("write allow or block")
}

fn kind(text: &str) -> Result<EntryKind, &'static str> {
    EntryKind::parse(text).ok_or("write address, domain, network or country")
}

/// Runs one command on the lists of `data_dir`; returns the exit code.
pub(super) async fn run(
    command: ListCommand,
    data_dir: &Path,
    style: Style,
    stdin: impl BufRead,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let store = SqliteLists::open(data_dir).await?;
    let done = match command {
        ListCommand::Add(args) => add(args, &store, data_dir, style, out).await,
        ListCommand::Rm(args) => remove(args, &store, style, stdin, out).await,
        ListCommand::Ls(args) => list(args, &store, data_dir, style, out).await,
        ListCommand::Import(args) => list_import::run(args, &store, data_dir, style, stdin, out).await,
        ListCommand::Export(args) => export(args, &store, data_dir, out).await,
    };
    store.close().await;
    done
}

/// Whose domains are whose, as the store says.
#[derive(Debug, Default)]
pub(super) struct KnownTenants {
    tenants: HashSet<TenantId>,
    domains: HashMap<Domain, TenantId>,
}

impl KnownTenants {
    pub(super) async fn load(data_dir: &Path) -> Result<Self, Failure> {
        let store = SqliteTenants::open(data_dir).await?;
        let mut known = Self::default();
        let mut each = |spec: crate::tenant::TenantSpec| {
            for domain in spec.domains {
                known.domains.insert(domain.name, spec.id.clone());
            }
            known.tenants.insert(spec.id);
        };
        store.load(&mut each).await?;
        Ok(known)
    }
}

impl Owners for KnownTenants {
    fn owner(&self, domain: &Domain) -> Option<TenantId> {
        self.domains.get(domain).cloned()
    }

    fn exists(&self, tenant: &TenantId) -> bool {
        self.tenants.contains(tenant)
    }
}

impl ForWhom {
    pub(super) fn is_given(&self) -> bool {
        self.operator || self.tenant.is_some() || self.domain.is_some() || self.mailbox.is_some()
    }

    pub(super) fn place(&self, known: &KnownTenants) -> Result<Place, Failure> {
        if !self.is_given() {
            return Err(Failure::Usage("for whom? give --operator, --tenant, --domain or --mailbox".into()));
        }
        let name = self.domain.as_ref().map(ToString::to_string);
        let name = name.or_else(|| self.mailbox.as_ref().map(ToString::to_string));
        let scope = self.operator.then_some(Scope::Operator);
        table::place_of(scope, self.tenant.clone(), name.as_deref(), known)
            .map_err(|error| Failure::NotFound(error.to_string()))
    }

    /// Everybody's if nobody is named; entries of a tenant that is no more can still be seen.
    async fn whose(&self, data_dir: &Path) -> Result<Whose, Failure> {
        Ok(match (self.operator, &self.tenant, self.domain.is_some() || self.mailbox.is_some()) {
            (true, ..) => Whose::Tenant(None),
            (false, Some(tenant), false) => Whose::Tenant(Some(tenant.clone())),
            (false, None, false) => Whose::Everybody,
            _ => Whose::Place(self.place(&KnownTenants::load(data_dir).await?)?),
        })
    }
}

impl Which {
    fn filter(&self, whose: Whose) -> Result<ListFilter, Failure> {
        let value = match &self.value {
            None => None,
            Some(value) => {
                let kind = self.kind.unwrap_or_else(|| Pattern::guess(value));
                Some(Pattern::parse(kind, value).map_err(usage)?.to_string())
            }
        };
        Ok(ListFilter { whose, kind: self.kind, action: self.action, value })
    }
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

/// `30m`, `12h`, `30d` from now, or a time.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Some(at) = table::read_time(text) {
        return Ok(at);
    }
    let seconds = |unit: char| match unit {
        's' => Some(1_u64),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let span = text.char_indices().next_back().and_then(|(at, unit)| {
        let count: u64 = text.get(..at)?.parse().ok()?;
        seconds(unit)?.checked_mul(count).filter(|seconds| *seconds <= LONGEST)
    });
    let span = span.ok_or_else(|| Failure::Usage(format!("{text:?}: write 30m, 12h, 30d or 2026-11-20T12:00:00Z")))?;
    Ok(now.plus(Duration::from_secs(span)))
}

/// A hundred years, in seconds.
const LONGEST: u64 = 100 * 366 * 86_400;

async fn add(
    args: AddArgs,
    store: &SqliteLists,
    data_dir: &Path,
    style: Style,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let now = Clock::System.now();
    let known = KnownTenants::load(data_dir).await?;
    let value = table::narrow(&args.value);
    let pattern = Pattern::parse(args.kind.unwrap_or_else(|| Pattern::guess(&value)), &value).map_err(usage)?;
    let bound = args.from_network.as_deref().map(Rule::read_bound).transpose().map_err(usage)?;
    let expires = args.until.as_deref().map(|text| moment(text, now)).transpose()?;
    let rule = Rule::new(args.whom.place(&known)?, args.action, pattern, bound).map_err(usage)?;
    let note = Note { owner: args.owner.into(), reason: args.reason.into(), created: now };
    let new = NewEntry::new(rule, expires, note).map_err(usage)?;
    warn_of(&new, &known);
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Write };
    let puts = store.put(std::slice::from_ref(&new), mode, None).await?;
    let Some(put) = puts.first() else { return Ok(exit::FAILED) };
    if let Put::Full(most) = put {
        return Err(Failure::Conflict(list_text::full(&new, *most)));
    }
    writeln!(out, "{}", list_text::put(None, &new, put, style))?;
    if args.dry_run {
        eprintln!("sekisho: nothing written (dry run)");
    }
    Ok(exit::OK)
}

/// Says what its maker may not have meant.
pub(super) fn warn_of(new: &NewEntry, known: &KnownTenants) {
    if let Some(warning) = warning(new, known) {
        eprintln!("sekisho: {}: {warning}", new.rule);
    }
}

fn warning(new: &NewEntry, known: &KnownTenants) -> Option<String> {
    let own = |domain: &Domain| {
        let owner = known.owner(domain)?;
        (Some(&owner) == new.rule.place.tenant()).then(|| format!("{domain} is the tenant's own"))
    };
    let broad = new.rule.pattern.broad().map(|broad| format!("{} is {broad}", new.rule.pattern));
    broad.or_else(|| match &new.rule.pattern {
        Pattern::Domain(domain) => own(domain),
        Pattern::Address(address) => own(address.domain()),
        Pattern::Network(_) | Pattern::Country(_) => None,
    })
}

async fn remove(
    args: RemoveArgs,
    store: &SqliteLists,
    style: Style,
    stdin: impl BufRead,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let mut ids = Vec::new();
    if args.ids.iter().any(|id| id == "-") {
        for line in stdin.lines() {
            let line = line?;
            if !line.trim().is_empty() {
                ids.push(id(line.trim())?);
            }
        }
    }
    for text in args.ids.iter().filter(|id| *id != "-") {
        ids.push(id(text)?);
    }
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Write };
    let removed = store.remove(&ids, mode).await?;
    for kept in &removed {
        writeln!(out, "{}", list_text::removed(kept, style))?;
    }
    let gone: HashSet<EntryId> = removed.iter().map(|kept| kept.entry.id).collect();
    let missing: HashSet<EntryId> = ids.into_iter().filter(|id| !gone.contains(id)).collect();
    for id in &missing {
        eprintln!("sekisho: there is no entry {id}");
    }
    let note = if args.dry_run { "; nothing written (dry run)" } else { "" };
    eprintln!("sekisho: {} removed, {} not found{note}", removed.len(), missing.len());
    Ok(match (missing.is_empty(), removed.is_empty()) {
        (true, _) => exit::OK,
        (false, false) => exit::PARTIAL,
        (false, true) => exit::NOT_FOUND,
    })
}

/// An id alone, with a `#`, as the first word of a line, or as the member `id` of a line of JSON.
fn id(text: &str) -> Result<EntryId, Failure> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: EntryId,
    }
    if text.starts_with('{') {
        return Ok(serde_json::from_str::<Named>(text).map_err(usage)?.id);
    }
    let word = text.split_whitespace().next().unwrap_or_default();
    let number = word.trim_start_matches('#').parse();
    number.map(EntryId).map_err(|_| Failure::Usage(format!("{word:?} is no number of an entry")))
}

async fn list(
    args: ListArgs,
    store: &SqliteLists,
    data_dir: &Path,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let now = Clock::System.now();
    let filter = args.which.filter(args.whom.whose(data_dir).await?)?;
    // The operator's entries may shadow every tenant's.
    let mut operators = Vec::new();
    let operator_only = ListFilter { whose: Whose::Tenant(None), ..ListFilter::default() };
    let mut each = |kept: Kept| {
        operators.push(kept.entry);
        true
    };
    store.list(&operator_only, &mut each).await?;
    let operators = Lists::compile(0, operators);
    // One tenant at a time: its entries can only be shadowed by its own and the operator's. Rows are filtered last, because
    // what is not shown may shadow what is.
    let mut shown = list_text::Table::new(style, now);
    let mut waiting: Vec<Kept> = Vec::new();
    let mut failed: Option<std::io::Error> = None;
    let mut close = |waiting: &mut Vec<Kept>| {
        let changes: Vec<_> =
            waiting.iter().map(|kept| crate::tenant::lists::ListChange::Put(kept.entry.clone())).collect();
        let lists = operators.edited(1, &changes);
        for kept in waiting.drain(..).filter(|kept| filter.has(&kept.entry)) {
            let shadow = lists.shadow_of(&kept.entry, now);
            let expired = kept.entry.expires.is_some_and(|at| at <= now);
            if (args.expired && !expired) || (args.shadowed && shadow.is_none()) {
                continue;
            }
            shown.row(&kept, shadow, out)?;
        }
        Ok::<_, std::io::Error>(())
    };
    let whole = ListFilter { whose: whole_tenant(&filter.whose), ..ListFilter::default() };
    let mut each = |kept: Kept| {
        if waiting.first().is_some_and(|first| first.entry.rule.place.tenant() != kept.entry.rule.place.tenant())
            && let Err(error) = close(&mut waiting)
        {
            failed = Some(error);
            return false;
        }
        waiting.push(kept);
        true
    };
    store.list(&whole, &mut each).await?;
    failed.map_or_else(|| close(&mut waiting), Err)?;
    shown.end(out)?;
    Ok(exit::OK)
}

/// What can shadow entries of these.
fn whole_tenant(whose: &Whose) -> Whose {
    match whose {
        Whose::Place(place) => Whose::Tenant(place.tenant().cloned()),
        other => other.clone(),
    }
}

async fn export(
    args: ExportArgs,
    store: &SqliteLists,
    data_dir: &Path,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let filter = args.which.filter(args.whom.whose(data_dir).await?)?;
    let mut failed: Option<Failure> = None;
    if args.encoding == Written::Utf8Bom {
        out.write_all("\u{feff}".as_bytes())?;
    }
    out.write_all(list_text::csv_line(&table::COLUMNS.map(str::to_owned)).as_bytes())?;
    let mut each = |kept: Kept| {
        let line = list_text::csv_line(&table::write_row(&kept.entry, &kept.note));
        let written = match args.encoding {
            Written::Utf8 | Written::Utf8Bom => out.write_all(line.as_bytes()).map_err(Failure::from),
            Written::Cp932 => match text::to_cp932(&line) {
                Ok(octets) => out.write_all(&octets).map_err(Failure::from),
                Err(c) => Err(Failure::Other(format!(
                    "entry {} has {c:?}, which CP932 can't hold; write --encoding utf-8-bom",
                    kept.entry.id
                ))),
            },
        };
        failed = written.err();
        failed.is_none()
    };
    store.list(&filter, &mut each).await?;
    out.flush()?;
    failed.map_or(Ok(exit::OK), Err)
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
