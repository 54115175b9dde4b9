//! `explanation/v1`: the record of one judgement with every input it had. The mail log, the console, the API and the
//! command line show this, and nothing else, to say why.
//!
//! **Invariants**: the JSON form only grows, by members that may be absent; names never change their meaning. Every list
//! is bounded by the constants here and what is left out is counted. Texts from outside are bounded and without control
//! characters. Secrets are never in it: known-source lists go by their name in the settings, not by their zone, which may hold
//! the key of a paid list; what they are asked is not among the questions that are kept.
//! **Elsewhere**: the words for people are made in `policy::explain`; the members are described in
//! `manual::explanation`.

pub mod content;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::authentication::Authentication;
use super::rule::{Consulted, Rule, Skips};
use super::sender::{Country, Listed, Reverse, ZoneAnswer};
use super::{Address, MessageId, Reply, ReversePath, TenantId, Timestamp, json};

/// Most questions to the DNS that are kept (the budget of one message).
pub const MAX_ASKED: usize = 64;
/// Most answers of known-source lists.
pub const MAX_ZONES: usize = 64;
/// Most judgements: one for each recipient, one for the message.
pub const MAX_JUDGEMENTS: usize = 33;
/// Most steps of a judgement.
pub const MAX_STEPS: usize = 128;
/// Most results of SPF, and of DKIM.
pub const MAX_RESULTS: usize = 8;
/// Most sealers of an ARC chain (RFC 8617 section 4.2.1).
pub const MAX_SEALERS: usize = 50;
/// Longest text from outside, in characters.
pub const MAX_TEXT: usize = 512;
/// Octets that most of these take, so that few grow while they are written.
const USUAL_JSON: usize = 3 << 10;

/// The name and version of this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Schema {
    #[default]
    #[serde(rename = "explanation/v1")]
    V1,
}

/// Why a message, or one attempt at a recipient, was judged as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub schema: Schema,
    /// Milliseconds since 1970-01-01T00:00:00Z; the clock by which entries expired and sources recovered.
    pub at: Timestamp,
    /// Absent if there was no message yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    pub versions: Versions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    pub client: ClientSeen,
    /// The envelope sender; empty for notices.
    pub sender: ReversePath,
    /// Every question to the DNS, in order, with its answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    /// Questions beyond [`MAX_ASKED`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asked_left_out: u32,
    /// What the known-source lists said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Box<Authentication>>,
    /// At RCPT for each recipient, then of the message.
    pub judgements: Vec<Judgement>,
    /// Judgements beyond [`MAX_JUDGEMENTS`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub judgements_left_out: u32,
    /// What was found in the message and what became of it; absent if it was not looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<content::Content>>,
    /// Outbound: what the message is among others of its sender; absent if it is like none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<Bulk>,
}

/// An outbound message among alike ones of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulk {
    /// Recipients of this message that alike ones have not reached before, the only one of a single letter not counted.
    pub alike: u32,
    /// Recipients that alike ones have reached before.
    pub reached: u32,
    /// Senders of them; an estimate, at most 64.
    pub senders: u32,
    /// Whether it has fields of a mailing list.
    pub list: bool,
    /// Recipients that the sender may reach with alike messages, and in how many seconds; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<(u64, u64)>,
}

/// Which policy, lists and program judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Versions {
    pub program: Box<str>,
    /// Of the snapshot of tenants.
    pub snapshot: u64,
    /// Of the allow and block lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lists: Option<u64>,
}

/// What was seen of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSeen {
    pub ip: IpAddr,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub helo: Box<str>,
    /// `TLSv1.3`; absent: not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Absent: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<Reverse>,
}

/// One question to the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub name: Box<str>,
    /// `TXT`, `A`, `AAAA`, `MX`, `PTR`
    pub kind: Box<str>,
    /// The records; or in words that there are none, or that no answer came.
    pub answer: Box<str>,
}

impl Asked {
    #[must_use]
    pub fn new(name: &str, kind: &str, answer: &str) -> Self {
        Self { name: name.into(), kind: kind.into(), answer: answer.into() }
    }
}

/// Where in the conversation something was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    Rcpt,
    Message,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Accept,
    Defer,
    Reject,
    Disconnect,
}

/// One judgement: everything that was consulted, in order, and what decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    pub moment: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Address>,
    pub answer: Answer,
    /// The refusal, as said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    pub decided_by: Rule,
    pub steps: Vec<Consulted>,
    /// Absent: nothing is skipped.
    #[serde(default, skip_serializing_if = "Skips::is_none")]
    pub skips: Skips,
    /// Accepted on the word of an allow entry; what is said if its sender is not authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisional: Option<Postponed>,
    pub summary: Summary,
}

