//! How much a source, sender or recipient may have in a time; and what is known of those who send for tenants, so that bulk is slowed
//! down and harm is seen.
//!
//! [`Limits`]: rates of both directions. [`Outbound`]: everything that outbound mail alone is asked: its rates, the
//! [`history`] of each sender, alike messages to many ([`bulk`]), and the [`Assessment`](crate::model::abuse::Assessment)
//! that follows from both. What is done about an assessment is not decided here; a [`Consider`] is told of each.
//!
//! [`suspension`] is who is told: measures against those who do harm.
//!
//! **Failure**: everything here is in memory and answers at once. What is refused is 4xx and says when to come back: nothing is ever
//! lost by a limit. **Invariants**: every table is bounded; no tenant's mail is measured by another's.

pub mod bulk;
mod consider;
pub mod history;
pub mod outbound;
mod rates;
pub mod suspension;
mod table;

pub use consider::Consider;
pub use outbound::{Assessor, Outbound};
pub use rates::{Beyond, Charge, Config, Cost, Key, Limits, Paid, Rule, SWEEP, USUAL, Who};

pub use crate::model::rates::{Measure, Rate};

#[cfg(test)]
mod tests;
