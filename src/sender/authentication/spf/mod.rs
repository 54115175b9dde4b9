//! SPF (RFC 7208): `check_host()` over the resolver port.
//!
//! **Failure**: a question without an answer is temperror; a wrong record, more than [`TERMS`] look-ups or more than
//! [`VOIDS`] empty answers or [`QUESTIONS`] questions are permerror; longer than [`DEADLINE`] in all is temperror.
//! **Invariants**: only TXT records are read, and two SPF records at one name are a permerror, never "the first one"; a
//! name that can't be one is never asked for; ten MX hosts and ten PTR names at most.
//!
//! An own evaluator, because the library's takes the first record that can be read (decision record 0006).

pub mod macros;
pub mod record;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use crate::dns::{Answer, Resolver};
use crate::model::authentication::SpfResult;
use macros::{DomainSpec, MacroString, Values};
use record::{Lengths, Mechanism, Record};

/// Terms that ask the DNS (section 4.6.4).
pub const TERMS: u32 = 10;
/// Answers without records (section 4.6.4).
pub const VOIDS: u32 = 2;
/// MX hosts, and names of an address (section 4.6.4).
pub const HOSTS: usize = 10;
/// Questions of one evaluation, all kinds together. Ten terms of ten MX hosts each would be 111: a stranger's record is not
/// to spend what the rest of the message needs. RFC 7208 section 11.1 leaves such limits to us.
pub const QUESTIONS: usize = 20;
/// The whole evaluation (section 4.6.4 asks for at least 20 s).
pub const DEADLINE: Duration = Duration::from_secs(20);

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub ip: IpAddr,
    /// The domain whose record is evaluated: of HELO or of MAIL FROM.
    pub domain: &'a str,
    /// Empty: postmaster (section 4.3).
    pub sender_local: &'a str,
    pub sender_domain: &'a str,
    pub helo: &'a str,
    /// This gateway's name, and the time in seconds: for macros of explanations alone.
    pub receiver: &'a str,
    pub now: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    pub result: SpfResult,
    /// The mechanism that decided, or what went wrong.
    pub why: Option<Box<str>>,
    /// The domain owner's words for a fail (section 6.2), expanded: text of a stranger.
    pub explanation: Option<Box<str>>,
}

/// Evaluates the record of `question.domain`.
pub async fn check_host(resolver: &dyn Resolver, question: &Question<'_>) -> Checked {
    let mut run = Run { resolver, question, terms: 0, voids: 0, questions: 0, names: None };
    let whole = async {
        match run.check(question.domain.to_owned()).await {
            Ok(found) => {
                let explanation = match found.exp {
                    Some((spec, domain)) if found.result == SpfResult::Fail => run.explain(&spec, &domain).await,
                    _ => None,
                };
                Checked { result: found.result, why: found.why, explanation }
            }
            Err(stop) => stop.into(),
        }
    };
    tokio::time::timeout(DEADLINE, whole)
        .await
        .unwrap_or_else(|_| Stop::Temporary(format!("not done within {} s", DEADLINE.as_secs())).into())
}

/// Evaluation ends here.
#[derive(Debug)]
enum Stop {
    Temporary(String),
    Permanent(String),
}

impl From<Stop> for Checked {
    fn from(stop: Stop) -> Self {
        let (result, why) = match stop {
            Stop::Temporary(why) => (SpfResult::TempError, why),
            Stop::Permanent(why) => (SpfResult::PermError, why),
        };
        Self { result, why: Some(why.into()), explanation: None }
    }
}

struct Found {
    result: SpfResult,
    why: Option<Box<str>>,
    /// The `exp` of the record that failed, and its domain.
    exp: Option<(DomainSpec, Box<str>)>,
}

impl Found {
    fn plain(result: SpfResult, why: &str) -> Self {
        Self { result, why: Some(why.into()), exp: None }
    }
}

struct Run<'a> {
    resolver: &'a dyn Resolver,
    question: &'a Question<'a>,
    terms: u32,
    voids: u32,
    questions: usize,
    /// The validated names of the address, once asked for.
    names: Option<Vec<Box<str>>>,
}

/// Boxed, because `include` and `redirect` come back here.
type Checking<'s> = Pin<Box<dyn Future<Output = Result<Found, Stop>> + Send + 's>>;

