//! The real scanners: Debian's clamd (with a database of one signature), c-icap in front of it, rspamd and spamd. Each runs in
//! a directory of its own, on loopback, and ends with its test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use sekisho::model::finding::{Class, Detector, Reason, Score};
use sekisho::scan::external::{Answer, Config, Endpoint, External, Question, Service};

use crate::need_tool;
use crate::support::fake_scanner::VIRUS;
use crate::support::loopback;
use crate::support::wait::within;

/// A daemon and its directory.
struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
}

impl Daemon {
    fn start(mut command: Command, dir: tempfile::TempDir) -> Self {
        let log = std::fs::File::create(dir.path().join("said")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, dir }
    }

    /// Once it does what `ready` wants.
    fn until(mut self, ready: impl Fn() -> bool) -> Self {
        within(Duration::from_secs(60), "the daemon", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                let said = std::fs::read_to_string(self.dir.path().join("said")).unwrap_or_default();
                panic!("it ended with {status}: {said}");
            }
            ready().then_some(())
        });
        self
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its own children end with it: each of these daemons looks after them on SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("sekisho-scanner-").tempdir().unwrap();
    // The daemons are somebody else when the tests are root.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    dir
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn answers(address: SocketAddr) -> impl Fn() -> bool {
    move || std::net::TcpStream::connect(address).is_ok()
}

/// clamd with one signature; its unix socket and its port.
fn clamd(program: &Path) -> (Daemon, PathBuf, SocketAddr) {
    let dir = directory();
    let address = loopback::free_port(loopback::fresh_ip());
    let socket = dir.path().join("clamd.sock");
    std::fs::create_dir(dir.path().join("db")).unwrap();
    std::fs::write(dir.path().join("db/test.ndb"), format!("Test.Virus:0:*:{}\n", hex(VIRUS))).unwrap();
    let settings = format!(
        "Foreground yes\nDatabaseDirectory {dir}/db\nLocalSocket {dir}/clamd.sock\nLocalSocketMode 666\nTCPAddr {ip}\n\
         TCPSocket {port}\nStreamMaxLength 1M\nAlertEncrypted yes\nAlertExceedsMax yes\nMaxFileSize 500K\nMaxScanSize 600K\n\
         TemporaryDirectory {dir}\nSelfCheck 0\n",
        dir = dir.path().display(),
        ip = address.ip(),
        port = address.port()
    );
    std::fs::write(dir.path().join("clamd.conf"), settings).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.path().join("clamd.conf"));
    let is_there = socket.clone();
    let daemon = Daemon::start(command, dir).until(move || is_there.exists() && answers(address)());
    (daemon, socket, address)
}

fn only(detector: Detector, place: &str) -> External {
    let mut service = Service::usual(detector, vec![Endpoint::parse(place).unwrap()]).unwrap();
    service.timeout = Duration::from_secs(60);
    let mut config = Config::default();
    match detector {
        Detector::Clamd => config.clamd = Some(service),
        Detector::Icap => config.icap = Some(service),
        Detector::Rspamd => config.rspamd = Some(service),
        _ => config.spamd = Some(service),
    }
    External::new(config)
}

async fn ask(external: &External, message: impl Into<Bytes>) -> Answer {
    let question = Question {
        message: message.into(),
        ip: Some("192.0.2.7".parse().unwrap()),
        helo: "mail.sender.example".into(),
        from: "a@sender.example".into(),
        recipients: vec!["b@acme.example".into()],
        ..Question::default()
    };
    external.ask(&question).await.remove(0)
}

fn mail(body: &str) -> String {
    format!(
        "From: Aoi <aoi@sender.example>\r\nTo: b@acme.example\r\nSubject: Minutes\r\nMessage-ID: <1@sender.example>\r\n\
         Date: Fri, 20 Nov 2026 09:00:00 +0900\r\n\r\n{body}\r\n"
    )
}

fn attached(name: &str, octets: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(octets);
    let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "From: a@sender.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n\
         --b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
}

