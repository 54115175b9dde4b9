//! The octets of a message on their way out: in memory or read in pieces, dot-stuffed only where a line asks for it.
//!
//! **Invariants**: what is in memory and has no line that begins with a dot is never copied.

use bytes::Bytes;
use memchr::memmem;

/// A message as delivered: the header fields we added, then what we received.
#[derive(Debug, Clone)]
pub struct Content {
    pub head: Bytes,
    pub rest: Bytes,
}

impl Content {
    #[must_use]
    pub fn new(head: Bytes, rest: Bytes) -> Self {
        Self { head, rest }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.rest.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a line begins with a dot, in either part or at their seam.
    #[must_use]
    pub fn needs_stuffing(&self) -> bool {
        let begins = |part: &[u8]| part.first() == Some(&b'.');
        let first = if self.head.is_empty() { &self.rest } else { &self.head };
        // The seam: head ends in CRLF, or in CR with LF opening the rest. Rare enough to be answered with a careful yes.
        let seam = !self.head.is_empty() && (begins(&self.rest) || self.rest.starts_with(b"\n."));
        begins(first)
            || seam
            || memmem::find(&self.head, b"\n.").is_some()
            || memmem::find(&self.rest, b"\r\n.").is_some()
    }

    #[must_use]
    pub fn ends_in_crlf(&self) -> bool {
        let last = if self.rest.is_empty() { &self.head } else { &self.rest };
        last.ends_with(b"\r\n") || (self.rest == b"\n"[..] && self.head.ends_with(b"\r"))
    }

    /// Whether the header section has an octet outside ASCII (RFC 6532).
    #[must_use]
    pub fn has_utf8_header(&self) -> bool {
        let header = memmem::find(&self.rest, b"\r\n\r\n").map_or(&*self.rest, |end| self.rest.get(..end).unwrap_or_default());
        !self.head.is_ascii() || !header.is_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(head: &'static str, rest: &'static str) -> Content {
        Content::new(Bytes::from_static(head.as_bytes()), Bytes::from_static(rest.as_bytes()))
    }

    #[test]
    fn dots_are_seen_wherever_a_line_begins() {
        for (head, rest, needed) in [
            ("", ".a\r\n", true),
            (".a\r\n", "b\r\n", true),
            ("a\r\n", ".b\r\n", true),
            ("a\r", "\n.b\r\n", true),
            ("a\r\n.b\r\n", "c\r\n", true),
            ("a\r\n", "b\r\n.\r\n", true),
            ("a: .b\r\n", "c.\r\nd.\r\n", false),
        ] {
            assert_eq!(content(head, rest).needs_stuffing(), needed, "{head:?} {rest:?}");
        }
    }

    #[test]
    fn utf8_counts_in_the_header_only() {
        assert!(content("", "Subject: \u{3042}\r\n\r\nx\r\n").has_utf8_header());
        assert!(!content("A: b\r\n", "Subject: a\r\n\r\n\u{3042}\r\n").has_utf8_header());
    }
}
