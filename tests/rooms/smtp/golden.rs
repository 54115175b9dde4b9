//! The golden talks of `tests/transcripts/` through the pure session, in one piece and octet by octet. Through a socket:
//! [`super::socket`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::talk::{Say, Talk, accepted};
use super::transcript::{Answer, Exchange, Then, Transcript};
use sekisho::model::{Decision, Direction, Enhanced, Reply};
use sekisho::smtp::{AuthOffer, MessageReply, Question, SessionConfig, Start};

/// The answers the talk asks of its embedder and hasn't had yet; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<VecDeque<Answer>>>);

impl Script {
    pub fn extend(&self, exchange: &Exchange) {
        self.0.lock().unwrap().extend(exchange.answers.iter().cloned());
    }

    fn say(&self, question: &Question) -> Say {
        let mut answers = self.0.lock().unwrap();
        let mine = answers.front().is_some_and(|answer| answer.stage == stage(question));
        say(question, if mine { answers.pop_front() } else { None })
    }

    /// Every answer so far was asked for.
    pub fn check_used(&self) -> Result<(), String> {
        self.0.lock().unwrap().front().map_or(Ok(()), |answer| Err(format!("never asked: {answer:?}")))
    }
}

/// The session a talk is about, greeted already.
pub fn begin(transcript: &Transcript, script: Script) -> Talk<impl FnMut(&Question) -> Say> {
    let start = Start { tls: transcript.has("tls"), xclient_trusted: transcript.has("xclient") };
    Talk::new(config(transcript), start, move |question| script.say(question))
}

/// Compares the bodies of the messages asked about with what the talk says of them, if it says anything.
pub fn check_bodies(exchange: &Exchange, body: &[u8]) -> Result<(), String> {
    if exchange.bodies.is_empty() || body == exchange.bodies {
        return Ok(());
    }
    Err(format!("body {:?}", String::from_utf8_lossy(body)))
}

fn config(transcript: &Transcript) -> SessionConfig {
    let mut config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
    for (key, value) in &transcript.options {
        let number = value.as_ref().map_or(0, |value| value.parse().unwrap());
        let limits = &mut config.limits;
        match key.as_str() {
            "starttls" => config.starttls = true,
            "auth" => config.auth = AuthOffer::AfterTls,
            "require-tls" => config.require_tls = true,
            "no-chunking" => config.chunking = false,
            "no-smtputf8" => config.smtputf8 = false,
            "no-dsn" => config.dsn = false,
            "errors" => limits.errors = u32::try_from(number).unwrap(),
            "auth-failures" => limits.auth_failures = u32::try_from(number).unwrap(),
            "commands-without-mail" => limits.commands_without_mail = u32::try_from(number).unwrap(),
            "transactions" => limits.transactions = u32::try_from(number).unwrap(),
            "message-size" => limits.message_size = number,
            "discard" => limits.discard = number,
            "header-bytes" => limits.header_bytes = number,
            "header-count" => limits.header_count = u32::try_from(number).unwrap(),
            "command-line" => limits.command_line = usize::try_from(number).unwrap(),
            "tls" | "xclient" | "whole" => {}
            other => panic!("{}: unknown option {other}", transcript.name),
        }
    }
    config
}

fn reply(code: u16, text: &str) -> Reply {
    let (enhanced, text) = Enhanced::split(text).unwrap_or_else(|| panic!("no enhanced code: {text}"));
    Reply::with_text(code, enhanced, text)
}

fn stage(question: &Question) -> &'static str {
    match question {
        Question::Helo(_) => "helo",
        Question::Auth(_) => "auth",
        Question::Xclient(_) => "xclient",
        Question::Mail(_) => "mail",
        Question::Rcpt(_) => "rcpt",
        Question::Data(_) => "data",
        Question::Message(_) => "message",
    }
}

fn say(question: &Question, answer: Option<Answer>) -> Say {
    let is_message = matches!(question, Question::Message(_));
    let reply = answer.as_ref().and_then(|answer| answer.reply.as_ref()).map(|(code, text)| reply(*code, text));
    match (answer.as_ref().map(|answer| answer.verb.as_str()), reply, is_message) {
        (None | Some("accept"), None, true) => Say::Reply(accepted()),
        (None | Some("accept"), None, false) => Say::Decide(Decision::Accept),
        (Some("disconnect"), Some(reply), true) => Say::Reply(MessageReply::Disconnect(reply)),
        (Some("defer" | "reject"), Some(reply), true) => Say::Reply(MessageReply::Refused(reply)),
        (Some("defer"), Some(reply), false) => Say::Decide(Decision::Defer(reply)),
        (Some("reject"), Some(reply), false) => Say::Decide(Decision::Reject(reply)),
        (Some("disconnect"), Some(reply), false) => Say::Decide(Decision::Disconnect(reply)),
        (verb, ..) => panic!("no such answer: {verb:?}"),
    }
}

fn run(transcript: &Transcript, cut: usize) -> Result<(), String> {
    let script = Script::default();
    let mut talk = begin(transcript, script.clone());
    for exchange in &transcript.exchanges {
        script.extend(exchange);
        talk.messages.clear();
        for piece in exchange.client.chunks(cut) {
            talk.send(piece);
        }
        let at = |what: String| format!("{}:{}: {what}", transcript.name, exchange.line);
        exchange.check(&talk.said()).map_err(at)?;
        script.check_used().map_err(at)?;
        check_rest(exchange, &mut talk).map_err(at)?;
    }
    Ok(())
}

fn check_rest<F: FnMut(&Question) -> Say>(exchange: &Exchange, talk: &mut Talk<F>) -> Result<(), String> {
    let body: Vec<u8> = talk.messages.iter().flat_map(|message| message.body.clone()).collect();
    check_bodies(exchange, &body)?;
    if (exchange.then == Then::Closed) != talk.closed.is_some() {
        return Err(format!("closed: {:?}", talk.closed));
    }
    if (exchange.then == Then::Tls) != talk.tls_wanted {
        return Err(format!("TLS wanted: {}", talk.tls_wanted));
    }
    if exchange.then == Then::Tls {
        talk.tls_wanted = false;
        talk.session.tls_established();
    }
    Ok(())
}

#[test]
fn every_talk_goes_as_written() {
    let mut wrong = Vec::new();
    for transcript in Transcript::load_all() {
        wrong.extend(run(&transcript, usize::MAX).err());
        // "whole": the talk is about octets that come too early in one segment
        if !transcript.has("whole") {
            for cut in [1, 2, 3, 7] {
                wrong.extend(run(&transcript, cut).err().map(|error| format!("{error}\n(in pieces of {cut})")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_wrong_talk_is_noticed() {
    for text in [
        "S: 220 other",
        "S: 220 mx.gateway.example ESMTP\nC: NOOP\nS: 250 2.0.0 no",
        "S: 220 mx.gateway.example ESMTP\nC: NOOP\nS: 250 2.0.0 ok\nS: 250 2.0.0 ok",
        "S: 220 mx.gateway.example ESMTP\nC: NOOP\n?: rcpt accept\nS: 250 2.0.0 ok",
        "S: 220 mx.gateway.example ESMTP\nC: NOOP\nS: 250 2.0.0 ok\n(closed)",
    ] {
        assert!(run(&Transcript::parse("wrong", text).unwrap(), usize::MAX).is_err(), "{text}");
    }
    assert!(Transcript::parse("wrong", "X: what").is_err());
    assert!(Transcript::parse("wrong", "C: \\q").is_err());
}
