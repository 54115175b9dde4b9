//! Makes message ids: unique in this process by a counter, across processes and restarts by a random key.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{MessageId, Timestamp};

#[derive(Debug)]
pub struct IdMaker {
    key: u64,
    salt: u64,
    next: AtomicU64,
}

impl IdMaker {
    #[must_use]
    pub fn new() -> Self {
        let mut random = [0u8; 16];
        // Without randomness ids are still unique within this process and millisecond; nothing secret hangs on them.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let bits = u128::from_le_bytes(random);
        Self { key: bits as u64, salt: (bits >> 64) as u64, next: AtomicU64::new(0) }
    }

    pub fn make(&self, now: Timestamp) -> MessageId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mixed = mix(count ^ self.key);
        MessageId::new(now.as_millis(), u128::from(mixed) | u128::from(self.salt & 0xffff) << 64)
    }
}

/// The finaliser of splitmix64: a bijection, so that different counts never meet.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_one_millisecond_differ() {
        let maker = IdMaker::new();
        let now = Timestamp::from_millis(1);
        let ids: HashSet<_> = (0..10_000).map(|_| maker.make(now)).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
