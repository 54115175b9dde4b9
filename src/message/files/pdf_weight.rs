//! What the objects of a PDF will take in memory, before the crate reads them: two octets of a file can become a hundred.
//!
//! **Failure**: where the purse is empty nothing more is read; the caller notes it.
//! **Invariants**: linear in what is weighed, and what is weighed twice is paid twice: overlapping objects and many names for one
//! object cost what they would take. Nothing is allocated. File, copies of it and objects together stay below [`ALL`].

use std::io::Read;

use flate2::read::ZlibDecoder;
use lopdf::Object;
use memchr::memmem;

/// Memory of one object in the crate's form, without its octets.
const OBJECT: usize = 120;
/// The same with its key in a dictionary.
const ENTRY: usize = 110;
/// What a dictionary takes besides its entries, once loaded.
const DICTIONARY: usize = 300;
/// An array grows by copies: behind so many items each costs as much as three.
const LONG_ARRAY: usize = 1_000;
/// A word of a page: mostly an operand, of which an operator has room for four at least.
const WORD: usize = 500;
/// One line of the table of references, once read.
const LINE: usize = 48;
/// Memory of all that is made of one file, the file itself and its copies included...
const ALL: usize = 44 << 20;
/// ...of which the file is there as it came, as the crate reads it, and in streams.
const COPIES: usize = 3;
/// Memory of the objects of a file of any size.
const LEAST: usize = 10 << 20;
/// Octets looked at while weighing, besides those of the file.
const WORK: usize = 64 << 20;
/// What streams may hold, besides the octets of the file: more only where they lie on one another.
const OVERLAP: usize = 4 << 20;
/// Memory of one octet of a cross-reference stream.
const REFERENCE: usize = 12;
/// Arrays in arrays: the crate goes no deeper.
const MAX_DEPTH: usize = 100;
/// One structural stream, unpacked.
pub const MAX_STREAM: usize = 2 << 20;

/// What may still be taken.
#[derive(Debug)]
pub struct Purse {
    memory: usize,
    work: usize,
}

impl Purse {
    pub fn new(file: usize) -> Self {
        let memory = ALL.saturating_sub(file.saturating_mul(COPIES)).max(LEAST);
        Self { memory, work: WORK.saturating_add(file.saturating_mul(4)) }
    }

    /// What all loaded objects of a file may come to, streams included.
    pub fn total(octets: &[u8]) -> usize {
        let mut purse = Self::new(octets.len());
        match purse.table(octets) {
            Some(()) => purse.memory + octets.len(),
            None => 0,
        }
    }

    /// Pays for the lines of its tables of references.
    fn table(&mut self, octets: &[u8]) -> Option<()> {
        let ends_line = |at: &usize| {
            at.checked_sub(1).and_then(|before| octets.get(before)) == Some(&b' ')
                && matches!(octets.get(at + 1), Some(b' ' | b'\r' | b'\n'))
        };
        let lines = memchr::memchr2_iter(b'n', b'f', octets).filter(ends_line).count();
        self.take(lines.saturating_mul(LINE))
    }

    pub fn take(&mut self, memory: usize) -> Option<()> {
        self.memory = self.memory.checked_sub(memory)?;
        Some(())
    }

    /// Whether so many words of a page may be taken apart.
    pub fn has_room_for(&self, words: usize) -> bool {
        words.saturating_mul(WORD) <= self.memory
    }

    /// Pays for every object that can begin in the file; each has its `obj`. `None`: too much.
    pub fn file(&mut self, octets: &[u8]) -> Option<()> {
        self.table(octets)?;
        let mut raw = octets.len().saturating_add(OVERLAP);
        let ends: Vec<usize> = memmem::find_iter(octets, b"endobj").collect();
        let mut next = ends.iter().copied().peekable();
        for at in memmem::find_iter(octets, b"obj") {
            if at.checked_sub(3).and_then(|before| octets.get(before..at)) == Some(b"end") {
                continue;
            }
            while next.peek().is_some_and(|&end| end < at) {
                next.next();
            }
            // Encrypted objects are copied up to their end first.
            let before = octets.get(..at).unwrap_or_default().trim_ascii_end();
            if before.len() < at && before.last().is_some_and(u8::is_ascii_digit) {
                raw = raw.checked_sub(next.peek().map_or(0, |&end| end - at))?;
            }
            let end = self.object(octets, at + 3)?;
            self.references(octets, at + 3, end)?;
        }
        for at in memmem::find_iter(octets, b"trailer") {
            self.object(octets, at + 7)?;
        }
        Some(())
    }

