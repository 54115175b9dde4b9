//! From merged values to [`ContentSettings`]: everything that the content of messages is judged with; and how its own kinds of
//! values are read.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::settings::{
    BudgetSettings, ClassifierSettings, ContentSettings, QuarantineSettings, ScanSettings, ScannerSettings,
    ScannersSettings, SignatureSettings,
};
use super::take::Taker;
use crate::model::finding::Detector;

/// A client waits for the verdict, and gives up after ten minutes at the earliest (RFC 5321 section 4.5.3.2.6).
const MAX_WAIT: Duration = Duration::from_secs(300);
/// Most passwords that are tried on each file.
const MAX_PASSWORDS: usize = 100;

pub(super) fn fill(take: &mut Taker<'_>, data_dir: &Path) -> ContentSettings {
    ContentSettings {
        scan: scan(take, data_dir),
        signatures: signatures(take, data_dir),
        scanners: ScannersSettings {
            clamd: scanner(take, &CLAMD),
            icap: scanner(take, &ICAP),
            rspamd: scanner(take, &RSPAMD),
            spamd: scanner(take, &SPAMD),
        },
        quarantine: quarantine(take, data_dir),
    }
}

fn scan(take: &mut Taker<'_>, data_dir: &Path) -> ScanSettings {
    let passwords = take.texts("scan.passwords");
    if passwords.len() > MAX_PASSWORDS {
        let what = format!("scan.passwords: {} are more than {MAX_PASSWORDS}", passwords.len());
        take.wrong("scan.passwords", what, "every one costs time on every file with a password");
    }
    let settings = ScanSettings {
        workers: take.optional_count("scan.workers"),
        patience: wait(take, "scan.patience"),
        time: wait(take, "scan.time"),
        off: take.detectors("scan.off"),
        budgets: BudgetSettings {
            parts: take.count("scan.parts"),
            depth: take.count("scan.depth"),
            files: take.count("scan.files"),
            layers: take.count("scan.layers"),
            file_size: take.number("scan.file_size"),
            unpacked_size: take.number("scan.unpacked_size"),
            ratio: take.number("scan.ratio"),
        },
        passwords,
        classifier: ClassifierSettings {
            dir: data_dir.join("classifier"),
            memory: take.number("classifier.memory"),
            learn_from_releases: take.flag("classifier.learn_from_releases"),
        },
    };
    if settings.budgets.unpacked_size < settings.budgets.file_size {
        let what = "scan.unpacked_size is below scan.file_size: the larger files would never be unpacked";
        take.wrong("scan.unpacked_size", what, "as much as scan.file_size or more");
    }
    settings
}

/// A time-out for which a client waits.
fn wait(take: &mut Taker<'_>, name: &str) -> Duration {
    let length = take.timeout(name);
    if length > MAX_WAIT {
        take.wrong(name, format!("{name}: clients wait for the answer, and longer than 5m is too long"), "");
    }
    length
}

fn signatures(take: &mut Taker<'_>, data_dir: &Path) -> SignatureSettings {
    let settings = SignatureSettings {
        dir: take.path("signatures.dir").unwrap_or_else(|| data_dir.join("signatures")),
        keys: take.texts("signatures.keys"),
        signers: take.count("signatures.signers"),
        refresh: take.timeout("signatures.refresh"),
    };
    if !settings.keys.is_empty() && settings.signers > settings.keys.len() {
        let what = format!("signatures.signers is {}, but {} keys are known", settings.signers, settings.keys.len());
        take.wrong("signatures.signers", what, "no set could ever be trusted");
    }
    settings
}

