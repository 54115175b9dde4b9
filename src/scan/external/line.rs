//! The way to one kind of scanner: so many connections at a time, one deadline, several places of which one answers.
//!
//! **Failure**: [`TalkError`] of the last place that was tried. A place that failed [`FAILURES`] times in a row is not asked for
//! [`REST`], so that a dead scanner doesn't hold up every message for its whole time-out.
//! **Invariants**: every question ends within the service's time-out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::endpoint::{Endpoint, Stream};
use super::error::TalkError;

const FAILURES: u32 = 3;
const REST: Duration = Duration::from_secs(5);

/// How to reach one kind of scanner, and what it may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Tried in this order.
    pub endpoints: Vec<Endpoint>,
    /// For one message, all places together, waiting for a connection included.
    pub timeout: Duration,
    /// At a time.
    pub connections: usize,
    /// Octets of a message that are sent at all.
    pub max_size: u64,
    /// Whether a message must wait (451) while it can't be asked.
    pub required: bool,
    /// ICAP: the service's name. rspamd: unused. spamd: the user, empty for none.
    pub name: Box<str>,
}

/// What one attempt comes to.
pub(super) type Talk<'a, T> = Pin<Box<dyn Future<Output = Result<T, TalkError>> + Send + 'a>>;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) service: Service,
    permits: Arc<Semaphore>,
    places: Vec<Place>,
    start: Instant,
}

#[derive(Debug, Default)]
struct Place {
    failures: AtomicU32,
    /// Milliseconds after the start.
    rests_until: AtomicU64,
}

impl Line {
    pub(super) fn new(service: Service) -> Self {
        let permits = Arc::new(Semaphore::new(service.connections.max(1)));
        let places = service.endpoints.iter().map(|_| Place::default()).collect();
        Self { service, permits, places, start: Instant::now() }
    }

    /// Asks one place after the other until one answers.
    pub(super) async fn ask<'a, T>(
        &'a self,
        talk: impl Fn(Box<dyn Stream>, &'a Endpoint) -> Talk<'a, T>,
    ) -> Result<T, TalkError> {
        let deadline = Instant::now() + self.service.timeout;
        if self.places.iter().all(|place| self.rests(place)) {
            return Err(TalkError::Resting);
        }
        let Ok(permit) = tokio::time::timeout_at(deadline, self.permits.acquire()).await else {
            return Err(TalkError::Crowded);
        };
        let _permit = permit.map_err(|_| TalkError::Crowded)?;
        let awake = self.places.iter().zip(&self.service.endpoints).filter(|(place, _)| !self.rests(place));
        let awake: Vec<_> = awake.collect();
        let mut last = TalkError::Resting;
        for (tried, (place, endpoint)) in awake.iter().enumerate() {
            // One that hangs leaves time for the others.
            let left = u32::try_from(awake.len() - tried).unwrap_or(1);
            let patience = deadline.saturating_duration_since(Instant::now()) / left;
            let attempt = async { talk(endpoint.connect().await?, endpoint).await };
            let done = tokio::time::timeout(patience, attempt).await.unwrap_or(Err(TalkError::TimedOut));
            self.note(place, &done);
            match done {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rests(&self, place: &Place) -> bool {
        place.rests_until.load(Ordering::Relaxed) > self.now()
    }

    fn note<T>(&self, place: &Place, done: &Result<T, TalkError>) {
        match done {
            Err(error) if error.is_of_the_scanner() => {
                if place.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
                    let until = self.now() + u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
                    place.rests_until.store(until, Ordering::Relaxed);
                }
            }
            _ => {
                place.failures.store(0, Ordering::Relaxed);
                place.rests_until.store(0, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(connections: usize) -> Line {
        Line::new(Service {
            endpoints: vec![Endpoint::Unix("/nowhere/scanner".into())],
            timeout: Duration::from_secs(10),
            connections,
            max_size: 1,
            required: true,
            name: "".into(),
        })
    }

    async fn failed(line: &Line) -> TalkError {
        line.ask::<()>(|_, _| Box::pin(async { Ok(()) })).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_scanner_rests_and_is_asked_again() {
        let line = line(1);
        for _ in 0..FAILURES {
            assert!(matches!(failed(&line).await, TalkError::Connect(_)));
        }
        assert_eq!(failed(&line).await, TalkError::Resting);
        tokio::time::advance(REST).await;
        assert!(matches!(failed(&line).await, TalkError::Connect(_)), "one finds out whether it is back");
        assert_eq!(failed(&line).await, TalkError::Resting, "and it rests again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_for_a_connection_is_told() {
        let line = line(1);
        let _all = line.permits.acquire().await.unwrap();
        let begun = Instant::now();
        assert_eq!(failed(&line).await, TalkError::Crowded);
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }
}
