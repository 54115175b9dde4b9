//! What limits, history and the search for alike messages cost for one outbound message of 5 KB, beside its scan.
//!
//! `cargo bench --bench outbound`. Method: one thread, manual clock, everything off that refuses; 20,000 senders of 200 tenants, so that
//! records and groups are not in the processor's caches.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::indexing_slicing, reason = "a benchmark")]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho::limits::bulk::Sketch;
use sekisho::limits::outbound::{Config, Harm, Party};
use sekisho::limits::{Config as Rates, Limits, Outbound};
use sekisho::message::specimen::{Limits as SpecimenLimits, Specimen};
use sekisho::model::rates::RatesByDimension;
use sekisho::model::{Address, TenantId, Timestamp};
use sekisho::telemetry::Metrics;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGES: u32 = 100_000;

fn main() {
    let metrics = Metrics::new();
    let limits = Arc::new(Limits::build(&Rates::none(), Arc::clone(&metrics)));
    let outbound = Outbound::build(Config { alike: None, ..Config::default() }, limits, metrics);
    let tenants: Vec<TenantId> = (0..200).map(|n| TenantId::parse(&format!("t{n}")).unwrap()).collect();
    let senders: Vec<Address> =
        (0..20_000).map(|n| Address::parse(&format!("u{n}@t{}.example", n % 200)).unwrap()).collect();
    let specimens: Vec<Specimen> = (0..50).map(specimen).collect();
    let (own, ip): (_, IpAddr) = (RatesByDimension::default(), "192.0.2.1".parse().unwrap());
    let begun = Instant::now();
    for n in 0..MESSAGES as usize {
        let _ = black_box(Sketch::of(&specimens[n % 50]));
    }
    each("sketch of 5 KB", begun);
    let sketches: Vec<_> = specimens.iter().map(Sketch::of).collect();
    let mut now = Timestamp::from_millis(1_795_176_451_250);
    let begun = Instant::now();
    for n in 0..MESSAGES as usize {
        let sender = &senders[n * 7919 % senders.len()];
        let party = Party::new(&tenants[n * 7919 % 200], (&own, false), Some(sender), Some(ip));
        let recipient = &senders[n * 31 % senders.len()];
        outbound.at_mail(&party, now).unwrap();
        outbound.at_rcpt(&party, 1, now).unwrap();
        let weighed = outbound.weigh(&party, (sketches[n % 50], false, Harm::None), [recipient], now);
        outbound.at_end(&party, &weighed, (&[recipient], 5000), now).unwrap();
        now = now.plus(Duration::from_millis(1));
    }
    each("MAIL, RCPT, end of a message", begun);
}

fn each(what: &str, begun: Instant) {
    println!("{what:<30} {:>8.2} us", begun.elapsed().as_secs_f64() * 1e6 / f64::from(MESSAGES));
}

fn specimen(seed: u64) -> Specimen {
    let mut text = String::from("From: a@acme.example\r\nTo: b@dest.example\r\nSubject: report\r\n\r\n");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while text.len() < 5000 {
        for _ in 0..9 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (0..3 + (state >> 60)).for_each(|at| text.push(char::from(b'a' + ((state >> (at * 3 % 48)) % 26) as u8)));
            text.push(' ');
        }
        text.push_str("\r\n");
    }
    Specimen::parse(text.into(), &SpecimenLimits::default(), &|| false)
}
