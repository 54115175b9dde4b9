//! What the content of one message costs in CPU, with the set that comes with the program and all detectors of this process.
//!
//! ```text
//! cargo bench --bench scan                      # made-up mail of several kinds
//! cargo bench --bench scan -- FOLDER            # and every file of a folder, as one kind
//! cargo bench --bench scan -- FOLDER 5 html     # five seconds of one kind alone, for a profiler
//! ```
//!
//! Method: one thread scans the messages of a kind over and over for a while; the processor time of the process is divided
//! by the number of messages. The share of each detector is what its own timer says. Reading and deciding are in it, the
//! sender, custody and the wire are not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench: a panic is its failure")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sekisho::model::{Address, Direction, ReversePath};
use sekisho::scan::{Config, Request, Scanner, external};
use sekisho::signatures::sets::Sets;
use sekisho::signatures::starter;
use sekisho::telemetry::Metrics;

/// How long each kind is scanned, unless it is said.
const LONG: Duration = Duration::from_secs(2);

const ENGLISH: [&str; 8] = [
    "Thank you for the minutes of last week's meeting; I have two remarks on the schedule of the second phase.",
    "The supplier confirms that the parts leave the factory on Thursday and that the papers follow by courier.",
    "Could you please look at the attached figures before noon and tell me whether the third column is right?",
    "We moved the weekly call to ten o'clock, because half of the team is on the train at nine these days.",
    "As agreed, the invoice for October carries the order number and goes to the address of the head office.",
    "The new printer on the fourth floor works again; whoever still has its manual may bring it to reception.",
    "Kenji asked for a list of everybody who needs access to the archive, with the reason in a few words.",
    "If nothing comes between, the second test run begins on Monday and the report is on your desk by Friday.",
];
const JAPANESE: [&str; 6] = [
    "いつもお世話になっております。先日の打ち合わせの議事録をお送りしますのでご確認ください。",
    "次回の定例会議は木曜日の午後二時から、本社四階の会議室で行います。資料は前日までに共有します。",
    "請求書の件、経理部に確認したところ、今月末の処理で問題ないとのことでした。",
    "納品の予定が一日遅れる見込みです。ご迷惑をおかけしますが、よろしくお願いいたします。",
    "添付の見積書をご覧いただき、ご不明な点がございましたらご連絡ください。",
    "新しいプリンターの設定が終わりましたので、お手数ですが各自で動作をお試しください。",
];

fn head(more: &str) -> String {
    format!(
        "Received: from mail.partner.example (mail.partner.example [192.0.2.7])\r\n\tby mx.example with ESMTPS id 4711\r\n\t\
         for <hanako@acme.example>; Fri, 20 Nov 2026 09:00:00 +0900\r\nFrom: Taro Yamada <taro@partner.example>\r\n\
         To: Hanako <hanako@acme.example>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\
         Message-ID: <20261120.4711@partner.example>\r\nMIME-Version: 1.0\r\n{more}\r\n"
    )
}

/// Lines of one of these texts, never twice the same, up to a length.
fn lines(of: &[&str], length: usize, line: impl Fn(usize, &str) -> String) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < length {
        text += &line(number, of[(number * 5 + number / of.len()) % of.len()]);
        number += 1;
    }
    text
}

fn wrapped(octets: &[u8]) -> String {
    let text = STANDARD.encode(octets);
    text.as_bytes().chunks(76).map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap())).collect()
}

fn text(length: usize) -> String {
    head("Subject: Schedule of the second phase\r\nContent-Type: text/plain; charset=utf-8\r\n")
        + &lines(&ENGLISH, length, |number, line| format!("{line} ({number})\r\n"))
}

fn html(length: usize) -> String {
    let body = lines(&ENGLISH, length, |number, line| {
        format!(
            "<tr><td style=\"padding:4px;color:#333\" class=\"c{}\"><p>{line}</p>\
             <a href=\"https://www.partner.example/news/{number}?id=4711\">read on</a></td></tr>\r\n",
            number % 7
        )
    });
    head("Subject: News of November\r\nContent-Type: text/html; charset=utf-8\r\n")
        + "<html><head><style>.c1{color:#222}.c2{font-weight:bold}</style></head><body><table>\r\n"
        + &body
        + "</table></body></html>\r\n"
}

fn japanese(length: usize) -> Vec<u8> {
    let body = lines(&JAPANESE, length, |number, line| format!("{line}（{number}）\r\n"));
    let subject = "Subject: =?ISO-2022-JP?B?GyRCRGpOYzJxNUQkTjdvGyhC?=\r\n";
    let mut mail = head(
        &(subject.to_owned() + "Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n"),
    )
    .into_bytes();
    mail.extend_from_slice(&encoding_rs::ISO_2022_JP.encode(&body).0);
    mail
}

