//! The Specimen: a read-only view of one message, as detectors see it. Made once for a message, shared by all of them.
//!
//! **Failure**: nothing fails. What could not be read is in [`Specimen::unchecked`], what mail programs read in several ways
//! in [`Specimen::ambiguities`], and the readings themselves are all in [`Specimen::parts`].
//! **Invariants**: every vector is bounded by [`Limits`]; a part names an earlier one as its parent.

use std::ops::Range;

use bytes::Bytes;

use crate::model::finding::Unchecked;

/// How much of a message is looked at, all parts and files together. Beyond a budget the message is `unscannable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Parts of MIME, attached mail included.
    pub parts: usize,
    /// Layers of multiparts and attached mail.
    pub depth: usize,
    /// Header fields of one header.
    pub fields: usize,
    /// Octets of one header.
    pub header_octets: usize,
    /// Octets of text in UTF-8, all parts together. What is longer is `unscannable`, and only its beginning is looked at.
    pub text: usize,
    pub links: usize,
    /// Files in all archives together.
    pub files: usize,
    /// Layers of archives.
    pub layers: usize,
    /// Octets of one unpacked file.
    pub file_octets: u64,
    /// Octets unpacked from all archives together.
    pub unpacked_octets: u64,
    /// Octets unpacked for each octet packed.
    pub ratio: u64,
}

impl Default for Limits {
    /// `semantics.md` 6 and reliability rows SEC-M02, SEC-M03, SEC-M10.
    fn default() -> Self {
        Self {
            parts: 1_000,
            depth: 64,
            fields: 2_000,
            header_octets: 1 << 20,
            text: 10 << 20,
            links: 10_000,
            files: 353,
            layers: 20,
            file_octets: 57 << 20,
            unpacked_octets: 60 << 20,
            ratio: 100,
        }
    }
}

/// Says whether time is up; asked often. The room has no clock of its own.
pub type TimeUp<'a> = &'a dyn Fn() -> bool;

/// One message.
#[derive(Debug, Default)]
pub struct Specimen {
    /// As it came, without the fields we prepend; canonical CRLF.
    pub raw: Bytes,
    /// Where the header of the message ends: the offset of its body.
    pub body: usize,
    /// Of the message itself, in order.
    pub fields: Vec<HeaderField>,
    /// The tree in document order, the message's own body first; a message without MIME has one part.
    pub parts: Vec<Part>,
    /// What a reader may see, part by part; texts from inside files too.
    pub texts: Vec<Text>,
    pub links: Vec<Link>,
    /// Attachments and what is inside them; without their octets.
    pub files: Vec<FileSeen>,
    pub ambiguities: Vec<Ambiguity>,
    pub unchecked: Vec<Unchecked>,
}

/// A field of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// As written.
    pub name: Box<str>,
    /// Behind the colon, folding included, without the last CRLF; a range of [`Specimen::raw`].
    pub raw: Range<usize>,
    /// Unfolded, encoded words decoded (RFC 2047, tolerantly), in Unicode.
    pub value: Box<str>,
}

/// A mailbox as a header writes it (RFC 5322 section 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// Decoded.
    pub name: Box<str>,
    /// `local@domain`, as written; may be no valid address.
    pub address: Box<str>,
}

/// What a part is, by the reading most mail programs agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    Multipart,
    /// An attached message; its own parts follow.
    Message,
    /// Text that is shown.
    Text,
    /// HTML that is shown.
    Html,
    /// Everything else, and text that is offered as a file.
    File,
}

