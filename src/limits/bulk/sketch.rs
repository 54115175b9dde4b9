//! A sketch of what a message says, by which two messages are compared without keeping either: one-permutation MinHash (Li, Owen,
//! Zhang 2012) of all runs of five letters, one octet for each of 32 bins.
//!
//! Letters alone count, so that numbers, punctuation and invisible characters change nothing, and so that Japanese, which has no
//! spaces, is compared like anything else. Greetings with names, quoted text, addresses and all of a link but its host are left out.
//!
//! **Invariants**: at most [`MOST_LETTERS`] letters of a message are read; the sketch is the same on every machine.

use crate::message::specimen::{Specimen, TextSource};

/// Bins of a sketch.
const BINS: usize = 32;
/// Letters of one run.
const RUN: usize = 5;
/// Less text than this says nothing: links, files and subject are added to it.
const SHORT: usize = 64;
/// Less than this even so is not compared.
const LEAST: usize = 24;
/// More is not read.
const MOST_LETTERS: usize = 16_384;
/// Of 32 bins. Unrelated texts share one or two; the same text with other names in it, 25 or more.
const ALIKE: usize = 20;
/// Lines in which a greeting is looked for, and the longest that is one.
const GREETING_LINES: usize = 4;
const GREETING_LETTERS: usize = 48;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sketch([u8; BINS]);

impl Sketch {
    /// `None`: there is too little to compare.
    #[must_use]
    pub fn of(specimen: &Specimen) -> Option<Self> {
        let mut letters = Vec::new();
        let shown = |source| specimen.texts.iter().filter(move |text| text.source == Some(source));
        // What most readers see: the page, and the plain text only where there is none.
        for source in [TextSource::Html, TextSource::Plain, TextSource::File] {
            if letters.len() < LEAST {
                shown(source).for_each(|text| read(&text.visible, &mut letters));
            }
        }
        if letters.len() < SHORT {
            read(specimen.field("Subject").unwrap_or_default(), &mut letters);
            specimen.links.iter().take(64).for_each(|link| push(&link.host, &mut letters));
            for file in specimen.files.iter().take(64) {
                // Sixteen letters of the alphabet from its hash.
                letters.extend(file.sha256.iter().take(16).map(|octet| u32::from(b'a') + u32::from(octet % 26)));
            }
        }
        Self::of_letters(&letters)
    }

    /// The sketch of a plain text.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut letters = Vec::new();
        read(text, &mut letters);
        Self::of_letters(&letters)
    }

    fn of_letters(letters: &[u32]) -> Option<Self> {
        if letters.len() < LEAST {
            return None;
        }
        let mut least = [u64::MAX; BINS];
        for run in letters.windows(RUN) {
            let hash = run.iter().fold(0x5ec1_5b00_d1ce_u64, |hash, letter| mixed(hash ^ u64::from(*letter)));
            if let Some(bin) = least.get_mut((hash >> 59) as usize) {
                *bin = (*bin).min(hash & (u64::MAX >> 5));
            }
        }
        Some(Self(filled(&least)))
    }

    /// In how many bins both are the same.
    #[must_use]
    pub fn shared(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(one, other)| one == other).count()
    }

    /// Whether both say nearly the same.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        self.shared(other) >= ALIKE
    }
}

/// One octet of each bin; an empty one takes that of the next which is not, changed by how far it is (Shrivastava, Li 2014).
fn filled(least: &[u64; BINS]) -> [u8; BINS] {
    let mut octets = [0; BINS];
    for (at, octet) in octets.iter_mut().enumerate() {
        let found = (0..BINS).find_map(|far| {
            let value = *least.get((at + far) % BINS)?;
            (value != u64::MAX).then(|| mixed(value ^ (far as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        });
        *octet = found.map_or(0, |value| (value >> 56) as u8);
    }
    octets
}

/// One round of multiply and shift: enough to spread, and quick.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^ (value >> 29)
}

/// The letters of a text, without what differs between copies of one message.
fn read(text: &str, letters: &mut Vec<u32>) {
    let mut lines = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if letters.len() >= MOST_LETTERS {
            return;
        }
        lines += 1;
        if line.starts_with('>') || (lines <= GREETING_LINES && is_greeting(line)) {
            continue;
        }
        for word in line.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '「' | '」' | '(' | ')'))
        {
            // Most words have neither, which one look tells.
            if memchr::memchr2(b':', b'@', word.as_bytes()).is_none() {
                push(word, letters);
            } else if let Some((_, rest)) = word.split_once("://") {
                push(rest.split(['/', '?', '#']).next().unwrap_or_default(), letters);
            } else if !word.contains('@') {
                push(word, letters);
            }
        }
    }
}

