//! The quarantine as operators see it: the port behind which it stands, and the JSON of `/quarantine`.
//!
//! Reads are NDJSON, one message per line, each with `"v":1`; members are only ever added. What is shown is never a message's
//! octets: reading somebody's mail is another right.

use serde::{Deserialize, Serialize};

use super::Answer;
use super::queue::{Source, rfc3339};
use crate::model::finding::Class;
use crate::model::{Address, Direction, MessageId, ReversePath, TenantId, Timestamp};

/// Most messages of one listing, unless asked for more.
pub const USUAL_LIMIT: usize = 1_000;
/// Most messages of one listing.
pub const MOST_LISTED: usize = 10_000;
/// Most ids of one change: each is a file to be read and written.
pub const MOST_CHANGED: usize = 1_000;

/// The quarantine, for operators. Changes are durable when they are answered.
pub trait QuarantineControl: Send + Sync {
    /// Newest first, at most `filter.limit`.
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, Away>>;
    fn show(&self, id: MessageId) -> Answer<'_, Result<Option<Entry>, Away>>;
    fn change(&self, change: Change) -> Answer<'_, Result<Changed, Away>>;
}

/// It can't be asked or changed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the quarantine is not available: {0}")]
pub struct Away(pub String);

/// Which messages to list. Nothing set: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Of the envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// One of the recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Address>,
    /// Held at or after this: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only older ones than this: the last of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// To its recipients, by way of the queue.
    Release,
    /// Gone for good, without a notice.
    Remove,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub verb: Verb,
    /// Never "all" by leaving something out.
    pub ids: Vec<MessageId>,
    /// Only for these of its recipients. Not given: for all for whom it is still held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Vec<Address>>,
    /// For the mail log.
    pub reason: String,
    /// What is released teaches the classifier, if the settings let it.
    #[serde(default = "usually", skip_serializing_if = "is_usual")]
    pub teaches: bool,
}

fn usually() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_usual(teaches: &bool) -> bool {
    *teaches
}

/// What a change came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Messages.
    pub changed: u64,
    pub recipients: u64,
    /// Ids that are not in quarantine.
    #[serde(default)]
    pub missing: Vec<MessageId>,
    /// Messages that are as they were, and why.
    #[serde(default)]
    pub failed: Vec<Failed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub id: MessageId,
    pub why: String,
}

/// One held message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub v: u8,
    pub id: MessageId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub class: Class,
    /// Why it is held, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub sender: ReversePath,
    /// The author as the header shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// For whom it is still held.
    pub recipients: Vec<Address>,
    /// To whom it was given, or for whom it was removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Address>,
    pub size: u64,
    #[serde(with = "rfc3339")]
    pub held_at: Timestamp,
    #[serde(with = "rfc3339")]
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
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
            class: Class::RiskyFile,
            reason: "a program".into(),
            sender: ReversePath::Null,
            from: Some("\u{202e}boss@acme.example".into()),
            subject: Some("請求書\u{1b}[2J".into()),
            recipients: vec![
                Address::parse("taro@acme.example").unwrap(),
                Address::parse("hanako@acme.example").unwrap(),
            ],
            gone: Vec::new(),
            size: 5_120,
            held_at: Timestamp::from_millis(1_795_176_451_250),
            expires_at: Timestamp::from_millis(1_797_768_451_250),
            explanation: None,
            source: None,
        }
    }

    /// For the tests of other resources.
    pub(crate) struct NothingHeld;

    impl QuarantineControl for NothingHeld {
        fn list(&self, _: Filter) -> Answer<'_, Result<Vec<Entry>, Away>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn show(&self, _: MessageId) -> Answer<'_, Result<Option<Entry>, Away>> {
            Box::pin(async { Ok(None) })
        }
        fn change(&self, _: Change) -> Answer<'_, Result<Changed, Away>> {
            Box::pin(async { Ok(Changed::default()) })
        }
    }

    #[test]
    fn an_entry_reads_back_and_is_one_line() {
        let text = serde_json::to_string(&entry(1)).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry(1));
        assert!(text.contains(r#""class":"risky-file""#) && text.contains(r#""held_at":"2026-11-20T12:07:31.250Z""#));
    }

    #[test]
    fn a_change_without_ids_or_reason_is_no_change() {
        for text in
            [r#"{"verb":"remove","reason":"x"}"#, r#"{"verb":"release","ids":[]}"#, r#"{"ids":[],"reason":"x"}"#]
        {
            assert!(serde_json::from_str::<Change>(text).is_err(), "{text}");
        }
    }
}
