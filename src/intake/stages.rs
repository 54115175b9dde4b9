//! The questions of the session, stage by stage: gather the facts, let policy decide, log, answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::time::Instant;

use super::Intake;
use super::authenticate::Checked;
use super::connection::Connection;
use super::forwards::LeadOut;
use super::judging::{Beside, ClientKnown, Mode, SenderKnown, Which, Who, Whom};
use super::lanes::Plan;
use crate::faults::Point;
use crate::limits::Paid;
use crate::limits::outbound::Weighed;
use crate::model::rule::Rule;
use crate::model::{Address, Decision, Direction, Peer, Reply, ReversePath, TenantId};
use crate::net::listener::contains;
use crate::policy::mail::{self, Client, Room, Sends};
use crate::policy::rcpt::{self, Domain, Validity};
use crate::policy::replies;
use crate::policy::sender::Tls;
use crate::smtp::{AuthQuestion, DataQuestion, HeloQuestion, MailQuestion, Question, RcptQuestion, XclientQuestion};
use crate::spool::SpoolError;
use crate::telemetry::metrics::Worked;
use crate::telemetry::series::Said;
use crate::telemetry::{Event, EventName};
use crate::tenant::{Forwards, Snapshot, Tenant};

/// What is known of the transaction under way. Dropped at its end, whatever the end.
#[derive(Debug)]
pub(super) struct Transaction {
    /// The policy this transaction is judged by, from MAIL to its end.
    pub(super) snapshot: Arc<Snapshot>,
    /// Whose client sends (outbound).
    pub(super) client: Option<Arc<Tenant>>,
    pub(super) sender: ReversePath,
    /// The accepted recipients, by tenant.
    pub(super) lanes: Plan,
    /// What is known of the sender (inbound).
    pub(super) known: Option<SenderKnown>,
    /// The client's network is shared: the message must prove that it is the client's tenant's (outbound).
    pub(super) is_unproven: bool,
    /// The sender that the message leaves with, if it is not the one named (outbound).
    pub(super) leaves_as: Option<ReversePath>,
    /// Recipients that stand for others elsewhere (inbound).
    pub(super) lead_out: LeadOut,
    /// What the message is among others of its sender (outbound, at its end).
    pub(super) weighed: Option<Weighed>,
    /// What the message was charged for, until it is taken (outbound).
    pub(super) paid: Option<Paid>,
    /// Of a message for several tenants, each one's part, as JSON.
    pub(super) explanations: Vec<(TenantId, String)>,
}

/// What was decided of a recipient.
struct Found {
    decision: Decision,
    tenant: Option<Arc<Tenant>>,
    why: Option<Why>,
}

struct Why {
    rule: &'static str,
    /// JSON; empty: the rule says it all.
    explanation: String,
}

impl Why {
    fn of(rule: &'static str) -> Self {
        Self { rule, explanation: String::new() }
    }
}

impl Transaction {
    /// Whether the message may be handed on without touching the disk.
    pub(super) fn all_inline(&self) -> bool {
        self.client.is_none() && self.lead_out.is_empty() && self.lanes.all_inline()
    }
}

impl Connection {
    /// Questions that nobody else need be asked for are answered on the spot; each of the others has a future of its own
    /// size, and none of them is part of an idle connection.
    pub(super) async fn answer(&mut self, question: Question) {
        match question {
            Question::Helo(question) => self.answer_helo(question),
            Question::Xclient(question) => self.answer_xclient(question),
            Question::Mail(question) => self.answer_mail(question),
            Question::Data(question) => self.answer_data(question),
            Question::Auth(question) => Box::pin(self.answer_auth(question)).await,
            Question::Rcpt(question) => Box::pin(self.answer_rcpt(question)).await,
            Question::Message(question) => Box::pin(self.answer_message(question)).await,
        }
    }

    fn answer_helo(&mut self, question: HeloQuestion) {
        self.end_transaction();
        question.answer(&mut self.session, Decision::Accept, &mut self.out);
    }

    async fn answer_auth(&mut self, question: AuthQuestion) {
        let intake = Arc::clone(&self.listener.intake);
        let snapshot = intake.deps.snapshot.load_full();
        let known = snapshot.client_by_username(question.username());
        let checked = intake.authenticator.check(question.password(), known.map(|(_, hash)| hash)).await;
        let (decision, worked) = match checked {
            Checked::Right => {
                self.user = Some(question.username().into());
                (Decision::Accept, Worked::Yes)
            }
            Checked::Wrong => (Decision::Reject(replies::AUTH_FAILED), Worked::No),
            Checked::Busy => (Decision::Defer(replies::AUTH_UNAVAILABLE), Worked::No),
        };
        intake.deps.metrics.smtp.auth.inc(worked);
        intake.deps.log.log(&Event {
            tenant: known.filter(|_| checked == Checked::Right).map(|(tenant, _)| &tenant.id),
            reply: refusal(&decision),
            ..self.event(EventName::Auth)
        });
        question.answer(&mut self.session, decision, &mut self.out);
    }

