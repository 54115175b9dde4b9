//! From merged values to [`Settings`]; what must fit together is checked here.

use std::path::Path;

use crate::model::written::{Problem, Problems};
use crate::model::{Address, Domain};

use super::content;
use super::keys::find;
use super::listeners::{self, Defaults};
use super::merge::Merged;
use super::outbound;
use super::sender;
use super::settings::{
    AccountSettings, CallAheadSettings, ConcurrencySettings, CustodySettings, DeliverySettings, DeliveryTimeouts,
    DnsSettings, LimitSettings, LogFormat, LogSettings, MailLogTarget, ObserveSettings, RetrySettings, Scheduling,
    Settings, SmtpSettings, SmtpTimeouts, SpoolSettings, TlsSettings,
};
use super::suspension;
use super::take::Taker;

/// Fills all sections; `None` if what is required is missing.
pub(super) fn fill(merged: &Merged, problems: &mut Problems) -> Option<Settings> {
    let mut take = Taker { merged, entry: None, problems };
    let hostname = take.text("hostname").and_then(|name| Domain::parse(&name).ok());
    if find("hostname").is_some_and(|key| merged.lacks(key)) {
        let problem = Problem::new(None, "hostname is not set");
        take.problems.push(problem.help("the gateway's own name, as in hostname = \"mx.gateway.example\""));
    }
    let data_dir = take.path("data_dir").unwrap_or_default();
    let drain_timeout = take.span("drain_timeout");
    let threads = take.optional_count("threads");
    let batch = take.text("scheduling").as_deref() == Some("batch");
    let scheduling = if batch { Scheduling::Batch } else { Scheduling::Normal };
    let postmaster = postmaster(&mut take, hostname.as_ref());
    let tls = TlsSettings {
        files: take.tls_files("tls.certificate", "tls.key"),
        trust_anchors: take.path("tls.trust_anchors"),
    };
    let limits = limits(&mut take);
    let smtp = smtp(&mut take);
    let observe = ObserveSettings { bind: take.socket("observe.bind") };
    let accounts = AccountSettings {
        write_every: take.timeout("accounts.write_every"),
        max_tenant_series: take.count("metrics.max_tenant_series"),
    };
    let log = log(&mut take, &data_dir);
    let dns = dns(&mut take);
    let sender = sender::fill(&mut take, hostname.as_ref());
    let suspension = suspension::fill(&mut take);
    let call_ahead = CallAheadSettings {
        valid: take.span("call_ahead.valid"),
        invalid: take.span("call_ahead.invalid"),
        entries: take.number("call_ahead.entries"),
        timeout: take.timeout("call_ahead.timeout"),
    };
    let custody = CustodySettings {
        answer_deadline: take.timeout("custody.answer_deadline"),
        connections_per_hop: take.count("custody.connections_per_hop"),
    };
    let spool = spool(&mut take, &data_dir);
    let delivery = delivery(&mut take, hostname.as_ref());
    let content = content::fill(&mut take, &data_dir);
    let helo_name = delivery.as_ref().map(|delivery| &delivery.helo_name);
    let outbound = outbound::fill(merged, helo_name, take.problems);
    let listeners = listeners::fill(merged, &Defaults { tls: &tls, limits: &limits, smtp: &smtp }, take.problems);
    Some(Settings {
        hostname: hostname?,
        data_dir,
        postmaster: postmaster?,
        drain_timeout,
        threads,
        scheduling,
        listeners,
        observe,
        accounts,
        log,
        dns,
        tls,
        limits,
        smtp,
        sender: sender?,
        suspension,
        call_ahead,
        custody,
        spool,
        delivery: delivery?,
        outbound,
        content,
    })
}

fn postmaster(take: &mut Taker<'_>, hostname: Option<&Domain>) -> Option<Address> {
    let written = take.text("postmaster").or_else(|| hostname.map(|name| format!("postmaster@{name}")));
    written.and_then(|text| Address::parse(&text).ok())
}

fn limits(take: &mut Taker<'_>) -> LimitSettings {
    LimitSettings {
        max_connections: take.count("limits.max_connections"),
        max_connections_per_ip: take.count("limits.max_connections_per_ip"),
        memory_reserve: take.number("limits.memory_reserve"),
        descriptor_reserve: take.count("limits.descriptor_reserve"),
        body_memory: take.number("limits.body_memory"),
        large_memory: take.number("limits.large_memory"),
    }
}

