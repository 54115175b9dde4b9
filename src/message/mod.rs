//! The message itself: byte-exact reading and editing, and the Specimen that detectors look at. Pure.
//!
//! **Failure**: a header block that is none counts as empty; nothing here panics or allocates by what the mail claims.

pub mod charset;
pub mod edit;
pub mod fold;
pub mod files;
pub mod header;
pub mod html;
pub mod links;
pub mod mailbox;
mod mime;
mod parse;
pub mod received;
pub mod specimen;
mod texts;
pub mod words;
