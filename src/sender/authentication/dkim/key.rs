//! The key record (RFC 6376 section 3.6.1, RFC 8301, RFC 8463).
//!
//! **Failure**: [`KeyError`]: not there, revoked, not for this use, or of a size that is not accepted.
//! **Invariants**: RSA keys have 1024 to 4096 bits: fewer prove nothing, more are an invitation to spend our time.

use mail_auth::common::crypto::VerifyingKey;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;

use super::tags::{Tags, without_space};
use crate::dns::{Answer, Resolver};

/// Octets of a key record.
pub const LONGEST: usize = 4_096;
/// RFC 8301 section 3.2.
pub const WEAKEST: usize = 1_024;
pub const STRONGEST: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no key at {0}")]
    Missing(String),
    #[error("the key is revoked")]
    Revoked,
    #[error("the key record is wrong: {0}")]
    Wrong(&'static str),
    #[error("the key has {0} bits; 1024 to 4096 are accepted")]
    Size(usize),
    #[error("no answer for the key: {0}")]
    Temporary(String),
    /// The key is good, and what it should have signed is not what is there.
    #[error("{0}")]
    Misfit(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    Ed25519,
}

/// A usable key.
pub struct Key {
    pub kind: KeyKind,
    pub verifying: Box<dyn VerifyingKey + Send + Sync>,
    pub sha1: bool,
    pub sha256: bool,
    /// `t=s`: `i=` must have exactly the domain of `d=`.
    pub strict_identity: bool,
    /// `t=y`: the domain is testing.
    pub testing: bool,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).field("testing", &self.testing).finish_non_exhaustive()
    }
}

/// `selector._domainkey.domain`.
#[must_use]
pub fn name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// # Errors
/// [`KeyError`].
pub async fn fetch(resolver: &dyn Resolver, selector: &str, domain: &str) -> Result<Key, KeyError> {
    let name = name(selector, domain);
    if name.len() > 253 {
        return Err(KeyError::Wrong("no name can be as long as this key's"));
    }
    match resolver.txt(&name).await {
        Answer::Found(records) => {
            // Several records are undefined (section 3.6.2.2); the first that is a key, as others do.
            let mut wrong = None;
            for record in records.iter().take(8) {
                match Key::parse(record) {
                    Ok(key) => return Ok(key),
                    Err(error) => wrong = wrong.or(Some(error)),
                }
            }
            Err(wrong.unwrap_or(KeyError::Missing(name)))
        }
        Answer::NoSuchDomain | Answer::NoRecords => Err(KeyError::Missing(name)),
        Answer::Temporary(why) => Err(KeyError::Temporary(why)),
    }
}

impl Key {
    /// # Errors
    /// [`KeyError`].
    pub fn parse(record: &[u8]) -> Result<Self, KeyError> {
        if record.len() > LONGEST {
            return Err(KeyError::Wrong("too long"));
        }
        let text = std::str::from_utf8(record).map_err(|_| KeyError::Wrong("not text"))?;
        let tags = Tags::parse(text).map_err(KeyError::Wrong)?;
        if tags.get("v").is_some() && tags.first() != Some(("v", "DKIM1")) {
            return Err(KeyError::Wrong("v= is not DKIM1, or not first"));
        }
        let kind = match tags.get("k").map(without_space).as_deref() {
            None | Some("rsa") => KeyKind::Rsa,
            Some("ed25519") => KeyKind::Ed25519,
            Some(_) => return Err(KeyError::Wrong("k= is unknown")),
        };
        let has = |name: &str, item: &str| tags.items(name).is_some_and(|mut all| all.any(|one| one == item));
        if tags.get("s").is_some() && !has("s", "*") && !has("s", "email") {
            return Err(KeyError::Wrong("not for email"));
        }
        let public = tags.get("p").ok_or(KeyError::Wrong("no p="))?;
        let public = without_space(public);
        if public.is_empty() {
            return Err(KeyError::Revoked);
        }
        let any_hash = tags.get("h").is_none();
        Ok(Self {
            kind,
            verifying: verifying(kind, &public)?,
            sha1: any_hash || has("h", "sha1"),
            sha256: any_hash || has("h", "sha256"),
            strict_identity: has("t", "s"),
            testing: has("t", "y"),
        })
    }
}

fn verifying(kind: KeyKind, public: &str) -> Result<Box<dyn VerifyingKey + Send + Sync>, KeyError> {
    use base64::Engine as _;
    let octets = base64::engine::general_purpose::STANDARD
        .decode(public.as_bytes())
        .map_err(|_| KeyError::Wrong("p= is no base64"))?;
    let written = match kind {
        KeyKind::Rsa => format!("k=rsa; p={public}"),
        KeyKind::Ed25519 if octets.len() == 32 => format!("k=ed25519; p={public}"),
        KeyKind::Ed25519 => return Err(KeyError::Wrong("an Ed25519 key has 32 octets")),
    };
    let key = DomainKey::parse(written.as_bytes()).map_err(|_| KeyError::Wrong("p= is no key"))?;
    if kind == KeyKind::Rsa {
        let bits = rsa_bits(&octets).ok_or(KeyError::Wrong("p= is no RSA key"))?;
        if !(WEAKEST..=STRONGEST).contains(&bits) {
            return Err(KeyError::Size(bits));
        }
    }
    Ok(key.p)
}

/// Bits of the modulus of an RSA key in DER, bare (PKCS#1) or wrapped (SubjectPublicKeyInfo).
fn rsa_bits(der: &[u8]) -> Option<usize> {
    let (sequence, _) = element(der, 0x30)?;
    let integers = match element(sequence, 0x30) {
        Some((_algorithm, rest)) => {
            let (bits, _) = element(rest, 0x03)?;
            element(bits.get(1..)?, 0x30)?.0
        }
        None => sequence,
    };
    let (modulus, _) = element(integers, 0x02)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// The content of the first element, if it has this tag, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = der else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_no_usable_key() {
        let wrong = |record: &str| Key::parse(record.as_bytes()).unwrap_err();
        assert_eq!(wrong("v=DKIM1; p="), KeyError::Revoked);
        assert_eq!(wrong("k=rsa; v=DKIM1; p=AA=="), KeyError::Wrong("v= is not DKIM1, or not first"));
        assert_eq!(wrong("v=DKIM2; p=AA=="), KeyError::Wrong("v= is not DKIM1, or not first"));
        assert_eq!(wrong("v=DKIM1; s=web; p=AA=="), KeyError::Wrong("not for email"));
        assert_eq!(wrong("v=DKIM1; k=dsa; p=AA=="), KeyError::Wrong("k= is unknown"));
        assert_eq!(wrong("v=DKIM1; p=A"), KeyError::Wrong("p= is no base64"));
        assert_eq!(wrong("v=DKIM1; k=ed25519; p=AAAA"), KeyError::Wrong("an Ed25519 key has 32 octets"));
        assert_eq!(wrong("v=DKIM1"), KeyError::Wrong("no p="));
        assert!(matches!(wrong("v=DKIM1; p=MAA="), KeyError::Wrong(_)));
    }
}
