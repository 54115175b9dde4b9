//! Where a connection comes from: the address it is bound to, and the name we say in EHLO with it.
//!
//! **Failure**: a pool without an address for the server's family is [`Trouble::NoSource`]: the mail waits, and other servers of
//! the destination are tried.
//! **Invariants**: mail of a pool with addresses of its own never leaves by another; nor does mail of [`Pool::Suspect`] if it has
//! none. Tenants' next hops see the address and the name that the system and the settings give, whatever pool the mail is of.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpSocket, TcpStream};

use super::config::{Config, Egress};
use super::trouble::Trouble;
use crate::model::egress::Pool;
use crate::spool::Exit;

/// All of them.
#[derive(Debug)]
pub(super) struct Sources {
    config: Arc<Config>,
    /// Addresses of a pool take turns.
    turn: AtomicUsize,
}

/// One connection's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source<'a> {
    /// `None`: the system's choice.
    pub ip: Option<IpAddr>,
    pub hostname: &'a str,
}

impl Sources {
    pub fn new(config: &Arc<Config>) -> Self {
        Self { config: Arc::clone(config), turn: AtomicUsize::new(0) }
    }

    /// The source for a server.
    pub fn of(&self, exit: Option<Exit>, server: IpAddr) -> Result<Source<'_>, Trouble> {
        let Some(pool) = exit.map(Exit::pool) else { return Ok(self.plain()) };
        self.of_pool(pool, server)
    }

    fn of_pool(&self, pool: Pool, server: IpAddr) -> Result<Source<'_>, Trouble> {
        let Some(egress) = self.egress(pool) else {
            let none = Trouble::NoSource { pool, ip: server };
            return if pool == Pool::Suspect { Err(none) } else { Ok(self.plain()) };
        };
        let fits: Vec<IpAddr> =
            egress.source.iter().copied().filter(|source| source.is_ipv4() == server.is_ipv4()).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % fits.len().max(1);
        let ip = fits.get(turn).copied().ok_or(Trouble::NoSource { pool, ip: server })?;
        Ok(Source { ip: Some(ip), hostname: &egress.hostname })
    }

    fn egress(&self, pool: Pool) -> Option<&Egress> {
        let of = |pool| self.config.egress.iter().find(|egress| egress.pool == pool);
        match pool {
            Pool::Bulk => of(pool).or_else(|| of(Pool::Normal)),
            Pool::Normal | Pool::Suspect => of(pool),
        }
    }

    fn plain(&self) -> Source<'_> {
        Source { ip: None, hostname: &self.config.hostname }
    }
}

impl Source<'_> {
    /// Connects from there.
    pub async fn connect(&self, server: SocketAddr) -> io::Result<TcpStream> {
        let Some(ip) = self.ip else { return TcpStream::connect(server).await };
        let socket = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(ip, 0))?;
        socket.connect(server).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(egress: &[(Pool, &[&str], &str)]) -> Sources {
        let egress = egress.iter().map(|(pool, source, hostname)| Egress {
            pool: *pool,
            source: source.iter().map(|ip| ip.parse().unwrap()).collect(),
            hostname: (*hostname).into(),
        });
        let config = Config { hostname: "plain.example".into(), egress: egress.collect(), ..Config::default() };
        Sources::new(&Arc::new(config))
    }

    fn said(sources: &Sources, pool: Pool, server: &str) -> String {
        match sources.of_pool(pool, server.parse().unwrap()) {
            Ok(Source { ip: Some(ip), hostname }) => format!("{ip} {hostname}"),
            Ok(Source { ip: None, hostname }) => hostname.to_owned(),
            Err(trouble) => trouble.reply().to_string(),
        }
    }

    #[test]
    fn suspect_mail_leaves_by_its_own_addresses_or_not_at_all() {
        let none = sources(&[]);
        assert_eq!(said(&none, Pool::Normal, "192.0.2.1"), "plain.example");
        assert_eq!(said(&none, Pool::Bulk, "192.0.2.1"), "plain.example");
        assert!(said(&none, Pool::Suspect, "192.0.2.1").starts_with("451 4.3.5"));
        let normal = sources(&[(Pool::Normal, &["203.0.113.1"], "out.example")]);
        assert_eq!(said(&normal, Pool::Bulk, "192.0.2.1"), "203.0.113.1 out.example");
        assert!(said(&normal, Pool::Suspect, "192.0.2.1").starts_with("451 4.3.5"));
        assert!(said(&normal, Pool::Normal, "2001:db8::1").starts_with("451 4.3.5"), "never from another address");
    }

    #[test]
    fn addresses_take_turns_within_the_servers_family() {
        let own: &[&str] = &["203.0.113.1", "2001:db8::25", "203.0.113.2"];
        let sources = sources(&[(Pool::Suspect, own, "s.example"), (Pool::Normal, &["203.0.113.9"], "n.example")]);
        let four: Vec<String> = (0..2).map(|_| said(&sources, Pool::Suspect, "192.0.2.1")).collect();
        assert!(four.contains(&"203.0.113.1 s.example".into()) && four.contains(&"203.0.113.2 s.example".into()));
        assert_eq!(said(&sources, Pool::Suspect, "2001:db8:1::1"), "2001:db8::25 s.example");
        assert_eq!(sources.of(None, "192.0.2.1".parse().unwrap()).unwrap().hostname, "plain.example");
    }
}
