//! The conservation law of accepted mail, counted in recipients:
//! accepted + recovered = delivered + bounced + expired + discarded + held + queued + quarantined + released.
//!
//! What is released from quarantine is accepted once more, by the spool; `released` stands against that.
//!
//! Every call moves both sides of the equation under one lock, and a scrape reads all sums under the same lock, so the
//! equation holds at every scrape and not only when things are quiet.
//!
//! **Failure**: `queued`, `held` and `quarantined` never go below zero. A flow that settles more recipients than were taken therefore
//! shows as a `sekisho_balance_recipients` other than 0, instead of hiding in a negative gauge.
//!
//! **Elsewhere**: `sekisho_spool_recipients` is counted by the spool's own index; a drill compares it with
//! `sekisho_recipients_queued` + `_held`, because an equation kept by its own book-keeper proves little.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::series::opts;
use crate::model::Direction;

/// The sums at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub accepted_inbound: u64,
    pub accepted_outbound: u64,
    /// Notices of our own that entered the queue.
    pub generated: u64,
    pub recovered: u64,
    pub delivered: u64,
    pub bounced: u64,
    pub expired: u64,
    pub discarded: u64,
    pub queued: u64,
    pub held: u64,
    pub quarantined: u64,
    /// Given on out of the quarantine; the spool has counted them as accepted again.
    pub released: u64,
}

impl Sums {
    /// Zero when every recipient taken is accounted for; positive: some are lost from sight; negative: settled twice.
    #[must_use]
    pub fn balance(&self) -> i64 {
        let taken = self.accepted_inbound + self.accepted_outbound + self.generated + self.recovered;
        let seen = self.delivered + self.bounced + self.expired + self.discarded + self.held + self.queued;
        let seen = seen + self.quarantined + self.released;
        signed(taken).saturating_sub(signed(seen))
    }
}

/// Cheap to clone; clones count into the same sums.
#[derive(Debug, Clone)]
pub struct Balance {
    sums: Arc<Mutex<Sums>>,
    descriptions: Arc<[Desc]>,
}

impl Balance {
    pub(super) fn new() -> Self {
        let descriptions = families(&Sums::default()).iter().flat_map(|f| f.desc().into_iter().cloned()).collect();
        Self { sums: Arc::default(), descriptions }
    }

