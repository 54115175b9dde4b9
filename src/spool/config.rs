//! Settings of the spool.

use std::path::PathBuf;
use std::time::Duration;

/// Filled by `config`; the defaults suit a node with a disk of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Holds `segments/`, `large/`, `drafts/` and `corrupt/`; one process at a time.
    pub dir: PathBuf,
    /// Bytes of one segment file (1 MiB to 1 GiB, clamped).
    pub segment_size: u64,
    /// Bodies above this go to files of their own.
    pub large_message: u64,
    /// Below this much free disk new mail gets 452; taken again above 5/4 of it.
    pub min_free_bytes: u64,
    /// Below this many free inodes new mail gets 452; taken again above 5/4 of it.
    pub min_free_inodes: u64,
    /// Memory for bodies not yet tried, so that a first delivery reads no disk.
    pub body_cache: u64,
    /// Space kept on disk so that outcomes can be recorded when the disk is full.
    pub reserve: u64,
    /// Most bytes written by one group commit.
    pub group_bytes: u64,
    /// How often free space is looked at.
    pub check_interval: Duration,
    /// When a lease that was given up comes due again.
    pub lease_return: Duration,
}

impl Config {
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_size: 64 << 20,
            large_message: 1 << 20,
            min_free_bytes: 512 << 20,
            min_free_inodes: 1_000,
            body_cache: 128 << 20,
            reserve: 8 << 20,
            group_bytes: 8 << 20,
            check_interval: Duration::from_secs(1),
            lease_return: Duration::from_secs(1),
        }
    }

    pub(super) fn clamped(mut self) -> Self {
        self.segment_size = self.segment_size.clamp(64 << 10, 1 << 30);
        self.large_message = self.large_message.min(self.segment_size / 4);
        self.reserve = self.reserve.clamp(16 << 10, self.segment_size);
        self
    }
}
