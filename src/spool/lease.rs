//! One worker's right to one branch: at most one lease per branch is out at any time, and none for outbound mail that was not
//! checked.
//!
//! **Failure**: a lease that is dropped comes due again soon; one that can't be settled because the spool is wedged stays
//! out, because what can't be recorded must not be tried again.

use std::sync::Arc;

use bytes::Bytes;

use super::body::{Body, LoadedBody};
use super::error::SpoolError;
use super::index::{Branch, Taken};
use super::message::{About, NewMessage, Way};
use super::meta::Meta;
use super::prepare::prepare;
use super::read;
use super::record::{Progress, RecipientState, progress};
use super::request::{Class, Effect, Request};
use super::shared::Shared;
use crate::faults::Point;
use crate::model::{Address, Direction, Domain, Envelope, MessageId, Origin, Recipient, Timestamp};

/// See the module.
#[derive(Debug)]
pub struct Lease {
    shared: Arc<Shared>,
    id: MessageId,
    number: u32,
    meta: Arc<Meta>,
    way: Way,
    queued_at: Timestamp,
    state: Branch,
    body: Option<(Bytes, Bytes)>,
    out: bool,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NoLease {
    Unreadable(MessageId),
    Unchecked(MessageId, u32),
}

/// What an attempt came to.
#[derive(Debug, Default)]
pub struct Settlement {
    /// Recipients (by index in the envelope) that ended. Those not listed stay pending.
    pub outcomes: Vec<(usize, RecipientState)>,
    /// When to go on with the others; soon, if not given.
    pub retry_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// Committed in the same atomic frame: never lost, never doubled.
    pub notices: Vec<NewMessage>,
    /// A delay notice for this branch is among `notices` (or none will ever be).
    pub delay_notice_sent: bool,
}

impl Lease {
    pub(super) fn new(shared: &Arc<Shared>, taken: Taken) -> Result<Self, NoLease> {
        let Taken { id, branch: number, queued_at, state, meta, body, .. } = taken;
        let meta = match meta {
            Ok(meta) => meta,
            Err(encoded) => Arc::new(Meta::decode(&encoded).map_err(|_| NoLease::Unreadable(id))?),
        };
        let way = meta.way().ok_or(NoLease::Unchecked(id, number))?;
        let queued_at = Timestamp::from_millis(queued_at);
        Ok(Self { shared: Arc::clone(shared), id, number, meta, way, queued_at, state, body, out: true })
    }

    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    #[must_use]
    pub fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    /// Where it may go.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// A notice about this message to its sender, from nobody, in the other direction: for [`Settlement::notices`]. Who is
    /// named in `envelope` doesn't count.
    #[must_use]
    pub fn notice(&self, id: MessageId, origin: Origin, mut envelope: Envelope, body: Body) -> NewMessage {
        let to = self.meta.envelope.sender.address().cloned().map(Recipient::new);
        envelope.recipients = to.into_iter().collect();
        let about = About { tenant: self.meta.tenant.clone(), origin, envelope };
        NewMessage::answer(id, self.meta.direction, about, body)
    }

    /// As [`notice`](Self::notice), about a message whose sender was rewritten when it left: it goes out to the `first` sender, whom
    /// the rewritten one stands for.
    #[must_use]
    pub fn notice_onward(
        &self,
        id: MessageId,
        origin: Origin,
        (mut envelope, first): (Envelope, Address),
        body: Body,
    ) -> NewMessage {
        envelope.recipients = vec![Recipient::new(first)];
        let about = About { tenant: self.meta.tenant.clone(), origin, envelope };
        NewMessage::answer(id, Direction::Inbound, about, body)
    }

    /// The routing domain that the recipients share.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        let first = *self.state.pending.as_slice().first()?;
        self.meta.envelope.recipients.get(first as usize).map(|recipient| recipient.address.domain())
    }

