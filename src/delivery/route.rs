//! Where mail for a domain goes: the tenant's next hops if it is ours, else its mail exchangers (RFC 5321 section 5).
//!
//! **Failure**: only the domain's owner can make mail fail for good (NXDOMAIN, null MX of RFC 7505, no address at all), and
//! a loop. The DNS in trouble, or a tenant's next hop without an address, is [`Route::Later`].
//! **Invariants**: inbound mail goes to a tenant's next hops or nowhere; an MX that is one of us, and every one less preferred, is never tried (RFC 5321 section 5.1); mail of one
//! tenant to another goes to that tenant's next hops, never through our own MX.

use std::net::IpAddr;

use tokio::time::Instant;

use super::config::Config;
use super::connect::Hop;
use super::ourselves::{is_our_address, is_our_name, is_reachable_for_others};
use crate::dns::{Answer, Asking, Mx, Resolver};
use crate::model::{Domain, Enhanced, Reply};
use crate::spool::{Exit, Way};
use crate::telemetry::metrics::{DeliveryMetrics, DnsResult};
use crate::tenant::{Host, NextHop, Snapshot, TenantDomain, TlsPolicy};

/// Hosts looked at, and addresses tried, of one destination.
const MOST: usize = 10;

/// What is known before anything is connected to.
#[derive(Debug)]
pub(super) enum Route {
    /// To try in this order.
    Hops(Vec<Hop>),
    /// 5xx for every recipient.
    Final(Reply),
    /// 4xx for now.
    Later(Reply),
}

/// Makes routes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Router<'a> {
    pub resolver: &'a dyn Resolver,
    pub config: &'a Config,
    pub metrics: &'a DeliveryMetrics,
}

