//! What the spool's handle, its leases and its two threads share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::config::Config;
use super::error::SpoolError;
use super::index::{Entry, Index};
use super::queue::Queue;
use super::read::OpenSegments;
use super::spare::Spare;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::model::MessageId;
use crate::telemetry::{Event, EventName, MailLog, Metrics};

/// What the spool needs from the outside.
#[derive(Debug, Clone)]
pub struct Deps {
    pub clock: Clock,
    pub faults: Faults,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
}

/// The directories of a spool.
#[derive(Debug, Clone)]
pub(super) struct Dirs {
    pub(super) root: PathBuf,
    pub(super) segments: PathBuf,
    pub(super) large: PathBuf,
    pub(super) drafts: PathBuf,
    pub(super) corrupt: PathBuf,
}

impl Dirs {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.into(),
            segments: root.join("segments"),
            large: root.join("large"),
            drafts: root.join("drafts"),
            corrupt: root.join("corrupt"),
        }
    }

    pub(super) fn large_file(&self, id: MessageId) -> PathBuf {
        self.large.join(format!("{id}.body"))
    }

    pub(super) fn spare(&self) -> PathBuf {
        self.segments.join("spare")
    }

    /// The next spare, until it is ready.
    pub(super) fn filling(&self) -> PathBuf {
        self.segments.join("filling")
    }

    /// A segment made at once, because there was no spare for it.
    pub(super) fn next(&self) -> PathBuf {
        self.segments.join("next")
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.segments.join("reserve")
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) deps: Deps,
    pub(super) dirs: Dirs,
    pub(super) index: Mutex<Index>,
    pub(super) queue: Queue,
    /// Something new may be due.
    pub(super) changed: Notify,
    pub(super) wedged: OnceLock<Arc<str>>,
    pub(super) low: Mutex<Option<Arc<str>>>,
    pub(super) is_low: AtomicBool,
    /// Outcomes wait for space: nothing more may be delivered until they are recorded.
    pub(super) stuck: AtomicBool,
    /// Free bytes at the last look, less what was written since.
    pub(super) available: AtomicU64,
    pub(super) drafts: AtomicU64,
    pub(super) open_segments: OpenSegments,
    pub(super) spare: Spare,
    /// The segment being written.
    pub(super) active: std::sync::atomic::AtomicU32,
}

/// A lock whose holder panicked still guards sound data here: every change is completed before anything can panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(config: Config, deps: Deps, dirs: Dirs, index: Index, active: u32) -> Self {
        Self {
            config,
            deps,
            dirs,
            index: Mutex::new(index),
            queue: Queue::default(),
            changed: Notify::new(),
            wedged: OnceLock::new(),
            low: Mutex::default(),
            is_low: false.into(),
            stuck: false.into(),
            available: u64::MAX.into(),
            drafts: 0.into(),
            open_segments: OpenSegments::default(),
            spare: Spare::default(),
            active: active.into(),
        }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Picks from all messages, part by part. What comes or goes meanwhile may be missed.
    pub(super) fn pick<T>(&self, pick: impl Fn(&Entry) -> Option<T>) -> Vec<T> {
        let mut all = Vec::new();
        let mut from = 0;
        loop {
            let part = self.index().part(from, &pick);
            let Some((picked, next)) = part else { return all };
            all.extend(picked);
            from = next;
        }
    }

    pub(super) fn check(&self) -> Result<(), SpoolError> {
        match self.wedged.get() {
            Some(reason) => Err(SpoolError::Wedged(Arc::clone(reason))),
            None => Ok(()),
        }
    }

    /// From here on nothing is accepted and nothing is delivered until the process starts again.
    pub(super) fn wedge(&self, what: &str, error: &std::io::Error) -> SpoolError {
        let reason: Arc<str> = format!("{what}: {error}").into();
        let first = self.wedged.set(Arc::clone(&reason)).is_ok();
        if first {
            self.deps.metrics.spool.healthy.set(0);
            self.tell(EventName::Alert, None, &reason);
            tracing::error!(%reason, "the spool is out of order; restart after repair");
            self.changed.notify_one();
        }
        SpoolError::Wedged(self.wedged.get().map_or(reason, Arc::clone))
    }

    pub(super) fn may_deliver(&self) -> bool {
        self.wedged.get().is_none() && !self.stuck.load(Ordering::Acquire)
    }

    pub(super) fn now(&self) -> u64 {
        self.deps.clock.now().as_millis()
    }

    pub(super) fn tell(&self, name: EventName, message: Option<MessageId>, reason: &str) {
        let event = Event::new(name, self.deps.clock.now());
        self.deps.log.log(&Event { message, reason: Some(reason), ..event });
    }
}
