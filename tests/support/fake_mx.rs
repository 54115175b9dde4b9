//! A scripted next hop. Strict by default; lenient ones take any dot between any line ends for the end of data, as the
//! servers do that smuggling works on. Whatever a gateway must never send is a violation, and fails the test.

use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::{eventually_some, loopback, mx_session};

/// What a script says to a connection, a command or a message.
#[derive(Debug, Clone)]
pub enum Answer {
    Accept,
    /// A whole reply line, `450 4.7.1 come back later`; lines joined by LF make a multi-line reply.
    Reply(String),
    /// The usual answer, said twice: everything behind it answers the question before.
    Twice,
    /// FIN without a word.
    Close,
    /// RST without a word.
    Reset,
    /// The usual answer, once the gate is open.
    Wait(Gate),
}

impl Answer {
    pub fn reply(text: &str) -> Self {
        Self::Reply(text.to_owned())
    }
}

/// Holds an answer back until the test opens it. Stopping the fake opens it too.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    waiting: usize,
}

impl Gate {
    pub fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// How many answers hang at the gate now.
    pub fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().waiting
    }

    pub(super) fn pass(&self, stopped: &AtomicBool) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        while !state.open && !stopped.load(Ordering::SeqCst) {
            state = self.0.1.wait_timeout(state, Duration::from_millis(20)).unwrap().0;
        }
        state.waiting -= 1;
    }
}

/// A command a script decides about.
#[derive(Debug, Clone)]
pub struct Command {
    /// What stands between the angle brackets (MAIL, RCPT); for DATA and the end of data, empty.
    pub address: String,
    /// What follows the angle brackets.
    pub params: String,
    /// How often this was asked, from 1: per recipient address for RCPT, else over the whole fake.
    pub nth: usize,
    /// The connection's number, from 1.
    pub connection: usize,
}

/// One message whose end of data came.
#[derive(Debug, Clone)]
pub struct Received {
    pub connection: usize,
    /// Where it came from.
    #[allow(dead_code, reason = "not every test program asks")]
    pub client: Option<IpAddr>,
    pub at: Instant,
    pub helo: String,
    pub tls: bool,
    pub bdat: bool,
    pub from: String,
    pub from_params: String,
    /// Address and parameters.
    pub to: Vec<(String, String)>,
    /// The message without dot-stuffing; empty where only hashes are kept.
    pub message: Vec<u8>,
    /// SHA-256 of what follows the header block.
    pub body_hash: String,
    /// Whether it was answered 250.
    pub accepted: bool,
}

impl Received {
    pub fn recipients(&self) -> Vec<&str> {
        self.to.iter().map(|(address, _)| address.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }

    pub fn headers(&self) -> String {
        let end = super::find(&self.message, b"\r\n\r\n").map_or(self.message.len(), |at| at + 2);
        String::from_utf8_lossy(&self.message[..end]).into_owned()
    }

    /// The unfolded value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<String> {
        let unfolded = self.headers().replace("\r\n ", " ").replace("\r\n\t", " ");
        unfolded.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    pub fn body(&self) -> &[u8] {
        super::body_of(&self.message)
    }
}

type Hook = Arc<dyn Fn(&Command) -> Answer + Send + Sync>;

/// What the fake says; cloned into every connection.
#[derive(Clone)]
pub struct Script {
    pub(super) lenient: bool,
    pub(super) hashes_only: bool,
    pub(super) capabilities: Vec<String>,
    pub(super) helo_only: bool,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) starttls_injection: bool,
    pub(super) broken_tls: bool,
    pub(super) connect: Hook,
    pub(super) mail: Hook,
    pub(super) rcpt: Hook,
    pub(super) data: Hook,
    pub(super) dot: Hook,
}

/// Everything the fake saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) received: Mutex<Vec<Received>>,
    pub(super) commands: Mutex<Vec<String>>,
    pub(super) violations: Mutex<Vec<String>>,
    pub(super) rcpt_counts: Mutex<std::collections::HashMap<String, usize>>,
    pub(super) connections: AtomicUsize,
    pub(super) open: AtomicUsize,
    pub(super) most_open: AtomicUsize,
    pub(super) mails: AtomicUsize,
    pub(super) datas: AtomicUsize,
    pub(super) dots: AtomicUsize,
    pub(super) stopped: AtomicBool,
}

