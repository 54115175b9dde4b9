//! ClamAV's daemon: INSTREAM over TCP or a unix socket (clamd(8)).
//!
//! **Failure**: whatever isn't one of the answers there are is [`TalkError`]. "OK" before the whole message was sent is no
//! answer either.
//! **Invariants**: clean comes only from `stream: OK`. Limits, encryption and macros that clamd tells as "found" keep their own
//! classes. clamd tells of limits and encryption only with `AlertExceedsMax yes` and `AlertEncrypted yes`.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::endpoint::Stream;
use super::error::{TalkError, short};
use super::{Answer, unscannable};
use crate::model::finding::{Class, Detector, Finding, Reason, Score};

/// Octets of one chunk.
const CHUNK: usize = 64 << 10;
/// Longest answer: a signature's name is far shorter.
pub const MAX_REPLY: usize = 4 << 10;

/// What clamd says about one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Clean,
    /// The signature's name.
    Found(Box<str>),
    /// Longer than `StreamMaxLength`.
    TooLarge,
    /// It could not scan.
    Failed(Box<str>),
}

/// Reads an answer, without the octet that ends it.
///
/// # Errors
/// [`TalkError::Malformed`] if it is none.
pub fn read(reply: &[u8]) -> Result<Reply, TalkError> {
    let text = std::str::from_utf8(reply).map_err(|_| TalkError::malformed(reply))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.contains(char::is_control) {
        return Err(TalkError::malformed(reply));
    }
    if let Some(said) = text.strip_suffix("ERROR") {
        let said = short(said);
        let too_large = said.contains("size limit exceeded");
        return Ok(if too_large { Reply::TooLarge } else { Reply::Failed(said.into()) });
    }
    match text.strip_prefix("stream: ") {
        Some("OK") => Ok(Reply::Clean),
        Some(rest) => match rest.strip_suffix(" FOUND") {
            Some(name) if !name.trim().is_empty() => Ok(Reply::Found(short(name).into())),
            _ => Err(TalkError::malformed(reply)),
        },
        None => Err(TalkError::malformed(reply)),
    }
}

/// What an answer means here.
#[must_use]
pub fn judge(reply: &Reply) -> Answer {
    let mut answer = Answer::of(Detector::Clamd);
    match reply {
        Reply::Clean => {}
        Reply::Found(name) => found(&mut answer, name),
        Reply::TooLarge => {
            unscannable(&mut answer, "CLAMD_TOO_LARGE", Reason::Bytes, "longer than clamd's StreamMaxLength");
        }
        Reply::Failed(said) => answer.fail(&TalkError::Said(said.to_string())),
    }
    answer
}

/// By the beginning of the signature's name, the longest first; the rest is malware.
const KINDS: &[(&str, Class, f64)] = &[
    ("heuristics.encrypted", Class::Encrypted, 0.0),
    ("heuristics.limits", Class::Unscannable, 0.0),
    ("heuristics.broken", Class::Unscannable, 0.0),
    ("heuristics.ole2.containsmacros", Class::RiskyFile, 0.0),
    ("heuristics.structureddatadetection", Class::RiskyFile, 0.0),
    ("heuristics.phishing", Class::Phishing, 4.0),
    ("email.phishing", Class::Phishing, 8.0),
    ("html.phishing", Class::Phishing, 8.0),
    ("phishing.", Class::Phishing, 8.0),
    ("sanesecurity.phishing", Class::Phishing, 8.0),
    ("sanesecurity.junk", Class::Spam, 6.0),
    ("sanesecurity.spam", Class::Spam, 6.0),
    ("sanesecurity.scam", Class::Spam, 6.0),
    ("sanesecurity.jurlbl", Class::Spam, 6.0),
    ("winnow.spam", Class::Spam, 6.0),
    ("winnow.phish", Class::Phishing, 8.0),
    ("pua.", Class::RiskyFile, 0.0),
];

fn found(answer: &mut Answer, name: &str) {
    let lower = name.to_ascii_lowercase();
    let kind = KINDS.iter().find(|(prefix, ..)| lower.starts_with(prefix));
    let (class, points) = kind.map_or((Class::Malware, 0.0), |(_, class, points)| (*class, *points));
    match class {
        Class::Unscannable => unscannable(answer, name, Reason::Bytes, "beyond what clamd looks at, or damaged"),
        Class::Encrypted => unscannable_as(answer, name),
        _ => answer.findings.push(Finding::new(Detector::Clamd, name, class, Score::from_points(points), "")),
    }
}

