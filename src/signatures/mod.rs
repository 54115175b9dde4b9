//! Signature sets: packs of rules, signatures, feeds and models; compiled, numbered, signed, swapped while mail flows.
//!
//! A pack is a folder ([`pack`]); a [`SignatureSet`] is compiled from packs. A set is published with a number and a signature
//! ([`published`]), proves itself ([`self_test`]) and comes in force ([`sets`]), for a share of the mail at first if wanted.
//!
//! **Failure**: a bad set is refused with file, line and reason, and the running one stays.

pub mod background;
pub mod clamav;
pub mod fault;
pub mod feeds;
pub mod fold;
pub mod keys;
pub mod layers;
pub mod literals;
pub mod manifest;
pub mod model;
pub mod octets;
pub mod pack;
pub mod published;
pub mod rules;
pub mod self_test;
mod set;
pub mod sets;
pub mod spamassassin;
pub mod starter;
pub mod yara;

pub use fault::Fault;
pub use feeds::Feeds;
pub use keys::{PublicKey, SigningKey, Trust};
pub use layers::Layers;
pub use manifest::Refused;
pub use pack::Pack;
pub use published::Published;
pub use set::SignatureSet;
pub use sets::{Picked, Sets};