    /// Indexes in the envelope of the recipients still to be delivered.
    pub fn recipients(&self) -> impl Iterator<Item = usize> + '_ {
        self.state.pending.as_slice().iter().map(|index| *index as usize)
    }

    /// Attempts settled before this one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.state.attempts
    }

    /// An operator asked for this attempt: whatever made the branch wait, it may have passed.
    #[must_use]
    pub fn is_hastened(&self) -> bool {
        self.state.hastened
    }

    /// Whether an outcome could be recorded now: else nothing may be tried.
    #[must_use]
    pub fn may_deliver(&self) -> bool {
        self.shared.may_deliver()
    }

    #[must_use]
    pub fn queued_at(&self) -> Timestamp {
        self.queued_at
    }

    #[must_use]
    pub fn last_attempt(&self) -> Option<Timestamp> {
        (self.state.last_attempt != 0).then(|| Timestamp::from_millis(self.state.last_attempt))
    }

    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.state.last_error()
    }

    #[must_use]
    pub fn delay_notice_sent(&self) -> bool {
        self.state.delay_notice_sent
    }

    /// The message, checked. From memory where it was just taken in.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`]: the branch is on hold now, and a copy of what is left in `corrupt/`.
    pub async fn body(&self) -> Result<LoadedBody, SpoolError> {
        if let Some((head, rest)) = &self.body {
            return Ok(LoadedBody::Memory { head: head.clone(), rest: rest.clone() });
        }
        read::load(&self.shared, self.id).await
    }

    /// Makes the result of an attempt durable, with the notices it brought, and gives the lease back.
    /// The work goes on if the future is dropped.
    ///
    /// # Errors
    /// [`SpoolError::Wedged`] or [`SpoolError::Closed`]: nothing more may be delivered.
    pub async fn settle(mut self, settlement: Settlement) -> Result<(), SpoolError> {
        let faults = self.shared.deps.faults.clone();
        let with_notices = !settlement.notices.is_empty();
        if with_notices {
            faults.reach(Point::NoticeBeforeCommit);
        }
        let what = self.progress(&settlement);
        let first = progress(self.id, &what);
        let mut prepared = prepare(&self.shared, settlement.notices, Class::Journal, first.len()).await?;
        prepared.chunks.insert(0, first.into());
        prepared.effects.insert(0, Effect::Progress(self.id, what));
        self.shared.check()?;
        let (request, answer) = Request::new(Class::Journal, prepared);
        // From here on the committer has the lease: it gives it back when the outcome is durable.
        self.out = false;
        self.shared.queue.push(request.patient());
        answer.await.unwrap_or(Err(SpoolError::Closed))?;
        if with_notices {
            faults.reach(Point::NoticeAfterCommit);
        }
        faults.reach(Point::DeliveryAfterJournal);
        Ok(())
    }

    fn progress(&self, settlement: &Settlement) -> Progress {
        let now = self.shared.now();
        let soon = now.saturating_add(u64::try_from(self.shared.config.lease_return.as_millis()).unwrap_or(1));
        let mut ended: Vec<(u32, RecipientState)> = settlement
            .outcomes
            .iter()
            .filter_map(|(index, state)| u32::try_from(*index).ok().map(|index| (index, *state)))
            .filter(|(index, _)| self.state.pending.as_slice().contains(index))
            .collect();
        ended.sort_by_key(|(index, _)| *index);
        ended.dedup_by_key(|(index, _)| *index);
        Progress {
            branch: self.number,
            ended,
            attempts: self.state.attempts.saturating_add(1),
            due: settlement.retry_at.map_or(soon, Timestamp::as_millis),
            last_attempt: now,
            delay_notice_sent: self.state.delay_notice_sent || settlement.delay_notice_sent,
            held: None,
            last_error: settlement.last_error.as_deref().map(|text| clip(text).into()),
        }
    }

    /// Gives the lease back without an attempt: the branch waits until then. Nothing is written.
    pub fn postpone(mut self, until: Timestamp) {
        self.out = false;
        self.shared.index().give_back(self.id, self.number, Some(until.as_millis()));
    }
}

/// Errors are for people; what doesn't fit a screen isn't read.
fn clip(text: &str) -> &str {
    let mut end = text.len().min(512);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.out && self.shared.wedged.get().is_none() {
            let wait = u64::try_from(self.shared.config.lease_return.as_millis()).unwrap_or(1_000);
            let due = self.shared.now().saturating_add(wait);
            self.shared.index().give_back(self.id, self.number, Some(due));
            self.shared.changed.notify_one();
        }
    }
}
