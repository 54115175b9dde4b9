//! Alike messages to many: a [`Sketch`] of each message's text, and for each tenant the groups of alike ones with whom they reached.
//!
//! Bulk is no harm: what is found here slows a sender down and is told as evidence; it never stops anybody.
//!
//! **Failure**: what has too little text to compare is alike to nothing. **Invariants**: bounded in groups, in recipients remembered
//! for each, and in the text that is read of one message.

mod groups;
mod sketch;

pub use groups::{Found, Groups};
pub use sketch::Sketch;
