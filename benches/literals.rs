//! 1,000,000 literals: build, memory, speed of the matcher; and a set of them from publishing until it is in force.
//!
//! `cargo bench --bench literals` (or with a number of literals behind `--`). Method: each measurement runs in a process of
//! its own, so that memory is its own. Words are made of letters, 8 to 24 octets long, binary literals of random octets; the
//! texts hold none of them but a few that are put in and counted. Speeds are the best of five runs over 64 MiB, one core.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a benchmark")]

use std::time::{Duration, Instant};

use sekisho::clock::Clock;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::signatures::SignatureSet;
use sekisho::signatures::keys::{SigningKey, Trust, generate};
use sekisho::signatures::literals::{Case, Literals};
use sekisho::signatures::pack::{Pack, PackFile};
use sekisho::signatures::published::Published;
use sekisho::signatures::sets::{Config, Sets};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TEXT: usize = 64 << 20;
/// Literals put into a text.
const PLANTED: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["matcher", kind, count] => matcher(kind, count.parse().unwrap()),
        ["automaton", kind, count] => automaton(kind, count.parse().unwrap()),
        ["set", kind, count] => set(kind, count.parse().unwrap()),
        rest => {
            let count = rest.first().copied().unwrap_or("1000000");
            for run in [["matcher", "words"], ["matcher", "nocase"], ["matcher", "binary"], ["automaton", "words"]] {
                child(&[run[0], run[1], count]);
            }
            for kind in ["ndb", "list", "rule", "hashes"] {
                child(&["set", kind, count]);
            }
        }
    }
}

fn child(arguments: &[&str]) {
    let done = std::process::Command::new(std::env::current_exe().unwrap()).args(arguments).status().unwrap();
    assert!(done.success());
}

/// Numbers that look random and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn octets(&mut self, length: usize, kind: &str) -> Vec<u8> {
        let octet = |roll: u64| if kind == "binary" { roll as u8 } else { b'a' + (roll % 26) as u8 };
        (0..length).map(|_| octet(self.roll() >> 7)).collect()
    }
}

fn literals(kind: &str, count: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(1);
    (0..count)
        .map(|_| {
            let length = 8 + (dice.roll() % 17) as usize;
            dice.octets(length, kind)
        })
        .collect()
}

fn text(kind: &str, planted: &[Vec<u8>]) -> Vec<u8> {
    let mut dice = Dice(2);
    let mut text = Vec::with_capacity(TEXT + 64);
    while text.len() < TEXT {
        let length = 2 + (dice.roll() % 9) as usize;
        text.extend(dice.octets(length, kind));
        if kind != "binary" {
            text.push(b' ');
        }
    }
    for (place, literal) in planted.iter().enumerate() {
        let at = place * (TEXT / planted.len().max(1));
        text[at..at + literal.len()].copy_from_slice(literal);
    }
    text
}

/// Kilobytes of a line of `/proc/self/status`.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|found| found.strip_prefix(line));
    found.and_then(|rest| rest.split_ascii_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn best(runs: usize, mut run: impl FnMut() -> usize) -> (Duration, usize) {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            let found = run();
            (start.elapsed(), found)
        })
        .min()
        .unwrap()
}

fn speed(took: Duration) -> f64 {
    TEXT as f64 / took.as_secs_f64() / 1e6
}

fn matcher(kind: &str, count: usize) {
    let literals = literals(kind, count);
    let case = if kind == "nocase" { Case::Ascii } else { Case::Exact };
    let borrowed: Vec<_> = literals.iter().map(|literal| (&literal[..], case)).collect();
    let before = memory("VmRSS:");
    let start = Instant::now();
    let built = Literals::build(&borrowed);
    let took = start.elapsed();
    let after = memory("VmRSS:");
    let text = text(kind, &literals[..PLANTED.min(count)]);
    let (best, found) = best(5, || {
        let mut found = 0;
        built.find(&text, &mut |_, _| found += 1);
        found
    });
    assert!(found >= PLANTED.min(count), "{found}");
    println!(
        "matcher {kind}: {count} literals built in {:.2} s, {} MiB; {:.0} MB/s",
        took.as_secs_f64(),
        (after - before) / 1024,
        speed(best)
    );
}

fn automaton(kind: &str, count: usize) {
    let literals = literals(kind, count);
    let before = memory("VmRSS:");
    let start = Instant::now();
    let built = aho_corasick::AhoCorasickBuilder::new()
        .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
        .build(&literals)
        .unwrap();
    let took = start.elapsed();
    let (after, peak) = (memory("VmRSS:"), memory("VmHWM:"));
    let text = text(kind, &literals[..PLANTED.min(count)]);
    let (best, _) = best(3, || built.find_overlapping_iter(&text).count());
    println!(
        "aho-corasick (contiguous NFA) {kind}: {count} literals built in {:.2} s, {} MiB, peak {} MiB; {:.0} MB/s",
        took.as_secs_f64(),
        (after - before) / 1024,
        peak / 1024,
        speed(best)
    );
}

