//! The floor plan, held against the sources: which room may name which, and what the pure rooms may not hold.
//!
//! A new arrow is a new line in [`ARROWS`], where a reviewer sees it. The check reads the text of the sources: comments
//! and literals are blanked, `use` trees are spread out, tests count as part of their room.
//!
//! **Known gaps**: paths made by macros, and a crate renamed by `use … as …`.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sekisho::telemetry::EventName;

/// Room, and the rooms it may name. Rooms stand in the order of `src/lib.rs`.
const ARROWS: &[(&str, &[&str])] = &[
    // The why-book links to everything in comments, which need no arrow; its tests compare references with telemetry.
    ("manual", &["telemetry"]),
    // -- vocabulary
    ("model", &[]),
    ("clock", &["model"]),
    ("faults", &[]),
    ("tables", &["model"]),
    ("telemetry", &["clock", "model"]),
    // -- pure engines
    ("message", &["model"]),
    ("tenant", &["model"]),
    ("smtp", &["model"]),
    ("policy", &["message", "model", "smtp", "tenant"]),
    // -- capabilities
    ("accounts", &["clock", "model", "telemetry", "tenant"]),
    ("dns", &["clock", "model", "telemetry"]),
    ("net", &["clock", "model", "telemetry"]),
    ("sender", &["clock", "dns", "message", "model", "tables", "telemetry"]),
    // Bulk detection reads the texts of a Specimen.
    ("limits", &["clock", "message", "model", "tables", "telemetry"]),
    // Formats, compiled sets and their numbers; what they match is a Specimen.
    ("signatures", &["clock", "message", "model", "telemetry"]),
    // The check of outbound mail is scan and ruling in one step, so that nobody can take one without the other.
    ("scan", &["clock", "message", "model", "policy", "signatures", "telemetry", "tenant"]),
    ("quarantine", &["clock", "faults", "message", "model", "telemetry"]),
    // Outbound mail comes in as a Checked alone.
    ("spool", &["clock", "faults", "message", "model", "scan", "telemetry"]),
    // -- flows: intake and delivery don't know each other
    (
        "delivery",
        &["clock", "dns", "faults", "message", "model", "net", "policy", "smtp", "spool", "telemetry", "tenant"],
    ),
    (
        "intake",
        &[
            "accounts",
            "clock",
            "faults",
            "limits",
            "message",
            "model",
            "net",
            "policy",
            "quarantine",
            "scan",
            "sender",
            "smtp",
            "spool",
            "telemetry",
            "tenant",
        ],
    ),
    // -- edges
    ("store", &["accounts", "clock", "model", "telemetry", "tenant"]),
    ("admin", &["clock", "model", "telemetry"]),
    (
        "config",
        &[
            "admin",
            "delivery",
            "dns",
            "intake",
            "message",
            "model",
            "net",
            "smtp",
            "spool",
            "store",
            "telemetry",
            "tenant",
        ],
    ),
    (
        "app",
        &[
            "accounts",
            "admin",
            "clock",
            "config",
            "delivery",
            "dns",
            "faults",
            "intake",
            "limits",
            "message",
            "model",
            "net",
            "policy",
            "quarantine",
            "scan",
            "sender",
            "signatures",
            "smtp",
            "spool",
            "store",
            "telemetry",
            "tenant",
        ],
    ),
    // The command line makes keys (sender) and asks whether their records are published (dns).
    (
        "cli",
        &[
            "accounts",
            "admin",
            "app",
            "clock",
            "config",
            "dns",
            "faults",
            "message",
            "model",
            "policy",
            "scan",
            "sender",
            "signatures",
            "store",
            "telemetry",
            "tenant",
        ],
    ),
];

/// Rooms without async, sockets, clock, files or environment.
const PURE: &[&str] = &["model", "message", "tenant", "smtp", "policy"];

/// Identifiers a pure room may not hold, and prefixes of paths.
const IMPURE_WORDS: &[&str] = &[
    "async",
    "await",
    "tokio",
    "tokio_util",
    "axum",
    "hyper",
    "sqlx",
    "socket2",
    "rustix",
    "SystemTime",
    "Instant",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
];
const IMPURE_PATHS: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "env"],
    &["std", "thread"],
    &["std", "process"],
    &["std", "os"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "io", "stderr"],
];

type Sources = BTreeMap<String, String>;

#[test]
fn the_sources_keep_to_the_floor_plan() {
    let mut sources = Sources::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut sources);
    assert!(sources.len() > 20, "the sources are where they were");
    let found = violations(&sources, ARROWS);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    assert_eq!(cycle(ARROWS), None);
    assert_eq!(cycle(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]), Some(vec!["a", "b", "c"]));
}

