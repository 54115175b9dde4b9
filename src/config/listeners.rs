//! From `[[listener]]` tables to [`ListenerSettings`].

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::model::Direction;
use crate::model::written::{Problem, Problems};

use super::merge::{Entry, Merged};
use super::settings::{LimitSettings, ListenerSettings, ListenerTls, SmtpSettings, TlsSettings};
use super::take::Taker;

const TABLE: &str = "listener";

/// What a listener takes over where it says nothing itself.
pub(super) struct Defaults<'s> {
    pub(super) tls: &'s TlsSettings,
    pub(super) limits: &'s LimitSettings,
    pub(super) smtp: &'s SmtpSettings,
}

/// Fills every listener.
pub(super) fn fill(merged: &Merged, defaults: &Defaults<'_>, problems: &mut Problems) -> Vec<ListenerSettings> {
    if merged.entries(TABLE).next().is_none() && merged.complete {
        let problem = Problem::new(None, "no listener is set");
        problems.push(problem.help("write [[listener]] with name, direction and bind"));
    }
    let mut names: HashMap<String, ()> = HashMap::new();
    let mut binds: HashMap<SocketAddr, String> = HashMap::new();
    let mut all = Vec::new();
    for listener in merged.entries(TABLE) {
        let Some(settings) = one(merged, listener, defaults, problems) else { continue };
        if names.insert(settings.name.to_string(), ()).is_some() {
            let what = format!("a second listener is named {:?}", settings.name);
            problems.push(Problem::new(listener.place("listener.name"), what));
        }
        let first = binds.insert(settings.bind, settings.name.to_string()).filter(|_| settings.bind.port() != 0);
        if let Some(first) = first {
            let what = format!("listener {} binds {}, as listener {first} does", settings.name, settings.bind);
            problems.push(Problem::new(listener.place("listener.bind"), what));
        }
        all.push(settings);
    }
    all
}

fn one(
    merged: &Merged,
    listener: &Entry,
    defaults: &Defaults<'_>,
    problems: &mut Problems,
) -> Option<ListenerSettings> {
    listener.require(&["name", "direction", "bind"], merged, problems);
    let mut take = Taker { merged, entry: Some(listener), problems };
    let name = take.text("listener.name");
    if let Some(name) = name.as_ref().filter(|name| !is_plain(name)) {
        let problem = Problem::new(take.place("listener.name"), format!("{name:?} is no name of a listener"));
        take.problems.push(problem.help("1 to 32 letters, digits and hyphens"));
    }
    let direction = match take.text("listener.direction").as_deref() {
        Some("inbound") => Some(Direction::Inbound),
        Some("outbound") => Some(Direction::Outbound),
        _ => None,
    };
    let certificate = take.tls_files("listener.certificate", "listener.key").or_else(|| defaults.tls.files.clone());
    let tls = match take.text("listener.tls").as_deref() {
        Some("none") => ListenerTls::None,
        Some("starttls") => ListenerTls::StartTls,
        Some("implicit") => ListenerTls::Implicit,
        _ if certificate.is_some() => ListenerTls::StartTls,
        _ => ListenerTls::None,
    };
    if tls != ListenerTls::None && certificate.is_none() {
        let problem = Problem::new(take.place("listener.tls"), "a listener with TLS needs a certificate");
        take.problems.push(problem.help("set certificate and key here or in [tls]"));
    }
    let require_tls = take.flag("listener.require_tls");
    if require_tls && tls == ListenerTls::None {
        let problem = Problem::new(take.place("listener.require_tls"), "require_tls without TLS would take no mail");
        take.problems.push(problem);
    }
    let auth = take.text("listener.auth");
    if direction == Some(Direction::Inbound) && auth.as_deref() == Some("after-tls") {
        let problem = Problem::new(take.place("listener.auth"), "AUTH belongs on outbound listeners");
        take.problems.push(problem);
    }
    let proxies = proxies(&mut take);
    let trusted_relays = take.networks("listener.trusted_relays");
    if direction == Some(Direction::Outbound) && !trusted_relays.is_empty() {
        let problem =
            Problem::new(take.place("listener.trusted_relays"), "trusted_relays have no effect on outbound mail");
        take.problems.push(problem.help("who may send outbound is said by the tenants' outbound_client tables"));
    }
    Some(ListenerSettings {
        proxies,
        tls,
        require_tls,
        certificate,
        client_certificates: take.flag("listener.client_certificates"),
        auth: direction == Some(Direction::Outbound) && auth.as_deref() != Some("off"),
        xclient_from: take.networks("listener.xclient_from"),
        trusted_relays,
        max_connections: take.optional_count("listener.max_connections").unwrap_or(defaults.limits.max_connections),
        max_connections_per_ip: take
            .optional_count("listener.max_connections_per_ip")
            .unwrap_or(defaults.limits.max_connections_per_ip),
        early_talk_wait: take.optional_span("listener.early_talk_wait").unwrap_or(defaults.smtp.early_talk_wait),
        bind: take.socket("listener.bind")?,
        direction: direction?,
        name: name?.into(),
    })
}

fn proxies(take: &mut Taker<'_>) -> Option<Vec<ipnet::IpNet>> {
    let trusted = take.networks("listener.trusted_proxies");
    let required = take.text("listener.proxy_protocol").as_deref() == Some("required");
    if required == trusted.is_empty() {
        let problem = if required {
            let problem = Problem::new(take.place("listener.proxy_protocol"), "nobody may send the PROXY header");
            problem.help("name the proxies in trusted_proxies")
        } else {
            let problem = Problem::new(take.place("listener.trusted_proxies"), "trusted_proxies have no effect");
            problem.help("set proxy_protocol = \"required\"")
        };
        take.problems.push(problem);
    }
    required.then_some(trusted)
}

/// A name for logs, metrics and the environment.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
