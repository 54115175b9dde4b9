//! End of data: custody of each lane is settled, and the one reply is folded from the receipts.
//!
//! **Failure**: any lane that can't be settled makes the answer 4xx, and nothing is kept of it: lanes that are queued are
//! committed in one atomic frame. **Invariants**: 250 only from receipts. After the next hop's 250 (inline custody) nothing
//! can turn the answer into a refusal; a client that doesn't hear it makes a duplicate at worst.

use std::collections::HashSet;
use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::Intake;
use super::connection::Connection;
use super::draft::Complete;
use super::judging::{Beside, Mode, Verdict, Which};
use super::lanes::Lane;
use super::ports::{HandOn, HandedOn};
use super::seal::Finding;
use super::stages::Transaction;
use crate::faults::Point;
use crate::message::received::{self, Trace};
use crate::model::receipt::{AcceptedReply, Receipt};
use crate::model::{Address, Direction, MessageId, Origin, Remote, Reply, TenantId};
use crate::policy::{message, replies};
use crate::smtp::{MessageQuestion, MessageReply};
use crate::spool::{Body, Draft, Kind, Meta, NewMessage, SpoolError};
use crate::telemetry::metrics::{Fallback, MessageResult};
use crate::telemetry::{Event, EventName};

/// How a message's transaction ended.
enum Settled {
    /// The receipts are for so many `recipients`.
    Kept {
        receipts: Vec<Receipt>,
        recipients: usize,
        id: MessageId,
        how: MessageResult,
    },
    Refused {
        reply: Reply,
        how: MessageResult,
    },
}

impl Connection {
    pub(super) async fn answer_message(&mut self, question: MessageQuestion) {
        let intake = Arc::clone(&self.listener.intake);
        let deps = &intake.deps;
        deps.faults.reach(Point::BodyComplete);
        let timer = deps.metrics.smtp.answer_seconds.start_timer();
        let direction = self.listener.config.direction;
        let size = question.size();
        let (settled, explanation) = match self.transaction.take() {
            Some(mut transaction) => self.judge_and_settle(&mut transaction, &question).await,
            None => (deferred(replies::LOCAL_TROUBLE), None),
        };
        timer.observe_duration();
        deps.faults.reach(Point::BeforeReply);
        deps.metrics.smtp.message_bytes.of(direction).inc_by(size);
        let (reply, how) = match settled {
            Settled::Kept { receipts, recipients, id, how } => {
                match AcceptedReply::from_receipts(&receipts, recipients, id) {
                    Some(accepted) => {
                        self.log_judged(id, explanation.as_deref());
                        self.promised.one_more();
                        (MessageReply::Accepted(accepted), how)
                    }
                    None => (MessageReply::Refused(replies::LOCAL_TROUBLE), MessageResult::Deferred),
                }
            }
            Settled::Refused { reply, how } => {
                deps.log.log(&Event {
                    helo: Some(self.helo()),
                    sender: Some(&question.envelope().sender),
                    reply: Some(&reply),
                    size: Some(size),
                    recipients: u32::try_from(question.envelope().recipients.len()).ok(),
                    explanation: explanation.as_deref(),
                    ..self.event(EventName::Message)
                });
                (MessageReply::Refused(reply), how)
            }
        };
        deps.metrics.smtp.messages.inc((direction, how));
        question.answer(&mut self.session, reply, &mut self.out);
        self.end_transaction();
    }

