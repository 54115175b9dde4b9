//! Puts what judges the content together: the signature sets, the scanner, the quarantine.
//!
//! **Failure**: a quarantine that can't be opened stops the start: without it nothing could be kept back.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{convert_content, node::StartError};
use crate::config::Settings;
use crate::quarantine::{Deps, Quarantine};
use crate::scan::Scanner;
use crate::signatures::SignatureSet;

/// What a node judges content with.
pub(super) async fn open(settings: &Settings, deps: Deps) -> Result<(Scanner, Quarantine), StartError> {
    let config = convert_content::quarantine(&settings.content.quarantine);
    let opened = tokio::task::spawn_blocking(move || Quarantine::open(config, deps)).await;
    let (quarantine, report) = opened.map_err(|error| StartError::Other(error.to_string()))??;
    tracing::info!(messages = report.messages, damaged = report.damaged.len(), "quarantine read");
    Ok((scanner(Some(settings))?, quarantine))
}

/// What looks into messages; without settings, by their defaults.
pub(super) fn scanner(settings: Option<&Settings>) -> Result<Scanner, StartError> {
    let config = settings.map(|settings| convert_content::scan(&settings.content)).unwrap_or_default();
    let sets = Arc::new(ArcSwap::from_pointee(SignatureSet::empty()));
    Ok(Scanner::build(config, sets))
}
