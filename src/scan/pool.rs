//! A bounded place for work that takes a processor: scanning runs here and not on the threads that serve connections, but for
//! work that is shorter than the way to another thread and back.
//!
//! **Failure**: work that panics is contained and said so; who finds no place within the patience is told, and nothing has
//! run. **Invariants**: at most so many pieces of work run at one time; those that wait, wait in order. A full pool makes
//! clients wait (they are answered later, or 451): nothing is let through without its work having been done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// See the module.
#[derive(Debug, Clone)]
pub struct Pool {
    places: Arc<Semaphore>,
    /// On the threads that serve connections.
    here: Arc<Semaphore>,
    patience: Duration,
}

/// The work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("no place to scan was free in time")]
    Full,
    #[error("the scan broke off")]
    Broken,
}

impl Pool {
    /// `workers`: pieces of work at one time, at least one; `here`: how many of them, at most, may keep a thread that serves
    /// connections. `patience`: the longest wait for a place.
    #[must_use]
    pub fn new(workers: usize, here: usize, patience: Duration) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { places: places(workers.max(1)), here: places(here.min(workers)), patience }
    }

    /// Runs `work` aside. Once begun it runs to its end, even if nobody waits any more; its place stays taken until then.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(PoolError::Full) };
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        work.await.map_err(|_| PoolError::Broken)
    }

    /// As [`Self::run`], for work that is known to be short: on the thread that asks, if a place is free at once and others are left
    /// to serve connections. It spares the way to another thread and back, which is three wake-ups.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn run_short<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        // Who waits for a place holds none.
        if let (Ok(_here), Ok(_place)) = (self.here.try_acquire(), self.places.try_acquire()) {
            return done_here(work);
        }
        self.run(work).await
    }

    /// As [`Self::run`], for work that is shorter than the way to another thread by far: on the thread that asks, if a place is free at
    /// once.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn run_trifle<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        if let Ok(_place) = self.places.try_acquire() {
            return done_here(work);
        }
        self.run(work).await
    }
}

fn done_here<T>(work: impl FnOnce() -> T) -> Result<T, PoolError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| PoolError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_in_time_is_told_and_its_work_never_runs() {
        let pool = Pool::new(1, 1, Duration::from_secs(5));
        let held = Arc::clone(&pool.places).acquire_owned().await.unwrap();
        assert_eq!(pool.run(|| panic!("must not run")).await, Err::<(), _>(PoolError::Full));
        drop(held);
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_contained_and_gives_its_place_back() {
        let pool = Pool::new(1, 1, Duration::from_secs(5));
        assert_eq!(pool.run(|| panic!("hostile mail")).await, Err::<(), _>(PoolError::Broken));
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert_eq!(pool.places.available_permits(), 1);
        assert_eq!(pool.run_short(|| panic!("hostile mail")).await, Err::<(), _>(PoolError::Broken));
        assert_eq!(pool.places.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn short_work_runs_here_if_there_is_a_place_and_waits_like_any_other_if_not() {
        let pool = Pool::new(1, 1, Duration::from_secs(5));
        let here = std::thread::current().id();
        assert_eq!(pool.run_short(|| std::thread::current().id()).await, Ok(here));
        assert_ne!(pool.run(|| std::thread::current().id()).await, Ok(here));
        let held = Arc::clone(&pool.places).acquire_owned().await.unwrap();
        assert_eq!(pool.run_short(|| panic!("must not run")).await, Err::<(), _>(PoolError::Full));
        drop(held);
        assert_eq!((pool.places.available_permits(), pool.here.available_permits()), (1, 1));
    }

    #[tokio::test]
    async fn short_work_leaves_a_thread_to_serve_connections_and_a_trifle_need_not() {
        let pool = Pool::new(1, 0, Duration::from_secs(5));
        let here = std::thread::current().id();
        assert_ne!(pool.run_short(|| std::thread::current().id()).await, Ok(here));
        assert_eq!(pool.run_trifle(|| std::thread::current().id()).await, Ok(here));
        let pool = Pool::new(2, 1, Duration::from_secs(5));
        let busy = Arc::clone(&pool.here).acquire_owned().await.unwrap();
        assert_ne!(pool.run_short(|| std::thread::current().id()).await, Ok(here));
        drop(busy);
        assert_eq!(pool.run_short(|| std::thread::current().id()).await, Ok(here));
    }
}
