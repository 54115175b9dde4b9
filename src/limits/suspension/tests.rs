//! Measures by their rules, with clocks turned by hand.

use super::*;
use crate::model::abuse::{Evidence, Scope, Signal};
use crate::model::{Address, Domain, TenantId};

const START: Timestamp = Timestamp(1_795_176_451_250);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

struct World {
    clock: Clock,
    measures: Suspensions,
    tenant: TenantId,
    sender: Address,
}

/// Everything asked at once, as mail would.
#[derive(Debug, PartialEq, Eq)]
enum Mail {
    Goes,
    Slowed,
    Stopped,
}

impl World {
    fn new(config: Config) -> Self {
        let clock = Clock::manual(START);
        let tenant = TenantId::parse("acme").unwrap();
        let sender = Address::parse("taro@acme.example").unwrap();
        Self { measures: Suspensions::build(config, clock.clone()), clock, tenant, sender }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::advance(time).await;
    }

    fn subject(&self, scope: Scope) -> Subject {
        Subject { tenant: self.tenant.clone(), scope }
    }

    fn says(&self, scope: Scope, volume: u64, signals: &[(Signal, u64)]) {
        let evidence = |&(signal, count)| Evidence { signal, count, of: volume, since: START, sample: None };
        let evidence = signals.iter().map(evidence).collect();
        let assessment = Assessment { subject: self.subject(scope), volume, evidence };
        self.measures.consider(&assessment, self.clock.now());
    }

    fn spam(&self, count: u64) {
        let signals = [(Signal::Spam, count), (Signal::Alike, 1_000), (Signal::SuddenChange, 1_000)];
        self.says(Scope::Sender(self.sender.clone()), 1_000, &signals);
    }

    /// Carries changes out, as the keeper does.
    fn work(&self) -> Vec<String> {
        let changes = self.measures.take_changes();
        let ids: Vec<_> = changes.iter().map(|change| change.suspension.id).collect();
        self.measures.bite(&ids);
        let word = |change: &Change| match change.what {
            What::Ended(how) => how.as_str().to_owned(),
            _ => change.suspension.stage.as_str().to_owned(),
        };
        changes.iter().map(word).collect()
    }

    fn mail(&self, sender: &str, client: &str) -> Mail {
        let sender = Address::parse(sender).unwrap();
        let asked = Asked { tenant: &self.tenant, sender: Some(&sender), client: client.parse().ok() };
        if self.measures.suspended(asked).is_some() {
            return Mail::Stopped;
        }
        if self.measures.charge(asked, 1).is_ok() { Mail::Goes } else { Mail::Slowed }
    }

    fn order(&self, scope: Scope, stage: Stage) -> Suspension {
        let order =
            Order { subject: self.subject(scope), stage, lasts: None, operator: "mika".into(), reason: "x".into() };
        let set = self.measures.set(order);
        self.work();
        set
    }

    fn stage(&self) -> Option<Stage> {
        self.measures.active().first().map(|one| one.stage)
    }
}

#[tokio::test(start_paused = true)]
async fn below_the_floors_and_for_bulk_alone_nothing_is_done() {
    let world = World::new(Config::default());
    let sender = || Scope::Sender(world.sender.clone());
    let three = [(Signal::Spam, 150), (Signal::Alike, 150), (Signal::Rate, 9)];
    world.says(sender(), 199, &three);
    world.says(sender(), 5_000, &three[..2]);
    world.says(sender(), 5_000, &[(Signal::Spam, 1), (Signal::Spam, 2), (Signal::Spam, 3)]);
    let newsletter = [Signal::Alike, Signal::List, Signal::SuddenChange, Signal::NewSender, Signal::Rate];
    for _ in 0..50 {
        world.says(sender(), 5_000, &newsletter.map(|signal| (signal, 5_000)));
        world.pass(HOUR).await;
    }
    assert_eq!((world.work(), world.stage()), (vec![], None));
    world.says(sender(), 200, &three);
    assert_eq!((world.work(), world.stage()), (vec!["warn".to_owned()], Some(Stage::Warn)));
    let off = World::new(Config { automatic: false, ..Config::default() });
    off.spam(900);
    assert_eq!(off.stage(), None);
}

