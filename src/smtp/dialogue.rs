//! The commands, one function each: order first, then grammar, then the question.
//!
//! **Invariants**: a command that must be the last of a pipelined group (RFC 2920 section 3.1) with octets behind it closes
//! the session, refused or not: those octets were sent without knowing the reply.

use bytes::{Buf, BufMut, BytesMut};

use super::auth::{self, Progress};
use super::body::BodyReader;
use super::command::{self, Command, Framed};
use super::config::AuthOffer;
use super::question::{
    AuthQuestion, DataQuestion, HeloQuestion, MailQuestion, Question, RcptQuestion, Transaction, XclientQuestion,
};
use super::session::{Session, State};
use super::step::{AfterData, CloseReason, RcptRefused, Step};
use super::{parameters, replies, xclient};
use crate::model::{Recipient, Reply};

/// First octet of a TLS record with a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Recipients put off before more of them count as idle commands, as a multiple of the limit.
const SURPLUS: usize = 10;

impl Session {
    /// Takes one line off the input, if there is one.
    pub(super) fn line(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Option<Step> {
        if input.first() == Some(&TLS_HANDSHAKE) {
            self.hang_up(CloseReason::Foreign);
            return None;
        }
        match command::frame(input, self.config.limits.command_line) {
            Framed::Partial => Some(Step::Read),
            Framed::TooLong => {
                self.close(&replies::LINE_TOO_LONG, CloseReason::LineTooLong, out);
                None
            }
            Framed::Unsound { consumed } => {
                input.advance(consumed);
                self.state = State::Command;
                self.error(&replies::BAD_LINE_ENDING, out);
                None
            }
            Framed::Line { length, consumed } => {
                let behind = input.len() > consumed;
                let step = match std::str::from_utf8(input.get(..length).unwrap_or_default()) {
                    Ok(line) => self.run(line, behind, out),
                    Err(_) => {
                        self.state = State::Command;
                        self.error(&replies::NOT_UTF8, out);
                        None
                    }
                };
                input.advance(consumed);
                step
            }
        }
    }

    fn run(&mut self, line: &str, behind: bool, out: &mut BytesMut) -> Option<Step> {
        if let State::Auth(awaited) = std::mem::replace(&mut self.state, State::Command) {
            return self.auth_progress(auth::proceed(awaited, line), out);
        }
        let command = Command::parse(line);
        if behind && must_be_last(&command) {
            self.close(&replies::OUT_OF_STEP, CloseReason::OutOfStep, out);
            return None;
        }
        if is_idle(&command) && self.one_idle_more(out) {
            return None;
        }
        let step = match command {
            Command::Ehlo(name) => self.hello(name, true),
            Command::Helo(name) => self.hello(name, false),
            Command::Mail(argument) => self.mail(argument, out),
            Command::Rcpt(argument) => return self.rcpt(argument, out),
            Command::Data(argument) => self.data(argument),
            Command::Bdat(argument) => return self.bdat(argument, out),
            Command::Rset(argument) => return self.rset(argument, out),
            Command::Auth(argument) => return self.auth(argument, out),
            Command::StartTls(argument) => self.start_tls(argument, out),
            Command::Xclient(argument) => self.xclient(argument),
            Command::Quit(argument) => return self.quit(argument, out),
            Command::Noop => say(&replies::OK, out),
            Command::Help => say(&replies::HELP, out),
            Command::Vrfy => say(&replies::VRFY, out),
            Command::Expn => Err(replies::NOT_IMPLEMENTED),
            Command::Unknown => Err(replies::UNKNOWN_COMMAND),
            Command::Foreign => {
                self.hang_up(CloseReason::Foreign);
                Ok(None)
            }
        };
        step.unwrap_or_else(|reply| {
            self.error(&reply, out);
            None
        })
    }

    /// True if that was one too many.
    fn one_idle_more(&mut self, out: &mut BytesMut) -> bool {
        self.counts.without_mail = self.counts.without_mail.saturating_add(1);
        let over = self.counts.without_mail > self.config.limits.commands_without_mail;
        if over {
            self.close(&replies::TOO_MANY_COMMANDS, CloseReason::TooManyCommands, out);
        }
        over
    }

    fn hello(&mut self, name: &str, esmtp: bool) -> Result<Option<Step>, Reply> {
        if !command::is_helo_name(name) {
            return Err(replies::BAD_HELO);
        }
        self.transaction = None;
        let ticket = self.ask();
        Ok(Some(Step::Ask(Question::Helo(HeloQuestion { ticket, name: name.into(), esmtp }))))
    }

    /// Who may send mail commands at all.
    fn introduced(&self) -> Result<(), Reply> {
        if self.config.require_tls && !self.start.tls {
            Err(replies::TLS_FIRST)
        } else if self.helo.is_none() {
            Err(replies::HELO_FIRST)
        } else {
            Ok(())
        }
    }

    fn mail(&mut self, argument: &str, out: &mut BytesMut) -> Result<Option<Step>, Reply> {
        self.introduced()?;
        if self.transaction.is_some() {
            return Err(replies::NESTED_MAIL);
        }
        if self.counts.transactions >= self.config.limits.transactions {
            self.close(&replies::TOO_MANY_TRANSACTIONS, CloseReason::TooManyTransactions, out);
            return Ok(None);
        }
        let mail = parameters::mail(argument, &self.config)?;
        let transaction = Transaction { envelope: mail.envelope, declared_size: mail.size, surplus: 0, body: None };
        let ticket = self.ask();
        Ok(Some(Step::Ask(Question::Mail(MailQuestion { ticket, transaction: Box::new(transaction) }))))
    }

    /// The embedder hears of every RCPT, also of those refused here.
    fn rcpt(&mut self, argument: &str, out: &mut BytesMut) -> Option<Step> {
        let reply = match self.recipient(argument) {
            Ok(recipient) if self.is_full() => {
                // Not counted as an error: the client may still finish this transaction and send the others separately.
                if !self.one_put_off_too_many(out) {
                    replies::TOO_MANY_RECIPIENTS.write_to(out);
                }
                let refused = RcptRefused {
                    recipient: recipient.address.to_string().into(),
                    reply: replies::TOO_MANY_RECIPIENTS,
                };
                return Some(Step::RcptRefused(Box::new(refused)));
            }
            Ok(recipient) => {
                let ticket = self.ask();
                return Some(Step::Ask(Question::Rcpt(RcptQuestion { ticket, recipient })));
            }
            Err(reply) => reply,
        };
        self.error(&reply, out);
        Some(Step::RcptRefused(Box::new(RcptRefused { recipient: argument.into(), reply })))
    }

    fn recipient(&self, argument: &str) -> Result<Recipient, Reply> {
        self.introduced()?;
        let transaction = self.transaction.as_ref().ok_or(replies::MAIL_FIRST)?;
        if transaction.body.is_some() {
            return Err(replies::DURING_CHUNKS);
        }
        parameters::rcpt(argument, &self.config, transaction.envelope.smtputf8)
    }

    fn is_full(&self) -> bool {
        self.envelope().is_some_and(|envelope| envelope.recipients.len() >= self.config.limits.recipients())
    }

    /// A client with a long list may name it all in one go and learn from the replies; one that goes on and on only makes us
    /// talk: each recipient put off after [`SURPLUS`] times the limit is an idle command. True if that was one too many.
    pub(super) fn one_put_off_too_many(&mut self, out: &mut BytesMut) -> bool {
        let most = self.config.limits.recipients().saturating_mul(SURPLUS);
        let Some(transaction) = &mut self.transaction else { return false };
        transaction.surplus = transaction.surplus.saturating_add(1);
        transaction.surplus as usize > most && self.one_idle_more(out)
    }

    fn data(&mut self, argument: &str) -> Result<Option<Step>, Reply> {
        self.introduced()?;
        if !argument.is_empty() {
            return Err(replies::NO_ARGUMENT);
        }
        let open = self.transaction.as_ref().ok_or(replies::MAIL_FIRST)?;
        if open.body.is_some() {
            return Err(replies::DURING_CHUNKS);
        }
        if open.envelope.recipients.is_empty() {
            return Err(replies::NO_RECIPIENTS);
        }
        Ok(self.ask_data(AfterData::Lines))
    }

    fn ask_data(&mut self, then: AfterData) -> Option<Step> {
        let transaction = self.transaction.take()?;
        let ticket = self.ask();
        Some(Step::Ask(Question::Data(DataQuestion { ticket, transaction, then })))
    }

    /// RFC 3030. Whatever is wrong, the chunk's octets are read as a chunk, or the session ends.
    fn bdat(&mut self, argument: &str, out: &mut BytesMut) -> Option<Step> {
        let Some((left, last)) = command::chunk(argument) else {
            self.close(&replies::CHUNK_UNREADABLE, CloseReason::UnreadableChunk, out);
            return None;
        };
        let limits = &self.config.limits;
        let open = self.chunk_allowed();
        let budget = if open.is_ok() { limits.discard.saturating_add(limits.message_size) } else { limits.discard };
        let read = self.transaction.as_ref().and_then(|open| open.body.as_ref()).map_or(0, BodyReader::octets);
        if left.saturating_add(read) > budget {
            self.close(&replies::TOO_LARGE, CloseReason::TooMuchDiscarded, out);
            return None;
        }
        match open {
            Err(reply) => {
                if !self.one_idle_more(out) {
                    self.state = State::Discard { left, reply: Box::new(reply) };
                }
                None
            }
            Ok(()) if left == 0 && !last && self.one_idle_more(out) => None,
            Ok(()) if self.transaction.as_ref().is_some_and(|open| open.body.is_some()) => {
                self.state = State::Chunk { left, last };
                None
            }
            Ok(()) => self.ask_data(AfterData::Chunk { left, last }),
        }
    }

    fn chunk_allowed(&self) -> Result<(), Reply> {
        if !self.config.chunking {
            return Err(replies::NOT_IMPLEMENTED);
        }
        self.introduced()?;
        let open = self.transaction.as_ref().ok_or(replies::MAIL_FIRST)?;
        if open.envelope.recipients.is_empty() { Err(replies::NO_RECIPIENTS) } else { Ok(()) }
    }

    fn rset(&mut self, argument: &str, out: &mut BytesMut) -> Option<Step> {
        if !argument.is_empty() {
            self.error(&replies::NO_ARGUMENT, out);
            return None;
        }
        replies::OK.write_to(out);
        self.transaction.take().map(|_| Step::Reset)
    }

    fn quit(&mut self, argument: &str, out: &mut BytesMut) -> Option<Step> {
        if argument.is_empty() {
            self.close(&replies::BYE, CloseReason::Quit, out);
        } else {
            self.error(&replies::NO_ARGUMENT, out);
        }
        None
    }

    /// RFC 3207. What stands behind the command is thrown away by `step`.
    fn start_tls(&mut self, argument: &str, out: &mut BytesMut) -> Result<Option<Step>, Reply> {
        if self.start.tls {
            return Err(replies::TLS_ALREADY);
        }
        if !self.config.starttls {
            return Err(replies::NOT_IMPLEMENTED);
        }
        if !argument.is_empty() {
            return Err(replies::NO_ARGUMENT);
        }
        replies::START_TLS.write_to(out);
        self.transaction = None;
        self.state = State::StartTls;
        Ok(None)
    }

    /// RFC 4954.
    fn auth(&mut self, argument: &str, out: &mut BytesMut) -> Option<Step> {
        let refused = if self.config.auth == AuthOffer::Never {
            Some(replies::NOT_IMPLEMENTED)
        } else if !self.start.tls {
            Some(replies::AUTH_TLS_FIRST)
        } else if self.helo.is_none() {
            Some(replies::HELO_FIRST)
        } else if self.authenticated {
            Some(replies::AUTH_ALREADY)
        } else if self.transaction.is_some() {
            Some(replies::DURING_MAIL)
        } else {
            None
        };
        self.auth_progress(refused.map_or_else(|| auth::begin(argument), Err), out)
    }

    fn auth_progress(&mut self, progress: Result<Progress, Reply>, out: &mut BytesMut) -> Option<Step> {
        match progress {
            Err(reply) => {
                self.error(&reply, out);
                None
            }
            Ok(Progress::Ask(awaited, prompt)) => {
                prompt.write_to(out);
                self.state = State::Auth(awaited);
                None
            }
            Ok(Progress::Done(credentials)) => {
                let ticket = self.ask();
                Some(Step::Ask(Question::Auth(AuthQuestion { ticket, credentials })))
            }
        }
    }

    fn xclient(&mut self, argument: &str) -> Result<Option<Step>, Reply> {
        if !self.start.xclient_trusted {
            return Err(replies::XCLIENT_DENIED);
        }
        if self.transaction.is_some() {
            return Err(replies::DURING_MAIL);
        }
        let attributes = Box::new(xclient::parse(argument).ok_or(replies::XCLIENT_SYNTAX)?);
        let ticket = self.ask();
        Ok(Some(Step::Ask(Question::Xclient(XclientQuestion { ticket, attributes }))))
    }

    pub(super) fn write_banner(&self, out: &mut BytesMut) {
        out.put_slice(b"220 ");
        out.put_slice(self.config.hostname.as_bytes());
        out.put_slice(b" ESMTP\r\n");
    }

    /// The reply to HELO, or the extensions (RFC 5321 section 4.1.1.1).
    pub(super) fn write_hello(&self, out: &mut BytesMut) {
        let config = &*self.config;
        out.put_slice(if self.esmtp { b"250-" } else { b"250 " });
        out.put_slice(config.hostname.as_bytes());
        out.put_slice(b"\r\n");
        if !self.esmtp {
            return;
        }
        let mut offer = |keyword: &str| {
            out.put_slice(b"250-");
            out.put_slice(keyword.as_bytes());
            out.put_slice(b"\r\n");
        };
        offer("PIPELINING");
        offer(&format!("SIZE {}", config.limits.message_size));
        offer("8BITMIME");
        for (keyword, offered) in [
            ("STARTTLS", config.starttls && !self.start.tls),
            ("AUTH PLAIN LOGIN", config.auth == AuthOffer::AfterTls && self.start.tls && !self.authenticated),
            (xclient::OFFER, self.start.xclient_trusted),
            ("DSN", config.dsn),
            ("CHUNKING", config.chunking),
            ("SMTPUTF8", config.smtputf8),
        ] {
            if offered {
                offer(keyword);
            }
        }
        out.put_slice(b"250 ENHANCEDSTATUSCODES\r\n");
    }
}

#[allow(clippy::unnecessary_wraps)] // the shape of every command's function
fn say(reply: &Reply, out: &mut BytesMut) -> Result<Option<Step>, Reply> {
    reply.write_to(out);
    Ok(None)
}

fn must_be_last(command: &Command<'_>) -> bool {
    matches!(command, Command::Auth(_) | Command::Data(_) | Command::Ehlo(_) | Command::Helo(_) | Command::Xclient(_))
}

/// Commands that cost something and bring no mail nearer.
fn is_idle(command: &Command<'_>) -> bool {
    !matches!(command, Command::Bdat(_) | Command::Data(_) | Command::Quit(_) | Command::Rcpt(_))
}
