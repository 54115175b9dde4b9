//! DKIM signatures of outbound mail, the last thing before custody: by each active key of the domain in From, which is the
//! tenant's.
//!
//! **Failure**: a message that can't be signed leaves unsigned, is counted, and the first is told until one is signed again; a
//! tenant that asks for signatures has it put off. **Invariants**: only a domain that the client's tenant owns signs; all keys
//! sign the same octets, those that leave.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::connection::Connection;
use super::identity::Identity;
use crate::model::Timestamp;
use crate::policy::author;
use crate::sender::authentication::keyring::ActiveKey;
use crate::sender::authentication::sign::{self, Layout, SignError, Signer};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Signed;
use crate::tenant::{SignPolicy, Tenant};

/// A signature was asked for and could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it can't be signed, and the tenant's mail must be")]
pub struct Unsigned;

impl Connection {
    /// The DKIM-Signature fields to put before `message`, each with its CRLF.
    ///
    /// # Errors
    /// [`Unsigned`], if the tenant's mail must be signed.
    pub(super) async fn signatures(&self, tenant: &Tenant, message: Bytes, now: Timestamp) -> Result<String, Unsigned> {
        let deps = &self.listener.intake.deps;
        deps.identity.signatures(&deps.metrics, tenant, message, now).await
    }
}

impl Identity {
    /// The DKIM-Signature fields to put before `message` of a tenant's, each with its CRLF.
    ///
    /// # Errors
    /// [`Unsigned`], if the tenant's mail must be signed.
    pub async fn signatures(
        &self,
        metrics: &Metrics,
        tenant: &Tenant,
        message: Bytes,
        now: Timestamp,
    ) -> Result<String, Unsigned> {
        let (result, fields) = self.sign(tenant, message, now).await;
        metrics.identity.signed.inc(result);
        if result != Signed::Signed && tenant.sign == SignPolicy::Required { Err(Unsigned) } else { Ok(fields) }
    }

    async fn sign(&self, tenant: &Tenant, message: Bytes, now: Timestamp) -> (Signed, String) {
        let identity = self;
        // Whoever forwards for others signs nothing: the author's domain is not the tenant's.
        let Ok(authors) = author::read(&message, &|domain| tenant.owns(domain)) else {
            return (Signed::NoKey, String::new());
        };
        let keys: Vec<Arc<ActiveKey>> = identity.keys.load().of_domain(&authors.from).to_vec();
        if keys.is_empty() {
            return (Signed::NoKey, String::new());
        }
        // The body is hashed, and an RSA key takes a millisecond.
        let work = tokio::task::spawn_blocking(move || {
            let mut fields = Vec::new();
            for active in keys {
                let name = &active.facts.name;
                let signer = Signer {
                    key: &active.key,
                    domain: name.domain().as_str(),
                    selector: name.selector().as_str(),
                    now: now.as_millis() / 1_000,
                    layout: Layout::Folded,
                };
                fields.extend(sign::dkim(&message, &signer, None)?);
            }
            Ok::<_, SignError>(fields)
        });
        let reason = match work.await {
            Ok(Ok(fields)) => {
                identity.told.store(false, Ordering::Relaxed);
                return (Signed::Signed, String::from_utf8(fields).unwrap_or_default());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the work was broken off".to_owned(),
        };
        if !identity.told.swap(true, Ordering::Relaxed) {
            tracing::error!(domain = %authors.from, reason, "outbound mail is not signed");
        }
        (Signed::Failed, String::new())
    }
}
