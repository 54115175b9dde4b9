//! One drill's stage: a folder, the gateway's plan, the next hop, the ledger; and waiting until everything is at rest.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::gateway::{Gateway, Plan, free_address};
use crate::injector::{Injector, Mix};
use crate::ledger::{Injected, Judgement, NextHop, Progress, judge};
use crate::sink::Sink;

/// Custody of the tenant the load goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    Queued,
    Inline,
}

impl Custody {
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Inline => "inline",
        }
    }
}

#[derive(Debug)]
pub struct Scene {
    pub runtime: Runtime,
    pub plan: Plan,
    pub hop: Arc<NextHop>,
    pub ledger: Arc<Injected>,
    pub seed: u64,
    _sink: Sink,
    folder: TempDir,
}

/// Short waits, so that a drill's end is not a night's; small segments, so that some are deleted in a drill.
const SETTINGS: &str = "
[delivery]
retry_first = \"1s\"
retry_max = \"3s\"

[spool]
segment_size = \"4 MiB\"
";

impl Scene {
    pub fn new(custody: Custody, seed: u64, hop: Arc<NextHop>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = tempfile::Builder::new().prefix("sekisho-drill-").tempdir().expect("a temporary folder");
        let sink = Sink::start(runtime.handle(), free_address(), Arc::clone(&hop) as Arc<_>).expect("the next hop");
        let mut plan = Plan::new(&program(), folder.path(), tenants(custody, sink.address));
        plan.settings = settings();
        plan.write().expect("settings");
        plan.apply().unwrap_or_else(|error| panic!("{error}"));
        let ledger = Arc::new(Injected::create(&folder.path().join("L1")).expect("the ledger"));
        Self { runtime, plan, hop, ledger, seed, _sink: sink, folder }
    }

    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    pub fn mix(&self, rate: u64) -> Mix {
        Mix {
            domains: vec!["acme.example".into(), "acme.example".into(), "beta.example".into(), "gamma.example".into()],
            sender_domain: "gamma.example".into(),
            rate,
            bounces_per_mille: 30,
            large_per_mille: 5,
            patience: Duration::from_secs(30),
        }
    }

    pub fn inject(&self, clients: u64, prefix: &str, mix: Mix) -> Injector {
        let ledger = Arc::clone(&self.ledger);
        Injector::start(self.runtime.handle(), self.plan.inbound, clients, self.seed, prefix, mix, ledger)
    }

    /// Starts the gateway and waits until it takes mail.
    pub fn start(&self, environment: &[(&str, String)]) -> (Gateway, Duration) {
        let mut gateway = self.plan.serve(environment).expect("the gateway starts");
        match gateway.ready(Duration::from_secs(30)) {
            Ok(after) => (gateway, after),
            Err(error) => panic!("{error}\n{}", self.plan.log_tail()),
        }
    }

    /// Waits until nothing is queued, or nothing moves any more. What is still queued.
    pub fn quiesce(&self, gateway: &Gateway, patience: Duration) -> f64 {
        let end = Instant::now() + patience;
        let mut progress = Progress::new();
        loop {
            let queued = gateway.metric("sekisho_recipients_queued").unwrap_or(f64::NAN);
            let still = progress.stuck(queued, self.hop.count());
            if (queued == 0.0 && still > Duration::from_millis(300)) || still > Duration::from_secs(25) {
                return queued;
            }
            if Instant::now() > end {
                return queued;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn judge(&self, excused: &HashSet<String>) -> Judgement {
        judge(&self.ledger.all(), &self.hop, excused)
    }

    /// Leaves the folder behind for a look.
    pub fn keep(self, why: &str) -> PathBuf {
        let path = self.folder.keep();
        eprintln!("{why}: everything is left in {}", path.display());
        path
    }
}

/// Short waits and small segments; `SEKISHO_DRILL_SETTINGS` names a file to use instead.
pub fn settings() -> String {
    match std::env::var_os("SEKISHO_DRILL_SETTINGS") {
        Some(path) => std::fs::read_to_string(path).expect("SEKISHO_DRILL_SETTINGS can be read"),
        None => SETTINGS.to_owned(),
    }
}

/// The gateway under test; `SEKISHO_BIN` names another build of it.
pub fn program() -> PathBuf {
    std::env::var_os("SEKISHO_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sekisho")), PathBuf::from)
}

/// `acme` has the custody in question, `beta` is the other tenant of mixed messages, `gamma` gets the notices.
fn tenants(custody: Custody, hop: SocketAddr) -> String {
    let one = |id: &str, custody: Custody| {
        format!(
            "[[tenant]]\nid = \"{id}\"\nname = \"{id}\"\ncustody = \"{}\"\n[[tenant.domain]]\nname = \"{id}.example\"\n\
             next_hops = [\"{hop}\"]\nrecipients = \"any\"\ntls = \"none\"\n\n",
            custody.word()
        )
    };
    [one("acme", custody), one("beta", custody), one("gamma", Custody::Queued)].concat()
}
