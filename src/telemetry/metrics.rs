//! Every number the gateway shows, in a registry of its own: two gateways fit in one process.
//!
//! Grouped by the room that counts. Handles are resolved here, once; counting is one atomic addition.
//!
//! **Invariants**: names begin with `sekisho_`, counters end in `_total`, units are base units; the number of series is
//! fixed when the process starts and stays below 1,000 (`every_name_is_well_formed`).

use std::sync::Arc;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Histogram, IntCounter, IntGauge, Registry, TextEncoder};

use super::account_metrics::AccountMetrics;
use super::balance::Balance;
pub use super::identity_metrics::{IdentityMetrics, Misnamed, Rewritten, Signed};
pub use super::scan_metrics::{Judged, Pool, ScanMetrics, ScanTrouble};
use super::series::{Counters, Gauges, Registrar, Said, label_set, opts};
pub use super::suspension_metrics::{StageKind, SuspensionChange, SuspensionMetrics};
use crate::model::{Direction, OutcomeKind};

label_set! {
    /// Why a connection was not served.
    Refusal("reason") {
        ListenerFull = "listener_full",
        IpFull = "ip_full",
        Memory = "memory",
        Proxy = "proxy",
    }
}

label_set! {
    /// How a connection ended.
    Closed("reason") {
        Quit = "quit",
        Lost = "lost",
        TimedOut = "timed_out",
        TooManyErrors = "too_many_errors",
        EarlyTalk = "early_talk",
        Synchronisation = "synchronisation",
        NotSmtp = "not_smtp",
        Refused = "refused",
        Draining = "draining",
    }
}

label_set! {
    /// What became of one transaction's message at its end.
    MessageResult("result") {
        /// 250 from a durable commit.
        Queued = "queued",
        /// 250 from the next hop's 250.
        HandedOn = "handed_on",
        /// 4xx.
        Deferred = "deferred",
        /// 5xx, ours or passed on.
        Rejected = "rejected",
        /// 5xx for the form of the bytes: line ends, limits, size.
        Malformed = "malformed",
    }
}

label_set! {
    /// Whether something worked.
    Worked("result") { Yes = "ok", No = "failed" }
}

label_set! {
    /// Trouble with the spool's disk.
    SpoolTrouble("kind") { Full = "full", Write = "write", Sync = "sync", Read = "read" }
}

label_set! {
    /// Kinds of notices (RFC 3464), and those not sent.
    NoticeKind("kind") {
        Failure = "failure",
        Delay = "delay",
        Success = "success",
        /// Failed mail with a null sender: nobody to tell.
        Dropped = "dropped",
    }
}

label_set! {
    /// What handing on to the next hop came to.
    HandoffResult("result") {
        Delivered = "delivered",
        Refused = "refused",
        Deferred = "deferred",
        /// Recipients with different answers: to the spool.
        Mixed = "mixed",
        Unavailable = "unavailable",
        /// The dot was sent and no answer came.
        Unknown = "unknown",
    }
}

label_set! {
    /// Why a lane of an inline tenant went to the spool.
    Fallback("reason") {
        Mixed = "mixed",
        Unavailable = "unavailable",
        ManyLanes = "many_lanes",
    }
}

label_set! {
    /// What a call-ahead came to.
    ProbeResult("result") { Valid = "valid", Invalid = "invalid", Temporary = "temporary", Cached = "cached" }
}

label_set! {
    /// How a DNS question was answered.
    DnsResult("result") { Found = "found", Nothing = "nothing", Temporary = "temporary" }
}

label_set! {
    /// What is limited (`limits`).
    Limit("limit") {
        SenderIp = "sender_ip",
        SenderNetwork = "sender_network",
        SenderAddress = "sender_address",
        Recipient = "recipient",
        Connections = "connections",
        OutboundClient = "outbound_client",
        OutboundSender = "outbound_sender",
        OutboundDomain = "outbound_domain",
        OutboundTenant = "outbound_tenant",
        /// Of one domain of a tenant on trial.
        OutboundTrial = "outbound_trial",
        /// Recipients of one sender's alike messages.
        Alike = "alike",
        /// Recipients of alike messages, whoever of a tenant sends them.
        AlikeContent = "alike_content",
    }
}

