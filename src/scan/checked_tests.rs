//! No way round the check: whatever is configured, written, listed or broken, EICAR and GTUBE get no [`Checked`].
//!
//! Messages are scanned for real, by scanners with random settings and with detectors that break in the middle of their work.
//! Each verdict is then judged under random policies of tenants, rules of the operator and histories. There are
//! [`COUNT`] of these. The seed is told when it fails, and `SEKISHO_SEED` sets it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::message::specimen::Limits;
use crate::model::finding::{Detector, Finding, Score, Unavailable};
use crate::model::{Address, Decision, ReversePath};
use crate::policy::content::{Together, together};
use crate::policy::mail;
use crate::scan::{Config, Request, Scanner, external};
use crate::signatures::SignatureSet;
use crate::signatures::self_test::{eicar, gtube};
use crate::signatures::sets::Sets;
use crate::telemetry::Metrics;
use crate::tenant::{DirectionSpec, Extra, Fate, Sensitivity, Treatment};

const COUNT: usize = 200_000;

thread_local! {
    /// Detectors that break on this thread.
    static BROKEN: Cell<Detectors> = const { Cell::new(Detectors::NONE) };
}

/// For `detectors`: breaks where a test asks for it.
pub(in crate::scan) fn break_if_asked(detector: Detector) {
    assert!(!BROKEN.get().has(detector), "broken for a test");
}

/// A small generator: the test must not take longer than what it tests.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Virus,
    Spam,
    Clean,
}

/// A message, and what it is.
fn messages() -> Vec<(What, &'static str, Bytes)> {
    let head = "From: a@acme.example\r\nTo: b@partner.example\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\
                Message-ID: <1@acme.example>\r\nSubject: a file\r\nMIME-Version: 1.0\r\n";
    let virus = String::from_utf8(eicar()).unwrap();
    // A zip file with it, in pieces like everything of its kind here.
    let zip = [
        "UEsDBBQAAAAIAAAAIVw8z1FoRgAAAEQAAAAJAAAAZWljYXIuY29tizD1VwxQdXAMiDaJCYiKMDXRCIjTNHd21jSvVX",
        "H1dHYM0g0OcfRzcQxy0XX0C/EM8wwKDdYNcQ0O0XXz9HFVVPHQ9tACAFBLAQIUAxQAAAAIAAAAIVw8z1FoRgAAAEQA",
        "AAAJAAAAAAAAAAAAAACAAQAAAABlaWNhci5jb21QSwUGAAAAAAEAAQA3AAAAbQAAAAAA",
    ]
    .concat();
    let file = |encoding: &str, name: &str, content: &str| {
        format!(
            "{head}Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n\
             --b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\
             Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}\r\n--b--\r\n"
        )
    };
    let ube = gtube();
    let ube_text = String::from_utf8(ube.clone()).unwrap();
    let ube_body = ube_text.split("\r\n\r\n").nth(1).unwrap();
    let html = format!("{head}Content-Type: text/html\r\n\r\n<p>{}</p>\r\n", ube_body.trim());
    let encoded = format!(
        "{head}Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        STANDARD.encode(ube_body)
    );
    let list = format!("List-Id: <x.acme.example>\r\nPrecedence: bulk\r\n{ube_text}");
    let attached = format!(
        "{head}Content-Type: multipart/mixed; boundary=\"c\"\r\n\r\n--c\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--c--\r\n",
        file("base64", "a.bin", &STANDARD.encode(&virus))
    );
    let letter = format!("{head}Content-Type: text/plain\r\n\r\nSee you tomorrow at nine.\r\n");
    let bulk = format!(
        "List-Unsubscribe: <https://acme.example/u>\r\nFeedback-ID: 1:2:3\r\nPrecedence: bulk\r\n{head}\
         Content-Type: text/html\r\n\r\n<p>Unsubscribe: <a href=\"https://acme.example/u\">unsubscribe here</a></p>\r\n"
    );
    [
        (What::Virus, "plain", file("7bit", "a.bin", &virus)),
        (What::Virus, "base64", file("base64", "a.bin", &STANDARD.encode(&virus))),
        (What::Virus, "zip", file("base64", "a.zip", &zip)),
        (What::Virus, "attached", attached),
        (What::Virus, "named", file("base64", "invoice.pdf", &STANDARD.encode(&virus))),
        (What::Spam, "plain", ube_text.clone()),
        (What::Spam, "html", html),
        (What::Spam, "base64", encoded),
        (What::Spam, "list", list),
        (What::Spam, "with a script", file("7bit", "a.js", "x()").replace("See the file.", ube_body.trim())),
        (What::Clean, "letter", letter),
        (What::Clean, "newsletter", bulk),
        (What::Clean, "file", file("base64", "a.txt", &STANDARD.encode("hello"))),
    ]
    .into_iter()
    .map(|(what, name, text)| (what, name, Bytes::from(text)))
    .collect()
}

