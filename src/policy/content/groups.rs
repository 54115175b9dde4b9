//! From the rulings of one transaction's recipients to its one reply.

use crate::model::Reply;
use crate::model::disposition::{Category, Disposition};

use super::Ruling;
use super::ruling::Decider;

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Together {
    /// Each ruling is carried out, and 250 is said once all of them are durable.
    Settle,
    Defer(Reply),
    Reject(Reply),
}

/// One reply from the rulings of all recipients. Putting off goes before everything: the client comes again and nobody has
/// lost anything. If all refuse, it is told so, with the first reply. If only some refuse, they can't be told apart at the end of
/// data, and no bounce is ever written to a sender that may be forged: their mail goes to the quarantine, and nothing is lost.
#[must_use]
pub fn together(rulings: &mut [Ruling]) -> Together {
    let deferred = rulings.iter().find_map(|ruling| match &ruling.disposition {
        Disposition::Defer(reply) => Some(reply.clone()),
        _ => None,
    });
    if let Some(reply) = deferred {
        return Together::Defer(reply);
    }
    let rejects = |ruling: &Ruling| match &ruling.disposition {
        Disposition::Reject(reply) => Some(reply.clone()),
        _ => None,
    };
    let first = rulings.first().and_then(rejects);
    match first {
        Some(reply) if rulings.iter().all(|ruling| rejects(ruling).is_some()) => Together::Reject(reply),
        _ => {
            for ruling in rulings.iter_mut().filter(|ruling| rejects(ruling).is_some()) {
                let category = match ruling.decided_by {
                    Decider::Category { category } => category,
                    _ => Category::Unscannable,
                };
                ruling.disposition = Disposition::Quarantine { category };
            }
            Together::Settle
        }
    }
}

/// Whether two recipients of a lane get the very same message, so that one record serves both.
#[must_use]
pub fn same_edits(one: &Ruling, other: &Ruling) -> bool {
    one.disposition == other.disposition && one.copies == other.copies
}