fn pack(kind: &str, count: usize) -> Pack {
    let literals = literals(if kind == "ndb" { "binary" } else { "words" }, count);
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let mut feed = String::new();
    let name = match kind {
        "ndb" => "many.ndb",
        "list" => {
            feed = "[[feed]]\nfile = \"many.txt\"\nkind = \"literals\"\nsymbol = \"MANY\"\nclass = \"spam\"\nscore = 1.0\n".to_owned();
            "many.txt"
        }
        "rule" => "many.toml",
        _ => "many.hdb",
    };
    let lines: Vec<String> = literals
        .iter()
        .enumerate()
        .map(|(number, literal)| match kind {
            "ndb" => format!("Test.Malware-{number}:0:*:{}", hex(literal)),
            "list" => String::from_utf8(literal.clone()).unwrap(),
            "rule" => format!("\"{}\",", String::from_utf8(literal.clone()).unwrap()),
            _ => format!(
                "{:032x}:{}:Test.Malware-{number}",
                number as u128 * 0x1234_5678_9abc_def1_2345,
                1000 + number % 5000
            ),
        })
        .collect();
    let mut content = lines.join("\n");
    if kind == "rule" {
        content = format!("[[rule]]\nid = \"MANY\"\nen = \"e\"\nja = \"j\"\nscore = 1.0\nany = [\n{content}\n]\n");
    }
    let file = |path: &str, text: String| PackFile { path: path.into(), octets: text.into() };
    Pack::from_files("many", vec![file("pack.toml", format!("[pack]\nname = \"many\"\n{feed}")), file(name, content)])
        .unwrap()
}

/// From publishing to in force, then a start of the node in a process that has seen nothing else.
fn set(kind: &str, count: usize) {
    if let Ok(dir) = std::env::var("SETS") {
        let published = Published::open(dir.as_ref()).unwrap();
        let keys = published.keys().unwrap();
        let parse = |raw| Specimen::parse(raw, &Limits::default(), &|| false);
        let before = memory("VmRSS:");
        let start = Instant::now();
        let (sets, refreshed) = Sets::open(
            Config {
                published,
                trust: Trust::any_of(keys),
                clock: Clock::System,
                parse,
                judge: sekisho::scan::trial::findings,
            },
            SignatureSet::empty(),
        );
        let took = start.elapsed();
        assert!(refreshed.refused.is_empty(), "{:?}", refreshed.refused);
        let (after, peak) = (memory("VmRSS:"), memory("VmHWM:"));
        let text = text("words", &[]);
        let set = sets.pick(1, None);
        let scan = Instant::now();
        match kind {
            "list" | "rule" => {
                let visible = String::from_utf8(text).unwrap();
                let folded = visible.as_str().into();
                let texts =
                    vec![sekisho::message::specimen::Text { visible: visible.into(), folded, ..Default::default() }];
                let specimen = Specimen { texts, ..Specimen::default() };
                set.rules.evaluate(&specimen, &Default::default(), set.rules.nothing_seen(), &|| false);
            }
            _ => {
                let source = sekisho::signatures::octets::Source {
                    kind: sekisho::message::specimen::FileKind::Unknown,
                    is_file: true,
                    sha256: Some(&[1; 32]),
                };
                let mut seen = set.rules.nothing_seen();
                let (_, looked) = set.octets.look((&set.rules, &set.clamav), &text, source, &mut seen, &|| false);
                assert!(looked.is_ok(), "compared to its end");
            }
        }
        println!(
            "set of {count} ({kind}): node starts with it in {:.2} s, {} MiB (peak {} MiB); {:.0} MB/s",
            took.as_secs_f64(),
            (after - before) / 1024,
            peak / 1024,
            speed(scan.elapsed())
        );
        return;
    }
    let dir = std::env::temp_dir().join(format!("sekisho-literals-{}", std::process::id()));
    let published = Published::open(&dir).unwrap();
    let key = SigningKey::read(&generate().unwrap()).unwrap();
    published.trust("bench", key.public()).unwrap();
    let parse = |raw| Specimen::parse(raw, &Limits::default(), &|| false);
    let trust = Trust::any_of(vec![key.public()]);
    let config = Config {
        published: published.clone(),
        trust,
        clock: Clock::System,
        parse,
        judge: sekisho::scan::trial::findings,
    };
    let (sets, _) = Sets::open(config, SignatureSet::empty());
    let pack = pack(kind, count);
    let start = Instant::now();
    let now = Clock::System.now();
    let number = published.write(&[pack], &key, now, now.plus(Duration::from_secs(86_400))).unwrap();
    published
        .change(|state| {
            state.current = number;
            Ok(())
        })
        .unwrap();
    let refreshed = sets.refresh();
    assert!(refreshed.refused.is_empty(), "{:?}", refreshed.refused);
    println!("set of {count} ({kind}): from publishing to in force {:.2} s", start.elapsed().as_secs_f64());
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["set", kind, &count.to_string()])
        .env("SETS", &dir)
        .status();
    assert!(again.unwrap().success());
    std::fs::remove_dir_all(&dir).unwrap();
}
