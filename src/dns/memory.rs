//! A resolver that knows what it was told: for tests and the demonstration.
//!
//! **Failure**: names it was not told of do not exist.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::{Answer, Asking, Mx, Resolver};

/// Answers from memory; answers may be changed while it is in use.
#[derive(Debug, Default)]
pub struct MemoryResolver {
    mx: Mutex<HashMap<String, Answer<Vec<Mx>>>>,
    ip: Mutex<HashMap<String, Answer<Vec<IpAddr>>>>,
}

impl MemoryResolver {
    #[must_use]
    pub fn with_mx(self, domain: &str, records: &[(u16, &str)]) -> Self {
        let records = records.iter().map(|(preference, host)| Mx { preference: *preference, exchange: (*host).into() });
        self.set_mx(domain, Answer::Found(records.collect()));
        self
    }

    #[must_use]
    pub fn with_ip(self, host: &str, addresses: &[IpAddr]) -> Self {
        self.set_ip(host, Answer::Found(addresses.to_vec()));
        self
    }

    pub fn set_mx(&self, domain: &str, answer: Answer<Vec<Mx>>) {
        self.mx.lock().unwrap_or_else(PoisonError::into_inner).insert(domain.to_ascii_lowercase(), answer);
    }

    pub fn set_ip(&self, host: &str, answer: Answer<Vec<IpAddr>>) {
        self.ip.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_ascii_lowercase(), answer);
    }
}

impl Resolver for MemoryResolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Asking<'a, Vec<Mx>> {
        let name = domain.to_ascii_lowercase();
        let known = self.mx.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        let host = || self.ip.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name);
        let answer = known.unwrap_or_else(|| if host() { Answer::NoRecords } else { Answer::NoSuchDomain });
        Box::pin(std::future::ready(answer))
    }

    fn ip<'a>(&'a self, host: &'a str) -> Asking<'a, Vec<IpAddr>> {
        let known = self.ip.lock().unwrap_or_else(PoisonError::into_inner).get(&host.to_ascii_lowercase()).cloned();
        Box::pin(std::future::ready(known.unwrap_or(Answer::NoSuchDomain)))
    }
}
