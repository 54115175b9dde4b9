//! Senders good and bad, by a clock that is turned by hand and the runtime's, which is paused: both go on together.

use std::sync::Mutex;

use super::*;
use crate::limits::Config as Rates;
use crate::model::abuse::Signal;

const START: Timestamp = Timestamp(1_795_176_451_250);
const TEXT: &str = "Our warehouse has reduced all prices of watches and bags for this week only. Order before Sunday and choose a \
    second piece from the list without paying for it. Every order leaves on the same day, wherever you live.";

#[derive(Default)]
struct Seen(Mutex<Vec<Assessment>>);

impl Consider for Seen {
    fn consider(&self, assessment: &Assessment, _: Timestamp) {
        self.0.lock().unwrap().push(assessment.clone());
    }
}

struct World {
    outbound: Outbound,
    seen: Arc<Seen>,
    tenant: TenantId,
    own: RatesByDimension,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self::with(&Rates::default())
    }

    fn with(rates: &Rates) -> Self {
        let metrics = Metrics::new();
        let limits = Arc::new(Limits::build(rates, Arc::clone(&metrics)));
        let outbound = Outbound::build(Config { most_records: 10_000, ..Config::default() }, limits, metrics);
        let seen = Arc::new(Seen::default());
        outbound.tell(Arc::clone(&seen) as Arc<_>);
        let own = RatesByDimension::default();
        Self { outbound, seen, tenant: TenantId::parse("acme").unwrap(), own, now: START }
    }

    async fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        tokio::time::advance(time).await;
    }

    /// Days go by, in which the node lives.
    async fn days(&mut self, days: u32) {
        for _ in 0..days * 48 {
            self.pass(Duration::from_secs(1800)).await;
            self.outbound.sweep(self.now);
        }
    }

    fn party<'a>(&'a self, sender: &Address) -> Party<'a> {
        Party::new(&self.tenant, (&self.own, false), Some(sender), "192.0.2.1".parse().ok())
    }

    /// One message through all stages; how many recipients it left for.
    fn send(&self, sender: &str, (text, is_list, harm): (&str, bool, Harm), to: &[Address]) -> usize {
        let sender = address(sender);
        let party = self.party(&sender);
        if self.outbound.at_mail(&party, self.now).is_err() {
            return 0;
        }
        let taken: Vec<&Address> = to
            .iter()
            .enumerate()
            .take_while(|(at, _)| self.outbound.at_rcpt(&party, *at as u64 + 1, self.now).is_ok())
            .map(|(_, recipient)| recipient)
            .collect();
        let weighed =
            self.outbound.weigh(&party, (Sketch::of_text(text), is_list, harm), taken.iter().copied(), self.now);
        if harm == Harm::Spam || harm == Harm::Malware {
            self.outbound.kept_back(&party, &weighed, &taken, self.now);
            return 0;
        }
        match self.outbound.at_end(&party, &weighed, (&taken, 5000), self.now) {
            Ok(()) => taken.len(),
            Err(_) => 0,
        }
    }

    fn told(&self, sender: &str, told: Told) {
        let sender = address(sender);
        self.outbound.told(&self.party(&sender), (told, MessageId::new(START.as_millis(), 1)), self.now);
    }

    fn assess(&self, scope: Scope) -> Assessment {
        self.outbound.assessor().assess(&Subject { tenant: self.tenant.clone(), scope }, self.now)
    }

    fn signals(&self, sender: &str) -> Vec<Signal> {
        let assessment = self.assess(Scope::sender(&address(sender)));
        assessment.evidence.iter().map(|evidence| evidence.signal).collect()
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn recipient(n: u32) -> Address {
    address(&format!("r{n}@d{}.example", n % 97))
}

/// Letters that say different things.
fn letter(n: u32) -> String {
    let word = |at: u32| {
        let mut state = u64::from(n * 1000 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letters = (0..7).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 33) as u8 % 26)
        });
        letters.collect::<String>()
    };
    (0..60).map(word).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn an_infected_machine_reaches_fewer_than_a_hundred() {
    let mut world = World::new();
    let (mut left, words) = (0, ["cheap", "kindly", "today", "dear friend", "offer", "great", "best"]);
    for n in 0..4000_u32 {
        let word = words[n as usize % words.len()];
        let text = format!("Dear r{n},\n{TEXT} {word}\nhttps://shop.example/{n}");
        left += world.send("pc@acme.example", (&text, false, Harm::None), &[recipient(n)]);
        world.pass(Duration::from_millis(75)).await;
    }
    assert!((50..100).contains(&left), "{left} of 20,000 left");
    assert_eq!(
        world.send("aoi@acme.example", (&letter(1), false, Harm::None), &[recipient(1)]),
        1,
        "a colleague's mail"
    );
    let signals = world.signals("pc@acme.example");
    for signal in [Signal::Alike, Signal::NewSender, Signal::Rate] {
        assert!(signals.contains(&signal), "{signals:?}");
    }
    assert!(world.assess(Scope::sender(&address("pc@acme.example"))).volume > 3900);
    for scope in [Scope::client("192.0.2.1".parse().unwrap()), Scope::Tenant] {
        let assessment = world.assess(scope);
        assert_eq!(
            assessment.evidence,
            [],
            "one sender's mail is no evidence against what others share: {assessment:?}"
        );
    }
    let told = world.seen.0.lock().unwrap();
    assert!(told.iter().all(|one| one.subject.scope == Scope::sender(&address("pc@acme.example"))));
    assert!(!told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_to_many_at_once_change_nothing_of_it() {
    let mut world = World::new();
    let mut left = 0;
    for n in 0..200_u32 {
        let to: Vec<Address> = (0..100).map(|m| recipient(n * 100 + m)).collect();
        left += world.send("pc@acme.example", (TEXT, false, Harm::None), &to);
        world.pass(Duration::from_millis(1500)).await;
    }
    assert!((50..100).contains(&left), "{left} of 20,000 left");
}

#[tokio::test(start_paused = true)]
async fn one_text_from_many_made_up_senders_is_slow_too() {
    let mut world = World::new();
    let mut left = 0;
    for n in 0..2000_u32 {
        left += world.send(&format!("u{n}@acme.example"), (TEXT, false, Harm::None), &[recipient(n)]);
        world.pass(Duration::from_millis(150)).await;
    }
    assert!((200..350).contains(&left), "{left} of 2,000 left");
    let signals: Vec<Signal> = world.assess(Scope::Tenant).evidence.iter().map(|evidence| evidence.signal).collect();
    assert!(signals.contains(&Signal::Alike), "many senders: {signals:?}");
}

#[tokio::test(start_paused = true)]
async fn an_honest_newsletter_passes_slowly_and_shows_bulk_alone() {
    let mut world = World::new();
    let mut waiting: Vec<u32> = (0..5000).collect();
    let mut rounds = 0;
    // As a mail server does: all that wait are tried again every ten minutes.
    while !waiting.is_empty() {
        rounds += 1;
        assert!(rounds < 24 * 6, "{} still wait after a day", waiting.len());
        let mut failures = 0;
        waiting.retain(|n| {
            // A queue that is told 4xx for the first few of a destination lets the others wait.
            if failures > 5 {
                return true;
            }
            let text = format!("Dear r{n},\n{TEXT}\nhttps://acme.example/unsubscribe/{n}");
            if world.send("news@acme.example", (&text, true, Harm::None), &[recipient(*n)]) == 1 {
                // One address in two hundred is no more.
                world.told("news@acme.example", if n % 200 == 7 { Told::Unknown } else { Told::Delivered });
                return false;
            }
            failures += 1;
            true
        });
        let harm: Vec<Signal> =
            world.signals("news@acme.example").into_iter().filter(|signal| !signal.is_of_any_bulk()).collect();
        assert_eq!(harm, [], "round {rounds}");
        world.pass(Duration::from_secs(600)).await;
    }
    let signals = world.signals("news@acme.example");
    assert!(signals.contains(&Signal::Alike) && signals.contains(&Signal::List), "{signals:?}");
    assert!(rounds > 24, "{rounds} rounds: it was slowed down");
}

#[tokio::test(start_paused = true)]
async fn who_sends_bulk_for_weeks_without_harm_may_send_more() {
    let mut world = World::new();
    let sender = address("shop@acme.example");
    let usual = Config::default().alike.unwrap();
    for ten_minutes in 0..21 * 144_u32 {
        let to: Vec<Address> = (0..10).map(|n| recipient(ten_minutes * 10 + n)).collect();
        assert_eq!(world.send("shop@acme.example", (TEXT, false, Harm::None), &to), 10);
        world.told("shop@acme.example", Told::Delivered);
        world.pass(Duration::from_secs(600)).await;
    }
    let allowance = |world: &World| {
        let weighed = world.outbound.weigh(&world.party(&sender), (None, false, Harm::None), [], world.now);
        weighed.allowance.unwrap()
    };
    let grown = allowance(&world);
    assert!(grown.count() >= 2 * usual.count() && grown.count() <= 20 * usual.count(), "{grown}");
    for n in 0..10 {
        world.send("shop@acme.example", (&letter(n), false, Harm::Spam), &[recipient(n)]);
    }
    assert_eq!(allowance(&world), usual, "harm ends it");
    world.days(14).await;
    assert!(allowance(&world).count() >= usual.count());
}

#[tokio::test(start_paused = true)]
async fn one_bounce_in_thirteen_is_nothing() {
    let mut world = World::new();
    for n in 0..13_u32 {
        assert_eq!(world.send("aoi@acme.example", (&letter(n), false, Harm::None), &[recipient(n)]), 1);
        world.told("aoi@acme.example", if n == 6 { Told::Unknown } else { Told::Delivered });
        world.pass(Duration::from_secs(600)).await;
    }
    assert_eq!(world.signals("aoi@acme.example"), []);
    assert!(world.seen.0.lock().unwrap().is_empty(), "nobody was told of anybody");
}

#[tokio::test(start_paused = true)]
async fn many_unknown_recipients_are_told_with_one_to_look_at() {
    let world = World::new();
    for n in 0..40_u32 {
        world.told("pc@acme.example", if n % 2 == 0 { Told::Unknown } else { Told::Refused });
    }
    let assessment = world.assess(Scope::sender(&address("pc+x@ACME.example")));
    let found: Vec<_> = assessment.evidence.iter().map(|one| (one.signal, one.count, one.of)).collect();
    assert_eq!(found, [(Signal::UnknownRecipients, 20, 40), (Signal::Bounces, 20, 40)]);
    assert!(assessment.evidence.iter().all(|one| one.sample.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_drip_of_spam_shows_within_a_day() {
    let mut world = World::new();
    let mut found = None;
    for n in 0..480_u32 {
        world.send("pc@acme.example", (TEXT, false, Harm::Spam), &[recipient(n)]);
        for other in 0..4 {
            world.send("aoi@acme.example", (&letter(n * 4 + other), false, Harm::None), &[recipient(n)]);
        }
        world.pass(Duration::from_secs(180)).await;
        let assessment = world.assess(Scope::sender(&address("pc@acme.example")));
        if assessment.volume >= 200 && assessment.evidence.len() >= 3 && found.is_none() {
            assert_eq!(assessment.evidence[0].signal, Signal::Spam);
            found = Some(n / 20);
        }
    }
    assert!(found.is_some_and(|hour| hour < 24), "found in hour {found:?}");
    assert_eq!(world.signals("aoi@acme.example"), [Signal::NewSender]);
    let shrunk = world.outbound.0.history.factor(world.party(&address("pc@acme.example")).bulk_key().1, 0);
    assert!(shrunk < USUAL / 4, "{shrunk}");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_goes_to_the_same_few_every_minute_is_not_slowed_down() {
    let mut world = World::new();
    let to: Vec<Address> = (0..30).map(recipient).collect();
    for n in 0..500 {
        assert_eq!(world.send("monitor@acme.example", (TEXT, false, Harm::None), &to), 30, "report {n}");
        world.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(
        world
            .assess(Scope::sender(&address("monitor@acme.example")))
            .evidence
            .iter()
            .find(|e| e.signal == Signal::Alike),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn limits_grow_with_good_mail_and_shrink_with_harm() {
    let mut world = World::new();
    let key = world.party(&address("aoi@acme.example")).bulk_key().1;
    let factor = |world: &World| world.outbound.0.history.factor(key, world.outbound.0.history.now(world.now));
    for n in 0..400 {
        world.send("aoi@acme.example", (&letter(n), false, Harm::None), &[recipient(n)]);
        world.told("aoi@acme.example", Told::Delivered);
    }
    assert!((4900..=5000).contains(&factor(&world)), "{}: five times the usual, and no more", factor(&world));
    for n in 0..3 {
        world.send("aoi@acme.example", (&letter(n), false, Harm::Spam), &[recipient(n)]);
    }
    assert!(factor(&world) < 700, "{}", factor(&world));
    world.days(40).await;
    assert!((900..=1000).contains(&factor(&world)), "{}", factor(&world));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_costs_nothing_and_passes_later() {
    let mut world = World::with(&Rates::default().with(Limit::OutboundSender, Rate::new(10, Duration::from_secs(60))));
    let many: Vec<Address> = (0..30).map(recipient).collect();
    assert_eq!(world.send("aoi@acme.example", (&letter(1), false, Harm::None), &many), 10, "the others come again");
    for n in 0..50 {
        assert_eq!(world.send("aoi@acme.example", (&letter(n), false, Harm::None), &many), 0);
    }
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.send("aoi@acme.example", (&letter(2), false, Harm::None), &many), 10);
    assert_eq!(world.send("bob@acme.example", (&letter(3), false, Harm::None), &many), 10, "another sender");
    assert!(world.signals("aoi@acme.example").contains(&Signal::Rate));
}

#[tokio::test(start_paused = true)]
async fn a_trial_has_a_limit_of_its_own_and_tenants_may_ask_for_less() {
    use crate::model::rates::{Limited, OutboundRates, Windows};
    let mut world = World::new();
    let sender = address("aoi@acme.example");
    let cost = |party: &Party<'_>, world: &World, to: &[Address]| {
        let to: Vec<&Address> = to.iter().collect();
        let weighed = world.outbound.weigh(party, (None, false, Harm::None), [], world.now);
        world.outbound.at_end(party, &weighed, (&to, 1), world.now)
    };
    let to: Vec<Address> = (0..20).map(recipient).collect();
    let trial = Party { trial: true, ..world.party(&sender) };
    for _ in 0..5 {
        assert_eq!(cost(&trial, &world, &to), Ok(()));
    }
    assert_eq!(cost(&trial, &world, &to).unwrap_err().limit, Limit::OutboundTrial);
    assert_eq!(cost(&world.party(&sender), &world, &to), Ok(()), "not on trial");
    let mut own = OutboundRates::default();
    own.set(Limited::parse("tenant_messages").unwrap(), Windows::parse("2/1h").unwrap());
    world.own = RatesByDimension::new(&own);
    for _ in 0..2 {
        assert_eq!(cost(&world.party(&sender), &world, &to), Ok(()));
    }
    let beyond = cost(&world.party(&sender), &world, &to).unwrap_err();
    assert_eq!((beyond.limit, beyond.measure), (Limit::OutboundTenant, Measure::Messages));
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_before_it_was_seen_does_not_hide_spam() {
    let world = World::with(&Rates::default().with(Limit::OutboundSender, Rate::new(10, Duration::from_secs(3600))));
    for n in 0..10 {
        world.send("pc@acme.example", (&letter(n), false, Harm::None), &[recipient(n)]);
    }
    for n in 0..5 {
        let (sender, letter) = (address("pc@acme.example"), letter(100 + n));
        let (party, seen) = (world.party(&sender), (Sketch::of_text(&letter), false, Harm::Spam));
        let weighed = world.outbound.weigh(&party, seen, [], world.now);
        world.outbound.kept_back(&party, &weighed, &[], world.now);
    }
    for _ in 0..1_000 {
        assert!(world.outbound.at_mail(&world.party(&address("pc@acme.example")), world.now).is_err());
    }
    let assessment = world.assess(Scope::sender(&address("pc@acme.example")));
    let found: Vec<_> = assessment.evidence.iter().map(|one| (one.signal, one.count, one.of)).collect();
    // What was refused counts as sent, and not as looked at.
    assert_eq!((assessment.volume, found), (1_015, vec![(Signal::Spam, 5, 15), (Signal::Rate, 1_000, 1_000)]));
}

#[tokio::test(start_paused = true)]
async fn mail_without_a_sender_grows_nothing_and_is_within_a_trial() {
    let world = World::new();
    let ip = "192.0.2.1".parse().unwrap();
    let null = Party::new(&world.tenant, (&world.own, true), None, Some(ip));
    for n in 0..100 {
        world.outbound.told(&null, (Told::Delivered, MessageId::new(START.as_millis(), n)), world.now);
    }
    let history = &world.outbound.0.history;
    let client = History::key(&world.tenant, &Scope::client(ip));
    assert_eq!(history.factor(client, history.now(world.now)), USUAL);
    let to: Vec<Address> = (0..20).map(recipient).collect();
    let to: Vec<&Address> = to.iter().collect();
    let weighed = world.outbound.weigh(&null, (None, false, Harm::None), [], world.now);
    for _ in 0..5 {
        assert_eq!(world.outbound.at_end(&null, &weighed, (&to, 1), world.now), Ok(()));
    }
    let beyond = world.outbound.at_end(&null, &weighed, (&to, 1), world.now).unwrap_err();
    assert_eq!(beyond.limit, Limit::OutboundTrial);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_known_is_nobodys_client() {
    let world = World::with(&Rates::default().with(Limit::OutboundClient, Rate::new(1, Duration::from_secs(3600))));
    let (sender, to) = (address("aoi@acme.example"), recipient(1));
    for party in [Some(&sender), None].map(|sender| Party::new(&world.tenant, (&world.own, false), sender, None)) {
        for _ in 0..3 {
            let weighed = world.outbound.weigh(&party, (None, false, Harm::None), [&to], world.now);
            assert_eq!(world.outbound.at_end(&party, &weighed, (&[&to], 1), world.now), Ok(()));
        }
    }
    assert_eq!(world.outbound.0.history.len(), 3, "the sender, its domain and the tenant");
}

#[test]
fn refusals_are_told_apart_by_their_status() {
    let told = |status| Told::refusal(&Reply::new(550, status, "no"));
    assert_eq!(told(Enhanced(5, 1, 1)), Told::Unknown);
    assert_eq!(told(Enhanced(5, 7, 1)), Told::Refused);
    assert_eq!(told(Enhanced(5, 2, 2)), Told::Refused);
    assert_eq!(Told::refusal(&Reply::plain(550, "no")), Told::Refused);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_and_comes_again_has_paid_for_alike_messages_once() {
    let world = World::new();
    let sender = address("pc@acme.example");
    let party = world.party(&sender);
    let to: Vec<Address> = (0..30).map(recipient).collect();
    let to: Vec<&Address> = to.iter().collect();
    let weigh = |to: &[&Address]| {
        world.outbound.weigh(&party, (Sketch::of_text(TEXT), false, Harm::None), to.iter().copied(), START)
    };
    for _ in 0..3 {
        // It is put off for trouble of ours again and again.
        let paid = world.outbound.pay_at_end(&party, &weigh(&to), (&to, 5000), START).unwrap();
        world.outbound.give_back(paid);
    }
    assert_eq!(world.outbound.at_end(&party, &weigh(&to), (&to, 5000), START), Ok(()));
    let more: Vec<Address> = (30..60).map(recipient).collect();
    let more: Vec<&Address> = more.iter().collect();
    let beyond = world.outbound.at_end(&party, &weigh(&more), (&more, 5000), START).unwrap_err();
    assert!(matches!(beyond.limit, Limit::Alike | Limit::AlikeContent), "{beyond:?}");
    assert_eq!(
        world.outbound.at_end(&party, &weigh(&more[..20]), (&more[..20], 5000), START),
        Ok(()),
        "nor more than once"
    );
}
