//! What a known-source list answers, as it is written: patterns of answers, and codes with their meaning.
//!
//! **Failure**: a sentence for each row that can't be used, with its line.

use std::fmt;

use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;

use crate::model::answer::AnswerPattern;
use crate::model::written::{Problem, Problems, Section, Source, kind_of};

/// The highest weight; above 0 a client is refused.
const MAX_WEIGHT: i64 = 1000;
/// Longest reason, in bytes: it stands in replies.
const MAX_REASON: usize = 200;

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
