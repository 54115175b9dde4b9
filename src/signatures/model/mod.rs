//! The classifier's model: how much each word speaks for spam or for good mail, learned from mail that people sorted.
//!
//! A logistic regression over hashed words ([`tokens`]). The seed is part of a pack: a table of hashes and weights without
//! any text, made by [`train`]. What a tenant's users report is learned on top of it, word by word, in a [`Layer`] of the
//! tenant's own; the seed itself never changes.
//!
//! **Failure**: a damaged file is refused with the reason. **Invariants**: a message with few known words gets no opinion
//! ([`MIN_KNOWN`]); the opinion's weight is bounded ([`MOST_POINTS`], [`SURE_POINTS`]).

use thiserror::Error;

mod layer;
pub mod tokens;
pub mod train;

pub use layer::Layer;
pub use tokens::Tokens;

/// Fewer known words than this are no ground for an opinion.
pub const MIN_KNOWN: usize = 8;
/// The seed's greatest weight in points, unless it is [`SURE`].
pub const MOST_POINTS: f64 = 4.5;
/// From these odds on, `SURE_SLOPE` points for each more, up to [`SURE_POINTS`]. Of 5,500 honest messages it was tried on, one reached
/// them.
pub const SURE: f64 = 3.5;
const SURE_SLOPE: f64 = 1.5;
/// With fewer known words than this, an opinion weighs at most [`FEW_POINTS`].
pub const FEW_KNOWN: usize = 25;
pub const FEW_POINTS: f64 = 2.5;
/// The seed's greatest weight, in points. The mail of an authenticated author is not sunk by it alone: see `policy`.
pub const SURE_POINTS: f64 = 5.5;
/// The seed's greatest weight for good mail, in points. Small: who writes spam can put good words into it, and a short letter of
/// fraud has no other.
pub const LEAST_POINTS: f64 = -0.8;
/// From this many known words on, the odds are worth more: those of a short message are much by chance.
const MANY_KNOWN: usize = 100;
/// Points for each of the odds, of few words and of many.
const SLOPES: (f64, f64) = (2.0, 3.0);
/// Words by which a short message is measured; a few words alone can't be sure.
const FLOOR: f32 = 40.0;
/// With the number of the way in which words are hashed.
const MAGIC: &[u8; 8] = b"SEKISHO2";
const MAGIC_OF_ANY: &[u8; 7] = b"SEKISHO";
/// Most entries of a model.
const MAX_ENTRIES: usize = 1 << 20;

/// The seed: immutable, shared.
#[derive(Debug, Clone, Default)]
pub struct Model {
    bias: f32,
    /// What a weight of one stands for.
    unit: f32,
    /// Sorted.
    hashes: Box<[u32]>,
    weights: Box<[i8]>,
    /// Where the hashes begin with each upper half.
    starts: Box<[u32]>,
}

/// What the model thinks of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opinion {
    /// Logarithm of the odds for spam.
    pub odds: f64,
    /// The tenant's own part of them.
    pub learned: f64,
    /// Words that the model or the layer knows.
    pub known: usize,
    /// Words of the message.
    pub of: usize,
}

impl Opinion {
    /// From 0, good, to 1, spam.
    #[must_use]
    pub fn probability(&self) -> f64 {
        1.0 / (1.0 + (-self.odds).exp())
    }

    /// What the opinion weighs. The seed alone stays between [`LEAST_POINTS`] and [`SURE_POINTS`]; what a tenant's users
    /// taught weighs more, for it is about their own mail.
    #[must_use]
    pub fn points(&self) -> f64 {
        if self.known < MIN_KNOWN {
            return 0.0;
        }
        let sure = (MOST_POINTS + SURE_SLOPE * (self.odds - SURE).max(0.0)).min(SURE_POINTS);
        let seed = if self.known < FEW_KNOWN { FEW_POINTS } else { sure };
        let most = if self.learned > 1.0 { 6.5 } else { seed };
        let least = if self.learned < -1.0 { -4.0 } else { LEAST_POINTS };
        let slope = match self.odds {
            ..=0.0 => 0.5,
            _ if self.known < MANY_KNOWN => SLOPES.0,
            _ => SLOPES.1,
        };
        (self.odds * slope).clamp(least, most)
    }
}

