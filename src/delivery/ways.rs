//! From a domain to a connection that takes mail for it: the route, then one host after the other.
//!
//! **Failure**: [`NoWay`] says whether the domain's owner said never, or nobody answered for now.
//! **Invariants**: a host that did not answer within the last minute is tried after those that might.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::config::Config;
use super::connect::{Dialer, Hop};
use super::connection::Connection;
use super::route::{HOMELESS, Route, Router};
use super::trouble::Trouble;
use crate::dns::Resolver;
use crate::model::outcome::as_temporary;
use crate::model::{Domain, Enhanced, Outcome, OutcomeKind, Remote, Reply};
use crate::spool::Way;
use crate::tenant::{Host, Snapshot};

/// How long a host that did not answer stands at the end of the row.
const MISSED: Duration = Duration::from_secs(60);
const MISSED_MOST: usize = 10_000;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoWay {
    /// 5xx for every recipient.
    Final(Outcome),
    /// 4xx: nobody answers, or nobody takes mail.
    Later(Outcome),
}

/// Shared by sites, hand-on and call-ahead.
#[derive(Debug)]
pub(super) struct Ways {
    pub config: Arc<Config>,
    pub dialer: Dialer,
    pub resolver: Arc<dyn Resolver>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub missed: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Ways {
    /// Opens a connection for mail to the domain.
    pub async fn open(&self, domain: &Domain, way: Way) -> Result<Connection, NoWay> {
        let snapshot = self.snapshot.load_full();
        let router = Router { resolver: &*self.resolver, config: &self.config, metrics: &self.dialer.metrics.delivery };
        let mut hops = match router.route(domain, way, &snapshot).await {
            Route::Hops(hops) => hops,
            Route::Final(reply) => return Err(NoWay::Final(Outcome::of_ours(reply, None))),
            Route::Later(reply) => return Err(NoWay::Later(Outcome::of_ours(reply, None))),
        };
        hops.sort_by_key(|hop| self.was_missed(hop));
        let mut last: Option<(Trouble, Remote)> = None;
        for hop in hops {
            match self.dialer.open(&hop).await {
                Ok(connection) => return Ok(connection),
                Err(trouble) => {
                    if matches!(trouble, Trouble::Connect { .. } | Trouble::TimedOut { .. }) {
                        self.miss(&hop);
                    }
                    last = Some((trouble, Remote { host: hop.host, ip: hop.ip, port: hop.port }));
                }
            }
        }
        let (reply, remote, said_by_remote) = match last {
            Some((trouble, remote)) => (trouble.reply(), Some(remote), matches!(trouble, Trouble::Refused(_))),
            None => (Trouble::NoAddress(domain.to_string()).reply(), None, false),
        };
        // A greeting of 5xx speaks of the server, not of the recipients: another day it may take mail.
        let reply = as_temporary(reply, Enhanced(4, 3, 2), "the server takes no mail");
        Err(NoWay::Later(Outcome { kind: OutcomeKind::Deferred, reply, remote, said_by_remote }))
    }

    /// Why mail of this way has nowhere to go now, whatever connection is open for the domain.
    pub fn homeless(&self, domain: &Domain, way: Way) -> Option<Reply> {
        let gone = way == Way::Inside && self.snapshot.load().domain(domain.as_str()).is_none();
        gone.then_some(HOMELESS)
    }

    /// Whether a connection opened earlier is still where mail for the domain belongs.
    pub fn is_current(&self, domain: &Domain, connection: &Connection) -> bool {
        let snapshot = self.snapshot.load();
        let Some(ours) = snapshot.domain(domain.as_str()) else { return true };
        connection.policy == ours.domain.tls
            && ours.domain.next_hops.iter().any(|hop| {
                hop.port == connection.remote.port
                    && match &hop.host {
                        Host::Ip(ip) => ip.to_canonical() == connection.remote.ip,
                        Host::Name(name) => name.as_str() == &*connection.remote.host,
                    }
            })
    }

    /// Used up, closed by the server, or not the right one any more.
    pub fn is_spent(&self, domain: &Domain, connection: &Connection) -> bool {
        connection.transactions >= self.config.max_transactions
            || connection.opened.elapsed() > LONGEST
            || connection.is_stale()
            || !self.is_current(domain, connection)
    }

    fn was_missed(&self, hop: &Hop) -> bool {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.get(&SocketAddr::new(hop.ip, hop.port)).is_some_and(|at| at.elapsed() < MISSED)
    }

    fn miss(&self, hop: &Hop) {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.len() >= MISSED_MOST {
            missed.clear();
        }
        missed.insert(SocketAddr::new(hop.ip, hop.port), Instant::now());
    }
}

/// No connection is kept longer, so that a change behind a host's name is noticed.
const LONGEST: Duration = Duration::from_secs(300);
