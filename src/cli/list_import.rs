//! `sekisho list import FILE`: reads a CSV file three times: to find out its encoding and hash, to check every row, and to put
//! them in batches of one transaction each, with how far it has come. So a file with too many bad rows changes nothing, and
//! an import that is cut off goes on where it was.

use std::fs::File;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::failure::Failure;
use super::list::{ForWhom, KnownTenants, warn_of};
use super::{Style, exit, list_text};
use crate::clock::Clock;
use crate::store::{Checkpoint, FileHash, ListStore, Mode, Put, SqliteLists};
use crate::tenant::lists::NewEntry;
use crate::tenant::lists::rows::{FileError, Rows};
use crate::tenant::lists::table::Defaults;
use crate::tenant::lists::text::{Detector, Encoding};

/// Rows of one transaction.
const BATCH: usize = 1_000;
/// A dry run takes everything back at the end of its transaction: rows of one file should see each other.
const DRY_BATCH: usize = 20_000;
/// More than this is read from a file, not from stdin.
const LONGEST_STDIN: u64 = 256 << 20;
/// Bad rows that are told one by one.
const TOLD: u64 = 100;
/// How often progress is told where there is no terminal.
const TELL_EVERY: Duration = Duration::from_secs(5);
const DRAW_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The CSV file, with a header; `-` reads stdin. Columns: action, value, and as needed kind, scope, tenant, for,
    /// from_network, expires, owner, reason, created
    file: PathBuf,
    #[command(flatten)]
    whom: ForWhom,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value = "auto")]
    encoding: Wanted,
    /// Bad rows that are left out; with more of them nothing is written
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_errors: u64,
    /// Begin with the first row even if an earlier import of this file was cut off
    #[arg(long)]
    restart: bool,
    /// Of entries whose row doesn't say it
    #[arg(long, env = "USER", default_value = "operator")]
    owner: String,
    /// No progress on stderr
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Auto,
    #[value(name = "utf-8")]
    Utf8,
    Cp932,
}

#[derive(Debug, Default)]
struct Counts {
    added: u64,
    changed: u64,
    unchanged: u64,
    errors: u64,
}

pub(super) async fn run(
    args: ImportArgs,
    store: &SqliteLists,
    data_dir: &Path,
    style: Style,
    stdin: impl BufRead,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let known = KnownTenants::load(data_dir).await?;
    let place = args.whom.is_given().then(|| args.whom.place(&known)).transpose()?;
    let source = Source::open(&args.file, stdin)?;
    let (file, detected) = source.look(&place.as_ref().map_or(String::new(), ToString::to_string))?;
    let encoding = match args.encoding {
        Wanted::Auto => detected,
        Wanted::Utf8 => Encoding::Utf8,
        Wanted::Cp932 => Encoding::Cp932,
    };
    let defaults = Defaults { place, owner: args.owner.as_str().into(), now: Clock::System.now() };
    let mut told = Told { style, progress: Progress::new(&args, style), errors: 0 };
    let checked = check(&source, encoding, &defaults, &known, &mut told)?;
    told.checked(&checked, encoding);
    if checked.errors > args.max_errors {
        let bad = checked.errors;
        return Err(Failure::Other(format!(
            "{bad} bad rows, at most {} are left out; nothing written",
            args.max_errors
        )));
    }
    let mut import = Import { store, file, mode: if args.dry_run { Mode::DryRun } else { Mode::Write }, done: 0 };
    if args.restart {
        store.forget_checkpoint(&file).await?;
    }
    let skip = if args.dry_run { 0 } else { store.checkpoint(&file).await?.unwrap_or(0) };
    if skip > 0 {
        eprintln!(
            "sekisho: an earlier import of this file was cut off after {skip} rows; going on there (--restart begins anew)"
        );
    }
    let mut counts = Counts { errors: checked.errors, ..Counts::default() };
    let size = if args.dry_run { DRY_BATCH } else { BATCH };
    let mut batch: Vec<(u64, NewEntry)> = Vec::new();
    let mut rows = Rows::open(source.read()?, encoding)?;
    while let Some(row) = rows.row(&defaults, &known)? {
        import.done += 1;
        if import.done <= skip {
            continue;
        }
        if let Ok((entry, _)) = row.entry {
            batch.push((row.line, entry));
        }
        if batch.len() == size {
            import.put(&mut batch, &mut counts, &mut told, out).await?;
            told.progress.at(import.done, checked.rows);
            if counts.errors > args.max_errors {
                return too_many(&counts, &told);
            }
        }
    }
    import.put(&mut batch, &mut counts, &mut told, out).await?;
    told.progress.end();
    if counts.errors > args.max_errors {
        return too_many(&counts, &told);
    }
    store.forget_checkpoint(&file).await?;
    told.done(&counts, args.dry_run, out)?;
    Ok(if counts.errors > 0 { exit::PARTIAL } else { exit::OK })
}

