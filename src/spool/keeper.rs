//! The thread that keeps house: looks at free space, takes away segments that nobody needs, carries the last messages out
//! of old ones.
//!
//! **Invariants**: segments leave only at the old end, so that the record of an outcome never leaves before the message it
//! is about: no message comes back from the dead. A directory is synced after every departure, for the same reason.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::read;
use super::request::Move;
use super::segment::{Name, sync_dir};
use super::shared::{Shared, lock};
use crate::faults::Point;
use crate::telemetry::EventName;

/// How the keeper is told to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Stop {
    pub(super) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.wake.notify_all();
    }

    /// True when it is time to go.
    fn wait(&self, patience: Duration) -> bool {
        let stopped = lock(&self.stopped);
        if *stopped {
            return true;
        }
        *self.wake.wait_timeout(stopped, patience).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Until told to stop.
pub(super) fn run(shared: &Arc<Shared>, stop: &Stop) {
    while !stop.wait(shared.config.check_interval) {
        look(shared);
        tidy(shared);
    }
}

/// Looks at free space and decides whether new mail may come in.
pub(super) fn look(shared: &Shared) {
    let Ok(found) = rustix::fs::statvfs(&shared.dirs.root) else { return };
    let bytes = found.f_bavail.saturating_mul(found.f_frsize);
    // A file system without a fixed number of inodes says 0 of 0.
    let inodes = if found.f_files == 0 { u64::MAX } else { found.f_favail };
    shared.available.store(bytes, Ordering::Relaxed);
    let spool = &shared.deps.metrics.spool;
    spool.free_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    spool.free_inodes.set(i64::try_from(inodes).unwrap_or(i64::MAX));
    let was_low = shared.is_low.load(Ordering::Relaxed);
    // Once low, a quarter more must be free: no flapping.
    let enough = |least: u64| if was_low { least.saturating_add(least / 4) } else { least };
    let reason = if bytes < enough(shared.config.min_free_bytes) {
        Some(format!("{} MiB of disk free", bytes >> 20))
    } else if inodes < enough(shared.config.min_free_inodes) {
        Some(format!("{inodes} inodes free"))
    } else {
        None
    };
    if was_low != reason.is_some() {
        let text = reason.as_deref().unwrap_or("enough space again");
        tracing::warn!("spool: {text}");
        shared.tell(EventName::Alert, None, &format!("spool: {text}"));
    }
    shared.is_low.store(reason.is_some(), Ordering::Relaxed);
    *lock(&shared.low) = reason.map(Into::into);
    let healthy = !shared.is_low.load(Ordering::Relaxed) && shared.wedged.get().is_none();
    spool.healthy.set(i64::from(healthy));
}

/// Takes old segments away, carrying out of them what is still needed.
pub(super) fn tidy(shared: &Arc<Shared>) {
    while shared.wedged.get().is_none() {
        let active = shared.active.load(Ordering::Acquire);
        let (first, total, live, count) = {
            let index = shared.index();
            let total: u64 = index.segments.values().map(|segment| segment.size).sum();
            let live: u64 = index.segments.values().map(|segment| segment.live_bytes).sum();
            (index.segments.first_key_value().map(|(n, s)| (*n, *s)), total, live, index.segments.len())
        };
        let spool = &shared.deps.metrics.spool;
        spool.segments.set(i64::try_from(count).unwrap_or(i64::MAX));
        spool.bytes.set(i64::try_from(total).unwrap_or(i64::MAX));
        let Some((number, segment)) = first.filter(|(number, _)| *number != active) else { return };
        if segment.live_messages == 0 {
            if !remove(shared, Name { number, epoch: segment.epoch }) {
                return;
            }
            continue;
        }
        // Mostly dead, or the log is more than twice as long as what it has to keep: writing at most doubles.
        let sparse = segment.live_bytes < segment.size / 4;
        let wasteful = total > live.saturating_mul(2).saturating_add(4 * shared.config.segment_size);
        if !(sparse || wasteful) || !carry_out(shared, number) {
            return;
        }
    }
}

fn remove(shared: &Shared, name: Name) -> bool {
    shared.deps.faults.reach(Point::SegmentBeforeDelete);
    let path = shared.dirs.segments.join(name.file_name());
    let gone = match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => sync_dir(&shared.dirs.segments),
    };
    if let Err(error) = gone {
        tracing::warn!(%error, "{} can't be removed", path.display());
        return false;
    }
    shared.index().segments.remove(&name.number);
    shared.open_segments.forget(name.number);
    true
}

/// Copies what is live in a segment forward. False if not everything went.
fn carry_out(shared: &Arc<Shared>, number: u32) -> bool {
    /// Bytes read before they are written.
    const BATCH: usize = 4 << 20;
    // Not in a segment that is full already: the copies need room of their own.
    if shared.is_low.load(Ordering::Relaxed) {
        return false;
    }
    let places = shared.pick(|entry| (entry.place.segment == number).then_some((entry.id, entry.place)));
    let mut whole = true;
    let mut batch = Vec::new();
    let mut bytes = 0;
    let (done, answers) = channel();
    let mut send = |batch: &mut Vec<Move>| {
        let mut expected = batch.len();
        shared.queue.push_moves(std::mem::take(batch));
        while expected > 0 {
            match answers.recv_timeout(Duration::from_secs(30)) {
                Ok(moved) => whole &= moved,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
            expected -= 1;
        }
        true
    };
    let mut readable = true;
    for (id, place) in places {
        // A damaged body is carried forward as it is: its checksum goes with it, and the message is put aside when it is read.
        let Ok(inline) = read::inline(shared, &place) else {
            readable = false;
            continue;
        };
        bytes += inline.len();
        batch.push(Move { id, from: number, inline, done: done.clone() });
        if bytes >= BATCH {
            bytes = 0;
            if !send(&mut batch) {
                return false;
            }
        }
    }
    if !batch.is_empty() && !send(&mut batch) {
        return false;
    }
    whole && readable
}
