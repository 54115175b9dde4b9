//! Puts what judges the content together: the signature sets, the scanner, the quarantine.
//!
//! **Failure**: a quarantine that can't be opened stops the start: without it nothing could be kept back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::convert_content;
use super::node::StartError;
use crate::clock::Clock;
use crate::config::Settings;
use crate::quarantine::{Deps, Quarantine};
use crate::scan::{self, Scanner};
use crate::signatures::sets::{Refreshed, Sets};
use crate::signatures::{background, starter};
use crate::telemetry::{Event, EventName, MailLog, Metrics};

/// What a node judges content with.
pub(super) async fn open(settings: &Settings, deps: Deps) -> Result<(Scanner, Quarantine), StartError> {
    let other = StartError::Other;
    let config = convert_content::quarantine(&settings.content.quarantine);
    let (clock, metrics) = (deps.clock.clone(), Arc::clone(&deps.metrics));
    let opened = tokio::task::spawn_blocking(move || Quarantine::open(config, deps)).await;
    let (quarantine, report) = opened.map_err(|error| other(error.to_string()))??;
    tracing::info!(messages = report.messages, damaged = report.damaged.len(), "quarantine read");
    let config = convert_content::signatures(&settings.content.signatures, clock).map_err(other)?;
    let sets = tokio::task::spawn_blocking(move || starter::set().map(|base| Sets::open(config, base))).await;
    let (sets, refreshed) = sets.map_err(|error| other(error.to_string()))?.map_err(|faults| other(listed(&faults)))?;
    tell(&refreshed, &metrics);
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

/// Follows what is published, until told to stop: looks every so often, and when told to.
pub(super) async fn follow(
    sets: Arc<Sets>,
    (every, look): (Duration, Arc<Notify>),
    (metrics, log, clock): (Arc<Metrics>, MailLog, Clock),
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = look.notified() => {}
        }
        let of_thread = Arc::clone(&sets);
        let refresh = move || {
            let refreshed = of_thread.refresh();
            of_thread.review();
            (refreshed, of_thread.news(), of_thread.doubt())
        };
        let Some((refreshed, returned, doubt)) = background::run(refresh).await else { continue };
        tell(&refreshed, &metrics);
        let line = |name: EventName, reason: &str| {
            log.log(&Event { reason: Some(reason), ..Event::new(name, clock.now()) });
        };
        if refreshed.changed {
            line(EventName::Signatures, &in_force(&refreshed));
        }
        let refused = refreshed.refused.iter().map(|(number, why)| format!("signature set {number} refused: {why}"));
        let returned = returned.into_iter().map(|returned| {
            metrics.scan.set_returns.inc();
            metrics.scan.set.set(i64::try_from(returned.instead).unwrap_or(i64::MAX));
            let (number, instead, why) = (returned.number, returned.instead, returned.reason);
            format!("signature set {number} taken back, {instead} is in force: {why}")
        });
        // What became of a set, and somebody should look.
        for reason in refused.chain(returned) {
            line(EventName::Signatures, &reason);
            line(EventName::Alert, &reason);
        }
        if let Some((number, why)) = doubt {
            tracing::warn!(set = number, reason = %why, "signature set in doubt");
            let back = "go back with `sekisho signatures rollback`";
            line(EventName::Alert, &format!("signature set {number} is in doubt: {why}; {back}"));
        }
    }
}

fn in_force(refreshed: &Refreshed) -> String {
    let current = refreshed.current;
    match refreshed.canary {
        Some(canary) => format!("signature set {canary} is on trial, {current} is in force"),
        None => format!("signature set {current} is in force"),
    }
}

fn tell(refreshed: &Refreshed, metrics: &Metrics) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    metrics.scan.set.set(number(refreshed.current));
    metrics.scan.set_canary.set(number(refreshed.canary.unwrap_or(0)));
    metrics.scan.set_refusals.inc_by(refreshed.refused.len() as u64);
    if refreshed.changed {
        metrics.scan.set_swaps.inc();
        tracing::info!(set = refreshed.current, canary = refreshed.canary, "signature set in force");
    }
}

fn listed(faults: &[crate::signatures::Fault]) -> String {
    let listed: Vec<String> = faults.iter().take(10).map(ToString::to_string).collect();
    format!("the signatures that come with the program are wrong: {}", listed.join("; "))
}
