//! What a reader sees of the parts: texts, shown and hidden, and links.
//!
//! **Failure**: what lies beyond the budgets of octets and links is in [`Specimen::unchecked`].
//! **Invariants**: at most [`Limits::text`] octets of source in all texts together, and [`Limits::links`] links.
//! **Elsewhere**: texts inside files are added by who opens them.

use std::borrow::Cow;

use super::fold::fold;
use super::mime::embedded;
use super::specimen::{Limits, LinkSource, Part, PartKind, Specimen, Text, TextSource, TimeUp};
use super::{charset, html, links};
use crate::model::finding::{Reason, Unchecked};

/// Characters of hidden text that are looked at as if they were shown, where less is.
const MUCH_HIDDEN: usize = 100;
/// Readings of one text in other octets that are looked at.
const MAX_OTHERS: usize = 4;

/// Adds the texts of all parts that are shown, and all links in them and in the header.
pub fn read(specimen: &mut Specimen, limits: &Limits, time_up: TimeUp<'_>) {
    let mut reader = Reader { left: limits.text, limits, texts: Vec::new(), links: Vec::new(), unchecked: Vec::new() };
    for (index, part) in specimen.parts.iter().enumerate() {
        let source = match part.kind {
            PartKind::Text => TextSource::Plain,
            PartKind::Html => TextSource::Html,
            PartKind::Multipart | PartKind::Message | PartKind::File => continue,
        };
        if time_up() {
            reader.miss(Reason::Time, &part.path);
            break;
        }
        let flow = Flow::of(specimen, part);
        reader.part(index, part, source, flow);
    }
    for field in &specimen.fields {
        let of_list = ["list-unsubscribe", "list-help", "list-post", "list-archive"];
        if field.name.eq_ignore_ascii_case("subject")
            || of_list.iter().any(|name| field.name.eq_ignore_ascii_case(name))
        {
            reader.links_in(0, LinkSource::Header, &field.value);
        }
    }
    let room = limits.links.saturating_sub(reader.links.len());
    let (codes, unsearched) = links::in_images(&specimen.parts, room, time_up);
    reader.links.extend(codes);
    unsearched.iter().for_each(|one| reader.miss(one.reason, &one.what));
    let Reader { texts, links, unchecked, .. } = reader;
    specimen.texts.extend(texts);
    specimen.links.extend(links);
    specimen.unchecked.extend(unchecked);
}

struct Reader<'a> {
    left: usize,
    limits: &'a Limits,
    texts: Vec<Text>,
    links: Vec<super::specimen::Link>,
    unchecked: Vec<Unchecked>,
}

impl Reader<'_> {
    fn miss(&mut self, reason: Reason, path: &str) {
        if !self.unchecked.iter().any(|known| known.reason == reason) {
            self.unchecked.push(Unchecked { reason, what: path.into() });
        }
    }

    fn part(&mut self, index: usize, part: &Part, source: TextSource, flow: Flow) {
        match &part.text {
            Some(text) => self.text(index, &part.path, source, flow, text),
            // Too long to be kept: its beginning is looked at.
            None => self.octets(index, part, source, flow, &part.octets),
        }
        for other in &part.other_texts {
            self.text(index, &part.path, source, flow, other);
        }
        if part.other_octets.len() > MAX_OTHERS {
            self.miss(Reason::Count, &part.path);
        }
        for other in part.other_octets.iter().take(MAX_OTHERS) {
            self.octets(index, part, source, flow, other);
        }
    }

    /// As much of them as there is room for; decoded for as long as they are looked at.
    fn octets(&mut self, index: usize, part: &Part, source: TextSource, flow: Flow, octets: &[u8]) {
        let most = self.left.min(octets.len());
        if most < octets.len() {
            self.miss(Reason::Bytes, &part.path);
        }
        let text = charset::decode(octets.get(..most).unwrap_or_default(), part.charset.as_deref());
        self.text(index, &part.path, source, flow, &text);
    }

    fn text(&mut self, index: usize, path: &str, source: TextSource, flow: Flow, text: &str) {
        let (text, cut) = bounded(text, self.left);
        if cut {
            self.miss(Reason::Bytes, path);
        }
        if text.is_empty() {
            return;
        }
        self.left = self.left.saturating_sub(text.len());
        let mut seen = Text { part: index, source: Some(source), ..Text::default() };
        if source == TextSource::Html {
            let read = html::read(text);
            let room = self.limits.links.saturating_sub(self.links.len());
            let found = links::in_html(index, &read, room);
            if read.cut || found.len() >= room {
                self.miss(Reason::Count, path);
            }
            self.links.extend(found);
            seen.visible = read.visible;
            seen.hidden = read.hidden;
            seen.signs = read.signs;
        } else {
            seen.visible = flow.shown(&without_files(text)).into();
        }
        // What we take for hidden is most of it: perhaps it is we who are deceived. Then it is looked at as if it were shown.
        let (shown, hidden) = (seen.visible.chars().count(), seen.hidden.chars().count());
        if hidden >= MUCH_HIDDEN && hidden > shown {
            self.links_in(index, LinkSource::Text, &seen.hidden);
            let folded = fold(&seen.hidden).into();
            let visible = seen.hidden.clone();
            self.texts.push(Text { part: index, source: Some(source), visible, folded, ..Text::default() });
        }
        // Addresses that nobody made a link of are made one by the mail program.
        self.links_in(index, LinkSource::Text, &seen.visible);
        seen.folded = fold(&seen.visible).into();
        self.texts.push(seen);
    }

    fn links_in(&mut self, index: usize, source: LinkSource, text: &str) {
        let room = self.limits.links.saturating_sub(self.links.len());
        let found = links::in_text(index, source, text, room.max(1));
        if found.len() > room || (room > 0 && found.len() == room) {
            self.miss(Reason::Count, "links");
        }
        for link in found.into_iter().take(room) {
            let known = |other: &super::specimen::Link| other.part == link.part && other.url == link.url;
            // The newest are the likeliest to be the same; looking at all of them would be quadratic.
            if !self.links.iter().rev().take(50).any(known) {
                self.links.push(link);
            }
        }
    }
}

