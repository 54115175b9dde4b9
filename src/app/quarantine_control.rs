//! Puts the quarantine behind the operator's port, and released mail into the spool.
//!
//! **Failure**: a release that fails leaves the message in quarantine, and nothing of it in the spool; a spool that is out of order keeps
//! its copy back until the next start, which finds out whose it is.
//! **Invariants**: the spool has a message before the quarantine forgets it, and delivers it after that. Outbound mail is checked
//! anew; malware is released by nobody ([`super::quarantine_outbound`]).

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::lessons::{Lessons, words};
use super::quarantine_outbound::{NotOut, octets, recheck};
use super::quarantine_release::{as_accepted, verdict_field};
use crate::admin::Answer;
use crate::admin::quarantine::{Away, Change, Changed, Entry, Failed, Filter, QuarantineControl, USUAL_LIMIT, Verb};
use crate::admin::queue::Source;
use crate::clock::Clock;
use crate::intake::identity::Identity;
use crate::limits::suspension::{Asked, Suspensions};
use crate::model::disposition::Category;
use crate::model::egress::OutboundSpam;
use crate::model::finding::Class;
use crate::model::{Direction, MessageId};
use crate::quarantine::{self, Chosen, Held, HeldBody, NotDone, Quarantine, QuarantineError, Release, Scope};
use crate::scan::Scanner;
use crate::signatures::model::Tokens;
use crate::spool::{self, About, Body, NewMessage, Spool, SpoolError};
use crate::telemetry::Metrics;
use crate::tenant::Snapshot;

/// Why a message is on hold whose release a crash may have broken off.
const IN_DOUBT: &str = "its release from quarantine may have been broken off, and the quarantine could not be read: release it there \
                        again (sekisho quarantine release), or here if it is not there (sekisho queue release)";

#[derive(Debug)]
pub(super) struct HeldMail {
    pub quarantine: Quarantine,
    pub spool: Spool,
    pub scanner: Scanner,
    pub lessons: Lessons,
    /// What the operator may let out of outbound spam.
    pub spam: SpamRule,
    /// Messages released at one time that are in memory: inbound ones to be handed on, outbound ones to be looked into.
    pub inbound_at_once: Semaphore,
    pub outbound_at_once: Semaphore,
    /// By which our Authentication-Results are known.
    pub authserv_id: Box<str>,
    pub suspensions: Suspensions,
    pub identity: Identity,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

/// With a suspect pool, what is not certain to be spam; without one, what the settings say. Asked anew for each message, because a
/// reload may change it.
pub(super) struct SpamRule(pub Box<dyn Fn() -> OutboundSpam + Send + Sync>);

impl std::fmt::Debug for SpamRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SpamRule").field(&(self.0)()).finish()
    }
}

/// Why a message was not changed.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("nothing was released: {0}")]
    NotDone(#[from] NotDone),
    #[error(transparent)]
    Outbound(#[from] NotOut),
}

impl QuarantineControl for HeldMail {
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, Away>> {
        Box::pin(async move {
            let filter = quarantine::Filter {
                tenant: filter.tenant,
                direction: filter.direction,
                class: filter.class,
                sender: filter.sender,
                recipient: filter.recipient,
                since: filter.since,
                until: None,
                before: filter.before,
                limit: filter.limit.unwrap_or(USUAL_LIMIT),
            };
            let held = self.quarantine.list(Scope::Everyone, filter).await.map_err(|error| away(&error))?;
            Ok(held.into_iter().map(entry).collect())
        })
    }

    fn show(&self, id: MessageId) -> Answer<'_, Result<Option<Entry>, Away>> {
        Box::pin(async move {
            let held = self.quarantine.show(Scope::Everyone, id).await.map_err(|error| away(&error))?;
            Ok(held.map(entry))
        })
    }

    fn change(&self, change: Change) -> Answer<'_, Result<Changed, Away>> {
        Box::pin(async move {
            let mut changed = Changed::default();
            for id in change.ids {
                let chosen = change.recipients.clone().map_or(Chosen::All, Chosen::Only);
                let done = match change.verb {
                    Verb::Release => self.release((id, chosen), &change.reason, change.teaches).await,
                    Verb::Remove => {
                        let removed = self.quarantine.remove(Scope::Everyone, id, chosen, &change.reason).await;
                        removed.map_err(Into::into)
                    }
                };
                match done {
                    Ok(recipients) => {
                        changed.changed += 1;
                        changed.recipients += recipients as u64;
                    }
                    Err(ChangeError::Quarantine(QuarantineError::Gone(id))) => changed.missing.push(id),
                    Err(error) => changed.failed.push(Failed { id, why: error.to_string() }),
                }
            }
            Ok(changed)
        })
    }
}