#[test]
fn flows_stay_strangers() {
    let may = |from: &str| ARROWS.iter().find(|(room, _)| *room == from).unwrap().1;
    assert!(!may("intake").contains(&"delivery") && !may("delivery").contains(&"intake"));
    for (room, to) in ARROWS {
        assert!(!to.contains(&"app") || *room == "cli", "only the command line starts the application, not {room}");
        assert!(!to.contains(&"config") || ["app", "cli"].contains(room), "rooms never import config: {room}");
    }
}

/// The reference promises every event: one that no code outside of tests names is told by nobody.
#[test]
fn every_event_of_the_mail_log_is_named_by_somebody() {
    let mut sources = Sources::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut sources);
    sources.retain(|path, _| path != "telemetry/event.rs" && !path.ends_with("tests.rs"));
    let told: BTreeSet<String> = sources
        .values()
        .flat_map(|text| paths(without_tests(&tokens(&blanked(text)))))
        .filter_map(|path| path.strip_prefix(&["EventName".to_owned()])?.first().cloned())
        .collect();
    let untold: Vec<String> =
        EventName::ALL.iter().map(|name| format!("{name:?}")).filter(|name| !told.contains(name)).collect();
    assert!(untold.is_empty(), "no code names {untold:?}");
}

/// Each planted fault is caught, and what looks like one but is none is let pass.
#[test]
fn planted_violations_are_caught() {
    let caught = |path: &str, text: &str| {
        let sources = Sources::from([(path.to_owned(), text.to_owned())]);
        violations(&sources, ARROWS).join("\n")
    };
    for (path, text, complaint) in [
        ("model/x.rs", "//! X.\nuse crate::spool::Spool;", "model must not name spool"),
        ("smtp/x.rs", "//! X.\nuse crate::{model::Reply, net::{a, b}};", "smtp must not name net"),
        ("intake/x.rs", "//! X.\nfn f() { crate::delivery::go(); }", "intake must not name delivery"),
        ("intake/mod.rs", "//! X.\nuse super::delivery;", "intake must not name delivery"),
        ("clock.rs", "//! X.\nuse super::{model::A, spool};", "clock must not name spool"),
        ("spool/x.rs", "//! X.\nuse crate::*;", "crate::*"),
        ("spool/x.rs", "//! X.\nuse super::super::model;", "super::super"),
        ("spool/x.rs", "//! X.\nuse super\n  ::  super::model;", "super::super"),
        ("model/x.rs", "//! X.\npub async fn f() {}", "async"),
        ("tenant/x.rs", "//! X.\nuse tokio::sync::Mutex;", "tokio"),
        ("policy/x.rs", "//! X.\nuse std::{fmt, fs};", "std::fs"),
        ("message/x.rs", "//! X.\nlet home = std::env::var(\"HOME\");", "std::env"),
        ("smtp/x.rs", "//! X.\nuse std::net::{IpAddr, TcpStream};", "TcpStream"),
        ("smtp/x.rs", "//! X.\nuse std::time::{Duration, SystemTime};", "SystemTime"),
        ("smtp/x.rs", "//! X.\nlet r = r#\"a\"b\"#; let q = '\"'; use std::fs;", "std::fs"),
        ("smtp/x.rs", "//! X.\nfn f<'a>(x: &'a str) { std::fs::read(x) }", "std::fs"),
        ("extra/mod.rs", "//! X.", "extra is no registered room"),
        ("extra.rs", "//! X.", "extra is no registered room"),
        ("smtp/x.rs", "use std::fmt;", "begins without //!"),
    ] {
        let complaints = caught(path, text);
        assert!(complaints.contains(complaint), "{path}: {text:?} gave {complaints:?}");
    }
    for (path, text) in [
        (
            "model/x.rs",
            "//! X.\n// use crate::spool;\n/* crate::net /* nested */ async */ const A: &str = \"crate::spool\";",
        ),
        ("model/x.rs", "//! X.\n/// See [`crate::spool`], [`tokio`].\nuse std::net::IpAddr;"),
        (
            "model/x.rs",
            "//! X.\nconst A: &str = r#\"std::fs \"tokio\"\"#; const B: char = '\\''; const C: &[u8] = b\"async\";",
        ),
        ("delivery/x.rs", "//! X.\nuse crate::{model::{Address, Domain}, spool::Lease};"),
        ("intake/mod.rs", "//! X.\nmod tests { use super::session; }"),
        ("smtp/mod.rs", "//! X.\n#[cfg(test)]\nmod tests { fn f() { std::fs::read(\"golden\"); } }"),
        ("main.rs", "//! X.\nuse sekisho::app;"),
    ] {
        assert_eq!(caught(path, text), "", "{path}: {text:?}");
    }
}

