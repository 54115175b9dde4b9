//! The octets of one message, from DATA (RFC 5321 section 4.5.2) or from BDAT chunks (RFC 3030): finds the end, undoes dot
//! stuffing, and holds the message to CRLF, line length, header size and message size.
//!
//! **Invariants**: DATA ends at CRLF.CRLF and nowhere else. What is stored before a defect is canonical: every line ends in
//! CRLF, no other CR or LF, no NUL. The first defect in the order of octets wins, stored octets end exactly there, and
//! the rest is counted but not kept; all of it the same however the input was cut into reads.

use bytes::{BufMut, BytesMut};
use memchr::memchr3;

use super::config::Limits;
use super::replies;
use crate::model::Reply;

/// Why a message is refused although it has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    BareLineBreak,
    HeaderTooLarge,
    LineTooLong,
    MessageTooLarge,
    Nul,
}

impl Defect {
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::BareLineBreak => replies::UNSOUND_LINES,
            Self::HeaderTooLarge => replies::LARGE_HEADER,
            Self::LineTooLong => replies::LONG_LINE,
            Self::MessageTooLarge => replies::TOO_LARGE,
            Self::Nul => replies::UNSOUND_NUL,
        }
    }
}

/// Where the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    Text,
    /// After a CR, which is stored already.
    Cr,
    /// After the dot at the start of a line, which is not stored.
    Dot,
    /// After that dot and a CR, neither stored.
    DotCr,
}

/// How a message's octets are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Dots are stuffed and CRLF.CRLF ends it.
    Data,
    /// Plain octets; the end is told from outside.
    Chunks,
}

/// What one piece of input came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub consumed: usize,
    /// CRLF.CRLF was seen (never with [`Framing::Chunks`]).
    pub ended: bool,
}

/// Reads one message.
#[derive(Debug)]
pub struct BodyReader {
    framing: Framing,
    at: At,
    in_header: bool,
    defect: Option<Defect>,
    header_fields: u32,
    /// Octets of the current line so far, stuffed dot not counted.
    line: usize,
    stored: u64,
    /// Octets read after the first defect.
    discarded: u64,
}

impl BodyReader {
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            at: At::LineStart,
            in_header: true,
            defect: None,
            header_fields: 0,
            line: 0,
            stored: 0,
            discarded: 0,
        }
    }

    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// Octets handed to `body` so far.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }

    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// All octets that were read, stuffed dots left out.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.stored.saturating_add(self.discarded)
    }

    /// Reads a piece, storing what belongs to the message.
    pub fn read(&mut self, input: &[u8], limits: &Limits, body: &mut BytesMut) -> Progress {
        let mut piece = Piece { reader: self, limits, body, input, next: 0, run: 0 };
        let ended = piece.scan();
        piece.flush();
        let consumed = piece.next;
        Progress { consumed, ended }
    }

    /// The last chunk has come: a message that doesn't end in CRLF gets one, a lone CR at the end is a defect.
    /// A header line ended this way is held to the limits like any other.
    pub fn finish(&mut self, limits: &Limits, body: &mut BytesMut) {
        if self.at == At::Cr {
            self.defect.get_or_insert(Defect::BareLineBreak);
        }
        if self.defect.is_none() && self.at == At::Text {
            body.put_slice(b"\r\n");
            self.stored += 2;
            self.at = At::LineStart;
            if self.in_header && self.header_is_too_large(limits, 0) {
                self.defect = Some(Defect::HeaderTooLarge);
            }
        }
    }

    /// With so many octets behind those that are stored.
    fn header_is_too_large(&self, limits: &Limits, pending: u64) -> bool {
        self.stored.saturating_add(pending) > limits.header_bytes || self.header_fields > limits.header_count
    }
}

/// One call's view: the octets from `run` to `next` are to be stored in one copy.
struct Piece<'a> {
    reader: &'a mut BodyReader,
    limits: &'a Limits,
    body: &'a mut BytesMut,
    input: &'a [u8],
    next: usize,
    run: usize,
}

