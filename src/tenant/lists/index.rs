//! All entries at one version: a block for the operator and one for each tenant that has entries.
//!
//! **Invariants**: an edit packs the blocks of the tenants it touches anew and shares every other one.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::sender::Country;
use crate::model::{Address, TenantId};
use crate::tenant::sharded::ShardedSet;

use super::block::{Block, Builder, Raw, Tags};
use super::entry::{Entry, EntryError};

/// One step from these lists to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListChange {
    /// An entry is there, or is so now.
    Put(Entry),
    /// An entry is gone; `None`: the operator's.
    Remove(Option<TenantId>, EntryId),
}

impl ListChange {
    fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Put(entry) => entry.rule.place.tenant(),
            Self::Remove(tenant, _) => tenant.as_ref(),
        }
    }

    fn id(&self) -> EntryId {
        match self {
            Self::Put(entry) => entry.id,
            Self::Remove(_, id) => *id,
        }
    }
}

#[derive(Debug, Clone)]
struct OfTenant {
    tenant: TenantId,
    block: Arc<Block>,
}

impl Borrow<str> for OfTenant {
    fn borrow(&self) -> &str {
        self.tenant.as_str()
    }
}

impl PartialEq for OfTenant {
    fn eq(&self, other: &Self) -> bool {
        self.tenant == other.tenant
    }
}

impl Eq for OfTenant {}

impl Hash for OfTenant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tenant.as_str().hash(state);
    }
}

/// All entries at one version, for look-ups.
#[derive(Clone)]
pub struct Lists {
    version: u64,
    pub(super) tags: Tags,
    pub(super) operator: Arc<Block>,
    tenants: ShardedSet<OfTenant>,
    entries: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self::empty()
    }
}

/// Ten million entries are not for reading.
impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Lists");
        shown.field("version", &self.version).field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl Lists {
    /// No entries, version 0.
    #[must_use]
    pub fn empty() -> Self {
        let operator = Arc::new(Builder::default().finish());
        Self { version: 0, tags: Tags::new(), operator, tenants: ShardedSet::new(), entries: 0 }
    }

    /// All these entries.
    #[must_use]
    pub fn compile(version: u64, entries: impl IntoIterator<Item = Entry>) -> Self {
        let changes: Vec<ListChange> = entries.into_iter().map(ListChange::Put).collect();
        Self::empty().edited(version, &changes)
    }

    /// The next lists; these stay as they are. The last change of an entry counts.
    #[must_use]
    pub fn edited(&self, version: u64, changes: &[ListChange]) -> Self {
        let mut next = Self { version, ..self.clone() };
        let mut by_tenant: HashMap<Option<&TenantId>, Vec<&ListChange>> = HashMap::new();
        for change in changes {
            by_tenant.entry(change.tenant()).or_default().push(change);
        }
        let mut builder = Builder::default();
        for (tenant, changes) in by_tenant {
            let mut last: HashSet<EntryId> = HashSet::with_capacity(changes.len());
            // Backwards: what is seen again was changed later.
            let puts = changes.iter().rev().filter_map(|change| match (last.insert(change.id()), change) {
                (true, ListChange::Put(entry)) => Some(entry),
                _ => None,
            });
            for entry in puts {
                builder.entry(&self.tags, entry);
            }
            if let Some(block) = next.block(tenant) {
                builder.absorb(block, |id| !last.contains(&id));
            }
            next.put(tenant, &mut builder);
        }
        next
    }

    /// Packs what the builder holds in the place of a tenant's block.
    fn put(&mut self, tenant: Option<&TenantId>, builder: &mut Builder) {
        self.entries -= self.block(tenant).map_or(0, |block| block.len());
        let empty = builder.is_empty();
        let block = Arc::new(builder.finish());
        self.entries += block.len();
        let Some(tenant) = tenant else {
            self.operator = block;
            return;
        };
        let entry = OfTenant { tenant: tenant.clone(), block };
        self.tenants.remove(&entry);
        if !empty {
            // Just removed: there is room.
            let _ = self.tenants.insert(entry);
        }
    }

    /// `None`: the operator's, which is always there.
    pub(super) fn block(&self, tenant: Option<&TenantId>) -> Option<&Arc<Block>> {
        match tenant {
            None => Some(&self.operator),
            Some(tenant) => self.tenants.find(tenant.as_str()).map(|entry| &entry.block),
        }
    }

    /// Counts up with every change of the store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many entries there are, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// What the blocks hold, in octets: without the maps of tenants and what the allocator adds.
    #[must_use]
    pub fn size(&self) -> usize {
        self.operator.size() + self.tenants.iter().map(|entry| entry.block.size()).sum::<usize>()
    }

    /// How many tenants' blocks are not the same allocation in both; the operator's counts as one.
    #[must_use]
    pub fn blocks_not_shared_with(&self, other: &Self) -> usize {
        let differs =
            |entry: &&OfTenant| other.block(Some(&entry.tenant)).is_none_or(|block| !Arc::ptr_eq(block, &entry.block));
        usize::from(!Arc::ptr_eq(&self.operator, &other.operator)) + self.tenants.iter().filter(differs).count()
    }
}

