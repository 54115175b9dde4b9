//! The spool's handle: opening, taking custody, leasing.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::body::Draft;
use super::committer::Committer;
use super::config::Config;
use super::error::{OpenError, SpoolError, is_full};
use super::keeper::{self, Stop};
use super::lease::{Lease, NoLease};
use super::message::{NewMessage, UNCHECKED};
use super::operator::Filter;
use super::prepare::{new_draft, prepare};
use super::queue::Expected;
use super::recover::{Recovered, RecoveryReport, recover};
use super::request::{Class, Request};
use super::segment::{Active, sync_dir};
use super::shared::{Deps, Dirs, Shared, lock};
use super::space::{Filling, Zeros, preallocate};
use super::spare;
use crate::model::receipt::Receipt;
use crate::model::{MessageId, Timestamp};
use crate::telemetry::EventName;

/// The durable queue of this node. Cheap to clone; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held while the spool is open: the directory is ours.
    _lock: File,
}

/// How the spool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Ok,
    /// Low on space: new mail gets 452, delivery goes on.
    Low(Arc<str>),
    /// Out of order: 451, delivery stands still until a restart.
    Wedged(Arc<str>),
}

impl Spool {
    /// Opens the directory, reads the log, starts the threads. Blocks for as long as reading the log takes.
    ///
    /// # Errors
    /// [`OpenError`]: in use, or not readable and writable. Damage is no error; see the report.
    pub fn open(config: Config, deps: Deps) -> Result<(Self, RecoveryReport), OpenError> {
        let config = config.clamped();
        let dirs = Dirs::new(&config.dir);
        for dir in [&dirs.root, &dirs.segments, &dirs.large, &dirs.drafts, &dirs.corrupt] {
            private_dir(dir).map_err(OpenError::at(dir))?;
        }
        let lock = take_lock(&dirs.root)?;
        let Recovered { mut index, report, next_sequence, next_number } = recover(&dirs)?;
        index.cache_limit = config.body_cache;
        let at = || OpenError::at(&dirs.segments);
        // A full disk must not keep us from delivering what is here: a smaller segment, even an empty one, will do.
        [config.segment_size.min(FIRST_SEGMENT), config.reserve, 0]
            .into_iter()
            .map(|size| first_segment(&dirs.next(), size))
            .find(|made| made.as_ref().err().is_none_or(|error| !is_full(error)))
            .unwrap_or_else(|| Err(std::io::ErrorKind::StorageFull.into()))
            .map_err(at())?;
        let active = Active::start(&dirs.segments, &dirs.next(), next_number).map_err(at())?;
        if let Err(error) = preallocate(&dirs.reserve(), config.reserve) {
            tracing::warn!(%error, "{} can't be made; the disk is full", dirs.reserve().display());
        }
        for dir in [&dirs.segments, &dirs.large, &dirs.corrupt, &dirs.root] {
            sync_dir(dir).map_err(OpenError::at(dir))?;
        }
        index.segments.entry(next_number).or_default().epoch = active.name.epoch;
        let shared = Arc::new(Shared::new(config, deps, dirs, index, next_number));
        tell_recovery(&shared, &report);
        keeper::look(&shared);
        let stop = Arc::new(Stop::default());
        let committer = Committer::new(Arc::clone(&shared), active, next_sequence);
        let (keeping, stopping) = (Arc::clone(&shared), Arc::clone(&stop));
        let filling = Arc::clone(&shared);
        let threads = vec![
            spawn("spool-commit", move || committer.run()).map_err(OpenError::at("thread"))?,
            spawn("spool-keep", move || keeper::run(&keeping, &stopping)).map_err(OpenError::at("thread"))?,
            spawn("spool-spare", move || spare::run(&filling)).map_err(OpenError::at("thread"))?,
        ];
        Ok((Self(Arc::new(Inner { shared, stop, threads: Mutex::new(threads), _lock: lock })), report))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// A file for a large body.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`].
    pub fn draft(&self) -> Result<Draft, SpoolError> {
        self.0.shared.check()?;
        new_draft(&self.0.shared)
    }

    /// A message is coming in: commits of others wait for it a moment, so that one sync serves both.
    #[must_use]
    pub fn expect(&self) -> Expected {
        Expected::new(&self.0.shared)
    }

    /// Takes messages into custody, all or none. When this returns they are durable. A message that is here already is
    /// left as it is.
    ///
    /// The work may go on if the future is dropped.
    ///
    /// # Errors
    /// [`SpoolError`]: none of the messages is ours.
    pub async fn commit(&self, messages: Vec<NewMessage>) -> Result<Vec<Receipt>, SpoolError> {
        self.commit_expected(messages, None).await
    }

    /// As [`Self::commit`], for mail that was [expected](Self::expect).
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_expected(
        &self,
        messages: Vec<NewMessage>,
        expected: Option<Expected>,
    ) -> Result<Vec<Receipt>, SpoolError> {
        let shared = &self.0.shared;
        shared.check()?;
        let taken: Vec<_> = messages.iter().map(|m| (m.id, m.meta.envelope.recipients.len())).collect();
        let receipts = move || taken.into_iter().map(|(id, recipients)| Receipt::spooled(id, recipients)).collect();
        let known = {
            let index = shared.index();
            messages.iter().filter(|message| index.contains(message.id)).count()
        };
        let messages = if known == 0 { messages } else { self.unknown(messages) };
        if messages.is_empty() {
            return Ok(receipts());
        }
        let prepared = prepare(shared, messages, Class::Mail, 0).await?;
        let (request, answer) = Request::new(Class::Mail, prepared);
        let length = u64::from(request.length);
        shared.queue.push_expected(request, expected);
        answer.await.unwrap_or(Err(SpoolError::Closed))?;
        let _ = shared
            .available
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| Some(free.saturating_sub(length)));
        Ok(receipts())
    }

