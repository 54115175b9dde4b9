//! Groups the accepted recipients of one transaction by tenant: each group is judged and settled on its own.
//!
//! **Failure**: recipients and tenants that don't match make no lanes, so that nobody is forgotten in silence.
//! **Invariants**: at most [`MOST`] lanes, so that one message becomes a bounded number of records and files.

use std::sync::Arc;

use crate::model::{Envelope, Recipient};
use crate::tenant::{Custody, Tenant};

/// Lanes of one transaction. The client sends the other recipients separately (452, RFC 5321 section 4.5.3.1.10).
pub const MOST: usize = 32;

/// The recipients of one transaction that share a tenant. The direction is the listener's.
#[derive(Debug)]
pub struct Lane {
    pub tenant: Arc<Tenant>,
    pub envelope: Envelope,
}

/// Which lane each accepted recipient is in, while they come.
#[derive(Debug, Default)]
pub struct Plan {
    /// One for each lane.
    tenants: Vec<Arc<Tenant>>,
    /// The lane of each accepted recipient, in their order.
    lane_of: Vec<u8>,
}

impl Plan {
    /// Whether a recipient of this tenant still fits.
    #[must_use]
    pub fn has_room(&self, tenant: &Tenant) -> bool {
        self.tenants.len() < MOST || self.place(tenant).is_some()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lane_of.is_empty()
    }

    /// The next recipient is this tenant's.
    pub fn push(&mut self, tenant: Arc<Tenant>) {
        let place = self.place(&tenant).unwrap_or_else(|| {
            self.tenants.push(tenant);
            self.tenants.len() - 1
        });
        self.lane_of.push(u8::try_from(place).unwrap_or(u8::MAX));
    }

    /// Accepted so far.
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.lane_of.len()
    }

    fn place(&self, tenant: &Tenant) -> Option<usize> {
        self.tenants.iter().position(|other| other.id == tenant.id)
    }

    #[must_use]
    pub fn all_inline(&self) -> bool {
        self.tenants.iter().all(|tenant| tenant.custody == Custody::Inline)
    }

    #[must_use]
    pub fn any_inline(&self) -> bool {
        self.tenants.iter().any(|tenant| tenant.custody == Custody::Inline)
    }

    /// `None` if these are not the recipients that were planned for.
    #[must_use]
    pub fn split(&self, envelope: &Envelope) -> Option<Vec<Lane>> {
        if envelope.recipients.len() != self.lane_of.len() {
            return None;
        }
        let lane = |tenant| Lane { tenant: Arc::clone(tenant), envelope: envelope.with_recipients(Vec::new()) };
        let mut lanes: Vec<Lane> = self.tenants.iter().map(lane).collect();
        for (recipient, place) in envelope.recipients.iter().zip(&self.lane_of) {
            push_once(&mut lanes.get_mut(usize::from(*place))?.envelope.recipients, recipient);
        }
        Some(lanes)
    }
}

/// A mailbox named twice gets one copy.
fn push_once(recipients: &mut Vec<Recipient>, recipient: &Recipient) {
    if !recipients.iter().any(|other| other.address == recipient.address) {
        recipients.push(recipient.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, ReversePath, TenantId};
    use crate::tenant::TenantState;

    fn tenant(number: usize) -> Arc<Tenant> {
        Arc::new(Tenant {
            id: TenantId::parse(&format!("t{number}")).unwrap(),
            name: "t".into(),
            state: TenantState::Active,
            custody: Custody::Queued,
            domains: Box::default(),
            content: None,
            administrators: Box::default(),
            people: Arc::default(),
            contract: None,
            clients: Box::default(),
            sign: crate::tenant::SignPolicy::default(),
            forwards: crate::tenant::Forwards::default(),
            rates: Default::default(),
        })
    }

    fn envelope(recipients: &[&str]) -> Envelope {
        let recipients = recipients.iter().map(|text| Recipient::new(Address::parse(text).unwrap()));
        Envelope::from_sender(ReversePath::Null).with_recipients(recipients.collect())
    }

    #[test]
    fn each_lane_has_its_own_recipients_once() {
        let mut plan = Plan::default();
        [0, 1, 0, 0].into_iter().for_each(|number| plan.push(tenant(number)));
        let lanes = plan.split(&envelope(&["a@t0.example", "b@t1.example", "c@t0.example", "a@t0.example"])).unwrap();
        let of = |lane: &Lane| lane.envelope.recipients.iter().map(|r| r.address.to_string()).collect::<Vec<_>>();
        assert_eq!(
            lanes.iter().map(of).collect::<Vec<_>>(),
            [vec!["a@t0.example", "c@t0.example"], vec!["b@t1.example"]]
        );
    }

    #[test]
    fn recipients_that_were_not_planned_for_make_no_lanes() {
        let mut plan = Plan::default();
        plan.push(tenant(0));
        assert!(plan.split(&envelope(&["a@t0.example", "b@t0.example"])).is_none());
        assert!(plan.split(&envelope(&[])).is_none());
    }

    #[test]
    fn a_lane_too_many_finds_no_room_but_those_there_are_do() {
        let mut plan = Plan::default();
        (0..MOST).for_each(|number| plan.push(tenant(number)));
        assert!(plan.has_room(&tenant(0)) && plan.has_room(&tenant(MOST - 1)));
        assert!(!plan.has_room(&tenant(MOST)));
    }
}
