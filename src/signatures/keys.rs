//! Keys that sign sets (Ed25519): made, read, written; a set is trusted if enough of the known keys signed its manifest.
//!
//! A private key is a PKCS#8 PEM file; a public key one line, `ed25519:BASE64`; a signature one line,
//! `ed25519:BASE64-OF-THE-KEY BASE64-OF-THE-SIGNATURE`.
//!
//! **Failure**: [`KeyError`]; nothing of a private key is in an error or in `Debug`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "ed25519:";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Lines of a file of signatures.
const MAX_SIGNATURES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is no Ed25519 private key in PEM (PKCS#8)")]
    NotPrivate,
    #[error("a public key is written ed25519:BASE64, of 32 octets")]
    NotPublic,
    #[error("the key could not be made")]
    NotMade,
}

/// Makes a key; the PEM text of its private half.
pub fn generate() -> Result<String, KeyError> {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::NotMade)?;
    Ok(format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der.as_ref())))
}

/// The private half.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

impl SigningKey {
    pub fn read(pem: &str) -> Result<Self, KeyError> {
        let inside = pem.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
        let (text, _) = inside.ok_or(KeyError::NotPrivate)?;
        let text: String = text.split_ascii_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|_| KeyError::NotPrivate)?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der));
        pair.map(Self).map_err(|_| KeyError::NotPrivate)
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut octets = [0; 32];
        octets.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(place, octet)| *place = *octet);
        PublicKey(octets)
    }

    /// A line for a file of signatures.
    #[must_use]
    pub fn sign(&self, octets: &[u8]) -> String {
        format!("{} {}\n", self.public(), STANDARD.encode(self.0.sign(octets).as_ref()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(KeyError::NotPublic)?;
        let octets = STANDARD.decode(text).map_err(|_| KeyError::NotPublic)?;
        octets.try_into().map(Self).map_err(|_| KeyError::NotPublic)
    }
}

/// Whose signatures count, and how many different ones are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    pub keys: Vec<PublicKey>,
    /// At least 1 is always needed.
    pub needed: usize,
}

impl Trust {
    /// One signature of any of these.
    #[must_use]
    pub fn any_of(keys: Vec<PublicKey>) -> Self {
        Self { keys, needed: 1 }
    }

    /// Whether enough known keys signed; lines that are none, or of other keys, count for nothing.
    #[must_use]
    pub fn is_signed(&self, octets: &[u8], signatures: &str) -> bool {
        let mut signers = BTreeSet::new();
        for line in signatures.lines().take(MAX_SIGNATURES) {
            let Some((key, signature)) = line.trim().split_once(' ') else { continue };
            let Ok(key) = key.parse::<PublicKey>() else { continue };
            let Ok(signature) = STANDARD.decode(signature.trim()) else { continue };
            let is_ours = self.keys.contains(&key);
            if is_ours && UnparsedPublicKey::new(&ED25519, key.0).verify(octets, &signature).is_ok() {
                signers.insert(key);
            }
        }
        signers.len() >= self.needed.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_keys_count_and_each_once() {
        let keys = [(); 3].map(|()| SigningKey::read(&generate().unwrap()).unwrap());
        let [ours, other, stranger] = &keys;
        let mut trust = Trust::any_of(vec![ours.public(), other.public()]);
        assert!(trust.is_signed(b"x", &ours.sign(b"x")));
        assert!(!trust.is_signed(b"y", &ours.sign(b"x")));
        assert!(!trust.is_signed(b"x", &stranger.sign(b"x")));
        assert!(!trust.is_signed(b"x", ""));
        trust.needed = 2;
        assert!(!trust.is_signed(b"x", &ours.sign(b"x").repeat(2)));
        assert!(trust.is_signed(b"x", &(ours.sign(b"x") + &other.sign(b"x"))));
        assert!(!Trust::default().is_signed(b"x", &ours.sign(b"x")));
    }

    #[test]
    fn keys_read_back() {
        let pem = generate().unwrap();
        let key = SigningKey::read(&pem).unwrap();
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert!(!format!("{key:?}").contains(pem.lines().nth(1).unwrap()));
        assert!(SigningKey::read("no key").is_err());
        assert!("ed25519:AAAA".parse::<PublicKey>().is_err());
    }
}