/// Compiles what a store holds, tenant by tenant, from its texts: millions of entries, none of them built as a value.
#[derive(Debug, Default)]
pub struct Compiler {
    lists: Lists,
    builder: Builder,
    tenant: Option<TenantId>,
}

/// An entry as a store writes it, by [`Display`](fmt::Display) of its parts.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    pub id: EntryId,
    pub scope: Scope,
    /// The domain or mailbox.
    pub name: &'a str,
    pub action: Action,
    pub kind: EntryKind,
    pub value: &'a str,
    /// Empty: none.
    pub bound: &'a str,
    /// Seconds since 1970; 0: never.
    pub expires: u32,
}

impl Compiler {
    /// The entries that follow are this tenant's; `None`: the operator's. Each tenant comes once.
    pub fn tenant(&mut self, tenant: Option<TenantId>) {
        self.close();
        self.tenant = tenant;
    }

    fn close(&mut self) {
        if !self.builder.is_empty() {
            self.lists.put(self.tenant.as_ref(), &mut self.builder);
        }
    }

    /// # Errors
    /// The store holds what it can't have been given.
    pub fn entry(&mut self, written: &Written<'_>) -> Result<(), EntryError> {
        let (name, value) = (key(written.scope == Scope::Mailbox, written.name)?, written.value);
        let value_key = key(written.kind == EntryKind::Address, value)?;
        let raw = match written.kind {
            EntryKind::Address | EntryKind::Domain => Raw::Text(written.kind, &value_key),
            EntryKind::Network => Raw::Network(value.parse().map_err(|_| EntryError::Network(value.to_owned()))?),
            EntryKind::Country => {
                Raw::Country(Country::parse(value).ok_or_else(|| EntryError::Country(value.to_owned()))?)
            }
        };
        let bound = match written.bound {
            "" => None,
            bound => Some(bound.parse::<IpNet>().map_err(|_| EntryError::Network(bound.to_owned()))?),
        };
        let name = (written.scope, &*name);
        self.builder.raw(&self.lists.tags, written.id, name, written.action, raw, (bound, written.expires));
        Ok(())
    }

    #[must_use]
    pub fn finish(mut self, version: u64) -> Lists {
        self.close();
        Lists { version, ..self.lists }
    }
}

/// The comparable form of a text in lower case. Only a quoted address is another one in it.
fn key(address: bool, text: &str) -> Result<std::borrow::Cow<'_, str>, EntryError> {
    if (address && text.starts_with('"')) || text.len() > LONGEST {
        let read = Address::parse(text).map_err(|error| EntryError::Address(text.to_owned(), error))?;
        return Ok(read.key().into());
    }
    Ok(text.into())
}

/// Longer than any address or domain, in octets.
const LONGEST: usize = 512;
