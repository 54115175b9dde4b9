//! `sekisho signatures check|compile|test|train|publish|status|rollback|pin|unpin|keygen`: packs made into sets, and sets in force.
//!
//! ```text
//! sekisho signatures keygen /root/sets.pem --trust              # once: a key, trusted on this node
//! sekisho signatures check signatures/                          # file, line and reason of every fault
//! sekisho signatures compile signatures/ --key /root/sets.pem   # the next number, signed
//! sekisho signatures publish --canary 5%                        # the newest set for a share of the mail
//! sekisho signatures publish                                    # for all
//! sekisho signatures rollback                                   # the one before
//! ```
//! The running node follows within seconds, or on SIGHUP at once.
//!
//! **Failure**: a set that is refused is not published. Exit codes: 0 done, 1 failed (faults, refused, or `test` found
//! something in mail that should be clean), 2 usage, 3 not found.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::signatures_train::{TrainArgs, train};
use super::{Style, exit};
use crate::clock::Clock;
use crate::message::specimen::{Limits, Specimen};
use crate::model::TenantId;
use crate::model::detectors::Detectors;
use crate::model::finding::Verdict;
use crate::scan::octets::{Deadline, OctetScan};
use crate::scan::{rules, trial};
use crate::signatures::published::{Canary, Published, Seen};
use crate::signatures::rules::Facts;
use crate::signatures::sets::{self, Config, Sets};
use crate::signatures::{Fault, Pack, Refused, SignatureSet, SigningKey, Trust, background, keys, self_test};

