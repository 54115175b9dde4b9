//! One connection of a [`super::FakeMx`]: the server's side of RFC 5321, with an eye on the client's manners.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};

use super::fake_mx::{Answer, Command, Received, Script, Seen};
use super::{body_of, sha256, show};

/// The only strong handle of a connection, so that dropping it closes (or, with linger 0, resets) the socket.
#[derive(Debug, Clone)]
pub(super) struct Socket(pub(super) Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        (&*self.0).flush()
    }
}

enum Wire {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

struct Session<'a> {
    wire: Wire,
    unread: Vec<u8>,
    number: usize,
    client: Option<IpAddr>,
    script: &'a Script,
    seen: &'a Seen,
    helo: String,
    tls: bool,
    from: Option<(String, String)>,
    to: Vec<(String, String)>,
    chunks: Option<Vec<u8>>,
}

/// The connection is over, for whatever reason.
struct Over;

type Talk = Result<(), Over>;

/// From the bytes and where to look: where the message ends and what was consumed.
type EndOfData = fn(&[u8], usize) -> Option<(usize, usize)>;

pub(super) fn serve(stream: Socket, number: usize, script: &Script, seen: &Seen) {
    let client = stream.0.peer_addr().ok().map(|peer| peer.ip());
    let mut session = Session {
        client,
        wire: Wire::Plain(stream),
        unread: Vec::new(),
        number,
        script,
        seen,
        helo: String::new(),
        tls: false,
        from: None,
        to: Vec::new(),
        chunks: None,
    };
    let _ = session.run();
    seen.open.fetch_sub(1, Ordering::SeqCst);
}

