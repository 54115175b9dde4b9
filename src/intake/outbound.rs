//! What only outbound mail is asked, in the order of its stages: MAIL, RCPT, and the whole message after its content was judged.
//!
//! **Failure**: every refusal for a rate, a measure or local trouble is 4xx; 5xx only where the client's tenant has no right to send
//! so. **Invariants**: nothing here lets anything pass that the content forbids: it is asked after the content, and can only refuse.

use super::connection::Connection;
use super::content::Divided;
use super::stages::Transaction;
use crate::message::specimen::Specimen;
use crate::model::{Address, Decision, Reply, ReversePath};
use crate::policy::replies;
use crate::telemetry::metrics::Rewritten;
use crate::tenant::Tenant;

/// The message, when its content has been judged.
pub(super) struct Judged<'a> {
    pub(super) whole: &'a [u8],
    pub(super) divided: &'a Divided,
}

/// What only outbound mail is asked stands against it; `why` is the `reason` in the mail log.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) decision: Decision,
    pub(super) why: &'static str,
}

fn stop(decision: Decision, why: &'static str) -> Result<(), Stopped> {
    if decision == Decision::Accept { Ok(()) } else { Err(Stopped { decision, why }) }
}

impl Connection {
    /// MAIL of a client that is known and whose tenant owns the sender's domain.
    ///
    /// # Errors
    /// [`Stopped`]
    pub(super) fn outbound_mail(&self, tenant: &Tenant, sender: &ReversePath) -> Result<(), Stopped> {
        stop(self.contract_at_mail(tenant, sender), "contract")?;
        stop(self.suspended_at_mail(tenant, sender), "suspension")?;
        stop(self.rates_at_mail(tenant, sender), "rate")
    }

    /// RCPT that would be accepted, after so many others of the message.
    ///
    /// # Errors
    /// [`Stopped`]
    pub(super) fn outbound_rcpt(
        &self,
        tenant: &Tenant,
        sender: &ReversePath,
        (_recipient, so_far): (&Address, usize),
    ) -> Result<(), Stopped> {
        // Asked before the throttle, which counts.
        stop(self.rates_at_rcpt(tenant, sender, so_far), "rate")?;
        // Who goes on as if nothing had been said comes to the next stage.
        stop(self.throttled_at_rcpt(tenant, sender), "suspension").inspect_err(|_| self.tried(tenant, sender))
    }

    /// The end of a message that would be taken.
    pub(super) fn outbound_message(&self, transaction: &mut Transaction, judged: &Judged<'_>) -> Option<Reply> {
        let tenant = transaction.client.clone()?;
        let tenant = &*tenant;
        let sender = answerable(transaction, judged.divided);
        let refused = self
            .asked_late(transaction, tenant, judged)
            .or_else(|| self.suspended_at_end(tenant, &sender))
            .or_else(|| self.rates_at_end(tenant, transaction, judged));
        if refused.is_some() {
            return refused;
        }
        // Once more: it may have been this message that led to a measure. That is no trouble of ours: nothing is given back.
        self.suspended_at_end(tenant, &sender).inspect(|_| transaction.paid = None)
    }

    /// The sender that it leaves with, where that is another one.
    pub(super) fn leave_as(&self, transaction: &Transaction, divided: &mut Divided) {
        let Some(leaves_as) = &transaction.leaves_as else { return };
        self.listener.intake.deps.metrics.identity.rewritten.inc(Rewritten::Out);
        for share in &mut divided.shares {
            share.lane.envelope.sender = leaves_as.clone();
        }
    }

    /// What a client that has shown whose it is was asked at MAIL and RCPT; in a shared network only the message shows it, and nothing
    /// was asked, told or counted before.
    fn asked_late(&self, transaction: &Transaction, tenant: &Tenant, judged: &Judged<'_>) -> Option<Reply> {
        if !transaction.is_unproven {
            return None;
        }
        if !tenant.is_active() {
            return Some(replies::TENANT_SUSPENDED);
        }
        let sender = &transaction.sender;
        self.outbound_mail(tenant, sender).err().and_then(|stopped| refusal(stopped.decision)).or_else(|| {
            let recipients = judged.divided.shares.iter().map(|share| share.lane.envelope.recipients.len()).sum();
            (0..recipients).find_map(|_| refusal(self.throttled_at_rcpt(tenant, sender)))
        })
    }
}

/// Who answers for a message: its sender, or the author of a notice that has none.
pub(super) fn answerable(transaction: &Transaction, divided: &Divided) -> ReversePath {
    match &transaction.sender {
        ReversePath::Null => author(&divided.specimen).map_or(ReversePath::Null, ReversePath::Mailbox),
        sender @ ReversePath::Mailbox(_) => sender.clone(),
    }
}

fn author(specimen: &Specimen) -> Option<Address> {
    specimen.from().first().and_then(|from| Address::parse(&from.address).ok())
}

fn refusal(decision: Decision) -> Option<Reply> {
    match decision {
        Decision::Accept => None,
        Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => Some(reply),
    }
}
