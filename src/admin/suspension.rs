//! Measures against senders of outbound mail as operators see them: the port, the JSON and the routes of `/suspensions`.
//!
//! Reads are NDJSON, one measure per line, each with `"v":1`; members are only ever added. A change has a reason; it is in force
//! when it is answered, and `written` says whether it would survive a restart by then. A token is never shown.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path as Segment, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::Answer;
use super::control::{Ports, lines, refused, unavailable};
use super::queue::{MAX_REASON, rfc3339};
use crate::model::abuse::{Evidence, Scope, Signal, Stage};
use crate::model::suspension::{Ending, Pattern, SuspensionId};
use crate::model::{MessageId, TenantId, Timestamp};

/// Most measures of one listing, unless asked for more.
pub const USUAL_LIMIT: usize = 1_000;
/// Longest name of an operator, in characters.
const MAX_NAME: usize = 100;

/// Measures, for operators.
pub trait SuspensionControl: Send + Sync {
    /// Newest first, at most `filter.limit`.
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, String>>;
    /// With `held`.
    fn show(&self, id: SuspensionId) -> Answer<'_, Result<Option<Entry>, String>>;
    /// What stands after it.
    fn add(&self, add: Add) -> Answer<'_, Result<Entry, Refusal>>;
    fn lift(&self, id: SuspensionId, lift: Lift) -> Answer<'_, Result<Entry, Refusal>>;
    fn confirm(&self, confirm: Confirm) -> Answer<'_, Result<Entry, Refusal>>;
    /// Ends and erases all measures of a tenant, and what is known of who sent for it. Done again where it failed.
    fn forget(&self, forget: Forget) -> Answer<'_, Result<Forgotten, String>>;
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such measure, token or tenant.
    Missing(String),
    /// Its state stands against it.
    Conflict(String),
}

/// Which measures to list. Nothing set: all in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Ended ones too.
    #[serde(default)]
    pub ended: bool,
    /// Only older ones than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SuspensionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A measure of an operator. On a subject that has one, it takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    pub tenant: TenantId,
    pub scope: Scope,
    pub stage: Stage,
    /// Not given: as the settings say for the stage; 0: until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// The operator's name.
    pub by: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    pub by: String,
    pub reason: String,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    pub token: String,
    pub reason: String,
}

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirm").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// All that is kept of a tenant's senders is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    pub tenant: TenantId,
    pub by: String,
    pub reason: String,
}

/// How much of it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// In force or ended.
    pub measures: u64,
    /// Senders, clients, domains and the tenant itself.
    pub records: u64,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub v: u8,
    pub id: SuspensionId,
    pub tenant: TenantId,
    pub scope: Scope,
    pub stage: Stage,
    /// `active`, or how it ended.
    pub state: Box<str>,
    /// Who set this stage.
    pub by: Box<str>,
    pub reason: Box<str>,
    /// Messages of the day before this stage began.
    #[serde(default)]
    pub volume: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Seen>,
    /// What the evidence looks like, taken together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    #[serde(with = "rfc3339")]
    pub created: Timestamp,
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// Not there: until it is lifted.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Destinations of queued messages that are held for it; only of one that is shown by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// False: in force, and lost by a restart before the store is back.
    pub written: bool,
}

/// One signal, measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub signal: Signal,
    pub count: u64,
    pub of: u64,
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<MessageId>,
}

