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
    pub(super) verdict: Option<&'a Verdict>,
}

impl Connection {
    /// MAIL of a client that is known and whose tenant owns the sender's domain.
    pub(super) fn outbound_mail(&self, tenant: &Tenant, sender: &ReversePath) -> Decision {
        self.suspended_at_mail(tenant, sender)
    }

    /// RCPT that would be accepted.
    pub(super) fn outbound_rcpt(&self, tenant: &Tenant, sender: &ReversePath, _recipient: &Address) -> Decision {
        self.throttled_at_rcpt(tenant, sender)
    }

    /// The end of a message that would be taken.
    pub(super) fn outbound_message(&self, transaction: &Transaction, _judged: &Judged<'_>) -> Option<Reply> {
        self.suspended_at_end(transaction)
    }
}
