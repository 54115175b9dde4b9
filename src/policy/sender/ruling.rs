//! What comes of judging a sender.

use crate::model::Decision;
use crate::model::lists::{Action, Matched};
use crate::model::rule::{Consulted, Effect, Rule, Skips, Stage};
use crate::tenant::SenderPolicy;

/// The answer, what decided it, and everything that was looked at, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub decision: Decision,
    pub decided_by: Rule,
    pub consulted: Vec<Consulted>,
    /// What later checks leave out for this recipient. Final only in the ruling of end of data.
    pub skips: Skips,
    /// Accepted at RCPT on the word of an allow entry that DKIM or DMARC has yet to prove.
    pub provisional: Option<Box<Provisional>>,
}

/// The refusal that stands if the sender is not authenticated at end of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisional {
    /// The allow entry that speaks for the sender.
    pub entry: Matched,
    pub refusal: Decision,
    pub rule: Rule,
}

impl Ruling {
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.decision == Decision::Accept
    }

    /// The rules that mark what is accepted, for later detectors. What is refused needs no marks.
    pub fn marks(&self) -> impl Iterator<Item = &Rule> {
        let marked = self.consulted.iter().filter(|step| self.is_accepted() && step.effect == Effect::Marked);
        marked.filter_map(|step| step.rule.as_ref())
    }
}

/// Whether two recipients of one transaction can have the same answer at end of data. A recipient that can't is told to
/// come in a transaction of its own (452 4.5.3). Allowed and not allowed part, too: an entry bound to a network stands for
/// authentication, and then the one would take what the other refuses.
#[must_use]
pub fn same_fate(first: (&SenderPolicy, &Ruling), other: (&SenderPolicy, &Ruling)) -> bool {
    let ((policy, ruling), (other_policy, other)) = (first, other);
    let refusal = |ruling: &Ruling| ruling.provisional.as_ref().map(|provisional| provisional.refusal.clone());
    refusal(ruling) == refusal(other)
        && ruling.skips == other.skips
        && (std::ptr::eq(policy, other_policy)
            || (policy.authentication == other_policy.authentication
                && policy.trusted_sealers == other_policy.trusted_sealers))
}

/// What becomes of a message whose recipients were judged one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    Accept,
    /// The one reply is that of this ruling.
    Refuse(usize),
    /// Some take it and some refuse it for good by block entries for the author, which nobody could ask at RCPT. It is
    /// accepted for those that take it; for the others it is discarded by policy and logged. Their block counts, and it
    /// costs nobody else the message.
    Split,
}

/// One answer from the rulings of end of data, one for each recipient or group of recipients. Putting off goes before
/// everything: the client comes again and nobody has lost anything. A refusal that is no block entry of the recipient's is
/// told to the client, whoever else would take the message: nothing is thrown away that nobody asked to. No rulings: accept.
#[must_use]
pub fn together(rulings: &[Ruling]) -> Together {
    let deferred = rulings.iter().position(|ruling| matches!(ruling.decision, Decision::Defer(_)));
    let refused = rulings.iter().position(|ruling| !ruling.is_accepted());
    let accepted = rulings.iter().any(Ruling::is_accepted);
    let by_list = |ruling: &Ruling| matches!(ruling.decided_by, Rule::Entry { action: Action::Block, .. });
    let told = rulings.iter().position(|ruling| !ruling.is_accepted() && !by_list(ruling));
    match (deferred.or(told), refused, accepted) {
        (Some(at), _, _) | (None, Some(at), false) => Together::Refuse(at),
        (None, Some(_), true) => Together::Split,
        (None, None, _) => Together::Accept,
    }
}

/// The steps of a judgement while they are taken.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) consulted: Vec<Consulted>,
}

/// As many steps as most judgements take.
const USUAL_STEPS: usize = 12;

/// A rule that speaks against the mail, and what it would answer.
pub(super) type Objection = (Decision, Rule);

impl Walk {
    pub(super) fn new() -> Self {
        Self { consulted: Vec::with_capacity(USUAL_STEPS) }
    }

    pub(super) fn note(&mut self, stage: Stage, effect: Effect) {
        self.consulted.push(Consulted { stage, rule: None, effect });
    }

    pub(super) fn rule(&mut self, stage: Stage, rule: Rule, effect: Effect) {
        self.consulted.push(Consulted { stage, rule: Some(rule), effect });
    }

    pub(super) fn skip(&mut self, stages: &[Stage]) {
        for stage in stages {
            self.note(*stage, Effect::Skipped);
        }
    }

    /// Notes a rule that objects.
    pub(super) fn object(&mut self, stage: Stage, (decision, rule): Objection) -> Objection {
        let effect = if matches!(decision, Decision::Defer(_)) { Effect::Deferred } else { Effect::Refused };
        self.rule(stage, rule.clone(), effect);
        (decision, rule)
    }

    pub(super) fn end(self, (decision, decided_by): Objection) -> Ruling {
        Ruling { decision, decided_by, consulted: self.consulted, skips: Skips::NONE, provisional: None }
    }

    pub(super) fn accept(self, decided_by: Rule, skips: Skips) -> Ruling {
        Ruling { skips, ..self.end((Decision::Accept, decided_by)) }
    }
}
