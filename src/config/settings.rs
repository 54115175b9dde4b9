//! The settings as types, one section each; [`super::fill`] fills them.
//!
//! The rooms don't know these types: the composition converts each section to its room's `Config`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::answers::CodeSettings;
use super::secret::SecretDomain;
use crate::model::answer::AnswerPattern;
use crate::model::detectors::Detectors;
use crate::model::egress::{OutboundSpam, Pool};
use crate::model::rates::{OutboundRates, Windows};
use crate::model::units::Span;
use crate::model::{Address, Direction, Domain};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub hostname: Domain,
    pub data_dir: PathBuf,
    pub postmaster: Address,
    pub drain_timeout: Duration,
    /// See [`Self::threads`].
    pub threads: Option<usize>,
    pub scheduling: Scheduling,
    pub listeners: Vec<ListenerSettings>,
    pub observe: ObserveSettings,
    pub accounts: AccountSettings,
    pub log: LogSettings,
    pub dns: DnsSettings,
    pub tls: TlsSettings,
    pub limits: LimitSettings,
    pub smtp: SmtpSettings,
    pub sender: SenderSettings,
    pub suspension: SuspensionSettings,
    pub call_ahead: CallAheadSettings,
    pub custody: CustodySettings,
    pub spool: SpoolSettings,
    pub delivery: DeliverySettings,
    pub outbound: OutboundSettings,
    pub content: ContentSettings,
}

impl Settings {
    /// Threads that serve connections.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(usual_threads)
    }
}

/// Half as many as there are processors: the other half is busy with looking into mail, which takes longer than all else. A thread
/// that serves few connections falls asleep after each word of a client's, and to wake it costs more than the word.
#[must_use]
pub fn usual_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// What the system's scheduler does with a thread that is woken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheduling {
    /// It may interrupt who has computed longer.
    #[default]
    Normal,
    /// It interrupts nobody who computes, and waits until one of them has used its slice.
    Batch,
}

/// How accounts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    pub write_every: Duration,
    pub max_tenant_series: usize,
}

/// What is for outbound mail alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundSettings {
    pub spam: OutboundSpam,
    /// At most one for each pool.
    pub egress: Vec<EgressSettings>,
}

/// One `[[egress]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressSettings {
    pub pool: Pool,
    /// At least one.
    pub source: Vec<IpAddr>,
    pub hostname: Domain,
}

/// Everything that the content of messages is judged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSettings {
    pub scan: ScanSettings,
    pub signatures: SignatureSettings,
    pub scanners: ScannersSettings,
    pub quarantine: QuarantineSettings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSettings {
    /// `None`: as many as there are processors.
    pub workers: Option<usize>,
    pub patience: Duration,
    pub time: Duration,
    /// Switched off.
    pub off: Detectors,
    pub budgets: BudgetSettings,
    /// Tried on files with passwords, after the words of the mail.
    pub passwords: Vec<String>,
    pub classifier: ClassifierSettings,
}

/// What tenants' users teach the classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifierSettings {
    pub dir: PathBuf,
    /// Octets.
    pub memory: u64,
    /// From mail that is released from quarantine.
    pub learn_from_releases: bool,
}