/// The first `most` octets, or some fewer, and whether that isn't all.
fn bounded(text: &str, most: usize) -> (&str, bool) {
    let end = text.floor_char_boundary(most);
    (text.get(..end).unwrap_or_default(), end < text.len())
}

/// The text without the files in it, which are parts of their own.
fn without_files(text: &str) -> Cow<'_, str> {
    let files = embedded::find(text.as_bytes());
    if files.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for file in files {
        out.push_str(text.get(at..file.place.start).unwrap_or_default());
        at = file.place.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether lines that end in a blank go on in the next one (RFC 3676).
#[derive(Debug, Clone, Copy)]
struct Flow {
    flowed: bool,
    deletes_space: bool,
}

impl Flow {
    fn of(specimen: &Specimen, part: &Part) -> Self {
        let fields = if part.parent.is_none() { &specimen.fields } else { &part.fields };
        let kind = fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-type"));
        let value = kind.map(|field| field.value.to_ascii_lowercase()).unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| value.contains(word));
        Self {
            flowed: has(&["format=flowed", "format=\"flowed\""]),
            deletes_space: has(&["delsp=yes", "delsp=\"yes\""]),
        }
    }

    /// As it is shown; lines end in LF.
    fn shown(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut open = None;
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !self.flowed {
                out.push_str(line);
                out.push_str(end);
                continue;
            }
            let depth = line.chars().take_while(|c| *c == '>').count();
            let body = line.get(depth..).unwrap_or_default();
            let body = body.strip_prefix(' ').unwrap_or(body);
            match open.take() {
                Some(before) if before == depth => {}
                Some(_) => {
                    out.push('\n');
                    out.push_str(line.get(..depth).unwrap_or_default());
                }
                None => out.push_str(line.get(..depth).unwrap_or_default()),
            }
            let soft = body.ends_with(' ') && body != "-- ";
            let body = if soft && self.deletes_space { body.strip_suffix(' ').unwrap_or(body) } else { body };
            out.push_str(body);
            if soft { open = Some(depth) } else { out.push_str(end) }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowed_lines_run_on() {
        let flow = Flow { flowed: true, deletes_space: false };
        assert_eq!(flow.shown("a \r\nb\r\n> q \r\n> r\r\n-- \r\nsig\r\n"), "a b\n>q r\n-- \nsig\n");
        let japanese = Flow { flowed: true, deletes_space: true };
        assert_eq!(japanese.shown("迷 \r\n惑\r\n"), "迷惑\n");
        assert_eq!(Flow { flowed: false, deletes_space: false }.shown("a \r\nb"), "a \nb");
    }

    #[test]
    fn files_are_no_text() {
        assert_eq!(without_files("a\nbegin 644 x\n#0V%T\n`\nend\nb"), "a\nb");
    }
}
