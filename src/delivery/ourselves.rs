//! Who we are and where we listen, so that mail never goes round in circles.
//!
//! **Failure**: an address behind a translation can't be known for ours; name it in the host's name or bind to it. Where the
//! system can't be asked whether it has an address, it is taken for foreign.
//! **Invariants**: nothing is sent and nobody is asked over the network to find out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::config::Config;

/// Addresses for documentation (RFC 5737, RFC 3849): no host has them.
const NOBODY: (IpAddr, IpAddr) =
    (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));

/// Whether a host of this name is us.
#[must_use]
pub(super) fn is_our_name(config: &Config, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case(&config.hostname) || config.own_names.iter().any(|own| host.eq_ignore_ascii_case(own))
}

/// Whether we listen there. A listener on the unspecified address listens on every address of this machine.
#[must_use]
pub(super) fn is_our_address(config: &Config, ip: IpAddr, port: u16) -> bool {
    let ip = ip.to_canonical();
    let on_port = || config.own_addresses.iter().filter(|own| own.port() == port);
    on_port().any(|own| own.ip().to_canonical() == ip)
        || (on_port().any(|own| own.ip().is_unspecified() && own.is_ipv4() == ip.is_ipv4()) && is_of_this_machine(ip))
}

/// An address can be bound to if it is the machine's, unless it lets programs bind to any; then the route tells, for all
/// but an interface's further addresses.
fn is_of_this_machine(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let (any, nobody) = if ip.is_ipv4() {
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), NOBODY.0)
    } else {
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), NOBODY.1)
    };
    let binds = |ip: IpAddr| UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok();
    if binds(ip) && !binds(nobody) {
        return true;
    }
    // Connecting a datagram socket sends nothing; it only looks the route up.
    let source = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

/// Whether a foreign domain's name or literal may lead there: what only this machine or its link answers to, or nobody, is
/// none of a foreigner's business.
#[must_use]
pub(super) fn is_reachable_for_others(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let this_network = ip.octets().first() == Some(&0);
            !(ip.is_loopback() || this_network || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast())
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || ip.is_multicast()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_found_by_each_of_them() {
        let config = |own: &str| Config { own_addresses: vec![own.parse().unwrap()], ..Config::default() };
        let is_us = |own: &str, ip: &str| is_our_address(&config(own), ip.parse().unwrap(), 25);
        assert!(is_us("0.0.0.0:25", "127.0.0.5") && is_us("0.0.0.0:25", "::ffff:127.0.0.5"));
        assert!(!is_us("0.0.0.0:25", "192.0.2.1") && !is_us("0.0.0.0:25", "::1"));
        assert!(is_us("[::]:25", "::1") && !is_us("[::]:25", "127.0.0.1"));
        assert!(!is_us("0.0.0.0:2525", "127.0.0.1"));
        assert!(is_us("192.0.2.1:25", "192.0.2.1") && !is_us("192.0.2.1:25", "192.0.2.2"));
    }

    #[test]
    fn both_names_are_ours() {
        let config =
            Config { hostname: "helo.example".into(), own_names: vec!["mx.example".into()], ..Config::default() };
        assert!(is_our_name(&config, "HELO.example") && is_our_name(&config, "mx.Example."));
        assert!(!is_our_name(&config, "x.example"));
    }

    #[test]
    fn foreigners_lead_to_public_and_private_networks_only() {
        for (ip, may) in [
            ("192.0.2.1", true),
            ("10.1.2.3", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(is_reachable_for_others(ip.parse().unwrap()), may, "{ip}");
        }
    }
}
