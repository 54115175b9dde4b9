//! `/metrics`, `/livez` and `/readyz` on an address of their own (`[observe] bind`).
//!
//! No secrets and no addresses of people are shown here, but the counts tell about business: bind it to loopback or to
//! the monitoring network.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{AdminError, Health};
use crate::telemetry::Metrics;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone)]
pub struct Config {
    pub bind: SocketAddr,
}

#[derive(Clone)]
struct Deps {
    metrics: Arc<Metrics>,
    health: Arc<dyn Health>,
}

/// The running server; it ends with its token.
#[derive(Debug)]
pub struct Observe {
    local: SocketAddr,
    task: JoinHandle<()>,
}

impl Observe {
    /// # Errors
    /// [`AdminError::Bind`].
    pub fn start(
        config: &Config,
        metrics: Arc<Metrics>,
        health: Arc<dyn Health>,
        stop: CancellationToken,
    ) -> Result<Self, AdminError> {
        let failed = |source| AdminError::Bind { place: config.bind.to_string(), source };
        let listener = std::net::TcpListener::bind(config.bind).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let router = routes(metrics, health);
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the observation server ended");
            }
        });
        Ok(Self { local, task })
    }

    /// Where it listens, for a port of 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        let _ = self.task.await;
    }
}

fn routes(metrics: Arc<Metrics>, health: Arc<dyn Health>) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(Deps { metrics, health })
}

async fn show_metrics(State(deps): State<Deps>) -> Response {
    let ready = deps.health.not_ready().is_empty() && deps.health.dead().is_empty();
    deps.metrics.config.ready.set(i64::from(ready));
    // With thousands of tenants the text is long, and mail is served on this thread.
    match tokio::task::spawn_blocking(move || deps.metrics.render()).await {
        Ok(text) => ([(header::CONTENT_TYPE, EXPOSITION)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn livez(State(deps): State<Deps>) -> Response {
    said(&deps.health.dead())
}

async fn readyz(State(deps): State<Deps>) -> Response {
    let mut reasons = deps.health.dead();
    reasons.extend(deps.health.not_ready());
    said(&reasons)
}

fn said(reasons: &[String]) -> Response {
    if reasons.is_empty() {
        (StatusCode::OK, "ok\n".to_owned()).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Sick(&'static [&'static str], &'static [&'static str]);

    impl Health for Sick {
        fn dead(&self) -> Vec<String> {
            self.0.iter().map(|text| (*text).to_owned()).collect()
        }
        fn not_ready(&self) -> Vec<String> {
            self.1.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    async fn ask(addr: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn observed(health: Sick) -> (Observe, CancellationToken) {
        let stop = CancellationToken::new();
        let config = Config { bind: "127.0.0.1:0".parse().unwrap() };
        (Observe::start(&config, Metrics::new(), Arc::new(health), stop.clone()).unwrap(), stop)
    }

    #[tokio::test]
    async fn a_well_node_is_live_ready_and_counted() {
        let (observe, stop) = observed(Sick(&[], &[])).await;
        assert!(ask(observe.local_addr(), "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(ask(observe.local_addr(), "/readyz").await.ends_with("ok\n"));
        let metrics = ask(observe.local_addr(), "/metrics").await;
        assert!(metrics.contains("version=0.0.4") && metrics.contains("\nsekisho_ready 1\n"), "{metrics}");
        stop.cancel();
        observe.ended().await;
    }

    #[tokio::test]
    async fn a_draining_node_is_live_and_not_ready_and_says_why() {
        let (observe, _stop) = observed(Sick(&[], &["draining"])).await;
        assert!(ask(observe.local_addr(), "/livez").await.starts_with("HTTP/1.1 200"));
        let readyz = ask(observe.local_addr(), "/readyz").await;
        assert!(readyz.starts_with("HTTP/1.1 503") && readyz.ends_with("draining\n"), "{readyz}");
    }

    #[tokio::test]
    async fn a_wedged_node_is_neither() {
        let (observe, _stop) = observed(Sick(&["spool: sync failed"], &[])).await;
        assert!(ask(observe.local_addr(), "/livez").await.starts_with("HTTP/1.1 503"));
        assert!(ask(observe.local_addr(), "/readyz").await.ends_with("spool: sync failed\n"));
        assert!(ask(observe.local_addr(), "/metrics").await.contains("\nsekisho_ready 0\n"));
    }
}
