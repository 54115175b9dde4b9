//! `sekisho scan FILE|-|DIR`: looks into messages as the gateway would, and tells what would become of them. Nothing is sent,
//! counted or kept.
//!
//! ```text
//! sekisho scan message.eml
//! sekisho scan - --explain --lang ja < message.eml
//! sekisho scan Maildir/ --json --fail-on malware | jq -r 'select(.disposition != "deliver") | .file'
//! ```
//! Exit codes: 0 all would be delivered (with `--fail-on`: none counts as that), 1 at least one would not, 2 an error, or at least
//! one could not be inspected.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::task::JoinSet;

use super::failure::Failure;
use super::{Style, load};
use crate::app;
use crate::clock::Clock;
use crate::config::Settings;
use crate::model::disposition::{Category, Disposition};
use crate::model::egress::OutboundSpam;
use crate::model::explanation::content::{Content, Decider};
use crate::model::explanation::{ClientSeen, Explanation, Versions};
use crate::model::finding::Score;
use crate::model::rule::Skips;
use crate::model::{Address, Direction, ReversePath, TenantId};
use crate::policy::content::{Author, Facts, Ruling, Signed, dispose};
use crate::policy::explain::{Language, content_group, text};
use crate::scan::{Request, Scanner};
use crate::store::{SqliteTenants, TenantStore};
use crate::tenant::{ContentPolicy, Tenant};

/// Larger files are no messages.
const MAX_FILE: u64 = 256 << 20;
/// How often progress is told.
const OFTEN: Duration = Duration::from_millis(500);

/// Everything as it would be delivered.
pub const CLEAN: u8 = 0;
/// At least one message would not be delivered.
pub const NOT_CLEAN: u8 = 1;
/// An error, or at least one message could not be inspected.
pub const UNSEEN: u8 = 2;

#[derive(Debug, Args)]
pub struct ScanArgs {
    /// A message, a directory of messages, or - for stdin
    #[arg(value_name = "FILE|-|DIR")]
    place: PathBuf,
    /// The client's address
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED), hide_default_value = true)]
    ip: IpAddr,
    /// The name it gave in EHLO
    #[arg(long, default_value = "", hide_default_value = true)]
    helo: String,
    /// The envelope sender; "" for a notice
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true, value_parser = super::explain::sender)]
    from: ReversePath,
    /// A recipient; may be given several times; the first one's domain gives the policy
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    rcpt: Vec<Address>,
    /// Whose policy counts [default: the defaults of a tenant]
    #[arg(long, value_name = "ID", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// As mail of a tenant to the internet
    #[arg(long)]
    outbound: bool,
    /// Everything that was found, and why it is judged so
    #[arg(long)]
    explain: bool,
    /// Exit 1 only for mail that counts as this; may be given several times
    #[arg(long, value_name = "CATEGORY", value_parser = category)]
    fail_on: Vec<Category>,
    /// The language of the text
    #[arg(long, value_enum, default_value = "en")]
    lang: Lang,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Ja,
}

fn category(text: &str) -> Result<Category, String> {
    Category::ALL.into_iter().find(|category| category.name() == text).ok_or_else(|| {
        let names = Category::ALL.map(Category::name);
        format!("one of {}", names.join(", "))
    })
}

