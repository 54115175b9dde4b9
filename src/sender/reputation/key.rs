//! What a record is kept under: an address, its network, or an authenticated domain.
//!
//! **Invariants**: two addresses of one IPv6 /64 are one source, because a host owns a /64; an IPv4-mapped address is IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::model::Domain;
use crate::tables::hash;
use crate::tables::state_file::Fixed;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    V4(u32),
    /// The upper half: a /64.
    V6(u64),
    /// A /24, without its last octet.
    V4Network(u32),
    /// A /48.
    V6Network(u64),
    /// 64 bits of SHA-256: nobody finds a second domain for a place that is worth having.
    Domain(u64),
}

impl Key {
    #[must_use]
    pub fn address(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(upper(ip)),
        }
    }

    #[must_use]
    pub fn network(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4Network(ip.to_bits() >> 8),
            IpAddr::V6(ip) => Self::V6Network(upper(ip) >> 16),
        }
    }

    #[must_use]
    pub fn domain(domain: &Domain) -> Self {
        Self::Domain(hash(&[domain.as_str().as_bytes()]))
    }

    /// In words; a domain can't be told from its hash.
    #[must_use]
    pub fn to_network(self) -> Option<IpNet> {
        match self {
            Self::V4(bits) => Ipv4Net::new(Ipv4Addr::from_bits(bits), 32).ok().map(IpNet::V4),
            Self::V4Network(bits) => Ipv4Net::new(Ipv4Addr::from_bits(bits << 8), 24).ok().map(IpNet::V4),
            Self::V6(bits) => Ipv6Net::new(from_upper(bits), 64).ok().map(IpNet::V6),
            Self::V6Network(bits) => Ipv6Net::new(from_upper(bits << 16), 48).ok().map(IpNet::V6),
            Self::Domain(_) => None,
        }
    }
}

fn upper(ip: Ipv6Addr) -> u64 {
    u64::try_from(ip.to_bits() >> 64).unwrap_or(0)
}

fn from_upper(bits: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(bits) << 64)
}

impl Fixed for Key {
    const SIZE: usize = 9;

    fn write(&self, out: &mut Vec<u8>) {
        let (kind, bits) = match *self {
            Self::V4(bits) => (1, u64::from(bits)),
            Self::V6(bits) => (2, bits),
            Self::V4Network(bits) => (3, u64::from(bits)),
            Self::V6Network(bits) => (4, bits),
            Self::Domain(bits) => (5, bits),
        };
        out.push(kind);
        out.extend_from_slice(&bits.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, bits) = bytes.split_first()?;
        let bits = u64::from_le_bytes(bits.try_into().ok()?);
        match kind {
            1 => Some(Self::V4(u32::try_from(bits).ok()?)),
            2 => Some(Self::V6(bits)),
            3 => Some(Self::V4Network(u32::try_from(bits).ok().filter(|bits| bits >> 24 == 0)?)),
            4 => Some(Self::V6Network(Some(bits).filter(|bits| bits >> 48 == 0)?)),
            5 => Some(Self::Domain(bits)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_what_an_operator_expects() {
        let told = |ip: &str| {
            let ip = ip.parse().unwrap();
            let text = |key: Key| key.to_network().unwrap().to_string();
            (text(Key::address(ip)), text(Key::network(ip)))
        };
        assert_eq!(told("192.0.2.77"), ("192.0.2.77/32".into(), "192.0.2.0/24".into()));
        assert_eq!(told("::ffff:192.0.2.77"), told("192.0.2.77"));
        assert_eq!(told("2001:db8:1:2:3::4"), ("2001:db8:1:2::/64".into(), "2001:db8:1::/48".into()));
    }

    #[test]
    fn keys_read_back_and_others_are_refused() {
        let (v4, v6) = ("192.0.2.77".parse().unwrap(), "2001:db8:1:2:3::4".parse().unwrap());
        let domain = Domain::parse("a.example").unwrap();
        for key in [Key::address(v4), Key::network(v4), Key::address(v6), Key::network(v6), Key::domain(&domain)] {
            let mut bytes = Vec::new();
            key.write(&mut bytes);
            assert_eq!((bytes.len(), Key::read(&bytes)), (Key::SIZE, Some(key)));
        }
        for bad in [[0; 9], [9; 9], [1, 0, 0, 0, 0, 1, 0, 0, 0], [3, 0, 0, 0, 1, 0, 0, 0, 0]] {
            assert_eq!(Key::read(&bad), None);
        }
    }

    #[test]
    fn parts_of_a_hash_do_not_run_into_each_other() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_eq!(hash(&[b"a"]), hash(&[b"a"]));
    }
}