/// Finishes what a crash broke off between the two, before anything is delivered.
pub(super) async fn finish_releases(quarantine: &Quarantine, spool: &Spool) {
    let ids = if quarantine.is_empty() { Vec::new() } else { spool.ids() };
    for id in ids.into_iter().filter(|id| quarantine.may_have_released(*id)) {
        let Some(detail) = spool.show(id) else { continue };
        let recipients = detail.meta.envelope.recipients.into_iter().map(|recipient| recipient.address).collect();
        match quarantine.finish(id, recipients).await {
            Ok(recipients) => {
                if recipients > 0 {
                    tracing::info!(%id, recipients, "a release that was broken off is finished");
                }
                doubt_no_more(spool, id).await;
            }
            Err(error) => {
                tracing::error!(%id, %error, "it may be released and in quarantine still; it is on hold in the queue");
                // A spool that can't write that down delivers nothing either.
                if let Err(error) = spool.hold(&spool::Filter::of(id), IN_DOUBT).await {
                    tracing::error!(%id, %error, "and can't be put on hold");
                }
            }
        }
    }
}

/// Commits, lets the quarantine forget, and lets go. If that fails, or the process dies before, the quarantine has the message,
/// and it is the same to the spool when its release is asked for again.
async fn hand_over(
    spool: Spool,
    (release, message): (Release, NewMessage),
    suspensions: &Suspensions,
    reason: &str,
) -> Result<(), ChangeError> {
    let id = release.spool_id();
    let receipts = spool.commit(vec![message.kept_back()]).await?;
    // Nobody waits for a 250 here; the quarantine may forget it now.
    drop(receipts);
    // A measure may have come while it was scanned. One that comes from here on finds it in the queue.
    if let Err(refused) = may_send(suspensions, release.held()) {
        take_back(&spool, id).await;
        return Err(refused.into());
    }
    let going = spool.clone();
    if let Err(not_done) = release.done(reason, move || going.let_go(id)).await {
        tracing::error!(%id, error = %not_done, "a release is not done");
        // Whoever asks for the release again must not find the copy that is being taken back: the quarantine's hold on the message
        // ends with `not_done`.
        if not_done.still.is_some() {
            take_back(&spool, id).await;
        }
        return Err(not_done.into());
    }
    doubt_no_more(&spool, id).await;
    Ok(())
}

/// If it was queued and on hold for that, it goes on.
async fn doubt_no_more(spool: &Spool, id: MessageId) {
    let why = "the quarantine has it no more";
    if let Err(error) = spool.release_where(&spool::Filter::of(id), (IN_DOUBT, why), |_| None).await {
        tracing::error!(%id, %error, "it is released, and may be on hold in the queue");
    }
}

/// What the quarantine still has is not to be in the spool.
async fn take_back(spool: &Spool, id: MessageId) {
    if let Err(error) = spool.withdraw(id, "its release failed; it is in quarantine as before").await {
        tracing::error!(%id, %error, "it is in quarantine, and its copy stays kept back in the spool until the next start");
    }
}

/// A measure stands against whoever is suspended, whatever was held of its mail before.
fn may_send(suspensions: &Suspensions, held: &Held) -> Result<(), NotOut> {
    if held.direction == Direction::Inbound {
        return Ok(());
    }
    let client = held.origin.client();
    let asked = Asked { tenant: &held.tenant, sender: held.envelope.sender.address(), client };
    suspensions.suspended(asked).map_or(Ok(()), |stop| Err(NotOut::Suspended(stop.id.to_string().into())))
}

