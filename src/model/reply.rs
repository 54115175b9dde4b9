//! SMTP replies (RFC 5321 section 4.2) with enhanced status codes (RFC 3463, RFC 2034).
//!
//! **Invariants**: no line holds CR, LF or another control character, whoever wrote it, so that a remote's words can be
//! shown to a client, a log and a notice without injecting anything.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// `class.subject.detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// Reads `5.1.1` at the start of a text; the rest is what follows one space.
    #[must_use]
    pub fn split(text: &str) -> Option<(Self, &str)> {
        let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = head.splitn(3, '.');
        let class: u8 = parts.next().filter(|p| p.len() == 1)?.parse().ok()?;
        let subject = number(parts.next()?)?;
        let detail = number(parts.next()?)?;
        matches!(class, 2 | 4 | 5).then_some((Self(class, subject, detail), rest))
    }
}

fn number(text: &str) -> Option<u16> {
    ((1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Most lines kept of a remote's reply.
pub const MAX_LINES: usize = 32;
/// Longest text of one line, in octets (RFC 5321 section 4.5.3.1.5 says 512 with code and CRLF).
pub const MAX_TEXT: usize = 480;

/// One reply: code, enhanced code, lines of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    /// Lines are joined by LF here and only here.
    text: Cow<'static, str>,
}

impl Reply {
    /// A reply of our own: `text` is a literal.
    #[must_use]
    pub const fn new(code: u16, enhanced: Enhanced, text: &'static str) -> Self {
        Self { code, enhanced: Some(enhanced), text: Cow::Borrowed(text) }
    }

    /// A reply of our own without enhanced code: greeting, EHLO, 354, 334.
    #[must_use]
    pub const fn plain(code: u16, text: &'static str) -> Self {
        Self { code, enhanced: None, text: Cow::Borrowed(text) }
    }

    /// A reply of our own with a made-up text; control characters become `?`.
    #[must_use]
    pub fn with_text(code: u16, enhanced: Enhanced, text: &str) -> Self {
        Self { code, enhanced: Some(enhanced), text: Cow::Owned(clean(text)) }
    }

    /// A remote's reply: lines as received, without codes. The enhanced code is taken from the first line where its class
    /// fits the code; it must then stand before every line (RFC 2034 section 4).
    #[must_use]
    pub fn from_remote<'a>(code: u16, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut enhanced = None;
        let mut text = String::new();
        for (index, line) in lines.into_iter().take(MAX_LINES).enumerate() {
            let split = Enhanced::split(line).filter(|(e, _)| u16::from(e.0) == code / 100);
            if index == 0 {
                enhanced = split.map(|(e, _)| e);
            } else {
                text.push('\n');
            }
            text.push_str(&clean(split.map_or(line, |(_, rest)| rest)));
        }
        Self { code, enhanced, text: Cow::Owned(text) }
    }

    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    #[must_use]
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    #[must_use]
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    #[must_use]
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }

    #[must_use]
    pub fn is_permanent(&self) -> bool {
        (500..600).contains(&self.code)
    }

    /// Writes the reply as it goes over the wire (RFC 5321 section 4.2.1).
    pub fn write_to(&self, out: &mut impl bytes::BufMut) {
        let mut lines = self.lines().peekable();
        while let Some(line) = lines.next() {
            put_number(out, self.code);
            out.put_u8(if lines.peek().is_some() { b'-' } else { b' ' });
            if let Some(Enhanced(class, subject, detail)) = self.enhanced {
                put_number(out, u16::from(class));
                out.put_u8(b'.');
                put_number(out, subject);
                out.put_u8(b'.');
                put_number(out, detail);
                out.put_u8(b' ');
            }
            out.put_slice(line.as_bytes());
            out.put_slice(b"\r\n");
        }
    }
}

/// Decimal digits without `format!`: every message costs half a dozen replies.
fn put_number(out: &mut impl bytes::BufMut, number: u16) {
    let mut scale = 10_000;
    while scale > 1 && number / scale == 0 {
        scale /= 10;
    }
    while scale > 0 {
        out.put_u8(b'0' + u8::try_from(number / scale % 10).unwrap_or(0));
        scale /= 10;
    }
}

/// Control characters out, length bounded at a character's edge.
fn clean(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// One line, for logs and notices: `550 5.1.1 no such user / second line`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for (index, line) in self.lines().enumerate() {
            f.write_str(if index == 0 { " " } else { " / " })?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_reply_keeps_codes_and_loses_controls() {
        let reply = Reply::from_remote(550, ["5.1.1 no such\r\nuser", "5.1.1 really"]);
        assert_eq!(reply.enhanced(), Some(Enhanced(5, 1, 1)));
        let mut wire = Vec::new();
        reply.write_to(&mut wire);
        assert_eq!(wire, b"550-5.1.1 no such??user\r\n550 5.1.1 really\r\n");
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        let reply = Reply::from_remote(450, ["5.1.1 odd"]);
        assert_eq!(reply.enhanced(), None);
        assert_eq!(reply.to_string(), "450 5.1.1 odd");
    }
}
