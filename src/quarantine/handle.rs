//! The quarantine's handle: opening, holding, finding, releasing, removing.

use std::fs::File;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::{Config, Deps};
use super::error::{OpenError, QuarantineError};
use super::file::Body;
use super::held::{Chosen, Filter, Held, NewHeld, Scope};
use super::keeper;
use super::recover::{RecoveryReport, recover};
use super::release::{self, Release};
use super::shared::{Dirs, Shared, private_dir, sync_dir};
use crate::model::{Address, MessageId, Receipt, TenantId};
use crate::telemetry::{Event, EventName};

/// Records of one listing, in octets: enough for thousands of usual ones.
const MOST_LISTED: u64 = 16 << 20;

/// The held mail of this node. Cheap to clone; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Quarantine(Arc<Shared>);

impl Quarantine {
    /// Opens the directory and reads what is there. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`OpenError`]: in use, or not readable and writable. Damage is no error; see the report.
    pub fn open(config: Config, deps: Deps) -> Result<(Self, RecoveryReport), OpenError> {
        let dirs = Dirs::new(&config.dir);
        for dir in [&dirs.root, &dirs.mail, &dirs.drafts, &dirs.corrupt] {
            private_dir(dir).map_err(OpenError::at(dir))?;
        }
        let lock = take_lock(&dirs.root)?;
        sync_dir(&dirs.root).map_err(OpenError::at(&dirs.root))?;
        let (index, report) = recover(&dirs).map_err(OpenError::at(&dirs.mail))?;
        let shared = Shared::new(config, deps, dirs, index, lock);
        shared.count(&shared.index());
        shared.deps.metrics.balance.recovered_quarantined(report.recipients);
        tell_recovery(&shared, &report);
        Ok((Self(Arc::new(shared)), report))
    }

    /// Takes a message into custody for the recipients of its envelope. When this returns it is durable. A message that is
    /// here already for the same recipients is left as it is.
    ///
    /// The work may go on if the future is dropped.
    ///
    /// # Errors
    /// [`QuarantineError`]: nothing of it is ours.
    pub async fn hold(&self, new: NewHeld, body: Body) -> Result<Receipt, QuarantineError> {
        let (id, recipients) = (new.id, new.envelope.recipients.len());
        on_disk(&self.0, move |shared| shared.hold(new, body)).await?;
        Ok(Receipt::quarantined(id, recipients))
    }

    /// Newest first, at most `filter.limit` and at most 16 MiB of records; the last one's id goes on as `before`. Without
    /// explanations.
    ///
    /// # Errors
    /// [`QuarantineError::Io`] or [`QuarantineError::Closed`].
    pub async fn list(&self, scope: Scope, mut filter: Filter) -> Result<Vec<Held>, QuarantineError> {
        if let Scope::Tenant(own) = &scope {
            match &filter.tenant {
                Some(other) if other != own => return Ok(Vec::new()),
                _ => filter.tenant = Some(own.clone()),
            }
        }
        on_disk(&self.0, move |shared| list(shared, &filter)).await
    }

    /// `None`: not here, or not this scope's.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn show(&self, scope: Scope, id: MessageId) -> Result<Option<Held>, QuarantineError> {
        let shown = on_disk(&self.0, move |shared| {
            let tenant = shared.tenant_of(&scope, id)?;
            Ok(shared.read(&tenant, id)?.held())
        });
        match shown.await {
            Ok(held) => Ok(Some(held)),
            Err(QuarantineError::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a message out for some of its recipients. It stays held until [`Release::done`].
    ///
    /// # Errors
    /// [`QuarantineError`]; nothing has changed.
    pub async fn release(&self, scope: Scope, id: MessageId, chosen: Chosen) -> Result<Release, QuarantineError> {
        on_disk(&self.0, move |shared| Release::prepare(shared, &scope, id, &chosen)).await
    }

    /// At start, before anything is delivered: `released` is in the spool. If that is a release which a crash broke off before it was
    /// [done](Release::done), its recipients are forgotten here; how many.
    ///
    /// # Errors
    /// [`QuarantineError`]: it may be one, and its message may still be held here.
    pub async fn finish(&self, released: MessageId, recipients: Vec<Address>) -> Result<usize, QuarantineError> {
        on_disk(&self.0, move |shared| release::finish(shared, released, &recipients)).await
    }

    /// Whether a message is held of the same millisecond as this one: no release comes from another.
    #[must_use]
    pub fn may_have_released(&self, released: MessageId) -> bool {
        !self.0.index().of_moment(released).is_empty()
    }

    /// Removes a message for some of its recipients, for good; how many. `reason` is for the mail log.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn remove(
        &self,
        scope: Scope,
        id: MessageId,
        chosen: Chosen,
        reason: &str,
    ) -> Result<usize, QuarantineError> {
        let reason = reason.to_owned();
        on_disk(&self.0, move |shared| release::remove(shared, &scope, id, &chosen, &reason)).await
    }

    /// Removes what was kept long enough; how many messages.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn expire(&self) -> Result<u64, QuarantineError> {
        on_disk(&self.0, |shared| Ok(keeper::expire(shared))).await
    }

