//! What counting accounts costs a message: the first sight of a day, every later one, the question of a contract.
//!
//! `cargo bench --bench accounts`. Method: one thread, 1,000,000 addresses over 10,000 tenants, a store in memory; times are means over
//! all addresses in an order that no cache foresees.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sekisho::accounts::{Accounts, Config, Deps};
use sekisho::clock::Clock;
use sekisho::model::{Address, TenantId};
use sekisho::store::MemoryAccounts;
use sekisho::telemetry::Metrics;
use sekisho::tenant::{self, Snapshot, Tenant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENANTS: usize = 10_000;
const EACH: usize = 100;

fn main() {
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
        store: Arc::new(MemoryAccounts::new()),
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
    let each = |what: &str, run: &dyn Fn(&(usize, Address))| {
        let begun = Instant::now();
        addresses.iter().for_each(run);
        let nanos = begun.elapsed().as_nanos() as f64 / addresses.len() as f64;
        println!("{what:<40} {nanos:>8.0} ns");
    };
    let live = snapshot.load();
    let of = |tenant: usize| tenants.get(tenant).unwrap();
    each("first sight of the day", &|(tenant, address)| accounts.observe(of(*tenant), address));
    each("later sight", &|(tenant, address)| accounts.observe(of(*tenant), address));
    each("phase and admission of a known account", &|(tenant, address)| {
        let tenant = live.tenant(of(*tenant)).unwrap();
        black_box((accounts.phase(tenant), accounts.admit(tenant, address)));
    });
}
