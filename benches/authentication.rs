//! What authentication costs in CPU, with a resolver that answers from memory (a warm cache).
//!
//! Method: one 5 KB message (66 lines of 76 octets) with an RSA-2048 signature; one iteration is one SPF evaluation of an
//! ordinary record with two includes, one verification, or the whole of SPF (HELO and MAIL FROM), DKIM, ARC, DMARC twice
//! and the Authentication-Results field.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use sekisho::clock::Clock;
use sekisho::dns::MemoryResolver;
use sekisho::model::authentication::{DkimResult, DmarcResult, SpfResult};
use sekisho::model::{Address, Timestamp};
use sekisho::sender::authentication::block::Block;
use sekisho::sender::authentication::dkim::{self, Bodies};
use sekisho::sender::authentication::keys::SigningKey;
use sekisho::sender::authentication::results::{self, Smtp};
use sekisho::sender::authentication::sign::{self, Layout, Signer};
use sekisho::sender::authentication::{Authenticator, Config};

fn authentication(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let key = SigningKey::read(&SigningKey::generate_rsa().unwrap()).unwrap();
    let resolver = MemoryResolver::default()
        .with_txt("s1._domainkey.example.com", &[&key.record()])
        .with_txt("_dmarc.example.com", &["v=DMARC1; p=reject; rua=mailto:dmarc@example.com"])
        .with_txt("example.com", &["v=spf1 include:_a.example.com include:_b.example.com mx -all"])
        .with_txt("_a.example.com", &["v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all"])
        .with_txt("_b.example.com", &["v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/26 ~all"])
        .with_txt("mail.example.com", &["v=spf1 a -all"])
        .with_ip("mail.example.com", &["192.0.2.1".parse().unwrap()]);
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let authenticator = Authenticator::build(Config::default(), Arc::new(resolver), clock);
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    let sender = Address::parse("bounce@example.com").unwrap();
    let plain = plain();
    let signer =
        Signer { key: &key, domain: "example.com", selector: "s1", now: 1_699_999_000, layout: Layout::Folded };
    let mut message = sign::dkim(&plain, &signer, None).unwrap();
    message.extend_from_slice(&plain);

    let mut group = c.benchmark_group("authentication");
    group.bench_function("spf", |b| {
        b.iter(|| {
            let budget = authenticator.budget();
            let spf = runtime.block_on(authenticator.spf(ip, "mail.example.com", Some(&sender), &budget));
            assert_eq!(spf.last().unwrap().result, SpfResult::Pass);
        });
    });
    group.bench_function("dkim_rsa_2048_5k", |b| {
        b.iter(|| {
            let budget = authenticator.budget();
            let block = Block::read(&message);
            let bodies = Bodies::new(block.body);
            let found = runtime.block_on(dkim::verify(&block, &bodies, Some("example.com"), &budget, 1_700_000_000));
            assert_eq!(found.first().unwrap().result, DkimResult::Pass);
        });
    });
    group.bench_function("whole_message_5k", |b| {
        b.iter(|| {
            let budget = authenticator.budget();
            runtime.block_on(async {
                let spf = authenticator.spf(ip, "mail.example.com", Some(&sender), &budget).await;
                let found = authenticator.message(&message, &spf, &budget).await;
                assert_eq!(found.dmarc.result, DmarcResult::Pass);
                let smtp = Smtp { helo: "mail.example.com", mail_from: "bounce@example.com" };
                black_box(results::forged(&message, "mx.example"));
                black_box(results::make("mx.example", &found, smtp, &[]));
                black_box(budget.asked());
            });
        });
    });
    group.bench_function("sign_rsa_2048_5k", |b| b.iter(|| black_box(sign::dkim(&plain, &signer, None).unwrap())));
    group.finish();
}

fn plain() -> Vec<u8> {
    let mut message = b"From: A <a@example.com>\r\nTo: B <b@example.net>\r\nSubject: A message of five kilobytes\r\n\
        Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n"
        .to_vec();
    for _ in 0..66 {
        message.extend_from_slice(b"A line of ordinary text, as long as most lines of mail are, and no longer..\r\n");
    }
    message
}

criterion_group!(benches, authentication);
criterion_main!(benches);