impl From<Evidence> for Seen {
    fn from(evidence: Evidence) -> Self {
        let Evidence { signal, count, of, since, sample } = evidence;
        Self { signal, count, of, since, sample }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub how: Ending,
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    pub by: Box<str>,
    pub reason: Box<str>,
}

pub(super) fn routes() -> Router<Ports> {
    Router::new()
        .route("/suspensions", get(list).post(add))
        .route("/suspensions/confirm", post(confirm))
        .route("/suspensions/forget", post(forget))
        .route("/suspensions/{id}", get(show))
        .route("/suspensions/{id}/lift", post(lift))
}

async fn list(State(ports): State<Ports>, filter: Result<Query<Filter>, QueryRejection>) -> Response {
    match filter {
        Ok(Query(mut filter)) => {
            filter.limit.get_or_insert(USUAL_LIMIT);
            lines(ports.suspension.list(filter).await)
        }
        Err(rejection) => refused(&rejection.body_text()),
    }
}

async fn show(State(ports): State<Ports>, Segment(id): Segment<String>) -> Response {
    let Ok(id) = id.parse::<SuspensionId>() else { return refused("not the id of a suspension") };
    match ports.suspension.show(id).await {
        Ok(Some(entry)) => lines(Ok::<_, String>(vec![entry])),
        Ok(None) => (StatusCode::NOT_FOUND, format!("there is no suspension {id}\n")).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn add(State(ports): State<Ports>, add: Result<Json<Add>, JsonRejection>) -> Response {
    let Json(add) = match add {
        Ok(add) => add,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    match check(&add.reason, Some(&add.by)) {
        Ok(()) => changed(ports.suspension.add(add).await),
        Err(text) => refused(text),
    }
}

async fn lift(
    State(ports): State<Ports>,
    Segment(id): Segment<String>,
    lift: Result<Json<Lift>, JsonRejection>,
) -> Response {
    let Ok(id) = id.parse::<SuspensionId>() else { return refused("not the id of a suspension") };
    let Json(lift) = match lift {
        Ok(lift) => lift,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    match check(&lift.reason, Some(&lift.by)) {
        Ok(()) => changed(ports.suspension.lift(id, lift).await),
        Err(text) => refused(text),
    }
}

async fn confirm(State(ports): State<Ports>, confirm: Result<Json<Confirm>, JsonRejection>) -> Response {
    let Json(confirm) = match confirm {
        Ok(confirm) => confirm,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    match check(&confirm.reason, None) {
        Ok(()) => changed(ports.suspension.confirm(confirm).await),
        Err(text) => refused(text),
    }
}

async fn forget(State(ports): State<Ports>, forget: Result<Json<Forget>, JsonRejection>) -> Response {
    let Json(forget) = match forget {
        Ok(forget) => forget,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    match check(&forget.reason, Some(&forget.by)) {
        Ok(()) => lines(ports.suspension.forget(forget).await.map(|forgotten| vec![forgotten])),
        Err(text) => refused(text),
    }
}

fn check(reason: &str, by: Option<&str>) -> Result<(), &'static str> {
    if reason.trim().is_empty() {
        return Err("a reason is needed");
    }
    if reason.chars().count() > MAX_REASON {
        return Err("the reason is too long (200 characters)");
    }
    match by {
        Some(by) if by.trim().is_empty() => Err("a name is needed"),
        Some(by) if by.chars().count() > MAX_NAME => Err("the name is too long (100 characters)"),
        _ => Ok(()),
    }
}

fn changed(done: Result<Entry, Refusal>) -> Response {
    match done {
        Ok(entry) => lines(Ok::<_, String>(vec![entry])),
        Err(Refusal::Missing(text)) => (StatusCode::NOT_FOUND, text + "\n").into_response(),
        Err(Refusal::Conflict(text)) => (StatusCode::CONFLICT, text + "\n").into_response(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Address;

    pub(crate) fn entry(number: u128) -> Entry {
        let now = Timestamp::from_millis(1_795_176_451_250);
        Entry {
            v: 1,
            id: SuspensionId::new(now, number),
            tenant: TenantId::parse("acme").unwrap(),
            scope: Scope::Sender(Address::parse("taro@acme.example").unwrap()),
            stage: Stage::Throttle,
            state: "active".into(),
            by: "automatic".into(),
            reason: "spam\u{1b}[2J, alike".into(),
            volume: 812,
            evidence: vec![Seen { signal: Signal::Spam, count: 700, of: 812, since: now, sample: None }],
            pattern: Some(Pattern::Compromised),
            created: now,
            since: now,
            expires: None,
            ended: None,
            held: Some(2),
            written: true,
        }
    }

    /// For the tests of other resources.
    pub(crate) struct NoSuspensions;

    impl SuspensionControl for NoSuspensions {
        fn list(&self, _: Filter) -> Answer<'_, Result<Vec<Entry>, String>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn show(&self, _: SuspensionId) -> Answer<'_, Result<Option<Entry>, String>> {
            Box::pin(async { Ok(None) })
        }
        fn add(&self, _: Add) -> Answer<'_, Result<Entry, Refusal>> {
            Box::pin(async { Err(Refusal::Missing("nothing is here".into())) })
        }
        fn lift(&self, _: SuspensionId, _: Lift) -> Answer<'_, Result<Entry, Refusal>> {
            Box::pin(async { Err(Refusal::Missing("nothing is here".into())) })
        }
        fn confirm(&self, _: Confirm) -> Answer<'_, Result<Entry, Refusal>> {
            Box::pin(async { Err(Refusal::Missing("nothing is here".into())) })
        }
        fn forget(&self, _: Forget) -> Answer<'_, Result<Forgotten, String>> {
            Box::pin(async { Ok(Forgotten { measures: 0, records: 0 }) })
        }
    }

    #[test]
    fn an_entry_reads_back_and_is_one_line() {
        let text = serde_json::to_string(&entry(1)).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry(1));
        assert!(text.contains(r#""scope":{"sender":"taro@acme.example"},"stage":"throttle""#), "{text}");
        let token = Confirm { token: "secret".into(), reason: "x".into() };
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn a_change_without_a_reason_or_a_name_is_no_change() {
        assert!(check(" ", Some("mika")).is_err() && check("x", Some("")).is_err() && check("x", None).is_ok());
        let add = r#"{"tenant":"acme","stage":"suspend","by":"mika","reason":"x"}"#;
        assert!(serde_json::from_str::<Add>(add).is_err(), "never the whole tenant by leaving something out");
    }
}
