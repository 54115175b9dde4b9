//! What was decided for good: formats on disk, meanings of replies, rules between tenants, the shape of the house.
//!
//! A decision is a file of its own, numbered, never rewritten; a later one may say that it replaces an earlier.

#[doc = include_str!("decisions/0001-one-crate-pure-core.md")]
pub mod d0001 {}

#[doc = include_str!("decisions/0002-segment-log.md")]
pub mod d0002 {}

#[doc = include_str!("decisions/0003-own-smtp-client.md")]
pub mod d0003 {}

#[doc = include_str!("decisions/0004-own-smtp-parser.md")]
pub mod d0004 {}

#[doc = include_str!("decisions/0005-a-tenant-is-one-row.md")]
pub mod d0005 {}

#[doc = include_str!("decisions/0006-own-spf-and-judgement.md")]
pub mod d0006 {}

#[doc = include_str!("decisions/0007-one-fate-for-a-transaction.md")]
pub mod d0007 {}

#[doc = include_str!("decisions/0008-held-mail-is-files.md")]
pub mod d0008 {}

#[doc = include_str!("decisions/0009-half-the-threads.md")]
pub mod d0009 {}

#[doc = include_str!("decisions/0010-threads-interrupt-nobody.md")]
pub mod d0010 {}
