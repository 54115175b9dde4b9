//! Puts the counting of accounts together: its store, what delivery tells it, and how administrators are told.
//!
//! **Failure**: a notice that can't be committed is in the log of the process; the line in the mail log is written in any case.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::node::StartError;
use crate::accounts::{self, Accounts, Announcement, Announcer};
use crate::clock::Clock;
use crate::config::Settings;
use crate::delivery::{Ended, Observer};
use crate::model::{BodyKind, Envelope, MessageId, Origin, OutcomeKind, Recipient, ReversePath, Timestamp};
use crate::spool::{About, Body, Kind, NewMessage, Spool};
use crate::store::SqliteAccounts;
use crate::telemetry::{Event, EventName, MailLog, Metrics};
use crate::tenant::{Snapshot, Tenant};

/// Reads what was counted before.
pub(super) async fn open(
    settings: &Settings,
    snapshot: Arc<ArcSwap<Snapshot>>,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> Result<Accounts, StartError> {
    let store = Arc::new(SqliteAccounts::open(&settings.data_dir).await?);
    let own = &settings.accounts;
    let config = accounts::Config { max_tenant_series: own.max_tenant_series, write_every: own.write_every };
    let deps = accounts::Deps { store, snapshot, clock, metrics };
    Accounts::open(config, deps).await.map_err(|error| StartError::Other(error.to_string()))
}

/// What was seen since the last batch, when mail flows no longer.
pub(super) async fn save(accounts: &Accounts, notices: &Notices) {
    if let Err(error) = accounts.step(notices).await {
        tracing::warn!(%error, "accounts that were seen last are not written down");
    }
}

/// Mail that a tenant's next hop took makes its recipient one who uses the service.
#[derive(Debug)]
pub(super) struct Delivered {
    pub accounts: Accounts,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
}

impl Observer for Delivered {
    fn ended(&self, ended: &Ended<'_>) {
        if ended.meta.kind != Kind::Mail || ended.outcome.kind != OutcomeKind::Delivered {
            return;
        }
        // Whoever sent it: mail of one tenant for another goes to the other's next hops.
        let (address, snapshot) = (&ended.recipient.address, self.snapshot.load());
        if let Some(found) = snapshot.domain(address.domain().as_str()) {
            self.accounts.observe(&found.tenant.id, address);
        }
    }
}

/// A line in the mail log, and a message to the tenant's administrators.
#[derive(Debug)]
pub(super) struct Notices {
    pub hostname: Box<str>,
    pub spool: Spool,
    pub log: MailLog,
    pub clock: Clock,
}

impl Announcer for Notices {
    fn announce<'a>(
        &'a self,
        tenant: &'a Tenant,
        what: &'a Announcement,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let now = self.clock.now();
            let reason = what.reason();
            self.log.log(&Event {
                tenant: Some(&tenant.id),
                reason: Some(&reason),
                ..Event::new(EventName::Contract, now)
            });
            if tenant.administrators.is_empty() {
                return;
            }
            let (id, notice) = self.notice(tenant, what, now);
            match self.spool.commit(vec![notice]).await {
                Ok(_) => self.log.log(&Event {
                    message: Some(id),
                    tenant: Some(&tenant.id),
                    reason: Some(&reason),
                    ..Event::new(EventName::Notice, now)
                }),
                Err(error) => tracing::warn!(%error, tenant = %tenant.id, "administrators could not be told: {reason}"),
            }
        })
    }
}

impl Notices {
    /// From the null sender, labelled so that nothing answers it (RFC 3834 section 5).
    fn notice(&self, tenant: &Tenant, what: &Announcement, now: Timestamp) -> (MessageId, NewMessage) {
        let mut random = [0u8; 16];
        // Without randomness the time alone must do; a clash is refused by the spool, not overwritten.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let id = MessageId::new(now.as_millis(), u128::from_le_bytes(random));
        let hostname = &*self.hostname;
        let mut envelope = Envelope::from_sender(ReversePath::Null);
        envelope.recipients = tenant.administrators.iter().cloned().map(Recipient::new).collect();
        envelope.body = BodyKind::SevenBit;
        envelope.smtputf8 = tenant.administrators.iter().any(|address| !address.to_string().is_ascii());
        let mut octets = String::new();
        // Writing to a string never fails.
        let _ = write!(
            octets,
            "From: Sekisho <postmaster@{hostname}>\r\nTo: undisclosed-recipients:;\r\nSubject: =?UTF-8?B?{}?=\r\n\
             Date: {}\r\nMessage-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            STANDARD.encode("[Sekisho] ご契約について / About your contract"),
            now.rfc5322(),
        );
        let (ja, en) = what.texts();
        let text = format!("{ja}\r\n\r\n{en}\r\n\r\n{} ({})\r\n", tenant.name, tenant.id);
        for line in STANDARD.encode(text).as_bytes().chunks(76) {
            octets.push_str(std::str::from_utf8(line).unwrap_or_default());
            octets.push_str("\r\n");
        }
        let origin = Origin {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            helo: hostname.into(),
            listener: "notice".into(),
            protocol: "LOCAL".into(),
            received_at: now,
        };
        let about = About { tenant: tenant.id.clone(), origin, envelope };
        let body = Body::Memory { head: Bytes::new(), rest: Bytes::from(octets) };
        (id, NewMessage::notice(id, about, body))
    }
}
