//! What a file is, by its content; the name only decides which text is a script.
//!
//! **Failure**: what nothing matches is [`FileKind::Unknown`] or, without control characters, [`FileKind::Text`].
//! **Invariants**: looks at no more than `LOOKED_AT` octets at the beginning and fixed places behind.

use file_format::{FileFormat, Kind};

use super::octets::{byte, contains_ignoring_case, le16, le32, le64, slice, up_to};
use crate::message::specimen::FileKind;

/// Octets of the beginning that are searched.
const LOOKED_AT: usize = 4_096;

/// Kind and name of the format.
pub type Form = (FileKind, &'static str);

/// Signatures at the beginning. The longer ones stand first where two begin alike.
const MAGIC: &[(&[u8], FileKind, &str)] = &[
    (b"PK\x03\x04", FileKind::Archive, "zip"),
    (b"PK\x05\x06", FileKind::Archive, "zip"),
    (b"PK\x07\x08PK\x03\x04", FileKind::Archive, "zip"),
    (b"PK00PK\x03\x04", FileKind::Archive, "zip"),
    (b"Rar!\x1a\x07", FileKind::Archive, "rar"),
    (b"RE\x7e\x5e", FileKind::Archive, "rar"),
    (b"7z\xbc\xaf\x27\x1c", FileKind::Archive, "7z"),
    (b"MSCF\0\0\0\0", FileKind::Archive, "cab"),
    (b"ISc(", FileKind::Archive, "installshield"),
    (b"\x60\xea", FileKind::Archive, "arj"),
    (b"ALZ\x01", FileKind::Archive, "alz"),
    (b"EGGA", FileKind::Archive, "egg"),
    (b"070701", FileKind::Archive, "cpio"),
    (b"070702", FileKind::Archive, "cpio"),
    (b"070707", FileKind::Archive, "cpio"),
    (b"!<arch>\n", FileKind::Archive, "ar"),
    (b"xar!", FileKind::Archive, "xar"),
    (b"\xed\xab\xee\xdb", FileKind::Archive, "rpm"),
    (b"MSWIM\0\0\0", FileKind::DiskImage, "wim"),
    (b"hsqs", FileKind::DiskImage, "squashfs"),
    (b"conectix", FileKind::DiskImage, "vhd"),
    (b"vhdxfile", FileKind::DiskImage, "vhdx"),
    (b"ITSF\x03\0\0\0", FileKind::Archive, "chm"),
    (b"\x1f\x8b", FileKind::Compressed, "gz"),
    (b"\x1f\x9d", FileKind::Compressed, "z"),
    (b"\xfd7zXZ\0", FileKind::Compressed, "xz"),
    (b"\x28\xb5\x2f\xfd", FileKind::Compressed, "zst"),
    (b"LZIP", FileKind::Compressed, "lz"),
    (b"\x04\x22\x4d\x18", FileKind::Compressed, "lz4"),
    (b"\x02\x21\x4c\x18", FileKind::Compressed, "lz4"),
    (b"\x89LZO\0\r\n\x1a\n", FileKind::Compressed, "lzo"),
    (b"LRZI", FileKind::Compressed, "lrzip"),
    (b"GRZipII\0", FileKind::Compressed, "grzip"),
    (b"SZDD\x88\xf0\x27\x33", FileKind::Compressed, "szdd"),
    (b"KWAJ\x88\xf0\x27\xd1", FileKind::Compressed, "kwaj"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind::Ole, "ole"),
    (b"{\\rt", FileKind::Rtf, "rtf"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", FileKind::OneNote, "one"),
    (b"\x78\x9f\x3e\x22", FileKind::Tnef, "tnef"),
    (b"L\0\0\0\x01\x14\x02\0", FileKind::Shortcut, "lnk"),
    (b"\x7fELF", FileKind::Executable, "elf"),
    (b"\xfe\xed\xfa\xce", FileKind::Executable, "macho"),
    (b"\xfe\xed\xfa\xcf", FileKind::Executable, "macho"),
    (b"\xce\xfa\xed\xfe", FileKind::Executable, "macho"),
    (b"\xcf\xfa\xed\xfe", FileKind::Executable, "macho"),
    (b"dex\n", FileKind::Executable, "dex"),
    (b"\x89PNG\r\n\x1a\n", FileKind::Image, "png"),
    (b"\xff\xd8\xff", FileKind::Image, "jpeg"),
    (b"GIF87a", FileKind::Image, "gif"),
    (b"GIF89a", FileKind::Image, "gif"),
    (b"II*\0", FileKind::Image, "tiff"),
    (b"MM\0*", FileKind::Image, "tiff"),
    (b"\xd7\xcd\xc6\x9a", FileKind::Image, "wmf"),
    (b"\0\0\x01\0", FileKind::Image, "ico"),
    (b"ID3", FileKind::Audio, "mp3"),
    (b"OggS", FileKind::Audio, "ogg"),
    (b"fLaC", FileKind::Audio, "flac"),
    (b"FWS", FileKind::Executable, "swf"),
    (b"CWS", FileKind::Executable, "swf"),
    (b"ZWS", FileKind::Executable, "swf"),
    (b"-----BEGIN CERT", FileKind::Certificate, "pem"),
    (b"-----BEGIN PKCS7", FileKind::Certificate, "p7"),
];

/// `name` may be empty.
pub fn of(octets: &[u8], name: &str) -> Form {
    if octets.is_empty() {
        return (FileKind::Empty, "empty");
    }
    if let Some(form) = by_magic(octets) {
        return form;
    }
    let head = up_to(octets, 0, LOOKED_AT);
    let extension = extension(name);
    if let Some(form) = text(head, &extension) {
        return form;
    }
    if let Some(form) = weak(octets, head, &extension) {
        return form;
    }
    by_crate(head)
}

/// The last extension, in lower case and without what Windows drops from the end.
pub fn extension(name: &str) -> String {
    let name = name.trim_end_matches(['.', ' ', '\0']);
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    match name.rsplit_once('.') {
        Some((_, extension)) if extension.len() <= 16 => extension.trim().to_lowercase(),
        _ => String::new(),
    }
}

fn by_magic(octets: &[u8]) -> Option<Form> {
    if octets.starts_with(b"MZ") {
        return Some((FileKind::Executable, "pe"));
    }
    if let Some(&(_, kind, format)) = MAGIC.iter().find(|(magic, ..)| octets.starts_with(magic)) {
        // Two octets alone prove little: an ARJ header has a size below 2,600, too.
        let proven = match format {
            "arj" => le16(octets, 2).is_some_and(|size| (30..2_600).contains(&size)),
            "mp3" => octets.len() > 10,
            "ico" => le16(octets, 4).is_some_and(|images| (1..256).contains(&images)),
            "swf" => byte(octets, 3).is_some_and(|version| (1..64).contains(&version)),
            "gz" => byte(octets, 2) == Some(8),
            _ => true,
        };
        if proven {
            return Some((kind, format));
        }
    }
    placed(octets)
}

/// Signatures that stand elsewhere, or need a second look.
fn placed(octets: &[u8]) -> Option<Form> {
    let has = |at: usize, magic: &[u8]| slice(octets, at, magic.len()) == Some(magic);
    if octets.starts_with(b"BZh") && (has(4, b"1AY&SY") || has(4, b"\x17\x72\x45\x38\x50\x90")) {
        return Some((FileKind::Compressed, "bz2"));
    }
    // A skippable frame, in front of a real one.
    if has(1, b"\x2a\x4d\x18") && byte(octets, 0).is_some_and(|low| low & 0xf0 == 0x50) {
        return Some((FileKind::Compressed, "zst"));
    }
    if octets.starts_with(b"\xca\xfe\xba\xbe") {
        // A fat Mach-O counts its few architectures where a class file has its version.
        let fat = slice(octets, 4, 4).is_some_and(|count| count.starts_with(&[0, 0, 0]) && count.last() < Some(&32));
        return Some(if fat { (FileKind::Executable, "macho") } else { (FileKind::Java, "class") });
    }
    if has(8, b"\x19\x04\0\x10") || has(0, b"\x7a\x1a\x20\x10") {
        return Some((FileKind::Archive, "sis"));
    }
    if has(7, b"**ACE**") {
        return Some((FileKind::Archive, "ace"));
    }
    if byte(octets, 2) == Some(b'-') && byte(octets, 6) == Some(b'-') {
        let method = slice(octets, 3, 2);
        if method.is_some_and(|method| matches!(method, b"lh" | b"lz" | b"pm")) {
            return Some((FileKind::Archive, "lzh"));
        }
    }
    if has(0, b"RIFF") {
        return Some(match slice(octets, 8, 4) {
            Some(b"WEBP") => (FileKind::Image, "webp"),
            Some(b"WAVE") => (FileKind::Audio, "wav"),
            _ => (FileKind::Audio, "riff"),
        });
    }
    if has(40, b" EMF") && octets.starts_with(&[1, 0, 0, 0]) {
        return Some((FileKind::Image, "emf"));
    }
    if octets.starts_with(b"BM")
        && le32(octets, 14).is_some_and(|header| matches!(header, 12 | 40 | 52 | 56 | 64 | 108 | 124))
    {
        return Some((FileKind::Image, "bmp"));
    }
    if has(257, b"ustar") || is_old_tar(octets) {
        return Some((FileKind::Archive, "tar"));
    }
    if [0x8001, 0x8801, 0x9001].iter().any(|&at| has(at, b"CD001")) {
        return Some((FileKind::DiskImage, "iso"));
    }
    if [0x8001, 0x8801, 0x9001].iter().any(|&at| has(at, b"NSR02") || has(at, b"NSR03") || has(at, b"BEA01")) {
        return Some((FileKind::DiskImage, "udf"));
    }
    // Readers look for the signature in the first kilobyte.
    if memchr::memmem::find(up_to(octets, 0, 1_024), b"%PDF-").is_some() {
        return Some((FileKind::Pdf, "pdf"));
    }
    None
}

/// A header from before `ustar`: its checksum is right.
fn is_old_tar(octets: &[u8]) -> bool {
    let Some(header) = slice(octets, 0, 512) else { return false };
    let written = up_to(header, 148, 8);
    let digits: Vec<u8> = written.iter().copied().filter(u8::is_ascii_digit).collect();
    let Ok(written) = u32::from_str_radix(&String::from_utf8_lossy(&digits), 8) else { return false };
    let counted: u32 = header
        .iter()
        .enumerate()
        .map(|(at, &octet)| if (148..156).contains(&at) { 32 } else { u32::from(octet) })
        .sum();
    written == counted && written > 256
}

/// Formats with a signature too short to be believed before text is ruled out.
fn weak(octets: &[u8], head: &[u8], extension: &str) -> Option<Form> {
    if (octets.starts_with(b"\xc7\x71") || octets.starts_with(b"\x71\xc7")) && octets.len() > 26 {
        return Some((FileKind::Archive, "cpio"));
    }
    // .lzma: properties, dictionary and size; only the usual ones are believed.
    if octets.first().is_some_and(|&properties| properties < 225) && octets.len() > 13 {
        let dictionary = le32(octets, 1)?;
        let size = le64(octets, 5)?;
        let usual = dictionary.is_power_of_two() || (dictionary / 3).is_power_of_two() && dictionary % 3 == 0;
        if usual
            && (1 << 12..=1 << 30).contains(&dictionary)
            && (size == u64::MAX || size < 1 << 38)
            && octets.get(13) == Some(&0)
        {
            return Some((FileKind::Compressed, "lzma"));
        }
    }
    if octets.starts_with(b"\x30\x82") || octets.starts_with(b"\x30\x80") {
        return Some((FileKind::Certificate, if matches!(extension, "p7m" | "p7s" | "p7b") { "p7" } else { "der" }));
    }
    let utf16 = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    if utf16 {
        let narrow: Vec<u8> = head.iter().copied().filter(|&octet| octet != 0).skip(2).collect();
        return Some(markup(&narrow).or_else(|| script(&narrow, extension)).unwrap_or((FileKind::Text, "text")));
    }
    None
}

/// Text of any ASCII-compatible charset: no control characters but those of lines.
fn text(head: &[u8], extension: &str) -> Option<Form> {
    let controls =
        head.iter().filter(|&&octet| octet < 32 && !matches!(octet, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)).count();
    // Markup stays markup with a few odd octets in it: browsers don't mind.
    if controls > 0 && controls * 50 > head.len() {
        return None;
    }
    if let Some(form) = markup(head) {
        return Some(form);
    }
    if controls > 0 {
        return None;
    }
    if memchr::memmem::find(head, b"(This file must be converted with BinHex").is_some() {
        return Some((FileKind::Archive, "binhex"));
    }
    if let Some(form) = script(head, extension) {
        return Some(form);
    }
    if is_mail(head, extension) {
        return Some((FileKind::Mail, "mail"));
    }
    if contains_ignoring_case(up_to(head, 0, 64), b"begin:vcalendar") {
        return Some((FileKind::Calendar, "ics"));
    }
    if head.starts_with(b"ID;P") {
        return Some((FileKind::Text, "slk"));
    }
    Some((FileKind::Text, "text"))
}

fn markup(head: &[u8]) -> Option<Form> {
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if !start.starts_with(b"<")
        && !contains_ignoring_case(up_to(start, 0, 1_024), b"<html")
        && !contains_ignoring_case(up_to(start, 0, 1_024), b"<script")
    {
        return None;
    }
    let near = up_to(start, 0, 2_048);
    if contains_ignoring_case(near, b"<hta:application") {
        return Some((FileKind::Script, "hta"));
    }
    if contains_ignoring_case(near, b"<job") && contains_ignoring_case(near, b"<script") {
        return Some((FileKind::Script, "wsf"));
    }
    let is_xml = contains_ignoring_case(up_to(start, 0, 64), b"<?xml");
    let svg = contains_ignoring_case(near, b"<svg");
    let html = [
        &b"<html"[..],
        b"<!doctype html",
        b"<head",
        b"<body",
        b"<script",
        b"<title",
        b"<meta",
        b"<iframe",
        b"<form",
        b"<table",
        b"<div",
        b"<a href",
        b"<img",
    ]
    .iter()
    .any(|tag| contains_ignoring_case(near, tag));
    if svg && (is_xml || start.starts_with(b"<svg") || contains_ignoring_case(near, b"<!doctype svg") || !html) {
        return Some((FileKind::Svg, "svg"));
    }
    if is_xml && contains_ignoring_case(near, b"urn:schemas-microsoft-com:office")
        || contains_ignoring_case(near, b"mso-application")
    {
        return Some((FileKind::Ooxml, "office-xml"));
    }
    if contains_ignoring_case(near, b"schemas.microsoft.com/office/2006/xmlpackage")
        || contains_ignoring_case(near, b"schemas.microsoft.com/office/word/2003")
    {
        return Some((FileKind::Ooxml, "office-xml"));
    }
    if html {
        return Some((FileKind::Html, "html"));
    }
    is_xml.then_some((FileKind::Text, "xml"))
}

/// Text that a program runs. Its name says so, or its first line.
fn script(head: &[u8], extension: &str) -> Option<Form> {
    let format = match extension {
        "vbs" | "vbe" | "vb" => "vbs",
        "js" | "jse" | "mjs" => "js",
        "wsf" | "wsh" | "wsc" | "sct" => "wsf",
        "hta" => "hta",
        "ps1" | "psm1" | "psd1" | "ps1xml" | "psc1" | "ps2" | "msh" => "ps1",
        "bat" | "cmd" | "btm" => "bat",
        "sh" | "bash" | "zsh" | "csh" | "command" => "sh",
        "py" | "pyw" => "py",
        "pl" => "pl",
        "rb" => "rb",
        "php" | "phtml" => "php",
        "reg" => "reg",
        "inf" => "inf",
        "scf" => "scf",
        "url" | "website" => "url",
        "ahk" | "au3" | "a3x" => "autoit",
        "applescript" | "scpt" => "applescript",
        "settingcontent-ms" | "appref-ms" | "application" | "library-ms" | "search-ms" | "msc" | "desktop" | "rdp"
        | "ics-ms" => "launcher",
        "iqy" | "oqy" | "rqy" | "dqy" => "query",
        _ if head.starts_with(b"#!") => "sh",
        _ if head.starts_with(b"#@~^") => "vbs",
        _ if contains_ignoring_case(up_to(head, 0, 64), b"[internetshortcut]") => "url",
        _ if contains_ignoring_case(up_to(head, 0, 64), b"windows registry editor") => "reg",
        _ if contains_ignoring_case(up_to(head, 0, 64), b"@echo off") => "bat",
        _ => return None,
    };
    let kind =
        if matches!(format, "url" | "scf" | "launcher" | "query") { FileKind::Shortcut } else { FileKind::Script };
    Some((kind, format))
}

/// Whether it begins like a message: two fields that mail has, or an mbox.
fn is_mail(head: &[u8], extension: &str) -> bool {
    const FIELDS: [&[u8]; 14] = [
        b"from:",
        b"to:",
        b"subject:",
        b"date:",
        b"received:",
        b"return-path:",
        b"message-id:",
        b"mime-version:",
        b"content-type:",
        b"content-transfer-encoding:",
        b"delivered-to:",
        b"reply-to:",
        b"x-",
        b"dkim-signature:",
    ];
    let wanted = if matches!(extension, "eml" | "mht" | "mhtml") || head.starts_with(b"From ") { 1 } else { 3 };
    let mut fields = 0;
    for line in head.split(|&octet| octet == b'\n').take(40) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") || line.starts_with(b"From ") {
            continue;
        }
        if !up_to(line, 0, 80).contains(&b':') {
            return false;
        }
        let known = FIELDS
            .iter()
            .any(|field| slice(line, 0, field.len()).is_some_and(|start| start.eq_ignore_ascii_case(field)));
        fields += usize::from(known);
    }
    fields >= wanted
}

