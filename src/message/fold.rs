//! Text for matching: what looks alike to a reader is alike to a rule.
//!
//! **Invariants**: `fold(fold(x)) == fold(x)` for what people write; linear; output bounded.

use unicode_normalization::UnicodeNormalization as _;

/// Characters out for each character in, at most (NFKC of one character can be eighteen).
const MOST: usize = 4;

/// NFKC, lower case, without invisible characters; blanks run together, line breaks between East Asian characters dropped:
/// there they are no blanks but the end of the line. Folds patterns and texts alike.
#[must_use]
pub fn fold(text: &str) -> String {
    let most = text.len().saturating_mul(MOST).max(256);
    let mut out = String::with_capacity(text.len());
    let mut gap = Gap::None;
    let mut last = ' ';
    let seen = text.chars().filter(|c| !is_ignorable(*c));
    for c in seen.nfkc().flat_map(char::to_lowercase) {
        if c.is_whitespace() || c.is_control() {
            gap = match (gap, c) {
                (Gap::None | Gap::Blank, '\n') => Gap::Line,
                (Gap::Line, '\n') => Gap::Lines,
                (Gap::None, _) => Gap::Blank,
                (gap, _) => gap,
            };
            continue;
        }
        if is_ignorable(c) {
            continue;
        }
        let wrapped = gap == Gap::Line && is_east_asian(last) && is_east_asian(c);
        if gap != Gap::None && !out.is_empty() && !wrapped {
            out.push(' ');
        }
        gap = Gap::None;
        out.push(c);
        last = c;
        if out.len() > most {
            break;
        }
    }
    out
}

/// What stands between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    Blank,
    Line,
    Lines,
}

/// Default_Ignorable_Code_Point (Unicode), and the byte order mark: drawn as nothing.
#[must_use]
pub fn is_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3
        | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

/// Kana, kanji and their punctuation, which are written without blanks.
#[must_use]
pub fn is_east_asian(c: char) -> bool {
    matches!(u32::from(c), 0x3001..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_folds_alike() {
        for (text, folded) in [
            ("  Hello\r\n\tWORLD  ", "hello world"),
            ("Ｖｉａｇｒａ", "viagra"),
            ("v\u{200b}i\u{ad}a\u{2060}gra", "viagra"),
            ("ﾒｰﾙ ガ ｶﾞ", "メール ガ ガ"),
            ("㈱サンプル №１", "(株)サンプル no1"),
            ("迷惑\nメール", "迷惑メール"),
            ("迷惑\n\nメール", "迷惑 メール"),
            ("迷惑　メール", "迷惑 メール"),
            ("end\nof", "end of"),
            ("ﬁne", "fine"),
        ] {
            assert_eq!(fold(text), folded, "{text:?}");
            assert_eq!(fold(folded), folded);
        }
    }

    #[test]
    fn nothing_grows_without_bounds() {
        let wide = "\u{fdfa}".repeat(10_000);
        assert!(fold(&wide).len() <= wide.len() * MOST + 256);
        let marks = format!("a{}", "\u{301}".repeat(100_000));
        assert!(!fold(&marks).is_empty());
    }
}
