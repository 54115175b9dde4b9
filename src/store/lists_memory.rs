//! Lists in memory: for tests and the demo.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::lists::{EntryId, Scope};
use crate::model::{TenantId, Timestamp};
use crate::tenant::lists::{
    Compiler, Entry, Hit, Kept, ListChange, MAX_IN_MAILBOX, MAX_IN_TENANT, NewEntry, Place, Rule, Written,
};

use super::lists::{Checkpoint, FileHash, ListChanges, ListFilter, ListStore, Put, differs, seconds};
use super::{Answer, Mode, StoreError};

#[derive(Debug, Default)]
pub struct MemoryLists {
    state: Mutex<State>,
}

/// The order of listing: tenant (none first), scope, name, kind, value, action, bound.
type Key = (Option<TenantId>, Scope, String, u8, String, u8, String);

fn key(rule: &Rule) -> Key {
    (
        rule.place.tenant().cloned(),
        rule.place.scope(),
        rule.place.name(),
        rule.pattern.kind().code(),
        rule.pattern.to_string(),
        rule.action.code(),
        rule.bound.map_or(String::new(), |bound| bound.to_string()),
    )
}

#[derive(Debug, Default, Clone)]
struct State {
    version: u64,
    last_id: u64,
    entries: BTreeMap<Key, Kept>,
    keys: HashMap<EntryId, Key>,
    /// The version of an entry's last change, and whose it is.
    changes: BTreeMap<EntryId, (u64, Option<TenantId>)>,
    imports: HashMap<FileHash, u64>,
}

impl MemoryLists {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, id: EntryId) -> Option<&Kept> {
        self.entries.get(self.keys.get(&id)?)
    }

    /// As many as there may be.
    fn full(&self, place: &Place) -> Option<u32> {
        let count = |meant: &dyn Fn(&Place) -> bool| {
            u32::try_from(self.entries.values().filter(|kept| meant(&kept.entry.rule.place)).count())
                .unwrap_or(u32::MAX)
        };
        if place.scope() == Scope::Mailbox && count(&|other| other == place) >= MAX_IN_MAILBOX {
            return Some(MAX_IN_MAILBOX);
        }
        (count(&|other| other.tenant() == place.tenant()) >= MAX_IN_TENANT).then_some(MAX_IN_TENANT)
    }

    fn put(&mut self, new: &NewEntry) -> Put {
        let key = key(&new.rule);
        if let Some(old) = self.entries.get_mut(&key) {
            let id = old.entry.id;
            if !differs(old, new) {
                return Put::Unchanged(id);
            }
            let before = Box::new(old.clone());
            old.entry.expires = new.expires;
            old.note.owner.clone_from(&new.note.owner);
            old.note.reason.clone_from(&new.note.reason);
            self.changes.insert(id, (self.version, key.0));
            return Put::Changed(id, before);
        }
        if let Some(most) = self.full(&new.rule.place) {
            return Put::Full(most);
        }
        self.last_id += 1;
        let id = EntryId(self.last_id);
        let entry = Entry { id, rule: new.rule.clone(), expires: new.expires };
        self.changes.insert(id, (self.version, key.0.clone()));
        self.keys.insert(id, key.clone());
        self.entries.insert(key, Kept { entry, note: new.note.clone(), hits: 0, last_hit: None });
        Put::Added(id)
    }

    fn remove(&mut self, id: EntryId) -> Option<Kept> {
        let key = self.keys.remove(&id)?;
        self.changes.insert(id, (self.version, key.0.clone()));
        self.entries.remove(&key)
    }

    fn load(&self, compiler: &mut Compiler) -> Result<u64, StoreError> {
        let mut begun: Option<Option<TenantId>> = None;
        for kept in self.entries.values() {
            let Entry { id, rule, expires } = &kept.entry;
            let tenant = rule.place.tenant().cloned();
            if begun.as_ref() != Some(&tenant) {
                compiler.tenant(tenant.clone());
                begun = Some(tenant);
            }
            let bound = rule.bound.map_or(String::new(), |bound| bound.to_string());
            let written = Written {
                id: *id,
                scope: rule.place.scope(),
                name: &rule.place.name(),
                action: rule.action,
                kind: rule.pattern.kind(),
                value: &rule.pattern.to_string(),
                bound: &bound,
                expires: u32::try_from(seconds(*expires)).unwrap_or(u32::MAX),
            };
            compiler
                .entry(&written)
                .map_err(|error| StoreError::DamagedEntry { id: id.0, reason: error.to_string() })?;
        }
        Ok(self.version)
    }

    /// An edit on a copy, which is taken if it changed anything and is meant.
    fn edit<T>(&mut self, mode: Mode, change: impl FnOnce(&mut Self) -> (bool, T)) -> T {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        let (changed, answer) = change(&mut next);
        if mode == Mode::Write && changed {
            *self = next;
        }
        answer
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Answer<'a, T> {
    Box::pin(std::future::ready(result))
}

