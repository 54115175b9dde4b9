//! What the classifier sees of a message: hashed words and pairs of words of what a reader sees, and n-grams of characters
//! where a script has no blanks between words.
//!
//! Left out on purpose, for they name a place, a time or a person and not what the mail says: every header field but the
//! subject, addresses, addresses on the web, quoted lines, tags in brackets before the subject, long numbers. Hidden text is
//! left out too: it is there to mislead whoever counts words.
//!
//! **Failure**: none. **Invariants**: at most [`MAX_TOKENS`] tokens of at most [`MAX_CHARS`] characters; linear; the same on
//! every machine, for a model is a table of these hashes.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::message::fold::is_plain;
use crate::message::specimen::Specimen;

/// Characters of a message that are looked at.
pub const MAX_CHARS: usize = 40_000;
/// Tokens of a message, each counted once.
pub const MAX_TOKENS: usize = 12_000;
const MAX_LINE: usize = 4_000;
const MAX_WORD: usize = 25;

/// The tokens of a message: sorted hashes, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens(Box<[u32]>);

impl Tokens {
    /// Of the subject and of every text.
    #[must_use]
    pub fn of(specimen: &Specimen) -> Self {
        let mut collector = Collector::default();
        collector.subject(specimen.subject());
        for text in &specimen.texts {
            collector.text(&text.visible);
        }
        collector.finish()
    }

    /// As if a message had this subject and text.
    #[must_use]
    pub fn of_text(subject: &str, text: &str) -> Self {
        let mut collector = Collector::default();
        collector.subject(subject);
        collector.text(text);
        collector.finish()
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Places in which a token is remembered.
const RECENT: usize = 2048;

#[derive(Debug)]
struct Collector {
    seen: Vec<u32>,
    /// Some that were seen: most words come again, and need not be sorted again.
    recent: Box<[u32]>,
    /// Tokens so far, those that came again too.
    told: usize,
    chars: usize,
}

impl Default for Collector {
    fn default() -> Self {
        Self { seen: Vec::new(), recent: vec![0; RECENT].into(), told: 0, chars: 0 }
    }
}

impl Collector {
    fn subject(&mut self, subject: &str) {
        let said = without_prefixes(subject);
        let mut words = Words::new(self, true);
        words.line(said);
    }

    fn text(&mut self, text: &str) {
        let mut words = Words::new(self, false);
        for line in text.lines() {
            let said = line.trim_start();
            if !said.starts_with(['>', '|']) {
                words.line(said);
            }
        }
    }

    fn add(&mut self, hash: u64) {
        if self.told >= 2 * MAX_TOKENS {
            return;
        }
        self.told += 1;
        let token = short(hash);
        if let Some(recent) = self.recent.get_mut(token as usize % RECENT) {
            if *recent == token && token != 0 {
                return;
            }
            *recent = token;
        }
        self.seen.push(token);
    }

    fn finish(mut self) -> Tokens {
        self.seen.sort_unstable();
        self.seen.dedup();
        self.seen.truncate(MAX_TOKENS);
        Tokens(self.seen.into())
    }
}

/// `Re: [some-list] Fwd: hello` says `hello`.
fn without_prefixes(subject: &str) -> &str {
    let mut rest = subject.trim();
    for _ in 0..8 {
        let shorter = match rest.as_bytes().first() {
            Some(b'[') => rest.find(']').filter(|end| *end <= 40).and_then(|end| rest.get(end + 1..)),
            _ => ["re:", "fw:", "fwd:", "aw:", "sv:", "wg:", "tr:", "rv:", "enc:"].iter().find_map(|prefix| {
                let head = rest.get(..prefix.len())?;
                head.eq_ignore_ascii_case(prefix).then(|| rest.get(prefix.len()..)).flatten()
            }),
        };
        match shorter {
            Some(shorter) => rest = shorter.trim_start(),
            None => break,
        }
    }
    rest
}

/// Goes through one text word by word.
struct Words<'c> {
    collector: &'c mut Collector,
    is_subject: bool,
    /// Hash of the word before, for pairs.
    before: Option<u64>,
    word: String,
    /// The last characters of a run without blanks between words.
    run: [Option<char>; 2],
}

/// How a character takes part.
enum Kind {
    Letter,
    Joiner,
    Money,
    /// Of a script without blanks between words.
    Dense,
    /// Shows nothing.
    Nothing,
    Blank,
}

impl<'c> Words<'c> {
    fn new(collector: &'c mut Collector, is_subject: bool) -> Self {
        Self { collector, is_subject, before: None, word: String::with_capacity(32), run: [None; 2] }
    }

