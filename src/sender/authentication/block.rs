//! The raw message as signatures see it: fields with every octet in place, and where the body begins.
//!
//! **Failure**: a line that is no field is passed over here and signed by nobody; more than [`FIELDS`] fields: the rest
//! is not seen, which can only make a signature fail.
//! **Invariants**: nothing is copied; the ranges lie inside the message.

use std::ops::Range;

/// Fields looked at; the intake's own limit is lower.
pub const FIELDS: usize = 2_000;

/// One field, raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawField<'a> {
    /// Before the colon, as it stands.
    pub name: &'a [u8],
    /// After the colon, the final CRLF included.
    pub value: &'a [u8],
    /// Offset of the field in the message.
    pub start: usize,
}

impl<'a> RawField<'a> {
    /// The name without space before the colon (the obsolete form of RFC 5322 section 4.5).
    #[must_use]
    pub fn plain_name(&self) -> &'a [u8] {
        self.name.trim_ascii_end()
    }

    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.plain_name().eq_ignore_ascii_case(name.as_bytes())
    }

    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.name.len() + 1 + self.value.len()
    }
}

/// A message, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    pub fields: Vec<RawField<'a>>,
    pub body: &'a [u8],
    /// Offset of the first line among the fields that is none (no colon, or a name with space or control characters in
    /// it): some readers end the header there.
    pub odd_line: Option<usize>,
    /// Such lines, with their folds, whose name has a comment behind it, as RFC 822 allowed: the bare name, and where it stands.
    pub commented: Vec<(&'a [u8], Range<usize>)>,
    /// Such a line would be `From:` without its space or control characters: some readers take it for one.
    pub false_from: bool,
}

impl<'a> Block<'a> {
    #[must_use]
    pub fn read(message: &'a [u8]) -> Self {
        Self::read_up_to(message, FIELDS)
    }

    /// With another limit: whoever removes fields must see them all.
    #[must_use]
    pub fn read_up_to(message: &'a [u8], limit: usize) -> Self {
        let mut block =
            Self { fields: Vec::new(), body: &[], odd_line: None, commented: Vec::new(), false_from: false };
        let mut at = 0;
        while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(body) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
                block.body = body;
                break;
            }
            let mut end = line_end(rest);
            while matches!(rest.get(end), Some(b' ' | b'\t')) {
                end += line_end(rest.get(end..).unwrap_or_default());
            }
            let raw = rest.get(..end).unwrap_or_default();
            let colon = memchr::memchr(b':', raw).filter(|colon| is_name(raw.get(..*colon).unwrap_or_default()));
            match colon {
                Some(colon) if block.fields.len() < limit => block.fields.push(RawField {
                    name: raw.get(..colon).unwrap_or_default(),
                    value: raw.get(colon + 1..).unwrap_or_default(),
                    start: at,
                }),
                Some(_) => {}
                None => {
                    block.odd_line = block.odd_line.or(Some(at));
                    block.false_from |= looks_like_from(raw);
                    if let Some(name) = commented(raw).filter(|_| block.commented.len() < limit) {
                        block.commented.push((name, at..at + end));
                    }
                }
            }
            at += end;
        }
        block
    }

    pub fn named<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'s RawField<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }
}

fn commented(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    let name = line.get(..memchr::memchr(b'(', line.get(..colon)?)?)?.trim_ascii_end();
    is_name(name).then_some(name)
}

fn looks_like_from(line: &[u8]) -> bool {
    let name = line.iter().take(64).take_while(|byte| **byte != b':').filter(|byte| byte.is_ascii_graphic());
    line.contains(&b':') && name.copied().map(|byte| byte.to_ascii_lowercase()).eq(*b"from")
}

fn is_name(name: &[u8]) -> bool {
    let name = name.trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_octets() {
        let message = b"A : b\r\n\tc\r\nno field\r\nFr om: x\r\nB:\r\n\r\nbody\r\n";
        let block = Block::read(message);
        assert_eq!(block.fields.len(), 2);
        assert_eq!(block.fields[0].name, b"A ");
        assert_eq!(block.fields[0].value, b" b\r\n\tc\r\n");
        assert_eq!(&message[block.fields[1].range()], b"B:\r\n");
        assert_eq!(block.body, b"body\r\n");
        assert_eq!(block.odd_line, Some(11));
        assert!(block.false_from);
        assert_eq!(Block::read(b"A: b").fields[0].value, b" b");
    }
}
