//! When a client has had its time: per command, per stretch of body, per transaction, per session, and by rate.
//!
//! Deadlines are fixed when a wait begins and not moved by single bytes, so that dripping gains nothing (reliability row OVL-04).
//! The rate counts what was read, kept or not: a message refused already, and a chunk thrown away, are no slower for it.

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

    /// So many bytes of a body were read. The first ones start its clock.
    pub fn body_read(&mut self, now: Instant, bytes: usize) {
        let clock = self.body.get_or_insert(BodyClock { began: now, bytes: 0 });
        clock.bytes = clock.bytes.saturating_add(bytes as u64);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            hostname: "mx.gateway.example".into(),
            command_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            transaction_deadline: Duration::from_secs(1800),
            session_deadline: Duration::from_secs(3600),
            tls_handshake_timeout: Duration::from_secs(30),
            min_body_rate: 100,
            memory_per_message: 0,
            memory_per_inline_message: 0,
            memory_total: 0,
            memory_large: 0,
            inline_deadline: Duration::ZERO,
            outbound_spam: crate::model::egress::OutboundSpam::default(),
        }
    }

    #[test]
    fn each_stretch_of_body_earns_its_own_time() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        let at = |seconds| start + Duration::from_secs(seconds);
        deadlines.body_read(start, 60_000);
        assert!(!deadlines.too_slow(at(600), &config));
        assert!(deadlines.too_slow(at(601), &config));
        // What came before the last reply is no credit for what comes after it.
        deadlines.command_answered(at(20), &config);
        assert!(!deadlines.too_slow(at(20), &config));
        deadlines.body_read(at(20), 1);
        assert!(!deadlines.too_slow(at(30), &config), "a slow start is no attack");
        assert!(deadlines.too_slow(at(31), &config));
    }
}
