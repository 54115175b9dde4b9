//! Giving a held message out, and forgetting it: the lease on one message.
//!
//! **Invariants**: dropped without [`Release::done`], everything stays as it was.

use std::sync::Arc;

use super::error::QuarantineError;
use super::file::{self, HeldBody};
use super::handle::on_disk;
use super::held::{Chosen, Held, Scope};
use super::shared::{Read, Shared, sync_dir};
use crate::faults::Point;
use crate::model::{Address, Envelope, MessageId, TenantId};
use crate::telemetry::EventName;

/// One who has the message to himself. Gives it back when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    shared: Arc<Shared>,
    pub(super) id: MessageId,
    pub(super) tenant: TenantId,
}

impl Lease {
    pub(super) fn take(shared: &Arc<Shared>, scope: &Scope, id: MessageId) -> Result<Self, QuarantineError> {
        let tenant = shared.tenant_of(scope, id)?;
        match shared.index().lease(id) {
            None => Err(QuarantineError::Gone(id)),
            Some(false) => Err(QuarantineError::Busy(id)),
            Some(true) => Ok(Self { shared: Arc::clone(shared), id, tenant }),
        }
    }

    /// Nobody else takes its file away meanwhile: if it is not there, the message is no more. Blocks.
    pub(super) fn read(&self) -> Result<Read, QuarantineError> {
        let read = self.shared.read(&self.tenant, self.id);
        if matches!(read, Err(QuarantineError::Gone(_))) {
            self.shared.is_no_more(self.id);
        }
        read
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.index().unlease(self.id);
    }
}

/// Some recipients of a leased message, and those who were gone before.
pub(super) struct Part {
    read: Read,
    /// Places in the envelope as it was written.
    places: Vec<u32>,
}

impl Part {
    /// Blocks.
    pub(super) fn choose(lease: &Lease, chosen: &Chosen) -> Result<Self, QuarantineError> {
        let read = lease.read()?;
        let held: Vec<_> =
            (0_u32..).zip(&read.whole.envelope.recipients).filter(|(place, _)| !read.gone.contains(place)).collect();
        let places = match chosen {
            Chosen::All => held.iter().map(|(place, _)| *place).collect(),
            Chosen::Only(addresses) => {
                let place = |address: &Address| {
                    let found = held.iter().find(|(_, recipient)| recipient.address == *address);
                    found.map(|(place, _)| *place).ok_or_else(|| QuarantineError::NotFor(lease.id, address.clone()))
                };
                let mut places = addresses.iter().map(place).collect::<Result<Vec<_>, _>>()?;
                places.sort_unstable();
                places.dedup();
                places
            }
        };
        if places.is_empty() {
            return Err(QuarantineError::Nobody(lease.id));
        }
        Ok(Self { read, places })
    }

    fn envelope(&self) -> Envelope {
        let envelope = &self.read.whole.envelope;
        let recipients = (0_u32..).zip(&envelope.recipients);
        let chosen = recipients.filter(|(place, _)| self.places.binary_search(place).is_ok());
        envelope.with_recipients(chosen.map(|(_, recipient)| recipient.clone()).collect())
    }
}

/// What was forgotten.
pub(super) struct Forgotten {
    pub(super) recipients: usize,
    /// Whether a crash leaves it so.
    durable: Result<(), QuarantineError>,
}

/// Takes the recipients off the message, durably; the message goes with the last of them. Blocks.
///
/// # Errors
/// [`QuarantineError`]: nothing was changed.
pub(super) fn forget(lease: &Lease, part: &Part) -> Result<Forgotten, QuarantineError> {
    let shared = &lease.shared;
    let mut gone = [part.read.gone.as_slice(), &part.places].concat();
    gone.sort_unstable();
    gone.dedup();
    let mut left = part.read.whole.clone();
    left.part(&gone);
    let changed = if left.envelope.recipients.is_empty() {
        shared.unlink(&lease.tenant, lease.id)
    } else {
        let draft = shared.dirs.drafts.join(format!("{}.gone", lease.id));
        file::write_gone(&shared.dirs.gone(&lease.tenant, lease.id), &draft, &gone).map_err(Into::into)
    };
    changed.inspect_err(|_| shared.deps.metrics.quarantine.troubles.inc())?;
    // From here on the index is as the files are, come what may.
    let mut index = shared.index();
    let recipients = if left.envelope.recipients.is_empty() {
        index.remove(lease.id)
    } else {
        index.leave(lease.id, &left.envelope.recipients.iter().map(|recipient| &recipient.address).collect::<Vec<_>>())
    };
    shared.count(&index);
    drop(index);
    let durable = sync_dir(&shared.dirs.tenant(&lease.tenant)).map_err(Into::into);
    if durable.is_err() {
        shared.deps.metrics.quarantine.troubles.inc();
    }
    Ok(Forgotten { recipients, durable })
}

/// A held message on its way out. Once the spool has it, say [`Release::done`].
#[derive(Debug)]
pub struct Release {
    lease: Lease,
    part: Part,
    envelope: Envelope,
    spool_id: MessageId,
    body: Option<HeldBody>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Release {
    /// Blocks.
    pub(super) fn prepare(
        shared: &Arc<Shared>,
        scope: &Scope,
        id: MessageId,
        chosen: &Chosen,
    ) -> Result<Self, QuarantineError> {
        let lease = Lease::take(shared, scope, id)?;
        let mut part = Part::choose(&lease, chosen)?;
        let body = part.read.opened.body().map_err(|error| shared.failed(&lease.tenant, id, error))?;
        let (envelope, spool_id) = (part.envelope(), spool_id(id, &part.places));
        Ok(Self { lease, part, envelope, spool_id, body: Some(body) })
    }

    /// What is known of the message, as it was held.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.part.read.whole
    }