impl Session<'_> {
    fn run(&mut self) -> Talk {
        let connect = self.asked("", "", self.number);
        if !self.answered(&(self.script.connect)(&connect), "220 fake.example ESMTP")? {
            return Err(Over);
        }
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line).into_owned();
            self.seen.commands.lock().unwrap().push(text.clone());
            if text.len() > 510 || text.chars().any(char::is_control) {
                self.violation(&format!("a bad command line: {}", show(&line)));
            }
            let verb = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" if self.script.helo_only => self.say("502 5.5.1 what is EHLO?")?,
                "EHLO" => self.ehlo(&text)?,
                "HELO" => {
                    self.helo = text[5.min(text.len())..].to_owned();
                    self.say("250 fake.example")?;
                }
                "STARTTLS" => self.starttls()?,
                "MAIL" => self.mail(&text)?,
                "RCPT" => self.rcpt(&text)?,
                "DATA" => self.data()?,
                "BDAT" => self.bdat(&text)?,
                "RSET" => {
                    self.reset();
                    self.say("250 2.0.0 forgotten")?;
                }
                "NOOP" => self.say("250 2.0.0 ok")?,
                "QUIT" => {
                    self.say("221 2.0.0 bye")?;
                    return Err(Over);
                }
                _ => {
                    self.violation(&format!("an unknown command: {}", show(&line)));
                    self.say("500 5.5.2 what?")?;
                }
            }
        }
    }

    fn ehlo(&mut self, text: &str) -> Talk {
        self.helo = text[5.min(text.len())..].to_owned();
        self.reset();
        let mut words = vec!["fake.example".to_owned()];
        words.extend(self.script.capabilities.iter().cloned());
        if self.script.tls.is_some() && !self.tls {
            words.push("STARTTLS".to_owned());
        }
        self.say(&format!("250 {}", words.join("\n")))
    }

    fn starttls(&mut self) -> Talk {
        if self.script.broken_tls {
            self.say("220 2.0.0 go ahead")?;
            self.say("454 4.7.0 no, rather not")?;
            return Err(Over);
        }
        let (Some(config), false) = (self.script.tls.clone(), self.tls) else {
            return self.say("502 5.5.1 no TLS here");
        };
        if !self.unread.is_empty() {
            self.violation("bytes behind STARTTLS");
        }
        let injected = if self.script.starttls_injection { "\r\n250-fake.example\r\n250 INJECTED" } else { "" };
        self.say(&format!("220 2.0.0 go ahead{injected}"))?;
        let Wire::Plain(stream) = &self.wire else { return Err(Over) };
        let mut stream = stream.clone();
        let mut tls = ServerConnection::new(config).map_err(|_| Over)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).map_err(|_| Over)?;
        }
        self.wire = Wire::Tls(Box::new(StreamOwned::new(tls, stream)));
        self.tls = true;
        self.helo.clear();
        self.reset();
        Ok(())
    }

    fn mail(&mut self, text: &str) -> Talk {
        if self.helo.is_empty() || self.from.is_some() {
            self.violation(&format!("out of order: {text}"));
            return self.say("503 5.5.1 out of order");
        }
        let (address, params) = path(text);
        let nth = self.seen.mails.fetch_add(1, Ordering::SeqCst) + 1;
        let asked = self.asked(&address, &params, nth);
        if self.answered(&(self.script.mail)(&asked), "250 2.1.0 sender ok")? {
            self.from = Some((address, params));
        }
        Ok(())
    }

    fn rcpt(&mut self, text: &str) -> Talk {
        if self.from.is_none() {
            // A pipelined RCPT behind a refused MAIL is in order (RFC 2920).
            return self.say("503 5.5.1 no MAIL");
        }
        let (address, params) = path(text);
        let nth = {
            let mut counts = self.seen.rcpt_counts.lock().unwrap();
            let count = counts.entry(address.clone()).or_default();
            *count += 1;
            *count
        };
        let asked = self.asked(&address, &params, nth);
        if self.answered(&(self.script.rcpt)(&asked), "250 2.1.5 recipient ok")? {
            self.to.push((address, params));
        }
        Ok(())
    }

    fn data(&mut self) -> Talk {
        if self.chunks.is_some() {
            self.violation("DATA amid BDAT");
        }
        if self.to.is_empty() {
            return self.say("554 5.5.1 no valid recipients");
        }
        if !self.unread.is_empty() {
            self.violation(&format!("bytes behind DATA before the 354: {}", show(&self.unread)));
        }
        let nth = self.seen.datas.fetch_add(1, Ordering::SeqCst) + 1;
        let asked = self.asked("", "", nth);
        if !self.answered(&(self.script.data)(&asked), "354 go ahead")? {
            self.reset();
            return Ok(());
        }
        let wire = if self.script.lenient { self.until(lenient_end)? } else { self.until(strict_end)? };
        self.inspect(&wire);
        self.settle(unstuffed(&wire), false)
    }

    fn bdat(&mut self, text: &str) -> Talk {
        let mut words = text.split(' ').skip(1);
        let size: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let chunk = self.take(size)?;
        if self.to.is_empty() {
            return self.say("503 5.5.1 no valid recipients");
        }
        self.chunks.get_or_insert_default().extend_from_slice(&chunk);
        if !last {
            return self.say("250 2.0.0 chunk ok");
        }
        let message = self.chunks.take().unwrap_or_default();
        self.inspect(&message);
        if !message.ends_with(b"\r\n") {
            self.violation("a BDAT message without CRLF at its end");
        }
        self.settle(message, true)
    }

    fn settle(&mut self, message: Vec<u8>, bdat: bool) -> Talk {
        let nth = self.seen.dots.fetch_add(1, Ordering::SeqCst) + 1;
        let (from, from_params) = self.from.clone().unwrap_or_default();
        let received = Received {
            connection: self.number,
            client: self.client,
            at: Instant::now(),
            helo: self.helo.clone(),
            tls: self.tls,
            bdat,
            from,
            from_params,
            to: std::mem::take(&mut self.to),
            body_hash: sha256(body_of(&message)),
            message: if self.script.hashes_only { Vec::new() } else { message },
            accepted: false,
        };
        let answer = (self.script.dot)(&self.asked("", "", nth));
        self.reset();
        let accepts = matches!(answer, Answer::Accept | Answer::Wait(_));
        // Kept before the 250 goes out: a client that has read the 250 finds the message here.
        if accepts {
            if let Answer::Wait(gate) = &answer {
                gate.pass(&self.seen.stopped);
            }
            self.seen.received.lock().unwrap().push(Received { accepted: true, ..received });
            return self.say("250 2.0.0 taken");
        }
        self.seen.received.lock().unwrap().push(received);
        self.answered(&answer, "").map(|_| ())
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
        self.chunks = None;
    }

    fn asked(&self, address: &str, params: &str, nth: usize) -> Command {
        Command { address: address.to_owned(), params: params.to_owned(), nth, connection: self.number }
    }

    /// Acts on a script's answer; true when the usual `reply` was said.
    fn answered(&mut self, answer: &Answer, reply: &str) -> Result<bool, Over> {
        match answer {
            Answer::Accept => self.say(reply).map(|()| true),
            Answer::Twice => self.say(reply).and_then(|()| self.say(reply)).map(|()| true),
            Answer::Wait(gate) => {
                gate.pass(&self.seen.stopped);
                self.say(reply).map(|()| true)
            }
            Answer::Reply(other) => {
                self.say(other)?;
                if other.starts_with("421") { Err(Over) } else { Ok(false) }
            }
            Answer::Close => Err(Over),
            Answer::Reset => {
                let stream = match &self.wire {
                    Wire::Plain(stream) => stream,
                    Wire::Tls(tls) => tls.get_ref(),
                };
                let _ = socket2::SockRef::from(&*stream.0).set_linger(Some(Duration::ZERO));
                Err(Over)
            }
        }
    }

    /// `250 a\nb` goes out as `250-a`, `250 b`; replies joined by CRLF go out in one write.
    fn say(&mut self, replies: &str) -> Talk {
        let mut wire = String::new();
        for reply in replies.split("\r\n") {
            let (code, text) = reply.split_once(' ').unwrap_or((reply, ""));
            let lines: Vec<&str> = text.split('\n').collect();
            for (index, line) in lines.iter().enumerate() {
                let separator = if index + 1 < lines.len() { '-' } else { ' ' };
                wire.push_str(&format!("{code}{separator}{line}\r\n"));
            }
        }
        let sent = match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(wire.as_bytes()),
            Wire::Tls(stream) => stream.write_all(wire.as_bytes()).and_then(|()| stream.flush()),
        };
        sent.map_err(|_| Over)
    }

    fn fill(&mut self) -> Talk {
        let mut chunk = [0; 16 * 1024];
        let read = match &mut self.wire {
            Wire::Plain(stream) => stream.read(&mut chunk),
            Wire::Tls(stream) => stream.read(&mut chunk),
        };
        match read {
            Ok(n) if n > 0 => {
                self.unread.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            _ => Err(Over),
        }
    }

    /// A line without its end. A lenient server takes a bare LF for an end of line, too.
    fn line(&mut self) -> Result<Vec<u8>, Over> {
        loop {
            if let Some(lf) = self.unread.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=lf).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                } else if !self.script.lenient {
                    self.violation(&format!("a command line with a bare LF: {}", show(&line)));
                }
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn take(&mut self, size: usize) -> Result<Vec<u8>, Over> {
        while self.unread.len() < size {
            self.fill()?;
        }
        Ok(self.unread.drain(..size).collect())
    }

    /// Everything up to an end of data, its final dot line cut off.
    fn until(&mut self, end: EndOfData) -> Result<Vec<u8>, Over> {
        let mut from = 0;
        loop {
            if let Some((keep, consumed)) = end(&self.unread, from) {
                let mut wire: Vec<u8> = self.unread.drain(..consumed).collect();
                wire.truncate(keep);
                return Ok(wire);
            }
            from = self.unread.len().saturating_sub(6);
            self.fill()?;
        }
    }

    fn inspect(&self, wire: &[u8]) {
        for line in wire.split_inclusive(|&byte| byte == b'\n') {
            let content = line.strip_suffix(b"\r\n").unwrap_or(line);
            if content.contains(&b'\n') || content.contains(&b'\r') {
                self.violation(&format!("a bare CR or LF in the message: {}", show(line)));
            }
            if content.contains(&0) {
                self.violation(&format!("a NUL in the message: {}", show(line)));
            }
            if content.len() > 999 {
                self.violation(&format!("a line of {} octets", content.len()));
            }
        }
    }

    fn violation(&self, what: &str) {
        self.seen.violations.lock().unwrap().push(what.to_owned());
    }
}

