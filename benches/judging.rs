//! What judging the sender of one message costs in CPU, with the real resolver and a warm cache: RCPT, end of data, the
//! Authentication-Results field and the Explanation as the mail log has it.
//!
//! Method: one thread; a name server on loopback that knows no name, asked once for each; then every look-up is answered
//! from the cache. 5 KB of text, no signature (verifying is in `authentication`). The connection is kept, so what is known
//! of the client's address is kept too. One iteration is one message to one recipient. The bar is 150 us.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/drill/nowhere.rs"]
mod nowhere;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sekisho::clock::Clock;
use sekisho::dns::{Config as DnsConfig, HickoryResolver, Resolver};
use sekisho::intake::judging::{Beside, ClientKnown, Judges, Mode, SenderKnown, Verdict, Which, Who, Whom};
use sekisho::limits::{Config as LimitsConfig, Limits, Rate};
use sekisho::model::{Address, ReversePath, Timestamp};
use sekisho::policy::sender::Tls;
use sekisho::sender::authentication::Authenticator;
use sekisho::sender::{Config as SourceConfig, Source};
use sekisho::telemetry::Metrics;
use sekisho::telemetry::metrics::Limit;
use sekisho::tenant::{Snapshot, Tenant, read};

const TENANT: &str = r#"
[[tenant]]
id = "acme"
name = "Acme"

[[tenant.domain]]
name = "acme.example"
next_hops = ["192.0.2.1:25"]
recipients = "any"
"#;

fn judging(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (metrics, clock) = (Metrics::new(), Clock::manual(Timestamp::from_millis(1_795_176_451_250)));
    let _entered = runtime.enter();
    let dns = DnsConfig { servers: vec![nowhere::address()], ..DnsConfig::default() };
    let resolver: Arc<dyn Resolver> = Arc::new(HickoryResolver::new(&dns).unwrap());
    let source = Source::build(SourceConfig::default(), Arc::clone(&resolver), Arc::clone(&metrics)).unwrap();
    // Counted as ever, never reached.
    let much = Rate::new(u32::MAX.into(), Duration::from_secs(1));
    let limits = [Limit::SenderIp, Limit::SenderNetwork, Limit::SenderAddress, Limit::Recipient]
        .into_iter()
        .fold(LimitsConfig::none(), |config, limit| config.with(limit, much));
    let judges = Judges {
        source: Arc::new(source),
        authenticator: Arc::new(Authenticator::build(Default::default(), resolver, clock.clone())),
        limits: Arc::new(Limits::build(&limits, metrics)),
        hits: Arc::default(),
        spam_traps: Arc::default(),
    };
    let specs = read("tenants.toml", TENANT).unwrap();
    let snapshot = Snapshot::compile(1, specs.into_iter().map(Tenant::compile)).unwrap();
    let found = snapshot.domain("acme.example").unwrap();
    let (sender, recipient) = (
        ReversePath::Mailbox(Address::parse("a@sender.example").unwrap()),
        Address::parse("you@acme.example").unwrap(),
    );
    let message = message();
    let who = Who {
        ip: "127.0.0.1".parse().unwrap(),
        is_relay: false,
        helo: "mail.sender.example",
        tls: Tls::Plain,
        sender: &sender,
    };
    let whom = Whom { snapshot: &snapshot, tenant: found.tenant, domain: found.domain, recipient: &recipient };
    let mut client = ClientKnown::default();
    let mut one = || {
        runtime.block_on(async {
            let now = clock.now();
            let mut known = SenderKnown::new(&judges);
            let state = (&mut client, &mut known);
            let ruling = judges.at_rcpt(&who, (&whom, found.tenant), state, (Mode::Live, now)).await;
            assert!(ruling.is_accepted(), "{ruling:?}");
            let judged = judges.at_message(&who, &snapshot, &mut known, &message, (Mode::Live, now)).await;
            assert!(matches!(judged.verdict, Verdict::Accept { .. }), "{judged:?}");
            let beside = Beside { authentication: Some(&judged.authentication), ..Beside::default() };
            let told = judges.explain(&who, &snapshot, Some((&client, &mut known)), Which::All, beside, now).to_json();
            judges.saw_taken(&who, &judged.authentication, judged.is_clean, now);
            told.len() + judged.results.len()
        })
    };
    assert!(one() > 500);
    c.bench_function("judging/a_sender_nobody_knows", |b| b.iter(&mut one));
}

fn message() -> Bytes {
    let mut message = b"From: A <a@sender.example>\r\nTo: you@acme.example\r\nSubject: hello\r\nDate: Sat, 21 Nov 2026 10:00:00 +0900\r\nMessage-ID: <1@sender.example>\r\n\r\n".to_vec();
    (0..66).for_each(|_| {
        message.extend_from_slice(b"The quick brown fox jumps over the lazy dog, and the dog is not amused at all.\r\n")
    });
    message.into()
}

criterion_group!(benches, judging);
criterion_main!(benches);
