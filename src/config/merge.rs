//! Files and environment, one over the other: afterwards every key has one value and knows where it came from.
//!
//! **Failure**: an unknown key, a wrong type, a bad value: a problem each; merging goes on.
//! **Invariants**: files in the order given, then the environment; tables merge, lists and lists of tables (`[[listener]]`,
//! `[[known_source]]`, `[[egress]]`) replace.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::model::written::{Place, Problem, Problems, Source, nearest};

use super::answers;
use super::keys::{KEYS, Key, TABLES};
use super::kind::Kind;
use super::value::{Raw, Value};
use super::{Effective, Origin};

const ENVIRONMENT: &str = "SEKISHO__";

/// What stands in one table, by full key name.
type Values = HashMap<&'static str, (Value, Origin)>;

/// One entry of a list of tables: one `[[listener]]`, one `[[known_source]]`.
#[derive(Debug)]
pub(super) struct Entry {
    table: &'static str,
    pub(super) place: Option<Place>,
    values: Values,
}

#[derive(Debug)]
pub(super) struct Merged {
    values: Values,
    entries: Vec<Entry>,
    base: PathBuf,
    /// Every file could be read; otherwise what seems to be missing may only not have been seen.
    pub(super) complete: bool,
}

/// The settings file and those of `conf.d` beside it, with their texts.
pub(super) fn files(path: &Path, problems: &mut Problems) -> Vec<(PathBuf, String)> {
    let mut paths = vec![path.to_path_buf()];
    let beside = path.parent().unwrap_or(Path::new("")).join("conf.d");
    match std::fs::read_dir(&beside) {
        Ok(entries) => {
            let mut more: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            more.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
            more.sort_unstable();
            paths.append(&mut more);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => problems.push(Problem::new(None, format!("can't read {}: {error}", beside.display()))),
    }
    let mut files = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) => {
                let problem = Problem::new(None, format!("can't read {}: {error}", path.display()));
                problems.push(problem.help("name another file with --config"));
            }
        }
    }
    files
}

pub(super) fn merge(
    files: &[(String, &str)],
    environment: impl IntoIterator<Item = (String, String)>,
    base: &Path,
    problems: &mut Problems,
) -> Merged {
    let complete = problems.is_empty();
    let mut merged = Merged { values: Values::new(), entries: Vec::new(), base: base.to_path_buf(), complete };
    for (file, text) in files {
        let source = Source::new(file, text);
        match source.parse(problems) {
            Some(document) => Layer { source: &source, merged: &mut merged, problems }.root(document.get_ref()),
            None => merged.complete = false,
        }
    }
    let mut written: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with(ENVIRONMENT)).collect();
    written.sort_unstable();
    for (name, text) in written {
        merged.environment(name, &text, problems);
    }
    merged
}

/// One file being laid over what is there.
struct Layer<'a, 'i> {
    source: &'a Source<'i>,
    merged: &'a mut Merged,
    problems: &'a mut Problems,
}

