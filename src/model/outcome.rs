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

const OUT_OF_STEP: u16 = 503;

fn as_deferral(reply: &Reply) -> Reply {
    Reply::with_text(451, Enhanced(4, 5, 0), &format!("out of step with the server: {reply}"))
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
    /// What a remote's reply to a recipient or to the final dot means.
    ///
    /// 503 says that the conversation is out of step, which is nobody's statement about a recipient: deferred.
    #[must_use]
    pub fn of_remote(reply: Reply, remote: Remote) -> Self {
        let reply = if reply.code() == OUT_OF_STEP { as_deferral(&reply) } else { reply };
        let kind = match reply.code() {
            200..=299 => OutcomeKind::Delivered,
            500..=599 => OutcomeKind::Failed,
            _ => OutcomeKind::Deferred,
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
