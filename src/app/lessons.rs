//! Mail that was held as spam and is released teaches its tenant's classifier that it is good.
//!
//! **Failure**: what can't be learned is told in the log, and nobody waits for it: lessons are taken one at a time, at most [`MOST`] wait,
//! and those of a node that stops are lost. **Invariants**: only inbound mail that was held as spam teaches: of a file or a forged author
//! the words say nothing, and what leaves is judged by nobody's own word.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::message::specimen::{Limits, Specimen};
use crate::model::finding::Class;
use crate::model::{Direction, TenantId};
use crate::quarantine::Held;
use crate::scan::Scanner;
use crate::signatures::model::Tokens;
use crate::telemetry::Metrics;

/// Lessons that wait; each is up to 48 KB.
const MOST: usize = 1_000;
/// Longest time to take a message apart for its words.
const TIME: Duration = Duration::from_secs(2);

/// Where lessons are given.
#[derive(Debug, Clone)]
pub(super) struct Lessons(Option<mpsc::Sender<(TenantId, Tokens)>>);

impl Lessons {
    /// `learns`: the operator's setting. Within a runtime; ends when all that give lessons are gone.
    pub(super) fn start(scanner: Scanner, learns: bool, metrics: Arc<Metrics>) -> Self {
        if !learns || scanner.layers().is_none() {
            return Self(None);
        }
        let (give, mut given) = mpsc::channel(MOST);
        tokio::spawn(async move {
            while let Some((tenant, tokens)) = given.recv().await {
                let (scanner, metrics) = (scanner.clone(), Arc::clone(&metrics));
                // One that breaks takes nothing with it but the lesson.
                let learned = tokio::task::spawn_blocking(move || learn(&scanner, &metrics, &tenant, tokens)).await;
                if learned.is_err() {
                    tracing::error!("what was released taught nothing: it broke off");
                }
            }
        });
        Self(Some(give))
    }

    pub(super) fn wants(&self, held: &Held) -> bool {
        self.0.is_some() && held.direction == Direction::Inbound && held.class == Class::Spam
    }

    /// Of a message that whoever held it was wrong about. Never waits.
    pub(super) fn good(&self, tenant: TenantId, tokens: Tokens) {
        let given = self.0.as_ref().map(|give| give.try_send((tenant, tokens)));
        if let Some(Err(error)) = given {
            tracing::warn!(%error, "what was released taught nothing");
        }
    }
}

/// What there is to learn of a message.
pub(super) fn words(octets: Bytes) -> Tokens {
    let until = Instant::now() + TIME;
    Tokens::of(&Specimen::parse(octets, &Limits::default(), &|| Instant::now() >= until))
}

fn learn(scanner: &Scanner, metrics: &Metrics, tenant: &TenantId, tokens: Tokens) {
    let Some(layers) = scanner.layers() else { return };
    match layers.teach(tenant, &scanner.sets().settled(tenant).model, [(tokens, false)]) {
        Ok(_) => metrics.scan.lessons.inc(),
        Err(error) => tracing::error!(%tenant, %error, "what was released taught nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Envelope, Origin, ReversePath, Timestamp};
    use crate::scan::{self, external};
    use crate::signatures::{SignatureSet, sets::Sets};

    fn scanner(dir: &std::path::Path, metrics: &Arc<Metrics>) -> Scanner {
        let sets = Arc::new(Sets::fixed(SignatureSet::compile(1, &[]).unwrap()));
        let config = scan::Config { layers: Some(dir.join("classifier")), ..scan::Config::default() };
        Scanner::build(config, sets, external::Config::default(), Arc::clone(metrics), "mx.example")
    }

    fn held(direction: Direction, class: Class) -> Held {
        let origin = Origin {
            ip: "192.0.2.7".parse().unwrap(),
            helo: "h".into(),
            listener: "mx".into(),
            protocol: "ESMTP".into(),
            received_at: Timestamp(0),
        };
        Held {
            v: 1,
            id: crate::model::MessageId::new(1, 1),
            tenant: TenantId::parse("acme").unwrap(),
            direction,
            origin,
            envelope: Envelope::from_sender(ReversePath::Null),
            class,
            reason: Box::default(),
            explanation: None,
            subject: None,
            from: None,
            size: 1,
            held_at: Timestamp(0),
            expires_at: Timestamp(0),
            gone: Vec::new(),
        }
    }

    #[tokio::test]
    async fn only_inbound_spam_teaches_and_only_if_the_operator_lets_it() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let on = Lessons::start(scanner(dir.path(), &metrics), true, Arc::clone(&metrics));
        let off = Lessons::start(scanner(dir.path(), &metrics), false, Arc::clone(&metrics));
        for class in Class::ALL {
            for direction in [Direction::Inbound, Direction::Outbound] {
                let held = held(direction, class);
                assert_eq!(on.wants(&held), direction == Direction::Inbound && class == Class::Spam, "{held:?}");
                assert!(!off.wants(&held));
            }
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let (scanner, acme) = (scanner(dir.path(), &metrics), TenantId::parse("acme").unwrap());
        let tokens = words(Bytes::from_static(b"Subject: news\r\n\r\nthe boats came home at noon\r\n"));
        assert!(!tokens.is_empty());
        learn(&scanner, &metrics, &acme, tokens.clone());
        assert_eq!(metrics.scan.lessons.get(), 1);
        assert_eq!(scanner.layers().unwrap().sums(&acme).unwrap().unwrap().ham, 1);
        std::fs::write(dir.path().join("classifier/acme.layer"), "damaged").unwrap();
        learn(&scanner, &metrics, &acme, tokens);
        assert_eq!(metrics.scan.lessons.get(), 1);
    }
}
