//! The detectors of this process, in their order, each timed and contained.
//!
//! **Failure**: one that panics or has no time left is unavailable, and the others go on; what it had found by then stays.
//! **Invariants**: every detector that is switched on has run or is named in the Verdict; for outbound mail none is switched off.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::impersonation::{self, Known};
use super::octets::{Deadline, OctetScan};
use super::scanner::{Config, Request};
use super::{bulk, classifier, facts, feeds, files, rules, spamassassin};
use crate::message::files::{Passwords, walk};
use crate::message::specimen::{Specimen, TimeUp};
use crate::model::Direction;
use crate::model::detectors::Detectors;
use crate::model::finding::{Detector, Unavailable, Verdict};
use crate::signatures::SignatureSet;
use crate::signatures::model::Layer;
use crate::telemetry::metrics::ScanMetrics;

/// One message on its way through the detectors.
struct Course<'a> {
    /// Who is asked.
    on: Detectors,
    metrics: &'a ScanMetrics,
    time_up: TimeUp<'a>,
    verdict: Verdict,
}

/// How much of a message is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The header and the parts, for those who change the message, and what is odd about them.
    Frame,
    /// Its texts and all its files, unpacked.
    Inside,
}

/// Runs them all, or for a [`Look::Frame`] the first alone. `layer`: what the tenant's users taught. `light`: the message, if it is
/// taken apart already.
pub(super) fn run(
    (config, metrics): (&Config, &ScanMetrics),
    (set, layer): (&SignatureSet, Option<&Layer>),
    (request, light, look): (&Request, Option<Specimen>, Look),
    until: Instant,
) -> (Specimen, Verdict) {
    let time_up: TimeUp<'_> = &|| Instant::now() >= until;
    let on = match request.direction {
        Direction::Inbound => config.on,
        Direction::Outbound => Detectors::all(),
    };
    let mut course = Course { on, metrics, time_up, verdict: Verdict::new(set.number) };
    let mut specimen = Specimen::default();
    // Nobody can switch this off: without it nothing is seen, and nothing can be delivered.
    course.must(Detector::Structure, |_| {
        let parse = if look == Look::Frame { Specimen::parse_frame } else { Specimen::parse };
        specimen = light.unwrap_or_else(|| parse(request.octets.clone(), &config.limits, time_up));
    });
    if look == Look::Frame {
        tell_structure(&specimen, &mut course.verdict);
        return (specimen, course.verdict);
    }
    let mut octets = OctetScan::new(set, on, Deadline::at(until));
    course.must(Detector::Structure, |_| {
        let passwords = Passwords::of_mail_and(&config.passwords);
        walk(&mut specimen, &config.limits, &passwords, time_up, &mut octets);
        octets.message(&specimen);
    });
    let verdict = &mut course.verdict;
    tell_structure(&specimen, verdict);
    let seen = octets.finish(verdict);
    // They looked while the files were unpacked; with the time spent, not to the end.
    course.take(Detector::Hashes, |_| {});
    course.take(Detector::Yara, |_| {});
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
        classifier::classify(&specimen, &set.model, layer).into_iter().for_each(|finding| verdict.find(finding));
    });
    let known = Known {
        own_domains: &request.own_domains,
        recipients: &request.recipients,
        authenticated: facts::is_known_authenticated(request),
        first_contact: request.first_contact,
        protected: &request.protected,
    };
    if request.direction == Direction::Inbound {
        course.take(Detector::Impersonation, |verdict| impersonation::detect(&specimen, &known, verdict));
    }
    course.take(Detector::Bulk, |verdict| bulk::detect(&specimen, verdict));
    course.take(Detector::Files, |verdict| files::detect(&specimen, verdict));
    (specimen, course.verdict)
}

