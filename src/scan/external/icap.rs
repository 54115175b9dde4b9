//! Antivirus over ICAP: RESPMOD with OPTIONS, preview and 204 (RFC 3507).
//!
//! **Failure**: 4xx, 5xx and every status that isn't an answer to RESPMOD are [`TalkError`]: `539 Aborted - no licence` is not
//! clean. So is an "unmodified" before the whole message was sent.
//! **Invariants**: clean is 204, or the message sent back octet for octet. Anything else in its place is blocked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::endpoint::{Endpoint, Stream};
use super::error::{TalkError, short};
use super::icap_reply::{Chunks, Head, Options, Reply, encapsulated, options, read_head, verdict};
use super::{Answer, Question, unscannable};
use crate::model::finding::{Class, Detector, Finding, Reason, Score};

/// How long an answer to OPTIONS is believed.
const BELIEVED: Duration = Duration::from_mins(5);
const CHUNK: usize = 64 << 10;

type In = ReadHalf<Box<dyn Stream>>;
type Out = WriteHalf<Box<dyn Stream>>;

/// What is known of the services.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<Endpoint, (Options, Instant)>>);

impl Known {
    fn get(&self, endpoint: &Endpoint) -> Option<Options> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(endpoint).filter(|(_, at)| at.elapsed() < BELIEVED).map(|(options, _)| options.clone())
    }

    fn set(&self, endpoint: &Endpoint, options: Option<Options>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match options {
            Some(options) => known.insert(endpoint.clone(), (options, Instant::now())),
            None => known.remove(endpoint),
        };
    }
}

/// What an answer means here.
#[must_use]
pub fn judge(reply: &Reply) -> Answer {
    let mut answer = Answer::of(Detector::Icap);
    let mut find = |symbol: &str, class, evidence: &str| {
        answer.findings.push(Finding::new(Detector::Icap, symbol, class, Score::ZERO, evidence));
    };
    match reply {
        Reply::Clean => {}
        Reply::Infected(name) => find(name, Class::Malware, ""),
        Reply::Blocked(reason) => find("ICAP_BLOCKED", Class::Malware, reason),
        Reply::Violation(name) => find("ICAP_VIOLATION", Class::RiskyFile, name),
        Reply::Unscannable(why) => unscannable(&mut answer, "ICAP_UNSCANNABLE", Reason::Malformed, why),
    }
    answer
}

/// One RESPMOD; OPTIONS before it if the service isn't known.
pub(super) async fn scan(
    stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    service: &str,
    known: &Known,
    question: &Question,
) -> Result<Reply, TalkError> {
    let (options, stream) = match known.get(endpoint) {
        Some(options) => (options, stream),
        None => {
            let options = ask_options(stream, endpoint, service).await?;
            known.set(endpoint, Some(options.clone()));
            (options, endpoint.connect().await?)
        }
    };
    let done = respmod(stream, endpoint, service, &options, question).await;
    if done.is_err() {
        // It may have changed.
        known.set(endpoint, None);
    }
    done
}

