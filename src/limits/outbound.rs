//! What outbound mail is asked beside its content: rates at MAIL and RCPT, rates and alike messages at its end; and what is remembered
//! of it.
//!
//! At MAIL and RCPT limits are only looked at. At the end of a message all that it counts for is charged at once, or nothing is.
//! After each message every subject against which something speaks is told to [`Consider`].
//!
//! **Failure**: what is beyond a limit is put off and nothing of it is charged; the record of its sender knows that it came.
//! **Invariants**: alike messages of a sender reach no more recipients than their rate allows, however they are divided into messages;
//! what passes grows limits only where it is not bulk, so that a burst can't make room for itself.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::bulk::{Found, Groups, Sketch};
use super::consider::Consider;
use super::history::{History, Kind};
use super::rates::{Beyond, Charge, Cost, Key, Limits, Paid, USUAL, Who};
use crate::model::abuse::{Assessment, Scope, Subject};
use crate::model::rates::{Dimension, Measure, Rate, RatesByDimension};
use crate::model::{Address, Enhanced, MessageId, Reply, TenantId, Timestamp};
use crate::tables::{Seconds, StateError, hash};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Limit;

/// A group counts as one to many from so many recipients on.
const MANY: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Recipients of alike messages of one sender, as in the rules of [`Limit::Alike`]; `None`: no limit.
    pub alike: Option<Rate>,
    /// Senders, clients, domains and tenants that are remembered.
    pub most_records: usize,
    /// Groups of alike messages that are remembered.
    pub most_groups: usize,
}

impl Default for Config {
    fn default() -> Self {
        let rate = |count| Rate::new(count, Duration::from_secs(600));
        Self { alike: rate(50), most_records: 500_000, most_groups: 100_000 }
    }
}

/// Who sends.
#[derive(Debug, Clone)]
pub struct Party<'a> {
    tenant: &'a TenantId,
    trial: bool,
    own: &'a RatesByDimension,
    sender: Option<Named>,
    /// `None`: not known, as behind a proxy that doesn't tell.
    client: Option<Client>,
}

#[derive(Debug, Clone)]
struct Client {
    scope: Scope,
    ip: IpAddr,
    key: u64,
}

#[derive(Debug, Clone)]
struct Named {
    scope: Scope,
    address: Address,
    key: u64,
}

impl<'a> Party<'a> {
    /// `own`: the limits that the tenant asked for. `trial`: its contract is one. `ip`: `None` where it is not known; then nothing is
    /// counted for a client.
    #[must_use]
    pub fn new(
        tenant: &'a TenantId,
        (own, trial): (&'a RatesByDimension, bool),
        sender: Option<&Address>,
        ip: Option<IpAddr>,
    ) -> Self {
        let sender = sender.and_then(|address| match Scope::sender(address) {
            Scope::Sender(address) => {
                let scope = Scope::Sender(address.clone());
                let key = History::key(tenant, &scope);
                Some(Named { scope, address, key })
            }
            _ => None,
        });
        let client = ip.map(|ip| {
            let scope = Scope::client(ip);
            let key = History::key(tenant, &scope);
            Client { scope, ip, key }
        });
        Self { tenant, trial, own, sender, client }
    }

    /// Whom bulk is counted for: the sender; for notices, which have none, the client; where that is not known, the tenant, of
    /// which then no record says that it may have more.
    fn bulk_key(&self) -> (Key<'_>, u64) {
        let (who, key) = match (&self.sender, &self.client) {
            (Some(named), _) => (Who::Address(&named.address), named.key),
            (None, Some(client)) => (Who::Host(client.ip), client.key),
            (None, None) => (Who::Whole, hash(&[b"nobody", self.tenant.as_str().as_bytes()])),
        };
        (Key::of(self.tenant, Limit::Alike, who), key)
    }

    fn subjects(&self) -> impl Iterator<Item = (Scope, u64)> {
        let sender = self.sender.iter().map(|named| (named.scope.clone(), named.key));
        let domain = self.sender.iter().map(|named| {
            let scope = Scope::Domain(named.address.domain().clone());
            let key = History::key(self.tenant, &scope);
            (scope, key)
        });
        let whole = (Scope::Tenant, History::key(self.tenant, &Scope::Tenant));
        let client = self.client.iter().map(|client| (client.scope.clone(), client.key));
        sender.chain(client).chain(domain).chain([whole])
    }
}

/// What the content of a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Harm {
    #[default]
    None,
    /// Not enough points for spam, but near.
    Near,
    /// Spam or phishing.
    Spam,
    Malware,
}