/// One part of the tree.
#[derive(Debug, Clone)]
pub struct Part {
    /// `1.2.1` as IMAP counts (RFC 9051 section 6.4.5.1); unique but for second readings, which end in `'`.
    pub path: Box<str>,
    pub parent: Option<usize>,
    pub depth: usize,
    pub kind: PartKind,
    /// `text/html`, lower case; what the header claims.
    pub content_type: Box<str>,
    /// As claimed.
    pub charset: Option<Box<str>>,
    /// Every file name that some mail program would show, the likeliest first.
    pub names: Vec<Box<str>>,
    pub is_attachment: bool,
    /// Its header's fields, decoded; empty for the message's own body, whose fields are the Specimen's.
    pub fields: Vec<HeaderField>,
    /// Its encoded octets in [`Specimen::raw`]; empty if it came out of an encoded part.
    pub encoded: Range<usize>,
    /// Its octets with the transfer encoding taken off.
    pub octets: Bytes,
    /// Other octets that some mail program would see instead.
    pub other_octets: Vec<Bytes>,
    /// For text and HTML: its source in Unicode; for a file that is text, too. `None` beyond [`Limits::text`].
    pub text: Option<Box<str>>,
    /// Its source as other mail programs read the same octets.
    pub other_texts: Vec<Box<str>>,
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextSource {
    Plain,
    Html,
    /// The document in a file (PDF, office).
    File,
}

/// Something a reader may see.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// Index of the part.
    pub part: usize,
    pub source: Option<TextSource>,
    /// What is shown, in Unicode; lines end in LF.
    pub visible: Box<str>,
    /// What the markup hides from the reader: tiny, transparent, off the page, `display: none`.
    pub hidden: Box<str>,
    /// `visible` for matching: NFKC, lower case, without invisible characters, white space run together.
    pub folded: Box<str>,
    /// For HTML: what its markup is up to.
    pub signs: MarkupSigns,
}

/// What markup holds besides text and links. Counts stop at 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MarkupSigns {
    /// `<script>` or attributes `on…`; mail programs run neither.
    pub scripts: bool,
    /// A script that makes a file or unpacks a page, or a link that saves what is in the mail (HTML smuggling).
    pub smuggling: bool,
    pub password_field: bool,
    /// The page goes elsewhere by itself.
    pub refresh: bool,
    pub forms: u16,
    /// Frames, embedded objects.
    pub frames: u16,
    pub images: u16,
    /// Images of a pixel: somebody counts who reads.
    pub pixels: u16,
    /// Links whose content is in the mail: `data:`, `javascript:`.
    pub data_links: u16,
    /// Words with something between their letters that isn't seen.
    pub split_words: u16,
}

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkSource {
    Text,
    /// `<a href>` and the like.
    Anchor,
    /// What a form sends to.
    Form,
    /// Images and styles, fetched without a click.
    Image,
    Header,
    File,
    Qr,
    /// The target named in the parameters of a redirecting address.
    Redirect,
}

/// An address on the web, or one that a mail program makes a link of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub part: usize,
    pub source: LinkSource,
    /// As written, entities decoded; bounded.
    pub written: Box<str>,
    /// Normalized: scheme and host in lower case, host in ASCII (RFC 5891), percent-encoding of plain characters undone.
    pub url: Box<str>,
    /// In ASCII; an IP address as it is reached.
    pub host: Box<str>,
    /// The registrable domain; `None` for an IP address or a public suffix.
    pub domain: Option<Box<str>>,
    /// What the reader sees in its place, if it is something else.
    pub shown: Option<Box<str>>,
}

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FileKind {
    #[default]
    Unknown,
    Empty,
    Text,
    Html,
    Svg,
    Image,
    Audio,
    Pdf,
    Rtf,
    /// Compound file of old office programs, and MSI.
    Ole,
    /// Office Open XML.
    Ooxml,
    OpenDocument,
    OneNote,
    /// Windows, Linux, Mac.
    Executable,
    /// VBS, JS, PowerShell, batch, HTA, Python, shell …
    Script,
    Shortcut,
    Java,
    Archive,
    /// gzip, bzip2, xz, zstd: one file without a name of its own.
    Compressed,
    DiskImage,
    Tnef,
    Mail,
    Calendar,
    Certificate,
}

