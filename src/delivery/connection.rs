//! One connection to a server: a stream, a read buffer, a write buffer, and what the server said it can do.
//!
//! **Failure**: every wait is bounded; whatever breaks is a [`Trouble`] that names what was waited for.
//! **Invariants**: a resting connection holds no buffers; after STARTTLS nothing that was read before is left.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use prometheus::IntGauge;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::trouble::Trouble;
use crate::model::{Remote, Reply, TlsFacts};
use crate::net::alarm::Alarm;
use crate::smtp::capabilities::Capabilities;
use crate::smtp::reply_reader::ReplyReader;
use crate::tenant::TlsPolicy;

const READ: usize = 2048;

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two, and after a failed handshake.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    input: BytesMut,
    /// Commands not yet sent.
    pub output: BytesMut,
    replies: ReplyReader,
    pub capabilities: Capabilities,
    pub remote: Remote,
    pub tls: Option<TlsFacts>,
    /// Transactions begun.
    pub transactions: u32,
    pub opened: Instant,
    /// A transaction was left open; the next one begins with RSET.
    pub reset_first: bool,
    /// Nothing has been asked since it rested.
    pub rested: bool,
    /// The rule it was opened under.
    pub policy: TlsPolicy,
    alarm: Alarm,
    open: IntGauge,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// When a wait ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    Within(Duration),
    At(Instant),
}

impl Until {
    fn instant(self) -> Instant {
        match self {
            Self::Within(limit) => Instant::now() + limit,
            Self::At(end) => end,
        }
    }
}

async fn bounded<T>(
    alarm: &mut Alarm,
    until: Until,
    work: impl Future<Output = io::Result<T>>,
    phase: &'static str,
) -> Result<T, Trouble> {
    let mut work = pin!(work);
    // What can be done at once asks no clock.
    let done = match poll_once(work.as_mut()).await {
        Some(done) => done,
        None => tokio::select! {
            biased;
            done = work => done,
            () = alarm.at(until.instant()) => return Err(Trouble::TimedOut { phase }),
        },
    };
    done.map_err(|source| Trouble::Lost { phase, source })
}

async fn poll_once<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

impl Connection {
    pub fn new(stream: TcpStream, remote: Remote, open: IntGauge) -> Self {
        open.inc();
        Self {
            stream: Stream::Plain(stream),
            input: BytesMut::new(),
            output: BytesMut::new(),
            replies: ReplyReader::default(),
            capabilities: Capabilities::default(),
            remote,
            tls: None,
            transactions: 0,
            opened: Instant::now(),
            reset_first: false,
            rested: false,
            policy: TlsPolicy::None,
            alarm: Alarm::default(),
            open,
        }
    }

    /// Takes the stream for a handshake. What was read and not understood is dropped: bytes that came before TLS must not
    /// be taken for replies that come inside it.
    pub fn take_plain(&mut self) -> Option<TcpStream> {
        self.input.clear();
        // Whatever the reader may remember of it goes too.
        self.replies = ReplyReader::default();
        match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(stream) => Some(stream),
            other => {
                self.stream = other;
                None
            }
        }
    }

    pub fn put_tls(&mut self, stream: TlsStream<TcpStream>, facts: TlsFacts) {
        self.stream = Stream::Tls(Box::new(stream));
        self.tls = Some(facts);
        self.capabilities = Capabilities::default();
    }

    /// Sends the commands collected, and whatever of `body` belongs behind them, in one write if the socket takes it.
    pub async fn send(&mut self, body: &[&[u8]], until: Until, phase: &'static str) -> Result<(), Trouble> {
        let mut sent = 0;
        if let Stream::Plain(stream) = &self.stream {
            // The common case costs one system call and no timer.
            let mut parts = [IoSlice::new(&[]); 5];
            for (place, part) in parts.iter_mut().zip(std::iter::once(&&*self.output).chain(body)) {
                *place = IoSlice::new(part);
            }
            match stream.try_write_vectored(&parts) {
                Ok(written) => sent = written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => return Err(Trouble::Lost { phase, source }),
            }
        }
        for part in std::iter::once(&*self.output).chain(body.iter().copied()) {
            let skip = sent.min(part.len());
            sent -= skip;
            let Some(mut left) = part.get(skip..).filter(|left| !left.is_empty()) else { continue };
            while !left.is_empty() {
                let piece = left.get(..left.len().min(64 << 10)).unwrap_or(left);
                let length = piece.len();
                match &mut self.stream {
                    Stream::Plain(stream) => bounded(&mut self.alarm, until, stream.write_all(piece), phase).await?,
                    Stream::Tls(stream) => bounded(&mut self.alarm, until, stream.write_all(piece), phase).await?,
                    Stream::Gone => return Err(Trouble::Closed { phase }),
                }
                left.advance(length);
            }
        }
        self.output.clear();
        if let Stream::Tls(stream) = &mut self.stream {
            bounded(&mut self.alarm, until, stream.flush(), phase).await?;
        }
        Ok(())
    }

    /// The next reply; commands not yet sent go out first.
    pub async fn said(&mut self, until: Until, phase: &'static str) -> Result<Reply, Trouble> {
        if !self.output.is_empty() {
            self.send(&[], until, phase).await?;
        }
        loop {
            if let Some(reply) = self.replies.next(&mut self.input)? {
                return Ok(reply);
            }
            self.input.reserve(READ);
            let read = match &mut self.stream {
                Stream::Plain(stream) => {
                    bounded(&mut self.alarm, until, stream.read_buf(&mut self.input), phase).await?
                }
                Stream::Tls(stream) => bounded(&mut self.alarm, until, stream.read_buf(&mut self.input), phase).await?,
                Stream::Gone => 0,
            };
            if read == 0 {
                return Err(Trouble::Closed { phase });
            }
        }
    }

    /// Whether more replies were read than asked for. 421 may come at any time (RFC 5321 section 3.8), 221 means a close as
    /// well; neither says anything about those before it.
    pub fn has_surplus(&self) -> bool {
        !self.input.is_empty() && !self.input.starts_with(b"421") && !self.input.starts_with(b"221")
    }

    /// Whether the server closed or spoke unasked while the connection rested. Costs no system call if nothing came.
    pub fn is_stale(&self) -> bool {
        let stream = match &self.stream {
            Stream::Plain(stream) => stream,
            // Records that are no mail (session tickets) may be waiting here; a close shows at the first reply.
            Stream::Tls(_) => return !self.input.is_empty(),
            Stream::Gone => return true,
        };
        if !self.input.is_empty() {
            return true;
        }
        let mut byte = [0];
        !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether a close during its rest can't be seen before something is asked.
    pub fn may_be_closed_unseen(&self) -> bool {
        self.rested && matches!(self.stream, Stream::Tls(_))
    }

    /// Gives the buffers back.
    pub fn rest(&mut self) {
        self.rested = true;
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// Says QUIT, does not wait for the answer.
    pub async fn quit(mut self, limit: Duration) {
        self.output.clear();
        self.output.extend_from_slice(b"QUIT\r\n");
        let _ = self.send(&[], Until::Within(limit), "QUIT").await;
    }
}