/// A scanner that an operator who wants no scanning might set up.
fn scanner(dice: &mut Dice, sets: &Arc<Sets>) -> Scanner {
    let none = dice.one_in(4);
    let on: Detectors = Detector::ALL.into_iter().filter(|_| !none && dice.one_in(2)).collect();
    let plain = Limits::default();
    let limits = Limits {
        parts: dice.of(&[plain.parts, 10]),
        depth: dice.of(&[plain.depth, 1]),
        files: dice.of(&[plain.files, 1, 0]),
        layers: dice.of(&[plain.layers, 1, 0]),
        file_octets: dice.of(&[plain.file_octets, 30]),
        unpacked_octets: dice.of(&[plain.unpacked_octets, 30]),
        ratio: dice.of(&[plain.ratio, 1]),
        ..plain
    };
    let time = if dice.one_in(8) { Duration::ZERO } else { Duration::from_secs(60) };
    let config = Config { workers: 1, time, limits, on, ..Config::default() };
    Scanner::build(config, Arc::clone(sets), external::Config::default(), Metrics::new(), "mx.example")
}

fn request(octets: &Bytes, direction: Direction) -> Request {
    Request {
        octets: octets.clone(),
        number: 1,
        direction,
        tenant: None,
        client: None,
        helo: "client.example".into(),
        sender: ReversePath::Null,
        recipients: Vec::new(),
        own_domains: Vec::new(),
        protected: Arc::default(),
        authentication: None,
        is_relayed: false,
        first_contact: false,
    }
}

/// A message that was scanned for real.
struct Seen {
    what: What,
    name: &'static str,
    octets: Bytes,
    scanned: Scanned,
}

fn seen(dice: &mut Dice, sets: &Arc<Sets>, scanners: usize) -> Vec<Seen> {
    // What breaks here breaks on purpose.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut all = Vec::new();
    for number in 0..scanners {
        let scanner = scanner(dice, sets);
        for (what, name, octets) in messages() {
            let broken: Detectors = Detector::ALL.into_iter().filter(|_| number > 1 && dice.one_in(6)).collect();
            BROKEN.set(broken);
            let mut scanned = scanner.scan_here(&request(&octets, Direction::Outbound));
            BROKEN.set(Detectors::NONE);
            // As if the scanners elsewhere had been asked: there are none.
            scanned.is_whole = !dice.one_in(10);
            all.push(Seen { what, name, octets, scanned });
        }
    }
    std::panic::set_hook(hook);
    all
}

fn treatment(dice: &mut Dice) -> Treatment {
    let fate = dice.of(&[Fate::Deliver, Fate::Deliver, Fate::Quarantine, Fate::Reject, Fate::Discard]);
    let extras = [Extra::Tag, Extra::Headers, Extra::Stamp, Extra::Strip, Extra::Bcc, Extra::Notify];
    extras.into_iter().filter(|_| dice.one_in(4)).fold(Treatment::plain(fate), Treatment::and).with_fate(fate)
}

/// What a tenant, or one of its domains, might write, and more: nothing of what reading it refuses is left out.
fn spec(dice: &mut Dice) -> DirectionSpec {
    let points = |dice: &mut Dice| Score(dice.of(&[i32::MIN, -50_000, 0, 1, 5_000, 50_000, 999_000, i32::MAX]));
    let mut thresholds = BTreeMap::new();
    let mut actions = BTreeMap::new();
    for category in Category::ALL {
        if dice.one_in(3) {
            thresholds.insert(category, points(dice));
        }
        if !dice.one_in(3) {
            actions.insert(category, treatment(dice));
        }
    }
    let level = dice.of(&[None, Some(Sensitivity::Low), Some(Sensitivity::Medium), Some(Sensitivity::High)]);
    let headers = dice.of(&[None, Some(true), Some(false)]);
    DirectionSpec { level, thresholds, actions, headers, ..DirectionSpec::default() }
}

