//! The port of allow and block lists: where entries are kept, with what people wrote about them and how often they decided.
//!
//! **Invariants**: an entry's id is never used again. An entry is told from others by its [`Rule`](crate::tenant::lists::Rule): putting the
//! same rule again changes expiry, owner and reason, never id, creation or hits. Hits don't count the version up.

use std::sync::Arc;
use std::time::Duration;

use crate::model::lists::{Action, EntryId, EntryKind};
use crate::model::{TenantId, Timestamp};
use crate::tenant::lists::{Compiler, Entry, Hit, Hits, Kept, ListChange, NewEntry, Place};

use super::{Answer, Mode};

/// What became of one entry that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    Added(EntryId),
    /// Expiry, owner or reason are other ones: what they were.
    Changed(EntryId, Box<Kept>),
    Unchanged(EntryId),
    /// The mailbox or tenant has as many as it may have.
    Full(u32),
}

/// What happened after a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChanges {
    pub version: u64,
    /// `None`: the version is too long ago (or not of this store), or too much happened: load everything.
    pub changes: Option<Vec<ListChange>>,
}

/// Which entries; what is not given is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub whose: Whose,
    pub kind: Option<EntryKind>,
    pub action: Option<Action>,
    /// The pattern as it is written.
    pub value: Option<String>,
}

/// Whose entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Whose {
    #[default]
    Everybody,
    /// The tenant's with its domains' and mailboxes', or the operator's.
    Tenant(Option<TenantId>),
    /// Exactly this place's.
    Place(Place),
}

impl Whose {
    /// Whether an entry at this place is meant.
    #[must_use]
    pub fn has(&self, place: &Place) -> bool {
        match self {
            Self::Everybody => true,
            Self::Tenant(tenant) => tenant.as_ref() == place.tenant(),
            Self::Place(only) => only == place,
        }
    }
}

impl ListFilter {
    /// Whether an entry is meant.
    #[must_use]
    pub fn has(&self, entry: &Entry) -> bool {
        let rule = &entry.rule;
        self.whose.has(&rule.place)
            && self.kind.is_none_or(|kind| kind == rule.pattern.kind())
            && self.action.is_none_or(|action| action == rule.action)
            && self.value.as_ref().is_none_or(|value| *value == rule.pattern.to_string())
    }
}

/// SHA-256 over a file and how it is read.
pub type FileHash = [u8; 32];

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub file: FileHash,
    /// Rows that are done, good or bad.
    pub row: u64,
}

/// Where entries are kept.
pub trait ListStore: Send + Sync + std::fmt::Debug {
    /// Counts up with every edit; cheap enough to ask four times a second.
    fn version(&self) -> Answer<'_, u64>;

    /// Gives every entry to the compiler, all of one version, which is returned.
    fn load<'a>(&'a self, compiler: &'a mut Compiler) -> Answer<'a, u64>;

    /// What happened after `version`.
    fn changes_since(&self, version: u64) -> Answer<'_, ListChanges>;

    /// Those of the entries that there are, in the order asked.
    fn find<'a>(&'a self, ids: &'a [EntryId]) -> Answer<'a, Vec<Kept>>;

    /// Shows entries, the operator's first, then tenant by tenant; of one tenant by scope, name, kind and value. `false`
    /// ends it.
    fn list<'a>(&'a self, filter: &'a ListFilter, each: &'a mut (dyn FnMut(Kept) -> bool + Send)) -> Answer<'a, ()>;

    /// Puts entries in one transaction; answers for each. The checkpoint is kept with them.
    fn put<'a>(&'a self, entries: &'a [NewEntry], mode: Mode, checkpoint: Option<Checkpoint>) -> Answer<'a, Vec<Put>>;

    /// Removes entries in one transaction; answers what they were, for those that there were.
    fn remove<'a>(&'a self, ids: &'a [EntryId], mode: Mode) -> Answer<'a, Vec<Kept>>;

    /// How many rows of a file are done already.
    fn checkpoint<'a>(&'a self, file: &'a FileHash) -> Answer<'a, Option<u64>>;

    /// The file is done, or is to be begun anew.
    fn forget_checkpoint<'a>(&'a self, file: &'a FileHash) -> Answer<'a, ()>;

    /// Adds to the counts of entries that there still are.
    fn add_hits<'a>(&'a self, hits: &'a [Hit]) -> Answer<'a, ()>;
}

/// Any store, shared.
pub type SharedLists = Arc<dyn ListStore>;

/// How often hits are written down.
pub const HITS_EVERY: Duration = Duration::from_secs(10);

/// Writes down what waits; what can't be written waits again.
///
/// # Errors
/// The store's.
pub async fn write_hits(hits: &Hits, store: &dyn ListStore) -> Result<usize, super::StoreError> {
    let waiting = hits.take();
    if waiting.is_empty() {
        return Ok(0);
    }
    match store.add_hits(&waiting).await {
        Ok(()) => Ok(waiting.len()),
        Err(error) => {
            hits.restore(&waiting);
            Err(error)
        }
    }
}

/// Writes hits down every ten seconds, for ever. The owner calls [`write_hits`] once more when the node ends.
pub async fn keep_hits(hits: Arc<Hits>, store: SharedLists) {
    let mut ticks = tokio::time::interval(HITS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = write_hits(&hits, &*store).await {
            tracing::warn!(%error, "hits of list entries wait to be written");
        }
    }
}

/// Whether what people wrote or the expiry differs.
pub(super) fn differs(old: &Kept, new: &NewEntry) -> bool {
    old.entry.expires != new.expires || old.note.owner != new.note.owner || old.note.reason != new.note.reason
}

/// A moment as it is stored in seconds.
pub(super) fn seconds(at: Option<Timestamp>) -> u64 {
    at.map_or(0, |at| at.as_millis() / 1000)
}
