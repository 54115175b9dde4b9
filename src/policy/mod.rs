//! Facts in, decision out: what we say at each stage, and why. Pure; `intake` gathers the facts first.
//!
//! **Failure**: a fact that could not be had is a value (`Unavailable`), and its answer is always 4xx.
//! **Elsewhere**: every public reply text of a decision is in [`replies`]; the protocol's own replies are in `smtp`.

pub mod author;
pub mod content;
pub mod contract;
pub mod explain;
pub mod mail;
pub mod message;
pub mod rcpt;
pub mod replies;
pub mod sender;
pub mod srs;
