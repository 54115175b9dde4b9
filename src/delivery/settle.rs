//! From outcomes to what the spool is told: who is done, who waits until when, who has to be notified.
//!
//! **Failure**: if the spool can't record it, nothing is done about it here: the spool keeps the lease or brings the message
//! again, and a second attempt may make a duplicate, never a loss.
//! **Invariants**: a recipient expires only by an attempt of this process that failed, and by a clock that is to be trusted
//! ([`SteadyClock`]); nobody is notified about mail with a null sender; notices are committed in the record that ends the
//! recipients they tell of, at most one of a kind; nothing is logged as ended before that is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::time::Instant;

use super::config::Config;
use super::content::Content;
use super::notice::{About, Fate, Notice, Returned, Told, compose};
use super::observer::{Ended, Observer};
use super::retry::Schedule;
use crate::clock::{Clock, SteadyClock};
use crate::model::{
    BodyKind, Direction, Enhanced, Envelope, MessageId, Notify, Origin, Outcome, OutcomeKind, Recipient, ReturnContent,
    ReversePath, Timestamp, TlsFacts,
};
use crate::policy::srs::{Back, Rewriter};
use crate::spool::{Body, Lease, Meta, NewMessage, RecipientState, Settlement};
use crate::telemetry::metrics::NoticeKind;
use crate::telemetry::{Event, EventName, MailLog, Metrics};

/// What an attempt came to: one outcome for each pending recipient, in order.
#[derive(Debug, Default)]
pub(super) struct Attempt<'a> {
    pub outcomes: Vec<Outcome>,
    /// Where it is loaded already.
    pub content: Option<&'a Content>,
    pub begun: Option<Instant>,
    /// The server took over what NOTIFY asks for (RFC 3461 section 5.2.2).
    pub peer_dsn: bool,
    pub tls: Option<&'a TlsFacts>,
    /// Set where the destination as a whole decides when to try again.
    pub retry_at: Option<Timestamp>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Settler {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub steady: SteadyClock,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
    pub rewriter: Arc<Rewriter>,
    pub observers: Vec<Arc<dyn Observer>>,
    /// An outcome could not be recorded.
    pub stuck: AtomicBool,
}

/// One attempt, after its lease has gone back.
struct This {
    id: MessageId,
    number: u32,
    retry_at: Option<Timestamp>,
    now: Timestamp,
}

/// One recipient and what becomes of it.
struct Settled<'a> {
    index: usize,
    recipient: &'a Recipient,
    outcome: &'a Outcome,
    fate: Option<Fate>,
}

impl Settler {
    /// Records an attempt.
    pub async fn settle(&self, lease: Lease, attempt: Attempt<'_>) {
        let now = self.clock.now();
        let meta = Arc::clone(lease.meta());
        let age = self.steady.now().since(lease.queued_at());
        let lifetime = self.config.lifetime(meta.direction);
        let settled: Vec<Settled<'_>> = lease
            .recipients()
            .zip(&attempt.outcomes)
            .filter_map(|(index, outcome)| {
                let fate = match outcome.kind {
                    OutcomeKind::Delivered => Some(Fate::Delivered),
                    OutcomeKind::Failed => Some(Fate::Failed),
                    OutcomeKind::Deferred => (age >= lifetime).then_some(Fate::Expired),
                };
                Some(Settled { index, recipient: meta.envelope.recipients.get(index)?, outcome, fate })
            })
            .collect();
        let ended = settled.iter().filter_map(|one| Some((one.index, state(one.fate?)))).collect();
        let mut settlement = Settlement { outcomes: ended, ..Settlement::default() };
        let waits = settled.iter().find(|one| one.fate.is_none());
        if let Some(waiting) = waits {
            let schedule = Schedule { first: self.config.retry_first.0, max: self.config.retry_max.0 };
            let own = || now.plus(schedule.spread_wait(lease.attempts() + 1, lease.id()));
            settlement.retry_at = Some(attempt.retry_at.unwrap_or_else(own));
            settlement.last_error = Some(waiting.outcome.reply.to_string());
        }
        let (id, number, retry_at) = (lease.id(), lease.attempts() + 1, settlement.retry_at);
        let abouts = self.abouts(&lease, &meta, &settled, &attempt, age);
        if !abouts.is_empty() {
            settlement.delay_notice_sent = abouts.contains(&About::Delay);
            settlement.notices = self.notices(&lease, &meta, &settled, &attempt, &abouts, now).await;
        }
        let notices: Vec<_> = settlement
            .notices
            .iter()
            .zip(&abouts)
            .map(|(notice, about)| (notice.id(), notice.meta().size, *about))
            .collect();
        if let Err(error) = lease.settle(settlement).await {
            self.stuck.store(true, Ordering::Relaxed);
            tracing::error!(%error, message = %id, "an outcome could not be recorded; the message may be delivered again");
            return;
        }
        // Told only now: what is not recorded may end once more, and differently.
        self.tell(&This { id, number, retry_at, now }, &meta, &settled, &attempt);
        for (notice, size, about) in notices {
            self.metrics.delivery.notices.inc(kind(about));
            self.log.log(&Event {
                message: Some(notice),
                tenant: Some(&meta.tenant),
                sender: Some(&meta.envelope.sender),
                reason: Some(&format!("{} notice about {id}", about.as_str())),
                size: Some(size),
                ..Event::new(EventName::Notice, now)
            });
        }
    }

