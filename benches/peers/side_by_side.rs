//! Postfix and Sekisho on the same machine in the same run. The method is written at the head of `benches/side_by_side`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::figures::{Disk, Figures, Who, head, line, medians};
use crate::gateway::{Gateway, Plan, free_address};
use crate::load::{Counter, Mail, SmtpSink, own_client, smtp_source};
use crate::meter::{Meter, folder_bytes, machine, written_bytes};
use crate::postfix::Postfix;
use crate::sink::Sink;

/// How many messages each.
#[derive(Debug, Clone)]
pub struct Order {
    pub program: PathBuf,
    pub postfix_messages: usize,
    pub messages: usize,
    pub connections: Vec<usize>,
    pub without_postfix: bool,
    /// Threads are scheduled as by default, not as on a machine of one's own.
    pub normal: bool,
    /// Threads that serve connections; by default half as many as processors.
    pub threads: Option<usize>,
    /// How often all is measured; the medians are judged.
    pub rounds: usize,
}

/// The clients are a relay of ours that has judged the senders, as Postfix's are in mynetworks.
const RELAYED: &str = "trusted_relays = [\"127.0.0.0/8\"]\n";
/// Every detector that can be switched off; a message's parts are still told apart, for what is ambiguous must not pass.
const UNSEEN: &str = "[scan]\noff = [\"hashes\", \"rules\", \"feeds\", \"yara\", \"spamassassin\", \"classifier\", \
                      \"impersonation\", \"bulk\", \"files\"]\n";

/// Something that takes mail and can be asked whether all of it has gone on.
enum Peer {
    None,
    Postfix(Postfix),
    Sekisho { gateway: Gateway, meter: Meter, plan: Box<Plan> },
}

impl Peer {
    fn cpu(&self) -> Option<Duration> {
        match self {
            // Nobody stands between: the tools alone.
            Self::None => Some(machine()),
            Self::Postfix(postfix) => Some(postfix.cpu()),
            Self::Sekisho { gateway, meter, .. } => Some(meter.read(gateway.child.id())),
        }
    }

    fn empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Postfix(postfix) => postfix.empty(),
            Self::Sekisho { gateway, .. } => gateway.metric("sekisho_recipients_queued") == Some(0.0),
        }
    }

    fn disk(&self) -> Option<(u64, u64, u64)> {
        let Self::Sekisho { gateway, plan, .. } = self else { return None };
        let spool = folder_bytes(&plan.spool_dir());
        let all = folder_bytes(&plan.data_dir());
        Some((written_bytes(gateway.child.id()), spool, all - spool))
    }
}

/// Runs all and prints tables, ratios and verdicts. `false`: a bar was missed.
pub fn run(order: &Order) -> Result<bool, String> {
    let mut all = Vec::new();
    println!("CPU is read by {}; {} cores\n", Meter::new("probe").method(), cores());
    let mut peers = vec![
        Who::Straight,
        Who::Postfix,
        Who::Queued,
        Who::QueuedJudged,
        Who::Inline,
        Who::QueuedScanned,
        Who::InlineScanned,
    ];
    peers.retain(|who| *who != Who::Postfix || !order.without_postfix);
    let mut own = Vec::new();
    for round in 1..=order.rounds {
        println!("smtp-source and smtp-sink, 5 KB; round {round} of {}", order.rounds);
        head();
        for connections in &order.connections {
            for reuse in [false, true] {
                for who in &peers {
                    let figures = published(order, *who, *connections, reuse)?;
                    line(&figures);
                    all.push(figures);
                }
            }
        }
        println!(
            "\nown client and own sink, 5 KB, connections kept, envelope pipelined; round {round} of {}",
            order.rounds
        );
        head();
        for connections in &order.connections {
            for who in &peers {
                let figures = timed(order, *who, *connections)?;
                line(&figures);
                own.push(figures);
            }
        }
        println!();
    }
    if order.rounds > 1 {
        (all, own) = (medians(&all), medians(&own));
        for (client, set) in [("smtp-source and smtp-sink", &all), ("own client and own sink", &own)] {
            println!("{client}: medians of {} rounds", order.rounds);
            head();
            set.iter().for_each(line);
            println!();
        }
    }
    Ok(verdicts(&all, &own))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, std::num::NonZero::get)
}

