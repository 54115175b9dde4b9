//! Measures against senders of outbound mail: how many are in force, what happened to them, what they hindered.

use prometheus::{IntCounter, IntGauge};

use super::series::{Counters, Gauges, Registrar, label_set};
use crate::model::abuse::Stage;
use crate::model::suspension::Ending;

label_set! {
    /// How far a measure goes.
    StageKind("stage") { Warn = "warn", Throttle = "throttle", Suspend = "suspend" }
}

impl From<Stage> for StageKind {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Warn => Self::Warn,
            Stage::Throttle => Self::Throttle,
            Stage::Suspend => Self::Suspend,
        }
    }
}

label_set! {
    /// What happened to a measure.
    SuspensionChange("change") {
        Warn = "warn",
        Throttle = "throttle",
        Suspend = "suspend",
        Lifted = "lifted",
        Confirmed = "confirmed",
        Expired = "expired",
    }
}

impl From<Stage> for SuspensionChange {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Warn => Self::Warn,
            Stage::Throttle => Self::Throttle,
            Stage::Suspend => Self::Suspend,
        }
    }
}

impl From<Ending> for SuspensionChange {
    fn from(how: Ending) -> Self {
        match how {
            Ending::Lifted => Self::Lifted,
            Ending::Confirmed => Self::Confirmed,
            Ending::Expired => Self::Expired,
        }
    }
}

#[derive(Debug)]
pub struct SuspensionMetrics {
    pub active: Gauges<StageKind>,
    pub changes: Counters<SuspensionChange>,
    /// Commands and messages answered 4xx or 5xx for a measure.
    pub refused: Counters<StageKind>,
    pub notices: IntCounter,
    /// Notices not sent: nobody is named, or there were too many.
    pub notices_dropped: IntCounter,
    /// Measures that are enforced and not written: the store is away.
    pub unwritten: IntGauge,
    pub store_failures: IntCounter,
}

impl SuspensionMetrics {
    pub(super) fn new(r: &Registrar<'_>) -> Self {
        Self {
            active: r.gauges("suspensions", "Measures against outbound senders in force."),
            changes: r.counters("suspension_changes_total", "Measures begun, raised and ended."),
            refused: r.counters("suspension_refused_total", "Commands and messages refused for a measure."),
            notices: r.counter("suspension_notices_total", "Notices of measures to tenants' administrators."),
            notices_dropped: r.counter("suspension_notices_dropped_total", "Notices of measures that were not sent."),
            unwritten: r.gauge("suspension_unwritten", "Measures in force that are not written yet."),
            store_failures: r.counter("suspension_store_failures_total", "Failed accesses to the store of measures."),
        }
    }
}
