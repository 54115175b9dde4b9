//! Where signing keys are kept, and what may be done with one in which state.
//!
//! ```text
//! new ──activate──▶ active ──another is activated──▶ replaced ──retire──▶ retired ──remove──▶
//!                     ▲────────────activate──────────────┘
//! ```
//! **Failure**: what the state of a key forbids is [`KeyEdit::Not`], and nothing is changed.
//! **Invariants**: at most one active key for a domain and algorithm; a retired key has no private part any more; no version
//! without a change.

use std::sync::Arc;

use super::Answer;
use crate::model::signing::{KeyFacts, KeyName, KeyPair, KeyState};
use crate::model::{Domain, Timestamp};

/// Keys that a domain may have, retired ones among them.
pub const MAX_KEYS: usize = 32;

/// What came of an edit of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyEdit {
    /// The key as it is now (or was, if it is removed), and the one that signed before it.
    Done { key: KeyFacts, replaced: Option<KeyFacts> },
    /// There is no such key.
    Missing,
    /// Its state stands against it.
    Not(KeyState),
    /// A new key: the name is taken.
    Taken,
    /// A new key: the domain has [`MAX_KEYS`].
    Full,
}

/// Whether a key that signs may go without another in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    MustGoOn,
    MayEnd,
}

/// Where signing keys are kept.
pub trait KeyStore: Send + Sync + std::fmt::Debug {
    /// Counts up with every edit; cheap enough to ask five times a second.
    fn version(&self) -> Answer<'_, u64>;

    /// Keys without their private parts, of one domain or all, by domain and time of making.
    fn list<'a>(&'a self, domain: Option<&'a Domain>) -> Answer<'a, Vec<KeyFacts>>;

    /// The active keys, all of one version, which is returned.
    fn active(&self) -> Answer<'_, (u64, Vec<KeyPair>)>;

    /// Takes a new key; whatever its facts say, it is in state new.
    fn insert<'a>(&'a self, key: &'a KeyPair) -> Answer<'a, KeyEdit>;

    /// From new or replaced; the key that was active is replaced by it.
    fn activate<'a>(&'a self, name: &'a KeyName, now: Timestamp) -> Answer<'a, KeyEdit>;

    /// From any other state; erases the private part.
    fn retire<'a>(&'a self, name: &'a KeyName, signing: Signing, now: Timestamp) -> Answer<'a, KeyEdit>;

    /// A new or retired key; of the others something may still be under way.
    fn remove<'a>(&'a self, name: &'a KeyName) -> Answer<'a, KeyEdit>;
}

/// Any store of keys, shared.
pub type SharedKeys = Arc<dyn KeyStore>;

/// What an edit asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Activate,
    Retire(Signing),
    Remove,
}

/// The rule of all adapters: whether a key in this state may have it.
pub(super) fn allowed(state: KeyState, wish: Wish) -> bool {
    match wish {
        Wish::Activate => matches!(state, KeyState::New | KeyState::Replaced),
        Wish::Retire(Signing::MustGoOn) => matches!(state, KeyState::New | KeyState::Replaced),
        Wish::Retire(Signing::MayEnd) => state != KeyState::Retired,
        Wish::Remove => matches!(state, KeyState::New | KeyState::Retired),
    }
}
