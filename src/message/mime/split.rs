//! Cuts a multipart's body at its delimiter lines (RFC 2046 section 5.1).
//!
//! **Failure**: a missing close delimiter ends the last part with the body; what follows the close delimiter is told apart.
//! **Invariants**: one pass; at most `most` parts.

use std::ops::Range;

use memchr::memmem::Finder;

/// The pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Before the first delimiter.
    pub preamble: Range<usize>,
    pub parts: Vec<Range<usize>>,
    /// Behind the close delimiter, each begun by one more delimiter: some programs go on.
    pub further: Vec<Range<usize>>,
    /// Behind everything.
    pub epilogue: Range<usize>,
    pub closed: bool,
    /// Lines that begin like a delimiter and go on: to some programs they are one.
    pub almost: Vec<Range<usize>>,
    /// More parts than `most`.
    pub too_many: bool,
}

/// Lines like a delimiter that are kept.
const MAX_ALMOST: usize = 16;

/// Cuts `body`.
#[must_use]
pub fn cut(body: &[u8], boundary: &[u8], most: usize) -> Pieces {
    let delimiter: Vec<u8> = [b"--", boundary].concat();
    let mut pieces = Pieces::default();
    // Where the piece before the delimiter began; the first one is the preamble.
    let mut begun: Option<usize> = None;
    for at in Finder::new(&delimiter).find_iter(body) {
        let starts_line = at == 0 || body.get(at - 1) == Some(&b'\n');
        let Some((line, next)) = super::block::line(body, at).filter(|_| starts_line) else { continue };
        let rest = line.get(delimiter.len()..).unwrap_or_default();
        let closes = rest.strip_prefix(b"--").is_some_and(|rest| rest.trim_ascii().is_empty());
        if !closes && !rest.trim_ascii().is_empty() {
            if pieces.almost.len() < MAX_ALMOST {
                pieces.almost.push(at..at + line.len());
            }
            continue;
        }
        let end = without_break(body, at);
        match begun {
            None if !pieces.closed => pieces.preamble = 0..end,
            None => {}
            Some(start) => {
                let part = start..end.max(start);
                if pieces.closed { pieces.further.push(part) } else { pieces.parts.push(part) }
            }
        }
        begun = (!closes).then_some(next);
        if closes {
            pieces.closed = true;
            pieces.epilogue = next..body.len();
        }
        if pieces.parts.len() + pieces.further.len() >= most {
            pieces.too_many = true;
            return pieces;
        }
    }
    match begun {
        Some(start) if pieces.closed => pieces.further.push(start..body.len()),
        Some(start) => pieces.parts.push(start..body.len()),
        None if !pieces.closed => pieces.preamble = 0..body.len(),
        None => {}
    }
    pieces
}

/// The line break before a delimiter belongs to it.
fn without_break(body: &[u8], at: usize) -> usize {
    let before = body.get(..at).unwrap_or_default();
    let before = before.strip_suffix(b"\n").unwrap_or(before);
    before.strip_suffix(b"\r").unwrap_or(before).len()
}

/// The boundary that a body seems to use: its first line of `--…` that a header follows.
#[must_use]
pub fn guess(body: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some((line, next)) = super::block::line(body, at) {
        at = next;
        let Some(boundary) = line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end) else { continue };
        let header = body.get(next..).unwrap_or_default();
        let is_header = header.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        if !boundary.is_empty() && boundary.len() <= 200 && is_header {
            return Some(boundary);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str, boundary: &str) -> (Vec<String>, Vec<String>, Pieces) {
        let pieces = cut(body.as_bytes(), boundary.as_bytes(), 100);
        let text = |ranges: &[Range<usize>]| ranges.iter().map(|range| body[range.clone()].to_owned()).collect();
        (text(&pieces.parts), text(&pieces.further), pieces)
    }

    #[test]
    fn a_plain_multipart() {
        let body = "pre\r\n--b\r\none\r\n--b \r\n\r\ntwo\r\n\r\n--b--\r\npost";
        let (parts, further, pieces) = texts(body, "b");
        assert_eq!((parts, further.len()), (vec!["one".to_owned(), "\r\ntwo\r\n".to_owned()], 0));
        assert_eq!((&body[pieces.preamble.clone()], &body[pieces.epilogue.clone()]), ("pre", "post"));
        assert!(pieces.closed && pieces.almost.is_empty());
    }

    #[test]
    fn without_an_end_and_beyond_it() {
        assert_eq!(texts("--b\none\n--b\ntwo\n", "b").0, ["one", "two\n"]);
        let (parts, further, _) = texts("--b\none\n--b--\n--b\ntwo\n--b--\n", "b");
        assert_eq!((parts, further), (vec!["one".to_owned()], vec!["two".to_owned()]));
        assert_eq!(texts("nothing", "b").2.preamble, 0..7);
    }

    #[test]
    fn longer_lines_are_no_delimiter() {
        let (parts, _, pieces) = texts("--b\none\n--bc\ntwo\n--b--", "b");
        assert_eq!((parts, pieces.almost.len()), (vec!["one\n--bc\ntwo".to_owned()], 1));
    }

    #[test]
    fn parts_are_counted() {
        let body = "--b\n".repeat(10_000);
        let pieces = cut(body.as_bytes(), b"b", 1_000);
        assert!(pieces.too_many && pieces.parts.len() == 1_000);
    }
}
