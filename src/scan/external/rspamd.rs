//! rspamd: `POST /checkv2` over TCP or a unix socket.
//!
//! **Failure**: a status other than 200, an `error` member, an action that is none of rspamd's, or "soft reject" (it could not
//! finish) is [`TalkError`].
//! **Invariants**: what the client of SMTP said goes into request fields only as visible ASCII; no field that rspamd trusts
//! (`File`, `Path`, `Shm`) can come of it. Points are brought to our scale, where spam begins at 5.0, and bounded.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use super::endpoint::Stream;
use super::error::{TalkError, short};
use super::spamd::{LEAST, MOST};
use super::{Answer, OUR_SPAM, Question, listed};
use crate::model::finding::{Class, Detector, Finding, Score};

/// Longest answer: it lists the message's addresses and links.
pub const MAX_REPLY: usize = 4 << 20;
/// Recipients that are told.
const RECIPIENTS: usize = 100;
/// What rspamd's own default calls spam, for answers that don't say.
const ITS_SPAM: f64 = 6.0;

/// What rspamd would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Action {
    #[serde(rename = "no action")]
    NoAction,
    #[serde(rename = "greylist")]
    Greylist,
    #[serde(rename = "add header")]
    AddHeader,
    #[serde(rename = "rewrite subject")]
    RewriteSubject,
    #[serde(rename = "soft reject")]
    SoftReject,
    #[serde(rename = "reject")]
    Reject,
    #[serde(rename = "discard")]
    Discard,
    #[serde(rename = "quarantine")]
    Quarantine,
}

/// The members of the answer that count.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reply {
    #[serde(default)]
    pub is_skipped: bool,
    pub score: f64,
    #[serde(default)]
    pub required_score: Option<f64>,
    pub action: Action,
    #[serde(default)]
    pub thresholds: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    pub symbols: BTreeMap<String, Symbol>,
    #[serde(default)]
    pub messages: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Symbol {
    #[serde(default)]
    pub score: f64,
    #[serde(default)]
    pub options: Vec<serde_json::Value>,
}

/// Reads the body of an answer.
///
/// # Errors
/// [`TalkError::Said`] for rspamd's own errors, [`TalkError::Malformed`] for what is no answer.
pub fn read(status: u16, body: &[u8]) -> Result<Reply, TalkError> {
    #[derive(Deserialize)]
    struct Fault {
        error: serde_json::Value,
    }
    if let Ok(Fault { error }) = serde_json::from_slice::<Fault>(body) {
        let text = error.as_str().map_or_else(|| error.to_string(), ToOwned::to_owned);
        return Err(TalkError::Said(short(&format!("{status} {text}"))));
    }
    if status != StatusCode::OK.as_u16() {
        return Err(TalkError::Said(format!("status {status}")));
    }
    let reply: Reply = serde_json::from_slice(body).map_err(|error| TalkError::Malformed(short(&error.to_string())))?;
    if !reply.score.is_finite() {
        return Err(TalkError::Malformed("a score that is no number".into()));
    }
    match reply.action {
        Action::SoftReject => {
            let said =
                reply.messages.get("smtp_message").and_then(serde_json::Value::as_str).unwrap_or("come back later");
            Err(TalkError::Said(short(&format!("soft reject: {said}"))))
        }
        _ => Ok(reply),
    }
}

/// What an answer means here.
#[must_use]
pub fn judge(reply: &Reply) -> Answer {
    let mut answer = Answer::of(Detector::Rspamd);
    if reply.is_skipped && reply.action == Action::NoAction {
        // Its own settings let it pass unseen; that says neither good nor bad. Where one of its modules has decided for the
        // others, it says "skipped" too, with the action.
        return answer;
    }
    let limit = reply.thresholds.get("add header").copied().flatten();
    let limit = limit.filter(|limit| *limit > 0.0 && limit.is_finite()).unwrap_or(ITS_SPAM);
    let mut points = (reply.score * OUR_SPAM / limit).clamp(LEAST, MOST);
    // Forced by one of its modules, whatever the score.
    if matches!(reply.action, Action::Reject | Action::Discard | Action::Quarantine) {
        points = points.max(OUR_SPAM);
    }
    let mut symbols: Vec<_> = reply.symbols.iter().collect();
    symbols.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let names: Vec<Box<str>> = symbols.iter().map(|(name, _)| short(name).into()).collect();
    let evidence = format!("{} of {limit}: {}", reply.score, listed(&names));
    answer.findings.push(Finding::new(Detector::Rspamd, "RSPAMD", Class::Spam, Score::from_points(points), &evidence));
    for (name, symbol) in symbols {
        // Symbols of its antivirus module, by the names of its default settings.
        if symbol.score > 0.0 && name.ends_with("_VIRUS") {
            let virus = symbol.options.first().and_then(serde_json::Value::as_str).unwrap_or_default();
            answer.findings.push(Finding::new(Detector::Rspamd, &short(name), Class::Malware, Score::ZERO, virus));
        }
    }
    answer
}

