//! An [`Explanation`](crate::model::explanation::Explanation) in words for people: one sentence for each judgement, and the whole as text. English and Japanese.
//!
//! **Invariants**: pure; says nothing that is not in the Explanation. What came from outside was bounded and cleaned when the
//! Explanation was made; addresses hold no control characters.

mod content;
mod content_words;
mod english;
mod japanese;
mod text;

pub use content::content_group;
pub use text::text;

use crate::model::explanation::{Answer, Judgement, MAX_STEPS, Moment, Postponed, Summary};
use crate::model::rule::{Effect, Rule, Stage};
use crate::model::{Address, Decision, Reply};

use super::sender::Ruling;

/// The languages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    Japanese,
}

/// A ruling as it is kept, with its sentences.
#[must_use]
pub fn judgement(moment: Moment, recipient: Option<&Address>, ruling: &Ruling) -> Judgement {
    let (answer, reply) = answer(&ruling.decision);
    let provisional = ruling.provisional.as_ref();
    let postponed = provisional.and_then(|provisional| {
        let (_, reply) = self::answer(&provisional.refusal);
        Some(Postponed { reply: reply?.clone(), rule: provisional.rule.clone() })
    });
    let summary = summary(answer, &ruling.decided_by, postponed.as_ref().map(|postponed| &postponed.rule));
    Judgement {
        moment,
        recipient: recipient.cloned(),
        answer,
        reply: reply.cloned(),
        decided_by: ruling.decided_by.clone(),
        steps: ruling.consulted.iter().take(MAX_STEPS).cloned().collect(),
        skips: ruling.skips,
        provisional: postponed,
        summary,
    }
}

/// A decision that was made elsewhere (recipient unknown, no room, limits of the protocol).
#[must_use]
pub fn plain_judgement(moment: Moment, recipient: Option<&Address>, decision: &Decision, rule: Rule) -> Judgement {
    let (answer, reply) = answer(decision);
    Judgement {
        moment,
        recipient: recipient.cloned(),
        answer,
        reply: reply.cloned(),
        summary: summary(answer, &rule, None),
        decided_by: rule,
        steps: Vec::new(),
        skips: crate::model::rule::Skips::NONE,
        provisional: None,
    }
}

fn answer(decision: &Decision) -> (Answer, Option<&Reply>) {
    match decision {
        Decision::Accept => (Answer::Accept, None),
        Decision::Defer(reply) => (Answer::Defer, Some(reply)),
        Decision::Reject(reply) => (Answer::Reject, Some(reply)),
        Decision::Disconnect(reply) => (Answer::Disconnect, Some(reply)),
    }
}

/// One sentence in each language. `postponed`: the rule that refuses later if the sender is not authenticated.
#[must_use]
pub fn summary(answer: Answer, decided_by: &Rule, postponed: Option<&Rule>) -> Summary {
    Summary {
        en: english::sentence(answer, decided_by, postponed).into(),
        ja: japanese::sentence(answer, decided_by, postponed).into(),
    }
}

/// What a rule says, without a full stop.
#[must_use]
pub fn rule(rule: &Rule, language: Language) -> String {
    match language {
        Language::English => english::rule(rule),
        Language::Japanese => japanese::rule(rule),
    }
}

fn stage(stage: Stage, language: Language) -> &'static str {
    match language {
        Language::English => english::stage(stage),
        Language::Japanese => japanese::stage(stage),
    }
}

fn effect(effect: Effect, language: Language) -> &'static str {
    match language {
        Language::English => english::effect(effect),
        Language::Japanese => japanese::effect(effect),
    }
}

#[cfg(test)]
mod content_tests;
#[cfg(test)]
mod tests;
