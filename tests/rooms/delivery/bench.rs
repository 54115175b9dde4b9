//! What delivery's tests share: a spool, a snapshot and running delivery in one process, without intake.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use sekisho::clock::Clock;
use sekisho::delivery::{self, Config, Deps, Handle};
use sekisho::dns::MemoryResolver;
use sekisho::faults::Faults;
use sekisho::model::units::Span;
use sekisho::model::{Address, Direction, Envelope, MessageId, Origin, Recipient, ReversePath, TenantId};
use sekisho::net::client_tls::ClientTls;
use sekisho::policy::srs::Rewriter;
use sekisho::spool::{self, About, Body, NewMessage, Spool};
use sekisho::telemetry::{MailLog, Metrics};
use sekisho::tenant::{Snapshot, Tenant};
use tokio_util::sync::CancellationToken;

use crate::checked::checked;

pub struct Bench {
    pub spool: Spool,
    pub handle: Handle,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
    pub resolver: Arc<MemoryResolver>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

/// Short times, one port for MX hosts.
pub fn config() -> Config {
    let millis = |n| Span(Duration::from_millis(n));
    Config {
        retry_first: millis(150),
        retry_max: millis(600),
        rest_first: millis(150),
        rest_max: millis(600),
        delay_notice_after: millis(0),
        hostname: "gateway.example".into(),
        private_targets: true,
        ..Config::default()
    }
}

pub struct Builder {
    pub config: Config,
    pub tenants: String,
    pub resolver: MemoryResolver,
    pub roots: Vec<CertificateDer<'static>>,
    pub clock: Clock,
}

/// `acme.example` goes to these next hops; `extra` are further lines of its domain.
pub fn acme(hops: &[SocketAddr], extra: &str) -> String {
    let hops: Vec<String> = hops.iter().map(|hop| format!("\"{hop}\"")).collect();
    format!(
        "[[tenant]]\nid = \"acme\"\nname = \"Acme\"\n[[tenant.domain]]\nname = \"acme.example\"\nnext_hops = [{}]\n{extra}\n",
        hops.join(", ")
    )
}

pub fn snapshot(version: u64, text: &str) -> Snapshot {
    let specs = sekisho::tenant::read("tenants.toml", text).unwrap();
    Snapshot::compile(version, specs.into_iter().map(Tenant::compile)).unwrap()
}

impl Builder {
    pub fn new(tenants: String) -> Self {
        Self { config: config(), tenants, resolver: MemoryResolver::default(), roots: Vec::new(), clock: Clock::System }
    }

    pub fn set(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub fn mx(mut self, domain: &str, records: &[(u16, &str)]) -> Self {
        self.resolver = self.resolver.with_mx(domain, records);
        self
    }

    pub fn ip(mut self, host: &str, ips: &[IpAddr]) -> Self {
        self.resolver = self.resolver.with_ip(host, ips);
        self
    }

    pub fn start(self) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (metrics, log) = (Metrics::new(), MailLog::memory());
        let clock = self.clock;
        let spool_config = spool::Config {
            segment_size: 4 << 20,
            min_free_bytes: 0,
            min_free_inodes: 0,
            lease_return: Duration::from_millis(100),
            ..spool::Config::new(dir.path())
        };
        let spool_deps = spool::Deps {
            clock: clock.clone(),
            faults: Faults::default(),
            metrics: Arc::clone(&metrics),
            log: log.clone(),
        };
        let (spool, _) = Spool::open(spool_config, spool_deps).unwrap();
        let resolver = Arc::new(self.resolver);
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot(1, &self.tenants)));
        let shutdown = CancellationToken::new();
        let deps = Deps {
            spool: spool.clone(),
            resolver: resolver.clone(),
            snapshot: Arc::clone(&snapshot),
            tls: ClientTls::new(self.roots).unwrap(),
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
            log: log.clone(),
            faults: Faults::default(),
            observers: Vec::new(),
            rewriter: Arc::new(Rewriter::new(&[])),
            shutdown: shutdown.clone(),
        };
        let handle = delivery::build(self.config, deps);
        Bench { spool, handle, clock, metrics, log, resolver, snapshot, shutdown, _dir: dir }
    }
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub fn envelope(sender: &str, recipients: &[&str]) -> Envelope {
    let sender = if sender.is_empty() { ReversePath::Null } else { ReversePath::Mailbox(address(sender)) };
    let mut envelope = Envelope::from_sender(sender);
    envelope.recipients = recipients.iter().map(|text| Recipient::new(address(text))).collect();
    envelope
}

pub const TEXT: &str = "Subject: hello\r\nFrom: a@sender.example\r\n\r\nline\r\n.dotted\r\nlast\r\n";

impl Bench {
    pub async fn queue(&self, number: u64, envelope: Envelope) -> MessageId {
        self.queue_body(number, Direction::Inbound, envelope, TEXT.as_bytes()).await
    }

    pub async fn queue_body(&self, number: u64, direction: Direction, envelope: Envelope, text: &[u8]) -> MessageId {
        let id = MessageId::new(self.clock.now().as_millis(), u128::from(number));
        let head = Bytes::from_static(b"Received: here\r\n");
        let about = About {
            tenant: TenantId::parse("acme").unwrap(),
            origin: Origin {
                ip: "192.0.2.7".parse().unwrap(),
                helo: "client.example".into(),
                listener: "mx".into(),
                protocol: "ESMTP".into(),
                received_at: self.clock.now(),
            },
            envelope,
        };
        let body = Body::Memory { head, rest: Bytes::copy_from_slice(text) };
        let message = match direction {
            Direction::Inbound => NewMessage::inbound(id, about, body),
            Direction::Outbound => NewMessage::outbound(checked(text).await, id, about, body),
        };
        self.spool.commit(vec![message]).await.unwrap();
        id
    }

    /// Waits until nothing is queued.
    pub async fn empty(&self) {
        self.until("the queue to be empty and all ends told", |bench| {
            // Twice: a notice takes its place a moment after the message it tells of has left.
            (0..2).all(|_| bench.all_told() && bench.spool.is_empty())
        })
        .await;
    }

    /// The log is written after the books: a recipient that has ended may not have its line yet.
    /// What is logged was in the books before, so the log is looked at first.
    fn all_told(&self) -> bool {
        let told = ["delivered", "bounced", "expired", "discarded"].map(|end| self.logged(end).len() as u64);
        let sums = self.metrics.balance.sums();
        sums.queued == 0 && told == [sums.delivered, sums.bounced, sums.expired, sums.discarded]
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let lines = self.log.lines();
        panic!("waited in vain for {what}; log: {:#?}", lines.get(lines.len().saturating_sub(20)..));
    }

    pub fn logged(&self, event: &str) -> Vec<String> {
        let wanted = format!("\"event\":\"{event}\"");
        self.log.lines().into_iter().filter(|line| line.contains(&wanted)).collect()
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        assert!(self.handle.drained().await, "delivery did not drain");
        assert_eq!(self.metrics.balance.sums().balance(), 0);
    }
}
