//! What must be told of a connection however it ends, also by a panic or when its task is dropped at the end of the drain.
//!
//! **Failure**: none. **Invariants**: each guard tells once, when dropped.

use prometheus::{IntCounter, IntGauge};

/// A connection in the gauge of open ones.
#[derive(Debug)]
pub struct Open(IntGauge);

impl Open {
    #[must_use]
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Messages taken over whose 250 is not yet written. Those never written are counted as lost replies: the client will send
/// the message again. Written is all that can be known here; whether the client read it, nobody can tell (RFC 1047).
#[derive(Debug)]
pub struct Promised {
    unwritten: u32,
    lost: IntCounter,
}

impl Promised {
    #[must_use]
    pub fn new(lost: &IntCounter) -> Self {
        Self { unwritten: 0, lost: lost.clone() }
    }

    pub fn one_more(&mut self) {
        self.unwritten = self.unwritten.saturating_add(1);
    }

    /// All replies were written.
    pub fn kept(&mut self) {
        self.unwritten = 0;
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        self.lost.inc_by(self.unwritten.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_is_counted_at_the_end() {
        let lost = IntCounter::new("lost", "lost").unwrap();
        let mut promised = Promised::new(&lost);
        promised.one_more();
        promised.kept();
        promised.one_more();
        promised.one_more();
        assert_eq!(lost.get(), 0);
        drop(promised);
        assert_eq!(lost.get(), 2);
    }

    #[test]
    fn a_connection_that_panics_leaves_the_gauge() {
        let gauge = IntGauge::new("open", "open").unwrap();
        let held = gauge.clone();
        let ended = std::thread::spawn(move || {
            let _open = Open::new(&held);
            assert_eq!(held.get(), 0, "a panic");
        });
        assert!(ended.join().is_err());
        assert_eq!(gauge.get(), 0);
    }
}
