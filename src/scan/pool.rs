//! A bounded place for work that takes a processor: scanning runs here and not on the threads that serve connections, but for
//! work that is shorter than the way to another thread and back.
//!
//! **Failure**: work that panics is contained and said so; who finds no place within the patience is told, and nothing has
//! run. **Invariants**: at most so many pieces of work run at one time; those that wait, wait in order, and while any waits no place is
//! free. A full pool makes clients wait (they are answered later, or 451): nothing is let through without its work having been done.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workers: usize,
    /// On the threads that serve connections.
    here: Semaphore,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Places that are taken.
    running: usize,
    waiting: VecDeque<Arc<Ticket>>,
}

type Work = Box<dyn FnOnce() + Send>;

/// Of a piece of work that waits; without it: it has begun, or nobody waits for it any more.
struct Ticket(Mutex<Option<Work>>);

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
        let (workers, state) = (workers.max(1), Mutex::default());
        Self(Arc::new(Inner { workers, here: Semaphore::new(here.min(workers)), patience, state }))
    }

    /// Runs `work` aside. Once begun it runs to its end, even if nobody waits any more; its place stays taken until then.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let (answer, mut answered) = oneshot::channel();
        // Nobody may want the answer any more.
        let ticket = self.hand_in(Box::new(move || drop(answer.send(work()))));
        match tokio::time::timeout(self.0.patience, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if ticket.withdraw() => return Err(PoolError::Full),
            Err(_) => answered.await,
        }
        .map_err(|_| PoolError::Broken)
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
        let done = match self.0.here.try_acquire() {
            Ok(_here) => self.do_here(work),
            Err(_) => Err(work),
        };
        match done {
            Ok(done) => done,
            Err(work) => self.run(work).await,
        }
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
        match self.do_here(work) {
            Ok(done) => done,
            Err(work) => self.run(work).await,
        }
    }

    /// # Errors
    /// The work, if no place is free.
    fn do_here<T, W: FnOnce() -> T>(&self, work: W) -> Result<Result<T, PoolError>, W> {
        if !lock(&self.0.state).take_place(self.0.workers) {
            return Err(work);
        }
        let done = catch_unwind(AssertUnwindSafe(work)).map_err(|_| PoolError::Broken);
        if let Some(next) = self.0.next() {
            self.begin(next);
        }
        Ok(done)
    }

    fn hand_in(&self, work: Work) -> HandedIn {
        let mut state = lock(&self.0.state);
        if state.take_place(self.0.workers) {
            drop(state);
            self.begin(work);
            return HandedIn(None);
        }
        // Who lost patience came first.
        while state.waiting.front().is_some_and(|ticket| ticket.is_empty()) {
            state.waiting.pop_front();
        }
        let ticket = Arc::new(Ticket(Mutex::new(Some(work))));
        state.waiting.push_back(Arc::clone(&ticket));
        HandedIn(Some(ticket))
    }

    /// On a place that was taken: this work and then what waits, which needs no thread that serves connections to begin.
    fn begin(&self, work: Work) {
        let inner = Arc::clone(&self.0);
        let aside = move || {
            let mut next = Some(work);
            while let Some(work) = next {
                // Who waits for it sees that no answer came.
                let _ = catch_unwind(AssertUnwindSafe(work));
                next = inner.next();
            }
        };
        drop(tokio::task::spawn_blocking(aside));
    }
}

impl Inner {
    /// What waits longest; the place of what is done is for it. Without any the place is free.
    fn next(&self) -> Option<Work> {
        let mut state = lock(&self.state);
        while let Some(ticket) = state.waiting.pop_front() {
            if let Some(work) = ticket.take() {
                return Some(work);
            }
        }
        state.running -= 1;
        None
    }
}

impl State {
    fn take_place(&mut self, workers: usize) -> bool {
        let is_free = self.running < workers;
        self.running += usize::from(is_free);
        is_free
    }
}

impl Ticket {
    fn take(&self) -> Option<Work> {
        lock(&self.0).take()
    }