label_set! {
    /// How a known-source list (DNSxL) answered.
    ListAnswer("result") {
        Listed = "listed",
        NotListed = "not_listed",
        /// An error code: we may not ask, or asked wrongly.
        Refused = "refused",
        /// A code that the settings don't know.
        UnknownCode = "unknown_code",
        /// Time-out, SERVFAIL.
        NoAnswer = "no_answer",
        /// Not asked, because the list is out of service.
        NotAsked = "not_asked",
    }
}

label_set! {
    /// What reputation made of a source.
    StandingKind("standing") { Good = "good", Unknown = "unknown", Delayed = "delayed", Refused = "refused" }
}

label_set! {
    /// What a source did.
    Observed("kind") { Ham = "ham", Spam = "spam", UnknownRecipient = "unknown_recipient", Malformed = "malformed" }
}

label_set! {
    /// What the greylist said.
    GreylistAnswer("result") {
        /// A sender known from before.
        Known = "known",
        /// It came back in time.
        Passed = "passed",
        Wait = "wait",
    }
}

label_set! {
    /// The reverse name of a client.
    ReverseResult("result") { Pass = "pass", Missing = "missing", Mismatch = "mismatch", TempError = "temp_error" }
}

/// Seconds, from a tenth of a millisecond.
const FAST: [f64; 12] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];
/// Seconds, to the ten minutes of RFC 5321 section 4.5.3.2.6.
const SLOW: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

#[derive(Debug)]
pub struct SmtpMetrics {
    pub connections: Counters<Direction>,
    pub open: Gauges<Direction>,
    pub refused: Counters<Refusal>,
    pub closed: Counters<Closed>,
    pub early_talk: IntCounter,
    pub tls_handshakes: Counters<Worked>,
    pub auth: Counters<Worked>,
    pub mail: Counters<(Direction, Said)>,
    pub rcpt: Counters<(Direction, Said)>,
    pub messages: Counters<(Direction, MessageResult)>,
    pub message_bytes: Counters<Direction>,
    /// We have the message, and the client doesn't know: it will send it again.
    pub replies_lost: IntCounter,
    /// From the end of data to the reply.
    pub answer_seconds: Histogram,
}

impl SmtpMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            connections: r.counters("smtp_connections_total", "Connections accepted by the listeners."),
            open: r.gauges("smtp_connections_open", "Connections being served."),
            refused: r.counters("smtp_connections_refused_total", "Connections answered 421 or 554 instead of 220."),
            closed: r.counters("smtp_connections_closed_total", "Connections ended, by how."),
            early_talk: r.counter("smtp_early_talk_total", "Clients that spoke before the greeting."),
            tls_handshakes: r.counters("smtp_tls_handshakes_total", "TLS handshakes with clients."),
            auth: r.counters("smtp_auth_total", "AUTH commands answered."),
            mail: r.counters("smtp_mail_total", "MAIL commands answered."),
            rcpt: r.counters("smtp_rcpt_total", "RCPT commands answered."),
            messages: r.counters("smtp_messages_total", "Messages whose data ended, by what we answered."),
            message_bytes: r.counters("smtp_message_bytes_total", "Bytes of message data received."),
            replies_lost: r
                .counter("smtp_replies_lost_total", "Messages accepted whose 250 could not be written to the client."),
            answer_seconds: r.histogram("smtp_answer_seconds", "Time from the end of data to its reply.", &FAST),
        }
    }
}

