//! MIME (RFC 2045, 2046, 2231) as mail programs read it, which is not always as the standard says: every reading is kept.
//!
//! **Failure**: nothing fails. What is read in several ways is said by an [`Ambiguity`](super::specimen::Ambiguity), what was
//! not looked at by an [`Unchecked`](crate::model::finding::Unchecked).
//! **Invariants**: no recursion; work is linear in the octets for each layer, and layers, parts and readings are bounded.

pub(super) mod block;
pub(super) mod embedded;
pub(super) mod heading;
pub(super) mod names;
pub(super) mod params;
pub(super) mod split;
pub(super) mod transfer;
pub(super) mod walk;
