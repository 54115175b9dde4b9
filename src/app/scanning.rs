//! Puts what judges the content together: the signature sets, the scanner, the quarantine.
//!
//! **Failure**: a quarantine that can't be opened stops the start: without it nothing could be kept back.

use std::sync::Arc;

use super::convert_content;
use super::node::StartError;
use super::signature_sets::Teller;
use crate::clock::Clock;
use crate::config::Settings;
use crate::quarantine::{Deps, Quarantine};
use crate::scan::{self, Scanner};
use crate::signatures::sets::Sets;
use crate::signatures::starter;
use crate::telemetry::Metrics;

/// What a node judges content with.
pub(super) async fn open(settings: &Settings, deps: Deps) -> Result<(Scanner, Quarantine), StartError> {
    let other = StartError::Other;
    let config = convert_content::quarantine(&settings.content.quarantine);
    let (clock, metrics) = (deps.clock.clone(), Arc::clone(&deps.metrics));
    let teller = Teller { metrics: Arc::clone(&metrics), log: deps.log.clone(), clock: clock.clone() };
    let opened = tokio::task::spawn_blocking(move || Quarantine::open(config, deps)).await;
    let (quarantine, report) = opened.map_err(|error| other(error.to_string()))??;
    tracing::info!(messages = report.messages, damaged = report.damaged.len(), "quarantine read");
    let config = convert_content::signatures(&settings.content.signatures, clock).map_err(other)?;
    let sets = tokio::task::spawn_blocking(move || starter::set().map(|base| Sets::open(config, base))).await;
    let (sets, refreshed) = sets.map_err(|error| other(error.to_string()))?.map_err(|faults| other(listed(&faults)))?;
    teller.refreshed(&refreshed);
    let external = convert_content::external(&settings.content.scanners).map_err(other)?;
    let config = convert_content::scan(&settings.content, Some(settings.threads()));
    let scanner = Scanner::build(config, Arc::new(sets), external, metrics, settings.hostname.as_str());
    Ok((scanner, quarantine))
}

/// What looks into messages for a command: the set that comes with the program, no scanners elsewhere; without settings, by
/// their defaults.
pub(super) fn scanner(settings: Option<&Settings>) -> Result<Scanner, StartError> {
    let other = StartError::Other;
    let config = settings.map(|settings| convert_content::scan(&settings.content, None)).unwrap_or_default();
    let base = starter::set().map_err(|faults| other(listed(&faults)))?;
    let sets = match settings.filter(|settings| settings.content.signatures.dir.is_dir()) {
        Some(settings) => {
            let config = convert_content::signatures(&settings.content.signatures, Clock::default()).map_err(other)?;
            Sets::open(config, base).0
        }
        None => Sets::fixed(base),
    };
    Ok(Scanner::build(config, Arc::new(sets), scan::external::Config::default(), Metrics::new(), "localhost"))
}

fn listed(faults: &[crate::signatures::Fault]) -> String {
    let listed: Vec<String> = faults.iter().take(10).map(ToString::to_string).collect();
    format!("the signatures that come with the program are wrong: {}", listed.join("; "))
}