#[derive(Debug)]
pub struct SpoolMetrics {
    /// Group commits: one write and one sync each.
    pub commits: IntCounter,
    pub frames: IntCounter,
    pub written_bytes: IntCounter,
    pub sync_seconds: Histogram,
    /// Frames per group commit.
    pub batch_frames: Histogram,
    pub messages: IntGauge,
    /// Recipients not yet settled, by the index's own count.
    pub recipients: IntGauge,
    pub bytes: IntGauge,
    pub segments: IntGauge,
    pub relocated: IntCounter,
    pub corrupt: IntCounter,
    /// Frames that the numbering says were there.
    pub missing_frames: IntCounter,
    /// Recipients of outbound mail that was put on hold because no check is known of it.
    pub unchecked: IntCounter,
    pub troubles: Counters<SpoolTrouble>,
    /// 1: commits work; 0: low on space or wedged.
    pub healthy: IntGauge,
    pub free_bytes: IntGauge,
    pub free_inodes: IntGauge,
}

impl SpoolMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            commits: r.counter("spool_commits_total", "Group commits made durable."),
            frames: r.counter("spool_frames_total", "Frames made durable."),
            written_bytes: r.counter("spool_written_bytes_total", "Bytes written to segments and large files."),
            sync_seconds: r.histogram("spool_sync_seconds", "Time of one fdatasync.", &FAST),
            batch_frames: r.histogram("spool_batch_frames", "Frames per group commit.", &SIZES),
            messages: r.gauge("spool_messages", "Messages in the spool."),
            recipients: r.gauge("spool_recipients", "Recipients not settled, counted by the spool's index."),
            bytes: r.gauge("spool_bytes", "Bytes on disk."),
            segments: r.gauge("spool_segments", "Segment files."),
            relocated: r.counter("spool_relocated_total", "Messages copied forward out of old segments."),
            corrupt: r.counter("spool_corrupt_total", "Damaged ranges and files moved to corrupt/."),
            missing_frames: r.counter("spool_missing_frames_total", "Frames a start found missing from the log."),
            unchecked: r.counter(
                "spool_unchecked_total",
                "Recipients of outbound mail put on hold because no check is known of it.",
            ),
            troubles: r.counters("spool_troubles_total", "Failed disk operations."),
            healthy: r.gauge("spool_healthy", "1 if commits work, 0 if low on space or wedged."),
            free_bytes: r.gauge("spool_free_bytes", "Free bytes of the spool's file system."),
            free_inodes: r.gauge("spool_free_inodes", "Free inodes of the spool's file system."),
        }
    }
}

#[derive(Debug)]
pub struct DeliveryMetrics {
    /// Recipients attempted, by outcome.
    pub attempts: Counters<OutcomeKind>,
    pub connections_open: IntGauge,
    pub connections: Counters<Worked>,
    /// Transactions on a connection used before.
    pub reused: IntCounter,
    pub tls_handshakes: Counters<Worked>,
    /// The connection broke between the final dot and its answer: the next hop may get the message twice.
    pub possible_duplicates: IntCounter,
    pub seconds: Histogram,
    pub notices: Counters<NoticeKind>,
    pub sites: IntGauge,
    pub sites_backing_off: IntGauge,
    pub probes: Counters<ProbeResult>,
    pub dns: Counters<DnsResult>,
    pub dns_seconds: Histogram,
}

impl DeliveryMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            attempts: r.counters("delivery_attempts_total", "Recipients attempted, by outcome."),
            connections_open: r.gauge("delivery_connections_open", "Connections to next hops."),
            connections: r.counters("delivery_connections_total", "Connections to next hops tried."),
            reused: r.counter("delivery_connections_reused_total", "Transactions on a connection used before."),
            tls_handshakes: r.counters("delivery_tls_handshakes_total", "TLS handshakes with next hops."),
            possible_duplicates: r
                .counter("delivery_possible_duplicates_total", "Connections broken between final dot and answer."),
            seconds: r.histogram("delivery_seconds", "Time of one transaction with a next hop.", &SLOW),
            notices: r.counters("delivery_notices_total", "Notices written (RFC 3464), and those dropped."),
            sites: r.gauge("delivery_sites", "Destinations known."),
            sites_backing_off: r.gauge("delivery_sites_backing_off", "Destinations where no host answered."),
            probes: r.counters("delivery_probes_total", "Recipients asked for by call-ahead."),
            dns: r.counters("dns_questions_total", "DNS questions, by answer."),
            dns_seconds: r.histogram("dns_seconds", "Time to an answer from DNS.", &SLOW),
        }
    }
}

