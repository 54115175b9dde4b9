//! What rooms keep in bounded tables and find again after a restart: the tables, their files, and the hashes they are keyed by.
//!
//! **Failure**: a file that is not whole and right is not believed at all. **Invariants**: a table never grows beyond its most;
//! nothing here knows what its entries mean.

mod bounded;
mod hash;
pub mod state_file;

pub use bounded::{Bounded, SAMPLE, Seconds, Worth, seconds, timestamp};
pub use hash::hash;
pub use state_file::StateError;