    /// Pays for the objects of an object stream, one by one as its index names them.
    pub fn object_stream(&mut self, content: &[u8], first: usize) -> Option<()> {
        let numbers = content.get(..first).unwrap_or_default();
        let lines = numbers.split(|octet| matches!(octet, b'\r' | b'\n'));
        let words = lines
            .flat_map(|line| {
                line.split(|&octet| octet == b'%').next().unwrap_or_default().split(u8::is_ascii_whitespace)
            })
            .filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            self.work = self.work.checked_sub(word.len() + 1)?;
            let offset = std::str::from_utf8(word).ok().and_then(|word| word.parse::<usize>().ok());
            if let Some(offset) = offset.filter(|_| index % 2 == 1) {
                self.object(content, first.saturating_add(offset))?;
            }
        }
        Some(())
    }

    /// A cross-reference stream is unpacked and kept before anybody can ask.
    fn references(&mut self, octets: &[u8], from: usize, end: usize) -> Option<()> {
        let dictionary = octets.get(from..end).unwrap_or_default();
        let is_stream = octets.get(end..).unwrap_or_default().trim_ascii_start().starts_with(b"stream");
        let may_be = memmem::find_iter(dictionary, b"/W")
            .any(|at| !dictionary.get(at + 2).is_some_and(u8::is_ascii_alphanumeric))
            || memmem::find(dictionary, b"#").is_some() && memmem::find(dictionary, b"/Root").is_some();
        if !is_stream || !may_be {
            return Some(());
        }
        let rest = octets.get(end..).unwrap_or_default().trim_ascii_start().get(6..).unwrap_or_default();
        let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        let packings =
            memmem::find_iter(dictionary, b"Decode").count() - memmem::find_iter(dictionary, b"DecodeParms").count();
        let length = if packings == 1 && memmem::find(dictionary, b"/FlateDecode").is_some() {
            let mut inflated = ZlibDecoder::new(rest).take(MAX_STREAM as u64);
            // What is damaged ends where it ends.
            let mut length = 0;
            let mut buffer = [0; 8 << 10];
            while let Ok(count @ 1..) = inflated.read(&mut buffer) {
                length += count;
            }
            length
        } else if packings == 0 {
            memmem::find(rest, b"endstream").unwrap_or(rest.len())
        } else {
            MAX_STREAM
        };
        self.take(length.min(MAX_STREAM).saturating_mul(REFERENCE))
    }

    /// Pays for the direct object at `from`; where it ends, or where no reader goes on.
    fn object(&mut self, octets: &[u8], from: usize) -> Option<usize> {
        let mut here = from;
        let mut depth = 0_usize;
        let mut items = 0_usize;
        loop {
            let Some(&octet) = octets.get(here) else { return Some(here) };
            let start = here;
            let rest = octets.get(here..).unwrap_or_default();
            here += match octet {
                b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => 1,
                b'%' => memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()),
                b'(' => string_length(rest),
                b'<' if rest.get(1) != Some(&b'<') => memchr::memchr(b'>', rest).map_or(rest.len(), |end| end + 1),
                _ => word_length(rest),
            };
            self.work = self.work.checked_sub(here - start)?;
            match octet {
                b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'%' => continue,
                b'[' => depth += 1,
                b'<' if rest.starts_with(b"<<") => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                b'>' => depth = depth.saturating_sub(1),
                _ => {}
            }
            let length = here - start;
            items = if matches!(octet, b'[' | b']' | b'<' | b'>' | b'/') { 0 } else { items + 1 };
            let object = if items > LONG_ARRAY { 3 * OBJECT } else { OBJECT };
            self.take(object + if octet == b'/' { ENTRY + length } else { length })?;
            let word = octets.get(start..here).unwrap_or_default();
            if depth == 0 || depth > MAX_DEPTH || matches!(word, b"stream" | b"endobj") {
                return Some(here);
            }
        }
    }
}

