//! What looking into messages comes to: fates, detectors, the pool, the signature set in force.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::series::{Counters, Gauges, Histograms, Labels, Registrar, label_set};
use crate::model::Direction;
use crate::model::disposition::{Category, Disposition};
use crate::model::finding::Detector;

label_set! {
    /// A [`Disposition`] without what belongs to it.
    Fated("disposition") {
        Deliver = "deliver",
        Quarantine = "quarantine",
        Reject = "reject",
        Discard = "discard",
        Defer = "defer",
        Hold = "hold",
    }
}

impl From<&Disposition> for Fated {
    fn from(disposition: &Disposition) -> Self {
        match disposition {
            Disposition::Deliver(_) => Self::Deliver,
            Disposition::Quarantine { .. } => Self::Quarantine,
            Disposition::Reject(_) => Self::Reject,
            Disposition::Discard => Self::Discard,
            Disposition::Defer(_) => Self::Defer,
            Disposition::Hold { .. } => Self::Hold,
        }
    }
}

/// A recipient's mail: where it went, and the first category that it counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub direction: Direction,
    pub fate: Fated,
    /// `None`: clean.
    pub category: Option<Category>,
}

impl Labels for Judged {
    const NAMES: &'static [&'static str] = &["direction", "disposition", "category"];
    const COUNT: usize = Direction::COUNT * Fated::COUNT * <Option<Category>>::COUNT;
    fn all() -> Vec<Vec<&'static str>> {
        let mut all = Vec::with_capacity(Self::COUNT);
        for direction in Direction::all() {
            for fate in Fated::all() {
                for category in <Option<Category>>::all() {
                    all.push([&*direction, &*fate, &*category].concat());
                }
            }
        }
        all
    }
    fn index(self) -> usize {
        let inner = self.fate.index() * <Option<Category>>::COUNT + self.category.index();
        self.direction.index() * Fated::COUNT * <Option<Category>>::COUNT + inner
    }
}

label_set! {
    /// Why a message was not scanned to its end.
    ScanTrouble("reason") {
        /// No room in the pool's queue.
        Full = "full",
        /// A detector that must answer did not.
        Detector = "detector",
        /// The scan broke off.
        Fault = "fault",
    }
}

/// Seconds, to the most that a message may take.
const SECONDS: [f64; 9] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.2, 1.0, 10.0];

#[derive(Debug)]
pub struct ScanMetrics {
    /// Recipients, by what became of their mail because of its content.
    pub judged: Counters<Judged>,
    /// From the request to the verdict, waiting for the pool included.
    pub seconds: Histogram,
    pub detector_seconds: Histograms<Detector>,
    /// A detector that was asked and could not answer.
    pub detector_errors: Counters<Detector>,
    pub findings: Counters<Detector>,
    pub troubles: Counters<ScanTrouble>,
    /// Messages waiting for a thread of the pool.
    pub waiting: IntGauge,
    pub running: Gauges<Pool>,
    /// Things in messages that nobody looked into: budgets, damage, passwords.
    pub unchecked: IntCounter,
    /// Messages whose release taught a tenant's classifier.
    pub lessons: IntCounter,
    /// The number of the signature set in force.
    pub set: IntGauge,
    /// When it was made; its age is the time less this.
    pub set_created: IntGauge,
    /// Of the canary; 0: none.
    pub set_canary: IntGauge,
    pub set_swaps: IntCounter,
    /// Sets that were taken back by themselves.
    pub set_returns: IntCounter,
    /// Sets that were refused: damaged, unsigned, older, or failing their own test.
    pub set_refusals: IntCounter,
}

label_set! {
    /// Threads of the pool.
    Pool("threads") { Busy = "busy", All = "all" }
}

impl ScanMetrics {
    pub(super) fn new(r: &Registrar<'_>) -> Self {
        Self {
            judged: r.counters("content_recipients_total", "Recipients, by what became of their mail for its content."),
            seconds: r.histogram("scan_seconds", "Time from the request to the verdict, waiting included.", &SECONDS),
            detector_seconds: r.histograms("scan_detector_seconds", "Time of one detector for one message.", &SECONDS),
            detector_errors: r
                .counters("scan_detector_errors_total", "Detectors that were asked and could not answer."),
            findings: r.counters("scan_findings_total", "Findings, by detector."),
            troubles: r.counters("scan_troubles_total", "Messages that could not be scanned to their end."),
            waiting: r.gauge("scan_waiting", "Messages waiting for a thread of the pool."),
            running: r.gauges("scan_threads", "Threads of the pool: all of them, and those at work."),
            unchecked: r.counter("scan_unchecked_total", "Parts and files that nobody looked into."),
            lessons: r.counter("classifier_lessons_total", "Released messages that taught their tenant's classifier."),
            set: r.gauge("signatures_set", "The number of the signature set in force."),
            set_created: r.gauge("signatures_created_timestamp_seconds", "When the set in force was made."),
            set_canary: r.gauge("signatures_canary_set", "The number of the set under trial; 0: none."),
            set_swaps: r.counter("signatures_swaps_total", "Sets that came into force."),
            set_returns: r.counter("signatures_returns_total", "Sets taken back because of hit rate or latency."),
            set_refusals: r.counter("signatures_refusals_total", "Sets that were refused."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_has_a_series_of_its_own() {
        let all = Judged::all();
        assert_eq!(all.len(), Judged::COUNT);
        let mut seen = std::collections::HashSet::new();
        for direction in [Direction::Inbound, Direction::Outbound] {
            for fate in [Fated::Deliver, Fated::Quarantine, Fated::Reject, Fated::Discard, Fated::Defer, Fated::Hold] {
                for category in Category::ALL.into_iter().map(Some).chain([None]) {
                    let judged = Judged { direction, fate, category };
                    let name = category.map_or("clean", Category::name);
                    assert_eq!(all[judged.index()], [direction.as_str(), fate.as_str(), name]);
                    assert!(seen.insert(judged.index()));
                }
            }
        }
    }
}
