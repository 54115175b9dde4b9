//! Changes a message on its way to the recipient, byte-exact: reserved fields go, our own come, the subject is tagged, a stamp
//! stands above the text, files are taken out.
//!
//! **Failure**: what can't be done without breaking something is left undone, and [`Edited::undone`] says why. Who asked for a
//! file to be taken out must look there before the message is delivered.
//! **Invariants**: every octet outside of what is asked for stays as it is: a change is a list of ranges replaced.
//! **Elsewhere**: what is asked for is decided in `policy`; Received fields are made in [`received`](super::received).

mod body;
mod encode;
mod place;
mod splice;

use std::ops::Range;

use bytes::Bytes;

use super::mime::block;
use super::specimen::{Ambiguity, Limits, Part, PartKind, Specimen};
use super::words;
use crate::model::disposition::{Edits, Field, Strip, is_reserved};
use splice::Splices;

/// What is the tenant's to say besides the edits.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// Stands in the place of a file taken out; `{file}` is its name. Lines end in LF.
    pub notice: &'a str,
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self { notice: "The attachment \"{file}\" was removed by the mail gateway.\n" }
    }
}

/// Why something was left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A signature would break (RFC 1847, S/MIME, PGP).
    Signed,
    Encrypted,
    /// Mail programs read it in several ways: who knows which one would show the change.
    Ambiguous,
    /// There is no such part, or no text.
    Absent,
    /// Not all characters of the text are known.
    Undecodable,
    /// It stands inside something encoded.
    Enclosed,
}

/// What was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    pub what: What,
    pub why: Why,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Tag,
    Stamp,
    /// Of the part with this path; empty: of any.
    Strip(Box<str>),
}

/// The message as it goes on.
#[derive(Debug, Clone, Default)]
pub struct Edited {
    pub octets: Bytes,
    pub undone: Vec<Undone>,
}

/// Applies `edits` and removes reserved fields.
#[must_use]
pub fn apply(specimen: &Specimen, edits: &Edits, style: &Style<'_>) -> Edited {
    apply_without(specimen, &[], edits, style)
}

/// The same, and takes other ranges out of the header: whole fields with their CRLF.
#[must_use]
pub fn apply_without(specimen: &Specimen, fields_gone: &[Range<usize>], edits: &Edits, style: &Style<'_>) -> Edited {
    let mut editor = Editor { specimen, splices: Splices::default(), undone: Vec::new() };
    editor.reserved();
    for range in fields_gone {
        editor.splices.remove(range.clone());
    }
    if let Some(tag) = &edits.tag {
        editor.tag(tag);
    }
    // Before the stamp, which may not be written over the place of a file that goes.
    let taken = editor.strip(&edits.strip, style.notice);
    if let Some(stamp) = &edits.stamp {
        editor.stamp(stamp, &taken);
        let is_missing = editor.undone.iter().any(|undone| undone.what == What::Stamp);
        if let Some(tag) = edits.instead.as_deref().filter(|_| is_missing && edits.tag.is_none()) {
            editor.tag(tag);
        }
    }
    editor.splices.insert(0, fields(&edits.fields).into_bytes());
    let (octets, dropped) = std::mem::take(&mut editor.splices).apply(&specimen.raw);
    if !dropped.is_empty() {
        editor.dropped(&dropped, &taken);
    }
    Edited { octets, undone: editor.undone }
}

/// Our own fields as they stand in a header, folded, each with its CRLF.
#[must_use]
pub fn fields(fields: &[Field]) -> String {
    let mut top = String::new();
    for field in fields {
        encode::push_field(&mut top, &field.name, &field.value);
    }
    top
}

/// Removes the fields whose names we alone write, for a message that is not parsed. Nothing else changes.
#[must_use]
pub fn without_reserved(raw: &Bytes) -> Bytes {
    let mut splices = Splices::default();
    remove_reserved(raw, &mut splices);
    splices.apply(raw).0
}

