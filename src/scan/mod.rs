//! Judging the content: detectors in a fixed order over one Specimen, each timed and contained; their findings make the
//! Verdict.
//!
//! **Failure**: a detector that fails is named in the Verdict as unavailable; it is never "clean".
//! **Invariants**: outbound mail leaves with a [`Checked`] or not at all, and only the check makes one.

pub mod bulk;
pub mod checked;
pub mod classifier;
mod detectors;
mod edited;
pub mod external;
mod facts;
pub mod feeds;
pub mod files;
pub mod impersonation;
mod light;
pub mod octets;
pub mod pool;
pub mod rules;
mod scanner;
pub mod spamassassin;
mod structure;
pub mod symbols;
pub mod trial;

pub use checked::{Checked, Edited, Scanned, Terms, unscanned};
pub use edited::{Changed, changed, kept};
pub use scanner::{Config, Request, ScanError, Scanner};

#[cfg(test)]
mod starter_tests;