/// A refusal that waits for the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponed {
    pub reply: Reply,
    pub rule: Rule,
}

/// One sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    pub en: Box<str>,
    pub ja: Box<str>,
}

impl Explanation {
    /// One without facts yet.
    #[must_use]
    pub fn new(at: Timestamp, versions: Versions, client: ClientSeen, sender: ReversePath) -> Self {
        Self {
            schema: Schema::V1,
            at,
            message: None,
            versions,
            tenant: None,
            client: ClientSeen { helo: plain(&client.helo), ..client },
            sender,
            asked: Vec::new(),
            asked_left_out: 0,
            zones: Vec::new(),
            authentication: None,
            judgements: Vec::new(),
            judgements_left_out: 0,
            content: None,
            bulk: None,
        }
    }

    /// Adds a question; beyond [`MAX_ASKED`] it is only counted.
    pub fn ask(&mut self, mut asked: Asked) {
        if self.asked.len() < MAX_ASKED {
            [&mut asked.name, &mut asked.kind, &mut asked.answer].into_iter().for_each(tidy);
            self.asked.push(asked);
        } else {
            self.asked_left_out = self.asked_left_out.saturating_add(1);
        }
    }

    /// Adds what known-source lists said.
    pub fn listed(&mut self, zones: &[ZoneAnswer]) {
        let room = MAX_ZONES.saturating_sub(self.zones.len());
        self.zones.extend(zones.iter().take(room).map(|zone| {
            let answer = match &zone.answer {
                Listed::No => Listed::No,
                Listed::Yes { reason, weight } => Listed::Yes { reason: plain(reason), weight: *weight },
                Listed::Degraded { why } => Listed::Degraded { why: plain(why) },
            };
            ZoneAnswer { list: plain(&zone.list), answer }
        }));
    }

    /// Puts in what SPF, DKIM, ARC and DMARC found.
    pub fn authenticated(&mut self, found: &Authentication) {
        let mut found = Box::new(found.clone());
        found.spf.truncate(MAX_RESULTS);
        found.dkim.truncate(MAX_RESULTS);
        found.arc.sealers.truncate(MAX_SEALERS);
        for spf in &mut found.spf {
            tidy(&mut spf.domain);
            clean(&mut spf.why);
        }
        for dkim in &mut found.dkim {
            tidy(&mut dkim.domain);
            tidy(&mut dkim.selector);
            clean(&mut dkim.why);
        }
        found.arc.sealers.iter_mut().for_each(tidy);
        clean(&mut found.arc.why);
        for dmarc in [&mut found.dmarc, &mut found.dmarc_tree_walk] {
            clean(&mut dmarc.record_at);
            clean(&mut dmarc.organization);
            clean(&mut dmarc.why);
        }
        self.authentication = Some(found);
    }

    /// Adds a judgement; beyond [`MAX_JUDGEMENTS`] it is only counted.
    pub fn judge(&mut self, mut judgement: Judgement) {
        if self.judgements.len() < MAX_JUDGEMENTS {
            judgement.steps.truncate(MAX_STEPS);
            let steps = judgement.steps.iter_mut().filter_map(|step| step.rule.as_mut());
            let postponed = judgement.provisional.iter_mut().map(|postponed| &mut postponed.rule);
            for rule in steps.chain(postponed).chain([&mut judgement.decided_by]) {
                clean_rule(rule);
            }
            tidy(&mut judgement.summary.en);
            tidy(&mut judgement.summary.ja);
            self.judgements.push(judgement);
        } else {
            self.judgements_left_out = self.judgements_left_out.saturating_add(1);
        }
    }

    /// The JSON form, in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(USUAL_JSON);
        match json::append(self, &mut json) {
            Ok(()) => json,
            Err(_) => String::new(),
        }
    }
}

/// Bounded and without control or direction characters, which would write over what stands around them.
fn plain(text: &str) -> Box<str> {
    if is_plain(text) {
        return text.into();
    }
    text.chars().take(MAX_TEXT).map(|c| if writes_over(c) { '?' } else { c }).collect::<String>().into()
}

/// Nearly every text is: the name of something, a number, or one of our own sentences, half of which are Japanese.
fn is_plain(text: &str) -> bool {
    // All of them are looked at, many at a time. What writes over is ASCII, or begins with one of two octets.
    let may_write_over = |octet: u8| (octet < 0x20) | (octet == 0x7f) | (octet == 0xc2) | (octet == 0xe2);
    text.len() <= MAX_TEXT
        && (!text.bytes().fold(false, |may, octet| may | may_write_over(octet)) || !text.chars().any(writes_over))
}

