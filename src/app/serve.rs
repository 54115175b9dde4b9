//! `sekisho serve`: starts the node, tells the service manager, obeys signals: SIGHUP reads the settings again, SIGTERM and
//! SIGINT drain, a second one ends at once.

use std::path::Path;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::node::{Node, Overrides, StartError};
use super::reload::Reloader;
use crate::config::Loaded;

/// Runs until a signal ends it, mail in the runtime it is called in.
///
/// # Errors
/// [`StartError`]; nothing keeps running then.
pub async fn run(file: &Path, loaded: Loaded, housekeeping: &Handle) -> Result<(), StartError> {
    let hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let node = Node::start(Some(file), loaded, Overrides::default(), housekeeping).await?;
    let stop = CancellationToken::new();
    let reloading = housekeeping.spawn(obey_hangups(hangup, node.reloader()));
    let stopping = tokio::spawn(obey_stops(terminate, interrupt, stop.clone()));
    tell_manager(&[sd_notify::NotifyState::Ready]);
    node.run(stop).await;
    reloading.abort();
    stopping.abort();
    Ok(())
}

async fn obey_hangups(mut hangup: Signal, reloader: std::sync::Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        // The reloader tells the log and the metrics; a refused reload leaves everything as it is.
        let _ = reloader.read_again().await;
    }
}

async fn obey_stops(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    next_of(&mut terminate, &mut interrupt).await;
    tracing::info!("draining: no new connections, transactions under way may end");
    tell_manager(&[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    next_of(&mut terminate, &mut interrupt).await;
    tracing::warn!("second signal: ending at once; what was accepted is on disk");
    std::process::exit(1);
}

async fn next_of(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn tell_manager(states: &[sd_notify::NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(states);
}