/// More trouble and more findings on top of what a scan came to: detectors of others that are silent or speak for the mail.
fn worsened(dice: &mut Dice, seen: &Seen) -> Scanned {
    let mut verdict = seen.scanned.verdict.clone();
    if dice.one_in(4) {
        let detector = dice.of(&Detector::ALL);
        verdict.unavailable.push(Unavailable { detector, reason: "time-out".into() });
    }
    if dice.one_in(4) {
        let points = Score(dice.of(&[-1_000_000, -100_000, -5_000, 2_000]));
        verdict.find(Finding::new(Detector::Rspamd, "GOOD", crate::model::finding::Class::Spam, points, ""));
    }
    let mandatory = if dice.one_in(4) {
        seen.scanned.mandatory.with(dice.of(&[Detector::Clamd, Detector::Icap, Detector::Rspamd]))
    } else {
        seen.scanned.mandatory
    };
    Scanned { verdict, specimen: Specimen::default(), mandatory, ..copy(&seen.scanned) }
}

fn copy(scanned: &Scanned) -> Scanned {
    let Scanned { sum, direction, mandatory, is_whole, .. } = *scanned;
    Scanned { verdict: Verdict::default(), specimen: Specimen::default(), sum, direction, mandatory, is_whole }
}

/// At MAIL already, or not: the tenant's state, and whose the sender is.
fn is_refused_at_mail(dice: &mut Dice) -> bool {
    let sender = ReversePath::Mailbox(Address::parse("a@acme.example").unwrap());
    let client = match dice.below(8) {
        0 => mail::Client::Suspended,
        1 => mail::Client::Unknown { may_authenticate: dice.one_in(2) },
        n => mail::Client::Tenants(if n > 2 { mail::Sends::Own } else { mail::Sends::Foreign }),
    };
    let room = dice.of(&[mail::Room::Enough, mail::Room::Enough, mail::Room::StorageLow, mail::Room::MemoryLow]);
    let facts = mail::Facts { direction: Direction::Outbound, sender: &sender, client, room };
    mail::decide(&facts) != Decision::Accept
}

#[derive(Debug, Default)]
struct Ends {
    at_mail: usize,
    deferred: usize,
    rejected: usize,
    quarantined: usize,
    left: usize,
}

#[test]
fn nothing_lets_a_virus_or_certain_spam_out() {
    let seed = std::env::var("SEKISHO_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121);
    let mut dice = Dice(seed);
    let sets = Arc::new(Sets::fixed(SignatureSet::compile(1, &[]).unwrap()));
    let all = seen(&mut dice, &sets, 40);
    for seen in &all {
        let found = |class| seen.scanned.verdict.has(class);
        // With a whole scan under usual settings what is there is found; else the test tests nothing.
        let has = match seen.what {
            What::Virus => found(crate::model::finding::Class::Malware),
            What::Spam => found(crate::model::finding::Class::Spam),
            What::Clean => true,
        };
        let excused = !seen.scanned.verdict.is_complete();
        assert!(has || excused, "{:?} {} is not found: {:?}", seen.what, seen.name, seen.scanned.verdict);
    }
    let (mut bad, mut clean) = (Ends::default(), Ends::default());
    for number in 0..COUNT {
        let seen = &all[dice.below(all.len())];
        let ends = if seen.what == What::Clean { &mut clean } else { &mut bad };
        if dice.one_in(8) && is_refused_at_mail(&mut dice) {
            ends.at_mail += 1;
            continue;
        }
        let domain = spec(&mut dice);
        let written = if dice.one_in(2) { domain.over(spec(&mut dice)) } else { domain };
        let policy = ContentPolicy::compile(Direction::Outbound, written);
        let spam = dice.of(&OutboundSpam::ALL);
        let terms = Terms { policy: &policy, tries: u32::try_from(dice.below(6)).unwrap(), spam };
        let (ruling, checked) = match dice.below(12) {
            0 => (unscanned(&terms), None),
            _ => worsened(&mut dice, seen).check(&terms),
        };
        let told = || format!("seed {seed}, case {number}: {:?} {} {spam:?}: {ruling:?}", seen.what, seen.name);
        assert_eq!(checked.is_some(), ruling.disposition.is_delivered(), "{}", told());
        if let Some(checked) = &checked {
            assert!(seen.what == What::Clean, "it leaves: {}", told());
            assert!(checked.is_about(&seen.octets), "{}", told());
            assert!(checked.pool() != Pool::Suspect || spam == OutboundSpam::SuspectPool, "{}", told());
        }
        // What is said for all recipients of a transaction is not milder.
        let mut rulings = vec![ruling.clone(), ruling.clone()];
        match (together(&mut rulings), &rulings[0].disposition) {
            (Together::Defer(reply), _) => {
                assert!(reply.is_temporary(), "{}", told());
                ends.deferred += 1;
            }
            (Together::Reject(reply), _) => {
                assert!(reply.is_permanent(), "{}", told());
                ends.rejected += 1;
            }
            (Together::Settle, crate::model::Disposition::Quarantine { .. }) => ends.quarantined += 1,
            (Together::Settle, crate::model::Disposition::Deliver(_)) => ends.left += 1,
            (Together::Settle, other) => {
                assert!(seen.what == What::Clean, "{other:?}: {}", told());
            }
        }
    }
    assert_eq!(bad.left, 0);
    for (ends, least) in [(bad.at_mail, 100), (bad.deferred, 100), (bad.rejected, 100), (bad.quarantined, 1_000)] {
        assert!(ends >= least, "{bad:?}");
    }
    assert!(clean.left * 100 > COUNT, "honest mail leaves: {clean:?}");
    println!("{COUNT} cases over {} scans: bad mail {bad:?}, honest mail {clean:?}", all.len());
}

fn scan(octets: &Bytes, direction: Direction) -> Scanned {
    let set = SignatureSet::compile(1, &[]).unwrap();
    let sets = Arc::new(Sets::fixed(set));
    let scanner = Scanner::build(Config::default(), sets, external::Config::default(), Metrics::new(), "mx.example");
    let mut scanned = scanner.scan_here(&request(octets, direction));
    scanned.is_whole = true;
    scanned
}

fn terms(policy: &ContentPolicy) -> Terms<'_> {
    Terms { policy, tries: 0, spam: OutboundSpam::Quarantine }
}

