//! Mail that is held because of a measure: held with the measure's words, and let go for the same words, so that what somebody
//! else holds stays held.
//!
//! **Failure**: some of it may be done; doing it again does the rest. **Invariants**: never two reasons; the last one counts.

use std::collections::HashMap;

use super::error::SpoolError;
use super::handle::Spool;
use super::meta::Meta;
use super::operator::{Done, Filter};
use super::record;
use super::request::Effect;
use crate::model::MessageId;
use crate::telemetry::EventName;

impl Spool {
    /// Puts branches of messages that `fits` takes on hold; those that are held already stay as they are.
    ///
    /// # Errors
    /// [`SpoolError`]: some may be on hold already.
    pub async fn hold_where(
        &self,
        filter: &Filter,
        reason: &str,
        fits: impl Fn(&Meta) -> bool,
    ) -> Result<Done, SpoolError> {
        let chosen = self.choose_where(&Filter { held: Some(false), ..filter.clone() }, |_, meta, _| fits(meta));
        self.order(chosen, EventName::Held, reason, |chosen| {
            let text: Box<str> = reason.into();
            let record = record::hold(chosen.id, chosen.number, Some(&text));
            (record, Effect::Hold { id: chosen.id, branch: chosen.number, reason: Some(text) })
        })
        .await
    }

    /// Lets branches go that are held for exactly `held_for`, but for those for which `next` has another reason: they are held
    /// for that one from now on.
    ///
    /// # Errors
    /// [`SpoolError`]: some may be released already.
    pub async fn release_where(
        &self,
        filter: &Filter,
        (held_for, reason): (&str, &str),
        next: impl Fn(&Meta) -> Option<String>,
    ) -> Result<Done, SpoolError> {
        let filter = Filter { held: Some(true), ..filter.clone() };
        let mut others: HashMap<MessageId, Box<str>> = HashMap::new();
        let held = self.choose_where(&filter, |id, meta, held| {
            let mine = held == Some(held_for);
            if mine && let Some(other) = next(meta) {
                others.insert(id, other.into());
            }
            mine
        });
        let (keep, go): (Vec<_>, Vec<_>) = held.into_iter().partition(|chosen| others.contains_key(&chosen.id));
        // First those that stay: if this fails, nothing has been let go yet.
        let kept = self.order(keep, EventName::Held, reason, |chosen| {
            let text = others.get(&chosen.id).cloned().unwrap_or_else(|| held_for.into());
            let record = record::hold(chosen.id, chosen.number, Some(&text));
            (record, Effect::Hold { id: chosen.id, branch: chosen.number, reason: Some(text) })
        });
        kept.await?;
        self.order(go, EventName::Released, reason, |chosen| {
            let record = record::hold(chosen.id, chosen.number, None);
            (record, Effect::Hold { id: chosen.id, branch: chosen.number, reason: None })
        })
        .await
    }

    /// Takes branches that are held for exactly `held_for` out of the queue for good; their recipients count as discarded.
    ///
    /// # Errors
    /// [`SpoolError`]: some may be removed already.
    pub async fn remove_held_for(&self, filter: &Filter, held_for: &str, reason: &str) -> Result<Done, SpoolError> {
        let filter = Filter { held: Some(true), ..filter.clone() };
        let chosen = self.choose_where(&filter, |_, _, held| held == Some(held_for));
        self.remove_chosen(chosen, reason).await
    }
}