fn start(
    order: &Order,
    who: Who,
    dir: &Path,
    sink: SocketAddr,
    connections: usize,
) -> Result<(Peer, SocketAddr), String> {
    match who {
        Who::Straight => Ok((Peer::None, sink)),
        Who::Postfix => {
            let postfix = Postfix::start(dir, free_address(), sink, connections).map_err(|error| error.to_string())?;
            let address = postfix.address;
            Ok((Peer::Postfix(postfix), address))
        }
        Who::Queued | Who::Inline | Who::QueuedJudged | Who::QueuedScanned | Who::InlineScanned => {
            let custody = if matches!(who, Who::Inline | Who::InlineScanned) { "inline" } else { "queued" };
            let tenants = format!(
                "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\ncustody = \"{custody}\"\n[[tenant.domain]]\n\
                 name = \"acme.example\"\nnext_hops = [\"{sink}\"]\nrecipients = \"any\"\n"
            );
            let meter = Meter::new("sekisho");
            let mut plan = Plan::new(&order.program, dir, tenants);
            plan.wrapper = meter.wrapper();
            if !order.normal {
                plan.node = "scheduling = \"batch\"\n".to_owned();
            }
            if let Some(threads) = order.threads {
                plan.node.push_str(&format!("threads = {threads}\n"));
            }
            // `smtp-source -d` sends everything over its connections and gives up at the first 421.
            plan.settings = "[smtp]\ntransactions = 1000000\n".to_owned();
            if matches!(who, Who::Queued | Who::Inline | Who::QueuedJudged) {
                plan.settings.push_str(UNSEEN);
            }
            if matches!(who, Who::Queued | Who::Inline) {
                RELAYED.clone_into(&mut plan.inbound_listener);
            }
            plan.write().and_then(|()| plan.apply()).map_err(|error| error.to_string())?;
            let mut gateway = plan.serve(&[]).map_err(|error| error.to_string())?;
            gateway.ready(Duration::from_secs(30)).map_err(|error| format!("{error}\n{}", plan.log_tail()))?;
            let address = plan.inbound;
            Ok((Peer::Sekisho { gateway, meter, plan: Box::new(plan) }, address))
        }
    }
}

fn usual() -> Mail {
    Mail::of("source@sender.example", "mail@acme.example")
}

fn messages(order: &Order, who: Who) -> usize {
    if who == Who::Postfix { order.postfix_messages } else { order.messages }
}