    /// What the header alone forbids, then what its sender makes of the message, then custody.
    async fn judge_and_settle(
        &mut self,
        transaction: &mut Transaction,
        question: &MessageQuestion,
    ) -> (Settled, Option<String>) {
        let trace = self.draft.trace(&self.config.hostname);
        if let Some(reply) = message::refuse_loop(trace.received, trace.own_received) {
            return (Settled::Refused { reply, how: MessageResult::Rejected }, None);
        }
        let Some(mut lanes) = transaction.lanes.split(question.envelope()) else {
            tracing::error!("the recipients of a transaction and their tenants don't match; refused");
            return (deferred(replies::LOCAL_TROUBLE), None);
        };
        let mut complete = match self.draft.complete() {
            Ok(complete) => complete,
            Err(error) => return (storage_refusal(&error), None),
        };
        let Transaction { snapshot, sender, known, .. } = transaction;
        let Some(known) = known else {
            return (self.settle(transaction, lanes, complete, question.size(), "").await, None);
        };
        let intake = Arc::clone(&self.listener.intake);
        let (whole, place) = match whole(&intake, &complete).await {
            Ok(read) => read,
            Err(error) => return (storage_refusal(&error), None),
        };
        let (judges, now) = (&intake.deps.judges, intake.deps.clock.now());
        let judged = judges.at_message(&self.who(sender), snapshot, known, &whole, (Mode::Live, now)).await;
        let beside = Beside {
            tenant: if let [lane] = lanes.as_slice() { Some(&lane.tenant.id) } else { None },
            tls: self.tls.as_ref().map(|tls| &*tls.version),
            authentication: Some(&judged.authentication),
            ..Beside::default()
        };
        let explanation =
            judges.explain(&self.who(sender), snapshot, (&self.client_known, known), Which::All, beside, now);
        let explanation = Some(explanation.to_json());
        let discarded = match judged.verdict {
            Verdict::Accept { discarded } => discarded,
            Verdict::Refuse(reply) => {
                let how = if reply.is_permanent() { MessageResult::Rejected } else { MessageResult::Deferred };
                return (Settled::Refused { reply, how }, explanation);
            }
        };
        let mut ours = judged.results;
        if !judged.forged.is_empty() {
            let clean = Bytes::from(kept(&whole, &judged.forged));
            let finding = Finding {
                hostname: &self.config.hostname,
                authserv_id: judges.authenticator.authserv_id(),
                results: &ours,
                chain: judged.authentication.arc.result,
                now,
            };
            let set = intake.deps.sealer.seal(clean.clone(), finding).await;
            ours.insert_str(0, &set);
            match self.instead(clean, complete).await {
                Ok(clean) => complete = clean,
                Err(error) => return (storage_refusal(&error), explanation),
            }
        }
        drop((whole, place));
        let thrown_away = self.take_out(&mut lanes, &discarded);
        let settled = self.settle(transaction, lanes, complete, question.size(), &ours).await;
        if matches!(settled, Settled::Kept { .. }) {
            judges.saw_taken(&self.who(&transaction.sender), &judged.authentication, judged.is_clean, now);
            self.log_discarded(&thrown_away);
        }
        (settled, explanation)
    }

    async fn settle(
        &mut self,
        transaction: &Transaction,
        lanes: Vec<Lane>,
        complete: Complete,
        size: u64,
        results: &str,
    ) -> Settled {
        match complete {
            Complete::Memory(rest) => self.settle_in_memory(transaction, lanes, (results, rest), size).await,
            Complete::File(draft) => self.queue_file(lanes, results, draft).await,
        }
    }

    /// The changed message, where the one that came was.
    async fn instead(&self, clean: Bytes, complete: Complete) -> Result<Complete, SpoolError> {
        match complete {
            Complete::Memory(_) => Ok(Complete::Memory(clean)),
            Complete::File(_) => {
                let mut draft = self.listener.intake.deps.spool.draft()?;
                let written = tokio::task::spawn_blocking(move || draft.append(&clean).map(|()| draft));
                written.await.unwrap_or(Err(SpoolError::Closed)).map(Complete::File)
            }
        }
    }

    /// Takes recipients whose own lists block the author out of their lanes.
    fn take_out(&self, lanes: &mut Vec<Lane>, discarded: &HashSet<Address>) -> Vec<(TenantId, Address)> {
        let mut taken = Vec::new();
        if discarded.is_empty() {
            return taken;
        }
        for lane in &mut *lanes {
            lane.envelope.recipients.retain(|recipient| {
                let goes = discarded.contains(&recipient.address);
                if goes {
                    taken.push((lane.tenant.id.clone(), recipient.address.clone()));
                }
                !goes
            });
        }
        lanes.retain(|lane| !lane.envelope.recipients.is_empty());
        taken
    }

    fn log_discarded(&self, discarded: &[(TenantId, Address)]) {
        let deps = &self.listener.intake.deps;
        deps.metrics.balance.accepted_discarded(self.listener.config.direction, discarded.len() as u64);
        for (tenant, recipient) in discarded {
            deps.log.log(&Event {
                tenant: Some(tenant),
                recipient: Some(recipient),
                reason: Some("the recipient's list blocks the author"),
                ..self.event(EventName::Discarded)
            });
        }
    }

    fn log_judged(&self, id: MessageId, explanation: Option<&str>) {
        if explanation.is_some() {
            let event = Event { message: Some(id), explanation, ..self.event(EventName::Judged) };
            self.listener.intake.deps.log.log(&event);
        }
    }

