//! Reads `rules.toml`: what its author wrote, each rule with its line.
//!
//! **Failure**: a file that is no TOML, or has a key that doesn't exist, is refused with the line.

use serde::Deserialize;
use toml::Spanned;

use crate::model::finding::Class;
use crate::signatures::fault::{Fault, line_of};

/// A rule as written; see [`super`] for what the keys mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub id: String,
    #[serde(default)]
    pub en: String,
    #[serde(default)]
    pub ja: String,
    pub class: Option<Class>,
    pub score: Option<f64>,
    #[serde(rename = "in", default)]
    pub fields: OneOrMore,
    #[serde(default)]
    pub any: OneOrMore,
    #[serde(default)]
    pub all: OneOrMore,
    #[serde(default)]
    pub none: OneOrMore,
    /// How many of `any`.
    pub min: Option<usize>,
    #[serde(default)]
    pub regex: OneOrMore,
    #[serde(default)]
    pub hex: OneOrMore,
    #[serde(default)]
    pub domains: OneOrMore,
    #[serde(default)]
    pub word: bool,
    #[serde(default)]
    pub case: bool,
    #[serde(default)]
    pub exists: bool,
    pub when: Option<String>,
    #[serde(default)]
    pub hits: OneOrMore,
    #[serde(default)]
    pub misses: OneOrMore,
}

/// `"a"` or `["a", "b"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Either")]
pub struct OneOrMore(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    One(String),
    More(Vec<String>),
}

impl From<Either> for OneOrMore {
    fn from(either: Either) -> Self {
        match either {
            Either::One(one) => Self(vec![one]),
            Either::More(more) => Self(more),
        }
    }
}

impl std::ops::Deref for OneOrMore {
    type Target = [String];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Written>>,
}

/// The rules of a file, with the line where each begins.
pub fn read(file: &str, text: &str) -> Result<Vec<(usize, Written)>, Fault> {
    let read: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        Fault::new(file, line, error.message().lines().next().unwrap_or("not TOML"))
    })?;
    Ok(read.rule.into_iter().map(|rule| (line_of(text, rule.span().start), rule.into_inner())).collect())
}
