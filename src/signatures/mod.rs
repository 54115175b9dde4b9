//! Signature sets: packs of rules, signatures, feeds and models; compiled, numbered, signed, swapped while mail flows.
//!
//! A pack is a folder ([`pack`]); a [`SignatureSet`] is compiled from packs.
//!
//! **Failure**: a bad set is refused with file, line and reason, and the running one stays.

pub mod fault;
pub mod fold;
pub mod literals;
pub mod pack;
pub mod rules;
mod set;

pub use fault::Fault;
pub use pack::Pack;
pub use set::SignatureSet;
