//! Reading what people wrote in TOML: places (file, line, column), and problems that are all told in one run, each
//! with what to write instead.
//!
//! **Failure**: a value that can't be used becomes a [`Problem`] and `None`; the reader goes on with the rest.
//! **Invariants**: a problem names the file and line it stands on wherever there is one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One thing that is wrong in what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn new(place: Option<Place>, what: impl Into<String>) -> Self {
        Self { place, what: what.into(), help: None }
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// `file:line: what; help`: one line, so that editors and `grep` find the place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.what)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// Everything that is wrong, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, if nothing is wrong; otherwise everything that is, by place.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn or<T>(mut self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                self.0.sort_by(|a, b| a.place.cmp(&b.place));
                Err(self)
            }
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `did you mean "x"?`, if one of the candidates is near enough to what was written.
#[must_use]
pub fn suggestion<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    nearest(written, candidates).map(|near| format!("did you mean {near:?}?"))
}

/// The candidate that is most like what was written, if any is.
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(written, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The text of one file, with its name and the starts of its lines.
#[derive(Debug)]
pub struct Source<'i> {
    file: Arc<str>,
    text: &'i str,
    starts: Vec<usize>,
}

impl<'i> Source<'i> {
    #[must_use]
    pub fn new(file: &str, text: &'i str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file: file.into(), text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: small(line), column: small(column) }
    }

    /// The document, or every error of its syntax.
    pub fn parse(&self, problems: &mut Problems) -> Option<Spanned<DeTable<'i>>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let place = error.span().map(|span| self.place(span.start));
            problems.push(Problem::new(place, error.message().replace('\n', ", ")));
        }
        errors.is_empty().then_some(document)
    }

    /// The problem at an offset of this text.
    #[must_use]
    pub fn problem(&self, at: &Range<usize>, what: impl Into<String>) -> Problem {
        Problem::new(Some(self.place(at.start)), what)
    }
}

/// What kind of value was written, for messages.
#[must_use]
pub fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value and where it stands.
pub type Item<'a, 'i> = (&'a DeValue<'i>, Range<usize>);

/// One table being read: typed access that notes what is wrong.
#[derive(Debug)]
pub struct Section<'a, 'i> {
    source: &'a Source<'i>,
    table: &'a DeTable<'i>,
    span: Range<usize>,
    label: &'static str,
}