/// Some mail programs end the header at a line that is no field, others at the first empty line alone: whatever looks like one of our
/// fields before that goes.
fn remove_reserved(raw: &[u8], splices: &mut Splices) {
    let mut at = guard_start(raw, splices);
    let mut forged: Option<usize> = None;
    while let Some((line, next)) = block::line(raw, at).filter(|(line, _)| !line.is_empty()) {
        if !folds(line) {
            forged.take().into_iter().for_each(|start| splices.remove(start..at));
            let name = line.split(|octet| *octet == b':').next().filter(|name| name.len() < line.len());
            let name = name.and_then(|name| std::str::from_utf8(name.trim_ascii_end()).ok());
            forged = name.filter(|name| is_reserved(name)).map(|_| at);
        }
        at = next;
    }
    forged.into_iter().for_each(|start| splices.remove(start..at));
}

/// Where the header begins. A message whose first line is folded would go on the last of the fields that are put before it: what is text
/// to us stays text, behind an empty line, and what is passed over goes.
fn guard_start(raw: &[u8], splices: &mut Splices) -> usize {
    if !folds(raw) {
        return 0;
    }
    // All fields count, not only those that detectors look at.
    let all = Limits { fields: usize::MAX, header_octets: usize::MAX, ..Limits::default() };
    if block::read(raw, &all).body == 0 {
        splices.insert(0, b"\r\n".to_vec());
        return raw.len();
    }
    let mut at = 0;
    while let Some((_, next)) = block::line(raw, at).filter(|(line, _)| folds(line)) {
        at = next;
    }
    splices.remove(0..at);
    at
}

fn folds(line: &[u8]) -> bool {
    line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'))
}

struct Editor<'a> {
    specimen: &'a Specimen,
    splices: Splices,
    undone: Vec<Undone>,
}

impl Editor<'_> {
    fn leave(&mut self, what: What, why: Why) {
        self.undone.push(Undone { what, why });
    }

    fn reserved(&mut self) {
        remove_reserved(&self.specimen.raw, &mut self.splices);
    }

    /// Changes that met others: a file in the way of one is not known to be gone, and else it was a stamp.
    fn dropped(&mut self, dropped: &[Range<usize>], taken: &[usize]) {
        for index in taken {
            let path = self.specimen.parts.get(*index).map(|part| part.path.clone()).unwrap_or_default();
            self.leave(What::Strip(path), Why::Enclosed);
        }
        if taken.is_empty() {
            tracing::error!(?dropped, "two changes of a message met");
            self.leave(What::Stamp, Why::Enclosed);
        }
    }

    /// `[SPAM] the subject`, all of it encoded anew.
    fn tag(&mut self, tag: &str) {
        let mut found = false;
        for field in self.specimen.fields_named("Subject") {
            found = true;
            let subject =
                words::decode(self.specimen.raw.get(field.raw.clone()).unwrap_or_default().trim_ascii(), None);
            let subject = subject.trim();
            if !subject.starts_with(tag) {
                let value = encode::subject(&format!("{tag} {subject}"));
                self.splices.replace(field.raw.clone(), format!(" {value}").into_bytes());
            }
        }
        if !found {
            self.splices.insert(0, format!("Subject: {}\r\n", encode::subject(tag)).into_bytes());
        }
    }

    /// `taken`: the parts that go.
    fn stamp(&mut self, stamp: &str, taken: &[usize]) {
        if let Some(why) = unstampable(self.specimen) {
            return self.leave(What::Stamp, why);
        }
        let mut done = false;
        for kind in [PartKind::Text, PartKind::Html] {
            let shown = |part: &&(usize, &Part)| part.1.kind == kind && is_own(self.specimen, part.1);
            let parts: Vec<(usize, &Part)> = self.specimen.parts.iter().enumerate().collect();
            let Some((index, part)) = parts.iter().find(shown).copied() else { continue };
            let Some(text) = part.text.as_deref() else { continue };
            if taken.iter().any(|gone| ancestors(self.specimen, *gone).any(|above| above == index)) {
                self.leave(What::Stamp, Why::Enclosed);
                continue;
            }
            if text.contains(char::REPLACEMENT_CHARACTER) {
                self.leave(What::Stamp, Why::Undecodable);
                continue;
            }
            let text =
                if kind == PartKind::Html { body::stamped_html(text, stamp) } else { body::stamped(text, stamp) };
            body::rewrite(self.specimen, index, &text, body::Keep::Parameters, &mut self.splices);
            done = true;
        }
        if !done && self.undone.iter().all(|undone| undone.what != What::Stamp) {
            self.leave(What::Stamp, Why::Absent);
        }
    }

    /// The parts that go.
    fn strip(&mut self, strip: &Strip, notice: &str) -> Vec<usize> {
        let mut paths: Vec<Box<str>> = match strip {
            Strip::None => return Vec::new(),
            Strip::Parts(paths) => paths.clone(),
            Strip::Files => {
                let parts = &self.specimen.parts;
                let files = parts.iter().filter(|part| part.kind == PartKind::File);
                // What says that it is text and was found to be a file.
                let found = self.specimen.files.iter().filter(|file| file.layer == 0);
                let found = found.filter_map(|file| parts.get(file.part));
                files.chain(found).map(|part| part.path.clone()).collect()
            }
        };
        paths.sort();
        paths.dedup();
        let mut taken: Vec<usize> = Vec::new();
        for path in paths {
            match self.takes_out(&path) {
                Ok(index) if taken.contains(&index) => {}
                Ok(index) => taken.push(index),
                Err(why) => self.leave(What::Strip(path), why),
            }
        }
        taken.sort_unstable();
        let all = taken.clone();
        // What is inside of something that is taken out is gone with it.
        taken.retain(|index| !ancestors(self.specimen, *index).skip(1).any(|above| all.contains(&above)));
        for index in &taken {
            body::take_out(self.specimen, *index, notice, &mut self.splices);
        }
        if taken.is_empty() && self.undone.iter().all(|undone| !matches!(undone.what, What::Strip(_))) {
            // It was to be rid of something, wherever that is.
            self.leave(What::Strip(Box::default()), Why::Absent);
        }
        taken
    }

    /// The part to take out for this path: it, or the attached mail in whose encoding it stands.
    fn takes_out(&self, path: &str) -> Result<usize, Why> {
        let at = self.specimen.parts.iter().position(|part| *part.path == *path).ok_or(Why::Absent)?;
        if path.contains('\'') || is_structure_doubtful(self.specimen) {
            return Err(Why::Ambiguous);
        }
        let whole = |index: &usize| {
            self.specimen.parts.get(*index).is_some_and(|part| !part.encoded.is_empty() || part.octets.is_empty())
        };
        let found = ancestors(self.specimen, at).find(whole).ok_or(Why::Enclosed)?;
        let kind = self.specimen.parts.get(found).map(|part| part.kind);
        if matches!(kind, Some(PartKind::File | PartKind::Message)) { Ok(found) } else { Err(Why::Enclosed) }
    }
}

