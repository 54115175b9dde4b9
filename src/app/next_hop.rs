//! Puts delivery behind the ports of intake: inline custody and call-ahead. The two rooms don't know each other.

use tokio::time::Instant;

use crate::delivery::{self, HandOnResult, Handoff, Probe, ProbeAnswer};
use crate::intake::ports::{Answer, HandOn, HandedOn, NextHop, RecipientProbe};
use crate::model::{Address, Direction};
use crate::policy::rcpt::Validity;

#[derive(Debug)]
pub(super) struct ByDelivery {
    pub handoff: Handoff,
    pub probe: Probe,
}

impl NextHop for ByDelivery {
    fn hand_on<'a>(&'a self, lane: HandOn<'a>) -> Answer<'a, HandedOn> {
        Box::pin(async move {
            let request = delivery::HandOn {
                id: lane.id,
                domain: lane.domain,
                direction: Direction::Inbound,
                envelope: lane.envelope,
                head: lane.head,
                rest: lane.rest,
                deadline: Instant::now() + lane.patience,
            };
            match self.handoff.hand_on(request).await {
                HandOnResult::Delivered { receipt, reply, remote } => HandedOn::Delivered { receipt, reply, remote },
                HandOnResult::Refused { reply, .. } => HandedOn::Refused(reply),
                HandOnResult::Mixed => HandedOn::Mixed,
                HandOnResult::Unavailable(_) => HandedOn::Unavailable,
                HandOnResult::Unknown(_) => HandedOn::Unknown,
            }
        })
    }
}

impl RecipientProbe for ByDelivery {
    fn probe<'a>(&'a self, recipient: &'a Address) -> Answer<'a, Validity> {
        Box::pin(async move {
            match self.probe.ask(recipient).await {
                ProbeAnswer::Valid => Validity::Valid,
                ProbeAnswer::Invalid(_) => Validity::Invalid,
                ProbeAnswer::Unknown(_) => Validity::Unavailable,
            }
        })
    }
}
