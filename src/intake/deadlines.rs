//! When a client has had its time: per command, per stretch of body, per transaction, per session, and by rate.
//!
//! Deadlines are fixed when a wait begins and not moved by single bytes, so that dripping gains nothing (reliability row OVL-04).

use std::time::Duration;

use tokio::time::Instant;

use super::Config;

/// A slow start is no attack: the rate counts from here on.
const RATE_GRACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Deadlines {
    session: Instant,
    transaction: Option<Instant>,
    command: Instant,
    body: Option<BodyClock>,
}

#[derive(Debug)]
struct BodyClock {
    began: Instant,
    bytes: u64,
}

/// Why a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    Silence,
    Rate,
}

impl Deadlines {
    #[must_use]
    pub fn new(now: Instant, config: &Config) -> Self {
        Self {
            session: now + config.session_deadline,
            transaction: None,
            command: now + config.command_timeout,
            body: None,
        }
    }

    /// A whole command was answered: the next one has its full time.
    pub fn command_answered(&mut self, now: Instant, config: &Config) {
        self.command = now + config.command_timeout;
        self.body = None;
    }

    pub fn transaction_began(&mut self, now: Instant, config: &Config) {
        self.transaction = Some(now + config.transaction_deadline);
    }

    pub fn transaction_ended(&mut self) {
        self.transaction = None;
        self.body = None;
    }

    pub fn body_so_far(&mut self, now: Instant, bytes: u64) {
        self.body.get_or_insert(BodyClock { began: now, bytes: 0 }).bytes = bytes;
    }

    /// Until when the next read may take.
    #[must_use]
    pub fn next(&self, in_body: bool, now: Instant, config: &Config) -> Instant {
        // A session that lasted too long ends between transactions, not within one.
        let limit = self.transaction.unwrap_or(self.session);
        if !in_body {
            return limit.min(self.command);
        }
        let patience = self.body.as_ref().map_or(config.data_timeout, |clock| {
            // Silence is cut when it has pulled the average below the rate, but never later than the data time-out.
            let earned = Duration::from_secs(clock.bytes.checked_div(config.min_body_rate).unwrap_or(u64::MAX >> 20));
            let until = clock.began + RATE_GRACE + earned;
            until.saturating_duration_since(now).max(RATE_GRACE).min(config.data_timeout)
        });
        limit.min(now + patience)
    }

    /// Whether the body comes in too slowly.
    #[must_use]
    pub fn too_slow(&self, now: Instant, config: &Config) -> bool {
        self.body.as_ref().is_some_and(|clock| {
            let elapsed = now.saturating_duration_since(clock.began);
            elapsed > RATE_GRACE && clock.bytes < elapsed.as_secs().saturating_mul(config.min_body_rate)
        })
    }
}
