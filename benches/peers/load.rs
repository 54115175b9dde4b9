//! Clients for the comparison: Postfix's own `smtp-source` and `smtp-sink`, and a bounded client of ours that also takes
//! the time of each message.

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::dice::Dice;
use crate::meter::tree;
use crate::sink::Handler;
use crate::wire::Wire;

/// `smtp-source`: 5 KB messages, one recipient. `reuse`: one connection for many messages.
pub fn smtp_source(target: SocketAddr, messages: usize, connections: usize, reuse: bool) -> io::Result<Duration> {
    let begun = Instant::now();
    let mut command = Command::new("smtp-source");
    if reuse {
        command.arg("-d");
    }
    let status = command
        .args(["-s", &connections.to_string(), "-m", &messages.to_string(), "-l", "5120", "-C", "5"])
        .args(["-f", "source@sender.example", "-t", "mail@acme.example", &target.to_string()])
        .status()?;
    if status.success() { Ok(begun.elapsed()) } else { Err(io::Error::other(format!("smtp-source: {status}"))) }
}

/// A running `smtp-sink`; ended when dropped.
#[derive(Debug)]
pub struct SmtpSink(Child);

impl SmtpSink {
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let mut command = Command::new("smtp-sink");
        if rustix::process::getuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command.arg(address.to_string()).arg("1024").stdout(Stdio::null()).spawn()?;
        let sink = Self(child);
        let end = Instant::now() + Duration::from_secs(5);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err(io::Error::other("smtp-sink does not listen"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(sink)
    }

    /// CPU so far, by `/proc` whatever the meter is.
    pub fn cpu(&self) -> Duration {
        tree(self.0.id())
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A next hop that only counts.
#[derive(Debug, Default)]
pub struct Counter(pub AtomicU64);

impl Handler for Counter {
    fn reads_bodies(&self) -> bool {
        false
    }

    fn message(&self, _sender: &str, _recipients: &[String], _body: &[u8]) -> (&'static str, Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
        ("250 2.0.0 taken", Duration::ZERO)
    }
}

/// What our own client saw.
#[derive(Debug)]
pub struct Times {
    pub took: Duration,
    pub accepted: usize,
    sorted: Vec<Duration>,
}

impl Times {
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.sorted.len() * percent / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(at).copied().unwrap_or_default()
    }
}

/// What our own client sends: always the same.
#[derive(Debug)]
pub struct Mail {
    envelope: Vec<u8>,
    /// With its final dot.
    text: Vec<u8>,
}

impl Mail {
    /// 5 KB of text.
    pub fn of(sender: &str, recipient: &str) -> Self {
        let mut dice = Dice::new(1);
        let mut text = format!(
            "From: {sender}\r\nTo: {recipient}\r\nSubject: load\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\
             Message-ID: <load@sender.example>\r\n\r\n"
        )
        .into_bytes();
        while text.len() < 5_200 {
            text.extend_from_slice(
                format!("{:016x} at the checkpoint {:016x} papers, please\r\n", dice.next(), dice.next()).as_bytes(),
            );
        }
        text.extend_from_slice(b".\r\n");
        let envelope = format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n").into_bytes();
        Self { envelope, text }
    }
}

/// Our own client: pipelined envelope, each connection kept; the time of a message is from MAIL to the last reply.
pub fn own_client(runtime: &Handle, target: SocketAddr, mail: Mail, messages: usize, connections: usize) -> Times {
    let mail = Arc::new(mail);
    let left = Arc::new(AtomicU64::new(messages as u64));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (left, mail) = (Arc::clone(&left), Arc::clone(&mail));
            runtime.spawn(async move {
                let mut times = Vec::new();
                let _ = connection(target, &left, &mail, &mut times).await;
                times
            })
        })
        .collect();
    let mut sorted: Vec<Duration> = Vec::with_capacity(messages);
    for task in tasks {
        sorted.extend(runtime.block_on(task).unwrap_or_default());
    }
    let took = begun.elapsed();
    sorted.sort_unstable();
    Times { took, accepted: sorted.len(), sorted }
}

async fn connection(target: SocketAddr, left: &AtomicU64, mail: &Mail, times: &mut Vec<Duration>) -> io::Result<()> {
    let mut wire = Wire::new(TcpStream::connect(target).await?, Duration::from_mins(2));
    wire.reply().await?;
    wire.write(b"EHLO load.example\r\n").await?;
    wire.reply().await?;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let begun = Instant::now();
        wire.write(&mail.envelope).await?;
        for _ in 0..3 {
            let (code, reply) = wire.reply().await?;
            if code >= 400 {
                return Err(io::Error::other(reply));
            }
        }
        wire.write(&mail.text).await?;
        if wire.reply().await?.0 == 250 {
            times.push(begun.elapsed());
        }
    }
    wire.write(b"QUIT\r\n").await
}
