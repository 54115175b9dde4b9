//! A loopback address of its own for every peer: 127.N.P.Q with the process id in P.Q and a counter in N.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

static NEXT: AtomicU16 = AtomicU16::new(0);

pub fn fresh_ip() -> IpAddr {
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let [.., p, q] = std::process::id().to_be_bytes();
    // 127.0 and 127.255 are left to others; where all tests share one process, the counter goes round.
    let [_, n] = (1 + count % 254).to_be_bytes();
    let [_, round] = (count / 254).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, n, p ^ round, q))
}

/// A port that is free on `ip` now, and was not given out before. Nobody else uses that address, so it stays free.
pub fn free_port(ip: IpAddr) -> SocketAddr {
    static GIVEN: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());
    loop {
        let listener = TcpListener::bind((ip, 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.contains(&address) {
            given.push(address);
            return address;
        }
    }
}
