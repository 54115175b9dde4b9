//! Outbound mail with all checks on: Sekisho beside Postfix with rspamd as its milter. The method is written at the head of
//! `benches/outbound`.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::gateway::{Gateway, Plan, free_address};
use crate::load::{Counter, Mail, Times, own_client};
use crate::meter::Meter;
use crate::postfix::Postfix;
use crate::sink::Sink;

/// Rates and bulk are counted and never reached.
const LIMITS: &str = "[rates]\noutbound_client = \"100000000/5m\"\noutbound_sender = \"100000000/10m\"\n\
                      [bulk]\nsender = \"100000000/10m\"\ntext = \"100000000/10m\"\n";

/// One peer's figures.
struct Figures {
    per_second: f64,
    cpu: Duration,
    times: Times,
}

/// Runs both and prints the ratio. `false`: the bar was missed.
pub fn run(program: &Path, messages: usize, peers: usize, connections: usize) -> Result<bool, String> {
    println!(
        "CPU is read by {}; {connections} connections kept, 5 KB of text, own client and sink",
        Meter::new("probe").method()
    );
    let theirs = postfix(peers, connections)?;
    line("Postfix, rspamd as milter", &theirs);
    let ours = sekisho(program, messages, connections)?;
    line("Sekisho, outbound", &ours);
    let rate = ours.per_second / theirs.per_second;
    let passed = rate >= 10.0;
    println!(
        "bar: messages per second against Postfix with rspamd: {rate:.2} (bar 10.00) {}; CPU 1/{:.1}",
        if passed { "passed" } else { "MISSED" },
        theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64()
    );
    Ok(passed)
}

fn line(who: &str, found: &Figures) {
    println!(
        "{who:<28} {:>9.0}/s  CPU {:>7.0} us  p50 {:>7.2} ms  p99 {:>7.2} ms  accepted {}",
        found.per_second,
        found.cpu.as_secs_f64() * 1e6,
        found.times.percentile(50).as_secs_f64() * 1e3,
        found.times.percentile(99).as_secs_f64() * 1e3,
        found.times.accepted
    );
}

