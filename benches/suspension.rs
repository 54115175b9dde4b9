//! What measures in force cost mail: asking at MAIL and RCPT, with none, and with 10,000 of 1,000 tenants.
//!
//! `cargo bench --bench suspension`. Method: one thread, a million questions each of senders with and without a measure in turn; the
//! bar is a microsecond.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use sekisho::clock::Clock;
use sekisho::limits::suspension::{Asked, Config, Suspensions};
use sekisho::model::abuse::{Scope, Stage, Subject};
use sekisho::model::suspension::{By, Suspension, SuspensionId};
use sekisho::model::{Address, TenantId, Timestamp};

const TENANTS: u32 = 1_000;
const EACH: u32 = 10;
const QUESTIONS: u32 = 1_000_000;

fn main() {
    let clock = Clock::manual(Timestamp::from_millis(1_795_176_451_250));
    let tenants: Vec<TenantId> = (0..TENANTS).map(|n| TenantId::parse(&format!("tenant-{n}")).unwrap()).collect();
    let sender = |n: u32| Address::parse(&format!("user{n}@tenant-{}.example", n % TENANTS)).unwrap();
    let senders: Vec<Address> = (0..TENANTS * EACH * 2).map(sender).collect();
    let measures = Suspensions::build(Config::default(), clock.clone());
    ask("MAIL, no measures", &measures, &tenants, &senders);
    let now = clock.now();
    let active = (0..TENANTS * EACH).zip(&senders).map(|(n, sender)| Suspension {
        id: SuspensionId::new(now, n.into()),
        subject: Subject { tenant: tenants[(n % TENANTS) as usize].clone(), scope: Scope::Sender(sender.clone()) },
        stage: if n % 2 == 0 { Stage::Suspend } else { Stage::Throttle },
        by: By::Automatic,
        reason: "spam".into(),
        volume: 0,
        evidence: Vec::new(),
        pattern: None,
        created: now,
        since: now,
        expires: None,
        token: None,
        ended: None,
    });
    let active: Vec<_> = active.collect();
    let begun = Instant::now();
    assert!(measures.load(active));
    println!("load of {:<20} {:>10.1} ms", TENANTS * EACH, begun.elapsed().as_secs_f64() * 1e3);
    ask("MAIL, 10,000 measures", &measures, &tenants, &senders);
}

fn ask(what: &str, measures: &Suspensions, tenants: &[TenantId], senders: &[Address]) {
    let client = "192.0.2.7".parse().ok();
    let begun = Instant::now();
    for n in 0..QUESTIONS {
        let at = (n.wrapping_mul(7919) as usize) % senders.len();
        let tenant = &tenants[at % tenants.len()];
        let asked = Asked { tenant, sender: Some(&senders[at]), client };
        black_box(measures.suspended(asked));
        black_box(measures.charge(asked, 1).is_ok());
    }
    let each = begun.elapsed().as_secs_f64() * 1e9 / f64::from(QUESTIONS);
    println!("{what:<28} {each:>10.0} ns (suspended and throttled, both asked)");
}