    /// A trusted proxy tells who the client really is (Postfix XCLIENT_README).
    fn answer_xclient(&mut self, question: XclientQuestion) {
        self.forget_client();
        let told = question.attributes();
        if let Some(ip) = told.addr.value() {
            let real = self.peer.via.unwrap_or(self.peer.addr);
            let port = told.port.value().copied().unwrap_or(0);
            self.client_known = ClientKnown::default();
            self.peer = Peer { addr: (*ip, port).into(), via: Some(real) };
        }
        self.known_by_ip = told.addr.value().is_some();
        self.spoken_for = true;
        self.user = told.login.value().cloned();
        question.answer(&mut self.session, Decision::Accept, &mut self.out);
    }

    fn answer_mail(&mut self, question: MailQuestion) {
        self.end_transaction();
        let intake = Arc::clone(&self.listener.intake);
        let direction = self.listener.config.direction;
        let snapshot = intake.deps.snapshot.load_full();
        let sender = question.sender().clone();
        let known = match direction {
            Direction::Inbound => None,
            Direction::Outbound => self.client(&snapshot),
        };
        let is_unproven = direction == Direction::Outbound && known.is_none();
        let client = known.or_else(|| if is_unproven { self.shared_client(&snapshot, &sender) } else { None });
        let now = intake.deps.clock.now();
        let leaves_as = client.as_ref().and_then(|tenant| self.rewritten(tenant, &sender, now));
        let facts = mail::Facts {
            direction,
            sender: &sender,
            client: match &client {
                None => Client::Unknown { may_authenticate: self.may_authenticate() },
                // Whose state is nobody's business before the client has shown that it is the tenant's.
                Some(tenant) if !tenant.is_active() && !is_unproven => Client::Suspended,
                Some(tenant) => Client::Tenants(match sender.address() {
                    Some(address) if tenant.owns(address.domain()) => Sends::Own,
                    Some(_) if leaves_as.is_some() => Sends::Rewritten,
                    Some(_) if tenant.forwards == Forwards::Srs => Sends::TooLong,
                    _ => Sends::Foreign,
                }),
            },
            room: self.room(question.declared_size().unwrap_or(0)),
        };
        let (mut decision, mut why) = (mail::decide(&facts), None);
        if let (Decision::Accept, Some(tenant), false) = (&decision, &client, is_unproven)
            && let Err(stopped) = self.outbound_mail(tenant, &sender)
        {
            (decision, why) = (stopped.decision, Some(stopped.why));
        }
        intake.deps.metrics.smtp.mail.inc((direction, said(&decision)));
        if decision == Decision::Accept {
            self.deadlines.transaction_began(Instant::now(), &self.config);
            let known = (direction == Direction::Inbound).then(|| SenderKnown::new(&intake.deps.judges));
            self.transaction = Some(Transaction {
                snapshot,
                client,
                sender,
                lanes: Plan::default(),
                known,
                is_unproven,
                leaves_as,
                lead_out: LeadOut::new(),
                weighed: None,
                paid: None,
                explanations: Vec::new(),
            });
        } else {
            intake.deps.log.log(&Event {
                helo: Some(self.helo()),
                sender: Some(&sender),
                tenant: client.as_ref().filter(|_| !is_unproven).map(|tenant| &tenant.id),
                reply: refusal(&decision),
                reason: why,
                ..self.event(EventName::Mail)
            });
        }
        question.answer(&mut self.session, decision, &mut self.out);
        intake.deps.faults.reach(Point::MailAccepted);
    }

    /// Who the client is: by credential, by certificate, by network, in this order.
    fn client(&self, snapshot: &Snapshot) -> Option<Arc<Tenant>> {
        let by_name = self.user.as_deref().and_then(|user| snapshot.client_by_username(user)).map(|(tenant, _)| tenant);
        let certificate =
            self.tls.as_ref().filter(|_| !self.spoken_for).and_then(|tls| tls.client_certificate.as_deref());
        by_name
            .or_else(|| certificate.and_then(|certificate| snapshot.client_by_certificate(certificate)))
            .or_else(|| self.known_by_ip.then(|| snapshot.client_by_ip(self.peer.ip())).flatten())
            .cloned()
    }

    fn may_authenticate(&self) -> bool {
        self.listener.config.auth && self.listener.tls.is_some() && self.user.is_none()
    }

