//! Answers of the last moments, by name as it was asked: every message of a busy sender asks the same few questions, and the
//! resolver's own cache parses the name and rebuilds a response for each.
//!
//! **Failure**: none. **Invariants**: an answer is kept for [`FOR`] at most and never longer than its own time to live; no
//! answer that is only temporary is kept; at most [`MOST`] names of each kind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::{RData, RecordType};
use moka::sync::Cache;

use super::Answer;

const FOR: Duration = Duration::from_secs(10);
const MOST: u64 = 8_192;

pub(super) type Records = Answer<Arc<[RData]>>;

#[derive(Debug)]
pub(super) struct Recent([Cache<Box<str>, (Instant, Records)>; 5]);

impl Recent {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Cache::new(MOST)))
    }

    fn of(&self, kind: RecordType) -> Option<&Cache<Box<str>, (Instant, Records)>> {
        let kinds = [RecordType::TXT, RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::PTR];
        self.0.get(kinds.iter().position(|other| *other == kind)?)
    }

    pub(super) fn get(&self, name: &str, kind: RecordType) -> Option<Records> {
        let (until, answer) = self.of(kind)?.get(name)?;
        (Instant::now() < until).then_some(answer)
    }

    /// Keeps an answer that stays true for `lives`.
    pub(super) fn keep(&self, name: &str, kind: RecordType, answer: &Records, lives: Duration) {
        if !matches!(answer, Answer::Temporary(_))
            && !lives.is_zero()
            && let Some(cache) = self.of(kind)
        {
            cache.insert(name.into(), (Instant::now() + lives.min(FOR), answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_by_name_and_kind_unless_it_may_change() {
        let recent = Recent::new();
        let long = Duration::from_secs(3600);
        recent.keep("a.example", RecordType::TXT, &Answer::NoRecords, long);
        assert_eq!(recent.get("a.example", RecordType::TXT), Some(Answer::NoRecords));
        assert_eq!(recent.get("a.example", RecordType::A), None);
        recent.keep("b.example", RecordType::TXT, &Answer::NoSuchDomain, Duration::ZERO);
        recent.keep("c.example", RecordType::TXT, &Answer::Temporary("x".into()), long);
        recent.keep("d.example", RecordType::TXT, &Answer::NoSuchDomain, Duration::from_nanos(1));
        for name in ["b.example", "c.example", "d.example"] {
            assert_eq!(recent.get(name, RecordType::TXT), None, "{name}");
        }
    }
}
