//! Two old LZSS dialects: SZDD (`setup.ex_`) and the RTF of Outlook ([MS-OXRTFCP] section 2.1.3).
//!
//! **Failure**: what comes before the end of the data is returned.

use std::io::{self, Read};

use bytes::Bytes;

use super::octets::{at32, byte, le32, slice};
use super::walk::{Met, Walk};
use crate::model::finding::Reason;

const WINDOW: usize = 4_096;
/// What the dictionary begins with ([MS-OXRTFCP] section 2.1.3.1.1).
const RTF_DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    let Some(size) = le32(octets, 10) else { return walk.note(Reason::Malformed, at) };
    let name = walk.name_of(at);
    // The last letter of the extension was put into the header.
    let name = match (name.strip_suffix('_'), byte(octets, 9).filter(u8::is_ascii_alphanumeric)) {
        (Some(front), Some(last)) => format!("{front}{}", char::from(last)),
        _ => name.into(),
    };
    let mut reader = Lzss::new(octets.get(14..).unwrap_or_default(), Dialect::Szdd).take(u64::from(size));
    walk.unpack_inside(at, octets.len() as u64, u64::from(size), Met::new(name, Bytes::new()), &mut reader);
}

/// PR_RTF_COMPRESSED. At most 16 MiB.
pub fn rtf(data: &[u8]) -> Option<Vec<u8>> {
    let (packed, size) = (at32(data, 0)?, at32(data, 4)?);
    let content = slice(data, 16, packed.checked_sub(12)?.min(data.len().checked_sub(16)?))?;
    let size = size.min(16 << 20);
    match slice(data, 8, 4)? {
        b"MELA" => Some(content.get(..size.min(content.len()))?.to_vec()),
        b"LZFu" => {
            let mut out = Vec::new();
            let _broken = Lzss::new(content, Dialect::Rtf).take(size as u64).read_to_end(&mut out);
            Some(out)
        }
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Szdd,
    Rtf,
}

struct Lzss<'a> {
    data: &'a [u8],
    at: usize,
    dialect: Dialect,
    window: Vec<u8>,
    position: usize,
    flags: u8,
    left: u8,
    /// Of a match: where it goes on, and how many octets.
    copy: (usize, usize),
}

impl<'a> Lzss<'a> {
    fn new(data: &'a [u8], dialect: Dialect) -> Self {
        let mut window = match dialect {
            Dialect::Szdd => Vec::new(),
            Dialect::Rtf => RTF_DICTIONARY.to_vec(),
        };
        let position = if dialect == Dialect::Szdd { WINDOW - 16 } else { window.len() };
        window.resize(WINDOW, b' ');
        Self { data, at: 0, dialect, window, position, flags: 0, left: 0, copy: (0, 0) }
    }

    fn input(&mut self) -> Option<u8> {
        let octet = byte(self.data, self.at)?;
        self.at += 1;
        Some(octet)
    }

    fn put(&mut self, octet: u8) {
        if let Some(to) = self.window.get_mut(self.position) {
            *to = octet;
        }
        self.position = (self.position + 1) % WINDOW;
    }

    fn next(&mut self) -> Option<u8> {
        loop {
            if self.copy.1 > 0 {
                let octet = *self.window.get(self.copy.0 % WINDOW)?;
                self.copy = (self.copy.0 + 1, self.copy.1 - 1);
                self.put(octet);
                return Some(octet);
            }
            if self.left == 0 {
                self.flags = self.input()?;
                self.left = 8;
            }
            let is_set = self.flags & 1 != 0;
            self.flags >>= 1;
            self.left -= 1;
            // A set bit is a literal in one dialect, a match in the other.
            if is_set == (self.dialect == Dialect::Szdd) {
                let octet = self.input()?;
                self.put(octet);
                return Some(octet);
            }
            let (first, second) = (usize::from(self.input()?), usize::from(self.input()?));
            self.copy = match self.dialect {
                Dialect::Szdd => (first | (second & 0xf0) << 4, (second & 0x0f) + 3),
                Dialect::Rtf => {
                    let from = first << 4 | second >> 4;
                    if from == self.position {
                        return None;
                    }
                    (from, (second & 0x0f) + 2)
                }
            };
        }
    }
}

impl Read for Lzss<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        for to in buffer {
            let Some(octet) = self.next() else { break };
            *to = octet;
            written += 1;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlook_rtf_is_read() {
        // The example of [MS-OXRTFCP] section 3.1.1.
        let data = [
            0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0, 0x0a, 0, 0x72, 0x63,
            0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0, 0x20, 0x62, 0x77,
            0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        assert_eq!(rtf(&data).unwrap(), b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        assert_eq!(rtf(b"short"), None);
    }
}
