//! What comes of judging content.

use crate::model::Disposition;
use crate::model::disposition::{Category, Copies};
use crate::tenant::Thresholds;

use super::Points;

pub use crate::model::explanation::content::{Decider, Effect, Weighed};

/// The fate of a message for one recipient, and how it came to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub disposition: Disposition,
    pub copies: Copies,
    pub decided_by: Decider,
    /// Everything that it counts as, in order, what is skipped left out. Empty: clean.
    pub categories: Vec<Category>,
    pub points: Points,
    /// Those that counted.
    pub thresholds: Thresholds,
    /// Every category that was found or weighed, in order.
    pub steps: Vec<Weighed>,
}
