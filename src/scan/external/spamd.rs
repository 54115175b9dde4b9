//! SpamAssassin's daemon: SYMBOLS of SPAMC/1.5 over TCP or a unix socket.
//!
//! **Failure**: any code but `EX_OK`, a missing or odd `Spam:` line, or a body of another length is [`TalkError`].
//! **Invariants**: its points are brought to our scale, where spam begins at 5.0, and bounded by [`MOST`] and [`LEAST`].

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::endpoint::Stream;
use super::error::{TalkError, short};
use super::{Answer, OUR_SPAM, listed};
use crate::model::finding::{Class, Detector, Finding, Score};

/// Longest answer.
pub const MAX_REPLY: usize = 64 << 10;
/// Points of one answer, in ours: it is one voice among others.
pub const MOST: f64 = 12.0;
pub const LEAST: f64 = -2.0;
/// Symbols kept.
const SYMBOLS: usize = 200;

/// What spamd says about a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub is_spam: bool,
    pub score: f64,
    /// From which on it says spam.
    pub required: f64,
    pub symbols: Vec<Box<str>>,
}

/// Reads a whole answer.
///
/// # Errors
/// [`TalkError::Said`] for the daemon's own errors, [`TalkError::Malformed`] for what is no answer.
pub fn read(reply: &[u8]) -> Result<Reply, TalkError> {
    let malformed = || TalkError::malformed(reply);
    let text = std::str::from_utf8(reply).map_err(|_| malformed())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap_or_default().splitn(3, ' ');
    let is_spamd = status.next().and_then(|word| word.strip_prefix("SPAMD/")).is_some_and(|v| v.starts_with("1."));
    let code: u32 = status.next().and_then(|code| code.parse().ok()).filter(|_| is_spamd).ok_or_else(malformed)?;
    if code != 0 {
        return Err(TalkError::Said(short(&format!("{code} {}", status.next().unwrap_or_default()))));
    }
    let mut verdict = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        match name.to_ascii_lowercase().as_str() {
            "spam" if verdict.is_none() => verdict = Some(spam_line(value).ok_or_else(malformed)?),
            // Two of them: which is it?
            "spam" => return Err(malformed()),
            "content-length" => {
                let length: usize = value.trim().parse().map_err(|_| malformed())?;
                if length != body.len() {
                    return Err(TalkError::Malformed("a body of another length than was said".into()));
                }
            }
            _ => {}
        }
    }
    let (is_spam, score, required) = verdict.ok_or_else(malformed)?;
    let symbols = body.split([',', '\r', '\n']).map(str::trim).filter(|name| is_symbol(name)).take(SYMBOLS);
    Ok(Reply { is_spam, score, required, symbols: symbols.map(Into::into).collect() })
}

/// `True ; 15.3 / 5.0`
fn spam_line(value: &str) -> Option<(bool, f64, f64)> {
    let (word, points) = value.split_once(';')?;
    let is_spam = match word.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" => true,
        "false" | "no" => false,
        _ => return None,
    };
    let (score, required) = points.split_once('/')?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    Some((is_spam, number(score)?, number(required)?))
}

