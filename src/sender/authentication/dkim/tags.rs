//! Tag lists (RFC 6376 section 3.2), strictly: signatures, keys and policies are all written in them.
//!
//! **Failure**: an empty tag between semicolons, a name with odd characters or a name that comes twice is no tag list.
//! **Invariants**: at most [`TAGS`] tags; values keep their inner white space, the outer is gone.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Tags in one list.
pub const TAGS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// # Errors
    /// What is wrong, in a few words.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let text = text.trim_ascii();
        let text = text.strip_suffix(';').unwrap_or(text);
        for spec in text.split(';') {
            let (name, value) = spec.split_once('=').ok_or("a tag without =")?;
            let (name, value) = (name.trim_ascii(), value.trim_ascii());
            let mut octets = name.bytes();
            if !octets.next().is_some_and(|b| b.is_ascii_alphabetic())
                || !octets.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            {
                return Err("a tag's name is wrong");
            }
            if value.bytes().any(|b| b.is_ascii_control() && !matches!(b, b'\r' | b'\n' | b'\t')) {
                return Err("a control character in a tag");
            }
            if tags.iter().any(|(known, _)| *known == name) {
                return Err("a tag comes twice");
            }
            if tags.len() >= TAGS {
                return Err("too many tags");
            }
            tags.push((name, value));
        }
        Ok(Self(tags))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    #[must_use]
    pub fn first(&self) -> Option<(&'a str, &'a str)> {
        self.0.first().copied()
    }

    /// Base64 with folding white space anywhere in it. `None`: the tag is not there or is no base64 or is empty.
    #[must_use]
    pub fn base64(&self, name: &str) -> Option<Vec<u8>> {
        let text = without_space(self.get(name)?);
        STANDARD.decode(text.as_bytes()).ok().filter(|octets| !octets.is_empty())
    }

    /// Up to 12 digits, as the RFCs write times and lengths. `None`: not there; `Some(None)`: there and wrong.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<Option<u64>> {
        let text = self.get(name)?;
        let digits = !text.is_empty() && text.len() <= 76 && text.bytes().all(|b| b.is_ascii_digit());
        Some(digits.then(|| text.parse().unwrap_or(u64::MAX)))
    }

    /// Values between colons.
    pub fn items(&self, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        Some(self.get(name)?.split(':').map(str::trim_ascii))
    }
}

/// Without spaces, tabs and line ends.
#[must_use]
pub fn without_space(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_whitespace()) {
        Cow::Owned(text.chars().filter(|c| !c.is_ascii_whitespace()).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        let tags = Tags::parse(" a = b c ;\r\n\td=\r\n\t e=f; b=aGVs\r\n bG8= ; n=12;").unwrap();
        assert_eq!(tags.get("a"), Some("b c"));
        assert_eq!(tags.get("d"), Some("e=f"));
        assert_eq!(tags.base64("b").unwrap(), b"hello");
        assert_eq!(tags.number("n"), Some(Some(12)));
        assert_eq!(tags.number("a"), Some(None));
        for wrong in ["", ";", "a=b;;c=d", "a", "a=b;a=c", "1=b", "a b=c", "=b", "a=\u{1}"] {
            assert!(Tags::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
