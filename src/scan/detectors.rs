//! The detectors of this process, in their order, each timed and contained.
//!
//! **Failure**: one that panics or has no time left is unavailable, and the others go on; what it had found by then stays.
//! **Invariants**: every detector that is switched on has run or is named in the Verdict; for outbound mail none is switched off.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::impersonation::{self, Known};
use super::octets::OctetScan;
use super::scanner::{Config, Request};
use super::{bulk, classifier, facts, feeds, files, rules, spamassassin};
use crate::message::files::{password_words, walk};
use crate::message::specimen::{Specimen, TimeUp};
use crate::model::Direction;
use crate::model::detectors::Detectors;
use crate::model::finding::{Detector, Unavailable, Verdict};
use crate::signatures::SignatureSet;
use crate::telemetry::metrics::ScanMetrics;

/// One message on its way through the detectors.
struct Course<'a> {
    /// Who is asked.
    on: Detectors,
    metrics: &'a ScanMetrics,
    time_up: TimeUp<'a>,
    verdict: Verdict,
}

/// Runs them all.
pub(super) fn run(
    (config, metrics): (&Config, &ScanMetrics),
    set: &SignatureSet,
    request: &Request,
    time_up: TimeUp<'_>,
) -> (Specimen, Verdict) {
    let on = match request.direction {
        Direction::Inbound => config.on,
        Direction::Outbound => Detectors::all(),
    };
    let mut course = Course { on, metrics, time_up, verdict: Verdict::new(set.number) };
    let mut specimen = Specimen::default();
    // Nobody can switch this off: without it nothing is seen, and nothing can be delivered.
    course.must(Detector::Structure, |_| {
        specimen = Specimen::parse(request.octets.clone(), &config.limits, time_up);
    });
    let mut octets = OctetScan::new(set, time_up);
    course.take(Detector::Hashes, |_| {
        let words = password_words(&specimen);
        let passwords: Vec<_> = words.into_iter().chain(config.passwords.iter().cloned()).collect();
        walk(&mut specimen, &config.limits, &passwords, time_up, &mut octets);
        octets.message(&specimen);
    });
    let verdict = &mut course.verdict;
    verdict.unchecked.extend(specimen.unchecked.iter().cloned());
    super::structure::detect(&specimen, verdict);
    let seen = octets.finish(verdict);
    let facts = facts::of(request);
    course.take(Detector::Rules, |verdict| rules::detect(set, &specimen, &facts, seen, time_up, verdict));
    course.take(Detector::Feeds, |verdict| {
        let host = request.sender.address().map(|address| address.domain().as_str());
        feeds::detect(&set.feeds, &specimen, request.client, host, verdict);
    });
    let envelope_from = request.sender.address().map(ToString::to_string).unwrap_or_default();
    let known = spamassassin::Facts { envelope_from: Some(&envelope_from) };
    course.take(Detector::SpamAssassin, |verdict| {
        spamassassin::detect(&set.spamassassin, &specimen, known, time_up, verdict);
    });
    course.take(Detector::Classifier, |verdict| {
        classifier::classify(&specimen, &set.model, None).into_iter().for_each(|finding| verdict.find(finding));
    });
    let known = Known {
        own_domains: &request.own_domains,
        recipients: &request.recipients,
        authenticated: request.authentication.is_some().then(|| facts::is_authenticated(request)),
        first_contact: false,
        protected: &[],
    };
    if request.direction == Direction::Inbound {
        course.take(Detector::Impersonation, |verdict| impersonation::detect(&specimen, &known, verdict));
    }
    course.take(Detector::Bulk, |verdict| bulk::detect(&specimen, verdict));
    course.take(Detector::Files, |verdict| files::detect(&specimen, verdict));
    (specimen, course.verdict)
}

impl Course<'_> {
    /// Runs one, if it is switched on.
    fn take(&mut self, detector: Detector, work: impl FnOnce(&mut Verdict)) {
        if self.on.has(detector) {
            self.must(detector, work);
        }
    }

    /// Runs one, whatever is switched off.
    fn must(&mut self, detector: Detector, work: impl FnOnce(&mut Verdict)) {
        if (self.time_up)() {
            return self.leave(detector, "time was up");
        }
        let (begun, before) = (Instant::now(), self.verdict.findings.len());
        // What it leaves behind when it breaks is a list of findings, which is whole after every step.
        let done = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            super::checked::tests::break_if_asked(detector);
            work(&mut self.verdict);
        }));
        self.metrics.detector_seconds.of(detector).observe(begun.elapsed().as_secs_f64());
        let found = self.verdict.findings.len().saturating_sub(before);
        self.metrics.findings.of(detector).inc_by(found as u64);
        if done.is_err() {
            self.leave(detector, "it broke");
        }
    }

    fn leave(&mut self, detector: Detector, reason: &str) {
        self.metrics.detector_errors.inc(detector);
        self.verdict.unavailable.push(Unavailable { detector, reason: reason.into() });
    }
}
