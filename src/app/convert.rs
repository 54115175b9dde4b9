//! From the settings file's sections to the `Config` of each room. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    CodeSettings, EgressSettings, KnownSourceKind, KnownSourceSettings, KnownSourceTest, ListenerSettings, ListenerTls,
    RateSettings, Settings,
};
use crate::limits::Rate;
use crate::model::units::Span;
use crate::model::{Address, Direction};
use crate::net::listener::{self, ProxyMode, TlsMode};
use crate::net::server_tls::{CertificateFiles, ClientCertificates};
use crate::sender::blocklists::{self, Code, List, SelfTest, Zone};
use crate::sender::{authentication, correspondents, greylist, harvest, reputation};
use crate::smtp::{AuthOffer, Limits, SessionConfig};
use crate::telemetry::metrics::Limit;
use crate::{delivery, dns, intake, limits, sender, spool};

/// Inline custody keeps messages off the disk, so they may take more memory while they arrive.
const INLINE_MEMORY_FACTOR: u64 = 16;
/// Clients wait ten minutes for the answer to the final dot (RFC 5321 section 4.5.3.2.6); they get one in half of it.
const CLIENT_PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn intake(settings: &Settings) -> intake::Config {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let times = &settings.smtp.timeouts;
    intake::Config {
        hostname: settings.hostname.as_str().into(),
        command_timeout: times.command,
        data_timeout: times.data,
        transaction_deadline: times.transaction,
        session_deadline: times.session,
        tls_handshake_timeout: times.handshake,
        min_body_rate: settings.smtp.min_body_rate,
        memory_per_message: size(settings.spool.large_message),
        memory_per_inline_message: size(settings.spool.large_message.saturating_mul(INLINE_MEMORY_FACTOR)),
        memory_total: size(settings.limits.body_memory),
        memory_large: size(settings.limits.large_memory),
        inline_deadline: CLIENT_PATIENCE,
        reject_suspended: settings.suspension.reject,
        outbound_spam: settings.outbound.spam,
    }
}

pub(super) fn session(settings: &Settings, listener: &ListenerSettings) -> SessionConfig {
    let smtp = &settings.smtp;
    let usual = SessionConfig::new(settings.hostname.as_str(), listener.direction);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let limits = Limits {
        command_line: smtp.command_line,
        data_line: smtp.data_line,
        header_bytes: smtp.header_bytes as u64,
        header_count: number(smtp.header_count),
        recipients: smtp.recipients,
        message_size: smtp.message_size,
        transactions: number(smtp.transactions),
        errors: number(smtp.errors),
        commands_without_mail: number(smtp.commands_without_mail),
        ..usual.limits
    };
    SessionConfig {
        limits,
        starttls: listener.tls == ListenerTls::StartTls && listener.certificate.is_some(),
        auth: if listener.auth { AuthOffer::AfterTls } else { AuthOffer::Never },
        require_tls: listener.require_tls,
        smtputf8: smtp.smtputf8,
        chunking: smtp.chunking,
        dsn: smtp.dsn,
        postmaster: Some(settings.postmaster.clone()),
        ..usual
    }
}

pub(super) fn listener(settings: &ListenerSettings) -> listener::Config {
    listener::Config {
        name: settings.name.clone(),
        direction: settings.direction,
        bind: settings.bind,
        tls: match settings.tls {
            ListenerTls::None => TlsMode::None,
            ListenerTls::StartTls => TlsMode::StartTls,
            ListenerTls::Implicit => TlsMode::Implicit,
        },
        proxy: if settings.proxies.is_some() { ProxyMode::Required } else { ProxyMode::Off },
        trusted_proxies: settings.proxies.clone().unwrap_or_default(),
        xclient_from: settings.xclient_from.clone(),
        trusted_relays: settings.trusted_relays.clone(),
        auth: settings.auth,
        early_talk_wait: settings.early_talk_wait,
    }
}

pub(super) fn certificate(settings: &ListenerSettings) -> Option<CertificateFiles> {
    let files = settings.certificate.as_ref()?;
    Some(CertificateFiles { certificate: files.certificate.clone(), key: files.key.clone() })
}

pub(super) fn client_certificates(settings: &ListenerSettings) -> ClientCertificates {
    if settings.client_certificates || settings.direction == Direction::Outbound {
        ClientCertificates::Asked
    } else {
        ClientCertificates::Ignored
    }
}

pub(super) fn spool(settings: &Settings) -> spool::Config {
    let own = &settings.spool;
    spool::Config {
        segment_size: own.segment_size,
        large_message: own.large_message,
        min_free_bytes: own.min_free,
        min_free_inodes: own.min_free_inodes,
        body_cache: own.body_cache,
        ..spool::Config::new(&own.dir)
    }
}

pub(super) fn authentication(settings: &Settings) -> authentication::Config {
    let own = &settings.sender.authentication;
    authentication::Config { authserv_id: own.authserv_id.as_str().to_owned(), questions: own.questions }
}

