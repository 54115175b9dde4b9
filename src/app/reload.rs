//! Reads the settings again (SIGHUP, or by command) and brings into force what can be changed while mail flows.
//!
//! **Failure**: settings that don't load, or a certificate that doesn't, leave everything as it runs; the log, the metrics and
//! the answer say why. Keys that need a restart are named.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::{convert, suspension};
use crate::admin;
use crate::clock::Clock;
use crate::config::{self, Effect, Loaded, Settings};
use crate::intake::Intake;
use crate::intake::listener::Listener;
use crate::net::server_tls::{Certificate, ServerTls};
use crate::telemetry::metrics::Worked;
use crate::telemetry::{Event, EventName, MailLog, Metrics};

/// What a reload touches.
#[derive(Debug)]
pub struct Reloader {
    /// `None`: settings that were never in a file can't be read again.
    pub(super) file: Option<PathBuf>,
    /// What the process began with: a key that needs a restart has this value until then.
    pub(super) started: Loaded,
    pub(super) running: ArcSwap<Loaded>,
    pub(super) intake: Arc<Intake>,
    pub(super) suspensions: Arc<suspension::Keeper>,
    pub(super) listeners: Vec<Arc<Listener>>,
    /// Who follows the published signature sets looks at once.
    pub(super) look_for_sets: Arc<Notify>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: MailLog,
    pub(super) clock: Clock,
}

impl Reloader {
    /// Reads and takes the settings.
    ///
    /// # Errors
    /// Why the running settings stay.
    pub async fn read_again(&self) -> Result<String, String> {
        self.look_for_sets.notify_one();
        let result = self.take();
        let now = self.clock.now();
        let (worked, text) = match &result {
            Ok(text) => {
                let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
                self.metrics.config.last_reload_success_timestamp_seconds.set(seconds);
                tracing::info!("{text}");
                (Worked::Yes, text)
            }
            Err(text) => {
                tracing::error!("settings not taken, the running ones stay: {text}");
                (Worked::No, text)
            }
        };
        self.metrics.config.reloads.inc(worked);
        self.metrics.config.last_reload_successful.set(i64::from(worked == Worked::Yes));
        self.log.log(&Event { reason: Some(text), ..Event::new(EventName::Reload, now) });
        self.log.reopen();
        result
    }

    fn take(&self) -> Result<String, String> {
        let file = self.file.as_ref().ok_or("these settings are not from a file")?;
        let next = config::load(file, std::env::vars()).map_err(|problems| problems.to_string())?;
        // Certificates first: they are what may fail. All are read before the first is put to use.
        let certificates = self.read_certificates(&next.settings)?;
        certificates.into_iter().for_each(|(tls, certificate)| tls.replace(certificate));
        let changed = self.running.load().changes_to(&next).len();
        let since_start = self.started.changes_to(&next);
        self.intake.configure(convert::intake(&next.settings));
        self.suspensions.configure(&next.settings);
        for listener in &self.listeners {
            if let Some(settings) = next.settings.listeners.iter().find(|one| one.name == listener.config.name) {
                listener.session.store(Arc::new(convert::session(&next.settings, settings)));
            }
        }
        let waiting: Vec<_> = since_start
            .iter()
            .filter(|change| change.effect == Effect::Restart)
            .map(|change| change.name.as_str())
            .collect();
        let mut text = format!("settings taken: {changed} changed");
        if !waiting.is_empty() {
            text.push_str("; in force after a restart only: ");
            text.push_str(&waiting.join(", "));
        }
        self.running.store(Arc::new(next));
        Ok(text)
    }

    fn read_certificates(&self, next: &Settings) -> Result<Vec<(&ServerTls, Certificate)>, String> {
        let mut read = Vec::new();
        for listener in &self.listeners {
            let settings = next.listeners.iter().find(|one| one.name == listener.config.name);
            if let (Some(tls), Some(files)) = (&listener.tls, settings.and_then(convert::certificate)) {
                read.push((&**tls, tls.read(&files).map_err(|error| error.to_string())?));
            }
        }
        Ok(read)
    }
}

impl admin::Reload for Reloader {
    fn reload(&self) -> admin::Answer<'_, Result<String, String>> {
        Box::pin(self.read_again())
    }
}
