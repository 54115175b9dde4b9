//! Interoperation with real peers: Debian's Postfix as client and as next hop, and swaks. Nothing runs as a service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)]

#[path = "../support/mod.rs"]
mod support;

mod outbound_abuse;
mod policy_server;
mod postfix;
mod postfix_as_client;
mod postfix_as_next_hop;
mod scanners;
mod swaks;
mod the_fixtures_themselves;
