//! Reads facts written as words, and writes a ruling as words.
//!
//! Findings: `malware`, `risky`, `ambiguous`, `unscannable`, `encrypted`, each with `@2` for the part; `spam=3`, `phishing=3`,
//! `impersonation=3`, `bulk=3`, each with `:SYMBOL`; `rspamd=12`. What was not looked at: `unchecked=ratio:2/a.zip`,
//! `silent=clamd`, `noscan`, `tries=3`. The rest: `out`, `allowed`, `auth`, `signed`, `marked=dmarc`, `operator=reject`. Policy: `level=high`,
//! `t:spam=7`, `act:spam=reject+notify`, `headers-off`, `tag-signed-off`, `tag:spam=WORD`.

use crate::model::authentication::{DmarcPolicy, DmarcResult, SpfIdentity, SpfResult};
use crate::model::detectors::Detectors;
use crate::model::disposition::{Category, Disposition, Strip};
use crate::model::egress::OutboundSpam;
use crate::model::finding::{Class, Detector, Finding, Reason, Score, Unavailable, Unchecked, Verdict};
use crate::model::rule::{Rule, Skips};
use crate::model::{Address, Direction};
use crate::policy::content::{Author, Decider, Facts, Ruling, Signed, dispose};
use crate::tenant::{ContentPolicy, DirectionSpec, Treatment};

pub(super) struct Scene {
    pub(super) direction: Direction,
    pub(super) verdict: Verdict,
    pub(super) has_verdict: bool,
    policy: ContentPolicy,
    pub(super) skips: Skips,
    author: Author,
    marks: Vec<Rule>,
    pub(super) mandatory: Detectors,
    tries: u32,
    signed: Signed,
    spam: OutboundSpam,
}

impl Scene {
    pub(super) fn read(facts: &str) -> Self {
        let address = |text: &str| vec![Address::parse(text).unwrap()];
        let mut spec = DirectionSpec {
            bcc: Some(address("archive@acme.example")),
            notify: Some(address("admin@acme.example")),
            ..DirectionSpec::default()
        };
        let mut scene = Self {
            direction: if facts.split(' ').any(|word| word == "out") {
                Direction::Outbound
            } else {
                Direction::Inbound
            },
            verdict: Verdict::new(17),
            has_verdict: true,
            policy: ContentPolicy::default_ref(Direction::Inbound).clone(),
            skips: Skips::NONE,
            author: Author::Unproven,
            marks: Vec::new(),
            mandatory: Detectors::mandatory(),
            tries: 0,
            signed: Signed::No,
            spam: OutboundSpam::default(),
        };
        for (number, word) in facts.split_whitespace().enumerate() {
            scene.word(word, number, &mut spec);
        }
        scene.policy = ContentPolicy::compile(scene.direction, spec);
        scene
    }

    fn word(&mut self, word: &str, number: usize, spec: &mut DirectionSpec) {
        let (word, value) = word.split_once('=').unwrap_or((word, ""));
        let category = |name: &str| Category::ALL.into_iter().find(|category| category.name() == name).unwrap();
        match word {
            "out" => {}
            "allowed" => self.skips = Skips::ALLOWED_SENDER,
            "auth" => self.author = Author::Authenticated,
            "signed" => self.signed = Signed::Yes,
            "noscan" => self.has_verdict = false,
            "tries" => self.tries = value.parse().unwrap(),
            "marked" => self.marks.push(mark(value)),
            "silent" => {
                let detector = Detector::ALL.into_iter().find(|detector| detector.name() == value).unwrap();
                self.verdict.unavailable.push(Unavailable { detector, reason: "time-out".into() });
            }
            "unchecked" => {
                let (reason, what) = value.split_once(':').unwrap();
                let reason: Reason = serde_json::from_value(reason.into()).unwrap();
                self.verdict.unchecked.push(Unchecked { reason, what: what.into() });
            }
            "operator" => self.spam = OutboundSpam::parse(value).unwrap(),
            "headers-off" => spec.headers = Some(false),
            "tag-signed-off" => spec.tag_signed = Some(false),
            "level" => spec.level = Some(serde_json::from_value(value.into()).unwrap()),
            "rspamd" => {
                let score = Score::from_points(value.parse().unwrap());
                self.verdict.find(Finding::new(Detector::Rspamd, "rspamd", Class::Spam, score, ""));
            }
            _ => {
                if let Some(name) = word.strip_prefix("t:") {
                    spec.thresholds.insert(category(name), Score::from_points(value.parse().unwrap()));
                } else if let Some(name) = word.strip_prefix("act:") {
                    spec.actions.insert(category(name), Treatment::parse(value.split('+')).unwrap());
                } else if let Some(name) = word.strip_prefix("tag:") {
                    spec.tags.insert(category(name), value.into());
                } else {
                    self.found(word, value, number);
                }
            }
        }
    }

