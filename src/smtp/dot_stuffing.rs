//! The sending side of RFC 5321 section 4.5.2: a dot before a dot at the start of a line, and the end of data.
//!
//! **Invariants**: a message that ends in CRLF gains no empty line; one that doesn't gains one CRLF; a receiver that takes a
//! bare LF for a line's end finds no lone dot either. The message itself is canonical (CRLF only) before it comes here.

use bytes::{BufMut, BytesMut};
use memchr::memmem;

/// Feed slices in order, then finish.
#[derive(Debug, Clone)]
pub struct DotStuffer {
    last: [u8; 2],
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl DotStuffer {
    #[must_use]
    pub fn new() -> Self {
        // the octets before a message are those of the reply's line: as good as CRLF
        Self { last: *b"\r\n" }
    }

    /// Writes a piece of the message.
    pub fn feed(&mut self, piece: &[u8], out: &mut BytesMut) {
        out.reserve(piece.len() + 16);
        if self.at_line_start() && piece.first() == Some(&b'.') {
            out.put_u8(b'.');
        }
        let mut rest = piece;
        while let Some(at) = memmem::find(rest, b"\n.") {
            let (line, tail) = rest.split_at(at + 1);
            out.put_slice(line);
            out.put_u8(b'.');
            // the dot goes out with the next run
            rest = tail;
        }
        out.put_slice(rest);
        self.remember(piece);
    }

    /// Whether a piece may be written as it is, without passing through a buffer; call [`DotStuffer::pass`] if so.
    #[must_use]
    pub fn is_plain(&self, piece: &[u8]) -> bool {
        !(self.at_line_start() && piece.first() == Some(&b'.')) && memmem::find(piece, b"\n.").is_none()
    }

    /// A plain piece was written elsewhere.
    pub fn pass(&mut self, piece: &[u8]) {
        self.remember(piece);
    }

    /// Writes the end of data.
    pub fn finish(self, out: &mut BytesMut) {
        out.put_slice(self.terminator());
    }

    /// What [`DotStuffer::finish`] writes.
    #[must_use]
    pub fn terminator(&self) -> &'static [u8] {
        if self.last == *b"\r\n" { b".\r\n" } else { b"\r\n.\r\n" }
    }

    fn at_line_start(&self) -> bool {
        self.last[1] == b'\n'
    }

    fn remember(&mut self, piece: &[u8]) {
        match piece {
            [] => {}
            [one] => self.last = [self.last[1], *one],
            [.., a, b] => self.last = [*a, *b],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        let mut stuffer = DotStuffer::new();
        for piece in pieces {
            let before = out.len();
            if stuffer.is_plain(piece) {
                stuffer.clone().feed(piece, &mut out);
                assert_eq!(&out[before..], *piece);
                stuffer.pass(piece);
            } else {
                stuffer.feed(piece, &mut out);
            }
        }
        stuffer.finish(&mut out);
        out.to_vec()
    }

    #[test]
    fn dots_are_doubled_and_the_end_adds_no_line() {
        for (message, wire) in [
            (b"".as_slice(), b".\r\n".as_slice()),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r", b"a\r\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a\r\n.\r\n..b\r\n.", b"a\r\n..\r\n...b\r\n..\r\n.\r\n"),
            (b"a\n.\nb\r\n", b"a\n..\nb\r\n.\r\n"),
            (b"a.b\r\nc.\r\n", b"a.b\r\nc.\r\n.\r\n"),
        ] {
            assert_eq!(stuffed(&[message]), wire, "{:?}", String::from_utf8_lossy(message));
            for cut in 0..=message.len() {
                let (a, b) = message.split_at(cut);
                assert_eq!(stuffed(&[a, b]), wire, "{:?} cut at {cut}", String::from_utf8_lossy(message));
            }
            let single: Vec<&[u8]> = message.chunks(1).collect();
            assert_eq!(stuffed(&single), wire);
        }
    }
}
