//! End of data: custody of each lane is settled, and the one reply is folded from the receipts.
//!
//! **Failure**: any lane that can't be settled makes the answer 4xx, and nothing is kept of it: lanes that are queued are
//! committed in one atomic frame. **Invariants**: 250 only from receipts. After the next hop's 250 (inline custody) nothing
//! can turn the answer into a refusal; a client that doesn't hear it makes a duplicate at worst.

use std::collections::HashSet;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::Intake;
use super::connection::Connection;
use super::content::{Explained, Outcome};
use super::draft::Complete;
use super::judging::{Beside, Judged, Mode, Verdict, Which};
use super::lanes::Lane;
use super::large::Place;
use super::parcel::{Parcel, Parcels, Unmade};
use super::ports::{HandOn, HandedOn};
use super::stages::Transaction;
use super::{outbound, outbound_rates};
use crate::faults::Point;
use crate::message::received::{self, Trace};
use crate::model::explanation::Explanation;
use crate::model::explanation::content::Content;
use crate::model::receipt::{AcceptedReply, Receipt};
use crate::model::{Address, Direction, MessageId, Origin, Remote, Reply, ReversePath, TenantId, Timestamp};
use crate::policy::{message, replies};
use crate::quarantine::{Chosen, Scope};
use crate::scan::Checked;
use crate::smtp::{MessageQuestion, MessageReply};
use crate::spool::{About, Body, Kind, NewMessage, SpoolError};
use crate::telemetry::metrics::{Fallback, MessageResult};
use crate::telemetry::{Event, EventName};
use crate::tenant::Tenant;
use bytes::Bytes;

/// How a message's transaction ended.
enum Settled {
    /// The receipts are for so many `recipients`.
    Kept {
        receipts: Vec<Receipt>,
        recipients: usize,
        id: MessageId,
        /// Whose each part is, where there are several.
        parts: Vec<(TenantId, MessageId)>,
        how: MessageResult,
    },
    Refused {
        reply: Reply,
        how: MessageResult,
    },
}

/// What the mail log says of a message once it is durable.
struct Told {
    id: MessageId,
    tenant: TenantId,
    sender: ReversePath,
    recipients: usize,
    size: u64,
    name: EventName,
}

impl Told {
    fn of(message: &NewMessage) -> Self {
        let meta = message.meta();
        Self {
            id: message.id(),
            tenant: meta.tenant.clone(),
            sender: meta.envelope.sender.clone(),
            recipients: meta.envelope.recipients.len(),
            size: meta.size,
            name: if meta.kind == Kind::Notice { EventName::Notice } else { EventName::Queued },
        }
    }
}

