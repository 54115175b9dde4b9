//! What people do with the queue: look, hurry, hold, release, remove. Orders are durable when they return, and told in the
//! mail log with their reason; a branch that is being delivered this moment is left alone and counted as busy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::SpoolError;
use super::handle::Spool;
use super::index::{Branch, Entry};
use super::meta::{Kind, Meta};
use super::prepare::Prepared;
use super::record::{self, Progress, RecipientState};
use super::request::{Class, Effect, Request};
use crate::model::{Direction, Domain, MessageId, ReversePath, TenantId, Timestamp};
use crate::telemetry::{Event, EventName};

/// Orders are carried out in frames of so many branches.
const PER_FRAME: usize = 256;

/// What people are told of a message that is kept back: its release is under way, or was broken off.
const KEPT_BACK: &str = "kept back for a release from quarantine";

/// Which branches are meant; everything given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Empty: all.
    pub ids: Vec<MessageId>,
    pub tenant: Option<TenantId>,
    pub direction: Option<Direction>,
    /// Routing domain of the recipients.
    pub domain: Option<Domain>,
    pub sender: Option<ReversePath>,
    pub held: Option<bool>,
}

/// One branch, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueItem {
    pub id: MessageId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub notice: bool,
    pub sender: String,
    pub domain: String,
    pub recipients: Vec<String>,
    pub size: u64,
    pub queued_at: Timestamp,
    pub next_attempt: Option<Timestamp>,
    pub last_attempt: Option<Timestamp>,
    pub attempts: u32,
    pub active: bool,
    pub held: Option<String>,
    pub last_error: Option<String>,
}

/// One message with all its recipients.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueDetail {
    pub meta: Meta,
    pub queued_at: Timestamp,
    pub branches: Vec<QueueItem>,
    /// Recipients that ended, and how.
    pub ended: Vec<(String, RecipientState)>,
}

/// One routing domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DomainSummary {
    pub domain: String,
    pub direction: Option<Direction>,
    pub messages: u64,
    pub bytes: u64,
    pub recipients: u64,
    pub held: u64,
    pub active: u64,
    /// Recipients that were tried at least once.
    pub deferred: u64,
    pub oldest: Option<Timestamp>,
    pub next_attempt: Option<Timestamp>,
    /// Of the branch with the most attempts.
    pub last_error: Option<String>,
    #[serde(skip)]
    most_attempts: u32,
}

/// What an order came to, in branches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    pub changed: usize,
    /// Being delivered this moment, and left alone.
    pub busy: usize,
}

pub(super) struct Chosen {
    pub(super) id: MessageId,
    pub(super) number: u32,
    tenant: TenantId,
    direction: Direction,
    branch: Branch,
}

impl Filter {
    #[must_use]
    pub fn of(id: MessageId) -> Self {
        Self { ids: vec![id], ..Self::default() }
    }

    fn fits(&self, meta: &Meta) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == meta.tenant)
            && self.direction.is_none_or(|direction| direction == meta.direction)
            && self.sender.as_ref().is_none_or(|sender| *sender == meta.envelope.sender)
    }

    fn fits_branch(&self, meta: &Meta, branch: &Branch) -> bool {
        !branch.pending.as_slice().is_empty()
            && self.held.is_none_or(|held| held == branch.held().is_some())
            && self.domain.as_ref().is_none_or(|domain| domain_of(meta, branch) == Some(domain))
    }
}

fn domain_of<'a>(meta: &'a Meta, branch: &Branch) -> Option<&'a Domain> {
    let first = *branch.pending.as_slice().first()?;
    meta.envelope.recipients.get(first as usize).map(|recipient| recipient.address.domain())
}

fn item(entry: &Entry, meta: &Meta, branch: &Branch) -> QueueItem {
    let recipients = branch.pending.as_slice().iter();
    let recipients = recipients.filter_map(|index| meta.envelope.recipients.get(*index as usize));
    QueueItem {
        id: entry.id,
        tenant: meta.tenant.clone(),
        direction: meta.direction,
        notice: meta.kind == Kind::Notice,
        sender: meta.envelope.sender.to_string(),
        domain: domain_of(meta, branch).map(ToString::to_string).unwrap_or_default(),
        recipients: recipients.map(|recipient| recipient.address.to_string()).collect(),
        size: meta.size,
        queued_at: Timestamp::from_millis(entry.queued_at),
        next_attempt: branch.waits().then(|| Timestamp::from_millis(branch.due)),
        last_attempt: (branch.last_attempt != 0).then(|| Timestamp::from_millis(branch.last_attempt)),
        attempts: branch.attempts,
        active: branch.leased && !entry.kept_back,
        held: branch.held().or(entry.kept_back.then_some(KEPT_BACK)).map(Into::into),
        last_error: branch.last_error().map(Into::into),
    }
}

