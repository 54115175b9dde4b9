//! What is done with mail because of who sends it: at RCPT, for each recipient's tenant, and at end of data.
//!
//! The order is DESIGN section 5: sender lists, TLS, client lists, known-source lists, dynamic reputation, reverse name,
//! limits, greylist; after the body SPF, DKIM, DMARC and ARC.
//!
//! **Failure**: a fact that could not be had is neither for nor against the mail, or puts it off (4xx); it never refuses.
//! **Invariants**: pure. An allow entry counts only for an authenticated sender or from its bound network. It spares
//! reputation, spam and bulk checks and nothing else. Limits protect the node and every other tenant: no list lifts them.

mod entries;
mod facts;
mod message;
mod proof;
mod rcpt;
mod ruling;

pub use facts::{Client, Greylist, Harvest, Reputation, Source, Tls};
pub use message::{MessageFacts, at_message};
pub use proof::{Proof, proof};
pub use rcpt::{Needs, RcptFacts, at_rcpt, needs};
pub use ruling::{Provisional, Ruling, same_fate};

#[cfg(test)]
mod tests;
