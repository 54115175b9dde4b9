//! One running node: everything built from the settings, started in order, drained in order.
//!
//! Order of start: log, tenants, spool (which recovers what was accepted), delivery, then the listeners, so that nothing is
//! accepted before it could be kept and delivered. Draining goes the other way: listeners, connections, delivery.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::accounts::{self, Delivered, Notices};
use super::explain_control::Dry;
use super::health::NodeHealth;
use super::lessons::Lessons;
use super::next_hop::ByDelivery;
use super::outbound_control::Feedback;
use super::quarantine_control::{HeldMail, SpamRule, finish_releases};
use super::queue_control::SpoolQueue;
use super::reload::Reloader;
use super::reputation_control::Records;
use super::suspension_control::Measures;
use super::{convert, forwarding, outbound_control, resources, scanning, senders, signature_sets, signing, suspension};
use crate::accounts::Accounts;
use crate::admin::control::{Control, Ports};
use crate::admin::observe::{self, Observe};
use crate::clock::Clock;
use crate::config::{ListenerSettings, Loaded, MailLogTarget, Settings};
use crate::delivery;
use crate::dns::Resolver;
use crate::faults::Faults;
use crate::intake::identity::Identity;
use crate::intake::judging::Judges;
use crate::intake::listener::Listener;
use crate::intake::seal::Sealer;
use crate::intake::{self, Intake};
use crate::limits::Outbound;
use crate::model::egress::{OutboundSpam, Pool};
use crate::net::admission::{self, Admission};
use crate::net::client_tls::ClientTls;
use crate::net::listener as sockets;
use crate::net::server_tls::ServerTls;
use crate::policy::srs::Rewriter;
use crate::quarantine::Quarantine;
use crate::scan::Scanner;
use crate::sender::authentication::keyring::Keyring;
use crate::spool::{self, Spool};
use crate::store::{
    Follower, SharedKeys, SharedLists, SharedTenants, SqliteKeys, SqliteLists, SqliteSuspensions, SqliteTenants, Step,
    StoreError,
};
use crate::telemetry::metrics::Worked;
use crate::telemetry::{Event, EventName, MailLog, Metrics};
use crate::tenant::Snapshot;

/// The environment variable that arms a drill point (see [`crate::faults`]).
const DRILL: &str = "SEKISHO_DRILL_KILL";

/// How long operators' connections may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a demonstration replaces.
#[derive(Debug, Default)]
pub struct Overrides {
    pub resolver: Option<Arc<dyn Resolver>>,
    pub mx_port: Option<u16>,
    /// MX may lead to loopback, where the demonstration's next hop is.
    pub private_targets: bool,
}

/// Why a node doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    #[error("cannot use the data directory {path}: {source}", path = .path.display())]
    DataDir { path: PathBuf, source: io::Error },
    #[error("cannot open the mail log: {0}")]
    MailLog(io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] spool::OpenError),
    #[error(transparent)]
    Quarantine(#[from] crate::quarantine::OpenError),
    #[error("listener {name}: cannot listen on {addr}: {source}")]
    Bind { name: Box<str>, addr: SocketAddr, source: io::Error },
    #[error("listener {name}: {source}")]
    Tls { name: Box<str>, source: crate::net::server_tls::TlsError },
    #[error("{0}")]
    Other(String),
}

/// What all parts of a node share.
struct Parts {
    metrics: Arc<Metrics>,
    log: MailLog,
    clock: Clock,
    faults: Faults,
    snapshot: Arc<ArcSwap<Snapshot>>,
    spool: Spool,
    admission: Arc<Admission>,
    judges: Judges,
    lists: SharedLists,
    keys: SharedKeys,
    sealer: Sealer,
    rewriter: Arc<Rewriter>,
    scanner: Scanner,
    quarantine: Quarantine,
    accounts: Accounts,
    suspensions: Arc<suspension::Keeper>,
    outbound: Outbound,
    /// Counters of sources are saved here on exit.
    data_dir: PathBuf,
    shutdown: CancellationToken,
}

