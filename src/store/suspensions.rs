//! Where measures against senders of outbound mail are kept, in force and ended.
//!
//! **Invariants**: an ended measure never comes into force again; no version without a change.

use std::sync::Arc;

use super::Answer;
use crate::model::suspension::{Suspension, SuspensionId};
use crate::model::{TenantId, Timestamp};

/// Most measures of one listing.
pub const MOST_SUSPENSIONS: usize = 10_000;

/// Which measures to list. Nothing set: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuspensionFilter {
    pub tenant: Option<TenantId>,
    /// Ended ones too.
    pub ended: bool,
    /// Only older ones than this: the last of the page before.
    pub before: Option<SuspensionId>,
    /// At most [`MOST_SUSPENSIONS`].
    pub limit: usize,
}

/// Where measures are kept.
pub trait SuspensionStore: Send + Sync + std::fmt::Debug {
    /// Counts up with every edit; cheap enough to ask every second.
    fn version(&self) -> Answer<'_, u64>;

    /// Writes measures as they are now, new ones and known ones, all or none. One that has ended is left as it is. The version
    /// after it.
    fn put<'a>(&'a self, suspensions: &'a [Suspension]) -> Answer<'a, u64>;

    /// What is in force or ended after this time, all of one version, which is returned.
    fn load(&self, ended_after: Timestamp) -> Answer<'_, (u64, Vec<Suspension>)>;

    /// Newest first.
    fn list<'a>(&'a self, filter: &'a SuspensionFilter) -> Answer<'a, Vec<Suspension>>;

    fn find(&self, id: SuspensionId) -> Answer<'_, Option<Suspension>>;

    /// Takes away what ended before this time; how many.
    fn forget(&self, ended_before: Timestamp) -> Answer<'_, u64>;

    /// Takes away all of a tenant's, in force or ended; how many.
    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, u64>;

    /// Notes that a node runs; no edit.
    fn saw(&self, now: Timestamp) -> Answer<'_, ()>;

    /// When a node was last known to run; `None`: never.
    fn seen(&self) -> Answer<'_, Option<Timestamp>>;
}

/// Any store of measures, shared.
pub type SharedSuspensions = Arc<dyn SuspensionStore>;
