//! Reads `[tenant.content.inbound]`, `[tenant.content.outbound]` and the same of one domain.
//!
//! **Failure**: every value that can't be used is a problem with file and line; the rest is read on. What no tenant may do
//! (deliver malware, let spam out) is a problem too.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::model::disposition::Category;
use crate::model::finding::Score;
use crate::model::written::{Problems, Section, Source, kind_of};
use crate::model::{Address, Direction, Domain};

use super::content::{ContentSpec, DirectionSpec, MAX_ADDRESSES, MAX_STAMP, MAX_TAG, Sensitivity};
use super::treatment::{Extra, Treatment};

const KEYS: &[&str] = &["level", "thresholds", "actions", "tags", "stamps", "headers", "tag_signed", "bcc", "notify"];
const LEVELS: &[(&str, Sensitivity)] =
    &[("low", Sensitivity::Low), ("medium", Sensitivity::Medium), ("high", Sensitivity::High)];
const SCORED: &[&str] = &["spam", "suspected", "phishing", "impersonation", "bulk"];
/// A threshold beyond this is never met in earnest.
const MOST_POINTS: f64 = 1000.0;

/// What the tables are called in messages.
pub(super) struct Labels {
    content: &'static str,
    directions: [(Direction, DirectionLabels); 2],
}

struct DirectionLabels {
    all: &'static str,
    thresholds: &'static str,
    actions: &'static str,
    tags: &'static str,
    stamps: &'static str,
}

pub(super) const TENANT: Labels = Labels {
    content: "[tenant.content]",
    directions: [
        (
            Direction::Inbound,
            DirectionLabels {
                all: "[tenant.content.inbound]",
                thresholds: "[tenant.content.inbound.thresholds]",
                actions: "[tenant.content.inbound.actions]",
                tags: "[tenant.content.inbound.tags]",
                stamps: "[tenant.content.inbound.stamps]",
            },
        ),
        (
            Direction::Outbound,
            DirectionLabels {
                all: "[tenant.content.outbound]",
                thresholds: "[tenant.content.outbound.thresholds]",
                actions: "[tenant.content.outbound.actions]",
                tags: "[tenant.content.outbound.tags]",
                stamps: "[tenant.content.outbound.stamps]",
            },
        ),
    ],
};
pub(super) const DOMAIN: Labels = Labels {
    content: "[tenant.domain.content]",
    directions: [
        (
            Direction::Inbound,
            DirectionLabels {
                all: "[tenant.domain.content.inbound]",
                thresholds: "[tenant.domain.content.inbound.thresholds]",
                actions: "[tenant.domain.content.inbound.actions]",
                tags: "[tenant.domain.content.inbound.tags]",
                stamps: "[tenant.domain.content.inbound.stamps]",
            },
        ),
        (
            Direction::Outbound,
            DirectionLabels {
                all: "[tenant.domain.content.outbound]",
                thresholds: "[tenant.domain.content.outbound.thresholds]",
                actions: "[tenant.domain.content.outbound.actions]",
                tags: "[tenant.domain.content.outbound.tags]",
                stamps: "[tenant.domain.content.outbound.stamps]",
            },
        ),
    ],
};

/// The `content` table of a tenant or domain, if there is one.
pub(super) fn content<'a, 'i>(
    source: &'a Source<'i>,
    outer: &Section<'a, 'i>,
    labels: &Labels,
    problems: &mut Problems,
) -> Option<ContentSpec> {
    let directions = labels.directions.each_ref().map(|(direction, _)| direction.as_str());
    let section = Section::open(source, outer.table("content", problems)?, labels.content, &directions, problems);
    let mut spec = ContentSpec::default();
    for (direction, labels) in &labels.directions {
        let Some(table) = section.table(direction.as_str(), problems) else { continue };
        let one = Section::open(source, table, labels.all, KEYS, problems);
        let read = direction_spec(source, &one, (*direction, labels), problems);
        match direction {
            Direction::Inbound => spec.inbound = read,
            Direction::Outbound => spec.outbound = read,
        }
    }
    Some(spec)
}

fn direction_spec<'a, 'i>(
    source: &'a Source<'i>,
    section: &Section<'a, 'i>,
    (direction, labels): (Direction, &DirectionLabels),
    problems: &mut Problems,
) -> DirectionSpec {
    let names = Category::ALL.map(Category::name);
    let mut actions = BTreeMap::new();
    if let Some((inner, written)) = rows(source, section, ("actions", labels.actions), &names, problems) {
        for category in written {
            let read = action(&inner, (direction, category), problems);
            actions.extend(read.map(|treatment| (category, treatment)));
        }
    }
    let mut thresholds = BTreeMap::new();
    if let Some((inner, written)) = rows(source, section, ("thresholds", labels.thresholds), SCORED, problems) {
        for category in written {
            let read = points(&inner, category.name(), problems);
            thresholds.extend(read.map(|score| (category, score)));
        }
    }
    let mut texts = |key, label, most, lines| {
        let mut texts = BTreeMap::new();
        if let Some((inner, written)) = rows(source, section, (key, label), &names, problems) {
            for category in written {
                let read = inner.text(category.name(), problems, |text| words(text, most, lines));
                texts.extend(read.map(|text| (category, text)));
            }
        }
        texts
    };
    let tags = texts("tags", labels.tags, MAX_TAG, false);
    let stamps = texts("stamps", labels.stamps, MAX_STAMP, true);
    let spec = DirectionSpec {
        level: section.word("level", LEVELS, problems),
        thresholds,
        actions,
        tags,
        stamps,
        headers: section.boolean("headers", problems),
        tag_signed: section.boolean("tag_signed", problems),
        bcc: addresses(section, "bcc", problems),
        notify: addresses(section, "notify", problems),
    };
    order(section, &spec, problems);
    spec
}

