//! Everything that senders are judged with: known sources, authentication, limits, hits of list entries.
//!
//! **Failure**: a database of countries that can't be read stops the start; counters of the last run that can't be read are
//! given up with a warning. Hits that can't be written are kept and written later.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::convert;
use super::node::StartError;
use crate::clock::Clock;
use crate::config::Settings;
use crate::dns::{self, HickoryResolver, Resolver};
use crate::intake::judging::Judges;
use crate::limits::Limits;
use crate::model::Timestamp;
use crate::sender::Source;
use crate::sender::authentication::Authenticator;
use crate::sender::geography::GeographyError;
use crate::store::{SharedLists, keep_hits, write_hits};
use crate::telemetry::Metrics;
use crate::tenant::lists::Hits;

/// Whom delivery asks, and whom judging asks. Two, because strangers say what judging asks for: names whose servers are silent
/// may use up its places and its trust in the name servers, but none of delivery's. `given` serves both.
pub(super) fn resolvers(
    config: &dns::Config,
    given: Option<Arc<dyn Resolver>>,
) -> Result<[Arc<dyn Resolver>; 2], StartError> {
    if let Some(given) = given {
        return Ok([Arc::clone(&given), given]);
    }
    let own = || HickoryResolver::new(config).map_err(|error| StartError::Other(error.to_string()));
    Ok([Arc::new(own()?), Arc::new(own()?)])
}

/// Builds them, with the counters of the last run.
pub(super) async fn open(
    settings: &Settings,
    resolver: Arc<dyn Resolver>,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> Result<Judges, StartError> {
    let now = clock.now();
    let authenticator = Authenticator::build(convert::authentication(settings), Arc::clone(&resolver), clock);
    let limits = Limits::build(&convert::rates(settings), Arc::clone(&metrics));
    let (config, data_dir) = (convert::source(settings), settings.data_dir.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let source = Source::build(config, resolver, metrics)?;
        source.load(&data_dir, now);
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

/// Between two saves of what is known of sources; a crash loses what came since.
const EVERY: Duration = Duration::from_secs(3_600);

/// Writes hits down, forgets what nobody uses and saves what is known, until `shutdown`.
pub(super) async fn keep(
    judges: Judges,
    lists: SharedLists,
    (data_dir, clock): (PathBuf, Clock),
    shutdown: CancellationToken,
) {
    let hits = async {
        tokio::select! {
            () = keep_hits(Arc::clone(&judges.hits), lists) => {}
            () = shutdown.cancelled() => {}
        }
    };
    let saving = async {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(EVERY) => save_sources(&judges, data_dir.clone(), clock.now()).await,
            }
        }
    };
    tokio::join!(hits, saving, Arc::clone(&judges.limits).watch(shutdown.clone()));
}

/// What is to be found again at the next start.
pub(super) async fn save(judges: Judges, lists: SharedLists, data_dir: PathBuf, now: Timestamp) {
    if let Err(error) = write_hits(&judges.hits, &*lists).await {
        tracing::warn!(%error, "the last hits of list entries are lost");
    }
    save_sources(&judges, data_dir, now).await;
}

async fn save_sources(judges: &Judges, data_dir: PathBuf, now: Timestamp) {
    let source = Arc::clone(&judges.source);
    let saved = tokio::task::spawn_blocking(move || source.save(&data_dir, now));
    if saved.await.is_err() {
        tracing::warn!("the counters of sources are not saved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::MemoryResolver;

    #[test]
    fn delivery_and_judging_share_a_resolver_only_if_one_is_given() {
        let config = dns::Config { servers: vec![([127, 0, 0, 1], 53).into()], ..dns::Config::default() };
        let [delivery, judging] = resolvers(&config, None).unwrap();
        assert!(!Arc::ptr_eq(&delivery, &judging));
        let given: Arc<dyn Resolver> = Arc::new(MemoryResolver::default());
        let [delivery, judging] = resolvers(&config, Some(Arc::clone(&given))).unwrap();
        assert!(Arc::ptr_eq(&delivery, &given) && Arc::ptr_eq(&judging, &given));
    }
}