impl Connection {
    pub(super) async fn answer_message(&mut self, question: MessageQuestion) {
        let intake = Arc::clone(&self.listener.intake);
        let deps = &intake.deps;
        deps.faults.reach(Point::BodyComplete);
        let timer = deps.metrics.smtp.answer_seconds.start_timer();
        let direction = self.listener.config.direction;
        let size = question.size();
        let (settled, explanation, own, paid) = match self.transaction.take() {
            Some(mut transaction) => {
                let (settled, explanation) = self.judge_and_settle(&mut transaction, &question).await;
                (settled, explanation, transaction.explanations, transaction.paid)
            }
            None => (deferred(replies::LOCAL_TROUBLE), None, Vec::new(), None),
        };
        timer.observe_duration();
        deps.faults.reach(Point::BeforeReply);
        deps.metrics.smtp.message_bytes.of(direction).inc_by(size);
        let (reply, how) = match settled {
            Settled::Kept { receipts, recipients, id, parts, how } => {
                match AcceptedReply::from_receipts(&receipts, recipients, id) {
                    Some(accepted) => {
                        self.log_judged(id, explanation.as_deref());
                        self.log_parts(&own, (&parts, None));
                        self.promised.one_more();
                        (MessageReply::Accepted(accepted), how)
                    }
                    None => {
                        self.give_back(paid);
                        (MessageReply::Refused(replies::LOCAL_TROUBLE), MessageResult::Deferred)
                    }
                }
            }
            Settled::Refused { reply, how } => {
                self.give_back(paid);
                deps.log.log(&Event {
                    helo: Some(self.helo()),
                    sender: Some(&question.envelope().sender),
                    reply: Some(&reply),
                    size: Some(size),
                    recipients: u32::try_from(question.envelope().recipients.len()).ok(),
                    explanation: explanation.as_deref(),
                    ..self.event(EventName::Message)
                });
                self.log_parts(&own, (&[], Some(&reply)));
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
        let complete = match self.draft.complete() {
            Ok(complete) => complete,
            Err(error) => return (storage_refusal(&error), None),
        };
        let intake = Arc::clone(&self.listener.intake);
        let (whole, place) = match whole(&intake, &complete).await {
            Ok(read) => read,
            Err(settled) => return (settled, None),
        };
        let (whole, complete) = match self.identify(transaction, (whole, complete)).await {
            Ok(identified) => identified,
            Err(reply) => return (refusal(reply), None),
        };
        let (judges, now) = (&intake.deps.judges, intake.deps.clock.now());
        let Transaction { snapshot, sender, known, .. } = &mut *transaction;
        let judged = match known {
            Some(known) => Some(judges.at_message(&self.who(sender), snapshot, known, &whole, (Mode::Live, now)).await),
            None => None,
        };
        let refused = match judged.as_ref().map(|judged| &judged.verdict) {
            Some(Verdict::Refuse(reply)) => Some(reply.clone()),
            _ => None,
        };
        // Whose it was, before anybody's list threw theirs away.
        let one = if let [lane] = lanes.as_slice() { Some(Arc::clone(&lane.tenant)) } else { None };
        let tenants: Vec<TenantId> = lanes.iter().map(|lane| lane.tenant.id.clone()).collect();
        let thrown_away = match judged.as_ref().map(|judged| &judged.verdict) {
            Some(Verdict::Accept { discarded }) => self.take_out(&mut lanes, discarded),
            _ => Vec::new(),
        };
        // Who is owed custody; nobody may be forgotten on the way.
        let owed = lanes.iter().map(|lane| lane.envelope.recipients.len()).sum();
        let mut explained = Explained { is_of_several: one.is_none(), ..Explained::default() };
        let outcome = match refused {
            Some(reply) => Outcome::Refused(reply),
            None => self.divide(transaction, lanes, (&whole, judged.as_ref()), &mut explained).await,
        };
        let Explained { whole: content, parts, .. } = explained;
        let is_clean = content.as_deref().is_none_or(Content::is_clean);
        let is_harmful = content.as_deref().is_some_and(Content::is_harmful);
        if content.as_deref().is_some_and(Content::is_spam)
            && let Some(known) = &mut transaction.known
        {
            judges.saw_spam(&self.who(&transaction.sender), known, now);
        }
        self.weigh_outbound(transaction, question.envelope(), (&whole, &outcome), content.as_deref()).await;
        let judgements = if one.is_none() { transaction.judgements_of(tenants) } else { Vec::new() };
        let explanation = self.explain(transaction, one.as_deref(), (judged.as_ref(), content), now);
        transaction.explain_parts(&explanation, judgements, parts);
        let explanation = explanation.to_json();
        let mut divided = match outcome {
            Outcome::Divided(divided) => *divided,
            Outcome::Refused(reply) => return (refusal(reply), Some(explanation)),
        };
        if transaction.client.is_some()
            && let Some(reply) =
                self.outbound_message(transaction, &outbound::Judged { whole: &whole, divided: &divided })
        {
            return (refusal(reply), Some(explanation));
        }
        self.leave_as(transaction, &mut divided);
        let alarmed = divided.alarmed.take();
        let mut parcels = match self.parcels(divided, (whole, complete), judged.as_ref(), now).await {
            Ok(parcels) => {
                let whose = one.filter(|_| !parcels.quarantine.is_empty());
                Parcels { explanation: whose.map(|_| explanation.as_str().into()), ..parcels }
            }
            Err(Unmade::Storage(error)) => return (storage_refusal(&error), Some(explanation)),
            Err(Unmade::Unsigned) => return (deferred(replies::UNSIGNED), Some(explanation)),
        };
        parcels.deliver.iter_mut().for_each(|(parcel, _)| transaction.turn(parcel));
        parcels.quarantine.iter_mut().for_each(|(parcel, _)| transaction.turn(parcel));
        drop(place);
        let leaves = !parcels.deliver.is_empty();
        let exchange = self.exchange(transaction, &parcels, is_harmful);
        self.give_back_unless_it_leaves(transaction, &parcels);
        let settled = self.settle(transaction, parcels, owed, question.size()).await;
        if matches!(settled, Settled::Kept { .. })
            && let Some(judged) = &judged
        {
            judges.saw_taken(&self.who(&transaction.sender), &judged.authentication, judged.is_clean && is_clean, now);
            self.log_discarded(&thrown_away, "the recipient's list blocks the author");
        }
        if leaves && matches!(settled, Settled::Kept { .. }) {
            self.saw_sender(transaction);
            self.saw_exchange(exchange, judged.as_ref(), now);
        }
        if let (Some(tenant), Settled::Kept { .. }) = (alarmed, &settled) {
            intake.told.insert(tenant, now);
        }
        (settled, Some(explanation))
    }

    fn explain(
        &self,
        transaction: &mut Transaction,
        tenant: Option<&Tenant>,
        (judged, content): (Option<&Judged>, Option<Box<Content>>),
        now: Timestamp,
    ) -> Explanation {
        let beside = Beside {
            tenant: tenant.map(|tenant| &tenant.id),
            tls: self.tls.as_ref().map(|tls| &*tls.version),
            authentication: judged.map(|judged| &judged.authentication),
            ..Beside::default()
        };
        let judges = &self.listener.intake.deps.judges;
        let Transaction { snapshot, sender, known, weighed, .. } = transaction;
        let known = known.as_mut().map(|known| (&self.client_known, known));
        let mut explanation = judges.explain(&self.who(sender), snapshot, known, Which::All, beside, now);
        explanation.content = content;
        explanation.bulk = weighed.as_ref().and_then(outbound_rates::explained);
        explanation
    }

    /// First what is kept here, each durable by itself; then what goes on, all or nothing. If that fails the client comes again
    /// and what was kept is taken away again; a crash between leaves it here, and then it is kept twice: never lost.
    async fn settle(&mut self, transaction: &Transaction, parcels: Parcels, owed: usize, size: u64) -> Settled {
        let Parcels { deliver, quarantine, discard, notices, more, explanation } = parcels;
        let inline = self.listener.config.direction == Direction::Inbound;
        if let ([(parcel, None)], true) = (deliver.as_slice(), inline && transaction.all_inline())
            && quarantine.is_empty()
            && discard.is_empty()
            && notices.is_empty()
            && let Complete::Memory(rest) = &parcel.body
            && let Some(settled) = self.hand_on(&parcel.lane, (&parcel.fields, rest), size).await
        {
            return settled;
        }
        if inline && deliver.len() + quarantine.len() + discard.len() > 1 && transaction.lanes.any_inline() {
            self.listener.intake.deps.metrics.handoff.fallbacks.inc(Fallback::ManyLanes);
        }
        let (mut receipts, mut parts) = (Vec::new(), Vec::new());
        let mut first = None;
        for (parcel, category) in quarantine {
            let tenant = parcel.lane.tenant.id.clone();
            let explanation = explanation.clone().or_else(|| transaction.explanation_of(&tenant).map(Into::into));
            match self.hold(parcel, category, explanation).await {
                Ok(receipt) => {
                    first.get_or_insert(receipt.id());
                    parts.push((tenant, receipt.id()));
                    receipts.push(receipt);
                }
                Err(reply) => return self.undo(receipts, reply).await,
            }
        }
        let messages: Option<Vec<NewMessage>> =
            deliver.into_iter().map(|(parcel, checked)| self.message(parcel, checked)).collect();
        let Some(mut messages) = messages else {
            tracing::error!("outbound mail without a check; put off");
            return self.undo(receipts, replies::LOCAL_TROUBLE).await;
        };
        parts.extend(messages.iter().map(|message| (message.meta().tenant.clone(), message.id())));
        // What the client is told is the mail's own id, not that of a notice about it.
        first = messages.first().map(NewMessage::id).or(first);
        messages.extend(notices);
        if !messages.is_empty() {
            match self.commit(messages).await {
                Ok(committed) => receipts.extend(committed),
                Err(error) => return self.undo(receipts, storage_reply(&error)).await,
            }
        }
        let id = first.unwrap_or_else(|| self.new_id());
        for lane in discard {
            receipts.push(Receipt::discarded(id, lane.envelope.recipients.len()));
            let discarded =
                lane.envelope.recipients.into_iter().map(|recipient| (lane.tenant.id.clone(), recipient.address));
            self.log_discarded(&discarded.collect::<Vec<_>>(), "the recipient's policy of content");
        }
        Settled::Kept { receipts, recipients: owed + more, id, parts, how: MessageResult::Queued }
    }

    /// What was held of a message that can't be taken as a whole is held no more: the client keeps all of it and comes again, and it
    /// would be here twice.
    async fn undo(&self, held: Vec<Receipt>, reply: Reply) -> Settled {
        let quarantine = &self.listener.intake.deps.quarantine;
        for id in held.iter().map(Receipt::id) {
            if let Err(error) = quarantine.remove(Scope::Everyone, id, Chosen::All, "its sender keeps it").await {
                tracing::warn!(%id, %error, "a message that was put off is still in quarantine, and may come again");
            }
        }
        deferred(reply)
    }

    /// `None`: it is outbound and has no check.
    fn message(&self, parcel: Parcel, checked: Option<Checked>) -> Option<NewMessage> {
        let Parcel { lane, fields, body, direction, .. } = parcel;
        let (id, origin) = (self.new_id(), self.origin(&lane));
        let head = self.head(&lane, &origin, (id, &fields));
        let origin = self.blameless(origin, direction);
        let body = match body {
            Complete::Memory(rest) => Body::Memory { head, rest },
            Complete::File(draft) => Body::File { head, draft },
        };
        let about = About { tenant: lane.tenant.id.clone(), origin, envelope: lane.envelope };
        match direction {
            Direction::Inbound => Some(NewMessage::inbound(id, about, body)),
            Direction::Outbound => Some(NewMessage::outbound(checked?, id, about, body)),
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

    fn log_discarded(&self, discarded: &[(TenantId, Address)], reason: &str) {
        let deps = &self.listener.intake.deps;
        deps.metrics.balance.accepted_discarded(self.listener.config.direction, discarded.len() as u64);
        for (tenant, recipient) in discarded {
            deps.log.log(&Event {
                tenant: Some(tenant),
                recipient: Some(recipient),
                reason: Some(reason),
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
                self.saw_recipients(lane);
                Some(Settled::Kept {
                    receipts: vec![receipt],
                    recipients: lane.envelope.recipients.len(),
                    id,
                    parts: vec![(lane.tenant.id.clone(), id)],
                    how: MessageResult::HandedOn,
                })
            }
            HandedOn::Refused(reply) => Some(refusal(reply)),
            HandedOn::Mixed => self.fall_back(Fallback::Mixed),
            HandedOn::Unavailable => self.fall_back(Fallback::Unavailable),
            HandedOn::Unknown => Some(deferred(replies::NEXT_HOP_UNKNOWN)),
        }
    }

    fn fall_back(&self, why: Fallback) -> Option<Settled> {
        self.listener.intake.deps.metrics.handoff.fallbacks.inc(why);
        None
    }

    async fn commit(&mut self, messages: Vec<NewMessage>) -> Result<Vec<Receipt>, SpoolError> {
        let expected = self.expected.take();
        let deps = &self.listener.intake.deps;
        let told: Vec<Told> = messages.iter().map(Told::of).collect();
        let receipts = deps.spool.commit_expected(messages, expected).await?;
        for Told { id, tenant, sender, recipients, size, name } in &told {
            deps.log.log(&Event {
                message: Some(*id),
                tenant: Some(tenant),
                helo: Some(self.helo()),
                sender: Some(sender),
                recipients: u32::try_from(*recipients).ok(),
                size: Some(*size),
                ..self.event(*name)
            });
        }
        Ok(receipts)
    }

    pub(super) fn new_id(&self) -> MessageId {
        self.listener.intake.ids.make(self.listener.intake.deps.clock.now())
    }

    pub(super) fn origin(&self, lane: &Lane) -> Origin {
        let smtputf8 = lane.envelope.smtputf8;
        Origin {
            ip: self.client_ip(),
            helo: self.helo().into(),
            listener: self.listener.config.name.clone(),
            protocol: received::protocol(self.session.is_esmtp(), self.tls.is_some(), self.user.is_some(), smtputf8)
                .into(),
            received_at: self.listener.intake.deps.clock.now(),
        }
    }

    /// What leads out by a relay of ours is nobody's outbound mail: what comes of it says nothing of the relay's address, which stands in
    /// the trace alone.
    pub(super) fn blameless(&self, origin: Origin, direction: Direction) -> Origin {
        if direction == Direction::Outbound && self.is_relay() {
            return Origin { ip: Ipv4Addr::UNSPECIFIED.into(), ..origin };
        }
        origin
    }

    pub(super) fn head(&self, lane: &Lane, origin: &Origin, (id, results): (MessageId, &str)) -> Bytes {
        let only_recipient = match lane.envelope.recipients.as_slice() {
            [only] => Some(&only.address),
            _ => None,
        };
        let hostname = &self.config.hostname;
        let received = received::received(&Trace { hostname, origin, tls: self.tls.as_ref(), id, only_recipient });
        if results.is_empty() { received.into() } else { [results, &received].concat().into() }
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

/// The octets of the message. One in a file is read, if there is room; it is taken for as long as the place is held.
async fn whole(intake: &Intake, complete: &Complete) -> Result<(Bytes, Option<Place>), Settled> {
    let draft = match complete {
        Complete::Memory(rest) => return Ok((rest.clone(), None)),
        Complete::File(draft) => draft,
    };
    let patience = intake.deps.scanner.patience();
    let Some(place) = intake.large.take(draft.len(), patience).await else {
        return Err(deferred(replies::SCAN_UNAVAILABLE));
    };
    let mut file = draft.reader().map_err(|error| storage_refusal(&error))?;
    let length = usize::try_from(draft.len()).unwrap_or(0);
    let read = tokio::task::spawn_blocking(move || {
        let mut octets = Vec::with_capacity(length);
        file.read_to_end(&mut octets).map(|_| octets)
    });
    match read.await {
        Ok(Ok(octets)) => Ok((octets.into(), Some(place))),
        Ok(Err(error)) => Err(storage_refusal(&error.into())),
        Err(_) => Err(storage_refusal(&SpoolError::Closed)),
    }
}

fn refusal(reply: Reply) -> Settled {
    let how = if reply.is_permanent() { MessageResult::Rejected } else { MessageResult::Deferred };
    Settled::Refused { reply, how }
}

fn deferred(reply: Reply) -> Settled {
    Settled::Refused { reply, how: MessageResult::Deferred }
}

fn storage_refusal(error: &SpoolError) -> Settled {
    deferred(storage_reply(error))
}

fn storage_reply(error: &SpoolError) -> Reply {
    match error {
        SpoolError::Full(_) => replies::STORAGE_LOW,
        _ => replies::STORAGE_TROUBLE,
    }
}
