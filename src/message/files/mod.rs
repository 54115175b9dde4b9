//! Files: what they are by their content, what is in them, and what is noteworthy about them.
//!
//! [`walk`] goes through the attachments of a [`Specimen`], opens archives and documents, and shows each file to a
//! [`FileVisitor`] while its octets are at hand. Nothing is ever written anywhere.
//!
//! **Failure**: what could not be opened or was beyond a budget is in [`Specimen::unchecked`] with its reason; it is never passed over
//! in silence. Code of other crates that panics on hostile octets counts as damage of the file.
//! **Invariants**: the budgets of [`Limits`] hold for all files of a message together. Memory is bounded by
//! [`Limits::file_octets`] and a decoder's dictionary of 32 MiB, which is read from the format's own header before it is allocated.
//! **Known limits**: ACE, EGG, StuffIt, WIM, VHD, UDF without ISO 9660, LZ4, LZO, CHM, InstallShield and compressed ARJ are named
//! `unsupported`; archives split over several volumes are opened as far as one volume goes.

mod arj;
mod cab;
mod compressed;
mod cpio;
mod data_urls;
mod encoded;
mod images;
mod iso;
mod joint;
pub mod kind;
mod lnk;
mod lzh;
mod lzss;
mod mail;
mod markup;
pub mod names;
mod octets;
mod office_crypt;
mod office_xml;
mod ole;
mod ole_objects;
mod onenote;
mod ooxml;
mod passwords;
mod pdf;
mod pdf_text;
mod pdf_weight;
mod polyglot;
mod rar;
mod rtf;
mod seven;
mod spreadsheet;
mod tar;
mod tnef;
mod vba;
mod walk;
mod xml;
mod zip;
mod zip_entry;

use bytes::Bytes;

pub use passwords::Passwords;

use self::kind::Form;
use self::walk::{Met, Walk};
use crate::message::specimen::{FileKind, FileVisitor, Limits, Part, PartKind, Specimen, TimeUp};
use crate::model::finding::Reason;

/// Goes through all files of the message, appending to [`Specimen::files`], [`Specimen::texts`], [`Specimen::links`] and
/// [`Specimen::unchecked`]. `passwords`: tried on what is encrypted.
pub fn walk(
    specimen: &mut Specimen,
    limits: &Limits,
    passwords: &Passwords<'_>,
    time_up: TimeUp<'_>,
    visitor: &mut dyn FileVisitor,
) {
    let attachments: Vec<(usize, Vec<Met>)> =
        specimen.parts.iter().enumerate().filter_map(|(at, part)| Some((at, readings(part)?))).collect();
    let pages: Vec<(usize, Bytes, Vec<Vec<u8>>)> = specimen
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| is_page(part))
        .map(|(at, part)| (at, part.octets.clone(), followed(part).collect()))
        .collect();
    let mut walk = Walk::new(specimen, limits, passwords, time_up, visitor);
    for (part, readings) in attachments {
        for met in readings {
            if !walk.attachment(part, met) {
                return;
            }
        }
    }
    for (part, octets, followed) in pages {
        if !data_urls::open(&mut walk, part, &octets, &followed) {
            return;
        }
    }
}

/// A Specimen of one file, walked through.
#[must_use]
pub fn walk_octets(
    name: &str,
    octets: Bytes,
    limits: &Limits,
    passwords: &[Box<str>],
    time_up: TimeUp<'_>,
    visitor: &mut dyn FileVisitor,
) -> Specimen {
    let mut specimen = Specimen::default();
    specimen.parts.push(Part {
        path: "1".into(),
        parent: None,
        depth: 0,
        kind: PartKind::File,
        content_type: "application/octet-stream".into(),
        charset: None,
        names: vec![name.into()],
        is_attachment: true,
        fields: Vec::new(),
        encoded: 0..0,
        octets,
        other_octets: Vec::new(),
        text: None,
        other_texts: Vec::new(),
    });
    walk(&mut specimen, limits, &Passwords::only(passwords), time_up, visitor);
    specimen
}

