//! Delivery status notifications (RFC 3464, RFC 3461 section 6, RFC 6522; RFC 6533 for internationalised addresses): pure,
//! facts in, octets out.
//!
//! **Invariants**: sent from the null sender by whoever commits it; labelled `auto-replied` (RFC 3834 section 5), so that no
//! auto-responder answers; no octet of a remote's words can begin a line, a header field or a part; lines end in CRLF and
//! are shorter than 998 octets, except those that are returned as they came.

use std::fmt::Write as _;

use bytes::Bytes;
use memchr::memmem;

use super::content::Content;
use super::settle::EXPIRED;
use crate::model::{Address, Enhanced, Envelope, MessageId, Outcome, Recipient, Timestamp};

/// Most octets of a header section that go back: a notice may go to somebody whose name was forged.
const HEADER: usize = 32 << 10;

/// What a notice tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Failure,
    Delay,
    /// Handed to a server that does not report itself.
    Success,
}

impl About {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Delay => "delay",
            Self::Success => "success",
        }
    }
}

/// How a recipient ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Failed,
    Expired,
}

/// What of the message goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    Header,
    Full,
}

/// One recipient told of.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub recipient: &'a Recipient,
    pub outcome: &'a Outcome,
    /// `None`: still waits.
    pub fate: Option<Fate>,
}

/// Everything about a notice but its recipients.
#[derive(Debug)]
pub(super) struct Notice<'a> {
    pub about: About,
    pub id: MessageId,
    pub hostname: &'a str,
    pub at: Timestamp,
    pub original: MessageId,
    pub envelope: &'a Envelope,
    pub arrived: Timestamp,
    /// When we give up.
    pub until: Timestamp,
    pub returned: Returned,
    pub content: &'a Content,
}

/// A finished notice.
#[derive(Debug)]
pub(super) struct Composed {
    pub bytes: Bytes,
    /// Needs SMTPUTF8.
    pub utf8: bool,
}

/// Writes the notice.
#[must_use]
pub(super) fn compose(notice: &Notice<'_>, told: &[Told<'_>]) -> Composed {
    let to = notice.envelope.sender.address();
    let utf8 = to.is_some_and(|to| !to.is_ascii())
        || told.iter().any(|told| !told.recipient.address.is_ascii())
        || notice.content.has_utf8_header();
    let boundary = boundary(notice);
    let mut out = String::with_capacity(4096);
    header(&mut out, notice, to, &boundary);
    let _ = write!(out, "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n");
    let _ = write!(out, "Content-Transfer-Encoding: {}\r\n\r\n", if utf8 { "8bit" } else { "7bit" });
    words(&mut out, notice, told, utf8);
    let status = if utf8 { "global-delivery-status" } else { "delivery-status" };
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: message/{status}\r\n");
    if utf8 {
        out.push_str("Content-Transfer-Encoding: 8bit\r\n");
    }
    out.push_str("\r\n");
    report(&mut out, notice, told, utf8);
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: {}\r\n", returned_type(notice.returned, utf8));
    let mut bytes = out.into_bytes();
    append_returned(&mut bytes, notice);
    bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Composed { bytes: bytes.into(), utf8 }
}

/// A line that does not occur in what is returned.
fn boundary(notice: &Notice<'_>) -> String {
    let mut boundary = format!("=_{}", notice.id);
    while memmem::find(&notice.content.rest, boundary.as_bytes()).is_some() {
        boundary.push('_');
    }
    boundary
}

fn header(out: &mut String, notice: &Notice<'_>, to: Option<&Address>, boundary: &str) {
    let host = notice.hostname;
    let subject = match notice.about {
        About::Failure => "Undelivered mail returned to sender",
        About::Delay => "Delayed mail: still trying",
        About::Success => "Mail was passed on",
    };
    let _ = write!(out, "From: Mail Delivery System <mailer-daemon@{host}>\r\n");
    if let Some(to) = to {
        let _ = write!(out, "To: <{to}>\r\n");
    }
    let _ = write!(
        out,
        "Subject: {subject}\r\nDate: {}\r\nMessage-ID: <{}@{host}>\r\nAuto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n",
        notice.at.rfc5322(),
        notice.id,
    );
}

/// For people.
fn words(out: &mut String, notice: &Notice<'_>, told: &[Told<'_>], utf8: bool) {
    let _ = write!(out, "This is the mail system of {}.\r\n\r\n", notice.hostname);
    out.push_str(match notice.about {
        About::Failure => {
            "Your message could not be delivered to the recipients below. It will not be tried again.\r\n"
        }
        About::Delay => {
            "Your message has not yet been delivered to the recipients below. You need not send it again.\r\n"
        }
        About::Success => {
            "Your message was passed on for the recipients below to a server that sends no reports of its own.\r\n"
        }
    });
    if notice.about == About::Delay {
        let _ = write!(out, "Delivery will be tried until {}.\r\n", notice.until.rfc5322());
    }
    for told in told {
        let _ = write!(out, "\r\n<{}>\r\n", told.recipient.address);
        let said = match (&told.outcome.remote, told.outcome.said_by_remote) {
            (Some(remote), true) => format!("{} [{}] said: {}", remote.host, remote.ip, told.outcome.reply),
            _ => told.outcome.reply.to_string(),
        };
        let said =
            if told.fate == Some(Fate::Expired) { format!("gave up after too long a time; {said}") } else { said };
        fold(out, "    ", "    ", &clean(&said, utf8));
    }
    let _ = write!(out, "\r\nThe message is known here as {}.\r\n", notice.original);
}

