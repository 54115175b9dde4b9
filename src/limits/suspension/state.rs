//! The measures and what is remembered about ended ones: every change of them, with the time handed in.
//!
//! **Invariants**: at most one active measure for a subject; every change is in `changes` once, with the measure as it is then.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::config::{Config, Widest};
use super::rules::{self, Fresh};
use super::{Change, Token, What};
use crate::model::abuse::{Assessment, Scope, Signal, Stage, Subject};
use crate::model::suspension::{By, Ended, Ending, Pattern, Suspension, SuspensionId};
use crate::model::{TenantId, Timestamp};

/// Most measures that the gateway takes by itself at one time.
const MOST_ACTIVE: usize = 100_000;
/// The same for one tenant, so that it takes no room from others.
pub(super) const MOST_OF_TENANT: usize = 5_000;
/// Most changes that wait for who carries them out; beyond it nothing new is begun.
const MOST_WAITING: usize = 10_000;
/// The same for one tenant.
pub(super) const MOST_WAITING_OF_TENANT: usize = 1_000;
/// For so long after a measure was lifted or confirmed the counts of before it are not held against the subject.
pub(super) const PARDON: Duration = Duration::from_secs(86_400);
/// So many narrower measures of a tenant show that the trouble is wider.
const SEVERAL: usize = 3;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) suspension: Suspension,
    /// The stage that bites: that of the measure once it is written (or the store is away), until then the one before.
    pub(super) bites: Option<Stage>,
    fresh: Fresh,
}

#[derive(Debug)]
struct Pardon {
    until: Timestamp,
    fresh: Fresh,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) active: HashMap<SuspensionId, Held>,
    subjects: HashMap<Subject, SuspensionId>,
    /// The active ones of each tenant.
    tenants: HashMap<TenantId, Vec<SuspensionId>>,
    pardons: HashMap<Subject, Pardon>,
    confirmed: HashMap<Subject, Timestamp>,
    changes: Vec<Change>,
    /// How many of `changes` are of each tenant.
    waiting: HashMap<TenantId, usize>,
}

