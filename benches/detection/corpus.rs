//! The corpora of sorted mail: which files, which sort, when and by whom.
//!
//! What gives the sort away is taken out before anything looks at a message: fields that some other filter wrote, the
//! line before the header in some old files, and the address by which one collection names its recipients.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// A message of a corpus.
pub struct Mail {
    pub corpus: &'static str,
    pub is_spam: bool,
    pub path: PathBuf,
    pub raw: Bytes,
    /// Seconds since 1970, by its Date field; 0 if there is none.
    pub sent: i64,
    /// Of its From field.
    pub writer: u64,
}

/// Folder, corpus, spam or not. `phish` is for evaluation only: its licence forbids anything else.
const FOLDERS: [(&str, &str, bool); 8] = [
    ("ham-spam/spamassassin-public/easy_ham", "old", false),
    ("ham-spam/spamassassin-public/easy_ham_2", "old", false),
    ("ham-spam/spamassassin-public/hard_ham", "old-html", false),
    ("ham-spam/spamassassin-public/spam", "old", true),
    ("ham-spam/spamassassin-public/spam_2", "old", true),
    ("ham-spam/list-usrp-users", "list", false),
    ("phish/phishing_pot/email", "phish", true),
    ("mime-dsn/sisimai-set-of-emails", "bounces", false),
];

/// All of them, in a fixed order.
pub fn read(corpora: &Path) -> Vec<Mail> {
    let mut mails = Vec::new();
    for (folder, corpus, is_spam) in FOLDERS {
        for path in files(&corpora.join(folder)) {
            push(&mut mails, corpus, is_spam, path);
        }
    }
    let kernel = corpora.join("ham-spam/list-linux-alpha");
    let labels = std::fs::read_dir(&kernel).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut labels: Vec<_> = labels.filter(|path| path.to_string_lossy().contains("labels")).collect();
    labels.sort();
    for table in labels {
        let table = String::from_utf8_lossy(&std::fs::read(table).unwrap_or_default()).into_owned();
        for line in table.lines() {
            let mut columns = line.split('\t');
            if let (Some(file), Some(sort @ ("ham" | "spam"))) = (columns.next(), columns.next()) {
                push(&mut mails, "kernel", sort == "spam", kernel.join(file));
            }
        }
    }
    mails
}

/// What the project wrote for training: sort, subject, text, writer.
pub fn read_taught(file: &Path) -> Vec<(bool, String, String, u64)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = |(nth, line): (usize, &str)| {
        let (sort, said) = line.split_at_checked(2)?;
        let (subject, text) = said.split_once(" | ")?;
        matches!(sort, "H " | "S ").then(|| (sort == "S ", subject.to_owned(), text.to_owned(), nth as u64))
    };
    text.lines().enumerate().filter_map(line).collect()
}

/// The project's own mail: `ham*` and `spam*` and `phish*` files of messages.
pub fn read_own(folder: &Path) -> Vec<Mail> {
    let mut mails = Vec::new();
    for path in files(folder) {
        let is_spam = !path.to_string_lossy().contains("/ham");
        push(&mut mails, "own", is_spam, path);
    }
    mails
}

fn push(mails: &mut Vec<Mail>, corpus: &'static str, is_spam: bool, path: PathBuf) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == "cmds" || name.starts_with('.') || name.ends_with(".tsv") {
        return;
    }
    let Ok(raw) = std::fs::read(&path) else { return };
    let raw = without_labels(&raw);
    let header = header(&raw);
    let sent =
        field(&header, "date").and_then(mail_parser::DateTime::parse_rfc822).map_or(0, |date| date.to_timestamp());
    let mut hasher = DefaultHasher::new();
    field(&header, "from").unwrap_or_default().to_lowercase().hash(&mut hasher);
    // Never the mark for "nobody".
    let writer = hasher.finish() >> 1;
    mails.push(Mail { corpus, is_spam, path, raw: raw.into(), sent, writer });
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

const LEAKS: [&str; 8] = [
    "x-spam-",
    "authentication-results",
    "x-ms-",
    "x-forefront-",
    "x-microsoft-antispam",
    "x-sid-",
    "arc-",
    "received-spf",
];

fn without_labels(raw: &[u8]) -> Vec<u8> {
    let raw = if raw.starts_with(b"From ") {
        raw.iter().position(|octet| *octet == b'\n').map_or(raw, |end| &raw[end + 1..])
    } else {
        raw
    };
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32);
    let mut in_header = true;
    let mut drop = false;
    for line in raw.split_inclusive(|octet| *octet == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if in_header {
            if text.is_empty() {
                in_header = false;
            } else if !matches!(text.first(), Some(b' ' | b'\t')) {
                let start: String = text.iter().take(40).map(|octet| octet.to_ascii_lowercase() as char).collect();
                drop = LEAKS.iter().any(|leak| start.starts_with(leak));
            }
            if in_header && drop {
                continue;
            }
        }
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }
    replace(&out, b"phishing@pot", b"recipient@example.com")
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn header(raw: &[u8]) -> String {
    let end = memchr::memmem::find(raw, b"\r\n\r\n").unwrap_or(raw.len());
    String::from_utf8_lossy(&raw[..end]).into_owned()
}

fn field<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
