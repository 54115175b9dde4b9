//! Signing keys on a running node: read at start, followed from then on.
//!
//! **Failure**: a store that can't be read stops the start; later the keys that are there stay, and it is told once. A key that
//! can't be used is named and left out.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::sender::authentication::keyring::Keyring;
use crate::store::{EVERY, KeyStore, SharedKeys, StoreError};

/// Reads the active keys.
pub(super) async fn read(store: &dyn KeyStore, before: &Keyring) -> Result<Keyring, StoreError> {
    let (version, pairs) = store.active().await?;
    let (keyring, wrong) = Keyring::compile(version, pairs, before);
    for (name, error) in wrong {
        tracing::error!(key = %name.record_name(), %error, "a key can't sign");
    }
    Ok(keyring)
}

/// Keeps `live` equal to the store until `shutdown`; a change is live within 200 ms and the time to read it.
pub(super) async fn follow(store: SharedKeys, live: Arc<ArcSwap<Keyring>>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut trouble: Option<String> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        match look(&*store, &live).await {
            Ok(changed) => {
                let passed = trouble.take().is_some();
                if changed || passed {
                    let keys = live.load();
                    tracing::info!(version = keys.version(), keys = keys.len(), "signing keys");
                }
            }
            Err(error) => {
                let reason = error.to_string();
                if trouble.as_ref() != Some(&reason) {
                    tracing::error!(%reason, "signing keys not taken, the running ones stay");
                }
                trouble = Some(reason);
            }
        }
    }
}

/// Whether there was something new.
async fn look(store: &dyn KeyStore, live: &ArcSwap<Keyring>) -> Result<bool, StoreError> {
    let before = live.load_full();
    if store.version().await? == before.version() {
        return Ok(false);
    }
    live.store(Arc::new(read(store, &before).await?));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signing::{KeyAlgorithm, KeyFacts, KeyName, KeyPair, KeyState, PrivateKey, Selector};
    use crate::model::{Domain, Timestamp};
    use crate::sender::authentication::keys::SigningKey;
    use crate::store::{MemoryKeys, Signing};

    #[tokio::test(start_paused = true)]
    async fn an_edit_is_live_within_a_second() {
        let store = Arc::new(MemoryKeys::new());
        let live = Arc::new(ArcSwap::from_pointee(Keyring::default()));
        let stop = CancellationToken::new();
        let following = tokio::spawn(follow(Arc::clone(&store) as SharedKeys, Arc::clone(&live), stop.clone()));
        let name = KeyName::new(Domain::parse("x.example").unwrap(), Selector::parse("s1").unwrap()).unwrap();
        let facts = KeyFacts {
            name: name.clone(),
            algorithm: KeyAlgorithm::Ed25519,
            state: KeyState::New,
            record: "".into(),
            created: Timestamp(0),
            activated: None,
            retired: None,
        };
        let private = PrivateKey::new(SigningKey::generate_ed25519().unwrap());
        let second = std::time::Duration::from_secs(1);
        store.insert(&KeyPair { facts, private }).await.unwrap();
        tokio::time::sleep(second).await;
        assert!(live.load().is_empty(), "a new key does not sign");
        store.activate(&name, Timestamp(1)).await.unwrap();
        tokio::time::sleep(second).await;
        assert!(live.load().of_host("mx.x.example").is_some());
        store.retire(&name, Signing::MayEnd, Timestamp(2)).await.unwrap();
        tokio::time::sleep(second).await;
        assert!(live.load().is_empty());
        stop.cancel();
        following.await.unwrap();
    }
}
