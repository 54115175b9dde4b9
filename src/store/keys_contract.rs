//! What every store of keys must do, whatever keeps the rows; and what SQLite must do besides.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::model::signing::{KeyAlgorithm, KeyFacts, KeyName, KeyPair, KeyState, PrivateKey, Selector};
use crate::model::{Domain, Timestamp};

const THEN: Timestamp = Timestamp(1_795_176_451_250);
const LATER: Timestamp = Timestamp(1_795_180_000_000);
const SECRET: &[u8] = b"\x30\x82the private part";

fn name(text: &str) -> KeyName {
    let (selector, domain) = text.split_once('@').unwrap();
    KeyName::new(Domain::parse(domain).unwrap(), Selector::parse(selector).unwrap()).unwrap()
}

fn key(text: &str, algorithm: KeyAlgorithm) -> KeyPair {
    let facts = KeyFacts {
        name: name(text),
        algorithm,
        state: KeyState::Active,
        record: "v=DKIM1; p=AAAA".into(),
        created: THEN,
        activated: Some(THEN),
        retired: Some(THEN),
    };
    KeyPair { facts, private: PrivateKey::new(SECRET.to_vec()) }
}

fn rsa(text: &str) -> KeyPair {
    key(text, KeyAlgorithm::Rsa2048)
}

async fn states(store: &dyn KeyStore) -> Vec<String> {
    let listed = store.list(None).await.unwrap();
    listed.iter().map(|key| format!("{}@{} {}", key.name.selector(), key.name.domain(), key.state)).collect()
}

async fn active(store: &dyn KeyStore) -> Vec<String> {
    let (_, pairs) = store.active().await.unwrap();
    assert!(pairs.iter().all(|pair| pair.private.reveal() == SECRET));
    pairs.iter().map(|pair| format!("{}@{}", pair.facts.name.selector(), pair.facts.name.domain())).collect()
}

async fn a_new_key_is_new_once_and_signs_nothing(store: &dyn KeyStore) {
    let KeyEdit::Done { key: made, replaced: None } = store.insert(&rsa("s1@x.example")).await.unwrap() else {
        panic!("not taken")
    };
    assert_eq!((made.state, made.created, made.activated, made.retired), (KeyState::New, THEN, None, None));
    assert_eq!(store.list(None).await.unwrap(), [made]);
    assert_eq!(store.version().await.unwrap(), 1);
    assert_eq!(store.insert(&key("s1@x.example", KeyAlgorithm::Ed25519)).await.unwrap(), KeyEdit::Taken);
    assert_eq!(store.active().await.unwrap(), (1, vec![]));
}

async fn one_key_signs_for_a_domain_and_algorithm(store: &dyn KeyStore) {
    for key in
        [rsa("s1@x.example"), rsa("s2@x.example"), key("e1@x.example", KeyAlgorithm::Ed25519), rsa("s1@y.example")]
    {
        store.insert(&key).await.unwrap();
    }
    for first in ["s1@x.example", "e1@x.example", "s1@y.example"] {
        let KeyEdit::Done { key, replaced: None } = store.activate(&name(first), THEN).await.unwrap() else {
            panic!("{first} replaces nothing")
        };
        assert_eq!((key.state, key.activated), (KeyState::Active, Some(THEN)));
    }
    assert_eq!(store.activate(&name("s1@x.example"), LATER).await.unwrap(), KeyEdit::Not(KeyState::Active));
    let KeyEdit::Done { key, replaced: Some(before) } = store.activate(&name("s2@x.example"), LATER).await.unwrap()
    else {
        panic!("s2 replaces s1")
    };
    assert_eq!((key.name, key.activated), (name("s2@x.example"), Some(LATER)));
    assert_eq!((before.name, before.state, before.activated), (name("s1@x.example"), KeyState::Replaced, Some(THEN)));
    let mut signing = active(store).await;
    signing.sort();
    assert_eq!(signing, ["e1@x.example", "s1@y.example", "s2@x.example"]);
    // And back again.
    store.activate(&name("s1@x.example"), LATER).await.unwrap();
    let listed = store.list(Some(&Domain::parse("x.example").unwrap())).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|key| (key.name.selector().as_str(), key.state)).collect();
    assert_eq!(listed, [("e1", KeyState::Active), ("s1", KeyState::Active), ("s2", KeyState::Replaced)]);
}

