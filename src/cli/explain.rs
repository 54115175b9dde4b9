//! `sekisho explain smtp`: what the running node would say to a client, stage by stage, and why. Nothing is sent, counted or
//! remembered.
//!
//! ```text
//! sekisho explain smtp --ip 192.0.2.7 --helo mail.sender.example --from a@sender.example --rcpt you@acme.example
//! sekisho explain smtp --ip 192.0.2.7 --helo mail.sender.example --from "" --rcpt you@acme.example --lang ja
//! ```
//! Exit codes: 0 told, whatever the answer is; 1 failed, 2 usage, 3 no recipient is one of ours, 69 no node answers.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;

use super::control_client::{ClientError, ask};
use super::{Style, exit};
use crate::admin::explain::{At, MAX_HELO, MAX_RECIPIENTS, Question, Said, Told};
use crate::model::explanation::{Answer, Explanation};
use crate::model::rule::Rule;
use crate::model::{Address, ReversePath};
use crate::policy::explain::{Language, text};

#[derive(Debug, Subcommand)]
pub enum ExplainCommand {
    /// What a client would hear, and which rule decides
    Smtp(SmtpArgs),
}

#[derive(Debug, Args)]
pub struct SmtpArgs {
    /// The client's address
    #[arg(long)]
    ip: IpAddr,
    /// The name it gives in EHLO
    #[arg(long, value_parser = helo)]
    helo: String,
    /// The envelope sender; "" for a notice
    #[arg(long, value_name = "ADDRESS", value_parser = sender)]
    from: ReversePath,
    /// A recipient; may be given several times
    #[arg(long, value_name = "ADDRESS", required = true, value_parser = Address::parse)]
    rcpt: Vec<Address>,
    /// The address in the From field [default: the envelope sender]
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    header_from: Option<Address>,
    /// As if it spoke TLS
    #[arg(long)]
    tls: bool,
    /// The language of the text
    #[arg(long, value_enum, default_value = "en")]
    lang: Lang,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Ja,
}

fn helo(text: &str) -> Result<String, String> {
    let one_word = !text.is_empty() && text.len() <= MAX_HELO && !text.chars().any(|c| c.is_control() || c == ' ');
    if one_word { Ok(text.to_owned()) } else { Err(format!("one word of at most {MAX_HELO} octets")) }
}

pub(super) fn sender(text: &str) -> Result<ReversePath, String> {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    if inner.is_empty() {
        return Ok(ReversePath::Null);
    }
    Address::parse(inner).map(ReversePath::Mailbox).map_err(|error| error.to_string())
}

/// Asks the node that owns `data_dir`; returns the exit code.
pub(super) async fn run(command: ExplainCommand, data_dir: &Path, style: Style, out: &mut (impl Write + Send)) -> u8 {
    let ExplainCommand::Smtp(args) = command;
    match smtp(args, data_dir, style, out).await {
        Ok(code) => code,
        Err(Trouble::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(trouble) => {
            eprintln!("sekisho: {trouble}");
            match trouble {
                Trouble::Client(ClientError::Unavailable { .. }) => exit::UNAVAILABLE,
                Trouble::TooMany => exit::USAGE,
                _ => exit::FAILED,
            }
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("--rcpt may be given {MAX_RECIPIENTS} times at most")]
    TooMany,
    #[error("the node's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

async fn smtp(args: SmtpArgs, data_dir: &Path, style: Style, out: &mut (impl Write + Send)) -> Result<u8, Trouble> {
    if args.rcpt.len() > MAX_RECIPIENTS {
        return Err(Trouble::TooMany);
    }
    let question = Question {
        ip: args.ip,
        helo: args.helo.into(),
        tls: args.tls,
        sender: args.from,
        recipients: args.rcpt,
        author: args.header_from,
    };
    let body = ask(data_dir, Method::POST, "/explain/smtp", serde_json::to_vec(&question)?).await?;
    let told: Told = serde_json::from_slice(&body)?;
    if style.json {
        out.write_all(&body)?;
    } else {
        let language = match args.lang {
            Lang::En => Language::English,
            Lang::Ja => Language::Japanese,
        };
        out.write_all(in_words(&question, &told, language).as_bytes())?;
    }
    out.flush()?;
    Ok(told.explanation.as_ref().map_or(exit::OK, complain))
}

/// Tells of recipients that are none: most often the question is wrong then. The exit code says if all are such.
fn complain(explanation: &Explanation) -> u8 {
    let mut all = true;
    for judgement in &explanation.judgements {
        match (&judgement.recipient, &judgement.decided_by, judgement.answer) {
            (Some(recipient), Rule::Recipient, Answer::Reject | Answer::Disconnect) => {
                eprintln!("sekisho: {recipient} is no recipient of this gateway");
            }
            _ => all = false,
        }
    }
    if all && !explanation.judgements.is_empty() { exit::NOT_FOUND } else { exit::OK }
}

/// What is said, a line for each stage; then the Explanation.
fn in_words(question: &Question, told: &Told, language: Language) -> String {
    let mut out = String::new();
    for said in &told.said {
        // Writing to a string never fails.
        let _ = writeln!(out, "{}", line(question, said));
    }
    if let Some(explanation) = &told.explanation {
        out.push('\n');
        out.push_str(&text(explanation, language));
    }
    out
}

fn line(question: &Question, said: &Said) -> String {
    let command = match (said.at, &said.recipient) {
        (At::Connect, _) => format!("connect from {}", question.ip),
        (At::Ehlo, _) => format!("EHLO {}", question.helo),
        (At::Mail, _) => format!("MAIL FROM:<{}>", question.sender),
        (At::Rcpt, Some(recipient)) => format!("RCPT TO:<{recipient}>"),
        (At::Rcpt, None) => "RCPT".into(),
        (At::Message, _) => "DATA".into(),
    };
    let reply = said.reply.as_deref().map_or_else(|| said.code.to_string(), ToOwned::to_owned);
    match &said.rule {
        Some(rule) => format!("{command} => {reply} ({rule})"),
        None => format!("{command} => {reply}"),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
