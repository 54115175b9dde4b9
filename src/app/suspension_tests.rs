//! Measures carried out: written, held, let go, told; with a spool on disk and a store that can be away.

use bytes::Bytes;

use super::*;
use crate::faults::Faults;
use crate::limits::Consider as _;
use crate::limits::suspension::{Asked, Order};
use crate::model::abuse::{Assessment, Evidence, Signal};
use crate::model::egress::OutboundSpam;
use crate::model::{Address, Domain, Envelope, MessageId, Origin, Recipient};
use crate::scan::{Checked, Request, Scanner, Terms};
use crate::spool::{self, About, Body, NewMessage};
use crate::store::MemorySuspensions;
use crate::tenant::{ContentPolicy, Tenant};

const TEXT: &[u8] = b"From: taro@acme.example\r\nTo: you@dest.example\r\nSubject: x\r\n\r\nhello\r\n";
const START: Timestamp = Timestamp(1_795_176_451_250);

struct World {
    keeper: Keeper,
    store: Arc<MemorySuspensions>,
    spool: Spool,
    clock: Clock,
    tenant: TenantId,
    scanner: Scanner,
    dir: tempfile::TempDir,
}

fn settings(more: &str) -> Settings {
    let listener = "[[listener]]\nname = 'mx'\ndirection = 'inbound'\nbind = '127.0.0.1:0'\n";
    let text = format!("hostname = 'mx.gateway.example'\n{listener}[suspension]\n{more}\n");
    let files = [("s.toml".to_owned(), &*text)];
    let problems = crate::model::written::Problems::default();
    crate::config::read(&files, [], std::path::Path::new("/"), problems).unwrap().settings
}

fn snapshot() -> Snapshot {
    let text = "[[tenant]]\nid = 'acme'\nadministrators = ['admin@acme.example']\n\
                [[tenant.domain]]\nname = 'acme.example'\nnext_hops = ['192.0.2.1']\n";
    let specs = crate::tenant::read("t.toml", text).unwrap();
    Snapshot::compile(1, specs.into_iter().map(Tenant::compile)).unwrap()
}

fn rewriter() -> Rewriter {
    Rewriter::new(&[b"secret".to_vec()])
}

impl World {
    async fn new(more: &str) -> Self {
        Self::over(tempfile::tempdir().unwrap(), Arc::default(), more).await
    }

    async fn over(dir: tempfile::TempDir, store: Arc<MemorySuspensions>, more: &str) -> Self {
        let (clock, metrics, log) = (Clock::manual(START), Metrics::new(), MailLog::memory());
        let (deps, settings) = (
            spool::Deps {
                clock: clock.clone(),
                faults: Faults::default(),
                metrics: Arc::clone(&metrics),
                log: log.clone(),
            },
            settings(more),
        );
        let (spool, _) = Spool::open(spool::Config::new(dir.path()), deps).unwrap();
        let (measures, version) = open(&settings, clock.clone(), &*store).await.unwrap();
        let deps = Deps {
            measures,
            store: Arc::clone(&store) as SharedSuspensions,
            spool: spool.clone(),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot())),
            rewriter: Arc::new(rewriter()),
            clock: clock.clone(),
            log,
            metrics,
        };
        let keeper = Keeper::new(deps, &settings, version);
        let scanner = crate::app::scanner(None).unwrap();
        Self { keeper, store, spool, clock, tenant: TenantId::parse("acme").unwrap(), scanner, dir }
    }

    async fn queue(&self, number: u64, sender: &str, client: &str, direction: Direction) {
        let mut envelope = Envelope::from_sender(ReversePath::Mailbox(Address::parse(sender).unwrap()));
        envelope.recipients = vec![Recipient::new(Address::parse("you@dest.example").unwrap())];
        let origin = Origin {
            ip: client.parse().unwrap(),
            helo: "h".into(),
            listener: "relay".into(),
            protocol: "ESMTP".into(),
            received_at: START,
        };
        let (id, body) = (MessageId::new(1, number.into()), Body::Memory { head: Bytes::new(), rest: TEXT.into() });
        let about = About { tenant: self.tenant.clone(), origin, envelope };
        let message = match direction {
            Direction::Inbound => NewMessage::inbound(id, about, body),
            Direction::Outbound => NewMessage::outbound(self.checked().await, id, about, body),
        };
        self.spool.commit(vec![message]).await.unwrap();
    }

    /// By a real scanner, for there is no other way.
    async fn checked(&self) -> Checked {
        let request = Request {
            octets: TEXT.into(),
            number: 1,
            direction: Direction::Outbound,
            tenant: None,
            client: None,
            helo: "h".into(),
            sender: ReversePath::Null,
            recipients: Vec::new(),
            own_domains: Vec::new(),
            protected: [].into(),
            authentication: None,
            is_relayed: false,
            first_contact: false,
        };
        let scanned = self.scanner.scan(request).await.unwrap();
        let policy = ContentPolicy::default_ref(Direction::Outbound);
        let (ruling, checked) = scanned.check(&Terms { policy, tries: 0, spam: OutboundSpam::SuspectPool });
        checked.unwrap_or_else(|| panic!("it may not leave: {ruling:?}"))
    }

    async fn order(&self, scope: Scope, stage: Stage) -> Suspension {
        let subject = Subject { tenant: self.tenant.clone(), scope };
        let order = Order { subject, stage, lasts: None, operator: "mika".into(), reason: "x".into() };
        let set = self.keeper.measures().set(order);
        self.keeper.work().await;
        set
    }

    async fn lift(&self, one: &Suspension) {
        self.keeper.measures().lift(one.id, "mika", "cleaned").unwrap();
        self.keeper.work().await;
    }

    /// Numbers of held messages and why.
    fn held(&self) -> Vec<(u128, String)> {
        let filter = Filter { held: Some(true), ..Filter::default() };
        let number = |id: MessageId| id.as_u128() & 0xffff;
        self.spool.list(&filter, 100).into_iter().map(|item| (number(item.id), item.held.unwrap())).collect()
    }

    fn numbers(&self) -> Vec<u128> {
        self.held().into_iter().map(|(number, _)| number).collect()
    }

    fn is_suspended(&self, sender: &str) -> bool {
        let sender = Address::parse(sender).unwrap();
        let asked = Asked { tenant: &self.tenant, sender: Some(&sender), client: None };
        self.keeper.measures().suspended(asked).is_some()
    }

    fn notices(&self) -> usize {
        self.spool.list(&Filter::default(), 1_000).iter().filter(|item| item.notice).count()
    }
}

