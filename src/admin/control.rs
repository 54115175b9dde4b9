//! The control socket: what `sekisho queue …` and a reload by command speak to. HTTP over `control.sock` in the data
//! directory, mode 0600: whoever may write there is the operator, so there is no further login.
//!
//! **Invariants**: a change that takes mail out of delivery has a reason; it ends in the mail log (by the port's adapter).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path as Segment, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::explain::{ExplainControl, Question};
use super::quarantine::{self, QuarantineControl};
use super::queue::{Change, Filter, MAX_REASON, QueueControl, QueueError, Selection, USUAL_LIMIT, Verb};
use super::reputation::{ReputationControl, Set, Subject};
use super::suspension::{self, SuspensionControl};
use super::{AdminError, Reload};
use crate::model::MessageId;
use crate::model::sender::Standing;

/// The socket's name in the data directory.
pub const SOCKET: &str = "control.sock";

/// What stands behind the socket.
#[derive(Clone)]
pub struct Ports {
    pub queue: Arc<dyn QueueControl>,
    pub reload: Arc<dyn Reload>,
    pub reputation: Arc<dyn ReputationControl>,
    pub explain: Arc<dyn ExplainControl>,
    pub quarantine: Arc<dyn QuarantineControl>,
    pub suspension: Arc<dyn SuspensionControl>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// The running server; it ends with its token and takes its socket away.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    /// Takes the socket's place from a process that died; the lock of the spool has made sure that no other lives here.
    ///
    /// # Errors
    /// [`AdminError::Bind`].
    pub fn start(data_dir: &Path, ports: Ports, stop: CancellationToken) -> Result<Self, AdminError> {
        let path = data_dir.join(SOCKET);
        let listener =
            listen(&path).map_err(|source| AdminError::Bind { place: path.display().to_string(), source })?;
        let router = routes(ports);
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the control server ended");
            }
        });
        Ok(Self { path, task })
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        let _ = self.task.await;
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Bound under another name and moved, so that the socket never stands at its place with a wider mode.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}

fn routes(ports: Ports) -> Router {
    Router::new()
        .route("/queue", get(list).post(change))
        .route("/queue/summary", get(summary))
        .route("/queue/{id}", get(show))
        .route("/reload", post(read_again))
        .route("/reputation/{subject}", get(show_source).put(set_source).delete(forget_source))
        .route("/explain/smtp", post(explain))
        .route("/quarantine", get(list_held).post(change_held))
        .route("/quarantine/{id}", get(show_held))
        .merge(suspension::routes())
        .with_state(ports)
}