pub(super) async fn ask_options(
    mut stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    service: &str,
) -> Result<Options, TalkError> {
    let host = endpoint.host();
    let request = format!(
        "OPTIONS icap://{host}/{service} ICAP/1.0\r\nHost: {host}\r\nUser-Agent: Sekisho\r\n\
         Connection: close\r\nEncapsulated: null-body=0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let (from, _to) = tokio::io::split(stream);
    options(&Incoming::new(from).head("ICAP").await?)
}

async fn respmod(
    stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    service: &str,
    options: &Options,
    question: &Question,
) -> Result<Reply, TalkError> {
    let message = &question.message;
    let preview = options.preview.map(|size| size.min(message.len()));
    let (from, mut to) = tokio::io::split(stream);
    let mut from = Incoming::new(from);
    to.write_all(&request(endpoint, service, options, preview, question)).await?;
    let mut sent = 0;
    if let Some(size) = preview {
        let all = size == message.len();
        send(&mut to, &message.slice(..size), if all { "0; ieof\r\n\r\n" } else { "0\r\n\r\n" }).await?;
        let head = from.head("ICAP").await?;
        if head.status != 100 {
            // It has seen what it wanted to see.
            return from.verdict(&head, message).await;
        }
        if all {
            return Err(TalkError::Malformed("100 Continue although there is no more".into()));
        }
        sent = size;
    }
    let rest = message.slice(sent..);
    let sending = send(&mut to, &rest, "0\r\n\r\n");
    let receiving = async {
        let head = from.head("ICAP").await?;
        from.verdict(&head, message).await
    };
    tokio::pin!(sending, receiving);
    let (reply, sent) = tokio::select! {
        biased;
        sent = &mut sending => (receiving.await?, sent.is_ok()),
        reply = &mut receiving => match reply? {
            Reply::Clean => (Reply::Clean, sending.await.is_ok()),
            // Whoever knows what it is need not see the rest.
            reply => (reply, true),
        },
    };
    match reply {
        Reply::Clean if !sent => Err(TalkError::Malformed("unmodified before the whole message was sent".into())),
        reply => Ok(reply),
    }
}

fn request(
    endpoint: &Endpoint,
    service: &str,
    options: &Options,
    preview: Option<usize>,
    question: &Question,
) -> Bytes {
    let host = endpoint.host();
    let name = question.id.map_or_else(|| "message".to_owned(), |id| id.to_string());
    let asked = format!("GET http://mail.invalid/{name}.eml HTTP/1.1\r\nHost: mail.invalid\r\n\r\n");
    let given = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: message/rfc822\r\nContent-Length: {}\r\n\r\n",
        question.message.len()
    );
    // Only if offered: without it the service sends everything back, and that is compared.
    let allow = if options.allows_204 { "Allow: 204\r\n" } else { "" };
    let preview = preview.map_or_else(String::new, |size| format!("Preview: {size}\r\n"));
    let (first, second) = (asked.len(), asked.len() + given.len());
    format!(
        "RESPMOD icap://{host}/{service} ICAP/1.0\r\nHost: {host}\r\nUser-Agent: Sekisho\r\nConnection: close\r\n\
         {allow}{preview}Encapsulated: req-hdr=0, res-hdr={first}, res-body={second}\r\n\r\n{asked}{given}"
    )
    .into()
}

async fn send(to: &mut Out, body: &[u8], end: &str) -> std::io::Result<()> {
    for chunk in body.chunks(CHUNK) {
        to.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
        to.write_all(chunk).await?;
        to.write_all(b"\r\n").await?;
    }
    to.write_all(end.as_bytes()).await?;
    to.flush().await
}

/// The server's side of the talk.
struct Incoming {
    from: In,
    buffer: BytesMut,
}

impl Incoming {
    fn new(from: In) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    async fn fill(&mut self) -> Result<(), TalkError> {
        self.buffer.reserve(16 << 10);
        match self.from.read_buf(&mut self.buffer).await? {
            0 => Err(TalkError::Broken("closed before the end of its answer".into())),
            _ => Ok(()),
        }
    }

    async fn head(&mut self, protocol: &str) -> Result<Head, TalkError> {
        loop {
            if let Some((head, length)) = read_head(&self.buffer, protocol)? {
                self.buffer.advance(length);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    /// What a final head, and what follows it, come to.
    async fn verdict(&mut self, head: &Head, message: &[u8]) -> Result<Reply, TalkError> {
        if let Some(reply) = verdict(head) {
            return Ok(reply);
        }
        match head.status {
            204 => Ok(Reply::Clean),
            200 => self.compare(head, message).await,
            status => Err(TalkError::Said(short(&format!("{status} {}", head.phrase)))),
        }
    }

    /// An HTTP answer stands in the place of ours: is it ours?
    async fn compare(&mut self, head: &Head, message: &[u8]) -> Result<Reply, TalkError> {
        let (http, has_body) = encapsulated(head)?;
        let Some(length) = http else { return Err(TalkError::Malformed("200 without an HTTP head".into())) };
        while self.buffer.len() < length {
            self.fill().await?;
        }
        let http = self.buffer.split_to(length);
        let (http, _) = read_head(&http, "HTTP")?.ok_or_else(|| TalkError::malformed(&http))?;
        if let Some(reply) = verdict(&http) {
            return Ok(reply);
        }
        let blocked = |why: String| Ok(Reply::Blocked(why.into()));
        if http.status != 200 {
            return blocked(short(&format!("{} {}", http.status, http.phrase)));
        }
        if !has_body {
            return blocked("emptied".into());
        }
        let mut chunks = Chunks::default();
        let (mut left, mut same) = (message, true);
        loop {
            let ended = chunks.push(&self.buffer, |data| match left.split_at_checked(data.len()) {
                Some((expected, rest)) if expected == data => left = rest,
                _ => same = false,
            })?;
            self.buffer.clear();
            if !same || (ended && !left.is_empty()) {
                return blocked("changed".into());
            }
            if ended {
                return Ok(Reply::Clean);
            }
            self.fill().await?;
        }
    }
}
