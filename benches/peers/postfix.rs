//! A Postfix of our own: plain relay, own folders, loopback only, started by hand.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::meter::Meter;

/// A running one; stopped when dropped.
#[derive(Debug)]
pub struct Postfix {
    dir: PathBuf,
    pub address: SocketAddr,
    pub meter: Meter,
    pub master: u32,
}

/// Debian's master.cf without chroot, with one listener, and with the log written by Postfix itself.
const MASTER: &str = "pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

impl Postfix {
    /// Defaults but for what is written here. The default of 100 processes starves 100 connections (smtpd, cleanup and
    /// smtp each take one), so the limit is raised with them: to Postfix's advantage.
    pub fn start(dir: &Path, address: SocketAddr, next_hop: SocketAddr, connections: usize) -> io::Result<Self> {
        Self::start_with(dir, address, next_hop, connections, "")
    }

    /// With more lines of `main.cf`.
    pub fn start_with(
        dir: &Path,
        address: SocketAddr,
        next_hop: SocketAddr,
        connections: usize,
        more: &str,
    ) -> io::Result<Self> {
        for folder in ["conf", "queue", "data"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        run(Command::new("chown").arg("postfix").arg(dir.join("data")))?;
        let at = dir.display();
        let processes = if connections < 50 { 100 } else { 3 * connections };
        let port = next_hop.port();
        let main = format!(
            "compatibility_level = 3.6\nmyhostname = relay.bench.example\nqueue_directory = {at}/queue\n\
             data_directory = {at}/data\ncommand_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
             mail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\nmydestination =\nlocal_recipient_maps =\nalias_maps =\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nrelayhost = [127.0.0.1]:{port}\n\
             smtpd_tls_security_level = none\nsmtp_tls_security_level = none\nsmtpd_peername_lookup = no\n\
             default_process_limit = {processes}\nmaillog_file = {at}/mail.log\nmaillog_file_prefixes = {at}\n{more}"
        );
        fs::write(dir.join("conf/main.cf"), main)?;
        fs::write(dir.join("conf/master.cf"), format!("{address} inet n - n - - smtpd\n{MASTER}"))?;
        let meter = Meter::new("postfix");
        let words = meter.wrapper();
        let mut command = match words.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg("postfix");
                command
            }
            None => Command::new("postfix"),
        };
        run(command.arg("-c").arg(dir.join("conf")).arg("start"))?;
        let pid = fs::read_to_string(dir.join("queue/pid/master.pid")).unwrap_or_default();
        let postfix = Self { dir: dir.to_owned(), address, meter, master: pid.trim().parse().unwrap_or(0) };
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(1));
        Ok(postfix)
    }

    /// Nothing is queued any more.
    pub fn empty(&self) -> bool {
        ["maildrop", "incoming", "active", "deferred"].iter().all(|queue| no_file(&self.dir.join("queue").join(queue)))
    }

    pub fn cpu(&self) -> Duration {
        self.meter.read(self.master)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = run(Command::new("postfix").arg("-c").arg(self.dir.join("conf")).arg("stop"));
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn no_file(path: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(path) else { return true };
    entries.all(|entry| match entry {
        Ok(entry) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => no_file(&entry.path()),
        _ => false,
    })
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}
