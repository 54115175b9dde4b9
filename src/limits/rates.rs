//! Rates: how many messages, recipients, octets or connections a source, sender or recipient may have in a time.
//!
//! What is limited is data: a [`Rule`] says of what ([`Limit`]), counted how ([`Measure`]), how much in which time ([`Rate`]); there
//! may be several for one thing. A [`Key`] says of whom. Beyond the limit the answer is 4xx and says when to come back.
//! The arithmetic is that of GCRA (ATM Forum TM-4.0, as governor has it): a full burst at once, then one by one as the time allows.
//! Keys are hashed to 64 bits with a secret of the process, and all kinds share one table of bounded size.
//!
//! **Failure**: a table that is full forgets the key that has used least of its burst: such a source gets more than it should for a
//! moment, never less.
//! **Invariants**: what is charged together is charged as a whole or not at all. At most 52 octets for each of
//! [`Config::most_keys`], however many keys there are (`benches/limits.rs` measures what the allocator adds); a check takes the lock of
//! one shard at a time and never waits for anything else.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::table::{Debt, Table};
use crate::model::rates::{Dimension, Limited, Measure, OutboundRates, Rate, Windows};
use crate::model::{Address, Domain, ReversePath, TenantId};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Limit;
use crate::telemetry::series::Labels;

/// Between two sweeps.
pub const SWEEP: Duration = Duration::from_secs(10);
/// What was charged, of whom.
#[derive(Debug, Default)]
pub struct Paid {
    of: Vec<(Limit, u64, Debt)>,
    at: u64,
}

impl Paid {
    /// Without what these limits took: that stays charged.
    #[must_use]
    pub fn except(mut self, limits: &[Limit]) -> Self {
        self.of.retain(|(limit, ..)| !limits.contains(limit));
        self
    }
}

/// The factor of a limit that is as it is written.
pub const USUAL: u32 = 1000;

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub limit: Limit,
    pub measure: Measure,
    pub rate: Rate,
}

/// The rules; what has none has no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub rules: Vec<Rule>,
    /// All kinds together.
    pub most_keys: usize,
}

impl Config {
    /// No limits at all.
    #[must_use]
    pub fn none() -> Self {
        Self { rules: Vec::new(), most_keys: 5_000_000 }
    }

    /// Recipients (or what else there is one of at a time) for `limit`, in place of what stood there; `None`: no limit.
    #[must_use]
    pub fn with(mut self, limit: Limit, rate: Option<Rate>) -> Self {
        self.rules.retain(|rule| rule.limit != limit || rule.measure != Measure::Recipients);
        self.rules.extend(rate.map(|rate| Rule { limit, measure: Measure::Recipients, rate }));
        self
    }

    /// As [`Self::with`], with several times.
    #[must_use]
    pub fn with_windows(self, limit: Limit, windows: &Windows) -> Self {
        let mut config = self.with(limit, None);
        let rule = |rate: &Rate| Rule { limit, measure: Measure::Recipients, rate: *rate };
        config.rules.extend(windows.rates().iter().map(rule));
        config
    }

    /// The limits of outbound mail, beside all others.
    #[must_use]
    pub fn with_outbound(mut self, rates: &OutboundRates) -> Self {
        self.rules.retain(|rule| Dimension::of(rule.limit).is_none());
        let rule = |(limited, rate): (Limited, Rate)| Rule {
            limit: limited.dimension.limit(),
            measure: limited.measure,
            rate,
        };
        self.rules.extend(rates.iter().map(rule));
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        let rate = |count, minutes: u64| Rate::new(count, Duration::from_secs(minutes * 60));
        Self::none()
            .with(Limit::SenderIp, rate(2000, 1))
            .with(Limit::Recipient, rate(200, 1))
            .with(Limit::OutboundClient, rate(1000, 5))
            .with(Limit::OutboundSender, rate(500, 10))
            .with(Limit::OutboundTrial, rate(100, 60))
            .with(Limit::AlikeContent, rate(200, 10))
            .with(Limit::Alike, rate(50, 10))
    }
}

impl Dimension {
    pub(super) fn limit(self) -> Limit {
        match self {
            Self::Client => Limit::OutboundClient,
            Self::Sender => Limit::OutboundSender,
            Self::Domain => Limit::OutboundDomain,
            Self::Tenant => Limit::OutboundTenant,
        }
    }

    fn of(limit: Limit) -> Option<Self> {
        [Self::Client, Self::Sender, Self::Domain, Self::Tenant].into_iter().find(|one| one.limit() == limit)
    }
}

