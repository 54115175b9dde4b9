//! What the spool's tests share: a spool in a directory of its own, and messages to put in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sekisho::clock::Clock;
use sekisho::faults::Faults;
use sekisho::model::{Address, Envelope, MessageId, Origin, Recipient, ReversePath, TenantId, Timestamp};
use sekisho::spool::{About, Body, Config, Deps, Lease, NewMessage, RecoveryReport, Spool};
use sekisho::telemetry::{MailLog, Metrics};

pub const START: Timestamp = Timestamp(1_795_176_451_250);

pub struct Bench {
    pub spool: Spool,
    pub report: RecoveryReport,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: MailLog,
}

pub fn config(dir: &Path) -> Config {
    Config {
        segment_size: 1 << 20,
        min_free_bytes: 0,
        min_free_inodes: 0,
        reserve: 64 << 10,
        check_interval: Duration::from_secs(3600),
        ..Config::new(dir)
    }
}

pub fn open(config: Config) -> Bench {
    let (clock, metrics, log) = (Clock::manual(START), Metrics::new(), MailLog::memory());
    let deps =
        Deps { clock: clock.clone(), faults: Faults::default(), metrics: Arc::clone(&metrics), log: log.clone() };
    let (spool, report) = Spool::open(config, deps).unwrap();
    Bench { spool, report, clock, metrics, log }
}

pub fn id(number: u64) -> MessageId {
    MessageId::new(START.as_millis(), u128::from(number))
}

pub fn about(recipients: &[&str]) -> About {
    let mut envelope = Envelope::from_sender(ReversePath::Mailbox(Address::parse("sender@client.example").unwrap()));
    envelope.recipients = recipients.iter().map(|text| Recipient::new(Address::parse(text).unwrap())).collect();
    About {
        tenant: TenantId::parse("acme").unwrap(),
        origin: Origin {
            ip: "192.0.2.7".parse().unwrap(),
            helo: "mail.client.example".into(),
            listener: "mx".into(),
            protocol: "ESMTPS".into(),
            received_at: START,
        },
        envelope,
    }
}

/// Bytes that only this message has.
pub fn text(number: u64, length: usize) -> Vec<u8> {
    let line = format!("message {number} says so again and again\r\n");
    line.into_bytes().into_iter().cycle().take(length).collect()
}

pub fn message(number: u64, length: usize, recipients: &[&str]) -> NewMessage {
    let body = text(number, length);
    let split = body.len() / 3;
    let (head, rest) = (Bytes::copy_from_slice(&body[..split]), Bytes::copy_from_slice(&body[split..]));
    NewMessage::inbound(id(number), about(recipients), Body::Memory { head, rest })
}

pub fn far() -> Timestamp {
    START.plus(Duration::from_secs(40 * 86_400))
}

pub async fn bytes_of(lease: &Lease) -> Vec<u8> {
    lease.body().await.unwrap().beginning(u64::MAX).unwrap()
}