    /// Expires what is due, minute by minute, until told to stop.
    pub async fn keep(&self, stop: CancellationToken) {
        keeper::run(self, &self.0, &stop).await;
    }

    /// Messages here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.index().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Recipients for whom messages are held.
    #[must_use]
    pub fn recipients(&self) -> u64 {
        self.0.index().recipients
    }
}

/// Does blocking work off the runtime's threads, not too much of it at once.
pub(super) async fn on_disk<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Arc<Shared>) -> Result<T, QuarantineError> + Send + 'static,
) -> Result<T, QuarantineError> {
    let permit = Arc::clone(&shared.disk).acquire_owned().await.map_err(|_| QuarantineError::Closed)?;
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&shared)
    });
    done.await.unwrap_or(Err(QuarantineError::Closed))
}

fn list(shared: &Shared, filter: &Filter) -> Result<Vec<Held>, QuarantineError> {
    let Some(wanted) = shared.index().wanted(filter) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut octets = 0;
    let mut below = filter.before.map_or(Bound::Unbounded, Bound::Excluded);
    loop {
        let (part, last) = shared.index().matching(&wanted, below);
        for (id, tenant) in part {
            if found.len() >= filter.limit || octets >= MOST_LISTED {
                return Ok(found);
            }
            if let Some(held) = read_listed(shared, &tenant, id)?
                && fits(filter, &held)
            {
                let held = Held { explanation: None, ..held };
                octets += 500 + held.envelope.recipients.len() as u64 * 80;
                found.push(held);
            }
        }
        let Some(last) = last else { return Ok(found) };
        below = Bound::Excluded(last);
    }
}

/// `None`: it went meanwhile, or is damaged, which has been told.
fn read_listed(shared: &Shared, tenant: &TenantId, id: MessageId) -> Result<Option<Held>, QuarantineError> {
    match shared.read(tenant, id) {
        Ok(read) => Ok(Some(read.held()).filter(|held| !held.envelope.recipients.is_empty())),
        Err(QuarantineError::Gone(_) | QuarantineError::Damaged(..)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The index compares hashes; this compares.
fn fits(filter: &Filter, held: &Held) -> bool {
    let same =
        |wanted: &Address, address: &Address| wanted.to_string().to_lowercase() == address.to_string().to_lowercase();
    filter.sender.as_ref().is_none_or(|wanted| held.envelope.sender.address().is_some_and(|is| same(wanted, is)))
        && filter
            .recipient
            .as_ref()
            .is_none_or(|wanted| held.envelope.recipients.iter().any(|recipient| same(wanted, &recipient.address)))
}

fn take_lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(OpenError::at(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(root.into())),
        Err(error) => Err(OpenError::Io { path, source: error.into() }),
    }
}

fn tell_recovery(shared: &Shared, report: &RecoveryReport) {
    shared.deps.metrics.quarantine.corrupt.inc_by(report.damaged.len() as u64);
    shared.deps.metrics.quarantine.troubles.inc_by(report.unread.len() as u64);
    let told = report.damaged.iter().map(|line| (EventName::Corrupt, line));
    for (name, line) in told.chain(report.unread.iter().map(|line| (EventName::Alert, line))) {
        let text = format!("quarantine: {line}");
        tracing::error!("{text}");
        shared.deps.log.log(&Event { reason: Some(&text), ..Event::new(name, shared.deps.clock.now()) });
    }
}
