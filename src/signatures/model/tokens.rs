//! What the classifier sees of a message: hashed words and pairs of words of what a reader sees, and n-grams of characters
//! where a script has no blanks between words.
//!
//! Left out on purpose, for they name a place, a time or a person and not what the mail says: every header field but the
//! subject, addresses, addresses on the web, quoted lines, tags in brackets before the subject, long numbers. Hidden text is
//! left out too: it is there to mislead whoever counts words.
//!
//! **Failure**: none. **Invariants**: at most [`MAX_TOKENS`] tokens of a text of at most [`MAX_OCTETS`]; linear; the same on
//! every machine, for a model is a table of these hashes.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::message::fold::is_plain;
use crate::message::specimen::Specimen;

/// Octets of a message that are looked at.
pub const MAX_OCTETS: usize = 40_000;
/// Tokens of a message, each counted once.
pub const MAX_TOKENS: usize = 12_000;
/// Octets of a line.
const MAX_LINE: usize = 4_000;
/// Octets of a word.
const MAX_WORD: usize = 50;
const MAX_WITH_DIGITS: usize = 6;

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
        sort(&mut self.seen);
        self.seen.dedup();
        self.seen.truncate(MAX_TOKENS);
        Tokens(self.seen.into())
    }
}

/// Fewer than this are sorted by comparing.
const FEW: usize = 256;

/// By each octet in turn, the lowest first: many hashes are sorted in a third of the time that comparing takes.
fn sort(tokens: &mut Vec<u32>) {
    if tokens.len() < FEW {
        tokens.sort_unstable();
        return;
    }
    let mut places = [[0_u32; 256]; 4];
    for token in tokens.iter() {
        for (places, octet) in places.iter_mut().zip(token.to_le_bytes()) {
            if let Some(count) = places.get_mut(usize::from(octet)) {
                *count += 1;
            }
        }
    }
    let mut other = vec![0; tokens.len()];
    for (nth, places) in places.iter_mut().enumerate() {
        let mut sum = 0;
        for place in places.iter_mut() {
            sum += std::mem::replace(place, sum);
        }
        for token in tokens.iter() {
            let octet = token.to_le_bytes().get(nth).copied().unwrap_or_default();
            if let Some(place) = places.get_mut(usize::from(octet)) {
                if let Some(target) = other.get_mut(*place as usize) {
                    *target = *token;
                }
                *place += 1;
            }
        }
        std::mem::swap(tokens, &mut other);
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
    word: Word,
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
        Self { collector, is_subject, before: None, word: Word::default(), run: [None; 2] }
    }

    fn line(&mut self, line: &str) {
        let mut taken = 0;
        let mut room = |length: usize, chars: &mut usize| {
            taken += length;
            let there_is = taken <= MAX_LINE && *chars <= MAX_OCTETS;
            *chars += if there_is { length } else { 0 };
            there_is
        };
        if line.is_ascii() {
            let mut rest = line.as_bytes();
            while let Some((piece, signs, after)) = next_piece(rest) {
                rest = after;
                if !room(piece.len(), &mut self.collector.chars) {
                    break;
                }
                self.ascii(piece, signs);
            }
            return;
        }
        for piece in line.split_whitespace() {
            if !room(piece.len(), &mut self.collector.chars) {
                break;
            }
            if piece.is_ascii() {
                let signs = piece.bytes().fold(0, |signs, octet| signs | class(octet));
                self.ascii(piece.as_bytes(), signs);
                continue;
            }
            let folded = folded(piece);
            for stretch in stretches(&folded) {
                if is_address(stretch) {
                    self.end_word();
                    self.end_run();
                } else {
                    self.piece(stretch.chars());
                }
            }
            self.end_word();
            self.end_run();
        }
    }

    /// The same as [`Self::piece`] and the end of its last word. `signs` are the classes of all its octets.
    fn ascii(&mut self, piece: &[u8], signs: u8) {
        let marked = signs & MARK != 0 && (piece.contains(&b'@') || memchr::memmem::find(piece, b"://").is_some());
        if marked || piece.starts_with(b"www.") {
            return;
        }
        for octet in piece {
            match class(*octet) {
                LETTER => self.word.letter(*octet | 0x20),
                DIGIT => self.word.digit(),
                JOINER if self.word.is_begun() => self.word.joiner(*octet),
                MONEY => self.money(&[*octet]),
                _ => self.end_word(),
            }
        }
        self.end_word();
    }

    fn piece(&mut self, chars: impl Iterator<Item = char>) {
        let mut room = [0; 4];
        for c in chars {
            match kind(c) {
                Kind::Nothing => {}
                Kind::Letter => {
                    self.end_run();
                    if c.is_ascii_digit() {
                        self.word.digit();
                    } else {
                        let lower = c.to_lowercase();
                        lower.for_each(|c| c.encode_utf8(&mut room).bytes().for_each(|b| self.word.letter(b)));
                    }
                }
                Kind::Joiner if self.word.is_begun() => {
                    self.word.joiner(if c == '\u{2019}' { b'\'' } else { u8::try_from(c).unwrap_or(b'-') });
                }
                Kind::Joiner | Kind::Blank => {
                    self.end_word();
                    self.end_run();
                }
                Kind::Money => self.money(c.encode_utf8(&mut room).as_bytes()),
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
            self.run_of(mixed(mixed(DENSE, one.into()), c.into()));
            if let Some(two) = self.run[0] {
                self.run_of(mixed(mixed(mixed(DENSE, two.into()), one.into()), c.into()));
            }
        }
        self.run = [self.run[1], Some(c)];
        self.before = None;
    }

    fn end_run(&mut self) {
        self.run = [None; 2];
    }

    fn run_of(&mut self, hash: u64) {
        self.collector.add(hash);
        if self.is_subject {
            self.collector.add(mixed(SUBJECT, hash));
        }
    }

    /// A word by itself.
    fn money(&mut self, octets: &[u8]) {
        self.end_word();
        self.take(octets.iter().fold(MONEY_WORD, |hash, octet| mixed(hash, (*octet).into())));
    }

    fn end_word(&mut self) {
        if self.word.is_begun()
            && let Some(hash) = std::mem::take(&mut self.word).hash()
        {
            self.take(hash);
        }
    }

    fn take(&mut self, hash: u64) {
        self.run_of(hash);
        if let Some(before) = self.before {
            self.collector.add(mixed(before, hash));
        }
        self.before = Some(hash);
    }
}

/// A word's hash, as far as it goes: eight octets at a time.
///
/// Digits count as one zero; long words with digits, single letters and very long words say nothing. Joiners at the end are
/// none of it.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    hash: u64,
    /// Octets not in the hash yet.
    held: u64,
    length: usize,
    has_digits: bool,
    after_digit: bool,
    /// What was there before the joiners that may be its end.
    kept: Option<(u64, u64, usize)>,
}

