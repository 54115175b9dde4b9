//! Judging the content: detectors in a fixed order over one Specimen, each timed and contained; their findings make the
//! Verdict.
//!
//! **Failure**: a detector that fails is named in the Verdict as unavailable; it is never "clean".

pub mod external;
mod facts;
pub mod octets;
pub mod pool;
pub mod files;
pub mod rules;
mod scanner;
pub mod spamassassin;

pub use scanner::{Config, Request, ScanError, Scanned, Scanner};
