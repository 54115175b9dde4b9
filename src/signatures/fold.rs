//! Folding, as rules need it: texts that need none are not copied, and literals keep the blanks at their ends.
//!
//! **Failure**: nothing fails. **Invariants**: the same as [`crate::message::fold`].

use std::borrow::Cow;

use crate::message::fold as message;

/// Folded; borrowed if there is nothing to change.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if is_folded_ascii(text.as_bytes()) { Cow::Borrowed(text) } else { Cow::Owned(message::fold(text)) }
}

/// A literal to look for in folded texts: ` word ` stands between blanks.
#[must_use]
pub fn literal(text: &str) -> String {
    let blank = |c: Option<char>| if c.is_some_and(char::is_whitespace) { " " } else { "" };
    let folded = message::fold(text);
    if folded.is_empty() {
        return folded;
    }
    format!("{}{folded}{}", blank(text.chars().next()), blank(text.chars().next_back()))
}

fn is_folded_ascii(octets: &[u8]) -> bool {
    // A blank in front goes away, too.
    let mut blank = true;
    let plain = octets.iter().all(|octet| {
        let was = std::mem::replace(&mut blank, *octet == b' ');
        (octet.is_ascii_graphic() && !octet.is_ascii_uppercase()) || (*octet == b' ' && !was)
    });
    plain && (!blank || octets.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_folds_alike() {
        for (text, folded) in [
            ("ＡＭＡＺＯＮ", "amazon"),
            ("ｱﾏｿﾞﾝ", "アマゾン"),
            ("A\u{200b}ma\u{ad}zon", "amazon"),
            ("a \t\r\n b", "a b"),
            ("plain text", "plain text"),
            (" x ", "x"),
            ("x ", "x"),
            ("", ""),
            ("\u{1} A\r\n\tB\u{7f}C", "a b c"),
        ] {
            assert_eq!(fold(text), folded);
            assert_eq!(fold(text), message::fold(text));
            assert_eq!(fold(folded), folded);
        }
        assert!(matches!(fold("plain text"), Cow::Borrowed(_)));
        assert_eq!(literal(" No  Way\u{3000}"), " no way ");
        assert_eq!(literal("お知らせ"), "お知らせ");
    }
}
