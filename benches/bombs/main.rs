//! Bombs through the whole scanner: how long each takes, how much memory, and what it is judged.
//!
//! ```text
//! cargo bench --bench bombs                              # the table
//! cargo bench --bench bombs -- WORD                      # those with this in their name
//! SEKISHO_RULES=/usr/share/spamassassin cargo bench --bench bombs   # with SpamAssassin's rules besides the starter pack
//! cargo bench --bench bombs -- write DIR                 # the messages as files
//! ```
//!
//! Method: each bomb has a process of its own. The process compiles the set, scans a plain letter so that everything is loaded,
//! and is idle: its resident memory then is the baseline. It reads the bomb, the kernel's mark of the most memory is set back,
//! the bomb is scanned as inbound mail with default settings, and the mark is read. `peak` is what the mark lies above the
//! baseline, the message itself left out, for it is in memory before anybody scans. Time is that of the scan.
//! **Passes**: at most 2 s and 64 MiB; not clean, by the rulings of a tenant with default settings. Some rows are marked
//! `text`: long, but looked into to the last letter, which may be clean. Exit code 1 if one fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a bench")]
#![allow(clippy::too_many_lines, reason = "tables")]

mod archives;
mod documents;
#[path = "../../tests/files/make.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod make;
mod mime;
mod texts;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::model::egress::OutboundSpam;
use sekisho::model::rule::Skips;
use sekisho::model::{Direction, ReversePath};
use sekisho::policy::content::{Author, Facts, Signed, dispose};
use sekisho::scan::external;
use sekisho::scan::{Config, Request, Scanner};
use sekisho::signatures::pack::{Pack, PackFile};
use sekisho::signatures::sets::Sets;
use sekisho::signatures::{SignatureSet, starter};
use sekisho::telemetry::Metrics;
use sekisho::tenant::ContentPolicy;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MOST_TIME: Duration = Duration::from_secs(2);
const MOST_KIB: usize = 64 << 10;

/// Whether it may be judged clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bomb,
    /// Nothing is hidden in it and all of it is read; where that is not plain to see, the row says why.
    Text,
}

/// A message, made when it is asked for.
pub type Entry = (&'static str, Kind, fn() -> Vec<u8>);

fn all() -> Vec<Entry> {
    [archives::all(), documents::all(), mime::all(), texts::all()].concat()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["one", path] => one(Path::new(path)),
        ["write", dir] => all().iter().for_each(|(name, _, make)| {
            std::fs::create_dir_all(dir).unwrap();
            std::fs::write(Path::new(dir).join(format!("{}.eml", name.replace([' ', '/'], "-"))), make()).unwrap();
        }),
        words => table(words),
    }
}

fn table(words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.eml");
    println!("| bomb | octets | time ms | peak MiB | judged | not looked at | passes |\n|---|---|---|---|---|---|---|");
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, kind, make) in all() {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word)) {
            continue;
        }
        std::fs::write(&path, make()).unwrap();
        let size = path.metadata().unwrap().len();
        let out = Command::new(std::env::current_exe().unwrap()).arg("one").arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&out.stdout).into_owned();
        let fields: Vec<&str> = told.trim_end_matches('\n').split('\t').collect();
        let [millis, kib, judged, unchecked] = fields.as_slice() else {
            println!("| {name} | {size} | no answer: {} {} |", out.status, String::from_utf8_lossy(&out.stderr));
            failed.push(name);
            continue;
        };
        let (millis, kib): (u64, usize) = (millis.parse().unwrap(), kib.parse().unwrap());
        let mut faults = Vec::new();
        if Duration::from_millis(millis) > MOST_TIME {
            faults.push("time");
        }
        if kib > MOST_KIB {
            faults.push("memory");
        }
        if *judged == "clean" && kind == Kind::Bomb {
            faults.push("clean");
        }
        let mark = if kind == Kind::Text { " (text)" } else { "" };
        let word = if faults.is_empty() { "yes".to_owned() } else { format!("NO: {}", faults.join(", ")) };
        let mib = kib as f64 / 1024.0;
        println!("| {name}{mark} | {size} | {millis} | {mib:.1} | {judged} | {unchecked} | {word} |");
        if faults.is_empty() { passed += 1 } else { failed.push(name) }
    }
    println!("\n{passed} pass, {} fail: {}", failed.len(), failed.join("; "));
    if !failed.is_empty() {
        std::process::exit(1);
    }
}

fn scanner() -> Scanner {
    let mut packs = starter::packs().unwrap();
    if let Some(folder) = std::env::var_os("SEKISHO_RULES") {
        let mut files =
            vec![PackFile { path: "pack.toml".into(), octets: Bytes::from_static(b"[pack]\nname = \"peer\"\n") }];
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".cf") || name.ends_with(".pre") {
                files.push(PackFile { path: name.into(), octets: std::fs::read(&path).unwrap().into() });
            }
        }
        packs.push(Pack::from_files("peer", files).unwrap());
    }
    let set = SignatureSet::compile(1, &packs).unwrap_or_else(|faults| panic!("{faults:?}"));
    drop(packs);
    Scanner::build(
        Config::default(),
        Sets::fixed(set).into(),
        external::Config::default(),
        Metrics::new(),
        "mx.example",
    )
}

/// In kibibytes.
fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

fn request(octets: Bytes) -> Request {
    Request {
        octets,
        number: 1,
        direction: Direction::Inbound,
        tenant: None,
        client: Some([192, 0, 2, 1].into()),
        helo: "mail.example".into(),
        sender: ReversePath::Null,
        recipients: Vec::new(),
        own_domains: Vec::new(),
        protected: [].into(),
        authentication: None,
        is_relayed: false,
        first_contact: false,
    }
}

fn one(path: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let scanner = scanner();
    let letter = mime::with_file("a.txt", b"A plain letter about nothing; see https://www.example/ for more.\n");
    runtime.block_on(scanner.scan(request(letter.into()))).unwrap();
    let baseline = status("VmRSS");
    let octets = Bytes::from(std::fs::read(path).unwrap());
    let size = octets.len() >> 10;
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let begun = Instant::now();
    let scanned = runtime.block_on(scanner.scan(request(octets)));
    let took = begun.elapsed();
    let peak = status("VmHWM").saturating_sub(baseline).saturating_sub(size);
    let (judged, unchecked) = match &scanned {
        Err(error) => (format!("put off: {error}"), String::new()),
        Ok(scanned) => {
            let verdict = scanned.verdict();
            let ruling = dispose(&Facts {
                direction: Direction::Inbound,
                verdict: Some(verdict),
                policy: ContentPolicy::default_ref(Direction::Inbound),
                skips: Skips::NONE,
                author: Author::Unproven,
                marks: &[],
                mandatory: scanner.mandatory(Direction::Inbound),
                tries: 0,
                signed: Signed::No,
                spam: OutboundSpam::default(),
            });
            let mut judged: Vec<&str> = ruling.categories.iter().map(|category| category.name()).collect();
            if !ruling.disposition.is_delivered() {
                judged.push("not delivered");
            }
            if judged.is_empty() {
                judged.push("clean");
            }
            let mut unchecked: Vec<String> = verdict.unchecked.iter().map(|one| format!("{:?}", one.reason)).collect();
            unchecked.extend(verdict.unavailable.iter().map(|away| format!("{:?} {}", away.detector, away.reason)));
            unchecked.sort();
            unchecked.dedup();
            (judged.join(" "), unchecked.join(", "))
        }
    };
    println!("{}\t{peak}\t{judged}\t{unchecked}", took.as_millis());
}
