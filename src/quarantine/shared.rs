//! What the quarantine's handle, its releases and its keeper share, and the work on the disk.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::config::{Config, Deps};
use super::corrupt;
use super::error::QuarantineError;
use super::file::{self, Body, Opened, ReadError};
use super::held::{Held, NewHeld, Scope};
use super::index::{Arrival, Index};
use crate::faults::Point;
use crate::model::{Address, MessageId, TenantId};
use crate::telemetry::{Event, EventName};

/// Files worked on at the same time.
pub(super) const AT_ONCE: usize = 16;

/// The directories of a quarantine.
#[derive(Debug, Clone)]
pub(super) struct Dirs {
    pub(super) root: PathBuf,
    pub(super) mail: PathBuf,
    pub(super) drafts: PathBuf,
    pub(super) corrupt: PathBuf,
}

impl Dirs {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into(), mail: root.join("mail"), drafts: root.join("drafts"), corrupt: root.join("corrupt") }
    }

    /// Tenant ids begin with a letter or digit and hold no slash, so that this is always inside.
    pub(super) fn tenant(&self, tenant: &TenantId) -> PathBuf {
        self.mail.join(tenant.as_str())
    }

    pub(super) fn message(&self, tenant: &TenantId, id: MessageId) -> PathBuf {
        self.tenant(tenant).join(format!("{id}.held"))
    }

    pub(super) fn gone(&self, tenant: &TenantId, id: MessageId) -> PathBuf {
        self.tenant(tenant).join(format!("{id}.gone"))
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) deps: Deps,
    pub(super) dirs: Dirs,
    index: Mutex<Index>,
    /// Tenants whose directory is known to be durable. That it is there proves nothing: somebody may be making it just now.
    durable: Mutex<HashSet<TenantId>>,
    pub(super) disk: Arc<Semaphore>,
    /// Held while it is open: the directory is ours.
    pub(super) _lock: File,
}

/// A held message that was read, with the places of those who are gone.
pub(super) struct Read {
    pub(super) opened: Opened,
    /// As it was written, all recipients included.
    pub(super) whole: Held,
    pub(super) gone: Vec<u32>,
}

impl Read {
    /// For whom it is still held, and who is gone.
    pub(super) fn held(&self) -> Held {
        let mut held = self.whole.clone();
        held.part(&self.gone);
        held
    }
}

impl Shared {
    pub(super) fn new(config: Config, deps: Deps, dirs: Dirs, index: Index, lock: File) -> Self {
        let disk = Arc::new(Semaphore::new(AT_ONCE));
        Self { config, deps, dirs, index: Mutex::new(index), durable: Mutex::default(), disk, _lock: lock }
    }