impl<'i> Layer<'_, 'i> {
    fn root(&mut self, document: &DeTable<'i>) {
        let mut values = std::mem::take(&mut self.merged.values);
        self.table(document, "", KEYS, &mut values);
        self.merged.values = values;
        for (table, keys) in TABLES {
            if let Some(list) = document.get(*table) {
                self.entries(table, keys, list.get_ref(), list.span().start);
            }
        }
    }

    fn table(&mut self, table: &DeTable<'i>, section: &str, keys: &'static [Key], values: &mut Values) {
        for (key, value) in table.iter() {
            let written: &str = key.get_ref();
            if section.is_empty() && TABLES.iter().any(|(table, _)| *table == written) {
                continue;
            }
            let name = if section.is_empty() { written.to_owned() } else { format!("{section}.{written}") };
            let at = key.span().start;
            if let Some(key) = keys.iter().find(|key| key.name == name) {
                let at = value.span().start;
                if key.kind == Kind::Codes {
                    let codes = Value::Codes(answers::codes(self.source, key.name, value, self.problems));
                    values.insert(key.name, (codes, Origin::File(self.source.place(at))));
                    continue;
                }
                let read = Value::read(key.kind, &Raw::of_toml(value.get_ref()), &self.merged.base);
                // A bad value is told once; for what is checked later the key is written, with its default.
                let value = read.unwrap_or_else(|what| {
                    self.problem(at, format!("{name}: {what}"), None);
                    default_of(key)
                });
                values.insert(key.name, (value, Origin::File(self.source.place(at))));
            } else if is_section(keys, &name) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(inner, &name, keys, values),
                    _ => self.problem(at, format!("{name} is a section"), Some(format!("write [{name}]"))),
                }
            } else {
                let place = if section.is_empty() { String::new() } else { format!(" in [{section}]") };
                self.problem(at, format!("unknown key {written:?}{place}"), did_you_mean(&name, keys));
            }
        }
    }

    fn entries(&mut self, table: &'static str, keys: &'static [Key], value: &DeValue<'i>, at: usize) {
        let odd = || (format!("{table} is a list of tables"), Some(format!("write [[{table}]]")));
        let DeValue::Array(list) = value else {
            let (what, help) = odd();
            return self.problem(at, what, help);
        };
        // As every list: a later file's replaces the earlier one's.
        self.merged.entries.retain(|entry| entry.table != table);
        for item in list.iter() {
            let at = item.span().start;
            let DeValue::Table(inner) = item.get_ref() else {
                let (what, help) = odd();
                self.problem(at, what, help);
                continue;
            };
            let mut entry = Entry { table, place: Some(self.source.place(at)), values: Values::new() };
            self.table(inner, table, keys, &mut entry.values);
            self.merged.entries.push(entry);
        }
    }

    fn problem(&mut self, at: usize, what: String, help: Option<String>) {
        self.problems.push(Problem { help, ..Problem::new(Some(self.source.place(at)), what) });
    }
}

fn is_section(keys: &[Key], name: &str) -> bool {
    keys.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The nearest key: in the same section if there is one, otherwise anywhere; then the nearest section.
fn did_you_mean(name: &str, keys: &'static [Key]) -> Option<String> {
    let (section, last) = name.rsplit_once('.').unwrap_or(("", name));
    let same = |key: &&Key| key.name.rsplit_once('.').map_or("", |(section, _)| section) == section;
    let near = nearest(last, keys.iter().filter(same).map(Key::last));
    if let Some(near) = near {
        return Some(format!("did you mean {near:?}?"));
    }
    let sections = keys.iter().filter_map(|key| key.name.rsplit_once('.').map(|(section, _)| section));
    let tables = || TABLES.iter().map(|(table, _)| *table);
    if let Some(near) = nearest(last, sections.chain(tables()).filter(|_| section.is_empty())) {
        let form = if tables().any(|table| table == near) { format!("[[{near}]]") } else { format!("[{near}]") };
        return Some(format!("did you mean {form}?"));
    }
    let elsewhere = nearest(last, keys.iter().map(Key::last));
    elsewhere
        .and_then(|near| keys.iter().find(|key| key.last() == near))
        .map(|key| format!("did you mean {}?", key.name))
}

impl Merged {
    fn environment(&mut self, variable: String, text: &str, problems: &mut Problems) {
        let path = variable.trim_start_matches(ENVIRONMENT).to_lowercase().replace("__", ".");
        let of_table = |(table, rest)| Some((TABLES.iter().find(|one| one.0 == table)?, rest));
        if let Some((table, rest)) = path.split_once('.').and_then(of_table) {
            return self.entry_environment(*table, rest, variable.clone(), text, problems);
        }
        let Some(key) = KEYS.iter().find(|key| key.name == path) else {
            let problem = Problem::new(None, format!("environment {variable}: unknown key {path:?}"));
            return problems.push(Problem { help: did_you_mean(&path, KEYS), ..problem });
        };
        let written = from_environment(key, variable, text, &self.base, problems);
        self.values.extend(written.map(|value| (key.name, value)));
    }

    /// `SEKISHO__LISTENER__MX__BIND` is `bind` of the listener named `mx`.
    fn entry_environment(
        &mut self,
        (table, keys): (&'static str, &'static [Key]),
        path: &str,
        variable: String,
        text: &str,
        problems: &mut Problems,
    ) {
        let (name, last) = path.split_once('.').unwrap_or((path, ""));
        let full = format!("{table}.{last}");
        let Some(key) = keys.iter().find(|key| key.name == full) else {
            let problem = Problem::new(None, format!("environment {variable}: unknown key {last:?} of a {table}"));
            return problems.push(Problem { help: did_you_mean(&full, keys), ..problem });
        };
        let base = self.base.clone();
        let named = |entry: &&mut Entry| entry.table == table && entry.label().to_lowercase().replace('-', "_") == name;
        let Some(entry) = self.entries.iter_mut().find(named) else {
            return problems.push(Problem::new(None, format!("environment {variable}: no {table} is named {name:?}")));
        };
        let written = from_environment(key, variable, text, &base, problems);
        entry.values.extend(written.map(|value| (key.name, value)));
    }

    /// The entries of one list of tables.
    pub(super) fn entries(&self, table: &'static str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.table == table)
    }

    /// The value of a key: as written, otherwise its default.
    pub(super) fn value(&self, key: &'static Key) -> (Value, Origin) {
        effective(&self.values, key)
    }

    /// Neither written nor with a default.
    pub(super) fn lacks(&self, key: &'static Key) -> bool {
        self.complete && self.value(key) == (Value::Unset, Origin::Default)
    }

    /// Where a key was written, if it was in a file.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        place_of(&self.values, name)
    }

    /// Everything in force, in the order of the tables.
    pub(super) fn into_effective(self) -> Vec<Effective> {
        let entry = |values: &Values, name: String, key: &'static Key| {
            let (value, origin) = effective(values, key);
            Effective { name, key, value, origin }
        };
        let mut all: Vec<Effective> = KEYS.iter().map(|key| entry(&self.values, key.name.to_owned(), key)).collect();
        for (table, keys) in TABLES {
            for one in self.entries(table) {
                for key in *keys {
                    all.push(entry(&one.values, format!("{table}.{}.{}", one.label(), key.last()), key));
                }
            }
        }
        all
    }
}

