//! What operators set by hand: few, read at every judgement, saved at once.
//!
//! **Invariants**: reading takes no lock; at most [`MAX_PINS`]; one whose time is over has no say.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::model::Timestamp;
use crate::model::sender::Standing;
use crate::tables::state_file::{self, Fixed, StateError};
use crate::tables::{Seconds, seconds};

pub const MAX_PINS: usize = 10_000;

/// An operator's word on one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub standing: Standing,
    /// `None`: until it is forgotten or set anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    pub reason: Box<str>,
    pub since: Timestamp,
}

impl Pin {
    fn holds(&self, now: Seconds) -> bool {
        self.until.is_none_or(|until| now < seconds(until))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{MAX_PINS} sources are set already; forget some first")]
pub struct TooMany;

type Table = BTreeMap<Key, Pin>;

#[derive(Debug, Default)]
pub(super) struct Pins(ArcSwap<Table>);

#[derive(Serialize, Deserialize)]
struct Saved {
    v: u32,
    /// Keys as they stand in the counts' file.
    set: Vec<([u8; 9], Pin)>,
}

impl Pins {
    pub(super) fn of(&self, key: Key, now: Seconds) -> Option<Pin> {
        let table = self.0.load();
        if table.is_empty() {
            return None;
        }
        table.get(&key).filter(|pin| pin.holds(now)).cloned()
    }

    pub(super) fn set(&self, key: Key, pin: Pin) -> Result<(), TooMany> {
        let now = seconds(pin.since);
        let mut fits = false;
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            table.retain(|_, pin| pin.holds(now));
            fits = table.len() < MAX_PINS || table.contains_key(&key);
            if fits {
                table.insert(key, pin.clone());
            }
            table
        });
        if fits { Ok(()) } else { Err(TooMany) }
    }

    pub(super) fn remove(&self, key: Key) -> bool {
        let mut was = false;
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            was = table.remove(&key).is_some();
            table
        });
        was
    }

    pub(super) fn load(&self, path: &Path) -> Result<(), StateError> {
        let Some(bytes) = state_file::read(path)? else { return Ok(()) };
        let damaged = || StateError::Damaged { path: path.to_owned() };
        let saved: Saved = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if saved.v != 1 || saved.set.len() > MAX_PINS {
            return Err(damaged());
        }
        let set = saved.set.into_iter().map(|(key, pin)| Some((Key::read(&key)?, pin)));
        self.0.store(Arc::new(set.collect::<Option<Table>>().ok_or_else(damaged)?));
        Ok(())
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), StateError> {
        let entry = |(key, pin): (&Key, &Pin)| {
            let mut bytes = Vec::with_capacity(Key::SIZE);
            key.write(&mut bytes);
            Some((bytes.try_into().ok()?, pin.clone()))
        };
        let saved = Saved { v: 1, set: self.0.load().iter().filter_map(entry).collect() };
        let bytes = serde_json::to_vec(&saved)
            .map_err(|error| StateError::Io { path: path.to_owned(), source: error.into() })?;
        state_file::replace(path, &bytes)
    }
}
