//! Composition: the only room that names concrete adapters and sees all others.
//!
//! **Failure**: what can't start says so and nothing keeps running; a reload that can't be taken leaves all as it is.

mod accounts;
mod convert;
mod convert_content;
pub mod demo;
mod explain_control;
mod forwarding;
mod health;
mod lessons;
mod next_hop;
pub mod node;
mod outbound_control;
mod quarantine_control;
mod quarantine_outbound;
mod quarantine_release;
mod queue_control;
mod reload;
mod reputation_control;
mod resources;
mod scanning;
mod senders;
pub mod serve;
mod signature_sets;
mod signing;
mod suspension;
mod suspension_control;
mod suspension_notice;

use std::sync::Arc;

use crate::config::Settings;
use crate::dns::{HickoryResolver, Resolver, ResolverError};

/// A scanner as the node's, for a command that looks into messages. Without settings: with their defaults.
///
/// # Errors
/// Signatures that can't be used.
pub fn scanner(settings: Option<&Settings>) -> Result<crate::scan::Scanner, node::StartError> {
    scanning::scanner(settings)
}

/// The resolver that the settings ask for, for a command that asks the DNS as the node would.
///
/// # Errors
/// [`ResolverError`].
pub fn resolver(settings: &Settings) -> Result<Arc<dyn Resolver>, ResolverError> {
    Ok(Arc::new(HickoryResolver::new(&convert::dns(settings))?))
}
