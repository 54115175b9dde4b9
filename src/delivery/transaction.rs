//! One mail transaction as a client (RFC 5321 section 3.3), for some recipients of one message.
//!
//! With PIPELINING (RFC 2920) MAIL, all RCPT and DATA go out in one write; with CHUNKING (RFC 3030) a small message goes
//! out in that same write. Without, everything goes step by step. Nothing depends on an extension.
//!
//! **Failure**: always an [`Outcome`] for every recipient; [`End`] says what the connection is good for and, if it broke,
//! whether the message may have been taken.
//! **Invariants**: nobody is [`OutcomeKind::Delivered`] but by the answer to the whole message; once a reply stands where it
//! can't belong, none of the transaction's replies is believed; an address or parameter can't carry a line end (the command writer refuses control characters); a
//! message is never sent in a form its envelope needs an extension for that the server lacks (RFC 6531: no downgrade).

use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::Instant;

use super::config::Timeouts;
use super::connection::{Connection, Until};
use super::content::Content;
use super::trouble::Trouble;
use crate::faults::{Faults, Point};
use crate::model::{Enhanced, Envelope, Outcome, OutcomeKind, Recipient, Reply};
use crate::smtp::capabilities::Capabilities;
use crate::smtp::command_line::{self, MailParameters};
use crate::smtp::dot_stuffing::DotStuffer;

/// With CHUNKING, messages up to this size go out together with their envelope.
const ONE_WRITE: u64 = 64 << 10;
/// A body is stuffed and read in pieces of this size.
const PIECE: usize = 64 << 10;

/// What to send.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub envelope: &'a Envelope,
    pub recipients: &'a [&'a Recipient],
    pub content: &'a Content,
}

/// How to go about it.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Send nothing unless every recipient is taken.
    pub all_or_nothing: bool,
    /// Send nothing to a server without DSN: nobody would send the notice of success that was asked for.
    pub needs_dsn: bool,
    /// The message must be on its way by then, or isn't sent.
    pub dot_before: Option<Instant>,
    /// Nobody waits longer for the answer.
    pub answer_by: Option<Instant>,
    /// Before the final dot, after it, after its answer.
    pub points: [Point; 3],
    pub faults: Faults,
}

/// What became of the connection.
#[derive(Debug)]
pub(super) enum End {
    /// Good for the next transaction.
    Reusable,
    /// Said 421.
    Close,
    /// Given up by us in a place where only closing helps; says nothing about the server.
    Abandoned,
    /// Lost, and the message has not been taken. `silent`: before the server said anything, as a connection does that was
    /// closed while it rested.
    Lost { trouble: Trouble, silent: bool },
    /// Lost after the whole message had been sent: it may have been taken.
    Unknown(Trouble),
}

/// The result of one transaction.
#[derive(Debug)]
pub(super) struct Sent {
    /// One for each recipient, in order.
    pub outcomes: Vec<Outcome>,
    pub end: End,
    /// Every recipient was accepted, and the message was answered.
    pub whole: bool,
}

const TAKEN: &str = "the message to be taken";

/// Runs the transaction.
pub(super) async fn send(connection: &mut Connection, letter: &Letter<'_>, rules: &Rules, limits: &Timeouts) -> Sent {
    if rules.needs_dsn && !connection.capabilities.dsn {
        let reply = Reply::new(451, Enhanced(4, 3, 3), "a notice of success is asked for, and the server sends none");
        let outcome = Outcome::of_ours(reply, Some(connection.remote.clone()));
        return Sent { outcomes: vec![outcome; letter.recipients.len()], end: End::Reusable, whole: false };
    }
    if let Some(reply) = unfit(connection, letter) {
        let outcome = Outcome::of_ours(reply, Some(connection.remote.clone()));
        return Sent { outcomes: vec![outcome; letter.recipients.len()], end: End::Reusable, whole: false };
    }
    connection.transactions += 1;
    let mut talk = Talk {
        outcomes: vec![None; letter.recipients.len()],
        heard: false,
        dot_sent: false,
        connection,
        letter,
        rules,
        limits,
    };
    let result = talk.run().await;
    talk.finish(result)
}

/// What the server lacks that this message can't do without.
fn unfit(connection: &Connection, letter: &Letter<'_>) -> Option<Reply> {
    let can = &connection.capabilities;
    if can.refuses_size(letter.content.len()) {
        let limit = can.size.unwrap_or_default();
        let text = format!("message of {} octets, the server takes {limit}", letter.content.len());
        return Some(Reply::with_text(552, Enhanced(5, 3, 4), &text));
    }
    if !can.smtputf8 && needs_utf8(letter) {
        let text = "internationalised mail and a server without SMTPUTF8";
        return Some(Reply::new(553, Enhanced(5, 6, 7), text));
    }
    None
}