    fn room(&self, size: u64) -> Room {
        let deps = &self.listener.intake.deps;
        if deps.admission.is_memory_low() {
            return Room::MemoryLow;
        }
        match deps.spool.admit(size) {
            Ok(()) => Room::Enough,
            Err(SpoolError::Full(_)) => Room::StorageLow,
            Err(_) => Room::StorageBroken,
        }
    }

    async fn answer_rcpt(&mut self, question: RcptQuestion) {
        let intake = Arc::clone(&self.listener.intake);
        let direction = self.listener.config.direction;
        let recipient = &question.recipient().address;
        // Both are put back below, whatever was found.
        let mut transaction = self.transaction.take();
        let mut client = std::mem::take(&mut self.client_known);
        let found = match (&mut transaction, rcpt::trick(recipient)) {
            (_, Some(refusal)) => Found { decision: refusal, tenant: None, why: None },
            (None, None) => Found { decision: Decision::Defer(replies::LOCAL_TROUBLE), tenant: None, why: None },
            (Some(transaction), None) => self.decide_rcpt(&intake, transaction, &mut client, recipient).await,
        };
        self.transaction = transaction;
        self.client_known = client;
        let Found { decision, tenant, why } = found;
        intake.deps.metrics.smtp.rcpt.inc((direction, said(&decision)));
        intake.deps.log.log(&Event {
            helo: Some(self.helo()),
            sender: self.transaction.as_ref().map(|transaction| &transaction.sender),
            recipient: Some(recipient),
            tenant: tenant.as_ref().map(|tenant| &tenant.id),
            reply: refusal(&decision),
            reason: why.as_ref().map(|why| why.rule),
            explanation: why.as_ref().map(|why| &*why.explanation),
            ..self.event(EventName::Rcpt)
        });
        let accepted = decision == Decision::Accept;
        question.answer(&mut self.session, decision, &mut self.out);
        if let (true, Some(tenant), Some(transaction)) = (accepted, tenant, &mut self.transaction) {
            transaction.lanes.push(tenant);
            // From here on it is a message that will want a sync, and soon.
            if self.expected.is_none() && !transaction.all_inline() {
                self.expected = Some(intake.deps.spool.expect());
            }
            intake.deps.faults.reach(Point::RcptAccepted);
        }
    }

    /// Whose the recipient is and whether it exists; then, inbound, what its tenant makes of the sender.
    async fn decide_rcpt(
        &self,
        intake: &Intake,
        transaction: &mut Transaction,
        client: &mut ClientKnown,
        recipient: &Address,
    ) -> Found {
        let Transaction { snapshot, client: own, sender, lanes, known, lead_out, is_unproven, .. } = transaction;
        let (judges, now) = (&intake.deps.judges, intake.deps.clock.now());
        let who = self.who(sender);
        if known.is_some()
            && let Some((decision, rule)) = judges.before_validity(&who, recipient, (Mode::Live, now))
        {
            return self.refused_unseen(decision, rule);
        }
        let found = snapshot.domain(recipient.domain().as_str());
        // Whoever sends it: mail for a tenant's domain goes to its next hops.
        if let Some(found) = &found {
            let decision = self.contract_at_rcpt(found.tenant);
            if decision != Decision::Accept {
                return Found { decision, tenant: Some(Arc::clone(found.tenant)), why: Some(Why::of("contract")) };
            }
        }
        let leads_out = found
            .as_ref()
            .filter(|found| known.is_some() && found.tenant.is_active())
            .and_then(|found| self.leads_out(found.tenant, (sender, recipient), now));
        if let Some(Err(refusal)) = leads_out {
            return Found { decision: refusal, tenant: None, why: None };
        }
        let domain = match &found {
            Some(_) if leads_out.is_some() => Domain::Tenants(Validity::Valid),
            None => Domain::Foreign,
            Some(found) if !found.tenant.is_active() => Domain::Tenants(Validity::Unavailable),
            Some(found) => Domain::Tenants(match found.domain.has_recipient(recipient) {
                Some(true) => Validity::Valid,
                Some(false) => Validity::Invalid,
                None => intake.deps.probe.probe(recipient).await,
            }),
        };
        if known.is_some() && domain == Domain::Tenants(Validity::Invalid) {
            judges.saw_unknown_recipient(&who, now);
        }
        let direction = self.listener.config.direction;
        let mut decision = rcpt::decide(&rcpt::Facts { direction, recipient, domain });
        let tenant = own.clone().or_else(|| found.map(|found| Arc::clone(found.tenant)));
        if let (Decision::Accept, Some(own), false) = (&decision, own.as_deref(), *is_unproven)
            && let Err(stopped) = self.outbound_rcpt(own, sender, (recipient, lanes.recipients()))
        {
            return Found { decision: stopped.decision, tenant, why: Some(Why::of(stopped.why)) };
        }
        if decision == Decision::Accept && tenant.as_ref().is_some_and(|tenant| !lanes.has_room(tenant)) {
            decision = Decision::Defer(replies::TOO_MANY_CONTRACTS);
        }
        if let (Some(_), Some(found), Decision::Accept) = (&own, &found, &decision) {
            let decision = self.account_at_rcpt(found.tenant, recipient);
            if decision != Decision::Accept {
                return Found { decision, tenant, why: Some(Why::of("accounts")) };
            }
        }
        // What leads out is outbound mail, and a message has one direction.
        if decision == Decision::Accept && !lanes.is_empty() && leads_out.is_some() == lead_out.is_empty() {
            decision = Decision::Defer(replies::SEND_SEPARATELY);
        }
        let (Some(known), Some(found), Decision::Accept) = (known, found, &decision) else {
            return Found { decision, tenant, why: None };
        };
        let whom = Whom { snapshot, tenant: found.tenant, domain: found.domain, recipient };
        let ruling = judges.at_rcpt(&who, (&whom, found.tenant), (client, known), (Mode::Live, now)).await;
        let why = (!ruling.is_accepted()).then(|| {
            let tls = self.tls.as_ref().map(|tls| &*tls.version);
            let beside = Beside { tenant: Some(&found.tenant.id), tls, ..Beside::default() };
            let explanation = judges.explain(&who, snapshot, Some((client, known)), Which::Last, beside, now);
            Why { rule: ruling.decided_by.name(), explanation: explanation.to_json() }
        });
        // What leads out is no account; what is refused after all leads nowhere.
        if let (Some(Ok(to)), Decision::Accept) = (leads_out, &ruling.decision) {
            lead_out.insert(recipient.clone(), to);
        } else if ruling.decision == Decision::Accept {
            let decision = self.account_at_rcpt(found.tenant, recipient);
            if decision != Decision::Accept {
                return Found { decision, tenant, why: Some(Why::of("accounts")) };
            }
        }
        Found { decision: ruling.decision, tenant, why }
    }