impl Spool {
    /// Visits entries that fit without holding the lock for the whole queue.
    fn visit(&self, filter: &Filter, mut see: impl FnMut(&Entry, &Meta) -> bool) {
        let mut ids =
            if filter.ids.is_empty() { self.shared().pick(|entry| Some(entry.id)) } else { filter.ids.clone() };
        // Names sort by time.
        ids.sort_unstable();
        for some in ids.chunks(64) {
            let entries: Vec<Entry> = {
                let index = self.shared().index();
                some.iter().filter_map(|id| index.get(*id).map(Entry::without_body)).collect()
            };
            for entry in entries {
                let Ok(meta) = Meta::decode(&entry.meta) else { continue };
                if filter.fits(&meta) && !see(&entry, &meta) {
                    return;
                }
            }
        }
    }

    /// Branches that fit, oldest message first, of at most `limit` messages.
    #[must_use]
    pub fn list(&self, filter: &Filter, limit: usize) -> Vec<QueueItem> {
        let (mut items, mut messages) = (Vec::new(), 0);
        if limit == 0 {
            return items;
        }
        self.visit(filter, |entry, meta| {
            let before = items.len();
            let branches = entry.branches.as_slice().iter().filter(|branch| filter.fits_branch(meta, branch));
            items.extend(branches.map(|branch| item(entry, meta, branch)));
            messages += usize::from(items.len() > before);
            messages < limit
        });
        items
    }

    /// Everything about one message.
    #[must_use]
    pub fn show(&self, id: MessageId) -> Option<QueueDetail> {
        let entry = self.shared().index().get(id).map(Entry::without_body)?;
        let meta = Meta::decode(&entry.meta).ok()?;
        let pending = entry.branches.as_slice().iter().filter(|branch| !branch.pending.as_slice().is_empty());
        let branches = pending.map(|branch| item(&entry, &meta, branch)).collect();
        let ended = meta.envelope.recipients.iter().zip(&entry.ended);
        let ended = ended
            .filter_map(|(recipient, code)| Some((recipient.address.to_string(), RecipientState::from_code(*code)?)))
            .collect();
        Some(QueueDetail { queued_at: Timestamp::from_millis(entry.queued_at), branches, ended, meta })
    }

    /// The queue by routing domain, fullest first.
    #[must_use]
    pub fn summary(&self, filter: &Filter) -> Vec<DomainSummary> {
        let mut domains: BTreeMap<(String, &'static str), DomainSummary> = BTreeMap::new();
        self.visit(filter, |entry, meta| {
            for branch in entry.branches.as_slice().iter().filter(|branch| filter.fits_branch(meta, branch)) {
                let domain = domain_of(meta, branch).map(ToString::to_string).unwrap_or_default();
                let sum = domains.entry((domain.clone(), meta.direction.as_str())).or_default();
                add(sum, entry, meta, branch);
                sum.domain = domain;
                sum.direction = Some(meta.direction);
            }
            true
        });
        let mut list: Vec<DomainSummary> = domains.into_values().collect();
        list.sort_by_key(|sum| std::cmp::Reverse(sum.recipients));
        list
    }

    /// Makes waiting branches due now.
    pub fn retry(&self, filter: &Filter, reason: &str) -> Done {
        let now = self.shared().now();
        let mut done = Done::default();
        for chosen in self.choose(filter) {
            if self.shared().index().hasten(chosen.id, chosen.number, now) {
                done.changed += 1;
                self.tell(EventName::Retried, &chosen, reason);
            } else if chosen.branch.leased {
                done.busy += 1;
            }
        }
        self.shared().changed.notify_one();
        done
    }

    /// Puts branches on hold until they are released. One being delivered goes on hold if the attempt fails.
    ///
    /// # Errors
    /// [`SpoolError`]: some may be on hold already.
    pub async fn hold(&self, filter: &Filter, reason: &str) -> Result<Done, SpoolError> {
        let chosen = self.choose(&Filter { held: Some(false), ..filter.clone() });
        self.order(chosen, EventName::Held, reason, |chosen| {
            let text: Box<str> = reason.into();
            let record = record::hold(chosen.id, chosen.number, Some(&text));
            (record, Effect::Hold { id: chosen.id, branch: chosen.number, reason: Some(text) })
        })
        .await
    }

    /// Lets held branches go; they are due at once.
    ///
    /// # Errors
    /// [`SpoolError`]: some may be released already.
    pub async fn release(&self, filter: &Filter, reason: &str) -> Result<Done, SpoolError> {
        let chosen = self.choose(&Filter { held: Some(true), ..filter.clone() });
        self.order(chosen, EventName::Released, reason, |chosen| {
            let record = record::hold(chosen.id, chosen.number, None);
            (record, Effect::Hold { id: chosen.id, branch: chosen.number, reason: None })
        })
        .await
    }

    /// Takes branches out of the queue for good; their recipients count as discarded.
    ///
    /// # Errors
    /// [`SpoolError`]: some may be removed already.
    pub async fn remove(&self, filter: &Filter, reason: &str) -> Result<Done, SpoolError> {
        self.remove_chosen(self.choose(filter), reason).await
    }

    pub(super) async fn remove_chosen(&self, chosen: Vec<Chosen>, reason: &str) -> Result<Done, SpoolError> {
        let (mine, busy) = {
            let mut index = self.shared().index();
            // Nobody may start to deliver what is being removed.
            chosen.into_iter().partition::<Vec<_>, _>(|chosen| index.claim(chosen.id, chosen.number))
        };
        let claimed: Vec<_> = mine.iter().map(|chosen| (chosen.id, chosen.number)).collect();
        let result = self.discard(mine, reason).await;
        if result.is_err() && self.shared().wedged.get().is_none() {
            let mut index = self.shared().index();
            claimed.into_iter().for_each(|(id, number)| index.give_back(id, number, None));
        }
        result.map(|done| Done { busy: busy.len(), ..done })
    }

    /// The caller has them for himself.
    pub(super) async fn discard(&self, mine: Vec<Chosen>, reason: &str) -> Result<Done, SpoolError> {
        self.order(mine, EventName::Removed, reason, |chosen| {
            let branch = &chosen.branch;
            let ended = branch.pending.as_slice().iter().map(|index| (*index, RecipientState::Discarded)).collect();
            let progress = Progress {
                branch: chosen.number,
                ended,
                attempts: branch.attempts,
                due: branch.due,
                last_attempt: branch.last_attempt,
                delay_notice_sent: branch.delay_notice_sent,
                held: None,
                last_error: branch.last_error().map(Into::into),
            };
            (record::progress(chosen.id, &progress), Effect::Progress(chosen.id, progress))
        })
        .await
    }

    pub(super) fn choose(&self, filter: &Filter) -> Vec<Chosen> {
        self.choose_where(filter, |_, _, _| true)
    }

    /// Branches that fit, of messages that `fits` takes; it is told why a branch is held.
    pub(super) fn choose_where(
        &self,
        filter: &Filter,
        mut fits: impl FnMut(MessageId, &Meta, Option<&str>) -> bool,
    ) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        self.visit(filter, |entry, meta| {
            let branches = (0u32..).zip(entry.branches.as_slice());
            let mut wanted = |branch: &Branch| filter.fits_branch(meta, branch) && fits(entry.id, meta, branch.held());
            chosen.extend(branches.filter(|(_, branch)| wanted(branch)).map(|(number, branch)| Chosen {
                id: entry.id,
                number,
                tenant: meta.tenant.clone(),
                direction: meta.direction,
                branch: branch.clone(),
            }));
            true
        });
        chosen
    }

