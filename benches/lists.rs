//! 10,000,000 list entries over 100,000 tenants: start from SQLite, memory of an entry, look-ups (each timed by itself), one edit
//! until it is live, and an edit of a list of a million entries.
//!
//! `cargo bench --bench lists` (or with a number of tenants behind `--`; each has 100 entries). Method: the store is filled by
//! SQL; loading is measured in a process of its own, so that its memory is that of the index; look-ups go to tenants at random,
//! so that hardly any finds its block in a cache; what is asked was just read, as in a transaction; half of them match.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use sekisho::model::lists::{Action, EntryId, EntryKind};
use sekisho::model::sender::Country;
use sekisho::model::{Address, ReversePath, TenantId, Timestamp};
use sekisho::store::{Follower, ListStore, MemoryTenants, Mode, Put, SqliteLists, Step, lists};
use sekisho::tenant::Snapshot;
use sekisho::tenant::lists::{Entry, ListChange, Lists, NewEntry, Note, Pattern, Place, Query, Rule};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EACH: u64 = 100;
const LOOKUPS: usize = 1_000_000;
const NOW: Timestamp = Timestamp(1_795_176_451_250);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match arguments.as_slice() {
        [load, dir] if load == "load" => runtime.block_on(load_and_look(Path::new(dir))),
        [count] => runtime.block_on(fill(count.parse().unwrap())),
        _ => runtime.block_on(fill(100_000)),
    }
}

/// Of a tenant's 100 entries 40 are domains, 30 addresses, 10 networks, 15 addresses of mailboxes, 5 domains of its domain.
const ENTRIES: &str = "WITH RECURSIVE n(n) AS (VALUES (?1) UNION ALL SELECT n + 1 FROM n WHERE n < ?2) \
    SELECT n / 100 + 1 AS tenant, \
      CASE WHEN k < 80 THEN 1 WHEN k < 85 THEN 2 ELSE 3 END AS scope, \
      CASE WHEN k < 80 THEN '' WHEN k < 85 THEN printf('t%06d.example', n / 100 + 1) \
        ELSE printf('user%d@t%06d.example', k % 3, n / 100 + 1) END AS name, \
      CASE WHEN k < 40 THEN 1 WHEN k < 70 THEN 0 WHEN k < 80 THEN 2 WHEN k < 85 THEN 1 ELSE 0 END AS kind, \
      CASE WHEN k < 40 OR k BETWEEN 80 AND 84 THEN printf('d%d.mail%d.example', k, n % 7919) \
        WHEN k < 70 OR k > 84 THEN printf('sender.%d@mail%d.example', k, n % 7919) \
        ELSE printf('%d.%d.%d.0/24', 11 + k, (n / 100) % 251, k) END AS value, \
      k % 2 AS action, '' AS bound, n + 1 AS id, 0 AS expires FROM (SELECT n, n % 100 AS k FROM n)";

async fn fill(tenants: u64) {
    let dir = tempfile::tempdir().unwrap();
    SqliteLists::open(dir.path()).await.unwrap().close().await;
    let begun = Instant::now();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(dir.path().join("lists.db"))
        .synchronous(sqlx::sqlite::SqliteSynchronous::Off);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let (tenants, all) = (i64::try_from(tenants).unwrap(), i64::try_from(tenants * EACH).unwrap());
    sqlx::query(
        "INSERT INTO tenants WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < ?) \
         SELECT n, printf('t%06d', n), 100 FROM n",
    )
    .bind(tenants)
    .execute(&pool)
    .await
    .unwrap();
    for from in (0..all).step_by(1_000_000) {
        let to = (from + 1_000_000).min(all) - 1;
        let into_entries = format!("INSERT INTO entries {ENTRIES}");
        let into_notes = format!(
            "INSERT INTO notes SELECT id, tenant, scope, name, kind, value, action, bound, 'operator', \
             'a reason of the usual length, ticket 1234', 1795176451 FROM ({ENTRIES})"
        );
        for statement in [into_entries, into_notes] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(from).bind(to).execute(&pool).await.unwrap();
        }
    }
    sqlx::query("UPDATE state SET version = 1, next_id = ?").bind(all + 1).execute(&pool).await.unwrap();
    pool.close().await;
    let size = std::fs::metadata(dir.path().join("lists.db")).unwrap().len();
    println!("tenants, entries             {tenants:>10} {all:>10}   database {} MB", size / 1_000_000);
    tell("fill the store (SQL)", begun);
    let program = std::env::current_exe().unwrap();
    assert!(std::process::Command::new(program).arg("load").arg(dir.path()).status().unwrap().success());
    edit_a_long_list();
}

async fn load_and_look(dir: &Path) {
    let before = resident();
    let store = Arc::new(SqliteLists::open(dir).await.unwrap());
    let begun = Instant::now();
    let compiled = lists(&*store).await.unwrap();
    tell("start: load and compile", begun);
    let entries = compiled.len() as u64;
    let after = resident();
    println!(
        "resident before, after       {:>7} MB {:>7} MB (peak {} MB)",
        before / 1000,
        after / 1000,
        status("VmHWM") / 1000
    );
    println!("memory of an entry           {:>10} octets resident", (after - before) * 1000 / entries);
    println!("                             {:>10} octets in the blocks", compiled.size() as u64 / entries);
    look(&compiled, entries / EACH);
    let live = Arc::new(ArcSwap::from_pointee(Snapshot::empty().with_lists(Arc::new(compiled))));
    edit(&store, &live).await;
}

