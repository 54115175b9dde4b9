//! Where mail goes: mail exchangers, next hops, TLS rules; what happens where nobody answers.

#[allow(unused_imports)]
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bench::{Bench, Builder, TEXT, acme, envelope};
use crate::support::fake_dns::FakeDns;
use crate::support::tls::Identity;
use crate::support::{Answer as Say, FakeMx};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sekisho::dns::{self, Answer, HickoryResolver, Mx, Resolver as _};
use sekisho::model::Direction;

async fn outbound(bench: &Bench, number: u64, to: &str) {
    bench.queue_body(number, Direction::Outbound, envelope("", &[to]), TEXT.as_bytes()).await;
}

fn on_port(port: u16) -> Builder {
    Builder::new(String::new()).set(|config| config.mx_port = port)
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_exchangers_are_tried_in_order_of_preference() {
    let first = FakeMx::builder().start();
    let port = first.address().port();
    let second = FakeMx::builder().port(port).start();
    let bench = on_port(port)
        .mx("far.example", &[(20, "b.far.example"), (10, "a.far.example")])
        .ip("a.far.example", &[first.address().ip()])
        .ip("b.far.example", &[second.address().ip()])
        .start();
    outbound(&bench, 1, "x@far.example").await;
    bench.empty().await;
    assert_eq!((first.count(), second.count()), (1, 0));
    first.go_down();
    outbound(&bench, 2, "x@far.example").await;
    bench.empty().await;
    assert_eq!((first.count(), second.count()), (1, 1));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_greets_with_554_is_passed_over() {
    let first = FakeMx::builder().on_connect(|_| Say::reply("554 5.3.2 no mail here")).start();
    let second = FakeMx::builder().start();
    let bench = Builder::new(acme(&[first.address(), second.address()], "")).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    assert_eq!(second.count(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mx_the_address_serves_and_without_either_mail_fails() {
    let host = FakeMx::builder().start();
    let bench = on_port(host.address().port()).ip("plain.example", &[host.address().ip()]).start();
    bench.resolver.set_mx("null.example", Answer::Found(vec![Mx { preference: 0, exchange: "".into() }]));
    bench.resolver.set_mx("bare.example", Answer::NoRecords);
    bench.resolver.set_ip("bare.example", Answer::NoRecords);
    for (number, domain) in (1u64..).zip(["plain", "null", "missing", "bare"]) {
        outbound(&bench, number, &format!("x@{domain}.example")).await;
    }
    bench.empty().await;
    assert_eq!(host.count(), 1);
    let bounced = bench.logged("bounced").join("\n");
    for words in ["556 5.1.10", "550 5.1.2 the domain does not exist", "550 5.1.2 the domain has neither"] {
        assert!(bounced.contains(words), "{words}: {bounced}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_dns_puts_mail_off_and_never_fails_it() {
    let host = FakeMx::builder().start();
    let bench = on_port(host.address().port()).ip("mx.far.example", &[host.address().ip()]).start();
    bench.resolver.set_mx("far.example", Answer::Temporary("SERVFAIL".into()));
    outbound(&bench, 1, "x@far.example").await;
    bench.until("a deferral", |bench| !bench.logged("deferred").is_empty()).await;
    assert!(bench.logged("deferred")[0].contains("451 4.4.3"));
    let exchange = Mx { preference: 10, exchange: "mx.far.example".into() };
    bench.resolver.set_mx("far.example", Answer::Found(vec![exchange]));
    bench.empty().await;
    assert_eq!(host.count(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_never_send_to_ourselves_or_behind_us() {
    let before = FakeMx::builder().start();
    let port = before.address().port();
    let behind = FakeMx::builder().port(port).start();
    let us: SocketAddr = format!("127.99.0.1:{port}").parse().unwrap();
    let bench = on_port(port)
        .set(|config| config.own_addresses = vec![us])
        .mx("loop.example", &[(10, "us.example"), (20, "behind.example")])
        .mx("named.example", &[(10, "Gateway.example")])
        .mx("backup.example", &[(10, "before.example"), (20, "us.example"), (20, "behind.example")])
        .ip("us.example", &[us.ip()])
        .ip("behind.example", &[behind.address().ip()])
        .ip("before.example", &[before.address().ip()])
        .start();
    for (number, domain) in (1u64..).zip(["loop", "named", "backup"]) {
        outbound(&bench, number, &format!("x@{domain}.example")).await;
    }
    bench.empty().await;
    assert_eq!((before.count(), behind.count()), (1, 0));
    assert_eq!(bench.logged("bounced").iter().filter(|line| line.contains("5.4.6")).count(), 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_between_tenants_takes_the_next_hop_not_the_mx() {
    let hop = FakeMx::builder().start();
    let bench = Builder::new(acme(&[hop.address()], "")).mx("acme.example", &[(10, "gateway.example")]).start();
    outbound(&bench, 1, "a@acme.example").await;
    bench.empty().await;
    assert_eq!(hop.count(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_rests_without_attempts_and_delays_nobody() {
    let dead = FakeMx::builder().start_down();
    let alive = FakeMx::builder().start();
    let other = acme(&[alive.address()], "").replace("acme", "other");
    let bench = Builder::new(format!("{}\n{other}", acme(&[dead.address()], ""))).start();
    for number in 0..200 {
        bench.queue(number, envelope("", &["a@acme.example"])).await;
        bench.queue(1_000 + number, envelope("", &["a@other.example"])).await;
    }
    bench.until("the healthy destination", |_| alive.count() == 200).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let tried = bench.metrics.delivery.connections.of(sekisho::telemetry::metrics::Worked::No).get();
    assert!((1..20).contains(&tried), "{tried} connections to a dead host");
    dead.come_up();
    bench.empty().await;
    assert_eq!(dead.count(), 200);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_destination_holds_its_own_mail_only() {
    let gate = crate::support::Gate::default();
    let held = gate.clone();
    let stuck = FakeMx::builder().on_dot(move |_| Say::Wait(held.clone())).start();
    let alive = FakeMx::builder().start();
    let other = acme(&[alive.address()], "").replace("acme", "other");
    let bench = Builder::new(format!("{}\n{other}", acme(&[stuck.address()], "")))
        .set(|config| (config.max_connections, config.ready_limit_site) = (20, 50))
        .start();
    for number in 0..300 {
        bench.queue(number, envelope("", &["a@acme.example"])).await;
    }
    let begun = Instant::now();
    for number in 0..300 {
        bench.queue(1_000 + number, envelope("", &["a@other.example"])).await;
    }
    bench.until("the healthy destination", |_| alive.count() == 300).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    gate.open();
    bench.until("the stuck destination", |_| stuck.count() >= 50).await;
    bench.shutdown.cancel();
    assert!(bench.handle.drained().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_rules_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::create(dir.path(), "hop.acme.example");
    let root = CertificateDer::from_pem_file(&identity.certificate).unwrap();
    // TLS offered?, rule, root known?, delivered?, under TLS?
    for (offered, rule, known, delivered, secure) in [
        (true, "none", false, true, false),
        (true, "opportunistic", false, true, true),
        (false, "opportunistic", false, true, false),
        (true, "required", false, true, true),
        (false, "required", false, false, false),
        (true, "verified", true, true, true),
        (true, "verified", false, false, false),
    ] {
        let mut hop = FakeMx::builder();
        if offered {
            hop = hop.tls(identity.server_config());
        }
        let hop = hop.start();
        let tenants = format!(
            "[[tenant]]\nid = \"acme\"\nname = \"Acme\"\n[[tenant.domain]]\nname = \"acme.example\"\ntls = \"{rule}\"\n\
             next_hops = [\"hop.acme.example:{}\"]\n",
            hop.address().port()
        );
        let mut builder = Builder::new(tenants).ip("hop.acme.example", &[hop.address().ip()]);
        builder.roots = if known { vec![root.clone()] } else { Vec::new() };
        let bench = builder.start();
        bench.queue(1, envelope("", &["a@acme.example"])).await;
        let case = format!("offered {offered}, {rule}, root known {known}");
        if delivered {
            bench.empty().await;
            assert_eq!(hop.one().tls, secure, "{case}");
            assert_eq!(bench.logged("delivered")[0].contains("TLSv1"), secure, "{case}");
        } else {
            bench.until("a deferral", |bench| !bench.logged("deferred").is_empty()).await;
            assert!(bench.logged("deferred")[0].contains("4.7.5"), "{case}");
            assert_eq!(hop.count(), 0, "{case}");
        }
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_slipped_in_behind_the_starttls_reply_are_not_heard() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::create(dir.path(), "hop.acme.example");
    let hop = FakeMx::builder().tls(identity.server_config()).starttls_injection().start();
    let bench = Builder::new(acme(&[hop.address()], "tls = \"required\"")).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    assert!(hop.one().tls);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_only_helo_gets_mail_too() {
    let hop = FakeMx::builder().helo_only().start();
    let bench = Builder::new(acme(&[hop.address()], "")).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    bench.empty().await;
    assert_eq!(hop.one().from_params, "");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_tells_statements_from_trouble() {
    let server = FakeDns::start();
    server.mx("far.example", &[(10, "mx.far.example"), (20, "MX2.far.example")]);
    server.a("mx.far.example", &["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
    server.null_mx("null.example");
    server.txt("bare.example", "x");
    server.fail("broken.example");
    server.silence("silent.example");
    let millis = |n| sekisho::model::units::Span(Duration::from_millis(n));
    let config = dns::Config {
        servers: vec![server.address()],
        timeout: millis(200),
        deadline: millis(600),
        ..dns::Config::default()
    };
    let resolver = HickoryResolver::new(&config).unwrap();
    let Answer::Found(mut records) = resolver.mx("far.example").await else { panic!("no MX") };
    records.sort();
    let hosts: Vec<&str> = records.iter().map(|record| &*record.exchange).collect();
    assert_eq!(hosts, ["mx.far.example", "mx2.far.example"]);
    let Answer::Found(ips) = resolver.ip("mx.far.example").await else { panic!("no address") };
    assert_eq!(ips.len(), 2);
    let null = resolver.mx("null.example").await;
    assert_eq!(null, Answer::Found(vec![Mx { preference: 0, exchange: "".into() }]));
    assert_eq!(resolver.mx("missing.example").await, Answer::NoSuchDomain);
    assert_eq!(resolver.mx("bare.example").await, Answer::NoRecords);
    assert_eq!(resolver.ip("bare.example").await, Answer::NoRecords);
    assert!(matches!(resolver.mx("broken.example").await, Answer::Temporary(_)));
    assert!(matches!(resolver.ip("broken.example").await, Answer::Temporary(_)));
    assert!(matches!(resolver.mx("silent.example").await, Answer::Temporary(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn inbound_mail_of_a_domain_that_left_waits_for_it_to_come_back() {
    let hop = FakeMx::builder().start();
    let tenants = acme(&[hop.address()], "");
    // Its MX are we ourselves, and to the rest of the world it may go there.
    let bench = Builder::new(String::new()).mx("acme.example", &[(10, "gateway.example")]).start();
    bench.queue(1, envelope("s@sender.example", &["a@acme.example"])).await;
    bench.until("a deferral", |bench| !bench.logged("deferred").is_empty()).await;
    assert!(bench.logged("deferred")[0].contains("451 4.3.5"), "{:?}", bench.logged("deferred"));
    bench.snapshot.store(super::bench::snapshot(2, &tenants).into());
    bench.empty().await;
    assert_eq!((hop.count(), bench.logged("bounced").len()), (1, 0));
    // With a connection to it still open, too.
    bench.snapshot.store(super::bench::snapshot(3, "").into());
    bench.queue(2, envelope("s@sender.example", &["a@acme.example"])).await;
    bench.until("another deferral", |bench| bench.logged("deferred").len() >= 2).await;
    assert_eq!(hop.count(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_of_a_suspended_tenant_waits_without_attempts() {
    let hop = FakeMx::builder().start();
    let tenants = acme(&[hop.address()], "");
    let suspended = tenants.replace("name = \"Acme\"", "name = \"Acme\"\nstate = \"suspended\"");
    let bench = Builder::new(suspended).start();
    bench.queue(1, envelope("", &["a@acme.example"])).await;
    outbound(&bench, 2, "x@missing.example").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!((hop.connections(), bench.logged("deferred").len(), bench.logged("bounced").len()), (0, 0, 0));
    bench.snapshot.store(super::bench::snapshot(2, &tenants).into());
    bench.empty().await;
    assert_eq!(hop.count(), 1);
    assert!(bench.logged("delivered")[0].contains("\"attempt\":1"), "{:?}", bench.logged("delivered"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_found_no_place_gets_one_when_the_pool_lets_go() {
    let (hop, other) = (FakeMx::builder().start(), FakeMx::builder().start());
    let others = acme(&[other.address()], "").replace("acme", "other");
    let bench = Builder::new(format!("{}\n{others}", acme(&[hop.address()], "")))
        .set(|config| {
            config.max_connections = 1;
            config.idle = sekisho::model::units::Span(Duration::from_millis(300));
        })
        .start();
    // The only connection there may be goes to the shelf.
    let asked = sekisho::model::Address::parse("a@acme.example").unwrap();
    assert_eq!(bench.handle.probe().ask(&asked).await, sekisho::delivery::ProbeAnswer::Valid);
    bench.queue(1, envelope("", &["a@other.example"])).await;
    bench.empty().await;
    assert_eq!(other.count(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_and_literals_do_not_lead_to_this_machine_and_next_hops_may() {
    let hop = FakeMx::builder().start();
    let (ip, port) = (hop.address().ip(), hop.address().port());
    let bench = Builder::new(acme(&[hop.address()], ""))
        .set(|config| (config.mx_port, config.private_targets) = (port, false))
        .mx("far.example", &[(10, "mx.far.example")])
        .ip("mx.far.example", &[ip, "::1".parse().unwrap(), "fe80::1".parse().unwrap()])
        .start();
    outbound(&bench, 1, "x@far.example").await;
    outbound(&bench, 2, &format!("x@[{ip}]")).await;
    bench.queue(3, envelope("", &["a@acme.example"])).await;
    bench.until("a deferral", |bench| !bench.logged("deferred").is_empty()).await;
    bench.until("a refusal", |bench| !bench.logged("bounced").is_empty()).await;
    assert!(bench.logged("deferred")[0].contains("451 4.4.4") && bench.logged("bounced")[0].contains("550 5.1.2"));
    bench.until("the next hop", |_| hop.count() == 1).await;
    assert_eq!(hop.one().recipients(), ["a@acme.example"]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_on_all_addresses_every_one_of_them_is_a_loop() {
    let bench = on_port(2525)
        .set(|config| config.own_addresses = vec!["0.0.0.0:2525".parse().unwrap()])
        .mx("loop.example", &[(10, "us.example")])
        .ip("us.example", &["127.99.0.1".parse().unwrap()])
        .start();
    outbound(&bench, 1, "x@loop.example").await;
    bench.empty().await;
    assert!(bench.logged("bounced")[0].contains("554 5.4.6"));
    bench.stop().await;
}
