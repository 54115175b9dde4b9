//! Puts the spool behind the operator's port: from branches to messages and back.

use crate::admin::Answer;
use crate::admin::queue::{
    Branch, BranchState, Change, Changed, Destination, Entry, Filter, MailKind, QueueControl, QueueError, Selection,
    Source, USUAL_LIMIT, Verb,
};
use crate::model::{Address, Domain, MessageId, Timestamp};
use crate::spool::{self, Done, Kind, QueueDetail, QueueItem, Spool, SpoolError};

#[derive(Debug)]
pub(super) struct SpoolQueue {
    pub spool: Spool,
}

impl QueueControl for SpoolQueue {
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, QueueError>> {
        Box::pin(async move {
            let limit = filter.limit.unwrap_or(USUAL_LIMIT);
            let found = self.aside(move |spool| {
                let items = spool.list(&branches_of(&filter), limit);
                let mut ids: Vec<MessageId> = items.into_iter().map(|item| item.id).collect();
                ids.dedup();
                // A message may leave between the two looks; then it isn't listed.
                ids.into_iter().filter_map(|id| Some(entry(id, spool.show(id)?))).collect()
            });
            found.await
        })
    }

    fn summary(&self, filter: Filter) -> Answer<'_, Result<Vec<Destination>, QueueError>> {
        Box::pin(async move {
            let sums = self.aside(move |spool| spool.summary(&branches_of(&filter))).await?;
            let mut destinations: Vec<_> = sums.into_iter().filter_map(destination).collect();
            destinations.sort_by_key(|destination| std::cmp::Reverse(destination.recipients));
            Ok(destinations)
        })
    }

    fn show(&self, id: MessageId) -> Answer<'_, Result<Option<Entry>, QueueError>> {
        Box::pin(async move { Ok(self.spool.show(id).map(|detail| entry(id, detail))) })
    }

    fn change(&self, change: Change) -> Answer<'_, Result<Changed, QueueError>> {
        Box::pin(async move {
            let (filter, missing) = self.selected(change.selection);
            if filter.ids.is_empty() && !missing.is_empty() {
                return Ok(Changed { missing, ..Changed::default() });
            }
            let done = match change.verb {
                Verb::Retry => self.spool.retry(&filter, &change.reason),
                Verb::Hold => self.spool.hold(&filter, &change.reason).await.map_err(unavailable)?,
                Verb::Release => self.spool.release(&filter, &change.reason).await.map_err(unavailable)?,
                Verb::Remove => self.spool.remove(&filter, &change.reason).await.map_err(unavailable)?,
            };
            let Done { changed, busy } = done;
            Ok(Changed { changed: changed as u64, unchanged: busy as u64, missing })
        })
    }
}

impl SpoolQueue {
    /// What goes over the whole queue keeps nobody waiting who asks something else.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce(&Spool) -> T + Send + 'static) -> Result<T, QueueError> {
        let spool = self.spool.clone();
        let done = tokio::task::spawn_blocking(move || work(&spool)).await;
        done.map_err(|error| unavailable(std::io::Error::other(error).into()))
    }

    /// The filter, and the ids that are not here.
    fn selected(&self, selection: Selection) -> (spool::Filter, Vec<MessageId>) {
        let none = spool::Filter::default();
        match selection {
            Selection::All => (none, Vec::new()),
            Selection::Domain(domain) => (spool::Filter { domain: Some(domain), ..none }, Vec::new()),
            Selection::Tenant(tenant) => (spool::Filter { tenant: Some(tenant), ..none }, Vec::new()),
            Selection::Ids(ids) => {
                let (here, missing) = ids.into_iter().partition(|id| self.spool.show(*id).is_some());
                (spool::Filter { ids: here, ..none }, missing)
            }
        }
    }
}

fn unavailable(error: SpoolError) -> QueueError {
    QueueError::Unavailable(error.to_string())
}

fn branches_of(filter: &Filter) -> spool::Filter {
    spool::Filter {
        tenant: filter.tenant.clone(),
        direction: filter.direction,
        domain: filter.domain.clone(),
        held: filter.held,
        ..spool::Filter::default()
    }
}

fn entry(id: MessageId, detail: QueueDetail) -> Entry {
    let meta = detail.meta;
    let held = detail.branches.iter().find_map(|branch| branch.held.clone());
    Entry {
        v: 1,
        id,
        tenant: meta.tenant,
        direction: meta.direction,
        kind: match meta.kind {
            Kind::Mail => MailKind::Mail,
            Kind::Notice => MailKind::Notice,
        },
        sender: meta.envelope.sender,
        size: meta.size,
        queued_at: detail.queued_at,
        held,
        source: Some(Source {
            ip: meta.origin.ip,
            helo: meta.origin.helo.into(),
            listener: meta.origin.listener.into(),
            protocol: meta.origin.protocol.into(),
        }),
        branches: detail.branches.into_iter().filter_map(branch).collect(),
    }
}

fn branch(item: QueueItem) -> Option<Branch> {
    Some(Branch {
        domain: Domain::parse(&item.domain).ok()?,
        state: match (item.held.is_some(), item.active) {
            (true, _) => BranchState::Held,
            (false, true) => BranchState::Delivering,
            (false, false) => BranchState::Waiting,
        },
        attempts: item.attempts,
        next_attempt: item.next_attempt,
        last_error: item.last_error,
        recipients: item.recipients.iter().filter_map(|text| Address::parse(text).ok()).collect(),
    })
}

fn destination(sum: spool::DomainSummary) -> Option<Destination> {
    Some(Destination {
        v: 1,
        domain: Domain::parse(&sum.domain).ok()?,
        messages: sum.messages,
        recipients: sum.recipients,
        held: sum.held,
        bytes: sum.bytes,
        oldest: sum.oldest.unwrap_or(Timestamp::from_millis(0)),
        next_attempt: sum.next_attempt,
        last_error: sum.last_error,
    })
}
