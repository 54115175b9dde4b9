//! Names of things: messages, tenants, connections. Newtypes, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Names one message for good: 48 bits of milliseconds, 80 bits of randomness, printed as 26 characters of Crockford's
/// base 32, so that names sort by time and are safe in file names, headers and shells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u128);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The text is no message id (26 characters of Crockford's base 32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message id (26 letters and digits)")]
pub struct NotAMessageId;

impl MessageId {
    /// From the time of arrival in milliseconds and 80 random bits (the upper ones of `random` are dropped).
    #[must_use]
    pub fn new(millis: u64, random: u128) -> Self {
        Self((u128::from(millis) & 0xffff_ffff_ffff) << 80 | (random & ((1 << 80) - 1)))
    }

    #[must_use]
    pub fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    #[must_use]
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 26];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            let index = (self.0 >> (5 * place)) as usize & 31;
            *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = NotAMessageId;
    fn from_str(text: &str) -> Result<Self, NotAMessageId> {
        if text.len() != 26 {
            return Err(NotAMessageId);
        }
        let mut bits: u128 = 0;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|&a| a == byte.to_ascii_lowercase()).ok_or(NotAMessageId)?;
            bits = bits << 5 | digit as u128;
        }
        Ok(Self(bits))
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Names one tenant: 1 to 64 of `a-z 0-9 - _ .`, starting with a letter or digit. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TenantId(std::sync::Arc<str>);

/// The text is no tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no tenant id: 1 to 64 of a-z 0-9 - _ . beginning with a letter or digit")]
pub struct NotATenantId(pub String);

impl TenantId {
    /// # Errors
    /// [`NotATenantId`] if another character or length is seen.
    pub fn parse(text: &str) -> Result<Self, NotATenantId> {
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let fits = text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
        if begins && fits { Ok(Self(text.into())) } else { Err(NotATenantId(text.into())) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = NotATenantId;
    fn try_from(text: String) -> Result<Self, NotATenantId> {
        Self::parse(&text)
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one connection of this process, for the mail log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ConnectionId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_reads_back_and_sorts_by_time() {
        let id = MessageId::new(1_700_000_000_000, 0x1234_5678_9abc_def0_1234);
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        let later = MessageId::new(1_700_000_000_001, 0);
        assert!(id < later && id.to_string() < later.to_string());
        assert!("../../etc/passwd-aaaaaaaaaa".parse::<MessageId>().is_err());
    }

    #[test]
    fn tenant_ids_are_plain() {
        assert!(TenantId::parse("acme-1.kk").is_ok());
        for bad in ["", "-a", "A", "a/b", "a b", &"a".repeat(65)] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