impl Router<'_> {
    pub async fn route(&self, domain: &Domain, way: Way, snapshot: &Snapshot) -> Route {
        if let Some(ours) = snapshot.domain(domain.as_str()) {
            return self.by_next_hops(ours.domain).await;
        }
        let exit = match way {
            Way::Inside => return Route::Later(HOMELESS),
            Way::Out(exit) => exit,
        };
        if let Some(ip) = domain.as_ip() {
            let host = domain.as_str().into();
            let hop = self.outside(exit, host, ip);
            return match ip {
                ip if self.is_us(domain.as_str(), &[ip]) => Route::Final(LOOP),
                ip if !self.may_go_to(ip) => Route::Final(NOT_THERE),
                _ => Route::Hops(vec![hop]),
            };
        }
        self.by_mx(domain, exit).await
    }

    /// The only hops that are no tenant's: nobody has an exit but for mail that may leave.
    fn outside(&self, exit: Exit, host: Box<str>, ip: IpAddr) -> Hop {
        let (port, tls) = (self.config.mx_port, TlsPolicy::Opportunistic);
        Hop { host, ip: ip.to_canonical(), port, tls, exit: Some(exit) }
    }

    /// The next hops of one of our domains.
    async fn by_next_hops(&self, domain: &TenantDomain) -> Route {
        if domain.next_hops.is_empty() {
            return Route::Later(Reply::new(451, Enhanced(4, 3, 5), "the domain has no next hop"));
        }
        let mut hops = Vec::new();
        let mut why = String::from("none of its names resolves");
        for NextHop { host, port, .. } in domain.next_hops.iter().take(MOST) {
            let (name, addresses) = match host {
                Host::Ip(ip) => (ip.to_string(), Answer::Found(vec![*ip])),
                Host::Name(name) => (name.to_string(), self.asked(self.resolver.ip(name.as_str())).await),
            };
            match addresses {
                Answer::Found(ips) => hops.extend(ips.into_iter().map(|ip| Hop {
                    host: name.as_str().into(),
                    ip: ip.to_canonical(),
                    port: *port,
                    tls: domain.tls,
                    exit: None,
                })),
                Answer::Temporary(text) => why = text,
                Answer::NoSuchDomain | Answer::NoRecords => {}
            }
        }
        let found = hops.len();
        hops.retain(|hop| !is_our_address(self.config, hop.ip, hop.port));
        hops.truncate(MOST);
        if hops.is_empty() && found > 0 {
            return Route::Later(OWN_NEXT_HOP);
        }
        if hops.is_empty() {
            let text = format!("no next hop has an address: {why}");
            return Route::Later(Reply::with_text(451, Enhanced(4, 4, 4), &text));
        }
        Route::Hops(hops)
    }

    async fn by_mx(&self, domain: &Domain, exit: Exit) -> Route {
        let mut records = match self.asked(self.resolver.mx(domain.as_str())).await {
            Answer::Found(records) if records.is_empty() => implicit(domain),
            Answer::Found(records) => records,
            Answer::NoRecords => implicit(domain),
            Answer::NoSuchDomain => {
                return Route::Final(Reply::new(550, Enhanced(5, 1, 2), "the domain does not exist"));
            }
            Answer::Temporary(why) => return later(&why),
        };
        if records.iter().all(|record| record.exchange.is_empty() || &*record.exchange == ".") {
            return Route::Final(Reply::new(556, Enhanced(5, 1, 10), "the domain does not take mail (null MX)"));
        }
        records.retain(|record| !record.exchange.is_empty() && &*record.exchange != ".");
        records.sort();
        records.truncate(MOST);
        let is_implicit = matches!(&*records, [only] if &*only.exchange == domain.as_str() && only.preference == 0);
        self.by_preference(&records, is_implicit, exit).await
    }

    /// Resolves one preference after the other, up to where we stand ourselves.
    async fn by_preference(&self, records: &[Mx], implicit: bool, exit: Exit) -> Route {
        let mut hops: Vec<Hop> = Vec::new();
        let mut trouble = None;
        let mut looped = false;
        let mut forbidden = false;
        for group in records.chunk_by(|a, b| a.preference == b.preference) {
            let mut found = Vec::new();
            for record in group {
                match self.asked(self.resolver.ip(&record.exchange)).await {
                    Answer::Found(ips) => found.push((&record.exchange, ips)),
                    Answer::Temporary(why) => trouble = Some(why),
                    Answer::NoSuchDomain | Answer::NoRecords => {}
                }
                looped |= self.is_us(&record.exchange, found.last().map_or(&[], |(_, ips)| ips));
            }
            if looped {
                break;
            }
            // Equal preferences share the load (RFC 5321 section 5.1): begin at a place of the moment's choosing.
            let start = usize::from(shuffle()) % found.len().max(1);
            found.rotate_left(start);
            for (host, ips) in found {
                let hop = |ip: IpAddr| self.outside(exit, host.clone(), ip);
                let (good, bad): (Vec<IpAddr>, Vec<IpAddr>) = ips.into_iter().partition(|ip| self.may_go_to(*ip));
                forbidden |= !bad.is_empty();
                hops.extend(good.into_iter().map(hop));
            }
            if hops.len() >= MOST {
                break;
            }
        }
        hops.truncate(MOST);
        match (hops.is_empty(), trouble) {
            (false, _) => Route::Hops(hops),
            (true, Some(why)) => later(&why),
            (true, None) if looped => Route::Final(LOOP),
            // A resolver in trouble may answer with such addresses, too: time decides.
            (true, None) if forbidden => Route::Later(ONLY_PRIVATE),
            (true, None) if implicit => {
                Route::Final(Reply::new(550, Enhanced(5, 1, 2), "the domain has neither MX nor address"))
            }
            (true, None) => Route::Later(Reply::new(451, Enhanced(4, 4, 4), "no mail exchanger has an address")),
        }
    }

    async fn asked<T>(&self, asking: Asking<'_, T>) -> Answer<T> {
        let begun = Instant::now();
        let answer = asking.await;
        self.metrics.dns_seconds.observe(begun.elapsed().as_secs_f64());
        self.metrics.dns.inc(match &answer {
            Answer::Found(_) => DnsResult::Found,
            Answer::NoSuchDomain | Answer::NoRecords => DnsResult::Nothing,
            Answer::Temporary(_) => DnsResult::Temporary,
        });
        answer
    }

    fn is_us(&self, host: &str, ips: &[IpAddr]) -> bool {
        is_our_name(self.config, host) || ips.iter().any(|ip| is_our_address(self.config, *ip, self.config.mx_port))
    }

    fn may_go_to(&self, ip: IpAddr) -> bool {
        self.config.private_targets || is_reachable_for_others(ip)
    }
}

/// Its MX are most likely we ourselves, and whoever took the domain away may bring it back: time decides.
pub(super) const HOMELESS: Reply =
    Reply::new(451, Enhanced(4, 3, 5), "the domain is no tenant's any more; there is no next hop");
/// Not final: the operator is about to correct the tenant.
const OWN_NEXT_HOP: Reply = Reply::new(451, Enhanced(4, 4, 6), "the next hop is this server itself: mail would loop");
const NOT_THERE: Reply = Reply::new(550, Enhanced(5, 1, 2), "no mail goes to an address of that kind");
const ONLY_PRIVATE: Reply =
    Reply::new(451, Enhanced(4, 4, 4), "the mail exchangers' addresses are all loopback, link-local or none");
const LOOP: Reply = Reply::new(554, Enhanced(5, 4, 6), "the domain's mail exchanger is this server: mail would loop");

fn implicit(domain: &Domain) -> Vec<Mx> {
    vec![Mx { preference: 0, exchange: domain.as_str().into() }]
}

fn later(why: &str) -> Route {
    Route::Later(Reply::with_text(451, Enhanced(4, 4, 3), &format!("the DNS gives no answer: {why}")))
}

/// A number nobody needs to trust: where among equals to begin.
fn shuffle() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0u8) & 0xffff) as u16
}
