//! What counting accounts costs an outbound message, and which share of its work that is.
//!
//! `cargo bench --bench accounts [MICROS]`. Method: one thread, 1,000,000 addresses over 10,000 tenants, the store of a node (SQLite); times
//! are means over all addresses in an order that no cache foresees. A message is asked for its contract and its sender's account, and
//! seen when it was taken; an account's first message of a day is written down, too, in batches. `MICROS` is the CPU time of a whole
//! outbound message in the same kind of build, with every check on, as `benches/outbound` finds it.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sekisho::accounts::{Accounts, Announcement, Announcer, Config, Deps};
use sekisho::clock::Clock;
use sekisho::model::{Address, TenantId};
use sekisho::store::SqliteAccounts;
use sekisho::telemetry::Metrics;
use sekisho::tenant::{self, Snapshot, Tenant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENANTS: usize = 10_000;
const EACH: usize = 100;
/// CPU time of an outbound message of 5 KB on the reference machine, in microseconds.
const MESSAGE: f64 = 700.0;

/// Tells nobody.
#[derive(Debug)]
struct Nobody;

impl Announcer for Nobody {
    fn announce<'a>(&'a self, _: &'a Tenant, _: &'a Announcement) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
}

/// CPU time of this process with all its threads, to a hundredth of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name may hold blanks; behind it the twelfth and the thirteenth field are the times.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn main() {
    let whole = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(MESSAGE);
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file: String = (0..TENANTS)
        .map(|n| {
            format!(
                "[[tenant]]\nid = \"t{n}\"\n[tenant.contract]\naccounts = 100\nstart = 2026-01-01\nover = \"refuse-new\"\n\
                 [[tenant.domain]]\nname = \"t{n}.example\"\nnext_hops = [\"h\"]\n"
            )
        })
        .collect();
    let mut snapshot = Snapshot::empty();
    for spec in tenant::read("tenants.toml", &file).unwrap() {
        snapshot.put(&Arc::new(Tenant::compile(spec))).unwrap();
    }
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let deps = Deps {
        store: Arc::new(runtime.block_on(SqliteAccounts::open(dir.path())).unwrap()),
        snapshot: Arc::clone(&snapshot),
        clock: Clock::System,
        metrics: Metrics::new(),
    };
    let config = Config { max_tenant_series: 1000, write_every: Duration::from_secs(5) };
    let accounts = runtime.block_on(Accounts::open(config, deps)).unwrap();
    let tenants: Vec<TenantId> = (0..TENANTS).map(|n| TenantId::parse(&format!("t{n}")).unwrap()).collect();
    // Multiplied by a number that shares no factor with the count: every address once, none beside the one before.
    let order = |n: usize| n * 7_368_787 % (TENANTS * EACH);
    let addresses: Vec<(usize, Address)> = (0..TENANTS * EACH)
        .map(order)
        .map(|n| (n / EACH, Address::parse(&format!("User{}@t{}.example", n % EACH, n / EACH)).unwrap()))
        .collect();
    let micros = |spent: Duration| spent.as_secs_f64() * 1e6 / addresses.len() as f64;
    let told = |what: &str, micros: f64| println!("{what:<52} {micros:>8.3} us");
    let each = |what: &str, run: &dyn Fn(&(usize, Address))| {
        let begun = cpu();
        addresses.iter().for_each(run);
        let one = micros(cpu().saturating_sub(begun));
        told(what, one);
        one
    };
    let live = snapshot.load();
    let of = |tenant: usize| tenants.get(tenant).unwrap();
    let ask = |(tenant, address): &(usize, Address)| {
        let tenant = live.tenant(of(*tenant)).unwrap();
        black_box((accounts.phase(tenant), accounts.admit(tenant, address)));
    };
    let see = |(tenant, address): &(usize, Address)| accounts.observe(of(*tenant), address);
    let asked_new = each("phase and admission of a new account", &ask);
    let first = each("first sight of the day", &see);
    let begun = cpu();
    runtime.block_on(accounts.step(&Nobody)).unwrap();
    let written = micros(cpu().saturating_sub(begun));
    told("a first sight written down", written);
    let later = each("later sight", &see);
    let asked = each("phase and admission of a known account", &ask);
    println!();
    for (what, cost) in
        [("an account's first message of the day", asked_new + first + written), ("every other message", asked + later)]
    {
        told(what, cost);
        println!("    {:.2} % of a message of {whole:.0} us", cost / whole * 100.0);
    }
}
