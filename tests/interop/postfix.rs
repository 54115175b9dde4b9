//! A real Postfix with its own configuration, queue and log in a temporary directory, on a loopback address of its own.
//!
//! **Failure**: its log is printed when its test fails. Needs root, as Postfix does.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{eventually, loopback, tls::Identity, tools};

/// Service, type, private, unprivileged, chroot, wakeup, process limit, command.
const SERVICES: &str = "\
pickup    unix  n       -       n       1       1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
";

pub struct Postfix {
    pub address: SocketAddr,
    dir: tempfile::TempDir,
    master: Option<Child>,
}

/// Why there is no Postfix here, if there is none.
pub fn missing() -> Option<String> {
    for tool in ["postfix", "sendmail"] {
        if tools::find(tool).is_none() {
            return Some(format!("{tool} is not installed"));
        }
    }
    (!rustix::process::geteuid().is_root()).then(|| "Postfix has to be started by root".to_owned())
}

/// Ends the test if there is no Postfix: as skipped, or, with `CI` set, as failed.
#[macro_export]
macro_rules! need_postfix {
    () => {
        if let Some(reason) = $crate::postfix::missing() {
            assert!(std::env::var_os("CI").is_none(), "{reason}");
            println!("SKIPPED: {reason} (tests/run installs it)");
            return;
        }
    };
}

impl Postfix {
    /// Relays everything it accepts to `relay`; `settings` are lines of main.cf.
    pub fn start(relay: SocketAddr, settings: &[&str]) -> Self {
        let mut this = Self::prepare(relay, settings);
        this.up();
        this
    }

    /// Everything written, nothing started.
    pub fn prepare(relay: SocketAddr, settings: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("sekisho-postfix-").tempdir().expect("a temporary directory");
        // Postfix's own user has to find its way in.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let ip = loopback::fresh_ip();
        let address = loopback::free_port(ip);
        let this = Self { address, dir, master: None };
        for name in ["config", "queue", "data"] {
            fs::create_dir(this.path(name)).expect("a directory");
        }
        this.give_to_postfix(&this.path("data"));
        let identity = Identity::create(&this.path("config"), "postfix.example");
        let mut main = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {queue}\n\
             data_directory = {data}\n\
             maillog_file = /dev/stdout\n\
             mail_owner = postfix\nsetgid_group = postdrop\n\
             myhostname = postfix.example\nmydestination =\nlocal_recipient_maps =\nlocal_transport = error:none\n\
             alias_maps =\nalias_database =\n\
             mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             relayhost = [{relay_ip}]:{relay_port}\n\
             smtputf8_enable = yes\nstrict_smtputf8 = no\n\
             smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\n\
             smtpd_peername_lookup = no\ndisable_dns_lookups = yes\nsmtp_host_lookup = native\n\
             minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n",
            queue = this.path("queue").display(),
            data = this.path("data").display(),
            relay_ip = relay.ip(),
            relay_port = relay.port(),
            certificate = identity.certificate.display(),
            key = identity.key.display(),
        );
        for line in settings {
            // Said twice, each daemon warns, and the one that writes the log waits for itself for ever.
            let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
            main = main
                .lines()
                .filter(|other| name(other) != name(line))
                .fold(String::new(), |all, line| all + line + "\n");
            main += line;
            main.push('\n');
        }
        fs::write(this.path("config/main.cf"), main).expect("write main.cf");
        let smtpd = format!("{address} inet n - n - - smtpd\n");
        fs::write(this.path("config/master.cf"), format!("{smtpd}{SERVICES}")).expect("write master.cf");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn give_to_postfix(&self, dir: &Path) {
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let entry = passwd.lines().find(|line| line.starts_with("postfix:")).expect("the user postfix");
        let uid = entry.split(':').nth(2).and_then(|id| id.parse().ok()).expect("its uid");
        std::os::unix::fs::chown(dir, Some(uid), None).expect("chown");
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tools::find(tool).expect("the tool"));
        // Debian's daemons are told of the directory by the environment of their parent, and of nothing else.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("MAIL_CONFIG", self.path("config"));
        command
    }

    pub fn up(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("mail.log")).expect("its log");
        let mut start = self.command("postfix");
        start.arg("-c").arg(self.path("config")).arg("start-fg").stdin(Stdio::null());
        start.stdout(log.try_clone().expect("a handle")).stderr(log);
        self.master = Some(start.spawn().expect("start Postfix"));
        eventually("Postfix to answer", || std::net::TcpStream::connect(self.address).is_ok());
    }

    /// Stops it; when this returns, nothing answers at its address.
    pub fn down(&mut self) {
        self.stop();
        // The master is gone before the daemons it signalled are, and each smtpd holds the listening socket too.
        eventually("Postfix to be gone", || std::net::TcpStream::connect(self.address).is_err());
    }

    fn stop(&mut self) {
        let Some(mut master) = self.master.take() else { return };
        let _ = self.command("postfix").arg("-c").arg(self.path("config")).arg("stop").output();
        let _ = master.wait();
    }

    /// Hands mail in as a local program would: `sendmail ARGUMENTS < message`.
    pub fn sendmail(&self, arguments: &[&str], message: &str) {
        use std::io::Write as _;
        let mut command = self.command("sendmail");
        command.arg("-C").arg(self.path("config")).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run sendmail");
        child.stdin.take().expect("its input").write_all(message.as_bytes()).expect("write");
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("mail.log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- Postfix at {}:\n{}", self.address, self.log());
        }
    }
}
