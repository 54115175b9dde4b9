//! One SMTP session as a pure machine: octets in, replies and body octets out, questions where somebody else must decide.
//! The commands are in `dialogue`, the message's octets in `body`.
//!
//! **Invariants**: replies are whole lines, in the order of the commands. A body octet is never run as a command. Nothing
//! of a transaction survives RSET, EHLO, HELO, STARTTLS, XCLIENT or the end of its message. An idle session holds no buffer.
//! **Failure**: whatever the input, the session goes on or says why and is closed; it never panics.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::auth::Awaited;
use super::body::{BodyReader, Framing};
use super::config::SessionConfig;
use super::question::{MessageQuestion, MessageReply, Question, Transaction};
use super::replies;
use super::step::{AfterData, CloseReason, Phase, Refused, Start, Step, Ticket};
use super::xclient::{Attribute, Attributes};
use crate::model::{Decision, Envelope, Recipient, Reply};

#[derive(Debug)]
pub(super) enum State {
    Greeting,
    Command,
    Auth(Awaited),
    Asking(Ticket),
    StartTls,
    Lines,
    Chunk {
        left: u64,
        last: bool,
    },
    /// Octets of a refused chunk; the reply comes after them.
    Discard {
        left: u64,
        reply: Box<Reply>,
    },
    Closed(CloseReason),
}

/// See the [room](super).
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<SessionConfig>,
    pub(super) state: State,
    pub(super) start: Start,
    pub(super) helo: Option<Box<str>>,
    pub(super) esmtp: bool,
    pub(super) authenticated: bool,
    pub(super) transaction: Option<Box<Transaction>>,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) tickets: u32,
    pub(super) errors: u32,
    pub(super) auth_failures: u32,
    pub(super) without_mail: u32,
    pub(super) transactions: u32,
}

impl Session {
    #[must_use]
    pub fn new(config: Arc<SessionConfig>, start: Start) -> Self {
        Self {
            config,
            state: State::Greeting,
            start,
            helo: None,
            esmtp: false,
            authenticated: false,
            transaction: None,
            counts: Counts::default(),
        }
    }

    /// The connect stage. Accept: the 220 banner; anything else is said and the session is closed.
    pub fn greet(&mut self, decision: Decision, out: &mut BytesMut) {
        if !matches!(self.state, State::Greeting) {
            return;
        }
        match decision {
            Decision::Accept => {
                self.write_banner(out);
                self.state = State::Command;
            }
            Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => {
                self.disconnect(reply, out);
            }
        }
    }

    /// Uses up what it can of `input`, writes replies to `out` and the message's octets (dots unstuffed, canonical CRLF) to
    /// `body`, and stops at the first thing it needs.
    pub fn step(&mut self, input: &mut BytesMut, out: &mut BytesMut, body: &mut BytesMut) -> Step {
        loop {
            let step = match &self.state {
                State::Closed(reason) => Some(Step::Close(*reason)),
                State::Greeting if input.is_empty() => Some(Step::Read),
                State::Greeting => {
                    self.early_talk(out);
                    None
                }
                State::Asking(_) => {
                    self.close(&replies::UNANSWERED, CloseReason::Unanswered, out);
                    None
                }
                State::StartTls => {
                    input.clear();
                    Some(Step::StartTls)
                }
                State::Command | State::Auth(_) => self.line(input, out),
                State::Lines => self.lines(input, out, body),
                State::Chunk { .. } => self.chunk(input, out, body),
                State::Discard { .. } => self.discard(input, out),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// After [`Step::StartTls`]: all that was said in the clear is forgotten (RFC 3207 section 4.2). No new banner.
    pub fn tls_established(&mut self) {
        if matches!(self.state, State::StartTls) {
            self.start.tls = true;
            self.forget();
            self.state = State::Command;
        }
    }

    /// The client talked before the greeting.
    pub fn early_talk(&mut self, out: &mut BytesMut) {
        self.close(&replies::EARLY_TALK, CloseReason::EarlyTalk, out);
    }

    pub fn timed_out(&mut self, out: &mut BytesMut) {
        self.close(&replies::TIMED_OUT, CloseReason::TimedOut, out);
    }

    pub fn shutting_down(&mut self, out: &mut BytesMut) {
        self.close(&replies::SHUTTING_DOWN, CloseReason::ShuttingDown, out);
    }

    /// Says `reply` (4xx or 5xx) and closes, whatever the state.
    pub fn disconnect(&mut self, reply: Reply, out: &mut BytesMut) {
        self.close(&replies::refusal(reply), CloseReason::Policy, out);
    }

    /// Between transactions: a 421 now costs nobody anything.
    #[must_use]
    pub fn idle(&self) -> bool {
        matches!(self.state, State::Command) && self.transaction.is_none()
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Greeting => Phase::Greeting,
            State::Command | State::Asking(_) | State::StartTls => Phase::Command,
            State::Auth(_) => Phase::Auth,
            State::Lines | State::Chunk { .. } | State::Discard { .. } => Phase::Body,
            State::Closed(_) => Phase::Closed,
        }
    }

    /// The open transaction, unless a question holds it.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.transaction.as_ref().map(|transaction| &transaction.envelope)
    }

    /// What HELO or EHLO said, once accepted.
    #[must_use]
    pub fn helo(&self) -> Option<&str> {
        self.helo.as_deref()
    }

    /// EHLO rather than HELO.
    #[must_use]
    pub fn is_esmtp(&self) -> bool {
        self.esmtp
    }

    // -- the message's octets ------------------------------------------------------

    fn lines(&mut self, input: &mut BytesMut, out: &mut BytesMut, body: &mut BytesMut) -> Option<Step> {
        let Some(reader) = self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut()) else {
            return self.lost_body(out);
        };
        let progress = reader.read(input, &self.config.limits, body);
        input.advance(progress.consumed);
        if reader.discarded() > self.config.limits.discard {
            return self.too_much(out);
        }
        if progress.ended { self.end_of_data(out) } else { Some(Step::Read) }
    }

