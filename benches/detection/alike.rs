//! Messages that say nearly the same: who was trained with one of them knows the other.
//!
//! Two messages are alike if their sets of words and pairs of words overlap by [`ALIKE`] of all they have together (Jaccard). Which
//! are compared is found by MinHash: 16 bands of 3 smallest hashes; of pairs at the limit 99.9 % are found. Short messages
//! are alike only if they are the same.

use std::collections::HashMap;

use sekisho::signatures::model::Tokens;

const ALIKE: f64 = 0.7;
const BANDS: usize = 16;
const ROWS: usize = 3;
/// With fewer tokens, every small message would be like every other.
const FEW: usize = 12;
/// Compared within one band, at most; behind them are copies of copies.
const MOST: usize = 64;

/// For each message the first one of its group. A message joins a group if it is like any of its members.
pub fn groups(all: &[Tokens]) -> Vec<usize> {
    let mut first: Vec<usize> = (0..all.len()).collect();
    let mut bands: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
    for (nth, tokens) in all.iter().enumerate() {
        let signature = signature(tokens);
        for (band, rows) in signature.chunks(ROWS).enumerate() {
            let key = rows.iter().fold(0_u64, |key, row| mix(key ^ u64::from(*row)));
            let members = bands.entry((band, key)).or_default();
            for other in members.iter() {
                let (a, b) = (root(&first, *other), root(&first, nth));
                if a != b && overlap(tokens, &all[*other]) >= ALIKE {
                    first[a.max(b)] = a.min(b);
                }
            }
            if members.len() < MOST {
                members.push(nth);
            }
        }
    }
    (0..all.len()).map(|nth| root(&first, nth)).collect()
}

fn root(first: &[usize], mut nth: usize) -> usize {
    while first[nth] != nth {
        nth = first[nth];
    }
    nth
}

fn overlap(a: &Tokens, b: &Tokens) -> f64 {
    if a.len() < FEW || b.len() < FEW {
        return if a == b && !a.is_empty() { 1.0 } else { 0.0 };
    }
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let mut both = 0_usize;
    while let (Some(one), Some(other)) = (left.peek().copied(), right.peek().copied()) {
        both += usize::from(one == other);
        if one <= other {
            left.next();
        }
        if other <= one {
            right.next();
        }
    }
    both as f64 / (a.len() + b.len() - both) as f64
}

fn signature(tokens: &Tokens) -> [u32; BANDS * ROWS] {
    let mut smallest = [u32::MAX; BANDS * ROWS];
    for token in tokens.iter() {
        for (nth, least) in smallest.iter_mut().enumerate() {
            let hash = (mix(u64::from(token) ^ ((nth as u64 + 1) << 32)) >> 32) as u32;
            *least = (*least).min(hash);
        }
    }
    smallest
}

fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
