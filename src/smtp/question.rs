//! What the session can't decide by itself. Each question is an owned value; answering consumes it, so no command is
//! answered twice, and one dropped unanswered closes the session with 421.
//!
//! **Invariants**: an answer to another session or after the session moved on (time-out, shutdown) does nothing. A positive
//! reply passed as a refusal becomes 451: only a [`MessageReply::Accepted`] promises anything.

use bytes::BytesMut;

use super::auth::Credentials;
use super::body::BodyReader;
use super::replies;
use super::session::Session;
use super::step::{AfterData, Ticket};
use super::xclient::Attributes;
use crate::model::{AcceptedReply, Decision, Envelope, Recipient, Reply};

/// What [`Session::step`] asks its embedder.
#[derive(Debug)]
pub enum Question {
    Helo(HeloQuestion),
    Auth(AuthQuestion),
    Xclient(XclientQuestion),
    Mail(MailQuestion),
    Rcpt(RcptQuestion),
    Data(DataQuestion),
    Message(MessageQuestion),
}

/// The state of one transaction, which moves between session and questions as a whole.
#[derive(Debug)]
pub struct Transaction {
    pub(super) envelope: Envelope,
    pub(super) declared_size: Option<u64>,
    /// Recipients put off because the transaction was full.
    pub(super) surplus: u32,
    /// Set from DATA or the first BDAT on.
    pub(super) body: Option<BodyReader>,
}

/// HELO or EHLO. A transaction that was open is gone.
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct HeloQuestion {
    pub(super) ticket: Ticket,
    pub(super) name: Box<str>,
    pub(super) esmtp: bool,
}

impl HeloQuestion {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn esmtp(&self) -> bool {
        self.esmtp
    }

    /// Accept: the greeting or the list of extensions.
    pub fn answer(self, session: &mut Session, decision: Decision, out: &mut BytesMut) {
        if session.decided(self.ticket, decision, out) {
            session.greeted_by(self.name, self.esmtp, out);
        }
    }
}

/// AUTH PLAIN or LOGIN, decoded.
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct AuthQuestion {
    pub(super) ticket: Ticket,
    pub(super) credentials: Credentials,
}

impl AuthQuestion {
    #[must_use]
    pub fn username(&self) -> &str {
        &self.credentials.username
    }

    #[must_use]
    pub fn password(&self) -> &str {
        &self.credentials.password
    }

    /// Accept: 235.
    pub fn answer(self, session: &mut Session, decision: Decision, out: &mut BytesMut) {
        if matches!(decision, Decision::Reject(_)) {
            session.count_auth_failure();
        }
        if session.decided(self.ticket, decision, out) {
            session.authenticated(out);
        }
    }
}

/// XCLIENT from a trusted proxy.
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct XclientQuestion {
    pub(super) ticket: Ticket,
    pub(super) attributes: Box<Attributes>,
}

impl XclientQuestion {
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Accept: 220, everything but TLS begins anew. A proxy that spoke for another address has no more to say.
    pub fn answer(self, session: &mut Session, decision: Decision, out: &mut BytesMut) {
        if session.decided(self.ticket, decision, out) {
            session.reintroduced(&self.attributes, out);
        }
    }
}

/// MAIL.
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct MailQuestion {
    pub(super) ticket: Ticket,
    pub(super) transaction: Box<Transaction>,
}

impl MailQuestion {
    /// Sender and parameters; no recipients yet.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.transaction.envelope
    }

    #[must_use]
    pub fn sender(&self) -> &crate::model::ReversePath {
        &self.transaction.envelope.sender
    }

    /// The SIZE parameter; within the limit.
    #[must_use]
    pub fn declared_size(&self) -> Option<u64> {
        self.transaction.declared_size
    }

    pub fn answer(self, session: &mut Session, decision: Decision, out: &mut BytesMut) {
        if session.decided(self.ticket, decision, out) {
            replies::SENDER_OK.write_to(out);
            session.open(self.transaction);
        }
    }
}

/// RCPT. The transaction so far is at [`Session::envelope`].
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct RcptQuestion {
    pub(super) ticket: Ticket,
    pub(super) recipient: Recipient,
}

impl RcptQuestion {
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub fn answer(self, session: &mut Session, decision: Decision, out: &mut BytesMut) {
        let is_put_off = matches!(decision, Decision::Defer(_)) && session.is_current(self.ticket);
        if is_put_off && session.one_put_off_too_many(out) {
            return;
        }
        if session.decided(self.ticket, decision, out) {
            replies::RECIPIENT_OK.write_to(out);
            session.add(self.recipient);
        }
    }
}

/// DATA or the first BDAT: the body is next.
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct DataQuestion {
    pub(super) ticket: Ticket,
    pub(super) transaction: Box<Transaction>,
    pub(super) then: AfterData,
}

impl DataQuestion {
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.transaction.envelope
    }

    #[must_use]
    pub fn declared_size(&self) -> Option<u64> {
        self.transaction.declared_size
    }

    /// Accept: 354 for DATA, nothing yet for BDAT. A refusal ends the transaction; a chunk is read and thrown away.
    pub fn answer(self, session: &mut Session, decision: Decision, out: &mut BytesMut) {
        session.begin_body(self.ticket, self.transaction, self.then, decision, out);
    }
}

/// A whole, sound message: canonical CRLF, within every limit. The transaction is over, whatever the answer.
#[derive(Debug)]
#[must_use = "a question must be answered"]
pub struct MessageQuestion {
    pub(super) ticket: Ticket,
    pub(super) envelope: Envelope,
    pub(super) size: u64,
}

/// The answer at end of data.
#[derive(Debug)]
pub enum MessageReply {
    /// 250, made from receipts.
    Accepted(AcceptedReply),
    /// 4xx or 5xx.
    Refused(Reply),
    /// 421, and the connection ends.
    Disconnect(Reply),
}

impl MessageQuestion {
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Octets handed to `body` in all.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn answer(self, session: &mut Session, reply: MessageReply, out: &mut BytesMut) {
        session.settle(self.ticket, reply, out);
    }
}