/// The socket is held weakly: the session closes it.
type Connection = (Weak<TcpStream>, JoinHandle<()>);

#[derive(Default)]
struct Running {
    accepting: Option<JoinHandle<()>>,
    sessions: Arc<Mutex<Vec<Connection>>>,
}

pub struct FakeMx {
    address: SocketAddr,
    script: Script,
    seen: Arc<Seen>,
    running: Mutex<Running>,
}

/// Builds a [`FakeMx`].
pub struct FakeMxBuilder {
    script: Script,
    ip: Option<IpAddr>,
    port: u16,
}

impl FakeMx {
    pub fn builder() -> FakeMxBuilder {
        let accept: Hook = Arc::new(|_| Answer::Accept);
        let capabilities =
            ["PIPELINING", "SIZE 100000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN"];
        FakeMxBuilder {
            script: Script {
                lenient: false,
                hashes_only: false,
                capabilities: capabilities.map(str::to_owned).to_vec(),
                helo_only: false,
                tls: None,
                starttls_injection: false,
                broken_tls: false,
                connect: Arc::clone(&accept),
                mail: Arc::clone(&accept),
                rcpt: Arc::clone(&accept),
                data: Arc::clone(&accept),
                dot: accept,
            },
            ip: None,
            port: 0,
        }
    }

    /// Accepts everything, minds every rule.
    pub fn start() -> Self {
        Self::builder().start()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Messages answered with 250, in the order of their end of data.
    pub fn accepted(&self) -> Vec<Received> {
        self.seen.received.lock().unwrap().iter().filter(|message| message.accepted).cloned().collect()
    }

    /// Messages whose end of data came, whatever was answered.
    pub fn seen(&self) -> Vec<Received> {
        self.seen.received.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.received.lock().unwrap().iter().filter(|message| message.accepted).count()
    }

    /// Every command line, as it came.
    pub fn commands(&self) -> Vec<String> {
        self.seen.commands.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }

    /// Waits for `n` accepted messages; more than `n` is a failure.
    #[track_caller]
    pub fn wait(&self, n: usize) -> Vec<Received> {
        let what = format!("{n} messages at {}", self.address);
        eventually_some(&what, || (self.count() >= n).then_some(()));
        let accepted = self.accepted();
        assert_eq!(accepted.len(), n, "more messages than sent");
        accepted
    }

    #[track_caller]
    pub fn wait_for_at_least(&self, n: usize) -> Vec<Received> {
        let what = format!("{n} messages at {}", self.address);
        eventually_some(&what, || (self.count() >= n).then(|| self.accepted()))
    }

    /// Waits for one message and returns it.
    #[track_caller]
    pub fn one(&self) -> Received {
        self.wait(1).remove(0)
    }

    /// The violations so far, which fail nothing any more.
    pub fn forgive(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.violations.lock().unwrap())
    }

    /// Connections are refused from here on; those there are get cut.
    pub fn go_down(&self) {
        self.seen.stopped.store(true, Ordering::SeqCst);
        let mut running = self.running.lock().unwrap();
        if let Some(accepting) = running.accepting.take() {
            let _ = TcpStream::connect(self.address);
            accepting.join().expect("the accepting thread of the fake");
        }
        let sessions = std::mem::take(&mut *running.sessions.lock().unwrap());
        let mut panicked = false;
        for (stream, thread) in sessions {
            if let Some(stream) = stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            panicked |= thread.join().is_err();
        }
        assert!(!panicked || std::thread::panicking(), "a fake next hop panicked");
    }

    /// Listens (again) on the same address.
    pub fn come_up(&self) {
        self.seen.stopped.store(false, Ordering::SeqCst);
        let listener = eventually_some("the fake's address again", || TcpListener::bind(self.address).ok());
        self.listen(listener);
    }

    fn listen(&self, listener: TcpListener) {
        let (script, seen) = (self.script.clone(), Arc::clone(&self.seen));
        let mut running = self.running.lock().unwrap();
        let sessions = Arc::clone(&running.sessions);
        let accept = move || {
            for stream in listener.incoming() {
                if seen.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let number = seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most_open.fetch_max(open, Ordering::SeqCst);
                // Replies go out one by one: without this, Nagle and a delayed ACK make 40 ms of three of them.
                stream.set_nodelay(true).expect("no delay");
                let stream = Arc::new(stream);
                let control = Arc::downgrade(&stream);
                let (script, seen) = (script.clone(), Arc::clone(&seen));
                let thread =
                    std::thread::spawn(move || mx_session::serve(mx_session::Socket(stream), number, &script, &seen));
                sessions.lock().unwrap().push((control, thread));
            }
        };
        running.accepting = Some(std::thread::spawn(accept));
    }
}

