//! The order of judging, and the changes that delivered mail gets.

use crate::model::Direction;
use crate::model::Disposition;
use crate::model::disposition::{Category, Copies, Edits, Strip};
use crate::model::finding::{Reason, Verdict};
use crate::model::rule::Check;
use crate::policy::replies;
use crate::tenant::{Extra, Fate, Thresholds, Treatment};

use super::facts::{Author, Facts, MAX_TRIES, Signed};
use super::fields::fields;
use super::forced;
use super::points::{Points, points};
use super::ruling::{Decider, Effect, Ruling, Weighed};

/// Judges.
#[must_use]
pub fn dispose(facts: &Facts<'_>) -> Ruling {
    let thresholds = forced::thresholds(facts.direction, facts.policy);
    let Some(verdict) = facts.verdict else {
        return unseen(facts, Decider::NoScan, Judged::none(thresholds));
    };
    let judged = judge(facts, verdict, thresholds);
    let malware = judged.found.first().is_some_and(|one| one.category == Category::Malware);
    let silent = verdict.unavailable.iter().map(|one| one.detector).find(|one| facts.mandatory.has(*one));
    match silent {
        Some(detector) if !malware => unseen(facts, Decider::Unavailable { detector }, judged),
        _ => decide(facts, verdict, judged),
    }
}

/// What the message counts as, before anything is decided.
struct Judged {
    found: Vec<Found>,
    steps: Vec<Weighed>,
    points: Points,
    thresholds: Thresholds,
}

/// A category that counts, and what the recipient gets for it.
#[derive(Clone, Copy)]
struct Found {
    category: Category,
    treatment: Treatment,
    is_forced: bool,
}

impl Judged {
    fn none(thresholds: Thresholds) -> Self {
        Self { found: Vec::new(), steps: Vec::new(), points: Points::default(), thresholds }
    }
}

fn judge(facts: &Facts<'_>, verdict: &Verdict, thresholds: Thresholds) -> Judged {
    let author = if facts.direction == Direction::Inbound { facts.author } else { Author::Unproven };
    let points = points(verdict, &thresholds, author, facts.marks);
    let is_certain = facts.direction == Direction::Outbound && forced::is_certain(verdict);
    let mut judged = Judged { points, ..Judged::none(thresholds) };
    for category in Category::ALL {
        let (has, threshold) = (points.of(category), thresholds.of(category));
        let counts = match (has, threshold) {
            (Some(has), Some(threshold)) => has >= threshold || (is_certain && category == Category::Spam),
            _ => is_found(verdict, category),
        };
        let is_more = category == Category::Suspected && points.spam >= thresholds.spam;
        if is_more || (!counts && !category.is_scored()) {
            continue;
        }
        let effect = match (counts, is_spared(facts, category)) {
            (false, _) => Effect::Below,
            (true, true) => Effect::Skipped,
            (true, false) => Effect::Passed,
        };
        judged.steps.push(Weighed { category, points: has, threshold, effect });
        if effect == Effect::Passed {
            let (treatment, is_forced) = forced::treatment(facts, category, is_certain);
            let treatment = whole_or_nothing(verdict, category, treatment);
            judged.found.push(Found { category, treatment, is_forced });
        }
    }
    judged
}

/// For the categories without points.
fn is_found(verdict: &Verdict, category: Category) -> bool {
    let by_finding = verdict.findings.iter().any(|found| Category::from(found.class) == category);
    let unchecked = |encrypted| verdict.unchecked.iter().any(|one| (one.reason == Reason::Encrypted) == encrypted);
    match category {
        Category::Encrypted => by_finding || unchecked(true),
        Category::Unscannable => by_finding || unchecked(false),
        _ => by_finding,
    }
}

/// Whether an allow entry spares the message this category: points, and nothing else.
fn is_spared(facts: &Facts<'_>, category: Category) -> bool {
    let check = match category {
        Category::Malware => Check::Malware,
        Category::RiskyFile | Category::Encrypted => Check::Attachment,
        Category::Ambiguous | Category::Unscannable => Check::Content,
        Category::Phishing | Category::Impersonation | Category::Spam | Category::Suspected => Check::Spam,
        Category::Bulk => Check::Bulk,
    };
    facts.direction == Direction::Inbound && facts.skips.skips(check)
}

/// Where files are to be taken out, but what nobody looked at is no file, the message stays back as a whole.
fn whole_or_nothing(verdict: &Verdict, category: Category, treatment: Treatment) -> Treatment {
    let is_in_a_file = |what: &str| what.contains('/');
    let other = category == Category::Unscannable
        && verdict.unchecked.iter().any(|one| one.reason != Reason::Encrypted && !is_in_a_file(&one.what));
    if other && treatment.has(Extra::Strip) { treatment.with_fate(Fate::Quarantine) } else { treatment }
}

/// Put off; the same message again and again is quarantined, for nobody would ever get it otherwise.
fn unseen(facts: &Facts<'_>, decided_by: Decider, judged: Judged) -> Ruling {
    let Judged { found, mut steps, points, thresholds } = judged;
    for step in steps.iter_mut().filter(|step| step.effect == Effect::Passed) {
        step.effect = Effect::Later;
    }
    let category = Category::Unscannable;
    let disposition = if facts.tries < MAX_TRIES {
        Disposition::Defer(replies::SCAN_UNAVAILABLE)
    } else {
        Disposition::Quarantine { category }
    };
    let mut categories: Vec<Category> = found.iter().map(|one| one.category).collect();
    if !categories.contains(&category) {
        categories.push(category);
        categories.sort_unstable();
    }
    Ruling { disposition, copies: Copies::default(), decided_by, categories, points, thresholds, steps }
}

