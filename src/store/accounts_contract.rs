//! What every store of accounts must do, whatever keeps the rows; and what SQLite must do besides.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::accounts::{
    AccountStore, Batch, DayRow, Listed, Loaded, Others, Registered, Registration, Seen, Standing, Told,
};
use crate::model::Timestamp;
use crate::tenant::{Day, Phase};

const THEN: Timestamp = Timestamp(1_795_176_451_250);

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn day(number: u16) -> Day {
    Day::from_number(20_000 + number)
}

fn seen(tenant: &str, account: &str, on: u16) -> Seen {
    Seen { tenant: id(tenant), account: account.into(), day: day(on) }
}

fn row(tenant: &str, on: u16, accounts: u32) -> DayRow {
    DayRow { tenant: id(tenant), day: day(on), accounts, registered: 1, observed: 2, contracted: Some(9) }
}

fn addresses(words: &str) -> Vec<Registration> {
    let one = |word: &str| match word.split_once('>') {
        Some((alias, account)) => Registration { address: alias.into(), alias_of: Some(account.into()) },
        None => Registration { address: word.into(), alias_of: None },
    };
    words.split_whitespace().map(one).collect()
}

async fn put(store: &dyn AccountStore, batch: Batch) {
    store.write(&batch).await.unwrap();
}

fn batch(seen: Vec<Seen>, closed: Vec<DayRow>) -> Batch {
    Batch { seen, closed, told: Vec::new(), at: THEN }
}

/// `address:registered:last`, by address.
async fn accounts(store: &dyn AccountStore, tenant: &str) -> Vec<String> {
    let mut loaded = store.load_one(&id(tenant)).await.unwrap().accounts;
    loaded.sort();
    let last = |last: Option<Day>| last.map_or("-".into(), |last| (last.number() - 20_000).to_string());
    loaded
        .into_iter()
        .map(|(address, registered, at)| format!("{address}:{}:{}", u8::from(registered), last(at)))
        .collect()
}

async fn listed(store: &dyn AccountStore, tenant: Option<&str>) -> Vec<Listed> {
    let mut all = Vec::new();
    let tenant = tenant.map(id);
    let mut each = |one| {
        all.push(one);
        true
    };
    store.list(tenant.as_ref(), &mut each).await.unwrap();
    all
}

async fn sights_are_kept_with_their_first_and_last_day(store: &dyn AccountStore) {
    assert_eq!(store.standing().await.unwrap(), Standing::default());
    assert_eq!(store.load_one(&id("a")).await.unwrap(), Loaded::default());
    put(store, batch(vec![seen("a", "x@a", 5), seen("a", "y@a", 5), seen("b", "x@b", 6)], vec![])).await;
    put(store, batch(vec![seen("a", "x@a", 7), seen("a", "y@a", 3)], vec![])).await;
    assert_eq!(accounts(store, "a").await, ["x@a:0:7", "y@a:0:5"]);
    let all = listed(store, Some("a")).await;
    assert_eq!((all[0].first, all[0].last), (Some(day(5)), Some(day(7))));
    assert_eq!(store.load_one(&id("a")).await.unwrap().first, Some(day(5).min(all[1].first.unwrap())));
    assert_eq!(store.standing().await.unwrap(), Standing { version: 0, written: Some(THEN) });
    assert_eq!(listed(store, None).await.len(), 3);
    let mut tenants = Vec::new();
    store.load(&mut |tenant, loaded: Loaded| tenants.push((tenant, loaded.accounts.len()))).await.unwrap();
    tenants.sort();
    assert_eq!(tenants, [(id("a"), 2), (id("b"), 1)]);
}

async fn a_closed_day_stands_as_it_was_written_first(store: &dyn AccountStore) {
    put(store, batch(vec![], vec![row("a", 1, 5), row("a", 2, 6), row("b", 1, 1)])).await;
    put(store, batch(vec![], vec![row("a", 2, 99), row("a", 3, 7)])).await;
    let days = store.days(Some(&id("a")), day(0), day(9)).await.unwrap();
    assert_eq!(days, [row("a", 1, 5), row("a", 2, 6), row("a", 3, 7)]);
    assert_eq!(store.days(None, day(1), day(1)).await.unwrap(), [row("a", 1, 5), row("b", 1, 1)]);
    assert_eq!(store.load_one(&id("a")).await.unwrap().closed, Some(day(3)));
}

