//! The next segment, made and written with zeros before it is needed, by a thread of its own.
//!
//! Space that was only preallocated makes every sync change the file system's records: nearly twice the time of one into
//! space written before. The file is called `filling` until it is ready and `spare` then. The zeros go past the kernel's cache,
//! where that is possible: through it they took 4 % of the relay's CPU.
//!
//! **Failure**: when the disk is short the spare is only preallocated, or there is none: the committer then makes a segment
//! itself. If it is needed too early the committer gets it as far as it is.
//! **Invariants**: a file is put to use under the lock that guards its name, and nobody fills it any more then.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::segment::Active;
use super::shared::{Dirs, Shared, lock};
use super::space::{Filling, Zeros, preallocate};

/// Filled with one sync.
const CHUNK: u64 = 512 << 10;
/// Longest wait of the committer for a spare that is nearly there.
const HURRY: Duration = Duration::from_millis(250);
/// Until a spare that couldn't be made is tried again.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct State {
    ready: Option<File>,
    /// `filling` is being made.
    is_making: bool,
    /// The committer waits for it.
    hurry: bool,
    stopped: bool,
    /// Segments to be cut at their ends.
    old: Vec<Active>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spare {
    state: Mutex<State>,
    wake: Condvar,
    /// How far the active segment is written, and how far it may be.
    written: AtomicU64,
    limit: AtomicU64,
}

impl Spare {
    /// Renames the spare, if there is one or soon will be.
    pub(super) fn put_to_use(&self, dirs: &Dirs, to: &Path) -> io::Result<Option<File>> {
        let until = Instant::now() + HURRY;
        let mut state = lock(&self.state);
        while state.ready.is_none() && state.is_making && Instant::now() < until {
            state.hurry = true;
            self.wake.notify_all();
            state = self.wake.wait_timeout(state, HURRY).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.hurry = false;
        let Some(file) = state.ready.take() else { return Ok(None) };
        self.wake.notify_all();
        fs::rename(dirs.spare(), to)?;
        Ok(Some(file))
    }

    /// Renames the reserve, if it has so much room.
    pub(super) fn put_reserve_to_use(&self, dirs: &Dirs, least: u64, to: &Path) -> io::Result<Option<File>> {
        let _guard = lock(&self.state);
        let reserve = dirs.reserve();
        if !reserve.metadata().is_ok_and(|found| found.len() >= least) {
            return Ok(None);
        }
        let file = OpenOptions::new().read(true).write(true).open(&reserve)?;
        fs::rename(&reserve, to)?;
        Ok(Some(file))
    }

    /// Tells how far the active segment is.
    pub(super) fn progress(&self, written: u64, limit: u64) {
        self.written.store(written, Ordering::Relaxed);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Gives back what an old segment doesn't use, some time.
    pub(super) fn seal(&self, old: Active) {
        lock(&self.state).old.push(old);
        self.wake.notify_all();
    }

    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.wake.notify_all();
    }

    /// Whether filling may take its time: it must be done well before the active segment is full.
    fn is_ahead(&self, filled: u64, size: u64) -> bool {
        let part = |some: u64, all: u64| some as f64 / all.max(1) as f64;
        let used = part(self.written.load(Ordering::Relaxed), self.limit.load(Ordering::Relaxed));
        part(filled, size) > 0.125 + 1.5 * used
    }

    fn rest(&self, pause: Duration) {
        let state = lock(&self.state);
        if !state.stopped && !state.hurry {
            drop(self.wake.wait_timeout(state, pause));
        }
    }

    fn work<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while state.ready.is_some() && state.old.is_empty() && !state.stopped {
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

/// The thread: until told to stop.
pub(super) fn run(shared: &Shared) {
    let spare = &shared.spare;
    let zeros = Zeros::new();
    loop {
        let mut state = spare.work(lock(&spare.state));
        let old = std::mem::take(&mut state.old);
        let (stopped, makes) = (state.stopped, state.ready.is_none());
        state.is_making = makes && !stopped;
        drop(state);
        for segment in old {
            // Everything in it is synced; what can't be cut now is at the next start.
            let _ = segment.seal();
        }
        if stopped {
            return;
        }
        if makes {
            let made = make(shared, &zeros);
            let mut state = lock(&spare.state);
            state.is_making = false;
            let failed =
                match made.and_then(|file| fs::rename(shared.dirs.filling(), shared.dirs.spare()).map(|()| file)) {
                    Ok(file) => {
                        state.ready = Some(file);
                        false
                    }
                    Err(error) => {
                        tracing::debug!(%error, "no spare segment for now");
                        let _ = fs::remove_file(shared.dirs.filling());
                        true
                    }
                };
            if !failed && !shared.dirs.reserve().exists() {
                let _ = preallocate(&shared.dirs.reserve(), shared.config.reserve);
            }
            drop(state);
            spare.wake.notify_all();
            if failed {
                let state = lock(&spare.state);
                if !state.stopped {
                    drop(spare.wake.wait_timeout(state, AGAIN));
                }
            }
        }
    }
}

fn make(shared: &Shared, zeros: &Zeros) -> io::Result<File> {
    let (spare, size) = (&shared.spare, shared.config.segment_size);
    let file = preallocate(&shared.dirs.filling(), size)?;
    let mut filling = Filling::new(&file, &shared.dirs.filling());
    let mut filled = 0;
    while filled < size && !shared.is_low.load(Ordering::Relaxed) {
        {
            let state = lock(&spare.state);
            if state.hurry || state.stopped {
                break;
            }
        }
        let started = Instant::now();
        let some = CHUNK.min(size - filled);
        filling.fill(filled, some, zeros)?;
        filled += some;
        if spare.is_ahead(filled, size) {
            spare.rest((started.elapsed() * 3).min(Duration::from_millis(30)));
        }
    }
    Ok(file)
}