    async fn settle_in_memory(
        &mut self,
        transaction: &Transaction,
        lanes: Vec<Lane>,
        (results, rest): (&str, Bytes),
        size: u64,
    ) -> Settled {
        let inline = self.listener.config.direction == Direction::Inbound;
        if let ([lane], true) = (lanes.as_slice(), inline && transaction.all_inline())
            && let Some(settled) = self.hand_on(lane, (results, &rest), size).await
        {
            return settled;
        }
        if inline && lanes.len() > 1 && transaction.lanes.any_inline() {
            self.listener.intake.deps.metrics.handoff.fallbacks.inc(Fallback::ManyLanes);
        }
        let messages = lanes.into_iter().map(|lane| {
            let (id, origin) = (self.new_id(), self.origin(&lane));
            let head = self.head(&lane, &origin, (id, results));
            self.new_message(lane, id, origin, Body::Memory { head, rest: rest.clone() })
        });
        let messages = messages.collect();
        self.commit(messages).await
    }

    async fn queue_file(&mut self, lanes: Vec<Lane>, results: &str, draft: Draft) -> Settled {
        let drafts = match one_each(draft, lanes.len()).await {
            Ok(drafts) => drafts,
            Err(error) => return storage_refusal(&error),
        };
        let messages = lanes.into_iter().zip(drafts).map(|(lane, draft)| {
            let (id, origin) = (self.new_id(), self.origin(&lane));
            let head = self.head(&lane, &origin, (id, results));
            self.new_message(lane, id, origin, Body::File { head, draft })
        });
        let messages = messages.collect();
        self.commit(messages).await
    }

    /// Asks the next hop while the client waits. `None`: queue it instead.
    async fn hand_on(&self, lane: &Lane, (results, rest): (&str, &Bytes), size: u64) -> Option<Settled> {
        let intake = &self.listener.intake;
        let first = lane.envelope.recipients.first()?;
        if lane.envelope.recipients.iter().any(|other| other.address.domain() != first.address.domain()) {
            intake.deps.metrics.handoff.fallbacks.inc(Fallback::ManyLanes);
            return None;
        }
        let (id, origin) = (self.new_id(), self.origin(lane));
        let head = self.head(lane, &origin, (id, results));
        let request = HandOn {
            id,
            domain: first.address.domain(),
            envelope: &lane.envelope,
            head,
            rest: rest.clone(),
            patience: self.config.inline_deadline,
        };
        match intake.deps.next_hop.hand_on(request).await {
            HandedOn::Delivered { receipt, reply, remote } => {
                self.log_handed_on(lane, (id, size), &reply, &remote);
                Some(Settled::Kept {
                    receipts: vec![receipt],
                    recipients: lane.envelope.recipients.len(),
                    id,
                    how: MessageResult::HandedOn,
                })
            }
            HandedOn::Refused(reply) => {
                let how = if reply.is_permanent() { MessageResult::Rejected } else { MessageResult::Deferred };
                Some(Settled::Refused { reply, how })
            }
            HandedOn::Mixed => self.fall_back(Fallback::Mixed),
            HandedOn::Unavailable => self.fall_back(Fallback::Unavailable),
            HandedOn::Unknown => Some(deferred(replies::NEXT_HOP_UNKNOWN)),
        }
    }

    fn fall_back(&self, why: Fallback) -> Option<Settled> {
        self.listener.intake.deps.metrics.handoff.fallbacks.inc(why);
        None
    }

    async fn commit(&self, messages: Vec<NewMessage>) -> Settled {
        let Some(id) = messages.first().map(|message| message.id) else { return deferred(replies::LOCAL_TROUBLE) };
        let deps = &self.listener.intake.deps;
        let recipients = messages.iter().map(|message| message.meta.envelope.recipients.len()).sum();
        let logged: Vec<_> = messages.iter().map(|m| (m.id, m.meta.clone())).collect();
        match deps.spool.commit(messages).await {
            Ok(receipts) => {
                for (id, meta) in &logged {
                    deps.log.log(&Event {
                        message: Some(*id),
                        tenant: Some(&meta.tenant),
                        helo: Some(self.helo()),
                        sender: Some(&meta.envelope.sender),
                        recipients: u32::try_from(meta.envelope.recipients.len()).ok(),
                        size: Some(meta.size),
                        ..self.event(EventName::Queued)
                    });
                }
                Settled::Kept { receipts, recipients, id, how: MessageResult::Queued }
            }
            Err(error) => storage_refusal(&error),
        }
    }