    /// From now on a message that was [kept back](NewMessage::kept_back) is delivered. Others are left as they are.
    pub fn let_go(&self, id: MessageId) {
        if self.0.shared.index().let_go(id) {
            self.0.shared.changed.notify_one();
        }
    }

    /// Takes a message that is [kept back](NewMessage::kept_back) out of the spool again, durably: it was for nobody yet. Its
    /// recipients count as discarded; the mail log says why. False: no such message is kept back (any more), and nothing was done.
    ///
    /// # Errors
    /// [`SpoolError`]: it may still be here, kept back until the next start.
    pub async fn withdraw(&self, id: MessageId, reason: &str) -> Result<bool, SpoolError> {
        // Whoever has claimed it has it alone, as its branches are leased to nobody.
        if !self.0.shared.index().claim_kept_back(id) {
            return Ok(false);
        }
        let withdrawn = self.discard(self.choose(&Filter::of(id)), reason).await;
        if withdrawn.is_err() {
            self.0.shared.index().still_kept_back(id);
        }
        withdrawn.map(|_| true)
    }

    /// The names of all messages here.
    #[must_use]
    pub fn ids(&self) -> Vec<MessageId> {
        self.0.shared.pick(|entry| Some(entry.id))
    }

    fn unknown(&self, messages: Vec<NewMessage>) -> Vec<NewMessage> {
        let index = self.0.shared.index();
        messages.into_iter().filter(|message| !index.contains(message.id)).collect()
    }

    /// Whether a message of this size may come in. No system call.
    ///
    /// # Errors
    /// [`SpoolError::Full`] (452) or [`SpoolError::Wedged`] (451).
    pub fn admit(&self, expected_size: u64) -> Result<(), SpoolError> {
        let shared = &self.0.shared;
        shared.check()?;
        if shared.is_low.load(Ordering::Relaxed)
            && let Some(reason) = lock(&shared.low).clone()
        {
            return Err(SpoolError::Full(reason));
        }
        if shared.stuck.load(Ordering::Relaxed) {
            return Err(SpoolError::Full("outcomes wait for space".into()));
        }
        let free = shared.available.load(Ordering::Relaxed);
        if free < expected_size.saturating_add(shared.config.min_free_bytes) {
            return Err(SpoolError::Full("the message would leave too little space".into()));
        }
        Ok(())
    }