fn decide(facts: &Facts<'_>, verdict: &Verdict, judged: Judged) -> Ruling {
    let Judged { found, mut steps, points, thresholds } = judged;
    let decisive = found.iter().find(|one| one.treatment.fate != Fate::Deliver).copied();
    for one in &found {
        let effect = match decisive {
            Some(decisive) if decisive.category == one.category && one.is_forced => Effect::Forced,
            Some(decisive) if decisive.category == one.category => Effect::Decided,
            Some(_) if one.treatment.fate != Fate::Deliver => Effect::Later,
            _ => Effect::Passed,
        };
        for step in steps.iter_mut().filter(|step| step.category == one.category) {
            step.effect = effect;
        }
    }
    let categories: Vec<Category> = found.iter().map(|one| one.category).collect();
    let decided_by = decisive
        .or(found.first().copied())
        .map_or(Decider::Nothing, |one| Decider::Category { category: one.category });
    let has = |extra| found.iter().any(|one| one.treatment.has(extra));
    let mut copies = Copies::default();
    if has(Extra::Notify) {
        copies.notify = facts.policy.notify.to_vec();
    }
    let disposition = match decisive {
        Some(Found { category, treatment, .. }) => match forced::too_large(facts, verdict, category) {
            Some(reply) => Disposition::Reject(reply),
            // What else is thrown away may be; what does harm outside is kept for somebody to see.
            None if treatment.fate == Fate::Discard && harms(facts, &categories) => {
                Disposition::Quarantine { category }
            }
            None => kept_back(category, treatment.fate),
        },
        None => {
            if has(Extra::Bcc) {
                copies.bcc = facts.policy.bcc.to_vec();
            }
            let mut edits = changes(facts, verdict, &found);
            if facts.policy.headers || has(Extra::Headers) {
                edits.fields = fields(verdict, (&categories, &steps), &points, &thresholds);
            }
            Disposition::Deliver(edits)
        }
    };
    Ruling { disposition, copies, decided_by, categories, points, thresholds, steps }
}

fn harms(facts: &Facts<'_>, categories: &[Category]) -> bool {
    let unwanted = [Category::Malware, Category::Unscannable, Category::Phishing, Category::Spam];
    facts.direction == Direction::Outbound && unwanted.iter().any(|category| categories.contains(category))
}

fn kept_back(category: Category, fate: Fate) -> Disposition {
    match fate {
        Fate::Reject => Disposition::Reject(replies::content(category)),
        Fate::Discard => Disposition::Discard,
        Fate::Quarantine | Fate::Deliver => Disposition::Quarantine { category },
    }
}

/// One tag (of the first category that has one), all stamps, all files that are to go.
fn changes(facts: &Facts<'_>, verdict: &Verdict, found: &[Found]) -> Edits {
    let with = |extra| found.iter().filter(move |one| one.treatment.has(extra)).map(|one| one.category);
    let may_tag = facts.policy.tag_signed || facts.signed == Signed::No;
    let stamps: Vec<&str> = with(Extra::Stamp).map(|category| facts.policy.stamp(category)).collect();
    Edits {
        fields: Vec::new(),
        tag: with(Extra::Tag).next().filter(|_| may_tag).map(|category| facts.policy.tag(category).into()),
        stamp: (!stamps.is_empty()).then(|| stamps.join("\n\n").into()),
        // Who feigns a signature would be rid of the warning.
        instead: with(Extra::Stamp).next().map(|category| facts.policy.tag(category).into()),
        strip: with(Extra::Strip).map(|category| files(verdict, category)).fold(Strip::None, Strip::and),
    }
}

/// The attachments in which a category was found; all of them, if that is not known of one.
fn files(verdict: &Verdict, category: Category) -> Strip {
    let by_finding = verdict.findings.iter().filter(|found| Category::from(found.class) == category);
    let by_finding = by_finding.map(|found| found.part.as_deref());
    let unseen = verdict.unchecked.iter().filter(|one| match category {
        Category::Encrypted => one.reason == Reason::Encrypted,
        Category::Unscannable => one.reason != Reason::Encrypted,
        _ => false,
    });
    let by_path = unseen.map(|one| part_of(&one.what));
    if verdict.unchecked.len() >= MANY {
        // There may be more than were named.
        return Strip::Files;
    }
    let mut paths = Vec::new();
    for path in by_finding.chain(by_path) {
        match path {
            Some(path) => paths.push(Box::from(path)),
            None => return Strip::Files,
        }
    }
    paths.sort_unstable();
    paths.dedup();
    Strip::Parts(paths)
}

/// Things not looked at, from which on not all of them are named.
const MANY: usize = 64;

/// The part's path at the front: `1.2/invoice.zip/a.exe`. A file's own name is none.
fn part_of(what: &str) -> Option<&str> {
    let path = what.split_once('/').map_or(what, |(path, _)| path);
    let is_path = path.starts_with(|c: char| c.is_ascii_digit())
        && path.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '\''));
    is_path.then_some(path)
}
