//! Every few seconds: what was seen is written down, registered accounts and contracts are followed, numbers are shown, alarms told.
//!
//! **Failure**: what can't be written waits and is written with the next batch; nothing of it is shown before.
//! **Invariants**: one batch at a time; what was told is written before it is told, so that a crash may swallow a notice and never
//! repeats one.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::alarm::{Announcement, Told};
use super::meters::Group;
use super::port::{AccountsError, Batch, Loaded};
use super::{Accounts, Inner};
use crate::model::{TenantId, Timestamp};
use crate::telemetry::account_metrics::{PhaseKind, TenantAccounts};
use crate::tenant::{Phase, Snapshot, Tenant};

/// Of more tenants than these at once, one pass over the whole store costs less than a question for each.
const ASKED_ALONE: usize = 500;

/// What the keeper remembers from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub told: HashMap<TenantId, Told>,
    /// Of the registered accounts that are counted.
    pub version: u64,
    /// Whose contracts are counted by.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// Tells a tenant's administrators, and the operator.
pub trait Announcer: Send + Sync {
    /// Best effort: what can't be told is in the log of the process.
    fn announce<'a>(
        &'a self,
        tenant: &'a Tenant,
        what: &'a Announcement,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl Accounts {
    /// Runs until `shutdown`. Call [`Self::step`] once more when mail flows no longer.
    pub async fn keep(self, announcer: Arc<dyn Announcer>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(self.inner.config.write_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.step(&*announcer).await {
                tracing::warn!(%error, "the counts of accounts wait to be written");
            }
        }
    }

    /// One round.
    ///
    /// # Errors
    /// The store's; nothing is lost by it.
    pub async fn step(&self, announcer: &dyn Announcer) -> Result<(), AccountsError> {
        let inner = &*self.inner;
        let mut kept = inner.kept.lock().await;
        let now = inner.steady.now();
        let stepped = inner.step(&mut kept, now).await;
        let metrics = &inner.deps.metrics.accounts;
        let waiting = i64::try_from(inner.meters.waiting().seen.len()).unwrap_or(i64::MAX);
        metrics.waiting.set(waiting);
        let announcements = match stepped {
            Ok(announcements) => announcements,
            Err(error) => {
                metrics.write_failures.inc();
                return Err(error);
            }
        };
        drop(kept);
        for (tenant, announcement) in announcements {
            if let Announcement::Accounts { level, .. } = announcement {
                metrics.alarm(level);
            }
            announcer.announce(&tenant, &announcement).await;
        }
        Ok(())
    }
}

type Announcements = Vec<(Arc<Tenant>, Announcement)>;

impl Inner {
    async fn step(&self, kept: &mut Kept, now: Timestamp) -> Result<Announcements, AccountsError> {
        self.follow(kept, now).await?;
        self.meters.turn(now);
        // Taken before the batch: whatever they count is in it, or was written before.
        let numbers = self.numbers();
        let (told, announcements) = self.due(kept, &numbers, now);
        self.write(told.clone()).await?;
        kept.told.extend(told);
        self.show(&numbers, kept.snapshot.as_deref(), now);
        Ok(announcements)
    }

    /// New tenants, edited contracts, edited registrations.
    async fn follow(&self, kept: &mut Kept, now: Timestamp) -> Result<(), AccountsError> {
        let snapshot = self.deps.snapshot.load_full();
        let is_new = kept.snapshot.as_ref().is_none_or(|known| known.version() != snapshot.version());
        if is_new {
            for id in self.meters.missing(&snapshot) {
                let loaded = self.deps.store.load_one(&id).await?;
                kept.told.insert(id.clone(), loaded.told);
                if let Some(tenant) = snapshot.tenant(&id) {
                    self.meters.add(tenant, &loaded, now);
                }
            }
            self.meters.follow(&snapshot);
            kept.told.retain(|id, _| snapshot.tenant(id).is_some());
        }
        kept.snapshot = Some(Arc::clone(&snapshot));
        let version = self.deps.store.standing().await?.version;
        if version != kept.version {
            let edited = match self.deps.store.edited_since(kept.version).await? {
                Some(edited) => edited,
                None => snapshot.tenants().map(|tenant| tenant.id.clone()).collect(),
            };
            // What waits was counted without the edit; once it is written, it is read with it.
            self.write(Vec::new()).await?;
            self.reload(edited).await?;
            kept.version = version;
        }
        let early = std::mem::take(&mut self.meters.waiting().early);
        for (tenant, address) in early {
            if snapshot.tenant(&tenant).is_some() {
                self.meters.observe(&tenant, &address, now);
            }
        }
        Ok(())
    }