fn drain(peer: &Peer) -> Result<(), String> {
    let end = Instant::now() + Duration::from_mins(5);
    while !peer.empty() {
        if Instant::now() > end {
            return Err("not all was delivered within five minutes".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn published(order: &Order, who: Who, connections: usize, reuse: bool) -> Result<Figures, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let sink = free_address();
    let smtp_sink = SmtpSink::start(sink).map_err(|error| error.to_string())?;
    let (peer, target) = start(order, who, folder.path(), sink, connections)?;
    // A first few, so that processes, pools and caches are there.
    smtp_source(target, connections * 2, connections, reuse).map_err(|error| error.to_string())?;
    drain(&peer)?;
    let count = messages(order, who);
    let (taken, cpu, disk, begun) = (smtp_sink.cpu(), peer.cpu(), peer.disk(), Instant::now());
    let accepted = smtp_source(target, count, connections, reuse).map_err(|error| error.to_string())?;
    drain(&peer)?;
    let all = begun.elapsed();
    let mut found = figures(&peer, (who, connections, reuse), count, (accepted, all), cpu, disk);
    found.sink_micros = Some(smtp_sink.cpu().saturating_sub(taken).as_secs_f64() * 1e6 / count as f64);
    Ok(found)
}

fn timed(order: &Order, who: Who, connections: usize) -> Result<Figures, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let counter = Arc::new(Counter::default());
    let sink = Sink::start(runtime.handle(), free_address(), Arc::clone(&counter) as Arc<_>)
        .map_err(|error| error.to_string())?;
    let (peer, target) = start(order, who, folder.path(), sink.address, connections)?;
    let warm = own_client(runtime.handle(), target, usual(), connections * 2, connections);
    drain(&peer)?;
    let count = messages(order, who);
    let (cpu, disk, begun) = (peer.cpu(), peer.disk(), Instant::now());
    let times = own_client(runtime.handle(), target, usual(), count, connections);
    drain(&peer)?;
    let all = begun.elapsed();
    let arrived = counter.0.load(Ordering::Relaxed);
    let sent = (warm.accepted + times.accepted) as u64;
    if arrived != sent {
        println!("  !! {}: accepted {sent}, at the sink {arrived}", who.name());
    }
    let mut found = figures(&peer, (who, connections, true), times.accepted, (times.took, all), cpu, disk);
    found.latency = Some((times.percentile(50), times.percentile(99)));
    Ok(found)
}

fn figures(
    peer: &Peer,
    (who, connections, reuse): (Who, usize, bool),
    count: usize,
    (accepted, all): (Duration, Duration),
    cpu: Option<Duration>,
    disk: Option<(u64, u64, u64)>,
) -> Figures {
    let per = |duration: Duration| duration.as_secs_f64() * 1e6 / count as f64;
    let grown = |now: u64, before: u64| i64::try_from(now).unwrap_or(0) - i64::try_from(before).unwrap_or(0);
    Figures {
        who,
        connections,
        reuse,
        accepted_per_second: count as f64 / accepted.as_secs_f64(),
        delivered_per_second: count as f64 / all.as_secs_f64(),
        cpu_micros: peer.cpu().zip(cpu).map(|(now, before)| per(now - before)),
        sink_micros: None,
        latency: None,
        disk: peer.disk().zip(disk).map(|(now, before)| Disk {
            written_per_message: (now.0 - before.0) as f64 / count as f64,
            spool_growth: grown(now.1, before.1),
            log_growth: grown(now.2, before.2),
        }),
    }
}

/// The messages a second of a relay that takes as much CPU as the bar lets it, beside tools that take what they take straight to the
/// sink, on all cores. A rate beyond that says nothing about what stands between.
fn ceiling(straight: &Figures, postfix: &Figures) -> Option<f64> {
    let (tools, theirs) = straight.cpu_micros.zip(postfix.cpu_micros)?;
    Some(cores() as f64 * 1e6 / (tools + theirs / 12.0))
}

fn verdicts(all: &[Figures], own: &[Figures]) -> bool {
    let mut passed = true;
    // The published tools decide; our own client pipelines and asks for more, its lines are for the reader.
    for (client, set, decides) in [("smtp-source", all, true), ("own client", own, false)] {
        for queued in set.iter().filter(|figures| figures.who == Who::Queued) {
            let same = |who: Who| {
                set.iter().find(|f| f.who == who && f.connections == queued.connections && f.reuse == queued.reuse)
            };
            let case =
                format!("{client}, {} connections{}", queued.connections, if queued.reuse { ", kept" } else { "" });
            if let Some(postfix) = same(Who::Postfix) {
                let rate = queued.accepted_per_second / postfix.accepted_per_second;
                let text = format!("bar 6, {case}: accepted/s against Postfix");
                let ceiling = same(Who::Straight).and_then(|straight| ceiling(straight, postfix));
                match ceiling.filter(|ceiling| ceiling / postfix.accepted_per_second < 8.0 && rate < 8.0) {
                    Some(ceiling) => {
                        println!(
                            "{text}: {rate:.2} (bar 8.00) NOT MEASURABLE: beside the tools, a relay with 1/12 of Postfix's CPU \
                             makes at most {:.2} on these cores",
                            ceiling / postfix.accepted_per_second,
                        );
                        let share = queued.delivered_per_second / ceiling;
                        let text = format!("bar 6, {case}: delivered/s of what is possible there");
                        passed &= verdict(&text, share, 0.7) || !decides;
                    }
                    None => passed &= verdict(&text, rate, 8.0) || !decides,
                }
                if let (Some(ours), Some(theirs)) = (queued.cpu_micros, postfix.cpu_micros) {
                    passed &=
                        verdict(&format!("bar 6, {case}: Postfix's CPU per message against ours"), theirs / ours, 12.0)
                            || !decides;
                    if let Some(taking) = same(Who::Straight).and_then(|straight| straight.sink_micros) {
                        println!(
                            "bar 6, {case}: 1/12 of Postfix's CPU is {:.0} us; smtp-sink, which takes the message from \
                             the same client and forgets it, needs {taking:.0} us; ours is {ours:.0} us",
                            theirs / 12.0
                        );
                    }
                }
            }
            if let Some(judged) = same(Who::QueuedJudged) {
                let share = judged.accepted_per_second / queued.accepted_per_second;
                let text = format!("senders judged, {case}: accepted/s against the plain relay");
                passed &= verdict(&text, share, 0.85) || !decides;
                if let (Some(with), Some(without)) = (judged.cpu_micros, queued.cpu_micros) {
                    println!("senders judged, {case}: {:.1} us of CPU more for a message", with - without);
                }
                if let Some(postfix) = same(Who::Postfix) {
                    let rate = judged.accepted_per_second / postfix.accepted_per_second;
                    let cpu = postfix.cpu_micros.zip(judged.cpu_micros).map_or(0.0, |(theirs, ours)| theirs / ours);
                    println!("senders judged, {case}: {rate:.2} of Postfix's accepted/s at 1/{cpu:.1} of its CPU");
                }
            }
            if let (Some(inline), Some(straight)) = (same(Who::Inline), same(Who::Straight)) {
                let rate = inline.accepted_per_second / straight.accepted_per_second;
                let text = format!("bar 7, {case}: inline against straight");
                if inline.connections >= 100 {
                    passed &= verdict(&text, rate, 1.0 / 3.0) || !decides;
                } else {
                    println!("{text}: {rate:.2}");
                }
                if let Some(disk) = &inline.disk {
                    let spool = disk.spool_growth == 0;
                    passed &= spool;
                    println!(
                        "bar 7, {case}: spool grew {} bytes ({}); {:.0} bytes written per message, the mail log grew {} in all",
                        disk.spool_growth,
                        if spool { "passed" } else { "MISSED" },
                        disk.written_per_message,
                        disk.log_growth
                    );
                }
            }
        }
    }
    passed
}

fn verdict(text: &str, value: f64, bar: f64) -> bool {
    let passed = value >= bar;
    println!("{text}: {value:.2} (bar {bar:.2}) {}", if passed { "passed" } else { "MISSED" });
    passed
}
