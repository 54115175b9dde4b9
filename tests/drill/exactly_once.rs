//! The same number in as out: `smtp-source` through the gateway to a next hop that hashes, each message exactly once.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::gateway::{Plan, free_address};
use crate::ledger::{Hash, Progress, hash, lock};
use crate::scene::{Custody, program, settings};
use crate::sink::{Handler, Sink};

#[derive(Debug, Default)]
struct Taken(Mutex<Vec<(Vec<String>, Hash)>>);

/// `smtp-source` numbers the recipients (-N) and sends the same body each time; its headers differ in the message id only.
impl Handler for Taken {
    fn message(&self, _sender: &str, recipients: &[String], body: &[u8]) -> (&'static str, Duration) {
        let at = body.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
        let text = hash(body.get(at..).unwrap_or_default());
        lock(&self.0).push((recipients.to_vec(), text));
        ("250 2.0.0 taken", Duration::ZERO)
    }
}

/// Sends `messages` of 5 KB over `sessions` at once.
pub fn run(messages: usize, sessions: usize, custody: Custody) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let straight = Arc::new(Taken::default());
    let through = Arc::new(Taken::default());
    let reference = Sink::start(runtime.handle(), free_address(), Arc::clone(&straight) as Arc<_>)
        .map_err(|error| error.to_string())?;
    source(1, 1, &reference.address.to_string())?;
    let expected = lock(&straight.0).first().map(|(_, hash)| *hash).ok_or("nothing came straight")?;
    let sink = Sink::start(runtime.handle(), free_address(), Arc::clone(&through) as Arc<_>)
        .map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let tenants = format!(
        "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\ncustody = \"{}\"\n[[tenant.domain]]\nname = \"acme.example\"\nnext_hops = [\"{}\"]\nrecipients = \"any\"\n",
        custody.word(),
        sink.address
    );
    let mut plan = Plan::new(&program(), folder.path(), tenants);
    plan.settings = format!("[smtp]\ntransactions = 1000000\n\n{}", settings());
    plan.write().and_then(|()| plan.apply()).map_err(|error| error.to_string())?;
    let mut gateway = plan.serve(&[]).map_err(|error| error.to_string())?;
    gateway.ready(Duration::from_secs(30)).map_err(|error| format!("{error}\n{}", plan.log_tail()))?;
    let begun = Instant::now();
    source(messages, sessions, &plan.inbound.to_string())?;
    let accepted = begun.elapsed();
    let mut progress = Progress::new();
    loop {
        let count = lock(&through.0).len();
        let queued = gateway.metric("sekisho_recipients_queued").unwrap_or(f64::NAN);
        let still = progress.stuck(queued, count);
        if (queued == 0.0 && still > Duration::from_millis(500)) || still > Duration::from_secs(30) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let delivered = begun.elapsed();
    let balance = gateway.metric("sekisho_balance_recipients");
    let taken = lock(&through.0);
    let mut times: HashMap<&str, usize> = HashMap::new();
    for recipient in taken.iter().flat_map(|(recipients, _)| recipients) {
        *times.entry(recipient).or_default() += 1;
    }
    let twice = times.values().filter(|count| **count > 1).count();
    let bodies: HashSet<Hash> = taken.iter().map(|(_, hash)| *hash).collect();
    let equal = bodies.len() == 1 && bodies.contains(&expected);
    println!(
        "exactly once, custody {}: {messages} sent over {sessions} sessions in {accepted:.1?}, all delivered after {delivered:.1?}; \
         transactions at the next hop {}, recipients {}, more than once {twice}, bodies equal: {equal}, balance {balance:?}",
        custody.word(),
        taken.len(),
        times.len()
    );
    if times.len() == messages && twice == 0 && equal && balance == Some(0.0) {
        Ok(())
    } else {
        Err("not each message exactly once".to_owned())
    }
}

fn source(messages: usize, sessions: usize, target: &str) -> Result<(), String> {
    let status = Command::new("smtp-source")
        .args(["-N", "-d", "-s", &sessions.to_string(), "-m", &messages.to_string(), "-l", "5120"])
        .args(["-f", "source@sender.example", "-t", "mail@acme.example", target])
        .status()
        .map_err(|error| format!("smtp-source: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("smtp-source: {status}")) }
}
