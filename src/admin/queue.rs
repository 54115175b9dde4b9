//! The queue as operators see it: the port behind which the spool stands, and the JSON of `/queue`.
//!
//! Reads are NDJSON, one message (or one destination) per line, each with `"v":1`; members are only ever added.

use serde::{Deserialize, Serialize};

use super::Answer;
use crate::model::{Address, Direction, Domain, MessageId, ReversePath, TenantId, Timestamp};

/// Most messages of one listing, unless asked for more.
pub const USUAL_LIMIT: usize = 1_000;
/// Longest reason kept.
pub const MAX_REASON: usize = 200;

/// The queue, for operators. The spool stands behind it; changes are durable when they are answered.
pub trait QueueControl: Send + Sync {
    /// Oldest first, at most `filter.limit`.
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, QueueError>>;
    /// One line per destination domain, the fullest first.
    fn summary(&self, filter: Filter) -> Answer<'_, Result<Vec<Destination>, QueueError>>;
    fn show(&self, id: MessageId) -> Answer<'_, Result<Option<Entry>, QueueError>>;
    fn change(&self, change: Change) -> Answer<'_, Result<Changed, QueueError>>;
}

/// The queue can't be asked or changed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    #[error("the queue is not available: {0}")]
    Unavailable(String),
}

/// Which messages to list. Nothing set: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// A recipient's domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only held ones, or only those not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Which messages to change: never "all" by leaving something out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    Ids(Vec<MessageId>),
    Domain(Domain),
    Tenant(TenantId),
    All,
}

/// What to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Due now.
    Retry,
    /// Not delivered until released.
    Hold,
    Release,
    /// Gone for good, without a notice.
    Remove,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub verb: Verb,
    pub selection: Selection,
    /// For the mail log; mandatory but for a retry.
    #[serde(default)]
    pub reason: String,
}

/// What a change came to, in messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub changed: u64,
    /// Being delivered at this moment, or already in the state asked for.
    pub unchanged: u64,
    /// Ids asked for that are not in the queue.
    #[serde(default)]
    pub missing: Vec<MessageId>,
}

/// One message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub v: u8,
    pub id: MessageId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub kind: MailKind,
    pub sender: ReversePath,
    pub size: u64,
    #[serde(with = "rfc3339")]
    pub queued_at: Timestamp,
    /// Why it is held, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    pub branches: Vec<Branch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailKind {
    Mail,
    /// A notice of our own (RFC 3464).
    Notice,
}

/// How the message reached us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub ip: std::net::IpAddr,
    pub helo: String,
    pub listener: String,
    pub protocol: String,
}

/// The recipients of one domain: they are tried together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    pub domain: Domain,
    pub state: BranchState,
    pub attempts: u32,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// What was said last, by the next hop or by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Those still pending.
    pub recipients: Vec<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BranchState {
    Waiting,
    Delivering,
    Held,
}

/// What waits for one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub v: u8,
    pub domain: Domain,
    pub messages: u64,
    pub recipients: u64,
    pub held: u64,
    pub bytes: u64,
    #[serde(with = "rfc3339")]
    pub oldest: Timestamp,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Timestamps as people read them.
pub(super) mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use crate::model::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }

    fn parse<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
        let date = OffsetDateTime::parse(text, &Rfc3339).map_err(E::custom)?;
        let millis = u64::try_from(date.unix_timestamp_nanos() / 1_000_000).map_err(E::custom)?;
        Ok(Timestamp::from_millis(millis))
    }

    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        use crate::model::Timestamp;

        pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.collect_str(at),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
            Option::<String>::deserialize(deserializer)?
                .map(|text| crate::admin::queue::rfc3339::parse(&text))
                .transpose()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(id: u64) -> Entry {
        Entry {
            v: 1,
            id: MessageId::new(id, 0),
            tenant: TenantId::parse("acme").unwrap(),
            direction: Direction::Inbound,
            kind: MailKind::Mail,
            sender: ReversePath::Null,
            size: 5_120,
            queued_at: Timestamp::from_millis(1_795_176_451_250),
            held: None,
            source: None,
            branches: vec![Branch {
                domain: Domain::parse("acme.example").unwrap(),
                state: BranchState::Waiting,
                attempts: 2,
                next_attempt: Some(Timestamp::from_millis(1_795_176_751_000)),
                last_error: Some("451 4.4.1 \u{202e}no answer\u{1b}[2J".into()),
                recipients: vec![Address::parse("taro@acme.example").unwrap()],
            }],
        }
    }

    /// For the tests of other resources.
    pub(crate) struct NoQueue;

    impl QueueControl for NoQueue {
        fn list(&self, _: Filter) -> Answer<'_, Result<Vec<Entry>, QueueError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn summary(&self, _: Filter) -> Answer<'_, Result<Vec<Destination>, QueueError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn show(&self, _: MessageId) -> Answer<'_, Result<Option<Entry>, QueueError>> {
            Box::pin(async { Ok(None) })
        }
        fn change(&self, _: Change) -> Answer<'_, Result<Changed, QueueError>> {
            Box::pin(async { Ok(Changed::default()) })
        }
    }

    #[test]
    fn an_entry_reads_back_and_is_one_line() {
        let text = serde_json::to_string(&entry(1)).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry(1));
        assert!(text.starts_with(r#"{"v":1,"id":"#) && text.contains(r#""queued_at":"2026-11-20T12:07:31.250Z""#));
    }

    #[test]
    fn a_change_without_a_selection_is_no_change() {
        assert!(serde_json::from_str::<Change>(r#"{"verb":"remove","reason":"x"}"#).is_err());
        let change: Change = serde_json::from_str(r#"{"verb":"retry","selection":{"domain":"acme.example"}}"#).unwrap();
        assert_eq!(change.selection, Selection::Domain(Domain::parse("acme.example").unwrap()));
        let all: Change = serde_json::from_str(r#"{"verb":"retry","selection":"all"}"#).unwrap();
        assert_eq!(all.selection, Selection::All);
    }
}
