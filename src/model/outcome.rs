//! What the next hop said about a recipient. Not what we decided, and not what becomes of the message.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Enhanced, Reply};

/// The server that spoke, for the log and for Remote-MTA of RFC 3464 section 2.3.5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    pub host: Box<str>,
    pub ip: IpAddr,
    pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// The next hop answered 250: custody is theirs.
    Delivered,
    /// 4xx, time-out, no connection: try again.
    Deferred,
    /// 5xx: final.
    Failed,
}

/// What a server's reply means for the recipients it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// 2xx.
    Taken,
    /// 4xx, and what is no answer at all.
    NotNow,
    /// 5xx about the conversation: out of step, TLS or AUTH wanted, a command unknown, no mail at this host. Nobody's
    /// statement about a recipient or a message, and mostly an operator's mistake: never final.
    Objection,
    /// 5xx about the recipient, the sender or the message.
    Refused,
}

impl Meaning {
    /// The one table.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        match reply.code() {
            200..=299 => Self::Taken,
            503 => Self::Objection,
            // With a status about an address, a mailbox or a message (RFC 3463) even these are final.
            500 | 502 | 504 | 521 | 530 | 534 | 535 | 538 | 555
                if !matches!(reply.enhanced(), Some(Enhanced(_, 1 | 2 | 6, _))) =>
            {
                Self::Objection
            }
            500..=599 => Self::Refused,
            _ => Self::NotNow,
        }
    }
}

/// Whether a refused RCPT says that there is no such recipient, rather than that we, the sender or the hour don't please.
///
/// X.1.7 and X.1.8 speak of the sender; 5.4.1 to RCPT is how a large provider says it of directory look-ups.
#[must_use]
pub fn denies_the_recipient(reply: &Reply) -> bool {
    let about_it = match reply.enhanced() {
        Some(Enhanced(_, 1, detail)) => !matches!(detail, 7 | 8),
        Some(Enhanced(_, 2, 1) | Enhanced(_, 4, 1)) => true,
        Some(_) => false,
        None => matches!(reply.code(), 550 | 551 | 553),
    };
    about_it && Meaning::of(reply) == Meaning::Refused
}

/// A 5xx that is not to be final, as 451 with the server's words behind ours. What is no 5xx stays as it is.
#[must_use]
pub fn as_temporary(reply: Reply, status: Enhanced, why: &str) -> Reply {
    if !reply.is_permanent() {
        return reply;
    }
    Reply::with_text(451, status, &format!("{why}: {reply}"))
}

/// One recipient's result of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub kind: OutcomeKind,
    /// As the remote said it, or ours (`451 4.4.1 …`) where it said nothing.
    pub reply: Reply,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// True if `reply` is the remote's own words.
    pub said_by_remote: bool,
}

impl Outcome {
    /// What a remote's reply to a recipient or to the final dot means ([`Meaning`]).
    #[must_use]
    pub fn of_remote(reply: Reply, remote: Remote) -> Self {
        let (kind, reply) = match Meaning::of(&reply) {
            Meaning::Taken => (OutcomeKind::Delivered, reply),
            Meaning::NotNow => (OutcomeKind::Deferred, reply),
            Meaning::Objection => (
                OutcomeKind::Deferred,
                as_temporary(reply, Enhanced(4, 5, 0), "the server objects to the conversation"),
            ),
            Meaning::Refused => (OutcomeKind::Failed, reply),
        };
        Self { kind, reply, remote: Some(remote), said_by_remote: true }
    }

    /// No answer to go by: a local or network failure. A 5xx `reply` (null MX, no such domain) is final.
    #[must_use]
    pub fn of_ours(reply: Reply, remote: Option<Remote>) -> Self {
        let kind = if reply.is_permanent() { OutcomeKind::Failed } else { OutcomeKind::Deferred };
        Self { kind, reply, remote, said_by_remote: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, text: &str) -> Reply {
        Reply::from_remote(code, [text])
    }

    #[test]
    fn only_words_about_recipient_sender_or_message_are_final() {
        use Meaning::{NotNow, Objection, Refused, Taken};
        for (code, text, meaning) in [
            (250, "2.0.0 ok", Taken),
            (354, "go on", NotNow),
            (450, "4.2.1 later", NotNow),
            (421, "bye", NotNow),
            (500, "what?", Objection),
            (500, "5.6.0 a line of the message is too long", Refused),
            (503, "5.1.1 out of order", Objection),
            (504, "5.1.3 no such form of address", Refused),
            (530, "5.7.0 must issue STARTTLS first", Objection),
            (535, "5.7.8 who are you", Objection),
            (555, "5.5.4 unknown parameter", Objection),
            (550, "5.7.1 your address is blocked", Refused),
            (552, "5.3.4 too big", Refused),
            (554, "no", Refused),
        ] {
            assert_eq!(Meaning::of(&reply(code, text)), meaning, "{code} {text}");
        }
        let remote = Remote { host: "h".into(), ip: [192, 0, 2, 1].into(), port: 25 };
        let outcome = Outcome::of_remote(reply(530, "5.7.0 must issue STARTTLS first"), remote);
        assert_eq!((outcome.kind, outcome.reply.code()), (OutcomeKind::Deferred, 451));
        assert!(outcome.reply.to_string().ends_with("530 5.7.0 must issue STARTTLS first"));
    }

    #[test]
    fn only_some_refusals_deny_that_the_recipient_exists() {
        for (code, text, denies) in [
            (550, "5.1.1 no such user", true),
            (550, "no such user", true),
            (550, "5.4.1 recipient address rejected", true),
            (550, "5.7.1 your address is blocked", false),
            (550, "5.1.8 no such sender's domain", false),
            (554, "rejected", false),
            (552, "5.2.2 mailbox full", false),
            (530, "must issue STARTTLS first", false),
            (450, "4.1.1 perhaps", false),
        ] {
            assert_eq!(denies_the_recipient(&reply(code, text)), denies, "{code} {text}");
        }
    }
}
