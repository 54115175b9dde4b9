//! Room in memory for large messages: they arrive in files and are read whole to be judged.
//!
//! **Failure**: who finds no room in time is told, and the client comes again. **Invariants**: all of them together take no more than
//! the budget, but for one that is larger than all of it and then is alone; who waits is served in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for, so that four TiB can be counted.
const UNIT: u64 = 1 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    all: u32,
}

/// Room that is taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(octets: usize) -> Self {
        let all = u32::try_from(octets as u64 / UNIT).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// `None`: none was free for so long.
    pub(super) async fn take(&self, octets: u64, patience: Duration) -> Option<Place> {
        let wanted = u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.all);
        let permit = tokio::time::timeout(patience, Arc::clone(&self.free).acquire_many_owned(wanted)).await;
        Some(Place { _permit: permit.ok()?.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_in_time_is_told() {
        let room = Room::new(10 << 20);
        let six = room.take(6 << 20, SOON).await.unwrap();
        let four = room.take(4 << 20, SOON).await.unwrap();
        assert!(room.take(1, SOON).await.is_none());
        drop(four);
        assert!(room.take(1, SOON).await.is_some());
        drop(six);
        assert!(room.take(50 << 20, SOON).await.is_some(), "alone");
    }
}
