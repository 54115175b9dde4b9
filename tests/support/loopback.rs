//! A loopback address of its own for every peer: 127.N.P.Q with the process id in P.Q and a counter in N.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

static NEXT: AtomicU8 = AtomicU8::new(1);

pub fn fresh_ip() -> IpAddr {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let [.., p, q] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, n.clamp(1, 250), p, q))
}

/// A port that is free on `ip` now. Nobody else uses that address, so it stays free.
pub fn free_port(ip: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("a free port on loopback");
    listener.local_addr().expect("its address")
}
