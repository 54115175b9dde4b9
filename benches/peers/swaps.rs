//! A hundred signature sets, published one after the other while mail flows. The method is written at the head of
//! `benches/swaps`.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::dice::Dice;
use crate::gateway::{Gateway, Plan, free_address};
use crate::sink::{Handler, Sink};
use crate::wire::Wire;

const BAR: f64 = 1.5;
/// What a set of the drill finds in all mail of the load: `SWAP_` and its own number.
const SYMBOL: &str = "SWAP_";

/// What is done.
#[derive(Debug)]
pub struct Order {
    pub program: PathBuf,
    pub swaps: usize,
    pub connections: usize,
    /// Length of the load without swaps.
    pub quiet: Duration,
    /// Between a set's coming in force and the next one's publication.
    pub pause: Duration,
}

/// One transaction, as the client saw it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: u64,
    began: Instant,
    ended: Instant,
    /// 0: the connection broke.
    code: u16,
}

/// One message, as it came to the next hop.
#[derive(Debug, Default)]
struct Arrived {
    /// Of our fields about the verdict: the set of each.
    sets: Vec<u64>,
    /// The sets whose rule is named.
    symbols: Vec<u64>,
}

/// The next hop: remembers what each message says of its set.
#[derive(Debug, Default)]
struct Arrivals(Mutex<HashMap<u64, Vec<Arrived>>>);

impl Handler for Arrivals {
    fn reads_bodies(&self) -> bool {
        false
    }

    fn message(&self, _sender: &str, _recipients: &[String], body: &[u8]) -> (&'static str, Duration) {
        let (id, arrived) = read(body);
        self.0.lock().expect("arrivals").entry(id).or_default().push(arrived);
        ("250 2.0.0 taken", Duration::ZERO)
    }
}

fn read(body: &[u8]) -> (u64, Arrived) {
    let end = body.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(body.len());
    let head = String::from_utf8_lossy(&body[..end]).replace("\r\n ", " ").replace("\r\n\t", " ");
    let (mut id, mut arrived) = (u64::MAX, Arrived::default());
    for line in head.lines() {
        if let Some(rest) = line.strip_prefix("Message-ID: <") {
            id = leading(rest).unwrap_or(u64::MAX);
        } else if line.starts_with("X-Sekisho-Verdict:") {
            arrived.sets.extend(line.split("set=").skip(1).filter_map(leading));
        } else if line.starts_with("X-Spam-Status:") {
            arrived.symbols.extend(line.split(SYMBOL).skip(1).filter_map(leading));
        }
    }
    (id, arrived)
}

