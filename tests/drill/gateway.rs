//! The real gateway as a child process: settings, `apply`, `serve`, readiness, metrics, SIGKILL.
//!
//! Nothing of the product's code is called here; everything goes through the settings contract, the sockets and `/proc`.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// What one gateway is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    pub program: PathBuf,
    pub dir: PathBuf,
    pub inbound: SocketAddr,
    pub outbound: SocketAddr,
    pub observe: SocketAddr,
    /// More lines of the node, before all tables.
    pub node: String,
    /// More lines of the two listeners' tables.
    pub listener: String,
    /// More lines of the inbound listener's table.
    pub inbound_listener: String,
    /// More tables of `sekisho.toml`.
    pub settings: String,
    /// The tables of rates and bulk: off unless a run is about them.
    pub limits: String,
    /// `tenants.toml`.
    pub tenants: String,
    /// For every start.
    pub environment: Vec<(String, String)>,
    /// Put in front of the command (to enter a control group, to raise a limit).
    pub wrapper: Vec<String>,
}

/// One client sends everything, and most of it is the same.
const OFF: &str = "[rates]\nper_client = \"off\"\nper_recipient = \"off\"\noutbound_client = \"off\"\n\
                   outbound_sender = \"off\"\n[bulk]\nsender = \"off\"\ntext = \"off\"\n";

impl Plan {
    pub fn new(program: &Path, dir: &Path, tenants: String) -> Self {
        Self {
            program: program.to_owned(),
            dir: dir.to_owned(),
            inbound: free_address(),
            outbound: free_address(),
            observe: free_address(),
            node: String::new(),
            listener: String::new(),
            inbound_listener: String::new(),
            settings: String::new(),
            limits: OFF.to_owned(),
            tenants,
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    pub fn settings_file(&self) -> PathBuf {
        self.dir.join("sekisho.toml")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("var")
    }

    pub fn spool_dir(&self) -> PathBuf {
        self.data_dir().join("spool")
    }

    /// Writes both files.
    pub fn write(&self) -> io::Result<()> {
        let mut text = String::new();
        let _ = write!(
            text,
            "hostname = \"mx.gateway.example\"\ndata_dir = {:?}\n{}\n\
             [[listener]]\nname = \"mx\"\ndirection = \"inbound\"\nbind = \"{}\"\n{}\n{}\n\
             [[listener]]\nname = \"relay\"\ndirection = \"outbound\"\nbind = \"{}\"\n{}\n\
             [observe]\nbind = \"{}\"\n\n[dns]\nservers = [\"{}\"]\n\n\
             {}\n{}\n",
            self.data_dir(),
            self.node,
            self.inbound,
            self.listener,
            self.inbound_listener,
            self.outbound,
            self.listener,
            self.observe,
            crate::nowhere::address(),
            self.limits,
            self.settings,
        );
        std::fs::create_dir_all(self.data_dir())?;
        std::fs::write(self.settings_file(), text)?;
        std::fs::write(self.dir.join("tenants.toml"), &self.tenants)
    }

    /// `sekisho apply`; how long it took.
    pub fn apply(&self) -> io::Result<Duration> {
        let begun = Instant::now();
        let tenants = self.dir.join("tenants.toml");
        self.sekisho(&["apply", &tenants.to_string_lossy()]).map(|()| begun.elapsed())
    }

    /// Any other command of the program, to its end.
    pub fn sekisho(&self, words: &[&str]) -> io::Result<()> {
        let output = Command::new(&self.program).arg("--config").arg(self.settings_file()).args(words).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{words:?} failed ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )))
    }

    /// `sekisho serve`, its output appended to `serve.log`.
    pub fn serve(&self, more: &[(&str, String)]) -> io::Result<Gateway> {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("serve.log"))?;
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        command
            .arg("--config")
            .arg(self.settings_file())
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .envs(self.environment.iter().cloned())
            .envs(more.iter().map(|(name, value)| (*name, value.as_str())))
            .process_group(0);
        Ok(Gateway { child: command.spawn()?, observe: self.observe, inbound: self.inbound, started: Instant::now() })
    }

    /// The end of `serve.log`, for messages.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.dir.join("serve.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }
}

/// A gateway that runs; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    pub child: Child,
    observe: SocketAddr,
    inbound: SocketAddr,
    started: Instant,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Gateway {
    /// SIGKILL, and wait until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and wait until it has drained.
    pub fn terminate(&mut self, patience: Duration) -> Option<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok()?;
        self.gone(patience)
    }

    /// Waits until the process has ended by itself.
    pub fn gone(&mut self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                _ if Instant::now() >= end => return None,
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Waits until `/readyz` says 200 and the inbound listener takes connections; the time since the start.
    pub fn ready(&mut self, patience: Duration) -> Result<Duration, String> {
        let end = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the gateway ended while starting: {status}"));
            }
            if matches!(self.get("/readyz"), Ok((200, _))) && TcpStream::connect(self.inbound).is_ok() {
                return Ok(self.started.elapsed());
            }
            if Instant::now() >= end {
                return Err(format!("not ready within {patience:?}: /readyz says {:?}", self.get("/readyz")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A plain HTTP GET at the observe listener.
    pub fn get(&self, path: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.observe, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let code = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        Ok((code, text))
    }

    /// The sum of a metric over its labels; `None` if it is not there or nobody answers.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").ok()?;
        sum_of(&text, name)
    }
}

/// The sum of a metric over its labels in an exposition.
pub fn sum_of(text: &str, name: &str) -> Option<f64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        if rest.starts_with(' ') || rest.starts_with('{') {
            let value: f64 = rest.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
            *sum.get_or_insert(0.0) += value;
        }
    }
    sum
}

/// A loopback address nobody listens at. Below the range the kernel takes source ports from: while the gateway is dead,
/// nobody may sit on its port by accident.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 600).unwrap_or(0) * 20;
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + (start + step) % 12_000));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
