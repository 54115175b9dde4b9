//! Text of a file that people made: which encoding it is in, and reading and writing it piece by piece.
//!
//! **Failure**: octets that are no text become U+FFFD, which the reading of rows refuses by line. A row that doesn't end
//! within [`MAX_ROW`] octets (a quote that is not closed) ends the reading.
//! **Invariants**: memory is bounded, however long the file.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use encoding_rs::{CoderResult, Decoder, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};

/// Longest row, in octets of UTF-8.
pub const MAX_ROW: usize = 64 << 10;

/// How a file is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// Shift_JIS with the extensions of Windows.
    Cp932,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Cp932 => "CP932",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
        }
    }

    fn codec(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Cp932 => SHIFT_JIS,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
        }
    }
}

/// Finds out the encoding from all pieces of a file: by its mark, otherwise UTF-8 if all of it is, otherwise CP932.
#[derive(Debug, Default)]
pub struct Detector {
    /// Up to three octets from the beginning.
    head: Vec<u8>,
    /// The unfinished character at the end of the last piece.
    rest: Vec<u8>,
    not_utf8: bool,
}

impl Detector {
    pub fn piece(&mut self, octets: &[u8]) {
        let missing = 3usize.saturating_sub(self.head.len());
        self.head.extend(octets.iter().take(missing));
        if self.not_utf8 {
            return;
        }
        self.rest.extend_from_slice(octets);
        match std::str::from_utf8(&self.rest) {
            Ok(_) => self.rest.clear(),
            Err(error) if error.error_len().is_none() => {
                self.rest.drain(..error.valid_up_to());
            }
            Err(_) => {
                self.not_utf8 = true;
                self.rest = Vec::new();
            }
        }
    }

    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.head.as_slice() {
            [0xef, 0xbb, 0xbf] => Encoding::Utf8,
            [0xff, 0xfe, ..] => Encoding::Utf16Le,
            [0xfe, 0xff, ..] => Encoding::Utf16Be,
            _ if self.not_utf8 || !self.rest.is_empty() => Encoding::Cp932,
            _ => Encoding::Utf8,
        }
    }
}

/// Reads another encoding as UTF-8, without a mark at the beginning. Every line ends in LF alone, the last one too, so that
/// lines can be counted.
pub struct Decoding<R> {
    from: R,
    decoder: Decoder,
    input: Box<[u8]>,
    /// The part of `input` that waits.
    waiting: std::ops::Range<usize>,
    ended: bool,
    /// The decoder has given its last.
    finished: bool,
    /// The last octet that the decoder gave.
    last: u8,
    since: RowLength,
}

/// How much was read since the last row; the reader of rows sets it back.
#[derive(Debug, Clone, Default)]
pub struct RowLength(Rc<Cell<usize>>);

impl RowLength {
    pub fn row_ended(&self) {
        self.0.set(0);
    }
}

