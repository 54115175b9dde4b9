//! What is known of a sending address: facts that `sender` gathers and `policy` judges.
//!
//! **Invariants**: what could not be found out is a value of its own, never taken for "clean" and never for "listed".

use serde::{Deserialize, Serialize};

/// One known-source list (DNSxL) that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneAnswer {
    /// The list's name in the settings; the zone itself may hold a secret key.
    pub list: Box<str>,
    pub answer: Listed,
}

/// What a known-source list said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listed {
    No,
    /// `weight`: what the settings give this reason; negative on lists of good senders.
    Yes {
        reason: Box<str>,
        weight: i32,
    },
    /// Refused, unknown code, time-out, or the list fails its self-test: neither listed nor clean.
    Degraded {
        why: Box<str>,
    },
}

/// The reverse name of the address (RFC 8601 section 2.7.3, iprev).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reverse {
    /// The first name that leads back to the address.
    Pass(Box<str>),
    /// No PTR record.
    Missing,
    /// The name given has no address, or another one.
    Mismatch(Box<str>),
    TempError,
}

/// ISO 3166-1 alpha-2, upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl TryFrom<String> for Country {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no country code of two letters (ISO 3166-1)"))
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How strict dynamic reputation is: 0 off (still computed), 1 least, 2 default, 4 lists a source after one spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Level(u8);

impl Level {
    pub const OFF: Self = Self(0);
    pub const STRICTEST: Self = Self(4);

    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (level <= 4).then_some(Self(level))
    }

    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(2)
    }
}

impl TryFrom<u8> for Level {
    type Error = String;
    fn try_from(level: u8) -> Result<Self, String> {
        Self::new(level).ok_or_else(|| format!("{level} is no reputation level: 0 (off) to 4 (strictest)"))
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.0
    }
}

/// What dynamic reputation says of a source at each level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nothing against it.
    Good,
    /// Never seen, or too little to judge: greylisting may ask it to come back (middle levels only).
    Unknown,
    /// 450 until the time passes or a list says otherwise; the whole source, ham or spam.
    Delayed,
    /// 550 instead of 450: so much spam that waiting is pointless (highest level).
    Refused,
}