fn is_symbol(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What an answer means here.
#[must_use]
pub fn judge(reply: &Reply) -> Answer {
    let mut answer = Answer::of(Detector::Spamd);
    let scale = if reply.required > 0.0 { OUR_SPAM / reply.required } else { 1.0 };
    let points = (reply.score * scale).clamp(LEAST, MOST);
    let evidence = format!("{} of {}: {}", reply.score, reply.required, listed(&reply.symbols));
    answer.findings.push(Finding::new(Detector::Spamd, "SPAMD", Class::Spam, Score::from_points(points), &evidence));
    answer
}

/// One SYMBOLS on a fresh connection. `user` is empty for none.
pub(super) async fn scan(stream: Box<dyn Stream>, message: Bytes, user: &str) -> Result<Reply, TalkError> {
    let (from, mut to) = tokio::io::split(stream);
    let user = if user.is_empty() { String::new() } else { format!("User: {user}\r\n") };
    let head = format!("SYMBOLS SPAMC/1.5\r\nContent-length: {}\r\n{user}\r\n", message.len());
    let send = async {
        to.write_all(head.as_bytes()).await?;
        to.write_all(&message).await?;
        to.shutdown().await
    };
    let receive = async {
        let mut reply = Vec::new();
        from.take(MAX_REPLY as u64 + 1).read_to_end(&mut reply).await?;
        Ok::<_, std::io::Error>(reply)
    };
    // It may answer with an error before it has read everything; then writing fails, and what it said counts.
    let (sent, reply) = tokio::join!(send, receive);
    let reply = reply?;
    match sent {
        Err(error) if reply.is_empty() => Err(error.into()),
        _ if reply.is_empty() => Err(TalkError::Broken("closed without an answer".into())),
        _ if reply.len() > MAX_REPLY => Err(TalkError::Malformed("too long".into())),
        Err(_) => match read(&reply) {
            Ok(_) => Err(TalkError::Malformed("an answer before the whole message was sent".into())),
            Err(error) => Err(error),
        },
        Ok(()) => read(&reply),
    }
}

/// PING: the daemon's version.
pub(super) async fn ping(mut stream: Box<dyn Stream>) -> Result<String, TalkError> {
    stream.write_all(b"PING SPAMC/1.5\r\n\r\n").await?;
    let mut reply = Vec::new();
    stream.take(512).read_to_end(&mut reply).await?;
    let text = String::from_utf8_lossy(&reply);
    if text.starts_with("SPAMD/") && text.contains("PONG") {
        Ok(short(&text))
    } else {
        Err(TalkError::malformed(&reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAM: &str = "SPAMD/1.1 0 EX_OK\r\nContent-length: 15\r\nSpam: True ; 15.5 / 5.0\r\n\r\nGTUBE,MISSING_A";

    #[test]
    fn every_answer_is_told_apart() {
        let reply = read(SPAM.as_bytes()).unwrap();
        assert_eq!((reply.is_spam, reply.score, reply.required), (true, 15.5, 5.0));
        assert_eq!(reply.symbols, [Box::from("GTUBE"), "MISSING_A".into()]);
        let old = "SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1.2 / 5.0\r\n\r\nA\r\n";
        assert_eq!(read(old.as_bytes()).unwrap().symbols, [Box::from("A")]);
        assert_eq!(
            read(b"SPAMD/1.0 79 Timeout: (30 second timeout while trying to CHECK)\r\n\r\n"),
            Err(TalkError::Said("79 Timeout: (30 second timeout while trying to CHECK)".into()))
        );
        for bad in [
            "",
            "SPAMD/1.1 0 EX_OK\r\n",
            "SPAMD/1.1 0 EX_OK\r\n\r\n",
            "SPAMD/2.0 0 EX_OK\r\nSpam: False ; 1 / 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nSpam: False ; 1 / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nSpam: Perhaps ; 1 / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nSpam: False ; nan / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 1 / 5\r\nSpam: True ; 9 / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nContent-length: 90\r\nSpam: False ; 1 / 5\r\n\r\nA",
        ] {
            assert!(matches!(read(bad.as_bytes()), Err(TalkError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn points_are_brought_to_our_scale_and_bounded() {
        let points = |score, required| {
            let reply = Reply { is_spam: true, score, required, symbols: vec!["A".into()] };
            judge(&reply).findings[0].score
        };
        assert_eq!(points(7.0, 7.0), Score(5_000));
        assert_eq!(points(1_000.0, 5.0), Score::from_points(MOST));
        assert_eq!(points(-100.0, 5.0), Score::from_points(LEAST));
        assert_eq!(points(3.0, 0.0), Score(3_000));
    }
}