impl Word {
    fn is_begun(&self) -> bool {
        self.length > 0
    }

    fn octet(&mut self, octet: u8) {
        self.held = self.held << 8 | u64::from(octet);
        self.length += 1;
        if self.length.is_multiple_of(8) {
            self.hash = mixed(self.hash, self.held);
            self.held = 0;
        }
    }

    fn letter(&mut self, octet: u8) {
        (self.after_digit, self.kept) = (false, None);
        self.octet(octet);
    }

    fn digit(&mut self) {
        if !self.after_digit {
            self.kept = None;
            self.octet(b'0');
            (self.has_digits, self.after_digit) = (true, true);
        }
    }

    fn joiner(&mut self, octet: u8) {
        self.after_digit = false;
        self.kept = self.kept.or(Some((self.hash, self.held, self.length)));
        self.octet(octet);
    }

    fn hash(self) -> Option<u64> {
        let (hash, held, length) = self.kept.unwrap_or((self.hash, self.held, self.length));
        let most = if self.has_digits { MAX_WITH_DIGITS } else { MAX_WORD };
        (1 < length && length <= most).then(|| mixed(hash, held))
    }
}

/// Classes of octets.
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const JOINER: u8 = 4;
const MONEY: u8 = 8;
/// Addresses have one of these.
const MARK: u8 = 16;
const BLANK: u8 = 32;

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let this = octet as u8;
        classes[octet] = match this {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'\'' | b'-' | b'_' => JOINER,
            b'$' | b'!' => MONEY,
            b'@' | b':' => MARK,
            b'\t'..=b'\r' | b' ' => BLANK,
            _ => 0,
        };
        octet += 1;
    }
    classes
};

fn class(octet: u8) -> u8 {
    CLASSES.get(usize::from(octet)).copied().unwrap_or_default()
}

/// What stands before the next blank, the classes of its octets together, and what comes after.
fn next_piece(line: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let line = line.get(line.iter().position(|octet| class(*octet) != BLANK)?..)?;
    let mut signs = 0;
    let ends = |octet: &u8| {
        let class = class(*octet);
        signs |= class;
        class == BLANK
    };
    let end = line.iter().position(ends).unwrap_or(line.len());
    let (piece, after) = line.split_at_checked(end)?;
    Some((piece, signs, after))
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

/// What tells kinds of tokens apart.
const SUBJECT: u64 = 0x5375_626A_6563_743A;
const DENSE: u64 = 0xCBF2_9CE4_8422_2325;
const MONEY_WORD: u64 = 0x8422_2325_CBF2_9CE4;

/// One more number in a hash: one multiplication. The same on every machine.
fn mixed(hash: u64, number: u64) -> u64 {
    (hash.rotate_left(23) ^ number).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// FNV-1a, 64 bits.
pub(super) fn hash_of(octets: impl Iterator<Item = u8>) -> u64 {
    octets.fold(DENSE, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// Mixed once more: the lowest bits of a product know little.
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
    fn tokens_are_sorted_and_each_is_there_once() {
        let words: String = (0..3_000_u32).map(|n| format!("w{} ", to_letters(n % 700))).collect();
        for words in [&words[..200], &words] {
            let seen: Vec<u32> = Tokens::of_text("", words).iter().collect();
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{}", seen.len());
        }
        assert_eq!(Tokens::of_text("", &words).len(), 1_400, "700 words, 700 pairs");
    }

    fn to_letters(number: u32) -> String {
        number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
    }

    #[test]
    fn how_a_word_is_written_does_not_matter() {
        let plain = Tokens::of_text("", "don't re-read");
        for text in ["Don\u{2019}t Re-Read", "don't-- re-read_", "(don't) re-read.", "don\u{2019}t\u{3000}re-read'"] {
            assert_eq!(Tokens::of_text("", text), plain, "{text}");
        }
        assert!(
            Tokens::of_text("", "a b abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz abc1234de5f").is_empty()
        );
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
