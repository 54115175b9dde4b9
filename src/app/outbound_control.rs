//! What is known of those who send for tenants: opened at start, told by delivery, saved from time to time and on exit.
//!
//! **Failure**: what the last run saved and can't be read is given up with a warning: every sender begins as a new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::convert;
use crate::clock::Clock;
use crate::config::Settings;
use crate::delivery::{Ended, Observer};
use crate::limits::outbound::{Party, Told};
use crate::limits::{Limits, Outbound};
use crate::model::rates::RatesByDimension;
use crate::model::{Direction, OutcomeKind};
use crate::spool::Kind;
use crate::telemetry::Metrics;

/// Between two saves.
const EVERY: Duration = Duration::from_secs(300);

/// With what the last run has saved.
pub(super) fn open(settings: &Settings, limits: Arc<Limits>, clock: &Clock, metrics: Arc<Metrics>) -> Outbound {
    let outbound = Outbound::build(convert::outbound(settings), limits, metrics);
    if let Err(error) = outbound.load(&settings.data_dir, clock.now()) {
        tracing::warn!(%error, "what was known of outbound senders is lost");
    }
    outbound
}

/// Lets time pass and saves, until `shutdown`.
pub(super) async fn keep(outbound: Outbound, clock: Clock, data_dir: PathBuf, shutdown: CancellationToken) {
    loop {
        outbound.sweep(clock.now());
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        save(outbound.clone(), data_dir.clone()).await;
    }
}

/// What is to be found again at the next start.
pub(super) async fn save(outbound: Outbound, data_dir: PathBuf) {
    let written = tokio::task::spawn_blocking(move || write(&outbound, &data_dir)).await;
    if written.is_err() {
        tracing::warn!("what is known of outbound senders is not saved");
    }
}

fn write(outbound: &Outbound, data_dir: &Path) {
    if let Err(error) = outbound.save(data_dir) {
        tracing::warn!(%error, "what is known of outbound senders is not saved");
    }
}

/// Brings outcomes of outbound mail back to the records of its senders.
#[derive(Debug)]
pub(super) struct Feedback {
    pub outbound: Outbound,
    pub clock: Clock,
}

impl Observer for Feedback {
    fn ended(&self, ended: &Ended<'_>) {
        // A notice of our own is nobody's mail.
        if ended.meta.direction != Direction::Outbound || ended.meta.kind == Kind::Notice {
            return;
        }
        let told = match ended.outcome.kind {
            OutcomeKind::Delivered => Told::Delivered,
            OutcomeKind::Failed => Told::refusal(&ended.outcome.reply),
            OutcomeKind::Deferred => return,
        };
        let own = RatesByDimension::default();
        let sender = ended.meta.envelope.sender.address();
        let party = Party::new(&ended.meta.tenant, (&own, false), sender, ended.meta.origin.ip);
        self.outbound.told(&party, (told, ended.message), self.clock.now());
    }
}