    fn line(&mut self, line: &str) {
        let mut taken = 0;
        for piece in line.split_whitespace() {
            taken += piece.len();
            if taken > MAX_LINE || self.collector.chars > MAX_CHARS {
                break;
            }
            self.collector.chars += piece.len();
            if piece.is_ascii() {
                if !is_address(piece) {
                    self.ascii(piece);
                }
            } else {
                let folded = folded(piece);
                for stretch in stretches(&folded) {
                    if is_address(stretch) {
                        self.end_word();
                        self.end_run();
                    } else {
                        self.piece(stretch.chars());
                    }
                }
            }
            self.end_word();
            self.end_run();
        }
    }

    /// The same as [`Self::piece`], letters taken together.
    fn ascii(&mut self, piece: &str) {
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            let letters = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            if letters == 0 {
                self.piece(std::iter::once(first));
            } else {
                self.end_run();
                let begun = self.word.len();
                self.word.push_str(rest.get(..letters).unwrap_or_default());
                if let Some(word) = self.word.get_mut(begun..) {
                    word.make_ascii_lowercase();
                }
            }
            rest = rest.get(letters.max(1)..).unwrap_or_default();
        }
    }

    fn piece(&mut self, chars: impl Iterator<Item = char>) {
        for c in chars {
            match kind(c) {
                Kind::Nothing => {}
                Kind::Letter => {
                    self.end_run();
                    self.word.extend(c.to_lowercase());
                }
                Kind::Joiner if !self.word.is_empty() => self.word.push(if c == '\u{2019}' { '\'' } else { c }),
                Kind::Joiner | Kind::Blank => {
                    self.end_word();
                    self.end_run();
                }
                Kind::Money => {
                    self.end_word();
                    self.word.push(c);
                    self.end_word();
                }
                Kind::Dense => {
                    self.end_word();
                    self.dense(c);
                }
            }
        }
    }

    /// Pairs and triples of characters.
    fn dense(&mut self, c: char) {
        if let Some(one) = self.run[1] {
            self.token(&[one, c]);
            if let Some(two) = self.run[0] {
                self.token(&[two, one, c]);
            }
        }
        self.run = [self.run[1], Some(c)];
        self.before = None;
    }

    fn end_run(&mut self) {
        self.run = [None; 2];
    }

    fn token(&mut self, chars: &[char]) {
        let mut hash = START;
        let mut room = [0; 4];
        for c in chars {
            hash = hash_on(hash, c.encode_utf8(&mut room).as_bytes());
        }
        self.collector.add(hash);
        if self.is_subject {
            self.collector.add(hash_on(SUBJECT, &hash.to_le_bytes()));
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        if let Some(hash) = word_hash(word.trim_end_matches(['\'', '-', '_'])) {
            self.collector.add(hash);
            if self.is_subject {
                self.collector.add(hash_on(SUBJECT, &hash.to_le_bytes()));
            }
            if let Some(before) = self.before {
                self.collector.add(hash_on(before, &hash.to_le_bytes()));
            }
            self.before = Some(hash);
        }
        self.word = word;
        self.word.clear();
    }
}

/// Digits count as one zero; long words with digits, single letters and very long words say nothing.
fn word_hash(word: &str) -> Option<u64> {
    if !word.bytes().any(|b| b.is_ascii_digit()) {
        let long_enough = word.len() > 1 || word.bytes().all(|b| b.is_ascii_punctuation());
        return (long_enough && word.len() <= MAX_WORD * 2).then(|| hash_on(START, word.as_bytes()));
    }
    let mut hash = START;
    let (mut length, mut in_number) = (0, false);
    for b in word.bytes() {
        if b.is_ascii_digit() {
            if !in_number {
                hash = hash_on(hash, b"0");
                length += 1;
            }
            in_number = true;
        } else {
            hash = hash_on(hash, &[b]);
            length += 1;
            in_number = false;
        }
    }
    (length > 1 && length <= 6).then_some(hash)
}

/// Stretches of ASCII and of other characters by turns, so that an address ends where Japanese text goes on.
fn stretches(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let ascii = rest.chars().next()?.is_ascii();
        let end = rest.char_indices().find(|(_, c)| c.is_ascii() != ascii).map_or(rest.len(), |(at, _)| at);
        let (stretch, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(stretch)
    })
}