/// A running node.
pub struct Node {
    parts: Parts,
    intake: Arc<Intake>,
    delivery: delivery::Handle,
    reloader: Arc<Reloader>,
    notices: Notices,
    accepting: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
    observe: Option<Observe>,
    control: Control,
    /// Ends the servers for operators, last of all.
    stop_admin: CancellationToken,
    drain: Duration,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Node {
    /// Starts everything; mail is accepted when this returns. What goes over all tenants or the whole queue, and operators, are for
    /// `housekeeping`: nobody's mail waits for it.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    pub async fn start(
        file: Option<&Path>,
        loaded: Loaded,
        overrides: Overrides,
        housekeeping: &Handle,
    ) -> Result<Self, StartError> {
        let settings = &loaded.settings;
        create_private(&settings.data_dir)
            .map_err(|source| StartError::DataDir { path: settings.data_dir.clone(), source })?;
        // First of all, because it fails most often: nothing has been touched then.
        let sockets = bind_all(settings)?;
        let metrics = Metrics::new();
        let store: SharedTenants = Arc::new(SqliteTenants::open(&settings.data_dir).await?);
        let [resolver, judging] = senders::resolvers(&convert::dns(settings), overrides.resolver)?;
        let clock = Clock::default();
        let judges = senders::open(settings, judging, clock.clone(), Arc::clone(&metrics)).await?;
        let parts = Parts::open(settings, &store, (clock, judges), metrics).await?;
        let tls = client_tls(settings)?;
        let mut delivery_config = convert::delivery(settings);
        delivery_config.mx_port = overrides.mx_port.unwrap_or(delivery_config.mx_port);
        delivery_config.private_targets |= overrides.private_targets;
        let delivery = delivery::build(
            delivery_config,
            delivery::Deps {
                spool: parts.spool.clone(),
                resolver,
                snapshot: Arc::clone(&parts.snapshot),
                clock: parts.clock.clone(),
                metrics: Arc::clone(&parts.metrics),
                log: parts.log.clone(),
                faults: parts.faults.clone(),
                observers: vec![
                    parts.delivered(),
                    Arc::new(Feedback {
                        outbound: parts.outbound.clone(),
                        clock: parts.clock.clone(),
                        rewriter: Arc::clone(&parts.rewriter),
                    }),
                ],
                tls,
                rewriter: Arc::clone(&parts.rewriter),
                shutdown: parts.shutdown.clone(),
            },
        );
        let next_hop = Arc::new(ByDelivery { handoff: delivery.handoff(), probe: delivery.probe() });
        let intake = Intake::build(convert::intake(settings), parts.intake_deps(Arc::clone(&next_hop)));
        let listeners = build_listeners(settings, &intake)?;
        let look_for_sets = Arc::new(Notify::new());
        let reloader = Arc::new(Reloader {
            file: file.map(Path::to_owned),
            started: loaded.clone(),
            running: ArcSwap::from_pointee(loaded.clone()),
            intake: Arc::clone(&intake),
            suspensions: Arc::clone(&parts.suspensions),
            listeners: listeners.clone(),
            look_for_sets: Arc::clone(&look_for_sets),
            metrics: Arc::clone(&parts.metrics),
            log: parts.log.clone(),
            clock: parts.clock.clone(),
        });
        parts.metrics.config.last_reload_successful.set(1);
        let stop_admin = CancellationToken::new();
        // Who can't serve mail shall not look well.
        let observe = parts.start_observe(settings, &stop_admin)?;
        let serving = Handle::current();
        let (control, helpers) = {
            let _entered = housekeeping.enter();
            let control = parts.start_control(settings, &reloader, next_hop, &stop_admin)?;
            (control, parts.start_helpers(settings, store, look_for_sets, &serving))
        };
        let notices = parts.notices(settings);
        let accepting = sockets.into_iter().zip(listeners).zip(&settings.listeners).map(|((socket, listener), own)| {
            let limits = admission::Config {
                max_connections: own.max_connections,
                max_per_ip: Some(own.max_connections_per_ip),
            };
            let places = Admission::within(&parts.admission, limits);
            tokio::spawn(sockets::run(socket, places, listener, parts.shutdown.clone()))
        });
        let accepting = accepting.collect();
        let drain = settings.drain_timeout;
        Ok(Self { parts, intake, delivery, reloader, notices, accepting, helpers, observe, control, stop_admin, drain })
    }