fn needs_utf8(letter: &Letter<'_>) -> bool {
    let envelope = letter.envelope;
    letter.recipients.iter().any(|recipient| !recipient.address.is_ascii())
        || envelope.sender.address().is_some_and(|sender| !sender.is_ascii())
        || (envelope.smtputf8 && letter.content.has_utf8_header())
}

/// SMTPUTF8 is asked for where it is needed, and where the client asked for it and the server offers it.
fn mail(letter: &Letter<'_>, can: &Capabilities, out: &mut BytesMut) {
    let mut parameters = MailParameters::of(letter.envelope, letter.content.len(), can);
    parameters.smtputf8 = can.smtputf8 && (parameters.smtputf8 || needs_utf8(letter));
    command_line::mail(&letter.envelope.sender, &parameters, out);
}

/// How far it got without breaking.
enum Done {
    /// The dot was answered.
    Answered,
    /// Ended before the message was sent; RSET makes the connection good again.
    Stopped,
    /// Ended before the message was sent, and the server waits for something we won't send.
    Abandoned,
}

struct Talk<'a> {
    connection: &'a mut Connection,
    letter: &'a Letter<'a>,
    rules: &'a Rules,
    limits: &'a Timeouts,
    outcomes: Vec<Option<Outcome>>,
    heard: bool,
    dot_sent: bool,
}

/// Whether, and how, the message itself goes behind the envelope in the same write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pipeline {
    /// One command at a time.
    None,
    /// MAIL and all RCPT.
    Envelope,
    /// MAIL, all RCPT, DATA.
    Data,
    /// MAIL, all RCPT, BDAT LAST and the message.
    Message,
}