impl Entry {
    pub(super) fn table(&self) -> &'static str {
        self.table
    }

    pub(super) fn value(&self, key: &'static Key) -> (Value, Origin) {
        effective(&self.values, key)
    }

    /// Notes which of these required keys are not there.
    pub(super) fn require(&self, names: &[&str], merged: &Merged, problems: &mut Problems) {
        for name in names {
            let Some(key) = super::keys::find(&format!("{}.{name}", self.table)) else { continue };
            if merged.complete && self.value(key) == (Value::Unset, Origin::Default) {
                let what = format!("{} {} has no {name}", self.table, self.label());
                problems.push(Problem::new(self.place.clone(), what));
            }
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<Place> {
        place_of(&self.values, name).or_else(|| self.place.clone())
    }

    /// The name, for messages, whether or not it is written.
    pub(super) fn label(&self) -> String {
        let is_name = |key: &str| matches!(key.strip_prefix(self.table), Some(".name" | ".pool"));
        let name = self.values.iter().find(|(key, _)| is_name(key));
        match name {
            Some((_, (Value::Text(name), _))) => name.clone(),
            _ => "?".into(),
        }
    }
}

fn place_of(values: &Values, name: &str) -> Option<Place> {
    match values.get(name) {
        Some((_, Origin::File(place))) => Some(place.clone()),
        _ => None,
    }
}

fn effective(values: &Values, key: &'static Key) -> (Value, Origin) {
    values.get(key.name).cloned().unwrap_or_else(|| (default_of(key), Origin::Default))
}

/// A key's default; a test proves that each can be read.
pub(super) fn default_of(key: &Key) -> Value {
    if key.default.is_empty() {
        return Value::Unset;
    }
    Value::read(key.kind, &Raw::of_environment(key.kind, key.default), Path::new("")).unwrap_or(Value::Unset)
}

fn from_environment(
    key: &Key,
    variable: String,
    text: &str,
    base: &Path,
    problems: &mut Problems,
) -> Option<(Value, Origin)> {
    match Value::read(key.kind, &Raw::of_environment(key.kind, text), base) {
        Ok(value) => Some((value, Origin::Environment(variable))),
        Err(what) => {
            problems.push(Problem::new(None, format!("environment {variable}: {what}")));
            None
        }
    }
}
