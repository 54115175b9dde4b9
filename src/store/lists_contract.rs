//! What every store of lists must do, whatever keeps the rows; and what SQLite must do besides.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::*;
use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::{Address, Domain, ReversePath, Timestamp};
use crate::tenant::Snapshot;
use crate::tenant::lists::{
    Hit, Hits, Kept, ListChange, Lists, MAX_IN_MAILBOX, NewEntry, Note, Pattern, Place, Query, Rule,
};

const THEN: Timestamp = Timestamp(1_795_176_451_000);

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

/// `acme allow x.example`, `acme/taro@acme.example block a@x.example`, `operator block JP`.
fn new(text: &str) -> NewEntry {
    let words: Vec<&str> = text.split(' ').collect();
    let place = match words[0].split_once('/') {
        None if words[0] == "operator" => Place::Operator,
        None => Place::Tenant(id(words[0])),
        Some((tenant, name)) if name.contains('@') => {
            Place::mailbox(id(tenant), &Address::parse(name).unwrap()).unwrap()
        }
        Some((tenant, name)) => Place::Domain(id(tenant), Domain::parse(name).unwrap()),
    };
    let pattern = Pattern::parse(Pattern::guess(words[2]), words[2]).unwrap();
    let bound = words.get(3).map(|bound| Rule::read_bound(bound).unwrap());
    let rule = Rule::new(place, Action::parse(words[1]).unwrap(), pattern, bound).unwrap();
    let note = Note { owner: "ops".into(), reason: "ticket 812, 理由".into(), created: THEN };
    NewEntry::new(rule, None, note).unwrap()
}

fn all_new(texts: &[&str]) -> Vec<NewEntry> {
    texts.iter().map(|text| new(text)).collect()
}

async fn all(store: &dyn ListStore) -> Vec<Kept> {
    listed(store, &ListFilter::default()).await
}

async fn listed(store: &dyn ListStore, filter: &ListFilter) -> Vec<Kept> {
    let mut all = Vec::new();
    let mut each = |kept| {
        all.push(kept);
        true
    };
    store.list(filter, &mut each).await.unwrap();
    all
}

fn rules(kept: &[Kept]) -> Vec<String> {
    kept.iter().map(|kept| kept.entry.rule.to_string()).collect()
}

/// Which entries an address of acme.example with this sender and client meets.
fn judged(lists: &Lists, mailbox: &str, sender: &str, ip: &str) -> Vec<u64> {
    let mailbox = Address::parse(mailbox).unwrap();
    let sender = ReversePath::try_from(sender.to_owned()).unwrap();
    let tenant = id("acme");
    let query = Query {
        tenant: &tenant,
        domain: mailbox.domain(),
        mailbox: &mailbox,
        sender: &sender,
        ip: ip.parse().unwrap(),
        country: crate::model::sender::Country::parse("JP"),
        now: THEN,
    };
    let found = lists.judge(&query);
    found.sender.iter().chain(&found.ip).map(|matched| matched.id.0).collect()
}

const EVERY_KIND: &[&str] = &[
    "operator block JP",
    "operator block 2001:db8::/32",
    "acme allow 192.0.2.0/24",
    "acme allow x.example 192.0.2.0/24",
    "acme/acme.example block y.example",
    "acme/taro@acme.example block \"a_b\"@y.example",
    "acme/\"t_x\"@acme.example allow a@y.example",
    "beta block z.example",
];