/// The rest by the catalogue of the crate, which reads only the beginning.
fn by_crate(head: &[u8]) -> Form {
    let format = FileFormat::from_bytes(head);
    if format == FileFormat::ArbitraryBinaryData || format == FileFormat::PlainText {
        return (FileKind::Unknown, "unknown");
    }
    match format.kind() {
        Kind::Image => (FileKind::Image, "picture"),
        Kind::Video => (FileKind::Image, "video"),
        Kind::Audio => (FileKind::Audio, "sound"),
        Kind::Archive | Kind::Package => (FileKind::Archive, "archive"),
        Kind::Compressed => (FileKind::Compressed, "compressed"),
        Kind::Disk => (FileKind::DiskImage, "disk"),
        _ => (FileKind::Unknown, "other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides() {
        assert_eq!(of(b"MZ\x90\0\x03\0", "invoice.pdf"), (FileKind::Executable, "pe"));
        assert_eq!(of(b"junk\n%PDF-1.4\n", "a.txt"), (FileKind::Pdf, "pdf"));
        assert_eq!(of(b"", "a"), (FileKind::Empty, "empty"));
        assert_eq!(of(b"hello\n", "a.exe"), (FileKind::Text, "text"));
        assert_eq!(of(b"\0\x01\x02\xff\0\0", ""), (FileKind::Unknown, "unknown"));
    }

    #[test]
    fn the_name_makes_text_a_script() {
        assert_eq!(of(b"x = 1\n", "a.JS. "), (FileKind::Script, "js"));
        assert_eq!(of(b"x = 1\n", "a.js.txt"), (FileKind::Text, "text"));
        assert_eq!(of(b"[InternetShortcut]\r\nURL=x", "a"), (FileKind::Shortcut, "url"));
    }

    #[test]
    fn markup_is_told_apart() {
        assert_eq!(of(b"  <!DOCTYPE HTML><p>", "").0, FileKind::Html);
        assert_eq!(of(b"<?xml version='1.0'?><svg xmlns=''>", "").0, FileKind::Svg);
        assert_eq!(
            of("\u{feff}<html>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().as_slice(), "").0,
            FileKind::Html
        );
    }

    #[test]
    fn mail_needs_fields() {
        assert_eq!(of(b"From: a@b\r\nTo: c@d\r\nSubject: x\r\n\r\nhi", "").0, FileKind::Mail);
        assert_eq!(of(b"From: here to there\nand so on", "").0, FileKind::Text);
    }
}
