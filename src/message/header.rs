//! Walks the raw header block (RFC 5322 section 2.2): field names and unfolded extents, without copying.

/// One field as it stands in the message, continuation lines included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a str,
    /// After the colon, without the final CRLF; folding still in it.
    pub value: &'a [u8],
}

impl Field<'_> {
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The fields up to the empty line. A line that is no field (no colon, or a name with other than printable ASCII) ends the
/// block, as it does for mail clients.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Reads the header block at the start of `message` (canonical CRLF).
#[must_use]
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let mut end = line_end(self.rest)?;
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            let next = self.rest.get(end..)?;
            end += line_end(next)?;
        }
        let raw = self.rest.get(..end)?;
        let colon = memchr::memchr(b':', raw)?;
        let name = std::str::from_utf8(raw.get(..colon)?).ok()?.trim_end_matches([' ', '\t']);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let value = raw.get(colon + 1..)?;
        self.rest = self.rest.get(end..)?;
        Some(Field { name, value: value.strip_suffix(b"\r\n").unwrap_or(value) })
    }
}

/// The offset behind the next CRLF (or behind the end, if the last line lacks one); `None` at the end.
fn line_end(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    Some(memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1))
}

/// What the stages before content ask of the header block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceFacts {
    /// Received fields.
    pub received: usize,
    /// Received fields that this gateway wrote: `by HOSTNAME (Sekisho)`.
    pub own_received: usize,
}

/// Counts trace fields; stops at `limit` fields.
#[must_use]
pub fn trace(message: &[u8], hostname: &str, limit: usize) -> TraceFacts {
    let mut facts = TraceFacts::default();
    for field in fields(message).take(limit) {
        if field.is("received") {
            facts.received += 1;
            facts.own_received += usize::from(was_written_by(field.value, hostname));
        }
    }
    facts
}

fn was_written_by(value: &[u8], hostname: &str) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let mut words = text.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if word == "by" {
            return words.next() == Some(hostname) && words.next() == Some("(Sekisho)");
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_fields_are_one_and_the_body_is_not_read() {
        let message =
            b"Received: from a\r\n\tby mx.example (Sekisho) with SMTP\r\nSubject : x\r\n\r\nReceived: body\r\n";
        let names: Vec<_> = fields(message).map(|f| f.name).collect();
        assert_eq!(names, ["Received", "Subject"]);
        assert_eq!(trace(message, "mx.example", 100), TraceFacts { received: 1, own_received: 1 });
        assert_eq!(trace(message, "mx.other", 100).own_received, 0);
    }

    #[test]
    fn odd_blocks_end_early_and_do_not_panic() {
        for odd in [&b""[..], b"\r\n", b"no colon\r\nA: b\r\n", b"A: b", b": x\r\n", b"\xff: x\r\n", b" x\r\n"] {
            assert!(fields(odd).count() <= 1, "{odd:?}");
        }
    }
}
