//! From `[[known_source]]` tables to [`KnownSourceSettings`].
//!
//! **Invariants**: no problem holds a zone.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::written::{Problem, Problems};

use super::listeners::is_plain;
use super::merge::{Entry, Merged};
use super::settings::{KnownSourceKind, KnownSourceSettings, KnownSourceTest};
use super::take::Taker;

const TABLE: &str = "known_source";
/// The most lists that are asked.
pub const MAX_KNOWN_SOURCES: usize = 32;
/// A client waits for the slowest list.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest name below a zone, in bytes.
const MAX_TEST_NAME: usize = 100;

/// Fills every list.
pub(super) fn fill(merged: &Merged, problems: &mut Problems) -> Vec<KnownSourceSettings> {
    let mut names: HashSet<Box<str>> = HashSet::new();
    let mut all: Vec<KnownSourceSettings> = Vec::new();
    for entry in merged.entries(TABLE) {
        let Some(settings) = one(merged, entry, problems) else { continue };
        if !names.insert(settings.name.to_ascii_lowercase().into()) {
            let what = format!("a second known_source is named {:?}", settings.name);
            problems.push(Problem::new(entry.place("known_source.name"), what));
        }
        all.push(settings);
        if enabled(&all) == MAX_KNOWN_SOURCES + 1 && all.last().is_some_and(|last| last.enabled) {
            let what = format!("more than {MAX_KNOWN_SOURCES} known sources are enabled");
            problems.push(Problem::new(entry.place.clone(), what).help("set enabled = false for some"));
        }
    }
    all
}

fn enabled(all: &[KnownSourceSettings]) -> usize {
    all.iter().filter(|one| one.enabled).count()
}

fn one(merged: &Merged, entry: &Entry, problems: &mut Problems) -> Option<KnownSourceSettings> {
    entry.require(&["name", "zone", "kind", "codes"], merged, problems);
    let mut take = Taker { merged, entry: Some(entry), problems };
    let name = take.text("known_source.name");
    if let Some(name) = name.as_ref().filter(|name| !is_plain(name)) {
        take.wrong(
            "known_source.name",
            format!("{name:?} is no name of a known source"),
            "1 to 32 letters, digits and hyphens",
        );
    }
    let timeout = take.timeout("known_source.timeout");
    if timeout > MAX_TIMEOUT {
        let what = "known_source.timeout: clients wait for the slowest list, and longer than 30s is too long";
        take.wrong("known_source.timeout", what, "3s is usual");
    }
    let kind = match take.text("known_source.kind").as_deref() {
        Some("ip") => Some(KnownSourceKind::Ip),
        Some("domain") => Some(KnownSourceKind::Domain),
        Some("allow") => Some(KnownSourceKind::Allow),
        _ => None,
    };
    Some(KnownSourceSettings {
        enabled: take.flag("known_source.enabled"),
        ipv6: take.flag("known_source.ipv6"),
        codes: take.codes("known_source.codes"),
        errors: take.answers("known_source.errors"),
        timeout,
        self_test: self_test(&mut take),
        kind: kind?,
        zone: take.zone("known_source.zone")?,
        name: name?.into(),
    })
}

fn self_test(take: &mut Taker<'_>) -> KnownSourceTest {
    const LISTED: &str = "known_source.test_listed";
    const UNLISTED: &str = "known_source.test_unlisted";
    let off = take.text("known_source.self_test").as_deref() == Some("off");
    let (listed, unlisted) = (test_name(take, LISTED), test_name(take, UNLISTED));
    match (listed, unlisted) {
        (None, None) if off => KnownSourceTest::Off,
        (None, None) => KnownSourceTest::Rfc5782,
        (Some(_), _) if off => {
            take.wrong(LISTED, format!("{LISTED} has no effect"), "remove self_test = \"off\"");
            KnownSourceTest::Off
        }
        (Some(listed), Some(unlisted)) => KnownSourceTest::Names { listed, unlisted },
        (Some(_), None) => {
            take.wrong(LISTED, format!("{LISTED} needs {UNLISTED} beside it"), "");
            KnownSourceTest::Rfc5782
        }
        (None, Some(_)) => {
            take.wrong(UNLISTED, format!("{UNLISTED} needs {LISTED} beside it"), "");
            KnownSourceTest::Rfc5782
        }
    }
}

fn test_name(take: &mut Taker<'_>, name: &str) -> Option<Box<str>> {
    let text = take.text(name)?;
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() > MAX_TEST_NAME || !text.split('.').all(label) {
        take.wrong(name, format!("{name}: {text:?} is no name below a zone"), "as 2.0.0.127 or test");
    }
    Some(text.into())
}
