//! The resolver port on hickory-resolver: the system's servers or those of the settings, a cache, bounded time.
//!
//! **Failure**: NXDOMAIN and "no such record" are answers; everything else (time-out, SERVFAIL, REFUSED, no server) is
//! [`Answer::Temporary`]. A host whose A is missing and whose AAAA could not be asked is temporary, not missing.
//! **Invariants**: names are asked as they are, never with a search list behind them; at most [`Config::concurrency`]
//! questions are under way, others wait for a place for at most [`Config::deadline`]. A question's own time begins when it has
//! its place: waiting for ourselves proves nothing about the name servers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::recent::{Recent, Records};
use super::silence::Silence;
use super::{Answer, Asking, Mx, Resolver, reverse_name};
use crate::model::units::Span;

/// `[dns]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Resolvers to ask; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// One try of one server.
    pub timeout: Span,
    /// The whole question, all tries and servers.
    pub deadline: Span,
    pub attempts: usize,
    /// Answers kept.
    pub cache: u64,
    /// Questions under way at one time.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Span(Duration::from_secs(3)),
            deadline: Span(Duration::from_secs(12)),
            attempts: 2,
            cache: 32_768,
            concurrency: 512,
        }
    }
}

/// The resolver can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the resolver can't be made: {0}")]
pub struct ResolverError(String);

/// See the module.
pub struct HickoryResolver {
    inner: TokioResolver,
    deadline: Duration,
    under_way: Semaphore,
    silence: Silence,
    recent: Recent,
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl HickoryResolver {
    /// # Errors
    /// [`ResolverError`] if the system's configuration is asked for and can't be read.
    pub fn new(config: &Config) -> Result<Self, ResolverError> {
        let mut builder = if config.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| ResolverError(error.to_string()))?
        } else {
            let servers = config.servers.iter().map(|server| name_server(*server)).collect();
            let servers = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        tune(builder.options_mut(), config);
        let inner = builder.build().map_err(|error| ResolverError(error.to_string()))?;
        Ok(Self {
            inner,
            deadline: config.deadline.0,
            under_way: Semaphore::new(config.concurrency.max(1)),
            silence: Silence::default(),
            recent: Recent::new(),
        })
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Records {
        if let Some(answer) = self.recent.get(name, kind) {
            return answer;
        }
        // Boxed: what waits is large, and most questions never get here.
        Box::pin(self.ask_servers(name, kind)).await
    }

    async fn ask_servers(&self, asked_for: &str, kind: RecordType) -> Records {
        let Ok(mut name) = Name::from_ascii(asked_for) else { return Answer::NoSuchDomain };
        name.set_fqdn(true);
        let silent = || Answer::Temporary("the name servers have been silent for a while".into());
        // Whoever would be turned away doesn't wait first.
        if self.silence.leave_to_ask().is_none() {
            return silent();
        }
        let Ok(_place) = tokio::time::timeout(self.deadline, self.under_way.acquire()).await else {
            return Answer::Temporary("too many questions are under way".into());
        };
        let Some(_leave) = self.silence.leave_to_ask() else { return silent() };
        let asked = tokio::time::timeout(self.deadline, self.inner.lookup(name, kind)).await;
        match &asked {
            Err(_) | Ok(Err(NetError::Timeout | NetError::Io(_) | NetError::NoConnections)) => {
                self.silence.heard_nothing()
            }
            Ok(_) => self.silence.heard(),
        }
        let (answer, lives) = match asked {
            Err(_) => (Answer::Temporary(format!("no answer within {} s", self.deadline.as_secs())), Duration::ZERO),
            Ok(Err(error)) => (negative(&error), negative_lives(&error)),
            Ok(Ok(found)) => {
                let records = found.answers().iter().map(|record| record.data.clone()).collect();
                (Answer::Found(records), found.valid_until().saturating_duration_since(Instant::now()))
            }
        };
        self.recent.keep(asked_for, kind, &answer, lives);
        answer
    }

    async fn records<T>(&self, name: &str, kind: RecordType, pick: fn(&RData) -> Option<T>) -> Answer<Vec<T>> {
        match self.ask(name, kind).await {
            Answer::Found(records) => some(records.iter().filter_map(pick).collect()),
            Answer::NoSuchDomain => Answer::NoSuchDomain,
            Answer::NoRecords => Answer::NoRecords,
            Answer::Temporary(why) => Answer::Temporary(why),
        }
    }

    /// The hosts file has a say too, where the system's configuration is in use.
    async fn hosts_file(&self, host: &str) -> Vec<IpAddr> {
        let Ok(mut name) = Name::from_ascii(host) else { return Vec::new() };
        name.set_fqdn(true);
        match tokio::time::timeout(self.deadline, self.inner.lookup_ip(name)).await {
            Ok(Ok(found)) => found.iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn tune(options: &mut ResolverOpts, config: &Config) {
    options.timeout = config.timeout.0;
    options.attempts = config.attempts.max(1);
    options.cache_size = config.cache;
    options.edns0 = true;
    // A name server that is down for a minute must not make a domain unknown for an hour.
    options.negative_max_ttl = Some(Duration::from_secs(900));
    options.positive_max_ttl = Some(Duration::from_secs(86_400));
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

fn negative<T>(error: &NetError) -> Answer<T> {
    if error.is_nx_domain() {
        Answer::NoSuchDomain
    } else if error.is_no_records_found() {
        no_records(error)
    } else {
        Answer::Temporary(error.to_string())
    }
}

/// For how long there is nothing of the name: not at all without a word of its zone (RFC 2308 section 5).
fn negative_lives(error: &NetError) -> Duration {
    use hickory_resolver::net::DnsError;
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Duration::from_secs(none.negative_ttl.unwrap_or(0).into()),
        _ => Duration::ZERO,
    }
}

/// An answer without records counts only with NOERROR: SERVFAIL and REFUSED come in this dress as well.
fn no_records<T>(error: &NetError) -> Answer<T> {
    use hickory_resolver::net::DnsError;
    use hickory_resolver::proto::op::ResponseCode;
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code != ResponseCode::NoError => {
            Answer::Temporary(format!("the name server said {}", none.response_code))
        }
        _ => Answer::NoRecords,
    }
}

impl Resolver for HickoryResolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Asking<'a, Vec<Mx>> {
        Box::pin(async move {
            self.ask(domain, RecordType::MX).await.map(|records| {
                let mx = records.iter().filter_map(|record| match record {
                    RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: host_name(&mx.exchange) }),
                    _ => None,
                });
                mx.collect::<Vec<_>>()
            })
        })
    }

    fn a<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv4Addr>> {
        Box::pin(async move {
            self.records(name, RecordType::A, |data| match data {
                RData::A(a) => Some(a.0),
                _ => None,
            })
            .await
        })
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv6Addr>> {
        Box::pin(async move {
            self.records(name, RecordType::AAAA, |data| match data {
                RData::AAAA(aaaa) => Some(aaaa.0),
                _ => None,
            })
            .await
        })
    }

    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Box<[u8]>>> {
        Box::pin(async move {
            self.records(name, RecordType::TXT, |data| match data {
                RData::TXT(txt) => Some(txt.txt_data.concat().into()),
                _ => None,
            })
            .await
        })
    }

    fn ptr(&self, ip: IpAddr) -> Asking<'_, Vec<Box<str>>> {
        Box::pin(async move {
            self.records(&reverse_name(ip), RecordType::PTR, |data| match data {
                RData::PTR(name) => Some(host_name(name)),
                _ => None,
            })
            .await
        })
    }

    fn ip<'a>(&'a self, host: &'a str) -> Asking<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let (v4, v6) = tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA));
            match both(v4, v6) {
                Answer::Found(addresses) => Answer::Found(addresses),
                other => match self.hosts_file(host).await {
                    none if none.is_empty() => other,
                    addresses => Answer::Found(addresses),
                },
            }
        })
    }
}