    fn refused_unseen(&self, decision: Decision, rule: Rule) -> Found {
        Found { decision, tenant: None, why: Some(Why::of(rule.name())) }
    }

    pub(super) fn who<'a>(&'a self, sender: &'a ReversePath) -> Who<'a> {
        // How the client reached a proxy that speaks for it we can't know, and refuse nobody for it.
        let tls = if self.tls.is_some() || self.spoken_for { Tls::Encrypted } else { Tls::Plain };
        let is_relay = self.is_relay();
        Who { ip: self.client_ip(), is_relay, helo: self.helo(), tls, sender }
    }

    /// Whether the client is a relay of our own, which has judged the sender.
    pub(super) fn is_relay(&self) -> bool {
        self.known_by_ip && contains(&self.listener.config.trusted_relays, self.peer.ip())
    }

    /// The address by which a sender may be known; not that of a proxy that doesn't tell, nor of a relay.
    pub(super) fn sender_ip(&self) -> Option<IpAddr> {
        (self.known_by_ip && !self.is_relay()).then(|| self.peer.ip())
    }

    /// Behind a proxy that doesn't tell, the address of the connection is the proxy's: nobody is blamed, counted or named by it.
    pub(super) fn client_ip(&self) -> IpAddr {
        if self.known_by_ip { self.peer.ip() } else { Ipv4Addr::UNSPECIFIED.into() }
    }

    /// Before the body is let in: is there still room for it?
    fn answer_data(&mut self, question: DataQuestion) {
        let decision = match self.room(question.declared_size().unwrap_or(0)) {
            Room::Enough => Decision::Accept,
            Room::StorageLow => Decision::Defer(replies::STORAGE_LOW),
            Room::StorageBroken => Decision::Defer(replies::STORAGE_TROUBLE),
            Room::MemoryLow => Decision::Defer(replies::MEMORY_LOW),
        };
        self.draft.clear();
        if decision != Decision::Accept {
            self.end_transaction();
        }
        question.answer(&mut self.session, decision, &mut self.out);
        self.listener.intake.deps.faults.reach(Point::BodyStarted);
    }
}

pub(super) fn said(decision: &Decision) -> Said {
    match decision {
        Decision::Accept => Said::Accept,
        Decision::Defer(_) => Said::Defer,
        Decision::Reject(_) => Said::Reject,
        Decision::Disconnect(_) => Said::Disconnect,
    }
}

fn refusal(decision: &Decision) -> Option<&Reply> {
    match decision {
        Decision::Accept => None,
        Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => Some(reply),
    }
}
