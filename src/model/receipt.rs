//! Proof of custody, and the one reply that may be made from it.
//!
//! **Invariants**: a 2xx at end of data exists only as [`AcceptedReply`], which exists only from receipts. A receipt is made
//! in three places: by `spool` after the commit is durable, by `quarantine` after the held message is, and by `delivery`'s
//! hand-off after the next hop said 250.

use super::{Enhanced, MessageId, Reply};

/// Proof that somebody who won't forget has custody of a message for some recipients. Not cloneable: one commit, one
/// receipt.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a receipt that nobody folds into the reply means accepted mail the client is not told about"]
pub struct Receipt {
    id: MessageId,
    recipients: usize,
    custody: Custody,
}

/// Who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// Durable in the spool of this node.
    Spooled,
    /// The next hop's own 250.
    HandedOn,
    /// Durable in the quarantine of this node.
    Quarantined,
    /// Nobody: the recipient's policy throws it away, which is logged.
    Discarded,
}

impl Receipt {
    /// To be called by `spool` alone, after the record is durable.
    pub fn spooled(id: MessageId, recipients: usize) -> Self {
        Self { id, recipients, custody: Custody::Spooled }
    }

    /// To be called by `delivery`'s hand-off alone, after the next hop answered 250 for all of these recipients.
    pub fn handed_on(id: MessageId, recipients: usize) -> Self {
        Self { id, recipients, custody: Custody::HandedOn }
    }

    /// To be called by `quarantine` alone, after the held message is durable.
    pub fn quarantined(id: MessageId, recipients: usize) -> Self {
        Self { id, recipients, custody: Custody::Quarantined }
    }

    /// To be called by `intake` alone, for recipients whose policy says `discard`.
    pub fn discarded(id: MessageId, recipients: usize) -> Self {
        Self { id, recipients, custody: Custody::Discarded }
    }

    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    #[must_use]
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    #[must_use]
    pub fn custody(&self) -> Custody {
        self.custody
    }
}

/// The 250 at end of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedReply(Reply);

impl AcceptedReply {
    /// `None` unless the receipts are for exactly `recipients`, each once, and at least one: nothing may be promised for
    /// somebody whose mail nobody has. `id` is the name the client is told.
    #[must_use]
    pub fn from_receipts(receipts: &[Receipt], recipients: usize, id: MessageId) -> Option<Self> {
        let taken: usize = receipts.iter().map(|receipt| receipt.recipients).sum();
        (taken > 0 && taken == recipients)
            .then(|| Self(Reply::with_text(250, Enhanced(2, 0, 0), &format!("accepted as {id}"))))
    }

    #[must_use]
    pub fn reply(&self) -> &Reply {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_receipt_no_promise() {
        let id = MessageId::new(1, 2);
        let fold = |receipts: &[Receipt], recipients| AcceptedReply::from_receipts(receipts, recipients, id);
        assert_eq!(fold(&[], 0), None);
        assert_eq!(fold(&[], 1), None);
        assert_eq!(fold(&[Receipt::spooled(id, 0)], 0), None);
        assert_eq!(fold(&[Receipt::spooled(id, 2)], 3), None, "somebody was forgotten");
        assert!(fold(&[Receipt::spooled(id, 2), Receipt::spooled(id, 1)], 3).is_some());
        let reply = fold(&[Receipt::handed_on(id, 1)], 1).unwrap();
        assert_eq!(reply.reply().to_string(), format!("250 2.0.0 accepted as {id}"));
    }
}
