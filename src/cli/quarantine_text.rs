//! The quarantine as tables for people. What messages say is shown without controls and bidirectional marks.

use std::fmt::Write;

use super::queue_text::{clean, row, span, table};
use crate::admin::quarantine::Entry;
use crate::model::explanation::Explanation;
use crate::model::{Address, Timestamp};
use crate::policy::explain;

const WIDEST: usize = 300;

pub(super) fn entries(entries: &[Entry], now: Timestamp) -> String {
    let mut rows = vec![row(["ID", "CLASS", "AGE", "LEFT", "SIZE", "TENANT", "FROM", "TO", "SUBJECT"])];
    for entry in entries {
        rows.push(row([
            &entry.id.to_string(),
            entry.class.name(),
            &span(now.since(entry.held_at)),
            &span(entry.expires_at.since(now)),
            &entry.size.to_string(),
            entry.tenant.as_str(),
            &sender(entry),
            &recipients(&entry.recipients),
            entry.subject.as_deref().unwrap_or("-"),
        ]));
    }
    table(&rows)
}

pub(super) fn entry(entry: &Entry, now: Timestamp) -> String {
    let mut out = format!("{}\n", entry.id);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{}", format!("  {name:<12}{}", clean(value, WIDEST)).trim_end());
    };
    line("tenant", entry.tenant.as_str());
    line("direction", entry.direction.as_str());
    line("class", entry.class.name());
    line("reason", &entry.reason);
    line("sender", &sender(entry));
    line("from", entry.from.as_deref().unwrap_or("-"));
    line("subject", entry.subject.as_deref().unwrap_or("-"));
    line("size", &entry.size.to_string());
    line("held", &format!("{} ({} ago)", entry.held_at, span(now.since(entry.held_at))));
    line("expires", &format!("{} (in {})", entry.expires_at, span(entry.expires_at.since(now))));
    if let Some(source) = &entry.source {
        line("source", &format!("{} {} {} {}", source.ip, source.helo, source.listener, source.protocol));
    }
    for recipient in &entry.recipients {
        line("to", &recipient.to_string());
    }
    for recipient in &entry.gone {
        line("gone", &recipient.to_string());
    }
    if let Some(explanation) = entry.explanation.as_deref() {
        out.push('\n');
        match serde_json::from_str::<Explanation>(explanation) {
            Ok(explanation) => {
                for told in explain::text(&explanation, explain::Language::English).lines() {
                    let _ = writeln!(out, "  {}", clean(told, WIDEST));
                }
            }
            // Of a newer program.
            Err(_) => {
                let _ = writeln!(out, "  {}", clean(explanation, WIDEST));
            }
        }
    }
    out
}

/// A text of the node's, in one line.
pub(super) fn line(text: &str) -> String {
    clean(text, WIDEST)
}

fn sender(entry: &Entry) -> String {
    entry.sender.address().map_or_else(|| "<>".into(), ToString::to_string)
}

fn recipients(recipients: &[Address]) -> String {
    match recipients {
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
        [] => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::quarantine::tests::entry as example;
    use crate::telemetry::event::deceives;

    #[test]
    fn a_listing_is_plain_text_with_a_row_per_message() {
        let now = Timestamp::from_millis(1_795_176_571_250);
        let text = entries(&[example(1), example(2)], now);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.chars().any(|c| deceives(c) && c != '\n'), "{text:?}");
        let row = text.lines().nth(1).unwrap();
        assert!(row.contains(" risky-file  2m   29d23h ") && row.contains("taro@acme.example +1  請求書?[2J"), "{row}");
        let shown = entry(&example(1), now);
        assert!(shown.contains("\n  to          hanako@acme.example\n") && shown.contains("?boss@acme"), "{shown}");
    }
}