fn read(dir: &Path, prefix: &str, sources: &mut Sources) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), sources);
        } else if name.ends_with(".rs") {
            sources.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn violations(sources: &Sources, arrows: &[(&str, &[&str])]) -> Vec<String> {
    let mut found = BTreeSet::new();
    let rooms: BTreeSet<&str> = arrows.iter().map(|(room, _)| *room).collect();
    for (path, text) in sources {
        if !text.starts_with("//!") {
            found.insert(format!("{path}: begins without //!"));
        }
        let room = path.split_once('/').map_or_else(|| path.trim_end_matches(".rs"), |(room, _)| room);
        if ["lib", "main"].contains(&room) {
            continue;
        }
        let Some((_, allowed)) = arrows.iter().find(|(known, _)| *known == room) else {
            found.insert(format!("{path}: {room} is no registered room (tests/architecture.rs)"));
            continue;
        };
        let tokens = tokens(&blanked(text));
        let root = path == &format!("{room}.rs") || path == &format!("{room}/mod.rs");
        for named in paths(&tokens) {
            match named.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["super", "super", ..] => {
                    found.insert(format!("{path}: super::super:: hides where it goes; write crate::"));
                }
                ["crate", "*"] => {
                    found.insert(format!("{path}: crate::* names every room"));
                }
                ["crate", to, ..] if *to != room && !allowed.contains(to) => {
                    found.insert(format!("{path}: {room} must not name {to}"));
                }
                ["super", to, ..] if root && *to != room && rooms.contains(to) && !allowed.contains(to) => {
                    found.insert(format!("{path}: {room} must not name {to}"));
                }
                _ => {}
            }
        }
        if PURE.contains(&room) && !path.ends_with("tests.rs") {
            impure(path, room, without_tests(&tokens), &mut found);
        }
    }
    found.into_iter().collect()
}

fn impure(path: &str, room: &str, tokens: &[String], found: &mut BTreeSet<String>) {
    for token in tokens {
        if IMPURE_WORDS.contains(&token.as_str()) {
            found.insert(format!("{path}: {room} is pure and must not hold {token}"));
        }
    }
    for named in paths(tokens) {
        for banned in IMPURE_PATHS {
            if named.iter().map(String::as_str).take(banned.len()).eq(banned.iter().copied()) {
                found.insert(format!("{path}: {room} is pure and must not hold {}", banned.join("::")));
            }
        }
    }
}

/// Tests stand last in a file (`#[cfg(test)] mod …`): what comes before.
fn without_tests(tokens: &[String]) -> &[String] {
    const MARK: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let end = tokens.windows(MARK.len()).position(|window| window.iter().eq(MARK.iter()));
    &tokens[..end.unwrap_or(tokens.len())]
}

/// Comments and literals become spaces.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word_before = out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            quoted(rest, 1)
        } else if !word_before && raw_string(rest).is_some() {
            raw_string(rest).unwrap()
        } else if c == '\'' {
            character(rest)
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a string literal whose content begins at `from`.
fn quoted(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let start = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix).map(|_| prefix.len()))?;
    let hashes = text[start..].bytes().take_while(|byte| *byte == b'#').count();
    let body = start + hashes + 1;
    if text.as_bytes().get(start + hashes) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()))
}

/// Length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3),
        Some((at, c)) if text[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 0,
    }
}

/// Words, `::` and single characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
            tokens.push(word);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.into());
        }
    }
    tokens
}

/// Every path, `use` trees spread out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let begins = at == 0 || tokens[at - 1] != "::";
        if begins && is_word(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            spread(tokens, at, &mut Vec::new(), &mut found);
        }
    }
    found
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Follows one path from `at`; returns where it ends.
fn spread(tokens: &[String], mut at: usize, so_far: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = so_far.len();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = if tokens[at] == "," { at + 1 } else { spread(tokens, at, so_far, found).max(at + 1) };
                }
                so_far.truncate(depth);
                return at + 1;
            }
            Some(token) if is_word(token) || token == "*" => so_far.push(token.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    found.push(so_far.clone());
    so_far.truncate(depth);
    at
}

/// A cycle among the arrows, if there is one, in the order of the table.
fn cycle<'a>(arrows: &[(&'a str, &[&'a str])]) -> Option<Vec<&'a str>> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        arrows.iter().map(|(room, to)| (*room, to.iter().copied().collect())).collect();
    loop {
        let Some(done) = left.iter().find(|(_, to)| to.iter().all(|to| !left.contains_key(to))).map(|(room, _)| *room)
        else {
            return (!left.is_empty()).then(|| left.into_keys().collect());
        };
        left.remove(done);
    }
}
