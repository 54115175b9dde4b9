//! `sekisho apply FILE`: makes the tenants equal to a file and tells what that changes.
//!
//! ```text
//! sekisho apply tenants.toml --dry-run
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::{Style, exit};
use crate::store::{Mode, SqliteTenants, TenantStore};
use crate::tenant::{self, Diff};

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// The tenants, all of them; `-` reads stdin
    file: PathBuf,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Report<'d> {
    v: u8,
    dry_run: bool,
    #[serde(flatten)]
    diff: &'d Diff,
}

pub(super) async fn run(args: ApplyArgs, data_dir: &Path, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let text = read(&args.file).map_err(|source| Failure::File { path: args.file.clone(), source })?;
    let specs = tenant::read(&args.file.display().to_string(), &text).map_err(Failure::Tenants)?;
    drop(text);
    let store = SqliteTenants::open(data_dir).await?;
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Write };
    let diff = store.apply(&specs, mode).await?;
    store.close().await;
    if style.json {
        let report = Report { v: 1, dry_run: args.dry_run, diff: &diff };
        writeln!(out, "{}", serde_json::to_string(&report).unwrap_or_default())?;
    } else {
        print(&diff, args.dry_run, out)?;
    }
    Ok(exit::OK)
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) }
}

fn print(diff: &Diff, dry_run: bool, out: &mut impl Write) -> std::io::Result<()> {
    for id in &diff.added {
        writeln!(out, "+ {id}")?;
    }
    for changed in &diff.changed {
        writeln!(out, "~ {}", changed.id)?;
        for line in &changed.differences {
            writeln!(out, "    {line}")?;
        }
    }
    for id in &diff.removed {
        writeln!(out, "- {id}")?;
    }
    let (added, changed, removed) = (diff.added.len(), diff.changed.len(), diff.removed.len());
    let end = match (dry_run, diff.is_empty()) {
        (true, _) => "nothing written (dry run)".into(),
        (false, true) => format!("version {} as before", diff.version),
        (false, false) => format!("version {}", diff.version),
    };
    writeln!(out, "{added} added, {changed} changed, {removed} removed, {} unchanged; {end}", diff.unchanged)
}
