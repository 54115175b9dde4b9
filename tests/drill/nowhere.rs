//! A name server on loopback that knows no name: every question is answered NXDOMAIN, at once. Senders are looked up for
//! every message; without this each look-up would wait for nobody.

use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;

/// One for the process; it runs to its end.
pub fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket for the name server");
        let address = socket.local_addr().expect("its address");
        std::thread::spawn(move || serve(&socket));
        address
    })
}

fn serve(socket: &UdpSocket) {
    let mut buffer = [0; 1024];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(answer) = buffer.get(..length).and_then(no_such_name) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The question with the answer bit and code 3 (RFC 1035 section 4.1.1), and the SOA that says for how long.
fn no_such_name(query: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    loop {
        let label = usize::from(*query.get(end)?);
        end += 1 + label;
        if label == 0 {
            break;
        }
    }
    let mut answer = query.get(..end + 4)?.to_vec();
    let flags = [0x80 | (answer.get(2)? & 1), 0x83];
    answer.get_mut(2..4)?.copy_from_slice(&flags);
    answer.get_mut(6..12)?.copy_from_slice(&[0, 0, 0, 1, 0, 0]);
    // The root's SOA, type 6, for an hour: by it the answer may be remembered (RFC 2308 section 5).
    answer.extend_from_slice(&[0, 0, 6, 0, 1, 0, 0, 14, 16, 0, 22, 0, 0]);
    for number in [1u32, 3600, 600, 86_400, 3600] {
        answer.extend_from_slice(&number.to_be_bytes());
    }
    Some(answer)
}
