//! Detectors of deception over real mail: phishing shows signs of it, honest mail hardly any. And the forged authors of Mailsploit.
//!
//! Nothing was tuned to these messages' senders; the figures only guard against getting worse.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sekisho::message::specimen::{Limits, Specimen};
use sekisho::model::finding::{Class, Score, Verdict};
use sekisho::scan::{bulk, impersonation};

/// Every so many messages of a folder, unless `SEKISHO_EVERY` says otherwise.
const EVERY: usize = 5;

#[derive(Default)]
struct Table {
    messages: usize,
    any: usize,
    suspected: usize,
    spam: usize,
    bulk: usize,
    symbols: BTreeMap<String, usize>,
    texts: usize,
    links: usize,
}

fn measure(folders: &[PathBuf], every: usize) -> Table {
    let mut files = Vec::new();
    for folder in folders {
        gather(folder, &mut files);
    }
    files.sort();
    let mut table = Table::default();
    for file in files.iter().step_by(every) {
        let Ok(octets) = std::fs::read(file) else { continue };
        let specimen = Specimen::parse(canonical(&octets).into(), &Limits::default(), &|| false);
        let mut verdict = Verdict::new(0);
        impersonation::detect(&specimen, &impersonation::Known::default(), &mut verdict);
        let points = verdict.score;
        table.messages += 1;
        table.any += usize::from(!verdict.findings.is_empty());
        table.suspected += usize::from(points >= Score(3_000));
        table.spam += usize::from(points >= Score(5_000));
        table.texts += usize::from(specimen.texts.iter().any(|text| !text.visible.trim().is_empty()));
        table.links += usize::from(!specimen.links.is_empty());
        if points >= Score(3_000) && std::env::var_os("SEKISHO_SHOW").is_some() {
            let names = verdict.findings.iter().map(|finding| format!("{}({})", finding.symbol, finding.evidence));
            println!("{} {points}: {}", file.display(), names.collect::<Vec<_>>().join(" "));
        }
        bulk::detect(&specimen, &mut verdict);
        table.bulk += usize::from(verdict.score_of(Class::Bulk) >= Score(4_000));
        for finding in &verdict.findings {
            *table.symbols.entry(finding.symbol.to_string()).or_default() += 1;
        }
    }
    table
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            gather(&entry.path(), files);
        }
    } else if !path.extension().is_some_and(|end| end == "tsv" || end == "txt" || end == "md")
        && path.file_name() != Some("LICENSE".as_ref())
    {
        files.push(path.to_owned());
    }
}

/// CRLF, and without the line that begins a mailbox file.
fn canonical(octets: &[u8]) -> Vec<u8> {
    let octets = if octets.starts_with(b"From ") {
        octets.iter().position(|octet| *octet == b'\n').map_or(octets, |end| &octets[end + 1..])
    } else {
        octets
    };
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 40);
    for octet in octets {
        if *octet == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(*octet);
    }
    out
}

impl Table {
    fn share(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.messages.max(1) as f64
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {} messages; any sign {:.1} %, 3 points {:.2} %, 5 points {:.2} %, bulk {:.1} %; text {:.1} %, links {:.1} %",
            self.messages,
            self.share(self.any),
            self.share(self.suspected),
            self.share(self.spam),
            self.share(self.bulk),
            self.share(self.texts),
            self.share(self.links),
        );
        for (symbol, count) in &self.symbols {
            println!("  {symbol:28} {count:5} {:6.2} %", self.share(*count));
        }
    }
}

#[test]
fn deception_in_real_mail() {
    let Some(corpora) = super::corpora("") else { return };
    let every = std::env::var("SEKISHO_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(EVERY);
    let below = |names: &[&str]| names.iter().map(|name| corpora.join(name)).collect::<Vec<_>>();
    let phishing = measure(&below(&["phish/phishing_pot/email"]), every);
    phishing.print("phishing_pot");
    let old = "ham-spam/spamassassin-public";
    let ham = measure(&ham_folders(&corpora.join(old), "ham"), every);
    ham.print("spamassassin-public ham");
    let spam = measure(&ham_folders(&corpora.join(old), "spam"), every);
    spam.print("spamassassin-public spam");
    let lists = measure(&below(&["ham-spam/list-usrp-users"]), every);
    lists.print("list-usrp-users");
    // Measured: 59 %. The rest looks like plain spam, for rules and the classifier.
    assert!(phishing.share(phishing.any) >= 55.0, "phishing shows signs of deception");
    assert!(ham.share(ham.spam) <= 0.2 && lists.share(lists.spam) <= 0.2, "deception alone makes no honest mail spam");
    assert!(ham.share(ham.suspected) <= 1.0 && lists.share(lists.suspected) <= 0.5);
}

fn ham_folders(root: &Path, kind: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(kind) && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders
}

/// The templates name what they encode; each becomes a From field that claims to be somebody at a bank.
#[test]
fn mailsploit_templates_are_seen() {
    let Some(folder) = super::corpora("evasion/mailsploit") else { return };
    let text = std::fs::read_to_string(folder.join("payloads.txt")).unwrap();
    let mut count = 0;
    for line in text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        let template = if line.starts_with("14") {
            "<=?utf-8?Q?=42=00=0D=0A?==?utf-8?b?RU5E?=@evil.example.net>".to_owned()
        } else if line.starts_with("13") {
            "=?utf-8?Q?=42=00=0D=0A?==?utf-8?b?RU5E?= <x@evil.example.net>".to_owned()
        } else {
            let Some(at) = line.find("=?").map(|at| if line[..at].ends_with('"') { at - 1 } else { at }) else {
                continue;
            };
            expand(line[at..].split("   (").next().unwrap_or_default().trim())
        };
        let mail = format!("From: {template}\r\nSubject: s\r\n\r\ntext\r\n");
        let specimen = Specimen::parse(mail.into(), &Limits::default(), &|| false);
        let mut verdict = Verdict::new(0);
        impersonation::detect(&specimen, &impersonation::Known::default(), &mut verdict);
        assert!(verdict.has(Class::Impersonation), "{line}\n{template}\n{:?}", specimen.from());
        count += 1;
    }
    assert_eq!(count, 14);
}

/// Replaces `b64("…"+SPOOF+"…")` and the names of addresses.
fn expand(template: &str) -> String {
    use base64::Engine as _;
    let spoof = "president@bank.example.com";
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, inside)) = rest.split_once("b64(") {
        out.push_str(before);
        let end = inside.find(")?").unwrap_or(inside.len());
        let mut plain = String::new();
        let mut code = &inside[..end];
        while !code.is_empty() {
            if let Some(literal) = code.strip_prefix('"') {
                let mut escaped = false;
                let mut length = 0;
                for c in literal.chars() {
                    length += c.len_utf8();
                    match c {
                        '\\' if !escaped => escaped = true,
                        '"' if !escaped => break,
                        c => {
                            escaped = false;
                            plain.push(c);
                        }
                    }
                }
                code = &literal[length..];
            } else if let Some(behind) = code.strip_prefix("SPOOF") {
                plain.push_str(spoof);
                code = behind;
            } else {
                code = code.strip_prefix('+').unwrap_or("");
            }
        }
        out.push_str(&base64::engine::general_purpose::STANDARD.encode(plain));
        rest = &inside[(end + 1).min(inside.len())..];
    }
    out.push_str(rest);
    out.replace("REAL", "x@evil.example.net").replace("@DOM", "@evil.example.net")
}
