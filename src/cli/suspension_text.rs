//! Measures as tables for people. What people and clients wrote is shown without controls and bidirectional marks.

use std::fmt::Write;

use super::queue_text::{clean, row, span, table};
use crate::admin::suspension::Entry;
use crate::model::Timestamp;

const WIDEST: usize = 300;

pub(super) fn entries(entries: &[Entry], now: Timestamp) -> String {
    let mut rows = vec![row(["ID", "STAGE", "STATE", "AGE", "LEFT", "TENANT", "WHOM", "BY", "REASON"])];
    for entry in entries {
        rows.push(row([
            &entry.id.to_string(),
            entry.stage.as_str(),
            &entry.state,
            &span(now.since(entry.since)),
            &left(entry, now),
            entry.tenant.as_str(),
            &entry.scope.to_string(),
            &entry.by,
            &entry.reason,
        ]));
    }
    table(&rows)
}

fn left(entry: &Entry, now: Timestamp) -> String {
    match (&entry.ended, entry.expires) {
        (Some(_), _) => "-".into(),
        (None, Some(expires)) => span(expires.since(now)),
        (None, None) => "until lifted".into(),
    }
}

pub(super) fn entry(entry: &Entry, now: Timestamp) -> String {
    let mut out = format!("{}\n", entry.id);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{}", format!("  {name:<12}{}", clean(value, WIDEST)).trim_end());
    };
    line("tenant", entry.tenant.as_str());
    line("whom", &entry.scope.to_string());
    line("stage", entry.stage.as_str());
    line("state", &entry.state);
    line("by", &entry.by);
    line("reason", &entry.reason);
    line("begun", &format!("{} ({} ago)", entry.created, span(now.since(entry.created))));
    if entry.since != entry.created {
        line("this stage", &format!("{} ({} ago)", entry.since, span(now.since(entry.since))));
    }
    match entry.expires {
        Some(expires) => line("until", &expires.to_string()),
        None => line("until", "it is lifted"),
    }
    if let Some(ended) = &entry.ended {
        line("ended", &format!("{} {} by {}: {}", ended.how.as_str(), ended.at, ended.by, ended.reason));
    }
    if let Some(pattern) = entry.pattern {
        line("looks like", pattern.as_str());
    }
    if entry.volume > 0 {
        line("messages", &format!("{} in a day", entry.volume));
    }
    for seen in &entry.evidence {
        let sample = seen.sample.map(|id| format!(", such as {id}")).unwrap_or_default();
        line(
            "evidence",
            &format!("{} {} of {} since {}{sample}", seen.signal.as_str(), seen.count, seen.of, seen.since),
        );
    }
    if let Some(held) = entry.held {
        line("held", &format!("{held} in the queue"));
    }
    if !entry.written {
        line("written", "not yet: the store is away");
    }
    out
}

/// What is so now, in one line.
pub(super) fn sentence(entry: &Entry) -> String {
    let what = match (&entry.ended, entry.expires) {
        (Some(ended), _) => ended.how.as_str().to_owned(),
        (None, Some(expires)) => format!("{} until {expires}", entry.stage.as_str()),
        (None, None) => format!("{} until it is lifted", entry.stage.as_str()),
    };
    clean(&format!("{} of {}: {what}", entry.scope, entry.tenant), WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::suspension::tests::entry as example;
    use crate::telemetry::event::deceives;

    #[test]
    fn a_listing_is_plain_text_with_a_row_per_measure() {
        let now = Timestamp::from_millis(1_795_176_571_250);
        let text = entries(&[example(1), example(2)], now);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.chars().any(|c| deceives(c) && c != '\n'), "{text:?}");
        let row = text.lines().nth(1).unwrap();
        assert!(
            row.contains(" throttle  active  2m   until lifted  acme    sender taro@acme.example  automatic"),
            "{row}"
        );
        let shown = entry(&example(1), now);
        assert!(
            shown.contains("\n  evidence    spam 700 of 812 since ") && shown.contains("\n  looks like  compromised\n")
        );
        assert_eq!(sentence(&example(1)), "sender taro@acme.example of acme: throttle until it is lifted");
    }
}