/// xorshift: the same look-ups on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

struct Asked {
    tenant: TenantId,
    mailbox: Address,
    sender: ReversePath,
    ip: IpAddr,
}

impl Asked {
    fn new(random: &mut Random, tenants: u64) -> Self {
        let tenant = random.below(tenants);
        let k = random.below(EACH);
        let n = (tenant * EACH + k) % 7919;
        // Every second one is no entry's.
        let known = random.below(2) == 0;
        let sender = match (known, k) {
            (true, 0..40 | 80..85) => format!("somebody@host.d{k}.mail{n}.example"),
            (true, _) => format!("sender.{k}@mail{n}.example"),
            (false, _) => format!("bounce+{k}@news{n}.mailer{k}.example"),
        };
        let ip = if known && (70..80).contains(&k) {
            Ipv4Addr::new(
                u8::try_from(11 + k).unwrap(),
                u8::try_from(tenant % 251).unwrap(),
                u8::try_from(k).unwrap(),
                9,
            )
        } else {
            Ipv4Addr::from(u32::try_from(random.below(1 << 32)).unwrap())
        };
        let mailbox = format!("user{}@t{:06}.example", k % 3, tenant + 1);
        Self {
            tenant: TenantId::parse(&format!("t{:06}", tenant + 1)).unwrap(),
            mailbox: Address::parse(&mailbox).unwrap(),
            sender: ReversePath::try_from(sender).unwrap(),
            ip: ip.into(),
        }
    }
}

fn look(lists: &Lists, tenants: u64) {
    let mut random = Random(0x5ec1_5b00_1234_5678);
    let mut times = Vec::with_capacity(LOOKUPS);
    let mut matched = 0;
    for _ in 0..LOOKUPS {
        let asked = Asked::new(&mut random, tenants);
        let query = Query {
            tenant: &asked.tenant,
            domain: asked.mailbox.domain(),
            mailbox: &asked.mailbox,
            sender: &asked.sender,
            ip: asked.ip,
            country: Country::parse("JP"),
            now: NOW,
        };
        let begun = Instant::now();
        let found = black_box(lists.judge(&query));
        times.push(begun.elapsed().as_nanos());
        matched += usize::from(!found.sender.is_empty() || !found.ip.is_empty());
    }
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("look-up: median, p99, p99.9  {:>7} ns {:>7} ns {:>7} ns", at(0.5), at(0.99), at(0.999));
    println!("look-ups that matched        {:>10} %", matched * 100 / LOOKUPS);
}

fn entry(place: Place, value: &str) -> NewEntry {
    let pattern = Pattern::parse(EntryKind::Domain, value).unwrap();
    let rule = Rule::new(place, Action::Block, pattern, None).unwrap();
    NewEntry::new(rule, None, Note { owner: "bench".into(), reason: "a reason".into(), created: NOW }).unwrap()
}

/// From the command's transaction to the snapshot: the follower looks every 200 ms, which comes on top.
async fn edit(store: &Arc<SqliteLists>, live: &Arc<ArcSwap<Snapshot>>) {
    let follower = Follower::new(Arc::new(MemoryTenants::new()), Arc::clone(live));
    let follower = follower.with_lists(Arc::clone(store) as Arc<dyn ListStore>);
    let before = live.load_full();
    let new = entry(Place::Tenant(TenantId::parse("t000077").unwrap()), "new.example");
    let whole = Instant::now();
    let begun = Instant::now();
    assert!(matches!(store.put(&[new], Mode::Write, None).await.unwrap()[..], [Put::Added(_)]));
    tell("edit: put one entry", begun);
    let begun = Instant::now();
    assert!(matches!(follower.look().await.unwrap(), Step::Live { entries: 1, .. }));
    tell("edit: follow", begun);
    tell("edit: put and follow", whole);
    println!("blocks packed by the edit    {:>10}", live.load().lists().blocks_not_shared_with(before.lists()));
}

fn edit_a_long_list() {
    let long = (1..=1_000_000u64).map(|id| {
        let NewEntry { rule, expires, .. } = entry(Place::Operator, &format!("host{id}.listed.example"));
        Entry { id: EntryId(id), rule, expires }
    });
    let lists = Lists::compile(1, long);
    let NewEntry { rule, expires, .. } = entry(Place::Operator, "new.example");
    let change = ListChange::Put(Entry { id: EntryId(9_999_999), rule, expires });
    let begun = Instant::now();
    let next = black_box(lists.edited(2, std::slice::from_ref(&change)));
    tell("edit of a list of 1,000,000", begun);
    assert_eq!(next.len(), 1_000_001);
}

fn tell(what: &str, begun: Instant) {
    println!("{what:<28} {:>10.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn resident() -> u64 {
    status("VmRSS")
}

/// In KB, from the kernel.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