/// Rows that the store refuses are found only when they are put: what came before them stays.
fn too_many(counts: &Counts, told: &Told) -> Result<u8, Failure> {
    told.progress.end();
    let Counts { added, changed, errors, .. } = counts;
    eprintln!("sekisho: stopped after {errors} bad rows; {added} added, {changed} changed before");
    Ok(if added + changed > 0 { exit::PARTIAL } else { exit::CONFLICT })
}

struct Import<'i> {
    store: &'i SqliteLists,
    file: FileHash,
    mode: Mode,
    /// Rows, good or bad.
    done: u64,
}

impl Import<'_> {
    async fn put(
        &mut self,
        batch: &mut Vec<(u64, NewEntry)>,
        counts: &mut Counts,
        told: &mut Told,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let (lines, entries): (Vec<u64>, Vec<NewEntry>) = batch.drain(..).unzip();
        let checkpoint = Checkpoint { file: self.file, row: self.done };
        let puts = self.store.put(&entries, self.mode, Some(checkpoint)).await?;
        for ((line, new), put) in lines.into_iter().zip(&entries).zip(&puts) {
            match put {
                Put::Added(_) => counts.added += 1,
                Put::Changed(..) => counts.changed += 1,
                Put::Unchanged(_) => counts.unchanged += 1,
                Put::Full(most) => {
                    counts.errors += 1;
                    told.error(line, &list_text::full(new, *most));
                }
            }
            if self.mode == Mode::DryRun && !matches!(put, Put::Unchanged(_) | Put::Full(_)) {
                // The number would be another one's.
                let put = if let Put::Added(_) = put { &Put::Added(crate::model::lists::EntryId(0)) } else { put };
                writeln!(out, "{}", list_text::put(Some(line), new, put, told.style))?;
            }
        }
        Ok(())
    }
}

struct Checked {
    rows: u64,
    errors: u64,
    /// Rows with full-width characters or blanks around.
    normalised: u64,
}

fn check(
    source: &Source,
    encoding: Encoding,
    defaults: &Defaults,
    known: &KnownTenants,
    told: &mut Told,
) -> Result<Checked, Failure> {
    let mut checked = Checked { rows: 0, errors: 0, normalised: 0 };
    let mut rows = Rows::open(source.read()?, encoding)?;
    while let Some(row) = rows.row(defaults, known)? {
        checked.rows += 1;
        match row.entry {
            Ok((entry, normalised)) => {
                warn_of(&entry, known);
                if normalised {
                    checked.normalised += 1;
                    told.normalised(row.line, &entry, checked.normalised);
                }
            }
            Err(error) => {
                checked.errors += 1;
                told.error(row.line, &error.to_string());
            }
        }
    }
    Ok(checked)
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Other(error.to_string())
    }
}

/// A file that can be read again and again.
enum Source {
    File(PathBuf),
    Stdin(Vec<u8>),
}