/// Whom a limit counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who<'a> {
    /// IPv6: one /64.
    Host(IpAddr),
    /// One /24 or /48.
    Network(IpAddr),
    /// The null sender has no limit.
    Sender(&'a ReversePath),
    Address(&'a Address),
    Domain(&'a Domain),
    /// The tenant as a whole.
    Whole,
    /// Anything else that has a number.
    Number(u64),
}

/// What is limited: each limit, each tenant and each of whom by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    pub limit: Limit,
    /// `None`: whoever's mail it is.
    pub tenant: Option<&'a TenantId>,
    pub who: Who<'a>,
}

impl<'a> Key<'a> {
    /// Counted for all tenants together.
    #[must_use]
    pub fn shared(limit: Limit, who: Who<'a>) -> Self {
        Self { limit, tenant: None, who }
    }

    #[must_use]
    pub fn of(tenant: &'a TenantId, limit: Limit, who: Who<'a>) -> Self {
        Self { limit, tenant: Some(tenant), who }
    }

    fn is_free(&self) -> bool {
        self.who == Who::Sender(&ReversePath::Null)
    }

    /// `whose`: a tenant's own rate that is the same as the configured one is counted by itself.
    fn hash(&self, mut hasher: impl Hasher, (measure, rate): (Measure, Rate), whose: Whose) -> u64 {
        (self.limit.index(), measure, rate, whose).hash(&mut hasher);
        self.tenant.map(TenantId::as_str).hash(&mut hasher);
        match self.who {
            Who::Host(ip) => host(ip).hash(&mut hasher),
            Who::Network(ip) => network(ip).hash(&mut hasher),
            Who::Sender(ReversePath::Null) | Who::Whole => {}
            Who::Sender(ReversePath::Mailbox(address)) | Who::Address(address) => address.key().hash(&mut hasher),
            Who::Domain(domain) => domain.as_str().hash(&mut hasher),
            Who::Number(number) => number.hash(&mut hasher),
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

/// Who asked for a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Node,
    Tenant,
}

/// What is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    pub recipients: u64,
    pub messages: u64,
    pub bytes: u64,
}

impl Cost {
    #[must_use]
    pub fn recipients(recipients: u64) -> Self {
        Self { recipients, ..Self::default() }
    }

    fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Recipients => self.recipients,
            Measure::Messages => self.messages,
            Measure::Bytes => self.bytes,
        }
    }
}

/// One of several things that a message counts for.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    pub key: Key<'a>,
    pub cost: Cost,
    /// The configured rates, so many thousandths of them: [`USUAL`] is as written.
    pub factor: u32,
    /// Further rates for the same key, as written: they hold beside the configured ones, so that they can only be stricter.
    pub own: &'a [(Measure, Rate)],
}

impl<'a> Charge<'a> {
    #[must_use]
    pub fn new(key: Key<'a>, cost: Cost) -> Self {
        Self { key, cost, factor: USUAL, own: &[] }
    }
}

/// Too much: again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {}, {rate}; again in {} s", limit.as_str(), after.as_secs().max(1))]
pub struct Beyond {
    pub limit: Limit,
    pub measure: Measure,
    /// As it is now for this key.
    pub rate: Rate,
    pub after: Duration,
}

/// One rule for one key.
struct Slot {
    key: u64,
    debt: Debt,
    limit: Limit,
    measure: Measure,
    rate: Rate,
}

impl Slot {
    fn beyond(&self, wait: u64) -> Beyond {
        Beyond { limit: self.limit, measure: self.measure, rate: self.rate, after: Duration::from_nanos(wait) }
    }
}

/// What is done with more at once than a whole limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oversized {
    /// It counts as the whole limit, because it could never pass otherwise.
    Whole,
    /// It is beyond the limit, because it can come in parts.
    Beyond,
}

/// The handle: cheap to share as `Arc`.
pub struct Limits {
    /// By [`Limit`].
    rules: Box<[Vec<(Measure, Rate)>]>,
    table: Table,
    began: Instant,
    hasher: RandomState,
    metrics: Arc<Metrics>,
}

impl Limits {
    #[must_use]
    pub fn build(config: &Config, metrics: Arc<Metrics>) -> Self {
        let mut rules = vec![Vec::new(); Limit::COUNT];
        for rule in &config.rules {
            if let Some(rules) = rules.get_mut(rule.limit.index()) {
                rules.push((rule.measure, rule.rate));
            }
        }
        Self {
            rules: rules.into(),
            table: Table::new(config.most_keys),
            began: Instant::now(),
            hasher: RandomState::new(),
            metrics,
        }
    }