    fn found(&mut self, word: &str, value: &str, number: usize) {
        let (name, part) = word.split_once('@').map_or((word, None), |(name, part)| (name, Some(part)));
        let name = if name == "risky" { "risky-file" } else { name };
        let class = Class::ALL.into_iter().find(|class| class.name() == name);
        let class = class.unwrap_or_else(|| panic!("{word} is no word of these tables"));
        let (points, symbol) = value.split_once(':').unwrap_or((value, ""));
        let symbol = if symbol.is_empty() { format!("S{number}") } else { symbol.to_owned() };
        assert_eq!(class.is_scored(), !points.is_empty(), "{word}: points are for scored classes");
        let score = Score::from_points(points.parse().unwrap_or(0.0));
        let finding = Finding::new(Detector::Rules, &symbol, class, score, "");
        self.verdict.find(part.map_or(finding.clone(), |part| finding.in_part(part)));
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            direction: self.direction,
            verdict: self.has_verdict.then_some(&self.verdict),
            policy: &self.policy,
            skips: self.skips,
            author: self.author,
            marks: &self.marks,
            mandatory: self.mandatory,
            tries: self.tries,
            signed: self.signed,
            spam: self.spam,
        }
    }

    pub(super) fn said(&self) -> String {
        let ruling = dispose(&self.facts());
        let mut words = vec![self.fate(&ruling)];
        if !ruling.copies.bcc.is_empty() {
            words.push("bcc".into());
        }
        if !ruling.copies.notify.is_empty() {
            words.push("notify".into());
        }
        let names: Vec<&str> = ruling.categories.iter().map(|category| category.name()).collect();
        let names = if names.is_empty() { "clean".to_owned() } else { names.join(" ") };
        let why = match ruling.decided_by {
            Decider::Unavailable { detector } => format!("; no {}", detector.name()),
            Decider::NoScan => "; no scan".to_owned(),
            Decider::Nothing | Decider::Category { .. } => String::new(),
        };
        format!("{}; {names}{why}", words.join(" "))
    }

    fn fate(&self, ruling: &Ruling) -> String {
        match &ruling.disposition {
            Disposition::Deliver(edits) => {
                let mut words = vec!["deliver".to_owned()];
                words.extend(edits.tag.as_ref().map(|tag| format!("tag={tag}")));
                if let Some(stamp) = &edits.stamp {
                    let is_in = |category: &&Category| stamp.contains(self.policy.stamp(**category));
                    let mut stamps: Vec<&str> = ruling.categories.iter().filter(is_in).map(|one| one.name()).collect();
                    stamps.dedup();
                    words.push(format!("stamp={}", stamps.join("+")));
                }
                match &edits.strip {
                    Strip::None => {}
                    Strip::Files => words.push("strip=all".into()),
                    Strip::Parts(paths) => words.push(format!("strip={}", paths.join(","))),
                }
                if edits.fields.is_empty() {
                    words.push("no-fields".into());
                }
                words.join(" ")
            }
            Disposition::Quarantine { category } => format!("quarantine as {}", category.name()),
            Disposition::Reject(reply) => format!("reject {} {}", reply.code(), reply.enhanced().unwrap()),
            Disposition::Discard => "discard".into(),
            Disposition::Defer(reply) => format!("defer {} {}", reply.code(), reply.enhanced().unwrap()),
            Disposition::Hold { .. } => "hold".into(),
        }
    }
}

fn mark(word: &str) -> Rule {
    match word {
        "dmarc" => Rule::Dmarc { result: DmarcResult::Fail, policy: DmarcPolicy::Quarantine },
        "spf" => Rule::Spf { result: SpfResult::Fail, identity: SpfIdentity::MailFrom },
        "dkim" => Rule::Dkim,
        "from" => Rule::From,
        other => panic!("{other} is no mark"),
    }
}
