//! What one tenant's users taught: reports of spam and releases of good mail, on top of the seed.
//!
//! Each report moves the weights of the message's words a step towards what was said, the more so the more the opinion was
//! wrong. One report is enough that the same mail is judged otherwise; words that occur in both sorts even out.
//!
//! **Failure**: a damaged file is refused. **Invariants**: at most [`MAX_WORDS`] words: beyond
//! them those that say least are forgotten; no text is kept, only hashes.

use std::collections::HashMap;

use super::{BadModel, Model, Reader, Tokens};

/// Words of one tenant.
pub const MAX_WORDS: usize = 100_000;
/// With the number of the way in which words are hashed.
const MAGIC: &[u8; 8] = b"SEKISHL2";
const STEP: f32 = 3.0;
/// Farther than this the layer's part never goes.
const MOST: f32 = 6.0;
/// A weight's unit in the file.
const UNIT: f32 = 1.0 / 2048.0;

/// Of one tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    weights: HashMap<u32, f32>,
    /// Messages reported as spam, and as good.
    pub spam: u32,
    pub ham: u32,
}

impl Layer {
    /// Learns from one report. `model` is the seed in force.
    pub fn learn(&mut self, model: &Model, tokens: &Tokens, is_spam: bool) {
        if tokens.is_empty() {
            return;
        }
        let count = if is_spam { &mut self.spam } else { &mut self.ham };
        *count = count.saturating_add(1);
        let opinion = model.judge(tokens, Some(self));
        let wanted = if is_spam { 1.0 } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, reason = "between -1 and 1")]
        let wrong = (wanted - opinion.probability()) as f32;
        let change = STEP * wrong / super::length(tokens.len());
        // Farther than it counts the words would only grow, and then speak for mail that shares a few of them.
        if self.sum(tokens).0 * change.signum() >= MOST {
            return;
        }
        for hash in tokens.iter() {
            *self.weights.entry(hash).or_default() += change;
        }
        if self.weights.len() > MAX_WORDS {
            self.forget();
        }
    }

    /// Keeps three quarters: the words that say most.
    fn forget(&mut self) {
        let mut sizes: Vec<f32> = self.weights.values().map(|weight| weight.abs()).collect();
        let most = MAX_WORDS / 4 * 3;
        let first = sizes.len().saturating_sub(most);
        let (_, least, above) = sizes.select_nth_unstable_by(first, f32::total_cmp);
        let least = *least;
        // Many may say just as much: of those, as many as there is room for.
        let mut alike = most.saturating_sub(above.iter().filter(|size| **size > least).count());
        self.weights.retain(|_, weight| {
            let stays = weight.abs() > least || (weight.abs() == least && alike > 0);
            alike -= usize::from(stays && weight.abs() == least);
            stays
        });
    }

    /// Of the words it knows: their weights together, by all words, and how many they are.
    fn sum(&self, tokens: &Tokens) -> (f32, usize) {
        let (mut sum, mut known) = (0.0, 0);
        for hash in tokens.iter() {
            if let Some(weight) = self.weights.get(&hash) {
                sum += weight;
                known += 1;
            }
        }
        // By all words, not the known ones: a message that shares few words with what was taught is another message.
        (sum / super::length(tokens.len()), known)
    }

    /// Its part of the odds, and how many words it knows.
    pub(super) fn odds(&self, tokens: &Tokens) -> (f32, usize) {
        let (sum, known) = self.sum(tokens);
        (sum.clamp(-MOST, MOST), known)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Octets in memory, nearly.
    #[must_use]
    pub fn memory(&self) -> usize {
        // A word, its weight and an octet of the table's own.
        self.weights.capacity() * 9
    }

    /// As a file; words that say nothing are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut entries: Vec<(u32, i16)> = self.weights.iter().map(|(hash, weight)| (*hash, whole(*weight))).collect();
        entries.retain(|(_, weight)| *weight != 0);
        entries.sort_unstable();
        let mut out = MAGIC.to_vec();
        for number in [u32::try_from(entries.len()).unwrap_or(u32::MAX), self.spam, self.ham] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for (hash, weight) in entries {
            out.extend_from_slice(&hash.to_le_bytes());
            out.extend_from_slice(&weight.to_le_bytes());
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads what [`Layer::to_bytes`] wrote.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, BadModel> {
        let Some((said, sum)) = octets.split_last_chunk::<4>() else { return Err(BadModel::Short) };
        if !said.starts_with(MAGIC) {
            return Err(BadModel::NoModel);
        }
        if crc32c::crc32c(said) != u32::from_le_bytes(*sum) {
            return Err(BadModel::Damaged);
        }
        let mut reader = Reader(said.get(MAGIC.len()..).unwrap_or_default());
        let mut number = || reader.take().map(u32::from_le_bytes);
        let (count, spam, ham) = (number()? as usize, number()?, number()?);
        if count > 2 * MAX_WORDS {
            return Err(BadModel::TooBig);
        }
        let mut weights = HashMap::with_capacity(count);
        for _ in 0..count {
            let hash = u32::from_le_bytes(reader.take()?);
            weights.insert(hash, f32::from(i16::from_le_bytes(reader.take()?)) * UNIT);
        }
        Ok(Self { weights, spam, ham })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "clamped before")]
fn whole(weight: f32) -> i16 {
    (weight / UNIT).round().clamp(-32_767.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAM: &str = "弊社の新サービスをご案内します。営業代行で売上を伸ばしませんか。無料相談を受付中です。";
    const HAM: &str = "明日の定例会議の資料をお送りします。ご確認のほどよろしくお願いいたします。";

    #[test]
    fn one_report_is_enough_for_the_same_mail() {
        let (model, mut layer) = (Model::empty(), Layer::default());
        let (spam, ham) = (Tokens::of_text("", SPAM), Tokens::of_text("", HAM));
        for _ in 0..3 {
            layer.learn(&model, &spam, true);
            layer.learn(&model, &ham, false);
        }
        let (of_spam, of_ham) = (model.judge(&spam, Some(&layer)), model.judge(&ham, Some(&layer)));
        assert!(of_spam.points() > 2.0, "{of_spam:?}");
        assert!(of_ham.points() < 0.0, "{of_ham:?}");
        assert_eq!((layer.spam, layer.ham), (3, 3));
    }

    #[test]
    fn other_mail_is_not_touched() {
        let (model, mut layer) = (Model::empty(), Layer::default());
        layer.learn(&model, &Tokens::of_text("", SPAM), true);
        let other =
            model.judge(&Tokens::of_text("", "The quarterly figures are in the folder as promised"), Some(&layer));
        assert_eq!(other.points(), 0.0);
    }

    #[test]
    fn a_wrong_report_can_be_taken_back() {
        let (model, mut layer) = (Model::empty(), Layer::default());
        let tokens = Tokens::of_text("", HAM);
        layer.learn(&model, &tokens, true);
        for _ in 0..3 {
            layer.learn(&model, &tokens, false);
        }
        assert!(model.judge(&tokens, Some(&layer)).odds < 0.0);
    }

    #[test]
    fn words_do_not_grow_where_they_count_no_more() {
        // A seed that is as sure of spam as can be.
        let model = Model::new(0.0, 1.0, &Tokens::of_text("", HAM).iter().map(|hash| (hash, 127)).collect::<Vec<_>>());
        let (mut layer, tokens) = (Layer::default(), Tokens::of_text("", HAM));
        for _ in 0..100 {
            layer.learn(&model, &tokens, false);
        }
        let (sum, _) = layer.sum(&tokens);
        assert!((-MOST - 3.0..=-MOST).contains(&sum), "{sum}");
        assert_eq!(layer.ham, 100);
    }

    #[test]
    fn it_forgets_rather_than_grows() {
        let (model, mut layer, mut most) = (Model::empty(), Layer::default(), 0);
        for n in 0..60_u32 {
            let letters = |line: u32| {
                let next_to = 31 + 2 * n;
                (0..100_u32).filter_map(move |m| char::from_u32(0x4E00 + ((line * 100 + m) * next_to) % 20_000))
            };
            let text: Vec<String> = (0..60).map(|line| letters(line).collect()).collect();
            let text = text.join("\n");
            layer.learn(&model, &Tokens::of_text("", &text), n % 2 == 0);
            assert!(layer.len() <= MAX_WORDS);
            most = most.max(layer.len());
            assert!(n < 30 || layer.len() >= MAX_WORDS / 2, "{n}: {} words", layer.len());
        }
        assert!(most > MAX_WORDS / 10 * 9, "it had something to forget: {most}");
        let file = layer.to_bytes();
        assert_eq!(Layer::from_bytes(&file).unwrap().to_bytes(), file);
        assert_eq!(Layer::from_bytes(&file[..file.len() - 1]), Err(BadModel::Damaged));
    }
}
