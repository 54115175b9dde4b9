//! A message that we change is sealed (RFC 8617), so that whoever gets it next can believe what we found before the change.
//!
//! **Failure**: a message that can't be sealed goes on unsealed. A key that can't sign is told once, until one signs again;
//! a message or chain that can't be sealed is its sender's affair and told at debug level.
//! **Invariants**: nothing is sealed without an active key for our own name or its organizational domain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::model::Timestamp;
use crate::model::authentication::ArcResult;
use crate::sender::authentication::keyring::Keyring;
use crate::sender::authentication::results;
use crate::sender::authentication::sign::{self, Layout, SignError, Signer};

/// What seals.
#[derive(Debug, Clone, Default)]
pub struct Sealer {
    /// Swapped when keys change.
    pub keys: Arc<ArcSwap<Keyring>>,
    /// A key has failed, and it has been told.
    told: Arc<AtomicBool>,
}

/// What a seal says.
#[derive(Debug)]
pub(super) struct Finding<'a> {
    pub(super) hostname: &'a str,
    pub(super) authserv_id: &'a str,
    /// Our Authentication-Results field.
    pub(super) results: &'a str,
    /// Of the message as it came.
    pub(super) chain: ArcResult,
    pub(super) now: Timestamp,
}

impl Sealer {
    #[must_use]
    pub fn new(keys: Arc<ArcSwap<Keyring>>) -> Self {
        Self { keys, told: Arc::default() }
    }

    /// The ARC set for `message`, which has been changed; empty if it can't be sealed.
    pub(super) async fn seal(&self, message: Bytes, finding: Finding<'_>) -> String {
        let Some(active) = self.keys.load().of_host(finding.hostname).cloned() else { return String::new() };
        let Some(payload) = results::merged(finding.results.as_bytes(), finding.authserv_id) else {
            return String::new();
        };
        let (chain, now) = (finding.chain, finding.now.as_millis() / 1_000);
        // The body is hashed, and the key takes a millisecond for each of two signatures.
        let work = tokio::task::spawn_blocking(move || {
            let name = &active.facts.name;
            let signer = Signer {
                key: &active.key,
                domain: name.domain().as_str(),
                selector: name.selector().as_str(),
                now,
                layout: Layout::Folded,
            };
            sign::seal(&message, chain, &payload, None, &signer)
        });
        match work.await {
            Ok(Ok(set)) => {
                self.told.store(false, Ordering::Relaxed);
                String::from_utf8(set).unwrap_or_default()
            }
            Ok(Err(error @ (SignError::NoFrom | SignError::NoMoreSets))) => {
                tracing::debug!(%error, "a changed message is not sealed");
                String::new()
            }
            Ok(Err(SignError::Key(error))) => self.fail(&error.to_string()),
            Err(_) => self.fail("the work was broken off"),
        }
    }

    fn fail(&self, reason: &str) -> String {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(reason, "changed messages are not sealed");
        }
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Domain;
    use crate::model::signing::{KeyAlgorithm, KeyFacts, KeyName, KeyPair, KeyState, PrivateKey, Selector};
    use crate::sender::authentication::keys::SigningKey;

    const MAIL: &[u8] = b"From: a@x.example\r\nSubject: s\r\n\r\nbody\r\n";

    fn sealer() -> Sealer {
        let name = KeyName::new(Domain::parse("gateway.example").unwrap(), Selector::parse("s1").unwrap()).unwrap();
        let facts = KeyFacts {
            name,
            algorithm: KeyAlgorithm::Ed25519,
            state: KeyState::Active,
            record: "".into(),
            created: Timestamp(0),
            activated: None,
            retired: None,
        };
        let private = PrivateKey::new(SigningKey::generate_ed25519().unwrap());
        let (keyring, _) = Keyring::compile(1, vec![KeyPair { facts, private }], &Keyring::default());
        Sealer::new(Arc::new(ArcSwap::from_pointee(keyring)))
    }

    async fn seal(sealer: &Sealer, hostname: &str, mail: &'static [u8], chain: ArcResult) -> String {
        let finding = Finding {
            hostname,
            authserv_id: "id.example",
            results: "Authentication-Results: id.example;\r\n\tspf=pass;\r\n\tdkim=none\r\n",
            chain,
            now: Timestamp(1_795_176_451_000),
        };
        sealer.seal(Bytes::from_static(mail), finding).await
    }

    #[tokio::test]
    async fn a_set_says_what_was_found_in_the_name_of_the_organization() {
        let set = seal(&sealer(), "mx.gateway.example", MAIL, ArcResult::None).await;
        assert!(set.starts_with("ARC-Seal: a=ed25519-sha256"), "{set}");
        assert!(set.contains("ARC-Authentication-Results: i=1; id.example; spf=pass;\r\n\tdkim=none\r\n"), "{set}");
        assert!(set.contains("cv=none;\r\n\td=gateway.example;"), "{set}");
    }

    #[tokio::test]
    async fn nothing_is_sealed_without_a_key_of_ours_or_what_cannot_be() {
        for (hostname, mail, chain) in [
            ("mx.other.example", MAIL, ArcResult::None),
            ("gateway.example", b"Subject: no author\r\n\r\nx\r\n", ArcResult::None),
            ("gateway.example", MAIL, ArcResult::TempError),
        ] {
            assert_eq!(seal(&sealer(), hostname, mail, chain).await, "", "{hostname} {chain:?}");
        }
        assert_eq!(seal(&Sealer::default(), "gateway.example", MAIL, ArcResult::None).await, "");
    }
}
