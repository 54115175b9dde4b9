//! Makes a seed from sorted mail: a logistic regression with L2 penalty, by stochastic dual coordinate ascent.
//!
//! A word counts only if [`MIN_WRITERS`] different writers used it, so that names, signatures and habits of single people
//! don't become evidence. The order in which examples are visited comes from a fixed generator: the same examples make the
//! same model, octet by octet.
//!
//! A [`Collection`] takes messages one by one and keeps hashes of their words, at most [`MAX_KEPT`].
//!
//! **Failure**: none; without examples of both sorts the model is empty.

use std::collections::{HashMap, HashSet};

use super::tokens::hash_of;
use super::{MAX_ENTRIES, Model, Tokens, length};
use crate::message::specimen::Specimen;

/// Writers who must have used a word.
pub const MIN_WRITERS: usize = 2;
/// How closely the examples are followed: the greater, the closer.
const CLOSENESS: f64 = 80.0;
const ROUNDS: usize = 60;

/// Tokens of a [`Collection`]: some 60,000 messages, 100 MB; while it learns, at worst ten times that.
pub const MAX_KEPT: usize = 24 << 20;

/// Sorted messages, of which only the tokens are kept.
#[derive(Debug, Default)]
pub struct Collection {
    examples: Vec<Example>,
    seen: HashSet<(u64, bool)>,
    kept: usize,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// One of its sort says the very same; a wave of one mail is no more evidence than one of it.
    Again,
    /// It has no words.
    Empty,
    /// There is no room for it.
    Full,
}

impl Collection {
    /// Takes a message.
    pub fn take(&mut self, specimen: &Specimen, is_spam: bool) -> Taken {
        let tokens = Tokens::of(specimen);
        if tokens.is_empty() {
            return Taken::Empty;
        }
        if self.kept + tokens.len() > MAX_KEPT {
            return Taken::Full;
        }
        let whole = hash_of(tokens.iter().flat_map(u32::to_le_bytes));
        if !self.seen.insert((whole, is_spam)) {
            return Taken::Again;
        }
        self.kept += tokens.len();
        let from = specimen.field("From").unwrap_or_default().to_lowercase();
        // Never the mark for "nobody".
        let writer = hash_of(from.bytes()) >> 1;
        self.examples.push(Example { tokens, is_spam, weight: 1.0, writer });
        Taken::Yes
    }

    /// Learns from all of them.
    #[must_use]
    pub fn train(&self) -> Model {
        train(&self.examples)
    }
}

/// One sorted message.
#[derive(Debug, Clone)]
pub struct Example {
    pub tokens: Tokens,
    pub is_spam: bool,
    /// How much it counts; 1 is the rule.
    pub weight: f64,
    /// Says who wrote it, by any number.
    pub writer: u64,
}

/// Learns.
#[must_use]
pub fn train(examples: &[Example]) -> Model {
    let sorts = examples.iter().filter(|example| example.is_spam).count();
    if sorts == 0 || sorts == examples.len() {
        return Model::empty();
    }
    let words = vocabulary(examples);
    let rows: Vec<Vec<u32>> = examples
        .iter()
        .map(|example| example.tokens.iter().filter_map(|hash| words.get(&hash).copied()).collect())
        .collect();
    let (weights, bias) = ascend(examples, &rows, words.len());
    quantized(&words, &weights, bias)
}

/// Words of enough writers, with their place.
fn vocabulary(examples: &[Example]) -> HashMap<u32, u32> {
    let mut writers: HashMap<u32, [u64; MIN_WRITERS]> = HashMap::new();
    for example in examples {
        for hash in example.tokens.iter() {
            let seen = writers.entry(hash).or_insert([u64::MAX; MIN_WRITERS]);
            if !seen.contains(&example.writer)
                && let Some(free) = seen.iter_mut().find(|writer| **writer == u64::MAX)
            {
                *free = example.writer;
            }
        }
    }
    let mut enough: Vec<u32> =
        writers.into_iter().filter(|(_, seen)| !seen.contains(&u64::MAX)).map(|(hash, _)| hash).collect();
    enough.sort_unstable();
    enough.truncate(MAX_ENTRIES);
    enough.into_iter().zip(0..).collect()
}

/// The bias is one more word, which every message has.
fn ascend(examples: &[Example], rows: &[Vec<u32>], words: usize) -> (Vec<f64>, f64) {
    let mut weights = vec![0.0_f64; words];
    let mut bias = 0.0_f64;
    let mut alphas = vec![0.0_f64; rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut dice = Dice(0x5EED);
    for _ in 0..ROUNDS {
        dice.shuffle(&mut order);
        for nth in &order {
            let (Some(example), Some(row), Some(alpha)) = (examples.get(*nth), rows.get(*nth), alphas.get_mut(*nth))
            else {
                continue;
            };
            let x = 1.0 / f64::from(length(row.len()));
            let sum: f64 = row.iter().filter_map(|word| weights.get(*word as usize)).sum();
            let sort = if example.is_spam { 1.0 } else { -1.0 };
            let margin = sort * (bias + x * sum);
            let closeness = CLOSENESS * example.weight;
            #[allow(clippy::cast_precision_loss, reason = "a few thousand words")]
            let squared = row.len() as f64 * x * x + 1.0;
            let step = best(*alpha, margin, closeness * squared) - *alpha;
            *alpha += step;
            let change = sort * step * closeness;
            bias += change;
            for word in row {
                if let Some(weight) = weights.get_mut(*word as usize) {
                    *weight += change * x;
                }
            }
        }
    }
    (weights, bias)
}

/// The dual variable of one example that is best while all others stay: the root of a rising function, by halving.
fn best(alpha: f64, margin: f64, curvature: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..24 {
        let middle = f64::midpoint(low, high);
        if middle < 1.0 / (1.0 + (margin + curvature * (middle - alpha)).exp()) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[allow(clippy::cast_possible_truncation, reason = "within i8 by the unit")]
fn quantized(words: &HashMap<u32, u32>, weights: &[f64], bias: f64) -> Model {
    let greatest = weights.iter().fold(0.0_f64, |greatest, weight| greatest.max(weight.abs()));
    let unit = (greatest / 127.0).max(1e-9);
    let mut entries: Vec<(u32, i8)> = words
        .iter()
        .filter_map(|(hash, place)| {
            let weight = weights.get(*place as usize)? / unit;
            Some((*hash, weight.round().clamp(-127.0, 127.0) as i8))
        })
        .collect();
    entries.sort_unstable();
    Model::new(bias as f32, unit as f32, &entries)
}

/// SplitMix64: numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    #[allow(clippy::cast_possible_truncation, reason = "smaller than a length")]
    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            order.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}