#[derive(Debug)]
pub struct HandoffMetrics {
    pub results: Counters<HandoffResult>,
    /// The final dot was sent and no answer came: the client was told 451 and may send a duplicate.
    pub unknown: IntCounter,
    pub fallbacks: Counters<Fallback>,
    pub seconds: Histogram,
}

impl HandoffMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            results: r.counters("handoff_total", "Lanes handed on inline, by result."),
            unknown: r.counter("handoff_unknown_total", "Final dots sent without an answer."),
            fallbacks: r.counters("handoff_fallback_total", "Lanes of inline tenants that went to the spool."),
            seconds: r.histogram("handoff_seconds", "Time the next hop took inline.", &FAST),
        }
    }
}

#[derive(Debug)]
pub struct ConfigMetrics {
    pub reloads: Counters<Worked>,
    pub last_reload_successful: IntGauge,
    pub last_reload_success_timestamp_seconds: IntGauge,
    /// 1 while `/readyz` says so.
    pub ready: IntGauge,
}

impl ConfigMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            reloads: r.counters("config_reloads_total", "Reloads of the settings."),
            last_reload_successful: r.gauge("config_last_reload_successful", "1 if the last reload was taken."),
            last_reload_success_timestamp_seconds: r
                .gauge("config_last_reload_success_timestamp_seconds", "When settings were last taken."),
            ready: r.gauge("ready", "1 while the node takes mail."),
        }
    }
}

#[derive(Debug)]
pub struct TenantMetrics {
    pub tenants: IntGauge,
    pub domains: IntGauge,
    pub snapshot_version: IntGauge,
    pub snapshots: Counters<Worked>,
}

impl TenantMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            tenants: r.gauge("tenants", "Tenants in the running snapshot."),
            domains: r.gauge("tenant_domains", "Domains in the running snapshot."),
            snapshot_version: r.gauge("snapshot_version", "Version of the running snapshot."),
            snapshots: r.counters("snapshots_total", "Snapshots built."),
        }
    }
}

#[derive(Debug)]
pub struct SenderMetrics {
    pub list_answers: Counters<ListAnswer>,
    pub list_tests: Counters<Worked>,
    /// Lists out of service: above 0 somebody should look.
    pub lists_degraded: IntGauge,
    pub standings: Counters<StandingKind>,
    pub observed: Counters<Observed>,
    pub sources: IntGauge,
    pub sources_evicted: IntCounter,
    pub greylist: Counters<GreylistAnswer>,
    pub greylist_entries: IntGauge,
    pub first_contact_entries: IntGauge,
    pub harvests: IntCounter,
    pub reverse: Counters<ReverseResult>,
    pub geography_loads: Counters<Worked>,
}

impl SenderMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            list_answers: r.counters("dnsxl_answers_total", "Answers of known-source lists."),
            list_tests: r.counters("dnsxl_self_tests_total", "Self-tests of known-source lists (RFC 5782)."),
            lists_degraded: r.gauge("dnsxl_lists_degraded", "Known-source lists that are out of service."),
            standings: r.counters("reputation_standings_total", "Judgements by dynamic reputation."),
            observed: r.counters("reputation_observations_total", "What sources did."),
            sources: r.gauge("reputation_sources", "Sources with a record."),
            sources_evicted: r.counter("reputation_evicted_total", "Records that made room for others."),
            greylist: r.counters("greylist_total", "Answers of the greylist."),
            greylist_entries: r.gauge("greylist_entries", "Entries of the greylist."),
            first_contact_entries: r.gauge("first_contact_entries", "Correspondents and tenants that are remembered."),
            harvests: r.counter("harvest_detected_total", "Sources found trying recipients at random."),
            reverse: r.counters("reverse_names_total", "Reverse names looked up."),
            geography_loads: r.counters("geography_loads_total", "Loads of the database of countries."),
        }
    }
}

