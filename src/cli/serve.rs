//! `sekisho serve` and `sekisho demo`: hands over to the composition and waits until it ends.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::exit;
use super::failure::Failure;
use crate::app;
use crate::config::Loaded;

pub(super) fn run(file: &Path, loaded: Loaded) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(app::serve::run(file, loaded)).map_err(|error| Failure::Other(error.to_string()))?;
    // Work that the drain time did not see ended is on disk; nobody waits for it.
    runtime.shutdown_background();
    Ok(exit::OK)
}

pub(super) fn demo() -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
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
