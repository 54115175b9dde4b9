//! One connection from accept to close: moves bytes between the transport and the pure session, keeps the clock, and hands
//! every question to [`super::stages`].
//!
//! **Failure**: time-outs, lost clients and protocol violations end the connection; an unfinished message is thrown away, and
//! the client still has it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::Config;
use super::deadlines::{Deadlines, Late};
use super::draft::Draft;
use super::judging::ClientKnown;
use super::ledger::{Open, Promised};
use super::listener::Listener;
use super::stages::Transaction;
use crate::faults::Point;
use crate::model::{ConnectionId, Decision, Direction, Peer, ReversePath, TlsFacts};
use crate::net::admission::Permit;
use crate::net::alarm::Alarm;
use crate::net::listener::{self, Accepted, Greeter as _};
use crate::net::transport::Transport;
use crate::policy::replies;
use crate::smtp::{CloseReason, Phase, RcptRefused, Refused, Session, Start, Step};
use crate::spool::Expected;
use crate::telemetry::metrics::{Closed, MessageResult, Refusal, Worked};
use crate::telemetry::{Event, EventName};

/// Buffers above this are given back when a client falls silent.
const KEEP: usize = 8 * 1024;
/// A client that doesn't read our replies is cut after this.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// What a client sent at once is answered in so many steps, of some 30 us, before others get their turn.
const STEPS_AT_ONCE: u32 = 16;