/// One suite for every adapter; `store` is fresh.
async fn contract(store: &dyn ListStore) {
    assert_eq!((store.version().await.unwrap(), all(store).await), (0, vec![]));
    assert_eq!(lists(store).await.unwrap().len(), 0);

    // A dry run tells the same and writes nothing.
    let first = all_new(EVERY_KIND);
    let dry = store.put(&first, Mode::DryRun, None).await.unwrap();
    assert!(dry.iter().all(|put| matches!(put, Put::Added(_))), "{dry:?}");
    assert_eq!((store.version().await.unwrap(), all(store).await), (0, vec![]));

    let puts = store.put(&first, Mode::Write, None).await.unwrap();
    let ids: Vec<EntryId> = (1..=8).map(EntryId).collect();
    assert_eq!(puts, ids.iter().map(|id| Put::Added(*id)).collect::<Vec<_>>());
    let kept = all(store).await;
    assert_eq!(kept.len(), 8);
    for (kept, new) in store.find(&ids).await.unwrap().iter().zip(&first) {
        assert_eq!((&kept.entry.rule, &kept.note, kept.hits), (&new.rule, &new.note, 0));
    }
    // The operator's first, then in the order of scope, name, kind, value.
    let acme = ListFilter { whose: Whose::Tenant(Some(id("acme"))), ..ListFilter::default() };
    assert_eq!(
        rules(&listed(store, &acme).await),
        [
            "allow domain x.example from 192.0.2.0/24 for tenant acme",
            "allow network 192.0.2.0/24 for tenant acme",
            "block domain y.example for domain acme.example",
            "allow address a@y.example for mailbox t_x@acme.example",
            "block address a_b@y.example for mailbox taro@acme.example",
        ]
    );
    assert_eq!(kept[..2].iter().filter(|kept| kept.entry.rule.place == Place::Operator).count(), 2);

    // What it compiles to.
    let compiled = lists(store).await.unwrap();
    assert_eq!((compiled.version(), compiled.len()), (1, 8));
    assert_eq!(judged(&compiled, "taro@acme.example", "a_b@y.example", "192.0.2.1"), [6, 5, 3, 1]);
    assert_eq!(judged(&compiled, "jiro@acme.example", "q@x.example", "2001:db8::1"), [4, 2, 1]);

    // Equal already: no new version. Another reason or expiry: the same entry.
    assert_eq!(store.put(&first[..1], Mode::Write, None).await.unwrap(), [Put::Unchanged(EntryId(1))]);
    assert_eq!(store.version().await.unwrap(), 1);
    let mut changed = first[..2].to_vec();
    changed[0].expires = Some(Timestamp::from_millis(THEN.as_millis() + 60_000));
    changed[0].note.created = Timestamp::from_millis(5_000);
    changed[1].note.reason = "another".into();
    let before = store.find(&ids[..2]).await.unwrap();
    let expected: Vec<Put> = before.iter().map(|old| Put::Changed(old.entry.id, Box::new(old.clone()))).collect();
    assert_eq!(store.put(&changed, Mode::Write, None).await.unwrap(), expected);
    let after = store.find(&ids[..2]).await.unwrap();
    assert_eq!((after[0].entry.expires, after[0].note.created), (changed[0].expires, THEN));
    assert_eq!(&*after[1].note.reason, "another");

    // Filters.
    let only = |filter: ListFilter| async move { rules(&listed(store, &filter).await) };
    assert_eq!(only(ListFilter { kind: Some(EntryKind::Country), ..ListFilter::default() }).await.len(), 1);
    assert_eq!(only(ListFilter { action: Some(Action::Allow), ..ListFilter::default() }).await.len(), 3);
    assert_eq!(only(ListFilter { value: Some("x.example".into()), ..ListFilter::default() }).await.len(), 1);
    let place = Whose::Place(new("acme/acme.example block q.example").rule.place);
    assert_eq!(only(ListFilter { whose: place, ..ListFilter::default() }).await.len(), 1);
    let nobody = Whose::Tenant(Some(id("nobody")));
    assert!(only(ListFilter { whose: nobody, ..ListFilter::default() }).await.is_empty());
    let mut one = Vec::new();
    let mut first_only = |kept| {
        one.push(kept);
        false
    };
    store.list(&ListFilter::default(), &mut first_only).await.unwrap();
    assert_eq!(one.len(), 1);

    changes_and_removal(store, &first, &compiled).await;
    hits_and_limits(store).await;
    checkpoints(store).await;
}

/// The store holds `first`, and was changed once since.
async fn changes_and_removal(store: &dyn ListStore, first: &[NewEntry], compiled: &Lists) {
    // What happened since; an entry that came and went is gone.
    let ListChanges { version: 2, changes: Some(changes) } = store.changes_since(1).await.unwrap() else { panic!() };
    assert_eq!(changes.len(), 2);
    assert_eq!(store.changes_since(2).await.unwrap(), ListChanges { version: 2, changes: Some(vec![]) });
    assert_eq!(store.changes_since(99).await.unwrap().changes, None);
    let [Put::Added(brief)] = store.put(&all_new(&["beta allow q.example"]), Mode::Write, None).await.unwrap()[..]
    else {
        panic!()
    };
    let gone = [brief, EntryId(8), EntryId(777), brief];
    assert_eq!(store.remove(&gone, Mode::DryRun).await.unwrap().len(), 2);
    assert_eq!(store.remove(&gone, Mode::Write).await.unwrap().len(), 2);
    assert!(store.remove(&gone, Mode::Write).await.unwrap().is_empty());
    let ListChanges { version: 4, changes: Some(mut changes) } = store.changes_since(2).await.unwrap() else {
        panic!()
    };
    changes.sort_by_key(|change| matches!(change, ListChange::Remove(_, EntryId(9))));
    let removed = |at| ListChange::Remove(Some(id("beta")), EntryId(at));
    assert_eq!(changes, [removed(8), removed(9)]);
    assert_eq!(compiled.edited(4, &changes).len(), 7);

    // An id is never used again.
    let again = store.put(&first[7..], Mode::Write, None).await.unwrap();
    assert_eq!(again, [Put::Added(EntryId(10))]);
}

