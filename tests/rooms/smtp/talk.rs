//! Drives a pure session as a careful driver would: sends what it is given in the cuts it is given, answers questions by a
//! function, keeps what was said.

#![allow(dead_code)] // each user takes what it needs

use std::sync::Arc;

use bytes::BytesMut;
use sekisho::model::{AcceptedReply, Decision, Envelope, MessageId, Receipt};
use sekisho::smtp::{CloseReason, MessageReply, Question, Session, SessionConfig, Start, Step};

/// What the embedder says to a question.
pub enum Say {
    Decide(Decision),
    Reply(MessageReply),
}

/// One message that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub envelope: Envelope,
    pub body: Vec<u8>,
}

/// A session with its buffers and its history.
pub struct Talk<F> {
    pub session: Session,
    pub out: BytesMut,
    pub messages: Vec<Asked>,
    /// Messages the session refused by itself.
    pub refused: Vec<u16>,
    /// Recipients the session refused by itself.
    pub rcpts_refused: Vec<(String, u16)>,
    pub closed: Option<CloseReason>,
    pub tls_wanted: bool,
    input: BytesMut,
    body: BytesMut,
    answer: F,
}

pub fn accept_all(question: &Question) -> Say {
    match question {
        Question::Message(_) => Say::Reply(accepted()),
        _ => Say::Decide(Decision::Accept),
    }
}

pub fn accepted() -> MessageReply {
    let id = MessageId::new(1, 1);
    MessageReply::Accepted(AcceptedReply::from_receipts(&[Receipt::spooled(id, 1)], 1, id).expect("one receipt"))
}

impl<F: FnMut(&Question) -> Say> Talk<F> {
    pub fn new(config: SessionConfig, start: Start, answer: F) -> Self {
        let mut session = Session::new(Arc::new(config), start);
        let mut out = BytesMut::new();
        session.greet(Decision::Accept, &mut out);
        Self {
            session,
            out,
            messages: Vec::new(),
            refused: Vec::new(),
            rcpts_refused: Vec::new(),
            closed: None,
            tls_wanted: false,
            input: BytesMut::new(),
            body: BytesMut::new(),
            answer,
        }
    }

    /// What was said since the last call.
    pub fn said(&mut self) -> Vec<u8> {
        self.out.split().to_vec()
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            match self.session.step(&mut self.input, &mut self.out, &mut self.body) {
                Step::Read => {
                    return;
                }
                Step::Ask(question) => self.answer(question),
                Step::StartTls => {
                    self.tls_wanted = true;
                    self.body.clear();
                    return;
                }
                Step::RcptRefused(refused) => self.rcpts_refused.push((refused.recipient.into(), refused.reply.code())),
                Step::Reset => self.body.clear(),
                Step::Refused(refused) => {
                    assert_eq!(refused.size, self.body.len() as u64);
                    self.refused.push(refused.reply.code());
                    self.body.clear();
                }
                Step::Close(reason) => {
                    self.closed = Some(reason);
                    return;
                }
            }
        }
    }

    fn answer(&mut self, question: Question) {
        let say = (self.answer)(&question);
        let (session, out) = (&mut self.session, &mut self.out);
        match (question, say) {
            (Question::Message(question), Say::Reply(reply)) => {
                let body = self.body.split().to_vec();
                assert_eq!(question.size(), body.len() as u64);
                self.messages.push(Asked { envelope: question.envelope().clone(), body });
                question.answer(session, reply, out);
            }
            (Question::Helo(question), Say::Decide(decision)) => {
                self.body.clear();
                question.answer(session, decision, out);
            }
            (Question::Auth(question), Say::Decide(decision)) => question.answer(session, decision, out),
            (Question::Xclient(question), Say::Decide(decision)) => question.answer(session, decision, out),
            (Question::Mail(question), Say::Decide(decision)) => question.answer(session, decision, out),
            (Question::Rcpt(question), Say::Decide(decision)) => question.answer(session, decision, out),
            (Question::Data(question), Say::Decide(decision)) => {
                self.body.clear();
                question.answer(session, decision, out);
            }
            (question, _) => panic!("the wrong kind of answer to {question:?}"),
        }
    }
}