/// Every way in which some mail program would save the part; `None` if none would.
fn readings(part: &Part) -> Option<Vec<Met>> {
    let is_file = match part.kind {
        PartKind::File => true,
        PartKind::Text | PartKind::Html | PartKind::Message => part.is_attachment && !part.names.is_empty(),
        PartKind::Multipart => false,
    };
    // A body that is no text at all was put there to be passed over.
    let in_disguise = matches!(part.kind, PartKind::Text | PartKind::Html) && {
        let form = kind::of(&part.octets, "");
        is_container(form) && !matches!(form.0, FileKind::Html | FileKind::Svg | FileKind::Mail)
            || form.0 == FileKind::Executable
    };
    if !is_file && !in_disguise {
        return None;
    }
    let met = |octets: &Bytes| Met { names: part.names.clone(), octets: octets.clone(), ..Met::default() };
    Some(std::iter::once(&part.octets).chain(&part.other_octets).map(met).collect())
}

/// Whether the message may hold a file, as one of its parts or in a page. Before its texts are read, pages are judged by their octets
/// alone.
#[must_use]
pub fn may_have(specimen: &Specimen) -> bool {
    specimen.parts.iter().any(|part| {
        readings(part).is_some()
            || is_page(part) && (data_urls::may_have(&part.octets) || followed(part).next().is_some())
    })
}

fn is_page(part: &Part) -> bool {
    part.kind == PartKind::Html
}

/// How programs may read a page otherwise than its octets say.
fn followed(page: &Part) -> impl Iterator<Item = Vec<u8>> {
    let sources = page.text.iter().chain(&page.other_texts);
    sources.filter_map(|source| data_urls::as_followed(&page.octets, source))
}

/// Whether there may be something in it.
fn is_container((kind, _): Form) -> bool {
    matches!(
        kind,
        FileKind::Archive
            | FileKind::Compressed
            | FileKind::DiskImage
            | FileKind::Tnef
            | FileKind::Mail
            | FileKind::Ole
            | FileKind::Ooxml
            | FileKind::OpenDocument
            | FileKind::OneNote
            | FileKind::Pdf
            | FileKind::Rtf
            | FileKind::Html
            | FileKind::Svg
            | FileKind::Java
    )
}

/// Looks into the file of this index.
fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes, (kind, format): Form) {
    match format {
        "zip" => zip::open(walk, at, octets),
        "tar" => tar::open(walk, at, octets),
        "cpio" => cpio::open(walk, at, octets),
        "ar" => cpio::open_ar(walk, at, octets),
        "rpm" => cpio::open_rpm(walk, at, octets),
        "gz" | "bz2" | "xz" | "lzma" | "lz" | "zst" | "z" => compressed::open(walk, at, octets, format),
        "szdd" => lzss::open(walk, at, octets),
        "7z" => seven::open(walk, at, octets),
        "rar" => rar::open(walk, at, octets),
        "cab" => cab::open(walk, at, octets),
        "lzh" => lzh::open(walk, at, octets),
        "arj" => arj::open(walk, at, octets),
        "alz" => arj::open_alz(walk, at, octets),
        "iso" => iso::open(walk, at, octets),
        "tnef" => tnef::open(walk, at, octets),
        "binhex" => encoded::open_binhex(walk, at, octets),
        "ole" => ole::open(walk, at, octets),
        "office-xml" => office_xml::open(walk, at, octets),
        "rtf" => rtf::open(walk, at, octets),
        "pdf" => pdf::open(walk, at, octets),
        "one" => onenote::open(walk, at, octets),
        "html" | "svg" | "hta" | "wsf" => markup::open(walk, at, octets, format),
        "lnk" => lnk::open(walk, at, octets),
        "mail" => mail::open(walk, at, octets),
        "slk" => spreadsheet::open_slk(walk, at, octets),
        _ => match kind {
            FileKind::Archive | FileKind::DiskImage | FileKind::Compressed => walk.note(Reason::Unsupported, at),
            FileKind::Image => images::open(walk, at, octets),
            FileKind::Text | FileKind::Script | FileKind::Shortcut | FileKind::Calendar => {
                encoded::open_text(walk, at, octets, kind)
            }
            _ => {}
        },
    }
    polyglot::open(walk, at, octets, (kind, format));
}
