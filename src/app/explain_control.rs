//! Puts the judging of senders behind the operator's port: a conversation in which nothing happens.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

use super::next_hop::ByDelivery;
use crate::accounts::Accounts;
use crate::admin::Answer;
use crate::admin::explain::{At, ExplainControl, Question, Said, Told};
use crate::clock::Clock;
use crate::intake::judging::{Conversation, Judges, Who};
use crate::model::explanation::{Judgement, Moment};
use crate::model::{Decision, Direction, Reply, ReversePath};
use crate::net::admission::Admission;
use crate::net::listener::contains;
use crate::policy::mail::{self, Client, Room};
use crate::policy::sender::Tls;
use crate::spool::{Spool, SpoolError};
use crate::tenant::Snapshot;

/// What is said where nothing is refused.
const GREETING: u16 = 220;
const OK: u16 = 250;

pub(super) struct Dry {
    pub judges: Judges,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub probe: Arc<ByDelivery>,
    pub spool: Spool,
    pub admission: Arc<Admission>,
    pub accounts: Accounts,
    /// Of all listeners; which one the client would come to isn't asked.
    pub trusted_relays: Vec<IpNet>,
    pub clock: Clock,
}

impl ExplainControl for Dry {
    fn smtp(&self, question: Question) -> Answer<'_, Told> {
        Box::pin(self.converse(question))
    }
}

impl Dry {
    async fn converse(&self, question: Question) -> Told {
        let mut said = vec![plain(At::Connect, GREETING, None), plain(At::Ehlo, OK, None)];
        let facts = mail::Facts {
            direction: Direction::Inbound,
            sender: &question.sender,
            client: Client::Unknown { may_authenticate: false },
            room: self.room(),
        };
        match mail::decide(&facts) {
            Decision::Accept => said.push(plain(At::Mail, OK, None)),
            Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => {
                said.push(plain(At::Mail, reply.code(), Some(&reply)));
                return Told { v: 1, said, explanation: None };
            }
        }
        let author = question.author.as_ref().or(match &question.sender {
            ReversePath::Null => None,
            ReversePath::Mailbox(sender) => Some(sender),
        });
        let tls = if question.tls { Tls::Encrypted } else { Tls::Plain };
        let ip = question.ip.to_canonical();
        let is_relay = contains(&self.trusted_relays, ip);
        let who = Who { ip, is_relay, helo: &question.helo, tls, sender: &question.sender };
        let conversation = Conversation { who, recipients: &question.recipients, author, accounts: &self.accounts };
        let (snapshot, now) = (self.snapshot.load_full(), self.clock.now());
        let explanation = self.judges.converse(&conversation, &snapshot, &*self.probe, now).await;
        said.extend(explanation.judgements.iter().map(judged));
        Told { v: 1, said, explanation: Some(explanation) }
    }

    fn room(&self) -> Room {
        if self.admission.is_memory_low() {
            return Room::MemoryLow;
        }
        match self.spool.admit(0) {
            Ok(()) => Room::Enough,
            Err(SpoolError::Full(_)) => Room::StorageLow,
            Err(_) => Room::StorageBroken,
        }
    }
}

fn plain(at: At, code: u16, reply: Option<&Reply>) -> Said {
    Said { at, recipient: None, code, reply: reply.map(|reply| reply.to_string().into()), rule: None }
}

fn judged(judgement: &Judgement) -> Said {
    let at = match judgement.moment {
        Moment::Rcpt => At::Rcpt,
        Moment::Message => At::Message,
    };
    let reply = judgement.reply.as_ref();
    Said {
        recipient: judgement.recipient.clone(),
        rule: Some(judgement.decided_by.name().into()),
        ..plain(at, reply.map_or(OK, Reply::code), reply)
    }
}
