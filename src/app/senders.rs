//! Everything that senders are judged with: known sources, authentication, limits, hits of list entries.
//!
//! **Failure**: a database of countries that can't be read stops the start; counters of the last run that can't be read are
//! given up with a warning. Hits that can't be written are kept and written later.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::convert;
use super::node::StartError;
use crate::clock::Clock;
use crate::config::Settings;
use crate::dns::Resolver;
use crate::intake::judging::Judges;
use crate::limits::Limits;
use crate::sender::Source;
use crate::sender::authentication::Authenticator;
use crate::sender::geography::GeographyError;
use crate::store::ListStore;
use crate::telemetry::Metrics;
use crate::tenant::lists::Hits;

/// Hits are written so often.
const EVERY: Duration = Duration::from_secs(5);
/// Rate limits that nobody touches any more are forgotten so often.
const SWEEP: Duration = Duration::from_secs(10);

/// Builds them, with the counters of the last run.
pub(super) async fn open(
    settings: &Settings,
    resolver: Arc<dyn Resolver>,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> Result<Judges, StartError> {
    let authenticator = Authenticator::build(convert::authentication(settings), Arc::clone(&resolver), clock);
    let limits = Limits::build(&convert::rates(settings), Arc::clone(&metrics));
    let (config, data_dir) = (convert::source(settings), settings.data_dir.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let source = Source::build(config, resolver, metrics)?;
        source.load(&data_dir);
        Ok::<_, GeographyError>(Arc::new(source))
    });
    let other = |error: String| StartError::Other(error);
    let source = opened.await.map_err(|error| other(error.to_string()))?.map_err(|error| other(error.to_string()))?;
    Ok(Judges {
        source,
        authenticator: Arc::new(authenticator),
        limits: Arc::new(limits),
        hits: Arc::new(Hits::default()),
        spam_traps: convert::spam_traps(settings),
    })
}

/// Writes hits, and forgets limits, until `shutdown`.
pub(super) async fn keep(judges: Judges, lists: Arc<dyn ListStore>, shutdown: CancellationToken) {
    let (mut write, mut sweep) = (tokio::time::interval(EVERY), tokio::time::interval(SWEEP));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = write.tick() => write_hits(&judges, &*lists).await,
            _ = sweep.tick() => judges.limits.sweep(),
        }
    }
}

/// What is to be found again at the next start.
pub(super) async fn save(judges: Judges, lists: Arc<dyn ListStore>, data_dir: PathBuf) {
    write_hits(&judges, &*lists).await;
    let saved = tokio::task::spawn_blocking(move || judges.source.save(Path::new(&data_dir)));
    let _ = saved.await;
}

async fn write_hits(judges: &Judges, lists: &dyn ListStore) {
    let hits = judges.hits.take();
    if hits.is_empty() {
        return;
    }
    if let Err(error) = lists.add_hits(&hits).await {
        tracing::warn!(%error, "hits of list entries are not written for now");
        judges.hits.restore(&hits);
    }
}
