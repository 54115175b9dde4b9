//! The durable queue of this node: takes custody, says what is due, records what became of it.
//!
//! ```text
//! commit ─► prepare (encode, checksum) ─► queue ─► committer thread: one write, one fdatasync ─► index ─► 250
//! take_due ─► Lease ─► settle ──────────────┘                                                     │
//! open ─► recover: frames in order ───────────────────────────────────────────────────────────────┘
//! ```
//!
//! **Failure**: out of space: `Full` for new mail, outcomes wait (and have a reserve), delivery pauses while one waits.
//! Failed write or sync: wedged until restart, nothing acknowledged, nothing delivered. Damage on disk: kept in
//! `corrupt/`, counted, told; blocks nothing else; never delivered in part.
//! **Invariants**: outbound mail comes in with its check and goes out with the mark of it (`message`); nobody is answered before the sync; a branch has one lease; an outcome's record outlives its message's.
//! **Elsewhere**: the format and its reasons are decision 0002; retry times are `delivery`'s; free-space answers are
//! `intake`'s.

mod body;
mod committer;
mod config;
mod corrupt;
mod error;
pub mod frame;
mod handle;
mod index;
mod keeper;
mod lease;
mod measures;
mod message;
mod meta;
mod operator;
mod prepare;
mod queue;
mod read;
pub mod record;
mod recover;
mod request;
pub mod segment;
mod shared;
mod space;
mod spare;
#[cfg(test)]
mod tests;
mod wire;

pub use body::{Body, Draft, LoadedBody};
pub use config::Config;
pub use error::{OpenError, SpoolError};
pub use handle::{Health, Spool};
pub use lease::{Lease, Settlement};
pub use message::{About, Exit, Mark, NewMessage, Way};
pub use meta::{Kind, Meta};
pub use operator::{DomainSummary, Done, Filter, QueueDetail, QueueItem};
pub use queue::Expected;
pub use record::RecipientState;
pub use recover::RecoveryReport;
pub use shared::Deps;
pub use wire::Malformed;

/// Reads an encoded envelope and what goes with it, as found in a message record.
///
/// # Errors
/// [`Malformed`].
pub fn decode_meta(bytes: &[u8]) -> Result<Meta, Malformed> {
    Meta::decode(bytes)
}
