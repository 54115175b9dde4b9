//! One subject's record.
//!
//! **Invariants**: of a fixed size; every count fades by half in about 17 hours (a time constant of a day), so that a steady rate
//! comes to what a day brings and a burst counts as what it is.

use crate::limits::USUAL;
use crate::model::MessageId;
use crate::model::rates::Rate;
use crate::tables::state_file::Fixed;
use crate::tables::{Seconds, Worth};

pub(super) const DAY: f32 = 86_400.0;
const WEEK: Seconds = 7 * 86_400;
/// Time constant of the baseline, in days.
const BASELINE: f32 = 28.0;
/// How fast limits come back to the usual: time constant, in days.
const FORGIVEN: f32 = 10.0;
/// What a good message adds to a sender's limits, and a harmful one takes.
const GROWTH: f32 = 1.01;
const SHRINKING: f32 = 0.5;
const FACTORS: (f32, f32) = (0.1, 5.0);
/// An allowance for alike messages grows to so many times its usual.
const MOST_ALLOWANCE: f32 = 20.0;
/// Of what a sender's average would bring in the same time: bulk comes in bursts.
const BURST: f32 = 14.0;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages that came to their end and were judged, whatever became of them.
    Messages,
    /// Their recipients.
    Recipients,
    /// Recipients whose servers took the message.
    Delivered,
    /// Recipients that don't exist, by what next hops said.
    Unknown,
    /// Recipients finally refused otherwise.
    Bounced,
    /// Messages found to be spam or phishing; near ones count a quarter.
    Spam,
    /// Messages with malware.
    Malware,
    /// Recipients of alike messages to many.
    Alike,
    /// Recipients of messages with fields of mailing lists.
    List,
    /// Messages put off for a rate, at their end or before.
    Rate,
}

const KINDS: usize = 10;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    first: Seconds,
    /// When all counts were as they are written here.
    last: Seconds,
    counts: [f32; KINDS],
    /// Recipients, fading over four weeks.
    baseline: f32,
    /// Recipients of alike messages that passed, fading over four weeks.
    bulk: f32,
    factor: f32,
    /// One bit for each of 64 hashes of senders that sent alike or harmful mail: of this day and the day before.
    senders: [u64; 2],
    senders_since: Seconds,
    /// A message that was finally refused.
    sample: u128,
}

impl Record {
    #[must_use]
    pub fn new(now: Seconds) -> Self {
        Self {
            first: now,
            last: now,
            counts: [0.0; KINDS],
            baseline: 0.0,
            bulk: 0.0,
            factor: 1.0,
            senders: [0; 2],
            senders_since: now,
            sample: 0,
        }
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Seconds) {
        let passed = now.saturating_sub(self.last);
        if passed == 0 {
            return;
        }
        let days = passed as f32 / DAY;
        let fading = (-days).exp();
        self.counts.iter_mut().for_each(|count| *count *= fading);
        let slow = (-days / BASELINE).exp();
        self.baseline *= slow;
        self.bulk *= slow;
        self.factor = 1.0 + (self.factor - 1.0) * (-days / FORGIVEN).exp();
        let since = now.saturating_sub(self.senders_since);
        if since >= 86_400 {
            let [today, _] = self.senders;
            self.senders = [0, if since < 2 * 86_400 { today } else { 0 }];
            self.senders_since = now;
        }
        self.last = now;
    }

    pub fn add(&mut self, kind: Kind, count: f32) {
        if let Some(place) = self.counts.get_mut(kind as usize) {
            *place += count;
        }
        if kind == Kind::Recipients {
            self.baseline += count;
        }
    }

    /// Recipients of alike messages that passed.
    pub fn add_bulk(&mut self, recipients: f32) {
        self.bulk += recipients;
    }

    /// Of the last day.
    #[must_use]
    pub fn count(&self, kind: Kind) -> f32 {
        self.counts.get(kind as usize).copied().unwrap_or(0.0)
    }

    /// Notes whose alike or harmful mail it was, by a hash.
    pub fn blame(&mut self, sender: u64) {
        let [today, _] = &mut self.senders;
        *today |= 1 << (sender & 63);
    }

    /// How many different senders were blamed in the last day or two; at most 64.
    #[must_use]
    pub fn blamed(&self) -> u32 {
        let [today, before] = self.senders;
        (today | before).count_ones()
    }

