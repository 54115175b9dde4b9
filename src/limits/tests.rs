//! Limits under a paused clock, and the table's bounds.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::*;
use crate::model::{Address, ReversePath, TenantId};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Limit;

fn host<'a>(ip: IpAddr) -> Key<'a> {
    Key::shared(Limit::SenderIp, Who::Host(ip))
}

fn recipient(address: &Address) -> Key<'_> {
    Key::shared(Limit::Recipient, Who::Address(address))
}

fn sender_key(sender: &ReversePath) -> Key<'_> {
    Key::shared(Limit::SenderAddress, Who::Sender(sender))
}

fn limits(config: &Config) -> Limits {
    Limits::build(config, Metrics::new())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_allowed_then_one_by_one_and_the_wait_is_told() {
    let metrics = Metrics::new();
    let limits = Limits::build(&Config::default(), Arc::clone(&metrics));
    let key = host("192.0.2.1".parse().unwrap());
    for _ in 0..2000 {
        assert_eq!(limits.check(key, 1), Ok(()));
    }
    let refused = limits.check(key, 1).unwrap_err();
    assert_eq!((refused.limit, refused.after), (Limit::SenderIp, Duration::from_millis(30)));
    assert_eq!(metrics.limits.refused.of(Limit::SenderIp).get(), 1);
    assert_eq!(limits.check(host("192.0.2.2".parse().unwrap()), 1), Ok(()), "another source");
    tokio::time::advance(Duration::from_millis(30)).await;
    assert_eq!(limits.check(key, 1), Ok(()));
    assert!(limits.check(key, 1).is_err());
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(limits.check(key, 1000), Ok(()), "half of it came back");
    assert!(limits.check(key, 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refused_check_counts_nothing_and_an_oversized_one_is_the_whole_limit() {
    let config = Config::default().with(Limit::Recipient, Rate::new(10, Duration::from_secs(60)));
    let (limits, rcpt) = (limits(&config), address("a@acme.example"));
    assert_eq!(limits.check(recipient(&rcpt), 6), Ok(()));
    for _ in 0..50 {
        assert!(limits.check(recipient(&rcpt), 6).is_err());
    }
    assert_eq!(limits.check(recipient(&rcpt), 4), Ok(()));
    assert!(limits.check(recipient(&rcpt), 400).is_err());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(limits.check(recipient(&rcpt), 400), Ok(()));
    assert!(limits.check(recipient(&rcpt), 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn kinds_don_t_share_and_spellings_do() {
    let one = Rate::new(1, Duration::from_secs(60));
    let kinds = [Limit::SenderIp, Limit::SenderNetwork, Limit::SenderAddress, Limit::Recipient];
    let config = kinds.into_iter().fold(Config::default(), |config, limit| config.with(limit, one));
    let limits = limits(&config);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let (a, upper) = (address("a@acme.example"), address("A@ACME.example"));
    let sender = ReversePath::Mailbox(a.clone());
    for key in [recipient(&a), sender_key(&sender), host(ip("2001:db8::1"))] {
        assert_eq!(limits.check(key, 1), Ok(()), "{key:?}");
    }
    assert_eq!(limits.check(Key::shared(Limit::SenderNetwork, Who::Network(ip("192.0.2.1"))), 1), Ok(()));
    for key in
        [recipient(&upper), host(ip("2001:db8::2")), Key::shared(Limit::SenderNetwork, Who::Network(ip("192.0.2.200")))]
    {
        assert!(limits.check(key, 1).is_err(), "{key:?}");
    }
    assert_eq!(limits.check(host(ip("2001:db8:0:1::1")), 1), Ok(()), "the next /64");
    assert_eq!(limits.check(Key::shared(Limit::Connections, Who::Host(ip("192.0.2.1"))), 9), Ok(()), "no limit is set");
    for _ in 0..3 {
        assert_eq!(limits.check(sender_key(&ReversePath::Null), 1), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_outbound_defaults_are_there_for_the_taking() {
    let limits = limits(&Config::default());
    let (acme, beta) = (TenantId::parse("acme").unwrap(), TenantId::parse("beta").unwrap());
    let ip = "10.0.0.1".parse().unwrap();
    assert_eq!(limits.check(Key::of(&acme, Limit::OutboundClient, Who::Host(ip)), 1000), Ok(()));
    assert!(limits.check(Key::of(&acme, Limit::OutboundClient, Who::Host(ip)), 1).is_err());
    assert_eq!(limits.check(Key::of(&beta, Limit::OutboundClient, Who::Host(ip)), 1), Ok(()));
    assert_eq!(
        limits.check(Key::of(&acme, Limit::OutboundSender, Who::Address(&address("a@acme.example"))), 500),
        Ok(())
    );
    assert!(limits.check(Key::of(&acme, Limit::OutboundSender, Who::Address(&address("a@acme.example"))), 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn memory_stays_within_its_bound_and_is_given_back() {
    let config = Config { most_keys: 50_000, ..Config::default() };
    let limits = limits(&config);
    let ip = |n: u32| host(IpAddr::V4(n.into()));
    (0..50_000).for_each(|n| limits.check(ip(n), 2000).unwrap());
    assert!(limits.keys() > 49_500, "{} of 50,000 keys are kept", limits.keys());
    assert!(limits.bytes() <= 50_000 * 100, "{} octets", limits.bytes());
    (0..1_000_000).for_each(|n| limits.check(ip(1 << 24 | n), 1).unwrap());
    assert!(limits.bytes() <= 50_000 * 100, "{} octets", limits.bytes());
    let forgotten = (0..50_000).filter(|n| limits.check(ip(*n), 1).is_ok()).count();
    assert!(forgotten < 1500, "{forgotten} limited keys were pushed out by keys used once");
    tokio::time::advance(Duration::from_secs(61)).await;
    limits.sweep();
    assert_eq!((limits.keys(), limits.bytes() <= 100_000), (0, true));
    assert_eq!(limits.check(ip(7), 2000), Ok(()));
}

#[derive(Debug, Clone, Copy)]
struct Monotonic(Instant);

impl governor::clock::Clock for Monotonic {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::new(self.0.elapsed().as_nanos() as u64)
    }
}

#[tokio::test(start_paused = true)]
async fn the_table_says_what_governors_own_would() {
    let rate = Rate::new(8, Duration::from_secs(10)).unwrap();
    let limits = limits(&Config::default().with(Limit::Recipient, Some(rate)));
    let clock = Monotonic(Instant::now());
    let quota = Quota::with_period(rate.per() / 8).unwrap().allow_burst(NonZeroU32::new(8).unwrap());
    let oracle = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(
        quota,
        governor::state::keyed::HashMapStateStore::<u64>::default(),
        clock,
    );
    let names: Vec<Address> = (0..40).map(|n| address(&format!("u{n}@acme.example"))).collect();
    let (mut state, mut refused) = (0x5ec1_5b00_u64, 0);
    for step in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (who, n) = (state >> 33, NonZeroU32::new(1 + (state >> 60) as u32 % 8).unwrap());
        let name = &names[who as usize % names.len()];
        let expected = oracle.check_key_n(&(who % 40), n).unwrap().map_err(|not| not.wait_time_from(clock.now()));
        let said = limits.check(recipient(name), n.get()).map_err(|retry| retry.after);
        refused += u32::from(said.is_err());
        assert_eq!(said, expected, "step {step}");
        tokio::time::advance(Duration::from_millis(state >> 56)).await;
        if step % 1000 == 0 {
            limits.sweep();
        }
    }
    assert!((2000..18_000).contains(&refused), "{refused} of 20,000 were refused: both sides are tried");
}

#[test]
fn threads_share_one_limit_exactly() {
    let limits = limits(&Config::default().with(Limit::SenderIp, Rate::new(500, Duration::from_secs(86_400))));
    let key = host("192.0.2.1".parse().unwrap());
    let allowed = || (0..300).filter(|_| limits.check(key, 1).is_ok()).count();
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(allowed)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 500);
}

fn charges<'a>(tenant: &'a TenantId, sender: &'a Address, cost: Cost) -> [Charge<'a>; 2] {
    [
        Charge::new(Key::of(tenant, Limit::OutboundTenant, Who::Whole), cost),
        Charge::new(Key::of(tenant, Limit::OutboundSender, Who::Address(sender)), cost),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_is_charged_together_is_charged_whole_or_not_at_all() {
    use crate::model::rates::{Limited, OutboundRates, Windows};
    let mut rates = OutboundRates::default();
    for (name, windows) in [("tenant", "100/1h"), ("sender", "10/1m 30/1h"), ("sender_bytes", "1000/1h")] {
        rates.set(Limited::parse(name).unwrap(), Windows::parse(windows).unwrap());
    }
    let limits = limits(&Config::none().with_outbound(&rates));
    let (acme, a, b) = (TenantId::parse("acme").unwrap(), address("a@acme.example"), address("b@acme.example"));
    let cost = |recipients, bytes| Cost { recipients, bytes, messages: 1 };
    assert_eq!(limits.take(&charges(&acme, &a, cost(10, 900))), Ok(()));
    for _ in 0..500 {
        let beyond = limits.take(&charges(&acme, &a, cost(10, 10))).unwrap_err();
        assert_eq!((beyond.limit, beyond.after), (Limit::OutboundSender, Duration::from_secs(60)));
    }
    assert_eq!(limits.look(&charges(&acme, &b, cost(10, 10))), Ok(()), "looking charges nothing");
    for _ in 0..9 {
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limits.take(&charges(&acme, &b, cost(1, 10))), Ok(()));
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    let beyond = limits.take(&charges(&acme, &a, cost(10, 200))).unwrap_err();
    assert_eq!(beyond.measure, Measure::Bytes, "{beyond}");
    assert_eq!(limits.take(&charges(&acme, &a, cost(10, 100))), Ok(()));
    tokio::time::advance(Duration::from_secs(61)).await;
    // 20 of 30 in an hour are used, but for what two minutes gave back; the tenant's hundred is far.
    let beyond = limits.look(&charges(&acme, &a, cost(11, 1))).unwrap_err();
    assert_eq!(beyond.rate.per(), Duration::from_secs(60), "more than a whole limit can come in parts");
    assert_eq!(limits.take(&charges(&acme, &a, cost(10, 1))), Ok(()));
    tokio::time::advance(Duration::from_secs(61)).await;
    let beyond = limits.take(&charges(&acme, &a, cost(10, 1))).unwrap_err();
    assert_eq!(beyond.rate.per(), Duration::from_secs(3600), "the long window");
}

#[tokio::test(start_paused = true)]
async fn a_factor_widens_what_is_configured_and_not_what_a_tenant_asked_for() {
    let limits = limits(&Config::default());
    let (acme, a) = (TenantId::parse("acme").unwrap(), address("a@acme.example"));
    let key = Key::of(&acme, Limit::OutboundSender, Who::Address(&a));
    let charge = |recipients| Charge { factor: 2 * USUAL, ..Charge::new(key, Cost::recipients(recipients)) };
    assert_eq!(limits.take(&[charge(1000)]), Ok(()));
    assert!(limits.take(&[charge(1)]).is_err());
    let own = [(Measure::Recipients, Rate::new(5, Duration::from_secs(60)).unwrap())];
    tokio::time::advance(Duration::from_secs(600)).await;
    let charge = |recipients| Charge { own: &own, ..charge(recipients) };
    assert_eq!(limits.take(&[charge(5)]), Ok(()));
    assert_eq!(limits.take(&[charge(1)]).unwrap_err().rate, own[0].1);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_can_be_used_again_and_nothing_more() {
    let hour = Duration::from_secs(3600);
    let limits = limits(&Config::none().with(Limit::OutboundSender, Rate::new(10, hour)));
    let (acme, a) = (TenantId::parse("acme").unwrap(), address("a@acme.example"));
    let key = Key::of(&acme, Limit::OutboundSender, Who::Address(&a));
    let charge = |n| [Charge::new(key, Cost::recipients(n))];
    let first = limits.pay(&charge(4)).unwrap();
    // Another transaction takes the rest meanwhile; what comes back is not more than was paid.
    let _second = limits.pay(&charge(6)).unwrap();
    assert!(limits.pay(&charge(1)).is_err());
    limits.give_back(&first);
    assert_eq!(limits.take(&charge(4)), Ok(()));
    assert!(limits.take(&charge(1)).is_err());
    // What time gave back is not given back twice.
    tokio::time::advance(2 * hour).await;
    let late = limits.pay(&charge(2)).unwrap();
    tokio::time::advance(hour).await;
    assert_eq!(limits.take(&charge(10)), Ok(()));
    limits.give_back(&late);
    assert!(limits.take(&charge(1)).is_err());
}

#[test]
fn threads_that_are_refused_leave_nothing_behind() {
    let rates = Config::none()
        .with(Limit::OutboundTenant, Rate::new(1_000_000, Duration::from_secs(86_400)))
        .with(Limit::OutboundSender, Rate::new(500, Duration::from_secs(86_400)));
    let limits = limits(&rates);
    let (acme, a) = (TenantId::parse("acme").unwrap(), address("a@acme.example"));
    let taken = || (0..2000).filter(|_| limits.take(&charges(&acme, &a, Cost::recipients(1))).is_ok()).count();
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(taken)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 500);
    let whole = Charge::new(Key::of(&acme, Limit::OutboundTenant, Who::Whole), Cost::recipients(999_500));
    assert_eq!(limits.take(&[whole]), Ok(()), "the tenant was charged for 500 and no more");
}

#[tokio::test(start_paused = true)]
async fn a_tenants_own_rate_that_is_the_nodes_counts_once() {
    let rate = Rate::new(4, Duration::from_secs(60)).unwrap();
    let limits = limits(&Config::none().with(Limit::OutboundSender, Some(rate)));
    let (tenant, sender) = (TenantId::parse("acme").unwrap(), address("taro@acme.example"));
    let own = [(Measure::Recipients, rate)];
    let key = Key::of(&tenant, Limit::OutboundSender, Who::Address(&sender));
    let charge = Charge { own: &own, ..Charge::new(key, Cost::recipients(1)) };
    for _ in 0..4 {
        assert_eq!(limits.take(&[charge]), Ok(()));
    }
    assert!(limits.take(&[charge]).is_err());
}
