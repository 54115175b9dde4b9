//! Who is told what is known of a sender after each of its messages.

use crate::model::Timestamp;
use crate::model::abuse::Assessment;

/// Takes what is known of a subject, and may do something about it. Called on the way of mail: it must not wait.
pub trait Consider: Send + Sync {
    fn consider(&self, assessment: &Assessment, now: Timestamp);
}
