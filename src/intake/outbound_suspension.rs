//! Whether a measure stands against who sends: nothing passes who is suspended, a little who is throttled.
//!
//! **Failure**: none; what is asked is in memory. **Invariants**: 4xx, unless the settings ask for 550 for suspended senders.

use super::connection::Connection;
use crate::limits::suspension::{Asked, Stop};
use crate::model::abuse::Stage;
use crate::model::{Decision, Reply, ReversePath};
use crate::policy::replies;
use crate::tenant::Tenant;

impl Connection {
    /// MAIL: suspended senders go no further.
    pub(super) fn suspended_at_mail(&self, tenant: &Tenant, sender: &ReversePath) -> Decision {
        let stop = self.listener.intake.deps.suspensions.suspended(self.asked(tenant, sender));
        stop.map_or(Decision::Accept, |stop| self.refused_for(stop))
    }

    /// RCPT: each recipient of a throttled sender counts, and is put off beyond the rate.
    pub(super) fn throttled_at_rcpt(&self, tenant: &Tenant, sender: &ReversePath) -> Decision {
        let charged = self.listener.intake.deps.suspensions.charge(self.asked(tenant, sender), 1);
        charged.map_or_else(|stop| self.refused_for(stop), |()| Decision::Accept)
    }

    /// The end of a message: a measure may have been taken since MAIL, perhaps for this very message.
    pub(super) fn suspended_at_end(&self, tenant: &Tenant, sender: &ReversePath) -> Option<Reply> {
        match self.suspended_at_mail(tenant, sender) {
            Decision::Accept => None,
            Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => Some(reply),
        }
    }

    fn asked<'a>(&self, tenant: &'a Tenant, sender: &'a ReversePath) -> Asked<'a> {
        Asked { tenant: &tenant.id, sender: sender.address(), client: self.sender_ip() }
    }

    fn refused_for(&self, stop: Stop) -> Decision {
        self.listener.intake.deps.metrics.suspension.refused.inc(stop.stage.into());
        let reject = self.config.reject_suspended && stop.stage == Stage::Suspend;
        match stop.after {
            Some(after) => Decision::Defer(replies::sending_slowed(stop.id, after)),
            None if reject => Decision::Reject(replies::sending_stopped(true, stop.id)),
            None => Decision::Defer(replies::sending_stopped(false, stop.id)),
        }
    }
}
