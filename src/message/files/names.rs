//! File names: read from octets, bounded, and what is wrong with them.
//!
//! **Failure**: octets that are no text in any charset come out with replacement characters.

use super::kind::extension;
use crate::message::charset;
use crate::message::specimen::{FileKind, FileSeen, Trait};

/// Characters of a name that are kept.
const MAX_NAME: usize = 255;
/// Names of one file that are kept.
const MAX_NAMES: usize = 8;

/// Extensions that run when opened.
const RUNS: &[&str] = &[
    "exe",
    "scr",
    "com",
    "pif",
    "bat",
    "cmd",
    "vbs",
    "vbe",
    "js",
    "jse",
    "wsf",
    "wsh",
    "hta",
    "ps1",
    "msi",
    "msp",
    "cpl",
    "lnk",
    "jar",
    "dll",
    "sys",
    "reg",
    "inf",
    "iso",
    "img",
    "vhd",
    "vhdx",
    "chm",
    "application",
    "appx",
    "msix",
    "msc",
    "gadget",
    "sct",
    "url",
    "html",
    "htm",
    "xll",
    "one",
    "svg",
    "sh",
    "py",
    "settingcontent-ms",
];
/// Extensions that readers trust.
const TRUSTED: &[&str] = &[
    "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "rtf", "csv", "jpg", "jpeg", "png", "gif", "bmp", "tif",
    "tiff", "mp3", "mp4", "avi", "mov", "wav", "odt", "ods", "eml", "msg", "zip", "rar", "7z", "html", "htm", "xml",
];

/// At most some names of some length, without empty and repeated ones.
pub fn bounded(names: Vec<Box<str>>) -> Vec<Box<str>> {
    let mut kept: Vec<Box<str>> = Vec::new();
    for name in names {
        let name: Box<str> = if name.len() > MAX_NAME { shortened(&name).into() } else { name };
        if !name.is_empty() && !kept.contains(&name) && kept.len() < MAX_NAMES {
            kept.push(name);
        }
    }
    kept
}

/// The end counts: it has the extension.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    name.chars().skip(count.saturating_sub(MAX_NAME)).collect()
}

/// A name that may be UTF-8 or the charset of an old system, mostly Japanese here.
pub fn decoded(octets: &[u8]) -> Box<str> {
    decoded_text(octets.get(..octets.len().min(4 * MAX_NAME + 4_096)).unwrap_or(octets)).into()
}

/// The same for a text of any length.
pub fn decoded_text(octets: &[u8]) -> String {
    if let Ok(name) = std::str::from_utf8(octets) {
        return name.into();
    }
    charset::decode(octets, None)
}

/// Marks what is wrong with the names, given what the content is.
pub fn judge(file: &mut FileSeen) {
    file.traits.retain(|one| !matches!(one, Trait::WrongExtension | Trait::DoubleExtension | Trait::DeceptiveName));
    let mut found = Vec::new();
    for name in &file.names {
        if is_escaping(name) {
            found.push(Trait::EscapingName);
        }
        if is_deceptive(name) {
            found.push(Trait::DeceptiveName);
        }
        if is_double(name) {
            found.push(Trait::DoubleExtension);
        }
        if is_wrong(name, file) {
            found.push(Trait::WrongExtension);
        }
    }
    for one in found {
        if !file.traits.contains(&one) {
            file.traits.push(one);
        }
    }
}

/// Whether the name leads out of the folder it is unpacked into.
pub fn is_escaping(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    name.starts_with(['/', '\\']) || drive || name.split(['/', '\\']).any(|part| part == "..")
}

/// Whether Windows runs a file of this name when it is opened. Pages and pictures are left to their content.
#[must_use]
pub fn runs(name: &str) -> bool {
    let last = extension(name);
    RUNS.contains(&&*last) && !matches!(&*last, "html" | "htm" | "svg" | "py" | "sh" | "one")
}

/// Characters that are not seen, or turn the order round.
fn is_deceptive(name: &str) -> bool {
    name.chars().any(|c| {
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{00ad}' | '\u{e0000}'..='\u{e007f}')
            || c.is_control()
    })
}

/// `invoice.pdf.exe`, or an extension that many blanks push out of sight.
fn is_double(name: &str) -> bool {
    let last = extension(name);
    if !RUNS.contains(&&*last) {
        return false;
    }
    let name = name.trim_end_matches(['.', ' ', '\0']);
    let Some((front, _)) = name.rsplit_once('.') else { return false };
    let blanks = front.chars().rev().take_while(|c| c.is_whitespace() || matches!(c, '\u{2800}' | '\u{3164}')).count();
    if blanks >= 3 {
        return true;
    }
    let before = extension(front);
    TRUSTED.contains(&&*before)
        && before != last
        && !matches!((&*before, &*last), ("html" | "htm" | "xml", "html" | "htm"))
}