/// Why a file is no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadModel {
    #[error("it does not begin as a model does")]
    NoModel,
    #[error("it is of another release, which hashed words otherwise: train it anew")]
    OtherHashes,
    #[error("it ends early")]
    Short,
    #[error("its checksum is another: it is damaged")]
    Damaged,
    #[error("it holds more than {MAX_ENTRIES} words")]
    TooBig,
    #[error("its numbers are no numbers")]
    NoNumbers,
}

impl Model {
    /// Knows nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Words it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Octets in memory, nearly.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.hashes.len() * 5 + self.starts.len() * 4
    }

    /// `entries` sorted by hash, each once.
    fn new(bias: f32, unit: f32, entries: &[(u32, i8)]) -> Self {
        let hashes: Box<[u32]> = entries.iter().map(|(hash, _)| *hash).collect();
        let mut starts = vec![0_u32; (1 << 16) + 1];
        for hash in &hashes {
            if let Some(count) = starts.get_mut((hash >> 16) as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let weights = entries.iter().map(|(_, weight)| *weight).collect();
        Self { bias, unit, hashes, weights, starts: starts.into() }
    }

    fn weight(&self, hash: u32) -> Option<i8> {
        let upper = (hash >> 16) as usize;
        let from = *self.starts.get(upper)? as usize;
        let to = *self.starts.get(upper + 1)? as usize;
        let at = from + self.hashes.get(from..to)?.iter().position(|known| *known == hash)?;
        self.weights.get(at).copied()
    }

    /// What it thinks of a message, with what the tenant's users taught.
    #[must_use]
    pub fn judge(&self, tokens: &Tokens, layer: Option<&Layer>) -> Opinion {
        let (mut sum, mut known) = (0_i64, 0_usize);
        for hash in tokens.iter() {
            if let Some(weight) = self.weight(hash) {
                sum += i64::from(weight);
                known += 1;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "at most 12,000 small numbers")]
        let seed = self.bias + self.unit * sum as f32 / length(known);
        let seed = if known < MIN_KNOWN { 0.0 } else { seed };
        let (learned, taught) = layer.map_or((0.0, 0), |layer| layer.odds(tokens));
        let odds = f64::from(seed) + f64::from(learned);
        Opinion { odds, learned: f64::from(learned), known: known.max(taught), of: tokens.len() }
    }

    /// As a file: what it begins with, count, bias, unit, then gap and weight of each entry, then a CRC-32C of all that.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.hashes.len() * 4 + 32);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&u32::try_from(self.hashes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&self.bias.to_le_bytes());
        out.extend_from_slice(&self.unit.to_le_bytes());
        let mut last = 0;
        for (hash, weight) in self.hashes.iter().zip(&self.weights) {
            put_number(&mut out, hash - last);
            out.extend_from_slice(&weight.to_le_bytes());
            last = *hash;
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads what [`Model::to_bytes`] wrote.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, BadModel> {
        let Some((said, sum)) = octets.split_last_chunk::<4>() else { return Err(BadModel::Short) };
        if !said.starts_with(MAGIC) {
            let other = said.starts_with(MAGIC_OF_ANY);
            return Err(if other { BadModel::OtherHashes } else { BadModel::NoModel });
        }
        if crc32c::crc32c(said) != u32::from_le_bytes(*sum) {
            return Err(BadModel::Damaged);
        }
        let mut reader = Reader(said.get(MAGIC.len()..).unwrap_or_default());
        let count = u32::from_le_bytes(reader.take()?) as usize;
        let (bias, unit) = (f32::from_le_bytes(reader.take()?), f32::from_le_bytes(reader.take()?));
        if count > MAX_ENTRIES {
            return Err(BadModel::TooBig);
        }
        if !bias.is_finite() || !unit.is_finite() {
            return Err(BadModel::NoNumbers);
        }
        let mut entries = Vec::with_capacity(count);
        let mut last = 0_u32;
        for nth in 0..count {
            let gap = reader.number()?;
            if nth > 0 && gap == 0 {
                return Err(BadModel::NoNumbers);
            }
            last = last.checked_add(gap).ok_or(BadModel::NoNumbers)?;
            entries.push((last, i8::from_le_bytes(reader.take()?)));
        }
        if !reader.0.is_empty() {
            return Err(BadModel::NoNumbers);
        }
        Ok(Self::new(bias, unit, &entries))
    }
}

/// The length by which a sum of weights is divided.
#[allow(clippy::cast_precision_loss, reason = "at most 12,000")]
fn length(known: usize) -> f32 {
    (known as f32).max(FLOOR).sqrt()
}

/// Seven bits an octet, the lowest first.
fn put_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7F) as u8);
}