fn push(word: &str, letters: &mut Vec<u32>) {
    let room = MOST_LETTERS.saturating_sub(letters.len());
    letters.reserve(word.len().min(room));
    if word.is_ascii() {
        let found = word.bytes().filter(u8::is_ascii_alphabetic);
        letters.extend(found.map(|octet| u32::from(octet.to_ascii_lowercase())).take(room));
    } else {
        letters.extend(word.chars().filter_map(letter).take(room));
    }
}

/// Lower case, wide forms as narrow ones; `None`: no letter.
fn letter(c: char) -> Option<u32> {
    let plain = match u32::from(c) {
        wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xfee0).unwrap_or(c),
        _ => c,
    };
    if !plain.is_alphabetic() {
        return None;
    }
    Some(
        if plain.is_ascii() { plain.to_ascii_lowercase() } else { plain.to_lowercase().next().unwrap_or(plain) }.into(),
    )
}

/// `Dear Mr Tanaka,`, `田中様`, `株式会社アクメ 御中`.
fn is_greeting(line: &str) -> bool {
    const BEFORE: [&str; 8] = ["dear ", "hi ", "hi,", "hello", "hey ", "good morning", "good afternoon", "to "];
    const BEHIND: [&str; 7] = ["様", "さま", "さん", "殿", "御中", "先生", "各位"];
    if line.chars().count() > GREETING_LETTERS {
        return false;
    }
    let end = line.trim_end_matches(|c: char| !c.is_alphanumeric());
    let lower = line.to_lowercase();
    BEHIND.iter().any(|word| end.ends_with(word)) || BEFORE.iter().any(|word| lower.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAM: &str = "Our warehouse has reduced all prices of watches and bags for this week only. Order before Sunday and \
        choose a second piece from the list without paying for it. Every order leaves on the same day, wherever you live. \
        Write to us if you have a question about sizes, colours or payment.";
    const JAPANESE: &str = "平素より格別のご高配を賜り、厚く御礼申し上げます。このたび弊社では、春の特別販売会を開催する運びとなりました。\
        会場では新製品を多数取りそろえ、皆様のお越しを心よりお待ちしております。詳しくは下記のページをご覧ください。";

    fn shared(one: &str, other: &str) -> usize {
        Sketch::of_text(one).unwrap().shared(&Sketch::of_text(other).unwrap())
    }

    #[test]
    fn names_numbers_and_links_make_no_other_message() {
        let one = format!("Dear Mr Tanaka,\n{SPAM}\nhttps://shop.example/a?id=1\nOrder 4711");
        let other = format!("Dear Mrs Watanabe-Ito,\n{SPAM}\nhttps://shop.example/zzz/999\nOrder 52");
        assert_eq!(shared(&one, &other), BINS);
        let (one, other) = (format!("田中一郎様\n\n{JAPANESE}"), format!("株式会社アクメ　御中\n\n{JAPANESE}"));
        assert_eq!(shared(&one, &other), BINS);
        let wide = SPAM.replace("prices", "ｐｒｉｃｅｓ").replace("bags", "b\u{200b}ags");
        assert_eq!(shared(SPAM, &wide), BINS);
    }

    #[test]
    fn a_few_other_words_are_alike_and_another_text_is_not() {
        for (at, word) in ["Yuki", "cheap", "xqzt", "special offer", "kindly"].into_iter().enumerate() {
            let mut words: Vec<&str> = SPAM.split(' ').collect();
            words.insert(7 * at + 3, word);
            words.insert(5 * at + 20, "hereby");
            let other = words.join(" ");
            assert!(
                Sketch::of_text(SPAM).unwrap().is_alike(&Sketch::of_text(&other).unwrap()),
                "{}",
                shared(SPAM, &other)
            );
        }
        let letter = "Thank you for your visit last Tuesday. I have attached the minutes of our meeting and the offer for the \
            new press line as discussed. Could you let me know by Friday whether the delivery date suits your plant in Nagoya?";
        assert!(shared(SPAM, letter) < 6, "{}", shared(SPAM, letter));
        assert!(
            shared(
                JAPANESE,
                "お世話になっております。先日の打ち合わせの議事録をお送りいたします。ご確認のほどよろしくお願いいたします。"
            ) < 8
        );
    }

    #[test]
    fn what_says_nothing_is_not_compared() {
        for text in [
            "",
            "ok",
            "12345 67890 12345 67890 12345 67890",
            "> quoted text that is long enough to be compared, but is not",
        ] {
            assert_eq!(Sketch::of_text(text), None, "{text}");
        }
        let huge = "word ".repeat(1_000_000);
        assert!(Sketch::of_text(&huge).is_some());
    }
}