async fn hits_and_limits(store: &dyn ListStore) {
    // Hits: no new version, no entry that is gone.
    let version = store.version().await.unwrap();
    let hit = |id, count, last| Hit { id: EntryId(id), count, last: Timestamp::from_millis(last) };
    store.add_hits(&[hit(1, 2, 500), hit(8, 1, 1)]).await.unwrap();
    store.add_hits(&[hit(1, 3, 400)]).await.unwrap();
    let kept = store.find(&[EntryId(8), EntryId(1)]).await.unwrap();
    assert_eq!((kept.len(), kept[0].hits, kept[0].last_hit), (1, 5, Some(Timestamp::from_millis(500))));
    assert_eq!(store.version().await.unwrap(), version);

    // A mailbox has a hundred; what is there may still be changed.
    let many: Vec<NewEntry> =
        (0..=MAX_IN_MAILBOX).map(|n| new(&format!("acme/s@acme.example block m{n}.example"))).collect();
    let puts = store.put(&many, Mode::Write, None).await.unwrap();
    assert_eq!(puts.iter().filter(|put| matches!(put, Put::Full(MAX_IN_MAILBOX))).count(), 1);
    assert_eq!(puts.last(), Some(&Put::Full(MAX_IN_MAILBOX)));
    let mut one = many[0].clone();
    one.note.reason = "x".into();
    assert!(matches!(store.put(&[one], Mode::Write, None).await.unwrap()[..], [Put::Changed(..)]));
}

async fn checkpoints(store: &dyn ListStore) {
    // Checkpoints go with the entries they are put with.
    let file = [7; 32];
    assert_eq!(store.checkpoint(&file).await.unwrap(), None);
    store.put(&all_new(&["acme block c.example"]), Mode::DryRun, Some(Checkpoint { file, row: 9 })).await.unwrap();
    assert_eq!(store.checkpoint(&file).await.unwrap(), None);
    store.put(&all_new(&["acme block c.example"]), Mode::Write, Some(Checkpoint { file, row: 9 })).await.unwrap();
    store.put(&[], Mode::Write, Some(Checkpoint { file, row: 12 })).await.unwrap();
    assert_eq!(store.checkpoint(&file).await.unwrap(), Some(12));
    store.forget_checkpoint(&file).await.unwrap();
    assert_eq!(store.checkpoint(&file).await.unwrap(), None);
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&MemoryLists::new()).await;
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&SqliteLists::open(dir.path()).await.unwrap()).await;
}

#[tokio::test]
async fn more_entries_than_a_page_are_loaded_and_listed_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteLists::open(dir.path()).await.unwrap();
    // Tenants of 1, of a page and of more than two, whose ends fall into the middle of pages.
    for (tenant, count) in [("a", 1), ("b", 4_096), ("c", 9_000), ("operator", 30)] {
        let entries: Vec<NewEntry> = (0..count).map(|n| new(&format!("{tenant} block d{n}.example"))).collect();
        store.put(&entries, Mode::Write, None).await.unwrap();
    }
    let compiled = lists(&store).await.unwrap();
    let kept = all(&store).await;
    assert_eq!((compiled.len(), kept.len()), (13_127, 13_127));
    let distinct: std::collections::HashSet<EntryId> = kept.iter().map(|kept| kept.entry.id).collect();
    assert_eq!(distinct.len(), kept.len());
    let anew = Lists::compile(4, kept.into_iter().map(|kept| kept.entry));
    assert_eq!(compiled.size(), anew.size());
}

#[tokio::test]
async fn whoever_is_too_far_behind_loads_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteLists::open(dir.path()).await.unwrap());
    store.put(&all_new(&["acme block x.example"]), Mode::Write, None).await.unwrap();
    raw(dir.path(), "UPDATE state SET version = 5000").await;
    store.put(&all_new(&["acme block y.example"]), Mode::Write, None).await.unwrap();
    assert_eq!(store.changes_since(1).await.unwrap(), ListChanges { version: 5001, changes: None });
    let live = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
    let follower = Follower::new(Arc::new(MemoryTenants::new()), Arc::clone(&live)).with_lists(store);
    assert_eq!(follower.look().await.unwrap(), Step::Live { version: 0, tenants: 0, entries: 2 });
    assert_eq!(follower.look().await.unwrap(), Step::Unchanged);
}

