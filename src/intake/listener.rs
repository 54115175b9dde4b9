//! One listener's view of intake: its settings, its TLS, and how its connections are greeted.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Intake, connection};
use crate::model::{Reply, Timestamp};
use crate::net::admission::Refusal;
use crate::net::listener::{Accepted, Config, Greeter, ProxyMode, TlsMode};
use crate::net::server_tls::ServerTls;
use crate::policy::replies;
use crate::smtp::SessionConfig;
use crate::telemetry::metrics::Refusal as Refused;
use crate::telemetry::{Event, EventName};

/// Everything a connection of this listener needs to know.
#[derive(Debug)]
pub struct Listener {
    pub config: Config,
    /// Swapped by a reload.
    pub session: ArcSwap<SessionConfig>,
    pub tls: Option<Arc<ServerTls>>,
    pub intake: Arc<Intake>,
}

impl Listener {
    /// The TLS to speak from the first byte on.
    #[must_use]
    pub fn implicit_tls(&self) -> Option<&Arc<ServerTls>> {
        self.tls.as_ref().filter(|_| self.config.tls == TlsMode::Implicit)
    }

    pub(super) fn event<'a>(&'a self, name: EventName, at: Timestamp) -> Event<'a> {
        Event { listener: Some(&self.config.name), direction: Some(self.config.direction), ..Event::new(name, at) }
    }
}

impl Greeter for Listener {
    fn is_behind_proxy(&self) -> bool {
        self.config.proxy == ProxyMode::Required
    }

    fn accepted(self: Arc<Self>, connection: Accepted) {
        let intake = Arc::clone(&self.intake);
        intake.deps.metrics.smtp.connections.inc(self.config.direction);
        intake.tasks.spawn(connection::serve(self, connection));
    }

    fn refused(&self, addr: SocketAddr, refusal: Refusal) -> Reply {
        let (reply, reason) = match refusal {
            Refusal::Full => (replies::TOO_MANY_CONNECTIONS, Refused::ListenerFull),
            Refusal::FullForAddress => (replies::TOO_MANY_FROM_YOU, Refused::IpFull),
            Refusal::Memory => (replies::OUT_OF_RESOURCES, Refused::Memory),
        };
        let deps = &self.intake.deps;
        deps.metrics.smtp.refused.inc(reason);
        deps.log.log(&Event {
            ip: Some(addr.ip().to_canonical()),
            reply: Some(&reply),
            ..self.event(EventName::Connect, deps.clock.now())
        });
        reply
    }
}
