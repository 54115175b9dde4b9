//! `sekisho serve` and `sekisho demo`: hands over to the composition and waits until it ends.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::exit;
use super::failure::Failure;
use crate::app;
use crate::config::{Loaded, usual_threads};

pub(super) fn run(file: &Path, loaded: Loaded) -> Result<u8, Failure> {
    let runtime = runtime(loaded.settings.threads())?;
    runtime.block_on(app::serve::run(file, loaded)).map_err(|error| Failure::Other(error.to_string()))?;
    // Work that the drain time did not see ended is on disk; nobody waits for it.
    runtime.shutdown_background();
    Ok(exit::OK)
}

pub(super) fn demo() -> Result<u8, Failure> {
    let runtime = runtime(usual_threads())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    runtime.spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stopped.cancel();
    });
    runtime.block_on(app::demo::run(stop)).map_err(|error| Failure::Other(error.to_string()))?;
    runtime.shutdown_background();
    Ok(exit::OK)
}

fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}