fn tell_structure(specimen: &Specimen, verdict: &mut Verdict) {
    verdict.unchecked.extend(specimen.unchecked.iter().cloned());
    super::structure::detect(specimen, verdict);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::ReversePath;
    use crate::model::finding::Class;
    use crate::scan::Scanner;
    use crate::scan::external::{self, Endpoint, Service};
    use crate::signatures::pack::{Pack, PackFile};
    use crate::signatures::self_test;
    use crate::signatures::sets::Sets;
    use crate::telemetry::Metrics;

    fn request(octets: Vec<u8>) -> Request {
        Request {
            octets: octets.into(),
            number: 1,
            direction: Direction::Inbound,
            tenant: None,
            client: None,
            helo: "a".into(),
            sender: ReversePath::Null,
            recipients: Vec::new(),
            own_domains: Vec::new(),
            protected: Arc::default(),
            authentication: None,
            is_relayed: false,
            first_contact: false,
        }
    }

    fn verdict(on: Detectors, octets: Vec<u8>, time: Duration) -> Verdict {
        let rule = "rule Standard { meta: class = \"malware\" strings: $a = \"STANDARD-ANTIVIRUS\" condition: $a }";
        verdict_of(on, ("a.yar", rule), &request(octets), time)
    }

    /// By a pack of one file.
    fn verdict_of(on: Detectors, (path, text): (&str, &str), request: &Request, time: Duration) -> Verdict {
        let file = |path: &str, text: &str| PackFile { path: path.into(), octets: text.to_owned().into() };
        let pack = Pack::from_files("x", vec![file("pack.toml", "[pack]\nname = \"x\""), file(path, text)]).unwrap();
        let set = SignatureSet::compile(1, &[pack]).unwrap();
        let config = Config { on, ..Config::default() };
        let of = (request, None, Look::Inside);
        run((&config, &Metrics::new().scan), (&set, None), of, Instant::now() + time).1
    }

    /// An archive with the test virus in it, and a program.
    fn mail() -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in [("a.txt", self_test::eicar()), ("b.exe", b"MZ\x90\0\x03\0\0\0".to_vec())] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, &content).unwrap();
        }
        let zip = zip.finish().unwrap().into_inner();
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, zip);
        let head = "From: a@b.example\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        format!("{head}{body}\r\n").into_bytes()
    }

    fn by(verdict: &Verdict, detector: Detector) -> bool {
        verdict.findings.iter().any(|finding| finding.detector == detector && finding.class == Class::Malware)
    }

    #[test]
    fn each_switch_is_for_its_own_detector() {
        let long = Duration::from_secs(60);
        for (off, hashes, yara) in
            [(Detector::Bulk, true, true), (Detector::Hashes, false, true), (Detector::Yara, true, false)]
        {
            let verdict = verdict(Detectors::all().without(off), mail(), long);
            assert_eq!((by(&verdict, Detector::Hashes), by(&verdict, Detector::Yara)), (hashes, yara), "{off:?}");
            let runs = verdict.findings.iter().any(|finding| &*finding.symbol == "FILE_IN_ARCHIVE_RUNS");
            assert!(runs, "archives are opened in any case: {:?}", verdict.findings);
        }
    }

    fn scanner(clamd: bool) -> Scanner {
        let on = [Detector::Structure, Detector::Clamd].into_iter().collect();
        let sets = Arc::new(Sets::fixed(SignatureSet::compile(1, &[]).unwrap()));
        let nobody = Endpoint::parse("127.0.0.1:9").unwrap();
        let clamd = Service::usual(Detector::Clamd, vec![nobody]).filter(|_| clamd);
        let external = external::Config { clamd, ..external::Config::default() };
        Scanner::build(Config { workers: 1, on, ..Config::default() }, sets, external, Metrics::new(), "mx.example")
    }

    #[test]
    fn nothing_is_unpacked_for_nobody_and_everything_of_what_leaves() {
        let opened = |clamd, direction| {
            let request = Request { direction, ..request(mail()) };
            let specimen = scanner(clamd).scan_here(&request).into_parts().1;
            assert!(specimen.parts.iter().any(|part| part.octets.starts_with(b"PK")), "the parts are told apart");
            !specimen.files.is_empty()
        };
        assert!(!opened(false, Direction::Inbound));
        assert!(opened(false, Direction::Outbound));
        assert!(opened(true, Direction::Inbound), "what it finds may have to be taken out of a file");
    }

    #[test]
    fn a_first_contact_is_told_and_rules_may_ask_for_it() {
        let rule =
            "[[rule]]\nid = 'STRANGER'\nen = 'a'\nja = 'a'\nclass = 'spam'\nscore = 1.0\nwhen = '@first-contact'\n";
        for (first_contact, direction, expected) in [
            (true, Direction::Inbound, &["FIRST_CONTACT", "STRANGER"][..]),
            (false, Direction::Inbound, &[]),
            // Whom a tenant writes to is never asked for; no detector of impersonation looks.
            (true, Direction::Outbound, &["STRANGER"]),
        ] {
            let mail = b"From: a@b.example\r\nSubject: s\r\n\r\nx\r\n".to_vec();
            let request = Request { first_contact, direction, ..request(mail) };
            let verdict = verdict_of(Detectors::all(), ("a.toml", rule), &request, Duration::from_secs(60));
            let mut told: Vec<&str> = verdict.findings.iter().map(|finding| &*finding.symbol).collect();
            told.retain(|symbol| ["FIRST_CONTACT", "STRANGER"].contains(symbol));
            told.sort_unstable();
            assert_eq!(told, expected, "{:?}", verdict.findings);
        }
    }

    #[test]
    fn without_time_nothing_is_clean() {
        let verdict = verdict(Detectors::all(), mail(), Duration::ZERO);
        assert!(verdict.unavailable.iter().any(|away| away.detector == Detector::Structure), "{verdict:?}");
    }
}