#[derive(Debug)]
pub struct LimitMetrics {
    pub refused: Counters<Limit>,
    pub keys: IntGauge,
    pub bytes: IntGauge,
    pub evicted: IntCounter,
}

impl LimitMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            refused: r.counters("limits_refused_total", "Checks over a rate limit."),
            keys: r.gauge("limits_keys", "Keys of rate limits in use, at the last sweep."),
            bytes: r.gauge("limits_bytes", "Memory of rate limits, at the last sweep."),
            evicted: r.counter("limits_evicted_total", "Keys in use that made room for others."),
        }
    }
}

#[derive(Debug)]
pub struct OutboundMetrics {
    /// Recipients of alike messages to many, passed or put off.
    pub alike: IntCounter,
    /// Senders, clients, domains and tenants whose mail is remembered.
    pub records: IntGauge,
    pub evicted: IntCounter,
    /// Groups of alike messages.
    pub groups: IntGauge,
}

impl OutboundMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            alike: r.counter("outbound_alike_total", "Recipients of alike outbound messages to many, put off or not."),
            records: r.gauge("outbound_records", "Senders, clients, domains and tenants that are remembered."),
            evicted: r.counter("outbound_records_evicted_total", "Records of senders that made room for others."),
            groups: r.gauge("outbound_alike_groups", "Groups of alike outbound messages that are remembered."),
        }
    }
}

#[derive(Debug)]
pub struct QuarantineMetrics {
    pub messages: IntGauge,
    /// Recipients whose mail is held.
    pub recipients: IntGauge,
    pub bytes: IntGauge,
    pub held: IntCounter,
    /// Recipients whose mail was given on.
    pub released: IntCounter,
    /// Recipients whose mail was removed by somebody.
    pub removed: IntCounter,
    /// Recipients whose mail was kept for as long as it is kept.
    pub expired: IntCounter,
    pub corrupt: IntCounter,
    pub troubles: IntCounter,
    pub write_seconds: Histogram,
}

impl QuarantineMetrics {
    fn new(r: &Registrar<'_>) -> Self {
        Self {
            messages: r.gauge("quarantine_messages", "Messages in quarantine."),
            recipients: r.gauge("quarantine_recipients", "Recipients whose mail is in quarantine, by its own index."),
            bytes: r.gauge("quarantine_bytes", "Bytes of messages in quarantine."),
            held: r.counter("quarantine_held_total", "Messages made durable in quarantine."),
            released: r.counter("quarantine_released_total", "Recipients whose mail was released."),
            removed: r.counter("quarantine_removed_total", "Recipients whose mail was removed by an operator."),
            expired: r.counter("quarantine_expired_total", "Recipients whose mail was kept long enough."),
            corrupt: r.counter("quarantine_corrupt_total", "Files of the quarantine moved to corrupt/."),
            troubles: r.counter("quarantine_troubles_total", "Failed disk operations of the quarantine."),
            write_seconds: r.histogram("quarantine_write_seconds", "Time to make one held message durable.", &FAST),
        }
    }
}

#[derive(Debug)]
pub struct LogMetrics {
    pub lines: IntCounter,
    pub lost: IntCounter,
}

/// Built once, shared as `Arc<Metrics>`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub balance: Balance,
    pub smtp: SmtpMetrics,
    pub spool: SpoolMetrics,
    pub delivery: DeliveryMetrics,
    pub handoff: HandoffMetrics,
    pub config: ConfigMetrics,
    pub tenants: TenantMetrics,
    pub accounts: AccountMetrics,
    pub sender: SenderMetrics,
    pub limits: LimitMetrics,
    pub outbound: OutboundMetrics,
    pub quarantine: QuarantineMetrics,
    pub scan: ScanMetrics,
    pub identity: IdentityMetrics,
    pub suspension: SuspensionMetrics,
    pub log: LogMetrics,
}

