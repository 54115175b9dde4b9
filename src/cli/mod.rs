//! The command line: one file per command. Data goes to stdout, everything else to stderr; exit codes are stable.

pub mod control_client;
pub mod exit;
pub mod queue;
mod queue_text;