    async fn reload(&self, edited: Vec<TenantId>) -> Result<(), AccountsError> {
        if edited.len() <= ASKED_ALONE {
            for id in edited {
                self.meters.reload(&id, &self.deps.store.load_one(&id).await?);
            }
            return Ok(());
        }
        let mut edited: HashSet<TenantId> = edited.into_iter().collect();
        let mut show = |id: TenantId, loaded: Loaded| {
            if edited.remove(&id) {
                self.meters.reload(&id, &loaded);
            }
        };
        self.deps.store.load(&mut show).await?;
        // Nothing is kept of these any more.
        edited.iter().for_each(|id| self.meters.reload(id, &Loaded::default()));
        Ok(())
    }

    /// Writes all that waits, in one piece: a closed day is never durable without what it counts, nor the next day's sights, which
    /// stand in the place of the day's own, without it.
    async fn write(&self, told: Vec<(TenantId, Told)>) -> Result<(), AccountsError> {
        let (seen, closed, lost) = {
            let mut waiting = self.meters.waiting();
            (std::mem::take(&mut waiting.seen), std::mem::take(&mut waiting.closed), std::mem::take(&mut waiting.lost))
        };
        self.deps.metrics.accounts.lost.inc_by(lost);
        let batch = Batch { seen, closed, told, at: self.deps.clock.now() };
        let written = self.deps.store.write(&batch).await;
        if written.is_err() {
            self.meters.give_back(batch.seen, batch.closed);
        }
        written
    }

    fn numbers(&self) -> Vec<(Arc<Group>, u32)> {
        let groups = self.meters.groups();
        groups.into_iter().map(|group| (Arc::clone(&group), group.number())).collect()
    }

    /// What is to be told, and what has been told by then.
    fn due(
        &self,
        kept: &Kept,
        numbers: &[(Arc<Group>, u32)],
        now: Timestamp,
    ) -> (Vec<(TenantId, Told)>, Announcements) {
        let (mut changed, mut announcements) = (Vec::new(), Vec::new());
        let mut heads: HashMap<&TenantId, (u32, Option<u32>)> = HashMap::new();
        for (group, number) in numbers {
            heads.insert(&group.head.id, (*number, group.contracted()));
        }
        let Some(snapshot) = &kept.snapshot else { return (changed, announcements) };
        for tenant in snapshot.tenants().filter(|tenant| tenant.contract.is_some()) {
            let before = kept.told.get(&tenant.id).copied().unwrap_or_default();
            let (accounts, contracted) = heads.get(&tenant.id).copied().unwrap_or_default();
            let (told, first) = before.at(accounts, contracted);
            let (told, second) = told.in_phase(tenant.phase(now));
            if told != before {
                changed.push((tenant.id.clone(), told));
            }
            announcements.extend([first, second].into_iter().flatten().map(|what| (Arc::clone(tenant), what)));
        }
        (changed, announcements)
    }

    fn show(&self, numbers: &[(Arc<Group>, u32)], snapshot: Option<&Snapshot>, now: Timestamp) {
        let metrics = &self.deps.metrics.accounts;
        let mut rows = Vec::new();
        let mut shown = HashSet::new();
        for (group, number) in numbers {
            // A group has one number and one series, its head's.
            if shown.insert(&group.head.id) {
                rows.push(TenantAccounts {
                    tenant: group.head.id.to_string(),
                    accounts: *number,
                    contracted: group.contracted(),
                });
            }
        }
        metrics.tenants.show(rows, self.config.max_tenant_series);
        let mut phases: HashMap<Phase, i64> = HashMap::new();
        for tenant in snapshot.into_iter().flat_map(Snapshot::tenants) {
            *phases.entry(tenant.phase(now)).or_default() += 1;
        }
        for phase in Phase::ALL {
            let kind = match phase {
                Phase::Upcoming => PhaseKind::Upcoming,
                Phase::Active => PhaseKind::Active,
                Phase::Grace => PhaseKind::Grace,
                Phase::FrozenDeferred => PhaseKind::FrozenDeferred,
                Phase::FrozenRefused => PhaseKind::FrozenRefused,
                Phase::Ended => PhaseKind::Ended,
            };
            metrics.phases.of(kind).set(phases.get(&phase).copied().unwrap_or_default());
        }
    }
}
