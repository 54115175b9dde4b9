//! Inline custody: the next hop is asked while the client waits, and its answer becomes ours.
//!
//! **Failure**: anything that goes wrong before the final dot leaves the message where it was: the caller falls back to the
//! spool. After the dot an answer that doesn't come is [`HandOnResult::Unknown`]: the next hop may have the message, so the
//! caller says 451 and the client may send a duplicate; nothing is lost.
//! **Invariants**: nothing of the message is sent unless every recipient was accepted; the dot is sent only if the client
//! still waits for [`Config::handoff_margin`] behind it, and never later than [`Config::handoff_patience`] after the
//! beginning; a [`Receipt`] is made only from the next hop's 2xx to the dot.
//!
//! [`Config::handoff_margin`]: super::Config::handoff_margin
//! [`Config::handoff_patience`]: super::Config::handoff_patience

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::content::Content;
use super::pool::{Lent, NotLent, Pool};
use super::settle::owes_success;
use super::transaction::{End, Letter, Rules, Sent, send};
use super::ways::Ways;
use crate::faults::{Faults, Point};
use crate::model::receipt::Receipt;
use crate::model::{Direction, Domain, Envelope, MessageId, Outcome, OutcomeKind, Recipient, Remote, Reply};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::HandoffResult;

/// What is to be handed on: one lane, all of one domain.
#[derive(Debug)]
pub struct HandOn<'a> {
    pub id: MessageId,
    pub domain: &'a Domain,
    pub direction: Direction,
    pub envelope: &'a Envelope,
    pub head: Bytes,
    pub rest: Bytes,
    /// When the client gives up (or we have to answer it).
    pub deadline: Instant,
}

/// What came of it.
#[derive(Debug)]
pub enum HandOnResult {
    /// The next hop took it for every recipient; counted as accepted and delivered.
    Delivered { receipt: Receipt, reply: Reply, remote: Remote },
    /// The next hop refused it for every recipient, 4xx or 5xx; the reply as it came.
    Refused { reply: Reply, remote: Option<Remote> },
    /// The recipients would have different fates; nothing was sent.
    Mixed,
    /// No next hop answered in time, or none is free; nothing was sent.
    Unavailable(String),
    /// The whole message was sent and no answer came: 451.
    Unknown(String),
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handoff {
    pub(super) ways: Arc<Ways>,
    pub(super) pool: Arc<Pool>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) faults: Faults,
}

impl Handoff {
    /// Asks the next hop.
    pub async fn hand_on(&self, request: HandOn<'_>) -> HandOnResult {
        let begun = Instant::now();
        let result = self.attempt(&request, begun).await;
        self.metrics.handoff.seconds.observe(begun.elapsed().as_secs_f64());
        let label = match &result {
            HandOnResult::Delivered { .. } => {
                let recipients = request.envelope.recipients.len() as u64;
                self.metrics.balance.accepted_handed_on(request.direction, recipients);
                HandoffResult::Delivered
            }
            HandOnResult::Refused { reply, .. } if reply.is_temporary() => HandoffResult::Deferred,
            HandOnResult::Refused { .. } => HandoffResult::Refused,
            HandOnResult::Mixed => HandoffResult::Mixed,
            HandOnResult::Unavailable(_) => HandoffResult::Unavailable,
            HandOnResult::Unknown(_) => {
                self.metrics.handoff.unknown.inc();
                HandoffResult::Unknown
            }
        };
        self.metrics.handoff.results.inc(label);
        result
    }

    async fn attempt(&self, request: &HandOn<'_>, begun: Instant) -> HandOnResult {
        let config = &self.ways.config;
        let latest = request.deadline.checked_sub(config.handoff_margin.0).unwrap_or(begun);
        let dot_before = latest.min(begun + config.handoff_patience.0);
        if dot_before <= begun {
            return HandOnResult::Unavailable("too little time is left for the next hop".into());
        }
        let recipients: Vec<&Recipient> = request.envelope.recipients.iter().collect();
        let content = Content::new(request.head.clone(), request.rest.clone());
        let letter = Letter { envelope: request.envelope, recipients: &recipients, content: &content };
        let rules = Rules {
            all_or_nothing: true,
            // The spool tells of success where the next hop doesn't (RFC 3461 section 5.2.2).
            needs_dsn: recipients.iter().any(|recipient| owes_success(request.direction, request.envelope, recipient)),
            dot_before: Some(dot_before),
            answer_by: Some(request.deadline),
            points: [Point::HandoffBeforeDot, Point::HandoffAfterDot, Point::HandoffAfterReply],
            faults: self.faults.clone(),
        };
        let mut fresh_only = false;
        loop {
            let mut lent = match self.pool.lend(request.domain, dot_before, fresh_only).await {
                Ok(lent) => lent,
                Err(NotLent::Busy) => return HandOnResult::Unavailable("no connection to the next hop in time".into()),
                Err(NotLent::NoWay(outcome)) => return HandOnResult::Unavailable(outcome.reply.to_string()),
            };
            if !lent.fresh {
                self.metrics.delivery.reused.inc();
            }
            let sent = send(&mut lent.connection, &letter, &rules, &config.timeouts).await;
            // A connection that was closed while it stood on the shelf says nothing about the next hop.
            if !lent.fresh && matches!(sent.end, End::Lost { silent: true, .. }) {
                fresh_only = true;
                continue;
            }
            return self.judge(request, lent, sent);
        }
    }

    fn judge(&self, request: &HandOn<'_>, lent: Lent, sent: Sent) -> HandOnResult {
        match sent.end {
            End::Reusable => self.pool.give_back(request.domain, lent),
            End::Close | End::Abandoned => {}
            End::Lost { trouble, .. } => return HandOnResult::Unavailable(trouble.to_string()),
            End::Unknown(trouble) => return HandOnResult::Unknown(trouble.to_string()),
        }
        verdict(request.id, sent.whole, sent.outcomes)
    }
}

/// One answer for the lane from the answers for its recipients.
fn verdict(id: MessageId, whole: bool, outcomes: Vec<Outcome>) -> HandOnResult {
    let recipients = outcomes.len();
    let all = |kind: OutcomeKind| outcomes.iter().all(|outcome| outcome.kind == kind);
    let told = outcomes.iter().all(|outcome| outcome.said_by_remote || outcome.kind == OutcomeKind::Failed);
    let hung_up = outcomes.iter().any(|outcome| outcome.reply.code() == 421);
    let (delivered, failed, deferred) =
        (all(OutcomeKind::Delivered), all(OutcomeKind::Failed), all(OutcomeKind::Deferred));
    let nothing_told = outcomes.iter().all(|outcome| !outcome.said_by_remote && outcome.kind != OutcomeKind::Failed);
    let first = outcomes.into_iter().next();
    match first {
        None => HandOnResult::Mixed,
        Some(Outcome { reply, remote: Some(remote), .. }) if whole && delivered => {
            HandOnResult::Delivered { receipt: Receipt::handed_on(id, recipients), reply, remote }
        }
        Some(Outcome { reply, .. }) if hung_up || nothing_told => HandOnResult::Unavailable(reply.to_string()),
        Some(Outcome { reply, remote, .. }) if told && (failed || deferred) => HandOnResult::Refused { reply, remote },
        Some(_) => HandOnResult::Mixed,
    }
}
