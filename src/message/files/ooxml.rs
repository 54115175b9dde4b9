//! The parts of an Office Open XML or OpenDocument package: text, links, external targets, macros, embedded objects.
//!
//! **Failure**: XML that isn't well-formed is noted as damaged, and text beyond what is kept as too much.
//! **Invariants**: parts that are XML are shown and not listed as files; everything else is a file of its own.

use bytes::Bytes;

use super::kind::{self, extension};
use super::walk::Walk;
use super::xml::{self, Ended, Item};
use super::zip::{self, Entry};
use crate::message::specimen::{FileKind, Trait};
use crate::model::finding::Reason;

/// XML parts of a package, beyond which it is too many.
const MAX_PARTS: usize = 4_000;
/// Octets of text that are kept of a package.
const MAX_TEXT: usize = 6 << 20;
/// From how many octets of XML on its text is given room at once.
const BIG: usize = 1 << 20;

/// A package while its parts come by.
#[derive(Debug)]
pub struct Package {
    parts: usize,
    text: String,
    /// There is more text than is kept.
    is_cut: bool,
}

impl Package {
    /// Whether the archive is a package; its form is set then.
    pub fn of(walk: &mut Walk<'_>, at: usize, entries: &[Entry]) -> Option<Self> {
        let form = zip::form_of(entries)?;
        walk.form(at, form);
        matches!(form.0, FileKind::Ooxml | FileKind::OpenDocument).then_some(Self {
            parts: 0,
            text: String::new(),
            is_cut: false,
        })
    }

    pub fn is_full(&self) -> bool {
        self.parts > MAX_PARTS
    }

    /// Whether the part is XML of the package itself, by its content.
    pub fn takes(&self, name: &str, octets: &[u8]) -> bool {
        let (kind, format) = kind::of(octets, "");
        let named = matches!(&*extension(name), "xml" | "rels" | "vml" | "rdf" | "xhtml" | "html" | "htm" | "psmdcp");
        let is_xml = format == "xml"
            || kind == FileKind::Svg && named
            || kind == FileKind::Html && &*extension(name) == "vml"
            || format == "office-xml";
        is_xml
            || named
                && matches!(kind, FileKind::Text | FileKind::Html)
                && octets.trim_ascii_start().first().is_none_or(|&first| first == b'<' || first >= 0x80)
            || matches!(kind, FileKind::Text | FileKind::Empty)
                && (name == "mimetype" || name.ends_with(".txt") && name.starts_with("META-INF"))
    }

    pub fn part(&mut self, walk: &mut Walk<'_>, at: usize, name: &str, octets: &Bytes) {
        self.parts += 1;
        walk.glance(at, name, octets);
        let lower = name.to_lowercase();
        if lower.starts_with("xl/macrosheets/") {
            walk.mark_document(at, Trait::Xlm);
        }
        if lower.contains("activex/") && lower.ends_with(".xml") {
            walk.mark_document(at, Trait::EmbeddedObject);
        }
        // Once, for a text that grows by doubling is twice in memory while it is copied.
        if octets.len() > BIG {
            self.text.reserve_exact(octets.len().min(MAX_TEXT.saturating_sub(self.text.len())));
        }
        let is_relations = lower.ends_with(".rels");
        let mut instruction = String::new();
        let mut is_instruction = false;
        let mut defined = String::new();
        let ended = xml::read(octets, |item| {
            match item {
                Item::Start(element, attributes) => {
                    let of = |name: &str| attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
                    match element {
                        "relationship" if is_relations => {
                            relation(walk, at, of("type"), of("target"), of("targetmode"))
                        }
                        "instrtext" => is_instruction = true,
                        "fldsimple" => fields(walk, at, of("instr")),
                        "ddelink" => walk.mark_document(at, Trait::Dde),
                        "definedname" => defined = of("name").to_lowercase(),
                        "dde-connection" | "dde-source" => walk.mark_document(at, Trait::Dde),
                        "script" | "event-listener" => walk.mark_document(at, Trait::Macros),
                        "plugin" | "object-ole" => walk.mark_document(at, Trait::EmbeddedObject),
                        "p" | "row" | "si" | "br" | "tr" => self.push("\n"),
                        _ => {}
                    }
                    let href = of("href");
                    if !is_relations && href.contains("://") {
                        walk.link(href, None);
                    }
                    if defined.contains("auto_open") || defined.contains("auto_close") {
                        walk.mark_document(at, Trait::AutoMacros);
                        walk.mark_document(at, Trait::Xlm);
                        defined.clear();
                    }
                }
                Item::End(element) => {
                    is_instruction &= element != "instrtext";
                    if matches!(element, "p" | "fldchar") && !instruction.is_empty() {
                        fields(walk, at, &std::mem::take(&mut instruction));
                    }
                }
                Item::Text(text) if is_instruction => {
                    if instruction.len() < 64 << 10 {
                        instruction.push_str(text);
                    }
                }
                Item::Text(text) => self.push(text),
            }
            !(walk.time_up)()
        });
        fields(walk, at, &instruction);
        // Where time was up within it, that is noted here.
        let _ = walk.is_spent(at);
        match ended {
            Ended::Well => {}
            // Entities are the usual bomb, and no program writes them.
            Ended::DocType if walk_is_office(walk, at) => walk.note_in(Reason::Malformed, at, name),
            Ended::DocType => {}
            Ended::Malformed => walk.note_in(Reason::Malformed, at, name),
            Ended::TooLong => walk.note_in(Reason::Count, at, name),
        }
    }

