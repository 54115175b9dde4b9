//! Who outbound mail may be from, asked of the whole message before its content: the field that proves the tenant in a shared
//! network, and the authors in the header.
//!
//! **Failure**: what the message says of its authors is refused for good (550); answers of the DNS that didn't come and our own
//! trouble are 451. **Invariants**: after `identify` every author of an outbound message is of a domain of its
//! client's tenant, or (a tenant that forwards) vouched for by a signature of the author's domain that holds now; the field with
//! the secret is in no octet that anything after it sees.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::draft::Complete;
use super::seal::Sealer;
use super::stages::Transaction;
use crate::model::authentication::DkimResult;
use crate::model::{Domain, Reply, ReversePath};
use crate::policy::author::{self, AuthorError};
use crate::policy::replies;
use crate::policy::srs::Rewriter;
use crate::scan::kept;
use crate::sender::authentication::keyring::Keyring;
use crate::telemetry::metrics::Misnamed;
use crate::tenant::{Forwards, Shown, Snapshot, Tenant, fields_named};

/// What signs and rewrites. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Swapped when keys change; the same that seal.
    pub(super) keys: Arc<ArcSwap<Keyring>>,
    pub(super) rewriter: Arc<Rewriter>,
    /// Signing has failed, and it has been told.
    pub(super) told: Arc<std::sync::atomic::AtomicBool>,
    /// Forwarded messages whose signatures are asked for at one time.
    vouching: Arc<Semaphore>,
}

/// Each may wait for name servers in a thread of its own; others come again.
const MOST_VOUCHED: usize = 32;

impl Identity {
    #[must_use]
    pub fn new(sealer: &Sealer, rewriter: Arc<Rewriter>) -> Self {
        Self {
            keys: Arc::clone(&sealer.keys),
            rewriter,
            told: Arc::default(),
            vouching: Arc::new(Semaphore::new(MOST_VOUCHED)),
        }
    }
}

/// For the questions to the DNS about one forwarded message's signatures.
const PATIENCE: Duration = Duration::from_secs(45);

/// Why a message may not leave.
enum Refusal {
    Author(AuthorError),
    Unproven,
    Unsigned,
    /// Not to be had now.
    Unavailable,
}

impl Refusal {
    fn reply(&self) -> Reply {
        match self {
            Self::Author(error) => error.reply(),
            Self::Unproven => replies::CLIENT_UNPROVEN,
            Self::Unsigned => replies::FORWARD_UNSIGNED,
            Self::Unavailable => replies::AUTHENTICATION_UNAVAILABLE,
        }
    }

    fn label(&self) -> Option<Misnamed> {
        Some(match self {
            Self::Author(AuthorError::Foreign) => Misnamed::Foreign,
            Self::Author(AuthorError::Missing) => Misnamed::Missing,
            Self::Author(AuthorError::Several) => Misnamed::Twice,
            Self::Author(AuthorError::Doubtful) => Misnamed::Doubtful,
            Self::Author(AuthorError::OddLine) => Misnamed::OddLine,
            Self::Unproven => Misnamed::Unproven,
            Self::Unsigned => Misnamed::Unsigned,
            Self::Unavailable => return None,
        })
    }
}

impl Connection {
    /// The tenant whose mail a shared network may bring with this sender, to be proven by the message itself. Notices have no
    /// sender to find the tenant by.
    pub(super) fn shared_client(&self, snapshot: &Snapshot, sender: &ReversePath) -> Option<Arc<Tenant>> {
        let owner = snapshot.domain(sender.address()?.domain().as_str())?.tenant;
        let may = self.known_by_ip && owner.proofs(self.peer.ip()).next().is_some();
        may.then(|| Arc::clone(owner))
    }

