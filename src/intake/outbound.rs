//! What only outbound mail is asked, in the order of its stages: MAIL, RCPT, and the whole message after its content was judged.
//!
//! **Failure**: every refusal for a rate, a measure or local trouble is 4xx; 5xx only where the client's tenant has no right to send
//! so. **Invariants**: nothing here lets anything pass that the content forbids: it is asked after the content, and can only refuse.

use super::connection::Connection;
use super::content::Divided;
use super::stages::Transaction;
use crate::model::finding::Verdict;
use crate::model::{Address, Decision, Reply, ReversePath};
use crate::tenant::Tenant;

/// The message, when its content has been judged.
pub(super) struct Judged<'a> {
    pub(super) whole: &'a [u8],
    pub(super) divided: &'a Divided,
    #[allow(dead_code, reason = "for whoever asks after what was found")]
    pub(super) verdict: Option<&'a Verdict>,
}

impl Connection {
    /// MAIL of a client that is known and whose tenant owns the sender's domain.
    pub(super) fn outbound_mail(&self, tenant: &Tenant, sender: &ReversePath) -> Decision {
        match self.contract_at_mail(tenant, sender) {
            Decision::Accept => self.rates_at_mail(tenant, sender),
            refused => refused,
        }
    }

    /// RCPT that would be accepted, after so many others of the message.
    pub(super) fn outbound_rcpt(
        &self,
        tenant: &Tenant,
        sender: &ReversePath,
        (_recipient, so_far): (&Address, usize),
    ) -> Decision {
        self.rates_at_rcpt(tenant, sender, so_far)
    }

    /// The end of a message that would be taken.
    pub(super) fn outbound_message(&self, transaction: &Transaction, judged: &Judged<'_>) -> Option<Reply> {
        self.rates_at_end(transaction, judged)
    }
}
