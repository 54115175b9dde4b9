//! What is known of those who send for tenants: opened at start, told by delivery, saved from time to time and on exit.
//!
//! **Failure**: what the last run saved and can't be read is given up with a warning: every sender begins as a new one.

use std::borrow::Cow;
use std::net::IpAddr;
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
use crate::model::{Address, Direction, OutcomeKind};
use crate::policy::srs::{Back, Rewriter};
use crate::spool::{Kind, Meta};
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

/// Where queued mail came from; `None`: it was not known then.
pub(super) fn client(meta: &Meta) -> Option<IpAddr> {
    meta.origin.client()
}

/// Brings outcomes of outbound mail back to the records of its senders.
#[derive(Debug)]
pub(super) struct Feedback {
    pub outbound: Outbound,
    pub clock: Clock,
    pub rewriter: Arc<Rewriter>,
}

/// Who sent queued mail, as it was judged when it came: a sender that was rewritten for forwarding (SRS) is not whose mail it is.
pub(super) fn sender<'m>(meta: &'m Meta, rewriter: &Rewriter) -> Option<Cow<'m, Address>> {
    let sender = meta.envelope.sender.address()?;
    // It was rewritten when it came; how long it has waited in the queue is no matter.
    match rewriter.back(sender, meta.origin.received_at) {
        Back::To(before) => Some(Cow::Owned(before)),
        Back::Ordinary | Back::Invalid => Some(Cow::Borrowed(sender)),
    }
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
        let sender = sender(ended.meta, &self.rewriter);
        let party = Party::new(&ended.meta.tenant, (&own, false), sender.as_deref(), client(ended.meta));
        self.outbound.told(&party, (told, ended.message), self.clock.now());
    }
}