fn unscannable_as(answer: &mut Answer, name: &str) {
    answer.findings.push(Finding::new(Detector::Clamd, name, Class::Encrypted, Score::ZERO, ""));
    answer.leave(Reason::Encrypted, "clamd");
}

/// One INSTREAM on a fresh connection.
pub(super) async fn scan(stream: Box<dyn Stream>, message: Bytes) -> Result<Reply, TalkError> {
    let (mut from, mut to) = tokio::io::split(stream);
    let send = async {
        to.write_all(b"zINSTREAM\0").await?;
        for chunk in message.chunks(CHUNK) {
            to.write_u32(u32::try_from(chunk.len()).unwrap_or(0)).await?;
            to.write_all(chunk).await?;
        }
        to.write_u32(0).await?;
        to.flush().await
    };
    let receive = until(&mut from, 0);
    tokio::pin!(send, receive);
    // clamd speaks before the end if the stream is too long for it, and then closes.
    let (reply, sent) = tokio::select! {
        biased;
        sent = &mut send => (receive.await, sent.is_ok()),
        reply = &mut receive => (reply, false),
    };
    match read(&reply?)? {
        Reply::Clean if !sent => Err(TalkError::Malformed("OK before the whole message was sent".into())),
        reply => Ok(reply),
    }
}

/// One command without a stream: `VERSION`, `PING`.
pub(super) async fn say(mut stream: Box<dyn Stream>, command: &str) -> Result<String, TalkError> {
    stream.write_all(format!("z{command}\0").as_bytes()).await?;
    let reply = until(&mut stream, 0).await?;
    Ok(short(&String::from_utf8_lossy(&reply)))
}

/// Everything before `end`. A connection that closes earlier has said nothing.
async fn until(from: &mut (impl AsyncReadExt + Unpin), end: u8) -> Result<Vec<u8>, TalkError> {
    let mut reply = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Err(TalkError::Broken("closed without an answer".into()));
        }
        let part = buffer.get(..read).unwrap_or_default();
        if let Some(at) = memchr::memchr(end, part) {
            reply.extend_from_slice(part.get(..at).unwrap_or_default());
            return Ok(reply);
        }
        reply.extend_from_slice(part);
        if reply.len() > MAX_REPLY {
            return Err(TalkError::malformed(&reply));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_told_apart() {
        for (reply, expected) in [
            ("stream: OK", Some(Reply::Clean)),
            ("stream: Eicar-Test-Signature FOUND", Some(Reply::Found("Eicar-Test-Signature".into()))),
            ("stream: a b FOUND", Some(Reply::Found("a b".into()))),
            ("INSTREAM size limit exceeded. ERROR", Some(Reply::TooLarge)),
            ("stream: Can't allocate memory ERROR", Some(Reply::Failed("stream: Can't allocate memory".into()))),
            ("UNKNOWN COMMAND", None),
            ("stream: OKAY", None),
            ("stream:  OK", None),
            ("stream: FOUND", None),
            ("stream:   FOUND", None),
            ("OK", None),
            ("", None),
            ("other: OK", None),
            ("stream: OK\nstream: Eicar FOUND", None),
        ] {
            assert_eq!(read(reply.as_bytes()).ok(), expected, "{reply:?}");
        }
        assert!(read(b"stream: \xff FOUND").is_err());
    }

    #[test]
    fn what_clamd_calls_found_keeps_its_class() {
        for (name, class) in [
            ("Win.Test.EICAR_HDB-1", Class::Malware),
            ("Heuristics.Encrypted.Zip", Class::Encrypted),
            ("Heuristics.Encrypted.PDF", Class::Encrypted),
            ("Heuristics.Limits.Exceeded.MaxFileSize", Class::Unscannable),
            ("Heuristics.OLE2.ContainsMacros.VBA", Class::RiskyFile),
            ("Heuristics.Phishing.Email.SpoofedDomain", Class::Phishing),
            ("PUA.Win.Packer.Upx", Class::RiskyFile),
            ("Sanesecurity.Phishing.Cur.1.UNOFFICIAL", Class::Phishing),
        ] {
            let answer = judge(&Reply::Found(name.into()));
            assert_eq!(answer.findings[0].class, class, "{name}");
            let is_left = matches!(class, Class::Encrypted | Class::Unscannable);
            assert_eq!(answer.unchecked.len(), usize::from(is_left), "{name}");
        }
        assert_eq!(judge(&Reply::Clean), Answer::of(Detector::Clamd));
        assert!(judge(&Reply::Failed("x".into())).unavailable.is_some());
        assert_eq!(judge(&Reply::TooLarge).findings[0].class, Class::Unscannable);
    }
}