#[tokio::test(start_paused = true)]
async fn stages_go_one_at_a_time_and_only_while_the_harm_goes_on() {
    let world = World::new(Config::default());
    for count in 200..400 {
        world.spam(count);
    }
    assert_eq!(world.work(), ["warn"]);
    world.pass(MINUTE).await;
    world.spam(399);
    assert_eq!(world.work(), ["throttle"], "the counts rose within the warning");
    world.pass(HOUR).await;
    world.spam(390);
    assert_eq!(world.stage(), Some(Stage::Throttle), "counts that only decay are no new harm");
    world.spam(391);
    assert_eq!((world.work(), world.stage()), (vec!["suspend".to_owned()], Some(Stage::Suspend)));
    let one = &world.measures.active()[0];
    assert_eq!((one.evidence[0].count, one.volume, one.expires), (391, 1_000, Some(one.since.plus(7 * DAY))));
}

#[tokio::test(start_paused = true)]
async fn a_bad_list_has_an_hour_for_each_stage() {
    let world = World::new(Config::default());
    let says = |count| {
        let signals = [(Signal::Bounces, count), (Signal::Alike, 900), (Signal::List, 900)];
        world.says(Scope::Sender(world.sender.clone()), 1_000, &signals);
    };
    says(100);
    world.pass(59 * MINUTE).await;
    says(200);
    assert_eq!(world.work(), ["warn"]);
    world.pass(2 * MINUTE).await;
    says(201);
    assert_eq!(world.work(), ["throttle"]);
}

#[tokio::test(start_paused = true)]
async fn what_bites_is_what_was_written_and_a_throttle_lets_a_little_pass() {
    let world = World::new(Config::default());
    let subject = world.subject(Scope::Sender(world.sender.clone()));
    let order = |stage| {
        let (subject, operator, reason) = (subject.clone(), "mika".into(), "x".into());
        world.measures.set(Order { subject, stage, lasts: None, operator, reason })
    };
    order(Stage::Suspend);
    assert_eq!(world.mail("taro@acme.example", ""), Mail::Goes, "not before it is written");
    world.work();
    for (sender, expected) in [
        ("taro@acme.example", Mail::Stopped),
        ("Taro+news@ACME.example", Mail::Stopped),
        ("hanako@acme.example", Mail::Goes),
    ] {
        assert_eq!(world.mail(sender, ""), expected, "{sender}");
    }
    order(Stage::Throttle);
    assert_eq!(world.mail("taro@acme.example", ""), Mail::Goes, "the milder stage holds at once");
    world.work();
    let passed = (0..100).filter(|_| world.mail("taro@acme.example", "") == Mail::Goes).count();
    assert!((59..=60).contains(&passed), "{passed} of an hour's 60");
    order(Stage::Suspend);
    assert_eq!(
        world.mail("taro@acme.example", ""),
        Mail::Slowed,
        "the throttle goes on until the next stage is written"
    );
    order(Stage::Throttle);
    world.work();
    let passed = (0..100).filter(|_| world.mail("taro@acme.example", "") == Mail::Goes).count();
    assert_eq!(passed, 0, "changing other things gives no new burst");
    world.pass(10 * MINUTE).await;
    assert_eq!((0..100).filter(|_| world.mail("taro@acme.example", "") == Mail::Goes).count(), 10);
}

#[tokio::test(start_paused = true)]
async fn every_scope_stops_its_own_and_nobody_else() {
    let world = World::new(Config::default());
    let client = world.order(Scope::Client("2001:db8::7".parse().unwrap()), Stage::Suspend);
    assert_eq!(world.mail("hanako@acme.example", "2001:db8::9"), Mail::Stopped);
    assert_eq!(world.mail("hanako@acme.example", "2001:db8:0:1::9"), Mail::Goes);
    assert_eq!(world.mail("hanako@acme.example", "192.0.2.7"), Mail::Goes);
    let null = Asked { tenant: &world.tenant, sender: None, client: "2001:db8::1".parse().ok() };
    assert!(world.measures.suspended(null).is_some_and(|stop| stop.id == client.id));
    world.order(Scope::Domain(Domain::parse("acme.example").unwrap()), Stage::Suspend);
    assert_eq!(world.mail("hanako@acme.example", ""), Mail::Stopped);
    assert_eq!(world.mail("hanako@acme.test", ""), Mail::Goes);
    let whole = world.order(Scope::Tenant, Stage::Suspend);
    assert_eq!(world.mail("hanako@acme.test", ""), Mail::Stopped);
    let (other, sender) = (TenantId::parse("beta").unwrap(), Address::parse("taro@acme.example").unwrap());
    let others = Asked { tenant: &other, sender: Some(&sender), client: "2001:db8::7".parse().ok() };
    assert_eq!(world.measures.suspended(others), None, "another tenant's mail is never measured by it");
    world.measures.lift(whole.id, "mika", "x").unwrap();
    assert_eq!(world.mail("hanako@acme.test", ""), Mail::Goes, "a lift holds at once");
    assert_eq!(world.measures.lift(whole.id, "mika", "x"), None);
}