fn sender(text: &str) -> Scope {
    Scope::Sender(Address::parse(text).unwrap())
}

#[tokio::test]
async fn queued_mail_of_the_subject_is_held_and_no_other() {
    let world = World::new("").await;
    world.queue(1, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    world.queue(2, "Taro+list@acme.example", "192.0.2.8", Direction::Outbound).await;
    world.queue(3, "hanako@acme.example", "192.0.2.7", Direction::Outbound).await;
    world.queue(4, "taro@acme.example", "192.0.2.7", Direction::Inbound).await;
    world.queue(5, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    world.spool.hold(&Filter::of(MessageId::new(1, 5)), "an operator looks at it").await.unwrap();
    let one = world.order(sender("taro@acme.example"), Stage::Suspend).await;
    assert_eq!(world.numbers(), [1, 2, 5]);
    assert_eq!(world.keeper.held(&one), 2);
    // The machine too: what both concern stays held when one of them ends.
    let machine = world.order(Scope::Client("192.0.2.7".parse().unwrap()), Stage::Suspend).await;
    assert_eq!(world.numbers(), [1, 2, 3, 5]);
    world.lift(&one).await;
    assert_eq!(world.numbers(), [1, 3, 5]);
    world.lift(&machine).await;
    assert_eq!(world.held(), [(5, "an operator looks at it".to_owned())], "what others hold stays held");
    assert_eq!(world.keeper.deps.metrics.balance.sums().held, 1);
}

#[tokio::test]
async fn forwarded_mail_is_its_senders_and_not_the_rewriting_domains() {
    let world = World::new("").await;
    let (from, own) = (Address::parse("bulk@news.example").unwrap(), Domain::parse("acme.example").unwrap());
    let rewritten = rewriter().onto(&from, &own, START).unwrap();
    world.queue(1, &rewritten.to_string(), "192.0.2.7", Direction::Outbound).await;
    world.queue(2, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    let domain = world.order(Scope::Domain(own), Stage::Suspend).await;
    assert_eq!(world.numbers(), [2]);
    world.lift(&domain).await;
    // However long ago it was forwarded.
    world.clock.advance(Duration::from_secs(30 * 86_400));
    world.order(sender("bulk@news.example"), Stage::Suspend).await;
    assert_eq!(world.numbers(), [1]);
}

#[tokio::test]
async fn milder_stages_and_other_scopes() {
    let world = World::new("").await;
    world.queue(1, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    let domain = Scope::Domain(Domain::parse("acme.example").unwrap());
    world.order(domain.clone(), Stage::Throttle).await;
    assert_eq!(world.numbers(), [0_u128; 0], "a throttle holds nothing");
    world.order(domain.clone(), Stage::Suspend).await;
    assert_eq!(world.numbers(), [1]);
    world.order(domain, Stage::Throttle).await;
    assert_eq!(world.numbers(), [0_u128; 0], "a milder stage lets go");
    world.order(Scope::Tenant, Stage::Suspend).await;
    assert_eq!(world.numbers(), [1]);
}

#[tokio::test]
async fn only_the_end_of_a_stop_looks_for_held_mail_and_several_at_once() {
    let world = World::new("").await;
    for (number, sender) in [(1, "taro@acme.example"), (2, "hanako@acme.example"), (3, "jiro@acme.example")] {
        world.queue(number, sender, "192.0.2.7", Direction::Outbound).await;
    }
    let releases = |measures: &Suspensions| {
        let changes = measures.take_changes();
        let mut work = world.keeper.work.try_lock().unwrap();
        changes.iter().for_each(|change| world.keeper.plan(&mut work, change));
        std::mem::take(&mut work.releases).len()
    };
    let measures = world.keeper.measures();
    for (stage, expected) in [(Stage::Warn, 0), (Stage::Throttle, 0), (Stage::Suspend, 0), (Stage::Throttle, 1)] {
        let subject = Subject { tenant: world.tenant.clone(), scope: Scope::Tenant };
        let one = measures.set(Order { subject, stage, lasts: None, operator: "mika".into(), reason: "x".into() });
        assert_eq!(releases(measures), expected, "{stage:?}");
        if expected == 1 {
            measures.lift(one.id, "mika", "x").unwrap();
            assert_eq!(releases(measures), 0);
        }
    }
    let mut stopped = Vec::new();
    for address in ["taro@acme.example", "hanako@acme.example", "jiro@acme.example"] {
        stopped.push(world.order(sender(address), Stage::Suspend).await);
    }
    assert_eq!(world.numbers(), [1, 2, 3]);
    for one in &stopped[..2] {
        measures.lift(one.id, "mika", "x").unwrap();
    }
    world.keeper.work().await;
    assert_eq!((world.numbers(), world.keeper.work.lock().await.releases.len()), (vec![3], 0));
}

#[tokio::test]
async fn at_its_end_held_mail_is_released_or_removed_as_the_settings_say() {
    for (more, left) in [("queue_at_expiry = 'release'", 1), ("queue_at_expiry = 'remove'", 0)] {
        let world = World::new(more).await;
        world.queue(1, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
        world.order(sender("taro@acme.example"), Stage::Suspend).await;
        tokio::time::pause();
        for _ in 0..7 * 24 * 2 {
            world.clock.advance(Duration::from_secs(1800));
            tokio::time::advance(Duration::from_secs(1800)).await;
            let _ = world.keeper.measures().now();
        }
        assert_eq!(world.numbers(), [1]);
        world.keeper.work().await;
        assert_eq!(world.numbers(), [0_u128; 0]);
        let mail = world.spool.list(&Filter::default(), 9).iter().filter(|item| !item.notice).count();
        assert_eq!((mail, world.is_suspended("taro@acme.example")), (left, false), "{more}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn while_the_store_is_away_measures_hold_and_are_written_later() {
    let world = World::new("").await;
    world.store.away(true);
    let one = world.order(sender("taro@acme.example"), Stage::Suspend).await;
    let two = world.order(sender("hanako@acme.example"), Stage::Suspend).await;
    world.lift(&two).await;
    assert!(world.is_suspended("taro@acme.example") && !world.is_suspended("hanako@acme.example"));
    assert!(!world.keeper.is_written(one.id).await);
    assert_eq!(world.keeper.deps.metrics.suspension.unwritten.get(), 2);
    world.store.away(false);
    world.keeper.work().await;
    assert!(world.keeper.is_written(one.id).await);
    let World { store, dir, keeper, spool, .. } = world;
    drop((keeper, spool));
    let again = World::over(dir, store, "").await;
    assert!(again.is_suspended("taro@acme.example") && !again.is_suspended("hanako@acme.example"));
    assert_eq!(again.keeper.measures().active(), [one]);
}

#[tokio::test]
async fn a_tenants_measures_end_and_are_erased() {
    let world = World::new("").await;
    world.queue(1, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    let ended = world.order(Scope::Tenant, Stage::Warn).await;
    world.lift(&ended).await;
    world.order(sender("taro@acme.example"), Stage::Suspend).await;
    world.store.away(true);
    assert!(world.keeper.forget(&world.tenant, "mika", "purged").await.is_err());
    world.store.away(false);
    assert_eq!(world.keeper.forget(&world.tenant, "mika", "purged").await, Ok(2));
    assert_eq!((world.numbers(), world.keeper.measures().active()), (vec![], vec![]));
    assert_eq!(world.store.load(Timestamp(0)).await.unwrap().1, []);
}

#[tokio::test]
async fn mail_left_held_by_a_crash_is_let_go_at_the_next_start() {
    let world = World::new("").await;
    world.queue(1, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    let one = world.order(sender("taro@acme.example"), Stage::Suspend).await;
    // The end is written, the release never came.
    let lifted = world.keeper.measures().lift(one.id, "mika", "x").unwrap();
    world.store.put(&[lifted]).await.unwrap();
    let World { store, dir, keeper, spool, .. } = world;
    drop((keeper, spool));
    let again = World::over(dir, store, "").await;
    assert_eq!(again.numbers(), [1]);
    again.keeper.let_go_of_what_nobody_holds().await;
    again.keeper.work().await;
    assert_eq!(again.numbers(), [0_u128; 0]);
}

#[tokio::test]
async fn what_another_node_wrote_is_followed() {
    let world = World::new("").await;
    world.queue(1, "taro@acme.example", "192.0.2.7", Direction::Outbound).await;
    tokio::time::pause();
    let mut other = crate::model::suspension::tests::example(1);
    (other.subject.scope, other.stage) = (sender("taro@acme.example"), Stage::Suspend);
    world.store.put(&[other.clone()]).await.unwrap();
    tokio::time::advance(POLL).await;
    world.keeper.work().await;
    world.keeper.work().await;
    assert!(world.is_suspended("taro@acme.example"));
    assert_eq!(world.numbers(), [1]);
    let by = crate::model::suspension::By::Operator("mika".into());
    other.ended = Some(crate::model::suspension::Ended { how: Ending::Lifted, at: START, by, reason: "x".into() });
    world.store.put(&[other]).await.unwrap();
    tokio::time::advance(POLL).await;
    world.keeper.work().await;
    world.keeper.work().await;
    assert!(!world.is_suspended("taro@acme.example"));
    assert_eq!(world.numbers(), [0_u128; 0]);
}

#[tokio::test]
async fn each_stage_is_told_to_the_administrators_so_often_a_day() {
    let world = World::new("notices_per_day = 3\ndwell_harm = '0s'").await;
    for count in [200, 300, 400] {
        let evidence = [Signal::Spam, Signal::Alike, Signal::SuddenChange];
        let evidence = evidence.map(|signal| Evidence { signal, count, of: 500, since: START, sample: None }).to_vec();
        let subject = Subject { tenant: world.tenant.clone(), scope: sender("taro@acme.example") };
        world.keeper.measures().consider(&Assessment { subject, volume: 500, evidence }, START);
        world.keeper.work().await;
    }
    assert_eq!((world.notices(), world.is_suspended("taro@acme.example")), (3, true));
    let notice = world.spool.list(&Filter::default(), 9).into_iter().find(|item| item.notice).unwrap();
    assert_eq!((notice.direction, notice.recipients), (Direction::Inbound, vec!["admin@acme.example".to_owned()]));
    for number in 0..5 {
        world.order(sender(&format!("user{number}@acme.example")), Stage::Warn).await;
    }
    assert_eq!(world.notices(), 3);
    assert_eq!(world.keeper.deps.metrics.suspension.notices_dropped.get(), 5);
}

#[test]
fn the_defaults_of_the_settings_are_those_of_the_room() {
    assert_eq!(config(&settings("").suspension), Config::default());
}

#[test]
fn every_setting_reaches_the_room() {
    let changed = settings(
        "automatic = false\nleast_messages = 7\nleast_signals = 2\ndwell = '2h'\ndwell_harm = '5m'\nwarn_for = '1h'\n\
         throttle_for = '2h'\nsuspend_for = '0s'\nthrottle = '5/1m'\nwidest = 'tenant'\nconfirm_every = '1d'",
    );
    let hours = |hours: u64| Duration::from_secs(3600 * hours);
    let expected = Config {
        automatic: false,
        least_messages: 7,
        least_signals: 2,
        dwell: hours(2),
        dwell_harm: Duration::from_secs(300),
        warn_for: hours(1),
        throttle_for: hours(2),
        suspend_for: None,
        throttle: Throttle { count: NonZeroU32::new(5).unwrap(), per: Duration::from_secs(60) },
        widest: Widest::Tenant,
        confirm_every: hours(24),
        ..Config::default()
    };
    assert_eq!(config(&changed.suspension), expected);
    assert!(settings("answer = 'reject'").suspension.reject && !settings("").suspension.reject);
}