async fn a_key_goes_only_when_nothing_needs_it(store: &dyn KeyStore) {
    for key in [rsa("s1@x.example"), rsa("s2@x.example"), rsa("s3@x.example")] {
        store.insert(&key).await.unwrap();
    }
    let (s1, s2) = (name("s1@x.example"), name("s2@x.example"));
    store.activate(&s1, THEN).await.unwrap();
    let version = store.version().await.unwrap();
    assert_eq!(store.retire(&s1, Signing::MustGoOn, LATER).await.unwrap(), KeyEdit::Not(KeyState::Active));
    assert_eq!(store.remove(&s1).await.unwrap(), KeyEdit::Not(KeyState::Active));
    assert_eq!(store.version().await.unwrap(), version, "nothing was changed");
    store.activate(&s2, THEN).await.unwrap();
    assert_eq!(store.remove(&s1).await.unwrap(), KeyEdit::Not(KeyState::Replaced));
    let KeyEdit::Done { key, .. } = store.retire(&s1, Signing::MustGoOn, LATER).await.unwrap() else {
        panic!("a replaced key may retire")
    };
    assert_eq!((key.state, key.retired), (KeyState::Retired, Some(LATER)));
    assert_eq!(store.activate(&s1, LATER).await.unwrap(), KeyEdit::Not(KeyState::Retired));
    assert_eq!(store.retire(&s1, Signing::MayEnd, LATER).await.unwrap(), KeyEdit::Not(KeyState::Retired));
    assert!(matches!(store.retire(&s2, Signing::MayEnd, LATER).await.unwrap(), KeyEdit::Done { .. }));
    assert!(active(store).await.is_empty());
    for gone in [&s1, &name("s3@x.example")] {
        assert!(matches!(store.remove(gone).await.unwrap(), KeyEdit::Done { .. }));
        assert_eq!(store.remove(gone).await.unwrap(), KeyEdit::Missing);
    }
    assert_eq!(states(store).await, ["s2@x.example retired"]);
    assert_eq!(store.activate(&s1, THEN).await.unwrap(), KeyEdit::Missing);
    assert_eq!(store.retire(&s1, Signing::MayEnd, THEN).await.unwrap(), KeyEdit::Missing);
}

async fn a_domain_has_so_many_keys_at_most(store: &dyn KeyStore) {
    for n in 0..MAX_KEYS {
        assert!(matches!(store.insert(&rsa(&format!("s{n}@x.example"))).await.unwrap(), KeyEdit::Done { .. }));
    }
    assert_eq!(store.insert(&rsa("more@x.example")).await.unwrap(), KeyEdit::Full);
    assert!(matches!(store.insert(&rsa("s1@y.example")).await.unwrap(), KeyEdit::Done { .. }));
}

macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&super::MemoryKeys::new()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let dir = tempfile::tempdir().unwrap();
                super::$case(&super::SqliteKeys::open(dir.path()).await.unwrap()).await;
            })+
        }
    };
}

contract!(
    a_new_key_is_new_once_and_signs_nothing,
    one_key_signs_for_a_domain_and_algorithm,
    a_key_goes_only_when_nothing_needs_it,
    a_domain_has_so_many_keys_at_most,
);

#[tokio::test]
async fn the_files_are_their_owners_and_hold_no_private_part_of_a_retired_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteKeys::open(dir.path()).await.unwrap();
    store.insert(&rsa("s1@x.example")).await.unwrap();
    let holds = || {
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        for file in &files {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
        files.iter().any(|file| std::fs::read(file).unwrap().windows(SECRET.len()).any(|found| found == SECRET))
    };
    assert!(holds(), "the test looks where it is kept");
    store.retire(&name("s1@x.example"), Signing::MustGoOn, LATER).await.unwrap();
    assert!(!holds(), "erased at once");
    let kept = store.list(None).await.unwrap();
    store.close().await;
    assert_eq!(SqliteKeys::open(dir.path()).await.unwrap().list(None).await.unwrap(), kept);
}

#[tokio::test]
async fn a_damaged_key_is_named_without_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteKeys::open(dir.path()).await.unwrap();
    store.insert(&rsa("s1@x.example")).await.unwrap();
    store.activate(&name("s1@x.example"), THEN).await.unwrap();
    sqlx::query("UPDATE keys SET algorithm = 'dsa'").execute(&store.pool_for_tests()).await.unwrap();
    for error in [store.active().await.unwrap_err(), store.list(None).await.unwrap_err()] {
        let text = format!("{error} {error:?}");
        assert!(text.starts_with("the stored key s1._domainkey.x.example can't be read"), "{text}");
        assert!(!text.contains("private part"));
    }
    assert!(!format!("{:?}", rsa("s1@x.example")).contains("48, 130"));
}
