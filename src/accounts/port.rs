//! What the counting of accounts asks of a store, and what is kept there.
//!
//! **Failure**: [`AccountsError`]; what could not be written is written with the next batch.
//! **Invariants**: a batch is written whole or not at all; the row of a closed day is never changed.

use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use super::alarm::Told;
use super::state::WINDOW_DAYS;
use crate::model::{TenantId, Timestamp};
use crate::tenant::Day;

/// The store could not do it.
#[derive(Debug, thiserror::Error)]
#[error("the store of accounts: {0}")]
pub struct AccountsError(pub String);

/// What the port's methods return: a future that can be boxed.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AccountsError>> + Send + 'a>>;

/// An account that was seen, for the first time on that day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub tenant: TenantId,
    /// As [`account_of`](super::account_of) makes it, or the account of an alias.
    pub account: Box<str>,
    pub day: Day,
}

/// The numbers of a tenant at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayRow {
    pub tenant: TenantId,
    pub day: Day,
    /// Registered, and those that were only observed in the thirty days up to this one.
    pub accounts: u32,
    pub registered: u32,
    /// Observed in the thirty days up to this one, registered or not.
    pub observed: u32,
    /// The number agreed on at that time.
    pub contracted: Option<u32>,
}

/// What is written together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub seen: Vec<Seen>,
    pub closed: Vec<DayRow>,
    pub told: Vec<(TenantId, Told)>,
    /// The time of writing: until then the process ran.
    pub at: Timestamp,
}

impl Batch {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.closed.is_empty() && self.told.is_empty()
    }
}

/// What is kept of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Address, whether it is registered, and the day it was seen last.
    pub accounts: Vec<(Box<str>, bool, Option<Day>)>,
    /// Alias and account.
    pub aliases: Vec<(Box<str>, Box<str>)>,
    /// The last day that was closed.
    pub closed: Option<Day>,
    /// The first day that any account was seen on.
    pub first: Option<Day>,
    pub told: Told,
}

impl Loaded {
    /// The numbers of a day, counted from all accounts; what the running node keeps with every change.
    #[must_use]
    pub fn numbers(&self, tenant: &TenantId, day: Day) -> DayRow {
        let first = day.minus(WINDOW_DAYS - 1);
        let (mut registered, mut observed, mut others) = (0u32, 0u32, 0u32);
        for (_, is_registered, last) in &self.accounts {
            let is_observed = last.is_some_and(|last| last >= first);
            registered += u32::from(*is_registered);
            observed += u32::from(is_observed);
            others += u32::from(is_observed && !is_registered);
        }
        DayRow { tenant: tenant.clone(), day, accounts: registered + others, registered, observed, contracted: None }
    }
}

/// The state of the store as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Counts up with every edit of registered accounts.
    pub version: u64,
    /// When the last batch was written.
    pub written: Option<Timestamp>,
}

/// One registered address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub address: Box<str>,
    /// It is an alias of this account, which is registered with it.
    pub alias_of: Option<Box<str>>,
}

/// What becomes of registered addresses that are not among those given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    Stay,
    /// They are registered no more; those that were observed go on counting as such.
    Go,
}

/// What an edit changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Registered {
    pub accounts: u64,
    pub aliases: u64,
    pub removed: u64,
    pub unchanged: u64,
}

/// One account, for a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub tenant: TenantId,
    pub address: Box<str>,
    pub registered: bool,
    pub first: Option<Day>,
    pub last: Option<Day>,
    pub aliases: Vec<Box<str>>,
}

/// What was erased of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    pub accounts: u64,
    pub aliases: u64,
}

/// Where accounts are kept.
pub trait AccountStore: Send + Sync + std::fmt::Debug {
    /// Cheap enough to ask every few seconds.
    fn standing(&self) -> Answer<'_, Standing>;

    /// Shows every tenant that anything is kept of.
    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantId, Loaded) + Send)) -> Answer<'a, ()>;

    fn load_one<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Loaded>;

    /// The tenants whose registered accounts were edited after a version; `None`: too long ago, take all.
    fn edited_since(&self, version: u64) -> Answer<'_, Option<Vec<TenantId>>>;

    fn write<'a>(&'a self, batch: &'a Batch) -> Answer<'a, ()>;

    /// Registers addresses in their kept form, in one transaction. With `dry` only what would change is told.
    fn register<'a>(
        &'a self,
        tenant: &'a TenantId,
        addresses: &'a [Registration],
        others: Others,
        dry: bool,
    ) -> Answer<'a, Registered>;

    /// Shows accounts by tenant and address; `false` ends it.
    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        each: &'a mut (dyn FnMut(Listed) -> bool + Send),
    ) -> Answer<'a, ()>;

    /// Closed days, by tenant and day.
    fn days<'a>(&'a self, tenant: Option<&'a TenantId>, first: Day, last: Day) -> Answer<'a, Vec<DayRow>>;

    /// Forgets every address of a tenant. The numbers of closed days stay: they name nobody, and a bill may rest on them.
    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Erased>;
}

/// Any store, shared.
pub type SharedAccounts = Arc<dyn AccountStore>;
