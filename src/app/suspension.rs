//! Carries out measures against senders of outbound mail: writes them, holds and releases what is queued, tells the tenant's
//! administrators and the mail log.
//!
//! **Failure**: a store that is away makes a measure wait [`PATIENCE`], then it is enforced unwritten and written later; a spool that
//! fails is tried again every second. A notice that can't be queued is dropped and counted.
//! **Invariants**: a measure bites after it was written or tried; mail that others hold is never released here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{outbound_control, suspension_notice};
use crate::clock::Clock;
use crate::config::{Settings, SuspensionSettings, WidestScope};
use crate::limits::suspension::{Change, Config, Suspensions, Throttle, What, Widest, remembered, text};
use crate::model::abuse::{Scope, Stage, Subject};
use crate::model::suspension::{Ending, Suspension, SuspensionId};
use crate::model::{Direction, MessageId, ReversePath, TenantId, Timestamp};
use crate::policy::srs::Rewriter;
use crate::spool::{Filter, Kind, Meta, Spool, SpoolError};
use crate::store::{SharedSuspensions, StoreError, SuspensionStore};
use crate::telemetry::{Event, EventName, MailLog, Metrics};
use crate::tenant::Snapshot;

/// Between two looks at what is over or waits.
const EVERY: Duration = Duration::from_secs(1);
/// How long a measure waits for its store.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at what others wrote.
const POLL: Duration = Duration::from_secs(5);
/// Between two notes that this node runs.
const SIGHT: Duration = Duration::from_secs(60);
/// Mail that was on its way in when the measure began comes into the queue a little later.
const PASSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(60)];
/// Ended measures are kept for so long.
const KEEP: Duration = Duration::from_secs(400 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn config(settings: &SuspensionSettings) -> Config {
    let plain = Config::default();
    Config {
        automatic: settings.automatic,
        least_messages: settings.least_messages,
        least_signals: settings.least_signals,
        dwell: settings.dwell,
        dwell_harm: settings.dwell_harm,
        warn_for: settings.warn_for,
        throttle_for: settings.throttle_for,
        suspend_for: settings.suspend_for,
        throttle: NonZeroU32::new(settings.throttle.count)
            .map_or(plain.throttle, |count| Throttle { count, per: settings.throttle.per }),
        widest: match settings.widest {
            WidestScope::Sender => Widest::Sender,
            WidestScope::Client => Widest::Client,
            WidestScope::Domain => Widest::Domain,
            WidestScope::Tenant => Widest::Tenant,
        },
        confirm_every: settings.confirm_every,
        clock_confirmation: plain.clock_confirmation,
    }
}

/// What a reload may change here.
#[derive(Debug, Clone)]
struct Manner {
    hostname: Box<str>,
    remove_at_expiry: bool,
    notices_per_day: u32,
}

impl Manner {
    fn of(settings: &Settings) -> Self {
        Self {
            hostname: settings.hostname.as_str().into(),
            remove_at_expiry: settings.suspension.remove_at_expiry,
            notices_per_day: settings.suspension.notices_per_day,
        }
    }
}

/// What the keeper works with.
pub(super) struct Deps {
    pub measures: Suspensions,
    pub store: SharedSuspensions,
    pub spool: Spool,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Tells whose mail it is that was rewritten for forwarding.
    pub rewriter: Arc<Rewriter>,
    pub clock: Clock,
    pub log: MailLog,
    pub metrics: Arc<Metrics>,
}

/// Does the work; one for a node.
pub(super) struct Keeper {
    deps: Deps,
    manner: ArcSwap<Manner>,
    work: tokio::sync::Mutex<Work>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Work {
    unwritten: BTreeMap<SuspensionId, Suspension>,
    /// Of the store, as far as it is known here.
    version: u64,
    /// When the queue is to be gone through for whom.
    passes: Vec<(Instant, SuspensionId)>,
    releases: Vec<Release>,
    /// Notices of this day, by tenant.
    told: HashMap<TenantId, u32>,
    told_since: Timestamp,
    polled: Instant,
    seen: Instant,
    forgot: Option<Instant>,
    trouble: bool,
}

/// Mail that is to be let go.
#[derive(Debug, Clone)]
struct Release {
    id: SuspensionId,
    tenant: TenantId,
    why: String,
    remove: bool,
}

/// The measures that the store holds in force, and its version. A start with a wrong clock expires none of them.
pub(super) async fn open(
    settings: &Settings,
    clock: Clock,
    store: &dyn SuspensionStore,
) -> Result<(Suspensions, u64), StoreError> {
    let measures = Suspensions::resumed(config(&settings.suspension), clock, store.seen().await?);
    let since = ended_since(&measures, &Config::default());
    let (version, suspensions) = store.load(since).await?;
    // Nothing was decided yet that this could be older than.
    let _ = measures.load(suspensions);
    Ok((measures, version))
}

fn ended_since(measures: &Suspensions, config: &Config) -> Timestamp {
    let back = u64::try_from(remembered(config).as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(measures.now().as_millis().saturating_sub(back))
}

/// What mail is held for begins so.
const HELD_FOR: &str = "suspension ";

/// Why mail is held; by it, it is found again.
fn held_for(id: SuspensionId) -> String {
    format!("{HELD_FOR}{id}")
}

impl Keeper {
    /// `version`: of the store, when it was read.
    pub(super) fn new(deps: Deps, settings: &Settings, version: u64) -> Self {
        let now = Instant::now();
        let suspended = deps.measures.active().into_iter().filter(|one| one.stage == Stage::Suspend);
        let work = Work {
            unwritten: BTreeMap::new(),
            version,
            passes: suspended.map(|one| (now, one.id)).collect(),
            releases: Vec::new(),
            told: HashMap::new(),
            told_since: deps.clock.now(),
            polled: now,
            seen: now,
            forgot: None,
            trouble: false,
        };
        let keeper =
            Self { manner: ArcSwap::from_pointee(Manner::of(settings)), work: tokio::sync::Mutex::new(work), deps };
        keeper.count(0);
        keeper
    }

    /// Takes new settings.
    pub(super) fn configure(&self, settings: &Settings) {
        self.deps.measures.configure(config(&settings.suspension));
        self.manner.store(Arc::new(Manner::of(settings)));
    }

    /// Works until `shutdown`.
    pub(super) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        self.let_go_of_what_nobody_holds().await;
        loop {
            self.work().await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.deps.measures.changed() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        // What was decided in the last moment is written, if the store is there.
        self.work().await;
    }

    /// Carries out everything that is to be done now. Whoever ordered something waits for it here.
    pub(super) async fn work(&self) {
        let mut work = self.work.lock().await;
        self.deps.measures.expire();
        let changes = self.deps.measures.take_changes();
        for change in &changes {
            work.unwritten.insert(change.suspension.id, change.suspension.clone());
        }
        self.write(&mut work).await;
        let ids: Vec<_> = changes.iter().map(|change| change.suspension.id).collect();
        self.deps.measures.bite(&ids);
        for change in &changes {
            self.tell(change);
            self.plan(&mut work, change);
            self.notify(&mut work, change).await;
        }
        self.go_through_the_queue(&mut work).await;
        self.look_after_the_store(&mut work).await;
        self.count(work.unwritten.len());
    }

    async fn write(&self, work: &mut Work) {
        if work.unwritten.is_empty() {
            return;
        }
        let all: Vec<Suspension> = work.unwritten.values().cloned().collect();
        match self.ask(self.deps.store.put(&all), work).await {
            // Another number than the next: somebody else wrote too, and is read soon.
            Some(version) => {
                work.unwritten.clear();
                if version == work.version + 1 {
                    work.version = version;
                }
            }
            None => self.deps.metrics.suspension.store_failures.inc(),
        }
    }

    /// `None`: it failed, or took too long; told once.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, StoreError>>, work: &mut Work) -> Option<T> {
        let reason = match tokio::time::timeout(PATIENCE, question).await {
            Ok(Ok(answer)) => {
                if std::mem::take(&mut work.trouble) {
                    tracing::info!("the store of suspensions is back");
                }
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".into(),
        };
        if !std::mem::replace(&mut work.trouble, true) {
            tracing::error!(%reason, "the store of suspensions failed; what is decided is enforced and written later");
            let reason = format!("the store of suspensions failed: {reason}");
            self.deps.log.log(&Event { reason: Some(&reason), ..Event::new(EventName::Alert, self.deps.clock.now()) });
        }
        None
    }

    fn tell(&self, change: &Change) {
        let one = &change.suspension;
        let kind = match change.what {
            What::Ended(how) => how.into(),
            What::Began | What::Stage => one.stage.into(),
        };
        self.deps.metrics.suspension.changes.inc(kind);
        let line = text::line(change);
        let sender = match &one.subject.scope {
            Scope::Sender(address) => Some(ReversePath::Mailbox(address.clone())),
            _ => None,
        };
        let ip = if let Scope::Client(ip) = one.subject.scope { Some(ip) } else { None };
        self.deps.log.log(&Event {
            tenant: Some(&one.subject.tenant),
            direction: Some(Direction::Outbound),
            sender: sender.as_ref(),
            ip,
            reason: Some(&line),
            ..Event::new(EventName::Suspension, self.deps.clock.now())
        });
    }

    /// What becomes of queued mail.
    fn plan(&self, work: &mut Work, change: &Change) {
        let one = &change.suspension;
        work.passes.retain(|(_, id)| *id != one.id);
        let (expired, in_force) = (change.what == What::Ended(Ending::Expired), one.is_active());
        if in_force && one.stage == Stage::Suspend {
            let now = Instant::now();
            work.releases.retain(|release| release.id != one.id);
            work.passes.extend(PASSES.map(|later| (now + later, one.id)));
        } else if change.before == Some(Stage::Suspend) {
            // Lifted, over, or milder now. Milder stages never held anything.
            work.releases.push(Release {
                id: one.id,
                tenant: one.subject.tenant.clone(),
                why: text::line(change),
                remove: expired && self.manner.load().remove_at_expiry,
            });
        }
    }

    async fn go_through_the_queue(&self, work: &mut Work) {
        let now = Instant::now();
        let due: Vec<SuspensionId> = work.passes.extract_if(.., |(at, _)| *at <= now).map(|(_, id)| id).collect();
        for id in due {
            let Some(one) = self.deps.measures.find(id).filter(|one| one.stage == Stage::Suspend) else { continue };
            let (filter, reason) = (outbound(&one.subject.tenant), held_for(id));
            let (spool, rewriter) = (self.deps.spool.clone(), Arc::clone(&self.deps.rewriter));
            let hold =
                async move { spool.hold_where(&filter, &reason, |meta| concerns(&one.subject, meta, &rewriter)).await };
            if let Err(error) = aside(hold).await {
                tracing::error!(%error, %id, "queued mail of a suspended sender could not be held; again in a second");
                work.passes.push((now + EVERY, id));
            }
        }
        if work.releases.is_empty() {
            return;
        }
        let (releases, spool, others) = (work.releases.clone(), self.deps.spool.clone(), self.deps.measures.active());
        let rewriter = Arc::clone(&self.deps.rewriter);
        let done = aside(async move { Ok(let_go(&spool, &releases, (others, &rewriter)).await) }).await;
        match done {
            // Done again where it failed: what waits is taken away only after it was let go.
            Ok(failed) => work.releases.retain(|release| failed.contains(&release.id)),
            Err(error) => tracing::error!(%error, "held mail could not be let go; again in a second"),
        }
    }

    /// After a crash between the end of a measure and the release of its mail.
    async fn let_go_of_what_nobody_holds(&self) {
        let filter = Filter { direction: Some(Direction::Outbound), held: Some(true), ..Filter::default() };
        let mut left: BTreeMap<SuspensionId, TenantId> = BTreeMap::new();
        let spool = self.deps.spool.clone();
        let held = aside(async move { Ok(spool.list(&filter, usize::MAX)) }).await;
        if let Err(error) = &held {
            tracing::error!(%error, "mail whose suspension is over may stay held");
        }
        for item in held.unwrap_or_default() {
            let id = item.held.as_deref().and_then(|held| held.strip_prefix(HELD_FOR)?.parse().ok());
            if let Some(id) = id
                && self.deps.measures.find(id).is_none_or(|one| one.stage != Stage::Suspend)
            {
                left.insert(id, item.tenant);
            }
        }
        let mut work = self.work.lock().await;
        for (id, tenant) in left {
            work.releases.push(Release { id, tenant, why: "the suspension is over".into(), remove: false });
        }
    }

    async fn notify(&self, work: &mut Work, change: &Change) {
        let (now, manner) = (self.deps.clock.now(), self.manner.load_full());
        if now.since(work.told_since) > DAY || now < work.told_since {
            work.told.clear();
            work.told_since = now;
        }
        let tenant = self.deps.snapshot.load().tenant(&change.suspension.subject.tenant).cloned();
        let told = work.told.entry(change.suspension.subject.tenant.clone()).or_default();
        let message = tenant
            .filter(|tenant| !tenant.administrators.is_empty() && *told < manner.notices_per_day)
            .map(|tenant| suspension_notice::write(change, &tenant, &manner.hostname, now));
        let Some(message) = message else {
            self.deps.metrics.suspension.notices_dropped.inc();
            return;
        };
        *told += 1;
        let (id, meta) = (message.id(), message.meta().clone());
        match self.deps.spool.commit(vec![message]).await {
            // Nobody waits for a 250 here.
            Ok(receipts) => drop(receipts),
            Err(error) => {
                tracing::error!(%error, "a notice of a suspension was not queued");
                self.deps.metrics.suspension.notices_dropped.inc();
                return;
            }
        }
        self.deps.metrics.suspension.notices.inc();
        self.deps.log.log(&Event {
            message: Some(id),
            tenant: Some(&meta.tenant),
            direction: Some(meta.direction),
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            sender: Some(&meta.envelope.sender),
            recipients: u32::try_from(meta.envelope.recipients.len()).ok(),
            size: Some(meta.size),
            ..Event::new(EventName::Notice, now)
        });
    }

    async fn look_after_the_store(&self, work: &mut Work) {
        let now = Instant::now();
        let (store, measures) = (&self.deps.store, &self.deps.measures);
        if now.duration_since(work.polled) >= POLL && work.unwritten.is_empty() {
            work.polled = now;
            let version = self.ask(store.version(), work).await;
            if version.is_some_and(|version| version != work.version)
                && let Some((version, suspensions)) =
                    self.ask(store.load(ended_since(measures, &Config::default())), work).await
            {
                let before = measures.active();
                // What was decided in between is written first, and then all is read again.
                if measures.load(suspensions) {
                    work.version = version;
                }
                self.follow(work, &before);
            }
        }
        if now.duration_since(work.seen) >= SIGHT {
            work.seen = now;
            let _ = self.ask(store.saw(measures.now()), work).await;
        }
        if work.forgot.is_none_or(|forgot| now.duration_since(forgot) >= DAY) {
            work.forgot = Some(now);
            let keep = u64::try_from(KEEP.as_millis()).unwrap_or(u64::MAX);
            let before = Timestamp::from_millis(measures.now().as_millis().saturating_sub(keep));
            let _ = self.ask(store.forget(before), work).await;
        }
    }

    /// What others did to the measures is done to this node's queue too.
    fn follow(&self, work: &mut Work, before: &[Suspension]) {
        let (now, active) = (Instant::now(), self.deps.measures.active());
        for one in before.iter().filter(|one| one.stage == Stage::Suspend) {
            if !active.iter().any(|other| other.id == one.id && other.stage == Stage::Suspend) {
                let (tenant, why) = (one.subject.tenant.clone(), "the suspension is over".into());
                work.releases.push(Release { id: one.id, tenant, why, remove: false });
            }
        }
        for one in active.iter().filter(|one| one.stage == Stage::Suspend) {
            if !before.iter().any(|other| other.id == one.id && other.stage == Stage::Suspend) {
                work.passes.extend(PASSES.map(|later| (now + later, one.id)));
            }
        }
    }

    fn count(&self, unwritten: usize) {
        let metrics = &self.deps.metrics.suspension;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let stages = [Stage::Warn, Stage::Throttle, Stage::Suspend];
        for (stage, count) in stages.into_iter().zip(self.deps.measures.counts()) {
            metrics.active.of(stage.into()).set(number(count));
        }
        metrics.unwritten.set(number(unwritten));
    }

    pub(super) fn measures(&self) -> &Suspensions {
        &self.deps.measures
    }

    pub(super) fn store(&self) -> &SharedSuspensions {
        &self.deps.store
    }

    /// Whether the node has such a tenant.
    pub(super) fn has_tenant(&self, tenant: &TenantId) -> bool {
        self.deps.snapshot.load().tenant(tenant).is_some()
    }

    /// Branches of queued mail that are held for a measure.
    pub(super) fn held(&self, one: &Suspension) -> usize {
        let (filter, reason) = (Filter { held: Some(true), ..outbound(&one.subject.tenant) }, held_for(one.id));
        let items = self.deps.spool.list(&filter, usize::MAX);
        items.iter().filter(|item| item.held.as_deref() == Some(&*reason)).count()
    }

    /// Ends all measures of a tenant and takes them out of the store; how many, ended ones too.
    ///
    /// # Errors
    /// The store is away; what was in force has ended, and is taken out by the next call.
    pub(super) async fn forget(&self, tenant: &TenantId, operator: &str, reason: &str) -> Result<u64, String> {
        let active = self.deps.measures.active();
        for one in active.iter().filter(|one| one.subject.tenant == *tenant) {
            let _ = self.deps.measures.lift(one.id, operator, reason);
        }
        self.work().await;
        let mut work = self.work.lock().await;
        if work.unwritten.values().any(|one| one.subject.tenant == *tenant) {
            return Err("the store of suspensions is away".into());
        }
        work.told.remove(tenant);
        self.deps.store.erase(tenant).await.map_err(|error| error.to_string())
    }

    /// Whether it is written.
    pub(super) async fn is_written(&self, id: SuspensionId) -> bool {
        !self.work.lock().await.unwritten.contains_key(&id)
    }
}

/// Away from the threads that mail needs: it goes through the whole queue.
async fn aside<T: Send + 'static>(
    work: impl Future<Output = Result<T, SpoolError>> + Send + 'static,
) -> Result<T, SpoolError> {
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work)).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
}