fn with_zip(length: usize) -> String {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default();
    zip.start_file("figures.csv", stored).unwrap();
    let table = lines(&ENGLISH, length, |number, line| format!("{number};{};{line}\r\n", number * 7919 % 1000));
    std::io::Write::write_all(&mut zip, table.as_bytes()).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    head("Subject: Figures\r\nContent-Type: multipart/mixed; boundary=b\r\n")
        + "--b\r\nContent-Type: text/plain\r\n\r\n"
        + &lines(&ENGLISH, 1_000, |_, line| format!("{line}\r\n"))
        + "--b\r\nContent-Type: application/zip; name=figures.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + &wrapped(&zip)
        + "--b--\r\n"
}

fn made_up() -> Vec<(String, Vec<Bytes>)> {
    [
        ("text-5k", text(5_000).into_bytes()),
        ("text-50k", text(50_000).into_bytes()),
        ("text-500k", text(500_000).into_bytes()),
        ("html-20k", html(20_000).into_bytes()),
        ("japanese-5k", japanese(7_500)),
        ("zip-50k", with_zip(50_000).into_bytes()),
    ]
    .into_iter()
    .map(|(name, mail)| (name.to_owned(), vec![mail.into()]))
    .collect()
}

/// Every file below a folder, as mail.
fn folder(path: &str) -> Vec<Bytes> {
    let mut mails = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(path)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let text = std::fs::read(entry).unwrap();
                mails.push(crlf(&text).into());
            }
        }
    }
    mails
}

fn crlf(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|octet| *octet == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    });
    lines.flat_map(|line| [line, b"\r\n"].concat()).collect()
}

/// Processor time of this process, in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|index| fields[*index].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Seconds of each detector, and of the whole, so far.
fn timers(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = metrics.render();
    let found = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let rest = name.strip_prefix("sekisho_scan_detector_seconds_sum{")?;
        let (_, detector) = rest.split_once("detector=\"")?;
        Some((detector.split('"').next()?.to_owned(), value.parse().ok()?))
    });
    found.collect()
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let mut kinds = made_up();
    if let Some(path) = words.first().filter(|path| *path != "-") {
        kinds.push(("folder".to_owned(), folder(path)));
    }
    let long = words.get(1).map_or(LONG, |seconds| Duration::from_secs(seconds.parse().unwrap()));
    let only = words.get(2);
    let metrics = Metrics::new();
    let begun = Instant::now();
    let sets = Arc::new(Sets::fixed(starter::set().unwrap()));
    println!("the set was ready after {:.0?}; {} kinds", begun.elapsed(), kinds.len());
    let config = Config { workers: 1, ..Config::default() };
    let scanner = Scanner::build(config, sets, external::Config::default(), Arc::clone(&metrics), "mx.example");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (kind, mails) in kinds.iter().filter(|(kind, _)| only.is_none_or(|only| only == kind)) {
        let octets: usize = mails.iter().map(Bytes::len).sum();
        let requests: Vec<Request> = mails.iter().map(|octets| request(octets.clone())).collect();
        let round = |points: &mut i64| {
            for request in &requests {
                let scanned = runtime.block_on(scanner.scan(request.clone())).unwrap();
                *points += i64::from(scanned.verdict().score.0);
            }
        };
        let mut points = 0;
        round(&mut points);
        let (before, start, mut rounds) = (timers(&metrics), (Instant::now(), cpu()), 0);
        while start.0.elapsed() < long {
            round(&mut points);
            rounds += 1;
        }
        let messages = f64::from(rounds) * requests.len() as f64;
        let each = (cpu() - start.1).as_secs_f64() * 1e6 / messages;
        let speed = octets as f64 * f64::from(rounds) / (cpu() - start.1).as_secs_f64() / 1e6;
        let size = octets / mails.len();
        println!(
            "{kind:<12} {size:>8} octets  {each:>9.1} us  {speed:>6.1} MB/s  {:.2} points",
            points as f64 / 1000.0 / (messages + requests.len() as f64)
        );
        let mut shares: Vec<_> = timers(&metrics)
            .into_iter()
            .map(|(name, seconds)| ((seconds - before.get(&name).unwrap_or(&0.0)) * 1e6 / messages, name))
            .filter(|(each, _)| *each >= 1.0)
            .collect();
        shares.sort_by(|one, other| other.0.total_cmp(&one.0));
        let shares: Vec<String> = shares.iter().map(|(each, name)| format!("{name} {each:.0}")).collect();
        println!("{:<12} {}", "", shares.join(", "));
    }
}

fn request(octets: Bytes) -> Request {
    Request {
        octets,
        number: 1,
        direction: Direction::Inbound,
        tenant: None,
        client: Some("192.0.2.7".parse().unwrap()),
        helo: "mail.partner.example".into(),
        sender: ReversePath::Mailbox(Address::parse("taro@partner.example").unwrap()),
        recipients: vec![Address::parse("hanako@acme.example").unwrap()],
        own_domains: Vec::new(),
        authentication: None,
    }
}
