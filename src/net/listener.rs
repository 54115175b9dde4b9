//! One listening socket: bind, accept, admit, and hand each connection to whoever serves it.
//!
//! **Failure**: no place (see [`super::admission`]) is answered 421 in one non-blocking send; no descriptors left pauses
//! accepting for [`PAUSE`] instead of spinning; the rest of the backlog waits in the kernel.

use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Permit, Refusal};
use super::proxy::{self, ProxyError, Spoken};
use crate::model::{Direction, Peer, Reply};

/// How long accepting rests when the process has no descriptor left.
pub const PAUSE: Duration = Duration::from_millis(100);
/// How long a trusted proxy may take for its header (the specification asks for at least 3 s).
const PROXY_TIME: Duration = Duration::from_secs(5);
const BACKLOG: i32 = 4096;

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    None,
    StartTls,
    Implicit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    Off,
    /// Every connection must come from a trusted proxy and begin with a PROXY header.
    Required,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub name: Box<str>,
    pub direction: Direction,
    pub bind: SocketAddr,
    pub tls: TlsMode,
    pub proxy: ProxyMode,
    pub trusted_proxies: Vec<IpNet>,
    pub xclient_from: Vec<IpNet>,
    /// Relays of our own, which have judged the sender (inbound).
    pub trusted_relays: Vec<IpNet>,
    /// Whether AUTH is offered (outbound, after TLS).
    pub auth: bool,
    /// How long a client must keep silent before our greeting.
    pub early_talk_wait: Duration,
}

/// Binds with a backlog that rides out a burst.
///
/// # Errors
/// As the system says.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Every accepted socket inherits it (tcp(7)), at no system call of its own.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// An admitted connection.
#[derive(Debug)]
pub struct Accepted {
    pub stream: TcpStream,
    pub addr: SocketAddr,
    pub permit: Permit,
}

/// What to say to a connection without a place, and what to count.
pub trait Greeter: Send + Sync + 'static {
    /// The peer is a proxy: the client's share of its address is taken by whoever learns its name.
    fn is_behind_proxy(&self) -> bool;
    fn accepted(self: Arc<Self>, connection: Accepted);
    fn refused(&self, addr: SocketAddr, refusal: Refusal) -> Reply;
}

/// Accepts until `shutdown`; then the socket is closed, so that clients go to another server.
pub async fn run<G: Greeter>(
    listener: TcpListener,
    admission: Arc<Admission>,
    greeter: Arc<G>,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, addr)) => admit(stream, addr, &admission, &greeter),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; pausing");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit<G: Greeter>(stream: TcpStream, addr: SocketAddr, admission: &Arc<Admission>, greeter: &Arc<G>) {
    let permit = if greeter.is_behind_proxy() { admission.admit_unknown() } else { admission.admit(addr.ip()) };
    match permit {
        Ok(permit) => {
            Arc::clone(greeter).accepted(Accepted { stream, addr, permit });
        }
        Err(refusal) => send_off(&stream, &greeter.refused(addr, refusal)),
    }
}

/// Says `reply` without waiting for anybody: a fresh socket has an empty send buffer, so the line fits.
///
/// Goes to the system itself: what the runtime knows of a socket accepted this instant is not yet that it can be written.
pub fn send_off(stream: &TcpStream, reply: &Reply) {
    let mut text = BytesMut::with_capacity(128);
    reply.write_to(&mut text);
    let socket = SockRef::from(stream);
    // Closing with octets unread resets the connection, and the reply with it.
    let _ = (&*socket).read(&mut [0; 512]);
    let _ = socket.send(&text);
}

/// Whether octets of the client are here already; they stay where they are. Asks the system itself, as [`send_off`] does.
#[must_use]
pub fn has_spoken(stream: &TcpStream) -> bool {
    let mut octet = [MaybeUninit::uninit()];
    SockRef::from(stream).peek(&mut octet).is_ok_and(|count| count > 0)
}

/// Errors of the connection that was about to be accepted, not of the listener (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | PermissionDenied)
}

#[must_use]
pub fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

/// Why a connection could not be attributed to a client.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    #[error("the peer is no trusted proxy")]
    Untrusted,
    #[error("no complete PROXY header in time")]
    Time,
    #[error(transparent)]
    Header(#[from] ProxyError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Finds out who the client is; reads the PROXY header where the listener demands one, and not a byte more.
///
/// # Errors
/// [`IdentifyError`]; drop the connection.
pub async fn identify(stream: &mut TcpStream, addr: SocketAddr, config: &Config) -> Result<Peer, IdentifyError> {
    let direct = Peer { addr, via: None };
    if config.proxy == ProxyMode::Off {
        return Ok(direct);
    }
    if !contains(&config.trusted_proxies, addr.ip()) {
        return Err(IdentifyError::Untrusted);
    }
    let spoken = tokio::time::timeout(PROXY_TIME, read_header(stream)).await.map_err(|_| IdentifyError::Time)??;
    Ok(match spoken {
        Spoken::Local => direct,
        Spoken::Client { source, .. } => Peer { addr: source, via: Some(addr) },
    })
}

/// Reads exactly the header: TLS may follow on the very next byte.
async fn read_header(stream: &mut TcpStream) -> Result<Spoken, IdentifyError> {
    // The shortest header of either version is longer than this.
    let mut header = vec![0; 12];
    stream.read_exact(&mut header).await?;
    loop {
        if let Some((spoken, _)) = proxy::parse(&header)? {
            return Ok(spoken);
        }
        let want = proxy::missing(&header);
        let have = header.len();
        header.resize(have + want, 0);
        stream.read_exact(header.get_mut(have..).unwrap_or_default()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const REPLY: Reply = Reply::plain(421, "no");

    /// A fresh pair, as the accepting side sees it before the runtime has polled the new socket.
    async fn accepted(says: &[u8]) -> (std::net::TcpStream, TcpStream) {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(says).unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_refusal_is_heard_whatever_the_client_said_before() {
        for says in [&b""[..], b"EHLO eager.example\r\n"] {
            for _ in 0..50 {
                let (mut client, stream) = accepted(says).await;
                send_off(&stream, &REPLY);
                drop(stream);
                let mut heard = String::new();
                client.read_to_string(&mut heard).unwrap();
                assert_eq!(heard, "421 no\r\n");
            }
        }
    }

    #[tokio::test]
    async fn early_octets_are_seen_and_left_where_they_are() {
        let (_quiet, stream) = accepted(b"").await;
        assert!(!has_spoken(&stream));
        let (_eager, stream) = accepted(b"x").await;
        assert!(has_spoken(&stream) && has_spoken(&stream));
    }
}
