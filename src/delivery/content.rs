//! The octets of a message on their way out: in memory or read in pieces, dot-stuffed only where a line asks for it.
//!
//! **Invariants**: what is in memory and has no line that begins with a dot is never copied; a file is read in pieces, never
//! as a whole.

use bytes::Bytes;
use memchr::memmem;
use tokio::fs::File;
use tokio::sync::Mutex;

use crate::smtp::dot_stuffing::DotStuffer;
use crate::spool::{Lease, LoadedBody, SpoolError};

/// Of a message in a file, this much is looked at for its header section.
const PREFIX: u64 = 256 << 10;

/// A message as delivered: the header fields we added, then what we received.
#[derive(Debug)]
pub(super) struct Content {
    pub head: Bytes,
    /// All the rest, or the beginning of what is in `file`.
    pub rest: Bytes,
    pub file: Option<LargeRest>,
}

/// What is not held in memory.
#[derive(Debug)]
pub(super) struct LargeRest {
    pub file: Mutex<File>,
    pub length: u64,
}

impl Content {
    #[must_use]
    pub fn new(head: Bytes, rest: Bytes) -> Self {
        Self { head, rest, file: None }
    }

    /// # Errors
    /// The spool's.
    pub async fn load(lease: &Lease) -> Result<Self, SpoolError> {
        let mut body = lease.body().await?;
        if let LoadedBody::Memory { head, rest } = body {
            return Ok(Self::new(head, rest));
        }
        let reading = tokio::task::spawn_blocking(move || {
            let beginning = body.beginning(PREFIX)?;
            Ok::<_, SpoolError>((body, beginning))
        });
        let (body, beginning) = reading.await.map_err(|_| SpoolError::Closed)??;
        Ok(match body {
            LoadedBody::Memory { head, rest } => Self::new(head, rest),
            LoadedBody::File { head, file, length } => {
                let mut beginning = Bytes::from(beginning);
                let rest = beginning.split_off(head.len().min(beginning.len()));
                Self { head, rest, file: Some(LargeRest { file: Mutex::new(File::from_std(file)), length }) }
            }
        })
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        let rest = self.file.as_ref().map_or(self.rest.len() as u64, |large| large.length);
        self.head.len() as u64 + rest
    }

    /// The end of data, if the message can go out as it is: in memory, no line that begins with a dot.
    #[must_use]
    pub fn terminator_if_plain(&self) -> Option<&'static [u8]> {
        let mut stuffer = DotStuffer::new();
        for part in [&self.head, &self.rest] {
            if self.file.is_some() || !stuffer.is_plain(part) {
                return None;
            }
            stuffer.pass(part);
        }
        Some(stuffer.terminator())
    }

    /// The header section of what we received, with the empty line behind it where there is one.
    #[must_use]
    pub fn received_header(&self) -> &[u8] {
        if self.rest.starts_with(b"\r\n") {
            // No header section at all.
            return &[];
        }
        let end = memmem::find(&self.rest, b"\r\n\r\n").map_or(self.rest.len(), |at| at + 2);
        self.rest.get(..end).unwrap_or_default()
    }

    /// Whether the header section has an octet outside ASCII (RFC 6532).
    #[must_use]
    pub fn has_utf8_header(&self) -> bool {
        !self.head.is_ascii() || !self.received_header().is_ascii()
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
        for (head, rest, stuffed) in [
            ("", ".a\r\n", true),
            (".a\r\n", "b\r\n", true),
            ("a\r\n", ".b\r\n", true),
            ("a\r", "\n.b\r\n", true),
            ("a\r\n.b\r\n", "c\r\n", true),
            ("a\r\n", "b\r\n.\r\n", true),
            ("a: .b\r\n", "c.\r\nd.\r\n", false),
        ] {
            assert_eq!(content(head, rest).terminator_if_plain().is_none(), stuffed, "{head:?} {rest:?}");
        }
    }

    #[test]
    fn a_message_that_begins_with_an_empty_line_has_no_header() {
        assert_eq!(content("A: b\r\n", "\r\nsecret\r\n\r\nmore\r\n").received_header(), b"");
        assert_eq!(content("", "S: a\r\n\r\nsecret\r\n").received_header(), b"S: a\r\n");
        assert_eq!(content("", "S: a\r\n").received_header(), b"S: a\r\n");
    }

    #[test]
    fn utf8_counts_in_the_header_only() {
        assert!(content("", "Subject: \u{3042}\r\n\r\nx\r\n").has_utf8_header());
        assert!(!content("A: b\r\n", "Subject: a\r\n\r\n\u{3042}\r\n").has_utf8_header());
    }
}
