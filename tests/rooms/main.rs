//! Rooms of the house from outside: their public interfaces, held to models, golden talks, damage and fakes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod checked;
mod delivery;
mod lists;
mod readers;
mod scanners;
mod sender;
mod smtp;
mod spool;
