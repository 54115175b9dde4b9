//! Groups the accepted recipients of one transaction by tenant: each group is judged and settled on its own.

use std::sync::Arc;

use crate::model::{Envelope, Recipient};
use crate::tenant::Tenant;

/// The recipients of one transaction that share a tenant. The direction is the listener's.
#[derive(Debug)]
pub struct Lane {
    pub tenant: Arc<Tenant>,
    pub envelope: Envelope,
}

/// `tenants` stands beside `envelope.recipients`, one each.
#[must_use]
pub fn split(envelope: &Envelope, tenants: &[Arc<Tenant>]) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::with_capacity(1);
    for (recipient, tenant) in envelope.recipients.iter().zip(tenants) {
        match lanes.iter_mut().find(|lane| lane.tenant.id == tenant.id) {
            Some(lane) => push_once(&mut lane.envelope.recipients, recipient),
            None => lanes
                .push(Lane { tenant: Arc::clone(tenant), envelope: envelope.with_recipients(vec![recipient.clone()]) }),
        }
    }
    lanes
}

/// A mailbox named twice gets one copy.
fn push_once(recipients: &mut Vec<Recipient>, recipient: &Recipient) {
    if !recipients.iter().any(|other| other.address == recipient.address) {
        recipients.push(recipient.clone());
    }
}
