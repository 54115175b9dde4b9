//! Text for matching: what looks alike to a reader is alike to a rule.
//!
//! **Failure**: nothing fails, and nothing is cut off. A text that grows without end by what its letters stand for keeps all its
//! other letters: see `ALLOWANCE`.
//! **Invariants**: `fold(fold(x)) == fold(x)` for what people write; linear; the memory of the text itself and no more than half of
//! it besides, and `ALLOWANCE`.

use std::cell::Cell;

use unicode_normalization::char::decompose_compatible;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

/// Octets by which the folded text may be longer than what was folded, besides an eighth of the text. One letter can stand for
/// eighteen (U+FDFA): beyond the allowance a letter that grows becomes U+FFFD, and those that don't are folded as ever.
const ALLOWANCE: usize = 64 << 10;
/// Octets in which there is no room for more marks in a row than one letter may have, thirty (Unicode Standard Annex 15, section
/// 13): none becomes more marks than it has octets.
const FEW_MARKS: usize = 30;

/// NFKC, lower case, without invisible characters; blanks run together, line breaks between East Asian characters dropped:
/// there they are no blanks but the end of the line. Folds patterns and texts alike.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return fold_ascii(text);
    }
    let mut folded = Folded::new(text);
    let mut rest = text;
    while !rest.is_empty() {
        // What NFKC leaves as it is, but for the last character of it: a mark behind would join that one.
        let (plain, last) = plain_start(rest);
        let end = if plain == rest.len() { plain } else { last };
        let (plain, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        plain.chars().for_each(|c| folded.push(c));
        let mut chars = behind.char_indices();
        chars.next();
        let end = chars.find(|(_, c)| is_plain(*c)).map_or(behind.len(), |(at, _)| at);
        let (marked, behind) = behind.split_at_checked(end).unwrap_or((behind, ""));
        folded.push_marked(marked, text.len() - marked.len() - behind.len());
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
    allowance: usize,
    gap: Gap,
    last: char,
}

impl Folded {
    fn new(text: &str) -> Self {
        Self {
            text: String::with_capacity(text.len()),
            allowance: ALLOWANCE + text.len() / 8,
            gap: Gap::None,
            last: ' ',
        }
    }

    /// Text that NFKC may change; `before`: the octets of the text in front of it.
    fn push_marked(&mut self, marked: &str, before: usize) {
        let (consumed, made) = (Cell::new(before), Cell::new(self.text.len()));
        let most = self.allowance;
        let seen = marked.chars().filter_map(|c| {
            consumed.set(consumed.get() + c.len_utf8());
            if is_ignorable(c) {
                return None;
            }
            let is_long = made.get() > consumed.get() + most;
            Some(if is_long && grows(c) { char::REPLACEMENT_CHARACTER } else { c })
        });
        if marked.len() <= FEW_MARKS {
            seen.nfkc().flat_map(char::to_lowercase).for_each(|c| self.push(c));
            return;
        }
        // A letter with marks without end would be held, and sorted, as a whole. What is put between them is drawn as nothing.
        for c in seen.stream_safe().nfkc().flat_map(char::to_lowercase) {
            self.push(c);
            made.set(self.text.len());
        }
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
        if is_ignorable(c) {
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

/// Whether what NFKC makes of it is longer than itself, in octets. What NFKC takes apart and puts together again is not.
fn grows(c: char) -> bool {
    let mut octets = 0;
    decompose_compatible(c, |part| octets += part.len_utf8());
    octets > c.len_utf8() && is_nfkc_quick(std::iter::once(c)) == IsNormalized::No
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
        let seen = text.chars().filter(|c| !is_ignorable(*c));
        seen.stream_safe().nfkc().flat_map(char::to_lowercase).for_each(|c| folded.push(c));
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

        #[test]
        fn marks_in_a_row_fold_alike_wherever_they_stand(text in "(か|a|é|\u{ac00}|ﬁ)?[\u{301}\u{323}\u{3099}\u{344}a]{20,80}") {
            proptest::prop_assert_eq!(fold(&text), slowly(&text));
        }

        #[test]
        fn no_text_grows_beyond_the_allowance(piece in "[\u{fdfa}㈱ⱥȺİ½é\u{323}\u{1d160}ﬃ가が a]{1,8}", often in 10_000_usize..40_000) {
            let text = piece.repeat(often);
            proptest::prop_assert!(fold(&text).len() <= text.len() + text.len() / 2 + text.len() / 8 + ALLOWANCE + 64);
        }
    }

    #[test]
    fn letters_that_grow_hide_nothing_behind_them() {
        let flood = "\u{fdfa}".repeat(500_000);
        let spam = "メールが届かない方はＦＲＥＥ \u{200b}VIAGRA ｶﾞ é";
        let folded = fold(&format!("{flood} {spam}"));
        assert!(folded.ends_with(&format!(" {}", fold(spam))), "{:?}", folded.get(folded.len() - 80..));
        assert!(folded.len() <= flood.len() + flood.len() / 8 + ALLOWANCE + 128, "{}", folded.len());
        // What grows a little, as people write it, is never replaced.
        let company = fold(&"㈱サンプルは品質の良い製品をお届けします。".repeat(20_000));
        assert!(!company.contains(char::REPLACEMENT_CHARACTER) && company.starts_with("(株)"));
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
    fn marks_without_end_are_folded_in_pieces() {
        // Sorted as a whole, the dot below each letter's first mark would be a million octets ahead.
        let marks = fold(&format!("a{}b", "\u{301}\u{323}".repeat(500_000)));
        assert!(marks.starts_with("ạ") && marks.ends_with('b'));
        assert_eq!(marks.chars().filter(|c| matches!(c, '\u{301}' | '\u{323}')).count(), 999_999);
    }
}