impl ListStore for MemoryLists {
    fn version(&self) -> Answer<'_, u64> {
        ready(Ok(self.state().version))
    }

    fn load<'a>(&'a self, compiler: &'a mut Compiler) -> Answer<'a, u64> {
        ready(self.state().load(compiler))
    }

    fn changes_since(&self, version: u64) -> Answer<'_, ListChanges> {
        let state = self.state();
        let newer = state.changes.iter().filter(|(_, (at, _))| *at > version);
        let changes = newer.map(|(id, (_, tenant))| match state.find(*id) {
            Some(kept) => ListChange::Put(kept.entry.clone()),
            None => ListChange::Remove(tenant.clone(), *id),
        });
        let changes = (version <= state.version).then(|| changes.collect());
        ready(Ok(ListChanges { version: state.version, changes }))
    }

    fn find<'a>(&'a self, ids: &'a [EntryId]) -> Answer<'a, Vec<Kept>> {
        let state = self.state();
        ready(Ok(ids.iter().filter_map(|id| state.find(*id).cloned()).collect()))
    }

    fn list<'a>(&'a self, filter: &'a ListFilter, each: &'a mut (dyn FnMut(Kept) -> bool + Send)) -> Answer<'a, ()> {
        let meant: Vec<Kept> = self.state().entries.values().filter(|kept| filter.has(&kept.entry)).cloned().collect();
        for kept in meant {
            if !each(kept) {
                break;
            }
        }
        ready(Ok(()))
    }

    fn put<'a>(&'a self, entries: &'a [NewEntry], mode: Mode, checkpoint: Option<Checkpoint>) -> Answer<'a, Vec<Put>> {
        let mut state = self.state();
        let puts = state.edit(mode, |state| {
            let puts: Vec<Put> = entries.iter().map(|new| state.put(new)).collect();
            (puts.iter().any(|put| matches!(put, Put::Added(_) | Put::Changed(..))), puts)
        });
        if let Some(Checkpoint { file, row }) = checkpoint.filter(|_| mode == Mode::Write) {
            state.imports.insert(file, row);
        }
        ready(Ok(puts))
    }

    fn remove<'a>(&'a self, ids: &'a [EntryId], mode: Mode) -> Answer<'a, Vec<Kept>> {
        ready(Ok(self.state().edit(mode, |state| {
            let removed: Vec<Kept> = ids.iter().filter_map(|id| state.remove(*id)).collect();
            (!removed.is_empty(), removed)
        })))
    }

    fn checkpoint<'a>(&'a self, file: &'a FileHash) -> Answer<'a, Option<u64>> {
        ready(Ok(self.state().imports.get(file).copied()))
    }

    fn forget_checkpoint<'a>(&'a self, file: &'a FileHash) -> Answer<'a, ()> {
        self.state().imports.remove(file);
        ready(Ok(()))
    }

    fn add_hits<'a>(&'a self, hits: &'a [Hit]) -> Answer<'a, ()> {
        let mut state = self.state();
        for hit in hits {
            let Some(key) = state.keys.get(&hit.id).cloned() else { continue };
            if let Some(kept) = state.entries.get_mut(&key) {
                kept.hits += hit.count;
                kept.last_hit = Some(hit.last.max(kept.last_hit.unwrap_or(Timestamp(0))));
            }
        }
        ready(Ok(()))
    }
}
