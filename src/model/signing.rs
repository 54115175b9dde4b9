//! Keys that sign mail: what is known of one, and the private part, which shows itself nowhere.
//!
//! **Failure**: a word that is none of these is refused with those there are.
//! **Invariants**: a [`PrivateKey`] is in no `Debug`, no serialisation and no error text; [`KeyFacts`] hold nothing secret.

use std::fmt;

use super::{Domain, Timestamp};

/// What signs. The word is also what commands and the store write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// RSA with 2048 bits and SHA-256: every verifier knows it.
    Rsa2048,
    /// RFC 8463.
    Ed25519,
}

impl KeyAlgorithm {
    pub const ALL: [Self; 2] = [Self::Rsa2048, Self::Ed25519];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Ed25519 => "ed25519",
        }
    }

    /// # Errors
    /// [`SigningError::Algorithm`].
    pub fn parse(text: &str) -> Result<Self, SigningError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(SigningError::Algorithm)
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a key is in its life: new, active, replaced (by another one), retired. It may go back from replaced to active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Made; its record is to be published.
    New,
    /// Signs. At most one for a domain and algorithm.
    Active,
    /// Signs no more; its record stays published, because mail that it signed is under way.
    Replaced,
    /// Its private part is erased; its record may go.
    Retired,
}

impl KeyState {
    pub const ALL: [Self; 4] = [Self::New, Self::Active, Self::Replaced, Self::Retired];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Active => "active",
            Self::Replaced => "replaced",
            Self::Retired => "retired",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    #[error("the algorithm is rsa-2048 or ed25519")]
    Algorithm,
    #[error("a selector is one or more labels of letters, digits and hyphens, 63 octets at most")]
    Selector,
    #[error("the name of the record would have more than 253 octets")]
    Long,
    #[error("an address literal has no records to publish a key in")]
    Literal,
}

/// The name of a key under its domain (RFC 6376 section 3.1), in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(Box<str>);

impl Selector {
    /// # Errors
    /// [`SigningError::Selector`].
    pub fn parse(text: &str) -> Result<Self, SigningError> {
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if text.len() > 63 || !text.split('.').all(label) {
            return Err(SigningError::Selector);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which key: there is one record at a name, so one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    domain: Domain,
    selector: Selector,
}

impl KeyName {
    /// # Errors
    /// [`SigningError::Literal`], [`SigningError::Long`].
    pub fn new(domain: Domain, selector: Selector) -> Result<Self, SigningError> {
        let name = Self { domain, selector };
        if name.domain.as_ip().is_some() {
            return Err(SigningError::Literal);
        }
        if name.record_name().len() > 253 { Err(SigningError::Long) } else { Ok(name) }
    }

    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Where the record is published.
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.selector, self.domain)
    }
}

/// A key without its private part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    pub name: KeyName,
    pub algorithm: KeyAlgorithm,
    pub state: KeyState,
    /// The text of the TXT record.
    pub record: Box<str>,
    pub created: Timestamp,
    /// The last time.
    pub activated: Option<Timestamp>,
    pub retired: Option<Timestamp>,
}

/// PKCS#8 DER.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Box<[u8]>);

impl PrivateKey {
    #[must_use]
    pub fn new(pkcs8: Vec<u8>) -> Self {
        Self(pkcs8.into())
    }

    /// Only for who signs with it, and for the store.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A key that can sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    pub facts: KeyFacts,
    pub private: PrivateKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_and_names() {
        for good in ["s1", "S1", "a.b-c", "20261121"] {
            assert_eq!(Selector::parse(good).unwrap().as_str(), good.to_ascii_lowercase());
        }
        for wrong in ["", ".", "a.", "-a", "a-", "a_b", "a b", "選", &"a".repeat(64)] {
            assert_eq!(Selector::parse(wrong), Err(SigningError::Selector), "{wrong:?}");
        }
        let name = |domain: &str| KeyName::new(Domain::parse(domain).unwrap(), Selector::parse("s1").unwrap());
        assert_eq!(name("X.example").unwrap().record_name(), "s1._domainkey.x.example");
        assert_eq!(name("[192.0.2.1]"), Err(SigningError::Literal));
        assert_eq!(name(&[&*"a".repeat(60); 4].join(".")), Err(SigningError::Long));
    }

    #[test]
    fn words_are_read_back_and_no_private_key_is_shown() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(KeyAlgorithm::parse(algorithm.as_str()), Ok(algorithm));
        }
        for state in KeyState::ALL {
            assert_eq!(KeyState::parse(state.as_str()), Some(state));
        }
        assert_eq!(format!("{:?}", PrivateKey::new(vec![1, 2, 3])), "(secret)");
    }
}
