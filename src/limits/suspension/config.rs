//! What an operator may set about measures.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::abuse::Stage;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How wide a measure may be that nobody ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Widest {
    Sender,
    Client,
    Domain,
    Tenant,
}

/// So many recipients in such a time, as a burst and then one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    pub count: NonZeroU32,
    pub per: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether the gateway takes measures by itself; operators can always.
    pub automatic: bool,
    /// Messages in a day below which nothing is done.
    pub least_messages: u64,
    /// Independent signals below which nothing is done.
    pub least_signals: u32,
    /// How long a stage lasts at least before the next.
    pub dwell: Duration,
    /// The same where there is malware or spam.
    pub dwell_harm: Duration,
    /// How long stages last at most.
    pub warn_for: Duration,
    pub throttle_for: Duration,
    /// `None`: until it is lifted.
    pub suspend_for: Option<Duration>,
    /// Recipients that a throttled subject may have.
    pub throttle: Throttle,
    pub widest: Widest,
    /// Between two confirmations of one subject.
    pub confirm_every: Duration,
    /// How long a jump of the wall clock must stay before it expires anything.
    pub clock_confirmation: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            automatic: true,
            least_messages: 200,
            least_signals: 3,
            dwell: HOUR,
            dwell_harm: Duration::from_secs(60),
            warn_for: DAY,
            throttle_for: DAY,
            suspend_for: Some(7 * DAY),
            throttle: Throttle { count: NonZeroU32::MIN.saturating_add(59), per: HOUR },
            widest: Widest::Client,
            confirm_every: 7 * DAY,
            clock_confirmation: HOUR,
        }
    }
}

impl Config {
    /// How long a stage lasts, unless an operator says otherwise. `None`: until it is lifted.
    #[must_use]
    pub fn lasts(&self, stage: Stage) -> Option<Duration> {
        match stage {
            Stage::Warn => Some(self.warn_for),
            Stage::Throttle => Some(self.throttle_for),
            Stage::Suspend => self.suspend_for,
        }
    }
}
