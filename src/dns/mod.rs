//! The resolver port: what delivery and the judgement of senders ask the DNS, and the four things it may hear.
//!
//! **Failure**: [`Answer::Temporary`] is every answer that proves nothing (time-out, SERVFAIL, REFUSED, lame delegation): the
//! caller defers. Only [`Answer::NoSuchDomain`] and [`Answer::NoRecords`] are statements by the domain's owner.
//! **Invariants**: every question ends within a bounded time; names in answers are plain host names without a final dot.

mod hickory;
mod memory;
mod recent;
mod silence;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;

pub use hickory::{Config, HickoryResolver, ResolverError};
pub use memory::MemoryResolver;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    Found(T),
    /// NXDOMAIN: nothing at all has this name.
    NoSuchDomain,
    /// The name exists, with no record of this type.
    NoRecords,
    /// No statement; the text says why, for the log.
    Temporary(String),
}

impl<T> Answer<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Found(value) => Answer::Found(change(value)),
            Self::NoSuchDomain => Answer::NoSuchDomain,
            Self::NoRecords => Answer::NoRecords,
            Self::Temporary(why) => Answer::Temporary(why),
        }
    }
}

/// One MX record (RFC 5321 section 5.1). The exchange of a null MX (RFC 7505) is the empty string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    pub preference: u16,
    pub exchange: Box<str>,
}

/// A question under way.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

/// Boxed futures, because an `async fn` in a trait can't be called through `dyn`.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// The MX records of a domain, in no order.
    fn mx<'a>(&'a self, domain: &'a str) -> Asking<'a, Vec<Mx>>;
    /// The IPv4 and IPv6 addresses of a host.
    fn ip<'a>(&'a self, host: &'a str) -> Asking<'a, Vec<IpAddr>>;
    /// The A records of a name alone: lists answer in them (RFC 5782), and SPF counts its questions one by one.
    fn a<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv4Addr>>;
    /// The AAAA records of a name alone.
    fn aaaa<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv6Addr>>;
    /// The TXT records of a name, the strings of each put together.
    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Box<[u8]>>>;
    /// The names of an address.
    fn ptr(&self, ip: IpAddr) -> Asking<'_, Vec<Box<str>>>;
}

/// The name under which the PTR records of an address stand (RFC 1035 section 3.5, RFC 3596 section 2.5).
#[must_use]
pub fn reverse_name(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => format!("{}.ip6.arpa", reverse_nibbles(ip)),
    }
}

/// The 32 nibbles of an IPv6 address, last first, with dots between them.
#[must_use]
pub fn reverse_nibbles(ip: Ipv6Addr) -> String {
    let mut text = String::with_capacity(64);
    for octet in ip.octets().iter().rev() {
        for nibble in [octet & 15, octet >> 4] {
            if !text.is_empty() {
                text.push('.');
            }
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}
