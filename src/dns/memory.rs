//! A resolver that knows what it was told: for tests and the demonstration.
//!
//! **Failure**: names it was not told of do not exist; a name that is told of has no records of the other types.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use super::{Answer, Asking, Mx, Resolver, reverse_name};

/// What is known of one name.
#[derive(Debug, Default, Clone)]
struct Known {
    mx: Option<Answer<Vec<Mx>>>,
    ip: Option<Answer<Vec<IpAddr>>>,
    txt: Option<Answer<Vec<Box<[u8]>>>>,
    ptr: Option<Answer<Vec<Box<str>>>>,
}

/// Answers from memory; answers may be changed while it is in use.
#[derive(Debug, Default)]
pub struct MemoryResolver {
    names: Mutex<HashMap<String, Known>>,
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

    #[must_use]
    pub fn with_txt(self, name: &str, records: &[&str]) -> Self {
        self.set_txt(name, Answer::Found(records.iter().map(|text| text.as_bytes().into()).collect()));
        self
    }

    #[must_use]
    pub fn with_ptr(self, ip: IpAddr, names: &[&str]) -> Self {
        self.set_ptr(ip, Answer::Found(names.iter().map(|name| (*name).into()).collect()));
        self
    }

    pub fn set_mx(&self, domain: &str, answer: Answer<Vec<Mx>>) {
        self.set(domain, |known| known.mx = Some(answer));
    }

    pub fn set_ip(&self, host: &str, answer: Answer<Vec<IpAddr>>) {
        self.set(host, |known| known.ip = Some(answer));
    }

    pub fn set_txt(&self, name: &str, answer: Answer<Vec<Box<[u8]>>>) {
        self.set(name, |known| known.txt = Some(answer));
    }

    pub fn set_ptr(&self, ip: IpAddr, answer: Answer<Vec<Box<str>>>) {
        self.set(&reverse_name(ip), |known| known.ptr = Some(answer));
    }

    fn set(&self, name: &str, set: impl FnOnce(&mut Known)) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        set(names.entry(plain(name)).or_default());
    }

    fn look<T>(&self, name: &str, pick: impl FnOnce(&Known) -> Option<Answer<T>>) -> Answer<T> {
        match self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&plain(name)) {
            Some(known) => pick(known).unwrap_or(Answer::NoRecords),
            None => Answer::NoSuchDomain,
        }
    }

    fn addresses<T>(&self, name: &str, family: fn(&IpAddr) -> Option<T>) -> Answer<Vec<T>> {
        match self.look(name, |known| known.ip.clone()).map(|all| all.iter().filter_map(family).collect::<Vec<T>>()) {
            Answer::Found(none) if none.is_empty() => Answer::NoRecords,
            answer => answer,
        }
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Resolver for MemoryResolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Asking<'a, Vec<Mx>> {
        Box::pin(std::future::ready(self.look(domain, |known| known.mx.clone())))
    }

    fn ip<'a>(&'a self, host: &'a str) -> Asking<'a, Vec<IpAddr>> {
        Box::pin(std::future::ready(self.look(host, |known| known.ip.clone())))
    }

    fn a<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv4Addr>> {
        let v4 = |ip: &IpAddr| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None };
        Box::pin(std::future::ready(self.addresses(name, v4)))
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv6Addr>> {
        let v6 = |ip: &IpAddr| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None };
        Box::pin(std::future::ready(self.addresses(name, v6)))
    }

    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Box<[u8]>>> {
        Box::pin(std::future::ready(self.look(name, |known| known.txt.clone())))
    }

    fn ptr(&self, ip: IpAddr) -> Asking<'_, Vec<Box<str>>> {
        Box::pin(std::future::ready(self.look(&reverse_name(ip), |known| known.ptr.clone())))
    }
}