/// For machines (RFC 3464 section 2).
fn report(out: &mut String, notice: &Notice<'_>, told: &[Told<'_>], utf8: bool) {
    if let Some(envid) = &notice.envelope.envid {
        fold(out, "Original-Envelope-Id: ", " ", &clean(envid, utf8));
    }
    let _ = write!(out, "Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n", notice.hostname, notice.arrived.rfc5322());
    for told in told {
        out.push_str("\r\n");
        if let Some(original) = &told.recipient.original {
            let original = format!("{};{}", original.address_type, original.address);
            fold(out, "Original-Recipient: ", " ", &clean(&original, utf8));
        }
        let address = &told.recipient.address;
        let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
        let _ = write!(out, "Final-Recipient: {kind}; {address}\r\n");
        let action = match (notice.about, told.fate) {
            (About::Delay, _) => "delayed",
            (About::Success, _) => "relayed",
            (About::Failure, _) => "failed",
        };
        let _ = write!(out, "Action: {action}\r\nStatus: {}\r\n", status(told));
        if let Some(remote) = &told.outcome.remote {
            let _ = write!(out, "Remote-MTA: dns; {}\r\n", clean(&remote.host, false));
        }
        let source = if told.outcome.said_by_remote { "smtp" } else { "x-sekisho" };
        fold(out, &format!("Diagnostic-Code: {source}; "), " ", &clean(&told.outcome.reply.to_string(), utf8));
        let _ = write!(out, "Last-Attempt-Date: {}\r\n", notice.at.rfc5322());
        if notice.about == About::Delay {
            let _ = write!(out, "Will-Retry-Until: {}\r\n", notice.until.rfc5322());
        }
    }
}

/// The enhanced code of the reply, where its class fits what became of the recipient.
fn status(told: &Told<'_>) -> Enhanced {
    let class = match told.fate {
        Some(Fate::Expired) => return EXPIRED,
        Some(Fate::Delivered) => 2,
        Some(Fate::Failed) => 5,
        None => 4,
    };
    told.outcome.reply.enhanced().filter(|enhanced| enhanced.0 == class).unwrap_or(Enhanced(class, 0, 0))
}

fn returned_type(returned: Returned, utf8: bool) -> &'static str {
    match (returned, utf8) {
        (Returned::Header, false) => "text/rfc822-headers",
        (Returned::Header, true) => "message/global-headers\r\nContent-Transfer-Encoding: 8bit",
        (Returned::Full, false) => "message/rfc822",
        (Returned::Full, true) => "message/global\r\nContent-Transfer-Encoding: 8bit",
    }
}

fn append_returned(out: &mut Vec<u8>, notice: &Notice<'_>) {
    let content = notice.content;
    let eight_bit = !content.rest.is_ascii() && !out.ends_with(b"8bit\r\n") && notice.returned == Returned::Full;
    if eight_bit {
        out.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
    }
    out.extend_from_slice(b"\r\n");
    match notice.returned {
        Returned::Full => {
            out.extend_from_slice(&content.head);
            out.extend_from_slice(&content.rest);
        }
        Returned::Header => {
            let head = whole_lines(&content.head, HEADER);
            out.extend_from_slice(head);
            out.extend_from_slice(whole_lines(content.received_header(), HEADER - head.len()));
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
}

/// As many whole lines as fit.
fn whole_lines(text: &[u8], most: usize) -> &[u8] {
    if text.len() <= most {
        return text;
    }
    let clipped = text.get(..most).unwrap_or_default();
    let end = memmem::rfind(clipped, b"\r\n").map_or(0, |at| at + 2);
    clipped.get(..end).unwrap_or_default()
}

/// No control characters; without SMTPUTF8 nothing outside ASCII.
fn clean(text: &str, utf8: bool) -> String {
    text.chars().map(|c| if c.is_control() || (!utf8 && !c.is_ascii()) { '?' } else { c }).collect()
}

/// Writes a text in lines of at most about 76 characters, broken at spaces; a longer word is broken at 900.
fn fold(out: &mut String, first: &str, others: &str, text: &str) {
    out.push_str(first);
    let mut column = first.len();
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 && column + word.len() + 1 > 76 {
            out.push_str("\r\n");
            out.push_str(others);
            column = others.len();
        } else if at > 0 {
            out.push(' ');
            column += 1;
        }
        let mut rest = word;
        while rest.len() > 900 {
            let mut end = 900;
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (head, tail) = rest.split_at(end);
            out.push_str(head);
            out.push_str("\r\n");
            out.push_str(others);
            rest = tail;
        }
        out.push_str(rest);
        column += rest.len();
    }
    out.push_str("\r\n");
}