pub(super) fn source(settings: &Settings) -> sender::Config {
    let own = &settings.sender;
    sender::Config {
        lists: own.known_sources.iter().filter_map(known_source).collect(),
        countries: own.countries.clone(),
        reputation: reputation::Config { most_sources: own.reputation.entries },
        greylist: greylist::Config {
            wait: own.greylist.delay,
            window: own.greylist.window,
            memory: own.greylist.memory,
            most_entries: own.greylist.entries,
        },
        correspondents: correspondents::Config {
            learning: own.first_contact.learning,
            memory: own.first_contact.memory,
            most_entries: own.first_contact.entries,
        },
        harvest: harvest::Config {
            most_unknown: own.harvest.unknown_recipients,
            stay: own.harvest.stay,
            ..harvest::Config::default()
        },
    }
}

/// A zone that the settings have taken is one that lists take: both are domains, and no address literals.
fn known_source(settings: &KnownSourceSettings) -> Option<List> {
    let code = |code: &CodeSettings| Code { when: code.code, reason: code.reason.clone(), weight: code.weight };
    Some(List {
        name: settings.name.clone(),
        zone: Zone::parse(settings.zone.reveal()).ok()?,
        kind: match settings.kind {
            KnownSourceKind::Ip => blocklists::Kind::Ip,
            KnownSourceKind::Domain => blocklists::Kind::Domain,
            KnownSourceKind::Allow => blocklists::Kind::Allow,
        },
        enabled: settings.enabled,
        ipv6: settings.ipv6,
        codes: settings.codes.iter().map(code).collect(),
        errors: settings.errors.clone(),
        timeout: settings.timeout,
        self_test: match &settings.self_test {
            KnownSourceTest::Rfc5782 => SelfTest::Rfc5782,
            KnownSourceTest::Names { listed, unlisted } => {
                SelfTest::Names { listed: listed.clone(), unlisted: unlisted.clone() }
            }
            KnownSourceTest::Off => SelfTest::Off,
        },
    })
}

pub(super) fn rates(settings: &Settings) -> limits::Config {
    let own = &settings.sender.rates;
    let rate = |rate: Option<RateSettings>| rate.and_then(|rate| Rate::new(rate.count.into(), rate.per));
    let config = limits::Config::none()
        .with(Limit::SenderIp, rate(own.per_client))
        .with(Limit::SenderNetwork, rate(own.per_network))
        .with(Limit::SenderAddress, rate(own.per_sender))
        .with(Limit::Recipient, rate(own.per_recipient))
        .with_outbound(&own.outbound)
        .with_windows(Limit::OutboundTrial, &own.outbound_trial)
        .with(Limit::AlikeContent, rate(settings.sender.bulk.text))
        .with(Limit::Alike, rate(settings.sender.bulk.sender));
    limits::Config { most_keys: own.entries, ..config }
}

pub(super) fn outbound(settings: &Settings) -> limits::outbound::Config {
    let own = &settings.sender.bulk;
    let rate = |rate: Option<RateSettings>| rate.and_then(|rate| Rate::new(rate.count.into(), rate.per));
    limits::outbound::Config { alike: rate(own.sender), most_records: own.records, most_groups: own.groups }
}

/// Sorted by [`Address::key`], so that they can be searched.
pub(super) fn spam_traps(settings: &Settings) -> Arc<[Address]> {
    let mut traps = settings.sender.reputation.spam_traps.clone();
    traps.sort_by_cached_key(Address::key);
    traps.dedup_by_key(|trap| trap.key());
    traps.into()
}

pub(super) fn dns(settings: &Settings) -> dns::Config {
    let own = &settings.dns;
    dns::Config {
        servers: own.servers.clone(),
        timeout: Span(own.timeout),
        attempts: own.attempts,
        cache: own.cache_entries as u64,
        ..dns::Config::default()
    }
}

pub(super) fn delivery(settings: &Settings) -> delivery::Config {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let own = &settings.delivery;
    let times = &own.timeouts;
    let usual = delivery::Config::default();
    delivery::Config {
        retry_first: Span(own.retry.first),
        retry_max: Span(own.retry.max),
        rest_first: Span(own.retry.rest_first),
        rest_max: Span(own.retry.rest_max),
        lifetime_inbound: Span(own.retry.expire_inbound),
        lifetime_outbound: Span(own.retry.expire_outbound),
        delay_notice_after: Span(own.retry.delay_notice.unwrap_or_default()),
        max_connections: number(own.concurrency.total),
        max_connections_inbound: number(own.concurrency.inbound),
        max_connections_outbound: number(own.concurrency.outbound),
        initial_connections: number(own.concurrency.initial),
        max_transactions: number(own.messages_per_connection),
        idle: Span(own.idle_timeout),
        mx_port: own.port,
        private_targets: own.private_targets,
        drain: Span(settings.drain_timeout),
        handoff_connections: number(settings.custody.connections_per_hop),
        handoff_patience: Span(settings.custody.answer_deadline),
        probe_patience: Span(settings.call_ahead.timeout),
        probe_valid: Span(settings.call_ahead.valid),
        probe_invalid: Span(settings.call_ahead.invalid),
        probe_cache: settings.call_ahead.entries,
        timeouts: delivery::Timeouts {
            connect: times.connect,
            greeting: times.greeting,
            helo: times.command,
            envelope: times.command,
            data: times.data,
            block: times.block,
            dot: times.dot,
            ..usual.timeouts
        },
        hostname: own.helo_name.as_str().into(),
        egress: settings.outbound.egress.iter().map(egress).collect(),
        own_names: own_names(settings),
        own_addresses: settings.listeners.iter().map(|listener| listener.bind).collect(),
        ..usual
    }
}