/// An inner table, and the categories it names.
fn rows<'a, 'i>(
    source: &'a Source<'i>,
    section: &Section<'a, 'i>,
    (key, label): (&str, &'static str),
    known: &[&'static str],
    problems: &mut Problems,
) -> Option<(Section<'a, 'i>, Vec<Category>)> {
    let inner = Section::open(source, section.table(key, problems)?, label, known, problems);
    let is_written = |category: &Category| known.contains(&category.name()) && inner.item(category.name()).is_some();
    let written = Category::ALL.into_iter().filter(is_written).collect();
    Some((inner, written))
}

/// A word or a list of words.
fn action(
    section: &Section<'_, '_>,
    (direction, category): (Direction, Category),
    problems: &mut Problems,
) -> Option<Treatment> {
    let (value, at) = section.item(category.name())?;
    let mut words = Vec::new();
    match value {
        DeValue::String(word) => words.push(word.to_string()),
        DeValue::Array(list) => {
            for item in list.iter() {
                match item.get_ref() {
                    DeValue::String(word) => words.push(word.to_string()),
                    other => {
                        let what = format!("{} was written where a word belongs", kind_of(other));
                        section.wrong(&item.span(), category.name(), what, problems);
                        return None;
                    }
                }
            }
        }
        other => {
            let what = format!("{} was written where a word or a list of words belongs", kind_of(other));
            section.wrong(&at, category.name(), what, problems);
            return None;
        }
    }
    let read = Treatment::parse(words.iter().map(String::as_str)).and_then(|read| read.check(direction, category));
    read.map_err(|what| section.wrong(&at, category.name(), what, problems)).ok()
}

fn points(section: &Section<'_, '_>, key: &str, problems: &mut Problems) -> Option<Score> {
    let (value, at) = section.item(key)?;
    let points = match value {
        DeValue::Integer(written) => i64::from_str_radix(written.as_str(), written.radix())
            .ok()
            .and_then(|whole| i32::try_from(whole).ok())
            .map(f64::from),
        DeValue::Float(written) => written.as_str().replace('_', "").parse::<f64>().ok(),
        other => {
            section.wrong(&at, key, format!("{} was written where a number belongs", kind_of(other)), problems);
            return None;
        }
    };
    match points {
        Some(points) if (0.1..=MOST_POINTS).contains(&points) => Some(Score::from_points(points)),
        _ => {
            section.wrong(&at, key, format!("a threshold is within 0.1 to {MOST_POINTS} points"), problems);
            None
        }
    }
}

fn words(text: &str, most: usize, lines: bool) -> Result<Box<str>, String> {
    let text = text.trim();
    let controls = text.chars().any(|c| c.is_control() && !(lines && c == '\n'));
    if text.is_empty() || text.chars().count() > most || controls {
        return Err(format!("1 to {most} characters without control characters belong here"));
    }
    Ok(text.into())
}

fn addresses(section: &Section<'_, '_>, key: &str, problems: &mut Problems) -> Option<Vec<Address>> {
    let list = section.list(key, problems)?;
    if list.len() > MAX_ADDRESSES {
        let what = format!("{} addresses; at most {MAX_ADDRESSES} may stand here", list.len());
        section.wrong(&section.span(), key, what, problems);
        return None;
    }
    let mut read = Vec::with_capacity(list.len());
    for (value, at) in list {
        let parsed = match value {
            DeValue::String(text) => Address::parse(text).map_err(|error| format!("{text:?}: {error}")),
            other => Err(format!("{} was written where an address belongs", kind_of(other))),
        };
        match parsed {
            Ok(address) if read.contains(&address) => {
                section.wrong(&at, key, format_args!("{address} stands here twice"), problems);
            }
            Ok(address) => read.push(address),
            Err(what) => section.wrong(&at, key, what, problems),
        }
    }
    Some(read)
}

/// What does not fit together within one table.
fn order(section: &Section<'_, '_>, spec: &DirectionSpec, problems: &mut Problems) {
    let threshold = |category| spec.thresholds.get(&category);
    if let (Some(suspected), Some(spam)) = (threshold(Category::Suspected), threshold(Category::Spam))
        && suspected > spam
    {
        let what = format!("suspected ({suspected}) is above spam ({spam}): nothing would be suspected");
        section.wrong(&section.span(), "thresholds", what, problems);
    }
}

/// Copies and notices stay in the tenant's own domains: a copy to the internet would be outbound mail that nobody checked.
/// `bcc` and `notify` in an action need addresses.
pub(super) fn check(section: &Section<'_, '_>, spec: &ContentSpec, domains: &[&Domain], problems: &mut Problems) {
    for one in [&spec.inbound, &spec.outbound] {
        for (key, list, extra) in [("bcc", &one.bcc, Extra::Bcc), ("notify", &one.notify, Extra::Notify)] {
            for address in list.iter().flatten().filter(|address| !domains.contains(&address.domain())) {
                let what = format!("{address} is in none of the tenant's own domains");
                section.wrong(&section.span(), key, what, problems);
            }
            let asked = one.actions.values().any(|treatment| treatment.has(extra));
            if asked && list.as_ref().is_none_or(Vec::is_empty) {
                section.wrong(
                    &section.span(),
                    key,
                    format!("an action says {key:?}, but no address is named"),
                    problems,
                );
            }
        }
    }
}
