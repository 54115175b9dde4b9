//! The Explanation of what was judged so far.

use super::{ClientKnown, Judges, SenderKnown, Who};
use crate::model::authentication::Authentication;
use crate::model::explanation::{ClientSeen, Explanation, Judgement, MAX_JUDGEMENTS, Moment, Versions};
use crate::model::{MessageId, TenantId, Timestamp};
use crate::tenant::Snapshot;

/// Which judgements go into an Explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one of the recipient just judged.
    Last,
    /// All of the transaction, which has no other use for them.
    All,
}

/// The parts that not every Explanation has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    pub message: Option<MessageId>,
    pub tenant: Option<&'a TenantId>,
    /// `TLSv1.3`
    pub tls: Option<&'a str>,
    pub authentication: Option<&'a Authentication>,
}

impl SenderKnown {
    /// What recipients of one tenant were judged by. Ask before [`Judges::explain`], which takes it.
    #[must_use]
    pub fn judgements_of(&self, tenant: &TenantId) -> Vec<Judgement> {
        let is_own = |one: &&Judgement| {
            let taken = self.taken.iter().find(|taken| Some(&taken.recipient) == one.recipient.as_ref());
            taken.is_some_and(|taken| taken.tenant.id == *tenant)
        };
        let of_message = self.of_message.iter().filter(|(id, _)| id == tenant).map(|(_, one)| one);
        self.judgements.iter().filter(is_own).chain(of_message).cloned().collect()
    }
}

impl Judges {
    #[must_use]
    pub fn explain(
        &self,
        who: &Who<'_>,
        snapshot: &Snapshot,
        known: Option<(&ClientKnown, &mut SenderKnown)>,
        which: Which,
        beside: Beside<'_>,
        now: Timestamp,
    ) -> Explanation {
        let versions = Versions {
            program: env!("CARGO_PKG_VERSION").into(),
            snapshot: snapshot.version(),
            lists: Some(snapshot.lists().version()),
        };
        let seen = ClientSeen {
            ip: who.ip,
            helo: who.helo.into(),
            tls: beside.tls.map(Into::into),
            country: self.source.geography.country(who.ip),
            reverse: known.as_ref().and_then(|(client, _)| client.reverse.clone()),
        };
        let mut explanation = Explanation::new(now, versions, seen, who.sender.clone());
        explanation.message = beside.message;
        explanation.tenant = beside.tenant.cloned();
        if let Some(found) = beside.authentication {
            explanation.authenticated(found);
        }
        // Of our own clients nobody asked who they are: they have shown it.
        let Some((_, known)) = known else { return explanation };
        for asked in known.budget.asked() {
            explanation.ask(asked);
        }
        explanation.listed(known.zones.as_deref().unwrap_or_default());
        match which {
            Which::Last => known.judgements.last().cloned().into_iter().for_each(|last| explanation.judge(last)),
            Which::All => {
                let all = std::mem::take(&mut known.judgements);
                let (of_message, of_recipients): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(|judgement| judgement.moment == Moment::Message);
                // What was refused at RCPT has been told there, and may be another tenant's.
                let taken = of_recipients.into_iter().filter(|one| {
                    known.taken.is_empty()
                        || known.taken.iter().any(|taken| Some(&taken.recipient) == one.recipient.as_ref())
                });
                let room = MAX_JUDGEMENTS.saturating_sub(of_message.len());
                taken.take(room).chain(of_message).for_each(|one| explanation.judge(one));
            }
        }
        explanation
    }
}
