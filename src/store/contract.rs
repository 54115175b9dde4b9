//! What every tenant store must do, whatever keeps the rows; and what SQLite must do besides.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::*;
use crate::tenant::{Snapshot, read};

fn specs(text: &str) -> Vec<TenantSpec> {
    read("t.toml", text).unwrap()
}

/// `a b:inline c` as three tenants with a domain each.
fn tenants(words: &str) -> Vec<TenantSpec> {
    let one = |word: &str| {
        let (id, custody) = word.split_once(':').unwrap_or((word, "queued"));
        format!(
            "[[tenant]]\nid = '{id}'\ncustody = '{custody}'\n[[tenant.domain]]\nname = '{id}.example'\nnext_hops = ['h']\n"
        )
    };
    specs(&words.split_whitespace().map(one).collect::<String>())
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

async fn all(store: &dyn TenantStore) -> (u64, Vec<TenantSpec>) {
    let mut all = Vec::new();
    let version = store.load(&mut |spec| all.push(spec)).await.unwrap();
    (version, all)
}

/// One suite for every adapter; `store` is fresh.
async fn contract(store: &dyn TenantStore) {
    assert_eq!(all(store).await, (0, vec![]));
    assert_eq!(store.find(&id("a")).await.unwrap(), None);

    // A dry run tells the same and writes nothing.
    let first = tenants("a b c");
    let dry = store.apply(&first, Mode::DryRun).await.unwrap();
    assert_eq!((dry.added.len(), dry.version), (3, 0));
    assert_eq!(all(store).await, (0, vec![]));

    let diff = store.apply(&first, Mode::Write).await.unwrap();
    assert_eq!((diff.added, diff.version, diff.unchanged), (vec![id("a"), id("b"), id("c")], 1, 0));
    assert_eq!(all(store).await, (1, first.clone()));

    // Equal already: no new version.
    let diff = store.apply(&first, Mode::Write).await.unwrap();
    assert!(diff.is_empty());
    assert_eq!((diff.unchanged, diff.version, store.version().await.unwrap()), (3, 1, 1));

    // One changed, one new, one gone.
    let second = tenants("a b:inline d");
    let diff = store.apply(&second, Mode::Write).await.unwrap();
    assert_eq!((&diff.added, &diff.removed, diff.unchanged, diff.version), (&vec![id("d")], &vec![id("c")], 1, 2));
    let [changed] = diff.changed.as_slice() else { panic!("{diff:?}") };
    assert_eq!(
        (&changed.id, changed.differences.as_slice()),
        (&id("b"), &["custody: \"queued\" -> \"inline\"".into()][..])
    );
    assert_eq!(all(store).await, (2, second.clone()));
    assert_eq!(store.find(&id("b")).await.unwrap().as_ref(), second.get(1));
    assert_eq!(store.find(&id("c")).await.unwrap(), None);

    // What happened since.
    let Changes { version: 2, changes: Changed::Tenants(mut changes) } = store.changes_since(1).await.unwrap() else {
        panic!("no changes since version 1")
    };
    changes.sort_by_key(|change| format!("{change:?}"));
    let put = |at: usize| SpecChange::Put(second[at].clone());
    let mut expected = vec![put(1), put(2), SpecChange::Remove(id("c"))];
    expected.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(changes, expected);
    let none = Changes { version: 2, changes: Changed::Tenants(vec![]) };
    assert_eq!(store.changes_since(2).await.unwrap(), none);
    // A version from the future is another store's.
    assert_eq!(store.changes_since(9).await.unwrap().changes, Changed::Everything);

    // What two claim is refused as a whole.
    let mut twice = tenants("a e");
    twice[1].domains = twice[0].domains.clone();
    let refused = store.apply(&twice, Mode::Write).await.unwrap_err();
    assert_eq!(refused.to_string(), "domain a.example belongs to tenant a and is claimed by tenant e too");
    twice[1] = twice[0].clone();
    assert!(matches!(store.apply(&twice, Mode::Write).await, Err(StoreError::Conflict(_))));
    assert_eq!(all(store).await, (2, second));

    // A removed tenant comes back, and an empty file empties the store.
    assert_eq!(store.apply(&first, Mode::Write).await.unwrap().added, [id("c")]);
    assert_eq!(store.apply(&[], Mode::Write).await.unwrap().removed, [id("a"), id("b"), id("c")]);
    assert_eq!(all(store).await, (4, vec![]));
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&MemoryTenants::new()).await;
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&SqliteTenants::open(dir.path()).await.unwrap()).await;
}

#[tokio::test]
async fn what_was_applied_is_there_after_a_restart_and_for_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let here = SqliteTenants::open(&dir.path().join("made/on/the/way")).await.unwrap();
    let there = SqliteTenants::open(&dir.path().join("made/on/the/way")).await.unwrap();
    here.apply(&tenants("a b"), Mode::Write).await.unwrap();
    assert_eq!(there.version().await.unwrap(), 1);
    here.close().await;
    assert_eq!(all(&there).await.1.len(), 2);
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteTenants::open(dir.path()).await.unwrap();
    store.apply(&tenants("a"), Mode::Write).await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        files += 1;
    }
    assert_eq!(files, 3, "database, log and index of the log");
}