    /// All sums of one moment.
    #[must_use]
    pub fn sums(&self) -> Sums {
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sums)) {
        change(&mut self.sums.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Durable in the spool; the 250 may go out.
    pub fn accepted_queued(&self, direction: Direction, n: u64) {
        self.change(|sums| {
            *accepted(sums, direction) += n;
            sums.queued += n;
        });
    }

    /// Inline custody: the next hop said 250.
    pub fn accepted_handed_on(&self, direction: Direction, n: u64) {
        self.change(|sums| {
            *accepted(sums, direction) += n;
            sums.delivered += n;
        });
    }

    /// Found in the spool at start.
    pub fn recovered(&self, queued: u64, held: u64) {
        self.change(|sums| {
            sums.recovered += queued + held;
            sums.queued += queued;
            sums.held += held;
        });
    }

    /// A notice of our own is durable in the spool.
    pub fn generated(&self, n: u64) {
        self.change(|sums| {
            sums.generated += n;
            sums.queued += n;
        });
    }

    pub fn delivered(&self, n: u64) {
        self.change(|sums| {
            sums.delivered += n;
            sums.queued = sums.queued.saturating_sub(n);
        });
    }

    /// Failed for good: a notice went out, or the sender was null and none may.
    pub fn bounced(&self, n: u64) {
        self.change(|sums| {
            sums.bounced += n;
            sums.queued = sums.queued.saturating_sub(n);
        });
    }

    /// Given up for age.
    pub fn expired(&self, n: u64) {
        self.change(|sums| {
            sums.expired += n;
            sums.queued = sums.queued.saturating_sub(n);
        });
    }

    /// Removed from the queue by an operator or by policy.
    pub fn discarded(&self, n: u64) {
        self.change(|sums| {
            sums.discarded += n;
            sums.queued = sums.queued.saturating_sub(n);
        });
    }

    /// Taken over and thrown away at once, as the recipient's own lists ask.
    pub fn accepted_discarded(&self, direction: Direction, n: u64) {
        self.change(|sums| {
            *accepted(sums, direction) += n;
            sums.discarded += n;
        });
    }

    /// Durable in the quarantine; the 250 may go out.
    pub fn accepted_quarantined(&self, direction: Direction, n: u64) {
        self.change(|sums| {
            *accepted(sums, direction) += n;
            sums.quarantined += n;
        });
    }

    /// Found in the quarantine at start.
    pub fn recovered_quarantined(&self, n: u64) {
        self.change(|sums| {
            sums.recovered += n;
            sums.quarantined += n;
        });
    }

    /// The spool has what the quarantine had, and has counted it as accepted.
    pub fn quarantine_released(&self, n: u64) {
        self.change(|sums| {
            sums.quarantined = sums.quarantined.saturating_sub(n);
            sums.released += n;
        });
    }

    /// Removed from the quarantine by somebody.
    pub fn quarantine_removed(&self, n: u64) {
        self.change(|sums| {
            sums.quarantined = sums.quarantined.saturating_sub(n);
            sums.discarded += n;
        });
    }

    /// Kept in the quarantine for as long as it is kept.
    pub fn quarantine_expired(&self, n: u64) {
        self.change(|sums| {
            sums.quarantined = sums.quarantined.saturating_sub(n);
            sums.expired += n;
        });
    }

    pub fn hold(&self, n: u64) {
        self.change(|sums| {
            sums.queued = sums.queued.saturating_sub(n);
            sums.held += n;
        });
    }

    pub fn release(&self, n: u64) {
        self.change(|sums| {
            sums.held = sums.held.saturating_sub(n);
            sums.queued += n;
        });
    }
}

fn accepted(sums: &mut Sums, direction: Direction) -> &mut u64 {
    match direction {
        Direction::Inbound => &mut sums.accepted_inbound,
        Direction::Outbound => &mut sums.accepted_outbound,
    }
}

impl Collector for Balance {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        families(&self.sums()).iter().flat_map(|family| family.collect()).collect()
    }
}

