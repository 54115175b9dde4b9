//! From a host and a TLS rule to a connection that is ready for MAIL: TCP, greeting, EHLO or HELO, STARTTLS.
//!
//! **Failure**: a [`Trouble`], never final. Opportunistic TLS that fails is tried once more without (RFC 7435); required
//! and verified TLS never go on without.
//! **Invariants**: EHLO is said again after STARTTLS, and only that answer counts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::time::timeout;

use super::config::Timeouts;
use super::connection::{Connection, Until};
use super::source::{Source, Sources};
use super::trouble::Trouble;
use crate::model::{Remote, Reply};
use crate::net::client_tls::{self, ClientTls, PeerCheck};
use crate::smtp::capabilities::Capabilities;
use crate::spool::Exit;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Worked;
use crate::tenant::TlsPolicy;

/// What every connection needs to begin.
#[derive(Debug)]
pub(super) struct Dialer {
    pub sources: Sources,
    pub tls: ClientTls,
    pub timeouts: Timeouts,
    pub metrics: Arc<Metrics>,
}

/// One address to connect to.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub host: Box<str>,
    pub ip: IpAddr,
    pub port: u16,
    pub tls: TlsPolicy,
    /// `None`: a tenant's.
    pub exit: Option<Exit>,
}

impl Dialer {
    /// Connects and greets.
    pub async fn open(&self, hop: &Hop) -> Result<Connection, Trouble> {
        let source = self.sources.of(hop.exit, hop.ip)?;
        let result = match self.attempt(hop, hop.tls, &source).await {
            Err(Trouble::Handshake(_)) if hop.tls == TlsPolicy::Opportunistic => {
                self.attempt(hop, TlsPolicy::None, &source).await
            }
            other => other,
        };
        self.metrics.delivery.connections.inc(if result.is_ok() { Worked::Yes } else { Worked::No });
        result.map(|mut connection| {
            connection.policy = hop.tls;
            connection
        })
    }

    async fn attempt(&self, hop: &Hop, tls: TlsPolicy, source: &Source<'_>) -> Result<Connection, Trouble> {
        let failed = |source| Trouble::Connect { host: format!("{} [{}]:{}", hop.host, hop.ip, hop.port), source };
        let connecting = source.connect(SocketAddr::new(hop.ip, hop.port));
        let stream = timeout(self.timeouts.connect, connecting)
            .await
            .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        let _ = stream.set_nodelay(true);
        let remote = Remote { host: hop.host.clone(), ip: hop.ip, port: hop.port };
        let mut connection = Connection::new(stream, remote, self.metrics.delivery.connections_open.clone());
        let greeting = connection.said(Until::Within(self.timeouts.greeting), "the greeting").await?;
        if greeting.code() != 220 {
            return Err(Trouble::Refused(greeting));
        }
        self.greet(&mut connection, source).await?;
        if tls != TlsPolicy::None {
            self.secure(&mut connection, (hop, source), tls).await?;
        }
        Ok(connection)
    }

    async fn greet(&self, connection: &mut Connection, source: &Source<'_>) -> Result<(), Trouble> {
        let hello = self.command(connection, &["EHLO ", source.hostname], "the answer to EHLO").await?;
        if hello.code() == 250 {
            connection.capabilities = Capabilities::from_ehlo(&hello);
            return Ok(());
        }
        if hello.is_permanent() {
            let hello = self.command(connection, &["HELO ", source.hostname], "the answer to HELO").await?;
            if hello.code() == 250 {
                connection.capabilities = Capabilities::default();
                return Ok(());
            }
            return Err(Trouble::Refused(hello));
        }
        Err(Trouble::Refused(hello))
    }

    async fn secure(
        &self,
        connection: &mut Connection,
        (hop, source): (&Hop, &Source<'_>),
        tls: TlsPolicy,
    ) -> Result<(), Trouble> {
        let needed = matches!(tls, TlsPolicy::Required | TlsPolicy::Verified);
        if !connection.capabilities.starttls {
            return if needed { Err(Trouble::NoTls) } else { Ok(()) };
        }
        let ready = self.command(connection, &["STARTTLS"], "the answer to STARTTLS").await?;
        if ready.code() != 220 {
            return if needed { Err(Trouble::Refused(ready)) } else { Ok(()) };
        }
        let check = if tls == TlsPolicy::Verified { PeerCheck::Verified } else { PeerCheck::EncryptOnly };
        let plain = connection.take_plain().ok_or(Trouble::Closed { phase: "STARTTLS" })?;
        let shaking = timeout(self.timeouts.tls, self.tls.connect(check, &hop.host, plain));
        let shaken = shaking.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        self.metrics.delivery.tls_handshakes.inc(if shaken.is_ok() { Worked::Yes } else { Worked::No });
        let stream = shaken.map_err(Trouble::Handshake)?;
        let facts = client_tls::facts(&stream);
        connection.put_tls(stream, facts);
        self.greet(connection, source).await
    }

    async fn command(
        &self,
        connection: &mut Connection,
        words: &[&str],
        phase: &'static str,
    ) -> Result<Reply, Trouble> {
        for word in words {
            connection.output.extend_from_slice(word.as_bytes());
        }
        connection.output.extend_from_slice(b"\r\n");
        connection.said(Until::Within(self.timeouts.helo), phase).await
    }
}
