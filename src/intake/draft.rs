//! A message while it arrives: in memory as long as it is small and there is room, then in a file of the spool.
//!
//! **Failure**: a disk that can't take it marks the draft broken; its bytes are then thrown away, and the client is told 452
//! at the end of data. **Invariants**: memory of all drafts together stays within one budget, but for the first [`FREE`] bytes
//! of each, until their transactions end; nothing is reserved by what a client claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

use crate::message::header::{self, TraceFacts};
use crate::spool::{self, Spool, SpoolError};

/// Every message may have this much without asking the budget: small mail must not fail because others send large mail, and
/// most mail never touches the shared counter. At most this times the connections is held beside the budget.
const FREE: usize = 64 * 1024;
/// Fields looked at for loops.
const MAX_FIELDS: usize = 2_000;

#[derive(Debug)]
pub struct MemoryBudget {
    total: AtomicUsize,
    taken: AtomicUsize,
}

impl MemoryBudget {
    #[must_use]
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total: AtomicUsize::new(total), taken: AtomicUsize::new(0) })
    }

    pub fn resize(&self, total: usize) {
        self.total.store(total, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> bool {
        let total = self.total.load(Ordering::Relaxed);
        let fits = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= total);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What arrived so far.
#[derive(Debug)]
pub struct Draft {
    /// The session appends here.
    pub memory: BytesMut,
    file: Option<spool::Draft>,
    trace: Option<TraceFacts>,
    broken: bool,
    charged: usize,
    budget: Arc<MemoryBudget>,
}

/// A complete message.
#[derive(Debug)]
pub enum Complete {
    Memory(Bytes),
    File(spool::Draft),
}

impl Draft {
    #[must_use]
    pub fn new(budget: Arc<MemoryBudget>) -> Self {
        Self { memory: BytesMut::new(), file: None, trace: None, broken: false, charged: 0, budget }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.file.is_none()
    }

    /// Called after the session appended: keeps within `limit` bytes of memory by going to a file.
    pub fn settle_in(&mut self, limit: usize, spool: &Spool, hostname: &str) {
        if self.memory.len() <= FREE && self.file.is_none() {
            return;
        }
        if self.broken {
            self.memory.clear();
            return;
        }
        let wanted = self.memory.len().saturating_sub(FREE);
        let more = wanted.saturating_sub(self.charged);
        if self.file.is_none() && self.memory.len() <= limit && self.budget.take(more) {
            self.charged += more;
            return;
        }
        if self.memory.len() >= FREE && self.spill(spool, hostname).is_err() {
            self.broken = true;
            self.memory = BytesMut::new();
            self.file = None;
            self.give_back();
        }
    }

    fn spill(&mut self, spool: &Spool, hostname: &str) -> Result<(), SpoolError> {
        if self.file.is_none() {
            self.trace = Some(header::trace(&self.memory, hostname, MAX_FIELDS));
            self.file = Some(spool.draft()?);
        }
        if let Some(file) = &mut self.file {
            file.append(&self.memory)?;
        }
        self.memory.clear();
        self.give_back();
        Ok(())
    }

    fn give_back(&mut self) {
        self.budget.give_back(std::mem::take(&mut self.charged));
    }

    /// Trace fields of the header block, however the rest is stored.
    #[must_use]
    pub fn trace(&self, hostname: &str) -> TraceFacts {
        self.trace.unwrap_or_else(|| header::trace(&self.memory, hostname, MAX_FIELDS))
    }

    /// The whole message, leaving an empty draft behind. What it takes of the budget stays taken until [`clear`](Self::clear):
    /// waiting for the next hop's answer, it is held longest.
    ///
    /// # Errors
    /// [`SpoolError`] if the disk failed on the way; the message is gone and must be refused with 4xx.
    pub fn complete(&mut self) -> Result<Complete, SpoolError> {
        self.trace = None;
        let memory = std::mem::take(&mut self.memory);
        if std::mem::take(&mut self.broken) {
            return Err(SpoolError::Full("the draft could not be written".into()));
        }
        match self.file.take() {
            None => Ok(Complete::Memory(memory.freeze())),
            Some(mut file) => {
                file.append(&memory)?;
                Ok(Complete::File(file))
            }
        }
    }

    /// Throws away what arrived.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.file = None;
        self.trace = None;
        self.broken = false;
        self.give_back();
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_the_account_until_its_transaction_ends() {
        let budget = MemoryBudget::new(1000);
        let mut draft = Draft::new(Arc::clone(&budget));
        draft.memory.resize(FREE + 600, b'x');
        assert!(budget.take(600));
        draft.charged = 600;
        let Complete::Memory(held) = draft.complete().unwrap() else { panic!("in memory") };
        assert!(!budget.take(600), "the next hop has not answered yet");
        drop(held);
        draft.clear();
        assert!(budget.take(1000));
    }
}
