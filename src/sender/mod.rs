//! What we know of the sender: whether it is who it says, reputation, known-source lists, reverse name, country, greylist,
//! harvest defence, and who exchanged mail with whom before.
//!
//! Facts only. What they lead to is decided in `policy`; this room neither replies nor refuses.
//!
//! **Failure**: a source of facts that doesn't answer is a fact of its own (`Degraded`, `TempError`, no country): never
//! "listed" and never "clean". State that can't be read at start is given up with a warning; mail goes on.
//! **Invariants**: every table is bounded in entries; every question in time; secrets of zones are in no text that leaves here.

pub mod authentication;
pub mod blocklists;
pub mod correspondents;
pub mod geography;
pub mod greylist;
pub mod harvest;
pub mod reputation;
pub mod reverse;
mod source;

pub use blocklists::Blocklists;
pub use correspondents::Correspondents;
pub use geography::Geography;
pub use greylist::Greylist;
pub use harvest::Harvest;
pub use reputation::{Judged, Observation, Reputation};
pub use source::{Config, Source};
