//! Who is told what is known of a sender, after each of its messages.

use crate::model::Timestamp;
use crate::model::abuse::Assessment;

/// Decides whether anything is done about a subject. Called on the way of mail: quick, and never waits.
pub trait Consider: Send + Sync {
    fn consider(&self, assessment: &Assessment, now: Timestamp);
}
