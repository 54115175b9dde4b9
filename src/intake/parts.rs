//! The record of a message for several tenants, a part for each: a tenant's own line in the mail log has its own recipients and
//! nothing of another's. The line without a tenant has all of it and is the operator's.
//!
//! **Failure**: none.

use super::connection::Connection;
use super::stages::Transaction;
use crate::model::explanation::content::Content;
use crate::model::explanation::{Explanation, Judgement};
use crate::model::{MessageId, Reply, TenantId};
use crate::telemetry::{Event, EventName};

impl Transaction {
    /// What each tenant's recipients were judged by.
    pub(super) fn judgements_of(&self, tenants: Vec<TenantId>) -> Vec<(TenantId, Vec<Judgement>)> {
        let of = |tenant: TenantId| {
            let judgements = self.known.as_ref().map(|known| known.judgements_of(&tenant)).unwrap_or_default();
            (tenant, judgements)
        };
        tenants.into_iter().map(of).collect()
    }

    /// A tenant's own part, as JSON, where there are several.
    pub(super) fn explanation_of(&self, tenant: &TenantId) -> Option<&str> {
        self.explanations.iter().find(|(id, _)| id == tenant).map(|(_, part)| part.as_str())
    }

    /// Makes the parts of `whole`; what no tenant's recipient was judged by is in none.
    pub(super) fn explain_parts(
        &mut self,
        whole: &Explanation,
        judgements: Vec<(TenantId, Vec<Judgement>)>,
        mut contents: Vec<(TenantId, Content)>,
    ) {
        for (tenant, judgements) in judgements {
            let content = contents.iter().position(|(id, _)| *id == tenant).map(|at| contents.swap_remove(at).1);
            let mut part = Explanation {
                tenant: Some(tenant.clone()),
                judgements: Vec::new(),
                judgements_left_out: 0,
                content: content.map(Box::new),
                ..whole.clone()
            };
            judgements.into_iter().for_each(|one| part.judge(one));
            self.explanations.push((tenant, part.to_json()));
        }
    }
}

impl Connection {
    /// `ids`: the message as each tenant has it; one whose recipients' lists or policy threw it away has none. `reply`: it was refused.
    pub(super) fn log_parts(
        &self,
        parts: &[(TenantId, String)],
        (ids, reply): (&[(TenantId, MessageId)], Option<&Reply>),
    ) {
        for (tenant, explanation) in parts {
            let own = ids.iter().find(|(id, _)| id == tenant).map(|(_, message)| *message);
            self.listener.intake.deps.log.log(&Event {
                message: own,
                tenant: Some(tenant),
                reply,
                explanation: Some(explanation),
                ..self.event(EventName::Judged)
            });
        }
    }
}