/// Sends, waits until all has arrived at the sink, and reads the CPU of the peer in between.
fn measure(
    runtime: &Runtime,
    (target, arrived): (SocketAddr, &Counter),
    (messages, connections): (usize, usize),
    cpu: impl Fn() -> Duration,
) -> Result<Figures, String> {
    let mail = || Mail::of("source@acme.example", "mail@partner.example");
    let warm = own_client(runtime.handle(), target, mail(), connections * 2, connections);
    let all = |sent: usize| {
        let end = Instant::now() + Duration::from_mins(5);
        while (arrived.0.load(Ordering::Relaxed) as usize) < sent {
            if Instant::now() > end {
                return Err(format!("{} of {sent} arrived", arrived.0.load(Ordering::Relaxed)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    };
    all(warm.accepted)?;
    let (before, begun) = (cpu(), Instant::now());
    let times = own_client(runtime.handle(), target, mail(), messages, connections);
    all(warm.accepted + times.accepted)?;
    let took = begun.elapsed();
    if times.accepted < messages {
        return Err(format!("{} of {messages} were accepted", times.accepted));
    }
    let count = u32::try_from(messages).unwrap_or(u32::MAX);
    Ok(Figures { per_second: messages as f64 / took.as_secs_f64(), cpu: (cpu() - before) / count, times })
}

fn sink(runtime: &Runtime) -> Result<(Sink, Arc<Counter>), String> {
    let counter = Arc::new(Counter::default());
    let sink = Sink::start(runtime.handle(), free_address(), Arc::clone(&counter) as Arc<_>);
    Ok((sink.map_err(|error| error.to_string())?, counter))
}

fn sekisho(program: &Path, messages: usize, connections: usize) -> Result<Figures, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (sink, counter) = sink(&runtime)?;
    // The partner is a tenant, too: its next hop is the sink. All checks of outbound mail are the same.
    let tenants = format!(
        "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
         next_hops = [\"{0}\"]\nrecipients = \"any\"\n[[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n\
         [[tenant]]\nid = \"partner\"\nname = \"Partner KK\"\n[[tenant.domain]]\nname = \"partner.example\"\n\
         next_hops = [\"{0}\"]\nrecipients = \"any\"\n",
        sink.address
    );
    let meter = Meter::new("sekisho");
    let mut plan = Plan::new(program, folder.path(), tenants);
    plan.wrapper = meter.wrapper();
    plan.settings = "[smtp]\ntransactions = 1000000\n".to_owned();
    plan.limits = LIMITS.to_owned();
    plan.write().and_then(|()| plan.apply()).map_err(|error| error.to_string())?;
    let mut gateway: Gateway = plan.serve(&[]).map_err(|error| error.to_string())?;
    gateway.ready(Duration::from_secs(30)).map_err(|error| format!("{error}\n{}", plan.log_tail()))?;
    let pid = gateway.child.id();
    measure(&runtime, (plan.outbound, &counter), (messages, connections), || meter.read(pid))
}

fn postfix(messages: usize, connections: usize) -> Result<Figures, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (sink, counter) = sink(&runtime)?;
    let rspamd = Rspamd::start(&folder.path().join("rspamd")).map_err(|error| error.to_string())?;
    let more =
        format!("smtpd_milters = inet:{}\nmilter_default_action = tempfail\nmilter_protocol = 6\n", rspamd.address);
    let own = folder.path().join("postfix");
    let postfix = Postfix::start_with(&own, free_address(), sink.address, connections, &more);
    let postfix = postfix.map_err(|error| error.to_string())?;
    let found =
        measure(&runtime, (postfix.address, &counter), (messages, connections), || postfix.cpu() + rspamd.cpu());
    let scanned = rspamd.scanned();
    if found.is_ok() && scanned < messages {
        return Err(format!("rspamd scanned {scanned} messages of {messages}"));
    }
    found
}

/// A rspamd with Debian's rules, as a milter that scans itself; ended when dropped.
struct Rspamd {
    child: Child,
    meter: Meter,
    dir: PathBuf,
    address: SocketAddr,
}

impl Rspamd {
    fn start(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let address = free_address();
        let at = dir.display();
        // Its own rules, modules and scores; a name server that knows nothing, as for Sekisho; as many processes as cores.
        std::fs::write(
            dir.join("rspamd.conf"),
            format!(
                ".include \"$CONFDIR/common.conf\"\noptions {{ .include \"$CONFDIR/options.inc\"\n pidfile = \"{at}/pid\";\n\
                 tempdir = \"{at}\"; hs_cache_dir = \"{at}\"; url_tld = \"${{SHAREDIR}}/effective_tld_names.dat\";\n\
                 dns {{ nameserver = [\"{}\"]; }} }}\n\
                 logging {{ type = \"file\"; filename = \"{at}/log\"; level = \"notice\"; }}\n\
                 worker \"rspamd_proxy\" {{ bind_socket = \"{address}\"; milter = yes; timeout = 120s; count = 2;\n\
                 upstream \"local\" {{ default = yes; self_scan = yes; }} }}\n",
                crate::nowhere::address(),
            ),
        )?;
        let meter = Meter::new("rspamd");
        let words = meter.wrapper();
        let mut command = match words.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg("rspamd");
                command
            }
            None => Command::new("rspamd"),
        };
        command.args(["-i", "-f", "-c"]).arg(dir.join("rspamd.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let rspamd = Self { child, meter, dir: dir.to_owned(), address };
        let end = Instant::now() + Duration::from_mins(1);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err(io::Error::other(format!("rspamd does not listen:\n{}", rspamd.log())));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // Its expressions are compiled aside after the start.
        std::thread::sleep(Duration::from_secs(20));
        Ok(rspamd)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// One line of its log for each message.
    fn scanned(&self) -> usize {
        self.log().matches("rspamd_task_write_log").count()
    }

    fn cpu(&self) -> Duration {
        self.meter.read(self.child.id())
    }
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
