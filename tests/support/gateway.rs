//! The real binary: settings files written, started, watched, stopped and killed.
//!
//! **Failure**: whatever the gateway said on stderr is printed when its test fails.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::client::Reply;
use super::fake_dns::FakeDns;
use super::metrics::{self, Metrics};
use super::tls::Identity;
use super::wait::within;
use super::{Client, eventually, eventually_some, loopback};

/// The port of mail exchangers: not 25, which asks for privileges.
pub const MX_PORT: u16 = 2525;

#[derive(Debug)]
pub struct GatewayBuilder {
    dir: tempfile::TempDir,
    ip: IpAddr,
    sections: BTreeMap<String, Vec<String>>,
    inbound: Vec<String>,
    outbound: Vec<String>,
    tenants: String,
    dns: Option<SocketAddr>,
    env: Vec<(String, String)>,
}

impl GatewayBuilder {
    /// Adds a line to a section of the settings, `""` being the top level.
    pub fn set(mut self, section: &str, line: &str) -> Self {
        self.sections.entry(section.to_owned()).or_default().push(line.to_owned());
        self
    }

    /// Listens on this address instead of a loopback address of its own.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = ip;
        self
    }

    /// Adds a line to the inbound listener.
    pub fn inbound(mut self, line: &str) -> Self {
        self.inbound.push(line.to_owned());
        self
    }

    /// Lets tests speak for clients anywhere, by [`Gateway::client_at`].
    pub fn clients_anywhere(self) -> Self {
        self.inbound("xclient_from = [\"127.0.0.1/32\"]")
    }

    /// Adds a line to the outbound listener.
    pub fn outbound(mut self, line: &str) -> Self {
        self.outbound.push(line.to_owned());
        self
    }

    /// Adds to the tenants file.
    pub fn tenants(mut self, toml: &str) -> Self {
        self.tenants.push_str(toml);
        self.tenants.push('\n');
        self
    }

    /// The usual tenant, acme.example, with this next hop, any recipient and the local host as outbound client.
    pub fn acme(self, next_hop: SocketAddr) -> Self {
        self.tenants(&acme("queued", &[next_hop], "\"any\""))
    }

    /// Asks this name server, and meets exchanges at [`MX_PORT`].
    pub fn dns(mut self, server: SocketAddr) -> Self {
        self.dns = Some(server);
        self.set("delivery", &format!("port = {MX_PORT}")).set("delivery", "private_targets = true")
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Retries come at once, so that a test sees them.
    pub fn quick_retries(self) -> Self {
        self.set("delivery", "retry_first = \"200ms\"")
            .set("delivery", "retry_max = \"400ms\"")
            .set("delivery", "rest_first = \"200ms\"")
            .set("delivery", "rest_max = \"400ms\"")
    }

    /// A certificate of its own for STARTTLS.
    pub fn with_tls(self) -> Self {
        let identity = Identity::create(self.dir.path(), "mx.gateway.example");
        let (certificate, key) = (format!("{:?}", identity.certificate), format!("{:?}", identity.key));
        self.set("tls", &format!("certificate = {certificate}")).set("tls", &format!("key = {key}"))
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the files, starts nothing.
    pub fn build(self) -> Gateway {
        // A gateway that was given no name server has one that knows no name.
        let nowhere = self.dns.is_none().then(FakeDns::start);
        let mut gateway = Gateway {
            inbound: loopback::free_port(self.ip),
            outbound: loopback::free_port(self.ip),
            observe: loopback::free_port(self.ip),
            dir: self.dir,
            child: None,
            sections: self.sections,
            inbound_lines: self.inbound,
            outbound_lines: self.outbound,
            dns: self.dns.or(nowhere.as_ref().map(FakeDns::address)).expect("a name server"),
            _nowhere: nowhere,
            env: self.env,
        };
        std::fs::create_dir_all(gateway.data_dir().join("log")).expect("the data directory");
        gateway.write_settings();
        gateway.write_tenants(&self.tenants);
        gateway.env.retain(|(key, _)| !key.is_empty());
        gateway
    }

    /// Applies the tenants, serves, waits until ready.
    pub fn start(self) -> Gateway {
        let mut gateway = self.build();
        gateway.apply();
        gateway.serve();
        gateway
    }
}

/// A tenants file's entry for acme.example.
pub fn acme(custody: &str, next_hops: &[SocketAddr], recipients: &str) -> String {
    tenant("acme", "acme.example", custody, next_hops, recipients)
        + "[[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n"
}

/// A tenants file's entry without outbound clients. Its senders aren't judged: most tests send what is hardly mail, and much of
/// it, from one address. Tests of the judgement write `[tenant.sender]` themselves, see [`judged`].
pub fn tenant(id: &str, domain: &str, custody: &str, next_hops: &[SocketAddr], recipients: &str) -> String {
    let hops: Vec<String> = next_hops.iter().map(|hop| format!("{:?}", hop.to_string())).collect();
    format!(
        "[[tenant]]\nid = \"{id}\"\nname = \"{id} KK\"\ncustody = \"{custody}\"\n\
         [tenant.sender]\nreputation = 0\n[tenant.sender.authentication]\nfrom_invalid = \"accept\"\n\
         [[tenant.domain]]\nname = \"{domain}\"\nnext_hops = [{}]\nrecipients = {recipients}\n",
        hops.join(", ")
    )
}

/// As [`tenant`], judging senders as if nothing else were written.
#[allow(dead_code, reason = "not every test program judges senders")]
pub fn judged(id: &str, domain: &str, next_hops: &[SocketAddr], recipients: &str) -> String {
    let text = tenant(id, domain, "queued", next_hops, recipients);
    text.replace("[tenant.sender]\nreputation = 0\n[tenant.sender.authentication]\nfrom_invalid = \"accept\"\n", "")
}

#[derive(Debug)]
pub struct Gateway {
    pub inbound: SocketAddr,
    pub outbound: SocketAddr,
    pub observe: SocketAddr,
    dir: tempfile::TempDir,
    child: Option<Child>,
    sections: BTreeMap<String, Vec<String>>,
    inbound_lines: Vec<String>,
    outbound_lines: Vec<String>,
    dns: SocketAddr,
    _nowhere: Option<FakeDns>,
    env: Vec<(String, String)>,
}

impl Gateway {
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder {
            dir: tempfile::Builder::new().prefix("sekisho-test-").tempdir().expect("a temporary directory"),
            ip: loopback::fresh_ip(),
            sections: BTreeMap::new(),
            inbound: Vec::new(),
            outbound: Vec::new(),
            tenants: String::new(),
            dns: None,
            env: Vec::new(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("var")
    }

    pub fn mail_log_file(&self) -> PathBuf {
        self.data_dir().join("log/mail.ndjson")
    }

    pub fn settings_file(&self) -> PathBuf {
        self.dir.path().join("sekisho.toml")
    }

    pub fn tenants_file(&self) -> PathBuf {
        self.dir.path().join("tenants.toml")
    }

    /// Changes the settings and writes the file; a running gateway sees it at SIGHUP.
    pub fn change(&mut self, section: &str, lines: &[&str]) {
        self.sections.insert(section.to_owned(), lines.iter().map(|&line| line.to_owned()).collect());
        self.write_settings();
    }

    pub fn write_settings(&self) {
        let mut text = "hostname = \"mx.gateway.example\"\n".to_owned();
        text += &format!("data_dir = {:?}\n", self.data_dir());
        for line in self.sections.get("").into_iter().flatten() {
            text += &format!("{line}\n");
        }
        let listeners = [
            ("mx", "inbound", self.inbound, &self.inbound_lines),
            ("relay", "outbound", self.outbound, &self.outbound_lines),
        ];
        for (name, direction, bind, lines) in listeners {
            text += &format!("[[listener]]\nname = \"{name}\"\ndirection = \"{direction}\"\nbind = \"{bind}\"\n");
            for line in lines {
                text += &format!("{line}\n");
            }
        }
        text += &format!("[observe]\nbind = \"{}\"\n[dns]\nservers = [\"{}\"]\n", self.observe, self.dns);
        for line in self.sections.get("dns").into_iter().flatten() {
            text += &format!("{line}\n");
        }
        text += &format!("[log]\nmail = {:?}\n", self.mail_log_file());
        for line in self.sections.get("log").into_iter().flatten() {
            text += &format!("{line}\n");
        }
        // One address is every client here.
        for (section, lines) in [
            (
                "rates",
                "per_client = \"off\"\nper_recipient = \"off\"\noutbound_client = \"off\"\noutbound_sender = \"off\"\n",
            ),
            ("bulk", "sender = \"off\"\ntext = \"off\"\n"),
            ("harvest", "unknown_recipients = 1000000\n"),
        ] {
            if !self.sections.contains_key(section) {
                text += &format!("[{section}]\n{lines}");
            }
        }
        for (section, lines) in
            self.sections.iter().filter(|(section, _)| !matches!(section.as_str(), "" | "dns" | "log"))
        {
            text += &format!("[{section}]\n{}\n", lines.join("\n"));
        }
        std::fs::write(self.settings_file(), text).expect("write the settings");
    }

    pub fn write_tenants(&self, toml: &str) {
        std::fs::write(self.tenants_file(), toml).expect("write the tenants");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--config").arg(self.settings_file()).args(arguments);
        command.envs(self.env.iter().map(|(key, value)| (key, value))).current_dir(self.dir.path());
        command
    }

    /// Runs a command of the CLI against this gateway's settings.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("run the binary")
    }

    /// As [`Gateway::cli`], with words on its standard input.
    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        use std::io::Write as _;
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("write");
        child.wait_with_output().expect("its output")
    }

    /// A CLI command that must succeed; its standard output.
    #[track_caller]
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "sekisho {arguments:?}: {}\n{}\n{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Makes the store equal to the tenants file.
    #[track_caller]
    pub fn apply(&self) -> String {
        let file = self.tenants_file();
        self.cli_ok(&["apply", file.to_str().expect("a path in UTF-8")])
    }

    /// Starts `serve` and waits for /readyz.
    pub fn serve(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "already running");
        let log = File::options().create(true).append(true).open(self.stderr_file()).expect("the stderr file");
        let mut command = self.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("start the gateway"));
    }

    pub fn wait_ready(&mut self) {
        within(Duration::from_secs(60), "the gateway to be ready", || {
            if let Some(status) = self.child.as_mut().expect("a child").try_wait().expect("its status") {
                panic!("the gateway ended at once: {status}\n{}", self.stderr());
            }
            matches!(metrics::get(self.observe, "/readyz"), Ok((200, _))).then_some(())
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running gateway").id()
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process's status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_ascii_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a size")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("send the signal");
    }

    /// SIGTERM, and the exit status that follows.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_exit()
    }

    pub fn wait_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running gateway");
        within(Duration::from_secs(60), "the gateway's end", || child.try_wait().expect("its status"))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("its status").is_none())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running gateway");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    fn stderr_file(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.stderr_file()).unwrap_or_default()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        metrics::get(self.observe, path).expect("an answer from the observe port")
    }

    pub fn metrics(&self) -> Metrics {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// The conservation law, at once and after everything settled: nothing queued, held or missing.
    #[track_caller]
    pub fn assert_settled(&self) {
        eventually("the queue to be empty", || {
            let metrics = self.metrics();
            assert_balanced(&metrics);
            metrics.sum("sekisho_recipients_queued") == 0.0
        });
    }

    #[track_caller]
    pub fn assert_balanced(&self) {
        assert_balanced(&self.metrics());
    }

    /// Everything in the mail log so far; a half-written last line is left for later.
    pub fn mail_log(&self) -> Vec<Value> {
        let text = std::fs::read(self.mail_log_file()).unwrap_or_default();
        let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let whole = std::str::from_utf8(&text[..end]).expect("a mail log in UTF-8");
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Waits for an event that satisfies `wanted`.
    #[track_caller]
    pub fn logged(&self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually_some(&format!("{event:?} in the mail log"), || {
            self.mail_log().into_iter().find(|line| line["event"] == event && wanted(line))
        })
    }

    /// Every byte below the spool directory, as file name and content, for "nothing was written" checks.
    pub fn spool_contains(&self, needle: &[u8]) -> bool {
        let mut dirs = vec![self.data_dir()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if path != self.mail_log_file()
                    && std::fs::read(&path).is_ok_and(|bytes| super::find(&bytes, needle).is_some())
                {
                    return true;
                }
            }
        }
        false
    }

    /// A client at an address of the internet; see [`GatewayBuilder::clients_anywhere`].
    pub fn client_at(&self, ip: &str) -> Client {
        Client::ready_as(self.inbound, ip)
    }

    /// One mail from an address of the internet, and the first refusal that it met, or the reply to its end of data.
    #[track_caller]
    pub fn try_from(&self, ip: &str, from: &str, to: &str, message: &str) -> Reply {
        let mut client = self.client_at(ip);
        client.command(&format!("MAIL FROM:<{from}>"), 250);
        let mut reply = client.ask(&format!("RCPT TO:<{to}>"));
        if reply.code == 250 {
            reply = client.data(message);
        }
        client.quit();
        reply
    }

    /// One mail from the internet, accepted.
    #[track_caller]
    pub fn send_inbound(&self, from: &str, to: &[&str], message: &str) {
        let mut client = Client::ready(self.inbound);
        client.mail(from, to, message);
        client.quit();
    }

    /// One mail from acme's server, accepted; the usual author becomes one of acme's.
    #[track_caller]
    pub fn send_outbound(&self, from: &str, to: &[&str], message: &str) {
        let mut client = Client::ready(self.outbound);
        client.mail(from, to, super::own(message));
        client.quit();
    }
}