/// Lets mail go, with one look through the queue for all of it. `active`: what is in force. Those that failed.
async fn let_go(
    spool: &Spool,
    releases: &[Release],
    (active, rewriter): (Vec<Suspension>, &Rewriter),
) -> HashSet<SuspensionId> {
    let filter = Filter { direction: Some(Direction::Outbound), held: Some(true), ..Filter::default() };
    let mut held: HashMap<String, Vec<MessageId>> = HashMap::new();
    for item in spool.list(&filter, usize::MAX) {
        if let Some(reason) = item.held.filter(|reason| reason.starts_with(HELD_FOR)) {
            held.entry(reason).or_default().push(item.id);
        }
    }
    let suspended: Vec<Suspension> = active.into_iter().filter(|one| one.stage == Stage::Suspend).collect();
    let mut failed = HashSet::new();
    for release in releases {
        let reason = held_for(release.id);
        let Some(mut ids) = held.get(&reason).cloned() else { continue };
        // Branches of one message stand together.
        ids.dedup();
        let filter = Filter { ids, ..outbound(&release.tenant) };
        let done = if release.remove {
            spool.remove_held_for(&filter, &reason, &release.why).await
        } else {
            let next = |meta: &Meta| {
                let mut others = suspended.iter().filter(|one| one.id != release.id);
                Some(held_for(others.find(|one| concerns(&one.subject, meta, rewriter))?.id))
            };
            spool.release_where(&filter, (&reason, &release.why), next).await
        };
        if let Err(error) = done {
            tracing::error!(%error, id = %release.id, "held mail could not be let go; again in a second");
            failed.insert(release.id);
        }
    }
    failed
}

fn outbound(tenant: &TenantId) -> Filter {
    Filter { tenant: Some(tenant.clone()), direction: Some(Direction::Outbound), ..Filter::default() }
}

/// Whether queued mail is a subject's.
fn concerns(subject: &Subject, meta: &Meta, rewriter: &Rewriter) -> bool {
    let sender = || outbound_control::sender(meta, rewriter);
    meta.kind == Kind::Mail
        && meta.direction == Direction::Outbound
        && meta.tenant == subject.tenant
        && match &subject.scope {
            Scope::Tenant => true,
            Scope::Client(ip) => {
                outbound_control::client(meta).is_some_and(|client| Scope::client(client) == Scope::client(*ip))
            }
            Scope::Domain(domain) => sender().is_some_and(|sender| sender.domain() == domain),
            Scope::Sender(address) => sender().is_some_and(|sender| Scope::sender(&sender) == Scope::sender(address)),
        }
}

#[cfg(test)]
#[path = "suspension_tests.rs"]
mod tests;