impl Run<'_> {
    fn check(&mut self, domain: String) -> Checking<'_> {
        Box::pin(async move {
            if !can_be_asked(&domain) {
                return Ok(Found::plain(SpfResult::None, "not a domain name"));
            }
            let Some(record) = self.record(&domain).await? else {
                return Ok(Found::plain(SpfResult::None, "no SPF record"));
            };
            for directive in &record.directives {
                if self.matches(&directive.mechanism, &domain).await? {
                    let exp = record.exp.clone().map(|spec| (spec, domain.as_str().into()));
                    let why = format!("{:.120} of {domain}", directive.text);
                    return Ok(Found { result: directive.result, why: Some(why.into()), exp });
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok(Found::plain(SpfResult::Neutral, "no mechanism matches"));
            };
            self.term()?;
            let target = self.expand(redirect, &domain).await;
            let found = self.check(target.clone()).await?;
            if found.result == SpfResult::None {
                return Err(Stop::Permanent(format!("redirect to {target:.120}, which has no SPF record")));
            }
            Ok(found)
        })
    }

    async fn record(&mut self, domain: &str) -> Result<Option<Record>, Stop> {
        self.count_question()?;
        let records = match self.resolver.txt(domain).await {
            Answer::Found(records) => records,
            Answer::NoSuchDomain | Answer::NoRecords => return Ok(None),
            Answer::Temporary(why) => return Err(Stop::Temporary(format!("TXT of {domain}: {why}"))),
        };
        let mut found = records.iter().filter(|text| record::is_spf(text));
        let Some(text) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Stop::Permanent(format!("{domain} has more than one SPF record")));
        }
        Record::parse(text).map(Some).map_err(|wrong| Stop::Permanent(format!("record of {domain}: {wrong}")))
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        let ip = self.question.ip.to_canonical();
        Ok(match mechanism {
            Mechanism::All => true,
            Mechanism::Ip4(network, length) => {
                matches!(ip, IpAddr::V4(ip) if same_prefix(&ip.octets(), &network.octets(), *length))
            }
            Mechanism::Ip6(network, length) => {
                matches!(ip, IpAddr::V6(ip) if same_prefix(&ip.octets(), &network.octets(), *length))
            }
            Mechanism::Include(spec) => {
                self.term()?;
                let target = self.expand(spec, domain).await;
                match self.check(target.clone()).await?.result {
                    SpfResult::Pass => true,
                    SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => false,
                    _ => {
                        return Err(Stop::Permanent(format!("include of {target:.120}, which has no SPF record")));
                    }
                }
            }
            Mechanism::A(spec, lengths) => {
                self.term()?;
                let host = self.target(spec.as_ref(), domain).await;
                self.host_matches(&host, *lengths).await?
            }
            Mechanism::Mx(spec, lengths) => {
                self.term()?;
                let target = self.target(spec.as_ref(), domain).await;
                self.mx_matches(&target, *lengths).await?
            }
            Mechanism::Ptr(spec) => {
                self.term()?;
                let target = self.target(spec.as_ref(), domain).await;
                let names = self.names(true).await?;
                names.iter().any(|name| is_within(name, &target))
            }
            Mechanism::Exists(spec) => {
                self.term()?;
                let name = self.expand(spec, domain).await;
                // Always A, also for IPv6 clients (section 5.7).
                let answer = if can_be_asked(&name) {
                    self.count_question()?;
                    self.resolver.a(&name).await
                } else {
                    Answer::NoRecords
                };
                self.some(answer, "A", &name)?.is_some()
            }
        })
    }

    async fn mx_matches(&mut self, domain: &str, lengths: Lengths) -> Result<bool, Stop> {
        let answer = if can_be_asked(domain) {
            self.count_question()?;
            self.resolver.mx(domain).await
        } else {
            Answer::NoRecords
        };
        let Some(mut hosts) = self.some(answer, "MX", domain)? else { return Ok(false) };
        if hosts.len() > HOSTS {
            return Err(Stop::Permanent(format!("{domain} has more than {HOSTS} MX hosts")));
        }
        hosts.sort();
        for host in hosts {
            if self.host_matches(&host.exchange, lengths).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an address of `host` is in the same network as the client.
    async fn host_matches(&mut self, host: &str, lengths: Lengths) -> Result<bool, Stop> {
        if !can_be_asked(host) {
            return Ok(false);
        }
        self.count_question()?;
        Ok(match self.question.ip.to_canonical() {
            IpAddr::V4(client) => {
                let answer = self.resolver.a(host).await;
                let found = self.some(answer, "A", host)?.unwrap_or_default();
                found.iter().any(|ip| same_prefix(&client.octets(), &ip.octets(), lengths.v4))
            }
            IpAddr::V6(client) => {
                let answer = self.resolver.aaaa(host).await;
                let found = self.some(answer, "AAAA", host)?.unwrap_or_default();
                found.iter().any(|ip| same_prefix(&client.octets(), &ip.octets(), lengths.v6))
            }
        })
    }

    /// The names of the client that lead back to it (section 5.5). What can't be had counts as no name.
    async fn names(&mut self, counted: bool) -> Result<Vec<Box<str>>, Stop> {
        if let Some(names) = &self.names {
            return Ok(names.clone());
        }
        let ip = self.question.ip.to_canonical();
        let mut names = Vec::new();
        self.count_question()?;
        let given = match self.resolver.ptr(ip).await {
            Answer::Found(given) => given,
            Answer::NoSuchDomain | Answer::NoRecords if counted => {
                self.void("PTR", "the client's address")?;
                Vec::new()
            }
            _ => Vec::new(),
        };
        for name in given.into_iter().take(HOSTS).filter(|name| can_be_asked(name)) {
            self.count_question()?;
            let leads_back = match ip {
                IpAddr::V4(ip) => matches!(self.resolver.a(&name).await, Answer::Found(all) if all.contains(&ip)),
                IpAddr::V6(ip) => matches!(self.resolver.aaaa(&name).await, Answer::Found(all) if all.contains(&ip)),
            };
            if leads_back {
                names.push(name);
            }
        }
        self.names = Some(names.clone());
        Ok(names)
    }

    async fn target(&mut self, spec: Option<&DomainSpec>, domain: &str) -> String {
        match spec {
            Some(spec) => self.expand(spec, domain).await,
            None => domain.to_owned(),
        }
    }

    async fn expand(&mut self, spec: &DomainSpec, domain: &str) -> String {
        let name = if spec.wants_name() { self.name_for(domain).await } else { Box::default() };
        spec.expand(&self.values(domain, &name))
    }

    /// The `p` macro (section 7.3): the domain itself, else a name below it, else any.
    async fn name_for(&mut self, domain: &str) -> Box<str> {
        let names = self.names(false).await.unwrap_or_default();
        let exact = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let below = || names.iter().find(|name| is_within(name, domain));
        exact.or_else(below).or(names.first()).cloned().unwrap_or_else(|| "unknown".into())
    }

    fn values<'v>(&'v self, domain: &'v str, name: &'v str) -> Values<'v> {
        let Question { ip, sender_local, sender_domain, helo, receiver, now, .. } = *self.question;
        let sender_local = if sender_local.is_empty() { "postmaster" } else { sender_local };
        Values { sender_local, sender_domain, domain, helo, ip, name, receiver, now }
    }

    /// Whatever goes wrong here, there is no explanation and the result stays (section 6.2).
    async fn explain(&mut self, spec: &DomainSpec, domain: &str) -> Option<Box<str>> {
        let target = self.expand(spec, domain).await;
        if !can_be_asked(&target) {
            return None;
        }
        self.count_question().ok()?;
        let Answer::Found(texts) = self.resolver.txt(&target).await else { return None };
        let [text] = texts.as_slice() else { return None };
        let text = MacroString::parse(std::str::from_utf8(text).ok()?, true)?;
        let name = if text.wants_name() { self.name_for(domain).await } else { Box::default() };
        let mut explanation = text.expand(&self.values(domain, &name));
        explanation.truncate((0..=macros::LONGEST_TEXT).rev().find(|at| explanation.is_char_boundary(*at))?);
        (!explanation.is_empty()).then(|| explanation.into())
    }

    fn term(&mut self) -> Result<(), Stop> {
        self.terms += 1;
        if self.terms > TERMS {
            return Err(Stop::Permanent(format!("more than {TERMS} terms that ask the DNS")));
        }
        Ok(())
    }

    /// Before each question, also one whose answer is already known.
    fn count_question(&mut self) -> Result<(), Stop> {
        self.questions += 1;
        if self.questions > QUESTIONS {
            return Err(Stop::Permanent(format!("more than {QUESTIONS} questions to the DNS")));
        }
        Ok(())
    }

    fn void(&mut self, kind: &str, name: &str) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids > VOIDS {
            return Err(Stop::Permanent(format!(
                "more than {VOIDS} answers without records, last {kind} of {name:.120}"
            )));
        }
        Ok(())
    }

    /// The records, or that there are none (counted), or the end.
    fn some<T>(&mut self, answer: Answer<Vec<T>>, kind: &str, name: &str) -> Result<Option<Vec<T>>, Stop> {
        match answer {
            Answer::Found(records) => Ok(Some(records)),
            Answer::NoSuchDomain | Answer::NoRecords => self.void(kind, name).map(|()| None),
            Answer::Temporary(why) => Err(Stop::Temporary(format!("{kind} of {name:.120}: {why}"))),
        }
    }
}

/// More than one label, each of 1 to 63 octets, 253 in all, no address literal (section 4.3).
fn can_be_asked(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= macros::LONGEST_DOMAIN
        && name.contains('.')
        && !name.starts_with('[')
        && name.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// `name` is `domain` or below it.
fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some(split) = name.len().checked_sub(domain.len()) else { return false };
    match (name.get(..split), name.get(split..)) {
        (Some(before), Some(end)) => end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.')),
        _ => false,
    }
}

fn same_prefix(a: &[u8], b: &[u8], length: u8) -> bool {
    let (whole, bits) = (usize::from(length / 8), length % 8);
    if a.get(..whole) != b.get(..whole) {
        return false;
    }
    match (a.get(whole), b.get(whole)) {
        (Some(a), Some(b)) if bits > 0 => (a ^ b) >> (8 - bits) == 0,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