    /// Makes orders durable, a frame for every few hundred branches, and tells them.
    pub(super) async fn order(
        &self,
        chosen: Vec<Chosen>,
        name: EventName,
        reason: &str,
        write: impl Fn(&Chosen) -> (Vec<u8>, Effect),
    ) -> Result<Done, SpoolError> {
        self.shared().check()?;
        // All are handed over before the first wait: who asked may go away, the orders stand.
        let mut answers = Vec::new();
        for some in chosen.chunks(PER_FRAME) {
            let (records, effects): (Vec<_>, Vec<_>) = some.iter().map(&write).unzip();
            let records = records.into_iter().map(Into::into).collect();
            let (request, answer) = Request::new(Class::Journal, Prepared::of(records, effects));
            self.shared().queue.push(request);
            answers.push((some, answer));
        }
        for (some, answer) in answers {
            answer.await.unwrap_or(Err(SpoolError::Closed))?;
            some.iter().for_each(|chosen| self.tell(name, chosen, reason));
        }
        Ok(Done { changed: chosen.len(), busy: 0 })
    }

    fn tell(&self, name: EventName, chosen: &Chosen, reason: &str) {
        let deps = &self.shared().deps;
        let recipients = u32::try_from(chosen.branch.pending.as_slice().len()).unwrap_or(u32::MAX);
        deps.log.log(&Event {
            message: Some(chosen.id),
            tenant: Some(&chosen.tenant),
            direction: Some(chosen.direction),
            reason: Some(reason),
            recipients: Some(recipients),
            ..Event::new(name, deps.clock.now())
        });
    }
}

fn add(sum: &mut DomainSummary, entry: &Entry, meta: &Meta, branch: &Branch) {
    let count = branch.pending.as_slice().len() as u64;
    let earlier = |a: Option<Timestamp>, b: Timestamp| Some(a.map_or(b, |a| a.min(b)));
    sum.messages += 1;
    sum.bytes += meta.size;
    sum.recipients += count;
    sum.oldest = earlier(sum.oldest, Timestamp::from_millis(entry.queued_at));
    if branch.held().is_some() || entry.kept_back {
        sum.held += count;
    }
    if branch.leased && !entry.kept_back {
        sum.active += count;
    }
    if branch.attempts > 0 {
        sum.deferred += count;
    }
    if branch.waits() {
        sum.next_attempt = earlier(sum.next_attempt, Timestamp::from_millis(branch.due));
    }
    if branch.attempts >= sum.most_attempts
        && let Some(error) = branch.last_error()
    {
        sum.most_attempts = branch.attempts;
        sum.last_error = Some(error.into());
    }
}