/// For one message, all parts and files together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    pub parts: usize,
    pub depth: usize,
    pub files: usize,
    pub layers: usize,
    pub file_size: u64,
    pub unpacked_size: u64,
    pub ratio: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureSettings {
    /// Where published sets lie.
    pub dir: PathBuf,
    /// `ed25519:BASE64`; none: no published set is trusted, and the built-in one judges.
    pub keys: Vec<String>,
    /// How many of the keys must have signed.
    pub signers: usize,
    pub refresh: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannersSettings {
    pub clamd: ScannerSettings,
    pub icap: ScannerSettings,
    pub rspamd: ScannerSettings,
    pub spamd: ScannerSettings,
}

/// A scanner of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerSettings {
    /// None: not asked.
    pub servers: Vec<String>,
    pub timeout: Duration,
    pub connections: usize,
    pub max_size: u64,
    pub required: bool,
    /// ICAP: the service. spamd: the user, empty for none.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineSettings {
    pub dir: PathBuf,
    pub keep: Duration,
    pub min_free: u64,
    pub messages: usize,
    pub tenant_messages: usize,
    pub tenant_size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    pub name: Box<str>,
    pub direction: Direction,
    pub bind: SocketAddr,
    pub tls: ListenerTls,
    pub require_tls: bool,
    /// The listener's own or those of `[tls]`.
    pub certificate: Option<TlsFiles>,
    pub client_certificates: bool,
    /// AUTH after TLS.
    pub auth: bool,
    /// A PROXY header is required, and only these may send one.
    pub proxies: Option<Vec<IpNet>>,
    pub xclient_from: Vec<IpNet>,
    /// Whose senders are not judged by the address and by SPF (inbound).
    pub trusted_relays: Vec<IpNet>,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    pub early_talk_wait: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    None,
    StartTls,
    Implicit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObserveSettings {
    /// `None`: off.
    pub bind: Option<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub mail: MailLogTarget,
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailLogTarget {
    Stdout,
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSettings {
    /// Empty: the system's.
    pub servers: Vec<SocketAddr>,
    pub timeout: Duration,
    pub attempts: usize,
    pub cache_entries: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    pub files: Option<TlsFiles>,
    /// `None`: the system's.
    pub trust_anchors: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    pub memory_reserve: u64,
    pub descriptor_reserve: usize,
    pub body_memory: u64,
    pub large_memory: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    pub message_size: u64,
    pub recipients: usize,
    pub transactions: usize,
    pub command_line: usize,
    pub data_line: usize,
    pub header_bytes: usize,
    pub header_count: usize,
    pub errors: usize,
    pub commands_without_mail: usize,
    pub timeouts: SmtpTimeouts,
    /// Bytes per second; 0: any.
    pub min_body_rate: u64,
    pub early_talk_wait: Duration,
    pub smtputf8: bool,
    pub chunking: bool,
    pub dsn: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpTimeouts {
    pub command: Duration,
    pub data: Duration,
    pub transaction: Duration,
    pub session: Duration,
    pub handshake: Duration,
}

/// Everything that senders are judged with, but for the tenants' policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderSettings {
    pub authentication: AuthenticationSettings,
    pub reputation: ReputationSettings,
    pub greylist: GreylistSettings,
    pub first_contact: FirstContactSettings,
    pub harvest: HarvestSettings,
    pub rates: RatesSettings,
    pub bulk: BulkSettings,
    /// A database of countries.
    pub countries: Option<PathBuf>,
    pub known_sources: Vec<KnownSourceSettings>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationSettings {
    pub authserv_id: Domain,
    /// Of one message to the DNS.
    pub questions: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReputationSettings {
    pub entries: usize,
    pub spam_traps: Vec<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GreylistSettings {
    pub delay: Duration,
    pub window: Duration,
    pub memory: Duration,
    pub entries: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstContactSettings {
    pub learning: Duration,
    pub memory: Duration,
    pub entries: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarvestSettings {
    pub unknown_recipients: u32,
    pub stay: Duration,
}

/// `None`: no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatesSettings {
    pub per_client: Option<RateSettings>,
    pub per_network: Option<RateSettings>,
    pub per_sender: Option<RateSettings>,
    pub per_recipient: Option<RateSettings>,
    pub outbound: OutboundRates,
    /// Of one domain of a tenant on trial.
    pub outbound_trial: Windows,
    pub entries: usize,
}

/// Measures against senders of outbound mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspensionSettings {
    pub automatic: bool,
    pub least_messages: u64,
    pub least_signals: u32,
    pub dwell: Duration,
    pub dwell_harm: Duration,
    pub warn_for: Duration,
    pub throttle_for: Duration,
    /// `None`: until it is lifted.
    pub suspend_for: Option<Duration>,
    pub throttle: RateSettings,
    pub widest: WidestScope,
    /// 550 instead of 450.
    pub reject: bool,
    /// Held mail is removed when a suspension runs out, not released.
    pub remove_at_expiry: bool,
    pub confirm_every: Duration,
    pub notices_per_day: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WidestScope {
    Sender,
    Client,
    Domain,
    Tenant,
}

/// Alike outbound messages to many. `None`: no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkSettings {
    pub sender: Option<RateSettings>,
    pub text: Option<RateSettings>,
    pub records: usize,
    pub groups: usize,
}

/// So many in such a time; neither is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSettings {
    pub count: u32,
    pub per: Duration,
}

/// As it is written: `2000/1m`.
impl fmt::Display for RateSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, Span(self.per))
    }
}

/// A known-source list (DNSxL, RFC 5782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSourceSettings {
    pub name: Box<str>,
    pub zone: SecretDomain,
    pub kind: KnownSourceKind,
    pub enabled: bool,
    pub ipv6: bool,
    pub codes: Vec<CodeSettings>,
    pub errors: Vec<AnswerPattern>,
    pub timeout: Duration,
    pub self_test: KnownSourceTest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownSourceKind {
    /// Addresses of bad clients.
    Ip,
    /// Domains of bad senders.
    Domain,
    /// Addresses of good clients.
    Allow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownSourceTest {
    /// RFC 5782 section 5.
    Rfc5782,
    /// Names below the zone.
    Names {
        listed: Box<str>,
        unlisted: Box<str>,
    },
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAheadSettings {
    pub valid: Duration,
    pub invalid: Duration,
    pub entries: u64,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodySettings {
    pub answer_deadline: Duration,
    pub connections_per_hop: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    pub dir: PathBuf,
    pub segment_size: u64,
    pub large_message: u64,
    pub body_cache: u64,
    pub min_free: u64,
    pub min_free_inodes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    pub helo_name: Domain,
    pub port: u16,
    pub private_targets: bool,
    pub concurrency: ConcurrencySettings,
    pub messages_per_connection: usize,
    pub idle_timeout: Duration,
    pub retry: RetrySettings,
    pub timeouts: DeliveryTimeouts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrencySettings {
    pub total: usize,
    pub initial: usize,
    pub inbound: usize,
    pub outbound: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySettings {
    pub first: Duration,
    pub max: Duration,
    /// Of a destination where no host answers.
    pub rest_first: Duration,
    pub rest_max: Duration,
    pub expire_inbound: Duration,
    pub expire_outbound: Duration,
    /// `None`: never.
    pub delay_notice: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryTimeouts {
    pub connect: Duration,
    pub greeting: Duration,
    pub command: Duration,
    pub data: Duration,
    pub block: Duration,
    pub dot: Duration,
}
