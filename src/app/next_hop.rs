//! Puts delivery behind the ports of intake: inline custody and call-ahead. The two rooms don't know each other.

use std::sync::Arc;

use crate::delivery::{self, Handoff, HandoffResult, Probe, ProbeAnswer};
use crate::intake::ports::{Answer, HandOn, HandedOn, NextHop, RecipientProbe};
use crate::model::Address;
use crate::policy::rcpt::Validity;
use crate::tenant::{Tenant, TenantDomain};

#[derive(Debug)]
pub(super) struct ByDelivery {
    pub handoff: Arc<Handoff>,
    pub probe: Arc<Probe>,
}

impl NextHop for ByDelivery {
    fn hand_on<'a>(&'a self, lane: HandOn<'a>) -> Answer<'a, HandedOn> {
        Box::pin(async move {
            let request = delivery::HandOn {
                id: lane.id,
                tenant: &lane.tenant.id,
                domain: lane.domain,
                envelope: lane.envelope,
                head: lane.head,
                rest: lane.rest,
                patience: lane.patience,
            };
            match self.handoff.hand_on(request).await {
                HandoffResult::Delivered(receipt) => HandedOn::Delivered(receipt),
                HandoffResult::Refused(reply) => HandedOn::Refused(reply),
                HandoffResult::Mixed => HandedOn::Mixed,
                HandoffResult::Unavailable => HandedOn::Unavailable,
                HandoffResult::Unknown => HandedOn::Unknown,
            }
        })
    }
}

impl RecipientProbe for ByDelivery {
    fn probe<'a>(&'a self, tenant: &'a Tenant, domain: &'a TenantDomain, recipient: &'a Address) -> Answer<'a, Validity> {
        Box::pin(async move {
            match self.probe.ask(&tenant.id, domain, recipient).await {
                ProbeAnswer::Valid => Validity::Valid,
                ProbeAnswer::Invalid => Validity::Invalid,
                ProbeAnswer::Temporary => Validity::Unavailable,
            }
        })
    }
}