#[track_caller]
fn is_clean(answer: &Answer) {
    assert!(answer.findings.is_empty() && answer.unchecked.is_empty() && answer.unavailable.is_none(), "{answer:?}");
}

#[track_caller]
fn is(answer: &Answer, class: Class) {
    assert!(answer.unavailable.is_none(), "{answer:?}");
    assert_eq!(answer.findings.first().map(|found| found.class), Some(class), "{answer:?}");
}

fn zip(password: Option<&str>) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    match password {
        Some(password) => zip.start_file("a.txt", options.with_aes_encryption(zip::AesMode::Aes256, password)),
        None => zip.start_file("a.txt", options),
    }
    .unwrap();
    zip.write_all(VIRUS.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn clamd_over_both_kinds_of_sockets() {
    let program = need_tool!("clamd");
    let (daemon, socket, address) = clamd(&program);
    for place in [socket.display().to_string(), address.to_string()] {
        let external = only(Detector::Clamd, &place);
        is_clean(&ask(&external, mail("nothing")).await);
        is(&ask(&external, mail(VIRUS)).await, Class::Malware);
        is(&ask(&external, attached("a.zip", &zip(None))).await, Class::Malware);
        let closed = ask(&external, attached("a.zip", &zip(Some("secret")))).await;
        is(&closed, Class::Encrypted);
        assert_eq!(closed.unchecked[0].reason, Reason::Encrypted);
        // Beyond MaxFileSize: told because of AlertExceedsMax.
        is(&ask(&external, mail(&"0123456789abcde\r\n".repeat(40_000))).await, Class::Unscannable);
        // Beyond StreamMaxLength: clamd says so and closes while we write.
        let large = ask(&external, mail(&"0123456789abcde\r\n".repeat(400_000))).await;
        assert!(!large.findings.is_empty() || large.unavailable.is_some(), "never clean: {large:?}");
        let greeted = external.greet().await;
        assert!(greeted[0].2.as_ref().is_ok_and(|said| said.starts_with("ClamAV ")), "{greeted:?}");
    }
    let external = only(Detector::Clamd, &address.to_string());
    drop(daemon);
    assert!(ask(&external, mail("nothing")).await.unavailable.is_some(), "a dead clamd is never clean");
}

#[tokio::test]
async fn c_icap_with_clamd_behind_it() {
    let (clamd_program, program) = (need_tool!("clamd"), need_tool!("c-icap"));
    let modules = Path::new("/usr/lib/x86_64-linux-gnu/c_icap");
    if !modules.join("virus_scan.so").exists() {
        println!("SKIPPED: c-icap's virus_scan is not installed");
        return;
    }
    let (_clamd, socket, _) = clamd(&clamd_program);
    let dir = directory();
    let address = loopback::free_port(loopback::fresh_ip());
    let settings = format!(
        "PidFile {dir}/pid\nCommandsSocket {dir}/ctl\nPort {address}\nStartServers 1\nMaxServers 2\nThreadsPerChild 4\n\
         TmpDir {dir}\nServerLog {dir}/server.log\nAccessLog {dir}/access.log\nModulesDir {modules}\nServicesDir {modules}\n\
         TemplateDir /usr/share/c_icap/templates/\nLoadMagicFile /etc/c-icap/c-icap.magic\nService echo srv_echo.so\n\
         Module common clamd_mod.so\nclamd_mod.ClamdSocket {clamd}\nService antivirus_module virus_scan.so\n\
         ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple\n\
         virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE MSOFFICE\nvirus_scan.MaxObjectSize 100M\n\
         virus_scan.DefaultEngine clamd\n",
        dir = dir.path().display(),
        modules = modules.display(),
        clamd = socket.display(),
    );
    std::fs::write(dir.path().join("c-icap.conf"), settings).unwrap();
    let mut command = Command::new(program);
    command.arg("-N").arg("-f").arg(dir.path().join("c-icap.conf"));
    let _icap = Daemon::start(command, dir).until(answers(address));
    let external = only(Detector::Icap, &address.to_string());
    let greeted = external.greet().await;
    assert!(greeted[0].2.is_ok(), "{greeted:?}");
    is_clean(&ask(&external, mail("nothing")).await);
    is_clean(&ask(&external, mail(&"0123456789abcde\r\n".repeat(5_000))).await);
    is(&ask(&external, mail(VIRUS)).await, Class::Malware);
    is(&ask(&external, attached("a.zip", &zip(None))).await, Class::Malware);
    is(&ask(&external, mail(&format!("{}{VIRUS}", "0123456789abcde\r\n".repeat(5_000)))).await, Class::Malware);
    // A service that sends everything back.
    let mut config = Service::usual(Detector::Icap, vec![Endpoint::parse(&address.to_string()).unwrap()]).unwrap();
    config.name = "echo".into();
    let echo = External::new(Config { icap: Some(config.clone()), ..Config::default() });
    is_clean(&ask(&echo, mail(VIRUS)).await);
    config.name = "nothing".into();
    let nothing = External::new(Config { icap: Some(config), ..Config::default() });
    assert!(ask(&nothing, mail("x")).await.unavailable.is_some(), "no such service is never clean");
}

/// A test string of all spam filters: never in one piece here.
fn gtube() -> String {
    ["XJS*C4JDBQADN1.NSBN3*2IDNEN", "*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].concat()
}

#[tokio::test]
async fn rspamd_judges() {
    let program = need_tool!("rspamd");
    let dir = directory();
    let address = loopback::free_port(loopback::fresh_ip());
    let settings = format!(
        "options {{ pidfile = \"{dir}/pid\"; tempdir = \"{dir}\"; hs_cache_dir = \"{dir}\";\n\
         dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 100ms; retransmits = 1; }} }}\n\
         logging {{ type = \"console\"; level = \"info\"; }}\n\
         worker \"normal\" {{ bind_socket = \"{address}\"; count = 1; }}\n\
         actions {{ reject = 15; add_header = 6; greylist = 4; }}\n",
        dir = dir.path().display()
    );
    std::fs::write(dir.path().join("rspamd.conf"), settings).unwrap();
    let mut command = Command::new(program);
    command.arg("-i").arg("-f").arg("-c").arg(dir.path().join("rspamd.conf")).current_dir(dir.path());
    let _daemon = Daemon::start(command, dir).until(answers(address));
    let external = only(Detector::Rspamd, &address.to_string());
    let good = ask(&external, mail("nothing")).await;
    is(&good, Class::Spam);
    assert!(good.findings[0].score < Score(2_000), "{good:?}");
    let spam = ask(&external, mail(&gtube())).await;
    is(&spam, Class::Spam);
    assert!(spam.findings[0].score >= Score(5_000), "{spam:?}");
}

#[tokio::test]
async fn spamd_judges() {
    let program = need_tool!("spamd");
    let dir = directory();
    let address = loopback::free_port(loopback::fresh_ip());
    let mut command = Command::new(program);
    command.args(["-L", "-x", "-m", "1", "-s", "stderr"]);
    command.args(["--listen", &address.to_string(), "-A", "127.0.0.0/8", "-r"]).arg(dir.path().join("pid"));
    command.env("HOME", dir.path());
    let _daemon = Daemon::start(command, dir).until(answers(address));
    let external = only(Detector::Spamd, &address.to_string());
    let good = ask(&external, mail("The minutes of Monday are below.")).await;
    is(&good, Class::Spam);
    assert!(good.findings[0].score < Score(5_000), "{good:?}");
    let spam = ask(&external, mail(&gtube())).await;
    assert!(spam.findings[0].score >= Score(5_000) && spam.findings[0].evidence.contains("GTUBE"), "{spam:?}");
    let greeted = external.greet().await;
    assert!(greeted[0].2.is_ok(), "{greeted:?}");
}
