//! Scanners that say what a test tells them: clamd, an ICAP service, rspamd, spamd. Each on a loopback address of its own.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{find, loopback};

/// What every fake takes for a virus. No virus scanner does.
pub const VIRUS: &str = "A-VIRUS-FOR-TESTS";

/// One fake; its messages are kept.
#[derive(Debug)]
pub struct FakeScanner {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What came, and what to say to it.
type Said = (Vec<u8>, Vec<u8>);
type Serve = dyn Fn(&mut TcpStream) -> Option<Said> + Send + Sync;

impl FakeScanner {
    /// `serve` talks over one connection, and returns the message, if it got one, with the last answer to it: a message is
    /// seen before its sender has the answer.
    pub fn start(serve: impl Fn(&mut TcpStream) -> Option<Said> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((loopback::fresh_ip(), 0)).expect("a place for a fake scanner");
        let address = listener.local_addr().expect("its address");
        let (seen, stopped) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::<AtomicBool>::default());
        let serve: Arc<Serve> = Arc::new(serve);
        let (of_thread, stop) = (Arc::clone(&seen), Arc::clone(&stopped));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { return };
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&of_thread));
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    if let Some((message, answer)) = serve(&mut stream) {
                        seen.lock().unwrap().push(message);
                        let _ = stream.write_all(&answer);
                    }
                });
            }
        });
        Self { address, seen, stopped, accepting: Some(accepting) }
    }

    /// Accepts and says nothing until the client goes.
    pub fn silent() -> Self {
        Self::start(|stream| {
            let _ = stream.read_to_end(&mut Vec::new());
            None
        })
    }

    /// Reads nothing, says this and closes.
    pub fn rude(answer: &'static [u8]) -> Self {
        Self::start(move |stream| {
            let _ = stream.write_all(answer);
            None
        })
    }

    /// Whole messages that came, in the order of their ends.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }

    pub fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// A clamd that finds [`VIRUS`].
    pub fn clamd() -> Self {
        Self::clamd_saying(|message| match find(message, VIRUS.as_bytes()) {
            Some(_) => "stream: Test.Virus FOUND\0".into(),
            None => "stream: OK\0".into(),
        })
    }

    pub fn clamd_saying(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().ok()?);
            let mut command = Vec::new();
            reader.read_until(0, &mut command).ok()?;
            assert_eq!(command, b"zINSTREAM\0");
            let mut message = Vec::new();
            loop {
                let mut length = [0; 4];
                reader.read_exact(&mut length).ok()?;
                let length = u32::from_be_bytes(length) as usize;
                if length == 0 {
                    break;
                }
                let start = message.len();
                message.resize(start + length, 0);
                reader.read_exact(&mut message[start..]).ok()?;
            }
            let answer = answer(&message);
            Some((message, answer))
        })
    }

    /// A clamd that says this after the first octets of the stream, and closes.
    pub fn hasty_clamd(answer: &'static [u8]) -> Self {
        Self::start(move |stream| {
            stream.read_exact(&mut [0; 64]).ok()?;
            let _ = stream.write_all(answer);
            None
        })
    }

    /// An rspamd that answers with this status and body.
    pub fn rspamd(status: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |stream| {
            let (head, message) = http(stream)?;
            assert!(head.starts_with("POST /checkv2 HTTP/1.1\r\n"), "{head}");
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            Some(([head.into_bytes(), message].concat(), answer.into_bytes()))
        })
    }

    /// A spamd that answers with this.
    pub fn spamd(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).ok()?;
            Some((all, answer.clone().into_bytes()))
        })
    }

    /// An ICAP service: `options` are the fields of its answer to OPTIONS, `answer` what it says to a whole message.
    pub fn icap(options: &'static str, answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().ok()?);
            let head = head(&mut reader)?;
            if head.starts_with("OPTIONS ") {
                let _ = write!(stream, "ICAP/1.0 200 OK\r\n{options}Encapsulated: null-body=0\r\n\r\n");
                return None;
            }
            assert!(head.starts_with("RESPMOD icap://"), "{head}");
            assert_eq!(head.contains("\r\nAllow: 204\r\n"), options.contains("Allow: 204"), "only if offered");
            let asked = self::head(&mut reader)?;
            let given = self::head(&mut reader)?;
            let offsets =
                format!("Encapsulated: req-hdr=0, res-hdr={}, res-body={}\r\n", asked.len(), asked.len() + given.len());
            assert!(head.contains(&offsets), "{head}");
            let (mut message, ended) = chunks(&mut reader)?;
            if head.contains("\r\nPreview: ") && !ended {
                stream.write_all(b"ICAP/1.0 100 Continue\r\n\r\n").ok()?;
                message.extend(chunks(&mut reader)?.0);
            }
            let answer = answer(&message);
            Some((message, answer))
        })
    }
}

fn head(reader: &mut impl std::io::BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// The chunks up to an empty one; whether it said that there is no more.
fn chunks(reader: &mut impl std::io::BufRead) -> Option<(Vec<u8>, bool)> {
    let mut all = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim().split(';').next()?.trim(), 16).ok()?;
        let mut data = vec![0; size + 2];
        reader.read_exact(&mut data).ok()?;
        assert_eq!(&data[size..], b"\r\n");
        all.extend_from_slice(&data[..size]);
        if size == 0 {
            return Some((all, line.contains("ieof")));
        }
    }
}

fn http(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let head = head(&mut reader)?;
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

impl Drop for FakeScanner {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