/// What a message is, before it is known whether it passes.
#[derive(Debug, Clone)]
pub struct Weighed {
    sketch: Option<Sketch>,
    pub found: Found,
    /// Recipients that count as those of an alike message.
    pub alike: u32,
    /// It has fields of a mailing list.
    pub is_list: bool,
    pub harm: Harm,
    /// What its sender may have of alike messages now; `None`: no limit.
    pub allowance: Option<Rate>,
}

/// What next hops said of a recipient in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Delivered,
    /// There is no such recipient.
    Unknown,
    /// Any other final refusal.
    Refused,
}

impl Told {
    /// Of a final refusal.
    #[must_use]
    pub fn refusal(reply: &Reply) -> Self {
        match reply.enhanced() {
            // RFC 3463 section 3.2: bad mailbox, bad system, mailbox moved without a new address; RFC 7505: null MX.
            Some(Enhanced(5, 1, 1 | 2 | 6 | 10)) => Self::Unknown,
            _ => Self::Refused,
        }
    }
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    config: Config,
    limits: Arc<Limits>,
    history: History,
    groups: Groups,
    consider: OnceLock<Arc<dyn Consider>>,
    metrics: Arc<Metrics>,
}

impl Outbound {
    /// `limits`: the same as for inbound mail, so that all share one table.
    #[must_use]
    pub fn build(config: Config, limits: Arc<Limits>, metrics: Arc<Metrics>) -> Self {
        let (history, groups) = (History::new(config.most_records), Groups::new(config.most_groups));
        Self(Arc::new(Inner { config, limits, history, groups, consider: OnceLock::new(), metrics }))
    }

    /// From now on `consider` is told of everybody against whom something speaks. Only the first call has an effect.
    pub fn tell(&self, consider: Arc<dyn Consider>) {
        let _ = self.0.consider.set(consider);
    }

    #[must_use]
    pub fn assessor(&self) -> Assessor {
        Assessor(self.clone())
    }

    /// Whether one more message may come; counts nothing.
    ///
    /// # Errors
    /// [`Beyond`]; that it was tried is remembered.
    pub fn at_mail(&self, party: &Party<'_>, wall: Timestamp) -> Result<(), Beyond> {
        let now = self.0.history.now(wall);
        let cost = Cost { recipients: 1, messages: 1, bytes: 1 };
        let found = self.0.limits.look(&self.charges(party, cost, now));
        if found.is_err() {
            self.tried(party, wall);
        }
        found
    }

    /// A message was refused before it was there, for a rate or a measure: that it was tried is remembered.
    pub fn tried(&self, party: &Party<'_>, wall: Timestamp) {
        let now = self.0.history.now(wall);
        // It is no message yet: what costs nothing must not thin out what was found in others.
        self.offered(party, now, |_, record| record.add(Kind::Rate, 1.0));
        self.considered(party, now, wall);
    }

    /// Whether the message may have so many recipients; counts nothing.
    ///
    /// # Errors
    /// [`Beyond`]: the recipients before this one may stay.
    pub fn at_rcpt(&self, party: &Party<'_>, recipients: u64, wall: Timestamp) -> Result<(), Beyond> {
        let now = self.0.history.now(wall);
        if let Some(usual) = self.0.config.alike {
            let (_, record) = party.bulk_key();
            let rate = self.0.history.allowance(record, usual, now);
            if recipients > rate.count() {
                let measure = Measure::Recipients;
                self.0.metrics.limits.refused.inc(Limit::Alike);
                return Err(Beyond { limit: Limit::Alike, measure, rate, after: rate.per() });
            }
        }
        self.0.limits.look(&self.charges(party, Cost { recipients, messages: 1, bytes: 1 }, now))
    }