/// Whether the last extension promises something harmless that the content is not.
fn is_wrong(name: &str, file: &FileSeen) -> bool {
    let last = extension(name);
    let Some(promised) = promised(&last) else { return false };
    let is = file.kind;
    let runs = matches!(is, FileKind::Executable | FileKind::Script | FileKind::Shortcut | FileKind::Java);
    if runs {
        return !promised.contains(&is);
    }
    // Text and the unknown are what broken files look like; only what opens as something else counts.
    let opens = matches!(
        is,
        FileKind::Html
            | FileKind::Svg
            | FileKind::Rtf
            | FileKind::Ole
            | FileKind::Ooxml
            | FileKind::OneNote
            | FileKind::Archive
            | FileKind::DiskImage
            | FileKind::Pdf
    );
    opens && !promised.contains(&is)
}

/// The kinds that go with an extension.
fn promised(extension: &str) -> Option<&'static [FileKind]> {
    use FileKind as K;
    Some(match extension {
        "pdf" => &[K::Pdf],
        "doc" | "dot" => &[K::Ole, K::Rtf, K::Ooxml, K::Html, K::Mail],
        "xls" | "xlt" | "xla" => &[K::Ole, K::Ooxml, K::Html, K::Mail, K::OpenDocument],
        "ppt" | "pps" | "pot" => &[K::Ole, K::Ooxml, K::Mail],
        "docx" | "xlsx" | "pptx" | "dotx" | "xltx" | "potx" | "ppsx" | "docm" | "xlsm" | "pptm" | "xlsb" => {
            &[K::Ooxml, K::Ole]
        }
        "rtf" => &[K::Rtf, K::Ooxml, K::Ole],
        "txt" | "log" | "csv" | "tsv" => &[K::Text, K::Mail, K::Html, K::Svg, K::Calendar, K::Certificate],
        "jpg" | "jpeg" | "png" | "gif" | "bmp" | "tif" | "tiff" | "webp" | "ico" | "emf" | "wmf" => &[K::Image],
        "mp3" | "mp4" | "wav" | "avi" | "mov" | "ogg" | "flac" | "m4a" => &[K::Audio, K::Image],
        "zip" | "rar" | "7z" | "cab" | "lzh" => &[K::Archive, K::Ooxml, K::OpenDocument, K::Java],
        "odt" | "ods" | "odp" => &[K::OpenDocument, K::Ooxml],
        "html" | "htm" => &[K::Html, K::Svg, K::Text, K::Mail],
        "eml" => &[K::Mail, K::Text],
        "ics" => &[K::Calendar, K::Text],
        "xml" => &[K::Text, K::Html, K::Svg, K::Ooxml],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(name: &str, kind: FileKind) -> Vec<Trait> {
        let mut file = FileSeen { names: vec![name.into()], kind, ..FileSeen::default() };
        judge(&mut file);
        file.traits
    }

    #[test]
    fn names_that_deceive() {
        assert_eq!(traits("invoice.pdf.exe", FileKind::Executable), [Trait::DoubleExtension]);
        assert_eq!(traits("invoice.pdf", FileKind::Executable), [Trait::WrongExtension]);
        assert_eq!(traits("invoice          .exe", FileKind::Executable), [Trait::DoubleExtension]);
        assert_eq!(traits("ann\u{202e}fdp.exe", FileKind::Executable), [Trait::DeceptiveName]);
        assert_eq!(traits("../../etc/cron.d/x", FileKind::Text), [Trait::EscapingName]);
        assert_eq!(traits("C:\\a.txt", FileKind::Text), [Trait::EscapingName]);
        assert_eq!(traits("photo.jpg", FileKind::Html), [Trait::WrongExtension]);
    }

    #[test]
    fn honest_names_are_left_alone() {
        for (name, kind) in [
            ("report.2024.pdf", FileKind::Pdf),
            ("a.tar.gz", FileKind::Compressed),
            ("見積書.xls", FileKind::Html),
            ("photo.jpg", FileKind::Image),
            ("notes.txt", FileKind::Text),
            ("setup.v1.2.exe", FileKind::Executable),
            ("index.html", FileKind::Html),
            ("broken.pdf", FileKind::Unknown),
        ] {
            assert_eq!(traits(name, kind), [], "{name}");
        }
    }

    #[test]
    fn old_charsets_are_read() {
        assert_eq!(&*decoded(b"\x8c\xa9\x90\xcf.txt"), "見積.txt");
        assert_eq!(&*decoded("見積.txt".as_bytes()), "見積.txt");
    }
}
