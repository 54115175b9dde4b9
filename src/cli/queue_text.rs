//! The queue as tables for people. What clients and next hops said is shown without controls and bidirectional marks.

use std::fmt::Write;
use std::time::Duration;

use crate::admin::queue::{Branch, BranchState, Destination, Entry, MailKind};
use crate::model::Timestamp;
use crate::telemetry::event::deceives;

const WIDEST_ERROR: usize = 100;

pub(super) fn entries(entries: &[Entry], now: Timestamp) -> String {
    let mut rows = vec![row(["ID", "STATE", "TRIES", "AGE", "NEXT", "SIZE", "TENANT", "FROM", "TO", "LAST ERROR"])];
    for entry in entries {
        for branch in &entry.branches {
            rows.push(row([
                &entry.id.to_string(),
                state(branch.state),
                &branch.attempts.to_string(),
                &span(now.since(entry.queued_at)),
                &branch.next_attempt.map_or_else(|| "-".into(), |at| span(at.since(now))),
                &entry.size.to_string(),
                entry.tenant.as_str(),
                &sender(entry),
                &recipients(branch),
                branch.last_error.as_deref().unwrap_or("-"),
            ]));
        }
    }
    table(&rows)
}

pub(super) fn destinations(destinations: &[Destination], now: Timestamp) -> String {
    let mut rows = vec![row(["DOMAIN", "MESSAGES", "RECIPIENTS", "HELD", "BYTES", "OLDEST", "NEXT", "LAST ERROR"])];
    for destination in destinations {
        rows.push(row([
            destination.domain.as_str(),
            &destination.messages.to_string(),
            &destination.recipients.to_string(),
            &destination.held.to_string(),
            &destination.bytes.to_string(),
            &span(now.since(destination.oldest)),
            &destination.next_attempt.map_or_else(|| "-".into(), |at| span(at.since(now))),
            destination.last_error.as_deref().unwrap_or("-"),
        ]));
    }
    table(&rows)
}

/// Everything about one message.
pub(super) fn entry(entry: &Entry, now: Timestamp) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let text = format!("{name:<14}{}", clean(value, usize::MAX));
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line("id", &entry.id.to_string());
    line("kind", if entry.kind == MailKind::Mail { "mail" } else { "notice" });
    line("tenant", entry.tenant.as_str());
    line("direction", entry.direction.as_str());
    line("from", &sender(entry));
    line("size", &entry.size.to_string());
    line("queued", &format!("{} (age {})", entry.queued_at, span(now.since(entry.queued_at))));
    if let Some(source) = &entry.source {
        line("source", &format!("{} helo={} {} on {}", source.ip, source.helo, source.protocol, source.listener));
    }
    if let Some(reason) = &entry.held {
        line("held", reason);
    }
    for branch in &entry.branches {
        line("", "");
        line("domain", branch.domain.as_str());
        line("  state", state(branch.state));
        line("  attempts", &branch.attempts.to_string());
        if let Some(at) = branch.next_attempt {
            line("  next", &format!("{at} (in {})", span(at.since(now))));
        }
        if let Some(error) = &branch.last_error {
            line("  last error", error);
        }
        for recipient in &branch.recipients {
            line("  to", &recipient.to_string());
        }
    }
    out
}

fn sender(entry: &Entry) -> String {
    entry.sender.address().map_or_else(|| "<>".into(), ToString::to_string)
}

fn recipients(branch: &Branch) -> String {
    match branch.recipients.as_slice() {
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
        [] => format!("@{}", branch.domain),
    }
}

fn state(state: BranchState) -> &'static str {
    match state {
        BranchState::Waiting => "waiting",
        BranchState::Delivering => "delivering",
        BranchState::Held => "held",
    }
}

/// The largest unit and the next: `3d4h`, `12m`, `0s`.
pub(super) fn span(length: Duration) -> String {
    match length.as_secs() {
        s @ 0..=59 => format!("{s}s"),
        s @ 60..=3_599 => format!("{}m", s / 60),
        s @ 3_600..=86_399 => format!("{}h{}m", s / 3_600, s % 3_600 / 60),
        s => format!("{}d{}h", s / 86_400, s % 86_400 / 3_600),
    }
}

pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| clean(cell, WIDEST_ERROR)).collect()
}

pub(super) fn clean(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if deceives(c) { '?' } else { c }).collect()
}

/// Columns as wide as their widest cell; the last one is not padded.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::queue::tests::entry as example;

    #[test]
    fn a_listing_is_plain_text_with_a_row_per_branch() {
        let text = entries(&[example(1)], Timestamp::from_millis(1_795_176_571_250));
        assert_eq!(text.lines().count(), 2);
        assert!(!text.chars().any(|c| deceives(c) && c != '\n'), "{text:?}");
        let row = text.lines().nth(1).unwrap();
        assert!(row.contains(" waiting ") && row.contains(" 2m ") && row.contains(" <> "), "{row}");
        assert!(row.contains("451 4.4.1 ?no answer?[2J"), "{row}");
    }

    #[test]
    fn one_message_is_shown_in_full() {
        let text = entry(&example(1), Timestamp::from_millis(1_795_176_571_250));
        assert!(text.contains("\n  to          taro@acme.example\n"), "{text}");
        assert!(text.contains("\n  last error  451 4.4.1 ?no answer"), "{text}");
    }
}
