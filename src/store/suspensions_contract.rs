//! What every store of measures must do, whatever keeps the rows; and what SQLite must do besides.

use super::*;
use crate::model::Timestamp;
use crate::model::abuse::Stage;
use crate::model::suspension::tests::example;
use crate::model::suspension::{By, Ended, Ending, Suspension};

fn lifted(one: &Suspension, at: u64) -> Suspension {
    let (at, by) = (Timestamp::from_millis(at), By::Operator("mika".into()));
    Suspension { ended: Some(Ended { how: Ending::Lifted, at, by, reason: "x".into() }), ..one.clone() }
}

fn all(limit: usize) -> SuspensionFilter {
    SuspensionFilter { ended: true, limit, ..SuspensionFilter::default() }
}

async fn what_was_put_is_found_as_it_is_now(store: &dyn SuspensionStore) {
    let (one, two) = (example(1), example(2));
    assert_eq!(store.put(&[one.clone(), two.clone()]).await.unwrap(), 1);
    let stopped = Suspension { stage: Stage::Suspend, ..two.clone() };
    assert_eq!(store.put(std::slice::from_ref(&stopped)).await.unwrap(), 2);
    assert_eq!(store.put(std::slice::from_ref(&stopped)).await.unwrap(), 2, "no version without a change");
    assert_eq!(store.find(two.id).await.unwrap(), Some(stopped.clone()));
    assert_eq!(store.find(example(3).id).await.unwrap(), None);
    assert_eq!(store.load(Timestamp(0)).await.unwrap(), (2, vec![one, stopped]));
    assert_eq!(store.version().await.unwrap(), 2);
}

async fn what_ended_stays_ended(store: &dyn SuspensionStore) {
    let one = example(1);
    store.put(std::slice::from_ref(&one)).await.unwrap();
    let (id, ended) = (one.id, lifted(&one, 5_000));
    store.put(std::slice::from_ref(&ended)).await.unwrap();
    assert_eq!(store.put(&[one]).await.unwrap(), 2, "a late writer brings nothing back");
    assert_eq!(store.load(Timestamp(4_999)).await.unwrap().1, [ended]);
    assert_eq!(store.load(Timestamp(5_000)).await.unwrap().1, []);
    assert_eq!(store.forget(Timestamp(5_000)).await.unwrap(), 0);
    assert_eq!((store.forget(Timestamp(5_001)).await.unwrap(), store.version().await.unwrap()), (1, 3));
    assert_eq!(store.find(id).await.unwrap(), None);
}

async fn listings_are_newest_first_and_page(store: &dyn SuspensionStore) {
    let mut many: Vec<_> = (1..=5).map(example).collect();
    many[3].subject.tenant = TenantId::parse("beta").unwrap();
    many[4] = lifted(&many[4], 5_000);
    store.put(&many).await.unwrap();
    let ids = |found: Vec<Suspension>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();
    let expected: Vec<_> = many.iter().rev().map(|one| one.id).collect();
    assert_eq!(ids(store.list(&all(10)).await.unwrap()), expected);
    assert_eq!(ids(store.list(&all(2)).await.unwrap()), expected[..2]);
    let next = SuspensionFilter { before: Some(expected[1]), ..all(2) };
    assert_eq!(ids(store.list(&next).await.unwrap()), expected[2..4]);
    let active = SuspensionFilter { ended: false, ..all(10) };
    assert_eq!(ids(store.list(&active).await.unwrap()), expected[1..]);
    let of_acme = SuspensionFilter { tenant: Some(many[0].subject.tenant.clone()), ..active };
    assert_eq!(ids(store.list(&of_acme).await.unwrap()), expected[2..]);
}

async fn a_tenants_are_erased_and_no_others(store: &dyn SuspensionStore) {
    let mut many: Vec<_> = (1..=3).map(example).collect();
    many[1].subject.tenant = TenantId::parse("beta").unwrap();
    many[2] = lifted(&many[2], 5_000);
    store.put(&many).await.unwrap();
    let tenant = &many[0].subject.tenant;
    assert_eq!((store.erase(tenant).await.unwrap(), store.version().await.unwrap()), (2, 2));
    assert_eq!(store.list(&all(10)).await.unwrap(), many[1..2]);
    assert_eq!((store.erase(tenant).await.unwrap(), store.version().await.unwrap()), (0, 2));
}

async fn the_last_sight_of_a_node_is_no_edit(store: &dyn SuspensionStore) {
    assert_eq!(store.seen().await.unwrap(), None);
    store.saw(Timestamp(7)).await.unwrap();
    assert_eq!((store.seen().await.unwrap(), store.version().await.unwrap()), (Some(Timestamp(7)), 0));
}

macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&super::MemorySuspensions::new()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let dir = tempfile::tempdir().unwrap();
                super::$case(&super::SqliteSuspensions::open(dir.path()).await.unwrap()).await;
            })+
        }
    };
}

contract!(
    what_was_put_is_found_as_it_is_now,
    what_ended_stays_ended,
    listings_are_newest_first_and_page,
    a_tenants_are_erased_and_no_others,
    the_last_sight_of_a_node_is_no_edit,
);

#[tokio::test]
async fn a_damaged_measure_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteSuspensions::open(dir.path()).await.unwrap();
    let one = example(1);
    store.put(std::slice::from_ref(&one)).await.unwrap();
    sqlx::query("UPDATE suspensions SET body = '{}'").execute(&store.pool_for_tests()).await.unwrap();
    let error = store.load(Timestamp(0)).await.unwrap_err().to_string();
    assert!(error.contains(&one.id.to_string()), "{error}");
    store.close().await;
    assert!(SqliteSuspensions::open(dir.path()).await.is_ok());
}