#[test]
fn a_scan_for_something_else_is_none() {
    let policy = ContentPolicy::default_ref(Direction::Outbound);
    let letter = messages().remove(10).2;
    let good = scan(&letter, Direction::Outbound);
    assert!(good.check(&terms(policy)).1.is_some());
    let inbound = scan(&letter, Direction::Inbound);
    assert_eq!(inbound.check(&terms(policy)).1, None, "scanned as inbound mail");
    let part = Scanned { is_whole: false, ..good };
    let (ruling, checked) = part.check(&terms(policy));
    assert_eq!((checked, ruling.disposition.name()), (None, "defer"));
}

#[test]
fn newsletters_take_the_pool_of_bulk_mail() {
    let policy = ContentPolicy::default_ref(Direction::Outbound);
    for (message, pool) in [(10, Pool::Normal), (11, Pool::Bulk)] {
        let scanned = scan(&messages().remove(message).2, Direction::Outbound);
        let (ruling, checked) = scanned.check(&terms(policy));
        assert_eq!(checked.map(|checked| checked.pool()), Some(pool), "{ruling:?}");
    }
}

/// A change through the check is about what came of it; another message is refused.
#[test]
fn an_edit_stays_checked_only_through_the_check() {
    let policy = ContentPolicy::default_ref(Direction::Outbound);
    let letter = messages().remove(10).2;
    let scanned = scan(&letter, Direction::Outbound);
    let checked = scanned.check(&terms(policy)).1.unwrap();
    let edits = Edits { tag: Some("[EXT]".into()), ..Edits::default() };
    let edited = checked.edited(scanned.specimen(), &letter, &edits, &[]).unwrap();
    let octets = edited.changed.octets.unwrap();
    assert!(edited.checked.is_about(&octets) && !edited.checked.is_about(&letter));
    assert!(String::from_utf8_lossy(&octets).contains("[EXT] a file"));
    // A field that is taken out.
    let end = letter.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    let cut = checked.edited(scanned.specimen(), &letter, &Edits::default(), std::slice::from_ref(&(0..end))).unwrap();
    assert!(cut.checked.is_about(&letter.slice(end..)));
    let other = Bytes::from([&letter[..], b"one line more\r\n"].concat());
    assert!(checked.edited(scanned.specimen(), &other, &edits, &[]).is_none());
}