    fn chunk(&mut self, input: &mut BytesMut, out: &mut BytesMut, body: &mut BytesMut) -> Option<Step> {
        let State::Chunk { left, last } = &mut self.state else { return None };
        let Some(reader) = self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut()) else {
            return self.lost_body(out);
        };
        let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        reader.read(input.get(..piece).unwrap_or_default(), &self.config.limits, body);
        input.advance(piece);
        *left -= piece as u64;
        if *left > 0 {
            return Some(Step::Read);
        }
        if *last {
            reader.finish(&self.config.limits, body);
            return self.end_of_data(out);
        }
        if reader.defect().is_some() {
            return self.end_of_data(out);
        }
        self.state = State::Command;
        replies::CHUNK_OK.write_to(out);
        None
    }

    fn discard(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Option<Step> {
        let State::Discard { left, reply } = &mut self.state else { return None };
        let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        input.advance(piece);
        *left -= piece as u64;
        if *left > 0 {
            return Some(Step::Read);
        }
        reply.write_to(out);
        self.state = State::Command;
        None
    }

    /// The message is whole, or refused at the end of a chunk.
    fn end_of_data(&mut self, out: &mut BytesMut) -> Option<Step> {
        self.state = State::Command;
        self.counts.without_mail = 0;
        let transaction = *self.transaction.take()?;
        let (size, defect) = transaction.body.map(|reader| (reader.stored(), reader.defect())).unwrap_or_default();
        let envelope = transaction.envelope;
        if let Some(defect) = defect {
            let reply = defect.reply();
            reply.write_to(out);
            return Some(Step::Refused(Box::new(Refused { envelope, size, reply })));
        }
        let ticket = self.ask();
        Some(Step::Ask(Question::Message(MessageQuestion { ticket, envelope, size })))
    }

    fn too_much(&mut self, out: &mut BytesMut) -> Option<Step> {
        let body = self.transaction.as_ref().and_then(|transaction| transaction.body.as_ref());
        let reply = body.and_then(BodyReader::defect).map_or(replies::TOO_LARGE, super::body::Defect::reply);
        self.close(&reply, CloseReason::TooMuchDiscarded, out);
        None
    }

    /// Not reachable: a body state always has a body. Ours if it ever is.
    fn lost_body(&mut self, out: &mut BytesMut) -> Option<Step> {
        self.close(&replies::UNANSWERED, CloseReason::Unanswered, out);
        None
    }

    // -- questions and answers -----------------------------------------------------

    pub(super) fn ask(&mut self) -> Ticket {
        self.counts.tickets = self.counts.tickets.wrapping_add(1);
        let ticket = Ticket(self.counts.tickets);
        self.state = State::Asking(ticket);
        ticket
    }

    pub(super) fn is_current(&self, ticket: Ticket) -> bool {
        matches!(self.state, State::Asking(current) if current == ticket)
    }

    /// True if the question was this session's last and the answer is yes; a no is said here.
    pub(super) fn decided(&mut self, ticket: Ticket, decision: Decision, out: &mut BytesMut) -> bool {
        if !self.is_current(ticket) {
            return false;
        }
        self.state = State::Command;
        match decision {
            Decision::Accept => return true,
            Decision::Defer(reply) => replies::refusal(reply).write_to(out),
            Decision::Reject(reply) => self.error(&replies::refusal(reply), out),
            Decision::Disconnect(reply) => self.disconnect(reply, out),
        }
        false
    }

    pub(super) fn greeted_by(&mut self, name: Box<str>, esmtp: bool, out: &mut BytesMut) {
        self.helo = Some(name);
        self.esmtp = esmtp;
        self.write_hello(out);
    }

    pub(super) fn authenticated(&mut self, out: &mut BytesMut) {
        self.authenticated = true;
        replies::AUTHENTICATED.write_to(out);
    }

    pub(super) fn count_auth_failure(&mut self) {
        self.counts.auth_failures += 1;
        if self.counts.auth_failures >= self.config.limits.auth_failures {
            self.counts.errors = self.config.limits.errors;
        }
    }

    pub(super) fn reintroduced(&mut self, attributes: &Attributes, out: &mut BytesMut) {
        self.forget();
        self.authenticated = attributes.login.value().is_some();
        // Named or not: from here on it speaks for somebody else, who may name nobody.
        self.start.xclient_trusted &= attributes.addr == Attribute::Unmentioned;
        self.write_banner(out);
    }

    pub(super) fn open(&mut self, transaction: Box<Transaction>) {
        self.counts.transactions = self.counts.transactions.saturating_add(1);
        self.transaction = Some(transaction);
    }

    pub(super) fn add(&mut self, recipient: Recipient) {
        if let Some(transaction) = &mut self.transaction {
            transaction.envelope.recipients.push(recipient);
        }
    }

    pub(super) fn begin_body(
        &mut self,
        ticket: Ticket,
        mut transaction: Box<Transaction>,
        then: AfterData,
        decision: Decision,
        out: &mut BytesMut,
    ) {
        if !self.is_current(ticket) {
            return;
        }
        self.state = State::Command;
        match (decision, then) {
            (Decision::Accept, AfterData::Lines) => {
                transaction.body = Some(BodyReader::new(Framing::Data));
                self.transaction = Some(transaction);
                self.state = State::Lines;
                replies::START_MAIL.write_to(out);
            }
            (Decision::Accept, AfterData::Chunk { left, last }) => {
                transaction.body = Some(BodyReader::new(Framing::Chunks));
                self.transaction = Some(transaction);
                self.state = State::Chunk { left, last };
            }
            (Decision::Disconnect(reply), _) => self.disconnect(reply, out),
            (Decision::Defer(reply) | Decision::Reject(reply), AfterData::Lines) => {
                replies::refusal(reply).write_to(out);
            }
            (Decision::Defer(reply) | Decision::Reject(reply), AfterData::Chunk { left, .. }) => {
                self.state = State::Discard { left, reply: Box::new(replies::refusal(reply)) };
            }
        }
    }

    pub(super) fn settle(&mut self, ticket: Ticket, reply: MessageReply, out: &mut BytesMut) {
        if !self.is_current(ticket) {
            return;
        }
        self.state = State::Command;
        match reply {
            MessageReply::Accepted(accepted) => {
                self.counts.errors = 0;
                accepted.reply().write_to(out);
            }
            MessageReply::Refused(reply) => replies::refusal(reply).write_to(out),
            MessageReply::Disconnect(reply) => self.disconnect(reply, out),
        }
    }

    // -- endings --------------------------------------------------------------------

    /// Forgets what the client said of itself and its transaction; counters stay.
    fn forget(&mut self) {
        self.helo = None;
        self.esmtp = false;
        self.authenticated = false;
        self.transaction = None;
    }

    /// A refused command: said, counted, and one too many ends the session.
    pub(super) fn error(&mut self, reply: &Reply, out: &mut BytesMut) {
        self.counts.errors = self.counts.errors.saturating_add(1);
        if self.counts.errors >= self.config.limits.errors {
            self.close(&replies::TOO_MANY_ERRORS, CloseReason::TooManyErrors, out);
        } else {
            reply.write_to(out);
        }
    }

    pub(super) fn close(&mut self, reply: &Reply, reason: CloseReason, out: &mut BytesMut) {
        if !matches!(self.state, State::Closed(_)) {
            reply.write_to(out);
            self.hang_up(reason);
        }
    }

    pub(super) fn hang_up(&mut self, reason: CloseReason) {
        self.transaction = None;
        self.state = State::Closed(reason);
    }
}
