//! `[[tenant.person]]`: people whose names nobody else may write under.
//!
//! **Failure**: a problem for each table that is wrong, with its place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::model::written::{Problems, Section, Source};
use crate::model::{Address, Person};

const KEYS: &[&str] = &["name", "addresses"];
/// Each is compared with the author of each message.
const MOST: usize = 200;
/// Letters of a name in Latin letters, and in others; fewer are many people's.
const LEAST: (usize, usize) = (3, 2);

type Table<'a, 'i> = (&'a DeTable<'i>, Range<usize>);

pub(super) fn people<'a, 'i>(source: &'a Source<'i>, tenant: &Section<'a, 'i>, problems: &mut Problems) -> Vec<Person> {
    let tables = tenant.tables("person", problems);
    if let Some((_, at)) = tables.get(MOST) {
        tenant.wrong(
            at,
            "person",
            format_args!("more than {MOST}; name those who order payments or are obeyed"),
            problems,
        );
    }
    tables.into_iter().filter_map(|table| person(source, table, problems)).collect()
}

fn person<'a, 'i>(source: &'a Source<'i>, table: Table<'a, 'i>, problems: &mut Problems) -> Option<Person> {
    let section = Section::open(source, table, "[[tenant.person]]", KEYS, problems);
    let name = section.required("name", problems, full_name);
    let mut addresses = Vec::new();
    for (value, at) in section.list("addresses", problems).unwrap_or_default() {
        let read = match value {
            DeValue::String(text) => Address::parse(text).map_err(|error| format!("{text:?}: {error}")),
            _ => Err("a list of addresses in quotes belongs here".into()),
        };
        match read {
            Ok(address) => addresses.push(address),
            Err(what) => section.wrong(&at, "addresses", what, problems),
        }
    }
    Some(Person { name: name?, addresses })
}

fn full_name(text: &str) -> Result<Box<str>, String> {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let least = if letters.clone().any(|c| c < '\u{370}') { LEAST.0 } else { LEAST.1 };
    let plain = text.chars().count() <= 200 && !text.chars().any(char::is_control);
    if plain && letters.count() >= least {
        Ok(text.trim().into())
    } else {
        Err("a full name, family name and given name, of at most 200 characters belongs here".to_owned())
    }
}