    /// Asks an outbound message who it is from. What comes back is the message without the field of the tenant's secret.
    ///
    /// # Errors
    /// The refusal.
    pub(super) async fn identify(
        &self,
        transaction: &Transaction,
        (whole, complete): (Bytes, Complete),
    ) -> Result<(Bytes, Complete), Reply> {
        let Some(tenant) = &transaction.client else { return Ok((whole, complete)) };
        if let Err(refusal) = self.may_leave(transaction, tenant, &whole).await {
            if let Some(label) = refusal.label() {
                self.listener.intake.deps.metrics.identity.misnamed.inc(label);
            }
            return Err(refusal.reply());
        }
        self.without_secret(tenant, (whole, complete)).await
    }

    async fn may_leave(&self, transaction: &Transaction, tenant: &Tenant, whole: &Bytes) -> Result<(), Refusal> {
        if transaction.is_unproven {
            let mut proofs = tenant.proofs(self.peer.ip()).map(|proof| proof.shown_by(whole));
            if !proofs.any(|shown| shown == Shown::Right) {
                return Err(Refusal::Unproven);
            }
        }
        let Err(error) = author::read(whole, &|domain| tenant.owns(domain)) else { return Ok(()) };
        if error != AuthorError::Foreign || tenant.forwards != Forwards::Srs {
            return Err(Refusal::Author(error));
        }
        self.is_vouched_for(whole).await
    }

    /// Whether the author's own domain signed the message (DKIM, aligned exactly), and the signature holds now. An author that
    /// could be read in two ways is nobody's to vouch for.
    async fn is_vouched_for(&self, whole: &Bytes) -> Result<(), Refusal> {
        let authors = author::read(whole, &|_| true).map_err(Refusal::Author)?;
        if author::read(whole, &|domain| *domain == authors.from).is_err() {
            return Err(Refusal::Author(AuthorError::Foreign));
        }
        let Ok(_place) = self.listener.intake.deps.identity.vouching.try_acquire() else {
            return Err(Refusal::Unavailable);
        };
        let authenticator = Arc::clone(&self.listener.intake.deps.judges.authenticator);
        let message = whole.clone();
        let runtime = tokio::runtime::Handle::current();
        // The body is hashed; a large one would hold a worker up.
        let found = tokio::task::spawn_blocking(move || {
            let budget = authenticator.budget();
            let asked = authenticator.message(&message, &[], &budget);
            runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await })
        });
        let Ok(Ok(found)) = found.await else { return Err(Refusal::Unavailable) };
        let own = |of: &str| Domain::parse(of).is_ok_and(|domain| domain == authors.from);
        let signatures = || found.dkim.iter().filter(|signature| own(&signature.domain));
        if signatures().any(|signature| signature.result == DkimResult::Pass) {
            Ok(())
        } else if signatures().any(|signature| signature.result == DkimResult::TempError) {
            Err(Refusal::Unavailable)
        } else {
            Err(Refusal::Unsigned)
        }
    }

    /// Takes the fields of the tenant's secrets out, whoever put them in: not even what is quarantined keeps them.
    async fn without_secret(
        &self,
        tenant: &Tenant,
        (whole, complete): (Bytes, Complete),
    ) -> Result<(Bytes, Complete), Reply> {
        let mut ranges: Vec<_> = tenant.secret_fields().flat_map(|header| fields_named(&whole, header)).collect();
        if ranges.is_empty() {
            return Ok((whole, complete));
        }
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        let clean = Bytes::from(kept(&whole, &ranges));
        let complete = match complete {
            Complete::Memory(_) => Complete::Memory(clean.clone()),
            Complete::File(_) => {
                let mut draft = self.listener.intake.deps.spool.draft().map_err(|_| replies::STORAGE_TROUBLE)?;
                let octets = clean.clone();
                let written = tokio::task::spawn_blocking(move || draft.append(&octets).map(|()| draft)).await;
                let written = written.ok().and_then(Result::ok).ok_or(replies::STORAGE_TROUBLE)?;
                Complete::File(written)
            }
        };
        Ok((clean, complete))
    }
}
