//! A worker serves one destination over one connection: takes a lease, delivers it, settles it, takes the next.
//!
//! **Failure**: no connection: the destination rests and what waits is put off with it. A connection that broke: its
//! recipients are put off; on a reused connection that was closed while it rested, the same message goes over a new one at
//! once.
//! **Invariants**: one message at a time, and its outcome is durable before the next begins, so that a crash repeats at most
//! one transaction for each worker; after shutdown was asked no lease is begun.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::connection::Connection;
use super::content::Content;
use super::settle::Attempt;
use super::shared::Shared;
use super::site::Site;
use super::transaction::{End, Letter, Rules, send};
use super::ways::NoWay;
use crate::faults::Point;
use crate::model::{Outcome, OutcomeKind, Recipient};
use crate::spool::{Lease, SpoolError};

/// Whether the worker has anything more to do here.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Lease,
    /// The destination rests.
    Leave,
}

/// Serves the destination until there is nothing to do, it rests, or shutdown is asked.
pub(super) async fn work(shared: Arc<Shared>, site: Arc<Site>, permit: OwnedSemaphorePermit) {
    let mut line: Option<Connection> = None;
    let mut left_work = false;
    loop {
        if shared.shutdown.is_cancelled() {
            site.leave(false);
            break;
        }
        let Some(lease) = shared.pop(&site) else {
            if park(&shared, &site, &mut line).await || !site.leave(true) {
                continue;
            }
            break;
        };
        if deliver(&shared, &site, &mut line, lease).await == Next::Leave {
            site.leave(false);
            left_work = true;
            break;
        }
    }
    if let Some(line) = line {
        line.quit(shared.config.timeouts.quit).await;
    }
    drop(permit);
    if left_work {
        // What came between the clearing of the queue and the leaving was told that somebody is there.
        shared.hire(&site);
    }
    shared.hire_starved();
}

async fn park(shared: &Shared, site: &Site, line: &mut Option<Connection>) -> bool {
    // Others wait for a place: idling on one would be unfair.
    if line.is_none() || shared.has_starved() {
        return false;
    }
    if let Some(line) = line {
        line.rest();
    }
    tokio::select! {
        woken = site.park(shared.config.idle.0) => woken,
        () = shared.shutdown.cancelled() => true,
    }
}

async fn deliver(shared: &Arc<Shared>, site: &Arc<Site>, line: &mut Option<Connection>, lease: Lease) -> Next {
    if shared.settler.is_stuck() || !lease.may_deliver() {
        // What can't be recorded must not be delivered; the leases go back to the spool.
        shared.give_up(site);
        return Next::Leave;
    }
    if let Some(rest) = site.resting(shared.clock.now()) {
        shared.put_off(lease, &rest);
        shared.put_off_all(site, &rest);
        return Next::Leave;
    }
    if let Some(until) = shared.suspended_until(&lease) {
        lease.postpone(until);
        return Next::Lease;
    }
    if let Some(reply) = shared.ways.homeless(&site.domain, lease.way()) {
        // Says nothing about the destination: mail of tenants to the same domain may go there.
        let outcomes = vec![Outcome::of_ours(reply, None); lease.recipients().count()];
        settle(shared, lease, Attempt { outcomes, ..Attempt::default() }).await;
        return Next::Lease;
    }
    let content = match Content::load(&lease).await {
        Ok(content) => content,
        Err(error) => {
            // The spool has told, and holds or returns the message; there is nothing to say to the sender yet.
            tracing::error!(message = %lease.id(), %error, "message can't be read from the spool");
            if matches!(error, SpoolError::Io(_) | SpoolError::Full(_)) {
                // The disk's trouble, not the message's: no attempt, but no look every second either.
                let until = shared.one_wait_from_now(&lease);
                lease.postpone(until);
            }
            return Next::Lease;
        }
    };
    let begun = Instant::now();
    let (outcomes, peer_dsn, trouble) = match transmit(shared, site, line, &lease, &content).await {
        Ok(sent) => sent,
        Err(NoWay::Final(outcome)) => {
            let outcomes = vec![outcome; lease.recipients().count()];
            settle(
                shared,
                lease,
                Attempt { outcomes, content: Some(&content), begun: Some(begun), ..Attempt::default() },
            )
            .await;
            return Next::Lease;
        }
        Err(NoWay::Later(outcome)) => {
            let rest = shared.begin_rest(site, outcome);
            shared.put_off(lease, &rest);
            shared.put_off_all(site, &rest);
            return Next::Leave;
        }
    };
    let tls = line.as_ref().and_then(|line| line.tls.clone());
    let attempt =
        Attempt { outcomes, content: Some(&content), begun: Some(begun), peer_dsn, tls: tls.as_ref(), retry_at: None };
    let last = attempt.outcomes.last().cloned();
    settle(shared, lease, attempt).await;
    match (trouble, last) {
        (Went::Well, _) => {
            if site.succeeded(shared.most(site)) {
                shared.hire(site);
            }
        }
        (Went::Badly, Some(outcome)) if site.stumbled() => {
            let rest = shared.begin_rest(site, outcome);
            shared.put_off_all(site, &rest);
            return Next::Leave;
        }
        (Went::Badly, _) => {}
    }
    Next::Lease
}