struct Reader<'o>(&'o [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadModel> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(BadModel::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u32, BadModel> {
        let mut number = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [octet] = self.take()?;
            number |= u64::from(octet & 0x7F) << shift;
            if octet < 0x80 {
                return u32::try_from(number).map_err(|_| BadModel::NoNumbers);
            }
        }
        Err(BadModel::NoNumbers)
    }
}

#[cfg(test)]
mod tests {
    use super::train::{Example, train};
    use super::*;

    /// Twenty writers each say the one and the other.
    fn small() -> Model {
        let mut examples = Vec::new();
        for writer in 0..20 {
            let spam = "claim your lottery prize winner now and send your bank details to the barrister today";
            let ham = "the meeting on monday moved to room four please bring the minutes and the draft budget";
            for (text, is_spam) in [(spam, true), (ham, false)] {
                examples.push(Example { tokens: Tokens::of_text("", text), is_spam, weight: 1.0, writer });
            }
        }
        train(&examples)
    }

    #[test]
    fn it_tells_apart_what_it_was_taught() {
        let model = small();
        let spam =
            model.judge(&Tokens::of_text("", "you are the lottery winner send your bank details now to claim"), None);
        let ham = model.judge(&Tokens::of_text("", "please bring the draft minutes of the meeting on monday"), None);
        assert!(spam.odds > 0.5 && ham.odds < -0.5, "{spam:?} {ham:?}");
        assert!(spam.points() > 0.5 && ham.points() < 0.0);
    }

    #[test]
    fn few_known_words_are_no_ground() {
        let opinion =
            small().judge(&Tokens::of_text("", "lottery of quite different words that nobody taught it"), None);
        assert_eq!(opinion.points(), 0.0);
        assert_eq!(Model::empty().judge(&Tokens::of_text("", "anything at all"), None).points(), 0.0);
    }

    #[test]
    fn an_opinion_weighs_only_so_much() {
        let sure = Opinion { odds: 50.0, learned: 0.0, known: 100, of: 100 };
        assert_eq!(sure.points(), SURE_POINTS);
        assert_eq!(Opinion { odds: SURE, ..sure }.points(), MOST_POINTS);
        assert_eq!(Opinion { odds: 50.0, learned: 2.0, ..sure }.points(), 6.5);
        let sure = Opinion { odds: -50.0, ..sure };
        assert_eq!(sure.points(), LEAST_POINTS);
    }

    #[test]
    fn a_file_comes_back_and_damage_is_refused() {
        let model = small();
        let file = model.to_bytes();
        let again = Model::from_bytes(&file).unwrap();
        assert_eq!(again.to_bytes(), file);
        let tokens = Tokens::of_text("", "claim your prize now and send your bank details today");
        assert_eq!(again.judge(&tokens, None), model.judge(&tokens, None));
        for cut in [0, 3, 11, file.len() / 2, file.len() - 1] {
            assert!(Model::from_bytes(&file[..cut]).is_err(), "{cut}");
        }
        for at in [0, 9, 20, file.len() / 2, file.len() - 1] {
            let mut flipped = file.clone();
            flipped[at] ^= 1;
            assert!(Model::from_bytes(&flipped).is_err(), "{at}");
        }
    }

    #[test]
    fn a_model_of_other_hashes_is_refused() {
        let mut file = small().to_bytes();
        file[7] = b'1';
        assert_eq!(Model::from_bytes(&file).unwrap_err(), BadModel::OtherHashes);
        file[6] = b'0';
        assert_eq!(Model::from_bytes(&file).unwrap_err(), BadModel::NoModel);
    }

    #[test]
    fn a_count_that_lies_is_refused() {
        let mut file = small().to_bytes();
        file.truncate(file.len() - 4);
        file[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let sum = crc32c::crc32c(&file);
        file.extend_from_slice(&sum.to_le_bytes());
        assert_eq!(Model::from_bytes(&file).unwrap_err(), BadModel::TooBig);
    }

    #[test]
    fn training_is_the_same_every_time() {
        assert_eq!(small().to_bytes(), small().to_bytes());
    }
}