impl Piece<'_> {
    /// True at CRLF.CRLF.
    fn scan(&mut self) -> bool {
        while let Some(&byte) = self.input.get(self.next) {
            match (self.reader.at, byte) {
                (At::LineStart, b'.') if self.reader.framing == Framing::Data => {
                    self.skip();
                    self.reader.at = At::Dot;
                }
                (At::LineStart, _) => self.begin_line(byte),
                (At::Text, _) => self.text(),
                (At::Cr, b'\n') => {
                    self.next += 1;
                    self.end_line();
                }
                (At::Cr, _) => {
                    self.found(Defect::BareLineBreak);
                    self.reader.at = At::Text;
                }
                (At::Dot, b'\r') => {
                    self.skip();
                    self.reader.at = At::DotCr;
                }
                (At::Dot, _) => self.begin_line(byte),
                (At::DotCr, b'\n') => {
                    self.skip();
                    return true;
                }
                (At::DotCr, _) => {
                    self.found(Defect::BareLineBreak);
                    self.reader.at = At::Text;
                }
            }
        }
        false
    }

    fn begin_line(&mut self, first: u8) {
        if self.reader.in_header && !matches!(first, b' ' | b'\t' | b'\r') {
            self.reader.header_fields += 1;
        }
        self.reader.at = At::Text;
    }

    /// Up to the next octet that means something.
    fn text(&mut self) {
        let rest = self.input.get(self.next..).unwrap_or_default();
        let special = memchr3(b'\r', b'\n', 0, rest);
        let length = special.unwrap_or(rest.len());
        let room = self.limits.data_line.saturating_sub(self.reader.line);
        if length > room {
            self.next += room;
            self.found(Defect::LineTooLong);
            self.next += length - room;
        } else {
            self.next += length;
        }
        self.reader.line = self.reader.line.saturating_add(length);
        match special.and_then(|at| rest.get(at..)) {
            None => {}
            Some([b'\r', b'\n', ..]) => {
                self.next += 2;
                self.end_line();
            }
            Some([b'\r', ..]) => {
                self.next += 1;
                self.reader.at = At::Cr;
            }
            Some([0, ..]) => {
                self.found(Defect::Nul);
                self.next += 1;
            }
            Some(_) => {
                self.found(Defect::BareLineBreak);
                self.next += 1;
            }
        }
    }

    /// After CRLF.
    fn end_line(&mut self) {
        let reader = &mut *self.reader;
        let empty = reader.line == 0;
        reader.line = 0;
        reader.at = At::LineStart;
        if !reader.in_header {
            return;
        }
        reader.in_header = !empty;
        let pending = u64::try_from(self.next - self.run).unwrap_or(u64::MAX);
        if reader.header_is_too_large(self.limits, pending) {
            self.found(Defect::HeaderTooLarge);
        }
    }

    /// Passes over one octet that is not stored.
    fn skip(&mut self) {
        self.flush();
        self.next += 1;
        self.run = self.next;
    }

    /// Stores the run, and nothing more from here on.
    fn found(&mut self, defect: Defect) {
        self.flush();
        self.reader.defect.get_or_insert(defect);
    }

    fn flush(&mut self) {
        let run = self.input.get(self.run..self.next).unwrap_or_default();
        self.run = self.next;
        let length = u64::try_from(run.len()).unwrap_or(u64::MAX);
        if self.reader.defect.is_some() {
            self.reader.discarded = self.reader.discarded.saturating_add(length);
            return;
        }
        let room = self.limits.message_size.saturating_sub(self.reader.stored);
        let kept = usize::try_from(room).unwrap_or(usize::MAX).min(run.len());
        self.body.extend_from_slice(run.get(..kept).unwrap_or_default());
        self.reader.stored += length.min(room);
        if length > room {
            self.reader.defect = Some(Defect::MessageTooLarge);
            self.reader.discarded = length - room;
        }
    }
}