impl<R> std::fmt::Debug for Decoding<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoding").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl<R: Read> Decoding<R> {
    pub fn new(from: R, encoding: Encoding) -> Self {
        Self {
            from,
            decoder: encoding.codec().new_decoder_with_bom_removal(),
            input: vec![0; 16 << 10].into(),
            waiting: 0..0,
            ended: false,
            finished: false,
            last: b'\n',
            since: RowLength::default(),
        }
    }

    #[must_use]
    pub fn row_length(&self) -> RowLength {
        self.since.clone()
    }

    /// CR LF and CR alone become LF; returns how many octets are left.
    fn line_ends(&mut self, out: &mut [u8], written: usize) -> usize {
        let mut kept = 0;
        for at in 0..written {
            let Some(octet) = out.get(at).copied() else { break };
            let second_half = octet == b'\n' && self.last == b'\r';
            self.last = octet;
            if let (false, Some(to)) = (second_half, out.get_mut(kept)) {
                *to = if octet == b'\r' { b'\n' } else { octet };
                kept += 1;
            }
        }
        kept
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.since.0.get() > MAX_ROW + READ_AHEAD {
                let message = format!("a row is longer than {MAX_ROW} octets: a quote that is not closed?");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            if self.finished {
                return Ok(0);
            }
            if self.waiting.is_empty() && !self.ended {
                let read = self.from.read(&mut self.input)?;
                self.waiting = 0..read;
                self.ended = read == 0;
            }
            let input = self.input.get(self.waiting.clone()).unwrap_or_default();
            let (result, read, written, _) = self.decoder.decode_to_utf8(input, out, self.ended);
            self.waiting.start += read;
            self.since.0.set(self.since.0.get() + written);
            self.finished = self.ended && result == CoderResult::InputEmpty;
            let mut kept = self.line_ends(out, written);
            if self.finished && !matches!(self.last, b'\n' | b'\r') {
                match out.get_mut(kept) {
                    Some(end) => {
                        *end = b'\n';
                        self.last = b'\n';
                        kept += 1;
                    }
                    // Next time.
                    None => self.finished = false,
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
            if written == 0 && result == CoderResult::OutputFull {
                return Err(io::Error::other("no room for a character"));
            }
        }
    }
}

/// A reader of rows asks for this much at once before it sees that a row has ended.
const READ_AHEAD: usize = 64 << 10;

/// CP932, if reading it back gives the same text; otherwise the first character that it can't hold.
///
/// # Errors
/// That character.
pub fn to_cp932(text: &str) -> Result<Vec<u8>, char> {
    let (octets, _, lost) = SHIFT_JIS.encode(text);
    if !lost && SHIFT_JIS.decode_without_bom_handling(&octets).0 == text {
        return Ok(octets.into_owned());
    }
    // Some characters are written as others that look like them: they don't come back.
    let one = |c: &char| {
        let mut buffer = [0; 4];
        let c = &*c.encode_utf8(&mut buffer);
        let (octets, _, lost) = SHIFT_JIS.encode(c);
        lost || SHIFT_JIS.decode_without_bom_handling(&octets).0 != c
    };
    Err(text.chars().find(one).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(pieces: &[&[u8]]) -> Encoding {
        let mut detector = Detector::default();
        pieces.iter().for_each(|piece| detector.piece(piece));
        detector.encoding()
    }

    #[test]
    fn encodings_are_told_apart() {
        let text = "理由,漢字";
        let cp932 = to_cp932(text).unwrap();
        assert_eq!(detected(&[text.as_bytes()]), Encoding::Utf8);
        assert_eq!(detected(&[]), Encoding::Utf8);
        assert_eq!(detected(&text.as_bytes().chunks(1).collect::<Vec<_>>()), Encoding::Utf8);
        assert_eq!(detected(&[b"\xef", b"\xbb\xbfa"]), Encoding::Utf8);
        assert_eq!(detected(&[b"\xff\xfea\0"]), Encoding::Utf16Le);
        assert_eq!(detected(&[b"\xfe\xff\0a"]), Encoding::Utf16Be);
        assert_eq!(detected(&[&cp932]), Encoding::Cp932);
        // A character cut off at the end of the file is no UTF-8.
        assert_eq!(detected(&[&text.as_bytes()[..text.len() - 1]]), Encoding::Cp932);
    }

    #[test]
    fn every_encoding_reads_as_utf8_without_its_mark() {
        let text = "action,value\r\nblock,㈱①.example\r\n";
        let utf16: Vec<u8> = std::iter::once(0xfeffu16).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let marked = format!("\u{feff}{text}");
        let cp932 = to_cp932(text).unwrap();
        for (octets, encoding) in [
            (text.as_bytes(), Encoding::Utf8),
            (marked.as_bytes(), Encoding::Utf8),
            (&cp932, Encoding::Cp932),
            (&utf16, Encoding::Utf16Le),
        ] {
            let mut read = String::new();
            Decoding::new(octets, encoding).read_to_string(&mut read).unwrap();
            assert_eq!(read, text.replace("\r\n", "\n"), "{encoding:?}");
        }
        let mut broken = String::new();
        Decoding::new(&b"a\x81"[..], Encoding::Cp932).read_to_string(&mut broken).unwrap();
        assert_eq!(broken, "a\u{fffd}\n");
        let mut ends = String::new();
        Decoding::new(&b"a\rb\n\r\n\n\rc"[..], Encoding::Utf8).read_to_string(&mut ends).unwrap();
        assert_eq!(ends, "a\nb\n\n\n\nc\n");
    }

    #[test]
    fn what_cp932_cannot_hold_is_named() {
        assert_eq!(to_cp932("a😀"), Err('😀'));
        // Written as a backslash by many, and no yen sign any more when read.
        assert_eq!(to_cp932("1¥"), Err('¥'));
    }

    #[test]
    fn a_row_without_end_ends_the_reading() {
        let endless = io::repeat(b'a');
        let mut decoding = Decoding::new(endless, Encoding::Utf8);
        let mut out = Vec::new();
        let error = decoding.by_ref().take(10 << 20).read_to_end(&mut out).unwrap_err();
        assert!(error.to_string().contains("a quote that is not closed"), "{error}");
        assert!(out.len() <= MAX_ROW + 2 * READ_AHEAD);
    }
}
