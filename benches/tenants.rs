//! 100,000 tenants of one domain and one network each: reading the file, applying it, opening the store and compiling
//! the snapshot, look-ups, one edit; time and resident memory.
//!
//! `cargo bench --bench tenants` (or with a number of tenants behind `--`). Method: one process, the allocator of the
//! program; loading is measured in a process of its own (started by itself), so that its memory is not the reader's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use sekisho::store::{Follower, Mode, SqliteTenants, Step, TenantStore, snapshot};
use sekisho::tenant::read;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match arguments.as_slice() {
        [load, dir] if load == "load" => runtime.block_on(load_and_look(Path::new(dir))),
        [count] => runtime.block_on(write(count.parse().unwrap())),
        _ => runtime.block_on(write(100_000)),
    }
}

fn file(count: u32, edited: Option<u32>) -> String {
    let mut text = String::new();
    for n in 0..count {
        let address = Ipv4Addr::from(0x0a00_0000 + n);
        let custody = if edited == Some(n) { "inline" } else { "queued" };
        writeln!(
            text,
            "[[tenant]]\nid = \"t{n:06}\"\nname = \"Tenant {n}\"\ncustody = \"{custody}\"\n[[tenant.domain]]\n\
             name = \"t{n:06}.example\"\nnext_hops = [\"mail.t{n:06}.example:25\"]\nrecipients = \"any\"\n\
             [[tenant.outbound_client]]\nnetwork = \"{address}/32\"\n"
        )
        .unwrap();
    }
    text
}

async fn write(count: u32) {
    let dir = tempfile::tempdir().unwrap();
    let text = file(count, None);
    println!("tenants                      {count:>10}   file {} MB", text.len() / 1_000_000);
    let begun = Instant::now();
    let specs = read("tenants.toml", &text).unwrap();
    tell("read the file", begun);
    let store = SqliteTenants::open(dir.path()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(store.apply(&specs, Mode::Write).await.unwrap().added.len(), count as usize);
    tell("apply, all new", begun);
    let begun = Instant::now();
    assert!(store.apply(&specs, Mode::Write).await.unwrap().is_empty());
    tell("apply, nothing new", begun);
    let live = Arc::new(ArcSwap::from_pointee(snapshot(&store).await.unwrap()));
    let before = live.load_full();
    let follower = Follower::new(Arc::new(SqliteTenants::open(dir.path()).await.unwrap()), Arc::clone(&live));
    let edited = file(count, Some(count / 2));
    let whole = Instant::now();
    let specs = read("tenants.toml", &edited).unwrap();
    let begun = Instant::now();
    assert_eq!(store.apply(&specs, Mode::Write).await.unwrap().changed.len(), 1);
    tell("apply, one tenant edited", begun);
    let begun = Instant::now();
    assert!(matches!(follower.look().await.unwrap(), Step::Live { tenants: 1, .. }));
    tell("follow one edit", begun);
    tell("edit: read, apply, follow", whole);
    println!("shards copied by the edit    {:>10}", live.load().shards_not_shared_with(&before));
    store.close().await;
    let program = std::env::current_exe().unwrap();
    assert!(std::process::Command::new(program).arg("load").arg(dir.path()).status().unwrap().success());
}

async fn load_and_look(dir: &Path) {
    let before = resident();
    let begun = Instant::now();
    let store = SqliteTenants::open(dir).await.unwrap();
    let snapshot = snapshot(&store).await.unwrap();
    tell("open, load, compile", begun);
    println!("resident before, after       {before:>6} MB {:>6} MB (peak {} MB)", resident(), status("VmHWM"));
    let count = u32::try_from(snapshot.len()).unwrap();
    let names: Vec<String> = (0..count).map(|n| format!("t{:06}.example", (n * 7919) % count)).collect();
    let begun = Instant::now();
    let found = names.iter().filter(|name| black_box(snapshot.domain(name)).is_some()).count();
    println!("look-up of a domain          {:>10} ns", begun.elapsed().as_nanos() / u128::from(count));
    assert_eq!(found, names.len());
    let begun = Instant::now();
    let known = |n: u32| snapshot.client_by_ip(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + (n * 7919) % count)));
    assert!((0..count).all(|n| black_box(known(n)).is_some()));
    println!("look-up of a client's IP     {:>10} ns", begun.elapsed().as_nanos() / u128::from(count));
}

fn tell(what: &str, begun: Instant) {
    println!("{what:<28} {:>10.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn resident() -> u64 {
    status("VmRSS")
}

/// In MB, from the kernel.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}
