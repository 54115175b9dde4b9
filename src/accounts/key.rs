//! Which account an address is: case, plus-addresses and the two addresses that are nobody's mailbox.
//!
//! **Invariants**: the key of an account is a hash of 128 bits that nobody outside can foretell: with a million accounts, two have
//! the same one with a probability below 10^-26, and nobody can make two that do.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use crate::model::Address;

/// Addresses that every domain must have (RFC 5321 section 4.5.1, RFC 2142): they use no account and are never refused.
const NOBODYS: [&str; 2] = ["postmaster", "abuse"];

/// An account or alias of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u64; 2]);

/// One of its words: an array would be hashed octet by octet.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self([first, _]) = self;
        state.write_u64(*first);
    }
}

/// An address as it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    /// As it stands.
    pub whole: Key,
    /// Without what follows the plus; the same where there is none.
    pub folded: Key,
}

/// Makes keys; of no use to another process.
#[derive(Debug, Default)]
pub(super) struct Hashing(RandomState, RandomState);

impl Hashing {
    /// `None`: an address that is nobody's account.
    pub fn keys(&self, address: &Address) -> Option<Keys> {
        let (local, domain) = (address.local(), address.domain().as_str());
        let mut room = [0; crate::model::address::MAX_LOCAL];
        let long;
        let lower: &str = match room.get_mut(..local.len()) {
            Some(room) if local.is_ascii() => {
                room.copy_from_slice(local.as_bytes());
                room.make_ascii_lowercase();
                std::str::from_utf8(room).unwrap_or_default()
            }
            _ => {
                long = local.to_lowercase();
                &long
            }
        };
        if NOBODYS.contains(&plain(lower)) {
            return None;
        }
        let whole = self.key(lower, domain);
        let short = plain(lower);
        let folded = if short.len() == lower.len() { whole } else { self.key(short, domain) };
        Some(Keys { whole, folded })
    }

    /// The key of an address in its comparable form.
    pub fn of_text(&self, text: &str) -> Key {
        let (local, domain) = text.rsplit_once('@').unwrap_or((text, ""));
        self.key(local, domain)
    }

    fn key(&self, local: &str, domain: &str) -> Key {
        let one = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(local.as_bytes());
            hasher.write_u8(b'@');
            hasher.write(domain.as_bytes());
            hasher.finish()
        };
        Key([one(&self.0), one(&self.1)])
    }
}

/// Without what follows the plus. An address that begins with one is taken as it is.
fn plain(local: &str) -> &str {
    match local.split_once('+') {
        Some((before, _)) if !before.is_empty() => before,
        _ => local,
    }
}

/// The account of an address without aliases, as it is kept: lower case, the plus folded. `None`: nobody's.
#[must_use]
pub fn account_of(address: &Address) -> Option<String> {
    let local = address.local().to_lowercase();
    let local = plain(&local);
    (!NOBODYS.contains(&local)).then(|| format!("{local}@{}", address.domain()))
}

/// Keys are random already: a table needs no second hash.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Never asked for a key; slow, and right.
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.wrapping_mul(0x100_0000_01b3) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn case_and_plus_fold_and_nothing_else() {
        let hashing = Hashing::default();
        let account = |text: &str| hashing.keys(&address(text)).map(|keys| keys.folded);
        for same in ["taro@a.example", "Taro@A.Example", "taro+news@a.example", "TARO+a+b@a.example", "taro+@a.example"]
        {
            assert_eq!(account(same), account("taro@a.example"), "{same}");
            assert_eq!(account_of(&address(same)).unwrap(), "taro@a.example", "{same}");
        }
        for other in ["taro@b.example", "tar@a.example", "ta.ro@a.example", "+taro@a.example", "太郎@a.example"] {
            assert_ne!(account(other), account("taro@a.example"), "{other}");
        }
        assert_eq!(account("Ärger@a.example"), account("ärger+x@a.example"));
        for nobody in ["postmaster@a.example", "PostMaster@a.example", "abuse+x@a.example"] {
            assert_eq!((account(nobody), account_of(&address(nobody))), (None, None), "{nobody}");
        }
    }

    #[test]
    fn a_table_of_keys_is_spread_out() {
        let hashing = Hashing::default();
        let hashes = (0..10_000).map(|n| {
            let mut hasher = AsIs::default();
            hashing.of_text(&format!("user{n}@a.example")).hash(&mut hasher);
            hasher.finish()
        });
        assert_eq!(hashes.collect::<std::collections::HashSet<u64>>().len(), 10_000);
    }

    #[test]
    fn what_is_kept_has_the_key_of_what_was_seen() {
        let hashing = Hashing::default();
        for text in ["Taro+x@A.Example", "太郎@a.example", "\"a b\"@a.example", "+x@a.example"] {
            let seen = hashing.keys(&address(text)).unwrap();
            assert_eq!(hashing.of_text(&account_of(&address(text)).unwrap()), seen.folded, "{text}");
            assert_eq!(hashing.of_text(&address(text).key()), seen.whole, "{text}");
        }
    }
}