#[test]
fn large_edits_are_compiled_aside_and_small_ones_at_once() {
    let one_aside = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    one_aside.block_on(async {
        let store = Arc::new(MemoryLists::new());
        let live = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
        let shared: SharedLists = Arc::clone(&store) as _;
        let follower = Follower::new(Arc::new(MemoryTenants::new()), Arc::clone(&live)).with_lists(shared);
        let mut asleep = std::task::Context::from_waker(std::task::Waker::noop());
        let mut all = 0;
        for (entries, aside) in [(1000, false), (1001, true)] {
            let texts: Vec<String> = (0..entries).map(|n| format!("acme block x{entries}-{n}.example")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            store.put(&all_new(&texts), Mode::Write, None).await.unwrap();
            // The only thread aside is busy until the gate opens: what is compiled there can't be ready before.
            let (gate, closed) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || closed.recv());
            // Stores in memory never wait: what is pending is being compiled elsewhere.
            let mut look = std::pin::pin!(follower.look());
            let first = look.as_mut().poll(&mut asleep);
            assert_eq!(first.is_pending(), aside);
            gate.send(()).unwrap();
            let step = match first {
                std::task::Poll::Ready(step) => step.unwrap(),
                std::task::Poll::Pending => look.await.unwrap(),
            };
            assert_eq!(step, Step::Live { version: 0, tenants: 0, entries });
            all += entries;
            assert_eq!(live.load().lists().len(), all);
            busy.await.unwrap().unwrap();
        }
    });
}

async fn raw(dir: &std::path::Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("lists.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_damaged_entry_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteLists::open(dir.path()).await.unwrap();
    store.put(&all_new(&["acme block 192.0.2.1"]), Mode::Write, None).await.unwrap();
    raw(dir.path(), "UPDATE entries SET value = 'nonsense'; UPDATE notes SET value = 'nonsense'").await;
    for error in [lists(&store).await.unwrap_err(), store.find(&[EntryId(1)]).await.unwrap_err()] {
        assert!(error.to_string().starts_with("the stored list entry 1 can't be read: \"nonsense\""), "{error}");
    }
}

#[tokio::test]
async fn an_edit_by_another_process_is_live_within_a_second_and_tenants_keep_their_lists() {
    let dir = tempfile::tempdir().unwrap();
    let (editor, node) = (SqliteLists::open(dir.path()).await.unwrap(), SqliteLists::open(dir.path()).await.unwrap());
    let tenants = Arc::new(MemoryTenants::new());
    let live = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
    let follower = Follower::new(Arc::clone(&tenants) as SharedTenants, Arc::clone(&live)).with_lists(Arc::new(node));
    let running = tokio::spawn(follower.run(|step| assert!(step.is_ok())));
    editor.put(&all_new(&["acme block x.example"]), Mode::Write, None).await.unwrap();
    until(&live, |snapshot| judged(snapshot.lists(), "taro@acme.example", "a@x.example", "::1") == [1]).await;
    let spec = "[[tenant]]\nid='acme'\n[[tenant.domain]]\nname='acme.example'\nnext_hops=['h']\n";
    tenants.apply(&crate::tenant::read("t", spec).unwrap(), Mode::Write).await.unwrap();
    until(&live, |snapshot| snapshot.len() == 1 && snapshot.lists().len() == 1).await;
    editor.remove(&[EntryId(1)], Mode::Write).await.unwrap();
    until(&live, |snapshot| snapshot.lists().is_empty() && snapshot.len() == 1).await;
    running.abort();
}

async fn until(live: &ArcSwap<Snapshot>, is_so: impl Fn(&Snapshot) -> bool) {
    let begun = std::time::Instant::now();
    while !is_so(&live.load()) {
        assert!(begun.elapsed().as_millis() < 1_000, "the edit is not live");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn hits_that_cannot_be_written_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteLists::open(dir.path()).await.unwrap();
    store.put(&all_new(&["acme block x.example"]), Mode::Write, None).await.unwrap();
    let hits = Hits::default();
    hits.count(EntryId(1), THEN);
    store.close().await;
    assert!(write_hits(&hits, &store).await.is_err());
    let store = SqliteLists::open(dir.path()).await.unwrap();
    assert_eq!(write_hits(&hits, &store).await.unwrap(), 1);
    assert_eq!(store.find(&[EntryId(1)]).await.unwrap()[0].hits, 1);
    assert_eq!(all(&store).await[0].entry.rule.place.scope(), Scope::Tenant);
}