    /// A part that isn't XML: those of binary workbooks say by their place what they are.
    pub fn binary(&mut self, walk: &mut Walk<'_>, at: usize, name: &str, octets: &[u8]) {
        let lower = name.to_lowercase();
        if lower.starts_with("xl/macrosheets/") {
            walk.mark_document(at, Trait::Xlm);
        }
        if lower.starts_with("xl/externallinks/") {
            let target = super::octets::utf16le(octets).to_lowercase()
                + &super::octets::utf16le(octets.get(1..).unwrap_or_default()).to_lowercase();
            let starts = ["cmd", "powershell", "mshta", "rundll32", "regsvr32", "wscript", "msexcel"]
                .iter()
                .any(|word| target.contains(word));
            walk.mark_document(at, if starts { Trait::Dde } else { Trait::ExternalLink });
        }
        if lower == "xl/workbook.bin" && super::octets::utf16le(octets).to_lowercase().contains("auto_open") {
            walk.mark_document(at, Trait::AutoMacros);
        }
        if lower.ends_with("/vbaproject.bin") {
            walk.mark_document(at, Trait::Macros);
        }
    }

    fn push(&mut self, text: &str) {
        if self.text.len() + text.len() <= MAX_TEXT {
            self.text.push_str(text);
        } else {
            self.is_cut = true;
        }
    }

    pub fn finish(self, walk: &mut Walk<'_>, at: usize) {
        if self.is_cut {
            walk.note(Reason::Bytes, at);
        }
        walk.text(self.text);
    }
}

fn walk_is_office(walk: &Walk<'_>, at: usize) -> bool {
    walk.specimen.files.get(at).is_some_and(|file| file.kind == FileKind::Ooxml)
}

/// A relation to something outside: links are for clicking, the others are fetched.
fn relation(walk: &mut Walk<'_>, at: usize, kind: &str, target: &str, mode: &str) {
    let kind = kind.rsplit('/').next().unwrap_or_default().to_lowercase();
    if kind == "vbaproject" {
        walk.mark_document(at, Trait::Macros);
    }
    if matches!(&*kind, "oleobject" | "package" | "control" | "activexcontrolbinary")
        && !mode.eq_ignore_ascii_case("external")
    {
        walk.mark_document(at, Trait::EmbeddedObject);
    }
    if !mode.eq_ignore_ascii_case("external") {
        return;
    }
    let target = target.trim();
    walk.link(target, None);
    let lower = target.to_lowercase();
    if kind == "hyperlink" {
        if lower.starts_with("javascript:")
            || lower.starts_with("file:")
            || lower.starts_with("ms-")
            || lower.starts_with("search-ms")
        {
            walk.mark_document(at, Trait::ExternalLink);
        }
        return;
    }
    // Pictures from the web are trackers at worst.
    let is_remote =
        lower.contains("://") || lower.starts_with("\\\\") || lower.starts_with("mhtml:") || lower.starts_with("file:");
    if is_remote && kind != "image" && kind != "video" && kind != "audio" {
        walk.mark_document(at, Trait::ExternalLink);
    }
    if matches!(&*kind, "attachedtemplate" | "oleobject" | "frame" | "subdocument") && !target.is_empty() {
        let is_local_template = kind == "attachedtemplate" && (lower.starts_with("file:") || !is_remote);
        if !is_local_template {
            walk.mark_document(at, Trait::ExternalLink);
        }
    }
}

/// Field codes that start something.
fn fields(walk: &mut Walk<'_>, at: usize, instruction: &str) {
    let upper = instruction.trim_start().to_uppercase();
    // Quotes and nested fields are put in front to hide the word.
    if upper.split_whitespace().any(|word| matches!(word.trim_matches('"'), "DDEAUTO" | "DDE")) {
        walk.mark_document(at, Trait::Dde);
    }
    if upper.starts_with("INCLUDETEXT") || upper.starts_with("INCLUDEPICTURE") || upper.starts_with("HYPERLINK") {
        walk.links_of(instruction);
        if upper.starts_with("INCLUDETEXT") && upper.contains("://") {
            walk.mark_document(at, Trait::ExternalLink);
        }
    }
}