    /// Whether the spool records nothing any more: it says so for good, until the next start.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Which notices this attempt calls for.
    fn abouts(
        &self,
        lease: &Lease,
        meta: &Meta,
        settled: &[Settled<'_>],
        attempt: &Attempt<'_>,
        age: std::time::Duration,
    ) -> Vec<About> {
        let mut abouts = Vec::new();
        let after = self.config.delay_notice_after.0;
        let late = !after.is_zero() && age >= after && !lease.delay_notice_sent();
        for (about, given) in [(About::Failure, true), (About::Delay, late), (About::Success, !attempt.peer_dsn)] {
            if given && settled.iter().any(|one| asks(one, about, meta)) {
                abouts.push(about);
            }
        }
        if meta.envelope.sender.address().is_none() {
            if abouts.contains(&About::Failure) {
                self.metrics.delivery.notices.inc(NoticeKind::Dropped);
            }
            abouts.clear();
        }
        abouts
    }

    async fn notices(
        &self,
        lease: &Lease,
        meta: &Meta,
        settled: &[Settled<'_>],
        attempt: &Attempt<'_>,
        abouts: &[About],
        now: Timestamp,
    ) -> Vec<NewMessage> {
        let loaded;
        let content = match attempt.content {
            Some(content) => content,
            None => {
                let nothing = || Content::new(Bytes::new(), Bytes::new());
                loaded = Content::load(lease).await.unwrap_or_else(|_| nothing());
                &loaded
            }
        };
        let until = lease.queued_at().plus(self.config.lifetime(meta.direction));
        let mut notices = Vec::new();
        for about in abouts {
            let told = settled.iter().filter(|one| asks(one, *about, meta)).map(|one| Told {
                recipient: one.recipient,
                outcome: one.outcome,
                fate: one.fate,
            });
            let told: Vec<Told<'_>> = told.collect();
            // Whoever forges a sender must not be able to have us write its text to others: strangers get the header back.
            // One whose sender was rewritten goes back to a stranger, too.
            let full = *about == About::Failure
                && !self.leads_back(meta, now)
                && meta.direction == Direction::Outbound
                && meta.envelope.ret == Some(ReturnContent::Full)
                && content.file.is_none()
                && content.len() <= self.config.notice_return_full.0;
            let notice = Notice {
                about: *about,
                id: new_id(now),
                hostname: &self.config.hostname,
                at: now,
                original: lease.id(),
                envelope: &meta.envelope,
                arrived: meta.origin.received_at,
                until,
                returned: if full { Returned::Full } else { Returned::Header },
                content,
            };
            notices.push(self.message(lease, &notice, &told));
        }
        notices
    }

    /// Whether the sender stands for somebody elsewhere.
    fn leads_back(&self, meta: &Meta, now: Timestamp) -> bool {
        let sender = meta.envelope.sender.address();
        sender.is_some_and(|sender| !matches!(self.rewriter.back(sender, now), Back::Ordinary))
    }

    fn message(&self, lease: &Lease, notice: &Notice<'_>, told: &[Told<'_>]) -> NewMessage {
        let composed = compose(notice, told);
        let mut envelope = Envelope::from_sender(ReversePath::Null);
        envelope.smtputf8 = composed.utf8;
        envelope.body = if composed.bytes.is_ascii() { BodyKind::SevenBit } else { BodyKind::EightBitMime };
        let origin = Origin {
            ip: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            helo: self.config.hostname.clone(),
            listener: "notice".into(),
            protocol: "LOCAL".into(),
            received_at: notice.at,
        };
        let body = Body::Memory { head: Bytes::new(), rest: composed.bytes };
        // A sender that was rewritten is elsewhere: the notice goes out to whom it stands for.
        let sender = notice.envelope.sender.address();
        match sender.map(|sender| self.rewriter.back(sender, notice.at)) {
            Some(Back::To(first)) if lease.meta().direction == Direction::Outbound => {
                lease.notice_onward(notice.id, origin, (envelope, first), body)
            }
            _ => lease.notice(notice.id, origin, envelope, body),
        }
    }

    /// One line and one count for each recipient.
    fn tell(&self, this: &This, meta: &Meta, settled: &[Settled<'_>], attempt: &Attempt<'_>) {
        if let Some(begun) = attempt.begun {
            self.metrics.delivery.seconds.observe(begun.elapsed().as_secs_f64());
        }
        let duration_ms = attempt.begun.map(|begun| u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        for one in settled {
            if matches!(one.fate, Some(Fate::Delivered | Fate::Failed)) {
                let ended = Ended { message: this.id, meta, recipient: one.recipient, outcome: one.outcome };
                self.observers.iter().for_each(|observer| observer.ended(&ended));
            }
            self.metrics.delivery.attempts.inc(one.outcome.kind);
            let name = match one.fate {
                Some(Fate::Delivered) => EventName::Delivered,
                Some(Fate::Failed) => EventName::Bounced,
                Some(Fate::Expired) => EventName::Expired,
                None => EventName::Deferred,
            };
            self.log.log(&Event {
                message: Some(this.id),
                tenant: Some(&meta.tenant),
                direction: Some(meta.direction),
                sender: Some(&meta.envelope.sender),
                recipient: Some(&one.recipient.address),
                reply: Some(&one.outcome.reply),
                remote: one.outcome.remote.as_ref(),
                size: Some(meta.size),
                attempt: Some(this.number),
                next_attempt: if one.fate.is_none() { this.retry_at } else { None },
                tls: attempt.tls,
                duration_ms,
                ..Event::new(name, this.now)
            });
        }
    }
}

/// Recipients of one message from outside up to which success is told: strangers name whom they like as sender, and must not
/// be able to have us write to him a thousand times.
const STRANGERS_MOST: usize = 10;

/// Whether we would owe this recipient's sender a success notice (RFC 3461 section 5.2.2).
#[must_use]
pub(super) fn owes_success(direction: Direction, envelope: &Envelope, recipient: &Recipient) -> bool {
    let bounded = direction == Direction::Outbound || envelope.recipients.len() <= STRANGERS_MOST;
    bounded && Notify::on_success(recipient.notify)
}

/// Whether this recipient's sender wants to hear of this.
fn asks(one: &Settled<'_>, about: About, meta: &Meta) -> bool {
    let notify = one.recipient.notify;
    match (about, one.fate) {
        (About::Failure, Some(Fate::Failed | Fate::Expired)) => Notify::on_failure(notify),
        (About::Delay, None) => Notify::on_delay(notify),
        (About::Success, Some(Fate::Delivered)) => owes_success(meta.direction, &meta.envelope, one.recipient),
        _ => false,
    }
}

fn state(fate: Fate) -> RecipientState {
    match fate {
        Fate::Delivered => RecipientState::Delivered,
        Fate::Failed => RecipientState::Failed,
        Fate::Expired => RecipientState::Expired,
    }
}

fn kind(about: About) -> NoticeKind {
    match about {
        About::Failure => NoticeKind::Failure,
        About::Delay => NoticeKind::Delay,
        About::Success => NoticeKind::Success,
    }
}

/// A name of our own making. Without randomness the time alone must do; a clash is refused by the spool, not overwritten.
fn new_id(now: Timestamp) -> MessageId {
    let mut random = [0u8; 16];
    let _ = aws_lc_rs::rand::fill(&mut random);
    MessageId::new(now.as_millis(), u128::from_le_bytes(random))
}

/// The status of a recipient whose time ran out (RFC 3463 section 3.5).
pub(super) const EXPIRED: Enhanced = Enhanced(5, 4, 7);