    #[must_use]
    pub fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// Serves until `stop`, then drains: no new connections, idle ones are told 421, transactions under way may end, deliveries
    /// too, all within the drain time. What is left is on disk.
    pub async fn run(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.parts.shutdown.cancel();
        let drained = async {
            for task in self.accepting {
                let _ = task.await;
            }
            self.intake.drained().await;
            self.delivery.drained().await;
        };
        if tokio::time::timeout(self.drain, drained).await.is_err() {
            tracing::warn!("the drain time is over; connections still open are cut");
        }
        let aborts: Vec<_> = self.helpers.iter().map(JoinHandle::abort_handle).collect();
        let ended = async {
            for helper in self.helpers {
                let _ = helper.await;
            }
        };
        // What they have to write down they write now.
        let _ = tokio::time::timeout(LAST_WORDS, ended).await;
        aborts.iter().for_each(AbortHandle::abort);
        self.stop_admin.cancel();
        let ended = async {
            self.control.ended().await;
            if let Some(observe) = self.observe {
                observe.ended().await;
            }
        };
        // A reader that stopped reading must not keep the process.
        let _ = tokio::time::timeout(LAST_WORDS, ended).await;
        accounts::save(&self.parts.accounts, &self.notices).await;
        outbound_control::save(self.parts.outbound, self.parts.data_dir.clone()).await;
        let now = self.parts.clock.now();
        senders::save(self.parts.judges, self.parts.lists, self.parts.data_dir, now).await;
        self.parts.log.flush();
    }
}

impl Parts {
    async fn open(
        settings: &Settings,
        store: &SharedTenants,
        (clock, judges): (Clock, Judges),
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let log = match &settings.log.mail {
            MailLogTarget::Stdout => MailLog::to_stdout(&metrics),
            MailLogTarget::File(path) => MailLog::to_file(path, &metrics),
        };
        let log = log.map_err(StartError::MailLog)?;
        let faults = match std::env::var(DRILL) {
            Ok(text) => Faults::parse(&text).map_err(StartError::Other)?,
            Err(_) => Faults::default(),
        };
        let lists: SharedLists = Arc::new(SqliteLists::open(&settings.data_dir).await?);
        let entries = crate::store::lists(&*lists).await?;
        let snapshot = crate::store::snapshot(&**store).await?.with_lists(Arc::new(entries));
        count(&metrics, &snapshot);
        let keys: SharedKeys = Arc::new(SqliteKeys::open(&settings.data_dir).await?);
        let sealer = Sealer::new(Arc::new(ArcSwap::from_pointee(signing::read(&*keys, &Keyring::default()).await?)));
        let rewriter = Arc::new(forwarding::open(&settings.data_dir)?);
        let deps = spool::Deps {
            clock: clock.clone(),
            faults: faults.clone(),
            metrics: Arc::clone(&metrics),
            log: log.clone(),
        };
        let config = convert::spool(settings);
        let opened = tokio::task::spawn_blocking(move || Spool::open(config, deps)).await;
        let (spool, report) = opened.map_err(|error| StartError::Other(error.to_string()))??;
        tracing::info!(
            messages = report.messages,
            recipients = report.queued + report.held,
            held = report.held,
            damaged = report.damaged.len(),
            "spool read"
        );
        let deps = crate::quarantine::Deps {
            clock: clock.clone(),
            faults: faults.clone(),
            metrics: Arc::clone(&metrics),
            log: log.clone(),
        };
        let (scanner, quarantine) = scanning::open(settings, deps).await?;
        finish_releases(&quarantine, &spool).await;
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let accounts = accounts::open(settings, Arc::clone(&snapshot), clock.clone(), Arc::clone(&metrics)).await?;
        let limits = Arc::clone(&judges.limits);
        let outbound = outbound_control::open(settings, limits, &clock, Arc::clone(&metrics));
        let max_connections = resources::connections_that_fit(
            settings.limits.max_connections,
            settings.delivery.concurrency.total,
            settings.limits.descriptor_reserve,
        );
        let admission = Admission::new(admission::Config { max_connections, max_per_ip: None });
        let store = Arc::new(SqliteSuspensions::open(&settings.data_dir).await?);
        let (measures, version) = suspension::open(settings, clock.clone(), &*store).await?;
        let deps = suspension::Deps {
            measures,
            store,
            spool: spool.clone(),
            snapshot: Arc::clone(&snapshot),
            rewriter: Arc::clone(&rewriter),
            clock: clock.clone(),
            log: log.clone(),
            metrics: Arc::clone(&metrics),
        };
        outbound.tell(Arc::new(deps.measures.clone()));
        let suspensions = Arc::new(suspension::Keeper::new(deps, settings, version));
        Ok(Self {
            metrics,
            log,
            clock,
            faults,
            snapshot,
            spool,
            admission,
            judges,
            lists,
            keys,
            sealer,
            rewriter,
            scanner,
            quarantine,
            accounts,
            suspensions,
            outbound,
            data_dir: settings.data_dir.clone(),
            shutdown: CancellationToken::new(),
        })
    }