async fn list(State(deps): State<Ports>, filter: Result<Query<Filter>, QueryRejection>) -> Response {
    let Query(mut filter) = match filter {
        Ok(filter) => filter,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    filter.limit.get_or_insert(USUAL_LIMIT);
    lines(deps.queue.list(filter).await)
}

async fn summary(State(deps): State<Ports>, filter: Result<Query<Filter>, QueryRejection>) -> Response {
    match filter {
        Ok(Query(filter)) => lines(deps.queue.summary(filter).await),
        Err(rejection) => refused(&rejection.body_text()),
    }
}

async fn show(State(deps): State<Ports>, Segment(id): Segment<String>) -> Response {
    let Ok(id) = id.parse::<MessageId>() else { return refused("not a message id") };
    match deps.queue.show(id).await {
        Ok(Some(entry)) => lines(Ok::<_, QueueError>(vec![entry])),
        Ok(None) => (StatusCode::NOT_FOUND, format!("{id} is not in the queue\n")).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn change(State(deps): State<Ports>, change: Result<Json<Change>, JsonRejection>) -> Response {
    let Json(change) = match change {
        Ok(change) => change,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    if matches!(&change.selection, Selection::Ids(ids) if ids.is_empty()) {
        return refused("no ids: nothing is selected");
    }
    if change.verb != Verb::Retry && change.reason.trim().is_empty() {
        return refused("a reason is needed");
    }
    if change.reason.chars().count() > MAX_REASON {
        return refused("the reason is too long (200 characters)");
    }
    match deps.queue.change(change).await {
        Ok(changed) => Json(changed).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn read_again(State(deps): State<Ports>) -> Response {
    match deps.reload.reload().await {
        Ok(text) => (StatusCode::OK, text + "\n").into_response(),
        Err(text) => (StatusCode::UNPROCESSABLE_ENTITY, text + "\n").into_response(),
    }
}

async fn show_source(State(deps): State<Ports>, Segment(subject): Segment<String>) -> Response {
    match subject.parse::<Subject>() {
        Ok(subject) => lines(Ok::<_, QueueError>(vec![deps.reputation.show(subject).await])),
        Err(text) => refused(&text),
    }
}

async fn set_source(
    State(deps): State<Ports>,
    Segment(subject): Segment<String>,
    change: Result<Json<Set>, JsonRejection>,
) -> Response {
    let (subject, change) = match (subject.parse::<Subject>(), change) {
        (Ok(subject), Ok(Json(change))) => (subject, change),
        (Err(text), _) => return refused(&text),
        (_, Err(rejection)) => return refused(&rejection.body_text()),
    };
    if change.reason.trim().is_empty() {
        return refused("a reason is needed");
    }
    if change.reason.chars().count() > MAX_REASON {
        return refused("the reason is too long (200 characters)");
    }
    if change.standing == Standing::Unknown {
        return refused("a source is set to good, delayed or refused; unknown is what it is when forgotten");
    }
    match deps.reputation.set(subject, change).await {
        Ok(shown) => lines(Ok::<_, QueueError>(vec![shown])),
        Err(text) => (StatusCode::UNPROCESSABLE_ENTITY, text + "\n").into_response(),
    }
}

async fn forget_source(State(deps): State<Ports>, Segment(subject): Segment<String>) -> Response {
    let subject = match subject.parse::<Subject>() {
        Ok(subject) => subject,
        Err(text) => return refused(&text),
    };
    match deps.reputation.forget(subject.clone()).await {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => (StatusCode::NOT_FOUND, format!("nothing is known of {subject}\n")).into_response(),
        Err(text) => (StatusCode::UNPROCESSABLE_ENTITY, text + "\n").into_response(),
    }
}

async fn explain(State(deps): State<Ports>, question: Result<Json<Question>, JsonRejection>) -> Response {
    let Json(question) = match question {
        Ok(question) => question,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    match question.check() {
        Ok(()) => lines(Ok::<_, QueueError>(vec![deps.explain.smtp(question).await])),
        Err(text) => refused(&text),
    }
}

async fn list_held(State(deps): State<Ports>, filter: Result<Query<quarantine::Filter>, QueryRejection>) -> Response {
    match filter {
        Ok(Query(mut filter)) => {
            let limit = filter.limit.unwrap_or(quarantine::USUAL_LIMIT);
            filter.limit = Some(limit.min(quarantine::MOST_LISTED));
            lines(deps.quarantine.list(filter).await)
        }
        Err(rejection) => refused(&rejection.body_text()),
    }
}

async fn show_held(State(deps): State<Ports>, Segment(id): Segment<String>) -> Response {
    let Ok(id) = id.parse::<MessageId>() else { return refused("not a message id") };
    match deps.quarantine.show(id).await {
        Ok(Some(entry)) => lines(Ok::<_, QueueError>(vec![entry])),
        Ok(None) => (StatusCode::NOT_FOUND, format!("{id} is not in quarantine\n")).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn change_held(State(deps): State<Ports>, change: Result<Json<quarantine::Change>, JsonRejection>) -> Response {
    let Json(change) = match change {
        Ok(change) => change,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    if change.ids.is_empty() {
        return refused("no ids: nothing is selected");
    }
    if change.ids.len() > quarantine::MOST_CHANGED {
        return refused("too many ids (1,000)");
    }
    if change.recipients.is_some() && change.ids.len() != 1 {
        return refused("recipients are those of one message");
    }
    if change.recipients.as_ref().is_some_and(Vec::is_empty) {
        return refused("no recipients: nothing is selected");
    }
    if change.reason.trim().is_empty() {
        return refused("a reason is needed");
    }
    if change.reason.chars().count() > MAX_REASON {
        return refused("the reason is too long (200 characters)");
    }
    match deps.quarantine.change(change).await {
        Ok(changed) => Json(changed).into_response(),
        Err(error) => unavailable(&error),
    }
}

pub(super) fn lines<T: Serialize>(found: Result<Vec<T>, impl std::fmt::Display>) -> Response {
    let entries = match found {
        Ok(entries) => entries,
        Err(error) => return unavailable(&error),
    };
    let mut body = Vec::new();
    for entry in &entries {
        if let Err(error) = serde_json::to_writer(&mut body, entry) {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
        }
        body.push(b'\n');
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

pub(super) fn refused(text: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response()
}

pub(super) fn unavailable(error: &impl std::fmt::Display) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_the_operators_alone_and_replaces_a_dead_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET);
        drop(listen(&path).unwrap());
        assert!(path.exists(), "a dead process leaves its socket behind");
        let _listener = listen(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(tokio::net::UnixStream::connect(&path).await.is_ok());
    }
}