/// What an object that was loaded takes.
pub fn of(object: &Object) -> usize {
    OBJECT
        + match object {
            Object::Name(octets) | Object::String(octets, _) => octets.len(),
            Object::Array(items) => items.iter().map(of).sum::<usize>() + (items.capacity() - items.len()) * OBJECT,
            Object::Dictionary(dictionary) => DICTIONARY + entries(dictionary),
            Object::Stream(stream) => DICTIONARY + entries(&stream.dict) + stream.content.len(),
            _ => 0,
        }
}

fn entries(dictionary: &lopdf::Dictionary) -> usize {
    dictionary.iter().map(|(key, value)| ENTRY + key.len() + of(value)).sum()
}

fn is_regular(octet: u8) -> bool {
    !matches!(
        octet,
        b'\0'
            | b'\t'
            | b'\n'
            | b'\x0c'
            | b'\r'
            | b' '
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'/'
            | b'%'
    )
}

/// Octets of the word, the bracket or the pair of them that begins here.
pub fn word_length(octets: &[u8]) -> usize {
    match octets {
        [b'<', b'<', ..] | [b'>', b'>', ..] => 2,
        [b'[' | b']' | b'<' | b'>' | b')' | b'{' | b'}', ..] => 1,
        _ => 1 + octets.iter().skip(1).take_while(|octet| is_regular(**octet)).count(),
    }
}

/// Octets of the string in parentheses that begins here.
pub fn string_length(octets: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut here = 0;
    while let Some(hit) = octets.get(here..).and_then(|rest| memchr::memchr3(b'(', b')', b'\\', rest)) {
        here += hit + 1;
        match octets.get(here - 1) {
            Some(b'(') => depth += 1,
            Some(b')') => depth -= 1,
            _ => here += 1,
        }
        if depth == 0 {
            return here;
        }
    }
    octets.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_ends_where_it_ends() {
        for (octets, end) in [
            (&b" << /A [1 2 (x\\)]) <41>] /B 3 >>\nendobj"[..], 32),
            (b"12 0 R", 2),
            (b"[ % ]\n ] x", 8),
            (b"(a(b)c) x", 7),
            (b"[1 2 endobj [", 11),
        ] {
            assert_eq!(Purse::new(octets.len()).object(octets, 0), Some(end), "{:?}", String::from_utf8_lossy(octets));
        }
    }

    #[test]
    fn what_lies_on_one_another_is_paid_for_each() {
        let many = b"1 0 obj [".iter().copied().chain(b"1 ".repeat(50_000)).chain(*b"]\nendobj\n").collect::<Vec<u8>>();
        assert!(Purse::new(many.len()).file(&many).is_some());
        let more = many.repeat(20);
        assert!(Purse::new(more.len()).file(&more).is_none());
        // The index names one array many times.
        let index = "7 0 ".repeat(100);
        let stream = [index.as_bytes(), b"[", &b"1 ".repeat(20_000), b"]"].concat();
        assert!(Purse::new(0).object_stream(&stream, index.len()).is_none());
        assert!(Purse::new(0).object_stream(&stream, 4).is_some());
    }

    #[test]
    fn all_that_is_made_of_a_file_is_bounded() {
        // An array costs its growth; a table of references costs its lines, and so does what is loaded by it.
        let array = |items: usize| [b"1 0 obj [".as_slice(), &b"1 ".repeat(items), b"]\nendobj\n"].concat();
        assert!(Purse::new(0).file(&array(100_000)).is_some() && Purse::new(0).file(&array(400_000)).is_none());
        let table = |lines: usize| b"0000000009 00000 n \n".repeat(lines);
        assert_eq!(Purse::total(&table(1_000_000)), 0);
        assert_eq!(Purse::total(&b"0 0 f\n".repeat(2_000_000)), 0);
        assert!(Purse::total(&table(1_000)) > 40 << 20);
        assert!(Purse::total(&vec![0; 30 << 20]) <= 40 << 20);
    }

    #[test]
    fn streams_within_streams_are_too_much() {
        let nested = b"1 0 obj<</Length 9>>stream\n".repeat(100_000);
        let nested = [&nested[..], b"endobj"].concat();
        assert!(Purse::new(nested.len()).file(&nested).is_none());
    }
}