    fn is_empty(&self) -> bool {
        lock(&self.0).is_none()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// Work for which somebody waits: if it has to wait and they go away, it never begins.
struct HandedIn(Option<Arc<Ticket>>);

impl HandedIn {
    /// `false`: it has begun.
    fn withdraw(&self) -> bool {
        self.0.as_ref().is_some_and(|ticket| ticket.take().is_some())
    }
}

impl Drop for HandedIn {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Nothing panics while it holds one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::sync::mpsc;
    use std::task::Poll;
    use std::thread::{self, ThreadId};

    use super::*;

    type Waits<'a> = Pin<Box<dyn Future<Output = Result<(), PoolError>> + 'a>>;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn thread_id() -> ThreadId {
        thread::current().id()
    }

    /// Takes a place until the sender is dropped.
    fn hold(pool: &Pool) -> mpsc::Sender<()> {
        let (free, freed) = mpsc::channel();
        let held = pool.hand_in(Box::new(move || {
            let _ = freed.recv();
        }));
        assert!(held.0.is_none(), "no place was free");
        free
    }

    fn running(pool: &Pool) -> usize {
        lock(&pool.0.state).running
    }

    /// The place of what was held is given back by its own thread.
    async fn all_free(pool: &Pool) {
        until(|| running(pool) == 0).await;
    }

    async fn until(is_so: impl Fn() -> bool) {
        let looking = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("it comes true");
    }

    async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
        poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_in_time_is_told_and_its_work_never_runs() {
        let pool = Pool::new(1, 1, PATIENCE);
        let held = hold(&pool);
        let mut all: [Waits<'_>; 3] = [
            Box::pin(pool.run(|| panic!("must not run"))),
            Box::pin(pool.run_short(|| panic!("must not run"))),
            Box::pin(pool.run_trifle(|| panic!("must not run"))),
        ];
        for one in &mut all {
            assert!(is_pending(one).await);
        }
        tokio::time::advance(PATIENCE).await;
        for one in all {
            assert_eq!(one.await, Err(PoolError::Full));
        }
        drop(held);
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert!(lock(&pool.0.state).waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_has_begun_is_waited_for_beyond_the_patience() {
        let pool = Pool::new(1, 1, PATIENCE);
        let (end, ended) = mpsc::channel::<()>();
        let mut slow = Box::pin(pool.run(move || ended.recv().is_err()));
        assert!(is_pending(&mut slow).await);
        tokio::time::advance(2 * PATIENCE).await;
        assert!(is_pending(&mut slow).await);
        drop(end);
        assert_eq!(slow.await, Ok(true));
    }

    #[tokio::test]
    async fn work_nobody_waits_for_any_more_never_begins() {
        let pool = Pool::new(1, 1, PATIENCE);
        let held = hold(&pool);
        let (ran, has_run) = mpsc::channel();
        let mut gone = Box::pin(pool.run(move || ran.send(())));
        assert!(is_pending(&mut gone).await, "it waits");
        drop(gone);
        drop(held);
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert_eq!(has_run.recv(), Err(mpsc::RecvError));
    }

    #[tokio::test]
    async fn what_waits_runs_in_order_and_one_at_a_time() {
        let pool = Pool::new(1, 1, PATIENCE);
        let held = hold(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let all: Vec<_> = (0..50)
            .map(|n| {
                let (pool, order) = (pool.clone(), Arc::clone(&order));
                let work = move || {
                    let mut order = order.try_lock().expect("no other at the same time");
                    order.push(n);
                    thread::yield_now();
                };
                tokio::spawn(async move { if n % 2 == 0 { pool.run(work).await } else { pool.run_trifle(work).await } })
            })
            .collect();
        until(|| lock(&pool.0.state).waiting.len() == 50).await;
        drop(held);
        for one in all {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
        all_free(&pool).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_place_is_lost_between_those_who_come_and_those_who_end() {
        let pool = Pool::new(2, 1, PATIENCE);
        let one = |n: u32| {
            let pool = pool.clone();
            tokio::spawn(async move {
                match n % 4 {
                    0 => pool.run(move || n).await,
                    1 => pool.run_short(move || n).await,
                    2 => pool.run_trifle(move || n).await,
                    // Gives up at once.
                    _ => {
                        tokio::select! { biased; done = pool.run(move || n) => done, () = std::future::ready(()) => Ok(n) }
                    }
                }
            })
        };
        for (n, done) in (0..10_000).map(|n| (n, one(n))).collect::<Vec<_>>() {
            assert_eq!(done.await.unwrap(), Ok(n));
        }
        all_free(&pool).await;
        assert_eq!((lock(&pool.0.state).waiting.len(), pool.0.here.available_permits()), (0, 1));
    }

    #[tokio::test]
    async fn a_panic_is_contained_and_gives_its_place_back() {
        let pool = Pool::new(1, 1, PATIENCE);
        assert_eq!(pool.run(|| panic!("hostile mail")).await, Err::<(), _>(PoolError::Broken));
        assert_eq!(pool.run(|| 7).await, Ok(7));
        all_free(&pool).await;
        assert_eq!(pool.run_short(|| panic!("hostile mail")).await, Err::<(), _>(PoolError::Broken));
        assert_eq!(running(&pool), 0);
    }

    #[tokio::test]
    async fn short_work_runs_here_if_there_is_a_place_and_waits_like_any_other_if_not() {
        let pool = Pool::new(1, 1, PATIENCE);
        assert_eq!(pool.run_short(thread_id).await, Ok(thread_id()));
        assert_ne!(pool.run(thread_id).await, Ok(thread_id()));
        all_free(&pool).await;
        let held = hold(&pool);
        let mut waits = Box::pin(pool.run_short(thread_id));
        assert!(is_pending(&mut waits).await);
        drop(held);
        assert_ne!(waits.await, Ok(thread_id()));
    }

    #[tokio::test]
    async fn short_work_leaves_a_thread_to_serve_connections_and_a_trifle_need_not() {
        let pool = Pool::new(2, 0, PATIENCE);
        assert_ne!(pool.run_short(thread_id).await, Ok(thread_id()));
        assert_eq!(pool.run_trifle(thread_id).await, Ok(thread_id()));
        let pool = Pool::new(2, 1, PATIENCE);
        let busy = pool.0.here.try_acquire().unwrap();
        assert_ne!(pool.run_short(thread_id).await, Ok(thread_id()));
        drop(busy);
        assert_eq!(pool.run_short(thread_id).await, Ok(thread_id()));
    }
}
