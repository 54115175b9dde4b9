//! A raw-byte SMTP client: it sends exactly what the test says, and reads whole replies.
//!
//! **Failure**: an unexpected reply, a closed connection or 30 s of silence panics with the talk so far.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::tls;

/// One reply, all its lines without the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    pub fn text(&self) -> String {
        self.lines.join(" / ")
    }

    /// Whether the first line begins with this enhanced code.
    pub fn is(&self, enhanced: &str) -> bool {
        self.lines.first().is_some_and(|line| line.split(' ').next() == Some(enhanced))
    }

    /// The message's id, which the reply to its last dot ends with.
    pub fn id(&self) -> String {
        let text = self.text();
        text.rsplit(' ').next().filter(|id| id.len() == 26).unwrap_or_else(|| panic!("no id in {text:?}")).to_owned()
    }

    pub fn permanent(&self) -> bool {
        (500..600).contains(&self.code)
    }
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Between two states, while TLS takes the socket over.
    Gone,
}

#[derive(Debug)]
pub struct Client {
    wire: Wire,
    unread: Vec<u8>,
    talk: String,
}

impl Client {
    /// Connects and reads nothing.
    pub fn connect(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&to, Duration::from_secs(10)).expect("connect"))
    }

    /// Connects from a given loopback address.
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).expect("socket");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("bind the source address");
        socket.connect(&to.into()).expect("connect");
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("read time-out");
        stream.set_write_timeout(Some(Duration::from_secs(30))).expect("write time-out");
        stream.set_nodelay(true).expect("no delay");
        Self { wire: Wire::Plain(stream), unread: Vec::new(), talk: String::new() }
    }

    /// Connects and reads the greeting.
    pub fn greeted(to: SocketAddr) -> Self {
        let mut client = Self::connect(to);
        client.expect(220);
        client
    }

    /// Connects, reads the greeting, says EHLO.
    pub fn ready(to: SocketAddr) -> Self {
        let mut client = Self::greeted(to);
        client.ehlo();
        client
    }

    /// As [`Client::ready`], speaking for a client elsewhere (XCLIENT).
    pub fn ready_as(to: SocketAddr, ip: &str) -> Self {
        let mut client = Self::ready(to);
        let family = if ip.contains(':') { "IPV6:" } else { "" };
        client.command(&format!("XCLIENT ADDR={family}{ip}"), 220);
        client.ehlo();
        client
    }

    /// As [`Client::ready`], then STARTTLS and EHLO again.
    pub fn ready_tls(to: SocketAddr) -> Self {
        let mut client = Self::ready(to);
        client.starttls(&tls::client_config(None));
        client.ehlo();
        client
    }

    pub fn ehlo(&mut self) -> Reply {
        self.command("EHLO client.example", 250)
    }

    /// The server's certificate, DER.
    pub fn peer_certificate(&self) -> Vec<u8> {
        let Wire::Tls(stream) = &self.wire else { panic!("no TLS") };
        stream.conn.peer_certificates().expect("a certificate")[0].as_ref().to_vec()
    }

    pub fn set_read_timeout(&mut self, limit: Duration) {
        let stream = match &self.wire {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream.get_ref(),
            Wire::Gone => return,
        };
        stream.set_read_timeout(Some(limit)).expect("read time-out");
    }

    pub fn local_addr(&self) -> SocketAddr {
        match &self.wire {
            Wire::Plain(stream) => stream.local_addr().expect("address"),
            Wire::Tls(stream) => stream.get_ref().local_addr().expect("address"),
            Wire::Gone => panic!("the connection is gone"),
        }
    }

    /// Sends exactly these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("sending failed: {error}\n{}", self.talk));
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        let bytes = bytes.as_ref();
        let shown = &bytes[..bytes.len().min(300)];
        self.talk.push_str(&format!("C: {}\n", shown.escape_ascii()));
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Wire::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Sends one line, reads one reply.
    pub fn ask(&mut self, line: &str) -> Reply {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// [`Client::ask`] with a code that must come.
    #[track_caller]
    pub fn command(&mut self, line: &str, code: u16) -> Reply {
        self.send(format!("{line}\r\n"));
        self.expect(code)
    }

    #[track_caller]
    pub fn expect(&mut self, code: u16) -> Reply {
        let reply = self.reply();
        assert_eq!(reply.code, code, "expected {code}, not {reply:?}; the talk:\n{}", self.talk);
        reply
    }

    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Ok(Some(reply)) => reply,
            Ok(None) => panic!("the connection was closed; the talk:\n{}", self.talk),
            Err(error) => panic!("no reply: {error}; the talk:\n{}", self.talk),
        }
    }

    /// `None` when the other side closed, or reset, the connection before a whole reply.
    pub fn try_reply(&mut self) -> std::io::Result<Option<Reply>> {
        let mut lines = Vec::new();
        loop {
            let Some(line) = self.try_line()? else { return Ok(None) };
            let text = String::from_utf8_lossy(&line).into_owned();
            self.talk.push_str(&format!("S: {}\n", text.escape_debug()));
            let (code, rest) = text.split_at_checked(3).expect("a reply code");
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(Some(Reply { code: code.parse().expect("a reply code"), lines }));
            }
        }
    }

    /// One line without its CRLF; `None` as in [`Client::try_reply`].
    pub fn try_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = super::find(&self.unread, b"\r\n") {
                let mut line: Vec<u8> = self.unread.drain(..end + 2).collect();
                line.truncate(end);
                assert!(!line.contains(&b'\n') && !line.contains(&b'\r'), "a bare CR or LF in a reply");
                return Ok(Some(line));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let mut chunk = [0; 4096];
        let read = match &mut self.wire {
            Wire::Plain(stream) => stream.read(&mut chunk),
            Wire::Tls(stream) => stream.read(&mut chunk),
            Wire::Gone => Ok(0),
        };
        match read {
            Ok(n) => {
                self.unread.extend_from_slice(&chunk[..n]);
                Ok(n)
            }
            // A reset, or TLS cut off without close_notify, is an end as good as any.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Bytes that came but were not asked for: must be none.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Waits for the other side to close; returns the replies it sent before.
    #[track_caller]
    pub fn closed(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            match self.try_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => return replies,
                Err(error) => panic!("still open: {error}; the talk:\n{}", self.talk),
            }
        }
    }

    /// Whether the other side closes without one byte that reads as SMTP.
    pub fn closed_silently(&mut self) -> bool {
        while self.fill().is_ok_and(|read| read > 0) {}
        !self.unread.starts_with(b"2") && !self.unread.starts_with(b"5")
    }

    /// Sends QUIT if it still can, and reads everything up to the close: at least one reply.
    #[track_caller]
    pub fn closed_after_quit(&mut self) -> Vec<Reply> {
        let _ = self.try_send("QUIT\r\n");
        let replies = self.closed();
        assert!(!replies.is_empty(), "closed without a word; the talk:\n{}", self.talk);
        replies
    }

    pub fn starttls(&mut self, config: &Arc<ClientConfig>) {
        self.command("STARTTLS", 220);
        self.handshake(config);
    }

    /// TLS from here on (after the 220, or at once on a port with implicit TLS).
    pub fn handshake(&mut self, config: &Arc<ClientConfig>) {
        let Wire::Plain(mut stream) = std::mem::replace(&mut self.wire, Wire::Gone) else { panic!("already TLS") };
        let name = ServerName::try_from("mx.gateway.example").expect("a name");
        let mut session = ClientConnection::new(Arc::clone(config), name).expect("a TLS session");
        while session.is_handshaking() {
            session.complete_io(&mut stream).expect("the TLS handshake");
        }
        self.talk.push_str("(TLS)\n");
        self.wire = Wire::Tls(Box::new(StreamOwned::new(session, stream)));
    }

    /// MAIL and RCPTs, each of which must be accepted.
    #[track_caller]
    pub fn envelope(&mut self, from: &str, to: &[&str]) {
        self.command(&format!("MAIL FROM:<{from}>"), 250);
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>"), 250);
        }
    }

    /// DATA with dots stuffed and the end of data put after it.
    #[track_caller]
    pub fn data(&mut self, message: impl AsRef<[u8]>) -> Reply {
        self.command("DATA", 354);
        self.send(stuffed(message.as_ref()));
        self.reply()
    }

    /// DATA with exactly these bytes.
    #[track_caller]
    pub fn raw_data(&mut self, bytes: impl AsRef<[u8]>) {
        self.command("DATA", 354);
        self.send(bytes);
    }

    /// One BDAT command with its chunk.
    pub fn bdat(&mut self, chunk: impl AsRef<[u8]>, last: bool) -> Reply {
        let chunk = chunk.as_ref();
        let mut bytes = format!("BDAT {}{}\r\n", chunk.len(), if last { " LAST" } else { "" }).into_bytes();
        bytes.extend_from_slice(chunk);
        self.send(bytes);
        self.reply()
    }

    /// Asserts that nothing of a transaction is left.
    #[track_caller]
    pub fn mail_is_over(&mut self) {
        self.command("RCPT TO:<you@acme.example>", 503);
    }

    /// One whole mail that must be accepted.
    #[track_caller]
    pub fn mail(&mut self, from: &str, to: &[&str], message: impl AsRef<[u8]>) -> Reply {
        self.envelope(from, to);
        let reply = self.data(message);
        assert_eq!(reply.code, 250, "the message was refused: {reply:?}; the talk:\n{}", self.talk);
        reply
    }

    pub fn quit(mut self) {
        self.command("QUIT", 221);
    }

    /// Cuts the connection with RST, unread replies and all.
    pub fn reset(self) {
        if let Wire::Plain(stream) = &self.wire {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("linger");
        }
    }

    /// No more bytes from us; replies can still be read.
    pub fn finish_writing(&mut self) {
        if let Wire::Plain(stream) = &self.wire {
            // The other side may have closed before.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }
}

/// The message as it goes over the wire behind DATA.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    let mut at_line_start = true;
    for &byte in message {
        if at_line_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        at_line_start = byte == b'\n';
    }
    if !at_line_start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