/// NFKC, bounded; what needs none is not copied.
fn folded(piece: &str) -> Cow<'_, str> {
    if piece.chars().all(is_plain) && piece.len() <= MAX_LINE {
        return Cow::Borrowed(piece);
    }
    Cow::Owned(piece.nfkc().take(MAX_LINE).collect())
}

fn is_address(piece: &str) -> bool {
    let marked = memchr::memchr2(b'@', b':', piece.as_bytes()).is_some();
    marked && (piece.contains('@') || piece.contains("://")) || piece.starts_with("www.")
}

fn kind(c: char) -> Kind {
    match c {
        '$' | '€' | '£' | '¥' | '₿' | '!' => Kind::Money,
        '\'' | '-' | '_' | '\u{2019}' => Kind::Joiner,
        c if c.is_ascii() => {
            if c.is_ascii_alphanumeric() {
                Kind::Letter
            } else {
                Kind::Blank
            }
        }
        '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' => {
            Kind::Nothing
        }
        '\u{34F}' | '\u{FE00}'..='\u{FE0F}' => Kind::Nothing,
        // Kana, kanji, Thai, Lao, Khmer, Burmese; the long-vowel and repetition marks belong to them.
        '々' | '〆' | '\u{3041}'..='\u{30FA}' | 'ー' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' => {
            Kind::Dense
        }
        '\u{E01}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{20000}'..='\u{3FFFF}' => {
            Kind::Dense
        }
        c if c.is_alphanumeric() => Kind::Letter,
        _ => Kind::Blank,
    }
}

/// FNV-1a, 64 bits.
const START: u64 = 0xCBF2_9CE4_8422_2325;
const SUBJECT: u64 = 0x5375_626A_6563_743A;

/// The same on every machine.
pub(super) fn hash_of(octets: impl Iterator<Item = u8>) -> u64 {
    octets.fold(START, |hash, octet| hash_on(hash, &[octet]))
}

fn hash_on(mut hash: u64, octets: &[u8]) -> u64 {
    for octet in octets {
        hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    hash
}

/// Mixed well, for FNV's upper bits are weak in short words.
#[allow(clippy::cast_possible_truncation, reason = "the upper half")]
fn short(hash: u64) -> u32 {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_people_and_places_is_left_out() {
        let plain = Tokens::of_text("Hello", "good offer");
        for text in [
            "good offer\n> quoted words\n| more",
            "good offer https://example.com/path?q=1",
            "good offer someone@example.com",
            "good\u{200B} offer",
            "GOOD ｏｆｆｅｒ",
        ] {
            let seen = Tokens::of_text("Re: [some-list] Fwd: hello", text);
            assert_eq!(seen, plain, "{text}");
        }
        assert_ne!(Tokens::of_text("", "offer good"), Tokens::of_text("", "good offer"), "pairs have an order");
    }

    #[test]
    fn numbers_are_alike() {
        assert_eq!(Tokens::of_text("", "pay $1500 by 10pm"), Tokens::of_text("", "pay $20 by 9pm"));
        assert!(Tokens::of_text("", "A1B2C3D4E5F6").is_empty());
    }

    #[test]
    fn japanese_goes_by_pairs_and_triples_of_characters() {
        assert_eq!(Tokens::of_text("", "お支払い").len(), 3 + 2);
        assert_eq!(Tokens::of_text("", "詳細https://example.jp/xはこちら"), Tokens::of_text("", "詳細 はこちら"));
        assert_eq!(Tokens::of_text("", "ﾎﾟｲﾝﾄ"), Tokens::of_text("", "ポイント"));
    }

    #[test]
    fn much_text_is_bounded() {
        let long = "abc def ".repeat(100_000);
        assert!(Tokens::of_text(&long, &long).len() < 20);
        let words: String = (0_u32..100_000)
            .map(|n| {
                format!("{}\n", n.wrapping_mul(2_654_435_761).to_string().replace(|c: char| c.is_ascii_digit(), "x"))
            })
            .collect();
        assert!(Tokens::of_text("", &words).len() <= MAX_TOKENS);
        let dense: String = (0..200_000_u32).filter_map(|n| char::from_u32(0x4E00 + n % 20_000)).collect();
        assert!(Tokens::of_text("", &dense).len() <= MAX_TOKENS);
        let dense: String = dense.chars().flat_map(|c| [c, ' ']).collect();
        assert!(Tokens::of_text("", &dense).is_empty(), "single characters say nothing");
    }
}
