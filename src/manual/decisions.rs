//! What was decided for good: formats on disk, meanings of replies, rules between tenants, the shape of the house.
//!
//! A decision is a file of its own, numbered, never rewritten; a later one may say that it replaces an earlier.

#[doc = include_str!("decisions/0001-one-crate-pure-core.md")]
pub mod d0001 {}

#[doc = include_str!("decisions/0020-a-tenant-is-one-row.md")]
pub mod d0020 {}
