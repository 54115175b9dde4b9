//! Reads a block of header fields, of a message or of a part, tolerantly: where it ends is what mail programs disagree on.
//!
//! **Failure**: a line that is no field is skipped if fields go on behind it, and begins the body if not; [`Block::odd`] says
//! so where it matters.
//! **Invariants**: linear; at most [`Limits::fields`] fields, out of the first [`Limits::header_octets`] octets.

use std::ops::Range;

use crate::message::specimen::{Ambiguity, Limits};
use crate::model::finding::Reason;

/// More lines that are no fields than this, and what stands there is text.
const MAX_BAD_LINES: usize = 3;

/// A field; ranges of the octets that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawField {
    pub name: Range<usize>,
    /// Behind the colon, folding included, without the last line break.
    pub value: Range<usize>,
}

/// A header block.
#[derive(Debug, Default)]
pub struct Block {
    pub fields: Vec<RawField>,
    /// Where the body begins.
    pub body: usize,
    pub odd: Vec<Ambiguity>,
    /// Which budget kept fields from being read.
    pub beyond: Option<Reason>,
}

/// Reads the block at the start of `octets`. Lines end in LF, with or without CR.
#[must_use]
pub fn read(octets: &[u8], limits: &Limits) -> Block {
    let mut reader = Reader {
        octets,
        limits,
        block: Block::default(),
        bad: None,
        bad_lines: 0,
        behind_bad: false,
        blank_fold: false,
    };
    reader.lines();
    let mut block = reader.block;
    let header = octets.get(..block.body.min(limits.header_octets)).unwrap_or_default();
    let crs = memchr::memchr_iter(b'\r', header).count();
    if memchr::memchr(0, header).is_some() || memchr::memmem::find_iter(header, b"\r\n").count() != crs {
        block.odd.push(Ambiguity::Octets);
    }
    block
}

struct Reader<'a> {
    octets: &'a [u8],
    limits: &'a Limits,
    block: Block,
    /// The first line that is no field, and how many fields stood before it.
    bad: Option<(usize, usize)>,
    bad_lines: usize,
    /// The line before is no field, and what is folded under it belongs to it.
    behind_bad: bool,
    /// A line of blanks only: to some the end of the header.
    blank_fold: bool,
}

impl Reader<'_> {
    fn lines(&mut self) {
        let mut at = 0;
        loop {
            let Some((line, next)) = line(self.octets, at) else {
                return self.end(at, false);
            };
            if line.is_empty() {
                return self.end(next, true);
            }
            if self.block.fields.len() >= self.limits.fields {
                self.block.beyond = Some(Reason::Count);
                return self.end(skip_header(self.octets, at), true);
            }
            let room = self.limits.header_octets.saturating_sub(at);
            if line.len() > room {
                // What there is room for still counts.
                let line = line.get(..room).unwrap_or_default();
                self.line(line, at, at + line.len());
                self.block.beyond = Some(Reason::Bytes);
                return self.end(skip_header(self.octets, at), true);
            }
            let end = at + line.len();
            let folds = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
            let belongs = (folds && self.behind_bad) || self.line(line, at, end);
            self.behind_bad = !belongs || (folds && self.behind_bad);
            if !belongs {
                self.bad_lines += 1;
                self.bad.get_or_insert((at, self.block.fields.len()));
                if self.bad_lines > MAX_BAD_LINES {
                    self.passed_over(next);
                    return self.end(next, false);
                }
            }
            at = next;
        }
    }

    /// Whether the line belongs to a field.
    fn line(&mut self, line: &[u8], at: usize, end: usize) -> bool {
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            let Some(field) = self.block.fields.last_mut() else { return false };
            field.value.end = end;
            self.blank_fold |= line.iter().all(u8::is_ascii_whitespace);
            return true;
        }
        // What a mailbox file puts before the header.
        if at == 0 && is_mailbox_line(line) {
            return true;
        }
        let Some(colon) = memchr::memchr(b':', line) else { return false };
        let name = line.get(..colon).unwrap_or_default();
        // RFC 822 allowed a comment behind the name, and some still read it so.
        let bare = memchr::memchr(b'(', name).and_then(|comment| name.get(..comment)).unwrap_or(name);
        let length = if is_content(bare) { bare } else { name }.trim_ascii_end().len();
        let is_name = length > 0 && name.iter().take(length).all(|byte| byte.is_ascii_graphic());
        if !is_name {
            return false;
        }
        let content = is_content(name);
        if content && (length != name.len() || self.blank_fold) {
            self.block.odd.push(Ambiguity::OddSyntax);
        }
        self.block.fields.push(RawField { name: at..at + length, value: at + colon + 1..end });
        true
    }

    /// It is text to us from the first such line on. Who passes over all of them finds fields behind, until an empty line.
    fn passed_over(&mut self, mut at: usize) {
        let before = self.bad.map_or(0, |(_, before)| before);
        let seen = self.block.fields.get(before..).unwrap_or_default();
        let mut content = seen.iter().any(|field| is_content(self.octets.get(field.name.clone()).unwrap_or_default()));
        while let Some((line, next)) = line(self.octets, at).filter(|_| at < self.limits.header_octets) {
            if line.is_empty() {
                if content {
                    self.block.odd.push(Ambiguity::BrokenHeader);
                }
                return;
            }
            content |= is_content(line) && line.contains(&b':');
            at = next;
        }
    }

    fn end(&mut self, at: usize, closed: bool) {
        self.block.body = at;
        let Some((bad, before)) = self.bad else { return };
        if !closed || self.block.fields.len() == before {
            self.block.body = bad;
            self.block.fields.truncate(before);
            return;
        }
        let behind = self.block.fields.get(before..).unwrap_or_default();
        if behind.iter().any(|field| is_content(self.octets.get(field.name.clone()).unwrap_or_default())) {
            self.block.odd.push(Ambiguity::BrokenHeader);
        }
    }
}

