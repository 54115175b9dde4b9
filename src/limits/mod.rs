//! Rate limits: how many messages or connections a source, sender or recipient may have in a time.
//!
//! One message to one recipient counts one. Beyond the limit the answer is 4xx and says when to come back; nothing is ever lost by a
//! limit. The arithmetic is governor's (GCRA): a full burst at once, then one by one as the time allows.
//! Keys are hashed to 64 bits with a secret of the process, and all kinds share one table of bounded size.
//!
//! **Failure**: a table that is full forgets the key that has used least of its burst: such a source gets more than it should for a
//! moment, never less.
//! **Invariants**: at most 52 octets for each of [`Config::most_keys`], however many keys there are (`benches/limits.rs` measures what
//! the allocator adds); a check takes the lock of one shard and never waits for anything else.

mod consider;
pub mod suspension;
mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::{Address, ReversePath, TenantId};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Limit;
use crate::telemetry::series::Labels;
pub use consider::Consider;
use table::{Shared, Table};

/// Between two sweeps.
pub const SWEEP: Duration = Duration::from_secs(10);

/// So many in such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub per: Duration,
}

impl Rate {
    /// `None` for a count or a time of zero.
    #[must_use]
    pub fn new(count: u32, per: Duration) -> Option<Self> {
        Some(Self { count: NonZeroU32::new(count)?, per: Some(per).filter(|per| !per.is_zero())? })
    }

    fn quota(self) -> Option<Quota> {
        Some(Quota::with_period(self.per / self.count.get())?.allow_burst(self.count))
    }
}

/// `None`: no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Inbound recipients from one address (IPv6: one /64).
    pub sender_ip: Option<Rate>,
    /// Inbound recipients from one /24 or /48.
    pub sender_network: Option<Rate>,
    /// Inbound recipients from one envelope sender; the null sender has no such limit.
    pub sender_address: Option<Rate>,
    /// Inbound messages to one recipient.
    pub recipient: Option<Rate>,
    /// New connections from one address (IPv6: one /64); how many at once is `net::admission`'s.
    pub connections: Option<Rate>,
    /// Outbound recipients from one client address of a tenant.
    pub outbound_client: Option<Rate>,
    /// Outbound recipients from one envelope sender.
    pub outbound_sender: Option<Rate>,
    /// All kinds together.
    pub most_keys: usize,
}

