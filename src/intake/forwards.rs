//! Mail that a tenant's server sends on for somebody else: its envelope sender is rewritten (SRS) onto the tenant's first domain
//! when it leaves, and what bounces to such an address is sent on to whom it leads.
//!
//! **Failure**: a sender that can't be rewritten is refused at MAIL. **Invariants**: only tenants that say so; what comes back
//! is judged like all outbound mail of the tenant, and leads out only if the hash holds and nobody is named as its sender.

use std::collections::HashMap;

use super::connection::Connection;
use super::parcel::Parcel;
use super::stages::Transaction;
use crate::model::{Address, Decision, Direction, Envelope, Recipient, ReversePath, Timestamp};
use crate::policy::replies;
use crate::policy::srs::Back;
use crate::telemetry::metrics::Rewritten;
use crate::tenant::{Forwards, Tenant};

/// Recipients of a transaction that were rewritten senders, and whom they lead to.
pub(super) type LeadOut = HashMap<Address, Address>;

impl Connection {
    /// The sender that mail of the client's tenant leaves with, where that is not the one named.
    pub(super) fn rewritten(&self, tenant: &Tenant, sender: &ReversePath, now: Timestamp) -> Option<ReversePath> {
        let sender =
            sender.address().filter(|sender| tenant.forwards == Forwards::Srs && !tenant.owns(sender.domain()))?;
        let onto = &tenant.domains.first()?.name;
        let identity = &self.listener.intake.deps.identity;
        identity.rewriter.onto(sender, onto, now).ok().map(ReversePath::Mailbox)
    }

    /// RCPT inbound: `None`, the recipient was never rewritten for this tenant; otherwise whom it leads to, or the refusal.
    pub(super) fn leads_out(
        &self,
        tenant: &Tenant,
        (sender, recipient): (&ReversePath, &Address),
        now: Timestamp,
    ) -> Option<Result<Address, Decision>> {
        let own = tenant.forwards == Forwards::Srs
            && tenant.domains.first().is_some_and(|first| first.name == *recipient.domain());
        if !own {
            return None;
        }
        let deps = &self.listener.intake.deps;
        match deps.identity.rewriter.back(recipient, now) {
            Back::Ordinary => None,
            // Only notices come back; anything else would be sent on in the tenant's name.
            Back::To(address) if *sender == ReversePath::Null => {
                if let Decision::Defer(reply) | Decision::Reject(reply) = self.suspended_at_mail(tenant, sender) {
                    return Some(Err(Decision::Defer(reply)));
                }
                deps.metrics.identity.rewritten.inc(Rewritten::Back);
                Some(Ok(address))
            }
            Back::To(_) | Back::Invalid => {
                deps.metrics.identity.rewritten.inc(Rewritten::Refused);
                Some(Err(Decision::Reject(replies::NO_SUCH_RECIPIENT)))
            }
        }
    }
}

impl Transaction {
    /// The direction by which the message is judged: what leads out is outbound mail.
    pub(super) fn direction(&self, listener: Direction) -> Direction {
        if self.lead_out.is_empty() { listener } else { Direction::Outbound }
    }

    /// Turns a parcel around that leads out: to those whom its recipients stand for.
    pub(super) fn turn(&self, parcel: &mut Parcel) {
        let leads = |recipient: &Recipient| self.lead_out.contains_key(&recipient.address);
        if parcel.lane.envelope.recipients.is_empty() || !parcel.lane.envelope.recipients.iter().all(leads) {
            return;
        }
        parcel.direction = Direction::Outbound;
        let envelope: &mut Envelope = &mut parcel.lane.envelope;
        for recipient in &mut envelope.recipients {
            if let Some(to) = self.lead_out.get(&recipient.address) {
                recipient.address = to.clone();
            }
        }
    }
}
