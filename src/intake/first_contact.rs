//! Whether an author writes to a tenant for the first time, and who is a stranger no more once mail went either way.
//!
//! **Failure**: what can't be known is no first contact.
//! **Invariants**: one tenant's correspondents are nobody else's business, so a message for several tenants is no first contact;
//! nobody is met by a message that was not taken, was kept here, or is harmful.

use super::connection::Connection;
use super::judging::Judged;
use super::lanes::Lane;
use super::parcel::Parcels;
use super::stages::Transaction;
use crate::model::{Address, Direction, TenantId, Timestamp};

/// Who will have exchanged mail when a message is taken.
pub(super) enum Exchange {
    Nobody,
    /// Its author wrote to this one.
    To(TenantId),
    /// A mailbox of the tenant's wrote to these.
    From(TenantId, Vec<Address>),
}

impl Connection {
    pub(super) fn is_first_contact(&self, transaction: &Transaction, lanes: &[Lane], judged: Option<&Judged>) -> bool {
        let deps = &self.listener.intake.deps;
        let ([lane], Some(author)) = (lanes, judged.and_then(Judged::author)) else { return false };
        let is_inbound = transaction.direction(self.listener.config.direction) == Direction::Inbound;
        if !(is_inbound && deps.scanner.looks_inside(Direction::Inbound)) {
            return false;
        }
        // The tenant's own people, wherever they write from.
        if author.is_authenticated && lane.tenant.owns(author.address.domain()) {
            return false;
        }
        deps.judges.source.correspondents.is_first_contact(&lane.tenant.id, author, deps.clock.now())
    }

    /// To be asked while the parcels are there; it counts when they were taken.
    pub(super) fn exchange(&self, transaction: &Transaction, parcels: &Parcels, is_harmful: bool) -> Exchange {
        if is_harmful {
            return Exchange::Nobody;
        }
        let own = self.listener.config.direction;
        let delivered = parcels.deliver.iter().map(|(parcel, _)| parcel).filter(|parcel| parcel.direction == own);
        match (own, &transaction.client) {
            (Direction::Inbound, _) => {
                // Nobody asked whether it is one to several, and so it makes nobody known.
                let mut tenants = delivered.map(|parcel| &parcel.lane.tenant.id);
                let first = tenants.next().cloned();
                first.filter(|first| tenants.all(|other| other == first)).map_or(Exchange::Nobody, Exchange::To)
            }
            // Whom a tenant's server sends on for is none of its mailboxes, and a notice is no letter.
            (Direction::Outbound, Some(tenant))
                if transaction.sender.address().is_some_and(|sender| tenant.owns(sender.domain())) =>
            {
                let recipients = delivered.flat_map(|parcel| &parcel.lane.envelope.recipients);
                Exchange::From(tenant.id.clone(), recipients.map(|recipient| recipient.address.clone()).collect())
            }
            (Direction::Outbound, _) => Exchange::Nobody,
        }
    }

    /// The message was taken.
    pub(super) fn saw_exchange(&self, exchange: Exchange, judged: Option<&Judged>, now: Timestamp) {
        let correspondents = &self.listener.intake.deps.judges.source.correspondents;
        match (exchange, judged.and_then(Judged::author)) {
            (Exchange::To(tenant), Some(author)) => correspondents.wrote(&tenant, author, now),
            (Exchange::From(tenant, recipients), _) => {
                recipients.iter().for_each(|recipient| correspondents.was_written_to(&tenant, recipient, now));
            }
            (Exchange::To(_) | Exchange::Nobody, _) => {}
        }
    }
}