impl Metrics {
    #[must_use]
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let r = &Registrar(&registry);
        let balance = Balance::new();
        r.register(balance.clone());
        r.register(ProcessCollector::for_self());
        if let Ok(info) = IntGauge::with_opts(
            opts("build_info", "1, labelled with the version.").const_label("version", env!("CARGO_PKG_VERSION")),
        ) {
            info.set(1);
            r.register(info);
        }
        let (smtp, spool, delivery) = (SmtpMetrics::new(r), SpoolMetrics::new(r), DeliveryMetrics::new(r));
        let (handoff, config, tenants) = (HandoffMetrics::new(r), ConfigMetrics::new(r), TenantMetrics::new(r));
        let (sender, limits) = (SenderMetrics::new(r), LimitMetrics::new(r));
        let accounts = AccountMetrics::new(r);
        let (quarantine, scan) = (QuarantineMetrics::new(r), ScanMetrics::new(r));
        let identity = IdentityMetrics::new(r);
        let suspension = SuspensionMetrics::new(r);
        let log = LogMetrics {
            lines: r.counter("mail_log_lines_total", "Lines handed to the mail log's writer."),
            lost: r.counter("mail_log_lost_total", "Lines lost because the mail log's disk failed or was too slow."),
        };
        Arc::new(Self {
            balance,
            smtp,
            spool,
            delivery,
            handoff,
            config,
            tenants,
            accounts,
            sender,
            limits,
            outbound: OutboundMetrics::new(r),
            quarantine,
            scan,
            identity,
            suspension,
            log,
            registry,
        })
    }

    /// Text exposition format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// What `promtool check metrics` asks, and the house's own rules.
    fn lint(text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut helped = BTreeSet::new();
        let mut types = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                helped.insert(name.to_owned());
                if help.is_empty() {
                    faults.push(format!("{name}: no help"));
                }
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                types.insert(name.to_owned(), kind.to_owned());
            }
        }
        for (name, kind) in &types {
            if !helped.contains(name) {
                faults.push(format!("{name}: no HELP"));
            }
            if !name.starts_with("sekisho_") && !name.starts_with("process_") {
                faults.push(format!("{name}: wrong prefix"));
            }
            if (kind == "counter") != name.ends_with("_total") {
                faults.push(format!("{name}: a {kind} by that name"));
            }
            if ["_milliseconds", "_ms", "_kilobytes", "_percent"].iter().any(|unit| name.contains(unit)) {
                faults.push(format!("{name}: not a base unit"));
            }
        }
        faults
    }

    fn series(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
    }

    #[test]
    fn every_name_is_well_formed() {
        let metrics = Metrics::new();
        let text = metrics.render();
        assert_eq!(lint(&text), Vec::<String>::new());
        assert!((100..1000).contains(&series(&text)), "{} series", series(&text));
    }

    #[test]
    fn the_lint_catches_what_it_is_for() {
        for bad in ["# HELP sekisho_x_total x\n# TYPE sekisho_x_total gauge\n", "# TYPE sekisho_y gauge\n"] {
            assert!(!lint(bad).is_empty(), "{bad}");
        }
        assert!(!lint("# HELP x_total x\n# TYPE x_total counter\n").is_empty());
        assert!(!lint("# HELP sekisho_x x\n# TYPE sekisho_x counter\n").is_empty());
    }

    #[test]
    fn counting_adds_no_series() {
        let metrics = Metrics::new();
        let before = series(&metrics.render());
        metrics.smtp.connections.inc(Direction::Inbound);
        metrics.smtp.rcpt.inc((Direction::Outbound, Said::Reject));
        metrics.balance.accepted_queued(Direction::Inbound, 2);
        let text = metrics.render();
        assert_eq!(series(&text), before);
        assert!(text.contains("sekisho_recipients_accepted_total{direction=\"inbound\"} 2"));
        assert!(text.contains("sekisho_balance_recipients 0"));
        assert!(text.contains("sekisho_smtp_rcpt_total{decision=\"reject\",direction=\"outbound\"} 1"));
    }
}