async fn settle(shared: &Shared, lease: Lease, attempt: Attempt<'_>) {
    shared.settler.settle(lease, attempt).await;
}

/// What the attempt says about the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    /// It answered everything.
    Well,
    /// It hung up, or said 421.
    Badly,
}

/// Sends to all recipients of the lease, as many in one transaction as servers must take.
async fn transmit(
    shared: &Shared,
    site: &Site,
    line: &mut Option<Connection>,
    lease: &Lease,
    content: &Content,
) -> Result<(Vec<Outcome>, bool, Went), NoWay> {
    let envelope = &lease.meta().envelope;
    let recipients: Vec<&Recipient> = lease.recipients().filter_map(|index| envelope.recipients.get(index)).collect();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(recipients.len());
    let mut peer_dsn = false;
    let mut went = Went::Well;
    let rules = Rules {
        all_or_nothing: false,
        needs_dsn: false,
        dot_before: None,
        answer_by: None,
        points: [Point::DeliveryBeforeDot, Point::DeliveryAfterDot, Point::DeliveryAfterReply],
        faults: shared.faults.clone(),
    };
    for group in recipients.chunks(shared.config.max_recipients.max(1)) {
        loop {
            let (connection, fresh) = match line.take_if(|line| !shared.ways.is_spent(&site.domain, line)) {
                Some(connection) => (connection, false),
                None => {
                    if let Some(spent) = line.take() {
                        spent.quit(shared.config.timeouts.quit).await;
                    }
                    match shared.ways.open(&site.domain, lease.way()).await {
                        Ok(connection) => (connection, true),
                        Err(no_way) if outcomes.is_empty() => return Err(no_way),
                        Err(NoWay::Final(outcome) | NoWay::Later(outcome)) => {
                            outcomes.resize(recipients.len(), Outcome { kind: OutcomeKind::Deferred, ..outcome });
                            return Ok((outcomes, peer_dsn, Went::Badly));
                        }
                    }
                }
            };
            let connection = line.insert(connection);
            if !fresh {
                shared.metrics.delivery.reused.inc();
            }
            let letter = Letter { envelope, recipients: group, content };
            let sent = send(connection, &letter, &rules, &shared.config.timeouts).await;
            peer_dsn = connection.capabilities.dsn;
            match sent.end {
                End::Reusable => {}
                End::Abandoned => *line = None,
                End::Close => {
                    *line = None;
                    went = Went::Badly;
                }
                End::Lost { silent: true, .. } if !fresh => {
                    *line = None;
                    continue;
                }
                End::Lost { .. } => {
                    *line = None;
                    went = Went::Badly;
                }
                End::Unknown(trouble) => {
                    *line = None;
                    went = Went::Badly;
                    shared.metrics.delivery.possible_duplicates.inc();
                    tracing::warn!(message = %lease.id(), %trouble, "no answer to a whole message; it may arrive twice");
                }
            }
            outcomes.extend(sent.outcomes);
            break;
        }
    }
    Ok((outcomes, peer_dsn, went))
}