fn leading(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// A set that was published: when somebody asked for it, and when the node said that it was in force.
#[derive(Debug, Clone, Copy)]
struct Swap {
    number: u64,
    asked: Instant,
    in_force: Instant,
}

/// Runs the load without and with swaps and prints the comparison. `false`: a bar was missed.
pub fn run(order: &Order) -> Result<bool, String> {
    let text = |error: io::Error| error.to_string();
    let runtime = Runtime::new().map_err(text)?;
    let folder = tempfile::tempdir().map_err(text)?;
    let arrivals = Arc::new(Arrivals::default());
    let sink = Sink::start(runtime.handle(), free_address(), Arc::clone(&arrivals) as Arc<_>).map_err(text)?;
    let mut plan = Plan::new(
        &order.program,
        folder.path(),
        format!(
            "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
             next_hops = [\"{}\"]\nrecipients = \"any\"\n",
            sink.address
        ),
    );
    plan.settings = "[smtp]\ntransactions = 1000000\n[signatures]\nrefresh = \"100ms\"\n".to_owned();
    plan.write().and_then(|()| plan.apply()).map_err(text)?;
    let begun = Instant::now();
    let numbers = order.swaps as u64 + 1;
    compile(&plan, numbers).map_err(text)?;
    let each = begun.elapsed() / u32::try_from(numbers).unwrap_or(u32::MAX);
    println!("{numbers} sets of the starter pack and one that differs, each compiled, proved and signed in {each:.0?}");
    plan.sekisho(&["signatures", "publish", "1"]).map_err(text)?;
    let first = Instant::now();
    let mut gateway = plan.serve(&[]).map_err(text)?;
    gateway.ready(Duration::from_secs(30)).map_err(|error| format!("{error}\n{}", plan.log_tail()))?;
    let mut swaps = vec![Swap { number: 1, asked: first, in_force: Instant::now() }];

    let load = Load { target: plan.inbound, next: AtomicU64::new(0), tail: tail() };
    let load = Arc::new(load);
    // Pools and caches are there afterwards.
    load.run(&runtime, order.connections, || std::thread::sleep(Duration::from_secs(3)));
    let quiet = load.run(&runtime, order.connections, || std::thread::sleep(order.quiet));
    let mut published = Ok(());
    let swapped = load.run(&runtime, order.connections, || {
        published = (2..=numbers).try_for_each(|number| {
            swaps.push(publish(&plan, &gateway, number)?);
            std::thread::sleep(order.pause);
            Ok(())
        });
    });
    published.map_err(|why: String| format!("{why}\n{}", plan.log_tail()))?;
    drain(&gateway)?;

    let mut took: Vec<Duration> = swaps.iter().skip(1).map(|swap| swap.in_force - swap.asked).collect();
    took.sort_unstable();
    let (usual, longest) = (at(&took, 50), took.last().copied().unwrap_or_default());
    println!("{} swaps; from publish to in force {usual:.0?}, at most {longest:.0?}", took.len());
    let quiet_times = told("without swaps", &quiet);
    let swapped_times = told("with swaps", &swapped);
    let during = |one: &&Sent| swaps.iter().any(|swap| one.began < swap.in_force && one.ended > swap.asked);
    let (in_swaps, between): (Vec<Sent>, Vec<Sent>) = swapped.iter().partition(during);
    told("- in a swap", &in_swaps);
    told("- between", &between);
    let found = Found::of(quiet.iter().chain(&swapped), &arrivals, &swaps);
    println!("{found}");
    let balance = gateway.metric("sekisho_balance_recipients");
    let swap_count = gateway.metric("sekisho_signatures_swaps_total");
    println!("balance {balance:?}, swaps counted by the node {swap_count:?}");
    let ratio = at(&swapped_times, 99).as_secs_f64() / at(&quiet_times, 99).as_secs_f64();
    let passed = found.is_clean() && balance == Some(0.0);
    println!("bar: each transaction accepted, each message judged by one set in force {}", word(passed));
    println!("bar: p99 with swaps against without {ratio:.2} (bar {BAR:.2}) {}", word(ratio <= BAR));
    Ok(passed && ratio <= BAR)
}

fn word(good: bool) -> &'static str {
    if good { "passed" } else { "MISSED" }
}

/// A key that the node trusts, and sets `1..=numbers`, as an operator makes them.
fn compile(plan: &Plan, numbers: u64) -> io::Result<()> {
    let key = plan.dir.join("sets.pem");
    let key = key.to_string_lossy();
    plan.sekisho(&["signatures", "keygen", &key, "--trust"])?;
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    let pack = plan.dir.join("drill");
    std::fs::create_dir_all(&pack)?;
    for number in 1..=numbers {
        // A rule that all mail of the load meets, one that none does, and a list of its own.
        let mut dice = Dice::new(number);
        let mut words = String::new();
        for _ in 0..500 {
            let _ = writeln!(words, "{:016x}.example", dice.next());
        }
        std::fs::write(pack.join("domains.txt"), words)?;
        std::fs::write(
            pack.join("pack.toml"),
            format!(
                "[pack]\nname = \"drill\"\nversion = \"{number}\"\n[[feed]]\nfile = \"domains.txt\"\nkind = \"domains\"\n\
                 symbol = \"LISTED_{number}\"\nclass = \"phishing\"\nscore = 4.0\nen = \"listed\"\nja = \"掲載\"\n"
            ),
        )?;
        std::fs::write(
            pack.join("rules.toml"),
            format!(
                "[[rule]]\nid = \"{SYMBOL}{number}\"\nen = \"drill\"\nja = \"訓練\"\nclass = \"spam\"\nscore = 0.01\n\
                 in = \"body\"\nany = [\"papers, please\", \"{:016x}\"]\n\
                 [[rule]]\nid = \"OTHER_{number}\"\nen = \"drill\"\nja = \"訓練\"\nclass = \"spam\"\nscore = 1.0\n\
                 in = \"body\"\nany = \"{:016x}\"\n",
                dice.next(),
                dice.next()
            ),
        )?;
        plan.sekisho(&["signatures", "compile", &starter.to_string_lossy(), &pack.to_string_lossy(), "--key", &key])?;
    }
    Ok(())
}

/// Publishes and waits until the node says that the set is in force.
fn publish(plan: &Plan, gateway: &Gateway, number: u64) -> Result<Swap, String> {
    let asked = Instant::now();
    plan.sekisho(&["signatures", "publish", &number.to_string()]).map_err(|error| error.to_string())?;
    loop {
        if gateway.metric("sekisho_signatures_set") == Some(number as f64) {
            return Ok(Swap { number, asked, in_force: Instant::now() });
        }
        if asked.elapsed() > Duration::from_mins(2) {
            return Err(format!("set {number} did not come in force within two minutes"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn drain(gateway: &Gateway) -> Result<(), String> {
    let end = Instant::now() + Duration::from_mins(5);
    while gateway.metric("sekisho_recipients_queued") != Some(0.0) {
        if Instant::now() > end {
            return Err("not all was delivered within five minutes".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Prints a phase; its times, sorted.
fn told(what: &str, sent: &[Sent]) -> Vec<Duration> {
    let mut times: Vec<Duration> = sent.iter().filter(|one| one.code == 250).map(|one| one.ended - one.began).collect();
    times.sort_unstable();
    let span = sent.iter().map(|one| one.ended).max().zip(sent.iter().map(|one| one.began).min());
    let seconds = span.map_or(0.0, |(last, first)| (last - first).as_secs_f64());
    println!(
        "{what:<14} {:>8} transactions in {seconds:>6.1} s ({:>6.0}/s), failed {}, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        sent.len(),
        sent.len() as f64 / seconds,
        sent.len() - times.len(),
        at(&times, 50),
        at(&times, 99),
        times.last().copied().unwrap_or_default()
    );
    times
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

/// The clients: 5 KB of text, each with a number of its own.
#[derive(Debug)]
struct Load {
    target: SocketAddr,
    next: AtomicU64,
    /// Body and final dot.
    tail: Vec<u8>,
}

fn tail() -> Vec<u8> {
    let mut dice = Dice::new(1);
    let mut text = String::from("\r\n");
    while text.len() < 5_000 {
        let _ = write!(text, "{:016x} at the checkpoint {:016x} papers, please\r\n", dice.next(), dice.next());
    }
    text.push_str(".\r\n");
    text.into_bytes()
}

impl Load {
    /// All that was sent while `during` ran; what was begun is brought to its end.
    fn run(self: &Arc<Self>, runtime: &Runtime, connections: usize, during: impl FnOnce()) -> Vec<Sent> {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (load, stop) = (Arc::clone(self), Arc::clone(&stop));
                runtime.spawn(async move {
                    let mut sent = Vec::new();
                    let _ = load.connection(&stop, &mut sent).await;
                    sent
                })
            })
            .collect();
        during();
        stop.store(true, Ordering::Relaxed);
        tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap_or_default()).collect()
    }

    async fn connection(&self, stop: &AtomicBool, sent: &mut Vec<Sent>) -> io::Result<()> {
        let mut wire = Wire::new(TcpStream::connect(self.target).await?, Duration::from_mins(2));
        wire.reply().await?;
        wire.write(b"EHLO load.example\r\n").await?;
        wire.reply().await?;
        while !stop.load(Ordering::Relaxed) {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            let code = self.transaction(&mut wire, id).await;
            sent.push(Sent { id, began, ended: Instant::now(), code: *code.as_ref().unwrap_or(&0) });
            code?;
        }
        wire.write(b"QUIT\r\n").await
    }

    /// The first refusal, or the reply to the final dot.
    async fn transaction(&self, wire: &mut Wire, id: u64) -> io::Result<u16> {
        wire.write(b"MAIL FROM:<source@sender.example>\r\nRCPT TO:<mail@acme.example>\r\nDATA\r\n").await?;
        for _ in 0..3 {
            let (code, reply) = wire.reply().await?;
            if code >= 400 {
                return Err(io::Error::other(reply));
            }
        }
        let head = format!(
            "From: source@sender.example\r\nTo: mail@acme.example\r\nSubject: load\r\n\
             Date: Fri, 20 Nov 2026 09:00:00 +0900\r\nMessage-ID: <{id}@sender.example>\r\n"
        );
        let mut text = head.into_bytes();
        text.extend_from_slice(&self.tail);
        wire.write(&text).await?;
        Ok(wire.reply().await?.0)
    }
}

/// What is wrong with all messages together.
#[derive(Debug, Default)]
struct Found {
    transactions: usize,
    failed: usize,
    lost: usize,
    twice: usize,
    no_set: usize,
    more_than_one: usize,
    never_published: usize,
    /// Named a set that was in force at no instant of the transaction.
    not_in_force: usize,
    sets: BTreeSet<u64>,
}

impl Found {
    fn of<'s>(sent: impl Iterator<Item = &'s Sent>, arrivals: &Arrivals, swaps: &[Swap]) -> Self {
        let arrivals = arrivals.0.lock().expect("arrivals");
        let mut found = Self::default();
        for one in sent {
            found.transactions += 1;
            found.failed += usize::from(one.code != 250);
            let there = arrivals.get(&one.id).map(Vec::as_slice).unwrap_or_default();
            found.lost += usize::from(one.code == 250 && there.is_empty());
            found.twice += usize::from(there.len() > 1);
            for arrived in there {
                found.message(one, arrived, swaps);
            }
        }
        found
    }

    fn message(&mut self, sent: &Sent, arrived: &Arrived, swaps: &[Swap]) {
        let named: BTreeSet<u64> = arrived.sets.iter().chain(&arrived.symbols).copied().collect();
        if arrived.sets.is_empty() || arrived.symbols.is_empty() {
            self.no_set += 1;
        } else if named.len() > 1 || arrived.sets.len() > 1 {
            self.more_than_one += 1;
        }
        for number in named {
            self.sets.insert(number);
            let Some(place) = swaps.iter().position(|swap| swap.number == number) else {
                self.never_published += 1;
                continue;
            };
            let gone = swaps.get(place + 1).is_some_and(|next| next.in_force < sent.began);
            self.not_in_force += usize::from(gone || swaps[place].asked > sent.ended);
        }
    }

    fn is_clean(&self) -> bool {
        let wrong = [self.failed, self.lost, self.twice, self.no_set, self.more_than_one];
        wrong.iter().sum::<usize>() + self.never_published + self.not_in_force == 0 && self.sets.len() > 1
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} transactions: failed {}, lost {}, delivered twice {}; judged by no set {}, by more than one {}, by one never \
             published {}, by one not in force {}; sets seen {}",
            self.transactions,
            self.failed,
            self.lost,
            self.twice,
            self.no_set,
            self.more_than_one,
            self.never_published,
            self.not_in_force,
            self.sets.len()
        )
    }
}
