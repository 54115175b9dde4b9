//! A store that is away: nothing of what was seen is lost, and nothing is told that isn't durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sekisho::accounts::{
    AccountStore, AccountsError, Answer, Batch, DayRow, Erased, Listed, Loaded, Others, Registered, Registration,
    Standing,
};
use sekisho::model::TenantId;
use sekisho::store::MemoryAccounts;
use sekisho::tenant::Day;

use super::{Bench, contract};

#[derive(Debug, Default)]
struct Fickle {
    inner: MemoryAccounts,
    away: AtomicBool,
}

impl AccountStore for Fickle {
    fn standing(&self) -> Answer<'_, Standing> {
        self.inner.standing()
    }
    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantId, Loaded) + Send)) -> Answer<'a, ()> {
        self.inner.load(each)
    }
    fn load_one<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Loaded> {
        self.inner.load_one(tenant)
    }
    fn edited_since(&self, version: u64) -> Answer<'_, Option<Vec<TenantId>>> {
        self.inner.edited_since(version)
    }
    fn write<'a>(&'a self, batch: &'a Batch) -> Answer<'a, ()> {
        if self.away.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(AccountsError("away".into()))));
        }
        self.inner.write(batch)
    }
    fn register<'a>(
        &'a self,
        tenant: &'a TenantId,
        addresses: &'a [Registration],
        others: Others,
        dry: bool,
    ) -> Answer<'a, Registered> {
        self.inner.register(tenant, addresses, others, dry)
    }
    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        each: &'a mut (dyn FnMut(Listed) -> bool + Send),
    ) -> Answer<'a, ()> {
        self.inner.list(tenant, each)
    }
    fn days<'a>(&'a self, tenant: Option<&'a TenantId>, first: Day, last: Day) -> Answer<'a, Vec<DayRow>> {
        self.inner.days(tenant, first, last)
    }
    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Erased> {
        self.inner.erase(tenant)
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_written_later_and_told_then() {
    let fickle = Arc::new(Fickle::default());
    let store = Arc::clone(&fickle);
    let bench = Bench::over(store, &contract("a", "accounts = 2\ntime_zone = \"UTC\""), "2026-11-10T12:00:00Z").await;
    bench.sees("a", "one@a.example");
    bench.step().await;
    fickle.away.store(true, Ordering::SeqCst);
    bench.sees("a", "two@a.example");
    for _ in 0..30 {
        bench.pass(1);
        bench.sees("a", "two@a.example");
        assert!(bench.accounts.step(&bench.heard).await.is_err());
    }
    let text = bench.metrics.render();
    assert!(text.contains("sekisho_tenant_accounts{tenant=\"a\"} 1"), "not durable, not shown");
    assert!(text.contains("sekisho_accounts_write_failures_total 30"), "{text}");
    assert!(bench.heard.take().is_empty() && bench.days("a").await.is_empty());
    fickle.away.store(false, Ordering::SeqCst);
    bench.step().await;
    assert_eq!(bench.numbers("a").await, ["2026-11-10=2"]);
    assert_eq!(bench.heard.take(), ["a: 2 of 2 accounts are used: 100 percent reached"]);
    assert!(bench.metrics.render().contains("sekisho_tenant_accounts{tenant=\"a\"} 2"));
}