/// Looks and tells; returns the exit code. Failures of the command itself are 2 as well: nothing was inspected then.
pub(super) async fn run(args: ScanArgs, config: Option<&Path>, style: Style, out: &mut (impl Write + Send)) -> u8 {
    match scan(args, config, style, out).await {
        Ok(code) => code,
        Err(Failure::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => CLEAN,
        Err(failure) => {
            failure.tell(style);
            UNSEEN
        }
    }
}

async fn scan(
    args: ScanArgs,
    config: Option<&Path>,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    // Without settings of its own a machine still can look into a message.
    let default = crate::config::default_path();
    let settings = match config {
        Some(file) => Some(load(file)?.settings),
        None if default.exists() => Some(load(&default)?.settings),
        None => None,
    };
    let tenant = match (&args.tenant, &settings) {
        (None, _) => None,
        (Some(_), None) => return Err(Failure::Usage("--tenant needs settings; name them with --config".into())),
        (Some(id), Some(settings)) => Some(find(id, settings).await?),
    };
    let scanner = app::scanner(settings.as_ref()).map_err(|error| Failure::Other(error.to_string()))?;
    let spam = settings.as_ref().map(|settings| settings.outbound.spam).unwrap_or_default();
    let question = Question { scanner, tenant, spam, args };
    let files = match &*question.args.place {
        place if place == Path::new("-") => vec![PathBuf::from("-")],
        place if place.is_dir() => messages(place)?,
        place => vec![place.to_path_buf()],
    };
    let many = question.args.place.is_dir();
    Work { question: Arc::new(question), style, many }.all(files, out).await
}

async fn find(id: &TenantId, settings: &Settings) -> Result<Tenant, Failure> {
    let store = SqliteTenants::open(&settings.data_dir).await?;
    let spec = store.find(id).await?.ok_or_else(|| Failure::NoTenant(id.clone()))?;
    Ok(Tenant::compile(spec))
}

/// Every file below a directory, by name; links are not followed.
pub(super) fn messages(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let failed = |source| Failure::File { path: dir.clone(), source };
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// What every message is asked with.
struct Question {
    scanner: Scanner,
    tenant: Option<Tenant>,
    /// The operator's rule for outbound spam.
    spam: OutboundSpam,
    args: ScanArgs,
}

/// What came of one message.
struct Told {
    disposition: Disposition,
    categories: Vec<Category>,
    decided_by: Decider,
    score: Score,
    set: u64,
    symbols: Vec<Box<str>>,
    explanation: Explanation,
}

impl Question {
    async fn ask(&self, file: &Path) -> Result<Told, String> {
        let file = file.to_path_buf();
        let read = tokio::task::spawn_blocking(move || read(&file)).await.map_err(|error| error.to_string())?;
        let octets = read.map_err(|error| error.to_string())?;
        let direction = if self.args.outbound { Direction::Outbound } else { Direction::Inbound };
        let domains = self.tenant.iter().flat_map(|tenant| tenant.domains.iter().map(|own| own.name.clone()));
        let request = Request {
            octets,
            number: 0,
            direction,
            tenant: self.tenant.as_ref().map(|tenant| tenant.id.clone()),
            client: Some(self.args.ip).filter(|ip| !ip.is_unspecified()),
            helo: self.args.helo.as_str().into(),
            sender: self.args.from.clone(),
            recipients: self.args.rcpt.clone(),
            own_domains: domains.collect(),
            protected: self.tenant.as_ref().map(|tenant| Arc::clone(&tenant.people)).unwrap_or_default(),
            authentication: None,
            is_relayed: false,
            first_contact: false,
        };
        let scanned = self.scanner.scan(request).await.map_err(|error| error.to_string())?;
        let ruling = dispose(&Facts {
            direction,
            verdict: Some(scanned.verdict()),
            policy: self.policy(direction),
            skips: Skips::NONE,
            author: Author::Unproven,
            marks: &[],
            mandatory: self.scanner.mandatory(direction),
            tries: 0,
            signed: if scanned.specimen().is_signed() { Signed::Yes } else { Signed::No },
            spam: self.spam,
        });
        let mut symbols: Vec<Box<str>> =
            scanned.verdict().findings.iter().map(|finding| finding.symbol.clone()).collect();
        symbols.sort_unstable();
        symbols.dedup();
        Ok(self.told(direction, ruling, scanned.verdict(), symbols))
    }

    fn told(
        &self,
        direction: Direction,
        ruling: Ruling,
        verdict: &crate::model::finding::Verdict,
        symbols: Vec<Box<str>>,
    ) -> Told {
        let client = ClientSeen {
            ip: self.args.ip,
            helo: self.args.helo.as_str().into(),
            tls: None,
            country: None,
            reverse: None,
        };
        let versions = Versions { program: env!("CARGO_PKG_VERSION").into(), ..Versions::default() };
        let mut explanation = Explanation::new(Clock::System.now(), versions, client, self.args.from.clone());
        explanation.tenant = self.tenant.as_ref().map(|tenant| tenant.id.clone());
        let mut content = Content::new(Some(verdict));
        content.judge(content_group(direction, self.args.rcpt.clone(), &ruling, Some(verdict)));
        explanation.content = Some(Box::new(content));
        Told {
            disposition: ruling.disposition,
            categories: ruling.categories,
            decided_by: ruling.decided_by,
            score: ruling.points.spam,
            set: verdict.set,
            symbols,
            explanation,
        }
    }

    fn policy(&self, direction: Direction) -> &ContentPolicy {
        let Some(tenant) = &self.tenant else { return ContentPolicy::default_ref(direction) };
        let name = match direction {
            Direction::Inbound => self.args.rcpt.first().map(Address::domain),
            Direction::Outbound => self.args.from.address().map(Address::domain),
        };
        let domain = name.and_then(|name| tenant.domain(name));
        domain.map_or_else(|| tenant.content_policy(direction), |domain| domain.content_policy(direction))
    }

    fn code(&self, told: &Result<Told, String>) -> u8 {
        let Ok(told) = told else { return UNSEEN };
        let unseen = match told.decided_by {
            Decider::NoScan | Decider::Unavailable { .. } => true,
            Decider::Category { category } => category == Category::Unscannable,
            Decider::Nothing => false,
        };
        let fails = if self.args.fail_on.is_empty() {
            !told.disposition.is_delivered()
        } else {
            told.categories.iter().any(|category| self.args.fail_on.contains(category))
        };
        match (unseen, fails) {
            (true, _) => UNSEEN,
            (false, true) => NOT_CLEAN,
            (false, false) => CLEAN,
        }
    }
}

/// A message as it would come over SMTP: lines end in CRLF, and a first line of an mbox is none of its own.
pub(super) fn read(file: &Path) -> std::io::Result<Bytes> {
    let mut octets = Vec::new();
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(std::fs::File::open(file)?) };
    source.take(MAX_FILE + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_FILE {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 256 MiB"));
    }
    Ok(canonical(&octets).into())
}

fn canonical(octets: &[u8]) -> Vec<u8> {
    let octets = match octets.strip_prefix(b"From ") {
        Some(rest) => {
            rest.iter().position(|octet| *octet == b'\n').and_then(|end| rest.get(end + 1..)).unwrap_or_default()
        }
        None => octets,
    };
    let mut canonical = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut last = 0;
    for octet in octets {
        if *octet == b'\n' && last != b'\r' {
            canonical.push(b'\r');
        }
        canonical.push(*octet);
        last = *octet;
    }
    canonical
}

/// One run over one or many files.
struct Work {
    question: Arc<Question>,
    style: Style,
    many: bool,
}

/// What was told so far.
#[derive(Default)]
struct Sums {
    code: u8,
    done: usize,
    errors: usize,
    by_fate: BTreeMap<&'static str, usize>,
}

impl Work {
    /// A few at a time; told in the order of the files.
    async fn all(self, files: Vec<PathBuf>, out: &mut (impl Write + Send)) -> Result<u8, Failure> {
        let at_once = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get) * 2;
        let (begun, total) = (Instant::now(), files.len());
        let files = Arc::<[PathBuf]>::from(files);
        let (mut tasks, mut waiting, mut sums) = (JoinSet::new(), BTreeMap::new(), Sums::default());
        let (mut next, mut said) = (0, Instant::now());
        while sums.done < total {
            while tasks.len() + waiting.len() < at_once * 4 && tasks.len() < at_once && next < total {
                let (question, files) = (Arc::clone(&self.question), Arc::clone(&files));
                tasks.spawn(async move {
                    let told = match files.get(next) {
                        Some(file) => question.ask(file).await,
                        None => Err("no such file".into()),
                    };
                    (next, told)
                });
                next += 1;
            }
            let Some(ended) = tasks.join_next().await else { break };
            let (at, told) = ended.map_err(|error| Failure::Other(error.to_string()))?;
            waiting.insert(at, told);
            while let Some(told) = waiting.remove(&sums.done) {
                let file = files.get(sums.done).map(|file| shown(file)).unwrap_or_default();
                self.tell(&file, &told, &mut sums, out)?;
            }
            if self.many && said.elapsed() > OFTEN && std::io::stderr().is_terminal() {
                said = Instant::now();
                eprint!("\r{} of {total}", sums.done);
            }
        }
        if self.many {
            let fates: Vec<String> = sums.by_fate.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let errors = sums.errors;
            let back = if std::io::stderr().is_terminal() { "\r" } else { "" };
            eprintln!(
                "{back}{total} messages in {:.1} s: {}, errors {errors}",
                begun.elapsed().as_secs_f64(),
                fates.join(", ")
            );
        }
        Ok(sums.code)
    }

    fn tell(
        &self,
        file: &str,
        told: &Result<Told, String>,
        sums: &mut Sums,
        out: &mut (impl Write + Send),
    ) -> Result<(), Failure> {
        sums.done += 1;
        sums.code = sums.code.max(self.question.code(told));
        match told {
            Ok(told) => *sums.by_fate.entry(told.disposition.name()).or_default() += 1,
            Err(_) => sums.errors += 1,
        }
        if self.style.json {
            writeln!(out, "{}", self.json(file, told))?;
            return Ok(());
        }
        match told {
            Ok(told) => writeln!(out, "{}", self.line(file, told))?,
            Err(error) => writeln!(out, "{file}: error: {error}")?,
        }
        if let (Ok(told), true) = (told, self.question.args.explain) {
            let language = match self.question.args.lang {
                Lang::En => Language::English,
                Lang::Ja => Language::Japanese,
            };
            out.write_all(text(&told.explanation, language).as_bytes())?;
        }
        Ok(())
    }

    /// `mail.eml: quarantine; spam; 7.2 points; A, B, C`
    fn line(&self, file: &str, told: &Told) -> String {
        let names: Vec<&str> = told.categories.iter().map(|category| category.name()).collect();
        let names = if names.is_empty() { "clean".to_owned() } else { names.join(", ") };
        let mut line = format!("{file}: {}; {names}; {} points", told.disposition.name(), told.score);
        const SHOWN: usize = 8;
        let symbols: Vec<&str> = told.symbols.iter().take(SHOWN).map(|symbol| &**symbol).collect();
        if !symbols.is_empty() {
            line.push_str("; ");
            line.push_str(&symbols.join(", "));
        }
        if let Some(more) = told.symbols.len().checked_sub(SHOWN + 1) {
            line.push_str(&format!(" and {} more", more + 1));
        }
        line.replace(char::is_control, "?")
    }

    fn json(&self, file: &str, told: &Result<Told, String>) -> String {
        #[derive(Serialize)]
        struct Line<'t> {
            v: u8,
            file: &'t str,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'t str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            disposition: Option<&'t str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            categories: Option<&'t [Category]>,
            /// Of spam, in thousandths.
            #[serde(skip_serializing_if = "Option::is_none")]
            score: Option<Score>,
            #[serde(skip_serializing_if = "Option::is_none")]
            set: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            symbols: Option<&'t [Box<str>]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            explanation: Option<&'t Explanation>,
        }
        let found = told.as_ref().ok();
        let line = Line {
            v: 1,
            file,
            error: told.as_ref().err().map(String::as_str),
            disposition: found.map(|told| told.disposition.name()),
            categories: found.map(|told| told.categories.as_slice()),
            score: found.map(|told| told.score),
            set: found.map(|told| told.set),
            symbols: found.map(|told| told.symbols.as_slice()),
            explanation: found.filter(|_| self.question.args.explain).map(|told| &told.explanation),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// A name that changes nothing on a terminal.
fn shown(file: &Path) -> String {
    file.display().to_string().replace(char::is_control, "?")
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