    /// What a message is part of; counts nothing.
    #[must_use]
    pub fn weigh<'r>(
        &self,
        party: &Party<'_>,
        (sketch, is_list, harm): (Option<Sketch>, bool, Harm),
        recipients: impl IntoIterator<Item = &'r Address>,
        wall: Timestamp,
    ) -> Weighed {
        let now = self.0.history.now(wall);
        let (_, record) = party.bulk_key();
        let allowance = self.0.config.alike.map(|usual| self.0.history.allowance(record, usual, now));
        let found = match &sketch {
            Some(sketch) => self.0.groups.look(party.tenant, sketch, recipients, now),
            None => Found { group: 0, fresh: 0, reached: 0, senders: 0 },
        };
        // A message that is like no other is one letter, and to several a circular to all but one.
        let alike = if found.group == 0 { found.fresh.saturating_sub(1) } else { found.fresh };
        Weighed { sketch, found, alike, is_list, harm, allowance }
    }

    /// The end of a message that would be taken: charges it.
    ///
    /// # Errors
    /// [`Beyond`]; nothing was charged, and that it came is remembered.
    pub fn at_end(
        &self,
        party: &Party<'_>,
        weighed: &Weighed,
        (recipients, bytes): (&[&Address], u64),
        wall: Timestamp,
    ) -> Result<(), Beyond> {
        self.pay_at_end(party, weighed, (recipients, bytes), wall).map(|_| ())
    }

    /// As [`Self::at_end`]; what was charged can be given back, but for alike messages: their recipients are known from now on and
    /// cost nothing when the message comes again, so it pays for them once.
    ///
    /// # Errors
    /// As there.
    pub fn pay_at_end(
        &self,
        party: &Party<'_>,
        weighed: &Weighed,
        (recipients, bytes): (&[&Address], u64),
        wall: Timestamp,
    ) -> Result<Paid, Beyond> {
        let now = self.0.history.now(wall);
        let count = recipients.len() as u64;
        let mut charges = self.charges(party, Cost { recipients: count, messages: 1, bytes }, now);
        let alike = Cost::recipients(weighed.alike.into());
        if let (Some(usual), Some(rate)) = (self.0.config.alike, weighed.allowance) {
            let factor = rate.count() * u64::from(USUAL) / usual.count().max(1);
            let factor = u32::try_from(factor).unwrap_or(USUAL);
            charges.push(Charge { factor, ..Charge::new(party.bulk_key().0, alike) });
        }
        if weighed.found.group != 0 {
            let group = Key::of(party.tenant, Limit::AlikeContent, Who::Number(weighed.found.group));
            charges.push(Charge::new(group, alike));
        }
        let passed = self.0.limits.pay(&charges).map(|paid| paid.except(&[Limit::Alike, Limit::AlikeContent]));
        drop(charges);
        self.remember(party, weighed, recipients, (passed.is_ok(), now));
        self.considered(party, now, wall);
        passed
    }

    /// A message that was charged for could not be taken, for no fault of its sender: it will come again. What is remembered of it
    /// stays, and what it paid for alike messages.
    pub fn give_back(&self, paid: Paid) {
        self.0.limits.give_back(&paid);
    }

    /// The end of a message that does not go out, for what is in it: nothing is charged, and all is remembered.
    pub fn kept_back(&self, party: &Party<'_>, weighed: &Weighed, recipients: &[&Address], wall: Timestamp) {
        let now = self.0.history.now(wall);
        self.remember(party, weighed, recipients, (true, now));
        self.considered(party, now, wall);
    }

    /// What became of a recipient.
    pub fn told(&self, party: &Party<'_>, (told, message): (Told, MessageId), wall: Timestamp) {
        let now = self.0.history.now(wall);
        let bulk = party.sender.as_ref().and_then(|named| self.0.history.look(named.key, now));
        // Of notices nobody knows whether they are good.
        let is_good = told == Told::Delivered
            && party.sender.is_some()
            && bulk.is_none_or(|record| record.count(Kind::Alike) < MANY as f32 && record.is_harmless());
        self.offered(party, now, |blamed, record| match told {
            Told::Delivered => {
                record.add(Kind::Delivered, 1.0);
                if is_good {
                    record.good();
                }
            }
            Told::Unknown | Told::Refused => {
                record.add(if told == Told::Unknown { Kind::Unknown } else { Kind::Bounced }, 1.0);
                record.set_sample(message);
                record.blame(blamed);
            }
        });
        if told != Told::Delivered {
            self.considered(party, now, wall);
        }
    }

    /// Reads what the last run has saved.
    ///
    /// # Errors
    /// [`StateError`]; nothing was taken over.
    pub fn load(&self, dir: &Path, wall: Timestamp) -> Result<(), StateError> {
        self.0.history.load(dir, wall)
    }

    /// Saves what is remembered of senders.
    ///
    /// # Errors
    /// [`StateError`]; the file of before is still there.
    pub fn save(&self, dir: &Path) -> Result<(), StateError> {
        self.0.history.save(dir)
    }

    /// Takes away what is known of a tenant and of all who sent for it; how many records. What their messages looked like is known
    /// only by hashes, and is forgotten after two days.
    #[must_use]
    pub fn forget(&self, tenant: &TenantId) -> u64 {
        self.0.history.forget(tenant)
    }

    /// Lets time pass, gives memory back, and tells the metrics; call it every few minutes.
    pub fn sweep(&self, wall: Timestamp) {
        let now = self.0.history.now(wall);
        self.0.groups.sweep(now);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.0.metrics.outbound.records.set(number(self.0.history.len()));
        self.0.metrics.outbound.groups.set(number(self.0.groups.len()));
        self.0.metrics.outbound.evicted.inc_by(self.0.history.take_evicted());
    }

    fn remember(&self, party: &Party<'_>, weighed: &Weighed, recipients: &[&Address], (passed, now): (bool, Seconds)) {
        let count = recipients.len() as f32;
        let reached = weighed.found.reached.saturating_add(weighed.found.fresh);
        let is_bulk = reached >= MANY && weighed.alike > 0;
        let (_, bulk_record) = party.bulk_key();
        if let (Some(sketch), true) = (&weighed.sketch, passed) {
            self.0.groups.add(party.tenant, (sketch, bulk_record), recipients.iter().copied(), now);
        }
        let harm = matches!(weighed.harm, Harm::Spam | Harm::Malware);
        let own = party.sender.as_ref().map(|named| named.key);
        self.offered_by(party, now, |key, blamed, record| {
            record.add(Kind::Messages, 1.0);
            record.add(Kind::Recipients, count);
            if weighed.is_list {
                record.add(Kind::List, count);
            }
            if is_bulk {
                record.add(Kind::Alike, weighed.alike as f32);
                if passed {
                    record.add_bulk(weighed.alike as f32);
                }
            }
            match weighed.harm {
                Harm::None => {}
                Harm::Near => record.add(Kind::Spam, 0.25),
                Harm::Spam => record.add(Kind::Spam, 1.0),
                Harm::Malware => record.add(Kind::Malware, 1.0),
            }
            if !passed {
                record.add(Kind::Rate, 1.0);
            }
            if harm || is_bulk {
                record.blame(blamed);
            }
            // Others share the client, the domain and the tenant: their limits shrink only if several do harm.
            if harm && (own == Some(key) || record.blamed() > 1) {
                record.harm();
            }
        });
        if is_bulk {
            self.0.metrics.outbound.alike.inc_by(weighed.alike.into());
        }
    }

    fn offered(&self, party: &Party<'_>, now: Seconds, mut change: impl FnMut(u64, &mut super::history::Record)) {
        self.offered_by(party, now, |_, blamed, record| change(blamed, record));
    }

    /// Changes the record of each subject of a message; told its key, and a hash of the sender.
    fn offered_by(
        &self,
        party: &Party<'_>,
        now: Seconds,
        mut change: impl FnMut(u64, u64, &mut super::history::Record),
    ) {
        let blamed = party.sender.as_ref().map_or_else(|| hash(&[b"null"]), |named| named.key);
        for (_, key) in party.subjects() {
            self.0.history.change(key, now, |record| change(key, blamed, record));
        }
    }

    fn considered(&self, party: &Party<'_>, now: Seconds, wall: Timestamp) {
        let Some(consider) = self.0.consider.get() else { return };
        for (scope, key) in party.subjects() {
            if self.0.history.look(key, now).is_none() {
                continue;
            }
            let subject = Subject { tenant: party.tenant.clone(), scope };
            let assessment = self.0.history.assess(&subject, wall);
            if !assessment.evidence.is_empty() {
                consider.consider(&assessment, wall);
            }
        }
    }

    fn charges<'p>(&self, party: &'p Party<'_>, cost: Cost, now: Seconds) -> Vec<Charge<'p>> {
        let history = &self.0.history;
        let key = |limit, who| Key::of(party.tenant, limit, who);
        let mut charges = vec![Charge {
            own: party.own.of(Dimension::Tenant),
            ..Charge::new(key(Limit::OutboundTenant, Who::Whole), cost)
        }];
        if let Some(client) = &party.client {
            charges.push(Charge {
                factor: history.factor(client.key, now),
                own: party.own.of(Dimension::Client),
                ..Charge::new(key(Limit::OutboundClient, Who::Host(client.ip)), cost)
            });
        }
        if let Some(named) = &party.sender {
            let domain = Who::Domain(named.address.domain());
            charges.push(Charge {
                factor: history.factor(named.key, now),
                own: party.own.of(Dimension::Sender),
                ..Charge::new(key(Limit::OutboundSender, Who::Address(&named.address)), cost)
            });
            charges.push(Charge {
                own: party.own.of(Dimension::Domain),
                ..Charge::new(key(Limit::OutboundDomain, domain), cost)
            });
        }
        if party.trial {
            // Notices have no domain: those of a trial count together.
            let who = party.sender.as_ref().map_or(Who::Whole, |named| Who::Domain(named.address.domain()));
            charges.push(Charge::new(key(Limit::OutboundTrial, who), cost));
        }
        charges
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// Says what is known of anybody; cheap to clone.
#[derive(Debug, Clone)]
pub struct Assessor(Outbound);

impl Assessor {
    #[must_use]
    pub fn assess(&self, subject: &Subject, now: Timestamp) -> Assessment {
        self.0.0.history.assess(subject, now)
    }
}

#[cfg(test)]
mod tests;