const DAY: Duration = Duration::from_secs(86_400);
/// Octets of a message that `test` reads.
const MAX_MESSAGE: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum SignaturesCommand {
    /// Compile packs without publishing, run the self-test, and tell every fault
    Check {
        /// Folders: packs, or of packs
        #[arg(required = true)]
        packs: Vec<PathBuf>,
    },
    /// Make the next set of packs and sign it
    Compile(CompileArgs),
    /// Run the rules and signatures of packs over mail, and count what is found
    Test(TestArgs),
    /// Make a model for the classifier from folders of sorted mail
    Train(TrainArgs),
    /// Put a set in force, or a share of the mail on it
    Publish {
        /// [default: the newest]
        number: Option<u64>,
        /// Only this share of the mail, as 5%
        #[arg(long, value_parser = share)]
        canary: Option<u16>,
    },
    /// Show which sets are here, in force and pinned
    Status,
    /// Put the set before in force again; a canary just ends
    Rollback,
    /// Keep a tenant on a set
    Pin {
        #[arg(value_parser = TenantId::parse)]
        tenant: TenantId,
        number: u64,
    },
    /// Let a tenant follow again
    Unpin {
        #[arg(value_parser = TenantId::parse)]
        tenant: TenantId,
    },
    /// Make a key that signs sets
    Keygen {
        /// The private key goes there; it must not exist
        file: PathBuf,
        /// Trust it on this node
        #[arg(long)]
        trust: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct CompileArgs {
    /// Folders: packs, or of packs
    #[arg(required = true)]
    packs: Vec<PathBuf>,
    /// The private key
    #[arg(long)]
    key: PathBuf,
    /// Days until it is not taken up any more
    #[arg(long, default_value_t = 30)]
    days: u32,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// A folder of messages, or one message
    corpus: PathBuf,
    /// Folders: packs, or of packs [default: the set in force]
    #[arg(long, num_args = 1..)]
    packs: Vec<PathBuf>,
    /// Fail if any message reaches 5 points or holds malware: the corpus is honest mail
    #[arg(long)]
    ham: bool,
}

/// `5%` or `0.5%`, of 10,000.
fn share(text: &str) -> Result<u16, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    let number = number.ok().filter(|number| *number > 0.0 && *number < 100.0);
    let number = number.ok_or("a share is above 0% and below 100%")?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 0 and below 10,000")]
    Ok((number * 100.0).round() as u16)
}

/// A Specimen, as the gateway makes it.
pub(super) fn parse(raw: Bytes) -> Specimen {
    Specimen::parse(raw, &Limits::default(), &|| false)
}

/// Where this node keeps sets, and whose signatures it trusts beside the keys in there.
pub(super) struct Node {
    pub dir: PathBuf,
    pub keys: Vec<String>,
    /// Different keys that must have signed.
    pub signers: usize,
}

impl Node {
    fn config(self) -> Result<Config, Failure> {
        let published = Published::open(&self.dir)?;
        let keys = self.keys.iter().map(|key| key.parse());
        let keys = keys.collect::<Result<_, _>>();
        let keys = keys.map_err(|error: keys::KeyError| Failure::Usage(format!("signatures.keys: {error}")))?;
        Ok(Config {
            published,
            trust: Trust { keys, needed: self.signers },
            clock: Clock::System,
            parse,
            judge: trial::findings,
        })
    }
}

/// `node` is asked for only by what needs the node's own folder.
pub(super) fn run(
    command: SignaturesCommand,
    node: impl Fn() -> Result<Node, Failure>,
    style: Style,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let config = || node().and_then(Node::config);
    let published = || config().map(|config| config.published);
    background::give_way();
    match command {
        SignaturesCommand::Check { packs } => check(&packs, style, out),
        SignaturesCommand::Compile(args) => compile(&args, &published()?, style, out),
        SignaturesCommand::Test(args) if args.packs.is_empty() => {
            let (sets, _) = Sets::open(config()?, SignatureSet::empty());
            let picked = sets.pick(0, None);
            if picked.number == 0 {
                return Err(Failure::NotFound("no set is in force; name packs with --packs".to_owned()));
            }
            test(&args, &picked, style, out)
        }
        SignaturesCommand::Test(args) => match compiled(&args.packs, style, out)? {
            Some((_, set)) => test(&args, &set, style, out),
            None => Ok(exit::FAILED),
        },
        SignaturesCommand::Train(args) => train(&args, style, out),
        SignaturesCommand::Publish { number, canary } => publish(&config()?, number, canary, style, out),
        SignaturesCommand::Status => status(&config()?, style, out),
        SignaturesCommand::Rollback => rollback(&config()?, style, out),
        SignaturesCommand::Pin { tenant, number } => {
            let config = config()?;
            if !config.published.numbers()?.contains(&number) {
                return Err(Failure::NotFound(format!("there is no set {number}")));
            }
            config.published.change(|state| Ok(state.pins.insert(tenant, number))).map_err(refused)?;
            status(&config, style, out)
        }
        SignaturesCommand::Unpin { tenant } => {
            let config = config()?;
            match config.published.change(|state| Ok(state.pins.remove(&tenant))).map_err(refused)? {
                Some(_) => status(&config, style, out),
                None => Err(Failure::NotFound(format!("{tenant} is not pinned"))),
            }
        }
        SignaturesCommand::Keygen { file, trust } => {
            let published = if trust { Some(published()?) } else { None };
            keygen(&file, published.as_ref(), out)
        }
    }
}

fn refused(refused: Refused) -> Failure {
    match refused {
        Refused::Missing(_) => Failure::NotFound(refused.to_string()),
        _ => Failure::Other(refused.to_string()),
    }
}

fn read(folders: &[PathBuf]) -> Result<Vec<Pack>, Vec<Fault>> {
    let mut packs = Vec::new();
    let mut faults = Vec::new();
    for folder in folders {
        match Pack::read_all(folder) {
            Ok(read) => packs.extend(read),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(packs) } else { Err(faults) }
}

/// The packs and their set; faults go to stdout, one a line.
fn compiled(
    folders: &[PathBuf],
    style: Style,
    out: &mut impl Write,
) -> Result<Option<(Vec<Pack>, SignatureSet)>, Failure> {
    let compiled = read(folders).and_then(|packs| SignatureSet::compile(0, &packs).map(|set| (packs, set)));
    match compiled {
        Ok(compiled) => Ok(Some(compiled)),
        Err(faults) => {
            tell_faults(&faults, "refused", style, out)?;
            Ok(None)
        }
    }
}

fn tell_faults(faults: &[Fault], what: &str, style: Style, out: &mut impl Write) -> std::io::Result<()> {
    for fault in faults {
        if style.json {
            writeln!(
                out,
                "{}",
                json!({ "v": 1, "what": what, "file": fault.file, "line": fault.line, "reason": fault.reason })
            )?;
        } else {
            writeln!(out, "{what}: {fault}")?;
        }
    }
    Ok(())
}

fn check(folders: &[PathBuf], style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let start = Instant::now();
    let Some((packs, set)) = compiled(folders, style, out)? else { return Ok(exit::FAILED) };
    let took = start.elapsed();
    tell_faults(&set.skipped, "skipped", style, out)?;
    let tested = self_test::run(&set, &packs, &parse, &trial::findings);
    let wrong = tested.err().unwrap_or_default();
    for reason in &wrong {
        if style.json {
            writeln!(out, "{}", json!({ "v": 1, "what": "self-test", "reason": reason }))?;
        } else {
            writeln!(out, "self-test: {reason}")?;
        }
    }
    for pattern in set.rules.costly() {
        eprintln!("sekisho: runs on every message, for want of a literal: {pattern}");
    }
    let counts = set.counts();
    if style.json {
        writeln!(
            out,
            "{}",
            json!({ "v": 1, "ok": wrong.is_empty(), "counts": counts, "seconds": took.as_secs_f64() })
        )?;
    } else {
        eprintln!(
            "sekisho: {} rules, {} listed literals, {} ClamAV signatures, {} entries of feeds, {} YARA rules; {} skipped; {:.2} s",
            counts.rules,
            counts.literals,
            counts.clamav,
            counts.feeds,
            counts.yara,
            set.skipped.len(),
            took.as_secs_f64()
        );
    }
    Ok(if wrong.is_empty() { exit::OK } else { exit::FAILED })
}

fn compile(args: &CompileArgs, published: &Published, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let pem = std::fs::read_to_string(&args.key);
    let pem = pem.map_err(|source| Failure::File { path: args.key.clone(), source })?;
    let key = SigningKey::read(&pem).map_err(|error| Failure::Usage(format!("{}: {error}", args.key.display())))?;
    let Some((packs, set)) = compiled(&args.packs, style, out)? else { return Ok(exit::FAILED) };
    if let Err(wrong) = self_test::run(&set, &packs, &parse, &trial::findings) {
        return Err(refused(Refused::SelfTest(wrong)));
    }
    let now = Clock::System.now();
    let number = published.write(&packs, &key, now, now.plus(DAY * args.days))?;
    if style.json {
        writeln!(out, "{}", json!({ "v": 1, "set": number, "key": key.public().to_string() }))?;
    } else {
        writeln!(out, "{number}")?;
        eprintln!("sekisho: set {number} is made; it comes in force with `sekisho signatures publish {number}`");
    }
    Ok(exit::OK)
}

fn publish(
    config: &Config,
    number: Option<u64>,
    canary: Option<u16>,
    style: Style,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let published = &config.published;
    let newest = || published.numbers().map(|numbers| numbers.last().copied());
    let number = match number {
        Some(number) => number,
        None => newest()?.ok_or_else(|| Failure::NotFound("there is no set yet".to_owned()))?,
    };
    let mut seen = published.seen().map_err(refused)?;
    // Somebody wants it, so it may come again, though it was taken back.
    if seen.returned.remove(&number).is_some() {
        published.remember(|seen| drop(seen.returned.remove(&number))).map_err(refused)?;
    }
    let trust = config.trusted().map_err(refused)?;
    sets::load(config, &trust, &seen, number).map_err(refused)?;
    published
        .change(|state| {
            match canary {
                Some(share) if state.current != 0 && state.current != number => {
                    state.canary = Some(Canary { number, share });
                }
                _ => {
                    if state.current != number && state.current != 0 {
                        state.previous = Some(state.current);
                    }
                    state.current = number;
                    state.canary = None;
                }
            }
            Ok(())
        })
        .map_err(refused)?;
    status(config, style, out)
}

fn rollback(config: &Config, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let changed = config.published.change(|state| {
        if state.canary.take().is_some() {
            return Ok(true);
        }
        let Some(previous) = state.previous.take() else { return Ok(false) };
        state.current = previous;
        Ok(true)
    });
    if !changed.map_err(refused)? {
        return Err(Failure::Conflict("there is no set before the current one".to_owned()));
    }
    status(config, style, out)
}

fn status(config: &Config, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let published = &config.published;
    let state = published.state().map_err(refused)?;
    let seen = published.seen().map_err(refused)?;
    let trust = &config.trusted().map_err(refused)?;
    if style.json {
        let sets = published.numbers()?;
        writeln!(out, "{}", json!({ "v": 1, "state": state, "node": seen, "sets": sets, "keys": trust.keys.len() }))?;
        return Ok(exit::OK);
    }
    for number in published.numbers()? {
        let mut words = Vec::new();
        if state.current == number {
            words.push("current".to_owned());
        }
        if let Some(canary) = state.canary.filter(|canary| canary.number == number) {
            words.push(format!("canary {}%", f64::from(canary.share) / 100.0));
        }
        if state.previous == Some(number) {
            words.push("previous".to_owned());
        }
        words.extend(state.pins.iter().filter(|(_, pin)| **pin == number).map(|(tenant, _)| format!("pin {tenant}")));
        words.extend(returned(&seen, number));
        let dates = match published.verified(number, trust) {
            Ok((manifest, _)) => format!("made {}, expires {}", manifest.created, manifest.expires),
            Err(reason) => format!("refused: {reason}"),
        };
        writeln!(out, "{number}\t{}\t{dates}", words.join(", "))?;
    }
    Ok(exit::OK)
}

fn returned(seen: &Seen, number: u64) -> Option<String> {
    seen.returned.get(&number).map(|reason| format!("taken back: {reason}"))
}

fn keygen(file: &Path, published: Option<&Published>, out: &mut impl Write) -> Result<u8, Failure> {
    let failed = |error: keys::KeyError| Failure::Other(error.to_string());
    let pem = keys::generate().map_err(failed)?;
    let key = SigningKey::read(&pem).map_err(failed)?;
    let io = |source| Failure::File { path: file.to_owned(), source };
    // Nobody else's, whatever the umask says.
    let mut private = std::fs::File::options().write(true).create_new(true).mode(0o600).open(file).map_err(io)?;
    private.write_all(pem.as_bytes()).and_then(|()| private.sync_all()).map_err(io)?;
    if let Some(published) = published {
        let name = file.file_stem().map_or_else(|| "key".into(), |name| name.to_string_lossy());
        published.trust(&name, key.public())?;
    }
    writeln!(out, "{}", key.public())?;
    Ok(exit::OK)
}

/// What a run over a corpus came to.
#[derive(Default)]
struct Tested {
    messages: usize,
    spam: usize,
    malware: usize,
    symbols: BTreeMap<String, usize>,
    nanos: u128,
}

fn test(args: &TestArgs, set: &SignatureSet, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    let mut files = Vec::new();
    gather(&args.corpus, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(Failure::NotFound(format!("there is no mail in {}", args.corpus.display())));
    }
    let mut tested = Tested::default();
    for file in &files {
        let octets = std::fs::read(file).map_err(|source| Failure::File { path: file.clone(), source })?;
        judge(set, octets.into(), &mut tested);
    }
    let found = tested.spam + tested.malware;
    if style.json {
        let micros = tested.nanos / 1_000 / tested.messages.max(1) as u128;
        let report = json!({ "v": 1, "messages": tested.messages, "spam": tested.spam, "malware": tested.malware,
            "symbols": tested.symbols, "mean_micros": u64::try_from(micros).unwrap_or(u64::MAX) });
        writeln!(out, "{report}")?;
    } else {
        let mut symbols: Vec<_> = tested.symbols.iter().collect();
        symbols.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (symbol, count) in symbols {
            writeln!(out, "{count}\t{symbol}")?;
        }
        eprintln!(
            "sekisho: {} messages, {} with 5 points or more, {} malware",
            tested.messages, tested.spam, tested.malware
        );
    }
    Ok(if args.ham && found > 0 { exit::FAILED } else { exit::OK })
}

fn judge(set: &SignatureSet, raw: Bytes, tested: &mut Tested) {
    let specimen = parse(raw);
    let start = Instant::now();
    let mut verdict = Verdict::new(set.number);
    let mut octets = OctetScan::new(set, Detectors::all(), Deadline::never());
    octets.message(&specimen);
    let seen = octets.finish(&mut verdict);
    rules::detect(set, &specimen, &Facts::default(), seen, &|| false, &mut verdict);
    tested.nanos += start.elapsed().as_nanos();
    tested.messages += 1;
    tested.spam += usize::from(verdict.score.points() >= 5.0);
    tested.malware += usize::from(verdict.has(crate::model::finding::Class::Malware));
    for finding in &verdict.findings {
        *tested.symbols.entry(finding.symbol.to_string()).or_default() += 1;
    }
}

/// Files of a folder and of those below it that are small enough to be messages.
pub(super) fn gather(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let io = |source| Failure::File { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(io)?;
    if found.is_file() && found.len() <= MAX_MESSAGE {
        files.push(path.to_owned());
    } else if found.is_dir() {
        for entry in std::fs::read_dir(path).map_err(io)? {
            gather(&entry.map_err(io)?.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_key_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.pem");
        let mut out = Vec::new();
        keygen(&file, None, &mut out).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(String::from_utf8(out).unwrap().starts_with("ed25519:"));
        assert!(keygen(&file, None, &mut Vec::new()).is_err(), "a key is never overwritten");
    }
}