#[tokio::test(start_paused = true)]
async fn a_token_lifts_once_in_a_period_and_never_a_stop() {
    let world = World::new(Config::default());
    let warn = |count| {
        world.spam(count);
        let change = world.measures.take_changes().pop()?;
        world.measures.bite(&[change.suspension.id]);
        change.token
    };
    let token = warn(200).unwrap();
    assert_eq!(world.measures.confirm("00000000000000000000000000", "x"), Err(ConfirmError::Unknown));
    let text = format!(" {}\n", token.reveal().to_uppercase());
    assert_eq!(world.measures.confirm(&text, "cleaned").unwrap().ended.unwrap().how, Ending::Confirmed);
    assert_eq!(world.measures.confirm(token.reveal(), "x"), Err(ConfirmError::Unknown), "used");
    assert_eq!(world.work(), ["confirmed"]);
    // The counts of the day are still there, and a few more of what was under way.
    for count in 200..215 {
        assert!(warn(count).is_none());
    }
    let token = warn(260).expect("it goes on: warned again");
    let again = world.measures.confirm(token.reveal(), "x");
    assert_eq!(again, Err(ConfirmError::TooSoon(START.plus(7 * DAY))));
    world.pass(MINUTE).await;
    let token = warn(300).unwrap();
    world.pass(MINUTE).await;
    assert!(warn(310).is_none(), "a stop has no token");
    assert_eq!(
        (world.stage(), world.measures.confirm(token.reveal(), "x")),
        (Some(Stage::Suspend), Err(ConfirmError::Unknown))
    );
}

#[tokio::test(start_paused = true)]
async fn measures_expire_by_time_that_passed_and_not_by_a_jump() {
    let world = World::new(Config::default());
    for number in 0..100 {
        let sender = Address::parse(&format!("user{number}@acme.example")).unwrap();
        world.order(Scope::Sender(sender), if number < 50 { Stage::Throttle } else { Stage::Suspend });
    }
    world.clock.advance(40 * DAY);
    world.measures.expire();
    assert_eq!(world.measures.counts(), [0, 50, 50], "a jump expires nothing");
    world.clock.advance(Duration::ZERO);
    let back = Clock::manual(START);
    assert_eq!(back.now(), START);
    for _ in 0..30 {
        world.pass(MINUTE).await;
        world.measures.expire();
    }
    assert_eq!(world.measures.counts(), [0, 50, 50]);

    let world = World::new(Config::default());
    world.order(Scope::Sender(world.sender.clone()), Stage::Throttle);
    for _ in 0..48 {
        world.pass(HOUR / 2).await;
        world.measures.expire();
    }
    assert_eq!(world.work(), ["expired"]);
    assert_eq!(world.mail("taro@acme.example", ""), Mail::Goes);
}

#[tokio::test(start_paused = true)]
async fn the_narrowest_scope_comes_first() {
    let world = World::new(Config::default());
    let signals = |count| [(Signal::Spam, count), (Signal::Alike, 1_000), (Signal::SuddenChange, 1_000)];
    let client = || Scope::Client("192.0.2.7".parse().unwrap());
    let spam_from = |number: u64, count| {
        let sender = Address::parse(&format!("user{number}@acme.example")).unwrap();
        world.says(Scope::Sender(sender), 500, &signals(count));
        world.says(client(), 900, &signals(count));
    };
    for count in 200..260 {
        spam_from(1, count);
    }
    assert_eq!(world.measures.active().len(), 1, "one sender's trouble is that sender's");
    spam_from(2, 200);
    assert_eq!(world.measures.active().len(), 2);
    spam_from(3, 200);
    let active = world.measures.active();
    assert!(active.len() == 4 && active.iter().any(|one| one.subject.scope == client()), "several: their machine too");
    world.says(Scope::Tenant, 5_000, &signals(900));
    assert_eq!(world.measures.active().len(), 4, "wider only if the settings say so");

    let alone = World::new(Config::default());
    alone.says(client(), 900, &[(Signal::Bounces, 300), (Signal::Alike, 900), (Signal::List, 900)]);
    for hour in 1..12 {
        alone.pass(HOUR).await;
        alone.says(client(), 900, &[(Signal::Bounces, 300 + hour * 50), (Signal::Alike, 900), (Signal::List, 900)]);
    }
    assert_eq!(alone.stage(), Some(Stage::Throttle), "a company's server is stopped for spam and malware alone");
}

