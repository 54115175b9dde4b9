//! What a reader sees of the parts: texts and links.
//!
//! **Failure**: what lies beyond the budget of characters is in [`Specimen::unchecked`].
//! **Invariants**: at most [`Limits::text`] characters in all texts together.

use super::fold::fold;
use super::specimen::{Limits, PartKind, Specimen, Text, TextSource, TimeUp};
use crate::model::finding::{Reason, Unchecked};

/// Adds the texts of all parts that are shown.
pub fn read(specimen: &mut Specimen, limits: &Limits, time_up: TimeUp<'_>) {
    let mut left = limits.text;
    for index in 0..specimen.parts.len() {
        let Some(part) = specimen.parts.get(index) else { break };
        let source = match part.kind {
            PartKind::Text => TextSource::Plain,
            PartKind::Html => TextSource::Html,
            _ => continue,
        };
        let Some(text) = part.text.as_deref() else { continue };
        let reason = if time_up() { Some(Reason::Time) } else { None };
        let (text, cut) = bounded(text, left);
        let path = part.path.clone();
        if let Some(reason) = reason.or(cut.then_some(Reason::Bytes)) {
            specimen.unchecked.push(Unchecked { reason, what: path });
        }
        if reason.is_some() || text.is_empty() {
            continue;
        }
        left -= text.chars().count();
        let visible = match source {
            TextSource::Html => without_tags(text),
            _ => text.replace("\r\n", "\n"),
        };
        let folded = fold(&visible);
        specimen.texts.push(Text {
            part: index,
            source: Some(source),
            visible: visible.into(),
            hidden: Box::default(),
            folded: folded.into(),
        });
    }
}

/// The first `most` characters, and whether that isn't all.
fn bounded(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), true),
        None => (text, false),
    }
}

fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
