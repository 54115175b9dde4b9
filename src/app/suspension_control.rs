//! Puts the measures behind the operator's port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::outbound_control;
use super::suspension::Keeper;
use crate::admin::Answer;
use crate::admin::suspension::{
    Add, Confirm, Ended, Entry, Filter, Forget, Forgotten, Lift, Refusal, SuspensionControl, USUAL_LIMIT,
};
use crate::limits::Outbound;
use crate::limits::suspension::{ConfirmError, Order};
use crate::model::abuse::Subject;
use crate::model::suspension::{Suspension, SuspensionId};
use crate::store::SuspensionFilter;

#[derive(Debug)]
pub(super) struct Measures {
    pub keeper: Arc<Keeper>,
    pub outbound: Outbound,
    pub data_dir: PathBuf,
}

impl SuspensionControl for Measures {
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, String>> {
        Box::pin(async move {
            let limit = filter.limit.unwrap_or(USUAL_LIMIT);
            if filter.ended {
                let Filter { tenant, ended, before, .. } = filter;
                let filter = SuspensionFilter { tenant, ended, before, limit };
                let found = self.keeper.store().list(&filter).await.map_err(|error| error.to_string())?;
                return Ok(found.into_iter().map(|one| entry(one, true)).collect());
            }
            // What is in force is known here, store or no store.
            let mut entries = Vec::new();
            let fits = |one: &Suspension| {
                filter.tenant.as_ref().is_none_or(|tenant| *tenant == one.subject.tenant)
                    && filter.before.is_none_or(|before| one.id < before)
            };
            for one in self.keeper.measures().active().into_iter().rev().filter(fits).take(limit) {
                let written = self.keeper.is_written(one.id).await;
                entries.push(entry(one, written));
            }
            Ok(entries)
        })
    }

    fn show(&self, id: SuspensionId) -> Answer<'_, Result<Option<Entry>, String>> {
        Box::pin(async move {
            if let Some(one) = self.keeper.measures().find(id) {
                let (held, written) = (self.keeper.held(&one), self.keeper.is_written(id).await);
                return Ok(Some(Entry { held: Some(held as u64), ..entry(one, written) }));
            }
            let found = self.keeper.store().find(id).await.map_err(|error| error.to_string())?;
            Ok(found.map(|one| entry(one, true)))
        })
    }

    fn add(&self, add: Add) -> Answer<'_, Result<Entry, Refusal>> {
        Box::pin(async move {
            if !self.keeper.has_tenant(&add.tenant) {
                return Err(Refusal::Missing(format!("there is no tenant {}", add.tenant)));
            }
            let lasts = add.seconds.map(|seconds| (seconds > 0).then(|| Duration::from_secs(seconds)));
            let set = self.keeper.measures().set(Order {
                subject: Subject { tenant: add.tenant, scope: add.scope },
                stage: add.stage,
                lasts,
                operator: add.by.into(),
                reason: add.reason.into(),
            });
            Ok(self.done(set).await)
        })
    }

    fn lift(&self, id: SuspensionId, lift: Lift) -> Answer<'_, Result<Entry, Refusal>> {
        Box::pin(async move {
            match self.keeper.measures().lift(id, &lift.by, &lift.reason) {
                Some(lifted) => Ok(self.done(lifted).await),
                None => match self.keeper.store().find(id).await {
                    Ok(Some(one)) => {
                        let how = one.ended.map_or("not in force", |ended| ended.how.as_str());
                        Err(Refusal::Conflict(format!("suspension {id} is {how} already")))
                    }
                    _ => Err(Refusal::Missing(format!("there is no suspension {id}"))),
                },
            }
        })
    }

    fn confirm(&self, confirm: Confirm) -> Answer<'_, Result<Entry, Refusal>> {
        Box::pin(async move {
            match self.keeper.measures().confirm(&confirm.token, &confirm.reason) {
                Ok(confirmed) => Ok(self.done(confirmed).await),
                Err(error @ ConfirmError::Unknown) => Err(Refusal::Missing(error.to_string())),
                Err(error @ ConfirmError::TooSoon(_)) => Err(Refusal::Conflict(error.to_string())),
            }
        })
    }

    fn forget(&self, forget: Forget) -> Answer<'_, Result<Forgotten, String>> {
        Box::pin(async move {
            let measures = self.keeper.forget(&forget.tenant, &forget.by, &forget.reason).await?;
            let records = self.outbound.forget(&forget.tenant);
            outbound_control::save(self.outbound.clone(), self.data_dir.clone()).await;
            Ok(Forgotten { measures, records })
        })
    }
}

impl Measures {
    /// Carried out before it is answered.
    async fn done(&self, one: Suspension) -> Entry {
        self.keeper.work().await;
        let written = self.keeper.is_written(one.id).await;
        entry(one, written)
    }
}

fn entry(one: Suspension, written: bool) -> Entry {
    let state = one.ended.as_ref().map_or("active", |ended| ended.how.as_str());
    Entry {
        v: 1,
        id: one.id,
        tenant: one.subject.tenant,
        scope: one.subject.scope,
        stage: one.stage,
        state: state.into(),
        by: one.by.to_string().into(),
        reason: one.reason,
        volume: one.volume,
        evidence: one.evidence.into_iter().map(Into::into).collect(),
        pattern: one.pattern,
        created: one.created,
        since: one.since,
        expires: one.expires,
        ended: one.ended.map(|ended| Ended {
            how: ended.how,
            at: ended.at,
            by: ended.by.to_string().into(),
            reason: ended.reason,
        }),
        held: None,
        written,
    }
}
