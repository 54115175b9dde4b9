//! Directory-harvest defence: a client that tries recipients at random learns nothing more for a while.
//!
//! Per address (IPv6 /64), counts that halve every ten minutes. Too many unknown recipients, and more of them than valid ones: from then
//! on every recipient is answered alike, valid or not, until the client has been quiet for [`Config::stay`].
//!
//! **Failure**: none; a table that is full forgets who tried least.
//! **Invariants**: a client whose recipients are mostly valid is never stopped; bounded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::reputation::Key;
use crate::model::Timestamp;
use crate::tables::{Bounded, Seconds, Worth, seconds, timestamp};
use crate::telemetry::Metrics;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Unknown recipients, in about ten minutes.
    pub most_unknown: u32,
    /// From the last unknown recipient on.
    pub stay: Duration,
    /// Fewer than 150 octets each.
    pub most_sources: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { most_unknown: 20, stay: Duration::from_secs(1800), most_sources: 200_000 }
    }
}

const HALF_LIFE: f32 = 600.0;

#[derive(Debug, Clone, Copy)]
struct Tried {
    unknown: f32,
    valid: f32,
    at: Seconds,
    /// Set while it is stopped.
    until: Seconds,
}

impl Tried {
    #[allow(clippy::cast_precision_loss, reason = "seconds in a century don't matter")]
    fn at(self, now: Seconds) -> Self {
        let factor = (-(now.saturating_sub(self.at) as f32) / HALF_LIFE).exp2();
        Self { unknown: self.unknown * factor, valid: self.valid * factor, at: now.max(self.at), ..self }
    }
}

impl Worth for Tried {
    #[allow(clippy::cast_precision_loss, reason = "only compared")]
    fn worth(&self, now: Seconds) -> f32 {
        self.at(now).unknown + self.until.saturating_sub(now) as f32
    }
}

/// The handle: cheap to share as `Arc`.
#[derive(Debug)]
pub struct Harvest {
    config: Config,
    sources: Bounded<Key, Tried>,
    metrics: Arc<Metrics>,
}

impl Harvest {
    #[must_use]
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        Self { config, sources: Bounded::new(config.most_sources), metrics }
    }

    /// Counts a recipient that was tried. What a stopped client tries counts too: it prolongs the stay.
    pub fn saw(&self, ip: IpAddr, recipient_exists: bool, now: Timestamp) {
        let (key, now) = (Key::address(ip), seconds(now));
        // A source of which nothing bad is known needs no entry.
        if recipient_exists && self.sources.look(&key, |_| ()).is_none() {
            return;
        }
        let fresh = || Tried { unknown: 0.0, valid: 0.0, at: now, until: 0 };
        let found = self.sources.change(key, now, fresh, |tried| {
            *tried = tried.at(now);
            if recipient_exists {
                tried.valid += 1.0;
                return false;
            }
            tried.unknown += 1.0;
            #[allow(clippy::cast_precision_loss, reason = "a small setting")]
            let too_many = tried.unknown >= self.config.most_unknown as f32 && tried.unknown > tried.valid;
            let was_stopped = now < tried.until;
            if too_many || was_stopped {
                let stay = Seconds::try_from(self.config.stay.as_secs()).unwrap_or(Seconds::MAX);
                tried.until = now.saturating_add(stay);
            }
            too_many && !was_stopped
        });
        if found == Some(true) {
            self.metrics.sender.harvests.inc();
        }
    }

    /// Until when this client is stopped, if it is.
    #[must_use]
    pub fn stopped(&self, ip: IpAddr, now: Timestamp) -> Option<Timestamp> {
        let until = self.sources.look(&Key::address(ip), |tried| tried.until)?;
        (seconds(now) < until).then(|| timestamp(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_176_451_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_harvester_is_stopped_until_it_has_been_quiet() {
        let (metrics, client) = (Metrics::new(), ip("192.0.2.7"));
        let harvest = Harvest::new(Config::default(), Arc::clone(&metrics));
        for _ in 0..19 {
            harvest.saw(client, false, START);
        }
        assert_eq!(harvest.stopped(client, START), None);
        harvest.saw(client, false, START);
        assert_eq!(harvest.stopped(client, START), Some(timestamp(seconds(START)).plus(30 * MINUTE)));
        assert_eq!(harvest.stopped(ip("192.0.2.8"), START), None);
        harvest.saw(client, false, START.plus(MINUTE));
        assert!(harvest.stopped(client, START.plus(30 * MINUTE)).is_some(), "trying on prolongs it");
        assert_eq!(harvest.stopped(client, START.plus(31 * MINUTE)), None);
        assert_eq!(metrics.sender.harvests.get(), 1);
    }

    #[test]
    fn mistyped_recipients_over_a_day_or_among_many_valid_ones_stop_nobody() {
        let harvest = Harvest::new(Config::default(), Metrics::new());
        for n in 0..200 {
            harvest.saw(ip("192.0.2.7"), false, START.plus(n * 5 * MINUTE));
            assert_eq!(harvest.stopped(ip("192.0.2.7"), START.plus(n * 5 * MINUTE)), None);
        }
        harvest.saw(ip("192.0.2.8"), false, START);
        for n in 0..1000 {
            harvest.saw(ip("192.0.2.8"), n % 3 != 0, START);
            assert_eq!(harvest.stopped(ip("192.0.2.8"), START), None, "a large list with a third gone");
        }
    }

    #[test]
    fn clients_with_valid_recipients_only_cost_no_memory() {
        let harvest = Harvest::new(Config { most_sources: 64, ..Config::default() }, Metrics::new());
        for n in 0..10_000_u32 {
            harvest.saw(IpAddr::V4(n.into()), true, START);
        }
        assert_eq!(harvest.sources.len(), 0);
        for n in 0..10_000_u32 {
            harvest.saw(IpAddr::V4(n.into()), false, START);
        }
        assert_eq!(harvest.sources.len(), 64);
    }
}
