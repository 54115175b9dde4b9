//! A dry conversation: what a client would hear, asked without leaving a trace.
//!
//! **Failure**: as in a real conversation: a fact that can't be had is a value, and policy knows what follows.
//! **Invariants**: the stages stand in the order of a real conversation ([`crate::intake`]); nothing of it is counted,
//! remembered or logged. Questions to the DNS and to a next hop (call-ahead) are real, and their answers are cached.

use std::collections::HashMap;

use super::{Beside, ClientKnown, Judges, Mode, SenderKnown, Which, Who, Whom};
use crate::accounts::{Accounts, Admission};
use crate::intake::ports::RecipientProbe;
use crate::model::explanation::Explanation;
use crate::model::rule::Rule;
use crate::model::{Address, Decision, Direction, TenantId, Timestamp};
use crate::policy::contract;
use crate::policy::rcpt::{self, Domain, Validity};
use crate::tenant::Snapshot;

/// What would be said.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    pub who: Who<'a>,
    /// In one transaction, in this order.
    pub recipients: &'a [Address],
    /// The address in the From field of a message that has no signature; `None`: no message is sent.
    pub author: Option<&'a Address>,
    /// What the recipients' contracts say.
    pub accounts: &'a Accounts,
}

/// Of each tenant, addresses that the conversation would have made accounts.
type Admitted = HashMap<TenantId, Vec<Address>>;

impl Judges {
    /// Judges the conversation. There is a judgement for each recipient, and one of the message if a recipient was accepted
    /// and there is an author.
    pub async fn converse(
        &self,
        conversation: &Conversation<'_>,
        snapshot: &Snapshot,
        probe: &dyn RecipientProbe,
        now: Timestamp,
    ) -> Explanation {
        let who = &conversation.who;
        let (mut client, mut known) = (ClientKnown::default(), SenderKnown::new(self));
        let mut admitted = HashMap::new();
        for recipient in conversation.recipients {
            let seen = (&mut client, &mut known, &mut admitted);
            self.one_recipient(conversation, recipient, (snapshot, probe), seen, now).await;
        }
        let mut tenants: Vec<_> = conversation
            .recipients
            .iter()
            .filter_map(|recipient| snapshot.domain(recipient.domain().as_str()))
            .map(|found| &found.tenant.id)
            .collect();
        tenants.dedup();
        let tenant = if let [only] = tenants.as_slice() { Some(*only) } else { None };
        let tls = (who.tls == super::Tls::Encrypted).then_some("TLS");
        let mut beside = Beside { tenant, tls, ..Beside::default() };
        let Some(author) = conversation.author.filter(|_| !known.taken.is_empty()) else {
            return self.explain(who, snapshot, Some((&client, &mut known)), Which::All, beside, now);
        };
        let message = format!("From: <{author}>\r\n\r\n");
        let judged = self.at_message(who, snapshot, &mut known, &message.into(), (Mode::Dry, now)).await;
        beside.authentication = Some(&judged.authentication);
        self.explain(who, snapshot, Some((&client, &mut known)), Which::All, beside, now)
    }

    async fn one_recipient(
        &self,
        &Conversation { who, accounts, .. }: &Conversation<'_>,
        recipient: &Address,
        (snapshot, probe): (&Snapshot, &dyn RecipientProbe),
        (client, known, admitted): (&mut ClientKnown, &mut SenderKnown, &mut Admitted),
        now: Timestamp,
    ) {
        let who = &who;
        let found = snapshot.domain(recipient.domain().as_str());
        let refused = self.before_validity(who, recipient, (Mode::Dry, now)).or_else(|| {
            let phase = accounts.phase(found.as_ref()?.tenant);
            let decision = contract::decide(&contract::Facts::of_recipient(phase, false));
            (decision != Decision::Accept).then_some((decision, Rule::Contract))
        });
        let refused = match refused {
            Some(refused) => Some(refused),
            None => {
                let domain = match &found {
                    None => Domain::Foreign,
                    Some(found) if !found.tenant.is_active() => Domain::Tenants(Validity::Unavailable),
                    Some(found) => Domain::Tenants(match found.domain.has_recipient(recipient) {
                        Some(true) => Validity::Valid,
                        Some(false) => Validity::Invalid,
                        None => probe.probe(recipient).await,
                    }),
                };
                let decision = rcpt::decide(&rcpt::Facts { direction: Direction::Inbound, recipient, domain });
                (decision != Decision::Accept).then_some((decision, Rule::Recipient))
            }
        };
        match (refused, found) {
            (Some((decision, rule)), _) => known.judgements.push(self.refused(recipient, &decision, rule)),
            (None, Some(found)) => {
                let whom = Whom { snapshot, tenant: found.tenant, domain: found.domain, recipient };
                let taken = known.taken.len();
                let ruling = self.at_rcpt(who, (&whom, found.tenant), (client, known), (Mode::Dry, now)).await;
                let before = admitted.get(&found.tenant.id).map(Vec::as_slice).unwrap_or_default();
                let admission = accounts.would_admit(found.tenant, recipient, before);
                let facts = contract::Facts::of_recipient(accounts.phase(found.tenant), admission == Admission::Over);
                let decision = contract::decide(&facts);
                if ruling.is_accepted() && decision != Decision::Accept {
                    known.taken.truncate(taken);
                    known.judgements.pop();
                    known.judgements.push(self.refused(recipient, &decision, Rule::Accounts));
                } else if ruling.is_accepted() && admission == Admission::New {
                    // It would have taken a place.
                    admitted.entry(found.tenant.id.clone()).or_default().push(recipient.clone());
                }
            }
            (None, None) => {}
        }
    }
}
