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
    if text.is_ascii() {
        return fold_ascii(text);
    }
    let mut folded = Folded::new(text);
    let mut rest = text;
    while !rest.is_empty() && !folded.is_full() {
        // What NFKC leaves as it is, but for the last character of it: a mark behind would join that one.
        let (plain, last) = plain_start(rest);
        let end = if plain == rest.len() { plain } else { last };
        let (plain, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        plain.chars().for_each(|c| folded.push(c));
        let mut chars = behind.char_indices();
        chars.next();
        let end = chars.find(|(_, c)| is_plain(*c)).map_or(behind.len(), |(at, _)| at);
        let (marked, behind) = behind.split_at_checked(end).unwrap_or((behind, ""));
        let seen = marked.chars().filter(|c| !is_ignorable(*c));
        for c in seen.nfkc().flat_map(char::to_lowercase) {
            folded.push(c);
        }
        rest = behind;
    }
    folded.text
}

/// The same for ASCII, many times faster: headers, addresses and most of HTML.
fn fold_ascii(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_ascii_control() || c == ' ').filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded.make_ascii_lowercase();
    folded
}

/// NFKC leaves it as it is, whatever stands before: ASCII, kana, most kanji and their punctuation.
#[must_use]
pub fn is_plain(c: char) -> bool {
    matches!(c, '\0'..='\x7f' | '、'..='〠' | 'ぁ'..='ゖ' | 'ァ'..='ー' | '\u{4e00}'..='\u{9fff}')
}

/// How many octets of the beginning are plain, and where the last character of them begins.
fn plain_start(text: &str) -> (usize, usize) {
    let (mut end, mut last) = (0, 0);
    for (at, c) in text.char_indices() {
        if !is_plain(c) {
            break;
        }
        (end, last) = (at + c.len_utf8(), at);
    }
    (end, last)
}

/// What was folded so far.
struct Folded {
    text: String,
    most: usize,
    gap: Gap,
    last: char,
}

impl Folded {
    fn new(text: &str) -> Self {
        let most = text.len().saturating_mul(MOST).max(256);
        Self { text: String::with_capacity(text.len()), most, gap: Gap::None, last: ' ' }
    }

    fn is_full(&self) -> bool {
        self.text.len() > self.most
    }

    /// One character of what NFKC made; plain ones are lowered here.
    fn push(&mut self, c: char) {
        let c = c.to_ascii_lowercase();
        if c.is_whitespace() || c.is_control() {
            self.gap = match (self.gap, c) {
                (Gap::None | Gap::Blank, '\n') => Gap::Line,
                (Gap::Line, '\n') => Gap::Lines,
                (Gap::None, _) => Gap::Blank,
                (gap, _) => gap,
            };
            return;
        }
        if is_ignorable(c) || self.is_full() {
            return;
        }
        let wrapped = self.gap == Gap::Line && is_east_asian(self.last) && is_east_asian(c);
        if self.gap != Gap::None && !self.text.is_empty() && !wrapped {
            self.text.push(' ');
        }
        self.gap = Gap::None;
        self.text.push(c);
        self.last = c;
    }
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

    /// Everything through NFKC, as the quick ways must have it.
    fn slowly(text: &str) -> String {
        let mut folded = Folded::new(text);
        text.chars().filter(|c| !is_ignorable(*c)).nfkc().flat_map(char::to_lowercase).for_each(|c| folded.push(c));
        folded.text
    }

    proptest::proptest! {
        #[test]
        fn the_quick_ways_lead_to_the_same(text in "[a-zA-Z0-9 \n\r\t.か゛が\u{3099}\u{309a}\u{301}\u{200b}\u{ad}é迷惑、。ー〜・ﾊﾟｶﾞＡ㈱ヿゟﬁİΣ\u{3000}]{0,40}") {
            proptest::prop_assert_eq!(fold(&text), slowly(&text));
        }

        #[test]
        fn nor_does_any_other_text_fold_otherwise(text in "\\PC{0,60}") {
            proptest::prop_assert_eq!(fold(&text), slowly(&text));
        }
    }

    #[test]
    fn plain_characters_stand_for_themselves() {
        for c in (char::MIN..=char::MAX).filter(|c| is_plain(*c)) {
            let alone: String = std::iter::once(c).nfkc().collect();
            let behind: String = ['か', c].into_iter().nfkc().collect();
            assert_eq!((alone, behind), (c.to_string(), format!("か{c}")));
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
