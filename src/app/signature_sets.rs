//! Follows the signature sets that are published, and tells metrics and mail log what becomes of them.
//!
//! **Failure**: a look that can't be taken (no thread, a panic) is left out; the sets in force stay, and the next look is as any.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::signatures::background;
use crate::signatures::sets::{Refreshed, Returned, Sets};
use crate::telemetry::{Event, EventName, MailLog, Metrics};

/// Follows what is published, until told to stop: looks every so often, and when told to.
pub(super) async fn follow(
    sets: Arc<Sets>,
    (every, look): (Duration, Arc<Notify>),
    teller: Teller,
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
            // Told in the order in which it happened.
            let before = of_thread.news();
            let refreshed = of_thread.refresh();
            of_thread.review();
            (before, refreshed, of_thread.news(), of_thread.doubt())
        };
        let Some((before, refreshed, returned, doubt)) = background::run(refresh).await else { continue };
        teller.returned(before);
        teller.refreshed(&refreshed);
        teller.returned(returned);
        if let Some((number, why)) = doubt {
            teller.doubted(number, &why);
        }
    }
}

/// Tells metrics and mail log what becomes of signature sets. What somebody should look at is an alert besides.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
    pub clock: Clock,
}

impl Teller {
    fn line(&self, name: EventName, reason: &str) {
        self.log.log(&Event { reason: Some(reason), ..Event::new(name, self.clock.now()) });
    }

    pub(super) fn refreshed(&self, refreshed: &Refreshed) {
        let (current, canary) = (refreshed.current, refreshed.canary);
        self.in_force(current);
        self.metrics.scan.set_canary.set(i64::try_from(canary.unwrap_or(0)).unwrap_or(i64::MAX));
        self.metrics.scan.set_refusals.inc_by(refreshed.refused.len() as u64);
        if refreshed.changed {
            self.metrics.scan.set_swaps.inc();
            tracing::info!(set = current, canary, "signature set in force");
            self.line(EventName::Signatures, &words(refreshed));
        }
        for (number, why) in &refreshed.refused {
            let reason = format!("signature set {number} refused: {why}");
            // 0: what says which sets are wanted can't be read.
            if *number != 0 {
                self.line(EventName::Signatures, &reason);
            }
            self.line(EventName::Alert, &reason);
        }
    }

    fn returned(&self, returned: Vec<Returned>) {
        for Returned { number, instead, reason } in returned {
            self.metrics.scan.set_returns.inc();
            self.in_force(instead);
            let reason = format!("signature set {number} taken back, {instead} is in force: {reason}");
            self.line(EventName::Signatures, &reason);
            self.line(EventName::Alert, &reason);
        }
    }

    fn doubted(&self, number: u64, why: &str) {
        tracing::warn!(set = number, reason = %why, "signature set in doubt");
        let back = "go back with `sekisho signatures rollback`";
        self.line(EventName::Alert, &format!("signature set {number} is in doubt: {why}; {back}"));
    }

    fn in_force(&self, number: u64) {
        self.metrics.scan.set.set(i64::try_from(number).unwrap_or(i64::MAX));
    }
}

fn words(refreshed: &Refreshed) -> String {
    let current = refreshed.current;
    let mut words = match refreshed.canary {
        Some(canary) => format!("signature set {canary} is on trial, {current} is in force"),
        None => format!("signature set {current} is in force"),
    };
    if refreshed.pins > 0 {
        words.push_str(&format!("; tenants with a set of their own: {}", refreshed.pins));
    }
    words
}