/// `From somebody Mon Nov 1 12:00:00 2026`; with a colon behind the blanks it is a field (RFC 5322 section 4.5).
fn is_mailbox_line(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b">").unwrap_or(line).strip_prefix(b"From ");
    rest.is_some_and(|rest| rest.trim_ascii_start().first() != Some(&b':'))
}

fn is_content(name: &[u8]) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
}

/// The line at `at` without its end, and where the next one begins; `None` behind the last.
pub fn line(octets: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = octets.get(at..).filter(|rest| !rest.is_empty())?;
    let (length, next) = memchr::memchr(b'\n', rest).map_or((rest.len(), octets.len()), |end| (end, at + end + 1));
    let line = rest.get(..length)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), next))
}

/// Behind the next empty line.
fn skip_header(octets: &[u8], mut at: usize) -> usize {
    while let Some((line, next)) = line(octets, at) {
        at = next;
        if line.is_empty() {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> (Vec<&str>, &str, Vec<Ambiguity>) {
        let block = read(text.as_bytes(), &Limits::default());
        let names = block.fields.iter().map(|field| &text[field.name.clone()]).collect();
        (names, &text[block.body..], block.odd)
    }

    #[test]
    fn a_header_ends_at_the_empty_line() {
        assert_eq!(names("A: b\r\n c\r\nD:e\r\n\r\nF: g"), (vec!["A", "D"], "F: g", vec![]));
        assert_eq!(names("From x Mon\nA: b\n\nc"), (vec!["A"], "c", vec![]));
        assert_eq!(names("From : x\nA: b\n\nc"), (vec!["From", "A"], "c", vec![]));
        assert_eq!(names("\r\nA: b"), (vec![], "A: b", vec![]));
    }

    #[test]
    fn a_line_that_is_no_field_begins_the_body_or_is_skipped() {
        assert_eq!(names("A: b\nhello\n\nx: y"), (vec!["A"], "hello\n\nx: y", vec![]));
        assert_eq!(names("A: b\nhello world\nC: d\n\nx"), (vec!["A", "C"], "x", vec![]));
        let (fields, body, odd) = names("A: b\nhello world\nContent-Type: d\n\nx");
        assert_eq!((fields, body, odd), (vec!["A", "Content-Type"], "x", vec![Ambiguity::BrokenHeader]));
        assert_eq!(names("A: b\no\nn\nl\ny\nC: d\n\nx"), (vec!["A"], "o\nn\nl\ny\nC: d\n\nx", vec![]));
        let hidden = names("A: b\no\nn\nl\ny\nContent-Type: d\n\nx");
        assert_eq!(hidden.2, vec![Ambiguity::BrokenHeader], "others may go on to the fields behind");
    }

    #[test]
    fn what_is_folded_under_a_line_that_is_no_field_belongs_to_that_line() {
        let text = "A: b\nhello\n c\n d\nE: f\n g\n\nx";
        let block = read(text.as_bytes(), &Limits::default());
        let values: Vec<&str> = block.fields.iter().map(|field| &text[field.value.clone()]).collect();
        assert_eq!(values, [" b", " f\n g"]);
    }

    #[test]
    fn odd_octets_and_blanks_are_told() {
        assert_eq!(names("A: b\rc\r\n\r\n").2, vec![Ambiguity::Octets]);
        assert_eq!(names("A: b\0c\r\n\r\n").2, vec![Ambiguity::Octets]);
        assert_eq!(names("Content-Type : x\r\n\r\n").2, vec![Ambiguity::OddSyntax]);
        assert_eq!(names("Subject : x\r\n\r\n").2, vec![]);
    }

    #[test]
    fn limits_keep_the_body_found() {
        let limits = Limits { fields: 2, ..Limits::default() };
        let block = read(b"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\nbody", &limits);
        assert_eq!((block.fields.len(), block.body, block.beyond), (2, 26, Some(Reason::Count)));
        let limits = Limits { header_octets: 8, ..Limits::default() };
        let block = read(b"A: 1\r\nB: 23456\r\nC: 3\r\n\r\nbody", &limits);
        assert_eq!((block.fields.len(), block.body, block.beyond), (2, 24, Some(Reason::Bytes)));
    }
}
