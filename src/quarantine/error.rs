//! What can go wrong. Every failure of the disk is ours: 4xx, never 5xx.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{Address, MessageId};

/// A quarantine that runs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QuarantineError {
    /// No room: 452. Passes when space is freed.
    #[error("the quarantine has no room: {0}")]
    Full(Arc<str>),
    /// A file could not be written, synced or read: 451.
    #[error("quarantine file: {0}")]
    Io(Arc<io::Error>),
    /// What is on disk isn't what was written; it has been moved to `corrupt/`.
    #[error("message {0} is damaged on disk: {1}")]
    Damaged(MessageId, Arc<str>),
    /// Not here, or not this tenant's.
    #[error("message {0} is not in quarantine")]
    Gone(MessageId),
    /// Somebody releases or removes it at this moment.
    #[error("message {0} is being released or removed")]
    Busy(MessageId),
    /// Another message of this name is here.
    #[error("another message is in quarantine as {0}")]
    Exists(MessageId),
    #[error("message {0} is not held for {1}")]
    NotFor(MessageId, Address),
    /// Nobody's mail.
    #[error("message {0} has no recipients")]
    Nobody(MessageId),
    /// The process ends.
    #[error("the quarantine is closed")]
    Closed,
}

impl From<io::Error> for QuarantineError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error.to_string().into()),
            _ => Self::Io(Arc::new(error)),
        }
    }
}

/// A quarantine that doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the quarantine in {} is in use by another process", .0.display())]
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
