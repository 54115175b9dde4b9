//! What can go wrong, whose fault it is, and whether it passes. Every one of these is ours: 4xx, never 5xx.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::MessageId;

/// A spool that runs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    /// No room for new mail: 452. Passes when space is freed.
    #[error("the spool has no room: {0}")]
    Full(Arc<str>),
    /// A write or sync failed; what is on disk can't be relied on until the process starts again: 451.
    #[error("the spool is out of order: {0}")]
    Wedged(Arc<str>),
    /// The spool is shutting down: 451.
    #[error("the spool is closed")]
    Closed,
    /// A draft or body could not be written or read: 451.
    #[error("spool file: {0}")]
    Io(Arc<io::Error>),
    /// What is on disk isn't what was written; the message is put on hold and a copy in `corrupt/`.
    #[error("message {0} is damaged on disk: {1}")]
    Damaged(MessageId, Arc<str>),
    /// Outbound mail that is not the message that was checked: 451, and a fault of ours to be told.
    #[error("message {0} is not taken: {1}")]
    Unchecked(MessageId, Arc<str>),
    /// The message has left the spool.
    #[error("message {0} is not in the spool")]
    Gone(MessageId),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full(error.to_string().into()) } else { Self::Io(Arc::new(error)) }
    }
}

/// Out of space, inodes or quota: passes, and says nothing about what was written before.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Also out of descriptors or memory: nothing is wrong with the disk.
pub(super) fn passes(error: &io::Error) -> bool {
    use rustix::io::Errno;
    is_full(error) || matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// A spool that doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the spool in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl OpenError {
    pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
