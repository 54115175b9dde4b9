//! Signing keys in memory: for tests and the demo.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::keys::{KeyEdit, KeyStore, MAX_KEYS, Signing, Wish, allowed};
use super::{Answer, StoreError};
use crate::model::signing::{KeyFacts, KeyName, KeyPair, KeyState, PrivateKey};
use crate::model::{Domain, Timestamp};

#[derive(Debug, Default)]
pub struct MemoryKeys {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    keys: BTreeMap<KeyName, (KeyFacts, Option<PrivateKey>)>,
}

impl MemoryKeys {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<'a, T: Send + 'a>(&'a self, work: impl FnOnce(&mut State) -> T) -> Answer<'a, T> {
        let done: Result<T, StoreError> = Ok(work(&mut self.state()));
        Box::pin(std::future::ready(done))
    }
}

impl State {
    fn listed(&self, domain: Option<&Domain>) -> Vec<KeyFacts> {
        let of_domain = |facts: &&KeyFacts| domain.is_none_or(|domain| facts.name.domain() == domain);
        let mut listed: Vec<KeyFacts> = self.keys.values().map(|(facts, _)| facts).filter(of_domain).cloned().collect();
        listed.sort_by(|a, b| (a.name.domain(), a.created, &a.name).cmp(&(b.name.domain(), b.created, &b.name)));
        listed
    }

    fn insert(&mut self, key: &KeyPair) -> KeyEdit {
        let name = &key.facts.name;
        if self.keys.contains_key(name) {
            return KeyEdit::Taken;
        }
        if self.keys.keys().filter(|other| other.domain() == name.domain()).count() >= MAX_KEYS {
            return KeyEdit::Full;
        }
        let facts = KeyFacts { state: KeyState::New, activated: None, retired: None, ..key.facts.clone() };
        self.keys.insert(name.clone(), (facts.clone(), Some(key.private.clone())));
        self.version += 1;
        KeyEdit::Done { key: facts, replaced: None }
    }

    fn edit(&mut self, name: &KeyName, wish: Wish, now: Timestamp) -> KeyEdit {
        let Some((facts, _)) = self.keys.get(name) else { return KeyEdit::Missing };
        if !allowed(facts.state, wish) {
            return KeyEdit::Not(facts.state);
        }
        let (algorithm, mut replaced) = (facts.algorithm, None);
        if wish == Wish::Activate {
            for (other, _) in self.keys.values_mut() {
                let same = other.name.domain() == name.domain() && other.algorithm == algorithm;
                if same && other.state == KeyState::Active {
                    other.state = KeyState::Replaced;
                    replaced = Some(other.clone());
                }
            }
        }
        self.version += 1;
        if wish == Wish::Remove {
            return match self.keys.remove(name) {
                Some((key, _)) => KeyEdit::Done { key, replaced },
                None => KeyEdit::Missing,
            };
        }
        let Some((facts, private)) = self.keys.get_mut(name) else { return KeyEdit::Missing };
        if wish == Wish::Activate {
            (facts.state, facts.activated) = (KeyState::Active, Some(now));
        } else {
            (facts.state, facts.retired) = (KeyState::Retired, Some(now));
            *private = None;
        }
        KeyEdit::Done { key: facts.clone(), replaced }
    }

    fn active(&self) -> Vec<KeyPair> {
        let pair = |(facts, private): &(KeyFacts, Option<PrivateKey>)| {
            let private = private.clone().filter(|_| facts.state == KeyState::Active)?;
            Some(KeyPair { facts: facts.clone(), private })
        };
        self.keys.values().filter_map(pair).collect()
    }
}

impl KeyStore for MemoryKeys {
    fn version(&self) -> Answer<'_, u64> {
        self.answer(|state| state.version)
    }

    fn list<'a>(&'a self, domain: Option<&'a Domain>) -> Answer<'a, Vec<KeyFacts>> {
        self.answer(|state| state.listed(domain))
    }

    fn active(&self) -> Answer<'_, (u64, Vec<KeyPair>)> {
        self.answer(|state| (state.version, state.active()))
    }

    fn insert<'a>(&'a self, key: &'a KeyPair) -> Answer<'a, KeyEdit> {
        self.answer(|state| state.insert(key))
    }

    fn activate<'a>(&'a self, name: &'a KeyName, now: Timestamp) -> Answer<'a, KeyEdit> {
        self.answer(|state| state.edit(name, Wish::Activate, now))
    }

    fn retire<'a>(&'a self, name: &'a KeyName, signing: Signing, now: Timestamp) -> Answer<'a, KeyEdit> {
        self.answer(|state| state.edit(name, Wish::Retire(signing), now))
    }

    fn remove<'a>(&'a self, name: &'a KeyName) -> Answer<'a, KeyEdit> {
        self.answer(|state| state.edit(name, Wish::Remove, Timestamp(0)))
    }
}