/// The binary under test: this build's, or the one that `SEKISHO_BIN` names (a release build for long forms).
fn program() -> PathBuf {
    std::env::var_os("SEKISHO_BIN").map_or_else(|| env!("CARGO_BIN_EXE_sekisho").into(), PathBuf::from)
}

#[track_caller]
fn assert_balanced(metrics: &Metrics) {
    assert!(metrics.has("sekisho_balance_recipients"), "no balance among the metrics");
    let balance = metrics.sum("sekisho_balance_recipients");
    assert!(balance == 0.0, "the balance is off by {balance}");
    let ended = ["delivered", "bounced", "expired", "discarded", "released"];
    let ended: f64 = ended.iter().map(|end| metrics.sum(&format!("sekisho_recipients_{end}_total"))).sum();
    let kept = ["queued", "held", "quarantined"];
    let kept: f64 = kept.iter().map(|state| metrics.sum(&format!("sekisho_recipients_{state}"))).sum();
    let came = metrics.sum("sekisho_recipients_accepted_total") + metrics.sum("sekisho_recipients_recovered_total");
    assert!(came == ended + kept, "{came} came, {ended} ended, {kept} are kept");
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let panicked = self.stderr().contains("panicked at");
        assert!(std::thread::panicking() || !panicked, "the gateway panicked:\n{}", self.stderr());
        if std::thread::panicking() {
            let show = |name: &str, text: String| {
                eprintln!("--- {name}");
                let lines: Vec<&str> = text.lines().collect();
                lines.iter().skip(lines.len().saturating_sub(60)).for_each(|line| eprintln!("    {line}"));
            };
            show("the gateway's stderr", self.stderr());
            show("its settings", std::fs::read_to_string(self.settings_file()).unwrap_or_default());
            show("its mail log", std::fs::read_to_string(self.mail_log_file()).unwrap_or_default());
        }
    }
}