impl Talk<'_> {
    fn pipeline(&self) -> Pipeline {
        let can = &self.connection.capabilities;
        if !can.pipelining {
            return Pipeline::None;
        }
        if !can.chunking {
            return Pipeline::Data;
        }
        // What must be known before the message goes out can't be asked for in the same write. Nor must the message be sent
        // to where perhaps nobody listens any more: it would be in doubt.
        let ask_first = self.rules.all_or_nothing || self.connection.may_be_closed_unseen();
        if ask_first || self.letter.content.len() > ONE_WRITE { Pipeline::Envelope } else { Pipeline::Message }
    }

    async fn said(&mut self, limit: std::time::Duration, phase: &'static str) -> Result<Reply, Trouble> {
        let until = match self.rules.dot_before {
            Some(end) if !self.dot_sent => Until::At(end.min(Instant::now() + limit)),
            _ => Until::Within(limit),
        };
        let reply = self.connection.said(until, phase).await?;
        self.heard = true;
        Ok(reply)
    }

    async fn run(&mut self) -> Result<Done, Trouble> {
        if self.connection.has_surplus() {
            return Err(Trouble::OutOfStep { phase: "MAIL" });
        }
        let pipeline = self.pipeline();
        self.connection.rested = false;
        let step_by_step = pipeline == Pipeline::None;
        let reset = std::mem::take(&mut self.connection.reset_first);
        if !step_by_step {
            self.write_envelope(reset, pipeline);
            if pipeline == Pipeline::Message {
                if self.too_late() {
                    self.connection.output.clear();
                    return Ok(Done::Stopped);
                }
                self.send_chunk().await?;
            }
        }
        if reset {
            if step_by_step {
                command_line::rset(&mut self.connection.output);
            }
            self.said(self.limits.helo, "the answer to RSET").await?;
        }
        let accepted = self.envelope(step_by_step).await?;
        let wanted = if self.rules.all_or_nothing { self.letter.recipients.len() } else { 1 };
        let enough = accepted >= wanted.max(1);
        match pipeline {
            Pipeline::Message => {
                let reply = self.answer().await?;
                self.settle(reply);
                return Ok(Done::Answered);
            }
            Pipeline::Data => {}
            Pipeline::Envelope | Pipeline::None if !enough => return Ok(Done::Stopped),
            Pipeline::Envelope | Pipeline::None => {
                if self.connection.capabilities.chunking {
                    return self.chunk().await;
                }
                command_line::data(&mut self.connection.output);
            }
        }
        let go = self.said(self.limits.data, "the answer to DATA").await?;
        if go.code() < 400 && go.code() != 354 {
            return Err(Trouble::OutOfStep { phase: "DATA" });
        }
        if go.code() != 354 {
            self.settle(go);
            return Ok(Done::Stopped);
        }
        if !enough || self.too_late() {
            return Ok(Done::Abandoned);
        }
        self.body().await?;
        let reply = self.answer().await?;
        self.settle(reply);
        Ok(Done::Answered)
    }

    fn write_envelope(&mut self, reset: bool, pipeline: Pipeline) {
        let connection = &mut *self.connection;
        let letter = self.letter;
        let can = connection.capabilities;
        let out = &mut connection.output;
        if reset {
            command_line::rset(out);
        }
        mail(letter, &can, out);
        for recipient in letter.recipients {
            command_line::rcpt(recipient, can.dsn, out);
        }
        match pipeline {
            Pipeline::Data => command_line::data(out),
            Pipeline::Message => command_line::bdat(letter.content.len(), true, out),
            Pipeline::None | Pipeline::Envelope => {}
        }
    }

    /// MAIL and every RCPT; returns how many recipients were accepted.
    async fn envelope(&mut self, step_by_step: bool) -> Result<usize, Trouble> {
        let letter = self.letter;
        let can = self.connection.capabilities;
        if step_by_step {
            mail(letter, &can, &mut self.connection.output);
        }
        let mail = self.said(self.limits.envelope, "the answer to MAIL").await?;
        if (300..400).contains(&mail.code()) {
            return Err(Trouble::OutOfStep { phase: "MAIL" });
        }
        if !mail.is_positive() {
            self.settle(mail);
            if step_by_step {
                return Ok(0);
            }
        }
        let mut accepted = 0;
        for (index, recipient) in letter.recipients.iter().enumerate() {
            if step_by_step {
                command_line::rcpt(recipient, can.dsn, &mut self.connection.output);
            }
            let reply = self.said(self.limits.envelope, "the answer to RCPT").await?;
            let place = self.outcomes.get_mut(index).filter(|place| place.is_none());
            if (200..300).contains(&reply.code()) {
                accepted += usize::from(place.is_some());
            } else if let Some(place) = place {
                let last = reply.code() == 421;
                *place = Some(Outcome::of_remote(reply, self.connection.remote.clone()));
                if last {
                    return Err(Trouble::Closed { phase: "more after 421" });
                }
            }
        }
        Ok(accepted)
    }

    fn too_late(&self) -> bool {
        self.rules.dot_before.is_some_and(|end| Instant::now() >= end)
    }

    /// A hand-on has the dot on its way in time, or not at all.
    fn block_until(&self) -> Until {
        self.rules.dot_before.map_or(Until::Within(self.limits.block), Until::At)
    }

    /// The message by DATA, with the final dot.
    async fn body(&mut self) -> Result<(), Trouble> {
        let content = self.letter.content;
        let until = self.block_until();
        let [before, after, _] = self.rules.points;
        if let Some(end) = content.terminator_if_plain() {
            self.rules.faults.reach(before);
            self.connection.send(&[&content.head, &content.rest, end], until, TAKEN).await?;
            self.dot_sent = true;
            self.rules.faults.reach(after);
            return Ok(());
        }
        self.stuffed(until).await?;
        self.dot_sent = true;
        self.rules.faults.reach(after);
        Ok(())
    }

    /// The message with its dots doubled, piece by piece, and the final dot.
    async fn stuffed(&mut self, until: Until) -> Result<(), Trouble> {
        let content = self.letter.content;
        let mut stuffer = DotStuffer::new();
        let mut out = BytesMut::with_capacity(PIECE + 1024);
        stuffer.feed(&content.head, &mut out);
        if let Some(large) = &content.file {
            let mut file = large.file.lock().await;
            let mut pieces = Pieces::new(&mut file, large.length).await?;
            while let Some(piece) = pieces.next().await? {
                stuffer.feed(piece, &mut out);
                self.connection.send(&[&out], until, TAKEN).await?;
                out.clear();
            }
        } else {
            for piece in content.rest.chunks(PIECE) {
                if out.len() >= PIECE {
                    self.connection.send(&[&out], until, TAKEN).await?;
                    out.clear();
                }
                stuffer.feed(piece, &mut out);
            }
        }
        stuffer.finish(&mut out);
        self.rules.faults.reach(self.rules.points[0]);
        self.connection.send(&[&out], until, TAKEN).await
    }

    /// The message by BDAT behind an envelope that was answered.
    async fn chunk(&mut self) -> Result<Done, Trouble> {
        if self.too_late() {
            return Ok(Done::Stopped);
        }
        command_line::bdat(self.letter.content.len(), true, &mut self.connection.output);
        self.send_chunk().await?;
        let reply = self.answer().await?;
        self.settle(reply);
        Ok(Done::Answered)
    }

    async fn send_chunk(&mut self) -> Result<(), Trouble> {
        let content = self.letter.content;
        let [before, after, _] = self.rules.points;
        self.rules.faults.reach(before);
        let until = self.block_until();
        if let Some(large) = &content.file {
            let mut file = large.file.lock().await;
            let mut pieces = Pieces::new(&mut file, large.length).await?;
            self.connection.send(&[&content.head], until, TAKEN).await?;
            while let Some(piece) = pieces.next().await? {
                self.connection.send(&[piece], until, TAKEN).await?;
            }
        } else {
            self.connection.send(&[&content.head, &content.rest], until, TAKEN).await?;
        }
        self.dot_sent = true;
        self.rules.faults.reach(after);
        Ok(())
    }

    /// The answer to the final dot or the last chunk.
    async fn answer(&mut self) -> Result<Reply, Trouble> {
        let until = self.rules.answer_by.map_or(Until::Within(self.limits.dot), Until::At);
        let reply = self.connection.said(until, "the answer to the message").await?;
        // A refused BDAT leaves the transaction open (RFC 3030 section 2); after a refused dot RSET does no harm.
        self.connection.reset_first = !reply.is_positive();
        self.heard = true;
        // One reply too many: this one may have been for something else.
        if self.connection.has_surplus() || (300..400).contains(&reply.code()) {
            return Err(Trouble::OutOfStep { phase: "the end of the message" });
        }
        let [_, _, answered] = self.rules.points;
        self.rules.faults.reach(answered);
        Ok(reply)
    }

    /// One reply for all recipients that have none yet.
    fn settle(&mut self, reply: Reply) {
        let outcome = Outcome::of_remote(reply, self.connection.remote.clone());
        for place in self.outcomes.iter_mut().filter(|place| place.is_none()) {
            *place = Some(outcome.clone());
        }
    }

    fn finish(mut self, result: Result<Done, Trouble>) -> Sent {
        let doubtful = matches!(result, Err(Trouble::OutOfStep { .. }));
        let answered = matches!(result, Ok(Done::Answered));
        for place in &mut self.outcomes {
            let taken = place.as_ref().is_some_and(|outcome| outcome.kind == OutcomeKind::Delivered);
            if doubtful || (taken && !answered) {
                *place = None;
            }
        }
        let said_421 = self.outcomes.iter().flatten().any(|outcome| outcome.reply.code() == 421);
        let mut whole = false;
        let end = match result {
            Ok(Done::Answered) => {
                whole = self.outcomes.iter().flatten().all(|outcome| outcome.kind == OutcomeKind::Delivered);
                if said_421 { End::Close } else { End::Reusable }
            }
            Ok(Done::Stopped) => {
                self.connection.reset_first = true;
                if said_421 { End::Close } else { End::Reusable }
            }
            Ok(Done::Abandoned) => End::Abandoned,
            Err(_) if said_421 => End::Close,
            Err(trouble) if self.dot_sent => End::Unknown(trouble),
            Err(trouble) => End::Lost { trouble, silent: !self.heard },
        };
        let rest = match &end {
            End::Lost { trouble, .. } | End::Unknown(trouble) => trouble.reply(),
            _ => Reply::new(451, Enhanced(4, 4, 2), "the transaction was given up before the message was sent"),
        };
        let rest =
            Outcome { kind: OutcomeKind::Deferred, ..Outcome::of_ours(rest, Some(self.connection.remote.clone())) };
        let outcomes = self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| rest.clone())).collect();
        Sent { outcomes, end, whole }
    }
}

/// Reads a large message from its beginning to the length it must have.
struct Pieces<'a> {
    file: &'a mut File,
    left: u64,
    buffer: BytesMut,
}

impl<'a> Pieces<'a> {
    async fn new(file: &'a mut File, length: u64) -> Result<Self, Trouble> {
        file.rewind().await.map_err(Trouble::Spool)?;
        Ok(Self { file, left: length, buffer: BytesMut::with_capacity(PIECE) })
    }

    async fn next(&mut self) -> Result<Option<&[u8]>, Trouble> {
        if self.left == 0 {
            return Ok(None);
        }
        self.buffer.clear();
        self.buffer.reserve(PIECE);
        let read = self.file.read_buf(&mut self.buffer).await.map_err(Trouble::Spool)?;
        if read == 0 {
            return Err(Trouble::Spool(std::io::ErrorKind::UnexpectedEof.into()));
        }
        self.buffer.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= self.buffer.len() as u64;
        Ok(Some(&self.buffer))
    }
}
