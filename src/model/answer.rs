//! What a list in the DNS answers (RFC 5782): addresses of 127.0.0.0/8, as settings write them.
//!
//! **Failure**: a sentence with the forms there are.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Answers that mean one thing: `127.0.0.2`, `127.0.0.4-7`, `127.0.0.0/24`, or `bit 64` of the last octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AnswerPattern {
    Exactly(Ipv4Addr),
    Range(Ipv4Addr, Ipv4Addr),
    Network(Ipv4Net),
    /// Any of these bits of the last octet.
    Bit(u8),
}

impl AnswerPattern {
    /// # Errors
    /// A sentence with the forms there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no answer of a list; write 127.0.0.2, 127.0.0.4-7, 127.0.0.0/24 or \"bit 64\"");
        let address = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| wrong());
        if let Some(bit) = text.strip_prefix("bit ") {
            return bit.parse().ok().filter(|mask| *mask != 0).map(Self::Bit).ok_or_else(wrong);
        }
        if let Some((first, last)) = text.split_once('-') {
            let first = address(first)?;
            let last = match last.parse::<u8>() {
                Ok(last) => Ipv4Addr::from_bits(first.to_bits() & !0xff | u32::from(last)),
                Err(_) => address(last)?,
            };
            return if first <= last { Ok(Self::Range(first, last)) } else { Err(wrong()) };
        }
        if text.contains('/') {
            return text.parse().map(Self::Network).map_err(|_| wrong());
        }
        address(text).map(Self::Exactly)
    }

    #[must_use]
    pub fn matches(&self, answer: Ipv4Addr) -> bool {
        match self {
            Self::Exactly(code) => *code == answer,
            Self::Range(first, last) => (*first..=*last).contains(&answer),
            Self::Network(network) => network.contains(&answer),
            Self::Bit(mask) => {
                answer.octets().first_chunk() == Some(&[127, 0, 0]) && answer.to_bits() & u32::from(*mask) != 0
            }
        }
    }
}

impl FromStr for AnswerPattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl TryFrom<String> for AnswerPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// As [`AnswerPattern::parse`] reads it.
impl fmt::Display for AnswerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(answer) => answer.fmt(f),
            Self::Range(first, last) if first.octets().first_chunk::<3>() == last.octets().first_chunk::<3>() => {
                write!(f, "{first}-{}", last.to_bits() & 0xff)
            }
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::Network(network) => network.fmt(f),
            Self::Bit(mask) => write!(f, "bit {mask}"),
        }
    }
}

impl Serialize for AnswerPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