/// No records of the asked type in a positive answer: a CNAME that leads nowhere.
fn some<T>(records: Vec<T>) -> Answer<Vec<T>> {
    if records.is_empty() { Answer::NoRecords } else { Answer::Found(records) }
}

fn both(v4: Records, v6: Records) -> Answer<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for records in [&v4, &v6] {
        if let Answer::Found(records) = records {
            addresses.extend(records.iter().filter_map(RData::ip_addr));
        }
    }
    if !addresses.is_empty() {
        return Answer::Found(addresses);
    }
    match (v4, v6) {
        (Answer::Temporary(why), _) | (_, Answer::Temporary(why)) => Answer::Temporary(why),
        (Answer::NoSuchDomain, _) | (_, Answer::NoSuchDomain) => Answer::NoSuchDomain,
        _ => Answer::NoRecords,
    }
}

/// Lower case, no final dot; the root (null MX) becomes the empty string.
fn host_name(name: &Name) -> Box<str> {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_place_of_our_own_is_bounded_and_is_no_silence_of_the_name_servers() {
        // Nobody is asked: all places are taken.
        let servers = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9))];
        let resolver = HickoryResolver::new(&Config { servers, concurrency: 1, ..Config::default() }).unwrap();
        let place = resolver.under_way.acquire().await.unwrap();
        for _ in 0..5 {
            let begun = tokio::time::Instant::now();
            let answer = resolver.txt("x.example").await;
            assert_eq!(answer, Answer::Temporary("too many questions are under way".into()));
            assert!((12..13).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        }
        let all: Vec<_> = (0..100).map(|_| resolver.silence.leave_to_ask()).collect();
        assert!(all.iter().all(Option::is_some), "a minute of waiting turns nobody away");
        drop(place);
    }
}
