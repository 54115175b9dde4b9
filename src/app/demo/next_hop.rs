//! The mail server behind the demonstration's gateway: takes every message and keeps nothing but a count.
//!
//! It is the gateway's own pure session with other answers, which shows how little a protocol without sockets needs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::model::receipt::{AcceptedReply, Receipt};
use crate::model::{Decision, Direction, MessageId};
use crate::smtp::{MessageReply, Question, Session, SessionConfig, Start, Step};

/// A running server.
#[derive(Debug)]
pub struct NextHop {
    pub addr: SocketAddr,
    taken: Arc<AtomicU64>,
}

impl NextHop {
    /// # Errors
    /// If no port of loopback can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let taken = Arc::new(AtomicU64::new(0));
        let config = Arc::new(SessionConfig::new("mail.acme.example", Direction::Inbound));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Session::new(Arc::clone(&config), Start::default());
                tokio::spawn(serve(stream, session, Arc::clone(&count)));
            }
        });
        Ok(Self { addr, taken })
    }

    /// Messages taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, mut session: Session, taken: Arc<AtomicU64>) -> io::Result<()> {
    let (mut input, mut out, mut body) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    session.greet(Decision::Accept, &mut out);
    loop {
        match session.step(&mut input, &mut out, &mut body) {
            Step::Read => {
                stream.write_all_buf(&mut out).await?;
                if stream.read_buf(&mut input).await? == 0 {
                    return Ok(());
                }
            }
            Step::Ask(question) => answer(question, &mut session, &mut out, &taken),
            Step::RcptRefused(_) | Step::Reset | Step::Refused(_) => {}
            Step::StartTls | Step::Close(_) => return stream.write_all_buf(&mut out).await,
        }
        body.clear();
    }
}

fn answer(question: Question, session: &mut Session, out: &mut BytesMut, taken: &AtomicU64) {
    match question {
        Question::Helo(question) => question.answer(session, Decision::Accept, out),
        Question::Auth(question) => question.answer(session, Decision::Accept, out),
        Question::Xclient(question) => question.answer(session, Decision::Accept, out),
        Question::Mail(question) => question.answer(session, Decision::Accept, out),
        Question::Rcpt(question) => question.answer(session, Decision::Accept, out),
        Question::Data(question) => question.answer(session, Decision::Accept, out),
        Question::Message(question) => {
            let id = MessageId::new(0, u128::from(taken.fetch_add(1, Ordering::Relaxed)));
            let recipients = question.envelope().recipients.len();
            let receipt = Receipt::handed_on(id, recipients);
            let Some(accepted) = AcceptedReply::from_receipts(&[receipt], recipients, id) else { return };
            question.answer(session, MessageReply::Accepted(accepted), out);
        }
    }
}