fn writes_over(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn tidy(text: &mut Box<str>) {
    if !is_plain(text) {
        *text = plain(text);
    }
}

fn clean(text: &mut Option<Box<str>>) {
    text.iter_mut().for_each(tidy);
}

/// The texts that rules carry may come from the DNS or from a header.
fn clean_rule(rule: &mut Rule) {
    match rule {
        Rule::KnownSource { list, reason, .. } => [list, reason].into_iter().for_each(tidy),
        Rule::Reputation { why, .. } => clean(why),
        Rule::TlsRequired { from: text } | Rule::ReverseName { row: text, .. } | Rule::ArcSealer { sealer: text } => {
            tidy(text);
        }
        _ => {}
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Explanation {
        let client =
            ClientSeen { ip: [192, 0, 2, 1].into(), helo: "a\r\nb".into(), tls: None, country: None, reverse: None };
        Explanation::new(Timestamp(0), Versions::default(), client, ReversePath::Null)
    }

    #[test]
    fn lists_are_bounded_and_what_is_left_out_is_counted() {
        let mut explanation = empty();
        for n in 0..MAX_ASKED + 3 {
            explanation.ask(Asked::new(&format!("n{n}.example"), "TXT", &"x".repeat(10_000)));
        }
        explanation.listed(&vec![ZoneAnswer { list: "l".into(), answer: Listed::No }; MAX_ZONES + 1]);
        assert_eq!((explanation.asked.len(), explanation.asked_left_out, explanation.zones.len()), (64, 3, 64));
        assert!(explanation.to_json().len() < 64 * 1024);
    }

    #[test]
    fn what_writes_over_is_seen_in_any_company() {
        for c in ('\0'..='\u{ff}').chain('\u{2000}'..='\u{2070}').chain(['\u{ff1a}', 'あ']) {
            let text = format!("日本語 abc {c} def");
            assert_eq!(is_plain(&text), !writes_over(c), "{c:?}");
        }
        assert!(is_plain(&"x".repeat(MAX_TEXT)) && !is_plain(&"x".repeat(MAX_TEXT + 1)));
    }

    #[test]
    fn texts_from_outside_hold_no_control_or_direction_characters() {
        let mut explanation = empty();
        explanation.ask(Asked::new("a\u{202e}b", "TXT", "x\u{1b}[2Jy\n"));
        assert_eq!((&*explanation.client.helo, &*explanation.asked[0].name), ("a??b", "a?b"));
        assert_eq!(&*explanation.asked[0].answer, "x?[2Jy?");
    }

    /// Whatever a message and the DNS bring, an Explanation stays below this.
    #[test]
    fn the_worst_explanation_is_bounded() {
        use crate::model::authentication::{Dkim, DkimResult};
        use crate::model::rule::{Effect, Stage};
        let mut explanation = empty();
        let long: Box<str> = "x\r\n".repeat(1 << 15).into();
        let signature =
            Dkim { domain: long.clone(), selector: long.clone(), result: DkimResult::Fail, why: Some(long.clone()) };
        let mut found = Authentication { dkim: vec![signature; 1_000], ..Authentication::default() };
        found.arc.sealers = vec![long.clone(); 1_000];
        explanation.authenticated(&found);
        let rule = Rule::ArcSealer { sealer: long.clone() };
        let step = Consulted { stage: Stage::Arc, rule: Some(rule.clone()), effect: Effect::Passed };
        for _ in 0..1_000 {
            explanation.ask(Asked::new(&long, &long, &long));
            explanation.listed(&[ZoneAnswer { list: long.clone(), answer: Listed::Degraded { why: long.clone() } }]);
        }
        explanation.judge(Judgement {
            moment: Moment::Message,
            recipient: None,
            answer: Answer::Accept,
            reply: None,
            decided_by: rule,
            steps: vec![step; 1_000],
            skips: Skips::NONE,
            provisional: None,
            summary: Summary { en: long.clone(), ja: long },
        });
        let json = explanation.to_json();
        assert_eq!(json, serde_json::to_string(&explanation).unwrap());
        assert!(json.len() < 320 << 10, "{}", json.len());
        assert!(!json.contains("\\r"), "a control character is left");
    }

    #[test]
    fn another_version_is_not_taken_for_this_one() {
        let json = empty().to_json();
        assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), empty());
        assert!(serde_json::from_str::<Explanation>(&json.replace("/v1", "/v2")).is_err());
    }
}
