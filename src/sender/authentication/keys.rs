//! Keys that sign: made, read, written, and turned into the record that the domain's owner publishes.
//!
//! **Failure**: [`KeyFileError`]; nothing of a key is ever in an error or in `Debug`.
//! **Invariants**: new RSA keys have 2048 bits; PEM and DER of PKCS#8 and PKCS#1 are read, PKCS#8 is written.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a key file.
pub const LONGEST: usize = 16_384;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("the key is no private key in PEM or DER, RSA (PKCS#8, PKCS#1) or Ed25519 (PKCS#8)")]
    Unreadable,
    #[error("an RSA key that signs must have at least 2048 bits")]
    TooWeak,
    #[error("the key could not be made")]
    NotMade,
}

/// What signs: a key in memory, or one that is kept elsewhere.
pub trait Sign: Send + Sync + std::fmt::Debug {
    /// The `a=` of its signatures.
    fn algorithm(&self) -> &'static str;
    /// # Errors
    /// [`KeyFileError::NotMade`] if it refuses.
    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, KeyFileError>;
}

/// A private key.
pub struct SigningKey(Pair);

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.algorithm()).finish()
    }
}

impl SigningKey {
    /// PKCS#8 DER of a new RSA key with 2048 bits.
    ///
    /// # Errors
    /// [`KeyFileError::NotMade`].
    pub fn generate_rsa() -> Result<Vec<u8>, KeyFileError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyFileError::NotMade)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyFileError::NotMade)?;
        Ok(der.as_ref().to_vec())
    }

    /// PKCS#8 DER of a new Ed25519 key.
    ///
    /// # Errors
    /// [`KeyFileError::NotMade`].
    pub fn generate_ed25519() -> Result<Vec<u8>, KeyFileError> {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyFileError::NotMade)?;
        Ok(der.as_ref().to_vec())
    }

    /// Reads PEM or DER.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(octets: &[u8]) -> Result<Self, KeyFileError> {
        if octets.len() > LONGEST {
            return Err(KeyFileError::Unreadable);
        }
        let unwrapped = from_pem(octets);
        let der = unwrapped.as_deref().unwrap_or(octets);
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            if pair.public_modulus_len() < 256 {
                return Err(KeyFileError::TooWeak);
            }
            return Ok(Self(Pair::Rsa(Box::new(pair))));
        }
        let pair = Ed25519KeyPair::from_pkcs8(der).or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der));
        pair.map(|pair| Self(Pair::Ed25519(Box::new(pair)))).map_err(|_| KeyFileError::Unreadable)
    }

    /// What to publish at `selector._domainkey.domain`.
    #[must_use]
    pub fn record(&self) -> String {
        match &self.0 {
            // The bare PKCS#1 form is what RFC 6376 names; verifiers read both.
            Pair::Rsa(pair) => format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(pair.public_key().as_ref())),
            Pair::Ed25519(pair) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key().as_ref())),
        }
    }
}

impl Sign for SigningKey {
    fn algorithm(&self) -> &'static str {
        match &self.0 {
            Pair::Rsa(_) => "rsa-sha256",
            Pair::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, KeyFileError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, data, &mut signature).map_err(|_| KeyFileError::NotMade)?;
                Ok(signature)
            }
            // RFC 8463 section 3: the hash is what is signed.
            Pair::Ed25519(pair) => Ok(pair.sign(digest::digest(&digest::SHA256, data).as_ref()).as_ref().to_vec()),
        }
    }
}

/// A PKCS#8 key as text.
#[must_use]
pub fn to_pem(pkcs8: &[u8]) -> String {
    let text = STANDARD.encode(pkcs8);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

/// The first private key in the text.
fn from_pem(octets: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(octets).ok()?;
    for kind in ["PRIVATE KEY", "RSA PRIVATE KEY"] {
        let begin = format!("-----BEGIN {kind}-----");
        let end = format!("-----END {kind}-----");
        if let Some((_, after)) = text.split_once(&begin)
            && let Some((inside, _)) = after.split_once(&end)
        {
            return STANDARD.decode(super::dkim::tags::without_space(inside).as_bytes()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::authentication::dkim::key::{Key, KeyKind};

    #[test]
    fn a_new_key_is_read_back_signs_and_has_a_record_that_verifies() {
        for (der, kind) in [
            (SigningKey::generate_rsa().unwrap(), KeyKind::Rsa),
            (SigningKey::generate_ed25519().unwrap(), KeyKind::Ed25519),
        ] {
            let key = SigningKey::read(to_pem(&der).as_bytes()).unwrap();
            assert_eq!(SigningKey::read(&der).unwrap().record(), key.record());
            let published = Key::parse(key.record().as_bytes()).unwrap();
            assert_eq!(published.kind, kind);
            let algorithm = mail_auth::common::crypto::Algorithm::parse(key.algorithm().as_bytes()).unwrap();
            let signature = key.sign(b"data").unwrap();
            assert!(published.verifying.verify_bytes(b"data", &signature, algorithm).is_ok());
            assert!(published.verifying.verify_bytes(b"date", &signature, algorithm).is_err());
            assert!(!format!("{key:?}").contains('['));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in [&b""[..], b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &[0x30; 20_000]] {
            assert_eq!(SigningKey::read(wrong).unwrap_err(), KeyFileError::Unreadable);
        }
    }
}