async fn registering_is_an_edit_and_folds_what_was_seen(store: &dyn AccountStore) {
    let a = id("a");
    put(store, batch(vec![seen("a", "info@a", 8), seen("a", "z@a", 2)], vec![])).await;
    let wanted = addresses("x@a info@a>x@a sales@a>y@a");
    let done = Registered { accounts: 2, aliases: 2, removed: 0, unchanged: 0 };
    let dry = store.register(&a, &wanted, Others::Stay, true).await.unwrap();
    assert_eq!((dry.accounts, dry.aliases, store.standing().await.unwrap().version), (2, 2, 0));
    assert_eq!(accounts(store, "a").await, ["info@a:0:8", "z@a:0:2"]);
    let first = store.register(&a, &wanted, Others::Stay, false).await.unwrap();
    assert_eq!((first.accounts, first.aliases, first.removed), (done.accounts, done.aliases, done.removed));
    assert_eq!(accounts(store, "a").await, ["x@a:1:8", "y@a:1:-", "z@a:0:2"]);
    assert_eq!(store.edited_since(0).await.unwrap(), Some(vec![a.clone()]));
    assert_eq!(store.edited_since(1).await.unwrap(), Some(vec![]));
    // What is so already is no edit.
    let again = store.register(&a, &wanted, Others::Stay, false).await.unwrap();
    assert_eq!(again, Registered { unchanged: 3, ..Registered::default() });
    assert_eq!(store.standing().await.unwrap().version, 1);
    // A sight that was under way when the alias was made is its account's.
    put(store, batch(vec![seen("a", "sales@a", 9)], vec![])).await;
    assert_eq!(accounts(store, "a").await, ["x@a:1:8", "y@a:1:9", "z@a:0:2"]);
    // The others go; those that were seen stay as seen.
    let gone = store.register(&a, &addresses("z@a n@a"), Others::Go, false).await.unwrap();
    assert_eq!((gone.accounts, gone.removed), (2, 4));
    assert_eq!(accounts(store, "a").await, ["n@a:1:-", "x@a:0:8", "y@a:0:9", "z@a:1:2"]);
    let none = store.register(&a, &[], Others::Go, false).await.unwrap();
    assert_eq!(none.removed, 2);
    assert_eq!(accounts(store, "a").await, ["x@a:0:8", "y@a:0:9", "z@a:0:2"]);
}

async fn what_is_erased_is_gone_but_for_numbers(store: &dyn AccountStore) {
    let told = Told { level: 80, phase: Some(Phase::Grace) };
    store.register(&id("a"), &addresses("x@a i@a>x@a"), Others::Stay, false).await.unwrap();
    let mut batch = batch(vec![seen("a", "y@a", 1), seen("b", "y@b", 1)], vec![row("a", 1, 5)]);
    batch.told = vec![(id("a"), told)];
    put(store, batch).await;
    assert_eq!(store.load_one(&id("a")).await.unwrap().told, told);
    let erased = store.erase(&id("a")).await.unwrap();
    assert_eq!((erased.accounts, erased.aliases), (2, 1));
    let left = store.load_one(&id("a")).await.unwrap();
    assert_eq!(left, Loaded { closed: Some(day(1)), ..Loaded::default() });
    assert_eq!(accounts(store, "b").await, ["y@b:0:1"]);
    assert_eq!(store.erase(&id("nobody")).await.unwrap().accounts, 0);
}

#[tokio::test]
async fn every_store_of_accounts_keeps_the_contract() {
    for suite in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (memory, sqlite) = (MemoryAccounts::new(), SqliteAccounts::open(dir.path()).await.unwrap());
        for store in [&memory as &dyn AccountStore, &sqlite] {
            match suite {
                0 => sights_are_kept_with_their_first_and_last_day(store).await,
                1 => a_closed_day_stands_as_it_was_written_first(store).await,
                2 => registering_is_an_edit_and_folds_what_was_seen(store).await,
                _ => what_is_erased_is_gone_but_for_numbers(store).await,
            }
        }
    }
}

#[tokio::test]
async fn sqlite_accounts_are_found_again_and_are_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteAccounts::open(dir.path()).await.unwrap();
    put(&store, batch(vec![seen("a", "x@a", 5)], vec![row("a", 4, 1)])).await;
    store.close().await;
    let file = dir.path().join("accounts.db");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let store = SqliteAccounts::open(dir.path()).await.unwrap();
    assert_eq!(accounts(&store, "a").await, ["x@a:0:5"]);
    store.erase(&id("a")).await.unwrap();
    store.close().await;
    let octets = std::fs::read(&file).unwrap();
    assert!(!octets.windows(3).any(|three| three == b"x@a"), "erased means written over");
}