/// One question on a fresh connection.
pub(super) async fn scan(stream: Box<dyn Stream>, host: &str, question: &Question) -> Result<Reply, TalkError> {
    let request = request(host, question)?;
    let broken = |error: hyper::Error| TalkError::Broken(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
        let body = body.map_err(|error| TalkError::Broken(error.to_string()))?.to_bytes();
        read(status, &body)
    };
    tokio::pin!(connection, talk);
    tokio::select! {
        biased;
        reply = &mut talk => reply,
        // The answer may be whole although the connection ended.
        _ = &mut connection => talk.await,
    }
}

fn request(host: &str, question: &Question) -> Result<Request<Full<Bytes>>, TalkError> {
    let mut request = Request::new(Full::new(question.message.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/checkv2");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| TalkError::Connect(error.to_string()))?);
    let mut tell = |name: &'static str, value: &str| {
        // What isn't visible ASCII is not told, rather than told wrongly.
        if !value.is_empty()
            && value.len() <= 512
            && value.bytes().all(|b| (b' '..=b'~').contains(&b))
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.append(HeaderName::from_static(name), value);
        }
    };
    tell("ip", &question.ip.map(|ip| ip.to_string()).unwrap_or_default());
    tell("helo", &question.helo);
    tell("hostname", &question.hostname);
    tell("from", &question.from);
    for recipient in question.recipients.iter().take(RECIPIENTS) {
        tell("rcpt", recipient);
    }
    tell("user", &question.user);
    tell("queue-id", &question.id.map(|id| id.to_string()).unwrap_or_default());
    tell("mta-name", &question.ourselves);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Result<Reply, TalkError> {
        read(200, text.as_bytes())
    }

    #[test]
    fn every_answer_is_told_apart() {
        let spam = r#"{"is_skipped":false,"score":12.0,"required_score":15.0,"action":"add header",
            "thresholds":{"reject":15.0,"add header":6.0,"greylist":null},"symbols":{"GTUBE":{"name":"GTUBE","score":0.5},
            "R_BAD":{"score":9.0,"options":["x"]}},"messages":{},"urls":[],"unknown":1}"#;
        let read_back = reply(spam).unwrap();
        assert_eq!((read_back.action, read_back.score), (Action::AddHeader, 12.0));
        assert!(matches!(reply(r#"{"score":1,"action":"soft reject"}"#), Err(TalkError::Said(_))));
        assert!(matches!(reply(r#"{"error":"cannot parse","error_domain":"x"}"#), Err(TalkError::Said(_))));
        assert!(matches!(read(500, b"x"), Err(TalkError::Said(_))));
        assert!(matches!(read(500, spam.as_bytes()), Err(TalkError::Said(_))));
        for bad in
            ["", "{}", "[]", r#"{"score":1}"#, r#"{"score":"1","action":"reject"}"#, r#"{"score":1,"action":"x"}"#]
        {
            assert!(matches!(reply(bad), Err(TalkError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn points_are_brought_to_our_scale() {
        let answer = |text: &str| judge(&reply(text).unwrap());
        let points = |text: &str| answer(text).findings[0].score;
        assert_eq!(points(r#"{"score":6,"action":"no action"}"#), Score(5_000));
        assert_eq!(points(r#"{"score":8,"action":"add header","thresholds":{"add header":8}}"#), Score(5_000));
        assert_eq!(points(r#"{"score":0,"action":"reject"}"#), Score(5_000), "forced");
        assert_eq!(points(r#"{"score":-90,"action":"no action"}"#), Score::from_points(LEAST));
        assert!(answer(r#"{"score":9,"is_skipped":true,"action":"no action"}"#).findings.is_empty());
        let gtube =
            r#"{"is_skipped":true,"score":15.0,"required_score":15.0,"action":"reject","symbols":{"GTUBE":{}}}"#;
        assert_eq!(points(gtube), Score::from_points(MOST));
        let virus = answer(r#"{"score":9,"action":"reject","symbols":{"CLAM_VIRUS":{"score":4,"options":["Eicar"]}}}"#);
        assert_eq!((virus.findings[1].class, &*virus.findings[1].evidence), (Class::Malware, "Eicar"));
    }

    #[test]
    fn what_a_client_says_makes_no_field_of_its_own() {
        let question = Question {
            helo: "x\r\nFile: /etc/passwd".into(),
            from: "あ@sender.example".into(),
            recipients: vec!["a@acme.example".into(), "b@acme.example".into()],
            ..Question::default()
        };
        let request = request("localhost", &question).unwrap();
        assert!(!request.headers().contains_key("file") && !request.headers().contains_key("helo"));
        assert_eq!(request.headers().get_all("rcpt").iter().count(), 2);
    }
}
