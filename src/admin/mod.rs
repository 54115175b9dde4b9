//! The operator's side: numbers and health over HTTP, the queue over a socket of the data directory.
//!
//! The ports of this room are small and object-safe; `app` puts the spool and the settings behind them, tests put
//! tables there. A new resource is a file of its own with its routes and its JSON types.
//!
//! **Failure**: nothing here can stop mail; a port that fails is a 503 with the reason as text.

pub mod control;
pub mod explain;
pub mod observe;
pub mod quarantine;
pub mod queue;
pub mod reputation;
pub mod suspension;

use std::future::Future;
use std::pin::Pin;

/// What an asynchronous port returns, so that the port can be a trait object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether this node works, for `/livez` and `/readyz`.
pub trait Health: Send + Sync {
    /// What only a restart mends, e.g. a spool that could not sync. Empty: alive.
    fn dead(&self) -> Vec<String>;
    /// Why no new mail is taken now, e.g. draining or low on disk. Empty: ready.
    fn not_ready(&self) -> Vec<String>;
}

/// Reads the settings again.
pub trait Reload: Send + Sync {
    /// What was taken, in a sentence, or why the running settings stay.
    fn reload(&self) -> Answer<'_, Result<String, String>>;
}

/// A server of this room did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("cannot listen on {place}: {source}")]
    Bind { place: String, source: std::io::Error },
}
