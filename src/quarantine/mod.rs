//! Held mail: one file for each message in the data directory, until somebody releases or removes it, or it expires.
//!
//! ```text
//! hold ──► drafts/ID (write, sync) ──► mail/TENANT/ID.held (link, sync the directory) ──► index ──► Receipt ──► 250
//! release ──► Release (octets, envelope) ──► the spool has it ──► done: the file goes, or ID.gone says for whom
//! open ──► every file's record is read ──► index
//! ```
//! The files are the truth and prove themselves; the index in memory holds what finding them takes.
//!
//! **Failure**: what can't be made durable is not acknowledged (4xx). A file that isn't what was written is moved to
//! `corrupt/`, counted and told; it blocks nothing else and is never given out in part. A crash between the spool's commit
//! and [`Release::done`] leaves the message in both: the spool keeps it back until it is forgotten here, and the next start finishes
//! that ([`Quarantine::finish`]) before anything is delivered.
//! **Invariants**: a [`Receipt`](crate::model::Receipt) exists only after the sync. A tenant sees nothing of another's,
//! not even that it is there. A message is released or removed by one at a time.
//! **Elsewhere**: who may do what is for `admin` and the console; the format and its reasons are decision 0008.

mod config;
mod corrupt;
mod error;
mod file;
mod handle;
mod held;
mod index;
mod keeper;
mod recover;
mod release;
mod shared;
#[cfg(test)]
mod tests;

pub use config::{Config, Deps};
pub use error::{OpenError, QuarantineError};
pub use file::{Body, HeldBody};
pub use handle::Quarantine;
pub use held::{Chosen, Filter, Held, MAX_TEXT, NewHeld, Scope};
pub use recover::RecoveryReport;
pub use release::{NotDone, Release};
