//! Brings due leases to their destinations, and no more of them than fit.
//!
//! **Invariants**: after shutdown was asked no lease is taken; what waits in memory is bounded, the rest waits in the spool.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::shared::Shared;
use crate::spool::Spool;

/// Leases taken in one go.
const BATCH: usize = 256;
/// Nothing waits longer for a look at the queue, whatever the clocks do.
const LONGEST: Duration = Duration::from_secs(5);

/// Runs until shutdown.
pub(super) async fn schedule(shared: Arc<Shared>, spool: Spool) {
    loop {
        if shared.shutdown.is_cancelled() {
            return;
        }
        // Only many destinations with one lease each come this far; no single one can.
        let full = shared.ready.load(Ordering::Relaxed) >= 2 * shared.config.ready_limit;
        let taken = if full { 0 } else { bring(&shared, &spool) };
        if taken == BATCH {
            // Others want the processor too.
            tokio::task::yield_now().await;
            continue;
        }
        let now = shared.clock.now();
        let wait = match spool.next_due() {
            _ if full => LONGEST,
            Some(due) => due.since(now).clamp(Duration::from_millis(1), LONGEST),
            None => LONGEST,
        };
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = shared.room.notified() => {}
            () = spool.changed(), if !full => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn bring(shared: &Arc<Shared>, spool: &Spool) -> usize {
    let leases = spool.take_due(shared.clock.now(), BATCH);
    let taken = leases.len();
    for lease in leases {
        shared.dispatch(lease);
    }
    taken
}

/// Keeps house while delivery runs: idle connections, forgotten destinations, and those that nobody serves.
pub(super) async fn keep_house(shared: Arc<Shared>, pool: Arc<super::pool::Pool>) {
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => break,
            _ = tick.tick() => {}
        }
        shared.forget_sites();
        // Places of the pool fall free without anybody being told.
        shared.hire_for_deserted();
        pool.sweep(false).await;
    }
    pool.sweep(true).await;
}