    #[must_use]
    pub fn health(&self) -> Health {
        let shared = &self.0.shared;
        if let Some(reason) = shared.wedged.get() {
            return Health::Wedged(Arc::clone(reason));
        }
        match lock(&shared.low).clone() {
            Some(reason) => Health::Low(reason),
            None if shared.stuck.load(Ordering::Relaxed) => Health::Low("outcomes wait for space".into()),
            None => Health::Ok,
        }
    }

    /// When the first waiting branch comes due; `None` too while nothing may be delivered.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let shared = &self.0.shared;
        if !shared.may_deliver() {
            return None;
        }
        shared.index().next_due().map(Timestamp::from_millis)
    }

    /// Wakes when something new may be due. For one dispatcher: a change before the call isn't missed.
    pub async fn changed(&self) {
        self.0.shared.changed.notified().await;
    }

    /// Leases what is due, oldest first. Nothing while outcomes can't be recorded.
    #[must_use]
    pub fn take_due(&self, now: Timestamp, limit: usize) -> Vec<Lease> {
        let shared = &self.0.shared;
        if !shared.may_deliver() {
            return Vec::new();
        }
        let taken = shared.index().take_due(now.as_millis(), limit);
        let mut leases = Vec::with_capacity(taken.len());
        for item in taken {
            match Lease::new(shared, item) {
                Ok(lease) => leases.push(lease),
                // Was decoded when it came in, so this is memory gone bad: leave it leased, for the next start.
                Err(NoLease::Unchecked(id, number)) => self.hold_unchecked(id, number),
                Err(NoLease::Unreadable(id)) => {
                    shared.tell(EventName::Alert, Some(id), "the envelope in memory can't be read")
                }
            }
        }
        leases
    }

    /// Whoever released it: without the mark it goes nowhere. Not written: every start finds it out again.
    fn hold_unchecked(&self, id: MessageId, number: u32) {
        let shared = self.shared();
        let change = {
            let mut index = shared.index();
            index.give_back(id, number, None);
            index.hold(id, number, Some(UNCHECKED), shared.now())
        };
        shared.deps.metrics.balance.hold(change.held);
        shared.deps.metrics.spool.unchecked.inc_by(change.held);
        shared.tell(EventName::Alert, Some(id), UNCHECKED);
    }

    /// Messages in the spool.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shared.index().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at free space and takes away old segments now, instead of at the next interval. Blocks.
    pub fn tidy(&self) {
        keeper::look(&self.0.shared);
        keeper::tidy(&self.0.shared);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.stop();
        self.shared.queue.close();
        self.shared.spare.stop();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
    }
}

/// A start need not wait for more zeros than these; soon there is a spare.
const FIRST_SEGMENT: u64 = 8 << 20;

fn first_segment(path: &Path, size: u64) -> std::io::Result<()> {
    let file = preallocate(path, size)?;
    Filling::new(&file, path).fill(0, size, &Zeros::new())
}

/// Mail is nobody's business but ours.
fn private_dir(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = path.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

fn take_lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(OpenError::at(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(root.into())),
        Err(error) => Err(OpenError::Io { path, source: error.into() }),
    }
}

fn tell_recovery(shared: &Shared, report: &RecoveryReport) {
    let metrics = &shared.deps.metrics;
    metrics.balance.recovered(report.queued, report.held);
    metrics.spool.corrupt.inc_by(report.damaged.len() as u64);
    metrics.spool.missing_frames.inc_by(report.missing_frames);
    if report.missing_frames > 0 {
        let text = format!("spool: {} frames that were written are missing from the log", report.missing_frames);
        tracing::error!("{text}");
        shared.tell(EventName::Alert, None, &text);
    }
    metrics.spool.messages.set(i64::try_from(report.messages).unwrap_or(i64::MAX));
    metrics.spool.recipients.set(i64::try_from(report.queued + report.held).unwrap_or(i64::MAX));
    metrics.spool.healthy.set(1);
    if report.unchecked > 0 {
        metrics.spool.unchecked.inc_by(report.unchecked);
        let text = format!("spool: {} recipients are on hold: {UNCHECKED}", report.unchecked);
        tracing::error!("{text}");
        shared.tell(EventName::Alert, None, &text);
    }
    for line in &report.damaged {
        tracing::error!("spool: kept in corrupt/: {line}");
        shared.tell(EventName::Corrupt, None, line);
    }
}