#[tokio::test]
async fn more_tenants_than_a_batch_are_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteTenants::open(dir.path()).await.unwrap();
    let words: String = (0..4_500).map(|n| format!("t{n} ")).collect();
    store.apply(&tenants(&words), Mode::Write).await.unwrap();
    assert_eq!(all(&store).await.1.len(), 4_500);
    let diff = store.apply(&tenants(&words.replace("t9 ", "t9:inline ")), Mode::Write).await.unwrap();
    assert_eq!((diff.changed.len(), diff.unchanged), (1, 4_499));
    // One row was written: one row has the new version.
    let Changed::Tenants(changes) = store.changes_since(1).await.unwrap().changes else { panic!() };
    assert_eq!(changes.len(), 1);
}

#[tokio::test]
async fn whoever_is_too_far_behind_loads_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteTenants::open(dir.path()).await.unwrap();
    store.apply(&tenants("a gone"), Mode::Write).await.unwrap();
    store.apply(&tenants("a"), Mode::Write).await.unwrap();
    raw(dir.path(), "UPDATE state SET version = 5000").await;
    store.apply(&tenants("a b"), Mode::Write).await.unwrap();
    assert_eq!(store.changes_since(2).await.unwrap(), Changes { version: 5001, changes: Changed::Everything });
    assert!(matches!(store.changes_since(4999).await.unwrap().changes, Changed::Tenants(list) if list.len() == 1));
    let live = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
    let step = Follower::new(Arc::new(store), Arc::clone(&live)).look().await.unwrap();
    assert_eq!(step, Step::Live { version: 5001, tenants: 2, entries: 0 });
}

async fn raw(dir: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("tenants.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_a_damaged_row_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteTenants::open(dir.path()).await.unwrap();
    store.apply(&tenants("a b"), Mode::Write).await.unwrap();
    raw(dir.path(), "UPDATE tenants SET spec = '{' WHERE id = 'b'").await;
    let error = snapshot(&store).await.unwrap_err();
    assert!(error.to_string().starts_with("the stored form of tenant b can't be read"), "{error}");
    raw(dir.path(), "PRAGMA user_version = 99").await;
    let error = SqliteTenants::open(dir.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_versions_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let writer = SqliteTenants::open(dir.path()).await.unwrap();
    let reader = SqliteTenants::open(dir.path()).await.unwrap();
    let words = |custody: &str| (0..3_000).map(|n| format!("t{n}:{custody} ")).collect::<String>();
    let (even, odd) = (tenants(&words("queued")), tenants(&words("inline")));
    writer.apply(&even, Mode::Write).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let writing = tokio::spawn(async move {
        for round in 0..6 {
            let next = if round % 2 == 0 { &odd } else { &even };
            assert_eq!(writer.apply(next, Mode::Write).await.unwrap().changed.len(), 3_000);
        }
        ended.store(true, Ordering::SeqCst);
    });
    let mut seen = 0;
    while !done.load(Ordering::SeqCst) {
        let (version, all) = all(&reader).await;
        let inline = all.iter().filter(|spec| spec.custody == crate::tenant::Custody::Inline).count();
        // Odd versions are all queued, even ones all inline.
        assert_eq!(inline, if version % 2 == 0 { 3_000 } else { 0 }, "a torn read of version {version}");
        seen += 1;
    }
    writing.await.unwrap();
    assert!(seen > 0);
}

#[tokio::test]
async fn two_writers_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (SqliteTenants::open(dir.path()).await.unwrap(), SqliteTenants::open(dir.path()).await.unwrap());
    let (first, second) = (tenants("a b"), tenants("b c"));
    let (x, y) = tokio::join!(one.apply(&first, Mode::Write), two.apply(&second, Mode::Write));
    let (x, y) = (x.unwrap(), y.unwrap());
    assert_eq!(x.version.max(y.version), 2);
    assert_eq!(all(&one).await.1, if x.version == 2 { first } else { second });
}

#[tokio::test]
async fn an_edit_by_another_process_is_live_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let editor = SqliteTenants::open(dir.path()).await.unwrap();
    editor.apply(&tenants("a b c"), Mode::Write).await.unwrap();
    let node: SharedTenants = Arc::new(SqliteTenants::open(dir.path()).await.unwrap());
    let live = Arc::new(ArcSwap::from_pointee(snapshot(&*node).await.unwrap()));
    let before = live.load_full();
    let running = tokio::spawn(Follower::new(node, Arc::clone(&live)).run(|step| assert!(step.is_ok())));
    editor.apply(&tenants("a b:inline c"), Mode::Write).await.unwrap();
    let begun = std::time::Instant::now();
    while live.load().version() != 2 {
        assert!(begun.elapsed().as_millis() < 1_000, "the edit is not live");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let after = live.load_full();
    for other in ["a", "c"] {
        assert!(Arc::ptr_eq(before.tenant(&id(other)).unwrap(), after.tenant(&id(other)).unwrap()));
    }
    assert_eq!(after.tenant(&id("b")).unwrap().custody, crate::tenant::Custody::Inline);
    running.abort();
}
