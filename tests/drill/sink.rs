//! A next hop that does what its handler says. It runs inside the tool, so a kill of the gateway never touches its ledger.
//!
//! **Invariants**: the handler hears of a message once, after the whole of it arrived and before the reply is written;
//! it hears of a connection's end with how far its last transaction had come.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::wire::{Wire, path_of, unstuff};

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// The peer said QUIT.
    pub polite: bool,
    /// A transaction was begun and not yet answered.
    pub open: bool,
    /// When the last transaction was answered.
    pub answered: Option<Instant>,
}

/// What the sink asks and tells.
pub trait Handler: Send + Sync + 'static {
    /// `None`: close instead of a greeting.
    fn greeting(&self) -> Option<&'static str> {
        Some("220 sink.example ESMTP")
    }
    fn rcpt(&self, _recipient: &str) -> &'static str {
        "250 2.1.5 ok"
    }
    /// Stuffed dots are taken out only for a handler that reads bodies.
    fn reads_bodies(&self) -> bool {
        true
    }
    /// The reply to the final dot and how long to wait before it.
    fn message(&self, sender: &str, recipients: &[String], body: &[u8]) -> (&'static str, Duration);
    fn ended(&self, _ending: Ending) {}
}

/// A running sink.
#[derive(Debug)]
pub struct Sink {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// # Errors
    /// When the address can't be bound.
    pub fn start(runtime: &Handle, address: SocketAddr, handler: Arc<dyn Handler>) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let _inside = runtime.enter();
        let listener = TcpListener::from_std(socket)?;
        let task = runtime.spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(Wire::new(stream, Duration::from_mins(10)), Arc::clone(&handler)));
                }
            }
        });
        Ok(Self { address, task })
    }
}

async fn serve(mut wire: Wire, handler: Arc<dyn Handler>) {
    let mut state = Ending { polite: false, open: false, answered: None };
    let _ = converse(&mut wire, &*handler, &mut state).await;
    handler.ended(state);
}

async fn converse(wire: &mut Wire, handler: &dyn Handler, state: &mut Ending) -> io::Result<()> {
    let Some(greeting) = handler.greeting() else { return Ok(()) };
    wire.write(format!("{greeting}\r\n").as_bytes()).await?;
    let mut transaction = Transaction::default();
    let mut out = String::new();
    loop {
        if !wire.read_ahead() && !out.is_empty() {
            wire.write(out.as_bytes()).await?;
            out.clear();
        }
        let line = wire.line().await?;
        let verb = String::from_utf8_lossy(line.get(..4).unwrap_or(&line)).to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => out.push_str(
                "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
            ),
            "MAIL" => {
                state.open = true;
                transaction = Transaction { sender: path_of(&line), ..Transaction::default() };
                out.push_str("250 2.1.0 ok\r\n");
            }
            "RCPT" => {
                let recipient = path_of(&line);
                let reply = handler.rcpt(&recipient);
                if reply.starts_with('2') {
                    transaction.recipients.push(recipient);
                }
                out.push_str(reply);
                out.push_str("\r\n");
            }
            "DATA" if transaction.recipients.is_empty() => out.push_str("554 5.5.1 no recipients\r\n"),
            "DATA" => {
                out.push_str("354 go on\r\n");
                wire.write(out.as_bytes()).await?;
                out.clear();
                transaction.body = wire.body().await?.to_vec();
                if handler.reads_bodies() {
                    transaction.body = unstuff(&transaction.body);
                }
                settle(&mut transaction, handler, state, &mut out).await;
            }
            "BDAT" => {
                let text = String::from_utf8_lossy(&line).to_ascii_uppercase();
                let mut words = text.split_ascii_whitespace().skip(1);
                let length = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                transaction.body.extend_from_slice(&wire.exactly(length).await?);
                if transaction.recipients.is_empty() {
                    out.push_str("554 5.5.1 no recipients\r\n");
                } else if words.next() == Some("LAST") {
                    settle(&mut transaction, handler, state, &mut out).await;
                } else {
                    out.push_str("250 2.0.0 chunk\r\n");
                }
            }
            "RSET" => {
                state.open = false;
                transaction = Transaction::default();
                out.push_str("250 2.0.0 ok\r\n");
            }
            "QUIT" => {
                state.polite = true;
                out.push_str("221 2.0.0 bye\r\n");
                return wire.write(out.as_bytes()).await;
            }
            _ => out.push_str("250 2.0.0 ok\r\n"),
        }
    }
}

#[derive(Debug, Default)]
struct Transaction {
    sender: String,
    recipients: Vec<String>,
    body: Vec<u8>,
}

async fn settle(transaction: &mut Transaction, handler: &dyn Handler, state: &mut Ending, out: &mut String) {
    let (reply, wait) = handler.message(&transaction.sender, &transaction.recipients, &transaction.body);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    *transaction = Transaction::default();
    state.open = false;
    state.answered = Some(Instant::now());
    out.push_str(reply);
    out.push_str("\r\n");
}