impl State {
    /// What happened since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        self.waiting.clear();
        std::mem::take(&mut self.changes)
    }

    /// How many changes wait.
    pub(super) fn waiting(&self) -> usize {
        self.changes.len()
    }

    fn wait(&mut self, change: Change) {
        *self.waiting.entry(change.suspension.subject.tenant.clone()).or_default() += 1;
        self.changes.push(change);
    }

    fn is_behind(&self, tenant: &TenantId) -> bool {
        let of_tenant = self.waiting.get(tenant).copied().unwrap_or(0);
        self.changes.len() >= MOST_WAITING || of_tenant >= MOST_WAITING_OF_TENANT
    }

    fn is_full(&self, tenant: &TenantId) -> bool {
        let of_tenant = self.tenants.get(tenant).map_or(0, Vec::len);
        self.active.len() >= MOST_ACTIVE || of_tenant >= MOST_OF_TENANT || self.is_behind(tenant)
    }

    /// What was in force before this start, or what another node did. What waits in `changes` is newer than its row and stays; false
    /// if there is such.
    pub(super) fn load(&mut self, suspensions: Vec<Suspension>, config: &Config, now: Timestamp) -> bool {
        let waiting: HashSet<SuspensionId> = self.changes.iter().map(|change| change.suspension.id).collect();
        let kept: HashSet<SuspensionId> = suspensions.iter().map(|one| one.id).collect();
        // One that is not written yet is only here.
        let is_written = |held: &Held| held.bites == Some(held.suspension.stage);
        let gone = |id: &SuspensionId, held: &Held| is_written(held) && !kept.contains(id) && !waiting.contains(id);
        let gone: Vec<SuspensionId> =
            self.active.iter().filter(|(id, held)| gone(id, held)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| drop(self.forget(id)));
        for suspension in suspensions {
            let subject = suspension.subject.normal();
            let of_subject = self.subjects.get(&subject);
            if waiting.contains(&suspension.id) || of_subject.is_some_and(|id| waiting.contains(id)) {
                continue;
            }
            match &suspension.ended {
                None => {
                    let fresh = self.active.get(&suspension.id).map(|held| held.fresh).unwrap_or_default();
                    if let Some(other) = self.subjects.get(&subject).copied().filter(|id| *id != suspension.id) {
                        self.forget(other);
                    }
                    let bites = Some(suspension.stage);
                    self.keep(Held { suspension, bites, fresh });
                }
                Some(ended) => {
                    self.forget(suspension.id);
                    self.remember(&subject, ended.how, ended.at, config, now);
                }
            }
        }
        waiting.is_empty()
    }

    pub(super) fn consider(&mut self, assessment: &Assessment, config: &Config, now: Timestamp, id: SuspensionId) {
        let subject = assessment.subject.normal();
        let harm = rules::harm(assessment);
        if let Some(id) = self.subjects.get(&subject).copied() {
            self.go_on(id, assessment, harm, config, now);
            return;
        }
        if let Some(pardon) = self.pardons.get_mut(&subject) {
            pardon.fresh.saw(harm);
            if pardon.until > now && pardon.fresh.new < rules::fresh_needed(assessment, true) {
                return;
            }
        }
        if self.is_full(&subject.tenant)
            || !allows(config.widest, &subject.scope)
            || self.narrower_at_work(&subject, config, now)
        {
            return;
        }
        self.pardons.remove(&subject);
        let others = self.other_senders(&subject);
        let suspension = Suspension {
            id,
            stage: Stage::Warn,
            by: By::Automatic,
            reason: signals(assessment).into(),
            volume: assessment.volume,
            evidence: assessment.evidence.clone(),
            pattern: Pattern::of(&subject.scope, &assessment.evidence, others),
            created: now,
            since: now,
            expires: config.lasts(Stage::Warn).map(|lasts| now.plus(lasts)),
            token: None,
            ended: None,
            subject,
        };
        self.begin(suspension, Fresh::from(harm), What::Began);
    }

    /// The next stage of a measure, if its time has come.
    fn go_on(&mut self, id: SuspensionId, assessment: &Assessment, harm: u64, config: &Config, now: Timestamp) {
        let Some(held) = self.active.get_mut(&id) else { return };
        held.fresh.saw(harm);
        let (stage, since, new) = (held.suspension.stage, held.suspension.since, held.fresh.new);
        let Some(next) = rules::next(stage).filter(|next| *next <= rules::last_stage(assessment)) else { return };
        let goes_on =
            new >= rules::fresh_needed(assessment, false) || rules::goes_on(config, assessment, held.suspension.volume);
        if now.since(since) < rules::dwell(config, assessment) || !goes_on {
            return;
        }
        let subject = held.suspension.subject.normal();
        if self.is_behind(&subject.tenant) || self.narrower_at_work(&subject, config, now) {
            return;
        }
        let others = self.other_senders(&subject);
        let Some(held) = self.active.get(&id) else { return };
        let lasts = config.lasts(next).map(|lasts| now.plus(lasts));
        let suspension = Suspension {
            stage: next,
            by: By::Automatic,
            reason: signals(assessment).into(),
            volume: assessment.volume,
            evidence: assessment.evidence.clone(),
            pattern: Pattern::of(&subject.scope, &assessment.evidence, others).or(held.suspension.pattern),
            since: now,
            // An operator may have set a longer one.
            expires: later(held.suspension.expires, lasts),
            token: None,
            ..held.suspension.clone()
        };
        self.begin(suspension, Fresh::from(harm), What::Stage);
    }

    /// An operator's measure: on top of what there is for the subject.
    pub(super) fn set(&mut self, suspension: Suspension) -> Suspension {
        let subject = suspension.subject.normal();
        self.pardons.remove(&subject);
        let old = self.subjects.get(&subject).and_then(|id| self.active.get(id)).map(|held| &held.suspension);
        let (suspension, what) = match old {
            None => (Suspension { subject, ..suspension }, What::Began),
            Some(old) => {
                let evidence = old.evidence.clone();
                let (id, created, pattern, volume) = (old.id, old.created, old.pattern, old.volume);
                (Suspension { id, subject, created, pattern, volume, evidence, ..suspension }, What::Stage)
            }
        };
        self.begin(suspension.clone(), Fresh::default(), what);
        suspension
    }

    fn begin(&mut self, mut suspension: Suspension, fresh: Fresh, what: What) {
        let token = (suspension.stage != Stage::Suspend).then(Token::make).flatten();
        suspension.token = token.as_ref().map(Token::hash);
        let held = self.active.get(&suspension.id);
        let before = held.map(|held| held.suspension.stage);
        let bites = held.and_then(|held| held.bites).map(|bites| bites.min(suspension.stage));
        self.keep(Held { suspension: suspension.clone(), bites, fresh });
        self.wait(Change { suspension, what, before, token });
    }

    /// `None`: it is not active.
    pub(super) fn end(&mut self, id: SuspensionId, ended: Ended, config: &Config) -> Option<Suspension> {
        let (how, at) = (ended.how, ended.at);
        let mut held = self.forget(id)?;
        held.suspension.ended = Some(ended);
        held.suspension.token = None;
        self.remember(&held.suspension.subject.normal(), how, at, config, at);
        let what = What::Ended(how);
        let before = Some(held.suspension.stage);
        self.wait(Change { suspension: held.suspension.clone(), what, before, token: None });
        Some(held.suspension)
    }

    fn keep(&mut self, held: Held) {
        let one = &held.suspension;
        self.subjects.insert(one.subject.normal(), one.id);
        let of_tenant = self.tenants.entry(one.subject.tenant.clone()).or_default();
        if !of_tenant.contains(&one.id) {
            of_tenant.push(one.id);
        }
        self.active.insert(one.id, held);
    }

    fn forget(&mut self, id: SuspensionId) -> Option<Held> {
        let held = self.active.remove(&id)?;
        if let Some(of_tenant) = self.tenants.get_mut(&held.suspension.subject.tenant) {
            of_tenant.retain(|other| *other != id);
            if of_tenant.is_empty() {
                self.tenants.remove(&held.suspension.subject.tenant);
            }
        }
        let subject = held.suspension.subject.normal();
        if self.subjects.get(&subject) == Some(&id) {
            self.subjects.remove(&subject);
        }
        Some(held)
    }

    fn remember(&mut self, subject: &Subject, how: Ending, at: Timestamp, config: &Config, now: Timestamp) {
        if how == Ending::Confirmed && at.plus(config.confirm_every) > now {
            let last = self.confirmed.entry(subject.clone()).or_insert(at);
            *last = (*last).max(at);
        }
        let until = at.plus(PARDON);
        if how != Ending::Expired && until > now {
            self.pardons.insert(subject.clone(), Pardon { until, fresh: Fresh::default() });
        }
    }

    /// What is over; and what need not be remembered any more is forgotten.
    pub(super) fn expire(&mut self, config: &Config, now: Timestamp) {
        let over = |held: &&Held| held.suspension.expires.is_some_and(|expires| expires <= now);
        let over: Vec<SuspensionId> = self.active.values().filter(over).map(|held| held.suspension.id).collect();
        for id in over {
            let ended = Ended { how: Ending::Expired, at: now, by: By::Automatic, reason: "its time is over".into() };
            self.end(id, ended, config);
        }
        self.pardons.retain(|_, pardon| pardon.until > now);
        self.confirmed.retain(|_, at| at.plus(config.confirm_every) > now);
    }

    /// When the subject may be confirmed again; `None`: now.
    pub(super) fn confirmed_until(&self, subject: &Subject, config: &Config, now: Timestamp) -> Option<Timestamp> {
        let until = self.confirmed.get(&subject.normal())?.plus(config.confirm_every);
        (until > now).then_some(until)
    }

    /// A narrower measure of the tenant is given its time first, unless there are several.
    fn narrower_at_work(&self, subject: &Subject, config: &Config, now: Timestamp) -> bool {
        let width = rules::width(&subject.scope);
        if width == 0 {
            return false;
        }
        let narrower = || self.of_tenant(&subject.tenant).filter(|one| rules::width(&one.subject.scope) < width);
        let count = narrower().count();
        (1..SEVERAL).contains(&count) && narrower().any(|one| now.since(one.since) < config.dwell)
    }

    fn other_senders(&self, subject: &Subject) -> usize {
        let bulk = |one: &Suspension| {
            one.evidence.iter().any(|evidence| matches!(evidence.signal, Signal::Alike | Signal::List))
        };
        let others = self.of_tenant(&subject.tenant).filter(|one| one.subject.scope != subject.scope);
        others.filter(|one| matches!(one.subject.scope, Scope::Sender(_)) && bulk(one)).count()
    }

    fn of_tenant<'s>(&'s self, tenant: &TenantId) -> impl Iterator<Item = &'s Suspension> {
        let ids = self.tenants.get(tenant).into_iter().flatten();
        ids.filter_map(|id| self.active.get(id)).map(|held| &held.suspension)
    }
}

fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    // None is the latest of all.
    Some(a?.max(b?))
}

fn allows(widest: Widest, scope: &Scope) -> bool {
    let widest = match widest {
        Widest::Sender => 0,
        Widest::Client => 1,
        Widest::Domain => 2,
        Widest::Tenant => 3,
    };
    rules::width(scope) <= widest
}

/// In the order of the assessment, strongest first.
fn signals(assessment: &Assessment) -> String {
    let names: Vec<&str> = assessment.evidence.iter().map(|evidence| evidence.signal.as_str()).collect();
    names.join(", ")
}
