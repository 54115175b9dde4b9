//! Folding: how a text and the words looked for in it are made alike before they are compared.
//!
//! NFKC (full-width letters and half-width kana become ordinary ones), lower case, characters that nobody sees taken out,
//! runs of white space made one blank. The same as `folded` of a Specimen's texts.
//!
//! **Failure**: nothing fails. **Invariants**: folding twice changes nothing more than folding once.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Folded; borrowed if there is nothing to change.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if is_folded_ascii(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len());
    let mut blank = false;
    for c in text.nfkc().filter(|c| !is_ignorable(*c)).flat_map(char::to_lowercase) {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        if blank {
            folded.push(' ');
            blank = false;
        }
        folded.push(c);
    }
    if blank {
        folded.push(' ');
    }
    Cow::Owned(folded)
}

fn is_folded_ascii(octets: &[u8]) -> bool {
    let mut blank = false;
    octets.iter().all(|octet| {
        let was = std::mem::replace(&mut blank, *octet == b' ');
        (octet.is_ascii_graphic() && !octet.is_ascii_uppercase()) || (*octet == b' ' && !was)
    })
}

/// Default-ignorable code points (Unicode section 5.21), in the ranges that mail is padded with.
#[must_use]
pub fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
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
            ("緊急　のお知らせ", "緊急 のお知らせ"),
            ("plain text", "plain text"),
            (" x ", " x "),
        ] {
            assert_eq!(fold(text), folded);
            assert_eq!(fold(folded), folded);
        }
        assert!(matches!(fold("plain text"), Cow::Borrowed(_)));
    }
}