    fn intake_deps(&self, next_hop: Arc<ByDelivery>) -> intake::Deps {
        intake::Deps {
            snapshot: Arc::clone(&self.snapshot),
            spool: self.spool.clone(),
            next_hop: Arc::clone(&next_hop) as Arc<_>,
            probe: next_hop,
            judges: self.judges.clone(),
            sealer: self.sealer.clone(),
            identity: Identity::new(&self.sealer, Arc::clone(&self.rewriter)),
            scanner: self.scanner.clone(),
            quarantine: self.quarantine.clone(),
            accounts: self.accounts.clone(),
            suspensions: self.suspensions.measures().clone(),
            outbound: self.outbound.clone(),
            admission: Arc::clone(&self.admission),
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
            log: self.log.clone(),
            faults: self.faults.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    fn start_observe(&self, settings: &Settings, stop: &CancellationToken) -> Result<Option<Observe>, StartError> {
        let health = Arc::new(NodeHealth {
            spool: self.spool.clone(),
            admission: Arc::clone(&self.admission),
            shutdown: self.shutdown.clone(),
        });
        let Some(bind) = settings.observe.bind else { return Ok(None) };
        let started = Observe::start(&observe::Config { bind }, Arc::clone(&self.metrics), health, stop.clone());
        started.map(Some).map_err(|error| StartError::Other(error.to_string()))
    }

    fn start_control(
        &self,
        settings: &Settings,
        reloader: &Arc<Reloader>,
        probe: Arc<ByDelivery>,
        stop: &CancellationToken,
    ) -> Result<Control, StartError> {
        let queue = Arc::new(SpoolQueue { spool: self.spool.clone() });
        let reputation = Arc::new(Records {
            reputation: Arc::clone(&self.judges.source.reputation),
            clock: self.clock.clone(),
            data_dir: settings.data_dir.clone(),
        });
        let explain = Arc::new(Dry {
            judges: self.judges.clone(),
            snapshot: Arc::clone(&self.snapshot),
            probe,
            spool: self.spool.clone(),
            admission: Arc::clone(&self.admission),
            accounts: self.accounts.clone(),
            trusted_relays: settings.listeners.iter().flat_map(|one| one.trusted_relays.iter().copied()).collect(),
            clock: self.clock.clone(),
        });
        let running = Arc::clone(reloader);
        let quarantine = Arc::new(HeldMail {
            quarantine: self.quarantine.clone(),
            spool: self.spool.clone(),
            scanner: self.scanner.clone(),
            lessons: Lessons::start(
                self.scanner.clone(),
                settings.content.scan.classifier.learn_from_releases,
                Arc::clone(&self.metrics),
            ),
            spam: SpamRule(Box::new(move || {
                let outbound = &running.running.load().settings.outbound;
                let has_pool = outbound.egress.iter().any(|one| one.pool == Pool::Suspect);
                if has_pool { OutboundSpam::SuspectPool } else { outbound.spam }
            })),
            inbound_at_once: Semaphore::new(1),
            outbound_at_once: Semaphore::new(1),
            authserv_id: self.judges.authenticator.authserv_id().into(),
            suspensions: self.suspensions.measures().clone(),
            identity: Identity::new(&self.sealer, Arc::clone(&self.rewriter)),
            snapshot: Arc::clone(&self.snapshot),
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
        });
        let suspension = Arc::new(Measures {
            keeper: Arc::clone(&self.suspensions),
            outbound: self.outbound.clone(),
            data_dir: self.data_dir.clone(),
        });
        let ports =
            Ports { queue, reload: Arc::clone(reloader) as Arc<_>, reputation, explain, quarantine, suspension };
        Control::start(&settings.data_dir, ports, stop.clone()).map_err(|error| StartError::Other(error.to_string()))
    }

    fn start_helpers(
        &self,
        settings: &Settings,
        store: SharedTenants,
        look_for_sets: Arc<Notify>,
        serving: &Handle,
    ) -> Vec<JoinHandle<()>> {
        let (metrics, log, clock) = (Arc::clone(&self.metrics), self.log.clone(), self.clock.clone());
        let live = Arc::clone(&self.snapshot);
        let follower = Follower::new(store, Arc::clone(&live)).with_lists(Arc::clone(&self.lists));
        let stop = self.shutdown.clone();
        let following = follower.run(move |step| match step {
            Ok(Step::Unchanged) => {}
            Ok(Step::Live { version, tenants, entries }) => {
                metrics.tenants.snapshots.inc(Worked::Yes);
                count(&metrics, &live.load());
                tracing::info!(version, tenants, entries, "tenants or lists changed");
            }
            Err(error) => {
                metrics.tenants.snapshots.inc(Worked::No);
                let reason = error.to_string();
                tracing::error!(%reason, "tenants not taken, the running ones stay");
                log.log(&Event { reason: Some(&reason), ..Event::new(EventName::Alert, clock.now()) });
            }
        });
        let following = async move {
            tokio::select! {
                () = following => {}
                () = stop.cancelled() => {}
            }
        };
        let memory =
            resources::watch_memory(Arc::clone(&self.admission), settings.limits.memory_reserve, self.shutdown.clone());
        let with = (self.data_dir.clone(), self.clock.clone());
        let kept = senders::keep(self.judges.clone(), Arc::clone(&self.lists), with, self.shutdown.clone());
        let keys = signing::follow(Arc::clone(&self.keys), Arc::clone(&self.sealer.keys), self.shutdown.clone());
        let (quarantine, stop) = (self.quarantine.clone(), self.shutdown.clone());
        let expiring = async move { quarantine.keep(stop).await };
        let (metrics, log, clock) = (Arc::clone(&self.metrics), self.log.clone(), self.clock.clone());
        let teller = signature_sets::Teller { metrics, log, clock };
        let when = (settings.content.signatures.refresh, look_for_sets);
        let sets = signature_sets::follow(Arc::clone(self.scanner.sets()), when, teller, self.shutdown.clone());
        let counted = self.accounts.clone().keep(Arc::new(self.notices(settings)), self.shutdown.clone());
        let (outbound, stop) = (self.outbound.clone(), self.shutdown.clone());
        let outbound = outbound_control::keep(outbound, self.clock.clone(), self.data_dir.clone(), stop);
        let measuring = Arc::clone(&self.suspensions).run(self.shutdown.clone());
        // Questions to the DNS go out where connections are served: who asks first keeps the way to a name server for all.
        let watching = Arc::clone(&self.judges.source).watch(self.shutdown.clone());
        let served = [serving.spawn(memory), serving.spawn(watching)];
        let kept = [tokio::spawn(following), tokio::spawn(kept), tokio::spawn(keys), tokio::spawn(expiring)];
        let others = [tokio::spawn(sets), tokio::spawn(counted), tokio::spawn(outbound), tokio::spawn(measuring)];
        served.into_iter().chain(kept).chain(others).collect()
    }

    fn delivered(&self) -> Arc<dyn delivery::Observer> {
        Arc::new(Delivered { accounts: self.accounts.clone(), snapshot: Arc::clone(&self.snapshot) })
    }

    fn notices(&self, settings: &Settings) -> Notices {
        let hostname = settings.hostname.as_str().into();
        Notices { hostname, spool: self.spool.clone(), log: self.log.clone(), clock: self.clock.clone() }
    }
}

fn count(metrics: &Metrics, snapshot: &Snapshot) {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.tenants.tenants.set(number(snapshot.len()));
    metrics.tenants.snapshot_version.set(i64::try_from(snapshot.version()).unwrap_or(i64::MAX));
}

/// Mail and password hashes lie below it: its owner's alone.
fn create_private(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn client_tls(settings: &Settings) -> Result<ClientTls, StartError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let other = |error: String| StartError::Other(format!("tls.trust_anchors: {error}"));
    let extra: Vec<CertificateDer<'static>> = match &settings.tls.trust_anchors {
        None => Vec::new(),
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| other(format!("{}: {error}", path.display())))?,
    };
    ClientTls::new(extra).map_err(|error| other(error.to_string()))
}

fn build_listeners(settings: &Settings, intake: &Arc<Intake>) -> Result<Vec<Arc<Listener>>, StartError> {
    let build = |own: &ListenerSettings| {
        let tls = convert::certificate(own)
            .map(|files| ServerTls::load(&files, convert::client_certificates(own)))
            .transpose()
            .map_err(|source| StartError::Tls { name: own.name.clone(), source })?;
        Ok(Arc::new(Listener {
            config: convert::listener(own),
            session: ArcSwap::from_pointee(convert::session(settings, own)),
            tls,
            intake: Arc::clone(intake),
        }))
    };
    settings.listeners.iter().map(build).collect()
}

fn bind_all(settings: &Settings) -> Result<Vec<tokio::net::TcpListener>, StartError> {
    let bind = |own: &ListenerSettings| {
        sockets::bind(own.bind).map_err(|source| StartError::Bind { name: own.name.clone(), addr: own.bind, source })
    };
    settings.listeners.iter().map(bind).collect()
}
