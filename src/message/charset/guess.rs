//! Which charset octets are in that nobody labelled, or labelled wrongly.
//!
//! **Failure**: a guess may be wrong; it is always some text.
//! **Invariants**: linear; statistics look at the first [`SAMPLE`] octets.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS};

/// Octets that a guess is made of.
const SAMPLE: usize = 64 << 10;

/// Octets that are no UTF-8, of which nothing is known.
#[must_use]
pub fn decode(octets: &[u8]) -> String {
    let sample = octets.get(..octets.len().min(SAMPLE)).unwrap_or_default();
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() == octets.len());
    let guessed = detector.guess(None, Utf8Detection::Deny);
    if guessed == SHIFT_JIS || guessed == EUC_JP {
        return japanese(octets, guessed);
    }
    // A few words are too few for statistics, but kana are like nothing else.
    let (best, points) = better(sample, SHIFT_JIS);
    let wide = sample.iter().filter(|byte| **byte >= 0x80).count();
    let chosen = if points * 2 >= wide && wide >= 4 { best } else { guessed };
    chosen.decode_without_bom_handling(octets).0.into_owned()
}

/// Japanese, in the charset named or in the other one, if that makes more sense.
#[must_use]
pub fn japanese(octets: &[u8], named: &'static Encoding) -> String {
    let sample = octets.get(..octets.len().min(SAMPLE)).unwrap_or_default();
    better(sample, named).0.decode_without_bom_handling(octets).0.into_owned()
}

/// The better of the two Japanese charsets, and how much speaks for it.
fn better(sample: &[u8], named: &'static Encoding) -> (&'static Encoding, usize) {
    let other = if named == SHIFT_JIS { EUC_JP } else { SHIFT_JIS };
    let (here, there) = (points(sample, named), points(sample, other));
    let (best, points) = if there > here { (other, there) } else { (named, here) };
    (best, usize::try_from(points).unwrap_or(0))
}

/// How much like Japanese it reads: kana most of all; what has no character, and half-width kana in a row, not at all.
fn points(sample: &[u8], encoding: &'static Encoding) -> i64 {
    encoding.decode_without_bom_handling(sample).0.chars().map(worth).sum()
}

fn worth(c: char) -> i64 {
    match u32::from(c) {
        0..=0x7f => 0,
        // Hiragana, katakana, CJK punctuation.
        0x3001..=0x30ff => 4,
        // Kanji.
        0x4e00..=0x9fff | 0xf900..=0xfaff => 2,
        // Full-width forms.
        0xff01..=0xff60 => 2,
        // Half-width kana.
        0xff61..=0xff9f => -1,
        0xfffd | 0xe000..=0xf8ff => -12,
        0x80..=0x9f => -6,
        _ => -1,
    }
}