/// `MAIL FROM:<a@b> X=Y` to `a@b` and `X=Y`.
fn path(text: &str) -> (String, String) {
    let inner = text.split_once('<').map_or("", |(_, rest)| rest);
    // The last `>` before the parameters: a quoted local part may hold one.
    let mut quoted = false;
    let end = inner.char_indices().find(|&(at, c)| {
        if c == '"' && !inner[..at].ends_with('\\') {
            quoted = !quoted;
        }
        c == '>' && !quoted
    });
    let end = end.map_or(inner.len(), |(at, _)| at);
    (inner[..end].to_owned(), inner.get(end + 1..).unwrap_or_default().trim().to_owned())
}

/// CRLF.CRLF, or .CRLF at the very start. Returns where the message ends and what was consumed.
fn strict_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    if bytes.starts_with(b".\r\n") {
        return Some((0, 3));
    }
    let from = from.saturating_sub(4);
    super::find(&bytes[from..], b"\r\n.\r\n").map(|at| (from + at + 2, from + at + 5))
}

/// A dot between any two of CRLF, LF and CR.
fn lenient_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let from = from.saturating_sub(4);
    for at in from..bytes.len() {
        let starts_line = at == 0 || matches!(bytes[at - 1], b'\n' | b'\r');
        if bytes[at] != b'.' || !starts_line {
            continue;
        }
        match bytes.get(at + 1..) {
            Some([b'\r', b'\n', ..]) => return Some((at, at + 3)),
            Some([b'\n', ..]) => return Some((at, at + 2)),
            // A CR alone may be half of a CRLF still to come.
            Some([b'\r', _, ..]) => return Some((at, at + 2)),
            _ => {}
        }
    }
    None
}

fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(wire.len());
    for line in wire.split_inclusive(|&byte| byte == b'\n') {
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    out
}
