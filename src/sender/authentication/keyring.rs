//! The keys that sign now, read and ready: one for each domain and algorithm.
//!
//! **Failure**: a key that can't be read is named and left out; the others sign.
//! **Invariants**: a key that was there before is not read again; nothing of a key shows in `Debug`.

use std::collections::HashMap;
use std::sync::Arc;

use super::keys::{KeyFileError, SigningKey};
use super::organization::by_suffix_list;
use crate::model::Domain;
use crate::model::signing::{KeyAlgorithm, KeyFacts, KeyName, KeyPair};

/// A key that signs, and in whose name.
#[derive(Debug)]
pub struct ActiveKey {
    pub facts: KeyFacts,
    pub key: SigningKey,
}

/// All of one version of the store.
#[derive(Debug, Default)]
pub struct Keyring {
    version: u64,
    keys: HashMap<Domain, Vec<Arc<ActiveKey>>>,
}

impl Keyring {
    /// Reads what the store holds. What could not be read is in the second part.
    #[must_use]
    pub fn compile(version: u64, pairs: Vec<KeyPair>, before: &Self) -> (Self, Vec<(KeyName, KeyFileError)>) {
        let (mut keys, mut wrong) = (HashMap::<Domain, Vec<Arc<ActiveKey>>>::new(), Vec::new());
        for KeyPair { facts, private } in pairs {
            let domain = facts.name.domain().clone();
            let known = before.keys.get(&domain).and_then(|keys| keys.iter().find(|known| known.facts == facts));
            let active = match known {
                Some(known) => Arc::clone(known),
                None => match SigningKey::read(private.reveal()) {
                    Ok(key) => Arc::new(ActiveKey { facts, key }),
                    Err(error) => {
                        wrong.push((facts.name, error));
                        continue;
                    }
                },
            };
            keys.entry(domain).or_default().push(active);
        }
        for keys in keys.values_mut() {
            keys.sort_by_key(|key| key.facts.algorithm != KeyAlgorithm::Rsa2048);
        }
        (Self { version, keys }, wrong)
    }

    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of a host's own name, otherwise of its organizational domain; RSA before Ed25519, which not every verifier knows.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Option<&Arc<ActiveKey>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.of(&host).or_else(|| self.of(&by_suffix_list(&host)))
    }

    /// The keys of exactly this domain, RSA before Ed25519; one for each algorithm at most.
    #[must_use]
    pub fn of_domain(&self, domain: &Domain) -> &[Arc<ActiveKey>] {
        self.keys.get(domain).map(Vec::as_slice).unwrap_or_default()
    }

    fn of(&self, domain: &str) -> Option<&Arc<ActiveKey>> {
        let preferred = |key: &&Arc<ActiveKey>| key.facts.algorithm != KeyAlgorithm::Rsa2048;
        self.keys.get(domain)?.iter().min_by_key(preferred)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::signing::{KeyState, PrivateKey, Selector};

    fn pair(domain: &str, selector: &str, private: Vec<u8>) -> KeyPair {
        let algorithm = if private.len() < 200 { KeyAlgorithm::Ed25519 } else { KeyAlgorithm::Rsa2048 };
        let name = KeyName::new(Domain::parse(domain).unwrap(), Selector::parse(selector).unwrap()).unwrap();
        let facts = KeyFacts {
            name,
            algorithm,
            state: KeyState::Active,
            record: "".into(),
            created: Timestamp(0),
            activated: None,
            retired: None,
        };
        KeyPair { facts, private: PrivateKey::new(private) }
    }

    #[test]
    fn the_key_of_the_host_is_before_its_organizations_and_rsa_before_ed25519() {
        let ed = || SigningKey::generate_ed25519().unwrap();
        let pairs = vec![
            pair("example.com", "e1", ed()),
            pair("example.com", "r1", SigningKey::generate_rsa().unwrap()),
            pair("mx.example.com", "e2", ed()),
            pair("other.example", "bad", vec![1, 2, 3]),
        ];
        let (keyring, wrong) = Keyring::compile(7, pairs.clone(), &Keyring::default());
        assert_eq!(wrong.len(), 1);
        assert_eq!((keyring.len(), keyring.version()), (3, 7));
        let selector = |host: &str| keyring.of_host(host).map(|key| key.facts.name.selector().to_string());
        assert_eq!(selector("MX.example.com.").as_deref(), Some("e2"));
        assert_eq!(selector("mx2.example.com").as_deref(), Some("r1"));
        assert_eq!(selector("mx.other.example"), None);
        let (next, _) = Keyring::compile(8, pairs, &keyring);
        let (old, new) = (keyring.of_host("example.com").unwrap(), next.of_host("example.com").unwrap());
        assert!(Arc::ptr_eq(old, new), "not read again");
    }
}