impl Drop for FakeMx {
    fn drop(&mut self) {
        self.go_down();
        let violations = self.seen.violations.lock().unwrap();
        if std::thread::panicking() {
            let commands = self.seen.commands.lock().unwrap();
            let tail = commands.iter().rev().take(40).rev();
            eprintln!("--- fake next hop {}: {} messages; last commands:", self.address, self.count());
            tail.for_each(|line| eprintln!("    {}", line.escape_debug()));
            violations.iter().for_each(|violation| eprintln!("    VIOLATION {violation}"));
        } else {
            assert!(violations.is_empty(), "the gateway broke the protocol at {}: {violations:#?}", self.address);
        }
    }
}

impl FakeMxBuilder {
    /// Takes LF.LF, CR.CR and their like for the end of data.
    pub fn lenient(mut self) -> Self {
        self.script.lenient = true;
        self
    }

    /// Keeps hashes, not messages: for many.
    pub fn hashes_only(mut self) -> Self {
        self.script.hashes_only = true;
        self
    }

    /// Exactly these EHLO keywords.
    pub fn capabilities(mut self, keywords: &[&str]) -> Self {
        self.script.capabilities = keywords.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Knows only HELO.
    pub fn helo_only(mut self) -> Self {
        self.script.helo_only = true;
        self
    }

    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.script.tls = Some(config);
        self
    }

    /// Sends a forged EHLO reply in the same segment as the 220 of STARTTLS.
    pub fn starttls_injection(mut self) -> Self {
        self.script.starttls_injection = true;
        self
    }

    /// Offers STARTTLS, says 220, and speaks no TLS.
    pub fn broken_tls(mut self) -> Self {
        self.script.broken_tls = true;
        self.script.capabilities.push("STARTTLS".to_owned());
        self
    }

    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub fn on_connect(mut self, hook: impl Fn(&Command) -> Answer + Send + Sync + 'static) -> Self {
        self.script.connect = Arc::new(hook);
        self
    }

    pub fn on_mail(mut self, hook: impl Fn(&Command) -> Answer + Send + Sync + 'static) -> Self {
        self.script.mail = Arc::new(hook);
        self
    }

    pub fn on_rcpt(mut self, hook: impl Fn(&Command) -> Answer + Send + Sync + 'static) -> Self {
        self.script.rcpt = Arc::new(hook);
        self
    }

    pub fn on_data(mut self, hook: impl Fn(&Command) -> Answer + Send + Sync + 'static) -> Self {
        self.script.data = Arc::new(hook);
        self
    }

    /// Decides about the end of data, of DATA and of BDAT LAST alike.
    pub fn on_dot(mut self, hook: impl Fn(&Command) -> Answer + Send + Sync + 'static) -> Self {
        self.script.dot = Arc::new(hook);
        self
    }

    /// One recipient is refused with this reply, always.
    pub fn refusing(self, address: &str, reply: &str) -> Self {
        let (address, reply) = (address.to_owned(), reply.to_owned());
        self.on_rcpt(move |rcpt| if rcpt.address == address { Answer::Reply(reply.clone()) } else { Answer::Accept })
    }

    /// Every recipient is refused with 450 the first time.
    pub fn greylisting(self) -> Self {
        self.on_rcpt(|rcpt| if rcpt.nth == 1 { Answer::reply("450 4.7.1 greylisted") } else { Answer::Accept })
    }

    pub fn start(self) -> FakeMx {
        let ip = self.ip.unwrap_or_else(loopback::fresh_ip);
        let listener = TcpListener::bind((ip, self.port)).expect("bind the fake next hop");
        let address = listener.local_addr().expect("its address");
        let fake = FakeMx { address, script: self.script, seen: Arc::default(), running: Mutex::default() };
        fake.listen(listener);
        fake
    }

    /// A fake whose address refuses connections until [`FakeMx::come_up`].
    pub fn start_down(self) -> FakeMx {
        let fake = self.start();
        fake.go_down();
        fake
    }
}
