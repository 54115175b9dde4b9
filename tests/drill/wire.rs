//! The few lines of SMTP that a raw client and a raw sink share: a buffered reader that yields lines, replies and bodies.
//!
//! It is deliberately not the product's own parser: an oracle that shares code with what it judges proves nothing.
//!
//! **Failure**: end of stream and time-outs come back as `io::Error`; the caller decides what they mean for its ledger.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with what was read ahead.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
    patience: Duration,
}

impl Wire {
    /// Every single read may take `patience`.
    pub fn new(stream: TcpStream, patience: Duration) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: BytesMut::with_capacity(16 * 1024), patience }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all(&mut self.stream, bytes, self.patience).await
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(16 * 1024);
        match read_some(&mut self.stream, &mut self.buffer, self.patience).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Anything read ahead that is not consumed yet?
    pub fn read_ahead(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// One line without its CRLF.
    pub async fn line(&mut self) -> io::Result<BytesMut> {
        let mut from = 0;
        loop {
            if let Some(at) = find_byte(&self.buffer[from..], b'\n') {
                let mut line = self.buffer.split_to(from + at + 1);
                line.truncate(line.len() - 1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(line);
            }
            from = self.buffer.len();
            self.fill().await?;
        }
    }

    /// One whole reply: its code and all its lines.
    pub async fn reply(&mut self) -> io::Result<(u16, String)> {
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            text.push_str(&String::from_utf8_lossy(&line));
            let code = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|s| s.parse().ok());
            let Some(code) = code else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("no reply line: {text:?}")));
            };
            if line.get(3) != Some(&b'-') {
                return Ok((code, text));
            }
            text.push('\n');
        }
    }

    /// Exactly `length` bytes (a BDAT chunk).
    pub async fn exactly(&mut self, length: usize) -> io::Result<BytesMut> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length))
    }

    /// A DATA body up to and without its final dot line; stuffed dots are still in it.
    pub async fn body(&mut self) -> io::Result<BytesMut> {
        let mut from = 0;
        loop {
            if self.buffer.len() >= 3 && self.buffer.starts_with(b".\r\n") {
                self.buffer.advance(3);
                return Ok(BytesMut::new());
            }
            if let Some(at) = find_end(&self.buffer[from..]) {
                let body = self.buffer.split_to(from + at + 2);
                self.buffer.advance(3);
                return Ok(body);
            }
            from = self.buffer.len().saturating_sub(4);
            self.fill().await?;
        }
    }
}

async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    patience: Duration,
) -> io::Result<usize> {
    tokio::time::timeout(patience, stream.read_buf(buffer))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn write_all<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], patience: Duration) -> io::Result<()> {
    tokio::time::timeout(patience, stream.write_all(bytes))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn find_byte(haystack: &[u8], needle: u8) -> Option<usize> {
    haystack.iter().position(|byte| *byte == needle)
}

/// Where `CRLF . CRLF` begins. Only dots are looked at closely: most bodies have few.
fn find_end(haystack: &[u8]) -> Option<usize> {
    let mut from = 2;
    while let Some(at) = haystack.get(from..).and_then(|rest| find_byte(rest, b'.')) {
        let dot = from + at;
        if haystack.get(dot - 2..dot) == Some(b"\r\n") && haystack.get(dot + 1..dot + 3) == Some(b"\r\n") {
            return Some(dot - 2);
        }
        from = dot + 1;
    }
    None
}

/// Doubles a dot at the start of a line and ends the message; `message` ends in CRLF.
pub fn stuff(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// Takes stuffed dots away again.
pub fn unstuff(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    out
}

/// What stands between the angle brackets of MAIL or RCPT.
pub fn path_of(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let from = text.find('<').map_or(0, |at| at + 1);
    let to = text.rfind('>').unwrap_or(text.len());
    text.get(from..to).unwrap_or_default().to_owned()
}