impl HeldMail {
    /// How many recipients get it.
    async fn release(
        &self,
        (id, chosen): (MessageId, Chosen),
        reason: &str,
        teaches: bool,
    ) -> Result<usize, ChangeError> {
        let mut release = self.quarantine.release(Scope::Everyone, id, chosen).await?;
        if release.held().direction == Direction::Outbound && release.held().class == Class::Malware {
            return Err(NotOut::Never(Category::Malware).into());
        }
        may_send(&self.suspensions, release.held())?;
        let teaches = teaches && self.lessons.wants(release.held());
        let (message, lesson) = self.message(&mut release, teaches).await?;
        let tenant = release.held().tenant.clone();
        let recipients = message.meta().envelope.recipients.len();
        let (spool, suspensions, reason) = (self.spool.clone(), self.suspensions.clone(), reason.to_owned());
        // Whoever asked may go away meanwhile.
        let handed_over =
            tokio::spawn(async move { hand_over(spool, (release, message), &suspensions, &reason).await });
        handed_over.await.map_err(|_| QuarantineError::Closed)??;
        if let Some(lesson) = lesson {
            self.lessons.good(tenant, lesson);
        }
        Ok(recipients)
    }

    /// Signed as all outbound mail is.
    async fn signed(&self, held: &Held, octets: Bytes) -> Result<String, NotOut> {
        let snapshot = self.snapshot.load_full();
        let Some(tenant) = snapshot.tenant(&held.tenant) else { return Err(NotOut::Nobodys) };
        let signed = self.identity.signatures(&self.metrics, tenant, octets, self.clock.now()).await;
        signed.map_err(NotOut::from)
    }

    /// As the spool takes it, and if it teaches, its words.
    async fn message(&self, release: &mut Release, teaches: bool) -> Result<(NewMessage, Option<Tokens>), ChangeError> {
        let gone = QuarantineError::Gone(release.held().id);
        let held = release.held();
        let direction = held.direction;
        let about =
            About { tenant: held.tenant.clone(), origin: held.origin.clone(), envelope: release.envelope().clone() };
        let id = release.spool_id();
        let mut held_body = release.take_body().ok_or(gone)?;
        let places = match direction {
            Direction::Inbound => &self.inbound_at_once,
            Direction::Outbound => &self.outbound_at_once,
        };
        let _place = places.acquire().await.map_err(|_| QuarantineError::Closed)?;
        let authserv_id: Box<str> = self.authserv_id.as_ref().into();
        let read = tokio::task::spawn_blocking(move || {
            let as_it_came = octets(&mut held_body)?;
            let octets = as_accepted(&as_it_came, direction, &authserv_id);
            let lesson = teaches.then(|| words(octets.clone()));
            Ok::<_, std::io::Error>((octets, held_body, lesson))
        });
        let (octets, held_body, lesson) = read.await.map_err(|_| QuarantineError::Closed)?.map_err(NotOut::from)?;
        let (head, checked) = match direction {
            Direction::Inbound => (verdict_field(release.held()), None),
            Direction::Outbound => {
                let head = self.signed(release.held(), octets.clone()).await?;
                (head, Some(recheck(&self.scanner, release.held(), octets.clone(), (self.spam.0)()).await?))
            }
        };
        let head = Bytes::from(head);
        let body = match held_body {
            HeldBody::Memory(_) => Body::Memory { head, rest: octets },
            // Written anew from what was looked at.
            HeldBody::File { .. } => {
                let mut draft = self.spool.draft()?;
                let written = tokio::task::spawn_blocking(move || draft.append(&octets).map(|()| draft)).await;
                let draft = written.map_err(|_| QuarantineError::Closed)??;
                Body::File { head, draft }
            }
        };
        let message = match checked {
            Some(checked) => NewMessage::outbound(checked, id, about, body),
            None => NewMessage::inbound(id, about, body),
        };
        Ok((message, lesson))
    }
}

fn away(error: &QuarantineError) -> Away {
    Away(error.to_string())
}

fn entry(held: Held) -> Entry {
    Entry {
        v: 1,
        id: held.id,
        tenant: held.tenant,
        direction: held.direction,
        class: held.class,
        reason: held.reason.into(),
        sender: held.envelope.sender,
        from: held.from.map(Into::into),
        subject: held.subject.map(Into::into),
        recipients: held.envelope.recipients.into_iter().map(|recipient| recipient.address).collect(),
        gone: held.gone,
        size: held.size,
        held_at: held.held_at,
        expires_at: held.expires_at,
        explanation: held.explanation.map(Into::into),
        source: Some(Source {
            ip: held.origin.ip,
            helo: held.origin.helo.into(),
            listener: held.origin.listener.into(),
            protocol: held.origin.protocol.into(),
        }),
    }
}

#[cfg(test)]
#[path = "quarantine_tests.rs"]
mod tests;
