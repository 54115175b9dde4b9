//! The golden talks once more, over a real TCP connection: a thread drives the session with the scripted answers, a raw
//! client speaks. `tls` and `(tls)` are real handshakes.

use std::io::{ErrorKind, Read, Result as IoResult, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, Stream};

use super::golden::{Script, begin, check_bodies};
use super::talk::{Say, Talk};
use super::transcript::{Exchange, Transcript};
use super::wire::{Aside, PATIENCE, speak};
use crate::support::Client;
use crate::support::loopback::fresh_ip;
use crate::support::tls::Identity;
use sekisho::smtp::Question;

/// The server's end of the connection.
struct Wire {
    stream: TcpStream,
    tls: Option<ServerConnection>,
}

impl Wire {
    fn new(stream: TcpStream) -> IoResult<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, tls: None })
    }

    /// The handshake happens at the next read or write.
    fn start_tls(&mut self, config: &Arc<ServerConfig>) {
        self.tls = Some(ServerConnection::new(Arc::clone(config)).unwrap());
    }

    fn read(&mut self, octets: &mut [u8]) -> IoResult<usize> {
        match &mut self.tls {
            None => self.stream.read(octets),
            Some(tls) => Stream::new(tls, &mut self.stream).read(octets),
        }
    }

    fn write(&mut self, octets: &[u8]) -> IoResult<()> {
        match &mut self.tls {
            None => self.stream.write_all(octets),
            Some(tls) => {
                let mut stream = Stream::new(tls, &mut self.stream);
                stream.write_all(octets)?;
                stream.flush()
            }
        }
    }

    /// Closes, and takes in what the client still says, so that no reset overtakes the last reply.
    fn close(mut self) -> IoResult<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut self.stream)?;
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        let mut rest = [0; 4096];
        while self.stream.read(&mut rest)? > 0 {}
        Ok(())
    }
}

/// Drives the session until it closes.
fn serve(
    mut talk: Talk<impl FnMut(&Question) -> Say>,
    mut wire: Wire,
    tls: &Arc<ServerConfig>,
    heard: &Mutex<Vec<u8>>,
) -> IoResult<()> {
    let mut octets = vec![0; 64 << 10];
    loop {
        // Before the reply goes out: who has read it may ask.
        heard.lock().unwrap().extend(talk.messages.drain(..).flat_map(|message| message.body));
        wire.write(&talk.said())?;
        if talk.closed.is_some() {
            return wire.close();
        }
        if std::mem::take(&mut talk.tls_wanted) {
            wire.start_tls(tls);
            talk.session.tls_established();
        }
        match wire.read(&mut octets)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => talk.send(&octets[..read]),
        }
    }
}

/// The embedder's part, told to the client.
struct Embedder<'a> {
    script: Script,
    heard: &'a Mutex<Vec<u8>>,
}

impl Aside for Embedder<'_> {
    fn before(&mut self, exchange: &Exchange) {
        self.script.extend(exchange);
    }

    fn after(&mut self, exchange: &Exchange) -> Result<(), String> {
        self.script.check_used()?;
        check_bodies(exchange, &std::mem::take(&mut *self.heard.lock().unwrap()))
    }
}

fn run(transcript: &Transcript, cut: usize, tls: &Arc<ServerConfig>) -> Result<(), String> {
    let listener = TcpListener::bind((fresh_ip(), 0)).unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap());
    let (stream, _) = listener.accept().unwrap();
    let (script, heard) = (Script::default(), Mutex::default());
    let mut embedder = Embedder { script: script.clone(), heard: &heard };
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut wire = Wire::new(stream)?;
            if transcript.has("tls") {
                wire.start_tls(tls);
            }
            serve(begin(transcript, script), wire, tls, &heard)
        });
        let spoken = speak(transcript, &mut client, cut, &mut embedder);
        drop(client);
        let served = server.join().map_err(|_| format!("{}: the server panicked", transcript.name))?;
        spoken.and(served.map_err(|error| format!("{}: the server: {error}", transcript.name)))
    })
}

fn tls() -> Arc<ServerConfig> {
    let directory = tempfile::tempdir().unwrap();
    Identity::create(directory.path(), "mx.gateway.example").server_config()
}

#[test]
fn every_talk_goes_as_written_over_a_socket() {
    let (tls, transcripts) = (tls(), Transcript::load_all());
    let mut wrong = Vec::new();
    for transcript in &transcripts {
        wrong.extend(run(transcript, usize::MAX, &tls).err());
        // "whole": the talk is about octets that come too early in one segment
        if !transcript.has("whole") {
            wrong.extend(run(transcript, 1, &tls).err().map(|error| format!("{error}\n(octet by octet)")));
        }
    }
    println!("{} talks went over a socket", transcripts.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_wrong_talk_is_noticed_over_a_socket() {
    const GREETED: &str = "S: 220 mx.gateway.example ESMTP\nC: NOOP\n";
    let tls = tls();
    for (text, complaint) in [
        ("S: 220 other", "got \"220 mx.gateway.example ESMTP\""),
        (&format!("{GREETED}S: 250 2.0.0 no"), "got \"250 2.0.0 ok\""),
        (&format!("{GREETED}C: NOOP\nS: 250 2.0.0 ok"), "wanted \"221 2.0.0 bye\", got \"250 2.0.0 ok\""),
        (&format!("{GREETED}C: QUIT\nS: 250 2.0.0 ok\nS: 221 2.0.0 bye"), "wanted \"221 2.0.0 bye\""),
        (&format!("{GREETED}?: rcpt accept\nS: 250 2.0.0 ok"), "never asked"),
        (&format!("{GREETED}C: NOOP\nS: 250 2.0.0 ok\n(closed)"), "a line instead of the close"),
    ] {
        let error = run(&Transcript::parse("wrong", text).unwrap(), usize::MAX, &tls).unwrap_err();
        assert!(error.contains(complaint), "{text}: {error}");
    }
}