/// How a connection ended: for the metrics, and in a word for the log.
type End = (Closed, &'static str);

const LOST: End = (Closed::Lost, "lost");

/// State of one connection; the session's own state is inside `session`.
pub(super) struct Connection {
    pub(super) listener: Arc<Listener>,
    /// As it was when the connection began.
    pub(super) config: Arc<Config>,
    pub(super) id: ConnectionId,
    pub(super) peer: Peer,
    pub(super) transport: Transport,
    pub(super) session: Session,
    pub(super) input: BytesMut,
    pub(super) out: BytesMut,
    pub(super) draft: Draft,
    /// A message that is coming in and will be queued.
    pub(super) expected: Option<Expected>,
    pub(super) deadlines: Deadlines,
    alarm: Alarm,
    pub(super) tls: Option<TlsFacts>,
    /// A proxy spoke for the client (XCLIENT), so that the TLS facts are the proxy's own.
    pub(super) spoken_for: bool,
    /// The address is the client's own. Not so when a proxy could not tell whom it speaks for: then it is the proxy's, and
    /// what the proxy may do is nothing the client may.
    pub(super) known_by_ip: bool,
    /// The user name AUTH proved, or a trusted proxy vouched for.
    pub(super) user: Option<Box<str>>,
    pub(super) transaction: Option<Transaction>,
    /// Facts of the client's address.
    pub(super) client_known: ClientKnown,
    /// Messages we have whose 250 is still in `out`.
    pub(super) promised: Promised,
    _permit: Permit,
}

/// Serves one admitted connection to its end.
pub(super) async fn serve(listener: Arc<Listener>, accepted: Accepted) {
    let Accepted { mut stream, addr, mut permit } = accepted;
    let direction = listener.config.direction;
    let metrics = Arc::clone(&listener.intake.deps.metrics);
    let peer = match listener::identify(&mut stream, addr, &listener.config).await {
        Ok(peer) => peer,
        Err(error) => {
            metrics.smtp.refused.inc(Refusal::Proxy);
            tracing::info!(%addr, %error, listener = %listener.config.name, "connection dropped");
            return;
        }
    };
    if listener.is_behind_proxy()
        && let Err(refusal) = permit.belongs_to(peer.ip())
    {
        listener::send_off(&stream, &listener.refused(peer.addr, refusal));
        return;
    }
    // Counts to the very end, so that what the limits count and what is shown agree.
    let _open = Open::new(metrics.smtp.open.of(direction));
    let id = listener.intake.next_connection();
    let mut connection = Connection::new(listener, id, peer, Transport::Plain(stream), permit);
    let began = Instant::now();
    let (closed, why) = connection.run().await;
    // What will not come keeps nobody, however long the last words take.
    connection.expected = None;
    connection.log_end(why, began.elapsed());
    metrics.smtp.closed.inc(closed);
    connection.transport.close().await;
}

impl Connection {
    fn new(listener: Arc<Listener>, id: ConnectionId, peer: Peer, transport: Transport, permit: Permit) -> Self {
        let trusted = Self::may_xclient(&listener, peer.ip());
        let start = Start { tls: listener.implicit_tls().is_some(), xclient_trusted: trusted };
        let session = Session::new(listener.session.load_full(), start);
        let draft = Draft::new(Arc::clone(&listener.intake.memory));
        let config = listener.intake.config.load_full();
        let deadlines = Deadlines::new(Instant::now(), &config);
        let known_by_ip = !listener.is_behind_proxy() || peer.via.is_some();
        let promised = Promised::new(&listener.intake.deps.metrics.smtp.replies_lost);
        Self {
            listener,
            config,
            id,
            peer,
            transport,
            session,
            input: BytesMut::new(),
            out: BytesMut::new(),
            draft,
            expected: None,
            deadlines,
            alarm: Alarm::default(),
            tls: None,
            spoken_for: false,
            known_by_ip,
            user: None,
            transaction: None,
            client_known: ClientKnown::default(),
            promised,
            _permit: permit,
        }
    }

    pub(super) fn may_xclient(listener: &Listener, ip: IpAddr) -> bool {
        listener::contains(&listener.config.xclient_from, ip)
    }

    async fn run(&mut self) -> End {
        let listener = Arc::clone(&self.listener);
        if let Some(tls) = listener.implicit_tls()
            && self.handshake(tls).await.is_err()
        {
            return LOST;
        }
        self.log(EventName::Connect);
        listener.intake.deps.faults.reach(Point::Connected);
        if self.talks_early().await {
            listener.intake.deps.metrics.smtp.early_talk.inc();
            self.saw_malformed();
            self.session.early_talk(&mut self.out);
            self.flush().await;
            return (Closed::EarlyTalk, CloseReason::EarlyTalk.as_str());
        }
        self.session.greet(Decision::Accept, &mut self.out);
        let shutdown = listener.intake.deps.shutdown.clone();
        let mut drain = std::pin::pin!(shutdown.cancelled());
        let mut steps = 0;
        loop {
            // Thousands of commands may have come at once: others are served in between.
            steps += 1;
            if steps % STEPS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            let step = self.session.step(&mut self.input, &mut self.out, &mut self.draft.memory);
            if !self.draft.is_empty() {
                self.body_arrived();
            }
            match step {
                Step::Read => {
                    steps = 0;
                    if shutdown.is_cancelled() && self.session.idle() {
                        return self.say_goodbye().await;
                    }
                    if let Err(end) = self.read(drain.as_mut()).await {
                        return end;
                    }
                }
                Step::Ask(question) => self.answer(question).await,
                Step::RcptRefused(refused) => self.rcpt_refused(&refused),
                Step::Reset => self.end_transaction(),
                Step::Refused(refused) => self.session_refused(&refused),
                Step::StartTls => {
                    self.forget_client();
                    if !self.flush().await {
                        return LOST;
                    }
                    let Some(tls) = &listener.tls else { return LOST };
                    if self.handshake(tls).await.is_err() {
                        return LOST;
                    }
                    self.session.tls_established();
                }
                Step::Close(reason) => {
                    // What became of a message must be heard, even by who sent more behind its QUIT.
                    let is_all = reason == CloseReason::Quit && self.out.starts_with(b"221");
                    if !(is_all && self.transport.flush_at_close(&mut self.out)) {
                        self.flush().await;
                    }
                    return (closed_by(reason), reason.as_str());
                }
            }
        }
    }

    /// Flushes replies, then waits for bytes, the clock or the drain.
    async fn read(&mut self, drain: impl Future<Output = ()>) -> Result<(), End> {
        let answered = !self.out.is_empty();
        if !self.flush().await {
            return Err(LOST);
        }
        self.listener.intake.deps.faults.reach(Point::AfterReply);
        self.shrink();
        let config = &self.config;
        let in_body = self.session.phase() == Phase::Body;
        let now = Instant::now();
        if answered {
            // Something was answered, so a whole command came: the next one has its full time.
            self.deadlines.command_answered(now, config);
        }
        if in_body && self.deadlines.too_slow(now, config) {
            return Err(self.cut(Late::Rate).await);
        }
        let deadline = self.deadlines.next(in_body, now, config);
        let idle = self.session.idle();
        let read = tokio::select! {
            biased;
            read = self.transport.read_into(&mut self.input) => Some(read),
            () = self.alarm.at(deadline) => None,
            () = drain, if idle => return Ok(()),
        };
        match read {
            Some(Ok(0) | Err(_)) => Err(LOST),
            Some(Ok(count)) => {
                if in_body {
                    self.deadlines.body_read(Instant::now(), count);
                }
                Ok(())
            }
            None => Err(self.cut(Late::Silence).await),
        }
    }

    async fn cut(&mut self, late: Late) -> End {
        let why = match late {
            Late::Silence => {
                self.session.timed_out(&mut self.out);
                CloseReason::TimedOut.as_str()
            }
            Late::Rate => {
                self.session.disconnect(replies::TOO_SLOW, &mut self.out);
                "too-slow"
            }
        };
        self.flush().await;
        (Closed::TimedOut, why)
    }

    async fn say_goodbye(&mut self) -> End {
        self.session.shutting_down(&mut self.out);
        self.flush().await;
        (Closed::Draining, CloseReason::ShuttingDown.as_str())
    }

    /// The session refused a recipient for its form or number, without asking: every RCPT is in the mail log.
    fn rcpt_refused(&self, refused: &RcptRefused) {
        self.listener.intake.deps.log.log(&Event {
            helo: Some(self.helo()),
            sender: self.transaction.as_ref().map(|transaction| &transaction.sender),
            reason: Some(&refused.recipient),
            reply: Some(&refused.reply),
            ..self.event(EventName::Rcpt)
        });
    }

    /// Only a client of an inbound listener is judged by what it says.
    fn saw_malformed(&self) {
        let deps = &self.listener.intake.deps;
        if self.listener.config.direction == Direction::Inbound {
            deps.judges.saw_malformed(&self.who(&ReversePath::Null), deps.clock.now());
        }
    }

    /// The session refused a message for its form, without asking.
    fn session_refused(&mut self, refused: &Refused) {
        self.saw_malformed();
        let deps = &self.listener.intake.deps;
        deps.metrics.smtp.messages.inc((self.listener.config.direction, MessageResult::Malformed));
        deps.log.log(&Event {
            helo: Some(self.helo()),
            sender: Some(&refused.envelope.sender),
            recipients: u32::try_from(refused.envelope.recipients.len()).ok(),
            size: Some(refused.size),
            reply: Some(&refused.reply),
            ..self.event(EventName::Message)
        });
        self.end_transaction();
    }

    /// False if the client is gone or doesn't read.
    pub(super) async fn flush(&mut self) -> bool {
        if self.out.is_empty() {
            return true;
        }
        // Nearly always the socket takes it at once, and no clock is asked.
        let written = self.transport.flush_now(&mut self.out) || {
            let written = tokio::time::timeout(WRITE_TIME, self.transport.flush(&mut self.out)).await;
            matches!(written, Ok(Ok(())))
        };
        if written {
            self.promised.kept();
        }
        written
    }

    fn shrink(&mut self) {
        if self.input.is_empty() && self.input.capacity() > KEEP {
            self.input = BytesMut::new();
        }
        if self.out.capacity() > KEEP {
            self.out = BytesMut::new();
        }
    }

    /// Whether bytes come before our greeting (reliability row SEC-P06). After implicit TLS the handshake was the wait.
    async fn talks_early(&mut self) -> bool {
        let wait = self.listener.config.early_talk_wait;
        let Transport::Plain(stream) = &self.transport else { return false };
        if wait.is_zero() {
            return listener::has_spoken(stream);
        }
        let mut byte = [0u8; 1];
        matches!(tokio::time::timeout(wait, stream.peek(&mut byte)).await, Ok(Ok(1)))
    }

    fn body_arrived(&mut self) {
        let intake = &self.listener.intake;
        let inline = self.transaction.as_ref().is_some_and(Transaction::all_inline);
        let limit = if inline { self.config.memory_per_inline_message } else { self.config.memory_per_message };
        self.draft.settle_in(limit, &intake.deps.spool, &self.config.hostname);
    }

    async fn handshake(&mut self, tls: &crate::net::server_tls::ServerTls) -> Result<(), ()> {
        let Some(stream) = self.transport.take_plain() else { return Err(()) };
        let limit = self.config.tls_handshake_timeout;
        let handshakes = &self.listener.intake.deps.metrics.smtp.tls_handshakes;
        // Plaintext behind STARTTLS is never read as a command (reliability row SEC-P07).
        self.input.clear();
        match Box::pin(tokio::time::timeout(limit, tls.accept(stream))).await {
            Ok(Ok((stream, facts))) => {
                handshakes.inc(Worked::Yes);
                self.transport = Transport::Tls(Box::new(stream));
                self.tls = Some(facts);
                Ok(())
            }
            failed => {
                handshakes.inc(Worked::No);
                let reason = failed
                    .map_or_else(|_| "time-out".to_owned(), |r| r.err().map_or_else(String::new, |e| e.to_string()));
                tracing::info!(peer = %self.peer.addr, %reason, "TLS handshake failed");
                Err(())
            }
        }
    }

    /// What a client said before TLS or XCLIENT is worth nothing afterwards.
    pub(super) fn forget_client(&mut self) {
        self.user = None;
        self.end_transaction();
    }

    /// What the client calls itself; empty before HELO.
    pub(super) fn helo(&self) -> &str {
        self.session.helo().unwrap_or_default()
    }

    pub(super) fn end_transaction(&mut self) {
        self.transaction = None;
        self.expected = None;
        self.draft.clear();
        self.deadlines.transaction_ended();
    }

    fn log(&self, name: EventName) {
        let deps = &self.listener.intake.deps;
        deps.log.log(&self.event(name));
    }

    /// An event with what is known of the connection.
    pub(super) fn event(&self, name: EventName) -> Event<'_> {
        let now = self.listener.intake.deps.clock.now();
        Event { connection: Some(self.id), ip: Some(self.peer.ip()), ..self.listener.event(name, now) }
    }

    fn log_end(&self, why: &str, lasted: Duration) {
        let lasted = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        self.listener.intake.deps.log.log(&Event {
            helo: self.session.helo(),
            tls: self.tls.as_ref(),
            reason: Some(why),
            duration_ms: Some(lasted),
            ..self.event(EventName::Disconnect)
        });
    }
}

/// For the metrics; the log has the session's own word.
fn closed_by(reason: CloseReason) -> Closed {
    match reason {
        CloseReason::Quit => Closed::Quit,
        CloseReason::EarlyTalk => Closed::EarlyTalk,
        CloseReason::Foreign => Closed::NotSmtp,
        CloseReason::OutOfStep => Closed::Synchronisation,
        CloseReason::Policy | CloseReason::Unanswered => Closed::Refused,
        CloseReason::ShuttingDown => Closed::Draining,
        CloseReason::TimedOut => Closed::TimedOut,
        CloseReason::LineTooLong
        | CloseReason::TooManyCommands
        | CloseReason::TooManyErrors
        | CloseReason::TooManyTransactions
        | CloseReason::TooMuchDiscarded
        | CloseReason::UnreadableChunk => Closed::TooManyErrors,
    }
}
