//! Composition: the only room that names concrete adapters and sees all others.
//!
//! **Failure**: what can't start says so and nothing keeps running; a reload that can't be taken leaves all as it is.

mod convert;
pub mod demo;
mod explain_control;
mod health;
mod next_hop;
pub mod node;
mod queue_control;
mod reload;
mod reputation_control;
mod resources;
mod senders;
pub mod serve;
