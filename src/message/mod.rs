//! The message itself: byte-exact reading of the header block and the trace field we prepend. Pure.
//!
//! **Failure**: a header block that is none counts as empty; nothing here panics or allocates by what the mail claims.

pub mod header;
pub mod received;