fn quarantine(take: &mut Taker<'_>, data_dir: &Path) -> QuarantineSettings {
    const LONGEST: Duration = Duration::from_secs(3650 * 86_400);
    let keep = take.timeout("quarantine.keep");
    if keep > LONGEST {
        take.wrong("quarantine.keep", "quarantine.keep is longer than ten years", "");
    }
    QuarantineSettings {
        dir: take.path("quarantine.dir").unwrap_or_else(|| data_dir.join("quarantine")),
        keep,
        min_free: take.number("quarantine.min_free"),
        messages: take.count("quarantine.messages"),
        tenant_messages: take.count("quarantine.tenant_messages"),
        tenant_size: take.number("quarantine.tenant_size"),
    }
}

/// The names of a scanner's keys.
struct Names {
    servers: &'static str,
    timeout: &'static str,
    connections: &'static str,
    max_size: &'static str,
    required: &'static str,
    name: Option<&'static str>,
}

const CLAMD: Names = Names {
    servers: "clamd.servers",
    timeout: "clamd.timeout",
    connections: "clamd.connections",
    max_size: "clamd.max_size",
    required: "clamd.required",
    name: None,
};
const ICAP: Names = Names {
    servers: "icap.servers",
    timeout: "icap.timeout",
    connections: "icap.connections",
    max_size: "icap.max_size",
    required: "icap.required",
    name: Some("icap.service"),
};
const RSPAMD: Names = Names {
    servers: "rspamd.servers",
    timeout: "rspamd.timeout",
    connections: "rspamd.connections",
    max_size: "rspamd.max_size",
    required: "rspamd.required",
    name: None,
};
const SPAMD: Names = Names {
    servers: "spamd.servers",
    timeout: "spamd.timeout",
    connections: "spamd.connections",
    max_size: "spamd.max_size",
    required: "spamd.required",
    name: Some("spamd.user"),
};

fn scanner(take: &mut Taker<'_>, names: &Names) -> ScannerSettings {
    let name = names.name.and_then(|name| take.text(name)).unwrap_or_default();
    if let Some(key) = names.name.filter(|_| !name.chars().all(|c| c.is_ascii_graphic()) || name.len() > 200) {
        take.wrong(key, format!("{key}: {name:?} has blanks, is not ASCII or too long"), "");
    }
    ScannerSettings {
        servers: take.texts(names.servers),
        timeout: wait(take, names.timeout),
        connections: take.count(names.connections),
        max_size: take.number(names.max_size),
        required: take.flag(names.required),
        name,
    }
}

pub(super) fn text(text: &str) -> Result<String, String> {
    let fits = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("1 to 200 octets without control characters belong here".into()) }
}

/// `host:port`, `[v6]:port` or the path of a socket.
pub(super) fn server(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no place of a scanner; write 127.0.0.1:3310 or /run/clamav/clamd.ctl");
    if text.starts_with('/') && text.len() > 1 {
        return Ok(text.to_owned());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => crate::model::Domain::parse(host).is_ok_and(|name| name.as_ip().is_none()),
    };
    if is_host && port.parse::<u16>().is_ok_and(|port| port > 0) { Ok(text.to_owned()) } else { Err(wrong()) }
}

pub(super) fn public_key(text: &str) -> Result<String, String> {
    let octets = text.strip_prefix("ed25519:").and_then(|key| STANDARD.decode(key).ok());
    match octets {
        Some(octets) if octets.len() == 32 => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no public key; `sekisho signatures keygen` prints one, ed25519:BASE64")),
    }
}

/// Those of this process but the structure of a message, on which all others stand; scanners elsewhere are switched off by naming
/// no servers.
pub(super) fn detector(text: &str) -> Result<Detector, String> {
    match Detector::ALL.into_iter().find(|detector| detector.name() == text) {
        Some(Detector::Structure) => Err("\"structure\" can't be switched off: all others stand on it".into()),
        Some(Detector::Clamd | Detector::Icap | Detector::Rspamd | Detector::Spamd) => {
            Err(format!("{text:?} is switched off by {text}.servers = []"))
        }
        Some(detector) => Ok(detector),
        None => {
            let names = Detector::ALL.map(Detector::name);
            Err(format!("{text:?} is none of {}", names.join(", ")))
        }
    }
}