impl Source {
    fn open(file: &Path, stdin: impl BufRead) -> Result<Self, Failure> {
        if file != Path::new("-") {
            return Ok(Self::File(file.to_owned()));
        }
        let mut octets = Vec::new();
        stdin.take(LONGEST_STDIN + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > LONGEST_STDIN {
            return Err(Failure::Usage(format!("stdin is longer than {LONGEST_STDIN} octets; import from a file")));
        }
        Ok(Self::Stdin(octets))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>, Failure> {
        Ok(match self {
            Self::File(path) => {
                Box::new(File::open(path).map_err(|source| Failure::File { path: path.clone(), source })?)
            }
            Self::Stdin(octets) => Box::new(octets.as_slice()),
        })
    }

    /// The hash of the file with how it is read, and its encoding.
    fn look(&self, how: &str) -> Result<(FileHash, Encoding), Failure> {
        let mut hash = Context::new(&SHA256);
        hash.update(how.as_bytes());
        hash.update(&[0]);
        let mut detector = Detector::default();
        let mut from = self.read()?;
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut piece)?;
            let octets = piece.get(..read).unwrap_or_default();
            if octets.is_empty() {
                break;
            }
            hash.update(octets);
            detector.piece(octets);
        }
        let hash = hash.finish().as_ref().try_into().unwrap_or_default();
        Ok((hash, detector.encoding()))
    }
}

/// What is said while it runs: on stderr, or as events on stdout with `--json`.
struct Told {
    style: Style,
    progress: Progress,
    errors: u64,
}

impl Told {
    fn error(&mut self, line: u64, what: &str) {
        self.errors += 1;
        if self.errors > TOLD {
            return;
        }
        self.progress.clear();
        let what = list_text::clean(what);
        if self.style.json {
            println!("{}", json!({ "v": 1, "event": "error", "line": line, "error": what }));
        } else {
            eprintln!("sekisho: line {line}: {what}");
        }
    }

    fn normalised(&self, line: u64, entry: &NewEntry, count: u64) {
        if count > TOLD {
            return;
        }
        let rule = list_text::clean(&entry.rule.to_string());
        if self.style.json {
            println!("{}", json!({ "v": 1, "event": "normalised", "line": line, "rule": rule }));
        } else {
            eprintln!("sekisho: line {line}: full-width characters or blanks; read as {rule}");
        }
    }

    fn checked(&self, checked: &Checked, encoding: Encoding) {
        let Checked { rows, errors, normalised } = checked;
        if self.errors > TOLD {
            eprintln!("sekisho: and {} more bad rows", self.errors - TOLD);
        }
        if self.style.json {
            let encoding = encoding.as_str();
            println!(
                "{}",
                json!({ "v": 1, "event": "checked", "rows": rows, "errors": errors, "normalised": normalised, "encoding": encoding })
            );
        } else if self.progress.every.is_some() {
            eprintln!("sekisho: {rows} rows in {}, {errors} bad, {normalised} read in narrow form", encoding.as_str());
        }
    }

    fn done(&self, counts: &Counts, dry_run: bool, out: &mut impl Write) -> std::io::Result<()> {
        let Counts { added, changed, unchanged, errors } = counts;
        if self.style.json {
            let done = json!({
                "v": 1, "event": "done", "dry_run": dry_run,
                "added": added, "changed": changed, "unchanged": unchanged, "errors": errors,
            });
            return writeln!(out, "{done}");
        }
        let end = if dry_run { "; nothing written (dry run)" } else { "" };
        writeln!(out, "{added} added, {changed} changed, {unchanged} unchanged, {errors} bad rows left out{end}")
    }
}

/// A bar on a terminal, otherwise a line now and then.
struct Progress {
    /// `None`: nothing is told.
    every: Option<Duration>,
    bar: bool,
    json: bool,
    last: Instant,
}

impl Progress {
    fn new(args: &ImportArgs, style: Style) -> Self {
        let bar = !style.json && std::io::stderr().is_terminal();
        let every = if bar { DRAW_EVERY } else { TELL_EVERY };
        Self { every: (!args.quiet).then_some(every), bar, json: style.json, last: Instant::now() }
    }

    fn at(&mut self, done: u64, all: u64) {
        let Some(every) = self.every else { return };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        if self.json {
            println!("{}", json!({ "v": 1, "event": "progress", "row": done, "rows": all }));
        } else if self.bar {
            let parts = usize::try_from(done.saturating_mul(30) / all.max(1)).unwrap_or(30).min(30);
            eprint!("\r[{}{}] {done}/{all}", "#".repeat(parts), ".".repeat(30 - parts));
        } else {
            eprintln!("sekisho: {done} of {all} rows");
        }
    }

    fn clear(&self) {
        if self.bar && self.every.is_some() {
            eprint!("\r\x1b[K");
        }
    }

    fn end(&self) {
        self.clear();
    }
}