fn smtp(take: &mut Taker<'_>) -> SmtpSettings {
    take.at_least("smtp.message_size", 64 << 10, "64KiB is what every server must take (RFC 5321 section 4.5.3.1.7)");
    take.at_least("smtp.command_line", 512, "512 is the least (RFC 5321 section 4.5.3.1.4)");
    take.at_least("smtp.header_bytes", 16 << 10, "16KiB is the least that real mail fits in");
    SmtpSettings {
        message_size: take.number("smtp.message_size"),
        recipients: take.count("smtp.recipients"),
        transactions: take.count("smtp.transactions"),
        command_line: take.count("smtp.command_line"),
        data_line: take.count("smtp.data_line"),
        header_bytes: take.count("smtp.header_bytes"),
        header_count: take.count("smtp.header_count"),
        errors: take.count("smtp.errors"),
        commands_without_mail: take.count("smtp.commands_without_mail"),
        timeouts: SmtpTimeouts {
            command: take.timeout("smtp.command_timeout"),
            data: take.timeout("smtp.data_timeout"),
            transaction: take.timeout("smtp.transaction_timeout"),
            session: take.timeout("smtp.session_timeout"),
            handshake: take.timeout("smtp.handshake_timeout"),
        },
        min_body_rate: take.number("smtp.min_body_rate"),
        early_talk_wait: take.span("smtp.early_talk_wait"),
        smtputf8: take.flag("smtp.smtputf8"),
        chunking: take.flag("smtp.chunking"),
        dsn: take.flag("smtp.dsn"),
    }
}

fn log(take: &mut Taker<'_>, data_dir: &Path) -> LogSettings {
    let mail = match take.text("log.mail") {
        Some(_) => MailLogTarget::Stdout,
        None => MailLogTarget::File(take.path("log.mail").unwrap_or_else(|| data_dir.join("mail.log"))),
    };
    let format = if take.text("log.format").as_deref() == Some("json") { LogFormat::Json } else { LogFormat::Text };
    let level = take.text("log.level").unwrap_or_default();
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&level) {
        let problem = Problem::new(take.place("log.level"), format!("log.level: {level:?}: {error}"));
        take.problems.push(problem.help("as \"info\" or \"info,sekisho::delivery=debug\""));
    }
    LogSettings { mail, level, format }
}

fn dns(take: &mut Taker<'_>) -> DnsSettings {
    DnsSettings {
        servers: take.sockets("dns.servers"),
        timeout: take.timeout("dns.timeout"),
        attempts: take.count("dns.attempts"),
        cache_entries: take.count("dns.cache_entries"),
    }
}

fn spool(take: &mut Taker<'_>, data_dir: &Path) -> SpoolSettings {
    take.at_least("spool.segment_size", 1 << 20, "1MiB is the least");
    SpoolSettings {
        dir: take.path("spool.dir").unwrap_or_else(|| data_dir.join("spool")),
        segment_size: take.number("spool.segment_size"),
        large_message: take.number("spool.large_message"),
        body_cache: take.number("spool.body_cache"),
        min_free: take.number("spool.min_free"),
        min_free_inodes: take.number("spool.min_free_inodes"),
    }
}

fn delivery(take: &mut Taker<'_>, hostname: Option<&Domain>) -> Option<DeliverySettings> {
    let helo_name = take.text("delivery.helo_name").and_then(|name| Domain::parse(&name).ok());
    let retry = RetrySettings {
        first: take.timeout("delivery.retry_first"),
        max: take.timeout("delivery.retry_max"),
        rest_first: take.timeout("delivery.rest_first"),
        rest_max: take.timeout("delivery.rest_max"),
        expire_inbound: take.timeout("delivery.expire_inbound"),
        expire_outbound: take.timeout("delivery.expire_outbound"),
        delay_notice: take.optional_span("delivery.delay_notice").filter(|after| !after.is_zero()),
    };
    if retry.max < retry.first {
        let problem =
            Problem::new(take.place("delivery.retry_max"), "delivery.retry_max is below delivery.retry_first");
        take.problems.push(problem);
    }
    Some(DeliverySettings {
        port: u16::try_from(take.number("delivery.port")).unwrap_or(25),
        private_targets: take.flag("delivery.private_targets"),
        concurrency: ConcurrencySettings {
            total: take.count("delivery.max_connections"),
            initial: take.count("delivery.initial_concurrency"),
            inbound: take.count("delivery.inbound_concurrency"),
            outbound: take.count("delivery.outbound_concurrency"),
        },
        messages_per_connection: take.count("delivery.messages_per_connection"),
        idle_timeout: take.span("delivery.idle_timeout"),
        retry,
        timeouts: DeliveryTimeouts {
            connect: take.timeout("delivery.connect_timeout"),
            greeting: take.timeout("delivery.greeting_timeout"),
            command: take.timeout("delivery.command_timeout"),
            data: take.timeout("delivery.data_timeout"),
            block: take.timeout("delivery.block_timeout"),
            dot: take.timeout("delivery.dot_timeout"),
        },
        helo_name: helo_name.or_else(|| hostname.cloned())?,
    })
}