    fn new_id(&self) -> MessageId {
        self.listener.intake.ids.make(self.listener.intake.deps.clock.now())
    }

    fn origin(&self, lane: &Lane) -> Origin {
        let smtputf8 = lane.envelope.smtputf8;
        Origin {
            ip: self.peer.ip(),
            helo: self.helo().into(),
            listener: self.listener.config.name.clone(),
            protocol: received::protocol(self.session.is_esmtp(), self.tls.is_some(), self.user.is_some(), smtputf8)
                .into(),
            received_at: self.listener.intake.deps.clock.now(),
        }
    }

    fn head(&self, lane: &Lane, origin: &Origin, (id, results): (MessageId, &str)) -> Bytes {
        let only_recipient = match lane.envelope.recipients.as_slice() {
            [only] => Some(&only.address),
            _ => None,
        };
        let hostname = &self.config.hostname;
        let received = received::received(&Trace { hostname, origin, tls: self.tls.as_ref(), id, only_recipient });
        if results.is_empty() { received.into() } else { [results, &received].concat().into() }
    }

    fn new_message(&self, lane: Lane, id: MessageId, origin: Origin, body: Body) -> NewMessage {
        let meta = Meta {
            tenant: lane.tenant.id.clone(),
            direction: self.listener.config.direction,
            origin,
            envelope: lane.envelope,
            size: body.len(),
            kind: Kind::Mail,
        };
        NewMessage { id, meta, body }
    }

    fn log_handed_on(&self, lane: &Lane, (id, size): (MessageId, u64), reply: &Reply, remote: &Remote) {
        self.listener.intake.deps.log.log(&Event {
            message: Some(id),
            tenant: Some(&lane.tenant.id),
            helo: Some(self.helo()),
            sender: Some(&lane.envelope.sender),
            recipients: u32::try_from(lane.envelope.recipients.len()).ok(),
            size: Some(size),
            reply: Some(reply),
            remote: Some(remote),
            ..self.event(EventName::HandedOn)
        });
    }
}

/// The octets of the message. One in a file is read; a few at a time, for as long as the place is held.
async fn whole<'i>(
    intake: &'i Intake,
    complete: &Complete,
) -> Result<(Bytes, Option<SemaphorePermit<'i>>), SpoolError> {
    let draft = match complete {
        Complete::Memory(rest) => return Ok((rest.clone(), None)),
        Complete::File(draft) => draft,
    };
    let place = intake.large.acquire().await.map_err(|_| SpoolError::Closed)?;
    let mut file = draft.reader()?;
    let length = usize::try_from(draft.len()).unwrap_or(0);
    let read = tokio::task::spawn_blocking(move || {
        let mut octets = Vec::with_capacity(length);
        file.read_to_end(&mut octets).map(|_| octets)
    });
    match read.await {
        Ok(octets) => Ok((octets?.into(), Some(place))),
        Err(_) => Err(SpoolError::Closed),
    }
}

/// The message without some ranges, which rise and don't overlap.
fn kept(whole: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(whole.len());
    let mut from = 0;
    for range in ranges {
        kept.extend_from_slice(whole.get(from..range.start).unwrap_or_default());
        from = range.end;
    }
    kept.extend_from_slice(whole.get(from..).unwrap_or_default());
    kept
}

/// A large message has one file; each lane gets a link to it. The directory may make us wait, so no worker does.
async fn one_each(draft: Draft, lanes: usize) -> Result<Vec<Draft>, SpoolError> {
    if lanes < 2 {
        return Ok(vec![draft]);
    }
    let linked = tokio::task::spawn_blocking(move || {
        let links = (1..lanes).map(|_| draft.share()).collect::<Result<Vec<_>, _>>()?;
        Ok(std::iter::once(draft).chain(links).collect())
    });
    linked.await.unwrap_or(Err(SpoolError::Closed))
}

fn deferred(reply: Reply) -> Settled {
    Settled::Refused { reply, how: MessageResult::Deferred }
}

fn storage_refusal(error: &SpoolError) -> Settled {
    deferred(match error {
        SpoolError::Full(_) => replies::STORAGE_LOW,
        _ => replies::STORAGE_TROUBLE,
    })
}