#[tokio::test(start_paused = true)]
async fn what_was_in_force_is_in_force_after_a_restart() {
    let world = World::new(Config::default());
    let stopped = world.order(Scope::Sender(world.sender.clone()), Stage::Suspend);
    let other = world.order(Scope::Client("192.0.2.7".parse().unwrap()), Stage::Suspend);
    let lifted = world.measures.lift(other.id, "mika", "x").unwrap();
    let again = World::new(Config::default());
    assert!(again.measures.load(vec![stopped.clone(), lifted.clone()]));
    assert_eq!(
        (again.mail("taro@acme.example", ""), again.mail("a@acme.example", "192.0.2.7")),
        (Mail::Stopped, Mail::Goes)
    );
    assert_eq!(again.measures.active(), [stopped]);
    // Somebody else ended it: a store that is asked again doesn't know it as active any more.
    assert!(again.measures.load(vec![lifted]));
    assert_eq!(again.mail("taro@acme.example", ""), Mail::Goes);
    assert!(again.measures.take_changes().is_empty(), "what others did is not told again");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_late_undoes_nothing_that_was_just_decided() {
    let world = World::new(Config::default());
    let slowed = world.order(Scope::Sender(world.sender.clone()), Stage::Throttle);
    let machine = world.order(Scope::Client("192.0.2.7".parse().unwrap()), Stage::Suspend);
    let rows = vec![slowed.clone(), machine.clone()];
    world.measures.lift(machine.id, "mika", "x").unwrap();
    let (subject, operator, reason) = (slowed.subject.clone(), "mika".into(), "x".into());
    let harder = world.measures.set(Order { subject, stage: Stage::Suspend, lasts: None, operator, reason });
    assert!(!world.measures.load(rows), "to be read again");
    assert_eq!(world.measures.active(), std::slice::from_ref(&harder));
    assert_eq!(world.mail("hanako@acme.example", "192.0.2.7"), Mail::Goes);
    // Another node began one for the same sender in the same moment.
    let other = Suspension { id: new_id(START), stage: Stage::Warn, ..slowed };
    assert!(!world.measures.load(vec![other]));
    assert_eq!(world.measures.active(), std::slice::from_ref(&harder));
    assert_eq!(world.work(), ["lifted", "suspend"]);
    assert_eq!(world.mail("taro@acme.example", ""), Mail::Stopped);
    assert!(world.measures.load(vec![harder.clone()]));
    assert_eq!(world.measures.active(), [harder]);
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_wrong_clock_expires_nothing_in_bulk() {
    let world = World::new(Config::default());
    let one = world.order(Scope::Sender(world.sender.clone()), Stage::Throttle);
    for (now, seen, left) in [
        (START.plus(HOUR), START.plus(HOUR / 2), Some(23 * HOUR)),
        (START.plus(2 * DAY), START.plus(HOUR), None),
        (START.plus(400 * DAY), START.plus(HOUR), Some(23 * HOUR)),
        (Timestamp(86_400_000), START.plus(HOUR), Some(23 * HOUR)),
    ] {
        let again = Suspensions::resumed(Config::default(), Clock::manual(now), Some(seen));
        // More than once: at the start, and when another node has written something.
        for _ in 0..2 {
            let _ = again.load(vec![one.clone()]);
            again.expire();
            let expires = again.active().first().map(|one| one.expires.unwrap());
            assert_eq!(expires.map(|expires| expires.since(again.now())), left, "{now}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stays_far_ahead_is_believed_in_the_end() {
    let world = World::new(Config::default());
    let one = world.order(Scope::Sender(world.sender.clone()), Stage::Throttle);
    let clock = Clock::manual(START.plus(400 * DAY));
    let again = Suspensions::resumed(Config::default(), clock.clone(), Some(START));
    assert!(again.load(vec![one]));
    again.expire();
    assert_eq!((again.now(), again.active().len()), (START, 1), "what is noted of this run is not the jumped time");
    clock.advance(HOUR);
    tokio::time::advance(HOUR).await;
    again.expire();
    assert_eq!(again.active(), []);
}

#[tokio::test(start_paused = true)]
async fn one_tenant_takes_no_room_from_others() {
    let world = World::new(Config { widest: Widest::Sender, ..Config::default() });
    let signals = [Signal::Spam, Signal::Alike, Signal::SuddenChange].map(|signal| (signal, 300));
    let mut senders = (0..).map(|number| Address::parse(&format!("user{number}@acme.example")).unwrap());
    let mut say = |count| {
        for sender in senders.by_ref().take(count) {
            world.says(Scope::Sender(sender), 1_000, &signals);
        }
    };
    say(state::MOST_WAITING_OF_TENANT + 10);
    assert_eq!(world.measures.active().len(), state::MOST_WAITING_OF_TENANT, "until they are carried out");
    for _ in 0..6 {
        world.work();
        say(state::MOST_WAITING_OF_TENANT);
    }
    assert_eq!(world.measures.active().len(), state::MOST_OF_TENANT);
    let subject = Subject { tenant: TenantId::parse("beta").unwrap(), scope: Scope::Sender(world.sender.clone()) };
    let evidence = signals.map(|(signal, count)| Evidence { signal, count, of: 1_000, since: START, sample: None });
    world.measures.consider(&Assessment { subject, volume: 1_000, evidence: evidence.to_vec() }, START);
    assert_eq!(world.measures.active().len(), state::MOST_OF_TENANT + 1);
}

#[tokio::test(start_paused = true)]
async fn a_notice_says_what_is_done_why_and_how_to_go_on() {
    let world = World::new(Config::default());
    world.spam(700);
    let change = world.measures.take_changes().pop().unwrap();
    let (text, token) = (text::notice(&change), change.token.as_ref().unwrap().reveal().to_owned());
    for part in [
        &token,
        "送信者 taro@acme.example",
        "found to be spam: 700 of 1000",
        "迷惑メールと判定: 700 / 1000",
        "Until: 2026-11-21",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text::line(&change).contains(&token) && !format!("{change:?}").contains(&token));
    assert!(text.lines().all(|line| !line.contains('\r')) && !text.replace("\r\n", "").contains('\n'));
    let line = text::line(&change);
    assert!(line.starts_with("warn sender taro@acme.example of acme (") && line.contains("spam 700 of 1000"), "{line}");
}

proptest::proptest! {
    /// Whatever is said: no measure without the floors, never two stages at once, never two measures of one subject.
    #[test]
    fn no_assessments_lead_past_the_rules(
        steps in proptest::collection::vec((0..4_u8, 0..400_u64, 0..512_u16, 0..90_u64, 0..500_u64), 1..120)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(Config { widest: Widest::Tenant, ..Config::default() });
            let mut stages = std::collections::HashMap::new();
            for (who, volume, signals, minutes, count) in steps {
                let scope = match who {
                    0 => Scope::Sender(world.sender.clone()),
                    1 => Scope::Client("192.0.2.7".parse().unwrap()),
                    2 => Scope::Domain(Domain::parse("acme.example").unwrap()),
                    _ => Scope::Tenant,
                };
                let said: Vec<_> = Signal::ALL.into_iter().enumerate().filter(|(n, _)| signals & 1 << n != 0).collect();
                let said: Vec<_> = said.into_iter().map(|(_, signal)| (signal, count)).collect();
                let sound = volume >= 200 && said.len() >= 3 && said.iter().any(|(signal, _)| !signal.is_of_any_bulk());
                world.says(scope, volume, &said);
                for change in world.measures.take_changes() {
                    assert!(sound, "{change:?}");
                    let before = stages.insert(change.suspension.id, change.suspension.stage);
                    assert_eq!(before.map_or(Some(Stage::Warn), rules::next), Some(change.suspension.stage));
                }
                let active = world.measures.active();
                let subjects: std::collections::HashSet<_> = active.iter().map(|one| &one.subject).collect();
                assert_eq!(subjects.len(), active.len());
                world.pass(Duration::from_secs(60 * minutes)).await;
            }
        });
    }
}