fn egress(settings: &EgressSettings) -> delivery::Egress {
    let EgressSettings { pool, source, hostname } = settings;
    delivery::Egress { pool: *pool, source: source.clone(), hostname: hostname.as_str().into() }
}

/// An MX with one of these names is we ourselves.
fn own_names(settings: &Settings) -> Vec<Box<str>> {
    let egress = settings.outbound.egress.iter().map(|egress| &egress.hostname);
    let mut names: Vec<Box<str>> =
        std::iter::once(&settings.hostname).chain(egress).map(|name| name.as_str().into()).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, MAX_KNOWN_SOURCES};
    use crate::model::written::Problems;

    const MINIMAL: &str =
        "hostname = 'mx.gateway.example'\n[[listener]]\nname = 'mx'\ndirection = 'inbound'\nbind = '127.0.0.1:2525'\n";

    fn settings(text: &str) -> Settings {
        let files = [("s.toml".to_owned(), text)];
        let loaded = config::read(&files, std::iter::empty(), Path::new("/base"), Problems::default());
        loaded.unwrap_or_else(|problems| panic!("{problems}")).settings
    }

    #[test]
    fn defaults_of_the_settings_are_those_of_the_rooms() {
        let settings = settings(MINIMAL);
        assert_eq!(rates(&settings), limits::Config::default());
        assert_eq!(outbound(&settings), limits::outbound::Config::default());
        let (got, usual) = (source(&settings), sender::Config::default());
        assert_eq!(
            (got.lists, got.countries, got.reputation, got.greylist, got.harvest, got.correspondents),
            (usual.lists, usual.countries, usual.reputation, usual.greylist, usual.harvest, usual.correspondents)
        );
        let got = authentication(&settings);
        assert_eq!(
            (got.authserv_id.as_str(), got.questions),
            ("mx.gateway.example", authentication::Config::default().questions)
        );
        assert_eq!(MAX_KNOWN_SOURCES, blocklists::MAX_LISTS);
    }

    #[test]
    fn the_lists_in_the_example_are_the_well_known_ones() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sekisho.example.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let text: String = text.lines().map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line))).collect();
        let lists = source(&settings(&text)).lists;
        for list in blocklists::examples() {
            assert!(lists.contains(&List { enabled: true, ..list.clone() }), "{list:?} is not in {lists:#?}");
        }
    }

    #[test]
    fn spam_traps_are_found_whatever_their_case_and_order() {
        let traps =
            "[reputation]\nspam_traps = ['Zoe@acme.example', 'b@acme.example', 'B@Acme.example', 'a@b.example']\n";
        let traps = spam_traps(&settings(&format!("{MINIMAL}{traps}")));
        let keys: Vec<String> = traps.iter().map(Address::key).collect();
        assert_eq!(keys, ["a@b.example", "b@acme.example", "zoe@acme.example"]);
    }

    #[test]
    fn rates_can_be_changed_and_switched_off() {
        let settings =
            settings(&format!("{MINIMAL}[rates]\nper_client = 'off'\nper_network = '30/2m'\nentries = 1000\n"));
        let rates = rates(&settings);
        let of = |limit| rates.rules.iter().find(|rule| rule.limit == limit).map(|rule| rule.rate);
        assert_eq!((of(Limit::SenderIp), rates.most_keys), (None, 1000));
        assert_eq!(of(Limit::SenderNetwork), Rate::new(30, Duration::from_secs(120)));
    }

    #[test]
    fn rates_of_outbound_mail_may_have_several_times() {
        let text = "outbound_sender = '5000/1d 100/1m'\noutbound_client = 'off'\noutbound_tenant_bytes = '1GiB/1h'\n";
        let rates = rates(&settings(&format!("{MINIMAL}[rates]\n{text}[bulk]\nsender = 'off'\n")));
        let of = |limit| rates.rules.iter().filter(move |rule| rule.limit == limit).map(|rule| rule.rate.to_string());
        assert_eq!(of(Limit::OutboundSender).collect::<Vec<_>>(), ["100/1m", "5000/1d"]);
        assert_eq!(of(Limit::OutboundTenant).collect::<Vec<_>>(), ["1GiB/1h"]);
        assert_eq!(of(Limit::OutboundClient).chain(of(Limit::Alike)).count(), 0);
    }
}
