//! Sekisho (関所, the checkpoint on the old highway): a multi-tenant mail security gateway.
//!
//! The rooms in layer order; arrows point up this list only, and `tests/architecture.rs` holds the table of
//! allowed arrows against the sources. Start reading at [`manual::message_path`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod manual;

// -- vocabulary ---------------------------------------------------------------
pub mod clock;
pub mod faults;
pub mod model;
pub mod tables;
pub mod telemetry;

// -- pure engines -------------------------------------------------------------
pub mod message;
pub mod policy;
pub mod smtp;
pub mod tenant;

// -- capabilities -------------------------------------------------------------
pub mod dns;
pub mod limits;
pub mod net;
pub mod quarantine;
pub mod scan;
pub mod sender;
pub mod signatures;
pub mod spool;

// -- flows --------------------------------------------------------------------
pub mod delivery;
pub mod intake;

// -- edges --------------------------------------------------------------------
pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod store;