    /// Counts `n` more for `key`, if they are within its limit; otherwise counts nothing. More than the whole limit at once
    /// counts as the whole limit.
    ///
    /// # Errors
    /// [`Beyond`].
    pub fn check(&self, key: Key<'_>, n: u32) -> Result<(), Beyond> {
        self.take(&[Charge::new(key, Cost::recipients(n.into()))])
    }

    /// Counts all of it if every limit allows it; otherwise counts nothing. More at once than a whole limit counts as the whole.
    ///
    /// # Errors
    /// The [`Beyond`] that lasts longest of those found.
    pub fn take(&self, charges: &[Charge<'_>]) -> Result<(), Beyond> {
        self.pay(charges).map(|_| ())
    }

    /// As [`Self::take`]; what was charged can be given back.
    ///
    /// # Errors
    /// As there.
    pub fn pay(&self, charges: &[Charge<'_>]) -> Result<Paid, Beyond> {
        let (slots, now) = (self.slots(charges, Oversized::Whole), self.now());
        for (taken, slot) in slots.iter().enumerate() {
            let Err(wait) = self.table.take(slot.key, now, slot.debt) else { continue };
            for slot in slots.iter().take(taken) {
                self.table.give_back(slot.key, slot.debt);
            }
            self.metrics.limits.refused.inc(slot.limit);
            let mut beyond = slot.beyond(wait);
            if let Err(other) = self.longest(&slots, now)
                && other.after > beyond.after
            {
                beyond = other;
            }
            return Err(beyond);
        }
        Ok(Paid { of: slots.iter().map(|slot| (slot.limit, slot.key, slot.debt)).collect(), at: now })
    }

    /// What was charged for came to nothing: it counts for nobody. What time has given back since is not given back twice.
    pub fn give_back(&self, paid: &Paid) {
        let since = self.now().saturating_sub(paid.at);
        for (_, key, debt) in &paid.of {
            self.table.give_back(*key, debt.left_after(since));
        }
    }

    /// Whether all of it would be within its limits now; counts nothing. What could come in parts (recipients of one message) is
    /// beyond its limit if it is more than the whole.
    ///
    /// # Errors
    /// The [`Beyond`] that lasts longest.
    pub fn look(&self, charges: &[Charge<'_>]) -> Result<(), Beyond> {
        let found = self.longest(&self.slots(charges, Oversized::Beyond), self.now());
        if let Err(beyond) = &found {
            self.metrics.limits.refused.inc(beyond.limit);
        }
        found
    }

    fn longest(&self, slots: &[Slot], now: u64) -> Result<(), Beyond> {
        let beyond = slots.iter().filter_map(|slot| {
            let wait = self.table.look(slot.key, now, slot.debt).err()?;
            Some(slot.beyond(wait))
        });
        beyond.max_by_key(|beyond| beyond.after).map_or(Ok(()), Err)
    }

    fn slots(&self, charges: &[Charge<'_>], oversized: Oversized) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(charges.len() * 2);
        for charge in charges.iter().filter(|charge| !charge.key.is_free()) {
            let rules = self.rules.get(charge.key.limit.index()).into_iter().flatten();
            let rules = rules.map(|rule| (*rule, charge.factor, Whose::Node));
            let own = charge.own.iter().map(|rule| (*rule, USUAL, Whose::Tenant));
            for ((measure, rate), factor, whose) in rules.chain(own) {
                let cost = charge.cost.of(measure);
                if cost == 0 {
                    continue;
                }
                let now = scaled(rate, factor);
                let cost = match (oversized, measure) {
                    (Oversized::Beyond, Measure::Recipients) => cost,
                    _ => cost.min(now.count()),
                };
                let key = charge.key.hash(self.hasher.build_hasher(), (measure, rate), whose);
                slots.push(Slot { key, debt: Debt::of(now, cost), limit: charge.key.limit, measure, rate: now });
            }
        }
        slots
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Gives memory back that live keys don't need, and tells the metrics. Locks a shard at a time, for less than a millisecond.
    pub fn sweep(&self) {
        self.table.sweep(self.now());
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
        self.table.live(self.now())
    }

    /// Memory of the table.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

/// So many thousandths of a rate, and never nothing.
fn scaled(rate: Rate, factor: u32) -> Rate {
    if factor == USUAL {
        return rate;
    }
    let count = u128::from(rate.count()) * u128::from(factor) / u128::from(USUAL);
    Rate::new(u64::try_from(count).unwrap_or(u64::MAX).max(1), rate.per()).unwrap_or(rate)
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
