//! What a known-source list answers, as it is written: patterns of answers, and codes with their meaning.
//!
//! **Failure**: a sentence for each row that can't be used, with its line.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;

use crate::model::written::{Problem, Problems, Section, Source, kind_of};

/// The highest weight; above 0 a client is refused.
const MAX_WEIGHT: i64 = 1000;
/// Longest reason, in bytes: it stands in replies.
const MAX_REASON: usize = 200;

/// Answers that mean one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeSettings {
    pub code: AnswerPattern,
    pub reason: Box<str>,
    /// Above 0 the client is refused (of a list of good clients: let in), 0 only notes.
    pub weight: i32,
}

/// As it would be written in TOML.
impl fmt::Display for CodeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.to_string();
        write!(f, "{{ code = {code:?}, reason = {:?}, weight = {} }}", self.reason, self.weight)
    }
}

/// Reads the rows of `codes`; each that can't be used is a problem at its own line.
pub(super) fn codes<'i>(
    source: &Source<'i>,
    name: &str,
    value: &Spanned<DeValue<'i>>,
    problems: &mut Problems,
) -> Vec<CodeSettings> {
    let form = "as { code = \"127.0.0.2\", reason = \"a known spam source\", weight = 100 }";
    let DeValue::Array(rows) = value.get_ref() else {
        let what = format!("{name}: {} was written where a list of tables belongs", kind_of(value.get_ref()));
        problems.push(source.problem(&value.span(), what).help(form));
        return Vec::new();
    };
    let mut read = Vec::new();
    for row in rows.iter() {
        let DeValue::Table(table) = row.get_ref() else {
            let what = format!("{name}: {} was written where a table belongs", kind_of(row.get_ref()));
            problems.push(source.problem(&row.span(), what).help(form));
            continue;
        };
        let known = ["code", "reason", "weight"];
        let row = Section::open(source, (table, row.span()), "known_source.codes", &known, problems);
        let code = row.required("code", problems, AnswerPattern::parse);
        let reason = row.required("reason", problems, reason);
        if row.item("weight").is_none() {
            row.missing("weight", problems);
        }
        let weight = row.integer("weight", 0..=MAX_WEIGHT, problems).and_then(|weight| i32::try_from(weight).ok());
        if let (Some(code), Some(reason), Some(weight)) = (code, reason, weight) {
            read.push(CodeSettings { code, reason, weight });
        }
    }
    if rows.is_empty() {
        problems.push(Problem::new(Some(source.place(value.span().start)), format!("{name} is empty")).help(form));
    }
    read
}

fn reason(text: &str) -> Result<Box<str>, String> {
    match text {
        "" => Err("it is empty".into()),
        text if text.len() > MAX_REASON => Err(format!("it is longer than {MAX_REASON} bytes")),
        text if text.chars().any(char::is_control) => Err("control characters don't belong here".into()),
        text => Ok(text.into()),
    }
}
