//! Expiry: what was kept long enough goes by itself.
//!
//! **Failure**: a file that can't be removed is told and tried again in the next round. If the wall clock runs away from the
//! monotonic one, nothing expires until it is back, or until a restart confirms it (reliability row DRL-15).

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::handle::Quarantine;
use super::held::Scope;
use super::release::Lease;
use super::shared::{Shared, sync_dir};
use crate::model::{MessageId, TenantId, Timestamp};
use crate::telemetry::{Event, EventName};

const ROUND: Duration = Duration::from_mins(1);
/// A clock may be put right by so much.
const MOST_SKEW: Duration = Duration::from_hours(1);

pub(super) async fn run(quarantine: &Quarantine, shared: &Arc<Shared>, stop: &CancellationToken) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(shared.deps.clock.now(), Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let was_sound = watch.is_sound;
        if !watch.look(shared.deps.clock.now(), Instant::now()) {
            if was_sound {
                alert(
                    shared,
                    "quarantine: the clock has jumped; nothing expires until it is back or the node starts again",
                );
            }
            continue;
        }
        if let Err(error) = quarantine.expire().await {
            alert(shared, &format!("quarantine: expiry failed: {error}"));
        }
    }
}

fn alert(shared: &Shared, text: &str) {
    tracing::error!("{text}");
    shared.deps.log.log(&Event { reason: Some(text), ..Event::new(EventName::Alert, shared.deps.clock.now()) });
}

/// Compares the two clocks since the start.
struct Watch {
    wall: Timestamp,
    began: Instant,
    is_sound: bool,
}

impl Watch {
    fn new(wall: Timestamp, began: Instant) -> Self {
        Self { wall, began, is_sound: true }
    }

    /// Whether the wall clock says what it should.
    fn look(&mut self, wall: Timestamp, now: Instant) -> bool {
        let should = self.wall.plus(now.duration_since(self.began));
        let skew = wall.since(should).max(should.since(wall));
        self.is_sound = skew <= MOST_SKEW;
        self.is_sound
    }
}

/// How many messages. Blocks.
pub(super) fn expire(shared: &Arc<Shared>) -> u64 {
    let now = shared.deps.clock.now().as_millis();
    let mut from = Bound::Unbounded;
    let mut touched = BTreeSet::new();
    let mut expired = 0;
    loop {
        let (due, last) = shared.index().expired(now, from);
        for (id, tenant) in due {
            match drop_one(shared, id, &tenant) {
                Ok(went) => expired += u64::from(went),
                Err(error) => {
                    shared.deps.metrics.quarantine.troubles.inc();
                    alert(shared, &format!("quarantine: {id} can't be removed: {error}"));
                }
            }
            touched.insert(tenant);
        }
        let Some(last) = last else { break };
        from = Bound::Excluded(last);
    }
    for tenant in touched {
        // One that comes back after a crash expires again.
        if let Err(error) = sync_dir(&shared.dirs.tenant(&tenant)) {
            shared.deps.metrics.quarantine.troubles.inc();
            alert(shared, &format!("quarantine: {tenant}: {error}"));
        }
    }
    expired
}

fn drop_one(shared: &Arc<Shared>, id: MessageId, tenant: &TenantId) -> Result<bool, super::QuarantineError> {
    let Ok(lease) = Lease::take(shared, &Scope::Everyone, id) else { return Ok(false) };
    // One that can't be read is moved to corrupt/ by this.
    let held = lease.read()?.held();
    shared.unlink(tenant, id)?;
    let mut index = shared.index();
    let recipients = index.remove(id);
    shared.count(&index);
    drop(index);
    drop(lease);
    shared.deps.metrics.balance.quarantine_expired(recipients as u64);
    shared.deps.metrics.quarantine.expired.inc_by(recipients as u64);
    shared.tell(EventName::Expired, &held, recipients, "kept in quarantine for as long as it is kept");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_believed_until_it_is_back() {
        let (wall, began) = (Timestamp(1_795_176_451_250), Instant::now());
        let mut watch = Watch::new(wall, began);
        let later = |hours| Duration::from_hours(hours);
        assert!(watch.look(wall.plus(later(5)), began + later(5)));
        assert!(!watch.look(wall.plus(later(5 + 30 * 24)), began + later(5)), "thirty days ahead");
        assert!(!watch.look(wall.plus(later(6 + 30 * 24)), began + later(6)), "still");
        assert!(watch.look(wall.plus(later(7)), began + later(7)), "put right");
        assert!(!watch.look(wall, began + later(8)), "back");
    }
}
