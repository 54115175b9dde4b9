//! Mail that was held as spam and is released teaches its tenant's classifier that it is good.
//!
//! **Failure**: what can't be learned is told in the log, and the message is released all the same. **Invariants**: only inbound mail
//! that was held as spam teaches: of a file or a forged author the words say nothing, and what leaves is judged by nobody's own word.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::message::specimen::{Limits, Specimen};
use crate::model::finding::Class;
use crate::model::{Direction, TenantId};
use crate::quarantine::Held;
use crate::scan::Scanner;
use crate::signatures::model::Tokens;
use crate::telemetry::Metrics;

#[derive(Debug, Clone)]
pub(super) struct Lessons {
    pub scanner: Scanner,
    /// The operator's setting.
    pub learns: bool,
    pub metrics: Arc<Metrics>,
}

impl Lessons {
    pub(super) fn wants(&self, held: &Held) -> bool {
        self.learns && held.direction == Direction::Inbound && held.class == Class::Spam
    }

    /// A message that whoever held it was wrong about.
    pub(super) async fn good(&self, tenant: TenantId, octets: Bytes) {
        let own = self.clone();
        // One that breaks takes nothing with it but the lesson.
        let learned = tokio::task::spawn_blocking(move || own.learn(&tenant, octets)).await;
        if learned.is_err() {
            tracing::error!("what was released taught nothing: reading it broke off");
        }
    }

    fn learn(&self, tenant: &TenantId, octets: Bytes) {
        let Some(layers) = self.scanner.layers() else { return };
        let until = Instant::now() + self.scanner.time();
        let specimen = Specimen::parse(octets, &Limits::default(), &|| Instant::now() >= until);
        let set = self.scanner.sets().pick(0, Some(tenant));
        match layers.teach(tenant, &set.model, [(Tokens::of(&specimen), false)]) {
            Ok(_) => self.metrics.scan.lessons.inc(),
            Err(error) => tracing::error!(%tenant, %error, "what was released taught nothing"),
        }
    }
}
