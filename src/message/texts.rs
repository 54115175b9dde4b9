//! What a reader sees of the parts: texts and links.
//!
//! **Failure**: what lies beyond the budget of characters is in [`Specimen::unchecked`].
//! **Invariants**: at most [`Limits::text`] characters in all texts together.

use super::fold::fold;
use super::html;
use super::links;
use super::specimen::{Limits, LinkSource, PartKind, Specimen, Text, TextSource, TimeUp};
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
        let room = limits.links.saturating_sub(specimen.links.len());
        let (text, links) = match source {
            TextSource::Html => {
                let read = html::read(text);
                let links = links::in_html(index, &read, room);
                let text = Text { visible: read.visible, hidden: read.hidden, signs: read.signs, ..Text::default() };
                (text, links)
            }
            _ => {
                let visible = text.replace("\r\n", "\n");
                let links = links::in_text(index, LinkSource::Text, &visible, room);
                (Text { visible: visible.into(), ..Text::default() }, links)
            }
        };
        if links.len() >= room {
            let what = specimen.parts.get(index).map(|part| part.path.clone()).unwrap_or_default();
            specimen.unchecked.push(Unchecked { reason: Reason::Count, what });
        }
        specimen.links.extend(links);
        let folded = fold(&text.visible).into();
        specimen.texts.push(Text { part: index, source: Some(source), folded, ..text });
    }
}

/// The first `most` characters, and whether that isn't all.
fn bounded(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), true),
        None => (text, false),
    }
}