/// What is noteworthy about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trait {
    /// VBA.
    Macros,
    /// VBA that runs when the document is opened.
    AutoMacros,
    /// VBA that starts programs, loads from the web or hides what it does.
    SuspiciousMacros,
    /// Excel 4.0 macros.
    Xlm,
    Dde,
    /// Loads a template, frame or object from elsewhere.
    ExternalLink,
    EmbeddedObject,
    /// JavaScript in a PDF, script in HTML or SVG.
    Script,
    /// A PDF that starts or opens something by itself.
    Launch,
    /// HTML that makes a file or a form (HTML smuggling).
    Smuggling,
    /// A form that asks for a password.
    PasswordForm,
    /// The name's last extension is not what the content is.
    WrongExtension,
    /// `invoice.pdf.exe`, or blanks before the last extension.
    DoubleExtension,
    /// A right-to-left override or invisible characters in the name.
    DeceptiveName,
    /// An absolute path, `..`, a link or a device.
    EscapingName,
    /// Read in two ways by programs that open it.
    Ambiguous,
}

/// Whether there was a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lock {
    #[default]
    None,
    /// One of the words of the mail or the list opened it.
    Opened,
    Closed,
}

/// A file: an attachment, or something inside one.
#[derive(Debug, Clone, Default)]
pub struct FileSeen {
    pub part: usize,
    /// The container, an index of [`Specimen::files`].
    pub parent: Option<usize>,
    /// 0: the attachment itself.
    pub layer: usize,
    /// All names; the likeliest first. May be empty.
    pub names: Vec<Box<str>>,
    pub kind: FileKind,
    /// Of what the content is: `zip`, `pe`, `docx`.
    pub format: &'static str,
    /// Octets, unpacked.
    pub size: u64,
    pub sha256: [u8; 32],
    pub lock: Lock,
    pub traits: Vec<Trait>,
}

impl FileSeen {
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("", |name| name)
    }

    #[must_use]
    pub fn has(&self, noteworthy: Trait) -> bool {
        self.traits.contains(&noteworthy)
    }
}

/// Sees each file while its octets are at hand.
pub trait FileVisitor {
    /// `octets` are the whole file, unpacked; its container is still to be told of its own.
    fn file(&mut self, seen: &FileSeen, octets: &[u8]);
}

/// Why mail programs read the message in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ambiguity {
    /// A field twice, of which one counts.
    DuplicateField,
    /// A parameter twice, or in two encodings.
    DuplicateParameter,
    /// Comments, blanks or quotes where there should be none.
    OddSyntax,
    UnknownEncoding,
    /// Octets in base64 or quoted-printable that don't belong there.
    BrokenEncoding,
    /// A boundary that is missing, ends early, or begins another.
    Boundary,
    /// A multipart with a transfer encoding, or a header that is none.
    BrokenHeader,
    /// NUL or bare CR or LF.
    Octets,
    /// The charset named isn't the one used, and more than one fits.
    Charset,
    /// More than one author, or none.
    Author,
}

/// How a text begins that is signed in itself (RFC 9580 section 7).
const CLEAR_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

impl Specimen {
    /// The first field of this name, decoded.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields_named(name).next().map(|field| &*field.value)
    }

    pub fn fields_named<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s HeaderField> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
    }

    /// Whether a person's digital signature is on it (S/MIME, RFC 8551; OpenPGP, RFC 3156, or in the text): it breaks with every
    /// change of what is signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.has_type(&[
            "multipart/signed",
            "application/pkcs7-mime",
            "application/x-pkcs7-mime",
            "application/pkcs7-signature",
        ]) || self
            .parts
            .iter()
            .filter(|part| part.kind == PartKind::Text)
            .filter_map(|part| part.text.as_deref())
            .any(|text| text.trim_start().starts_with(CLEAR_SIGNED))
    }

    /// Whether the message, or what stands in it first of all, claims to be one of these types.
    #[must_use]
    pub fn has_type(&self, types: &[&str]) -> bool {
        self.parts.iter().any(|part| part.depth <= 1 && types.contains(&&*part.content_type))
    }

    #[must_use]
    pub fn subject(&self) -> &str {
        self.field("Subject").unwrap_or_default()
    }
}