    /// With the recipients who get it.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The name under which the spool is to have it: the same for the same recipients, so that a release repeated after a
    /// crash finds its message still queued; another for other recipients.
    #[must_use]
    pub fn spool_id(&self) -> MessageId {
        self.spool_id
    }

    /// The octets, once.
    pub fn take_body(&mut self) -> Option<HeldBody> {
        self.body.take()
    }

    /// The spool has it: these recipients are forgotten here. `reason` is for the mail log. `then` is called when they are
    /// forgotten and the message may go on, whoever waits for it still. Where the disk did not confirm that, a crash may bring
    /// them back: told, and no error, because nobody can ask for the release again before that.
    ///
    /// # Errors
    /// [`NotDone`]: `then` was not called.
    pub async fn done(self, reason: &str, then: impl FnOnce() + Send + 'static) -> Result<(), NotDone> {
        let shared = Arc::clone(&self.lease.shared);
        let reason = reason.to_owned();
        let done = on_disk(&shared, move |shared| {
            shared.deps.faults.reach(Point::ReleaseBeforeForget);
            let Forgotten { recipients, durable } = match forget(&self.lease, &self.part) {
                Ok(forgotten) => forgotten,
                Err(why) => return Ok(Err(NotDone { why, still: Some(Box::new(self)) })),
            };
            let part = &self.part;
            shared.deps.faults.reach(Point::ReleaseAfterForget);
            shared.deps.metrics.balance.quarantine_released(recipients as u64);
            shared.deps.metrics.quarantine.released.inc_by(recipients as u64);
            shared.tell(EventName::Released, &part.read.whole, recipients, &reason);
            say_unconfirmed(&self.lease, durable);
            then();
            Ok(Ok(()))
        });
        done.await.unwrap_or_else(|why| Err(NotDone { why, still: None }))
    }
}

/// Why a release is not done.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotDone {
    #[source]
    pub why: QuarantineError,
    /// Nothing was changed: all is held as before, and nobody else has it until this is dropped. `None`: the process ends, or it is not
    /// known how far it came; the next start finds out.
    pub still: Option<Box<Release>>,
}

/// It is forgotten as far as this process goes. After a crash it may be here again; is it queued still, [`finish`] knows it.
fn say_unconfirmed(lease: &Lease, durable: Result<(), QuarantineError>) {
    if let Err(error) = durable {
        let id = lease.id;
        tracing::error!(%id, %error, "it is released, and a crash may bring it back into quarantine: the disk did not confirm");
    }
}

/// A release that was broken off between the spool and here: `released` is its name in the spool, with its recipients there. How
/// many recipients are forgotten; 0: it is no such release. Blocks.
///
/// # Errors
/// [`QuarantineError`]: it may be one, and its message may still be held here.
pub(super) fn finish(
    shared: &Arc<Shared>,
    released: MessageId,
    recipients: &[Address],
) -> Result<usize, QuarantineError> {
    let of_that_moment = shared.index().of_moment(released);
    let mut trouble = None;
    for id in of_that_moment {
        let chosen = Lease::take(shared, &Scope::Everyone, id).and_then(|lease| {
            let part = Part::choose(&lease, &Chosen::Only(recipients.to_vec()))?;
            Ok((lease, part))
        });
        let (lease, part) = match chosen {
            Ok(chosen) => chosen,
            Err(QuarantineError::Gone(_) | QuarantineError::NotFor(..) | QuarantineError::Nobody(_)) => continue,
            // It may be the one; another may be it as well.
            Err(error) => {
                trouble = Some(error);
                continue;
            }
        };
        if spool_id(id, &part.places) != released {
            continue;
        }
        let Forgotten { recipients, durable } = forget(&lease, &part)?;
        shared.deps.metrics.balance.quarantine_released(recipients as u64);
        shared.deps.metrics.quarantine.released.inc_by(recipients as u64);
        shared.tell(EventName::Released, &part.read.whole, recipients, "a release that was broken off is finished");
        say_unconfirmed(&lease, durable);
        return Ok(recipients);
    }
    trouble.map_or(Ok(0), Err)
}

/// Takes recipients off for good. Blocks.
pub(super) fn remove(
    shared: &Arc<Shared>,
    scope: &Scope,
    id: MessageId,
    chosen: &Chosen,
    reason: &str,
) -> Result<usize, QuarantineError> {
    let lease = Lease::take(shared, scope, id)?;
    let part = Part::choose(&lease, chosen)?;
    let Forgotten { recipients, durable } = forget(&lease, &part)?;
    shared.deps.metrics.balance.quarantine_removed(recipients as u64);
    shared.deps.metrics.quarantine.removed.inc_by(recipients as u64);
    shared.tell(EventName::Removed, &part.read.whole, recipients, reason);
    durable.map(|()| recipients)
}

/// Sorts by the time of the message it came from.
fn spool_id(id: MessageId, places: &[u32]) -> MessageId {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"release");
    context.update(&id.as_u128().to_le_bytes());
    for place in places {
        context.update(&place.to_le_bytes());
    }
    let digest = context.finish();
    let random = digest.as_ref().first_chunk::<16>().copied().map_or(0, u128::from_le_bytes);
    MessageId::new(u64::try_from(id.as_u128() >> 80).unwrap_or(0), random)
}
