//! Who outbound mail says it is from: refusals, signatures, rewritten senders.

use super::series::{Counters, Registrar, label_set};

label_set! {
    /// Why outbound mail was refused for what it says of its author.
    Misnamed("reason") {
        Foreign = "foreign",
        Missing = "missing",
        Twice = "twice",
        Doubtful = "doubtful",
        OddLine = "odd_line",
        /// From a shared network, without the field that shows whose it is.
        Unproven = "unproven",
        /// Sent on for an author whose signature does not hold.
        Unsigned = "unsigned",
    }
}

label_set! {
    /// What became of the signing of an outbound message.
    Signed("result") {
        Signed = "signed",
        /// The domain has no active key.
        NoKey = "no_key",
        Failed = "failed",
    }
}

label_set! {
    /// What became of an envelope sender that is not the tenant's, or of what came back to it.
    Rewritten("step") {
        Out = "out",
        Back = "back",
        /// Hash or day don't hold.
        Refused = "refused",
    }
}

#[derive(Debug)]
pub struct IdentityMetrics {
    pub misnamed: Counters<Misnamed>,
    /// By DKIM, of the domain in From.
    pub signed: Counters<Signed>,
    pub rewritten: Counters<Rewritten>,
}

impl IdentityMetrics {
    pub(super) fn new(r: &Registrar<'_>) -> Self {
        Self {
            misnamed: r.counters("outbound_author_refusals_total", "Outbound messages refused for their authors."),
            signed: r.counters("dkim_signed_messages_total", "Outbound messages, by what became of their signing."),
            rewritten: r.counters("forwarded_senders_total", "Envelope senders that were rewritten (SRS), and back."),
        }
    }
}