    pub fn set_sample(&mut self, message: MessageId) {
        self.sample = message.as_u128();
    }

    #[must_use]
    pub fn sample(&self) -> Option<MessageId> {
        (self.sample != 0).then(|| MessageId::from_u128(self.sample))
    }

    /// A message was taken and did no harm: limits grow.
    pub fn good(&mut self) {
        self.factor = (self.factor * GROWTH).min(FACTORS.1);
    }

    /// Harm was done: limits shrink.
    pub fn harm(&mut self) {
        self.factor = (self.factor * SHRINKING).max(FACTORS.0);
    }

    /// Of the limits: thousandths of the usual.
    #[must_use]
    #[allow(clippy::cast_sign_loss, reason = "never negative")]
    pub fn factor(&self) -> u32 {
        (self.factor * USUAL as f32) as u32
    }

    pub(super) fn last(&self) -> Seconds {
        self.last
    }

    /// For how long it is known.
    #[must_use]
    pub fn age(&self, now: Seconds) -> Seconds {
        now.saturating_sub(self.first)
    }

    /// Recipients of a usual day, the last one not counted.
    #[must_use]
    pub fn usual_day(&self, now: Seconds) -> f32 {
        mean((self.baseline - self.count(Kind::Recipients)).max(0.0), self.age(now))
    }

    /// Recipients whose fate is known.
    #[must_use]
    pub fn told(&self) -> f32 {
        self.count(Kind::Delivered) + self.count(Kind::Unknown) + self.count(Kind::Bounced)
    }

    /// Whether nothing speaks against it but what any bulk has.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        let failed = self.count(Kind::Unknown) + self.count(Kind::Bounced);
        self.count(Kind::Spam) < 1.0 && self.count(Kind::Malware) < 0.5 && (failed < 5.0 || failed * 20.0 < self.told())
    }

    #[allow(clippy::cast_sign_loss, reason = "never negative")]
    pub(super) fn allowance(&self, usual: Rate, now: Seconds) -> Rate {
        if self.age(now) < WEEK || !self.is_harmless() {
            return usual;
        }
        let expected = mean(self.bulk, self.age(now)) * usual.per().as_secs_f32() / DAY * BURST;
        let least = usual.count() as f32;
        let count = expected.clamp(least, least * MOST_ALLOWANCE);
        Rate::new(count as u64, usual.per()).unwrap_or(usual)
    }
}

/// A day's mean of a sum that fades over four weeks.
fn mean(sum: f32, age: Seconds) -> f32 {
    let days = (age as f32 / DAY).max(1.0);
    sum / (BASELINE * (1.0 - (-days / BASELINE).exp()))
}

impl Worth for Record {
    fn worth(&self, now: Seconds) -> f32 {
        let harm =
            self.count(Kind::Spam) + self.count(Kind::Malware) + self.count(Kind::Unknown) + self.count(Kind::Rate);
        let idle = now.saturating_sub(self.last) as f32 / DAY;
        (self.count(Kind::Messages) + 10.0 * harm) * (-idle).exp() + self.baseline * (-idle / BASELINE).exp()
    }
}

impl Fixed for Record {
    const SIZE: usize = 4 + 4 + 4 * KINDS + 4 * 3 + 16 + 4 + 16;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.first.to_le_bytes());
        out.extend(self.last.to_le_bytes());
        for number in self.counts.into_iter().chain([self.baseline, self.bulk, self.factor]) {
            out.extend(number.to_le_bytes());
        }
        self.senders.into_iter().for_each(|bits| out.extend(bits.to_le_bytes()));
        out.extend(self.senders_since.to_le_bytes());
        out.extend(self.sample.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut record = Self::new(0);
        record.first = u32::from_le_bytes(next(&mut rest)?);
        record.last = u32::from_le_bytes(next(&mut rest)?);
        let slow = [&mut record.baseline, &mut record.bulk, &mut record.factor];
        for number in record.counts.iter_mut().chain(slow) {
            *number = Some(f32::from_le_bytes(next(&mut rest)?)).filter(|number| (0.0..1e12).contains(number))?;
        }
        for bits in &mut record.senders {
            *bits = u64::from_le_bytes(next(&mut rest)?);
        }
        record.senders_since = u32::from_le_bytes(next(&mut rest)?);
        record.sample = u128::from_le_bytes(next(&mut rest)?);
        rest.is_empty().then_some(record)
    }
}

fn next<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}