impl<'a, 'i> Section<'a, 'i> {
    /// Begins to read a table; keys that are not `known` are noted at once.
    pub fn open(
        source: &'a Source<'i>,
        (table, span): (&'a DeTable<'i>, Range<usize>),
        label: &'static str,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Self {
        for (key, _) in table.iter() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let mut problem = source.problem(&key.span(), format!("unknown key {name:?} in {label}"));
                problem.help = suggestion(name, known.iter().copied())
                    .or_else(|| Some(format!("known here: {}", known.join(", "))));
                problems.push(problem);
            }
        }
        Self { source, table, span, label }
    }

    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    #[must_use]
    pub fn item(&self, key: &str) -> Option<Item<'a, 'i>> {
        self.table.get(key).map(|value| (value.get_ref(), value.span()))
    }

    /// Notes that a value is not usable.
    pub fn wrong(&self, at: &Range<usize>, key: &str, what: impl fmt::Display, problems: &mut Problems) {
        problems.push(self.source.problem(at, format!("{key} of {}: {what}", self.label)));
    }

    fn wrong_type(&self, item: &Item<'_, '_>, key: &str, wanted: &str, problems: &mut Problems) {
        self.wrong(&item.1, key, format_args!("{} was written where {wanted} belongs", kind_of(item.0)), problems);
    }

    /// A text, read further by `parse`.
    pub fn text<T, E: fmt::Display>(
        &self,
        key: &str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let item = self.item(key)?;
        let DeValue::String(text) = item.0 else {
            self.wrong_type(&item, key, "a text", problems);
            return None;
        };
        parse(text).map_err(|error| self.wrong(&item.1, key, error, problems)).ok()
    }

    /// As [`Self::text`], but a missing key is a problem too.
    pub fn required<T, E: fmt::Display>(
        &self,
        key: &str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.table.get(key).is_none() {
            self.missing(key, problems);
        }
        self.text(key, problems, parse)
    }

    pub fn missing(&self, key: &str, problems: &mut Problems) {
        problems.push(self.source.problem(&self.span, format!("{} has no {key}", self.label)));
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&'static str, T)], problems: &mut Problems) -> Option<T> {
        self.text(key, problems, |written| one_of(written, words))
    }

    pub fn integer(&self, key: &str, allowed: std::ops::RangeInclusive<i64>, problems: &mut Problems) -> Option<i64> {
        let item = self.item(key)?;
        let DeValue::Integer(written) = item.0 else {
            self.wrong_type(&item, key, "an integer", problems);
            return None;
        };
        let number = i64::from_str_radix(written.as_str(), written.radix()).ok().filter(|n| allowed.contains(n));
        if number.is_none() {
            let (low, high) = allowed.into_inner();
            self.wrong(&item.1, key, format_args!("{written} is not within {low} to {high}"), problems);
        }
        number
    }

    pub fn boolean(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        let item = self.item(key)?;
        if let DeValue::Boolean(written) = item.0 {
            return Some(*written);
        }
        self.wrong_type(&item, key, "true or false", problems);
        None
    }

    /// The table of `[key]`.
    pub fn table(&self, key: &str, problems: &mut Problems) -> Option<(&'a DeTable<'i>, Range<usize>)> {
        let item = self.item(key)?;
        if let DeValue::Table(table) = item.0 {
            return Some((table, item.1));
        }
        self.wrong_type(&item, key, "a table", problems);
        None
    }

    /// The elements of a list.
    pub fn list(&self, key: &str, problems: &mut Problems) -> Option<Vec<Item<'a, 'i>>> {
        let item = self.item(key)?;
        if let DeValue::Array(list) = item.0 {
            return Some(list.iter().map(|value| (value.get_ref(), value.span())).collect());
        }
        self.wrong_type(&item, key, "a list", problems);
        None
    }

    /// The tables of `[[key]]`.
    pub fn tables(&self, key: &str, problems: &mut Problems) -> Vec<(&'a DeTable<'i>, Range<usize>)> {
        let mut tables = Vec::new();
        for item in self.list(key, problems).unwrap_or_default() {
            match item.0 {
                DeValue::Table(table) => tables.push((table, item.1)),
                _ => self.wrong_type(&item, key, "a table", problems),
            }
        }
        tables
    }
}

/// Finds a word among those allowed.
///
/// # Errors
/// A sentence with all words, and the nearest.
pub fn one_of<T: Copy>(written: &str, words: &[(&'static str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let mut text = format!("{written:?} is none of {}", names.join(", "));
        if let Some(near) = suggestion(written, names) {
            text.push_str("; ");
            text.push_str(&near);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = Source::new("a.toml", "x = 1\nあy = 2\n");
        assert_eq!((source.place(0).line, source.place(0).column), (1, 1));
        assert_eq!((source.place(9).line, source.place(9).column), (2, 2));
        assert_eq!(source.place(99).line, 3);
    }

    #[test]
    fn every_syntax_error_is_told() {
        let mut problems = Problems::default();
        assert!(Source::new("a.toml", "x = \ny = 'a\nz = 1\nz = 2\n").parse(&mut problems).is_none());
        assert!(problems.0.len() >= 2, "{problems}");
        assert!(problems.to_string().contains("a.toml:2"), "{problems}");
    }

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_not() {
        assert_eq!(nearest("hostnam", ["hostname", "data_dir"]), Some("hostname"));
        assert_eq!(nearest("zebra", ["hostname", "data_dir"]), None);
    }
}
