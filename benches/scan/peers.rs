//! The same messages for rspamd and for spamd, each as its package comes, without any network.
//!
//! rspamd has a name server that knows no name and no Redis, one normal worker, and its compiled expressions ready; spamd runs with
//! `-L` and one child. What is not installed is told and left out.

#[path = "../../tests/drill/nowhere.rs"]
mod nowhere;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::scan::spamassassin::{Facts, scan};
use sekisho::signatures::spamassassin::{ScoreSet, compile};

use crate::{Bench, cpu, mail};

const KINDS: [&str; 4] = ["text-5k", "text-50k", "html-20k", "japanese-5k"];
const LONG: Duration = Duration::from_secs(4);
/// Where Debian has SpamAssassin's rules.
const RULES: &str = "/usr/share/spamassassin";

pub fn run(bench: &Bench) {
    let kinds: Vec<_> = mail::made_up().into_iter().filter(|(kind, _)| KINDS.contains(&&**kind)).collect();
    let folder = tempfile::tempdir().unwrap();
    println!("rspamd with its default rules; bar: a sixth of its CPU");
    match Peer::rspamd(folder.path()) {
        Some(peer) => {
            for (kind, mails) in &kinds {
                let theirs = peer.cost(
                    |octets| {
                        let head = format!(
                            "POST /checkv2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                            octets.len()
                        );
                        ([head.as_bytes(), octets].concat(), "HTTP/1.1 200", "\"score\"")
                    },
                    mails,
                );
                line(kind, bench.cost(mails, LONG).each, theirs, 6.0);
            }
        }
        None => println!("SKIPPED: rspamd is not installed"),
    }
    println!(
        "spamd -L with the rules of its package, against the same rules of ours; bar: eighty times its messages per CPU second"
    );
    match Peer::spamd(folder.path()) {
        Some(peer) => {
            let rules = SpamAssassin::load();
            for (kind, mails) in &kinds {
                let theirs = peer.cost(
                    |octets| {
                        let head = format!("CHECK SPAMC/1.5\r\nContent-length: {}\r\n\r\n", octets.len());
                        ([head.as_bytes(), octets].concat(), "SPAMD/1.1 0", "Spam:")
                    },
                    mails,
                );
                line(kind, rules.cost(mails), theirs, 80.0);
            }
        }
        None => println!("SKIPPED: spamd is not installed"),
    }
}

fn line(kind: &str, ours: Duration, theirs: Duration, bar: f64) {
    let (ours, theirs) = (ours.as_secs_f64() * 1e6, theirs.as_secs_f64() * 1e6);
    let ratio = theirs / ours;
    let verdict = if ratio >= bar { "passed" } else { "MISSED" };
    println!("{kind:<12} ours {ours:>8.0} us  theirs {theirs:>8.0} us  1/{ratio:.1} (bar 1/{bar:.0}) {verdict}");
}

/// Our engine with SpamAssassin's rules: reading the message and the rules.
struct SpamAssassin(sekisho::signatures::spamassassin::Rules);

impl SpamAssassin {
    fn load() -> Self {
        let mut files: Vec<_> = std::fs::read_dir(RULES)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "cf"))
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        Self(compile(files.iter().map(|(name, octets)| (name.as_str(), octets.as_slice())), ScoreSet::Local))
    }

    fn cost(&self, mails: &[Bytes]) -> Duration {
        let round = || {
            for octets in mails {
                let specimen = Specimen::parse(octets.clone(), &Limits::default(), &|| false);
                std::hint::black_box(scan(&self.0, &specimen, Facts::default(), &|| false));
            }
        };
        round();
        let (begun, start, mut rounds) = (Instant::now(), cpu::own(), 0);
        while begun.elapsed() < LONG {
            round();
            rounds += 1;
        }
        (cpu::own() - start) / rounds / u32::try_from(mails.len()).unwrap()
    }
}

/// A running peer; ended when dropped.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    fn rspamd(dir: &Path) -> Option<Self> {
        let (address, at) = (free(), dir.display());
        let settings = format!(
            ".include \"$CONFDIR/common.conf\"\noptions {{ .include \"$CONFDIR/options.inc\"\n pidfile = \"{at}/pid\";\n\
             tempdir = \"{at}\"; hs_cache_dir = \"{at}\"; url_tld = \"${{SHAREDIR}}/effective_tld_names.dat\";\n\
             dns {{ nameserver = [\"{}\"]; }} }}\n\
             logging {{ type = \"file\"; filename = \"{at}/log\"; level = \"error\"; }}\n\
             worker \"normal\" {{ bind_socket = \"{address}\"; count = 1; }}\n",
            nowhere::address(),
        );
        std::fs::write(dir.join("rspamd.conf"), settings).unwrap();
        let mut command = Command::new("rspamd");
        command.args(["-i", "-f", "-c"]).arg(dir.join("rspamd.conf"));
        // Its expressions are compiled aside after the start.
        Self::start(command, address, Duration::from_secs(20))
    }

    fn spamd(dir: &Path) -> Option<Self> {
        let address = free();
        let mut command = Command::new("spamd");
        command.args(["-L", "--max-children=1", "--min-children=1", "--nouser-config"]);
        command.arg(format!("--listen={address}")).arg(format!("--helper-home-dir={}", dir.display()));
        Self::start(command, address, Duration::from_secs(1))
    }

    fn start(mut command: Command, address: SocketAddr, ready: Duration) -> Option<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let peer = Self { child, address };
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "{:?} does not listen", command.get_program());
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(ready);
        Some(peer)
    }

    /// `ask`: what is sent for a message, how the answer begins, and what stands in it if the message was judged.
    fn cost(&self, ask: impl Fn(&[u8]) -> (Vec<u8>, &'static str, &'static str), mails: &[Bytes]) -> Duration {
        let round = || {
            for octets in mails {
                let (question, begins, has) = ask(octets);
                let mut stream = TcpStream::connect(self.address).unwrap();
                stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
                stream.write_all(&question).unwrap();
                let mut answer = Vec::new();
                // Who does not close the connection after its answer is not waited for.
                let mut room = [0; 65_536];
                while let Ok(count @ 1..) = stream.read(&mut room) {
                    answer.extend_from_slice(&room[..count]);
                    if answer.windows(has.len()).any(|window| window == has.as_bytes()) && !answer.starts_with(b"SPAMD")
                    {
                        break;
                    }
                }
                let answer = String::from_utf8_lossy(&answer);
                assert!(answer.starts_with(begins) && answer.contains(has), "{answer}");
            }
        };
        round();
        let (begun, start, mut rounds) = (Instant::now(), cpu::tree(self.child.id()), 0);
        while begun.elapsed() < LONG {
            round();
            rounds += 1;
        }
        (cpu::tree(self.child.id()) - start) / rounds / u32::try_from(mails.len()).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