impl Default for Config {
    fn default() -> Self {
        let rate = |count, minutes: u64| Rate::new(count, Duration::from_secs(minutes * 60));
        Self {
            sender_ip: rate(2000, 1),
            sender_network: None,
            sender_address: None,
            recipient: rate(200, 1),
            connections: None,
            outbound_client: rate(1000, 5),
            outbound_sender: rate(500, 10),
            most_keys: 5_000_000,
        }
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    SenderIp(IpAddr),
    SenderNetwork(IpAddr),
    SenderAddress(&'a ReversePath),
    Recipient(&'a Address),
    Connection(IpAddr),
    OutboundClient(&'a TenantId, IpAddr),
    OutboundSender(&'a Address),
}

impl Key<'_> {
    fn limit(&self) -> Limit {
        match self {
            Self::SenderIp(_) => Limit::SenderIp,
            Self::SenderNetwork(_) => Limit::SenderNetwork,
            Self::SenderAddress(_) => Limit::SenderAddress,
            Self::Recipient(_) => Limit::Recipient,
            Self::Connection(_) => Limit::Connections,
            Self::OutboundClient(..) => Limit::OutboundClient,
            Self::OutboundSender(_) => Limit::OutboundSender,
        }
    }

    fn hash(&self, mut hasher: impl Hasher) -> u64 {
        hasher.write_usize(self.limit().index());
        match *self {
            Self::SenderIp(ip) | Self::Connection(ip) => host(ip).hash(&mut hasher),
            Self::SenderNetwork(ip) => network(ip).hash(&mut hasher),
            Self::SenderAddress(ReversePath::Null) => {}
            Self::SenderAddress(ReversePath::Mailbox(address))
            | Self::Recipient(address)
            | Self::OutboundSender(address) => address.key().hash(&mut hasher),
            Self::OutboundClient(tenant, ip) => {
                tenant.as_str().hash(&mut hasher);
                host(ip).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

/// An IPv6 host owns a /64.
fn host(ip: IpAddr) -> (u8, u64) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (4, ip.to_bits().into()),
        IpAddr::V6(ip) => (6, u64::try_from(ip.to_bits() >> 64).unwrap_or(0)),
    }
}

fn network(ip: IpAddr) -> (u8, u64) {
    match host(ip) {
        (4, bits) => (4, bits >> 8),
        (family, bits) => (family, bits >> 16),
    }
}

/// Too many: again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {}; again in {} s", limit.as_str(), after.as_secs().max(1))]
pub struct RetryAfter {
    pub limit: Limit,
    pub after: Duration,
}

/// Nanoseconds of the runtime's monotonic clock, which tests can pause.
#[derive(Debug, Clone, Copy)]
struct Monotonic(Instant);

impl GovernorClock for Monotonic {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

type Limiter = RateLimiter<u64, Shared, Monotonic, NoOpMiddleware<Nanos>>;

/// The handle: cheap to share as `Arc`.
pub struct Limits {
    /// In the order of [`Limit`].
    limiters: Box<[Option<(Rate, Limiter)>]>,
    table: Arc<Table>,
    clock: Monotonic,
    hasher: RandomState,
    metrics: Arc<Metrics>,
}

impl Limits {
    #[must_use]
    pub fn build(config: &Config, metrics: Arc<Metrics>) -> Self {
        let clock = Monotonic(Instant::now());
        let table = Arc::new(Table::new(config.most_keys));
        let rates = [
            config.sender_ip,
            config.sender_network,
            config.sender_address,
            config.recipient,
            config.connections,
            config.outbound_client,
            config.outbound_sender,
        ];
        let shared = || Shared { table: Arc::clone(&table), clock };
        let limiter = |rate: Rate| Some((rate, RateLimiter::new(rate.quota()?, shared(), clock)));
        let limiters = rates.into_iter().map(|rate| rate.and_then(limiter)).collect();
        Self { limiters, table, clock, hasher: RandomState::new(), metrics }
    }

    /// Counts `n` more for `key`, if they are within its limit; otherwise counts nothing. More than the whole limit at once
    /// counts as the whole limit.
    ///
    /// # Errors
    /// [`RetryAfter`].
    pub fn check(&self, key: Key<'_>, n: u32) -> Result<(), RetryAfter> {
        if key == Key::SenderAddress(&ReversePath::Null) {
            return Ok(());
        }
        let limit = key.limit();
        let Some(Some((rate, limiter))) = self.limiters.get(limit.index()) else { return Ok(()) };
        let Some(n) = NonZeroU32::new(n) else { return Ok(()) };
        let hash = key.hash(self.hasher.build_hasher());
        match limiter.check_key_n(&hash, n.min(rate.count)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                self.metrics.limits.refused.inc(limit);
                Err(RetryAfter { limit, after: not_until.wait_time_from(self.clock.now()) })
            }
            // The burst is the whole limit, and n is no more than that.
            Err(_) => Err(RetryAfter { limit, after: rate.per }),
        }
    }

    /// Gives memory back that live keys don't need, and tells the metrics. Locks a shard at a time, for less than a millisecond.
    pub fn sweep(&self) {
        self.table.sweep(self.clock.now().as_u64());
        self.metrics.limits.keys.set(i64::try_from(self.keys()).unwrap_or(i64::MAX));
        self.metrics.limits.bytes.set(i64::try_from(self.bytes()).unwrap_or(i64::MAX));
        self.metrics.limits.evicted.inc_by(self.table.take_evicted());
    }

    /// Sweeps every [`SWEEP`] until `shutdown`.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            self.sweep();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
        }
    }

    /// Keys whose use can't be forgotten yet.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.table.live(self.clock.now().as_u64())
    }

    /// Memory of the table.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