    /// A lock whose holder panicked still guards sound data here: every change is complete before anything can panic.
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, index: &Index) {
        let metrics = &self.deps.metrics.quarantine;
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.messages.set(signed(index.len() as u64));
        metrics.recipients.set(signed(index.recipients));
        metrics.bytes.set(signed(index.bytes));
    }

    /// Makes a message durable. Blocks.
    pub(super) fn hold(&self, new: NewHeld, body: Body) -> Result<(), QuarantineError> {
        let id = new.id;
        if !self.may_arrive(&new, body.len())? {
            return Ok(());
        }
        let (direction, recipients) = (new.direction, new.envelope.recipients.len() as u64);
        let begun = std::time::Instant::now();
        let done = self.room_for(body.len()).and_then(|()| self.write(new, body));
        let mut index = self.index();
        index.not_arriving(id);
        match done {
            Ok(held) => {
                // Counted before anybody can release it.
                self.deps.metrics.balance.accepted_quarantined(direction, recipients);
                index.insert(&held);
                self.count(&index);
                drop(index);
                self.deps.metrics.quarantine.held.inc();
                self.deps.metrics.quarantine.write_seconds.observe(begun.elapsed().as_secs_f64());
                Ok(())
            }
            Err(error) => {
                drop(index);
                self.deps.metrics.quarantine.troubles.inc();
                Err(error)
            }
        }
    }

    /// False: it is here already, durable.
    fn may_arrive(&self, new: &NewHeld, size: u64) -> Result<bool, QuarantineError> {
        let recipients: Vec<&Address> = new.envelope.recipients.iter().map(|recipient| &recipient.address).collect();
        if recipients.is_empty() {
            return Err(QuarantineError::Nobody(new.id));
        }
        let mut index = self.index();
        if index.len() + index.coming() >= self.config.most_messages {
            return Err(QuarantineError::Full(format!("{} messages are held", index.len()).into()));
        }
        // So that one tenant's spam does not take everybody's room.
        let (messages, bytes) = index.of_tenant(&new.tenant);
        if messages >= self.config.most_of_tenant || bytes.saturating_add(size) > self.config.most_bytes_of_tenant {
            let what = format!("{messages} messages, {bytes} bytes are held for {}", new.tenant);
            return Err(QuarantineError::Full(what.into()));
        }
        match index.arrive(new.id, &new.tenant, &recipients) {
            Arrival::New => Ok(true),
            Arrival::Known => Ok(false),
            Arrival::Taken => Err(QuarantineError::Exists(new.id)),
        }
    }

    fn room_for(&self, size: u64) -> Result<(), QuarantineError> {
        let found = rustix::fs::statvfs(&self.dirs.root).map_err(io::Error::from)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < size.saturating_add(self.config.min_free_bytes) {
            return Err(QuarantineError::Full("the message would leave too little space".into()));
        }
        Ok(())
    }

    fn write(&self, new: NewHeld, body: Body) -> Result<Held, QuarantineError> {
        let faults = &self.deps.faults;
        let held = Held::new(new, body.len(), self.deps.clock.now(), self.config.keep);
        let draft = self.dirs.drafts.join(format!("{}.held", held.id));
        let path = self.dirs.message(&held.tenant, held.id);
        faults.reach(Point::QuarantineBeforeWrite);
        let put = || -> io::Result<()> {
            file::write(&draft, &held, body)?;
            faults.reach(Point::QuarantineAfterWrite);
            self.tenant_dir(&held.tenant)?;
            // The name is free, as the index says: a file that stood there would be somebody's mail.
            fs::hard_link(&draft, &path)
        };
        let linked = put();
        let _ = fs::remove_file(&draft);
        linked?;
        faults.reach(Point::QuarantineAfterLink);
        if let Err(error) = sync_dir(&self.dirs.tenant(&held.tenant)) {
            let _ = fs::remove_file(&path);
            return Err(error.into());
        }
        faults.reach(Point::QuarantineAfterSync);
        Ok(held)
    }

    fn tenant_dir(&self, tenant: &TenantId) -> io::Result<()> {
        let durable = || self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable().contains(tenant) {
            return Ok(());
        }
        private_dir(&self.dirs.tenant(tenant))?;
        sync_dir(&self.dirs.mail)?;
        durable().insert(tenant.clone());
        Ok(())
    }

    /// The tenant of a message that this scope may see.
    pub(super) fn tenant_of(&self, scope: &Scope, id: MessageId) -> Result<TenantId, QuarantineError> {
        let index = self.index();
        index.tenant(id).filter(|tenant| scope.covers(tenant)).cloned().ok_or(QuarantineError::Gone(id))
    }

    /// Blocks. What is damaged is moved away.
    pub(super) fn read(&self, tenant: &TenantId, id: MessageId) -> Result<Read, QuarantineError> {
        let path = self.dirs.message(tenant, id);
        let opened = file::open(&path).and_then(|opened| match &opened.held {
            held if held.id == id && held.tenant == *tenant => Ok(opened),
            _ => Err(ReadError::Damaged("it is another message".into())),
        });
        let opened = opened.map_err(|error| self.failed(tenant, id, error))?;
        let gone = match file::read_gone(&self.dirs.gone(tenant, id)) {
            Ok(gone) => gone,
            // Better given out twice than not at all.
            Err(ReadError::Damaged(why)) => {
                self.set_aside(&self.dirs.gone(tenant, id), Some(id), &why);
                Vec::new()
            }
            Err(ReadError::Io(error)) => return Err(error.into()),
        };
        Ok(Read { whole: opened.held.clone(), opened, gone })
    }

    /// What a failed read means for the message.
    pub(super) fn failed(&self, tenant: &TenantId, id: MessageId, error: ReadError) -> QuarantineError {
        match error {
            ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => QuarantineError::Gone(id),
            ReadError::Io(error) => {
                self.deps.metrics.quarantine.troubles.inc();
                error.into()
            }
            ReadError::Damaged(why) => {
                self.set_aside(&self.dirs.message(tenant, id), Some(id), &why);
                self.is_no_more(id);
                QuarantineError::Damaged(id, why.into())
            }
        }
    }

    /// The message's file is not there any more, whoever took it: nor is it in the index and the sums.
    pub(super) fn is_no_more(&self, id: MessageId) {
        let mut index = self.index();
        let recipients = index.remove(id);
        self.count(&index);
        drop(index);
        self.deps.metrics.balance.quarantine_removed(recipients as u64);
    }

    /// Keeps a file in `corrupt/`, and tells. Blocks.
    pub(super) fn set_aside(&self, path: &Path, id: Option<MessageId>, why: &str) {
        let text = match corrupt::take(&self.dirs.corrupt, path, why) {
            Ok(kept) => format!("quarantine: {}: {why}; kept as {}", path.display(), kept.display()),
            Err(error) => format!("quarantine: {}: {why}; it stays there: {error}", path.display()),
        };
        self.deps.metrics.quarantine.corrupt.inc();
        tracing::error!("{text}");
        let event = Event::new(EventName::Corrupt, self.deps.clock.now());
        self.deps.log.log(&Event { message: id, reason: Some(&text), ..event });
    }

    /// Takes the message's file away; an error: it is still there. The caller syncs the tenant's directory, and counts. Blocks.
    pub(super) fn unlink(&self, tenant: &TenantId, id: MessageId) -> Result<(), QuarantineError> {
        remove_if_there(&self.dirs.message(tenant, id))?;
        let gone = self.dirs.gone(tenant, id);
        if let Err(error) = remove_if_there(&gone) {
            self.deps.metrics.quarantine.troubles.inc();
            tracing::warn!(%error, "{} is left behind; the next start takes it away", gone.display());
        }
        Ok(())
    }

    pub(super) fn tell(&self, name: EventName, held: &Held, recipients: usize, reason: &str) {
        self.deps.log.log(&Event {
            message: Some(held.id),
            tenant: Some(&held.tenant),
            direction: Some(held.direction),
            sender: Some(&held.envelope.sender),
            recipients: u32::try_from(recipients).ok(),
            reason: Some(reason),
            ..Event::new(name, self.deps.clock.now())
        });
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Mail is nobody's business but ours.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if path.metadata()?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
