//! Connections for those who can't wait in a queue: hand-on and call-ahead. One shelf for each tenant domain.
//!
//! **Failure**: a domain where no connection could be made is left alone for some seconds, so that clients don't wait for
//! what was just found out.
//! **Invariants**: all of them together hold no more than half of the places, so that mail already accepted finds some;
//! connections of a domain never exceed the setting; those on the shelf hold no buffers and are closed when
//! idle; the last one put back is the first to be used, so that a quiet domain keeps few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::ways::{NoWay, Ways};
use crate::model::{Domain, Outcome};
use crate::spool::Way;

/// How long a domain without connection is left alone.
const DOWN: Duration = Duration::from_secs(5);

/// One of the pool's own, and one of all connections'.
type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

#[derive(Debug)]
struct Shelf {
    idle: Vec<(Connection, Place, Instant)>,
    places: Arc<Semaphore>,
    down: Option<(Instant, Outcome)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    ways: Arc<Ways>,
    shelves: Mutex<HashMap<Domain, Shelf>>,
    /// The pool's part of them.
    share: Arc<Semaphore>,
    /// Shared with the queue's workers.
    all: Arc<Semaphore>,
}

/// A connection lent, with the right to have it.
#[derive(Debug)]
pub(super) struct Lent {
    pub connection: Connection,
    places: (OwnedSemaphorePermit, Place),
    pub fresh: bool,
}

/// Why none was lent.
#[derive(Debug)]
pub(super) enum NotLent {
    /// The others are all in use, or the time is up.
    Busy,
    NoWay(Outcome),
}

impl Pool {
    pub fn new(ways: Arc<Ways>, all: Arc<Semaphore>) -> Self {
        let share = Arc::new(Semaphore::new(ways.config.max_connections.div_ceil(2).max(1) as usize));
        Self { ways, shelves: Mutex::default(), share, all }
    }

    /// Lends a connection. `fresh_only` passes over those on the shelf.
    pub async fn lend(&self, domain: &Domain, by: Instant, fresh_only: bool) -> Result<Lent, NotLent> {
        if let Some(reply) = self.ways.homeless(domain, Way::Inside) {
            return Err(NotLent::NoWay(Outcome::of_ours(reply, None)));
        }
        // Taken under the lock: a shelf nobody has a place of may be swept away, and with it what is known of the domain.
        let (places, own) = {
            let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
            let shelf = shelves.entry(domain.clone()).or_insert_with(|| Shelf {
                idle: Vec::new(),
                places: Arc::new(Semaphore::new(self.ways.config.handoff_connections.max(1) as usize)),
                down: None,
            });
            if let Some((_, outcome)) = shelf.down.as_ref().filter(|(since, _)| since.elapsed() < DOWN) {
                return Err(NotLent::NoWay(outcome.clone()));
            }
            (Arc::clone(&shelf.places), Arc::clone(&shelf.places).try_acquire_owned())
        };
        let own = match own {
            Ok(own) => own,
            Err(_) => match timeout_at(by, places.acquire_owned()).await {
                Ok(Ok(own)) => own,
                _ => return Err(NotLent::Busy),
            },
        };
        if !fresh_only {
            while let Some((connection, place)) = self.take(domain) {
                if !self.ways.is_spent(domain, &connection) {
                    return Ok(Lent { connection, places: (own, place), fresh: false });
                }
            }
        }
        let Ok(shared) = Arc::clone(&self.share).try_acquire_owned() else { return Err(NotLent::Busy) };
        let Ok(of_all) = Arc::clone(&self.all).try_acquire_owned() else { return Err(NotLent::Busy) };
        match timeout_at(by, self.ways.open(domain, Way::Inside)).await {
            Ok(Ok(connection)) => Ok(Lent { connection, places: (own, (shared, of_all)), fresh: true }),
            Ok(Err(NoWay::Final(outcome) | NoWay::Later(outcome))) => {
                self.mark_down(domain, &outcome);
                Err(NotLent::NoWay(outcome))
            }
            Err(_) => Err(NotLent::Busy),
        }
    }

    fn take(&self, domain: &Domain) -> Option<(Connection, Place)> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.get_mut(domain)?.idle.pop().map(|(connection, place, _)| (connection, place))
    }

    fn mark_down(&self, domain: &Domain, outcome: &Outcome) {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get_mut(domain) {
            shelf.down = Some((Instant::now(), outcome.clone()));
        }
    }

    /// Puts a connection back that is good for another transaction.
    pub fn give_back(&self, domain: &Domain, lent: Lent) {
        let Lent { mut connection, places: (own, place), .. } = lent;
        connection.rest();
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get_mut(domain) {
            shelf.down = None;
            shelf.idle.push((connection, place, Instant::now()));
        }
        drop(own);
    }

    /// Closes what has been idle too long; forgets domains without connections.
    pub async fn sweep(&self, everything: bool) {
        let limit = self.ways.config.idle.0;
        let mut old = Vec::new();
        {
            let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
            let most = self.ways.config.handoff_connections.max(1) as usize;
            shelves.retain(|_, shelf| {
                // The oldest stand first, because the last put back is the first taken.
                let keep = shelf.idle.iter().position(|(_, _, since)| !everything && since.elapsed() < limit);
                old.extend(shelf.idle.drain(..keep.unwrap_or(shelf.idle.len())));
                let down = shelf.down.as_ref().is_some_and(|(since, _)| since.elapsed() < DOWN);
                !shelf.idle.is_empty() || down || shelf.places.available_permits() < most
            });
        }
        for (connection, place, _) in old {
            connection.quit(self.ways.config.timeouts.quit).await;
            drop(place);
        }
    }
}
