//! Asks the running node over its control socket.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::admin::control::SOCKET;

/// A listing of a million messages takes a while; a dead node none.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no node answers at {place}: {reason}")]
    Unavailable { place: String, reason: String },
    #[error("{0}")]
    NotFound(String),
    /// What there is already stands against it.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Refused(String),
}

/// One request, one answer with status 200; anything else is an error with the node's words.
///
/// # Errors
/// [`ClientError`].
pub async fn ask(data_dir: &Path, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
    let place = data_dir.join(SOCKET);
    let unavailable = |reason: String| ClientError::Unavailable { place: place.display().to_string(), reason };
    let talk = async {
        let stream = UnixStream::connect(&place).await.map_err(|error| unavailable(error.to_string()))?;
        talk(stream, method, path, body).await.map_err(|error| unavailable(error.to_string()))
    };
    let (status, body) =
        tokio::time::timeout(PATIENCE, talk).await.map_err(|_| unavailable("no answer in time".into()))??;
    let said = || String::from_utf8_lossy(&body).trim_end().to_owned();
    match status {
        200 => Ok(body),
        404 => Err(ClientError::NotFound(said())),
        409 => Err(ClientError::Conflict(said())),
        503 => Err(unavailable(said())),
        _ => Err(ClientError::Refused(said())),
    }
}

async fn talk(stream: UnixStream, method: Method, path: &str, body: Vec<u8>) -> Result<(u16, Bytes), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    // Every path here is built from parsed ids and percent-encoded values; one that is not valid asks for nothing.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("control"));
    headers.insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok((status, body))
}