/// The part itself and what it stands in.
fn ancestors(specimen: &Specimen, index: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(index), |index| specimen.parts.get(*index).and_then(|part| part.parent))
}

fn unstampable(specimen: &Specimen) -> Option<Why> {
    if specimen.has_type(&["multipart/encrypted"]) {
        Some(Why::Encrypted)
    } else if specimen.is_signed() {
        Some(Why::Signed)
    } else {
        is_structure_doubtful(specimen).then_some(Why::Ambiguous)
    }
}

/// Whether a change could be seen by some mail programs and not by others.
fn is_structure_doubtful(specimen: &Specimen) -> bool {
    let harmless = [Ambiguity::Author, Ambiguity::Charset, Ambiguity::Octets];
    specimen.ambiguities.iter().any(|odd| !harmless.contains(odd)) || !is_closed(specimen)
}

/// Whether the body begins where everybody says: behind an empty line, or at once.
fn is_closed(specimen: &Specimen) -> bool {
    let head = specimen.raw.get(..specimen.body).unwrap_or_default();
    if head.is_empty() {
        let mut forged = Splices::default();
        remove_reserved(&specimen.raw, &mut forged);
        return forged.is_empty();
    }
    head == b"\r\n" || head == b"\n" || head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// Whether it belongs to the message itself, not to one attached to it.
fn is_own(specimen: &Specimen, part: &Part) -> bool {
    let mut above = part.parent;
    while let Some(parent) = above.and_then(|index| specimen.parts.get(index)) {
        if parent.kind == PartKind::Message {
            return false;
        }
        above = parent.parent;
    }
    !part.path.ends_with('\'') && !part.is_attachment
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
