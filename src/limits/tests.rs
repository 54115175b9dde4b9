//! Limits under a paused clock, and the table's bounds.

use super::*;

fn limits(config: &Config) -> Limits {
    Limits::build(config, Metrics::new())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_allowed_then_one_by_one_and_the_wait_is_told() {
    let limits = limits(&Config::default());
    let key = Key::SenderIp("192.0.2.1".parse().unwrap());
    for _ in 0..2000 {
        assert_eq!(limits.check(key, 1), Ok(()));
    }
    let refused = limits.check(key, 1).unwrap_err();
    assert_eq!((refused.limit, refused.after), (Limit::SenderIp, Duration::from_millis(30)));
    assert_eq!(limits.metrics.limits.refused.of(Limit::SenderIp).get(), 1);
    assert_eq!(limits.check(Key::SenderIp("192.0.2.2".parse().unwrap()), 1), Ok(()), "another source");
    tokio::time::advance(Duration::from_millis(30)).await;
    assert_eq!(limits.check(key, 1), Ok(()));
    assert!(limits.check(key, 1).is_err());
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(limits.check(key, 1000), Ok(()), "half of it came back");
    assert!(limits.check(key, 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refused_check_counts_nothing_and_an_oversized_one_is_the_whole_limit() {
    let config = Config { recipient: Rate::new(10, Duration::from_secs(60)), ..Config::default() };
    let (limits, rcpt) = (limits(&config), address("a@acme.example"));
    assert_eq!(limits.check(Key::Recipient(&rcpt), 6), Ok(()));
    for _ in 0..50 {
        assert!(limits.check(Key::Recipient(&rcpt), 6).is_err());
    }
    assert_eq!(limits.check(Key::Recipient(&rcpt), 4), Ok(()));
    assert!(limits.check(Key::Recipient(&rcpt), 400).is_err());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(limits.check(Key::Recipient(&rcpt), 400), Ok(()));
    assert!(limits.check(Key::Recipient(&rcpt), 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn kinds_don_t_share_and_spellings_do() {
    let one = Rate::new(1, Duration::from_secs(60));
    let config =
        Config { sender_ip: one, sender_network: one, sender_address: one, recipient: one, ..Config::default() };
    let limits = limits(&config);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let (a, upper) = (address("a@acme.example"), address("A@ACME.example"));
    let sender = ReversePath::Mailbox(a.clone());
    for key in [Key::Recipient(&a), Key::SenderAddress(&sender), Key::SenderIp(ip("2001:db8::1"))] {
        assert_eq!(limits.check(key, 1), Ok(()), "{key:?}");
    }
    assert_eq!(limits.check(Key::SenderNetwork(ip("192.0.2.1")), 1), Ok(()));
    for key in [Key::Recipient(&upper), Key::SenderIp(ip("2001:db8::2")), Key::SenderNetwork(ip("192.0.2.200"))] {
        assert!(limits.check(key, 1).is_err(), "{key:?}");
    }
    assert_eq!(limits.check(Key::SenderIp(ip("2001:db8:0:1::1")), 1), Ok(()), "the next /64");
    assert_eq!(limits.check(Key::Connection(ip("192.0.2.1")), 9), Ok(()), "no limit is set");
    for _ in 0..3 {
        assert_eq!(limits.check(Key::SenderAddress(&ReversePath::Null), 1), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_outbound_defaults_are_there_for_the_taking() {
    let limits = limits(&Config::default());
    let (acme, beta) = (TenantId::parse("acme").unwrap(), TenantId::parse("beta").unwrap());
    let ip = "10.0.0.1".parse().unwrap();
    assert_eq!(limits.check(Key::OutboundClient(&acme, ip), 1000), Ok(()));
    assert!(limits.check(Key::OutboundClient(&acme, ip), 1).is_err());
    assert_eq!(limits.check(Key::OutboundClient(&beta, ip), 1), Ok(()));
    assert_eq!(limits.check(Key::OutboundSender(&address("a@acme.example")), 500), Ok(()));
    assert!(limits.check(Key::OutboundSender(&address("a@acme.example")), 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn memory_stays_within_its_bound_and_is_given_back() {
    let config = Config { most_keys: 50_000, ..Config::default() };
    let limits = limits(&config);
    let ip = |n: u32| Key::SenderIp(IpAddr::V4(n.into()));
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

#[tokio::test(start_paused = true)]
async fn the_table_says_what_governors_own_would() {
    let rate = Rate::new(7, Duration::from_secs(10)).unwrap();
    let limits = limits(&Config { recipient: Some(rate), ..Config::default() });
    let clock = limits.clock;
    let oracle = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(
        rate.quota().unwrap(),
        governor::state::keyed::HashMapStateStore::<u64>::default(),
        clock,
    );
    let names: Vec<Address> = (0..40).map(|n| address(&format!("u{n}@acme.example"))).collect();
    let (mut state, mut refused) = (0x5ec1_5b00_u64, 0);
    for step in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (who, n) = (state >> 33, NonZeroU32::new(1 + (state >> 60) as u32 % 7).unwrap());
        let name = &names[who as usize % names.len()];
        let expected = oracle.check_key_n(&(who % 40), n).unwrap().map_err(|not| not.wait_time_from(clock.now()));
        let said = limits.check(Key::Recipient(name), n.get()).map_err(|retry| retry.after);
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
    let limits = limits(&Config { sender_ip: Rate::new(500, Duration::from_secs(86_400)), ..Config::default() });
    let key = Key::SenderIp("192.0.2.1".parse().unwrap());
    let allowed = || (0..300).filter(|_| limits.check(key, 1).is_ok()).count();
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(allowed)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 500);
}
