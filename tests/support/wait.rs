//! Polling with a deadline: the only way a test waits for something it can't block on.

use std::time::{Duration, Instant};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until `condition` holds; panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Polls until there is a value.
#[track_caller]
pub fn eventually_some<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, poll)
}

#[track_caller]
pub fn within<T>(limit: Duration, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
