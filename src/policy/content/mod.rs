//! What becomes of a message for one recipient, because of what is in it: Verdict and the tenant's policy in, Disposition out.
//!
//! The order: malware; detectors that must answer and did not; then the other [categories](crate::model::disposition::Category) in their order, of which
//! the first that the policy keeps back decides. If none does, the message is delivered with the changes that all of them ask
//! for.
//!
//! **Failure**: a scan that could not be done, in whole or in a part that must be, is 4xx; after [`MAX_TRIES`] such answers for
//! the same message it is quarantined. What was not looked at is unscannable or encrypted, never
//! clean.
//! **Invariants**: pure. No policy delivers malware, and an allowed sender is spared points only, never malware, files or what
//! could not be inspected. Of outbound mail, malware is quarantined, what could not be inspected is kept back or refused, and spam
//! and phishing are quarantined or rejected by our own thresholds or stricter ones, whatever a tenant's policy or list says; only
//! the operator can let spam out (`forced`).
//! **Elsewhere**: what tenants write is in `tenant::content`; the words for people are in [`super::explain`].

mod facts;
mod fields;
mod forced;
mod groups;
mod points;
mod ruling;
mod walk;

pub use facts::{Author, Facts, MAX_TRIES, Signed};
pub use fields::fields;
pub use groups::{Together, same_edits, together};
pub use points::{CERTAIN, Points, points};
pub use ruling::{Decider, Effect, Ruling, Weighed};
pub use walk::dispose;

#[cfg(test)]
mod tests;