#[allow(clippy::expect_used, reason = "names and labels are literals of this file; a test builds every one of them")]
fn families(sums: &Sums) -> Vec<Box<dyn Collector>> {
    let accepted = IntCounterVec::new(
        opts("recipients_accepted_total", "Recipients taken over, by direction; notice: our own notices."),
        &["direction"],
    )
    .expect("a well-formed metric");
    accepted.with_label_values(&["inbound"]).inc_by(sums.accepted_inbound);
    accepted.with_label_values(&["outbound"]).inc_by(sums.accepted_outbound);
    accepted.with_label_values(&["notice"]).inc_by(sums.generated);
    let counter = |name: &str, help: &str, value: u64| -> Box<dyn Collector> {
        let counter = IntCounter::with_opts(opts(name, help)).expect("a well-formed metric");
        counter.inc_by(value);
        Box::new(counter)
    };
    let gauge = |name: &str, help: &str, value: i64| -> Box<dyn Collector> {
        let gauge = IntGauge::with_opts(opts(name, help)).expect("a well-formed metric");
        gauge.set(value);
        Box::new(gauge)
    };
    vec![
        Box::new(accepted),
        counter("recipients_recovered_total", "Recipients found in the spool at start.", sums.recovered),
        counter("recipients_delivered_total", "Recipients whose next hop said 250.", sums.delivered),
        counter("recipients_bounced_total", "Recipients failed for good.", sums.bounced),
        counter("recipients_expired_total", "Recipients given up for age.", sums.expired),
        counter("recipients_discarded_total", "Recipients removed by an operator or by policy.", sums.discarded),
        gauge("recipients_queued", "Recipients waiting for delivery.", signed(sums.queued)),
        gauge("recipients_held", "Recipients held until released.", signed(sums.held)),
        gauge("recipients_quarantined", "Recipients whose mail is in quarantine.", signed(sums.quarantined)),
        counter("recipients_released_total", "Recipients given on out of the quarantine.", sums.released),
        gauge(
            "balance_recipients",
            "Accepted and recovered less delivered, bounced, expired, discarded, held, queued, quarantined and released; 0 when right.",
            sums.balance(),
        ),
    ]
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Accept(bool, u64),
        HandOn(bool, u64),
        Recover(u64, u64),
        Generate(u64),
        Settle(u8, u64),
        Hold(u64),
        Release(u64),
        Quarantine(bool, u64),
        RecoverQuarantine(u64),
        /// Released, removed, expired.
        LeaveQuarantine(u8, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<bool>(), 0..50u64).prop_map(|(inbound, n)| Step::Accept(inbound, n)),
            (any::<bool>(), 0..50u64).prop_map(|(inbound, n)| Step::HandOn(inbound, n)),
            (0..50u64, 0..50u64).prop_map(|(queued, held)| Step::Recover(queued, held)),
            (0..5u64).prop_map(Step::Generate),
            (0..4u8, 0..60u64).prop_map(|(how, n)| Step::Settle(how, n)),
            (0..60u64).prop_map(Step::Hold),
            (0..60u64).prop_map(Step::Release),
            (any::<bool>(), 0..50u64).prop_map(|(inbound, n)| Step::Quarantine(inbound, n)),
            (0..50u64).prop_map(Step::RecoverQuarantine),
            (0..3u8, 0..60u64).prop_map(|(how, n)| Step::LeaveQuarantine(how, n)),
        ]
    }

    fn direction(inbound: bool) -> Direction {
        if inbound { Direction::Inbound } else { Direction::Outbound }
    }

    /// Does the step with no more recipients than there are, as every honest flow does.
    fn walk(balance: &Balance, step: Step) {
        let Sums { queued, held, quarantined, .. } = balance.sums();
        match step {
            Step::Accept(inbound, n) => balance.accepted_queued(direction(inbound), n),
            Step::HandOn(inbound, n) => balance.accepted_handed_on(direction(inbound), n),
            Step::Recover(queued, held) => balance.recovered(queued, held),
            Step::Generate(n) => balance.generated(n),
            Step::Settle(0, n) => balance.delivered(n.min(queued)),
            Step::Settle(1, n) => balance.bounced(n.min(queued)),
            Step::Settle(2, n) => balance.expired(n.min(queued)),
            Step::Settle(_, n) => balance.discarded(n.min(queued)),
            Step::Hold(n) => balance.hold(n.min(queued)),
            Step::Release(n) => balance.release(n.min(held)),
            Step::Quarantine(inbound, n) => balance.accepted_quarantined(direction(inbound), n),
            Step::RecoverQuarantine(n) => balance.recovered_quarantined(n),
            Step::LeaveQuarantine(0, n) => {
                balance.accepted_queued(Direction::Inbound, n.min(quarantined));
                balance.quarantine_released(n.min(quarantined));
            }
            Step::LeaveQuarantine(1, n) => balance.quarantine_removed(n.min(quarantined)),
            Step::LeaveQuarantine(_, n) => balance.quarantine_expired(n.min(quarantined)),
        }
    }

    proptest! {
        #[test]
        fn any_sequence_keeps_the_equation(steps in prop::collection::vec(step(), 0..200)) {
            let balance = Balance::new();
            for step in steps {
                walk(&balance, step);
                prop_assert_eq!(balance.sums().balance(), 0);
            }
        }
    }

    #[test]
    fn the_equation_holds_at_every_scrape_while_others_count() {
        let balance = Balance::new();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        balance.accepted_queued(Direction::Inbound, 3);
                        balance.hold(1);
                        balance.delivered(2);
                        balance.release(1);
                        balance.bounced(1);
                    }
                });
            }
            for _ in 0..1_000 {
                assert_eq!(balance.sums().balance(), 0);
            }
        });
        assert_eq!(balance.sums().queued, 0);
    }

    #[test]
    fn settling_twice_shows() {
        let balance = Balance::new();
        balance.accepted_queued(Direction::Inbound, 1);
        balance.delivered(1);
        balance.delivered(1);
        assert_eq!(balance.sums().balance(), -1);
    }
}
